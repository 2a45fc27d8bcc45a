"""Apply exactly the plan that was reviewed: checked whole before the first write, guarded row by row, journalled.

The order never changes: digest, identity, age, health, approvals; every row re-read and classed; limits; the proof of
every planned write asked for again; lease; canary; groups, each with its proof; afterwards everything touched is read
and judged again. Undo is a plan like any other and comes this way too, without proofs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from recon.core.errors import ReconError, RefusedError, StoppedError, UsageError
from recon.core.model import Change, Plan, Target, Tier, Verdict
from recon.core.people import Person
from recon.core.text import count_text
from recon.plans.approvals import Approval, ApprovalPolicy, Backing, check_approvals
from recon.plans.file import is_picked, seal_plan
from recon.plans.limits import Limits, check_age, compared_rows, limits_hit
from recon.runs.canary import BENIGN, canary_places, check_evidence, further_findings, meant_verdicts
from recon.runs.guard import RowClass, read_change
from recon.runs.notes import RunNotes, outcome_body
from recon.runs.pace import RunHooks, RunPace
from recon.runs.proof import ProofsLostError, ProofWatch
from recon.runs.settle import settle_announced
from recon.runs.states import (
    Result,
    RowResult,
    RowResults,
    blocked_payments,
    free_run_name,
    read_run,
    row_result,
    runs_of_plan,
    unproven_row,
)
from recon.runs.stopping import RunInterruptedError, RunStops
from recon.runs.stores.journal import LEASE_NAME, Journal
from recon.runs.stores.lease import held_lease
from recon.runs.stores.payments import PaymentWriter
from recon.runs.stores.retry import nothing_begun
from recon.runs.writing import READ_ROWS, Writing, chunks, read_again, row_of

KINDS: Final = ("correction", "undo", "backfill")
_HEALS_NOTHING: Final = {
    "undo": "the correction of it was taken back",
    "backfill": 'a backfill heals no break; "recon plan" judges this one',
}
NOT_AS_REVIEWED: Final = (Result.MOVED, Result.GONE, Result.BLOCKED, Result.UNPROVEN)


class WrongDigestError(RefusedError):
    """The plan is not the one that was reviewed."""

    def __init__(self, *, given: str, found: str) -> None:
        super().__init__(
            f"The plan's digest is {found} and {given[:80]} was asked for; nothing was written. "
            'Review the plan again with "recon show" and give the digest that it shows, whole.'
        )


class BrokenPlanError(RefusedError):
    """A plan's content does not fit its own digest, or it is of no kind that can be applied."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f'The plan {why}; nothing was written. Make a new plan with "recon plan".')


class WrongTargetError(RefusedError):
    """The plan was made for another target than the one it would be applied to."""

    def __init__(self, *, what: str, planned: object, found: object) -> None:
        super().__init__(
            f"The plan is for {what} {planned!r} and this target has {found!r}; nothing was written. "
            "What is not known never counts as equal. Apply it where it was made for, or make a plan for this target."
        )


class UnhealthyPlanError(RefusedError):
    """The plan was made from a summary that was not healthy."""

    def __init__(self, *, reasons: Sequence[str]) -> None:
        shown = "; ".join(reasons[:5]) or "it does not say that it is"
        super().__init__(
            f"The plan's evidence is incomplete ({shown}); nothing was written. Remove the cause and plan again, or "
            "name why it may be applied all the same with --accept-unhealthy REASON."
        )


class RowsMovedError(RefusedError):
    """Rows are not as reviewed, and the whole plan or nothing was asked for."""

    def __init__(self, *, rows: int, first: RowResult) -> None:
        super().__init__(
            f"{count_text(rows, 'row is', many='rows are')} not as reviewed (the first is {first.payment_id}, which "
            f"{first.reason}) and "
            '--all-or-nothing was given; nothing was written. Make a new plan with "recon plan".'
        )


