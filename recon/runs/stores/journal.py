"""What runs tried and did: an append-only list of entries, each naming the hash of the one before.

An entry is one line of canonical JSON; its hash is the sha256 of that line, which holds its number and the hash before
it. In MongoDB the collection ``recon_journal`` is the authority, and the number is the ``_id``, so two writers can
never append at the same place: the later one learns that it lost its lease. The embedded store keeps the same lines
in a file with fsync.

Kinds: ``run`` and ``resume`` open, ``intent`` comes before a write and holds the touched fields before and after,
``outcome`` after it, ``settle`` is a person's word on an unsettled change, ``end`` closes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from recon.core.errors import RefusedError, SourceError, StoppedError
from recon.files import GENESIS, ChainedLog, LogEnd, LogLine
from recon.runs.stores.lease import FileLeases, LeaseStore, MongoLeases
from recon.runs.stores.retry import Retry, asked, error_name, read_only_refused

if TYPE_CHECKING:
    from pymongo.database import Database

FORMAT: Final = 1
JOURNAL_COLLECTION: Final = "recon_journal"
LEASE_COLLECTION: Final = "recon_lease"
LEASE_NAME: Final = "recon_journal"
"""The one lease of a journal: its holder may append, and so may write."""

_PAGE: Final = 1000
_ENCODER: Final = msgspec.json.Encoder(order="sorted")  # keys in one order, no spaces, UTF-8
_TRIES: Final = 100
_WAIT_S: Final = 0.05


class JournalTakenError(StoppedError):
    """Another writer appended to the journal, so this one no longer holds the lease."""

    def __init__(self, *, seq: int) -> None:
        super().__init__(
            f"The journal already has an entry {seq} that this run did not write, so another run took over; no further "
            'write was started. "recon runs" shows both, "recon apply --resume" continues this one.'
        )


class JournalFailedError(StoppedError):
    """The journal could not be written, so nothing more may be."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"The journal cannot be written ({why}); what it holds is whole, and no write was started that it does not "
            'know. Remove the cause and continue with "recon apply --resume".'
        )


class BrokenJournalError(RefusedError):
    """The journal was edited or lost entries, so nothing may be concluded from it."""

    def __init__(self, *, seq: int, why: str) -> None:
        super().__init__(
            f"The journal is broken at entry {seq}: {why}; nothing was written. "
            'Keep a copy as evidence; "recon journal verify" checks it again.'
        )


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be appended: an entry without its place in the chain."""

    run: str
    kind: str
    at: str
    body: Mapping[str, Any]
    token: int = 0
    change: str | None = None
    payment: str | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the journal as it stands there."""

    seq: int
    prev: str
    note: Note
    text: str
    hash: str


