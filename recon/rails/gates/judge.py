"""May we roll back, may we re-enable: each gate says what was asked, measured and allowed, and what it rests on.

Every function here is pure: it judges evidence that was measured elsewhere (``recon.rails.gates.evidence`` reads it)
against limits, at a time that is passed in. What was not measured is ``not_measurable``, never a pass; a limit that
the runbooks leave open is ``not_measurable`` until it is set.

A gate passes when it gives no reason to act. For a rollback criterion that means: no reason to roll back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from recon.core.model import Severity, Tier, Verdict
from recon.core.people import one_of_each
from recon.core.text import count_text
from recon.rails.gates.records import (
    DeliveryRecord,
    DryRun,
    GateCase,
    GateEvidence,
    GateFinding,
    GateLimits,
    HealthRecord,
    RunRecord,
    SignedSample,
)
from recon.rails.gates.sample import CheckedSign, Sample
from recon.sources.providers.installed import providers

Outcome = Literal["pass", "fail", "not_measurable"]
Decision = Literal["escalate", "roll_back", "stay", "unknown", "enable", "refuse"]

EVIDENCE_MAX: Final = 20
UNCHECKED: Final = " (a name is a claim: nobody checked it)"
RUNS_NAMED: Final = 3
PPM: Final = 1_000_000
NOT_JUDGED: Final = frozenset({Verdict.UNPROVEN, Verdict.LOOKUP_FAILED, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE})
"""Verdicts of payments that were not judged with full coverage, or are none of the rail's: no samples."""
CHAIN_MISMATCHES: Final = frozenset(
    {
        Verdict.NETWORK_MISMATCH, Verdict.TOKEN_MISMATCH, Verdict.RECIPIENT_MISMATCH, Verdict.REFERENCE_MISMATCH,
        Verdict.TX_HASH_MISMATCH, Verdict.REORGED, Verdict.TX_REVERTED, Verdict.TX_NOT_FOUND,
    }
)  # fmt: skip
INVARIANTS: Final = frozenset(
    {Verdict.DUPLICATE_PROVIDER_KEY, Verdict.DUPLICATE_TX_HASH, Verdict.SIMULATED_HASH, Verdict.DISPUTE_HOLD}
)
"""One proof used twice, a simulated payout taken for a real one, and (at the highest severity only) a release or refund
under way on a payment that is disputed or held."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One judged gate; every field but ``evidence`` is one plain sentence or clause."""

    name: str
    asked: str
    measured: str
    limit: str
    outcome: Outcome
    why: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateReport:
    """All gates of one question and what follows from them."""

    question: str
    provider: str
    judged_at: str
    gates: tuple[Gate, ...]
    decision: Decision
    because: str

    @property
    def blocking(self) -> tuple[str, ...]:
        """Names of the gates that did not pass."""
        return tuple(gate.name for gate in self.gates if gate.outcome != "pass")

    @property
    def is_told(self) -> bool:
        """Whether the evidence answers the question; where it does not, nothing is wrong and nothing is proven."""
        found = {gate.outcome for gate in self.gates}
        return "not_measurable" not in found or "fail" in found or self.decision in ("stay", "escalate", "roll_back")


def judge_enable(provider: str, evidence: GateEvidence, *, limits: GateLimits, now: datetime) -> GateReport:
    """Judge whether a rail may carry money again: every gate must pass."""
    case = GateCase(provider, evidence, limits, now)
    gates = tuple(gate(case) for gate in ENABLE_GATES)
    open_ = [gate.name for gate in gates if gate.outcome != "pass"]
    because = f"{', '.join(open_)} not passed" if open_ else "every gate passed"
    return GateReport("enable", provider, _time(now), gates, "refuse" if open_ else "enable", because)


