"""A daemon and wallet servers as their facts describe them: a chain, a pool, keys, and wallets that see a part of it.

What spends, signs, relays or scans anew is not there: asking for it fails the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from recon.sources.providers.monero.networks import NETTYPES, written_address_of
from recon.sources.providers.monero.rpc import READ_PATHS, READS

FAKECHAIN = next(chain_id for chain_id, nettype in NETTYPES.items() if nettype == "fakechain")
XMR = 10**12
START_S = 1_795_176_000
"""The time of the first block: 20 November 2026."""


def an_address(name: str, *, prefix: int = 18) -> str:
    """A valid address that nobody has the keys of."""
    return written_address_of(bytes([prefix]) + hashlib.sha512(name.encode()).digest())


def a_subaddress(name: str) -> str:
    return an_address(name, prefix=42)


def a_tx_hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass
class FakeTx:
    """A transaction: ``outputs`` are address and units; ``sender`` the main address of the keys that spent."""

    tx_hash: str
    outputs: list[tuple[str, int]]
    sender: str | None = None
    change: int = 0
    unlock_time: int = 0
    payment_id: str = "0" * 16
    is_coinbase: bool = False
    double_spend_seen: bool = False


@dataclass
class FakeWallet:
    """A wallet server with one wallet.

    Args:
        sees: ``sent``: what it sent itself, with destinations; a ``cosigner`` knows of a release once it is mined,
            without destinations; a ``third`` or ``view`` wallet takes the change for money that came.
    """

    name: str
    main: str
    others: tuple[str, ...] = ()
    sees: str = "sent"
    restore_height: int = 0
    restricted: bool = False
    wrong: Mapping[str, Any] = field(default_factory=dict)
    height: int = 0
    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    hangs: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.main, *self.others)


@dataclass
class MoneroWorld:
    """Everything, and the handlers that answer for it."""

    blocks: list[list[FakeTx]] = field(default_factory=list)
    pool: list[FakeTx] = field(default_factory=list)
    wallets: dict[str, FakeWallet] = field(default_factory=dict)
    daemon: str = "up"
    info: dict[str, Any] = field(default_factory=dict)
    base_s: int = START_S
    calls: list[str] = field(default_factory=list)
    follows: bool = True

    def wallet(self, name: str, main: str | None = None, **given: Any) -> FakeWallet:
        made = self.wallets[name] = FakeWallet(name, main or an_address(name), **given)
        self.refresh(made)
        return made

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.blocks.append(self.pool)
            self.pool = []

    def pop(self, count: int) -> None:
        """The newest blocks are no longer; their transactions are in the pool again."""
        for _ in range(count):
            self.pool = [*self.blocks.pop(), *self.pool]

    def pay(self, name: str, to: str, units: int, **given: Any) -> FakeTx:
        made = FakeTx(a_tx_hash(name), [(to, units)], **given)
        self.pool.append(made)
        return made

    def time_of(self, height: int) -> int:
        return self.base_s + 120 * height

    @property
    def now_ms(self) -> int:
        return (self.time_of(len(self.blocks)) + 1) * 1000

    # Wallets

    def refresh(self, wallet: FakeWallet) -> None:
        """The wallet takes everything that the daemon has, into its own file; a shorter chain it does not notice."""
        if len(self.blocks) < wallet.height:
            return
        wallet.height = len(self.blocks)
        told: dict[str, list[dict[str, Any]]] = {}
        places = [(tx, height) for height, block in enumerate(self.blocks) for tx in block]
        for tx, height in [*places, *((tx, None) for tx in self.pool)]:
            if height is not None and height < wallet.restore_height:
                continue
            for row in self._rows(wallet, tx, height):
                told.setdefault("in" if row["type"] == "block" else row["type"], []).append(row)
        wallet.told = told

    def _rows(self, wallet: FakeWallet, tx: FakeTx, height: int | None) -> list[dict[str, Any]]:
        is_sender = tx.sender == wallet.main
        if is_sender and wallet.sees in ("sent", "cosigner"):
            if wallet.sees == "cosigner" and height is None:
                return []
            sent = [{"address": to, "amount": units} for to, units in tx.outputs]
            kind = "out" if height is not None else "pending"
            made = self._row(tx, height, kind, wallet.main, sum(units for _, units in tx.outputs))
            return [made | ({"destinations": sent} if wallet.sees == "sent" else {})]
        came = [(to, units) for to, units in tx.outputs if to in wallet.addresses]
        if is_sender and tx.change:
            came.append((wallet.main, tx.change))
        kind = "pool" if height is None else "block" if tx.is_coinbase else "in"
        return [self._row(tx, height, kind, to, units) for to, units in came]

    def _row(self, tx: FakeTx, height: int | None, kind: str, address: str, units: int) -> dict[str, Any]:
        now = len(self.blocks)
        deep = 0 if height is None else now - height
        least = 60 if tx.is_coinbase else 10
        row = {
            "txid": tx.tx_hash, "type": kind, "address": address, "amount": units, "fee": 30_000,
            "height": height or 0, "timestamp": self.time_of(now if height is None else height),
            "locked": height is None or deep < least or tx.unlock_time > now, "unlock_time": tx.unlock_time,
            "double_spend_seen": tx.double_spend_seen, "payment_id": tx.payment_id, "note": "",
            "subaddr_index": {"major": 0, "minor": 0}, "suggested_confirmations_threshold": 1,
        }  # fmt: skip
        return row | ({"confirmations": deep} if deep else {})

    def _wallet_answer(self, wallet: FakeWallet, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a wallet server says; dead and frozen daemons show in few of its answers."""
        if wallet.hangs or (self.daemon == "frozen" and (method == "refresh" or params.get("pool"))):
            raise httpx.ReadTimeout("nothing came")
        if method in wallet.wrong:
            return dict(wallet.wrong[method])
        if method == "refresh":
            if wallet.restricted:
                return {"error": {"code": -7, "message": "Command unavailable in restricted mode."}}
            if self.daemon == "gone":
                return {"error": {"code": -38, "message": "no connection to daemon at 127.0.0.1:18081"}}
            if self.follows:
                self.refresh(wallet)
            return {"result": {"blocks_fetched": 0, "received_money": False}}
        if method == "get_transfers" and params.get("pool") and self.daemon == "gone":
            return {"error": {"code": 0, "message": ""}}
        results: dict[str, Callable[[], dict[str, Any]]] = {
            "get_height": lambda: {"height": wallet.height},
            "get_accounts": lambda: {"subaddress_accounts": [{"account_index": 0, "base_address": wallet.main}]},
            "get_address": lambda: {
                "address": wallet.main, "addresses": [{"address": each} for each in wallet.addresses]
            },
            "get_transfers": lambda: wallet.told,
            "get_version": lambda: {"version": 65561, "release": False},
        }  # fmt: skip
        return {"result": results[method]()}

    # Servers

    def handler(self, request: httpx.Request) -> httpx.Response:
        """All servers by host: ``daemon`` and ``w-NAME``."""
        host = request.url.host.split(".")[0]
        body = json.loads(request.content)
        method = body.get("method", request.url.path)
        assert method in READS | READ_PATHS, f"{method} is asked, which may do more than read"
        if host == "daemon":
            self.calls.append(method)
            return httpx.Response(200, json=self._daemon_answer(method, body.get("params", body)))
        wallet = self.wallets[host.removeprefix("w-")]
        wallet.calls.append(method)
        answer = self._wallet_answer(wallet, method, body.get("params", {}))
        return httpx.Response(200, json={"id": "0", "jsonrpc": "2.0", **answer})

    def _daemon_answer(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if self.daemon == "gone":
            raise httpx.ConnectError("connection refused")
        if self.daemon == "frozen":
            raise httpx.ReadTimeout("nothing came")
        height = len(self.blocks)
        header = {"height": height - 1, "timestamp": self.time_of(height)}
        info = {
            "height": height, "target_height": 0, "synchronized": True, "busy_syncing": False, "untrusted": False,
            "nettype": "fakechain", "status": "OK",
        }  # fmt: skip
        if method == "/get_transactions":
            return self._transactions(params["txs_hashes"])
        results = {
            "get_info": info | self.info,
            "get_last_block_header": {"block_header": header},
            "get_block_header_by_height": {"block_header": {"timestamp": self.time_of(params.get("height", 0))}},
        }
        return {"result": results[method]}

    def _transactions(self, hashes: list[str]) -> dict[str, Any]:
        assert len(hashes) <= 100
        places = {tx.tx_hash: height for height, block in enumerate(self.blocks) for tx in block}
        pool = {tx.tx_hash: tx for tx in self.pool}
        found: list[dict[str, Any]] = []
        for each in hashes:
            if each in places:
                at = places[each]
                found.append(
                    {"tx_hash": each, "in_pool": False, "block_height": at, "block_timestamp": self.time_of(at)}
                )
            elif each in pool:
                seen = pool[each].double_spend_seen
                found.append({"tx_hash": each, "in_pool": True, "double_spend_seen": seen})
        known = {row["tx_hash"] for row in found}
        missed = [each for each in hashes if each not in known]
        return {"status": "OK"} | ({"txs": found} if found else {}) | ({"missed_tx": missed} if missed else {})
