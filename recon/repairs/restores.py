"""After a database came back from a dump: which rows went back or vanished, by what the journal says was written.

The journal may be of another time than the data: newer, where it is kept apart or survived, or older, where it came
back with them. Rows then carry stamps that it does not know, or ends of it that were noted elsewhere are not in it, and
what cannot be known is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from recon.core.errors import RefusedError
from recon.core.times import parse_iso
from recon.core.values import STAMP, UPDATED_AT, to_extended, value_at
from recon.runs.states import Result, list_runs, read_run
from recon.runs.stores.journal import Journal, verify_journal

RowState = Literal["vanished", "went back", "came back", "as written", "moved on", "cannot tell"]
STATES: Final[tuple[RowState, ...]] = ("vanished", "went back", "came back", "cannot tell", "moved on", "as written")
"""Worst first."""

LOST: Final[tuple[RowState, ...]] = ("vanished", "went back", "came back")
"""States that say that data of before a write are there again."""

STATE_TEXT: Final[Mapping[RowState, str]] = {
    "vanished": "the journal says that it was written, and it is not there",
    "went back": "it holds what it held before the write, stamp included",
    "came back": "the journal says that it was taken away, and it is there",
    "as written": "it carries the stamp of the write",
    "moved on": "it carries the stamp of a later write",
    "cannot tell": "it is neither as it was before the write nor as it was left, and no stamp says who wrote it",
}


class JournalBehindError(RefusedError):
    """The journal ends before an end of it that was noted elsewhere, so it may lack what a run did."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"The journal is not whole: {why}. What its runs wrote last is not known from it, so no way back was "
            'planned. Bring the journal back from a copy, or see "recon restore check".'
        )


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """The last thing that a run wrote to a record, as the journal says.

    Args:
        at: When its outcome was noted, aware UTC.
        collection: Empty for the payments.
    """

    payment_id: str
    run: str
    change: str
    at: datetime
    document_id: Any
    collection: str
    intent: Mapping[str, Any] = field(repr=False)

    @property
    def stamp(self) -> str:
        """The mark that it left."""
        return f"{self.run}/{self.change}"