def judge_rollback(provider: str, evidence: GateEvidence, *, limits: GateLimits, now: datetime) -> GateReport:
    """Judge whether a rail must be rolled back, or the matter escalated because the evidence does not tell.

    Blocked reconciliation escalates and does not roll back by itself, even where a criterion is over its limit as well:
    the person it is escalated to decides, knowing both.
    """
    case = GateCase(provider, evidence, limits, now)
    blocked = judge_blocked(case)
    criteria = tuple(gate(case) for gate in ROLLBACK_GATES)
    over = [gate.name for gate in criteria if gate.outcome == "fail"]
    unknown = [gate.name for gate in (blocked, *criteria) if gate.outcome == "not_measurable"]
    decision: Decision
    if blocked.outcome == "fail":
        decision, because = "escalate", blocked.why
        if over:
            because += f"; over their limit besides: {', '.join(over)}"
    elif over:
        decision, because = "roll_back", f"{', '.join(over)} over the limit"
    elif unknown:
        decision, because = "unknown", f"{', '.join(unknown)} could not be measured"
    else:
        decision, because = "stay", "no criterion is over its limit"
    return GateReport("rollback", provider, _time(now), (blocked, *criteria), decision, because)


def judge_blocked(case: GateCase) -> Gate:
    """Whether one outcome has blocked reconciliation, run after run, for longer than allowed."""
    limit = case.limits.escalate_after_min
    make = _Maker(
        "blocked_reconciliation",
        "Do lookup_failed, missing_reference or coordinator_blocked keep blocking reconciliation?",
        f"at most {limit} min",
    )
    gap = timedelta(minutes=case.limits.run_gap_max_min)
    runs = case.runs()
    if not runs or case.now - runs[-1].at > gap:
        last = f"the last run was at {_time(runs[-1].at)}" if runs else "there is no run"
        return make(last, "not_measurable", f'{last}; run "recon plan" now')
    name, stretch = _longest_stretch(runs, gap)
    evidence = tuple(f"run {run.digest[:12]} at {_time(run.at)}: {run.blocking.get(name, 0)} {name}" for run in stretch)
    if not name and not stretch[-1].is_complete:
        why = "cannot tell: the last run did not read every source completely"
        return make("none in what the last run read", "not_measurable", why, _last(evidence))
    if not name:
        return make("none in the last run", "pass", "the last run met none of them", _last(evidence))
    longest = stretch[-1].at - stretch[0].at
    measured = f"{name} in {count_text(len(stretch), 'run')} over {_minutes(longest)} min"
    if longest > timedelta(minutes=limit):
        why = f"{name} has blocked reconciliation for {_minutes(longest)} min, over {limit}"
        return make(measured, "fail", why, _last(evidence))
    if case.now - stretch[0].at > timedelta(minutes=limit):
        why = f'the last run is {_minutes(case.now - stretch[-1].at)} min old; one more "recon plan" tells'
        return make(measured, "not_measurable", why, _last(evidence))
    return make(measured, "pass", f"not for longer than {limit} min yet", _last(evidence))


def _longest_stretch(runs: Sequence[RunRecord], gap: timedelta) -> tuple[str, Sequence[RunRecord]]:
    """The outcome that has blocked for longest until now, with its runs; the last run alone if none blocks."""
    longest, name, stretch = timedelta(-1), "", runs[-1:]
    for outcome in sorted({word for run in runs for word in run.blocking}):
        found = _stretch(runs, outcome, gap)
        if found and found[-1].at - found[0].at > longest:
            longest, name, stretch = found[-1].at - found[0].at, outcome, found
    return name, stretch


def _stretch(runs: Sequence[RunRecord], outcome: str, gap: timedelta) -> tuple[RunRecord, ...]:
    """The unbroken row of latest runs that met the outcome, oldest first."""
    found: list[RunRecord] = []
    for run in reversed(runs):
        if run.blocking.get(outcome, 0) <= 0 or (found and found[-1].at - run.at > gap):
            break
        found.append(run)
    return tuple(reversed(found))


def judge_invariants(case: GateCase) -> Gate:
    """Whether a payout, hold or release breaks what must always hold."""
    limit = case.limits.invariant_violations_max
    make = _Maker("invariants", "Does a payout, hold or release break an invariant?", f"at most {limit}")
    run = _fresh(case)
    if isinstance(run, str):
        return make("nothing", "not_measurable", run)
    found = [item for item in run.findings if item.provider in (case.provider, None) and _is_violation(item)]
    evidence = tuple(f"{item.verdict} of {item.payment_id}" for item in found)
    outcome: Outcome = "fail" if len(found) > limit else "pass"
    measured = f"{len(found)} in plan {run.digest[:12]}"
    if outcome == "pass" and (short := _short_of(case, run)):
        return make(measured, "not_measurable", short, _last(evidence))
    return make(measured, outcome, f"{len(found)} violations, {limit} allowed", _last(evidence))


