"""What became of runs, read back from the journal: per row, per run, and which payments other runs must leave."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, overload

from recon.core.errors import UsageError
from recon.core.model import Change
from recon.core.people import Person, Signer
from recon.core.times import millisecond_text
from recon.runs.guard import MovedField
from recon.runs.stores.journal import LEASE_NAME, Journal, JournalEntry, Note
from recon.runs.stores.lease import held_lease


class Result(StrEnum):
    """What became of one change."""

    APPLIED = "applied"
    ALREADY = "already"
    OURS = "ours"
    MOVED = "moved"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"
    BLOCKED = "blocked"
    UNPROVEN = "unproven"
    UNSETTLED = "unsettled"
    NOT_PICKED = "not_picked"
    NOT_REACHED = "not_reached"
    OPEN = "open"


RESULT_TEXT: Final[dict[Result, str]] = {
    Result.APPLIED: "written by this run",
    Result.ALREADY: "was already as the plan wants it",
    Result.OURS: "was written by an earlier run of this plan",
    Result.MOVED: "had moved since the review, left alone",
    Result.GONE: "is no longer there",
    Result.REFUSED: "moved at the very moment of the write, left alone",
    Result.FAILED: "was refused by the store",
    Result.BLOCKED: "belongs to an unsettled run, left alone",
    Result.UNPROVEN: "is no longer proven, left alone",
    Result.UNSETTLED: "shows our values without our stamp; a person must decide",
    Result.NOT_PICKED: "needs to be picked by payment",
    Result.NOT_REACHED: "was not reached before the run ended",
    Result.OPEN: "was announced, and nobody knows yet whether it was written; resuming the run settles it",
}

FINAL: Final = frozenset(
    {
        Result.APPLIED, Result.ALREADY, Result.MOVED, Result.GONE, Result.REFUSED, Result.FAILED, Result.UNPROVEN,
        Result.UNSETTLED,
    }
)  # fmt: skip
"""Results after which resuming does not take the row up again."""


class UnknownRunError(UsageError):
    """The journal knows no such run."""

    def __init__(self, *, run: str) -> None:
        super().__init__(f'The journal knows no run {run!r}; nothing was written. "recon runs" lists them.')


class NotUnsettledError(UsageError):
    """Only an unsettled change waits for a person's decision."""

    def __init__(self, *, run: str, payment: str) -> None:
        super().__init__(f'{payment} has no unsettled change in run {run}; nothing was recorded. See "recon runs".')


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one change of the plan, with three values for every field that moved."""

    change: str
    payment_id: str
    verdict: str
    result: Result
    reason: str
    moved: tuple[MovedField, ...] = ()
    code: int | None = None


def row_result(
    change: Change,
    result: Result,
    *,
    reason: str | None = None,
    moved: tuple[MovedField, ...] = (),
    code: int | None = None,
) -> RowResult:
    """What became of a change, in the words that go with it unless others are given."""
    words = reason or RESULT_TEXT[result]
    return RowResult(change.id, change.payment_id, str(change.verdict), result, words, moved, code)


def unproven_row(change: Change, why: str) -> RowResult:
    """A row that is left alone because what its change rests on no longer holds."""
    return row_result(change, Result.UNPROVEN, reason=f"{RESULT_TEXT[Result.UNPROVEN]}: {why}")


_CODES: Final = {result: number for number, result in enumerate(Result, start=1)}
_RESULTS: Final = (Result.NOT_REACHED, *Result)


class RowResults(Sequence[RowResult]):
    """What became of each change of a plan, in the plan's order; a row without a note was not reached.

    A result takes one byte, so that a run of any length keeps its memory; only one that has more to say (fields that
    moved, an error, a reason of its own) is held whole.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._codes = bytearray(len(changes))
        self._told: dict[int, RowResult] = {}

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, place: int) -> RowResult: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[RowResult, ...]: ...
    def __getitem__(self, place: int | slice) -> RowResult | tuple[RowResult, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        at = range(len(self))[place]
        return self._told.get(at) or row_result(self._changes[at], _RESULTS[self._codes[at]])

    def note(self, place: int, row: RowResult) -> None:
        """Keep what became of the change at a place of the plan."""
        self._codes[place] = _CODES[row.result]
        if row.moved or row.code is not None or row.reason != RESULT_TEXT[row.result]:
            self._told[place] = row
        else:
            self._told.pop(place, None)

    def is_noted(self, place: int) -> bool:
        """Whether it is noted what became of the change there."""
        return self._codes[place] != 0

    def places(self, result: Result) -> array[int]:
        """Where in the plan the changes with this result are."""
        code = _CODES[result]
        return array("I", (place for place, found in enumerate(self._codes) if found == code))

    def counts(self) -> Counter[Result]:
        """Rows by result."""
        found: Counter[Result] = Counter()
        for code, count in Counter(self._codes).items():
            found[_RESULTS[code]] += count
        return found


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run as the journal tells it.

    Args:
        state: ``done``, ``stopped``, or ``open`` when nothing says that it ended (it runs, or it was interrupted).
        counts: Rows by result, as the last end of the run says.
        unsettled: Rows that wait for a person, or whose write was never followed up; None while the run is open.
        undoes: The run that this one took back.
        lost: Rows that carry stamps of it which the journal does not know, where rows were asked.
    """

    run: str
    kind: str
    plan: str
    effects: str
    started_at: str
    ended_at: str | None
    state: str
    counts: Mapping[str, int]
    unsettled: int | None
    operator: str
    undoes: str | None
    compared: int
    lost: int = 0


@dataclass(slots=True)
class ChangeState:
    """Where one change of a run stands: its last intent, and what was said of it since."""

    change: str
    payment_id: str
    order: int
    intent: Mapping[str, Any] | None = None
    result: Result | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether a write was announced and nothing says what became of it."""
        return self.intent is not None and self.result is None

    @property
    def blocks(self) -> bool:
        """Whether no other run may write to this payment meanwhile."""
        return self.is_open or self.result is Result.UNSETTLED


@dataclass(slots=True)
class RunState:
    """One run read back whole.

    Args:
        has_ended: Whether the journal holds its end, after the last time that it was taken up.
        lost: Stamps of it in rows that the journal does not know, where rows were asked.
    """

    run: str
    plan: str
    opening: Mapping[str, Any]
    changes: dict[str, ChangeState]
    has_ended: bool = False
    lost: tuple[str, ...] = ()


def list_runs(journal: Journal) -> tuple[RunSummary, ...]:
    """All runs in the order in which they began."""
    opened: dict[str, JournalEntry] = {}
    ended: dict[str, JournalEntry | None] = {}
    decided: dict[str, int] = {}
    for entry in journal.entries(kinds=("run", "resume", "settle", "end")):
        run = entry.note.run
        if entry.note.kind == "run":
            opened[run] = entry
        elif entry.note.kind == "settle":
            decided[run] = decided.get(run, 0) + 1
        else:
            ended[run] = entry if entry.note.kind == "end" else None
            decided[run] = 0
    return tuple(_summary(entry, ended.get(run), decided.get(run, 0)) for run, entry in opened.items())


def _summary(opening: JournalEntry, end: JournalEntry | None, decided: int) -> RunSummary:
    body, last = opening.note.body, {} if end is None else end.note.body
    return RunSummary(
        run=opening.note.run,
        kind=str(body.get("kind")),
        plan=str(body.get("plan")),
        effects=str(body.get("effects")),
        started_at=opening.note.at,
        ended_at=None if end is None else end.note.at,
        state=str(last.get("state", "open")),
        counts=dict(last.get("counts", {})),
        unsettled=None if end is None else max(0, int(last.get("unsettled", 0)) - decided),
        operator=str(body.get("operator", "")),
        undoes=body.get("undoes"),
        compared=int(body.get("compared", 0)),
    )


def lost_run(run: str, *, rows: int) -> RunSummary:
    """A run that only the stamps in rows know of."""
    return RunSummary(run, "?", "?", "?", "", None, "lost", {}, None, "", None, 0, lost=rows)


def read_run(journal: Journal, run: str, *, with_intents: bool = True) -> RunState:
    """Read one run back.

    Args:
        with_intents: Whether to keep what each intent says; without, a run of any length takes little memory.

    Raises:
        UnknownRunError: The journal knows no such run.
    """
    opening: Mapping[str, Any] | None = None
    changes: dict[str, ChangeState] = {}
    has_ended = False
    for entry in journal.entries(run=run):
        note = entry.note
        has_ended = note.kind == "end" or (has_ended and note.kind == "settle")
        if note.kind == "run":
            opening = note.body
        if note.change is None:
            continue
        state = changes.setdefault(note.change, ChangeState(note.change, str(note.payment), entry.seq))
        if note.kind == "intent":
            state.intent, state.result, state.outcome = note.body if with_intents else {}, None, {}
        elif note.kind in ("outcome", "settle"):
            state.result, state.outcome = Result(note.body["result"]), note.body
    if opening is None:
        raise UnknownRunError(run=run)
    return RunState(run, str(opening.get("plan")), opening, changes, has_ended)


def blocked_payments(journal: Journal, *, but: str | None = None) -> dict[str, str]:
    """Payments that an unfinished or unsettled run holds, with that run; ``but`` names the run that may go on."""
    held: dict[str, str] = {}
    for run in list_runs(journal):
        if run.run != but and run.unsettled != 0:
            held.update(
                (state.payment_id, run.run)
                for state in read_run(journal, run.run, with_intents=False).changes.values()
                if state.blocks
            )
    return held


def runs_of_plan(journal: Journal, digest: str) -> tuple[str, ...]:
    """The runs that applied exactly the plan of a digest."""
    return tuple(run.run for run in list_runs(journal) if run.plan == digest)


def free_run_name(journal: Journal, digest: str, *, now: datetime) -> str:
    """A name for a new run of the plan of a digest: its second and the beginning of the digest."""
    taken = {run.run for run in list_runs(journal)}
    base = f"{now:%Y%m%dT%H%M%SZ}-{digest[:8]}"
    return next(name for number in range(1, len(taken) + 2) if (name := f"{base}-{number}") not in taken)


def unsettled_changes(journal: Journal, *, run: str) -> Iterator[ChangeState]:
    """The changes of a run that wait for a person, in order."""
    states = read_run(journal, run).changes.values()
    yield from (state for state in states if state.result is Result.UNSETTLED)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on an unsettled change: did this run write the values, or another writer?

    Args:
        signed: What was signed of it, with the signature; empty where nothing is signed.
        signer: Who signed, as far as that was checked.
    """

    who: str
    reason: str
    written_by_run: bool
    signed: Mapping[str, Any] = field(default_factory=dict)
    signer: Signer | None = None

    @property
    def person(self) -> Person:
        """Whose word it is."""
        return Person(self.who, self.signer)


def settle_change(journal: Journal, *, run: str, payment: str, decision: Decision, now: datetime) -> None:
    """Record a person's decision on an unsettled change; it frees the payment for other runs.

    Raises:
        NotUnsettledError: The run has no unsettled change of this payment.
        LeaseHeldError: A run is writing.
    """
    with held_lease(journal.leases, target=LEASE_NAME) as lease:
        journal.refresh()
        waiting = [state for state in unsettled_changes(journal, run=run) if state.payment_id == payment]
        if not waiting:
            raise NotUnsettledError(run=run, payment=payment)
        result = Result.APPLIED if decision.written_by_run else Result.MOVED
        body: dict[str, Any] = {"result": result.value, "who": decision.who, "reason": decision.reason}
        if decision.signed:
            body["signed"] = dict(decision.signed)
        at = millisecond_text(now)
        journal.append(
            [Note(run, "settle", at, body, lease.token, state.change, state.payment_id) for state in waiting]
        )
