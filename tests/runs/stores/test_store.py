"""A guarded write touches exactly the reviewed value, on a real server; the embedded store knows its limits."""

from __future__ import annotations

import errno
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp, json_util
from bson.datetime_ms import DatetimeMS
from pymongo.errors import AutoReconnect, NotPrimaryError, OperationFailure

from recon.core.times import millisecond_text, second_text, to_ms
from recon.core.values import ABSENT, from_extended, same, to_extended, value_at, value_terms
from recon.runs.guard import RowClass, guarded_update, read_change, ready_change, without_marks
from recon.runs.states import Result
from recon.runs.stores.embedded import EmbeddedStore, EmbeddedStoreError
from recon.runs.stores.journal import FileJournal, verify_journal
from recon.runs.stores.lease import LeaseFileError
from recon.runs.stores.payments import MongoWriter, UnknownCollectionError
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError
from recon.runs.undo import plan_undo
from recon.sources.recorded.store_file import payment_lines
from tests.support.applying import (
    NOW,
    World,
    a_change,
    a_document,
    a_plan,
    a_target,
    restored,
    some_documents,
    stopped_report,
)

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

VALUES: list[Any] = [
    ABSENT, None, [], [None], "pending", "Pending", ["pending"], True, False, 0, 1, 0.0, 1.0, Int64(1), Int64(0),
    Decimal128("1"), 12.5, Decimal128("12.5"), [12.5, 3], 0.1, Decimal128("0.1"), float("nan"), float("inf"),
    datetime(2026, 11, 20, 12, 0, 0, 1000, tzinfo=UTC), datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC),
    "2026-11-20T12:00:00Z", DatetimeMS(2**49), ObjectId("665f1c2e9b1d8a0012345678"), "665f1c2e9b1d8a0012345678",
    Binary(b"x" * 16, 4), Binary(b"x" * 16, 3), Regex("pending"), Timestamp(1, 2), {}, {"a": 1}, "", "$status",
]  # fmt: skip
SCALARS = [value for value in VALUES if not isinstance(value, dict | list)]


@pytest.mark.parametrize("guard", SCALARS, ids=repr)
def test_a_value_guard_matches_its_own_value_and_type_and_nothing_else(mongo_database: Store, guard: Any) -> None:
    rows = [{"_id": n} if v is ABSENT else {"_id": n, "field": v} for n, v in enumerate(VALUES)]
    mongo_database.rows.insert_many(rows)
    found = [row["_id"] for row in mongo_database.rows.find({"field": value_terms("field", guard)}, {"_id": 1})]
    assert [VALUES[n] for n in found] == [guard] or (len(found) == 1 and same(VALUES[found[0]], guard))


@pytest.mark.parametrize(
    "parent", [None, "text", 7, [], [{"transactionHash": "0x1"}], [{"transactionHash": "0x1"}, {"a": 1}]], ids=repr
)
def test_a_guard_below_a_parent_that_is_no_object_matches_nothing(mongo_database: Store, parent: Any) -> None:
    reviewed = a_document(0, blockchain={"transactionHash": "0x1"})
    ready = ready_change(a_change(reviewed, sets={"blockchain.transactionHash": "0x2"}), kind="correction")
    update = guarded_update(ready, reviewed, stamp="run/c", at=NOW)
    mongo_database.payments.insert_one({**reviewed, "blockchain": parent})
    assert MongoWriter(mongo_database.payments).write(update).matched == 0
    assert mongo_database.payments.find_one()["blockchain"] == parent  # type: ignore[index]


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_extended_json_brings_back_every_value_and_type(value: Any) -> None:
    text = json.dumps(to_extended(value))
    back = from_extended(json.loads(text), where="x")
    assert same(back, value)
    assert type(back) is type(value) or (isinstance(value, bytes) and isinstance(back, bytes))


