"""What a round tells of payments: each rule has a name, a threshold in ``[watch]``, and says what is there now.

A rule sees the facts of one round and no more; what was before stands in them. Its evidence has a name, and where that
could not be read, what the rule said before stays. A worked example, ``pending_min = 30``::

    open since 12:00, 12:20, 12:40       at 12:45:   1 payment waits, the oldest for 45 min     warning
                                         at 12:51:   2 payments wait, the oldest for 51 min     warning, told again
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from recon.core.model import Finding, Severity, Tier, Verdict
from recon.core.text import count_text
from recon.core.times import parse_iso, to_ms
from recon.plans.history import BLOCKING, break_key
from recon.rails.gates.judge import judge_blocked, judge_clean_windows, judge_mismatch_rate
from recon.rails.gates.records import DeliveryRecord, GateCase, GateLimits
from recon.setup.watch_section import WatchSection
from recon.watch.facts import RailCount, RoundFacts
from recon.watch.own_rules import OWN_RULES
from recon.watch.saying import age_said, command_said, oldest_of, sum_said, summed_money
from recon.watch.situations import PAYMENTS_MAX, Sighting, Urgency

CAPTURED: Final = (Verdict.LOCAL_BEHIND, Verdict.LATE_PAYMENT, Verdict.COORDINATOR_BLOCKED, Verdict.SAFETY_PENDING)
"""Money is on chain, final, and the row does not say so."""

STUCK: Final = (Verdict.STUCK_PENDING, Verdict.STUCK_RELEASE)
URGENT: Final = timedelta(hours=24)
"""What waits for longer is critical: the runbooks want a manual check then."""

FAILED_MIN: Final = 3
"""Fewer failures than this are no spike, and fewer payments before tell no usual share."""

SILENT_MIN: Final = 3
"""So many payments without a webhook are silence."""

_UNREAD: Final = {Verdict.LOOKUP_FAILED, Verdict.UNPROVEN}
_BREAKS: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)
_BAD: Final = (Severity.HIGH, Severity.CRITICAL)

See = Callable[[RoundFacts, WatchSection], Iterable[Sighting]]


@dataclass(frozen=True, slots=True)
class WatchRule:
    """One rule.

    Args:
        needs: The parts of the evidence it rests on.
        is_of_window: Whether it speaks of the window of the round; the others speak of the target as a whole.
    """

    name: str
    see: See
    needs: tuple[str, ...]
    is_of_window: bool = True


def captured_not_credited(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Money that came and is not credited for over ``captured_min``, by rail."""
    waits = timedelta(minutes=limits.captured_min)
    found = [
        each
        for each in _findings(facts)
        if each.verdict in CAPTURED and each.age_s is not None and timedelta(seconds=each.age_s) > waits
    ]
    for rail, mine in _by_rail(found):
        said = _sum(facts, mine, "payment")
        yield _of_payments(
            facts, "captured_not_credited", rail, mine, f"{rail}: money came and is not credited: {said}."
        )


