"""Where an apply stops: how much one run may change, how old its plan may be, how many surprises it may meet.

Every limit has a name and an option of its own that raises it; there is no way to switch all of them off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from recon.core.errors import RefusedError
from recon.core.model import Change, Plan, Policy
from recon.core.money import format_units
from recon.core.times import parse_iso
from recon.plans.file import limit_of

AHEAD_MAX: Final = timedelta(minutes=5)
"""How far a plan's time may lie ahead of the clock before the clock counts as wrong."""


class LimitError(RefusedError):
    """A run would change more than one named limit allows; ``is_value`` tells limits on value from those on rows."""

    def __init__(self, *, limit: str, found: str, allowed: str, option: str) -> None:
        super().__init__(
            f"The limit on {limit} is {allowed} and this run has {found}; nothing was written. "
            f"Apply a smaller selection, or raise this one limit with {option}."
        )
        self.is_value = limit.startswith("value")


class PlanAgeError(RefusedError):
    """A plan is too old to be applied."""

    def __init__(self, *, limit: str, age: timedelta, option: str) -> None:
        super().__init__(
            f"The plan is {_spell(age)} old and the limit on plan age is {limit}; nothing was written. "
            f'Make a new plan with "recon plan", or raise this one limit with {option}.'
        )


class ClockError(RefusedError):
    """The clock or the plan's time is wrong."""

    def __init__(self, *, created_at: str, now: datetime) -> None:
        super().__init__(
            f"The plan was made at {created_at} and it is {now.isoformat(timespec='seconds')} now, so a clock is "
            "wrong; nothing was written. Set the clock and run the same command again."
        )


class PlanTimeError(RefusedError):
    """A plan's own times cannot be read."""

    def __init__(self, *, what: str, found: str) -> None:
        super().__init__(f"The plan's {what} {found[:40]!r} is no time; nothing was written. Make a new plan.")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one apply.

    Args:
        changes_max: Most rows one run may write.
        share_max_percent: Largest share of the compared rows, counted from ``share_max_from_rows`` compared rows on.
        value_max_units: By ``chain_id:token`` (or token, or symbol), base units one run may touch.
        value_max_units_per_payment: The same for one payment.
        refusals_max, refusals_max_percent: A run stops at more refusals than the larger of the two.
        plan_age_max_ms: How old a plan may be; None leaves it to the plan's own expiry.
    """

    changes_max: int = 500
    share_max_percent: int = 30
    share_max_from_rows: int = 10
    value_max_units: Mapping[str, int] = field(default_factory=dict)
    value_max_units_per_payment: Mapping[str, int] = field(default_factory=dict)
    refusals_max: int = 3
    refusals_max_percent: int = 2
    plan_age_max_ms: int | None = None

    @classmethod
    def of(cls, policy: Policy) -> Limits:
        """The limits that a policy sets."""
        return cls(
            changes_max=policy.changes_max,
            share_max_percent=policy.share_max_percent,
            share_max_from_rows=policy.share_max_from_rows,
            value_max_units=policy.value_max_units,
            value_max_units_per_payment=policy.value_max_units_per_payment,
        )

    def refusals_allowed(self, attempted: int) -> int:
        """How many refusals a run of so many rows may meet without stopping."""
        return max(self.refusals_max, attempted * self.refusals_max_percent // 100)


class Dated(Protocol):
    """A plan of any kind, as far as its age is known; times as text."""

    @property
    def created_at(self) -> str:
        """When it was made."""

    @property
    def expires_at(self) -> str:
        """Until when it may be applied."""


def check_age(plan: Dated, *, now: datetime, limits: Limits) -> None:
    """Refuse a plan that is too old, or that was made in the future.

    Raises:
        PlanAgeError: Older than the limit; without one, past the plan's own expiry.
        ClockError: Made more than five minutes after now.
    """
    created = parse_time(plan.created_at, what="time of making")
    if created - now > AHEAD_MAX:
        raise ClockError(created_at=plan.created_at, now=now)
    until = parse_time(plan.expires_at, what="expiry")
    if limits.plan_age_max_ms is not None:
        until = created + timedelta(milliseconds=limits.plan_age_max_ms)
    if now > until:
        raise PlanAgeError(limit=_spell(until - created), age=now - created, option="--plan-age-max")


def limits_hit(plan: Plan, changes: Iterable[Change], *, limits: Limits) -> list[LimitError]:
    """Every limit that a run of these changes would hit: of single payments, rows, their share, value altogether.

    Args:
        changes: The changes that would really be written now.
    """
    changes = list(changes)
    return [
        *_value_hit(changes, limits, per="payment"),
        *_rows_hit(plan, len(changes), limits),
        *_value_hit(changes, limits, per="run"),
    ]


def _rows_hit(plan: Plan, rows: int, limits: Limits) -> Iterable[LimitError]:
    """The limits on rows and on their share that a run of so many rows would hit."""
    if rows > limits.changes_max:
        yield LimitError(limit="rows", found=str(rows), allowed=str(limits.changes_max), option="--changes-max")
    compared = compared_rows(plan)
    if compared >= limits.share_max_from_rows and rows * 100 > limits.share_max_percent * compared:
        yield LimitError(
            limit="the share of compared rows",
            found=f"{rows} of {compared}",
            allowed=f"{limits.share_max_percent} %",
            option="--share-max",
        )


def _value_hit(changes: Iterable[Change], limits: Limits, *, per: str) -> Iterable[LimitError]:
    """The limits on value that the changes would hit, one by one or, of each token, together."""
    if per == "payment":
        for change in changes:
            yield from _over(change, change.value_units, limits.value_max_units_per_payment, per=per)
        return
    totals: dict[tuple[str, str], tuple[int, Change]] = {}
    for change in changes:
        key = (str(change.chain_id), change.token or change.symbol or "")
        totals[key] = (totals.get(key, (0, change))[0] + change.value_units, change)
    for units, change in totals.values():
        yield from _over(change, units, limits.value_max_units, per=per)


def compared_rows(plan: Plan) -> int:
    """How many rows the plan compared, as its summary says; 0 when it does not say."""
    payments = plan.summary.get("payments", 0)
    return payments if isinstance(payments, int) and not isinstance(payments, bool) else 0


def _over(change: Change, units: int, limits: Mapping[str, int], *, per: str) -> Iterable[LimitError]:
    allowed = limit_of(change, limits)
    if allowed is None or units <= allowed:
        return
    where = f" of {change.payment_id}" if per == "payment" else ""
    yield LimitError(
        limit=f"value per {per}",
        found=f"{_amount(units, change)}{where}",
        allowed=_amount(allowed, change),
        option="--value-max" if per == "run" else "--value-max-per-payment",
    )


def _amount(units: int, change: Change) -> str:
    name = change.symbol or change.token or "base units"
    return f"{format_units(units, decimals=change.decimals or 0)} {name}"


def parse_time(text: str, *, what: str) -> datetime:
    """Read a time of a plan as aware UTC.

    Raises:
        PlanTimeError: It is no time, or it names no zone.
    """
    found = parse_iso(text, zone=None)
    if found is None:
        raise PlanTimeError(what=what, found=text)
    return found


def _spell(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