@dataclass(frozen=True, slots=True)
class RestoredRow:
    """How it stands with a record that a run wrote to."""

    payment_id: str
    run: str
    at: datetime
    state: RowState
    verdict: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A webhook that came after the dump, and what is to become of it.

    Args:
        is_to_replay: False where a correction credits the payment: a replay as well could credit it twice.
    """

    delivery_id: str
    provider: str
    at: datetime | None
    key: str
    is_to_replay: bool
    why: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, as far as it can be known.

    Args:
        dump_time: As it was given; None where it was to be found.
        kept_until, lost_from: The newest write that is in the data, and the oldest that is not; the dump was taken
            between the two. None where no write says so.
        unknown_stamps: Records that carry a stamp which the journal does not know, by run how many.
        journal_gap: Why the journal is not whole; empty where nothing speaks against it.
        flags: What differs between the journal of flags and their file; ``unread`` says what could not be read.
        deliveries: Webhooks that came after the dump.
    """

    dump_time: datetime | None
    rows: tuple[RestoredRow, ...]
    kept_until: datetime | None
    lost_from: datetime | None
    newer_runs: tuple[str, ...] = ()
    unknown_stamps: Mapping[str, int] = field(default_factory=dict)
    journal_gap: str = ""
    flags: tuple[str, ...] = ()
    deliveries: tuple[Delivered, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[RowState]:
        """Records by state."""
        return Counter(row.state for row in self.rows)

    @property
    def is_behind(self) -> bool:
        """Whether the journal is older than the data, or has lost its end."""
        return bool(self.unknown_stamps) or bool(self.journal_gap)

    @property
    def since(self) -> datetime | None:
        """From when on data may be missing: the dump's time, else the newest write that is still there."""
        return self.dump_time or self.kept_until


def written_rows(journal: Journal) -> tuple[WrittenRow, ...]:
    """The last write to every record that a run wrote to, in the order of the records' names."""
    last: dict[str, WrittenRow] = {}
    for run in list_runs(journal):
        times = {
            entry.note.change: parse_iso(entry.note.at)
            for entry in journal.entries(run=run.run, kinds=("outcome", "settle"))
        }
        for state in read_run(journal, run.run).changes.values():
            at = times.get(state.change)
            if state.result is not Result.APPLIED or state.intent is None or at is None:
                continue
            deed = state.intent.get("deed") or {}
            last[state.payment_id] = WrittenRow(
                state.payment_id, run.run, state.change, at, _document_id(state.intent),
                str(deed.get("collection", "")), state.intent,
            )  # fmt: skip
    return tuple(last[name] for name in sorted(last))


def _document_id(intent: Mapping[str, Any]) -> Any:
    from recon.repairs.deeds import read_document

    return read_document({"_id": intent["document_id"]}, where="journal")["_id"]


def restored_state(row: WrittenRow, document: Mapping[str, Any] | None, *, stamps: Sequence[str]) -> RowState:
    """How it stands with one record.

    Args:
        stamps: Every stamp that the journal knows of this record, the last one included.
    """
    was_removed = (row.intent.get("deed") or {}).get("kind") == "remove"
    if document is None:
        return "as written" if was_removed else "vanished"
    if was_removed:
        return "came back"
    stamp = value_at(document, STAMP)
    if stamp == row.stamp:
        return "as written"
    if _is_as_before(row.intent, document):
        return "went back"
    if isinstance(stamp, str) and stamp in stamps:
        return "went back"
    return "moved on" if isinstance(stamp, str) else "cannot tell"


def _is_as_before(intent: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    before = {path: value for path, value in (intent.get("before") or {}).items() if path != UPDATED_AT}
    return bool(before) and all(to_extended(value_at(document, path)) == value for path, value in before.items())


def judged_rows(
    written: Iterable[WrittenRow], documents: Mapping[str, Mapping[str, Any]], *, stamps: Mapping[str, Sequence[str]]
) -> Iterator[RestoredRow]:
    """How it stands with every record, by what was read of it.

    Args:
        documents: By the journal's name of a record, what is there now.
        stamps: By the same name, every stamp that the journal knows of it.
    """
    for row in written:
        state = restored_state(row, documents.get(row.payment_id), stamps=stamps.get(row.payment_id, ()))
        yield RestoredRow(row.payment_id, row.run, row.at, state, str(row.intent.get("verdict", "")))


def stamps_by_record(journal: Journal) -> dict[str, list[str]]:
    """Every stamp that the journal knows, by the record that it was left in."""
    found: dict[str, list[str]] = {}
    for run in list_runs(journal):
        for state in read_run(journal, run.run, with_intents=False).changes.values():
            if state.intent is not None:
                found.setdefault(state.payment_id, []).append(f"{run.run}/{state.change}")
    return found


def dump_bounds(rows: Iterable[RestoredRow]) -> tuple[datetime | None, datetime | None]:
    """The newest write that is in the data, and the oldest one after it that is not."""
    held = list(rows)
    lost = [row.at for row in held if row.state in LOST]
    kept = [row.at for row in held if row.state == "as written" and (not lost or row.at < max(lost))]
    return max(kept, default=None), min(lost, default=None)


def journal_gap(journal: Journal, noted: Iterable[tuple[str, int, str]]) -> str:
    """Why a journal is not as far as it once was; empty where every noted end is in it.

    Args:
        noted: Ends noted elsewhere: where, number and hash.
    """
    check = verify_journal(journal, noted=noted)
    return "" if check.is_whole else f"entry {check.broken_seq}: {check.why}"


def check_journal_reaches(journal: Journal, noted: Iterable[tuple[str, int, str]]) -> None:
    """Refuse to conclude what a run did from a journal that was further once.

    Raises:
        JournalBehindError: An end that was noted elsewhere is not in it.
    """
    if why := journal_gap(journal, noted):
        raise JournalBehindError(why=why)


def delivered(rows: Iterable[Mapping[str, Any]], *, corrected: Iterable[str], since_ms: int) -> Iterator[Delivered]:
    """What is to become of the webhooks that came after a dump, oldest first.

    Args:
        rows: Rows of deliveries.
        corrected: Keys (request ids, references, external ids) of payments that a correction credits.
    """
    from recon.core.times import from_ms

    credited = set(corrected)
    for row in sorted(rows, key=lambda each: (each.get("received_at") or 0, str(each.get("delivery_id")))):
        at = row.get("received_at")
        if at is not None and at < since_ms:
            continue
        keys = [str(row[name]) for name in ("request_id", "reference", "external_id") if row.get(name)]
        is_credited = bool(credited & set(keys))
        why = "a correction credits it: only one of the two may" if is_credited else "no correction is planned for it"
        yield Delivered(
            str(row.get("delivery_id") or ""), str(row.get("provider") or ""), None if at is None else from_ms(at),
            keys[0] if keys else "", not is_credited, why,
        )  # fmt: skip
