"""Where the fields of a ledger entry are, and what its words mean: the section ``[ledger]`` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Final, Literal

from recon.core.ledger import LedgerRules

USUAL_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "gross": ("gross_paid",),
    "fee": ("provider_fee", "platform_fee"),
    "held": ("hold", "dispute_hold"),
    "released": ("release",),
    "refunded": ("refund",),
    "adjustment": ("adjustment",),
}
"""The kinds of entries by the words that stand for them, unless a configuration says otherwise."""

Signs = Literal["kind", "amount", "side"]
"""What says whether an entry adds or takes: its kind alone, the sign of its amount, or a debit or credit word."""


@dataclass(frozen=True)
class LedgerMapping:
    """The places of what an entry says, as dotted paths; None where it does not say it.

    Args:
        amount_in: Whether amounts are in whole tokens or in base units.
        signs: With ``kind`` a negative amount counts against its kind, and so does an entry that reverses another.
        debit, credit: The words of ``side``, in lower case.
        kinds: By kind, the words that stand for it.
    """

    amount: str
    kind: str = "type"
    payment: str | None = "paymentId"
    deal: str | None = None
    account: str | None = None
    chain: str | None = None
    token: str | None = None
    side: str | None = None
    time: str | None = "createdAt"
    reverses: str | None = None
    group: str | None = None
    by: str | None = None
    amount_in: Literal["whole", "base"] = "whole"
    signs: Signs = "kind"
    debit: tuple[str, ...] = ("debit",)
    credit: tuple[str, ...] = ("credit",)
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: USUAL_KINDS)
    rules: LedgerRules = field(default_factory=LedgerRules)

    @cached_property
    def kind_of(self) -> Mapping[str, str]:
        """The kind that each word means."""
        return {word: kind for kind, words in self.kinds.items() for word in words}

    @property
    def places(self) -> tuple[str, ...]:
        """The dotted paths that are read."""
        named = (
            "amount",
            "kind",
            "payment",
            "deal",
            "account",
            "chain",
            "token",
            "side",
            "time",
            "reverses",
            "group",
            "by",
        )
        found = {getattr(self, each.name) for each in fields(self) if each.name in named}
        return tuple(sorted(path for path in found if path is not None))
