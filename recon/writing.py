"""One run at work: groups of rows re-read, their intents journalled, written under guard, their outcomes journalled.

Whatever ends a run early ends it before its next write: a stop file, a lost lease, a clock that jumps, too many
refusals, a store or journal that fails. What was announced and not written is journalled as not reached; what nobody
knows stays open, for ``--resume`` to settle by the stamp.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from recon.errors import ReconError, RefusedError, StoppedError
from recon.guard import (
    GuardedUpdate,
    ReadyChange,
    RowClass,
    guarded_update,
    read_change,
    ready_change,
    to_extended,
    value_at,
)
from recon.guard import Reading as RowReading
from recon.journal import Journal, Note
from recon.lease import Lease
from recon.limits import Limits
from recon.model import Change, Plan, Verdict
from recon.runs import RESULT_TEXT, Result, RowResult, time_text
from recon.store import PaymentWriter

Item = TypeVar("Item")
Judge = Callable[[Sequence[str]], Mapping[str, str]]
"""Asks every source again about payments and gives the verdict of each."""

ATTEMPTS_MAX: Final = 5
READY_MAX: Final = 2000
"""Most decoded changes that are kept in memory."""

JUMP_MAX: Final = timedelta(minutes=5)
_FIRST_WAIT_S: Final = 0.05


BENIGN: Final = frozenset(
    {
        Verdict.IN_SYNC, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE, Verdict.IN_TRANSIT, Verdict.ABANDONED,
        Verdict.INSUFFICIENT_CONFIRMATIONS, Verdict.SAFETY_PENDING, Verdict.AML_BLOCKED,
    }
)  # fmt: skip
"""Verdicts that are no break."""


def further_findings(plan: Plan) -> dict[str, set[Verdict]]:
    """Everything that a plan says of each payment: a further finding may be its verdict once the first is healed."""
    return {finding.payment_id: set(finding.findings) for finding in plan.findings}


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

    def __init__(self, *, why: str) -> None:
        super().__init__(f"The store began to refuse the run midway: {why} Resume the run once that is settled.")


def no_step(name: str) -> None:
    """Take no notice."""


def no_progress(done: int, total: int) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
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
    step: Callable[[str], None] = no_step
    progress: Callable[[int, int], None] = no_progress
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class ReadyChanges:
    """Decoded changes of one plan, the last few kept, because every row is looked at several times."""

    kind: str
    _kept: dict[str, ReadyChange] = field(default_factory=dict)

    def get(self, change: Change) -> ReadyChange:
        """The change decoded and checked; see :func:`recon.guard.ready_change`."""
        ready = self._kept.get(change.id)
        if ready is None or ready.change is not change:
            ready = ready_change(change, kind=self.kind)
            if len(self._kept) >= READY_MAX:
                self._kept.clear()
            self._kept[change.id] = ready
        return ready


@dataclass(slots=True)
class Announced:
    """A group whose intents are in the journal: the updates to carry out, and the rows that are left alone."""

    updates: list[tuple[ReadyChange, GuardedUpdate]] = field(default_factory=list)
    left_alone: list[tuple[Change, RowResult]] = field(default_factory=list)


@dataclass(slots=True)
class Writing:
    """One run under its lease. Everything it finds out about a row goes to ``rows`` and to the journal.

    ``announced`` names the changes whose write was announced and of which nobody knows yet what became of it.
    """

    run: str
    plan: Plan
    writer: PaymentWriter
    journal: Journal
    lease: Lease
    clock: Callable[[], datetime]
    limits: Limits
    pace: Pace
    ready: ReadyChanges
    own_runs: tuple[str, ...] = ()
    rows: list[RowResult] = field(default_factory=list)
    announced: set[str] = field(default_factory=set)
    head: str | None = None
    _began: tuple[datetime, float] = field(init=False)
    _late: list[Note] = field(default_factory=list)
    _written: set[str] = field(default_factory=set)
    _stop: StoppedError | None = None
    _refusals: int = 0
    _attempted: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._began = (self.clock(), self.pace.monotonic())

    def stamp(self, change: str) -> str:
        """The mark that this run leaves in a document."""
        return f"{self.run}/{change}"

    def note(self, kind: str, body: Mapping[str, Any], *, change: Change | None = None) -> Note:
        """A journal note of this run, at this moment."""
        name, payment = (None, None) if change is None else (change.id, change.payment_id)
        return Note(self.run, kind, time_text(self.clock()), body, self.lease.token, name, payment)

    def append(self, notes: Sequence[Note]) -> None:
        """Append to the journal under the lease."""
        if not notes:
            return
        self.lease.check()
        # Announced from here on: if the answer is lost, the entries may be there all the same.
        self.announced.update(note.change for note in notes if note.kind == "intent" and note.change is not None)
        self.pace.step("journal.append:before")
        self.head = self.journal.append(notes)[-1].hash
        self.announced.difference_update(note.change for note in notes if note.kind == "outcome")
        self.pace.step("journal.append:after")

    def write_all(self, changes: Sequence[Change], *, canary: bool) -> None:
        """Write every change that is still pristine, the first ones as canary.

        Raises:
            StoppedError: The run ended early; what is known by then is in the journal and in ``rows``.
        """
        self._attempted = len(changes)
        first = min(self.pace.canary_rows, len(changes)) if canary else 0
        groups = [*_chunks(changes[:first], first), *_chunks(changes[first:], self.pace.group_size)]
        in_flight = max(1, min(self.pace.in_flight, self.writer.in_flight_max))
        try:
            with ExitStack() as stack:
                pool = stack.enter_context(ThreadPoolExecutor(in_flight + 1)) if in_flight > 1 else None
                self._write_groups(groups, pool, has_canary=first > 0)
        except StoppedError:
            with suppress(StoppedError):
                self._append_outcomes()
            raise
        self._append_outcomes()

    def _write_groups(
        self, groups: Sequence[Sequence[Change]], pool: ThreadPoolExecutor | None, *, has_canary: bool
    ) -> None:
        """Write group after group; the next one is read and announced meanwhile, except behind the canary."""
        done, ahead = 0, None
        for number, group in enumerate(groups):
            announced = ahead.result() if ahead is not None else self._announce(group)
            is_canary = has_canary and number == 0
            following = groups[number + 1] if number + 1 < len(groups) and not is_canary else None
            ahead = pool.submit(self._announce, following) if pool is not None and following else None
            error = self._write_announced(announced, pool)
            if error is not None:
                if ahead is not None:
                    self._give_up(ahead.result())
                raise error
            if is_canary:
                self._append_outcomes()
                self.check_canary([e.change for e, _ in announced.updates if e.id in self._written])
            done += len(group)
            self.pace.progress(done, sum(map(len, groups)))

    def may_write(self) -> None:
        """Go on only if nothing asks the run to end; called before every write."""
        self.lease.check()
        if self.pace.stop_file is not None and self.pace.stop_file.exists():
            raise StopFileError(path=self.pace.stop_file.name)
        allowed = self.limits.refusals_allowed(self._attempted)
        if self._refusals > allowed:
            raise TooManyRefusalsError(refusals=self._refusals, allowed=allowed)

    def _check_clock(self) -> datetime:
        now = self.clock()
        expected = self._began[0] + timedelta(seconds=self.pace.monotonic() - self._began[1])
        if abs(now - expected) > JUMP_MAX:
            raise ClockJumpedError(found=now, expected=expected)
        return now

    def _announce(self, group: Sequence[Change]) -> Announced:
        """Read a group again, and journal what will be written to it before any of it is."""
        self.may_write()
        at = self._check_clock()
        announced = Announced()
        intents: list[Note] = []
        ready = [self.ready.get(change) for change in group]
        documents = self.writer.read([each.document_id for each in ready])
        for each in ready:
            document = documents.get(each.change.payment_id)
            reading = read_change(each, document, own_stamps=self._own_stamps(each))
            if reading.row is RowClass.PRISTINE and document is not None:
                update = guarded_update(each, document, stamp=self.stamp(each.id), at=at)
                announced.updates.append((each, update))
                intents.append(self.note("intent", _intent(each, update, document), change=each.change))
            else:
                announced.left_alone.append((each.change, row_of(each.change, reading)))
        # What became of an earlier group goes into the same insert, ahead of what is announced now.
        self._append_outcomes(then=intents)
        return announced

    def _append_outcomes(self, *, then: Sequence[Note] = ()) -> None:
        with self._lock:
            late, self._late = self._late, []
        try:
            self.append([*late, *then])
        except StoppedError:
            with self._lock:
                self._late = [*late, *self._late]
            raise

    def _write_announced(self, announced: Announced, pool: ThreadPoolExecutor | None) -> StoppedError | None:
        """Write announced rows and note what became of those that somebody knows of."""
        updates = announced.updates
        written = list(pool.map(self._try_row, updates) if pool else map(self._try_row, updates))
        if updates and self.writer.is_buffered:
            self.pace.step("store.flush:before")
            self.writer.flush()
            self.pace.step("store.flush:after")
        known = list(announced.left_alone)
        for (each, _), found in zip(updates, written, strict=True):
            if isinstance(found, RowResult):
                known.append((each.change, found))
        self._note_rows(known)
        return self._stop or next((found for found in written if isinstance(found, StoppedError)), None)

    def _give_up(self, announced: Announced) -> None:
        """A group that was announced while the run came to its end: nothing of it was written."""
        unwritten = [(each.change, _row(each.change, Result.NOT_REACHED)) for each, _ in announced.updates]
        self._note_rows([*announced.left_alone, *unwritten])

    def _note_rows(self, known: Sequence[tuple[Change, RowResult]]) -> None:
        notes = [self._outcome(row, change) for change, row in known]
        with self._lock:
            self._late += notes
        self.rows += [row for _, row in known]
        self._written.update(row.change for _, row in known if row.result is Result.APPLIED)

    def _try_row(self, item: tuple[ReadyChange, GuardedUpdate]) -> RowResult | StoppedError:
        """Write one row; a reason to stop is given back, so that the group's other rows are still accounted for."""
        each, update = item
        try:
            self.may_write()
        except StoppedError as error:
            with self._lock:
                self._stop = self._stop or error
            # Nothing was asked of the store for this row, so it is known not to be written.
            return _row(each.change, Result.NOT_REACHED)
        try:
            return self._write_row(each, update)
        except StoppedError as error:
            return error
        except RefusedError as error:
            return CredentialLostError(why=str(error))

    def _write_row(self, each: ReadyChange, update: GuardedUpdate) -> RowResult:
        stamp, wait = self.stamp(each.id), _FIRST_WAIT_S
        for _ in range(ATTEMPTS_MAX):
            self.pace.step("store.write:before")
            result = self.writer.write(update)
            self.pace.step("store.write:after")
            if result.matched:
                return _row(each.change, Result.APPLIED)
            if result.code is not None:
                return self._surprise(
                    _row(
                        each.change,
                        Result.FAILED,
                        reason=f"was refused by the store: {result.message}",
                        code=result.code,
                    )
                )
            document = self.writer.read([each.document_id]).get(each.change.payment_id)
            reading = read_change(each, document, own_stamps=(stamp,))
            if reading.row is RowClass.OURS or (reading.row is RowClass.MOVED and reading.stamp == stamp):
                return _row(each.change, Result.APPLIED)
            if reading.row is not RowClass.PRISTINE or document is None:
                found = row_of(each.change, reading)
                refused = found.result is Result.MOVED
                return self._surprise(_row(each.change, Result.REFUSED, moved=reading.moved) if refused else found)
            # Only updatedAt or __v moved, or a majority does not see our own write yet: look again, then ask again.
            self.pace.sleep(wait)
            wait *= 2
            update = guarded_update(each, document, stamp=stamp, at=update.sets["updatedAt"])
            self.may_write()
        return self._surprise(_row(each.change, Result.REFUSED, reason="kept changing while it was written"))

    def _surprise(self, row: RowResult) -> RowResult:
        if row.result in (Result.REFUSED, Result.FAILED, Result.GONE):
            with self._lock:
                self._refusals += 1
        return row

    def _own_stamps(self, each: ReadyChange) -> Collection[str]:
        return tuple(f"{run}/{each.id}" for run in (*self.own_runs, self.run))

    def _outcome(self, row: RowResult, change: Change) -> Note:
        return self.note("outcome", outcome_body(row), change=change)

    def check_canary(self, written: Sequence[Change]) -> None:
        """Read the first rows again and judge them anew, before anything else is written.

        Raises:
            CanaryError: The break that a row was written for is still there, another one is, or nobody could look.
            TooManyRefusalsError: Too many of them have moved again by now.
        """
        if not written:
            return
        moved_since = self.read_back(written)
        # After an undo the break is meant to be there again, and a backfill was made for none.
        judge = self.pace.judge if self.plan.kind == "correction" else None
        try:
            judged = {} if judge is None else judge([change.payment_id for change in written])
        except StoppedError:
            raise
        except ReconError as error:
            raise CanaryError(payment=written[0].payment_id, why=f"could not be judged again: {error}") from error
        further, expected = further_findings(self.plan), BENIGN | {Verdict.PROVIDER_BEHIND}
        for change in written:
            if change.id in moved_since:
                with self._lock:
                    self._refusals += 1
            elif (verdict := judged.get(change.payment_id)) == change.verdict:
                raise CanaryError(payment=change.payment_id, why=f"is still {change.verdict} after it was written")
            elif verdict is not None and verdict not in expected | further.get(change.payment_id, set()):
                raise CanaryError(payment=change.payment_id, why=f"is {verdict} after it was written")
        self.may_write()

    def read_back(self, written: Sequence[Change]) -> dict[str, RowReading]:
        """The written rows that no longer are as this run wrote them."""
        off: dict[str, RowReading] = {}
        for group in _chunks(written, 500):
            changes = [self.ready.get(change) for change in group]
            documents = self.writer.read([change.document_id for change in changes])
            for each in changes:
                reading = read_change(each, documents.get(each.change.payment_id), own_stamps=(self.stamp(each.id),))
                if reading.row is not RowClass.OURS:
                    off[each.id] = reading
        return off


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


def row_of(change: Change, reading: RowReading) -> RowResult:
    """The result of a row that is left alone because of what the re-read shows."""
    results = {
        RowClass.ALREADY: Result.ALREADY, RowClass.OURS: Result.OURS, RowClass.MOVED: Result.MOVED,
        RowClass.GONE: Result.GONE, RowClass.PRISTINE: Result.NOT_REACHED,
    }  # fmt: skip
    return _row(change, results[reading.row], moved=reading.moved)


def _row(
    change: Change,
    result: Result,
    *,
    reason: str | None = None,
    moved: tuple[Any, ...] = (),
    code: int | None = None,
) -> RowResult:
    return RowResult(
        change.id, change.payment_id, str(change.verdict), result, reason or RESULT_TEXT[result], moved, code
    )


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), max(1, size)):
        yield items[start : start + size]