class WrongRunError(UsageError):
    """A run is resumed with another plan than its own."""

    def __init__(self, *, run: str, planned: str, given: str) -> None:
        super().__init__(
            f"Run {run} applied the plan {planned[:16]}… and the plan given is {given[:16]}…; nothing was written. "
            "Give the run's own plan file."
        )


class RunStoppedError(StoppedError):
    """A run ended early. ``report`` says what became of every row that it reached."""

    def __init__(self, *, report: RunReport) -> None:
        done = report.counts.get(Result.APPLIED, 0)
        super().__init__(
            f"Run {report.run} stopped after {count_text(done, 'written row')}: {report.stopped} "
            f'Continue with "recon apply PLAN --resume {report.run}".'
        )
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """Everything about one apply that the plan does not say.

    Args:
        target: The target as it is now, read from the same places as the plan's.
        operator: Who applies.
        accept_unhealthy: Why a plan that was not healthy may be applied all the same.
        author: Who made the plan, for the approval policy; empty when that is not known.
        backend_reconciliation: Whether the backend's own reconciliation is switched on; None is "not known".
        hooks: What a test replaces: steps and time.
    """

    target: Target
    operator: str = ""
    limits: Limits = field(default_factory=Limits)
    pace: RunPace = field(default_factory=RunPace)
    hooks: RunHooks = field(default_factory=RunHooks)
    accept_unhealthy: str | None = None
    approvals: tuple[Approval, ...] = ()
    approval_policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    author: tuple[Person, ...] = ()
    all_or_nothing: bool = False
    backend_reconciliation: bool | None = None


