"""Payments are read from a SQL table as one moment, in bounded pages, whatever their ids are and however spelled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, ObjectId

from recon.core.errors import ConfigError
from recon.core.ids import payment_id_text
from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.sources.interface import Reading, Selection
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.read import ListStore, read_payments
from recon.sources.payments.sql import table as paging
from recon.sources.payments.sql.database import Reached
from recon.sources.payments.sql.errors import (
    SqlLoginError,
    SqlMissingError,
    SqlStaleError,
    SqlUnreachableError,
    SqlUrlError,
    SqlZoneError,
)
from recon.sources.payments.sql.opened import database_of
from recon.sources.payments.sql.section import ColumnKind, SqlSection
from tests.support.applying import some_documents
from tests.support.postgres import Postgres
from tests.support.sql_stores import AS_DOCUMENT, BY_COLUMNS, SqlPlace, sqlite_place

CREATED = dt.datetime(2026, 11, 19, 8, tzinfo=dt.UTC)
LAYOUTS = {"columns": BY_COLUMNS, "document": AS_DOCUMENT}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(request: pytest.FixtureRequest, kind: str, folder: Path, section: SqlSection) -> SqlPlace:
    if kind == "sqlite":
        return sqlite_place(folder, section)
    place: SqlPlace = request.getfixturevalue("postgres_at")(section)
    return place


@pytest.fixture
def place(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[SqlPlace]:
    found = made(request, kind, tmp_path, BY_COLUMNS)
    yield found
    found.close()


def documents(count: int) -> list[dict[str, Any]]:
    """Payments an hour apart, of every status, some without a date."""
    statuses = ("pending", "completed", "failed", "processing")
    found = [
        {**document, "createdAt": CREATED + dt.timedelta(hours=number), "status": statuses[number % 4]}
        for number, document in enumerate(some_documents(count))
    ]
    for document in found[::7]:
        del document["createdAt"]
    for number, document in enumerate(found):
        document["provider"] = ("request.network", "SHKeeper", "contract")[number % 3]
        document["blockchain"] = {"network": "bsc", "transactionHash": f"0x{number:064X}"}
    return found


def read_all(store: Any, batches: list[Any]) -> Reading:
    rules: Any = {"fields": FieldPaths(), "registry": load_registry(), "policy": Policy()}
    return read_payments(store, selection=Selection(), sink=batches.append, **rules)


SELECTIONS = {
    "everything": Selection(),
    "a window": Selection(from_at=CREATED + dt.timedelta(hours=3), to_at=CREATED + dt.timedelta(hours=9, seconds=1)),
    "open": Selection(open_only=True),
    "a status": Selection(statuses=("failed", "completed"), from_at=CREATED + dt.timedelta(hours=5)),
    "a provider": Selection(providers=("shkeeper",)),
    "ids": Selection(ids=(f"{3:024x}", f"{4:024X}", "nobody", "12")),
    "ids of a status": Selection(ids=(f"{3:024x}", f"{4:024x}"), statuses=("failed",)),
    "updated": Selection(date_field="updated", to_at=CREATED),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_selection_means_the_same_as_in_memory_and_is_counted_as_it_is_read(
    request: pytest.FixtureRequest, kind: str, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_ROWS", 4)
    place = made(request, kind, tmp_path, LAYOUTS[layout])
    place.put(documents(23))
    store, memory = place.store(), ListStore(documents(23))
    for what, selection in SELECTIONS.items():
        store.as_of_ms()
        count = store.count(selection)
        found = [document for batch in store.scan(selection) for document in batch]
        wanted = [document for batch in memory.scan(selection) for document in batch]
        assert [d["_id"] for d in found] == [d["_id"] for d in wanted], what
        assert count == len(found), what
    assert [payment_id_text(d["_id"]) for d in store.fetch([f"{2:024x}", "nobody", '"1"'])] == [f"{2:024x}"]
    assert [d["_id"] for d in store.sample(2)] == [ObjectId(f"{23:024x}"), ObjectId(f"{22:024x}")]
    place.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whoever_carries_a_key_in_any_spelling_is_found_in_the_whole_table(
    request: pytest.FixtureRequest, kind: str, layout: str, tmp_path: Path
) -> None:
    place = made(request, kind, tmp_path, LAYOUTS[layout])
    place.put(documents(9))
    store, memory = place.store(), ListStore(documents(9))
    for field, values in {
        "tx_hash": [f"0x{5:064x}", f"{7:064x}", "0x12"],
        "request_id": [f"01{3:064x}", "none"],
        "order_id": ["template-checkout-4", "TEMPLATE-CHECKOUT-5"],
        "buyer_id": [f"{5002:024x}"],
        "recipient": ["0x" + "ab" * 20],
    }.items():
        found = {(value, str(d["_id"])) for value, d in store.find_claimants(field, values)}
        assert found == {(value, str(d["_id"])) for value, d in memory.find_claimants(field, values)}, field
        assert found or field == "recipient"
    place.close()


def test_a_window_is_one_moment_whatever_is_written_meanwhile(place: SqlPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_ROWS", 3)
    place.put(documents(10))
    store = place.store()
    store.as_of_ms()
    pages = store.scan(Selection())
    first = next(pages)
    place.run("UPDATE payments SET status = 'refunded'")
    place.run(f"DELETE FROM payments WHERE id = '{10:024x}'")
    place.put([{**documents(1)[0], "_id": ObjectId("f" * 24)}])
    rest = [document for page in pages for document in page]
    assert len(first) + len(rest) == 10
    assert "refunded" not in {document["status"] for document in (*first, *rest)}
    assert store.count(Selection()) == 10, "counted in the same moment"
    assert {d["status"] for d in store.fetch([f"{1:024x}"])} == {"refunded"}, "a single row is read as it is now"
    tables = read_payments(
        store,
        selection=Selection(),
        sink=lambda batch: None,
        fields=FieldPaths(),
        registry=load_registry(),
        policy=Policy(),
    )
    assert [row.problem for row in tables.coverage] == [None]
    assert tables.coverage[0].items == 10


UUIDS = ["6f1c9d0e-0000-4000-8000-00000000000a", "ffffffff-0000-4000-8000-00000000000b"]
IDS: dict[str, tuple[dict[str, str], list[Any]]] = {
    "uuid": ({"sqlite": "TEXT", "postgres": "uuid"}, UUIDS),
    "bigint": ({"sqlite": "INTEGER", "postgres": "bigint"}, [1, 7, 2**31 + 5, 2**62]),
    "smallint": ({"sqlite": "INTEGER", "postgres": "smallint"}, [-3, 5, 32000]),
    "text": ({"sqlite": "TEXT", "postgres": "text"}, ["1", "10", "9", "true", "{", "a" * 24, "é", "x'y\"z"]),
    "varchar": ({"sqlite": "VARCHAR(9)", "postgres": "varchar(9)"}, ["A", "B", "a", "b"]),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_of_any_type_are_read_paged_fetched_and_selected(
    request: pytest.FixtureRequest, kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_ROWS", 1)
    types, values = IDS[name]
    place = made(request, kind, tmp_path, SqlSection(table="payments", columns={"createdAt": "at"}, time_zone="UTC"))
    place.make(f"id {types[kind]} PRIMARY KEY, status varchar(20), at timestamp")
    place.run("INSERT INTO payments VALUES (?, 'pending', '2026-11-20 10:00:00')", [(value,) for value in values])
    store = place.store()
    found = [document["_id"] for page in store.scan(Selection()) for document in page]
    wanted = {value if not isinstance(value, int) or abs(value) < 2**31 else Int64(value) for value in values}
    assert set(found) == wanted
    texts = [payment_id_text(value) for value in found]
    assert {d["_id"] for d in store.fetch([*texts, "nobody", f"{1:024x}", "99999999999999999999999", "-1"])} == wanted
    assert store.count(Selection(ids=tuple(texts[:2]))) == 2
    place.close()


def test_times_need_a_zone_and_windows_go_by_it(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    place = made(request, kind, tmp_path, SqlSection(table="payments", columns={"createdAt": "at"}))
    place.make("id {text} PRIMARY KEY, at timestamp")
    place.run("INSERT INTO payments VALUES (?, ?)", [("a", "2026-11-20 10:00:00"), ("b", "2026-11-20 11:00:00.5")])
    with pytest.raises(SqlZoneError, match="column at holds times without a zone"):
        list(place.store().scan(Selection()))
    with pytest.raises(SqlZoneError):
        place.store().check()
    for zone, seen in {"UTC": ["b"], "+01:00": ["b"], "-01:00": ["a", "b"], "+01:01": []}.items():
        store = place.store(section=SqlSection(table="payments", columns={"createdAt": "at"}, time_zone=zone))
        window = Selection(from_at=dt.datetime(2026, 11, 20, 10, 0, 0, 500000 if zone != "UTC" else 0, tzinfo=dt.UTC))
        if zone == "UTC":
            window = Selection(from_at=dt.datetime(2026, 11, 20, 11, 0, 0, 500000, tzinfo=dt.UTC))
        assert [d["_id"] for page in store.scan(window) for d in page] == seen, zone
        assert store.count(window) == len(seen)
    place.close()


@pytest.mark.parametrize("name", ["unix_s", "unix_ms"])
def test_moments_as_numbers_are_windows_too_and_a_number_that_is_no_moment_is_in_every_one(
    request: pytest.FixtureRequest, kind: str, name: str, tmp_path: Path
) -> None:
    per = 1 if name == "unix_s" else 1000
    section = SqlSection(table="payments", columns={"createdAt": "at"}, kinds={"at": name})  # type: ignore[dict-item]
    place = made(request, kind, tmp_path, section)
    place.make("id {text} PRIMARY KEY, at bigint")
    rows = [("a", 1_763_640_000 * per), ("b", 1_763_640_001 * per), ("c", None), ("d", 10**15 * per)]
    place.run("INSERT INTO payments VALUES (?, ?)", rows)
    store = place.store()
    at = dt.datetime.fromtimestamp(1_763_640_001, dt.UTC)
    window = Selection(from_at=at, to_at=at + dt.timedelta(milliseconds=1))
    assert [d["_id"] for page in store.scan(window) for d in page] == ["b", "c", "d"]
    assert store.count(window) == 3
    place.close()


def test_amounts_are_exact_whether_number_or_text(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    columns = {"amount.amount": "amount", "amount.currency": "coin", "blockchain.network": "network"}
    section = SqlSection(table="payments", columns=columns, kinds={"amount": "decimal"} if kind == "sqlite" else {})
    place = made(request, kind, tmp_path, section)
    place.make(
        "id {text} PRIMARY KEY, amount " + ("TEXT" if kind == "sqlite" else "numeric") + ", coin text, network text"
    )
    amounts = ["123456789012.123456789012345678", "0.000000000000000001", "12.50", "9" * 60]
    place.run("INSERT INTO payments VALUES (?, ?, 'USDC', 'bsc')", [(f"p{n}", each) for n, each in enumerate(amounts)])
    batches: list[Any] = []
    read_all(place.store(), batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    units = [None if row["expected_units"] is None else int(row["expected_units"]) for row in rows]
    assert units == [123456789012123456789012345678, 1, 125 * 10**17, None]
    assert "amount_too_large" in rows[3]["problem"]
    place.close()


# What can be wrong


def test_a_table_that_cannot_be_used_is_named_with_the_way_out(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    place = made(request, kind, tmp_path, BY_COLUMNS)
    place.run("CREATE TABLE loose (id integer, status text)")
    place.run("CREATE VIEW seen AS SELECT * FROM payments")
    for section, error, said in (
        (SqlSection(table="nothing"), SqlMissingError, "nothing is not there"),
        (SqlSection(table='payments"; DROP TABLE payments; --'), SqlMissingError, "is not there"),
        (SqlSection(table="loose"), SqlMissingError, "loose may hold one id twice: it needs a unique index"),
        (SqlSection(table="loose", id="nr"), SqlMissingError, "loose has no column nr"),
        (SqlSection(table="seen"), SqlMissingError, "seen is (a view|no table); name the table behind it"),
        (SqlSection(table="payments", columns={"a": "b"}), ConfigError, "has no column 'b'; it has amount"),
        (SqlSection(table="payments", kinds={"b": "json"}), ConfigError, "sql.kinds: .* has no column 'b'"),
        (
            SqlSection(table="payments", columns={"status.x": "amount"}),
            ConfigError,
            "status and another under status.x",
        ),
    ):
        with pytest.raises(error, match=said):
            place.store(section=section).identity()
    assert place.store().identity().collection.endswith("payments")
    assert "can be read" in place.store().check()
    place.close()


@pytest.mark.parametrize(("kinds", "is_told"), [({}, True), ({"created_at": "date"}, False)])
def test_a_column_of_text_where_times_are_looked_for_is_told(
    kinds: dict[str, ColumnKind], is_told: bool, tmp_path: Path
) -> None:
    section = SqlSection(table="payments", columns={"createdAt": "created_at"}, kinds=kinds, time_zone="UTC")
    place = sqlite_place(tmp_path, section)
    place.run("DROP TABLE payments")
    place.run("CREATE TABLE payments (id TEXT PRIMARY KEY, created_at TEXT)")
    said = place.store().check()
    assert (
        'created_at holds no times by its type; where it does, say so: [sql.kinds] created_at = "date"' in said
    ) is is_told
    place.close()


def test_an_address_that_is_none_is_never_shown(tmp_path: Path) -> None:
    section = SqlSection(table="payments")
    for url in (
        "mysql://u:hidden@h/d",
        "hidden",
        "postgresql://u:hidden@h:x/d",
        "postgresql://u:hidden@h",
        "sqlite:hidden",
    ):
        with pytest.raises(SqlUrlError) as raised:
            list(_opened(url, tmp_path, section))
        assert "hidden" not in str(raised.value)
        assert "RECON_SQL_URL" in str(raised.value)
    with pytest.raises(SqlUnreachableError, match="SQLITE_CANTOPEN"):
        list(_opened("sqlite:///gone.db", tmp_path, section))
    (tmp_path / "text.db").write_bytes(b"this is no database, but some text that goes on for a while\n" * 40)
    with pytest.raises(SqlUnreachableError, match="SQLITE_NOTADB"):
        list(_opened("sqlite:///text.db", tmp_path, section))


def _opened(url: str, home: Path, section: SqlSection) -> Iterator[str]:
    database = database_of(Reached(url, "RECON_SQL_URL", home), section)
    with database.asked_of(), database.reading() as connection:
        yield database.layout(connection).name


def test_a_reader_can_write_nothing_even_where_its_login_may(place: SqlPlace) -> None:
    place.put(documents(2))
    database = place.database(may_write=False)
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    for statement in ("UPDATE payments SET status = 'x'", "DELETE FROM payments", "CREATE TABLE t (a int)"):
        with pytest.raises(SQLAlchemyError, match=r"read-only|readonly"), database.reading() as connection:
            connection.execute(sa.text(statement))


@pytest.mark.postgres
def test_a_server_that_is_away_or_refuses_is_named_without_its_password(
    place: SqlPlace, postgres_server: Postgres, kind: str
) -> None:
    if kind == "sqlite":
        return
    name = place.url.rpartition("/")[2]
    for url, error in (
        (postgres_server.url(name, password="wrong-secret"), SqlLoginError),
        (postgres_server.url("no_such_database"), SqlLoginError),
        ("postgresql://u:wrong-secret@127.0.0.1:1/d", SqlUnreachableError),
    ):
        with pytest.raises(error) as raised:
            place.store(url=url).identity()
        assert "wrong-secret" not in str(raised.value)


# A standby


@pytest.mark.postgres
def test_a_standby_is_believed_only_as_far_as_it_proves(postgres_server: Postgres) -> None:
    """A replica that stopped replaying shows an old state; nothing of it is trusted, and the reading says so."""
    from tests.support.sql_stores import postgres_place

    section = BY_COLUMNS.model_copy(update={"lag_max_s": 2.0})
    place = postgres_place(postgres_server, "standby_test", section)
    place.put(documents(3))
    standby = postgres_server.standby()
    try:
        store = place.store(url=standby.url("standby_test"))
        beat = "UPDATE payments SET currency = 'USDC'"
        standby.wait_for(lambda: place.run(beat) or not _is_stale(store), what="catch up")
        assert "it is a standby, so that a run needs another address" in store.check()
        assert [(row.problem, row.items) for row in read_all(store, []).coverage] == [(None, 3)]
        with standby.connected() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
        place.run("UPDATE payments SET status = 'refunded'")
        standby.wait_for(lambda: place.run(beat) or _is_stale(store), what="fall behind")
        reading = read_all(store, [])
        assert "is a standby, and it is" in str(reading.coverage[0].problem)
        assert len(reading.gaps) == 1
        with pytest.raises(SqlStaleError):
            list(store.fetch([f"{1:024x}"]))
        with standby.connected() as connection:
            connection.execute("SELECT pg_wal_replay_resume()")
        standby.wait_for(lambda: place.run(beat) or not _is_stale(store), what="catch up again")
        assert {d["status"] for d in store.fetch([f"{1:024x}"])} == {"refunded"}
    finally:
        place.close()
        standby.stop()


def _is_stale(store: Any) -> bool:
    try:
        store.as_of_ms()
    except SqlStaleError:
        return True
    return False
