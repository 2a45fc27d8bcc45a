"""Escrows of three parties beside a shop on a chain that hides receivers: money in, and released, given back or stuck.

Buyer, seller and arbiter have a wallet each over the same keys. What left is known with its receiver to the one that
sent it, without to the one that signed, and to the third it looks like money that came: its change. The truth follows
from what was sent and how deep it lies, from which wallet still knows where it went, and from what the row says.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from recon.core.model import Verdict
from recon.simulation.situation import Truth
from recon.simulation.stage import NOW
from recon.sources.providers.monero.networks import DECIMALS, UNLOCK_BLOCKS, written_address_of

BLOCK_S: Final = 120
PARTIES: Final = ("buyer", "seller", "arbiter")
_STANDARD: Final = 18
_SUBADDRESS: Final = 42
_KEPT_PERCENT: Final = 3
"""What of a deposit stays when it is released."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an escrow ends, and what the row of its end says.

    Args:
        depth: How many blocks deep its transaction lies; None where nothing was sent.
        is_known: Whether the wallet that sent it still knows where it went.
    """

    name: str
    weight: int
    direction: str = "out"
    escrow: str = "releasing"
    status: str = "processing"
    depth: int | None = 300
    is_known: bool = True


_ENDINGS: Final = (
    _Ending("released and noted", 12, escrow="released", status="completed"),
    _Ending("released and not noted", 4),
    _Ending("given back and not noted", 3, direction="refund"),
    _Ending("released a moment ago", 3, depth=3),
    _Ending("released by nobody", 2, depth=None),
    _Ending("released to nobody knows whom", 2, is_known=False),
)


@dataclass(slots=True)
class EscrowDeals:
    """Deals in the making: their rows, their truths, and what the wallets of the three parties show."""

    seed: int
    head: int
    documents: list[dict[str, Any]] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    txs: dict[str, int] = field(default_factory=dict)
    _rows: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    _addresses: list[str] = field(default_factory=list)

    def deal(self, number: int) -> None:
        """One deposit and its end, with the truth of both rows."""
        rng = random.Random(f"{self.seed}:{number}")  # noqa: S311 - a world, no secret
        end = rng.choices(_ENDINGS, [each.weight for each in _ENDINGS])[0]
        key, deep = f"deal-{number:06d}", rng.randrange(600, 4_000)
        deposit = rng.randrange(1_000, 90_000) * 10 ** (DECIMALS - 3)
        address = self._address(key, first=_SUBADDRESS)
        self._addresses.append(address)
        paid = self._sent(f"{key}:in", depth=deep)
        for party in PARTIES:
            self._show(party, "in", paid, amount=deposit, address=address)
        deal = {"buyerId": f"{key} buyer", "purchaseRequestId": key, "sellerOfferId": f"{key} offer"}
        funded = {"status": "completed", "escrowState": "funded", "direction": "in", "moneroAddress": address}
        self._row(f"{key}-in", deposit, age=deep + 5, tx=paid, **funded, **deal)
        # Of what came only a part goes back, so the deposit stays what it was.
        mine = Verdict.PARTLY_REFUNDED if end.direction == "refund" else Verdict.IN_SYNC
        self.truths.append(Truth(f"{key}-in", mine, (mine,), None, planted=f"escrow {end.name}"))
        self._end(key, end, deposit=deposit, deal=deal)

    def _end(self, key: str, end: _Ending, *, deposit: int, deal: Mapping[str, str]) -> None:
        units = deposit * (100 - _KEPT_PERCENT) // 100
        receiver = self._address(f"{key}:receiver", first=_STANDARD)
        sent = None if end.depth is None else self._sent(f"{key}:end", depth=end.depth)
        if sent is not None:
            told = {"destinations": [{"address": receiver, "amount": units}]} if end.is_known else {}
            self._show("seller", "out", sent, amount=units, address=self.main, **told)
            self._show("buyer", "out", sent, amount=units, address=self.main)
            self._show("arbiter", "in", sent, amount=deposit - units, address=self.main)
        age = 310 if end.depth is None else end.depth + 3
        said = {"status": end.status, "escrowState": end.escrow, "direction": end.direction}
        self._row(f"{key}-end", units, age=age, tx=sent, **said, payout_address=receiver, **deal)
        verdict, sets = _truth_of(end)
        self.truths.append(Truth(f"{key}-end", verdict, (verdict,), sets, planted=f"escrow {end.name}"))

    @property
    def main(self) -> str:
        """The address of the keys that all three wallets have."""
        return self._address("escrow", first=_STANDARD)

    def said(self) -> Iterator[dict[str, Any]]:
        """The lines from which the three wallet servers answer."""
        for party in PARTIES:
            yield {"wallet": {"name": party, "addresses": [self.main, *self._addresses], "height": self.head + 1}}
            for kind, row in self._rows.get(party, ()):
                yield {"row": {"wallet": party, "list": kind, "transfer": row}}

    def _address(self, what: str, *, first: int) -> str:
        return written_address_of(bytes([first]) + hashlib.sha512(f"{self.seed}:escrow:{what}".encode()).digest())

    def _sent(self, what: str, *, depth: int) -> str:
        tx_hash = hashlib.sha256(f"{self.seed}:{what}".encode()).hexdigest()
        self.txs[tx_hash] = self.head - depth + 1
        return tx_hash

    def _show(self, party: str, kind: str, tx_hash: str, **told: Any) -> None:
        height = self.txs[tx_hash]
        row = {
            "txid": tx_hash, "type": kind, "height": height, "payment_id": "0" * 16, "fee": 30_000,
            "timestamp": int(NOW.timestamp()) - BLOCK_S * (self.head - height),
            "locked": self.head - height + 1 < UNLOCK_BLOCKS, **told,
        }  # fmt: skip
        self._rows.setdefault(party, []).append((kind, row))

    def _row(self, key: str, units: int, *, age: int, tx: str | None, **said: Any) -> None:
        made = NOW - timedelta(seconds=BLOCK_S * age)
        amount = f"{units // 10**DECIMALS}.{units % 10**DECIMALS:0{DECIMALS}d}"
        chain = {} if tx is None else {"transactionHash": tx, "confirmations": UNLOCK_BLOCKS}
        document: dict[str, Any] = {
            "_id": key,
            "provider": "monero",
            "amount": {"amount": amount, "currency": "XMR"},
            "blockchain": {"network": "monero", **chain},
            "createdAt": made,
            "updatedAt": made,
        }
        self.documents.append(document | said)


def _truth_of(end: _Ending) -> tuple[Verdict, Mapping[str, Any] | None]:
    """What is true of the row of an end, from what was sent, who knows where to, and what the row says."""
    if end.depth is None:
        return Verdict.STUCK_RELEASE, None
    if not end.is_known:
        return Verdict.LOOKUP_FAILED, None
    if end.depth < UNLOCK_BLOCKS:
        return Verdict.INSUFFICIENT_CONFIRMATIONS, None
    if end.escrow == "released":
        return Verdict.IN_SYNC, None
    return Verdict.LOCAL_BEHIND, {"escrowState": "refunded" if end.direction == "refund" else "released"}
