"""A real mongod is read without losing a document, by a user who may only read."""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import ObjectId
from pymongo import ReadPreference
from pymongo.errors import BulkWriteError

from recon.core import ids
from recon.core.errors import ReconError, SourceError
from recon.sources.interface import Selection
from recon.sources.payments.documents import codec, document_text, milliseconds
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.filters import after_id
from recon.sources.payments.mongo import (
    MongoSettings,
    MongoStore,
    StoreForbiddenError,
    StoreInterruptedError,
    StoreLoginError,
    StoreMissingError,
    StoreSlowError,
    StoreUnreachableError,
    StoreUriError,
    hosts_of,
)
from recon.sources.payments.read import ListStore
from tests.support import servers

if TYPE_CHECKING:
    from pymongo.database import Database

from tests.support.payment_documents import (
    HASH,
    NOW,
    REQUEST,
    names,
    odd_document,
    odd_payments,
    payment,
    read,
    rows_of,
)


@pytest.fixture(scope="module")
def guarded() -> Iterator[servers.Mongod]:
    """A mongod with authentication on, a replica set of one."""
    server = servers.start_mongod(auth=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def reader_uri(guarded: servers.Mongod) -> str:
    """A user who may only read the marketplace."""
    return guarded.create_user("reader", "p@ss:word/1", database="marketplace")


@pytest.fixture
def marketplace(guarded: servers.Mongod) -> Iterator[Database[dict[str, Any]]]:
    with guarded.client() as client:
        client.drop_database("marketplace")
        yield client["marketplace"]


def store_of(uri: str, **changes: Any) -> MongoStore:
    return MongoStore(MongoSettings(uri=uri, **{"timeout_ms": 5_000, **changes}), sleep=lambda _: None)


def insert(database: Database[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> None:
    database["payments"].insert_many(documents, ordered=False)


def test_a_reader_sees_every_id_type_once_and_each_row_is_that_of_its_document(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    documents = odd_payments()
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        reading, rows = read(store)
    assert names(rows) == names(rows_of(*documents))
    assert reading.gaps == ()
    (coverage,) = reading.coverage
    assert (coverage.source, coverage.scope, coverage.complete, coverage.items) == ("payments", "window", True, 16)
    assert coverage.wire_bytes > 1000
    plain = {row["payment_id"]: row for row in rows_of(*documents)}
    for row in rows:
        expected = plain[row["payment_id"]]
        same = {name for name in row if row[name] == expected[name]}
        # The server's projection drops a parent that is no object; everything but the digest is the same.
        assert set(row) - same <= {"digest"}


def test_a_scan_that_breaks_off_anywhere_is_taken_up_and_skips_none(
    marketplace: Database[dict[str, Any]], reader_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import CursorNotFound

    documents = odd_payments()
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        whole = [document["_id"] for batch in store.scan(Selection()) for document in batch]
        resumed: list[Any] = []
        original = store._raw_batches

        def one_at_a_time(condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
            for data in original(condition, last):
                length = int.from_bytes(data[:4], "little")
                yield data[:length]
                raise CursorNotFound("cursor id 7 not found")

        monkeypatch.setattr(store, "_raw_batches", one_at_a_time)
        resumed = [document["_id"] for batch in store.scan(Selection()) for document in batch]
    assert [repr(value) for value in resumed] == [repr(value) for value in whole]
    assert len(resumed) == len(documents)


def test_a_scan_that_cannot_be_taken_up_leaves_a_gap_and_says_so(
    marketplace: Database[dict[str, Any]], reader_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import AutoReconnect

    insert(marketplace, odd_payments())
    with store_of(reader_uri, retries_max=2) as store:
        original = store._raw_batches

        def dies(condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
            if not last:
                data = next(original(condition, last))
                yield data[: int.from_bytes(data[:4], "little")]
            raise AutoReconnect("connection closed")

        monkeypatch.setattr(store, "_raw_batches", dies)
        window = Selection(from_at=NOW - dt.timedelta(days=1), to_at=NOW + dt.timedelta(days=1))
        reading, rows = read(store, window)
        with pytest.raises(StoreInterruptedError, match="broke off after 1 document"):
            list(store.scan(window))
    assert len(rows) == 1
    assert not reading.coverage[0].complete
    assert "could not be taken up again" in str(reading.coverage[0].problem)
    (gap,) = reading.gaps
    assert (gap.from_ms, gap.to_ms) == (milliseconds(window.from_at), milliseconds(window.to_at))


def test_a_window_takes_its_start_and_not_its_end_and_keeps_rows_without_a_date(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    hour = dt.timedelta(hours=1)
    insert(
        marketplace,
        [
            payment(_id="before", createdAt=NOW - hour), payment(_id="start", createdAt=NOW),
            payment(_id="inside", createdAt=NOW + hour / 2), payment(_id="end", createdAt=NOW + hour),
            payment(_id="text", createdAt="2026-11-20"), payment(_id="none", createdAt=None),
            payment(_id="text-inside", createdAt="2026-11-20T12:30:00Z"), payment(_id="number-before", createdAt=1.7e9),
            payment(_id="far", createdAt=bson.datetime_ms.DatetimeMS(400_000_000_000_000)),
        ],
    )  # fmt: skip
    window = Selection(from_at=NOW, to_at=NOW + hour)
    with store_of(reader_uri) as store:
        reading, rows = read(store, window)
        assert names(rows) == ["inside", "none", "start", "text", "text-inside"]
        assert (store.count(window), reading.coverage[0].complete) == (6, True), "the server knows no date of a text"
        assert "far" in names(read(store, Selection(from_at=NOW))[1])
        updated = Selection(from_at=NOW, to_at=NOW + hour, date_field="updated")
        assert len(read(store, updated)[1]) == 9


SELECTIONS = {
    "all": Selection(),
    "from": Selection(from_at=NOW),
    "to": Selection(to_at=NOW),
    "updated": Selection(from_at=NOW, to_at=NOW + dt.timedelta(days=1), date_field="updated"),
    "provider": Selection(providers=("shkeeper",)),
    "providers": Selection(providers=("request_network", "shkeeper")),
    "unknown provider": Selection(providers=("paypal",)),
    "status": Selection(statuses=("pending", "completed")),
    "odd status": Selection(statuses=("Pending",)),
    "open": Selection(open_only=True, providers=("request_network",)),
    "ids": Selection(ids=("65a000000000000000000001", "zz", "1", "nowhere", "FF" * 12)),
    "quoted id": Selection(ids=('"65a000000000000000000001"', '{"$numberInt": "1"}')),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_list_selects_what_the_server_selects(
    name: str, marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    insert(marketplace, odd_payments())
    stored = list(marketplace["payments"].find())
    with store_of(reader_uri) as store:
        _, from_server = read(store, SELECTIONS[name])
        assert store.count(SELECTIONS[name]) == len(from_server)
    _, from_list = read(ListStore(stored), SELECTIONS[name])
    assert names(from_list) == names(from_server)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_list_selects_what_the_server_selects_among_documents_of_every_shape(
    seed: int, marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    chance = random.Random(seed)
    paths = sorted({c.path for several in FieldPaths().candidates.values() for c in several if c.path != "_id"})
    documents = [one for one in (odd_document(chance, paths) for _ in range(400)) if one.get("_id") is not None]
    with suppress(BulkWriteError):  # ids that are equal for the server, or no ids at all, are left out
        insert(marketplace, documents)
    stored = list(marketplace.get_collection("payments", codec_options=codec()).find())
    with store_of(reader_uri) as store:
        for selection in SELECTIONS.values():
            reading, from_server = read(store, selection)
            assert names(from_server) == names(read(ListStore(stored), selection)[1])
            assert reading.gaps == ()
    assert len(stored) > 250


def test_an_id_given_as_text_is_looked_up_in_both_types(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, odd_payments())
    with store_of(reader_uri) as store:
        _, rows = read(store, Selection(ids=("65A000000000000000000001",)))
    assert {row["id_type"] for row in rows} == {"objectId"}
    with store_of(reader_uri) as store:
        _, rows = read(store, Selection(ids=("65a000000000000000000001",)))
    assert {row["id_type"] for row in rows} == {"objectId", "string"}


def test_a_sample_is_the_newest_documents_whole(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, [payment(_id=f"p{n}", payTo={"wallet": n}) for n in range(5)])
    with store_of(reader_uri) as store:
        assert [(each["_id"], each["payTo"]) for each in store.sample(2)] == [
            ("p4", {"wallet": 4}), ("p3", {"wallet": 3}),
        ]  # fmt: skip


def test_fetch_reads_exactly_the_ids_from_the_primary_and_keeps_odd_parents(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    documents = [*odd_payments(), payment(_id="odd", metadata=None, blockchain=[1], secret="never read")]
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        found = list(store.fetch(["65a000000000000000000001", "odd", "nowhere"]))
    assert [ids.payment_id_text(document["_id"]) for document in found] == ["odd", "65a000000000000000000001"]
    assert found[0]["metadata"] is None
    assert found[0]["blockchain"] == [1]
    assert "secret" not in found[0]
    (listed,) = ListStore(documents).fetch(["odd"])
    assert document_text(listed) == document_text(found[0])


def test_claimants_are_found_in_every_path_and_spelling_whatever_their_date(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    old = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
    bare = HASH[2:]
    documents = [
        payment(_id="plain", createdAt=old, blockchain__transactionHash=HASH),
        payment(_id="upper", blockchain__transactionHash=bare.upper()),
        payment(_id="mixed", blockchain__transactionHash="0X" + "cD" * 32),
        payment(_id="below", metadata={"txHash": HASH}),
        payment(_id="other", blockchain__transactionHash="0x" + "ce" * 32),
        payment(_id="listed", metadata={}, requestIds=["x", "0x" + REQUEST.upper()]),
        payment(_id="shk", provider="SHKeeper", metadata={"externalId": "Ext-1"}),
        payment(_id="case", provider="shkeeper", metadata={"externalId": "ext-1"}),
        payment(_id=ObjectId("65a000000000000000000009"), provider="shkeeper", metadata={}),
    ]
    insert(marketplace, documents)

    def claims(store: Any, field: str, *values: str) -> list[tuple[str, str]]:
        found = store.find_claimants(field, values)
        named = sorted((value, ids.payment_id_text(document["_id"])) for value, document in found)
        if isinstance(store, MongoStore):
            assert {*store.claimant_ids(field, values)} == {name for _, name in named}
        return named

    with store_of(reader_uri) as real:
        for store in (real, ListStore(documents)):
            assert claims(store, "tx_hash", HASH) == [(HASH, name) for name in ("below", "mixed", "plain", "upper")]
            assert (REQUEST, "listed") in claims(store, "request_id", REQUEST)
            assert len(claims(store, "reference", "0A" * 8, "ff" * 8)) == 4
            assert claims(store, "external_id", "Ext-1") == [("Ext-1", "shk")]
            assert claims(store, "external_id", "65a000000000000000000009") == [
                ("65a000000000000000000009", "65a000000000000000000009")
            ]
            assert claims(store, "tx_hash", "junk", "") == []


def test_the_identity_names_the_collection_by_its_uuid(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod
) -> None:
    insert(marketplace, [payment()])
    with store_of(reader_uri) as store:
        first = store.identity()
        marketplace["payments"].drop()
        insert(marketplace, [payment()])
        second = store.identity()
    assert first.replica_set == "rs0"
    assert first.hosts == (f"127.0.0.1:{guarded.port}",)
    assert (first.database, first.collection) == ("marketplace", "payments")
    assert first.collection_uuid is not None
    assert first.collection_uuid != second.collection_uuid


def test_check_says_what_is_there_and_what_will_be_slow(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, [payment()])
    with store_of(reader_uri) as store:
        said = store.check(now=dt.datetime.now(dt.UTC))
        assert "marketplace.payments" in said
        assert "no index begins with createdAt" in said
        assert "clock" not in said
        assert "clock" in store.check(now=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
        marketplace["payments"].create_index("createdAt")
        marketplace["payments"].create_index("updatedAt")
        assert "no index" not in store.check()


def test_a_wrong_password_a_dead_server_a_missing_collection_each_say_so_without_a_secret(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    insert(marketplace, [payment()])
    dead = f"mongodb://reader:hunter2@127.0.0.1:{servers.free_port()}/"
    wrong = guarded.uri_for("reader", "hunter2", auth_database="marketplace")
    nobody = f"mongodb://127.0.0.1:{guarded.port}/?replicaSet=rs0"
    cases: list[tuple[MongoStore, type[SourceError], str]] = [
        (store_of(dead, timeout_ms=300), StoreUnreachableError, "no usable server answered"),
        (store_of(wrong), StoreLoginError, "refuses the user or the password"),
        (store_of(nobody), StoreForbiddenError, "role 'read'"),
        (store_of(reader_uri, collection="paymnets"), StoreMissingError, "it holds|the database holds payments"),
        (store_of(reader_uri, database="markt"), StoreForbiddenError, "may not read markt.payments"),
        (store_of(reader_uri, database="a b"), StoreMissingError, "is no possible name"),
        (store_of(guarded.uri, database="markt"), StoreMissingError, "is not there"),
    ]
    for store, error, sentence in cases:
        with store:
            with pytest.raises(error, match=sentence) as caught:
                store.check()
            store.close()
            reading, rows = read(store)
            assert rows == [] or store.settings.collection == "payments"
        assert "hunter2" not in str(caught.value)
        assert "reader" not in str(caught.value)
        assert "p%40ss" not in repr(store.settings)
        assert not any("hunter2" in str(row.problem) for row in reading.coverage)
    assert "hunter2" not in caplog.text


def test_a_refused_login_is_still_called_that_the_second_time(guarded: servers.Mongod) -> None:
    with store_of(guarded.uri_for("reader", "wrong"), timeout_ms=700) as store:
        for _ in range(2):
            with pytest.raises(StoreLoginError):
                store.check()


def test_an_empty_collection_is_reported(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    marketplace.create_collection("payments")
    with store_of(reader_uri) as store, pytest.raises(StoreMissingError, match="is empty"):
        store.check()


@pytest.mark.parametrize("uri", ["", "postgres://u:hunter2@h/", "mongodb://u:hunter2@:x/", "mongodb://u:p:hunter2@h"])
def test_a_uri_that_cannot_be_read_is_not_quoted(uri: str) -> None:
    with pytest.raises(ReconError) as caught:
        store_of(uri, timeout_ms=100).check()
    assert isinstance(caught.value, StoreUriError)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://u:s%40t@db1:27017,db2:27018/x?replicaSet=rs", "db1:27017,db2:27018"),
        ("mongodb+srv://u:p@cluster0.example.net/", "cluster0.example.net"), ("mongodb://[::1]:27017", "[::1]:27017"),
        ("mongodb://u:p@s s/", "the given hosts"), ("", "the given hosts"),
    ],
)  # fmt: skip
def test_only_the_hosts_of_a_uri_are_named(uri: str, hosts: str) -> None:
    assert hosts_of(uri) == hosts


def test_a_query_that_takes_too_long_is_given_up(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, [payment(_id=str(number)) for number in range(20_000)])
    with store_of(reader_uri, query_ms=1) as store:
        with pytest.raises(StoreSlowError, match="took longer than"):
            store.count(Selection(providers=("shkeeper",)))
        reading, _ = read(store, Selection(providers=("shkeeper",)))
    assert not reading.coverage[0].complete


def test_nothing_is_written_by_reading(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod
) -> None:
    insert(marketplace, odd_payments())
    with guarded.client() as client:
        before = client["marketplace"].command("dbHash")["collections"]
        with store_of(reader_uri) as store:
            read(store)
            list(store.fetch(["zz"]))
            list(store.find_claimants("tx_hash", [HASH]))
            store.identity()
        assert client["marketplace"].command("dbHash")["collections"] == before


def test_a_server_that_restarts_in_the_middle_is_read_to_the_end() -> None:
    server = servers.start_mongod(replica_set=False)
    try:
        with server.client() as client:
            client["marketplace"]["payments"].insert_many([payment(_id=f"{n:05}") for n in range(9_000)])
            client.admin.command("fsync")
        with store_of(server.uri) as store:
            scan = store.scan(Selection())
            seen = [document["_id"] for document in next(scan)]
            server.kill()
            server.start()
            seen += [document["_id"] for batch in scan for document in batch]
        assert seen == [f"{n:05}" for n in range(9_000)]
    finally:
        server.stop()


def test_resuming_after_an_id_names_the_types_behind_it() -> None:
    assert after_id(7)["$or"][1] == {
        "_id": {"$type": ["string", "object", "binData", "objectId", "bool", "date", "timestamp"]}
    }
    assert after_id("x")["$or"][0] == {"_id": {"$gt": "x"}}
    assert after_id(float("nan"))["$or"][0] == {"_id": {"$gte": float("-inf")}}
    assert after_id(bson.Timestamp(1, 1))["$or"] == [{"_id": {"$gt": bson.Timestamp(1, 1)}}]


@pytest.fixture(scope="module")
def late_set() -> Iterator[servers.Mongod]:
    """A set whose only secondary stands still, and may be read by anybody."""
    primary = servers.start_mongod()
    late = servers.Mongod(program="mongod", folder=primary.folder / "late", follows=True)
    late.folder.mkdir()
    try:
        late.start()
        with primary.client() as client:
            client.shop.payments.insert_one({"_id": "early", "status": "pending"})
        primary.take_in(late)
        late.stop_replication()
        with primary.client() as client:
            client.shop.payments.insert_one({"_id": "new", "status": "pending"})
        yield primary
    finally:
        late.stop()
        primary.stop()


def test_a_secondary_that_lags_is_not_believed(late_set: servers.Mongod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.sources.payments.mongo._CATCH_UP_MS", 500)
    with late_set.client(readPreference="secondary") as client:
        assert [row["_id"] for row in client.shop.payments.find()] == ["early"], "a plain read meets this"
    with MongoStore(MongoSettings(late_set.uri, database="shop")) as store:
        reading, _ = read(store, Selection())
        assert [row["_id"] for batch in store.scan(Selection()) for row in batch] == ["early", "new"]
    (row,) = reading.coverage
    assert (row.items, row.complete, row.problem) == (2, True, None)
    assert row.head_time is not None
    assert abs(row.head_time - milliseconds(dt.datetime.now(dt.UTC))) < 60_000


def test_after_the_first_answer_no_other_secondary_is_read(
    late_set: servers.Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recon.sources.payments.mongo._CATCH_UP_MS", 500)
    prompt = servers.Mongod(program="mongod", folder=late_set.folder / "prompt", follows=True)
    prompt.folder.mkdir()
    try:
        prompt.start()
        late_set.take_in(prompt)
        # The driver picks among the secondaries by chance: one that stands still would hold a query to its time limit.
        for _ in range(8):
            with MongoStore(MongoSettings(late_set.uri, database="shop", query_ms=1_500)) as store:
                store.as_of_ms()
                for _ in range(4):
                    assert store.count(Selection()) == 2
    finally:
        prompt.stop()


def test_where_the_primary_answered_first_it_is_read_to_the_end(
    late_set: servers.Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MongoStore(MongoSettings(late_set.uri, database="shop", timeout_ms=1_500, query_ms=1_500)) as store:
        with monkeypatch.context() as alone:
            alone.setattr(MongoStore, "_preference", lambda self: ReadPreference.PRIMARY)
            store.as_of_ms()
        assert store.count(Selection()) == 2


def test_a_secondary_that_had_caught_up_and_is_gone_leaves_the_primary(
    late_set: servers.Mongod,
) -> None:
    with MongoStore(MongoSettings(late_set.uri, database="shop", timeout_ms=1_500, query_ms=1_500)) as store:
        store.as_of_ms()
        store._is_behind, store._caught_up = False, ("127.0.0.1", 1)
        assert store.count(Selection()) == 2


def test_without_a_primary_nothing_shows_how_old_the_payments_are(late_set: servers.Mongod) -> None:
    late_set.step_down(30)
    with MongoStore(MongoSettings(late_set.uri, database="shop", timeout_ms=500)) as store:
        reading, _ = read(store, Selection())
    (row,) = reading.coverage
    assert not row.complete
    assert "Nothing shows how old the payments that were read are." in (row.problem or "")
    assert reading.gaps
