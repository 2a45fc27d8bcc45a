"""A shop on a chain that hides receivers: what its wallet and a daemon would say, and what is true of each order.

The truth follows from the money that each order was sent, how deep it lies and whether it can be spent, and from what
its row says. No rule is asked. Three wallets stand beside each other: the shop's, a view-only one of the same keys, and
one of another address to which nothing comes. Beside the shop there are :mod:`escrows <recon.simulation.escrow_deals>`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from recon.core.model import Verdict
from recon.simulation.escrow_deals import EscrowDeals
from recon.simulation.situation import Truth
from recon.simulation.stage import NOW
from recon.simulation.world import World
from recon.sources.providers.monero.networks import DECIMALS, NETTYPES, UNLOCK_BLOCKS, written_address_of
from recon.sources.recorded.format import RecordedChain, RecordedWorld

BLOCK_S: Final = 120
HEAD: Final = 3_300_000
WEEK_BLOCKS: Final = 7 * 24 * 3600 // BLOCK_S
_CHAIN: Final = next(chain_id for chain_id, nettype in NETTYPES.items() if nettype == "mainnet")
_CONFIG: Final = f"""
[[chains]]
chain_id = {_CHAIN}
confirmations_min = {UNLOCK_BLOCKS}

[monero]
daemon_url = "http://daemon.invalid"
wallets = [
  {{ name = "shop", url = "http://shop.invalid", start_height = 1 }},
  {{ name = "watcher", url = "http://watcher.invalid", start_height = 1 }},
  {{ name = "spare", url = "http://spare.invalid", start_height = 1 }},
  {{ name = "buyer", url = "http://buyer.invalid", start_height = 1 }},
  {{ name = "seller", url = "http://seller.invalid", start_height = 1 }},
  {{ name = "arbiter", url = "http://arbiter.invalid", start_height = 1 }},
]
"""
DEAL_EVERY: Final = 25
"""Of so many payments one is an escrow of three parties, with a row for its deposit and one for its end."""

_STANDARD: Final = 18
_SUBADDRESS: Final = 42


@dataclass(frozen=True, slots=True)
class _Sent:
    """One transfer to an order: parts per million of what it asks for, and how many blocks deep it lies."""

    ppm: int = 1_000_000
    depth: int | None = None
    locked: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """What happens to an order, and what its row says of it.

    Args:
        weight: How often, beside the others.
        deep: How old it is at least, in blocks; its money came soon after it.
        recorded: Which hash the row carries: of its first transfer, none, or one that nobody ever sent.
        is_ours: Whether a wallet has its address.
    """

    name: str
    weight: int
    sent: tuple[_Sent, ...] = ()
    status: str = "pending"
    escrow: str | None = None
    recorded: str = "none"
    is_ours: bool = True
    fresh: bool = False


_ONCE: Final = (_Sent(),)
_DONE: Final[Mapping[str, Any]] = {"status": "completed", "escrow": "funded"}
_CASES: Final = (
    _Case("paid and noted", 860, _ONCE, **_DONE, recorded="first"),
    _Case("not paid yet", 40),
    _Case("paid and not noted", 20, _ONCE),
    _Case("paid in two parts and not noted", 8, (_Sent(400_000), _Sent(600_000))),
    _Case("a part is missing", 12, (_Sent(700_000),)),
    _Case("in the pool", 8, (_Sent(depth=0),), fresh=True),
    _Case("too few blocks", 8, (_Sent(depth=4),), fresh=True),
    _Case("locked by the sender", 6, (_Sent(locked=True),)),
    _Case("noted without its hash", 8, _ONCE, **_DONE),
    _Case("noted with a hash that nobody sent", 8, _ONCE, **_DONE, recorded="foreign"),
    _Case("noted and never paid", 6, **_DONE),
    _Case("noted with a hash that nobody sent, and never paid", 6, **_DONE, recorded="foreign"),
    _Case("at an address of nobody's wallet", 5, is_ours=False),
    _Case("given up and paid", 5, _ONCE, status="failed"),
)


def wallet_world(payments: int, *, seed: int) -> World:
    """A week of about so many orders; the same arguments give the same world."""
    shop = _Shop(random.Random(seed), seed)  # noqa: S311 - a world, no secret
    escrows = EscrowDeals(seed, HEAD)
    deals = payments // DEAL_EVERY
    for number in range(payments - 2 * deals):
        shop.order(number)
    for number in range(deals):
        escrows.deal(number)
    truths = (*shop.truths, *escrows.truths)
    recorded = RecordedWorld(
        now=NOW,
        seed=seed,
        collection_uuid=f"{seed & (2**64 - 1):016x}".rjust(32, "0"),
        chains={_CHAIN: RecordedChain(_CHAIN, HEAD, int(NOW.timestamp() * 1000), BLOCK_S * 1000)},
        payments=[*shop.documents, *escrows.documents],
        said={"monero": [*shop.said(escrows.txs), *escrows.said()]},
    )
    return World(recorded, tuple(sorted(truths, key=lambda truth: truth.payment_id)), config=_CONFIG)


@dataclass(frozen=True, slots=True)
class _Order:
    """One order: what happens to it, how much it asks for, where to, and how many blocks ago it was made."""

    key: str
    case: _Case
    asked: int
    address: str
    age: int


class _Shop:
    """The shop's orders in the making."""

    def __init__(self, rng: random.Random, seed: int) -> None:
        self._rng, self._seed = rng, seed
        self.documents: list[dict[str, Any]] = []
        self.truths: list[Truth] = []
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self._txs: dict[str, int | None] = {}
        self._addresses: list[str] = []

    def _named(self, what: str) -> bytes:
        return hashlib.sha512(f"{self._seed}:{what}".encode()).digest()

    def _address(self, what: str, *, first: int) -> str:
        return written_address_of(bytes([first]) + self._named(what))

    def order(self, number: int) -> None:
        """One order, its money, and its truth."""
        case = self._rng.choices(_CASES, [each.weight for each in _CASES])[0]
        key = f"order-{number:06d}"
        asked = self._rng.randrange(5, 5_000) * 10 ** (DECIMALS - 3) + self._rng.randrange(10**6)
        address = self._address(key, first=_SUBADDRESS)
        if case.is_ours:
            self._addresses.append(address)
        age = self._rng.randrange(6, 11) if case.fresh else self._rng.randrange(400, WEEK_BLOCKS)
        order = _Order(key, case, asked, address, age)
        moved = [self._send(order, part, each) for part, each in enumerate(case.sent)]
        self.documents.append(self._document(order, moved))
        self.truths.append(_truth(key, case, asked, moved))

    def _send(self, order: _Order, part: int, sent: _Sent) -> dict[str, Any]:
        units = order.asked * sent.ppm // 1_000_000
        depth = sent.depth if sent.depth is not None else order.age - 2 - part
        height = None if depth == 0 else HEAD - depth + 1
        tx_hash = self._named(f"{order.key}:{part}")[:32].hex()
        at = _time_s(HEAD if height is None else height)
        row = {
            "txid": tx_hash, "type": "pool" if height is None else "in", "address": order.address, "amount": units,
            "height": height or 0, "timestamp": at, "locked": depth < UNLOCK_BLOCKS or sent.locked,
            "payment_id": "0" * 16,
        }  # fmt: skip
        self._rows.append(("pool" if height is None else "in", row))
        self._txs[tx_hash] = height
        return {**row, "depth": depth}

    def _document(self, order: _Order, moved: list[dict[str, Any]]) -> dict[str, Any]:
        made, case, asked = NOW - timedelta(seconds=BLOCK_S * order.age), order.case, order.asked
        foreign = self._named(f"{order.key}:no")[:32].hex()
        hashes = {"none": None, "first": moved[0]["txid"] if moved else None, "foreign": foreign}
        chain: dict[str, Any] = {"network": "monero"}
        if hashes[case.recorded] is not None:
            chain |= {"transactionHash": hashes[case.recorded], "confirmations": UNLOCK_BLOCKS}
        return {
            "_id": order.key,
            "provider": "monero",
            "direction": "in",
            "status": case.status,
            **({} if case.escrow is None else {"escrowState": case.escrow}),
            "amount": {"amount": f"{asked // 10**DECIMALS}.{asked % 10**DECIMALS:0{DECIMALS}d}", "currency": "XMR"},
            "blockchain": chain,
            "moneroAddress": order.address,
            "createdAt": made,
            "updatedAt": made,
        }

    def said(self, others: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        """The lines from which the daemon and the shop's servers answer; ``others`` are further transactions."""
        self._txs |= others
        yield {"daemon": {"nettype": "mainnet", "height": HEAD + 1, "head_s": _time_s(HEAD)}}
        heights = sorted({height for height in self._txs.values() if height is not None} | {1})
        yield from ({"block": {"height": height, "time_s": _time_s(height)}} for height in heights)
        yield from ({"tx": {"tx_hash": tx, "height": height}} for tx, height in sorted(self._txs.items()))
        main = self._address("main", first=_STANDARD)
        for name in ("shop", "watcher"):
            yield {"wallet": {"name": name, "addresses": [main, *self._addresses], "height": HEAD + 1}}
            yield from ({"row": {"wallet": name, "list": kind, "transfer": row}} for kind, row in self._rows)
        spare = self._address("spare", first=_STANDARD)
        yield {"wallet": {"name": "spare", "addresses": [spare], "height": HEAD + 1}}


def _time_s(height: int) -> int:
    return int(NOW.timestamp()) - BLOCK_S * (HEAD - height)


def _truth(key: str, case: _Case, asked: int, moved: list[dict[str, Any]]) -> Truth:
    """What is true of an order, from the money it was sent and what its row says."""
    final = [each for each in moved if each["depth"] >= UNLOCK_BLOCKS and not each["locked"]]
    is_paid = sum(each["amount"] for each in final) >= asked
    is_seen = sum(each["amount"] for each in moved) >= asked
    proof = final[-1]["txid"] if is_paid else None
    noted = {"status": "completed", "escrowState": "funded", "blockchain.transactionHash": proof}
    sets: Mapping[str, Any] | None = None
    if case.is_ours and is_paid:
        verdict, sets = _of_paid(case, noted)
    else:
        verdict = _of_unpaid(case, is_seen=is_seen, has_any=bool(moved))
    return Truth(key, verdict, (verdict,), sets, planted=case.name)


def _of_unpaid(case: _Case, *, is_seen: bool, has_any: bool) -> Verdict:
    """What is true of an order that is not paid in full, or of which nobody can tell."""
    if not case.is_ours:
        return Verdict.LOOKUP_FAILED
    if is_seen:
        return Verdict.INSUFFICIENT_CONFIRMATIONS if case.fresh else Verdict.STUCK_PENDING
    if has_any:
        return Verdict.UNDERPAID
    if case.status == "completed":
        return Verdict.LOCAL_AHEAD if case.recorded == "none" else Verdict.REORGED
    return Verdict.IN_TRANSIT


def _of_paid(case: _Case, noted: Mapping[str, Any]) -> tuple[Verdict, Mapping[str, Any] | None]:
    """What is true of an order that was paid in full, and what its row should say."""
    threshold = {"blockchain.confirmations": {"$numberInt": str(UNLOCK_BLOCKS)}}
    proof = {"blockchain.transactionHash": noted["blockchain.transactionHash"]}
    if case.status == "pending":
        return Verdict.LOCAL_BEHIND, {**noted, **threshold}
    if case.status == "failed":
        return Verdict.COORDINATOR_BLOCKED, {**noted, **threshold}
    if case.recorded == "first":
        return Verdict.IN_SYNC, None
    return (Verdict.MISSING_TX_HASH if case.recorded == "none" else Verdict.TX_HASH_MISMATCH), proof
