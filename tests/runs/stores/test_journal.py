"""The journal only grows, shows every edit, and belongs to one writer at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect

from recon.files import GENESIS
from recon.runs.guard import MovedField
from recon.runs.notes import outcome_body
from recon.runs.states import Result, RowResult
from recon.runs.stores.journal import (
    BrokenJournalError,
    FileJournal,
    Journal,
    JournalFailedError,
    JournalTakenError,
    MongoJournal,
    Note,
    make_entry,
    verify_journal,
)
from recon.runs.stores.lease import (
    FileLeases,
    Lease,
    LeaseHeldError,
    LeaseLostError,
    MongoLeases,
    held_lease,
    this_process,
)
from recon.runs.stores.retry import Retry
from recon.runs.stores.sql.journal import SqlJournal
from recon.runs.stores.sql.own_tables import make_own_tables
from tests.support.sql_stores import sqlite_place

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]


def notes(count: int, *, run: str = "r1", kind: str = "intent", first: int = 0) -> list[Note]:
    return [
        Note(run, kind, "2026-11-20T12:00:00.000Z", {"n": first + n, "v": None}, 1, f"c{first + n}", f"p{first + n}")
        for n in range(count)
    ]


@pytest.fixture(params=["mongo", "file", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    """Opens the same journal again, as another process would."""
    if request.param == "file":
        yield lambda: FileJournal(tmp_path)
    elif request.param in ("sqlite", "postgres"):
        place = sqlite_place(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_at")()
        make_own_tables(place.shared)
        yield place.journal
        place.close()
    else:
        database = request.getfixturevalue("mongo_database")
        yield lambda: MongoJournal(database)


def test_entries_come_back_in_order_and_by_run_and_kind(reopen: Callable[[], Journal]) -> None:
    journal = reopen()
    journal.append([*notes(3), *notes(2, run="r2", kind="outcome", first=3)])
    journal.append(notes(1, first=5))
    journal.append([])
    assert [entry.seq for entry in reopen().entries()] == [1, 2, 3, 4, 5, 6]
    assert [entry.note for entry in reopen().entries(run="r1")] == [*notes(3), *notes(1, first=5)]
    assert [entry.note.run for entry in reopen().entries(kinds=("outcome",))] == ["r2", "r2"]


def test_each_entry_names_the_hash_of_the_one_before(reopen: Callable[[], Journal]) -> None:
    reopen().append(notes(2))
    reopen().append(notes(2, first=2))
    entries = list(reopen().entries())
    assert [entry.prev for entry in entries] == [GENESIS, *(entry.hash for entry in entries[:-1])]
    assert entries[0].hash == hashlib.sha256(entries[0].text.encode()).hexdigest()
    check = verify_journal(reopen(), head=entries[1].hash)
    assert (check.entries, check.head, check.is_whole) == (4, entries[-1].hash, True)
    assert verify_journal(reopen(), head=GENESIS).is_whole


def test_of_two_writers_the_late_one_learns_that_the_place_is_taken(reopen: Callable[[], Journal]) -> None:
    first, second = reopen(), reopen()
    first.append(notes(1))
    second.append(notes(1, run="r2", first=1))
    with pytest.raises(JournalTakenError, match="entry 2 that this run did not write"):
        first.append(notes(3, first=2))
    first.refresh()
    first.append(notes(1, first=2))
    assert verify_journal(reopen()).entries == 3


EDITS: dict[str, Callable[[Store], Any]] = {
    "text": lambda db: db.recon_journal.update_one(
        {"_id": 3}, [{"$set": {"text": {"$replaceOne": {"input": "$text", "find": '"n":2', "replacement": '"n":9'}}}}]
    ),
    "hash": lambda db: db.recon_journal.update_one({"_id": 3}, {"$set": {"hash": "0" * 64}}),
    "payment": lambda db: db.recon_journal.update_one({"_id": 3}, {"$set": {"payment": "other"}}),
    "gone": lambda db: db.recon_journal.delete_one({"_id": 3}),
    "no text": lambda db: db.recon_journal.update_one({"_id": 3}, {"$unset": {"text": ""}}),
    "rewritten": lambda db: db.recon_journal.update_one({"_id": 3}, {"$set": rewritten(db)}),
    "moved": lambda db: db.recon_journal.insert_one(
        {**(db.recon_journal.find_one_and_delete({"_id": 3}) or {}), "_id": 99}
    ),
}


def rewritten(database: Store) -> dict[str, Any]:
    """An edit that fits itself: text and hash anew, but not the chain after it."""
    text = json.loads((database.recon_journal.find_one({"_id": 2}) or {})["text"])
    entry = make_entry(
        replace(notes(1, first=2)[0], body={"n": 9}), seq=3, prev=hashlib.sha256(canonical(text).encode()).hexdigest()
    )
    return {"text": entry.text, "hash": entry.hash}


def canonical(line: dict[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_is_found_and_its_first_entry_named(mongo_database: Store, edit: str) -> None:
    MongoJournal(mongo_database).append(notes(6))
    EDITS[edit](mongo_database)
    check = verify_journal(MongoJournal(mongo_database))
    assert not check.is_whole
    assert check.broken_seq == (4 if edit == "rewritten" else 3)
    assert check.why


def test_a_cut_end_is_found_by_a_head_noted_earlier(mongo_database: Store) -> None:
    head = MongoJournal(mongo_database).append(notes(6))[-1].hash
    mongo_database.recon_journal.delete_one({"_id": 6})
    assert verify_journal(MongoJournal(mongo_database)).is_whole
    check = verify_journal(MongoJournal(mongo_database), head=head)
    assert check.broken_seq == 6
    assert "no longer there" in str(check.why)


def test_an_edited_entry_is_never_concluded_from(mongo_database: Store) -> None:
    MongoJournal(mongo_database).append(notes(3))
    EDITS["text"](mongo_database)
    with pytest.raises(
        BrokenJournalError, match="broken at entry 3: its text does not fit its hash; nothing was written"
    ):
        list(MongoJournal(mongo_database).entries(run="r1"))


def test_a_lost_answer_makes_no_second_entry(mongo_database: Store) -> None:
    """The insert happened, its answer did not arrive, and the driver's own retry failed as well."""
    journal = MongoJournal(mongo_database)
    journal.append(notes(1))
    insert, lost = journal._collection.insert_many, []

    class Lossy:
        def __getattr__(self, name: str) -> Any:
            return getattr(mongo_database.recon_journal, name)

        def insert_many(self, rows: list[Any], **options: Any) -> Any:
            answer = insert(rows[:2] if not lost else rows, **options)
            if not lost:
                lost.append(1)
                raise AutoReconnect("connection reset")
            return answer

    journal._collection = Lossy()  # type: ignore[assignment]
    journal.append(notes(4, first=1))
    assert [entry.note.change for entry in MongoJournal(mongo_database).entries()] == ["c0", "c1", "c2", "c3", "c4"]
    assert verify_journal(MongoJournal(mongo_database)).is_whole


