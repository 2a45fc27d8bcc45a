"""One run at work: groups of rows re-read, their intents journalled, written under guard, their outcomes journalled.

Whatever ends a run early ends it before its next write: a stop file, a lost lease, a clock that jumps, too many
refusals, a store or journal that fails. What was announced and not written is journalled as not reached; what nobody
knows stays open, for ``--resume`` to settle by the stamp.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recon.core.errors import ReconError, RefusedError, StoppedError
from recon.core.model import Change, Plan, Verdict
from recon.core.times import millisecond_text
from recon.core.values import to_extended, value_at
from recon.plans.limits import Limits
from recon.runs.guard import (
    ChangeReading,
    GuardedUpdate,
    ReadyChange,
    RowClass,
    guarded_update,
    read_change,
    ready_change,
)
from recon.runs.states import Result, RowResult, RowResults, row_result
from recon.runs.stores.journal import Journal, Note
from recon.runs.stores.lease import Lease
from recon.runs.stores.payments import PaymentWriter
from recon.runs.stores.retry import ReadOnlyCredentialError

Judge = Callable[[Sequence[str]], Mapping[str, str]]
"""Asks every source again about payments and gives the verdict of each."""

ATTEMPTS_MAX: Final = 5
READ_ROWS: Final = 500
"""Rows that are read again at once."""

JUMP_MAX: Final = timedelta(minutes=5)
_FIRST_WAIT_S: Final = 0.05


BENIGN: Final = frozenset(
    {
        Verdict.IN_SYNC, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE, Verdict.IN_TRANSIT, Verdict.ABANDONED,
        Verdict.INSUFFICIENT_CONFIRMATIONS, Verdict.SAFETY_PENDING, Verdict.AML_BLOCKED,
    }
)  # fmt: skip
"""Verdicts that are no break."""


def further_findings(plan: Plan, payments: Collection[str]) -> dict[str, set[Verdict]]:
    """Everything that a plan says of some payments: a further finding may be the verdict once the first is healed."""
    wanted = set(payments)
    return {each.payment_id: set(each.findings) for each in plan.findings if each.payment_id in wanted}


class StopFileError(StoppedError):
    """Somebody put the stop file there."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"The stop file {path} is there, so no further write was started. Remove it and resume the run."
        )


class TooManyRefusalsError(StoppedError):
    """More rows moved under the run than chance explains."""

    def __init__(self, *, refusals: int, allowed: int) -> None:
        super().__init__(
            f"{refusals} rows were refused and the limit on refusals during a run is {allowed}; no further write was "
            "started. Find out who else writes, then resume, or raise this one limit with --refusals-max."
        )


class ClockJumpedError(StoppedError):
    """The clock does not go with the time that has passed."""

    def __init__(self, *, found: datetime, expected: datetime) -> None:
        super().__init__(
            f"The clock says {found.isoformat(timespec='seconds')} where {expected.isoformat(timespec='seconds')} "
            "was due; no further write was started. Set the clock and resume the run."
        )


class CanaryError(StoppedError):
    """The first rows did not come out as the plan says."""

    def __init__(self, *, payment: str, why: str) -> None:
        super().__init__(
            f"{payment}, one of the first rows, {why}; no further write was started. "
            'Look at it with "recon inspect", then resume the run or take it back with "recon undo".'
        )


class CredentialLostError(StoppedError):
    """The store began to refuse this run while it was writing."""

    def __init__(self, *, cause: RefusedError) -> None:
        said = cause.said if isinstance(cause, ReadOnlyCredentialError) else str(cause).rstrip(".")
        super().__init__(
            f"The store began to refuse the run midway ({said}); no further write was started. "
            "Give it a credential with the readWrite role and resume the run."
        )


class RunInterruptedError(StoppedError):
    """Somebody interrupted the process that applies."""

    def __init__(self) -> None:
        super().__init__("It was interrupted, so no further write was started.")


def no_run_step(name: str) -> None:
    """Take no notice."""


def no_run_progress(done: int, total: int) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPace:
    """How a run goes about it.

    Args:
        group_size: Intents in one journal insert.
        in_flight: Writes at the same time, at most.
        canary_rows: The first rows, which are written, read again and judged again before the rest.
        stop_file: Its presence ends the run before its next write.
        judge: Judges payments anew; None leaves that out and says so.
        step: Called before and after each step that acts, with its name; for tests that fail there.
        progress: Called with rows done and rows in all.
    """

    group_size: int = 50
    in_flight: int = 50
    canary_rows: int = 5
    stop_file: Path | None = None
    judge: Judge | None = None
    lease_ms: int = 30_000
    step: Callable[[str], None] = no_run_step
    progress: Callable[[int, int], None] = no_run_progress
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Prepared:
    """A group read again, by place in the plan: what is to be written, with its intents, and what is left alone."""

    updates: list[tuple[int, ReadyChange, GuardedUpdate]] = field(default_factory=list)
    intents: list[Note] = field(default_factory=list)
    left_alone: list[tuple[int, RowResult]] = field(default_factory=list)