def _is_violation(item: GateFinding) -> bool:
    if item.verdict is Verdict.DISPUTE_HOLD:
        return item.severity is Severity.CRITICAL
    return item.verdict in INVARIANTS


def judge_webhook_burst(case: GateCase) -> Gate:
    """Whether webhooks of the rail fail in a burst."""
    minutes, limit = case.limits.webhook_burst_min, case.limits.webhook_burst_failures_max
    said = f"at most {limit} in {minutes} min" if limit is not None else "not set"
    make = _Maker("webhook_burst", f"Did webhooks fail in a burst within the last {minutes} min?", said)
    since = case.now - timedelta(minutes=minutes)
    missing = _unwatched(case, since)
    failed = [each for each in case.deliveries(since) if each.is_failed]
    measured = "nothing" if missing else f"{len(failed)} failed of {len(case.deliveries(since))}"
    if limit is None:
        return make(measured, "not_measurable", _UNSET.format("webhook_burst_failures_max"))
    if missing and len(failed) <= limit:
        return make(measured, "not_measurable", missing)
    outcome: Outcome = "fail" if len(failed) > limit else "pass"
    said = f"{count_text(len(failed), 'failure')}, {limit} allowed"
    return make(f"{len(failed)} failed" if missing else measured, outcome, said, _delivery_lines(failed))


def judge_chain_mismatch(case: GateCase) -> Gate:
    """Whether too many payments disagree with the chain."""
    limit = case.limits.chain_mismatch_ppm_max
    said = f"at most {_percent(limit)}" if limit is not None else "not set"
    make = _Maker("chain_mismatch", "Do too many payments disagree with the chain?", said)
    run = _fresh(case)
    if isinstance(run, str):
        return make("nothing", "not_measurable", run)
    judged = _judged_rows(run, case.provider)
    counts = run.judged.get(case.provider, {})
    wrong = sum(count for verdict, count in counts.items() if verdict in CHAIN_MISMATCHES)
    measured = f"{wrong} of {judged} in plan {run.digest[:12]}"
    evidence = _last([f"{i.verdict} of {i.payment_id}" for i in run.findings if i.verdict in CHAIN_MISMATCHES])
    if limit is None:
        return make(measured, "not_measurable", _UNSET.format("chain_mismatch_percent_max"))
    if not judged:
        return make(measured, "not_measurable", "no payment of the rail was judged with full coverage")
    outcome: Outcome = "fail" if wrong * PPM > limit * judged else "pass"
    if outcome == "pass" and (short := _short_of(case, run)):
        return make(measured, "not_measurable", short, evidence)
    return make(measured, outcome, f"{wrong} of {judged} judged payments disagree with the chain", evidence)


def judge_health_checks(case: GateCase) -> Gate:
    """Whether the last deployment health checks were all well, in a row, and are recent."""
    wanted, gap = case.limits.health_checks_min, timedelta(seconds=case.limits.health_check_gap_s)
    make = _Maker(
        "health_checks", f"Were the last {wanted} deployment health checks well?", f"{wanted} in a row, {gap} apart"
    )
    mine = [each for each in case.evidence.health if each.provider == case.provider and each.at <= case.now]
    newest = sorted(mine, key=lambda each: each.at, reverse=True)
    if not newest:
        return make(
            "none", "not_measurable", f'no health check is recorded; "recon gates check {case.provider}" makes one'
        )
    row = _good_in_a_row(newest, gap)
    evidence = _last([f"{_time(each.at)}: {each.outcome}, {each.why}" for each in newest[:5]])
    measured = f"{len(row)} in a row, the last at {_time(newest[0].at)}"
    if not newest[0].is_told:
        return make(measured, "not_measurable", f"the last check cannot tell: {newest[0].why}", evidence)
    if not newest[0].is_ok:
        return make(measured, "fail", f"the last check was not well: {newest[0].why}", evidence)
    if len(row) < wanted:
        return make(measured, "fail", f"{len(row)} of {wanted} in a row so far", evidence)
    if case.now - newest[0].at > timedelta(minutes=case.limits.health_check_age_max_min):
        return make(measured, "not_measurable", "the last check is too old; make another", evidence)
    return make(measured, "pass", f"{len(row)} in a row were well", evidence)


