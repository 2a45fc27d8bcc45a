"""Apply exactly the plan of repairs that was reviewed: checked whole, then deed by deed, each one journalled.

The order is that of corrections: digest, identity, age, limits, approvals; every record read again; what a deed rests
on asked for again; the lease; then for each deed intent, write, outcome. A run that died is resumed: the stamps say
what became of what it announced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError, StoppedError
from recon.core.model import Target
from recon.core.people import Person
from recon.core.text import count_text
from recon.plans.approvals import Approval, ApprovalPolicy, Backing, backing_of, check_approvals
from recon.plans.limits import LimitError, Limits, check_age
from recon.repairs.deeds import Deed, deed_result
from recon.repairs.doing import Doing
from recon.repairs.plan import RepairPlan, check_repair_plan, repair_policy
from recon.runs.apply import WrongDigestError, WrongRunError, WrongTargetError
from recon.runs.notes import RunNotes, outcome_body
from recon.runs.pace import RunHooks
from recon.runs.states import (
    FINAL,
    ChangeState,
    Result,
    RowResult,
    blocked_payments,
    free_run_name,
    read_run,
    runs_of_plan,
)
from recon.runs.stopping import CredentialLostError, RunInterruptedError, RunStops
from recon.runs.stores.documents import RecordWriter
from recon.runs.stores.journal import LEASE_NAME, Journal
from recon.runs.stores.lease import LEASE_MS, held_lease
from recon.runs.stores.retry import nothing_begun

RUN_KIND: Final = "repair"
"""What the journal calls a run of repairs, whatever its plan is for."""

_SURPRISES: Final = (Result.REFUSED, Result.FAILED, Result.UNSETTLED)

Recheck = Callable[[Sequence[Deed]], Mapping[str, str]]
"""Asks again what deeds rest on: by the deed's id why it is no longer due; a deed that it leaves out still is."""


class RepairStoppedError(StoppedError):
    """A run of repairs ended early. ``report`` says what became of every deed."""

    def __init__(self, *, report: RepairReport) -> None:
        done = report.counts.get(Result.APPLIED, 0)
        super().__init__(
            f"Run {report.run} stopped after {count_text(done, 'deed')}: {report.stopped} "
            f'Continue with "recon repair apply PLAN --resume {report.run}".'
        )
        self.report = report


