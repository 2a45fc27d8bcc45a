"""One planted case: its legs, what was sent, and the truth that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from recon.core.ids import payment_id_text
from recon.core.registry import Token
from recon.simulation.ledger import Written
from recon.simulation.ledger_truth import Purpose
from recon.simulation.situation import RN, Leg, Situation

SHKEEPER_CHAINS: Final = {1: "ETH", 56: "BNB", 137: "POLYGON"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A leg that was written to a chain."""

    leg: Leg
    at: Written
    recipient: str
    units: int

    @property
    def purpose(self) -> Purpose:
        """What its sender meant by it."""
        return self.leg.purpose


@dataclass(slots=True)
class Case:
    """One payment while it is being planted: what was decided, before any source shows it.

    ``further`` are other requests of the same row, each with its reference: a buyer's other attempts.
    """

    situation: Situation
    rail: str
    token: Token
    cents: int
    amount_units: int
    due_units: int
    created: int
    expires: int | None
    recipient: str
    payer: str
    request_id: str
    salt: str
    reference: str
    identity: object
    external_id: str
    sent: list[Sent] = field(default_factory=list)
    recorded: str | None = None
    recorded_as: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    further: tuple[tuple[str, str], ...] = ()

    @property
    def payment_id(self) -> str:
        """The name of its row."""
        return payment_id_text(self.document["_id"])

    @property
    def chain_id(self) -> int:
        """The chain it is to be paid on."""
        return self.token.chain_id

    @property
    def coin(self) -> str:
        """SHKeeper's name of the token on its chain."""
        return f"{SHKEEPER_CHAINS.get(self.chain_id, 'OTHER')}-{self.token.symbol}"

    @property
    def valid(self) -> list[Sent]:
        """The legs that are this payment's money, in the order of their blocks."""
        return sorted(
            (sent for sent in self.sent if sent.leg.is_valid), key=lambda sent: (sent.at.block, sent.at.log_index)
        )

    @property
    def proof(self) -> str | None:
        """The transaction that completes the cover, by the provider's tolerance."""
        total, needed = 0, self.amount_units if self.rail == RN else -(-self.amount_units * 95 // 100)
        for sent in self.valid:
            total += sent.units
            if total >= needed:
                return sent.at.tx_hash
        return None

    @property
    def updated(self) -> int:
        """When the row was last touched: a little after the last thing it knows of."""
        return max([self.created, *(s.at.time_ms for s in self.sent if s.leg.when != "before_creation")]) + 5_000