def fresh_breaks(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Breaks that no round knew ``new_within_min`` ago; without an earlier round none is called new.

    They are held against the last round that read everything, and what only shows because a source did not answer is
    the business of ``source_down``: an outage brings no news, and neither does its end.
    """
    before = _whole_before(facts.past, facts.now - timedelta(minutes=limits.new_within_min))
    known = None if before is None else before.get("breaks")
    if before is None or known is None:
        return
    held = set(known)
    told = (each for each in _findings(facts) if each.tier in _BREAKS and not _UNREAD & {*each.findings})
    found = [each for each in told if break_key(each) not in held]
    if found:
        since = age_said(facts.now - (_at(before) or facts.now))
        title = f"{_sum(facts, found, 'new break', aged=False)} in the last {since}: {_verdicts(found)}."
        yield replace(_of_payments(facts, "new_breaks", "", found, title), urgency=_how_bad(found), oldest=None)


def _whole_before(past: Sequence[Mapping[str, Any]], edge: datetime) -> Mapping[str, Any] | None:
    """The newest entry at or before a moment whose round read everything."""
    whole = (each for each in reversed(past) if each.get("complete"))
    return next((each for each in whole if (at := _at(each)) is not None and at <= edge), None)


def stuck_share(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """More than ``stuck_share_percent`` of the payments are stuck, or the share rose over so many rounds."""
    assert facts.plan is not None, "the plan is what this rule needs"
    stuck, of = _stuck(facts.plan.summary)
    is_much = stuck * 100 > limits.stuck_share_percent * of
    rises = _rises([*map(_stuck, facts.past), (stuck, of)], rounds=limits.stuck_rising_rounds)
    if not stuck or not (is_much or rises):
        return
    found = [each for each in _findings(facts) if each.verdict in STUCK]
    trend = f", and more in each of the last {limits.stuck_rising_rounds} rounds" if rises else ""
    title = f"{stuck} of {count_text(of, 'payment')} stuck ({stuck * 100 // max(1, of)} %){trend}."
    seen = _of_payments(facts, "stuck_share", "", found, title)
    yield replace(seen, count=stuck, urgency=Urgency.CRITICAL if is_much and rises else Urgency.WARNING)


def _rises(shares: Sequence[tuple[int, int]], *, rounds: int) -> bool:
    """Whether the share grew in each of the last rounds; compared crosswise, so that nothing is rounded."""
    last = shares[-rounds:]
    grows = (later[0] * earlier[1] > earlier[0] * later[1] for earlier, later in pairwise(last))
    return len(last) == rounds and all(grows)


def failure_rate(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Payments of a rail fail more than ``failure_share_percent``, and ``failure_times`` as often as before."""
    for rail, count in sorted(facts.rails.items()):
        if not _is_spike(count, limits):
            continue
        before = f"{count.before_failed} of {count.before:,} before" if count.before else "nothing before to compare"
        share = count.recent_failed * 100 // count.recent
        yield Sighting(
            "failure_rate",
            f"{facts.scope}{rail}",
            Urgency.CRITICAL if share >= 50 else Urgency.WARNING,
            f"{rail}: {count.recent_failed} of the {count_text(count.recent, 'payment')} of the last "
            f"{limits.failure_window_min} min failed ({share} %; {before}).",
            count=count.recent_failed,
            command=command_said(facts, "gates", "rollback", rail),
        )


def _is_spike(count: RailCount, limits: WatchSection) -> bool:
    is_much = count.recent_failed * 100 > limits.failure_share_percent * count.recent
    is_more = count.recent_failed * count.before > limits.failure_times * count.before_failed * count.recent
    return count.recent_failed >= FAILED_MIN and is_much and (is_more or count.before < FAILED_MIN)


def webhook_silence(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Payments of a rail were made over ``silence_min`` ago, and no webhook of it came since.

    One checkout that nobody pays is no silence, so there have to be a few.
    """
    if facts.deliveries is None:
        return
    edge = facts.now - timedelta(minutes=limits.silence_min)
    for rail in facts.webhook_rails if facts.deliveries.from_at <= edge else ():
        came = [each.at for each in facts.deliveries.records if each.provider == rail and each.at <= facts.now]
        since = to_ms(max(came, default=facts.deliveries.from_at))
        made = facts.rails[rail].made if rail in facts.rails else ()
        silent = sum(since < each < to_ms(edge) for each in made)
        if silent < SILENT_MIN:
            continue
        last = f"the last came {age_said(facts.now - max(came))} ago" if came else "none is known"
        yield Sighting(
            "webhook_silence",
            f"{facts.scope}{rail}",
            Urgency.WARNING,
            f"{rail}: no webhook for over {limits.silence_min} min ({last}), while "
            f"{count_text(silent, 'payment was', many='payments were')} made.",
            oldest=max(came) if came else None,
            command=command_said(facts, "triage", "deliveries"),
        )


def webhook_burst(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """More than ``burst_failures_max`` webhooks of a rail failed within ``burst_window_min``."""
    if facts.deliveries is None:
        return
    since = facts.now - timedelta(minutes=limits.burst_window_min)
    failed: defaultdict[str, list[DeliveryRecord]] = defaultdict(list)
    for each in facts.deliveries.records:
        if since < each.at <= facts.now and each.is_failed:
            failed[each.provider].append(each)
    for rail, mine in sorted(failed.items()):
        if len(mine) > limits.burst_failures_max:
            statuses = sorted({str(each.http_status or "no answer") for each in mine})
            yield Sighting(
                "webhook_burst",
                f"{facts.scope}{rail}",
                Urgency.CRITICAL,
                f"{rail}: {len(mine)} webhooks failed in {limits.burst_window_min} min ({', '.join(statuses[:5])}).",
                count=len(mine),
                oldest=min(each.at for each in mine),
                command=command_said(facts, "gates", "rollback", rail),
            )


def source_lag(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """The newest block that a chain showed is older than ``lag_min``."""
    assert facts.plan is not None, "the plan is what this rule needs"
    heads: dict[str, int] = {}
    for row in facts.plan.coverage:
        if isinstance(row.get("head_time"), int) and row.get("chain_id") is not None:
            heads[str(row["source"])] = max(heads.get(str(row["source"]), 0), row["head_time"])
    made = parse_iso(facts.plan.created_at)
    for source, head_ms in sorted(heads.items()):
        behind = timedelta(milliseconds=(0 if made is None else round(made.timestamp() * 1000)) - head_ms)
        if behind > timedelta(minutes=limits.lag_min):
            yield Sighting(
                "source_lag",
                f"{facts.scope}{source}",
                Urgency.WARNING,
                f"{source}: its newest block is {age_said(behind)} old, so what is newer cannot be seen.",
                command=command_said(facts, "doctor"),
            )


def blocked_outcomes(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """An outcome blocks reconciliation, round after round, for over ``blocked_min``: the runbooks escalate then."""
    limit = GateLimits(escalate_after_min=limits.blocked_min)
    gate = judge_blocked(GateCase("", facts.gates, limit, facts.now))
    if gate.outcome == "fail":
        found = [each for each in _findings(facts) if each.verdict in BLOCKING]
        seen = _of_payments(facts, "blocked_outcomes", "", found, f"Escalate: {gate.why}.")
        yield replace(seen, urgency=Urgency.CRITICAL, oldest=None)


def gates_shut(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """A rail of ``gates_of`` has not its clean windows or its samples yet."""
    for rail in limits.gates_of:
        case = GateCase(rail, facts.gates, facts.gate_limits, facts.now)
        shut = [gate for gate in (judge_clean_windows(case), judge_mismatch_rate(case)) if gate.outcome != "pass"]
        if shut:
            said = "; ".join(f"{gate.name} {gate.measured} ({gate.why})" for gate in shut)
            yield Sighting(
                "gates_shut",
                f"{facts.scope}{rail}",
                Urgency.INFO,
                f"{rail} may not carry money again yet: {said}.",
                count=len(shut),
                command=command_said(facts, "gates", "enable", rail),
            )


def undecided(facts: RoundFacts, limits: WatchSection) -> Iterator[Sighting]:
    """Changes that a plan proposes, of payments that wait for over ``undecided_h``, and nobody applied."""
    assert facts.plan is not None, "the plan is what this rule needs"
    changed = {each.payment_id for each in facts.plan.changes if each.tier in (Tier.AUTO, Tier.REVIEW)}
    waits = timedelta(hours=limits.undecided_h)
    found = [
        each
        for each in _findings(facts)
        if each.payment_id in changed and each.age_s is not None and timedelta(seconds=each.age_s) > waits
    ]
    if found:
        approvals = f" It has {facts.approved} of {facts.needed} approvals." if facts.needed else ""
        title = f"Nobody decided about {_sum(facts, found, 'proposed change')}.{approvals}"
        yield _of_payments(facts, "undecided", "", found, title)


# What the rules share


def _findings(facts: RoundFacts) -> Sequence[Finding]:
    return () if facts.plan is None else facts.plan.findings


def _by_rail(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    for each in findings:
        found[each.provider or "no rail"].append(each)
    return sorted(found.items())


def _of_payments(facts: RoundFacts, rule: str, about: str, findings: Sequence[Finding], title: str) -> Sighting:
    """A sighting of payments: money and the oldest; critical where that is urgent."""
    ordered = sorted(findings, key=lambda each: (-(each.age_s or 0), each.payment_id))
    oldest = oldest_of(ordered, facts.now)
    urgent = oldest is not None and facts.now - oldest > URGENT
    return Sighting(
        rule,
        f"{facts.scope}{about}".rstrip("/"),
        Urgency.CRITICAL if urgent else Urgency.WARNING,
        title,
        count=len(ordered),
        money=summed_money(ordered, facts.chain_names),
        oldest=oldest,
        command=command_said(facts, "show", facts.plan_name or "latest"),
        payments=tuple(each.payment_id for each in ordered[:PAYMENTS_MAX]),
    )


def _sum(facts: RoundFacts, findings: Sequence[Finding], one: str, *, aged: bool = True) -> str:
    oldest = oldest_of(findings, facts.now) if aged else None
    money = summed_money(findings, facts.chain_names)
    return sum_said(len(findings), one, money=money, oldest=oldest, now=facts.now)


def _how_bad(findings: Iterable[Finding]) -> Urgency:
    return Urgency.CRITICAL if any(each.severity in _BAD for each in findings) else Urgency.WARNING


def _verdicts(findings: Iterable[Finding]) -> str:
    counts: defaultdict[str, int] = defaultdict(int)
    for each in findings:
        counts[str(each.verdict)] += 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f" and {count_text(len(ordered) - 4, 'other verdict')}" if len(ordered) > 4 else ""
    return ", ".join(f"{count} {name}" for name, count in ordered[:4]) + more


def _stuck(said: Mapping[str, Any]) -> tuple[int, int]:
    """How many payments are stuck and of how many, by a summary or an entry of the history."""
    verdicts = said.get("verdicts") or {}
    return sum(int(verdicts.get(name, 0)) for name in STUCK), int(said.get("payments") or 0)


def _at(entry: Mapping[str, Any]) -> datetime | None:
    return parse_iso(str(entry.get("at")))


RULES: Final[tuple[WatchRule, ...]] = (
    WatchRule("captured_not_credited", captured_not_credited, ("plan", "whole")),
    WatchRule("new_breaks", fresh_breaks, ("plan", "whole")),
    WatchRule("stuck_share", stuck_share, ("plan", "whole")),
    WatchRule("failure_rate", failure_rate, ("rails",)),
    WatchRule("webhook_silence", webhook_silence, ("rails", "deliveries")),
    WatchRule("webhook_burst", webhook_burst, ("deliveries",)),
    WatchRule("source_lag", source_lag, ("plan",)),
    WatchRule("blocked_outcomes", blocked_outcomes, ("plan", "gates")),
    WatchRule("gates_shut", gates_shut, ("plan", "gates")),
    WatchRule("undecided", undecided, ("plan", "whole", "approvals")),
    *(WatchRule(name, see, needs, is_of_window=False) for name, see, needs in OWN_RULES),
)

LOOK_RULES: Final = ("overdue",)
"""What is seen between rounds as well."""


def seen_by(
    facts: RoundFacts, limits: WatchSection, *, only: Iterable[str] | None = None
) -> tuple[list[Sighting], set[str]]:
    """What every rule sees, and the rules whose evidence could not be read whole.

    A part of the evidence that is not there at all keeps its rules from speaking; one that is there in part only, which
    ``unread`` names as well, lets them speak and keeps what they said before.
    """
    wanted = None if only is None else set(only)
    seen: list[Sighting] = []
    unread: set[str] = set()
    for rule in RULES:
        if wanted is not None and rule.name not in wanted:
            continue
        if any(part in facts.unread for part in rule.needs):
            unread.add(rule.name)
        if "plan" not in rule.needs or facts.plan is not None:
            seen.extend(rule.see(facts, limits))
    return seen, unread
