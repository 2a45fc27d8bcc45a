"""A node in memory, real nodes behind a handler, and the ways in which vendors spoil their answers.

A handler takes the body of a JSON-RPC POST and gives a :class:`Reply`. Faults wrap handlers. :func:`serve` puts a
handler behind a real HTTP server on loopback, :func:`transport` answers in process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE

NOW_S = 1_800_000_000


@dataclass(frozen=True)
class Reply:
    """What goes back over HTTP."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[bytes], Reply]
Answerer = Callable[[dict[str, Any]], Any]


class RpcFaultError(Exception):
    """Becomes the ``error`` member of an answer."""

    def __init__(self, message: str, code: int = -32000, data: object = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


def word(value: int | str) -> str:
    """A 32-byte word of an address or a number, without 0x."""
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


def address(number: int) -> str:
    """An address that a test can tell from others."""
    return f"0x{number:040x}"


def digest(number: int, *, kind: int = 0) -> str:
    """A 32-byte hash that a test can tell from others."""
    return f"0x{kind:032x}{number:032x}"


@dataclass
class FakeNode:
    """A chain in memory: blocks exist up to ``head``, each ``block_s`` seconds long, with the logs that were added."""

    chain_id: int = 56
    head: int = 20_000_000
    block_s: float = 0.75
    finalized: int | None = None
    first_block: int = 0
    states_times: bool = True
    now_s: int = NOW_S
    logs: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    mempool: set[str] = field(default_factory=set)
    decimals: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def time_s(self, number: int) -> int:
        """Time of a block, UTC seconds."""
        return int(self.now_s - (self.head_at_start - number) * self.block_s)

    def __post_init__(self) -> None:
        self.head_at_start = self.head

    def block_hash(self, number: int) -> str:
        """Hash of a block."""
        return digest(number, kind=0xB10C)

    def add(self, topics: list[str], data: str, *, emitter: str, block: int, tx: int, index: int) -> dict[str, Any]:
        """Put a log into the chain."""
        log = {
            "address": emitter,
            "topics": topics,
            "data": data,
            "blockNumber": hex(block),
            "blockHash": self.block_hash(block),
            "transactionHash": digest(tx, kind=0x7A),
            "transactionIndex": "0x0",
            "logIndex": hex(index),
            "removed": False,
        }
        if self.states_times:
            log["blockTimestamp"] = hex(self.time_s(block))
        self.logs.append(log)
        self.receipt(tx, block=block)
        return log

    def receipt(self, tx: int, *, block: int, status: int = 1) -> str:
        """Put a receipt into the chain; gives the hash."""
        tx_hash = digest(tx, kind=0x7A)
        self.receipts[tx_hash] = {
            "transactionHash": tx_hash,
            "status": hex(status),
            "blockNumber": hex(block),
            "blockHash": self.block_hash(block),
            "from": address(0xF0),
            "to": address(0xF1),
        }
        return tx_hash

    def pay(self, *, emitter: str, block: int, tx: int, index: int = 0, **values: Any) -> dict[str, Any]:
        """A proxy payment; ``token``, ``to``, ``amount``, ``fee``, ``fee_to``, ``reference`` (topic) may be given."""
        words = [
            word(values.get("token", address(0x70))),
            word(values.get("to", address(0x20))),
            word(values.get("amount", 10**18)),
            word(values.get("fee", 0)),
            word(values.get("fee_to", address(0))),
        ]
        topics = [TRANSFER_WITH_REFERENCE_AND_FEE, values.get("reference", digest(tx, kind=0x4EF))]
        return self.add(topics, "0x" + "".join(words), emitter=emitter, block=block, tx=tx, index=index)

    def transfer(self, *, token: str, to: str, amount: int, block: int, tx: int, index: int = 0) -> dict[str, Any]:
        """A plain ERC-20 transfer."""
        topics = [ERC20_TRANSFER, "0x" + word(address(0x33)), "0x" + word(to)]
        return self.add(topics, "0x" + word(amount), emitter=token, block=block, tx=tx, index=index)

    def answer(self, call: dict[str, Any]) -> Any:
        """The result of one call; errors are raised."""
        method, params = call["method"], call["params"]
        self.calls.append((method, params))
        known: dict[str, Callable[[], Any]] = {
            "eth_chainId": lambda: hex(self.chain_id),
            "eth_blockNumber": lambda: hex(self.head),
            "eth_getBlockByNumber": lambda: self._block(params[0]),
            "eth_getLogs": lambda: self._get_logs(params[0]),
            "eth_getTransactionReceipt": lambda: self._receipt(params[0]),
            "eth_getTransactionByHash": lambda: self._transaction(params[0]),
            "eth_getBlockReceipts": lambda: [
                self._receipt(h) for h, r in self.receipts.items() if int(r["blockNumber"], 16) == int(params[0], 16)
            ],
            "eth_call": lambda: self._call(params[0]),
        }
        if method not in known:
            raise RpcFaultError(f"the method {method} does not exist/is not available", -32601)
        return known[method]()

    def _block(self, tag: str) -> dict[str, Any] | None:
        if tag == "finalized":
            if self.finalized is None:
                raise RpcFaultError("invalid block tag", -32602)
            number = self.finalized
        else:
            number = self.head if tag == "latest" else int(tag, 16)
        if not self.first_block <= number <= self.head:
            return None
        return {"number": hex(number), "hash": self.block_hash(number), "timestamp": hex(self.time_s(number))}

    def _get_logs(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        assert question["fromBlock"].startswith("0x") and question["toBlock"].startswith("0x"), "tags are never sent"
        assert question["topics"][-1] is not None, "trailing null topics are never sent"
        lo, hi = int(question["fromBlock"], 16), int(question["toBlock"], 16)
        assert hi <= self.head, "never beyond the head of the endpoint"
        return [
            log
            for log in self.logs
            if lo <= int(log["blockNumber"], 16) <= hi
            and ("address" not in question or log["address"] in question["address"])
            and all(
                wanted is None or topic == wanted or (isinstance(wanted, list) and topic in wanted)
                for topic, wanted in zip(log["topics"], question["topics"], strict=False)
            )
        ]

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        receipt = self.receipts.get(tx_hash)
        if receipt is None:
            return None
        return {**receipt, "logs": [log for log in self.logs if log["transactionHash"] == tx_hash]}

    def _transaction(self, tx_hash: str) -> dict[str, Any] | None:
        return {"hash": tx_hash, "blockNumber": None} if tx_hash in self.mempool else None

    def _call(self, call: dict[str, Any]) -> str:
        found = self.decimals.get(call["to"])
        return "0x" if found is None else "0x" + word(found)

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(1 for name, _ in self.calls if name == method)


def handler_of(answer: Answerer) -> Handler:
    """A handler that answers single calls and batches by a function of one call."""

    def one(call: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return {**head, "result": answer(call)}
        except RpcFaultError as fault:
            return {**head, "error": fault.error}

    def handle(body: bytes) -> Reply:
        asked = json.loads(body)
        return Reply(json.dumps([one(call) for call in asked] if isinstance(asked, list) else one(asked)).encode())

    return handle


def forward_to(url: str) -> Answerer:
    """Answers with what a real node behind ``url`` says."""

    def answer(call: dict[str, Any]) -> Any:
        said = httpx.post(url, json=call, trust_env=False, timeout=30, verify=False).json()
        if "error" in said:
            raise RpcFaultError(said["error"]["message"], said["error"]["code"])
        return said["result"]

    return answer


def blocks_of(call: dict[str, Any]) -> tuple[int, int]:
    """The range of an eth_getLogs call."""
    return int(call["params"][0]["fromBlock"], 16), int(call["params"][0]["toBlock"], 16)


def limit_blocks(answer: Answerer, blocks: int, text: str, *, code: int = -32600) -> Answerer:
    """At most ``blocks`` blocks per eth_getLogs. The text may use {n}, {lo}, {hi} (hex), {dlo} and {dhi}."""

    def limited(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_getLogs":
            lo, hi = blocks_of(call)
            if hi - lo + 1 > blocks:
                end = lo + blocks - 1
                raise RpcFaultError(text.format(n=blocks, lo=hex(lo), hi=hex(end), dlo=lo, dhi=end), code)
        return answer(call)

    return limited


def limit_results(answer: Answerer, results: int, text: str, *, code: int = -32005) -> Answerer:
    """At most ``results`` logs per eth_getLogs; an error beyond that."""

    def limited(call: dict[str, Any]) -> Any:
        found = answer(call)
        if call["method"] == "eth_getLogs" and len(found) > results:
            lo, hi = blocks_of(call)
            middle = (lo + hi) // 2
            raise RpcFaultError(text.format(lo=hex(lo), hi=hex(middle), dlo=lo, dhi=middle), code)
        return found

    return limited


def limit_addresses(answer: Answerer, most: int, text: str = "specify less number of address") -> Answerer:
    """At most ``most`` entries in a list of recipients or addresses."""

    def limited(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_getLogs":
            question = call["params"][0]
            lists = [question.get("address", []), *(t for t in question["topics"] if isinstance(t, list))]
            if max(map(len, lists)) > most:
                raise RpcFaultError(text, -32602)
        return answer(call)

    return limited


def cut_silently(answer: Answerer, results: int) -> Answerer:
    """Cut a longer list of logs without a word."""

    def cut(call: dict[str, Any]) -> Any:
        found = answer(call)
        return found[:results] if call["method"] == "eth_getLogs" else found

    return cut


def change_logs(answer: Answerer, change: Callable[[list[dict[str, Any]]], Any], *, times: int = 10**9) -> Answerer:
    """Change the first ``times`` non-empty lists of logs."""
    left = [times]

    def changed(call: dict[str, Any]) -> Any:
        found = answer(call)
        if call["method"] == "eth_getLogs" and found and left[0] > 0:
            left[0] -= 1
            return change([dict(log) for log in found])
        return found

    return changed


def change_method(
    answer: Answerer, method: str, result: Callable[[dict[str, Any]], Any], *, times: int = 10**9
) -> Answerer:
    """Answer the first ``times`` calls of a method with another function."""
    left = [times]

    def changed(call: dict[str, Any]) -> Any:
        if call["method"] == method and left[0] > 0:
            left[0] -= 1
            return result(call)
        return answer(call)

    return changed


def spoil(
    handler: Handler, reply: Callable[[bytes], Reply], *, times: int = 10**9, method: str | None = None
) -> Handler:
    """Give another reply to the first ``times`` requests (of one method)."""
    left = [times]

    def spoiled(body: bytes) -> Reply:
        if left[0] > 0 and (method is None or method.encode() in body):
            left[0] -= 1
            return reply(body)
        return handler(body)

    return spoiled


def rate_limited(retry_after: str | None = "1") -> Callable[[bytes], Reply]:
    """HTTP 429."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda body: Reply(b'{"error":"too many requests"}', 429, headers)


def rate_limited_inside(body: bytes) -> Reply:
    """An error 429 inside HTTP 200."""
    asked = json.loads(body)
    return Reply(
        json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": 429, "message": "slow down"}}).encode()
    )


def web_page(status: int = 200) -> Callable[[bytes], Reply]:
    """A web page instead of JSON."""
    return lambda body: Reply(
        b"<!DOCTYPE html><html><body>Sign in</body></html>", status, {"Content-Type": "text/html"}
    )


def cut_off(handler: Handler) -> Callable[[bytes], Reply]:
    """Half of the real answer."""

    def reply(body: bytes) -> Reply:
        whole = handler(body).body
        return Reply(whole[: len(whole) // 2])

    return reply


def transport(handler: Handler) -> httpx.MockTransport:
    """Answer in process."""

    def handle(request: httpx.Request) -> httpx.Response:
        reply = handler(request.content)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)

    return httpx.MockTransport(handle)


def by_host(handlers: dict[str, Handler]) -> httpx.MockTransport:
    """Several endpoints in process, told apart by host."""

    def handle(request: httpx.Request) -> httpx.Response:
        reply = handlers[request.url.host](request.content)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)

    return httpx.MockTransport(handle)


@contextmanager
def serve(handler: Handler) -> Iterator[str]:
    """A real HTTP server on a free loopback port; gives its URL and stops at the end."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            reply = handler(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