# The file


def test_a_torn_last_line_was_never_acknowledged_and_is_cut_off(tmp_path: Path) -> None:
    FileJournal(tmp_path).append(notes(3))
    path = tmp_path / "journal.ndjson"
    whole = path.read_bytes()
    path.write_bytes(whole + b"0123456789abcdef half a li")
    assert len(list(FileJournal(tmp_path).entries())) == 3
    assert verify_journal(FileJournal(tmp_path)).is_whole
    FileJournal(tmp_path).append(notes(1, first=3))
    assert verify_journal(FileJournal(tmp_path)).entries == 4
    assert path.read_bytes().startswith(whole)


def test_reading_never_cuts_what_another_process_is_writing(tmp_path: Path) -> None:
    FileJournal(tmp_path).append(notes(2))
    path = tmp_path / "journal.ndjson"
    path.write_bytes(path.read_bytes() + b"half a line of another process")
    before = path.read_bytes()
    reader = FileJournal(tmp_path)
    assert reader.refresh() == 2
    assert len(list(reader.entries())) == 2
    assert path.read_bytes() == before


def test_an_edited_line_of_the_file_is_named(tmp_path: Path) -> None:
    FileJournal(tmp_path).append(notes(5))
    path = tmp_path / "journal.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], lines[1].replace(b'"n":1', b'"n":7'), *lines[2:]]))
    assert verify_journal(FileJournal(tmp_path)).broken_seq == 2
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert verify_journal(FileJournal(tmp_path)).broken_seq == 3
    path.write_bytes(b"\xff\xfe\n")
    assert verify_journal(FileJournal(tmp_path)).broken_seq == 1