@dataclass(frozen=True, slots=True)
class RepairPorts:
    """Everything outside that a run of repairs touches.

    Args:
        clock: The time now, aware UTC: the database server's own where it has one.
    """

    records: RecordWriter
    journal: Journal
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOptions:
    """Everything about one apply of repairs that the plan does not say.

    Args:
        target: The target as it is now, read from the same places as the plan's.
        author: Who made the plan, for the approval policy; empty when that is not known.
        recheck: Asks again what the deeds rest on; None leaves that out.
        stop_file: Its presence ends the run before its next write.
        hooks: What a test replaces: steps and time.
    """

    target: Target
    operator: str = ""
    limits: Limits = field(default_factory=Limits)
    approvals: tuple[Approval, ...] = ()
    approval_policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    author: tuple[Person, ...] = ()
    recheck: Recheck | None = None
    stop_file: Path | None = None
    lease_ms: int = LEASE_MS
    hooks: RunHooks = field(default_factory=RunHooks)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What one apply of repairs did.

    Args:
        run: Its name, or None when nothing was left to do and no run was opened.
        kind: What the plan is for.
        rows: One result for each deed, in the plan's order.
        head: Hash of the journal's last entry.
        backing: Who stands behind the plan.
    """

    run: str | None
    plan: str
    kind: str
    rows: tuple[RowResult, ...]
    stopped: str | None = None
    head: str | None = None
    backing: Backing | None = None

    @property
    def counts(self) -> Counter[Result]:
        """Deeds by result."""
        return Counter(row.result for row in self.rows)


def apply_repair(plan: RepairPlan, ports: RepairPorts, *, digest: str, options: RepairOptions) -> RepairReport:
    """Do exactly what was reviewed, where it was reviewed.

    Args:
        digest: The digest the reviewer saw, whole.

    Raises:
        RefusedError: Something is not as it must be; nothing was written.
        RepairStoppedError: The run ended early; it can be resumed.
    """
    with nothing_begun():
        _admit(plan, ports, digest=digest, options=options)
        seen = ports.journal.refresh()
        rows = _survey(plan, ports)
        pending = [deed for deed in plan.deeds if deed.id not in rows]
        lost = options.recheck(pending) if options.recheck is not None and pending else {}
        rows |= {deed.id: _lapsed(deed, lost[deed.id]) for deed in pending if deed.id in lost}
        _check_limits(plan, rows, options.limits)
        ports.records.check_writable([each.name for each in plan.collections])
    if len(rows) == len(plan.deeds):
        return RepairReport(None, plan.digest, plan.kind, _in_order(plan, rows), backing=_backing(plan, ports, options))
    hooks = options.hooks
    hooks.step("lease:before")
    with held_lease(
        ports.journal.leases, target=LEASE_NAME, lease_ms=options.lease_ms, monotonic=hooks.monotonic
    ) as lease:
        hooks.step("lease:after")
        if ports.journal.refresh() != seen:
            # Another run ended between the survey and the lease; what it holds or did is looked at again.
            rows = {**_survey(plan, ports), **{name: row for name, row in rows.items() if name in lost}}
        run = free_run_name(ports.journal, plan.digest, now=ports.clock())
        notes = RunNotes(run=run, journal=ports.journal, lease=lease, clock=ports.clock, step=hooks.step)
        work = _work(plan, ports, notes, options=options, rows=rows)
        work.open(_opening(plan, ports, options))
        return work.carry_out()


def resume_repair(plan: RepairPlan, ports: RepairPorts, *, run: str, options: RepairOptions) -> RepairReport:
    """Settle what an interrupted run left open, by its stamps, and finish the same plan.

    Raises:
        UnknownRunError, WrongRunError: There is no such run, or it applied another plan.
        RefusedError: Deeds are left to do and the plan is too old by now, or the target is another one.
        RepairStoppedError: The run ended early once more.
    """
    check_repair_plan(plan)
    planned = read_run(ports.journal, run, with_intents=False).plan
    if planned != plan.digest:
        raise WrongRunError(run=run, planned=planned, given=plan.digest)
    _check_target(plan, ports.records, options.target)
    ports.records.check_writable([each.name for each in plan.collections])
    hooks = options.hooks
    with held_lease(
        ports.journal.leases, target=LEASE_NAME, lease_ms=options.lease_ms, monotonic=hooks.monotonic
    ) as lease:
        ports.journal.refresh()
        states = read_run(ports.journal, run).changes
        notes = RunNotes(run=run, journal=ports.journal, lease=lease, clock=ports.clock, step=hooks.step)
        work = _work(plan, ports, notes, options=options, rows={})
        notes.append([notes.note("resume", {"operator": options.operator})])
        work.settle(states, held=blocked_payments(ports.journal, but=run))
        if work.pending:
            check_age(plan, now=ports.clock(), limits=options.limits)
        return work.carry_out()


def _admit(plan: RepairPlan, ports: RepairPorts, *, digest: str, options: RepairOptions) -> None:
    if digest != plan.digest:
        raise WrongDigestError(given=digest, found=plan.digest)
    check_repair_plan(plan)
    _check_target(plan, ports.records, options.target)
    for deed in plan.deeds:
        if len(deed.documents) > 1:
            ports.records.check_together(deed.collection)
    now = ports.clock()
    check_age(plan, now=now, limits=options.limits)
    policy = repair_policy(plan, options.approval_policy)
    check_approvals(plan, options.approvals, policy=policy, author=options.author, now=now)


def _check_target(plan: RepairPlan, records: RecordWriter, target: Target) -> None:
    given = asdict(target)
    for name, value in asdict(plan.target).items():
        if value != given[name] or value is None:
            raise WrongTargetError(what=name.replace("_", " "), planned=value, found=given[name])
    for each in plan.collections:
        found = records.collection_uuid(each.name)
        if each.uuid is None or found != each.uuid:
            raise WrongTargetError(what=f"collection {each.name} with uuid", planned=each.uuid, found=found)


def _survey(plan: RepairPlan, ports: RepairPorts) -> dict[str, RowResult]:
    """Read again what every deed is about: the results of those that are not to be done."""
    held = blocked_payments(ports.journal)
    own_runs = runs_of_plan(ports.journal, plan.digest)
    doing = Doing(records=ports.records, own_runs=own_runs, undoes=plan.kind == "undo")
    rows = {}
    for deed in plan.deeds:
        row = _blocked(deed, held) or doing.classed(deed)
        if row is not None:
            rows[deed.id] = row
    return rows


def _blocked(deed: Deed, held: Mapping[str, str]) -> RowResult | None:
    if deed.payment_id not in held:
        return None
    why = f"belongs to the unfinished run {held[deed.payment_id]}, which has to be resumed first"
    return deed_result(deed, Result.BLOCKED, reason=why)


def _lapsed(deed: Deed, why: str) -> RowResult:
    return deed_result(deed, Result.UNPROVEN, reason=f"is no longer due, left alone: {why}")


def _check_limits(plan: RepairPlan, rows: Mapping[str, RowResult], limits: Limits) -> None:
    count = len(plan.deeds) - len(rows)
    if count > limits.changes_max:
        raise LimitError(limit="rows", found=str(count), allowed=str(limits.changes_max), option="[limits] changes_max")


def _in_order(plan: RepairPlan, rows: Mapping[str, RowResult]) -> tuple[RowResult, ...]:
    return tuple(rows.get(deed.id) or deed_result(deed, Result.NOT_REACHED) for deed in plan.deeds)


def _backing(plan: RepairPlan, ports: RepairPorts, options: RepairOptions) -> Backing:
    policy = repair_policy(plan, options.approval_policy)
    return backing_of(plan, options.approvals, policy=policy, author=options.author, now=ports.clock())


def _opening(plan: RepairPlan, ports: RepairPorts, options: RepairOptions) -> dict[str, Any]:
    policy = repair_policy(plan, options.approval_policy)
    counted = check_approvals(plan, options.approvals, policy=policy, author=options.author, now=ports.clock())
    return {
        "plan": plan.digest,
        "effects": plan.effects_digest,
        "kind": RUN_KIND,
        "repair": plan.kind,
        "undoes": plan.run,
        "target": asdict(plan.target),
        "collections": [asdict(each) for each in plan.collections],
        "snapshot": plan.snapshot,
        "tool": plan.tool_version,
        "operator": options.operator,
        "author": [asdict(person) for person in options.author],
        "reason": plan.reason,
        "ticket": plan.ticket,
        "cases": list(plan.cases),
        "approvals": [asdict(approval) for approval in counted],
        "rows": len(plan.deeds),
        "compared": 0,
    }


def _work(
    plan: RepairPlan, ports: RepairPorts, notes: RunNotes, *, options: RepairOptions, rows: dict[str, RowResult]
) -> _Work:
    hooks = options.hooks
    stops = RunStops(
        lease=notes.lease,
        clock=ports.clock,
        monotonic=hooks.monotonic,
        limits=options.limits,
        stop_file=options.stop_file,
        rows=len(plan.deeds),
    )
    doing = Doing(
        records=ports.records,
        run=notes.run,
        own_runs=runs_of_plan(ports.journal, plan.digest),
        undoes=plan.kind == "undo",
        step=hooks.step,
        sleep=hooks.sleep,
        may_write=stops.may_write,
    )
    ports.records.go_on = stops.may_write
    return _Work(plan, doing, notes, stops, rows, _backing(plan, ports, options))


@dataclass(slots=True)
class _Work:
    """One run of repairs under its lease; what is known of a deed stands in ``rows`` by its id."""

    plan: RepairPlan
    doing: Doing
    notes: RunNotes
    stops: RunStops
    rows: dict[str, RowResult]
    backing: Backing

    @property
    def pending(self) -> list[Deed]:
        """What is still to be done."""
        return [deed for deed in self.plan.deeds if deed.id not in self.rows]

    def open(self, opening: Mapping[str, Any]) -> None:
        """Open the run in the journal, with the deeds that are left alone from the start and why."""
        known = [deed for deed in self.plan.deeds if deed.id in self.rows]
        self.notes.append([self.notes.note("run", opening)])
        self._note(known)

    def _note(self, deeds: Iterable[Deed], **more: Any) -> None:
        notes = [({**outcome_body(self.rows[deed.id]), **more}, deed) for deed in deeds]
        self.notes.append([self.notes.note("outcome", body, change=deed) for body, deed in notes])

    def settle(self, states: Mapping[str, ChangeState], *, held: Mapping[str, str]) -> None:
        """Find out what became of announced deeds, and note what is certain of the others."""
        found = []
        for deed in self.plan.deeds:
            state = states.get(deed.id)
            if state is not None and state.is_open:
                row = self.doing.settled(deed, state.intent or {})
                if row is not None:
                    self.rows[deed.id] = row
                    found.append(deed)
            elif state is not None and state.result in FINAL:
                said = str(state.outcome.get("reason", ""))
                self.rows[deed.id] = deed_result(deed, state.result, reason=said)
            elif (row := _blocked(deed, held)) is not None:
                self.rows[deed.id] = row
        self._note(found, settled=True)

    def carry_out(self) -> RepairReport:
        """Do what is pending, and close the run in the journal."""
        stopped: StoppedError | None = None
        try:
            for deed in self.pending:
                self._do(deed)
        except (StoppedError, RefusedError, KeyboardInterrupt) as error:
            stopped = _reason(error)
        for deed in self.pending:
            is_open = deed.id in self.notes.announced
            self.rows[deed.id] = deed_result(deed, Result.OPEN if is_open else Result.NOT_REACHED)
        return self._close(stopped)

    def _do(self, deed: Deed) -> None:
        self.stops.may_write()
        found = self.doing.announced(deed, at=self.stops.check_clock())
        if isinstance(found, RowResult):
            row = found
        else:
            self.notes.append([self.notes.note("intent", found.intent, change=deed)])
            self.stops.may_write()
            row = found.write()
        if row.result in _SURPRISES:
            self.stops.count_refusal()
        self.notes.append([self.notes.note("outcome", outcome_body(row), change=deed)])
        self.rows[deed.id] = row

    def _close(self, cause: StoppedError | None) -> RepairReport:
        report = RepairReport(
            run=self.notes.run,
            plan=self.plan.digest,
            kind=self.plan.kind,
            rows=_in_order(self.plan, self.rows),
            stopped=None if cause is None else str(cause),
            backing=self.backing,
        )
        counts = report.counts
        body: dict[str, Any] = {
            "state": "done" if cause is None else "stopped",
            "why": report.stopped,
            "counts": {result.value: count for result, count in sorted(counts.items())},
            "unsettled": counts[Result.OPEN] + counts[Result.UNSETTLED],
            "remaining": [],
        }
        try:
            self.notes.append([self.notes.note("end", body)])
        except StoppedError as error:
            # Without its end in the journal the run counts as open, which is what it is.
            cause = cause or error
        report = replace(report, head=self.notes.head, stopped=None if cause is None else str(cause))
        if cause is not None:
            raise RepairStoppedError(report=report) from cause
        return report


def _reason(error: BaseException) -> StoppedError:
    if isinstance(error, StoppedError):
        return error
    return CredentialLostError(cause=error) if isinstance(error, RefusedError) else RunInterruptedError()
