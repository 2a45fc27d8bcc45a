"""One run at work: groups of rows re-read, their intents journalled, written under guard, their outcomes journalled.

A reason to stop (``recon.runs.stopping``) ends a run before its next write. What was announced and not written is
journalled as not reached; a write of unknown outcome stays open, and ``--resume`` settles it by the stamp.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from recon.core.errors import ReconError, RefusedError, StoppedError
from recon.core.model import Change, Plan
from recon.core.values import same, to_extended, value_at
from recon.runs.canary import canary_places, check_canary_verdict, further_findings, judge_canary
from recon.runs.guard import (
    ChangeReading,
    GuardedUpdate,
    ReadyChange,
    RowClass,
    guarded_update,
    read_change,
    ready_change,
)
from recon.runs.notes import RunNotes
from recon.runs.pace import RunHooks, RunPace
from recon.runs.proof import ProofStoppedError, ProofWatch
from recon.runs.states import Result, RowResult, RowResults, row_result, unproven_row
from recon.runs.stopping import CredentialLostError, RunInterruptedError, RunStops
from recon.runs.stores.journal import Note
from recon.runs.stores.payments import PaymentWriter, WriteResult

Each = TypeVar("Each")

ATTEMPTS_MAX: Final = 5
READ_ROWS: Final = 500
"""Rows that are read again at once."""

WRITERS: Final = 2
"""How many calls carry writes at one time where a store takes several rows by one; what is in flight is shared out."""

_FIRST_WAIT_S: Final = 0.05
_SURPRISES: Final = (Result.REFUSED, Result.FAILED, Result.GONE, Result.UNPROVEN, Result.UNSETTLED)


@dataclass(slots=True)
class Prepared:
    """A group read again, by place in the plan: what is to be written, with its intents, and what is left alone."""

    updates: list[tuple[int, ReadyChange, GuardedUpdate]] = field(default_factory=list)
    intents: list[Note] = field(default_factory=list)
    left_alone: list[tuple[int, RowResult]] = field(default_factory=list)


@dataclass(slots=True)
class WritesUnderWay:
    """An announced group whose writes were handed over: by call, what became of its rows, or why it is unknown."""

    group: Prepared
    found: list[Future[list[RowResult | StoppedError]]]
    is_noted: bool = False


@dataclass(slots=True, kw_only=True)
class Writing:
    """One run under its lease. Everything it finds out about a row goes to ``rows`` and to the journal.

    Changes are named by their place in the plan.

    Args:
        notes: What the run tells the journal.
        stops: What may end the run early.
        watch: Asks for the proof of each group before it is announced.
        own_runs: Earlier runs of the same plan, whose stamps count as this run's own.
        sent_before: Changes that this run announced before it was taken up again: a write that was sent then may
            still arrive, whatever was settled meanwhile.
    """

    plan: Plan
    writer: PaymentWriter
    rows: RowResults
    pace: RunPace
    hooks: RunHooks
    notes: RunNotes
    stops: RunStops
    watch: ProofWatch
    own_runs: tuple[str, ...] = ()
    sent_before: frozenset[str] = frozenset()
    _done: tuple[int, int] = (0, 0)

    @property
    def run(self) -> str:
        """The run's name."""
        return self.notes.run

    def stamp(self, change: str) -> str:
        """The mark that this run leaves in a document."""
        return f"{self.run}/{change}"

    def write_all(self, pending: Sequence[int], *, canary: bool) -> None:
        """Write every change that is still pristine, the first ones as canary.

        Raises:
            StoppedError: The run ended early; what is known by then is in the journal and in ``rows``.
        """
        self._done, self.stops.rows = (0, len(pending)), len(pending)
        first = canary_places(self.plan, pending, rows=self.pace.canary_rows) if canary else []
        try:
            with ExitStack() as stack:
                self.writer.go_on = self.stops.may_write
                pool = reader = None
                if self._in_flight > 1:
                    pool, reader = ThreadPoolExecutor(-(-self._in_flight // self._rows_a_call)), ThreadPoolExecutor(1)
                    stack.callback(reader.shutdown, cancel_futures=True)
                    stack.callback(pool.shutdown, cancel_futures=True)
                if first:
                    self._write_groups(map(self._prepare, [first]), pool)
                    self.notes.append_outcomes()
                    self.check_canary([place for place in first if self.rows[place].result is Result.APPLIED])
                ahead = set(first)
                rest = chunks(array("I", (p for p in pending if p not in ahead)), self.pace.group_size)
                self._write_groups(map(self._prepare, rest) if reader is None else self._ahead(rest, reader), pool)
        except StoppedError:
            with suppress(StoppedError):
                self.notes.append_outcomes()
            raise
        self.notes.append_outcomes()

    def _write_groups(self, groups: Iterable[Prepared], pool: ThreadPoolExecutor | None) -> None:
        """Write group after group; while one is being written, the next is announced and queued behind it."""
        begun: deque[WritesUnderWay] = deque()
        try:
            for prepared in groups:
                group = self._with_proof(prepared)
                self.stops.may_write()
                # What became of an earlier group goes into the same insert, ahead of what is announced now.
                self.notes.append_outcomes(then=group.intents)
                begun.append(self._begin(group, pool))
                while len(begun) > (0 if pool is None else 2):
                    self._finish(begun[0])
                    begun.popleft()
            while begun:
                self._finish(begun[0])
                begun.popleft()
        except (StoppedError, KeyboardInterrupt) as error:
            reason = self.stops.end(error if isinstance(error, StoppedError) else RunInterruptedError())
            for each in begun:
                with suppress(StoppedError):
                    self._finish(each)
            raise reason from error

    def _ahead(self, groups: Iterable[Sequence[int]], reader: ThreadPoolExecutor) -> Iterator[Prepared]:
        """Give group after group; the next one is prepared while the caller works on this one."""
        waiting: Future[Prepared] | None = None
        for group in groups:
            following = reader.submit(self._prepare, group)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()

    def _prepare(self, group: Sequence[int]) -> Prepared:
        """Read a group again, just before it is announced and written."""
        self.stops.may_write()
        at = self.stops.check_clock()
        prepared = Prepared()
        was_sent = any(self.plan.changes[place].id in self.sent_before for place in group)
        for place, each, document in read_again(self.plan, group, writer=self.writer, is_confirmed=was_sent):
            reading = read_change(each, document, own_stamps=self._own_stamps(each))
            if reading.row is RowClass.PRISTINE and document is not None:
                update = guarded_update(each, document, stamp=self.stamp(each.id), at=at)
                prepared.updates.append((place, each, update))
                prepared.intents.append(
                    self.notes.note("intent", intent_body(each, update, document=document), change=each.change)
                )
            else:
                prepared.left_alone.append((place, self._left_alone(each, reading, document)))
        return prepared

    def _left_alone(self, each: ReadyChange, reading: ChangeReading, document: Mapping[str, Any] | None) -> RowResult:
        """What a row is whose write is not begun; one that was sent before may have arrived since it was settled."""
        own = self.stamp(each.id)
        is_other_run = reading.row is RowClass.OURS and reading.stamp != own
        if each.id in self.sent_before and not is_other_run:
            return settled_row(each, document, stamp=own)
        return row_of(each.change, reading)

    def _with_proof(self, group: Prepared) -> Prepared:
        """The group without the rows whose proof no longer holds; asked at the last moment before it is announced.

        Raises:
            StoppedError: The proof could not be asked for.
        """
        lost = self._lost([each.change for _, each, _ in group.updates])
        if not lost:
            return group
        kept = Prepared(left_alone=list(group.left_alone))
        for (place, each, update), intent in zip(group.updates, group.intents, strict=True):
            if each.id in lost:
                self._leave_unproven(place, lost[each.id])
                self._done = (self._done[0] + 1, self._done[1])
            else:
                kept.updates.append((place, each, update))
                kept.intents.append(intent)
        return kept

    def _lost(self, changes: Sequence[Change]) -> Mapping[str, str]:
        try:
            return self.watch.lost(changes)
        except StoppedError:
            raise
        except ReconError as error:
            raise ProofStoppedError(cause=error) from error

    def _leave_unproven(self, place: int, why: str) -> None:
        """Note a row whose proof is gone, at once: it stays known whatever ends the run."""
        change = self.plan.changes[place]
        row = self._surprise(unproven_row(change, why))
        self.notes.keep_outcome(row, change=change)
        self.rows.note(place, row)

    def still_proven(self, pending: Sequence[int]) -> Sequence[int]:
        """What is left to write of a run that is resumed: without the rows whose proof is gone, which are journalled.

        Raises:
            StoppedError: The proof could not be asked for, or it is gone for too many of them.
        """
        lost = self._lost([self.plan.changes[place] for place in pending])
        for place in pending:
            change = self.plan.changes[place]
            if change.id in lost:
                self._leave_unproven(place, lost[change.id])
        self.notes.append_outcomes()
        self.stops.rows = len(pending)
        if lost:
            self.stops.may_write()
        return array("I", (place for place in pending if not self.rows.is_noted(place)))

    @property
    def _in_flight(self) -> int:
        return max(1, min(self.pace.in_flight, self.writer.in_flight_max))

    @property
    def _rows_a_call(self) -> int:
        """How many rows one call writes, so that no more rows than may be are in flight in all of them."""
        return 1 if group_writer(self.writer) is None else -(-self._in_flight // WRITERS)

    def _begin(self, group: Prepared, pool: ThreadPoolExecutor | None) -> WritesUnderWay:
        """Hand the announced writes over, to be carried out in order; without threads they are done at once."""
        begun = WritesUnderWay(group, [])
        for rows in chunks([(each, update) for _, each, update in group.updates], self._rows_a_call):
            if pool is not None:
                begun.found.append(pool.submit(self._try_rows, rows))
            else:
                begun.found.append(Future())
                begun.found[-1].set_result(self._try_rows(rows))
        return begun

    def _finish(self, begun: WritesUnderWay) -> None:
        """Wait for the writes of a group, and note once what became of those whose outcome is known."""
        if begun.is_noted:
            return
        updates = begun.group.updates
        found = [row for each in begun.found for row in each.result()]
        begun.is_noted = True  # From here on at most once: of a file that could not be replaced nothing is known.
        if updates and self.writer.is_buffered:
            self.hooks.step("store.flush:before")
            self.writer.flush()
            self.hooks.step("store.flush:after")
        known = list(begun.group.left_alone)
        known += [(place, row) for (place, _, _), row in zip(updates, found, strict=True) if isinstance(row, RowResult)]
        for place, row in known:
            self.notes.keep_outcome(row, change=self.plan.changes[place])
            self.rows.note(place, row)
        self._done = (self._done[0] + len(known), self._done[1])
        self.pace.progress(*self._done)
        if self.stops.refusals:
            self.pace.refused(self.stops.refusals)
        if self.stops.reason is not None:
            raise self.stops.reason

    def _try_rows(self, rows: Sequence[tuple[ReadyChange, GuardedUpdate]]) -> list[RowResult | StoppedError]:
        """Write the rows of one call; a reason to stop is kept for all, so that every other row is accounted for."""
        try:
            self.stops.may_write()
        except StoppedError as error:
            self.stops.end(error)
            # Nothing was asked of the store for these rows, so they are known not to be written.
            return [row_result(each.change, Result.NOT_REACHED) for each, _ in rows]
        try:
            results = self._asked([update for _, update in rows])
        except (StoppedError, RefusedError) as error:
            return [self._ended(error)] * len(rows)
        return [self._try_row(each, update, result) for (each, update), result in zip(rows, results, strict=True)]

    def _ended(self, error: StoppedError | RefusedError) -> StoppedError:
        return self.stops.end(error if isinstance(error, StoppedError) else CredentialLostError(cause=error))

    def _asked(self, updates: Sequence[GuardedUpdate]) -> Sequence[WriteResult]:
        """Carry out guarded updates, by one call where there are several."""
        self.hooks.step("store.write:before")
        several = group_writer(self.writer) if len(updates) > 1 else None
        results = [self.writer.write(update) for update in updates] if several is None else several(updates)
        self.hooks.step("store.write:after")
        return results

    def _try_row(self, each: ReadyChange, update: GuardedUpdate, result: WriteResult) -> RowResult | StoppedError:
        try:
            return self._row_written(each, update, result)
        except (StoppedError, RefusedError) as error:
            return self._ended(error)

    def _row_written(self, each: ReadyChange, update: GuardedUpdate, result: WriteResult) -> RowResult:
        """What became of a row whose write was asked for; one that only looks busy is asked for again, by itself."""
        stamp, wait = self.stamp(each.id), _FIRST_WAIT_S
        may_be_ours = each.id in self.sent_before
        for tried in range(1, ATTEMPTS_MAX + 1):
            if result.matched:
                return row_result(each.change, Result.APPLIED)
            may_be_ours = may_be_ours or result.is_repeated
            if result.code is not None:
                why = f"was refused by the store: {result.message}"
                return self._surprise(row_result(each.change, Result.FAILED, reason=why, code=result.code))
            read = confirmed_reader(self.writer) if may_be_ours else self.writer.read
            document = read([each.document_id]).get(each.change.payment_id)
            row = self._row_unmatched(each, document, may_be_ours=may_be_ours)
            if row is not None or document is None:
                return self._surprise(row or row_result(each.change, Result.GONE))
            # Only updatedAt or __v moved, or a majority does not see our own write yet: look again, then ask again.
            self.hooks.sleep(wait)
            wait *= 2
            update = guarded_update(each, document, stamp=stamp, at=update.at)
            self.stops.may_write()
            if tried < ATTEMPTS_MAX:
                (result,) = self._asked([update])
        return self._surprise(row_result(each.change, Result.REFUSED, reason="kept changing while it was written"))

    def _row_unmatched(
        self, each: ReadyChange, document: Mapping[str, Any] | None, *, may_be_ours: bool
    ) -> RowResult | None:
        """What a row is that the last update did not match; None where it is as reviewed and can be asked again."""
        stamp = self.stamp(each.id)
        reading = read_change(each, document, own_stamps=(stamp,))
        if reading.stamp == stamp:
            return row_result(each.change, Result.APPLIED)
        if reading.row is RowClass.PRISTINE:
            return None
        found = settled_row(each, document, stamp=stamp) if may_be_ours else row_of(each.change, reading)
        if found.result is Result.MOVED:
            return row_result(each.change, Result.REFUSED, moved=reading.moved)
        return found

    def _surprise(self, row: RowResult) -> RowResult:
        if row.result in _SURPRISES:
            self.stops.count_refusal()
        return row

    def _own_stamps(self, each: ReadyChange) -> Collection[str]:
        return tuple(f"{run}/{each.id}" for run in (*self.own_runs, self.run))

    def check_canary(self, written: Sequence[int]) -> None:
        """Read the first rows again and judge them anew, before anything else is written.

        Raises:
            CanaryError: The break that a row was written for is still there, another one is, or it could not be judged.
            TooManyRefusalsError: Too many of them have moved again by now.
        """
        if not written:
            return
        moved_since = set(self.read_back(written))
        changes = [self.plan.changes[place] for place in written]
        judged = judge_canary(self.plan, changes, judge=self.pace.judge)
        further = further_findings(self.plan, [change.payment_id for change in changes])
        for place, change in zip(written, changes, strict=True):
            if place in moved_since:
                self.stops.count_refusal()
            else:
                verdict = judged.get(change.payment_id)
                check_canary_verdict(change, verdict, further=further.get(change.payment_id, ()))
        self.stops.may_write()

    def read_back(self, written: Sequence[int]) -> Iterator[int]:
        """Give the places of written rows that no longer are as this run wrote them."""
        for group in chunks(written, READ_ROWS):
            for place, each, document in read_again(self.plan, group, writer=self.writer):
                if read_change(each, document, own_stamps=(self.stamp(each.id),)).row is not RowClass.OURS:
                    yield place


def confirmed_reader(writer: PaymentWriter) -> Callable[[Sequence[Any]], Mapping[str, Mapping[str, Any]]]:
    """How a store is asked what became of a write; a store whose every read is confirmed needs no other way."""
    found: Callable[[Sequence[Any]], Mapping[str, Mapping[str, Any]]] = getattr(writer, "read_confirmed", writer.read)
    return found


def group_writer(writer: PaymentWriter) -> Callable[[Sequence[GuardedUpdate]], Sequence[WriteResult]] | None:
    """How a store writes several rows by one call; None where it writes them one by one."""
    found: Callable[[Sequence[GuardedUpdate]], Sequence[WriteResult]] | None = getattr(writer, "write_group", None)
    return found


def read_again(
    plan: Plan, places: Sequence[int], *, writer: PaymentWriter, is_confirmed: bool = False
) -> Iterator[tuple[int, ReadyChange, Mapping[str, Any] | None]]:
    """Read the documents of some changes in one go: place, decoded change, and the document if it is there.

    Args:
        is_confirmed: Whether the answer decides what became of a write.
    """
    read = confirmed_reader(writer) if is_confirmed else writer.read
    ready = [ready_change(plan.changes[place], kind=plan.kind) for place in places]
    documents = read([each.document_id for each in ready]) if ready else {}
    for place, each in zip(places, ready, strict=True):
        yield place, each, documents.get(each.change.payment_id)


def intent_body(each: ReadyChange, update: GuardedUpdate, *, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the journal is told of a guarded update before it is sent: every touched field before and after."""
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


def row_of(change: Change, reading: ChangeReading) -> RowResult:
    """The result of a row that is left alone because of what the re-read shows."""
    results = {
        RowClass.ALREADY: Result.ALREADY, RowClass.OURS: Result.OURS, RowClass.MOVED: Result.MOVED,
        RowClass.GONE: Result.GONE, RowClass.PRISTINE: Result.NOT_REACHED,
    }  # fmt: skip
    return row_result(change, results[reading.row], moved=reading.moved)


def settled_row(each: ReadyChange, document: Mapping[str, Any] | None, *, stamp: str) -> RowResult:
    """What became of a write that may have been sent: by the stamp, never by the value alone.

    Another writer may have written the same value.
    """
    reading = read_change(each, document, own_stamps=(stamp,))
    if document is not None and reading.stamp == stamp:
        return row_result(each.change, Result.APPLIED, moved=reading.moved)
    if reading.row in (RowClass.PRISTINE, RowClass.GONE):
        return row_of(each.change, reading)
    shows_ours = any(
        same(value_at(document or {}, path), value) and not same(value, each.before[path])
        for path, value in each.after.items()
    )
    return row_result(each.change, Result.UNSETTLED if shows_ours else Result.MOVED, moved=reading.moved)


def chunks(several: Sequence[Each], size: int) -> Iterator[Sequence[Each]]:
    """Yield so many at a time, in order."""
    for start in range(0, len(several), max(1, size)):
        yield several[start : start + size]