def _good_in_a_row(newest: Sequence[HealthRecord], gap: timedelta) -> list[HealthRecord]:
    """The latest checks that were all well, newest first; of checks closer together than the gap one counts."""
    row: list[HealthRecord] = []
    for each in newest:
        if not each.is_ok:
            break
        if not row or row[-1].at - each.at >= gap:
            row.append(each)
    return row


def judge_webhook_verification(case: GateCase) -> Gate:
    """Whether webhooks could be verified for long enough."""
    hours = case.limits.webhook_quiet_h
    make = _Maker("webhook_verification", f"Was every webhook of the last {hours} h verified?", "no failure")
    since = case.now - timedelta(hours=hours)
    found = [each for each in case.deliveries(since) if each.is_unverified]
    if found:
        why = f"{count_text(len(found), 'was', many='were')} not genuine or could not be verified"
        return make(count_text(len(found), "failure"), "fail", why, _delivery_lines(found))
    if missing := _unwatched(case, since):
        return make("nothing", "not_measurable", missing)
    count = len(case.deliveries(since))
    measured = f"0 failures in {count_text(count, 'delivery', many='deliveries')}"
    if silent := sum(each.signature_valid is None and each.http_status is None for each in case.deliveries(since)):
        why = f"cannot tell: {silent} say neither whether their signature held nor how they were answered"
        return make(measured, "not_measurable", why)
    return make(measured, "pass", f"none of {count} failed verification")


def judge_dead_letters(case: GateCase) -> Gate:
    """Whether the number of dead letters stood still for long enough."""
    hours, limit = case.limits.dead_letter_stable_h, case.limits.dead_letter_growth_max
    make = _Maker(
        "dead_letters", f"Has the dead-letter volume been stable for {hours} h?", f"growth of at most {limit}"
    )
    since = case.now - timedelta(hours=hours)
    new = [each for each in case.deliveries(since) if each.is_dead_letter]
    if len(new) > limit:
        why = f"{len(new)} came in the last {hours} h, {limit} allowed"
        return make(f"{len(new)} new", "fail", why, _delivery_lines(new))
    if missing := _unwatched(case, since):
        return make("nothing", "not_measurable", missing)
    kept = case.deliveries(_EVER)
    if silent := sum(each.is_silent for each in case.deliveries(since)):
        why = f"cannot tell: {silent} that were not accepted do not say whether they became dead letters"
        return make(f"{len(new)} new", "not_measurable", why)
    if kept and all(each.is_dead_letter is None for each in kept):
        why = f"cannot tell: none of {len(kept)} records says whether it became a dead letter"
        return make("nothing", "not_measurable", why)
    total = sum(bool(each.is_dead_letter) for each in kept)
    return make(f"{len(new)} new, {total} in all", "pass", f"{len(new)} came in the last {hours} h")


def judge_mismatch_rate(case: GateCase) -> Gate:
    """Whether few enough of enough judged payments of the rail show a break."""
    limit, wanted = case.limits.mismatch_below_ppm, case.limits.samples_min
    make = _Maker(
        "mismatch_rate",
        "How many payments of the rail show a break that is neither benign nor waiting?",
        f"below {_percent(limit)} over at least {wanted} samples",
    )
    run = _fresh(case)
    if isinstance(run, str):
        return make("nothing", "not_measurable", run)
    samples = _judged_rows(run, case.provider)
    mine = [item for item in run.findings if item.provider == case.provider and item.verdict not in NOT_JUDGED]
    broken = [item for item in mine if item.tier not in (Tier.BENIGN, Tier.WAIT)]
    # What only the provider knows is no row of ours, yet it is a mismatch, so it counts on both sides.
    samples += sum(item.verdict in (Verdict.MISSING_LOCAL, Verdict.UNEXPLAINED_OUTFLOW) for item in mine)
    measured = f"{len(broken)} of {samples} in plan {run.digest[:12]}"
    evidence = _last([f"{item.verdict} of {item.payment_id}" for item in broken])
    if len(broken) * PPM >= limit * samples > 0:
        return make(measured, "fail", f"{len(broken)} of {samples} is not below {_percent(limit)}", evidence)
    if samples < wanted:
        return make(measured, "fail", f"{samples} samples are not {wanted}: not satisfied", evidence)
    if short := _short_of(case, run):
        return make(measured, "not_measurable", short, evidence)
    return make(measured, "pass", f"{len(broken)} of {samples} is below {_percent(limit)}", evidence)