@dataclass(frozen=True, slots=True)
class Remaining:
    """A break that is there after the run, and what explains it; None is "nothing does"."""

    payment_id: str
    verdict: str
    explained_by: str | None


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one apply did.

    Args:
        run: Its name, or None when nothing was left to do and no run was opened.
        rows: One result for each change, in the plan's order.
        remaining: Breaks of the written payments afterwards; None when nothing judged them again.
        proofs: How many proofs were asked for and in how many HTTP requests; None where none was.
        head: Hash of the journal's last entry, to be kept for ``recon journal verify``.
        backing: Who stands behind the plan, where records were asked.
    """

    run: str | None
    plan: str
    kind: str
    rows: RowResults
    warnings: tuple[str, ...] = ()
    remaining: tuple[Remaining, ...] | None = None
    moved_since: tuple[str, ...] = ()
    stopped: str | None = None
    head: str | None = None
    proofs: tuple[int, int] | None = None
    backing: Backing | None = None

    @property
    def counts(self) -> Mapping[Result, int]:
        """Rows by result."""
        return self.rows.counts()


def apply_plan(
    plan: Plan,
    *,
    digest: str,
    writer: PaymentWriter,
    journal: Journal,
    clock: Callable[[], datetime],
    options: ApplyOptions,
) -> RunReport:
    """Write exactly the reviewed plan to exactly its target.

    Args:
        digest: The digest the reviewer saw, whole.
        clock: The time now, aware UTC.

    Raises:
        RefusedError: Something is not as it must be; nothing was written.
        RunStoppedError: The run ended early; it can be resumed.
    """
    with nothing_begun():
        warnings = _admit(plan, digest=digest, writer=writer, now=clock(), options=options)
        seen = journal.refresh()
        pending, rows = _to_write(plan, writer=writer, journal=journal, options=options)
        if pending:
            writer.check_writable()
    if not pending:
        return RunReport(None, plan.digest, plan.kind, rows, warnings)
    pace, hooks = options.pace, options.hooks
    watch = ProofWatch(plan, pace.prove, pace.judge)
    lost = _lost_proofs(watch, pending, limits=options.limits)
    pending = _without_lost(plan, pending, rows=rows, lost=lost, options=options)
    check_evidence(
        plan, [plan.changes[place] for place in canary_places(plan, pending, rows=pace.canary_rows)], pace=pace
    )
    hooks.step("lease:before")
    with held_lease(journal.leases, target=LEASE_NAME, lease_ms=pace.lease_ms, monotonic=hooks.monotonic) as lease:
        hooks.step("lease:after")
        if journal.refresh() != seen:
            # Another run ended between the survey and the lease; what it holds or did is looked at again.
            pending, rows = _to_write(plan, writer=writer, journal=journal, options=options)
            pending = _without_lost(plan, pending, rows=rows, lost=lost, options=options)
        if not pending:
            return RunReport(None, plan.digest, plan.kind, rows, warnings)
        run = free_run_name(journal, plan.digest, now=clock())
        notes = RunNotes(run=run, journal=journal, lease=lease, clock=clock, step=hooks.step)
        writing = _writing(notes, plan, writer=writer, rows=rows, options=options, watch=watch)
        opening = _opening(plan, options, rows=len(pending), now=clock())
        return _carry_out(writing, pending, opening=opening, warnings=warnings)


def resume_run(
    plan: Plan,
    *,
    run: str,
    writer: PaymentWriter,
    journal: Journal,
    clock: Callable[[], datetime],
    options: ApplyOptions,
) -> RunReport:
    """Settle what an interrupted run left open, by its stamp, and finish the same plan.

    Raises:
        UnknownRunError, WrongRunError: There is no such run, or it applied another plan.
        RefusedError: Rows are left to write and the plan is too old by now, or the target is another one.
        RunStoppedError: The run ended early once more.
    """
    _check_whole(plan)
    planned = read_run(journal, run, with_intents=False).plan
    if planned != plan.digest:
        raise WrongRunError(run=run, planned=planned, given=plan.digest)
    _check_target(plan, writer=writer, options=options)
    warnings = _warnings(options)
    writer.check_writable()
    pace, hooks = options.pace, options.hooks
    with held_lease(journal.leases, target=LEASE_NAME, lease_ms=pace.lease_ms, monotonic=hooks.monotonic) as lease:
        journal.refresh()
        state = read_run(journal, run, with_intents=False)
        notes = RunNotes(run=run, journal=journal, lease=lease, clock=clock, step=hooks.step)
        watch = ProofWatch(plan, options.pace.prove, options.pace.judge)
        writing = _writing(notes, plan, writer=writer, rows=RowResults(plan.changes), options=options, watch=watch)
        writing.sent_before = frozenset(change for change, each in state.changes.items() if each.intent is not None)
        writing.notes.append([writing.notes.note("resume", {"operator": options.operator})])
        pending = settle_announced(writing, state.changes)
        if pending:
            check_age(plan, now=clock(), limits=options.limits)
        return _carry_out(writing, pending, opening=None, warnings=warnings)


def _lost_proofs(watch: ProofWatch, pending: Sequence[int], *, limits: Limits) -> dict[int, str]:
    """Ask for the proof of everything that would be written: by place whose proof no longer holds, why.

    Raises:
        ProofsLostError: It is all of it, or more than a run may leave out.
        SourceError: A source does not answer.
    """
    changes = [(place, watch.plan.changes[place]) for place in pending]
    found = watch.lost([change for _, change in changes])
    lost = [(change, found[change.id]) for _, change in changes if change.id in found]
    allowed = limits.refusals_allowed(len(pending))
    if lost and (len(lost) > allowed or len(lost) == len(pending)):
        raise ProofsLostError(lost=lost, rows=len(pending), allowed=allowed)
    return {place: found[change.id] for place, change in changes if change.id in found}


def _without_lost(
    plan: Plan, pending: array[int], *, rows: RowResults, lost: Mapping[int, str], options: ApplyOptions
) -> array[int]:
    """What is left to write without the rows whose proof is gone, each of which is noted with its reason."""
    for place in pending:
        if place in lost:
            rows.note(place, unproven_row(plan.changes[place], lost[place]))
    if options.all_or_nothing:
        _check_all_pristine(rows)
    return array("I", (place for place in pending if place not in lost))


def _writing(
    notes: RunNotes,
    plan: Plan,
    *,
    writer: PaymentWriter,
    rows: RowResults,
    options: ApplyOptions,
    watch: ProofWatch,
) -> Writing:
    """A run that has its lease and has written nothing yet; rows that lost their proof by now count as refusals."""
    own_runs = runs_of_plan(notes.journal, plan.digest)
    stops = RunStops(
        lease=notes.lease,
        clock=notes.clock,
        monotonic=options.hooks.monotonic,
        limits=options.limits,
        stop_file=options.pace.stop_file,
    )
    for _ in rows.places(Result.UNPROVEN):
        stops.count_refusal()
    return Writing(
        plan=plan,
        writer=writer,
        rows=rows,
        pace=options.pace,
        hooks=options.hooks,
        notes=notes,
        stops=stops,
        watch=watch,
        own_runs=own_runs,
    )


def _to_write(
    plan: Plan, *, writer: PaymentWriter, journal: Journal, options: ApplyOptions
) -> tuple[array[int], RowResults]:
    """Class every row, and hold what would be written against the limits.

    Raises:
        RowsMovedError: The whole plan or nothing was asked for, and a row is not as reviewed.
        LimitError: More would be written than one named limit allows.
    """
    pending, rows = _survey(plan, writer=writer, journal=journal)
    if options.all_or_nothing:
        _check_all_pristine(rows)
    if hit := limits_hit(plan, (plan.changes[place] for place in pending), limits=options.limits):
        raise hit[0]
    return pending, rows


def _survey(plan: Plan, *, writer: PaymentWriter, journal: Journal) -> tuple[array[int], RowResults]:
    """Re-read and class every row of a plan: places of what would be written, and the results of all other rows."""
    pending, rows = array("I"), RowResults(plan.changes)
    held = blocked_payments(journal)
    own_runs = runs_of_plan(journal, plan.digest)
    for group in chunks(range(len(plan.changes)), READ_ROWS):
        for place, each, document in read_again(plan, group, writer=writer):
            change = each.change
            reading = read_change(each, document, own_stamps=[f"{run}/{each.id}" for run in own_runs])
            if not is_picked(plan, change):
                rows.note(place, row_result(change, Result.NOT_PICKED))
            elif change.payment_id in held:
                why = f'belongs to the unfinished run {held[change.payment_id]} ("recon apply --resume" settles it)'
                rows.note(place, row_result(change, Result.BLOCKED, reason=why))
            elif reading.row is RowClass.PRISTINE:
                pending.append(place)
            else:
                rows.note(place, row_of(change, reading))
    return pending, rows


def _check_all_pristine(rows: RowResults) -> None:
    off = [place for result in NOT_AS_REVIEWED for place in rows.places(result)]
    if off:
        raise RowsMovedError(rows=len(off), first=rows[min(off)])


def _admit(plan: Plan, *, digest: str, writer: PaymentWriter, now: datetime, options: ApplyOptions) -> tuple[str, ...]:
    check_digest(plan, digest)
    _check_whole(plan)
    _check_target(plan, writer=writer, options=options)
    check_age(plan, now=now, limits=options.limits)
    health = plan.summary.get("health") or {}
    if plan.kind == "correction" and health.get("ok") is not True and not (options.accept_unhealthy or "").strip():
        raise UnhealthyPlanError(reasons=[str(reason) for reason in health.get("reasons", ())])
    check_approvals(plan, options.approvals, policy=options.approval_policy, author=options.author, now=now)
    return _warnings(options)


def check_digest(plan: Plan, digest: str) -> None:
    """Refuse a digest that is not the plan's, whole.

    Raises:
        WrongDigestError: It is another one.
    """
    if digest != plan.digest:
        raise WrongDigestError(given=digest, found=plan.digest)


def _check_whole(plan: Plan) -> None:
    sealed = seal_plan(plan)
    if (sealed.digest, sealed.effects_digest) != (plan.digest, plan.effects_digest):
        raise BrokenPlanError(why="was changed after it was sealed")
    if plan.kind not in KINDS:
        raise BrokenPlanError(why=f"is of the unknown kind {plan.kind!r}")
    for change in plan.changes:
        if change.tier not in (Tier.AUTO, Tier.REVIEW):
            raise BrokenPlanError(why=f"holds a change of tier {change.tier}, which is never written")
    if len({change.payment_id for change in plan.changes}) != len(plan.changes):
        raise BrokenPlanError(why="changes one payment twice")
    if len({change.id for change in plan.changes}) != len(plan.changes):
        raise BrokenPlanError(why="names two changes alike")


def _check_target(plan: Plan, *, writer: PaymentWriter, options: ApplyOptions) -> None:
    planned, given, found = plan.target, options.target, writer.identity()
    for name, value in asdict(planned).items():
        now = asdict(given)[name]
        if value != now or value is None:
            raise WrongTargetError(what=name.replace("_", " "), planned=value, found=now)
    for name in ("database", "collection", "collection_uuid", "hosts"):
        value, now = getattr(planned, name), getattr(found, name)
        if value != now:
            raise WrongTargetError(what=name.replace("_", " "), planned=value, found=now)


def _warnings(options: ApplyOptions) -> tuple[str, ...]:
    if options.backend_reconciliation:
        return (
            "The backend's own reconciliation is switched on, so it may write to the same rows at the same time; "
            "rows that it moves are refused and reported.",
        )
    return ()


def _opening(plan: Plan, options: ApplyOptions, *, rows: int, now: datetime) -> dict[str, Any]:
    counted = check_approvals(plan, options.approvals, policy=options.approval_policy, author=options.author, now=now)
    return {
        "plan": plan.digest,
        "effects": plan.effects_digest,
        "kind": plan.kind,
        "undoes": plan.run if plan.kind == "undo" else None,
        "target": asdict(plan.target),
        "policy": plan.policy_digest,
        "snapshot": plan.snapshot,
        "tool": plan.tool_version,
        "operator": options.operator,
        "author": [asdict(person) for person in options.author],
        "accept_unhealthy": options.accept_unhealthy,
        "approvals": [asdict(approval) for approval in counted],
        "limits": {key: value for key, value in asdict(options.limits).items() if value is not None},
        "rows": rows,
        "compared": compared_rows(plan),
    }


def _carry_out(
    writing: Writing,
    pending: Sequence[int],
    *,
    opening: Mapping[str, Any] | None,
    warnings: tuple[str, ...],
) -> RunReport:
    """Write the pending rows, look at the result, and close the run in the journal."""
    if opening is not None:
        _open(writing, opening)
    first = canary_places(writing.plan, writing.rows.places(Result.APPLIED), rows=writing.pace.canary_rows)
    stopped: StoppedError | None = None
    remaining: tuple[Remaining, ...] | None = None
    moved_since: tuple[str, ...] = ()
    try:
        if pending:
            # A run that stopped at its canary is not continued past it unseen.
            writing.check_canary(first)
        if opening is None:
            pending = writing.still_proven(pending)
        writing.write_all(pending, canary=len(first) < writing.pace.canary_rows)
        moved_since = _moved_since(writing)
        remaining, unseen = _look_again(writing, moved_since)
        warnings = (*warnings, *unseen)
    except StoppedError as error:
        stopped = error
    except KeyboardInterrupt:
        stopped = RunInterruptedError()
    for place in pending:
        change = writing.plan.changes[place]
        if not writing.rows.is_noted(place):
            is_open = change.id in writing.notes.announced
            writing.rows.note(place, row_result(change, Result.OPEN if is_open else Result.NOT_REACHED))
    report = RunReport(
        run=writing.run,
        plan=writing.plan.digest,
        kind=writing.plan.kind,
        rows=writing.rows,
        warnings=warnings,
        remaining=remaining,
        moved_since=moved_since,
        stopped=None if stopped is None else str(stopped),
        proofs=(writing.watch.asked, writing.watch.calls) if writing.watch.asked else None,
    )
    return _close(writing, report, cause=stopped)


def _open(writing: Writing, opening: Mapping[str, Any]) -> None:
    """Open the run in the journal, with the rows that are left alone from the start and why."""
    rows, changes = writing.rows, writing.plan.changes
    known = [p for p in range(len(rows)) if rows.is_noted(p) and rows[p].result is not Result.NOT_PICKED]
    writing.notes.append([writing.notes.note("run", opening)])
    for group in chunks(known, READ_ROWS):
        writing.notes.append([writing.notes.note("outcome", outcome_body(rows[p]), change=changes[p]) for p in group])


def _close(writing: Writing, report: RunReport, *, cause: StoppedError | None) -> RunReport:
    """Journal the end of the run where that is still possible, and raise if it was no good one."""
    counts = report.counts
    body = {
        "state": "done" if cause is None else "stopped",
        "why": report.stopped,
        "counts": {result.value: count for result, count in sorted(counts.items())},
        "unsettled": counts.get(Result.OPEN, 0) + counts.get(Result.UNSETTLED, 0),
        "remaining": [[each.payment_id, each.verdict, each.explained_by] for each in report.remaining or ()],
        **({} if report.proofs is None else {"proofs": dict(zip(("asked", "calls"), report.proofs, strict=True))}),
    }
    try:
        writing.notes.append([writing.notes.note("end", body)])
    except StoppedError as error:
        # Without its end in the journal the run counts as open, which is what it is.
        cause = cause or error
    report = replace(report, head=writing.notes.head, stopped=None if cause is None else str(cause))
    if cause is not None:
        raise RunStoppedError(report=report) from cause
    return report


def _moved_since(writing: Writing) -> tuple[str, ...]:
    """Read again what was written: payments that another writer has written to since."""
    off = writing.read_back(writing.rows.places(Result.APPLIED))
    return tuple(sorted(writing.plan.changes[place].payment_id for place in off))


def _look_again(writing: Writing, moved: Collection[str]) -> tuple[tuple[Remaining, ...] | None, tuple[str, ...]]:
    """Judge again what was written; sources that cannot be asked any more are a warning, for the writes are done."""
    try:
        return _remaining(writing, moved), ()
    except StoppedError:
        raise
    except ReconError as error:
        return None, (f"Everything is written, but what was written could not be judged again: {error}",)


def _remaining(writing: Writing, moved: Collection[str]) -> tuple[Remaining, ...] | None:
    """The breaks of what was written: those the plan named must be gone, and no new ones there."""
    plan, judge = writing.plan, writing.pace.judge
    if judge is None:
        return None
    found: list[tuple[Change, str]] = []
    for group in chunks(writing.rows.places(Result.APPLIED), READ_ROWS):
        changes = [plan.changes[place] for place in group]
        judged = judge([change.payment_id for change in changes])
        verdicts = [(change, judged.get(change.payment_id)) for change in changes]
        found += [(change, verdict) for change, verdict in verdicts if verdict is not None and verdict not in BENIGN]
    named = further_findings(plan, {change.payment_id for change, _ in found})
    return tuple(
        Remaining(change.payment_id, str(verdict), _explain(change, verdict, kind=plan.kind, moved=moved, named=named))
        for change, verdict in found
    )


def _explain(
    change: Change, verdict: str, *, kind: str, moved: Collection[str], named: Mapping[str, Collection[str]]
) -> str | None:
    if change.payment_id in moved:
        return "somebody wrote to the row after this run did"
    if kind in _HEALS_NOTHING:
        return _HEALS_NOTHING[kind]
    if verdict == Verdict.PROVIDER_BEHIND:
        return "the row is right now, and the provider does not say so yet"
    if verdict in meant_verdicts(change):
        return "the row is held until a person decides, as the change was meant to do"
    if verdict != change.verdict and verdict in named.get(change.payment_id, ()):
        return "the plan named it as a further finding"
    return None
