"""What a person has marked so far: for apply, to be accepted until a date, to be inspected; undone step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from recon.core.errors import UsageError
from recon.core.model import Change, Plan
from recon.core.money import decimal_amount, sum_by_name, whole_tokens
from recon.core.text import short_amount
from recon.desk.rows import DeskRow
from recon.plans.file import limit_of
from recon.plans.limits import Limits, compared_rows, limits_hit
from recon.reports.text import display_text

PICKED: Final = "picked"
"""A row that is meant by what comes next, shown in the place of its mark."""
STEPS_MAX: Final = 1000
"""Steps that can be undone; older ones are kept as they are."""


class MarkKind(StrEnum):
    """What a row is marked for."""

    APPLY = "apply"
    ACK = "ack"
    INSPECT = "inspect"


LETTERS: Final[dict[str, str]] = {"apply": "A", "ack": "K", "inspect": "I", "": " "}


class NothingToMarkError(UsageError):
    """A row cannot be marked for what was asked."""

    def __init__(self, *, payment: str, why: str) -> None:
        super().__init__(f"{payment}: {why}; nothing was marked.")


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark; ``until`` (ISO time) and ``reason`` belong to an acceptance."""

    kind: MarkKind
    until: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a person did, which can be undone as one.

    Args:
        marks: By payment the mark before and after it.
        turned: Payments that were picked by it, or let go.
    """

    said: str
    marks: Mapping[str, tuple[Mark | None, Mark | None]]
    turned: frozenset[str] = frozenset()


@dataclass(slots=True)
class Marks:
    """The marks by payment, the payments that are picked, the steps that led there, and those that were undone."""

    by_payment: dict[str, Mark] = field(default_factory=dict)
    picked: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)

    def kinds(self) -> dict[str, str]:
        """By payment what it is marked for."""
        return {payment: mark.kind.value for payment, mark in self.by_payment.items()}

    def marked(self, kind: MarkKind) -> tuple[str, ...]:
        """The payments that are marked for one thing, in order of their ids."""
        return tuple(sorted(payment for payment, mark in self.by_payment.items() if mark.kind is kind))

    def put(self, payments: Iterable[str], mark: Mark | None, *, said: str) -> Step | None:
        """Mark payments, or take their marks away with None; None comes back when that changes nothing.

        What was picked is let go with that.
        """
        changed = {
            payment: (self.by_payment.get(payment), mark)
            for payment in payments
            if self.by_payment.get(payment) != mark
        }
        return self._do(Step(said, changed, frozenset(self.picked)))

    def turn(self, payments: Iterable[str], *, said: str) -> Step | None:
        """Pick those of the payments that are not picked, and let the others go; None where there are none."""
        return self._do(Step(said, {}, frozenset(payments)))

    def _do(self, step: Step) -> Step | None:
        if not step.marks and not step.turned:
            return None
        self._go(step, forward=True)
        self.steps = [*self.steps, step][-STEPS_MAX:]
        self.undone.clear()
        return step

    def undo(self) -> Step | None:
        """Take back the latest step; None when there is none."""
        if not self.steps:
            return None
        step = self.steps.pop()
        self._go(step, forward=False)
        self.undone.append(step)
        return step

    def redo(self) -> Step | None:
        """Do again what was undone last; None when there is nothing."""
        if not self.undone:
            return None
        step = self.undone.pop()
        self._go(step, forward=True)
        self.steps.append(step)
        return step

    def _go(self, step: Step, *, forward: bool) -> None:
        self.picked ^= step.turned
        for payment, (before, after) in step.marks.items():
            mark = after if forward else before
            if mark is None:
                self.by_payment.pop(payment, None)
            else:
                self.by_payment[payment] = mark


def check_markable(rows: Sequence[DeskRow], kind: MarkKind) -> tuple[str, ...]:
    """The payments among rows that can be marked for something, each once.

    Raises:
        NothingToMarkError: None of them can; the first one's reason is told.
    """
    fit = [row for row in rows if _hindrance(row, kind) is None]
    if rows and not fit:
        raise NothingToMarkError(payment=rows[0].payment_id, why=str(_hindrance(rows[0], kind)))
    return tuple(dict.fromkeys(row.payment_id for row in fit))


def _hindrance(row: DeskRow, kind: MarkKind) -> str | None:
    if kind is MarkKind.APPLY and row.change is None:
        return f"the plan changes nothing of it ({row.left})" if row.left else "the plan changes nothing of it"
    if kind is MarkKind.ACK and (row.finding is None or row.tier.value not in ("auto", "review", "never")):
        return "it is no break"
    return None


@dataclass(frozen=True, slots=True)
class MarkedTotals:
    """What is marked for apply, held against the limits.

    Args:
        money: One text a token, with its limit where there is one.
        hits: The sentences of the limits that an apply would stop at.
        review: How many of the rows are of tier review.
    """

    rows: int
    rows_max: int
    money: tuple[str, ...]
    hits: tuple[str, ...]
    review: int
    acks: int = 0
    inspects: int = 0


def marked_totals(plan: Plan, marks: Marks, *, limits: Limits) -> MarkedTotals:
    """Rows and money per token of what is marked for apply."""
    wanted = set(marks.marked(MarkKind.APPLY))
    changes = [change for change in plan.changes if change.payment_id in wanted]
    kinds = [mark.kind for mark in marks.by_payment.values()]
    return MarkedTotals(
        rows=len(changes),
        rows_max=_rows_max(plan, limits),
        money=tuple(_money(changes, limits)),
        hits=tuple(str(hit) for hit in limits_hit(plan, changes, limits=limits)),
        review=sum(change.tier.value == "review" for change in changes),
        acks=kinds.count(MarkKind.ACK),
        inspects=kinds.count(MarkKind.INSPECT),
    )


def _rows_max(plan: Plan, limits: Limits) -> int:
    """How many rows a run may write: by number, and by their share of the compared rows."""
    compared = compared_rows(plan)
    if compared < limits.share_max_from_rows:
        return limits.changes_max
    return min(limits.changes_max, limits.share_max_percent * compared // 100)


def _money(changes: Sequence[Change], limits: Limits) -> Iterable[str]:
    """The exact sum of each symbol, and beside it how much of each chain's limit is used."""
    by_token: dict[tuple[int | None, str], list[Change]] = {}
    for change in changes:
        by_token.setdefault((change.chain_id, change.token or change.symbol or ""), []).append(change)
    tight: dict[str, list[str]] = {}
    for held in by_token.values():
        allowed = limit_of(held[0], limits.value_max_units)
        if allowed is not None:
            tight.setdefault(_name(held[0]), []).append(_of_limit(held, allowed))
    for name, total in sum_by_name((_name(each), _whole(each, each.value_units)) for each in changes):
        text = short_amount(f"{decimal_amount(total)} {name}")
        yield f"{text} ({'; '.join(tight[name])})" if name in tight else text


def _name(change: Change) -> str:
    if change.decimals is None:
        return f"base units of {change.symbol or 'an unknown token'}"
    return display_text(change.symbol or "?", length_max=20)


def _whole(change: Change, units: int) -> Decimal:
    return whole_tokens(units, decimals=change.decimals)


def _of_limit(held: Sequence[Change], allowed: int) -> str:
    """How much of a token's limit on one chain is used."""
    first, units = held[0], sum(each.value_units for each in held)
    used, whole = (short_amount(decimal_amount(_whole(first, each))) for each in (units, allowed))
    return f"{used} of {whole} on chain {first.chain_id}"
