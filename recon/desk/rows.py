"""The breaks of a plan as a person goes through them: what stands first, and how they are sorted and grouped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from recon.core.model import Change, Finding, LeftAlone, Plan, Severity, Tier, Verdict
from recon.core.money import whole_tokens
from recon.core.registry.off_chain import place_text
from recon.plans.file import is_picked


class BreakStanding(IntEnum):
    """How near a break is to being put right, in the order of the list."""

    READY = 1
    IF_PICKED = 2
    BY_HAND = 3
    UNDECIDED = 4
    NOT_DUE = 5


STANDING_TEXT: Final[dict[BreakStanding, str]] = {
    BreakStanding.READY: "can be put right",
    BreakStanding.IF_PICKED: "can be put right if picked",
    BreakStanding.BY_HAND: "to be settled by hand",
    BreakStanding.UNDECIDED: "nobody can decide it now",
    BreakStanding.NOT_DUE: "not due yet",
}


@dataclass(frozen=True, slots=True)
class DeskRow:
    """One line of the list: a finding that needs a person, with its change, or a change that no finding stands for.

    Args:
        finding: None for a change of an undo or a backfill.
        change: What the plan would write to the payment; None when it writes nothing.
        left: Why the plan leaves the break alone; empty when it does not.
        amount: What it is about in whole tokens; in base units where the decimals are not known.
    """

    payment_id: str
    standing: BreakStanding
    verdict: Verdict
    tier: Tier
    severity: Severity
    rail: str
    chain_id: int | None
    symbol: str
    amount: Decimal
    age_s: int | None
    finding: Finding | None
    change: Change | None
    left: str

    @property
    def said(self) -> Finding | Change:
        """What the plan says of it: its finding, or its change."""
        said = self.finding or self.change
        assert said is not None, "a row stands for something"
        return said


def desk_rows(plan: Plan) -> tuple[DeskRow, ...]:
    """The breaks of a plan, what is not due yet, its other changes, and what an undo leaves alone.

    Money that can be put right stands first, what nobody can decide now last; among equals the more severe, the
    larger, the older. Findings that are only counted are left out.
    """
    changes = {change.payment_id: change for change in plan.changes}
    left = {item.payment_id: item.reason for item in plan.left_alone}
    shown = [item for item in plan.findings if item.tier is not Tier.BENIGN]
    rows = [_row(plan, item, changes.get(item.payment_id), left.get(item.payment_id, "")) for item in shown]
    found = {item.payment_id for item in shown}
    rows += [_row(plan, item, item, "") for item in plan.changes if item.payment_id not in found]
    if plan.kind != "correction":
        rows += [_row(plan, _left_finding(item), None, item.reason) for item in plan.left_alone]
    return tuple(sorted(rows, key=usual_key))


def _row(plan: Plan, said: Finding | Change, change: Change | None, left: str) -> DeskRow:
    finding = said if isinstance(said, Finding) else None
    return DeskRow(
        payment_id=said.payment_id,
        standing=_standing(plan, said, change),
        verdict=said.verdict,
        tier=said.tier,
        severity=finding.severity if finding is not None else Severity.MEDIUM,
        rail=(finding.provider if finding is not None else None) or "",
        chain_id=said.chain_id,
        symbol=said.symbol or "",
        amount=whole_tokens(said.value_units, decimals=said.decimals),
        age_s=said.age_s,
        finding=finding,
        change=change,
        left=left if change is None else "",
    )


def _left_finding(item: LeftAlone) -> Finding:
    """A row that a plan of an undo leaves alone, which no finding of it stands for."""
    return Finding(item.payment_id, item.verdict, (item.verdict,), Tier.NEVER, Severity.MEDIUM, reason="Left as it is.")


def _standing(plan: Plan, said: Finding | Change, change: Change | None) -> BreakStanding:
    if change is not None:
        return BreakStanding.READY if is_picked(plan, change) else BreakStanding.IF_PICKED
    if said.tier is Tier.WAIT:
        return BreakStanding.NOT_DUE
    return BreakStanding.UNDECIDED if said.tier is Tier.NEVER else BreakStanding.BY_HAND


_SEVERITIES: Final = {severity: number for number, severity in enumerate(Severity)}
_VERDICTS: Final = {verdict: number for number, verdict in enumerate(Verdict)}
_TIERS: Final = {tier: number for number, tier in enumerate(Tier)}


def usual_key(row: DeskRow) -> tuple[Any, ...]:
    """The order of the list when nobody asks for another one."""
    return row.standing, -_SEVERITIES[row.severity], -row.amount, -(row.age_s or 0), row.payment_id


_BY_SIZE: Final[dict[str, Callable[[DeskRow], Any]]] = {
    "amount": lambda row: -row.amount,
    "age": lambda row: -(row.age_s or 0),
    "severity": lambda row: -_SEVERITIES[row.severity],
}
"""Largest first."""
_BY_NAME: Final[dict[str, Callable[[DeskRow], Any]]] = {
    "verdict": lambda row: _VERDICTS[row.verdict],
    "tier": lambda row: _TIERS[row.tier],
    "rail": lambda row: row.rail,
    "chain": lambda row: row.chain_id or 0,
    "token": lambda row: row.symbol,
    "payment": lambda row: row.payment_id,
}
SORTS: Final = ("usual", *_BY_SIZE, *_BY_NAME)
"""What the list can be sorted by; rows that are equal there keep the usual order."""


def sort_rows(rows: Iterable[DeskRow], by: str, *, backwards: bool = False) -> list[DeskRow]:
    """Rows in the usual order, in another one; ``backwards`` turns it round."""
    held = list(rows)
    key = _BY_SIZE.get(by) or _BY_NAME.get(by)
    if key is not None:
        held.sort(key=key)
    return held[::-1] if backwards else held


_GROUP_NAMES: Final[dict[str, Callable[[DeskRow], str]]] = {
    "standing": lambda row: STANDING_TEXT[row.standing],
    "verdict": lambda row: row.verdict.value,
    "tier": lambda row: row.tier.value,
    "rail": lambda row: row.rail or "no rail",
    "chain": lambda row: "no chain" if row.chain_id is None else place_text(row.chain_id),
    "token": lambda row: row.symbol or "no token",
}
GROUPS: Final = ("none", *_GROUP_NAMES)


@dataclass(frozen=True, slots=True)
class GroupHead:
    """The line above a group: its name, how many rows it has, and their money per token."""

    name: str
    rows: int
    money: str


Line = DeskRow | GroupHead
"""One line of the list."""


def group_rows(rows: Sequence[DeskRow], by: str, *, money: Callable[[Iterable[DeskRow]], str]) -> list[Line]:
    """The rows as they stand, or under a :class:`GroupHead` each; groups stand in the order of their first rows."""
    name = _GROUP_NAMES.get(by)
    if name is None:
        return list(rows)
    groups: dict[str, list[DeskRow]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    lines: list[Line] = []
    for title, held in groups.items():
        lines += [GroupHead(title, len(held), money(held)), *held]
    return lines