def test_the_whole_change_is_one_update_and_neighbours_stay_byte_equal(mongo_database: Store) -> None:
    documents = some_documents(3)
    mongo_database.payments.insert_many([dict(d) for d in documents])
    ready = ready_change(a_change(documents[1]), kind="correction")
    update = guarded_update(ready, documents[1], stamp="run/c", at=NOW)
    writer = MongoWriter(mongo_database.payments)
    assert writer.write(update).matched == 1
    assert writer.write(update).matched == 0, "the stamp from before is part of the guard"
    first, changed, last = mongo_database.payments.find().sort("_id", 1)
    assert [first, last] == [documents[0], documents[2]]
    assert changed["metadata"]["recon"] == {"last": "run/c"}
    assert list(changed)[-1] == "escrowState", "new fields come last, old ones keep their place"
    assert changed["updatedAt"] == NOW


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-19T10:00:00.000Z", millisecond_text(NOW)), ("2026-11-19 10:00:00", NOW.strftime("%Y-%m-%d %H:%M:%S")),
        ("2026-11-19T10:00+02:00", f"{second_text(NOW)[:16]}Z"), (1_763_600_000, to_ms(NOW) // 1000),
        (Int64(1_763_600_000_000), Int64(to_ms(NOW))), ("1763600000", str(to_ms(NOW) // 1000)), ("soon", NOW),
    ],
)  # fmt: skip
def test_the_time_of_a_change_is_written_as_the_row_stores_times(
    mongo_database: Store, before: Any, after: Any
) -> None:
    """A backend that reads text there would stumble over a date, and its next sort would leave the row out."""
    document = {**a_document(0), "updatedAt": before}
    mongo_database.payments.insert_one(dict(document))
    update = guarded_update(ready_change(a_change(document), kind="correction"), document, stamp="run/c", at=NOW)
    assert MongoWriter(mongo_database.payments).write(update).matched == 1
    found = mongo_database.payments.find_one()
    assert found is not None and same(found["updatedAt"], after)
    assert same(from_extended(update.after["updatedAt"], where="x"), after)


def test_every_fence_alone_refuses_the_write(mongo_database: Store) -> None:
    document = a_document(0)
    ready = ready_change(a_change(document), kind="correction")
    update = guarded_update(ready, document, stamp="run/c", at=NOW)
    writer = MongoWriter(mongo_database.payments)
    foreign: list[dict[str, Any]] = [
        {"updatedAt": NOW},
        {"__v": 1},
        {"__v": Int64(0)},
        {"metadata.recon.last": "other/c"},
        {"metadata.recon": {}},
        {"amount.amount": 12},
        {"amount.amount": Decimal128("12.5")},
        {"disputed": None},
        {"provider": ["request.network"]},
    ]
    for change in foreign:
        mongo_database.payments.replace_one({"_id": document["_id"]}, dict(document), upsert=True)
        mongo_database.payments.update_one({}, {"$set": change})
        moved = mongo_database.payments.find_one({})
        assert writer.write(update).matched == 0, change
        assert mongo_database.payments.find_one({}) == moved


def test_documents_are_read_whole_with_their_types(mongo_database: Store) -> None:
    document = a_document(0, far=DatetimeMS(2**49), old=Binary(b"x" * 16, 3), text="ü")
    mongo_database.payments.insert_one(document)
    found = MongoWriter(mongo_database.payments).read([document["_id"], "nobody"])
    assert list(found) == [str(document["_id"])]
    assert next(iter(found.values()))["far"] == DatetimeMS(2**49)
    assert next(iter(found.values()))["old"] == Binary(b"x" * 16, 3)


def test_a_collection_that_is_not_there_has_no_identity(mongo_database: Store) -> None:
    with pytest.raises(UnknownCollectionError, match="there is no such collection"):
        MongoWriter(mongo_database.nothing).identity()


def test_the_identity_is_the_one_that_the_reading_source_gives(mongo_database: Store, mongod: Any) -> None:
    from recon.sources.payments.mongo import MongoSettings, MongoStore

    mongo_database.create_collection("payments")
    with MongoStore(MongoSettings(uri=mongod.uri, database=mongo_database.name)) as store:
        assert store.identity() == MongoWriter(mongo_database.payments).identity()


# Asking again


def test_a_store_that_comes_back_is_asked_again_and_one_that_does_not_is_named_gone() -> None:
    waits: list[float] = []
    clock = iter(range(1000))
    retry = Retry(retry_s=5, sleep=waits.append, monotonic=lambda: float(next(clock)))
    answers = iter([AutoReconnect("x"), NotPrimaryError("x"), OperationFailure("x", code=189)])

    def call() -> str:
        error = next(answers, None)
        if error:
            raise error
        return "there"

    assert retry.run(call, what="a write") == "there"
    assert waits == [0.05, 0.1, 0.2]

    def never() -> str:
        raise AutoReconnect("mongodb://user:secret@host")

    with pytest.raises(StoreGoneError, match="no usable answer to a write") as gone:
        retry.run(never, what="a write")
    assert "secret" not in str(gone.value)


def test_an_error_about_the_request_itself_is_not_repeated() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise OperationFailure("duplicate", code=11000)

    with pytest.raises(OperationFailure):
        Retry().run(call, what="x")
    assert len(calls) == 1


# The embedded store


def an_embedded(directory: Path, documents: list[dict[str, Any]]) -> EmbeddedStore:
    lines = [json_util.dumps(d, json_options=json_util.CANONICAL_JSON_OPTIONS) for d in documents]
    (directory / "payments.ndjson").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    world = {"database": "marketplace", "collection": "payments", "collection_uuid": "u-1", "target_name": "demo"}
    (directory / "world.json").write_text(json.dumps(world), encoding="utf-8")
    return EmbeddedStore(directory)


def an_embedded_world(directory: Path, documents: list[dict[str, Any]]) -> World:
    store = an_embedded(directory, documents)
    journal = FileJournal(directory / "journal")
    return World(None, store, journal, a_target(store), documents)  # type: ignore[arg-type]


def stored(directory: Path) -> list[dict[str, Any]]:
    options = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)
    return [json_util.loads(line, json_options=options) for line in payment_lines(directory)]