def _judged_rows(run: DryRun, provider: str) -> int:
    """How many payments of a rail were judged with full coverage."""
    return sum(count for verdict, count in run.judged.get(provider, {}).items() if verdict not in NOT_JUDGED)


def judge_manual_sample(case: GateCase) -> Gate:
    """Whether two different people looked at enough payments and found every judgement right."""
    rows, people = case.limits.sample_rows_min, case.limits.sample_operators_min
    said = f"at least {count_text(rows, 'row')}, signed by {count_text(people, 'operator', many='different operators')}"
    make = _Maker("manual_sample", "Did people check a sample by hand?", said)
    held = case.evidence.sample
    if held is None:
        return make("none", "not_measurable", 'no sample was drawn; "recon sample" draws one')
    if held.sample.provider != case.provider:
        return make("none", "not_measurable", f"the sample is of {held.sample.provider}")
    if not _is_of_target(held.sample, case.evidence.dry_run):
        return make("none", "not_measurable", "the sample is of another target")
    signs = [each for each in held.signs if not each.void and each.sign.sample == held.sample.digest]
    people_signed = len(one_of_each([each.person for each in signs]))
    count = len({row.payment_id for row in held.sample.rows})
    measured, evidence = f"{count_text(count, 'row')}, signed by {people_signed}", _signs_said(held, signs)
    if why := _sample_failing(case, held.sample, signs, rows=count, people=people_signed):
        return make(measured, "fail", why, evidence)
    said = f"{count_text(people_signed, 'operator')} found {'it' if count == 1 else f'all {count}'} right"
    return make(measured, "pass", said, evidence)


def _is_of_target(sample: Sample, judged: DryRun | None) -> bool:
    """Whether a sample is of the target that is judged, as far as both say which one that is."""
    return judged is None or not sample.target or not judged.target or sample.target == judged.target


def _signs_said(held: SignedSample, counted: Sequence[CheckedSign]) -> tuple[str, ...]:
    """The sample, who signed it and when, and which sign-offs count for nothing."""
    said = [f"{each.person} at {each.sign.at}{', signed' if each.person.signer else UNCHECKED}" for each in counted]
    void = [
        f"counts for nothing: the sign-off as {each.sign.operator}, {each.void}" for each in held.signs if each.void
    ]
    return (f"sample {held.sample.digest[:12]}", *said, *void)


def _sample_failing(
    case: GateCase, sample: Sample, signs: Iterable[CheckedSign], *, rows: int, people: int
) -> str | None:
    """The first reason why a sample does not satisfy, or None."""
    limits = case.limits
    wrong = sorted({key for each in signs for key, word in each.sign.findings.items() if word == "wrong"})
    if wrong:
        return f"{count_text(len(wrong), 'row was', many='rows were')} found wrong, {wrong[0]} first"
    if rows < limits.sample_rows_min:
        return f"{count_text(rows, 'row is', many='rows are')} fewer than {limits.sample_rows_min}"
    if people < limits.sample_operators_min:
        return f"{people} of {limits.sample_operators_min} different operators have signed"
    if _is_older(sample.drawn_at, limits.sample_age_max_h, case.now):
        return f"it was drawn over {limits.sample_age_max_h} h ago; draw a new one"
    return None