def test_a_full_disk_under_the_journal_stops_with_one_sentence_and_continues_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, path = FileJournal(tmp_path), tmp_path / "journal.ndjson"
    journal.append(notes(2))
    whole = path.read_bytes()

    def full(descriptor: int) -> None:
        os.truncate(path, len(whole) + 100)  # so much of it found room
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("recon.files.os.fsync", full)
        with pytest.raises(JournalFailedError, match=r"No space left on device\); what it holds is whole"):
            journal.append(notes(3, first=2))
    assert verify_journal(FileJournal(tmp_path)).entries == 2
    journal.append(notes(1, first=2))
    assert [entry.note.change for entry in FileJournal(tmp_path).entries()] == ["c0", "c1", "c2"]
    assert path.read_bytes().startswith(whole)


def test_a_disk_that_was_full_from_the_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.ndjson").symlink_to("/dev/full")
    journal = FileJournal(tmp_path)
    journal._head, journal._size = (0, GENESIS), 0
    with pytest.raises(JournalFailedError, match=r"No space left on device\); what it holds is whole"):
        journal.append(notes(1))


def test_every_step_of_the_file_is_synchronised_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr("recon.files.os.fsync", lambda handle: synced.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    journal = FileJournal(tmp_path)
    journal.append(notes(2))
    assert synced == [False, True], "a new file's name has to last as well"
    journal.append(notes(1, first=2))
    assert synced == [False, True, False]


# The lease


def test_a_lease_is_held_by_one_and_its_token_only_grows(mongo_database: Store) -> None:
    leases = MongoLeases(mongo_database.recon_lease)
    with held_lease(leases, target="t") as lease:
        assert lease.token == 1
        with pytest.raises(LeaseHeldError, match=r"holds the lease for at most \d+ s more, and only one run may write"):
            MongoLeases(mongo_database.recon_lease).acquire("t", holder=this_process(), lease_ms=1000)
        assert leases.acquire("other", holder=this_process(), lease_ms=1000) == 1
    with held_lease(leases, target="t") as lease:
        assert lease.token == 2


def test_a_lease_of_another_machine_is_waited_for_and_then_taken(mongo_database: Store) -> None:
    leases = MongoLeases(mongo_database.recon_lease)
    elsewhere = replace(this_process(), place="elsewhere|boot|pid")
    token = leases.acquire("t", holder=elsewhere, lease_ms=300)
    with pytest.raises(LeaseHeldError, match="on elsewhere holds"):
        leases.acquire("t", holder=this_process(), lease_ms=300)
    threading.Event().wait(0.35)
    assert leases.acquire("t", holder=this_process(), lease_ms=300) == token + 1
    assert not leases.renew("t", token=token, lease_ms=300)
    leases.release("t", token=token)
    assert leases.renew("t", token=token + 1, lease_ms=300)


def test_a_lease_of_a_dead_process_of_this_machine_is_taken_at_once(mongo_database: Store) -> None:
    leases = MongoLeases(mongo_database.recon_lease)
    dead = replace(this_process(), pid=2**22 + 1)
    assert leases.acquire("t", holder=dead, lease_ms=60_000) == 1
    assert leases.acquire("t", holder=this_process(), lease_ms=60_000) == 2
    reused = replace(this_process(), started="1")
    leases.release("t", token=2)
    assert leases.acquire("t", holder=reused, lease_ms=60_000) == 3
    assert leases.acquire("t", holder=this_process(), lease_ms=60_000) == 4


def test_clocks_of_clients_do_not_matter_and_a_stale_heartbeat_loses_the_lease(mongo_database: Store) -> None:
    ticks = [0.0]
    with (
        pytest.raises(LeaseLostError, match="no further write"),
        held_lease(
            MongoLeases(mongo_database.recon_lease), target="t", lease_ms=60_000, monotonic=lambda: ticks[0]
        ) as lease,
    ):
        ticks[0] = 59.0
        lease.check()
        lease.beat()
        ticks[0] = 118.0
        lease.check()
        ticks[0] = 119.5
        lease.check()


def test_a_heartbeat_keeps_the_lease_beyond_its_first_span(mongo_database: Store) -> None:
    with held_lease(MongoLeases(mongo_database.recon_lease), target="t", lease_ms=1500) as lease:
        threading.Event().wait(2.0)
        lease.check()


def test_a_file_lease_is_a_lock_with_a_growing_token(tmp_path: Path) -> None:
    first, second = FileLeases(tmp_path), FileLeases(tmp_path)
    lease = Lease(first, target="t")
    with pytest.raises(LeaseHeldError, match="until it ends"):
        Lease(second, target="t")
    lease.check()
    lease.release()
    again = Lease(second, target="t")
    assert (lease.token, again.token) == (1, 2)
    again.release()


def test_what_the_journal_keeps_of_a_row_is_plain_json() -> None:
    moved = (MovedField("status", "pending", "completed", {"$recon": "missing"}),)
    row = RowResult("c1", "p1", "local_behind", Result.REFUSED, "moved", moved, 121)
    body = json.loads(json.dumps(outcome_body(row)))
    assert body["moved"] == [["status", "pending", "completed", {"$recon": "missing"}]]
    assert body["code"] == 121


# The journal in a SQL database

SQL_EDITS = {
    "text": "UPDATE recon_journal SET text = replace(text, '\"n\":2', '\"n\":9') WHERE seq = 3",
    "hash": f"UPDATE recon_journal SET hash = '{'0' * 64}' WHERE seq = 3",
    "payment": "UPDATE recon_journal SET payment = 'other' WHERE seq = 3",
    "gone": "DELETE FROM recon_journal WHERE seq = 3",
    "moved": "UPDATE recon_journal SET seq = 99 WHERE seq = 3",
}


@pytest.mark.parametrize("edit", SQL_EDITS)
def test_any_edit_of_a_table_is_found_and_its_first_entry_named(tmp_path: Path, edit: str) -> None:
    place = sqlite_place(tmp_path)
    make_own_tables(place.shared)
    place.journal().append(notes(6))
    place.run(SQL_EDITS[edit])
    check = verify_journal(place.journal())
    assert (check.is_whole, check.broken_seq) == (False, 3), check.why
    place.close()


def test_a_lost_answer_of_a_database_makes_no_second_entry(tmp_path: Path) -> None:
    """The entries were committed, the answer did not arrive, and they are appended once more."""
    from sqlalchemy.exc import OperationalError

    place = sqlite_place(tmp_path)
    make_own_tables(place.shared)
    lost: list[int] = []

    class Lossy(SqlJournal):
        def _insert(self, rows: list[dict[str, Any]], *, after: tuple[int, str]) -> None:
            super()._insert(rows, after=after)
            if not lost:
                lost.append(1)
                raise OperationalError("INSERT", {}, Exception("gone"))

    journal = Lossy(place.shared, retry=Retry(passes=lambda error: isinstance(error, OperationalError)))
    journal.append(notes(2))
    journal.append(notes(2, first=2))
    assert [entry.note.change for entry in place.journal().entries()] == ["c0", "c1", "c2", "c3"]
    assert verify_journal(place.journal()).is_whole
    place.close()


def test_a_journal_that_lost_its_end_to_a_failover_is_not_gone_on_with(tmp_path: Path) -> None:
    place = sqlite_place(tmp_path)
    make_own_tables(place.shared)
    journal = place.journal()
    journal.append(notes(3))
    place.run("DELETE FROM recon_journal WHERE seq = 3")
    with pytest.raises(JournalFailedError, match="its entry 3 is gone or another, as after a failover"):
        journal.append(notes(1, first=3))
    assert verify_journal(place.journal()).entries == 2
    place.close()