def test_the_demo_applies_and_undoes_over_the_embedded_store_and_its_file_journal(tmp_path: Path) -> None:
    world = an_embedded_world(tmp_path, some_documents(12))
    lines = (tmp_path / "payments.ndjson").read_text(encoding="utf-8").splitlines()
    plan = world.plan(only=slice(2, 12))
    report = world.apply(plan)
    assert report.counts == {Result.APPLIED: 10}
    assert (tmp_path / "payments.ndjson").read_text(encoding="utf-8").splitlines() == lines, "never written again"
    assert payment_lines(tmp_path)[:2] == lines[:2], "what no write touched keeps its bytes"
    assert [d["status"] for d in stored(tmp_path)] == ["pending"] * 2 + ["completed"] * 10
    again = an_embedded_world_from(tmp_path, world)
    assert again.apply(plan).counts == {Result.OURS: 10}
    undo = plan_undo(again.journal, run=str(report.run), target=world.target, now=NOW)
    assert again.apply(undo).counts == {Result.APPLIED: 10}
    assert [restored(d, d) for d in stored(tmp_path)] == [restored(d, d) for d in world.before]
    assert verify_journal(again.journal).is_whole


def an_embedded_world_from(directory: Path, world: World) -> World:
    """The same directory opened by another process."""
    return World(None, EmbeddedStore(directory), FileJournal(directory / "journal"), world.target, world.before)  # type: ignore[arg-type]


def test_a_crash_before_the_commit_loses_no_intent(tmp_path: Path) -> None:
    world = an_embedded_world(tmp_path, some_documents(9))
    plan = world.plan()

    class DiedError(Exception):
        pass

    def step(name: str) -> None:
        if name == "store.flush:before":
            raise DiedError

    with pytest.raises(DiedError):
        world.apply(plan, step=step)
    world.writer.close()  # type: ignore[attr-defined]
    again = an_embedded_world_from(tmp_path, world)
    assert {d["status"] for d in stored(tmp_path)} == {"pending"}
    run = next(again.journal.entries(kinds=("run",))).note.run
    assert again.resume(plan, run).counts == {Result.APPLIED: 9}
    assert {d["status"] for d in stored(tmp_path)} == {"completed"}


@pytest.mark.parametrize("field", SCALARS, ids=repr)
def test_the_embedded_store_compares_every_type_exactly(tmp_path: Path, field: Any) -> None:
    document = a_document(0, disputed=field)
    ready = ready_change(a_change(document), kind="correction")
    update = guarded_update(ready, document, stamp="run/c", at=NOW)
    for number, other in enumerate(VALUES):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = an_embedded(folder, [a_document(0, disputed=other)]).write(update)
        expected = 1 if type(other) is type(field) and same(other, field) else 0
        assert (result.matched, result.code) == (expected, None), (other, result)


def test_numbers_that_the_embedded_store_writes_keep_their_types(tmp_path: Path) -> None:
    sets = {"a": Int64(1), "b": Decimal128("12.50"), "c": 1.0, "d": 1, "e": -0.0}
    document = a_document(0, _id=Decimal128("7"), far=DatetimeMS(2**49), amount={"amount": Decimal128("1.10")})
    store = an_embedded(tmp_path, [document])
    ready = ready_change(a_change(document, sets=sets), kind="correction")
    result = store.write(guarded_update(ready, document, stamp="run/c", at=NOW))
    store.flush()
    (line,) = EmbeddedStore(tmp_path).read([Decimal128("7")]).values()
    assert result.matched == 1
    assert all(same(value_at(line, path), value) for path, value in sets.items())
    assert next(iter(line)) == "_id"
    assert same(line["far"], DatetimeMS(2**49))


def test_another_writer_of_the_file_is_never_overwritten(tmp_path: Path) -> None:
    """The row is written only while it still holds the line that was held against the guard."""
    document = a_document(0)
    update = guarded_update(ready_change(a_change(document), kind="correction"), document, stamp="run/c", at=NOW)
    an_embedded(tmp_path, [document])
    first, second = EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)
    assert first.write(update).matched == 1
    first.flush()
    assert second.read([document["_id"]])[str(document["_id"])]["status"] == "completed"
    assert second.write(update).matched == 0
    second.flush()
    assert [d["metadata"]["recon"]["last"] for d in stored(tmp_path)] == ["run/c"]