@dataclass(slots=True)
class WritesUnderWay:
    """An announced group whose writes were handed over: each gives its row, or why nobody knows."""

    group: Prepared
    found: list[Future[RowResult | StoppedError]]
    is_noted: bool = False


@dataclass(slots=True)
class Writing:
    """One run under its lease. Everything it finds out about a row goes to ``rows`` and to the journal.

    Changes are named by their place in the plan. ``announced`` names those whose write was announced and of which
    nobody knows yet what became of it.
    """

    run: str
    plan: Plan
    writer: PaymentWriter
    journal: Journal
    lease: Lease
    clock: Callable[[], datetime]
    limits: Limits
    pace: RunPace
    rows: RowResults
    own_runs: tuple[str, ...] = ()
    announced: set[str] = field(default_factory=set)
    head: str | None = None
    _began: tuple[datetime, float] = field(init=False)
    _late: list[Note] = field(default_factory=list)
    _done: tuple[int, int] = (0, 0)
    _stop: StoppedError | None = None
    _refusals: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._began = (self.clock(), self.pace.monotonic())

    def stamp(self, change: str) -> str:
        """The mark that this run leaves in a document."""
        return f"{self.run}/{change}"

    def note(self, kind: str, body: Mapping[str, Any], *, change: Change | None = None) -> Note:
        """A journal note of this run, at this moment."""
        name, payment = (None, None) if change is None else (change.id, change.payment_id)
        return Note(self.run, kind, millisecond_text(self.clock()), body, self.lease.token, name, payment)

    def append(self, notes: Sequence[Note]) -> None:
        """Append to the journal under the lease."""
        if not notes:
            return
        self.lease.check()
        # Announced from here on: if the answer is lost, the entries may be there all the same.
        self.announced.update(note.change for note in notes if note.kind == "intent" and note.change is not None)
        self.pace.step("journal.append:before")
        try:
            self.head = self.journal.append(notes)[-1].hash
        except RefusedError as error:
            if self.head is None:
                raise  # Nothing of this run is in the journal yet, so nothing was written either.
            raise CredentialLostError(cause=error) from error
        self.announced.difference_update(note.change for note in notes if note.kind == "outcome")
        self.pace.step("journal.append:after")

    def write_all(self, pending: Sequence[int], *, canary: bool) -> None:
        """Write every change that is still pristine, the first ones as canary.

        Raises:
            StoppedError: The run ended early; what is known by then is in the journal and in ``rows``.
        """
        self._done = (0, len(pending))
        first = pending[: self.pace.canary_rows] if canary else pending[:0]
        in_flight = max(1, min(self.pace.in_flight, self.writer.in_flight_max))
        try:
            with ExitStack() as stack:
                self.writer.go_on = self.may_write
                pool = reader = None
                if in_flight > 1:
                    pool, reader = ThreadPoolExecutor(in_flight), ThreadPoolExecutor(1)
                    stack.callback(reader.shutdown, cancel_futures=True)
                    stack.callback(pool.shutdown, cancel_futures=True)
                if first:
                    self._write_groups(map(self._prepare, [first]), pool)
                    self._append_outcomes()
                    self.check_canary([place for place in first if self.rows[place].result is Result.APPLIED])
                rest = chunks(pending[len(first) :], self.pace.group_size)
                self._write_groups(map(self._prepare, rest) if reader is None else self._ahead(rest, reader), pool)
        except StoppedError:
            with suppress(StoppedError):
                self._append_outcomes()
            raise
        self._append_outcomes()

    def _write_groups(self, groups: Iterable[Prepared], pool: ThreadPoolExecutor | None) -> None:
        """Write group after group; while one is being written, the next is announced and queued behind it."""
        begun: deque[WritesUnderWay] = deque()
        try:
            for group in groups:
                self.may_write()
                # What became of an earlier group goes into the same insert, ahead of what is announced now.
                self._append_outcomes(then=group.intents)
                begun.append(self._begin(group, pool))
                while len(begun) > (0 if pool is None else 2):
                    self._finish(begun[0])
                    begun.popleft()
            while begun:
                self._finish(begun[0])
                begun.popleft()
        except (StoppedError, KeyboardInterrupt) as error:
            self._stop = self._stop or (error if isinstance(error, StoppedError) else RunInterruptedError())
            for each in begun:
                with suppress(StoppedError):
                    self._finish(each)
            raise self._stop from error

    def _ahead(self, groups: Iterable[Sequence[int]], reader: ThreadPoolExecutor) -> Iterator[Prepared]:
        """Give group after group; the next one is prepared while whoever asked is busy with this one."""
        waiting: Future[Prepared] | None = None
        for group in groups:
            following = reader.submit(self._prepare, group)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()

    def may_write(self) -> None:
        """Go on only if nothing asks the run to end; called before every write."""
        if self._stop is not None:
            raise self._stop
        self.lease.check()
        if self.pace.stop_file is not None and self.pace.stop_file.exists():
            raise StopFileError(path=self.pace.stop_file.name)
        allowed = self.limits.refusals_allowed(self._done[1])
        if self._refusals > allowed:
            raise TooManyRefusalsError(refusals=self._refusals, allowed=allowed)

    def _check_clock(self) -> datetime:
        now = self.clock()
        expected = self._began[0] + timedelta(seconds=self.pace.monotonic() - self._began[1])
        if abs(now - expected) > JUMP_MAX:
            raise ClockJumpedError(found=now, expected=expected)
        return now

    def _prepare(self, group: Sequence[int]) -> Prepared:
        """Read a group again, just before it is announced and written."""
        self.may_write()
        at = self._check_clock()
        prepared = Prepared()
        for place, each, document in read_again(self.plan, group, writer=self.writer):
            reading = read_change(each, document, own_stamps=self._own_stamps(each))
            if reading.row is RowClass.PRISTINE and document is not None:
                update = guarded_update(each, document, stamp=self.stamp(each.id), at=at)
                prepared.updates.append((place, each, update))
                prepared.intents.append(self.note("intent", _intent(each, update, document), change=each.change))
            else:
                prepared.left_alone.append((place, row_of(each.change, reading)))
        return prepared

    def _append_outcomes(self, *, then: Sequence[Note] = ()) -> None:
        self.append([*self._late, *then])
        self._late = []

    def _begin(self, group: Prepared, pool: ThreadPoolExecutor | None) -> WritesUnderWay:
        """Hand the announced writes over, to be carried out in order; without threads they are done at once."""
        begun = WritesUnderWay(group, [])
        for _, each, update in group.updates:
            if pool is not None:
                begun.found.append(pool.submit(self._try_row, each, update))
            else:
                begun.found.append(Future())
                begun.found[-1].set_result(self._try_row(each, update))
        return begun

    def _finish(self, begun: WritesUnderWay) -> None:
        """Wait for the writes of a group, and note once what became of those that somebody knows of."""
        if begun.is_noted:
            return
        updates = begun.group.updates
        found = [each.result() for each in begun.found]
        begun.is_noted = True  # From here on at most once: of a file that could not be replaced nothing is known.
        if updates and self.writer.is_buffered:
            self.pace.step("store.flush:before")
            self.writer.flush()
            self.pace.step("store.flush:after")
        known = list(begun.group.left_alone)
        known += [(place, row) for (place, _, _), row in zip(updates, found, strict=True) if isinstance(row, RowResult)]
        for place, row in known:
            self._late.append(self.note("outcome", outcome_body(row), change=self.plan.changes[place]))
            self.rows.note(place, row)
        self._done = (self._done[0] + len(known), self._done[1])
        self.pace.progress(*self._done)
        if self._stop is not None:
            raise self._stop

    def _try_row(self, each: ReadyChange, update: GuardedUpdate) -> RowResult | StoppedError:
        """Write one row; a reason to stop is kept for all, so that every other row is still accounted for."""
        try:
            self.may_write()
        except StoppedError as error:
            self._stop = self._stop or error
            # Nothing was asked of the store for this row, so it is known not to be written.
            return row_result(each.change, Result.NOT_REACHED)
        try:
            return self._write_row(each, update)
        except StoppedError as error:
            self._stop = self._stop or error
        except RefusedError as error:
            self._stop = self._stop or CredentialLostError(cause=error)
        return self._stop

    def _write_row(self, each: ReadyChange, update: GuardedUpdate) -> RowResult:
        stamp, wait = self.stamp(each.id), _FIRST_WAIT_S
        for _ in range(ATTEMPTS_MAX):
            self.pace.step("store.write:before")
            result = self.writer.write(update)
            self.pace.step("store.write:after")
            if result.matched:
                return row_result(each.change, Result.APPLIED)
            if result.code is not None:
                why = f"was refused by the store: {result.message}"
                return self._surprise(row_result(each.change, Result.FAILED, reason=why, code=result.code))
            document = self.writer.read([each.document_id]).get(each.change.payment_id)
            reading = read_change(each, document, own_stamps=(stamp,))
            if reading.row is RowClass.OURS or (reading.row is RowClass.MOVED and reading.stamp == stamp):
                return row_result(each.change, Result.APPLIED)
            if reading.row is not RowClass.PRISTINE or document is None:
                found = row_of(each.change, reading)
                refused = found.result is Result.MOVED
                return self._surprise(
                    row_result(each.change, Result.REFUSED, moved=reading.moved) if refused else found
                )
            # Only updatedAt or __v moved, or a majority does not see our own write yet: look again, then ask again.
            self.pace.sleep(wait)
            wait *= 2
            update = guarded_update(each, document, stamp=stamp, at=update.sets["updatedAt"])
            self.may_write()
        return self._surprise(row_result(each.change, Result.REFUSED, reason="kept changing while it was written"))

    def _surprise(self, row: RowResult) -> RowResult:
        if row.result in (Result.REFUSED, Result.FAILED, Result.GONE):
            with self._lock:
                self._refusals += 1
        return row

    def _own_stamps(self, each: ReadyChange) -> Collection[str]:
        return tuple(f"{run}/{each.id}" for run in (*self.own_runs, self.run))

    def check_canary(self, written: Sequence[int]) -> None:
        """Read the first rows again and judge them anew, before anything else is written.

        Raises:
            CanaryError: The break that a row was written for is still there, another one is, or nobody could look.
            TooManyRefusalsError: Too many of them have moved again by now.
        """
        if not written:
            return
        moved_since = set(self.read_back(written))
        changes = [self.plan.changes[place] for place in written]
        payments = [change.payment_id for change in changes]
        # After an undo the break is meant to be there again, and a backfill was made for none.
        judge = self.pace.judge if self.plan.kind == "correction" else None
        try:
            judged = {} if judge is None else judge(payments)
        except StoppedError:
            raise
        except ReconError as error:
            raise CanaryError(payment=payments[0], why=f"could not be judged again: {error}") from error
        further, expected = further_findings(self.plan, payments), BENIGN | {Verdict.PROVIDER_BEHIND}
        for place, change in zip(written, changes, strict=True):
            if place in moved_since:
                self._refusals += 1
            elif (verdict := judged.get(change.payment_id)) == change.verdict:
                raise CanaryError(payment=change.payment_id, why=f"is still {change.verdict} after it was written")
            elif verdict is not None and verdict not in expected | further.get(change.payment_id, set()):
                raise CanaryError(payment=change.payment_id, why=f"is {verdict} after it was written")
        self.may_write()

    def read_back(self, written: Sequence[int]) -> Iterator[int]:
        """Give the places of written rows that no longer are as this run wrote them."""
        for group in chunks(written, READ_ROWS):
            for place, each, document in read_again(self.plan, group, writer=self.writer):
                if read_change(each, document, own_stamps=(self.stamp(each.id),)).row is not RowClass.OURS:
                    yield place