@dataclass(frozen=True, slots=True)
class JournalCheck:
    """What a verification found; ``broken_seq`` is the first entry that does not fit.

    Args:
        noted: How many noted ends the chain was held against; ``noted_seq`` is the newest one's entry.
    """

    entries: int
    head: str
    broken_seq: int | None = None
    why: str | None = None
    noted: int = 0
    noted_seq: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every entry fits the one before it."""
        return self.broken_seq is None


class Journal(Protocol):
    """Where runs leave what they tried and did."""

    leases: LeaseStore

    def append(self, notes: Sequence[Note]) -> tuple[JournalEntry, ...]:
        """Append in order, durably, all or (if it raises) at most the first ones."""
        ...

    def entries(self, *, run: str | None = None, kinds: Sequence[str] = ()) -> Iterator[JournalEntry]:
        """Yield entries in order, those of one run or of some kinds only if asked; each is checked by itself."""
        ...

    def lines(self) -> Iterator[tuple[int, str, str, Mapping[str, Any]]]:
        """Yield every stored line raw, in order: number, text, hash and the fields kept beside the text."""
        ...

    def refresh(self) -> int:
        """Read the end of the chain again and give its number; called after taking the lease."""
        ...


def make_entry(note: Note, *, seq: int, prev: str) -> JournalEntry:
    """Give a note its place in the chain."""
    line = {
        "v": FORMAT, "seq": seq, "prev": prev, "token": note.token, "run": note.run, "kind": note.kind, "at": note.at,
        "change": note.change, "payment": note.payment, "body": note.body,
    }  # fmt: skip
    try:
        text = _ENCODER.encode(line).decode()
    except UnicodeError:
        # Half a surrogate pair is no UTF-8; escaped it is at least readable.
        text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return JournalEntry(seq, prev, note, text, hashlib.sha256(text.encode()).hexdigest())


def parse_entry(text: str, *, seq: int) -> JournalEntry:
    """Read one line.

    Raises:
        BrokenJournalError: It is no line of a journal, or of another format.
    """
    try:
        line = json.loads(text)
        note = Note(
            run=line["run"], kind=line["kind"], at=line["at"], body=line["body"], token=line["token"],
            change=line["change"], payment=line["payment"],
        )  # fmt: skip
        version, number, prev = line["v"], line["seq"], line["prev"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenJournalError(seq=seq, why="it is no journal entry") from error
    if version != FORMAT or number != seq or not isinstance(note.body, dict):
        raise BrokenJournalError(seq=seq, why=f"it says format {version!r} and number {number!r}")
    return JournalEntry(seq, prev, note, text, hashlib.sha256(text.encode()).hexdigest())


def verify_journal(
    journal: Journal, *, head: str | None = None, noted: Iterable[tuple[str, int, str]] = ()
) -> JournalCheck:
    """Check the whole chain: every line fits its hash, its number and the line before it.

    Args:
        head: A hash noted earlier (every run report names one); it must still be in the chain, which shows a cut end.
        noted: Ends noted elsewhere: where, number and hash; each must still be in the chain.
    """
    prev, count, seen_head = GENESIS, 0, head is None or head == GENESIS
    wanted = sorted(noted, key=lambda each: (-each[1], each[0]))
    hashes = {0: GENESIS}
    numbers = {number for _, number, _ in wanted}
    for seq, text, stored_hash, beside in journal.lines():
        why = _misfit((seq, text, stored_hash), beside, prev=prev, expected_seq=count + 1)
        if why:
            return JournalCheck(count, prev, count + 1, why)
        prev, count = stored_hash, count + 1
        seen_head = seen_head or stored_hash == head
        if count in numbers:
            hashes[count] = stored_hash
    if not seen_head:
        return JournalCheck(count, prev, count + 1, "the entry with the given hash is no longer there")
    for where, number, digest in wanted:
        if number > count:
            return JournalCheck(count, prev, count + 1, f"its end is gone: {where} noted entry {number}")
        if hashes[number] != digest:
            return JournalCheck(number - 1, prev, number, f"it is another entry than {where} noted")
    return JournalCheck(count, prev, noted=len(wanted), noted_seq=wanted[0][1] if wanted else 0)


def _misfit(line: tuple[int, str, str], beside: Mapping[str, Any], *, prev: str, expected_seq: int) -> str | None:
    seq, text, stored_hash = line
    if seq != expected_seq:
        return f"entry {expected_seq} is missing, the next one there is {seq}"
    try:
        entry = parse_entry(text, seq=seq)
    except BrokenJournalError as error:
        return str(error).partition(": ")[2].partition(";")[0]
    if entry.hash != stored_hash:
        return "its text does not fit its hash"
    if entry.prev != prev:
        return "it does not name the hash of the entry before it"
    if any(value != getattr(entry.note, key) for key, value in beside.items()):
        return "the fields beside its text say something else than the text"
    return None


class MongoJournal:
    """The journal in the database it is about, next to its leases."""

    def __init__(
        self,
        database: Database[Any],
        *,
        name: str = JOURNAL_COLLECTION,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from pymongo import ReadPreference, WriteConcern
        from pymongo.read_concern import ReadConcern

        self._collection = database.get_collection(
            name,
            write_concern=WriteConcern(w="majority"),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._retry, self._sleep = retry or Retry(), sleep
        self._head: tuple[int, str] | None = None
        self._is_indexed = False
        self.leases: LeaseStore = MongoLeases(database.get_collection(LEASE_COLLECTION), retry=self._retry)

    def refresh(self) -> int:
        """See :meth:`Journal.refresh`."""
        with asked(self._collection.full_name, what="read the journal"):
            last = self._retry.run(
                lambda: list(self._collection.find({}, {"hash": 1}).sort("_id", -1).limit(1)), what="the journal's end"
            )
        self._head = (int(last[0]["_id"]), str(last[0]["hash"])) if last else (0, GENESIS)
        return self._head[0]

    def end(self) -> tuple[int, str]:
        """The number of the last entry and its hash, read anew."""
        self.refresh()
        assert self._head is not None
        return self._head

    def append(self, notes: Sequence[Note]) -> tuple[JournalEntry, ...]:
        """See :meth:`Journal.append`: one majority insert.

        Raises:
            JournalTakenError: Another writer has appended since.
            JournalFailedError: The server refuses the entries.
            StoreGoneError: The store does not answer.
        """
        from bson import Int64
        from pymongo.errors import PyMongoError

        self._index()
        if self._head is None:
            try:
                self.refresh()
            except SourceError as error:
                raise JournalFailedError(why=str(error)) from error
        assert self._head is not None
        made = chained_entries(notes, seq=self._head[0], prev=self._head[1])
        rows = [
            {"_id": Int64(e.seq), "run": e.note.run, "kind": e.note.kind, "change": e.note.change,
             "payment": e.note.payment, "hash": e.hash, "text": e.text}
            for e in made
        ]  # fmt: skip
        try:
            with read_only_refused(self._collection.full_name, what="write the journal"):
                self._retry.run(lambda: self._insert(rows), what="the journal")
        except PyMongoError as error:
            self._head = None
            raise JournalFailedError(why=error_name(error)) from error
        if made:
            self._head = (made[-1].seq, made[-1].hash)
        return made

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        """Insert what is not there yet; after a lost answer the next try finds its own entries."""
        from pymongo.errors import BulkWriteError

        rest = rows
        for _ in range(_TRIES):
            try:
                if rest:
                    self._collection.insert_many(rest, ordered=True)
                return
            except BulkWriteError as error:
                codes = [int(row.get("code", 0)) for row in error.details.get("writeErrors", ())]
                if codes and codes[0] != 11000:
                    raise JournalFailedError(why=f"error {codes[0]}") from error
            there = self._committed(rows)
            for row in rows:
                if there.get(row["_id"], row["hash"]) != row["hash"]:
                    raise JournalTakenError(seq=int(row["_id"]))
            rest = [row for row in rows if row["_id"] not in there]
            self._sleep(_WAIT_S)
        raise JournalFailedError(why="no majority confirmed it")

    def _committed(self, rows: Sequence[Mapping[str, Any]]) -> dict[Any, Any]:
        span = {"_id": {"$gte": rows[0]["_id"], "$lte": rows[-1]["_id"]}}
        return {row["_id"]: row["hash"] for row in self._collection.find(span, {"hash": 1})}

    def _index(self) -> None:
        if not self._is_indexed:
            with asked(self._collection.full_name, what="write the journal"):
                for keys in ([("run", 1), ("_id", 1)], [("kind", 1), ("_id", 1)]):
                    self._retry.run(lambda keys=keys: self._collection.create_index(keys), what="the journal")  # type: ignore[misc]
            self._is_indexed = True

    def entries(self, *, run: str | None = None, kinds: Sequence[str] = ()) -> Iterator[JournalEntry]:
        """See :meth:`Journal.entries`."""
        query: dict[str, Any] = {} if run is None else {"run": run}
        if kinds:
            query["kind"] = {"$in": list(kinds)}
        for row in self._pages(query):
            seq, text = int(row["_id"]), str(row.get("text"))
            yield checked_entry(text, seq=seq, stored_hash=str(row.get("hash")))

    def lines(self) -> Iterator[tuple[int, str, str, Mapping[str, Any]]]:
        """See :meth:`Journal.lines`."""
        for row in self._pages({}):
            beside = {key: row.get(key) for key in ("run", "kind", "change", "payment")}
            yield int(row["_id"]), str(row.get("text")), str(row.get("hash")), beside

    def _pages(self, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        after = -1
        while True:
            with asked(self._collection.full_name, what="read the journal"):
                page = self._retry.run(
                    lambda after=after: list(  # type: ignore[misc]
                        self._collection.find({**query, "_id": {"$gt": after}}).sort("_id", 1).limit(_PAGE)
                    ),
                    what="the journal",
                )
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1]["_id"]


@dataclass(slots=True)
class FileJournal:
    """The journal of the embedded store: one line an entry, hash first, appended with fsync."""

    directory: Path
    leases: LeaseStore = field(init=False)
    _log: ChainedLog = field(init=False)
    _head: tuple[int, str] | None = None
    _size: int = 0

    def __post_init__(self) -> None:
        self.leases = FileLeases(self.directory)
        # Its holder of the lease is the only writer, so a torn line belongs to no run and is cut off.
        self._log = ChainedLog(self.directory / "journal.ndjson", cuts_torn=True)

    def refresh(self) -> int:
        """See :meth:`Journal.refresh`. A torn last line was never acknowledged, so it does not count."""
        seq, prev, size = 0, GENESIS, 0
        for line in self._whole_lines():
            seq, prev, size = seq + 1, line.raw[:64].decode("ascii", "replace"), line.end
        self._head, self._size = (seq, prev), size
        return seq

    def end(self) -> tuple[int, str]:
        """See :meth:`MongoJournal.end`."""
        self.refresh()
        assert self._head is not None
        return self._head

    def append(self, notes: Sequence[Note]) -> tuple[JournalEntry, ...]:
        """See :meth:`Journal.append`."""
        if self._head is None:
            self.refresh()
        assert self._head is not None
        seq, prev = self._head
        made = chained_entries(notes, seq=seq, prev=prev)
        data = "".join(f"{entry.hash} {entry.text}\n" for entry in made).encode()

        def seal(end: LogEnd) -> bytes:
            if end.size - len(end.torn) != self._size:
                raise JournalTakenError(seq=seq + 1)
            return data

        try:
            self._log.append(seal)
        except OSError as error:
            self._head = None
            raise JournalFailedError(why=os.strerror(error.errno or 0)) from error
        self._size += len(data)
        if made:
            self._head = (made[-1].seq, made[-1].hash)
        return made

    def entries(self, *, run: str | None = None, kinds: Sequence[str] = ()) -> Iterator[JournalEntry]:
        """See :meth:`Journal.entries`."""
        for seq, text, stored_hash, _ in self.lines():
            entry = checked_entry(text, seq=seq, stored_hash=stored_hash)
            if (run is None or entry.note.run == run) and (not kinds or entry.note.kind in kinds):
                yield entry

    def lines(self) -> Iterator[tuple[int, str, str, Mapping[str, Any]]]:
        """See :meth:`Journal.lines`."""
        for line in self._whole_lines():
            stored_hash, _, text = line.raw.decode("utf-8", "replace").partition(" ")
            yield line.number, text, stored_hash, {}

    def _whole_lines(self) -> Iterator[LogLine]:
        return (line for line in self._log.lines() if line.is_whole)


def chained_entries(notes: Iterable[Note], *, seq: int, prev: str) -> tuple[JournalEntry, ...]:
    """Give notes their places behind the entry of a number and a hash."""
    made = []
    for note in notes:
        entry = make_entry(note, seq=seq + 1, prev=prev)
        seq, prev = entry.seq, entry.hash
        made.append(entry)
    return tuple(made)


def checked_entry(text: str, *, seq: int, stored_hash: str) -> JournalEntry:
    """Read one line and hold it against the hash that is stored with it.

    Raises:
        BrokenJournalError: It does not fit, or is no line of a journal.
    """
    entry = parse_entry(text, seq=seq)
    if entry.hash != stored_hash:
        raise BrokenJournalError(seq=seq, why="its text does not fit its hash")
    return entry
