"""What an incident did to payments: the breaks of a plan that fell in its rails and its time, told apart from the rest.

A payment fell in an incident when it is of one of its rails and was made in its time, or money of it moved in its time.
Whatever cannot be told apart (no rail, no time) is counted outside, never inside. A worked example, an incident of
Request Network from 10:20 to 10:45::

    made 10:25, pending              request_network   fell in it
    made 10:05, paid 10:31, pending  request_network   fell in it: its webhook was due while it lasted
    made 10:05, paid 10:07, pending  request_network   outside: before it began
    made 10:25, pending              shkeeper          outside: on another rail
    a transfer of 10:30 without row  -                 outside: its rail cannot be told
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from recon.core.model import Finding, Plan, Tier
from recon.core.times import from_ms, parse_iso, second_text
from recon.investigation.incident.bounds import Bounds

NEEDS_SOMEBODY: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)
BEFORE: Final = "before it began"
AFTER: Final = "after it was over"
OTHER_RAIL: Final = "on another rail"
NO_RAIL: Final = "on a rail that cannot be told"
NO_TIME: Final = "at a time that cannot be told"


@dataclass(frozen=True, slots=True)
class RowTimes:
    """What a snapshot knows of one break.

    Args:
        made_at: When the payment was made, UTC milliseconds.
        moved_at: When money of it moved on chain.
        buyer: Who bought; None where the row names nobody.
    """

    made_at: int | None = None
    moved_at: tuple[int, ...] = ()
    buyer: str | None = None


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What the snapshot of a plan adds to it.

    Args:
        rows: By payment id, for the plan's breaks.
        owed: By payment id, money that is proven on chain and not credited: chain, token and base units; None where it
            could not be counted.
        made: Payments made on the incident's rails in its time; ``waiting`` those of them that are open, by age.
        short: What could not be had, one sentence each.
        has_rows: Whether the snapshot was read at all; without it only ages tell when payments were made.
    """

    rows: Mapping[str, RowTimes] = field(default_factory=dict)
    owed: Mapping[str, tuple[int, str, int]] | None = None
    made: int | None = None
    waiting: Mapping[str, int] | None = None
    short: tuple[str, ...] = ()
    has_rows: bool = False


@dataclass(frozen=True, slots=True)
class Fallen:
    """The breaks of one plan that fell in an incident, and where the others lie.

    Args:
        made: How many of them were made in its time; of the others only money moved in it.
        outside: Breaks of the plan outside, by where.
        buyers: Those whom the breaks inside concern; ``nameless`` is how many of these name nobody.
        quiet: Payments inside that need nobody yet; their money may be captured all the same.
    """

    inside: tuple[Finding, ...]
    made: int
    outside: Mapping[str, int]
    buyers: frozenset[str]
    nameless: int
    quiet: frozenset[str] = frozenset()

    @property
    def ids(self) -> frozenset[str]:
        """The payments inside."""
        return frozenset(finding.payment_id for finding in self.inside)

    @property
    def verdicts(self) -> dict[str, int]:
        """The breaks inside by verdict."""
        return dict(sorted(Counter(str(finding.verdict) for finding in self.inside).items()))

    @property
    def at_risk(self) -> dict[str, str]:
        """Base units at risk inside, by ``chain_id:token``."""
        return _sums((each.chain_id, each.token, each.value_units) for each in self.inside)


@dataclass(frozen=True, slots=True)
class Impact:
    """What is known of an incident's impact on payments; None is "not known", and ``blank`` says why.

    Args:
        now: The breaks that fell in it, by the latest plan; ``earlier`` by the plan from before the repair.
        facts: Of the latest plan.
        has_buyers: Whether buyers could be read for every plan that is counted by.
        short: What keeps the figures from being whole, one sentence each.
        whole: The summary of the latest plan, over all rails and times.
        plan_at: When the latest plan was made.
        digest, digest_before: Of the latest plan and of the one from before the repair.
    """

    now: Fallen | None = None
    earlier: Fallen | None = None
    facts: PlanFacts = field(default_factory=PlanFacts)
    has_buyers: bool = False
    blank: str = "no plan was looked at (recon plan)"
    short: tuple[str, ...] = ()
    whole: Mapping[str, Any] | None = None
    plan_at: str = ""
    digest: str = ""
    digest_before: str = ""

    @property
    def by_digest(self) -> dict[str, int]:
        """How many breaks of the incident each plan has, by its digest."""
        pairs = ((self.digest, self.now), (self.digest_before, self.earlier))
        return {digest: len(each.inside) for digest, each in pairs if each is not None}

    @property
    def ids(self) -> frozenset[str]:
        """Payments that needed attention in either plan; none where nothing could be counted."""
        return frozenset[str]().union(*(each.ids for each in (self.now, self.earlier) if each is not None))

    @property
    def affected(self) -> int | None:
        """How many payments needed attention in either plan."""
        return None if self.now is None else len(self.ids)

    @property
    def users(self) -> int | None:
        """Buyers whom those payments concern."""
        if self.now is None or not self.has_buyers:
            return None
        return len(self.now.buyers | (self.earlier.buyers if self.earlier else frozenset()))

    @property
    def captured(self) -> dict[str, str] | None:
        """Base units that are proven and not credited, of the breaks inside, by ``chain_id:token``."""
        if self.now is None or self.facts.owed is None:
            return None
        own = self.now.ids | self.now.quiet
        return _sums(money for payment, money in self.facts.owed.items() if payment in own)

    @property
    def summary(self) -> dict[str, Any] | None:
        """The part of the plan's summary that is the incident's own; what cannot be told apart is left out."""
        if self.now is None:
            return None
        found: dict[str, Any] = {"verdicts": self.now.verdicts, "value_at_risk": self.now.at_risk}
        if self.captured is not None:
            found["captured_not_credited"] = self.captured
        if self.facts.waiting is not None:
            found["open_by_age"] = self.facts.waiting
        return found


