"""Drives a test chain: the real ERC20FeeProxy and test tokens at their real addresses, payments, reorganisations.

Raw JSON-RPC, one request at a time, every block mined by hand: a batch of transactions sent while blocks are mined by
themselves loses some without an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from types import TracebackType
from typing import Any

import httpx

from recon.core.ids import keccak256
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE, forwarder_factories, load_registry
from tests.support.servers import CHAIN_FOLDER, Anvil, MissingProgramError

ZERO = "0x" + "00" * 20
UNLIMITED = 2**256 - 1
GAS = 1_000_000
BATCH_MAX = 150

_ARTIFACTS = "node_modules/@requestnetwork/smart-contracts/types/factories/src/contracts"


class RpcRefusedError(Exception):
    """The node answered a call with an error."""

    def __init__(self, *, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('code')} {error.get('message')}")
        self.code = error.get("code")


class RevertedError(Exception):
    """A transaction that was meant to succeed did not."""

    def __init__(self, *, tx_hash: str, missing: bool) -> None:
        super().__init__(f"transaction {tx_hash} {'is in no block' if missing else 'reverted'}")


@cache
def _contracts() -> dict[str, Any]:
    return dict(json.loads((CHAIN_FOLDER / "contracts.json").read_text()))


@cache
def _creation_code(contract: str) -> str:
    path = CHAIN_FOLDER / _ARTIFACTS / f"{contract}__factory.js"
    if not path.is_file():
        raise MissingProgramError(
            program=f"the compiled {contract}",
            remedy="Run scripts/test, or npm ci --ignore-scripts in tests/support/chain.",
        )
    found = re.search(r'_bytecode =\s*"(0x[0-9a-f]+)"', path.read_text())
    assert found, "the npm artifact has another shape than the pinned version had"
    return found[1]


def selector(signature: str) -> str:
    """The first four bytes of the keccak of a function signature, with ``0x``."""
    return "0x" + keccak256(signature.encode()).hex()[:8]


def encode(*values: int | str | bytes | Sequence[int] | Sequence[bytes]) -> str:
    """ABI-encode numbers, addresses (text with 0x), byte strings and lists of either, as bare hex."""
    head: list[str] = []
    tail = ""
    for value in values:
        if isinstance(value, int):
            head.append(f"{value:064x}")
        elif isinstance(value, str):
            head.append(value.removeprefix("0x").lower().rjust(64, "0"))
        else:
            head.append(f"{32 * len(values) + len(tail) // 2:064x}")
            tail += _encode_dynamic(value)
    return "".join(head) + tail


def _encode_dynamic(value: bytes | Sequence[int] | Sequence[bytes]) -> str:
    if isinstance(value, bytes):
        return f"{len(value):064x}" + value.hex().ljust(-(-len(value) // 32) * 64, "0")
    return f"{len(value):064x}" + encode(*value)


def call_data(signature: str, *values: int | str | bytes | Sequence[int] | Sequence[bytes]) -> str:
    """Data of a call: selector and encoded arguments."""
    return selector(signature) + encode(*values)


class Chain:
    """One running chain and what the tests do to it.

    Args:
        anvil: The server; the chain does not stop it.
        block_s: Seconds between two blocks, exactly.
    """

    def __init__(self, anvil: Anvil, *, block_s: int = 12) -> None:
        self.anvil = anvil
        self.url = anvil.url
        self.chain_id = anvil.chain_id
        self.block_s = block_s
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._approved: set[tuple[str, str, str]] = set()
        self.accounts: tuple[str, ...] = tuple(self.rpc("eth_accounts"))
        self.payer = self.accounts[0]
        self.rpc("anvil_setBlockTimestampInterval", block_s)
        emitters = load_registry().emitters_of(self.chain_id, kind="fee_proxy")
        self.proxies: tuple[str, ...] = tuple(emitter.address for emitter in emitters)
        self.batch_payer = "0x" + "ba" * 20
        self.dear = {self.batch_payer, *(address for address, _ in forwarder_factories(self.chain_id))}

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    @property
    def proxy(self) -> str:
        """The fee proxy that payments go through unless told otherwise: the newest that the registry knows."""
        return self.proxies[-1]

    # The node

    def rpc(self, method: str, *params: Any) -> Any:
        """One call. Raises :class:`RpcRefusedError` when the node answers with an error."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self._http.post("/", json=body).json()
        if "error" in answer:
            raise RpcRefusedError(method=method, error=answer["error"])
        return answer["result"]

    def head(self, tag: str = "latest") -> int:
        """Number of the newest block, or of the one a tag names."""
        return int(self.rpc("eth_getBlockByNumber", tag, False)["number"], 16)

    def block_time(self, number: int | None = None) -> int:
        """Time of a block (the newest unless given), UTC seconds."""
        block = self.rpc("eth_getBlockByNumber", "latest" if number is None else hex(number), False)
        return int(block["timestamp"], 16)

    def mine(self, blocks: int = 1) -> int:
        """Mine blocks, each ``block_s`` after the one before, with what waits; gives the new head."""
        if blocks == 1:
            self.rpc("evm_mine")
        elif blocks:
            self.rpc("anvil_mine", hex(blocks), hex(self.block_s))
        return self.head()

    def set_next_time(self, timestamp: int) -> None:
        """Let the next block have this time, UTC seconds; it must be later than the newest block's."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def reorg(self, depth: int, transactions: Sequence[tuple[dict[str, Any], int]] = ()) -> None:
        """Replace the last ``depth`` blocks by others with the given transactions, each with its offset in them."""
        self.rpc("anvil_reorg", depth, [[tx, offset] for tx, offset in transactions])

    def snapshot(self) -> str:
        """Remember the state; :meth:`revert` goes back to it once."""
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot; later blocks are forgotten."""
        assert self.rpc("evm_revert", snapshot) is True
        self._approved.clear()

    def impersonate(self, address: str) -> str:
        """Let transactions be sent from any address, and give it gas money."""
        self.rpc("anvil_setBalance", address, hex(10**20))
        self.rpc("anvil_impersonateAccount", address)
        return address

    # Transactions

    def send(
        self, to: str | None, data: str, *, payer: str | None = None, mine: bool = True, check: bool = True
    ) -> str:
        """Send a transaction and give its hash.

        Args:
            to: Contract or receiver; None creates a contract.
            data: Call data with ``0x``.
            payer: Sending account, the first unless given.
            mine: Mine it in a block of its own now; otherwise it waits for :meth:`mine`.
            check: Raise :class:`RevertedError` when it fails.
        """
        tx = {
            "from": payer or self.payer,
            "data": data,
            "gas": hex(GAS if to else 5 * GAS),
            **({"to": to} if to else {}),
        }
        if to in self.dear:
            tx["gas"] = hex(15 * GAS)
        tx_hash = str(self.rpc("eth_sendTransaction", tx))
        if mine:
            self.rpc("evm_mine")
            receipt = self.receipt(tx_hash)
            if check and (receipt is None or receipt["status"] != "0x1"):
                raise RevertedError(tx_hash=tx_hash, missing=receipt is None)
        return tx_hash

    def receipt(self, tx_hash: str) -> dict[str, Any] | None:
        """Receipt of a transaction, or None while it is in no block."""
        found: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", tx_hash)
        return found

    def call(self, to: str, data: str) -> str:
        """What a read-only call gives, as hex."""
        return str(self.rpc("eth_call", {"to": to, "data": data}, "latest"))

    def logs(self, *, address: str | Sequence[str] | None = None, topics: Sequence[Any] = (), start: int = 0) -> Any:
        """Logs from block ``start`` to the head."""
        wanted: dict[str, Any] = {"fromBlock": hex(max(start, self.anvil.number)), "toBlock": "latest"}
        if address is not None:
            wanted["address"] = address if isinstance(address, str) else list(address)
        return self.rpc("eth_getLogs", {**wanted, "topics": list(topics)})

    def proxy_logs(self) -> Any:
        """Every payment log that any contract emitted."""
        return self.logs(topics=[TRANSFER_WITH_REFERENCE_AND_FEE])

    def transfer_logs(self, token: str) -> Any:
        """Every Transfer of one token."""
        return self.logs(address=token, topics=[ERC20_TRANSFER])

    # Contracts

    def lay_code(self, address: str, runtime: str) -> str:
        """Put runtime code at an address; gives the address in lower case."""
        self.rpc("anvil_setCode", address, runtime)
        return address.lower()

    def deploy_proxy(self, *addresses: str) -> tuple[str, ...]:
        """Put the real ERC20FeeProxy at the addresses: all that the registry knows of this chain unless given."""
        created = self.receipt(self.send(None, _creation_code("ERC20FeeProxy")))
        assert created is not None
        runtime = self.rpc("eth_getCode", created["contractAddress"], "latest")
        laid = tuple(self.lay_code(address, runtime) for address in addresses or self.proxies)
        self.proxies = laid
        return laid

    def deploy_factory(self) -> str:
        """Put the real SingleRequestProxyFactory where the registry knows it, over the fee proxy; gives its address."""
        ((address, _),) = forwarder_factories(self.chain_id)
        code = _creation_code("SingleRequestProxyFactory") + encode(self.proxy, self.proxy, self.payer)
        created = self.receipt(self.send(None, code))
        assert created is not None
        made = created["contractAddress"]
        for slot in range(3):  # owner and the two proxies
            self.rpc(
                "anvil_setStorageAt", address, f"0x{slot:064x}", self.rpc("eth_getStorageAt", made, hex(slot), "latest")
            )
        return self.lay_code(address, self.rpc("eth_getCode", made, "latest"))

    def make_forwarder(self, token: str, payee: str, *, reference: str) -> str:
        """Let the factory make a forwarder, whose address its log names."""
        ((address, _),) = forwarder_factories(self.chain_id)
        data = call_data(
            "createERC20SingleRequestProxy(address,address,bytes,address,uint256)",
            payee, token, bytes.fromhex(reference), ZERO, 0,
        )  # fmt: skip
        receipt = self.receipt(self.send(address, data))
        assert receipt is not None
        made = next(log for log in receipt["logs"] if log["address"].lower() == address)
        return "0x" + made["data"][26:66]

    def deploy_token(self, address: str, *, symbol: str, decimals: int) -> str:
        """Put a test token at an address and give the first account a billion of it."""
        token = self.lay_code(address, _contracts()["TestToken"]["runtime"])
        self.send(token, call_data("initialise(string,uint8)", symbol.encode(), decimals))
        self.mint(token, self.payer, 10 ** (9 + decimals))
        return token

    def deploy_known_tokens(self) -> dict[str, str]:
        """Put every token the registry knows on this chain at its address; gives addresses by symbol."""
        known = [token for (chain_id, _), token in load_registry().tokens.items() if chain_id == self.chain_id]
        return {t.symbol: self.deploy_token(t.address, symbol=t.symbol, decimals=t.decimals) for t in known}

    def deploy_fake_token(self, address: str) -> str:
        """A token that moves nothing, says yes to everything and emits no Transfer."""
        return self.lay_code(address, _contracts()["FakeToken"]["runtime"])

    # Money

    def mint(self, token: str, to: str, units: int) -> str:
        """Create tokens out of nothing."""
        return self.send(token, call_data("mint(address,uint256)", to, units))

    def balance(self, token: str, holder: str) -> int:
        """Balance in base units."""
        return int(self.call(token, call_data("balanceOf(address)", holder)), 16)

    def approve(self, token: str, spender: str, *, payer: str | None = None, units: int = UNLIMITED) -> str:
        """Allow a contract to move the payer's tokens."""
        return self.send(token, call_data("approve(address,uint256)", spender, units), payer=payer)

    def transfer(
        self, token: str, to: str, units: int, *, payer: str | None = None, mine: bool = True, check: bool = True
    ) -> str:
        """A plain ERC-20 transfer; gives the transaction hash."""
        data = call_data("transfer(address,uint256)", to, units)
        return self.send(token, data, payer=payer, mine=mine, check=check)

    def pay(
        self,
        token: str,
        to: str,
        units: int,
        *,
        reference: str,
        fee_units: int = 0,
        fee_to: str = ZERO,
        payer: str | None = None,
        proxy: str | None = None,
        approve: bool = True,
        mine: bool = True,
        check: bool = True,
    ) -> str:
        """A payment through ``transferFromWithReferenceAndFee``; gives the transaction hash.

        Args:
            reference: Hex digits, with or without ``0x``; usually 8 bytes, but the contract takes any number.
            approve: Approve the proxy in a block before, the first time; without it the payment reverts.
        """
        sender, through = payer or self.payer, proxy or self.proxy
        if approve and (sender, token, through) not in self._approved:
            self.approve(token, through, payer=sender)
            self._approved.add((sender, token, through))
        return self.send(
            through,
            self.payment_data(token, to, units, reference=reference, fee_units=fee_units, fee_to=fee_to),
            payer=sender,
            mine=mine,
            check=check,
        )

    @staticmethod
    def payment_data(token: str, to: str, units: int, *, reference: str, fee_units: int = 0, fee_to: str = ZERO) -> str:
        """Call data of a payment."""
        return call_data(
            "transferFromWithReferenceAndFee(address,address,uint256,bytes,uint256,address)",
            token, to, units, bytes.fromhex(reference.removeprefix("0x")), fee_units, fee_to,
        )  # fmt: skip

    def pay_many(
        self, token: str, to: str, payments: Sequence[tuple[str, int]], *, proxy: str | None = None
    ) -> list[str]:
        """Many payments ``(reference, units)`` to one recipient, up to 150 in a transaction; gives the hashes.

        They are paid by a contract, so the sender of the transaction is not who paid.
        """
        self.lay_code(self.batch_payer, _contracts()["BatchPayer"]["runtime"])
        self.mint(token, self.batch_payer, sum(units for _, units in payments))
        hashes = []
        for start in range(0, len(payments), BATCH_MAX):
            piece = payments[start : start + BATCH_MAX]
            data = call_data(
                "pay(address,address,address,uint256[],bytes[])",
                proxy or self.proxy, token, to,
                [units for _, units in piece], [bytes.fromhex(r.removeprefix("0x")) for r, _ in piece],
            )  # fmt: skip
            hashes.append(self.send(self.batch_payer, data))
        return hashes
