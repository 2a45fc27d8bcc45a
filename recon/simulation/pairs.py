"""Two breaks at once: twists of one completed payment, which may be combined, and which of them wins.

The winner is the verdict that stands first in the order of :class:`recon.core.model.Verdict`. Where it writes, what the
other one writes is written with it: each of the two is allowed by its own cell of the table of writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from recon.core.model import Verdict
from recon.simulation.situation import Effect, Leg, Plant, Situation

_ORDER: Final = list(Verdict)


@dataclass(frozen=True, slots=True)
class Twist:
    """One thing that is wrong with an otherwise completed payment."""

    name: str
    verdict: Verdict
    changes: tuple[tuple[str, Any], ...]
    effect: Effect = "nothing"


TWISTS: Final = (
    Twist("hash_unknown", Verdict.TX_HASH_MISMATCH, (("recorded", "unknown"),), "hash"),
    Twist("hash_missing", Verdict.MISSING_TX_HASH, (("recorded", "none"), ("confirmations", "none")), "hash"),
    Twist("escrow_unset", Verdict.ESCROW_DRIFT, (("escrows", (None,)),), "escrow"),
    Twist("confirmed", Verdict.STATUS_DRIFT, (("statuses", ("confirmed",)),), "status"),
    Twist("few_confirmations", Verdict.CONFIRMATIONS_STALE, (("confirmations", "few"),), "confirmations"),
    Twist("paid_twice", Verdict.MULTIPLE_TRANSFERS, (("legs", (Leg(), Leg())),)),
    Twist("overpaid", Verdict.OVERPAID, (("legs", (Leg(of_amount_ppm=1_300_000),)),)),
    Twist("indexer_behind", Verdict.PROVIDER_BEHIND, (("says", "unpaid"),)),
    Twist("disputed", Verdict.DISPUTE_HOLD, (("marks", frozenset({"disputed"})),)),
)


def compatible(first: Twist, second: Twist) -> bool:
    """Whether two twists touch different fields; a dispute holds only where a change would be due."""
    if {name for name, _ in first.changes} & {name for name, _ in second.changes}:
        return False
    if Verdict.DISPUTE_HOLD in (first.verdict, second.verdict):
        return {first.effect, second.effect} != {"nothing"}
    return True


def _pair(first: Twist, second: Twist) -> Plant:
    winner, other = sorted((first, second), key=lambda twist: _ORDER.index(twist.verdict))
    situation = Situation(**dict((*first.changes, *second.changes)))
    return Plant(
        f"{winner.name}+{other.name}",
        winner.verdict,
        situation,
        findings=(other.verdict,),
        effect=winner.effect,
        also="nothing" if winner.effect == "nothing" else other.effect,
        rate=0.0002,
    )


PAIRS: Final = {plant.name: plant for plant in (_pair(a, b) for a, b in combinations(TWISTS, 2) if compatible(a, b))}