def judge_clean_windows(case: GateCase) -> Gate:
    """Whether the last days, one by one, were read whole and healthy and brought no new break."""
    wanted, hours = case.limits.clean_windows_min, case.limits.clean_window_h
    make = _Maker(
        "clean_windows",
        f"Were the last {wanted} windows of {hours} h clean: read completely, healthy, no new break?",
        f"{wanted} in a row",
    )
    evidence: list[str] = []
    for number in range(wanted):
        end = case.now - timedelta(hours=hours * number)
        begin = end - timedelta(hours=hours)
        outcome, problem = _judge_window(case, begin, end)
        evidence.append(f"{_time(begin)} to {_time(end)}: {problem}")
        if outcome != "pass":
            return make(f"{number} in a row", outcome, f"the window to {_time(end)}: {problem}", tuple(evidence))
    return make(f"{wanted} in a row", "pass", f"the last {wanted} windows were clean", tuple(evidence))


def _judge_window(case: GateCase, begin: datetime, end: datetime) -> tuple[Outcome, str]:
    """Whether one window is clean, and why not."""
    runs = case.runs()
    inside = [number for number, run in enumerate(runs) if begin < run.at <= end]
    if not inside:
        return "not_measurable", "no run was made in it"
    for number in inside:
        outcome, problem = _judge_run(runs[number], runs[number - 1] if number else None)
        if outcome != "pass":
            return outcome, f"run {runs[number].digest[:12]} {problem}"
    # Each run sees what its own window holds: together they must have looked at all payments of this one. The last
    # hours of the newest window need not be read yet; how old the last run may be is the dry run's gate.
    due = min(end, case.now - timedelta(hours=case.limits.dry_run_age_max_h))
    reached = _read_until(runs, begin)
    if reached < due:
        return "not_measurable", f"no run has read the payments from {_time(reached)} on"
    return "pass", "clean"


def _read_until(runs: Iterable[RunRecord], begin: datetime) -> datetime:
    """Until when runs after a moment have read all payments from that moment on, without a gap."""
    reached = begin
    for run in sorted(runs, key=lambda run: run.covers_from or _EVER):
        if run.at > begin and (run.covers_from or _EVER) <= reached:
            reached = max(reached, run.covers_to)
    return reached


def _judge_run(run: RunRecord, before: RunRecord | None) -> tuple[Outcome, str]:
    if not run.is_complete:
        return "fail", "was not complete"
    if not run.is_healthy:
        return "fail", "was not healthy"
    if before is None:
        return "not_measurable", "is the first one, so nobody knows which of its breaks are new"
    if run.breaks is None or before.breaks is None:
        return "not_measurable", "or the one before has no list of its breaks"
    new = len(run.breaks - before.breaks)
    return ("fail", f"found {count_text(new, 'new break')}") if new else ("pass", "")


def judge_dry_run(case: GateCase) -> Gate:
    """Whether the latest dry run is recent, whole, complete and healthy."""
    hours = case.limits.dry_run_age_max_h
    make = _Maker(
        "dry_run", "Is the latest dry run of the window healthy?", f"healthy, complete, at most {hours} h old"
    )
    run = _fresh(case)
    if isinstance(run, str):
        return make("nothing", "not_measurable", run)
    measured, evidence = f"plan {run.digest[:12]} of {_time(run.at)}", (f"plan {run.digest}", _since(case))
    if not run.is_healthy:
        return make(measured, "fail", f"it is not healthy: {'; '.join(run.health_reasons)}", evidence)
    if run.incomplete:
        return make(measured, "fail", f"not read completely: {', '.join(run.incomplete)}", evidence)
    if short := _short_of(case, run):
        return make(measured, "not_measurable", short, evidence)
    return make(measured, "pass", "it is healthy and complete", evidence)


def _fresh(case: GateCase) -> DryRun | str:
    """The latest dry run if it can be judged by, else why not."""
    run, hours = case.evidence.dry_run, case.limits.dry_run_age_max_h
    if run is None:
        return 'there is no plan; run "recon plan"'
    if run.providers and case.provider not in run.providers:
        return f"plan {run.digest[:12]} did not look at {case.provider}"
    if not run.is_whole:
        return f"plan {run.digest[:12]} looked only at some payments of its window"
    if case.now - run.at > timedelta(hours=hours):
        return f'plan {run.digest[:12]} is over {hours} h old; run "recon plan"'
    if run.at > case.now:
        return f"plan {run.digest[:12]} is from the future"
    return _stale(case, run) or run