def read_again(
    plan: Plan, places: Sequence[int], *, writer: PaymentWriter
) -> Iterator[tuple[int, ReadyChange, Mapping[str, Any] | None]]:
    """Read the documents of some changes in one go: place, decoded change, and the document if it is there."""
    ready = [ready_change(plan.changes[place], kind=plan.kind) for place in places]
    documents = writer.read([each.document_id for each in ready]) if ready else {}
    for place, each in zip(places, ready, strict=True):
        yield place, each, documents.get(each.change.payment_id)


def _intent(each: ReadyChange, update: GuardedUpdate, document: Mapping[str, Any]) -> dict[str, Any]:
    change = each.change
    return {
        "document_id": change.document_id,
        "verdict": change.verdict,
        "tier": change.tier,
        "before": update.before,
        "after": update.after,
        "parents": update.parents,
        "escrow_state": to_extended(value_at(document, "escrowState")),
        "created": list(each.created),
        "value": str(change.value_units),
        "token": change.token,
        "symbol": change.symbol,
        "decimals": change.decimals,
        "chain_id": change.chain_id,
    }


def outcome_body(row: RowResult) -> dict[str, Any]:
    """What the journal keeps of a row's result."""
    body: dict[str, Any] = {"result": row.result.value, "reason": row.reason}
    if row.moved:
        body["moved"] = [[each.path, each.reviewed, each.planned, each.now] for each in row.moved]
    if row.code is not None:
        body["code"] = row.code
    return body


def row_of(change: Change, reading: ChangeReading) -> RowResult:
    """The result of a row that is left alone because of what the re-read shows."""
    results = {
        RowClass.ALREADY: Result.ALREADY, RowClass.OURS: Result.OURS, RowClass.MOVED: Result.MOVED,
        RowClass.GONE: Result.GONE, RowClass.PRISTINE: Result.NOT_REACHED,
    }  # fmt: skip
    return row_result(change, results[reading.row], moved=reading.moved)


def chunks(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield so many places at a time, in order."""
    for start in range(0, len(places), max(1, size)):
        yield places[start : start + size]
