"""Two plans of one snapshot beside each other: which verdicts, writes and sums differ. Pure.

Sums are base units by chain and token, exact. A payment that one plan does not name had no break there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.core.model import Change, Finding, Plan, Tier

NO_BREAK: Final = "no break"
NOT_WRITTEN: Final = "not written"


@dataclass(frozen=True, slots=True)
class MovedVerdict:
    """A payment that is judged otherwise: verdict and tier before and after."""

    payment_id: str
    before: str
    after: str
    tier_before: str
    tier_after: str
    reason: str


@dataclass(frozen=True, slots=True)
class MovedWrite:
    """A correction that is otherwise: what would be written before and after, with the tier.

    Args:
        units: The amount that it is about, in base units of the token.
    """

    payment_id: str
    before: str
    after: str
    units: int
    token: str | None
    chain_id: int | None
    symbol: str | None
    decimals: int | None


@dataclass(frozen=True, slots=True)
class TokenSum:
    """What the writes of one kind are about, before and after, in base units of one token."""

    kind: str
    chain_id: int | None
    token: str | None
    symbol: str | None
    decimals: int | None
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What differs between two plans.

    Args:
        counts: By verdict, payments before and after, those that differ.
        sums: Every token that writes are about, and value at risk, whether it differs or not.
        limits, health: What either plan says, before and after; equal where it does not differ.
    """

    verdicts: tuple[MovedVerdict, ...]
    writes: tuple[MovedWrite, ...]
    counts: Mapping[str, tuple[int, int]]
    sums: tuple[TokenSum, ...]
    limits: tuple[tuple[str, ...], tuple[str, ...]]
    health: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def is_none(self) -> bool:
        """Whether nothing differs."""
        same = self.limits[0] == self.limits[1] and self.health[0] == self.health[1]
        moved = self.verdicts or self.writes or self.counts or any(each.before != each.after for each in self.sums)
        return same and not moved


def compare_plans(before: Plan, after: Plan) -> PlanDifference:
    """What differs between two plans that were made of one snapshot under different rules."""
    return PlanDifference(
        verdicts=tuple(_verdicts(before, after)),
        writes=tuple(_writes(before, after)),
        counts=_counts(before, after),
        sums=add_sums([_sums(before, after)]),
        limits=(_texts(before.summary.get("limits_hit")), _texts(after.summary.get("limits_hit"))),
        health=(_health(before), _health(after)),
    )


def add_sums(every: Iterable[Iterable[TokenSum]]) -> tuple[TokenSum, ...]:
    """Sums of several comparisons together, by kind and token, sorted."""
    found: dict[tuple[str, int, str], TokenSum] = {}
    for each in (each for sums in every for each in sums):
        key = (each.kind, each.chain_id or 0, each.token or "")
        known = found.get(key)
        before, after = (0, 0) if known is None else (known.before, known.after)
        found[key] = TokenSum(
            each.kind, each.chain_id, each.token, each.symbol, each.decimals, before + each.before, after + each.after
        )
    return tuple(found[key] for key in sorted(found))


def _verdicts(before: Plan, after: Plan) -> Iterable[MovedVerdict]:
    old, new = _by_payment(before), _by_payment(after)
    for payment in sorted(old.keys() | new.keys()):
        one, other = old.get(payment), new.get(payment)
        told = _told(one), _told(other)
        if told[0] != told[1]:
            reason = other.reason if other is not None else "it is no break by these rules"
            yield MovedVerdict(payment, told[0][0], told[1][0], told[0][1], told[1][1], reason)


def _by_payment(plan: Plan) -> dict[str, Finding]:
    return {each.payment_id: each for each in plan.findings}


def _told(finding: Finding | None) -> tuple[str, str]:
    return (NO_BREAK, "") if finding is None else (finding.verdict.value, finding.tier.value)


def _writes(before: Plan, after: Plan) -> Iterable[MovedWrite]:
    old, new = ({each.payment_id: each for each in plan.changes} for plan in (before, after))
    for payment in sorted(old.keys() | new.keys()):
        one, other = old.get(payment), new.get(payment)
        told = _written(one), _written(other)
        if told[0] != told[1]:
            own = other or one
            assert own is not None, "one of the two has it"
            yield MovedWrite(payment, *told, own.value_units, own.token, own.chain_id, own.symbol, own.decimals)


def _written(change: Change | None) -> str:
    if change is None:
        return NOT_WRITTEN
    sets = ", ".join(f"{each.path}={_plain(each.after)}" for each in change.sets)
    return f"{change.tier.value}: {sets}"


def _plain(value: Any) -> str:
    return str(next(iter(value.values()))) if isinstance(value, Mapping) and len(value) == 1 else str(value)


def _counts(before: Plan, after: Plan) -> dict[str, tuple[int, int]]:
    old, new = (Counter(plan.summary.get("verdicts", {})) for plan in (before, after))
    return {name: (old[name], new[name]) for name in sorted(old.keys() | new.keys()) if old[name] != new[name]}


def _sums(before: Plan, after: Plan) -> Iterable[TokenSum]:
    for is_after, plan in ((False, before), (True, after)):
        for kind, each in _valued(plan):
            units = (0, each.value_units) if is_after else (each.value_units, 0)
            yield TokenSum(kind, each.chain_id, each.token, each.symbol, each.decimals, *units)


def _valued(plan: Plan) -> Iterable[tuple[str, Change | Finding]]:
    kinds = {Tier.AUTO: "written together", Tier.REVIEW: "written if picked"}
    yield from ((kinds.get(each.tier, each.tier.value), each) for each in plan.changes)
    yield from (("at risk", each) for each in plan.findings if each.value_units and each.token)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value or ()))


def _health(plan: Plan) -> tuple[str, ...]:
    return _texts((plan.summary.get("health") or {}).get("reasons"))