def fallen_in(plan: Plan, bounds: Bounds, *, facts: PlanFacts) -> Fallen:
    """Tell the breaks of a plan that fell in an incident from the others."""
    inside: list[Finding] = []
    quiet: set[str] = set()
    made = 0
    outside: Counter[str] = Counter()
    for finding in plan.findings:
        times = facts.rows.get(finding.payment_id) or RowTimes(made_at=_by_age(finding, plan))
        place = _place(finding, times, bounds)
        if finding.tier not in NEEDS_SOMEBODY:
            quiet |= {finding.payment_id} if place is None else set()
        elif place is None:
            inside.append(finding)
            made += bounds.has(_moment(times.made_at))
        else:
            outside[place] += 1
    rows = [facts.rows.get(each.payment_id, RowTimes()) for each in inside]
    buyers = frozenset(row.buyer for row in rows if row.buyer)
    nameless = sum(not row.buyer for row in rows)
    return Fallen(tuple(inside), made, dict(sorted(outside.items())), buyers, nameless, frozenset(quiet))


def _place(finding: Finding, times: RowTimes, bounds: Bounds) -> str | None:
    """Where a break lies; None where it fell in the incident."""
    if not finding.provider:
        return NO_RAIL
    if finding.provider not in bounds.rails:
        return OTHER_RAIL
    made = _moment(times.made_at)
    if bounds.has(made) or any(bounds.has(_moment(ms)) for ms in times.moved_at):
        return None
    last = max((ms for ms in (times.made_at, *times.moved_at) if ms is not None), default=None)
    if last is None or bounds.began_at is None:
        return NO_TIME
    return AFTER if made is not None and made >= bounds.end_at else BEFORE


def _by_age(finding: Finding, plan: Plan) -> int | None:
    """When a payment was made, to the second, by its age when the plan was made."""
    at = parse_iso(plan.created_at)
    if at is None or finding.age_s is None:
        return None
    return round((at - timedelta(seconds=finding.age_s)).timestamp() * 1000)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _sums(money: Iterable[tuple[int | None, str | None, int]]) -> dict[str, str]:
    summed: Counter[str] = Counter()
    for chain, token, units in money:
        if units and token:
            summed[f"{chain}:{token}"] += units
    return {name: str(units) for name, units in sorted(summed.items())}


def why_uncounted(plan: Plan, bounds: Bounds) -> str | None:
    """Why a plan tells nothing of an incident; None where it does."""
    if bounds.began_at is None:
        return "nobody has said when it began (--began), and no log shows a burst of failures"
    if not bounds.rails:
        return "nobody has said which rail it was (--rail), and no log shows a burst of failures"
    made = parse_iso(plan.created_at)
    if made is None or made <= bounds.began_at:
        return f"the plan was made at {plan.created_at}, before it began (recon plan)"
    return None


def shortfalls_of(plan: Plan, bounds: Bounds) -> Iterator[str]:
    """What of an incident a plan did not look at, one sentence each."""
    window = plan.window
    yield from _untimely(plan, bounds)
    missing = sorted(set(bounds.rails) - set(window.get("providers") or bounds.rails))
    if missing:
        yield f"the plan did not look at {', '.join(missing)}"
    chosen = [name for name in ("statuses", "ids", "open_only") if window.get(name)]
    if chosen:
        yield f"the plan looked only at some payments, chosen by {', '.join(chosen)}"


def _untimely(plan: Plan, bounds: Bounds) -> Iterator[str]:
    starts, ends, made = (
        parse_iso(str(text)) for text in (plan.window.get("from"), plan.window.get("to"), plan.created_at)
    )
    if starts is not None and bounds.began_at is not None and starts > bounds.began_at:
        yield f"the plan looked at payments from {second_text(starts)} on, and the incident began before"
    last = min((each for each in (ends, made) if each is not None), default=None)
    if bounds.resolved_at is not None and last is not None and last < bounds.resolved_at:
        yield f"the plan looked at payments until {second_text(last)}, and the incident lasted longer"