def test_payments_that_were_changed_under_the_store_are_told_and_not_mixed(tmp_path: Path) -> None:
    world = an_embedded_world(tmp_path, some_documents(2))
    world.apply(world.plan())
    (tmp_path / "payments.ndjson").write_text('{"_id": 1}\n', encoding="utf-8")
    with pytest.raises(EmbeddedStoreError, match=r"remove payments\.db to begin with these; nothing was written"):
        EmbeddedStore(tmp_path)
    (tmp_path / "payments.db").unlink()
    assert stored(tmp_path) == [{"_id": 1}]
    (tmp_path / "payments.db").write_bytes(b"no database, but some text that is long enough for a header" * 9)
    with pytest.raises(EmbeddedStoreError, match="no file of this store"):
        EmbeddedStore(tmp_path)


def test_a_store_that_was_never_filled_counts_for_nothing(tmp_path: Path) -> None:
    store = an_embedded(tmp_path, some_documents(1))
    (tmp_path / "payments.db").touch()
    assert len(EmbeddedStore(tmp_path).read([some_documents(1)[0]["_id"]])) == 1
    assert list(store.stamps(None)) == []


def test_the_embedded_store_never_drops_a_stamp(tmp_path: Path) -> None:
    document = a_document(0, metadata=None)
    store = an_embedded(tmp_path, [document])
    ready = ready_change(a_change(a_document(0)), kind="correction")
    assert store.write(guarded_update(ready, a_document(0), stamp="run/c", at=NOW)).matched == 0
    assert read_change(ready, store.read([document["_id"]])[str(document["_id"])]).row is RowClass.MOVED


@pytest.mark.parametrize(
    "text", ["{", "[]\n", '{"_id": 1}\n{"_id": 1}\n', '{"a": 1}\n', '{"_id": {"$oid": "x"}}\n', "\xff"]
)
def test_a_directory_with_something_else_in_it_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "payments.ndjson").write_bytes(text.encode("latin-1"))
    with pytest.raises(EmbeddedStoreError, match="nothing was written"):
        EmbeddedStore(tmp_path)


def test_a_directory_that_cannot_be_written_is_a_read_only_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = an_embedded(tmp_path, some_documents(1))
    monkeypatch.setattr("recon.runs.stores.embedded.os.access", lambda path, mode: False)
    with pytest.raises(ReadOnlyCredentialError, match="nothing was written"):
        store.check_writable()


def test_without_marks_takes_away_only_what_a_run_left() -> None:
    document = {"_id": 1, "updatedAt": NOW, "metadata": {"recon": {"last": "r/c"}}, "z": 1}
    assert without_marks(document, created_metadata=True) == {"_id": 1, "z": 1}
    assert without_marks(document, created_metadata=False) == {"_id": 1, "metadata": {}, "z": 1}
    assert without_marks({"_id": 1, "metadata": {"a": 1, "recon": {}}}, created_metadata=True)["metadata"] == {"a": 1}
    assert value_at({"a": [{"b": 1}]}, "a.b") is ABSENT


def test_an_undo_plan_reads_back_over_the_embedded_store(tmp_path: Path) -> None:
    world = an_embedded_world(tmp_path, some_documents(2))
    changes = [a_change(d, sets={"fresh.deep.leaf": "x"}) for d in world.before]
    report = world.apply(a_plan(world.target, changes))
    assert [d["fresh"] for d in stored(tmp_path)] == [{"deep": {"leaf": "x"}}] * 2
    world.apply(plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW))
    assert all("fresh" not in d for d in stored(tmp_path))


def test_a_full_disk_under_the_embedded_store_stops_the_run_and_it_continues_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = an_embedded_world(tmp_path, some_documents(9))
    plan = world.plan()

    def full(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("recon.runs.stores.embedded._commit", full)
        report = stopped_report(lambda: world.apply(plan), r"payments.db: it could not be written \(database or disk")
    assert report.counts == {Result.OPEN: 5, Result.NOT_REACHED: 4}
    assert {d["status"] for d in stored(tmp_path)} == {"pending"}
    assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 9}, "also by the same process"
    assert {d["status"] for d in stored(tmp_path)} == {"completed"}
    assert verify_journal(world.journal).is_whole


def test_a_full_disk_under_the_lease_refuses_the_run_and_sets_no_token_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = an_embedded_world(tmp_path, some_documents(3))
    assert world.apply(world.plan(only=slice(1))).counts == {Result.APPLIED: 1}

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("recon.files.os.write", full)
        with pytest.raises(LeaseFileError, match=r"lease cannot be written \(No space left on device\); nothing was"):
            world.apply(world.plan())
    assert world.apply(world.plan()).counts[Result.APPLIED] == 2
    assert [entry.note.token for entry in world.journal.entries(kinds=("run",))] == [1, 2]
