"""What can be planted, as data: a payment's situation, the money that moved for it, and what is true about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from recon.core.model import Verdict
from recon.simulation.ledger_truth import Purpose

RN: Final = "request_network"
SK: Final = "shkeeper"

Via = Literal["proxy", "old_proxy", "plain", "escrow", "conversion", "stranger_contract"]
Age = Literal["normal", "fresh", "late", "bsc_fresh", "day", "weeks", "months"]
When = Literal["in_time", "after_expiry", "fresh", "before_creation"]
Says = Literal["auto", "unpaid", "paid", "lifi", "refunded", "not_found", "failed", "silent"]
Recorded = Literal["proof", "none", "unknown", "leg", "last", "foreign", "simulated"]
Effect = Literal[
    "credit", "release", "give_back", "refund", "hash", "escrow", "status", "confirmations", "dispute", "nothing"
]


class _Gone:
    """Stands for "take the field away" in :attr:`Situation.edits`."""

    def __repr__(self) -> str:
        return "GONE"


GONE: Final = _Gone()


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of money that belongs, or seems to belong, to a payment.

    Args:
        of_due: Fraction of what the payer was asked for (SHKeeper: the amount and 2 % fee).
        of_amount_ppm: Instead, parts per million of the payment's own amount.
        plus_units: Added to either, in the least steps that can be told from the stored amount: base units, or more
            where a double is less exact than that.
        via: Which contract's log shows it; ``plain`` is an ERC-20 transfer and no more.
        token, to, chain, reference: ``right``, or how it is wrong.
        when: When it happened.
        fate: ``reverted`` leaves a receipt only, ``vanished`` was reorganised away.
        fee: What the proxy log says of the fee.
        joined: In the same transaction as the leg before it.
        keeps_ppm: What the token keeps for itself of a transfer, in parts per million.
        is_dust: A millionth of one coin, sent by a poisoner of addresses, whatever the payment asks.
    """

    of_due: tuple[int, int] = (1, 1)
    of_amount_ppm: int | None = None
    plus_units: int = 0
    via: Via | None = None
    token: Literal["right", "other", "bridged", "unknown", "fake", "fake_max"] = "right"  # noqa: S105 - a word
    to: Literal["right", "stranger", "payer", "escrow"] = "right"
    chain: Literal["right", "other"] = "right"
    reference: Literal["right", "other"] = "right"
    when: When = "in_time"
    fate: Literal["ok", "reverted", "vanished"] = "ok"
    fee: Literal["usual", "none", "zero_address", "wrong"] = "usual"
    joined: bool = False
    keeps_ppm: int = 0
    is_dust: bool = False

    @property
    def purpose(self) -> Purpose:
        """What its sender meant by it, whatever became of it."""
        if self.to == "payer":
            return "give_back"
        if self.token in ("fake", "fake_max") or self.via == "stranger_contract":
            return "pretend"
        return "another" if self.when == "before_creation" or self.is_dust else "pay"

    @property
    def is_valid(self) -> bool:
        """Whether emitter, chain, token, recipient, reference and success are all right."""
        return (
            self.via in (None, "proxy", "old_proxy", "plain", "conversion")
            and (self.token, self.to, self.chain, self.reference) == ("right",) * 4
            and self.fate == "ok"
            and self.when != "before_creation"
            and not self.is_dust
        )


PAID: Final = (Leg(),)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything about one payment that matters to its verdict; what is not said is drawn at random.

    Args:
        rails: On which providers it may happen; one is drawn.
        statuses, escrows: Stored words, one of each is drawn; None leaves ``escrowState`` unset.
        legs: The money that moved.
        recorded: Which hash the row carries; ``leg`` and ``last`` are those of the first and last leg,
            whatever became of it.
        confirmations: The stored count; ``usual`` is the backend's threshold, or (older rows) nothing at all.
        says: What the provider answers; ``auto`` is what it would make of the legs, ``silent`` has no such object.
        expiry: Whether ``expiresAt`` is there and over.
        safety: ``metadata.transactionSafety.lastCheck.reason`` of a check that is pending.
        marks: ``disputed``, ``dispute_id``, ``hold``, ``aml``, ``demo``.
        edits: Fields of the document to overwrite, by dotted path; :data:`GONE` takes one away.
        plain: Store only what every row has, so that an edit cannot be healed by another path.
        coin: The token that it is in, where that matters; one that takes a fee is always USDT, for USDC cannot.
        flat: Keep a request's ids and destination outside ``metadata``.
    """

    rails: tuple[str, ...] = (RN, SK)
    direction: Literal["in", "out", "refund"] = "in"
    statuses: tuple[str, ...] = ("completed",)
    escrows: tuple[str | None, ...] = ("funded", "funded", "releasable", "released")
    legs: tuple[Leg, ...] = PAID
    recorded: Recorded = "proof"
    confirmations: Literal["usual", "few", "enough", "none"] = "usual"
    says: Says = "auto"
    expiry: Literal["either", "none", "past", "future"] = "either"
    age: Age = "normal"
    chains: tuple[int, ...] = ()
    safety: str | None = None
    marks: frozenset[str] = frozenset()
    edits: Mapping[str, Any] = field(default_factory=dict)
    plain: bool = False
    flat: bool = False
    coin: str | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one payment, or of one ``missing_local`` item; the tool never reads it.

    Args:
        findings: Every finding that must show, the verdict included.
        sets: After-values by path, canonical Extended JSON, only where they differ from what is stored; None when
            nothing may be planned.
        planted: The name of what was planted, for people.
    """

    payment_id: str
    verdict: Verdict
    findings: tuple[Verdict, ...]
    sets: Mapping[str, Any] | None = None
    planted: str = "healthy"


@dataclass(frozen=True, slots=True)
class Plant:
    """One row of the catalogue: a situation and what is true of it.

    Args:
        rate: Share of all payments in the default mixture.
        findings: Findings that must show besides the verdict.
        effect, also: What the right plan writes.
        craft: Name of the function of :mod:`recon.simulation.crafts` that plants it, where one row is not enough.
        source: The case of the facts it comes from.
    """

    name: str
    verdict: Verdict
    situation: Situation = field(default_factory=Situation)
    findings: tuple[Verdict, ...] = ()
    effect: Effect = "nothing"
    also: Effect = "nothing"
    rate: float = 0.001
    craft: str | None = None
    source: str = ""
