"""The JSON-RPC node of one recorded chain; :mod:`recon.sources.recorded.world` says what a recorded world is."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.registry import ERC20_TRANSFER, Registry, load_registry
from recon.sources.recorded.faults import FaultRule, Faults, spoiled
from recon.sources.recorded.format import RecordedChain, block_hash

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler

_WHOLE = ("cut", "slow", "truncate", "empty")
"""Faults of a whole HTTP answer; the others are of one call in it."""


_BALANCE_CALL: Final = "0x70a08231"


def node_handler(chain: RecordedChain, faults: Faults) -> Handler:
    """Answer JSON-RPC POST bodies of one chain."""
    node = _Node(chain, load_registry())

    def true_answer(request: httpx.Request) -> httpx.Response:
        import httpx

        try:
            asked = json.loads(request.content)
        except ValueError:
            return httpx.Response(200, json=_error(None, -32700, "parse error"))
        answers = [_answer(node, call, None) for call in (asked if isinstance(asked, list) else [asked])]
        return httpx.Response(200, json=answers if isinstance(asked, list) else answers[0])

    def handle(request: httpx.Request) -> httpx.Response:
        import httpx

        try:
            asked = json.loads(request.content)
        except ValueError:
            return true_answer(request)
        calls = asked if isinstance(asked, list) else [asked]
        picked = [_fault(node, faults, call) for call in calls]
        for rule in picked:
            if rule is not None and (rule.action in _WHOLE or rule.text is not None or rule.status != 200):
                return spoiled(rule, request, answer=true_answer)
        answers = [_answer(node, call, rule) for call, rule in zip(calls, picked, strict=True)]
        return httpx.Response(200, json=answers if isinstance(asked, list) else answers[0])

    return handle


def _fault(node: _Node, faults: Faults, call: Any) -> FaultRule | None:
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        return None
    blocks = None
    if call["method"] == "eth_getLogs":
        try:
            blocks = node.range_of(call["params"][0])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None
    return faults.pick(call["method"], blocks=blocks)


def _answer(node: _Node, call: Any, rule: FaultRule | None) -> dict[str, Any]:
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        return _error(None, -32600, "invalid request")
    if rule is not None and rule.action == "answer":
        return {"jsonrpc": "2.0", "id": call.get("id"), "error": rule.body}
    try:
        result = node.call(call["method"], call.get("params") or [], hidden=rule.depth if rule else 0)
    except _NoStateError as lost:
        return _error(call.get("id"), -32000, str(lost))
    except NotImplementedError:
        return _error(call.get("id"), -32601, f"the method {call['method']} does not exist/is not available")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return _error(call.get("id"), -32602, "invalid params")
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": _distorted(result, rule, method=call["method"])}


def _distorted(result: Any, rule: FaultRule | None, *, method: str) -> Any:
    """An answer as a fault has it: rows twice, or another chain's id."""
    action = None if rule is None else rule.action
    if action == "repeat" and isinstance(result, list):
        return [*result, *result[:3]]
    return "0x1e240" if action == "chain" and method == "eth_chainId" else result


class _NoStateError(Exception):
    """The node keeps no state of a block; in the words of one that is pruned."""

    def __init__(self, *, block: int) -> None:
        super().__init__(f"missing trie node (path ) state of block {block} is not available, not found")


def _error(call_id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}}