def _short_of(case: GateCase, run: DryRun) -> str:
    """What a plan lacks for saying that all is well with a rail; what it shows to be wrong is wrong without it."""
    others = set(providers()) - {case.provider}
    if unread := [name for name in run.incomplete if name.partition(":")[0] not in others]:
        return f"cannot tell: plan {run.digest[:12]} did not read {', '.join(unread)} completely"
    return "" if case.evidence.writes is not None else f"cannot tell: {_UNREAD_JOURNAL}"


_UNREAD_JOURNAL: Final = "whether a run wrote since then is not known: the journal of runs could not be read"


def _since(case: GateCase) -> str:
    """What the evidence of a plan that is not stale says of the time since."""
    return _UNREAD_JOURNAL if case.evidence.writes is None else "no run since then"


def _stale(case: GateCase, run: DryRun) -> str:
    """That the rail was read or written again since the plan was made, and by which runs; empty where it was not."""
    since = case.since(run.at, but=run.digest)
    if not since:
        return ""
    named = ", ".join(since[-RUNS_NAMED:])
    more = f" and {len(since) - RUNS_NAMED} before them" if len(since) > RUNS_NAMED else ""
    return (
        f"plan {run.digest[:12]} of {_time(run.at)} is stale: since then {named}{more}; judge by the latest plan, or "
        'run "recon plan" again'
    )


def _unwatched(case: GateCase, since: datetime) -> str:
    """Why the delivery records do not cover the time from a moment until now, or nothing."""
    held = case.evidence.deliveries
    if held is None:
        return "there are no delivery records; name them with --deliveries"
    if held.from_at > since:
        return f"{held.source} begin only at {_time(held.from_at)}"
    if held.to_at < case.now - timedelta(minutes=case.limits.webhook_burst_min):
        return f"{held.source} end at {_time(held.to_at)}"
    return ""


ENABLE_GATES: Final[tuple[Callable[[GateCase], Gate], ...]] = (
    judge_health_checks,
    judge_webhook_verification,
    judge_dead_letters,
    judge_mismatch_rate,
    judge_manual_sample,
    judge_clean_windows,
    judge_dry_run,
)
ROLLBACK_GATES: Final[tuple[Callable[[GateCase], Gate], ...]] = (
    judge_invariants,
    judge_webhook_burst,
    judge_chain_mismatch,
)

_EVER: Final = datetime.min.replace(tzinfo=UTC)
_UNSET: Final = "the runbooks leave this limit open; set [gates] {} first"


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the results of one gate, so that its question and limit are written once."""

    name: str
    asked: str
    limit: str

    def __call__(self, measured: str, outcome: Outcome, why: str, evidence: tuple[str, ...] = ()) -> Gate:
        return Gate(self.name, self.asked, measured, self.limit, outcome, why, evidence)


def _last(lines: Iterable[str]) -> tuple[str, ...]:
    """As many lines as a report shows, and how many more there are."""
    found = tuple(lines)
    more = len(found) - EVIDENCE_MAX
    return (*found[:EVIDENCE_MAX], f"and {more} more") if more > 0 else found


def _delivery_lines(records: Iterable[DeliveryRecord]) -> tuple[str, ...]:
    return _last(f"delivery {each.delivery_id} at {_time(each.at)}: HTTP {each.http_status}" for each in records)


def _percent(ppm: int | None) -> str:
    """Parts per million as percent, exactly: 5000 is 0.5 %."""
    assert ppm is not None, "a limit that is not set has no text"
    whole, part = divmod(ppm, 10_000)
    return f"{whole}.{part:04d}".rstrip("0").rstrip(".") + " %"


def _minutes(span: timedelta) -> str:
    tenths = int(span / timedelta(seconds=6))
    return f"{tenths // 10}.{tenths % 10}"


def _is_older(text: str, hours: int, now: datetime) -> bool:
    return now - datetime.fromisoformat(text) > timedelta(hours=hours)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