class _Node:
    def __init__(self, chain: RecordedChain, registry: Registry) -> None:
        self._chain = chain
        self._registry = registry
        self._logs = sorted(chain.logs, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        self._blocks = [int(log["blockNumber"], 16) for log in self._logs]
        self._receipts = {str(receipt["transactionHash"]).lower(): receipt for receipt in chain.receipts}
        self._by_hash: dict[str, list[Mapping[str, Any]]] = {}
        for log in self._logs:
            if not log.get("removed"):
                self._by_hash.setdefault(str(log["transactionHash"]).lower(), []).append(log)
        self._by_block: dict[int, list[str]] = {}
        for receipt in chain.receipts:
            number = int(receipt["blockNumber"], 16)
            self._by_block.setdefault(number, []).append(str(receipt["transactionHash"]))
        self._answers: dict[str, Callable[[Sequence[Any]], Any]] = {
            "eth_chainId": lambda _: hex(chain.chain_id),
            "net_version": lambda _: str(chain.chain_id),
            "eth_blockNumber": lambda _: hex(chain.head),
            "eth_syncing": lambda _: False,
            "web3_clientVersion": lambda _: "recorded/1",
            "eth_getLogs": lambda params: self._get_logs(params[0]),
            "eth_getBlockByNumber": lambda params: self._block(self._number(params[0])),
            "eth_getTransactionReceipt": lambda params: self._receipt(str(params[0]).lower()),
            "eth_getTransactionByHash": lambda params: self._transaction(str(params[0]).lower()),
            "eth_getBlockReceipts": lambda params: self._block_receipts(self._number(params[0])),
            "eth_getCode": lambda params: "0x60806040" if self._is_contract(str(params[0]).lower()) else "0x",
            "eth_getTransactionCount": lambda params: hex(self._sent(str(params[0]).lower(), self._number(params[1]))),
            "eth_call": lambda params: self._eth_call(params[0], params[1] if len(params) > 1 else "latest"),
        }

    def call(self, method: str, params: Sequence[Any], *, hidden: int = 0) -> Any:
        """Answer one call; the newest ``hidden`` blocks are not there yet."""
        if method not in self._answers:
            raise NotImplementedError(method)
        if not hidden:
            return self._answers[method](params)
        seen = self._chain.head - hidden
        if method == "eth_getBlockByNumber" and params[0] in ("latest", "pending"):
            params = [hex(seen)]
        result = self._answers[method](params)
        return hex(seen) if method == "eth_blockNumber" else _until(result, seen)

    def range_of(self, question: Mapping[str, Any]) -> tuple[int, int]:
        """From and to block of a log question, the head at most."""
        first = self._number(question.get("fromBlock", "latest"))
        return first, min(self._number(question.get("toBlock", "latest")), self._chain.head)

    def _number(self, word: str) -> int:
        """The block that a tag or a number means; a node without the ``finalized`` tag refuses that word."""
        tags = {"latest": self._chain.head, "pending": self._chain.head, "earliest": 0}
        if self._chain.finalized is not None:
            tags |= {"finalized": self._chain.finalized, "safe": self._chain.finalized}
        return tags[word] if word in tags else int(word, 16)

    def _get_logs(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        first, last = self.range_of(question)
        wanted = question.get("address")
        addresses = {str(address).lower() for address in _listed(wanted)} if wanted else None
        topics = [
            None if topic is None else {option.lower() for option in _listed(topic)}
            for topic in question.get("topics") or []
        ]
        found = self._logs[bisect_left(self._blocks, first) : bisect_right(self._blocks, last)]
        return [
            self._timed(log)
            for log in found
            if (addresses is None or log["address"].lower() in addresses) and _topics_fit(log["topics"], topics)
        ]

    def _timed(self, log: Mapping[str, Any]) -> dict[str, Any]:
        return {**log, "blockTimestamp": hex(self._chain.time_ms(int(log["blockNumber"], 16)) // 1000)}

    def _block(self, number: int) -> dict[str, Any] | None:
        chain = self._chain
        if not 0 <= number <= chain.head:
            return None
        return {
            "number": hex(number),
            "hash": block_hash(chain.chain_id, number),
            "parentHash": block_hash(chain.chain_id, number - 1),
            "timestamp": hex(chain.time_ms(number) // 1000),
            "transactions": self._by_block.get(number, []),
        }

    def _block_receipts(self, number: int) -> list[dict[str, Any] | None]:
        return [self._receipt(tx_hash.lower()) for tx_hash in self._by_block.get(number, [])]

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        receipt = self._receipts.get(tx_hash)
        if receipt is None:
            return None
        return {**receipt, "logs": [self._timed(log) for log in self._by_hash.get(tx_hash, [])]}

    def _transaction(self, tx_hash: str) -> dict[str, Any] | None:
        receipt = self._receipts.get(tx_hash)
        if receipt is None:
            return None
        same = {name: receipt.get(name) for name in ("blockNumber", "blockHash", "from", "to")}
        call = {"input": receipt.get("input", "0x"), "value": receipt.get("value", "0x0")}
        return {"hash": tx_hash, **call, **same}

    def _is_contract(self, address: str) -> bool:
        key = (self._chain.chain_id, address)
        return key in self._registry.tokens or key in self._registry.emitters

    def _eth_call(self, call: Mapping[str, Any], block: str) -> str:
        token = self._registry.tokens.get((self._chain.chain_id, str(call["to"]).lower()))
        data = str(call.get("data") or call.get("input"))
        if token is not None and data.startswith("0x313ce567"):
            return f"0x{token.decimals:064x}"
        if token is not None and data.startswith("0x95d89b41"):
            return f"0x{32:064x}{len(token.symbol):064x}{token.symbol.encode().ljust(32, bytes(1)).hex()}"
        if token is not None and data.startswith(_BALANCE_CALL):
            return f"0x{self._balance(token.address, '0x' + data[-40:].lower(), self._number(block)):064x}"
        return "0x"

    def _balance(self, token: str, wallet: str, block: int) -> int:
        """What a wallet holds at the end of a block: as recorded last, and moved by the transfers since."""
        said = [
            row
            for row in self._chain.balances
            if (str(row["token"]).lower(), str(row["wallet"]).lower()) == (token, wallet) and row["block"] <= block
        ]
        if not said or block > self._chain.head:
            raise _NoStateError(block=block)
        last = max(said, key=lambda row: int(row["block"]))
        return int(last["units"]) + self._moved(token, wallet, since=int(last["block"]), until=block)

    def _sent(self, address: str, block: int) -> int:
        """How many transactions an address has sent by the end of a block."""
        sent = (each for each in self._chain.receipts if str(each.get("from")).lower() == address)
        return sum(int(each["blockNumber"], 16) <= block for each in sent)

    def _moved(self, token: str, wallet: str, *, since: int, until: int) -> int:
        """What came to a wallet less what left it, in the blocks after one and up to another."""
        total, word = 0, "0x" + wallet[2:].rjust(64, "0")
        for log in self._logs[bisect_right(self._blocks, since) : bisect_right(self._blocks, until)]:
            topics = [str(topic).lower() for topic in log["topics"]]
            is_transfer = len(topics) == 3 and topics[0] == ERC20_TRANSFER and not log.get("removed")
            if is_transfer and log["address"].lower() == token:
                total += int(log["data"], 16) * ((topics[2] == word) - (topics[1] == word))
        return total


def _until(result: Any, seen: int) -> Any:
    """An answer of a node that has seen no block after one: later rows are left out, a later thing is not there."""
    if isinstance(result, list):
        return [row for row in result if int(row["blockNumber"], 16) <= seen]
    if isinstance(result, dict) and int(result.get("blockNumber") or result.get("number") or "0x0", 16) > seen:
        return None
    return result


def _listed(words: Any) -> Any:
    return [words] if isinstance(words, str) else words


def _topics_fit(found: Sequence[str], wanted: Sequence[set[str] | None]) -> bool:
    return len(found) >= len(wanted) and all(
        options is None or found[index].lower() in options for index, options in enumerate(wanted)
    )
