"""What a SQL database makes of a write by itself (triggers, constraints, rights) is one sentence at its row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128

from recon.core.ids import payment_id_text
from recon.core.model import Change
from recon.core.values import ABSENT, STAMP, value_at
from recon.runs.guard import guarded_update, ready_change
from recon.runs.states import Result
from recon.runs.stores.journal import Note, verify_journal
from recon.runs.stores.lease import LeaseHeldError, this_process
from recon.runs.stores.payments import UnknownCollectionError, WriteResult
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError, StoreSaysError
from recon.runs.stores.sql.journal import SqlJournal, SqlLeases
from recon.runs.stores.sql.own_tables import OWN_TABLES, OwnTablesMissingError, make_own_tables, migration_file
from recon.runs.stores.sql.payments import CHANGED, KEPT, SqlWriter
from recon.runs.stores.sql.rights import rights_of
from recon.runs.undo import plan_undo
from tests.support.applying import NOW, UNLIMITED, a_change, a_document, restored, some_documents
from tests.support.postgres import Postgres
from tests.support.sql_stores import BY_COLUMNS, SqlPlace, sqlite_place
from tests.support.sql_world import sql_world

postgres = pytest.mark.postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlPlace]:
    is_file = request.param == "sqlite"
    found = sqlite_place(tmp_path) if is_file else request.getfixturevalue("postgres_at")()
    yield found
    found.close()


@pytest.fixture
def server_place(request: pytest.FixtureRequest) -> Iterator[SqlPlace]:
    yield request.getfixturevalue("postgres_at")()


def write(writer: SqlWriter, document: dict[str, Any], change: Change | None = None) -> WriteResult:
    ready = ready_change(change or a_change(document), kind="correction")
    return writer.write(guarded_update(ready, document, stamp="run-1/c1", at=NOW))


def trigger(place: SqlPlace, body: str, *, when: str = "BEFORE") -> None:
    """A trigger on every update of a payment; ``body`` is in the words of the database."""
    if place.kind == "sqlite":
        place.run(f"CREATE TRIGGER meddling {when} UPDATE ON payments BEGIN {body} END")
        return
    place.run(f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    place.run(f"CREATE TRIGGER meddling {when} UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION meddle()")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a trigger that refuses": (
        {"sqlite": "SELECT RAISE(ABORT, 'not like this');", "postgres": "RAISE EXCEPTION 'not like this';"},
        "a trigger of the table refuses the write",
    ),
    "a trigger that keeps the row": (
        {"sqlite": "SELECT RAISE(IGNORE);", "postgres": "RETURN NULL;"},
        "a trigger or a row policy of the table keeps this row from being written",
    ),
    "a trigger that writes something else": (
        {
            "sqlite": "UPDATE payments SET escrow_state = 'held' WHERE id = NEW.id AND escrow_state = 'funded';",
            "postgres": "NEW.escrow_state := 'held'; RETURN NEW;",
        },
        "a trigger or a rounding column of the table made str of escrowState; the write was taken back",
    ),
    "a trigger that takes the value away": (
        {
            "sqlite": "UPDATE payments SET tx_hash = NULL WHERE id = NEW.id AND tx_hash IS NOT NULL;",
            "postgres": "NEW.tx_hash := NULL; RETURN NEW;",
        },
        "made nothing of blockchain.transactionHash; the write was taken back",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_trigger_makes_of_a_write_is_seen_and_nothing_of_it_stays(place: SqlPlace, what: str) -> None:
    document = a_document(1)
    writer = place.open_writer([document])
    bodies, said = REFUSED[what]
    trigger(place, bodies[place.kind], when="AFTER" if "UPDATE payments" in bodies[place.kind] else "BEFORE")
    result = write(writer, document)
    assert result.matched == 0
    assert said in str(result.message)
    assert result.code not in (None, 0)
    assert (result.code in (KEPT, CHANGED)) == ("refuses" not in what)
    assert writer.read([document["_id"]]) == {payment_id_text(document["_id"]): document}
    assert list(writer.stamps(None)) == []


def test_a_trigger_that_sets_the_time_of_change_is_the_backends_own_affair(place: SqlPlace) -> None:
    world = sql_world(place, some_documents(3))
    body = {
        "sqlite": "UPDATE payments SET updated_at = '2030-01-01 00:00:00.000' WHERE id = NEW.id;",
        "postgres": "NEW.updated_at := '2030-01-01 00:00:00+00'; RETURN NEW;",
    }
    trigger(place, body[place.kind], when="AFTER" if place.kind == "sqlite" else "BEFORE")
    report = world.apply(world.plan())
    assert report.counts == {Result.APPLIED: 3}
    assert {document["updatedAt"].year for document in world.documents()} == {2030}
    undo = world.apply(plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW))
    assert undo.counts == {Result.APPLIED: 3}
    assert list(world.raw().values()) == [restored(document, document) for document in world.before]


def test_constraints_are_a_sentence_each_and_stop_no_other_row(place: SqlPlace) -> None:
    documents = some_documents(4)
    world = sql_world(place, documents)
    check = "CREATE UNIQUE INDEX one_hash ON payments (tx_hash)"
    place.run(check)
    report = world.apply(world.plan(), limits=replace(UNLIMITED, refusals_max=4), canary_rows=0)
    assert report.counts == {Result.APPLIED: 1, Result.FAILED: 3}
    failed = [row for row in report.rows if row.result is Result.FAILED]
    assert {row.reason for row in failed} == {
        "was refused by the store: another record already holds a value that must be unique"
    }
    assert sum("recon" in document["metadata"] for document in world.documents()) == 1
    assert verify_journal(world.journal).is_whole


@postgres
def test_columns_that_round_cut_or_refuse_are_each_named(server_place: SqlPlace) -> None:
    place = server_place
    place.run("CREATE TYPE escrow AS ENUM ('releasing')")
    for column, declared, said in (
        ("escrow_state", "escrow", "a column does not take a value of this form or size"),
        ("tx_hash", "varchar(10)", "a column does not take a value of this form or size"),
        ("tx_hash", "char(70)", None),
        ("status", "text CHECK (status <> 'completed')", "a CHECK of the table refuses the record as it would be"),
        ("confirmations", "text", "the column confirmations holds text and cannot hold this value"),
        ("confirmations", "numeric", "the column confirmations holds decimal and cannot hold this value"),
        ("confirmations", "smallint", None),
    ):
        place.make()
        document = a_document(1, blockchain={"network": "bsc"})
        place.run(f"ALTER TABLE payments DROP COLUMN {column}, ADD COLUMN {column} {declared}")
        make_own_tables(place.shared)
        place.run("DELETE FROM recon.stamp")
        place.put([{**document, "status": "pending"}])
        writer = SqlWriter(place.shared)
        stored = dict(writer.read([document["_id"]])[payment_id_text(document["_id"])])
        result = write(writer, stored)
        assert (result.matched, result.message) == ((1, None) if said is None else (0, said)), (column, declared)


def test_a_path_without_a_column_is_refused_at_its_row(place: SqlPlace) -> None:
    document = a_document(1)
    writer = place.open_writer([document])
    result = write(writer, document, a_change(document, sets={"disputeId": "d", "status": "completed"}))
    assert (result.matched, result.message) == (
        0,
        "the column of disputeId is not there: name it under [sql.columns]",
    )
    assert writer.read([document["_id"]])[payment_id_text(document["_id"])]["status"] == "pending"


def test_a_column_for_the_stamp_is_used_instead_of_the_table_of_stamps(place: SqlPlace) -> None:
    columns = {**BY_COLUMNS.columns, STAMP: "stamped_by"}
    place.section = BY_COLUMNS.model_copy(update={"columns": columns})
    place.run("ALTER TABLE payments ADD COLUMN stamped_by varchar(80)")
    writer = place.open_writer([a_document(1)])
    assert write(writer, a_document(1)).matched == 1
    assert place.run("SELECT stamped_by FROM payments") == [("run-1/c1",)]
    assert place.run(f"SELECT count(*) FROM recon{'_' if place.kind == 'sqlite' else '.'}stamp") == [(0,)]
    assert list(writer.stamps("run-1")) == [(payment_id_text(a_document(1)["_id"]), "run-1/c1")]
    assert write(writer, a_document(1)).matched == 0


def test_a_table_without_a_time_of_change_or_a_version_is_guarded_by_its_values(place: SqlPlace) -> None:
    world = sql_world(place, some_documents(3))
    place.run("ALTER TABLE payments DROP COLUMN updated_at")
    place.run("ALTER TABLE payments DROP COLUMN version")
    columns = {path: name for path, name in BY_COLUMNS.columns.items() if name not in ("updated_at", "version")}
    place.section = BY_COLUMNS.model_copy(update={"columns": columns})
    writer, journal = world.fresh()
    bare = [{key: value for key, value in each.items() if key not in ("updatedAt", "__v")} for each in world.before]
    world = replace(world, writer=writer, journal=journal, before=bare)
    place.run(f"UPDATE payments SET status = 'failed' WHERE id = '{world.before[2]['_id']}'")
    report = world.apply(world.plan(), limits=replace(UNLIMITED, refusals_max=3))
    assert sorted(report.counts) == sorted([Result.APPLIED, Result.MOVED]) or Result.REFUSED in report.counts
    statuses = [row[0] for row in place.run("SELECT status FROM payments ORDER BY id")]
    assert statuses == ["completed", "completed", "failed"]


# Rights


def login(server: Postgres, place: SqlPlace, name: str, *grants: str) -> str:
    """A user of the place's database with some rights; gives the address."""
    database = place.url.rpartition("/")[2]
    place.run(f"DROP ROLE IF EXISTS {name}")
    place.run(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    for grant in grants:
        place.run(f"GRANT {grant} TO {name}")
    return server.url(database, user=name, password="pw")


def drop_login(place: SqlPlace, name: str) -> None:
    place.run(f"DROP OWNED BY {name}")
    place.run(f"DROP ROLE {name}")


@postgres
def test_a_login_that_may_only_read_is_refused_before_anything_is_written(
    server_place: SqlPlace, postgres_server: Postgres
) -> None:
    world = sql_world(server_place, some_documents(2))
    url = login(postgres_server, server_place, "only_reads", "SELECT ON payments", "USAGE ON SCHEMA recon",
                "SELECT ON ALL TABLES IN SCHEMA recon")  # fmt: skip
    database = server_place.database(url=url)
    with pytest.raises(ReadOnlyCredentialError, match="payments: the credential may not update records"):
        world.apply(world.plan(), writer=SqlWriter(database), journal=SqlJournal(database))
    with pytest.raises(ReadOnlyCredentialError, match="write the journal"):
        SqlJournal(database).append([Note("r", "run", "2026", {})])
    with server_place.shared.reading() as connection:
        said = list(rights_of(server_place.shared, connection, is_run=False, is_one_login=True))
    assert said[0][0] == "warning" and "One login reads and writes" in said[0][1]
    with database.reading() as connection:
        assert list(rights_of(database, connection, is_run=False, is_one_login=False)) == [
            ("ok", "The login that reads may write nowhere.")
        ]
        run = list(rights_of(database, connection, is_run=True, is_one_login=False))
    assert any("lacks UPDATE on status" in says for _, says in run)
    server_place.close()
    drop_login(server_place, "only_reads")


@postgres
def test_the_least_rights_that_the_migration_names_are_enough(
    server_place: SqlPlace, postgres_server: Postgres
) -> None:
    world = sql_world(server_place, some_documents(3))
    url = login(
        postgres_server, server_place, "writes_little", "SELECT ON payments",
        "UPDATE (status, escrow_state, disputed, confirmations, tx_hash, updated_at) ON payments",
        "USAGE ON SCHEMA recon", "SELECT, INSERT ON recon.journal",
        "SELECT, INSERT, UPDATE ON recon.stamp, recon.lease",
    )  # fmt: skip
    database = server_place.database(url=url)
    report = world.apply(world.plan(), writer=SqlWriter(database), journal=SqlJournal(database))
    assert report.counts == {Result.APPLIED: 3}
    with database.reading() as connection:
        run = list(rights_of(database, connection, is_run=True, is_one_login=False))
    assert [state for state, _ in run] == ["ok", "ok"], run
    server_place.run("REVOKE UPDATE ON payments FROM writes_little")
    document = a_document(7)
    server_place.put([document])
    server_place.run("REVOKE UPDATE (status) ON payments FROM writes_little")
    with pytest.raises(ReadOnlyCredentialError):
        write(SqlWriter(database), document)
    server_place.close()
    drop_login(server_place, "writes_little")


@postgres
def test_own_tables_that_a_login_may_not_make_are_asked_for_with_their_file(
    server_place: SqlPlace, postgres_server: Postgres
) -> None:
    server_place.put([a_document(1)])
    url = login(postgres_server, server_place, "makes_nothing", "SELECT, UPDATE ON payments")
    writer = server_place.writer(url=url)
    with pytest.raises(OwnTablesMissingError, match=r"postgres-1\.sql, which also says what to grant"):
        writer.check_writable()
    assert migration_file(server_place.shared).is_file()
    make_own_tables(server_place.shared)
    make_own_tables(server_place.shared)
    with server_place.shared.reading() as connection:
        assert all(server_place.shared.own_is_there(connection, name) for name in OWN_TABLES)
    server_place.close()
    drop_login(server_place, "makes_nothing")


@postgres
def test_a_row_policy_hides_rows_or_refuses_writes_in_one_sentence(
    server_place: SqlPlace, postgres_server: Postgres
) -> None:
    documents = some_documents(3)
    world = sql_world(server_place, documents)
    url = login(postgres_server, server_place, "sees_some", "SELECT, UPDATE ON payments", "USAGE ON SCHEMA recon",
                "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA recon")  # fmt: skip
    server_place.run("ALTER TABLE payments ENABLE ROW LEVEL SECURITY")
    server_place.run(f"CREATE POLICY some_rows ON payments FOR SELECT USING (id <> '{documents[0]['_id']}')")
    server_place.run(f"CREATE POLICY open_rows ON payments FOR UPDATE USING (id <> '{documents[2]['_id']}') "
                     "WITH CHECK (status <> 'completed')")  # fmt: skip
    database = server_place.database(url=url)
    writer = SqlWriter(database)
    assert writer.read([documents[0]["_id"]]) == {}
    said = write(writer, documents[1])
    assert (said.matched, said.message) == (0, "a row policy of the table refuses the record as it would be")
    said = write(writer, documents[2])
    assert (said.matched, said.code) == (0, KEPT)
    with database.reading() as connection:
        run = list(rights_of(database, connection, is_run=True, is_one_login=False))
    assert any("has row policies" in says for _, says in run)
    assert [document["status"] for document in world.documents()] == ["pending"] * 3
    server_place.close()
    drop_login(server_place, "sees_some")


def test_triggers_and_missing_columns_are_told_before_a_run(place: SqlPlace) -> None:
    trigger(place, {"sqlite": "SELECT 1;", "postgres": "RETURN NEW;"}[place.kind])
    columns = {path: name for path, name in BY_COLUMNS.columns.items() if path not in ("escrowState", "updatedAt")}
    database = place.database(section=BY_COLUMNS.model_copy(update={"columns": columns}))
    with database.reading() as connection:
        said = [says for _, says in rights_of(database, connection, is_run=True, is_one_login=False)]
    assert any("The table has triggers (meddling)" in says for says in said)
    assert any("No column stands under escrowState: a change that sets one" in says for says in said)
    assert any("No column stands under updatedAt" in says for says in said)
    assert any("own tables are not all there (stamp, journal, lease)" in says for says in said)


# The journal and the lease


def test_a_table_that_is_gone_is_no_target(place: SqlPlace) -> None:
    place.run("DROP TABLE payments")
    with pytest.raises(UnknownCollectionError, match="payments: there is no such collection"):
        place.writer().identity()


def test_a_lease_is_held_by_one_and_its_token_only_grows(place: SqlPlace) -> None:
    make_own_tables(place.shared)
    leases, here = SqlLeases(place.shared), this_process()
    elsewhere = replace(here, place="elsewhere|boot|pid")
    assert leases.acquire("t", holder=elsewhere, lease_ms=600_000) == 1
    assert leases.acquire("t", holder=elsewhere, lease_ms=600_000) == 1, "ours already: the first answer was lost"
    with pytest.raises(LeaseHeldError, match=r"on elsewhere holds the lease for at most \d+ s more"):
        leases.acquire("t", holder=here, lease_ms=60_000)
    assert leases.renew("t", token=1, lease_ms=60_000)
    assert not leases.renew("t", token=2, lease_ms=60_000)
    leases.release("t", token=1)
    assert leases.acquire("t", holder=elsewhere, lease_ms=0) == 2
    assert leases.acquire("t", holder=here, lease_ms=60_000) == 3, "it ran out by the server's clock"
    leases.release("t", token=3)
    dead = replace(here, pid=2**22 + 1)
    assert leases.acquire("t", holder=dead, lease_ms=60_000) == 4
    assert leases.acquire("t", holder=here, lease_ms=60_000) == 5
    leases.release("t", token=5)


def test_values_of_a_guard_are_compared_by_the_server_itself(place: SqlPlace) -> None:
    """The statement alone, without the look before it, refuses every other value, NULL and other types included."""
    document = a_document(1)
    writer = place.open_writer([document])
    with place.shared.reading() as connection:
        table = writer._table(connection)
        row = writer._row(connection, table, document["_id"])
    assert row is not None
    column = table.layout.columns
    changes: dict[str, list[Any]] = {
        "status": ["Pending", "pending ", None, "processing"], "amount": [12.500000000000002, None, -12.5],
        "version": [1, None], "confirmations": [4, None], "escrow_state": ["", "funded"], "currency": ["usdc"],
        "updated_at": ["2026-11-19 08:00:00.124+00"],
    }  # fmt: skip
    import sqlalchemy as sa

    for name, values in changes.items():
        for value in values:
            asked = place.shared.holds(column[name], row.images[name])
            literal = "NULL" if value is None else repr(value)
            before = place.run(f"SELECT {name} FROM payments")[0][0]
            place.run(f"UPDATE payments SET {name} = {literal}")
            with place.shared.reading() as connection:
                found = connection.execute(sa.select(sa.literal(1)).select_from(table.layout.table).where(asked)).all()
            assert found == [], (name, value)
            place.run(f"UPDATE payments SET {name} = ?", [(before,)])
            with place.shared.reading() as connection:
                found = connection.execute(sa.select(sa.literal(1)).select_from(table.layout.table).where(asked)).all()
            assert len(found) == 1, (name, "as it was")
    assert value_at(document, "disputed") is ABSENT


def test_a_database_that_is_away_is_one_sentence_for_every_question(place: SqlPlace, tmp_path: Path) -> None:
    away = f"sqlite:///{tmp_path}/gone.db" if place.kind == "sqlite" else "postgresql://u:hidden@127.0.0.1:1/d"
    database = place.database(url=away)
    retry = Retry(retry_s=0.01, passes=database.is_passing)
    writer, journal = SqlWriter(database, retry=retry), SqlJournal(database, retry=retry)
    questions: dict[str, Any] = {
        "say who it is": writer.identity,
        "read the journal": journal.refresh,
        "take the lease": lambda: journal.leases.acquire("t", holder=this_process(), lease_ms=1000),
        "look for stamps": lambda: list(writer.stamps(None)),
        "make the tool's own tables": writer.check_writable,
    }
    for what, ask in questions.items():
        with pytest.raises(StoreSaysError, match=f"the wish to {what}") as raised:
            ask()
        assert "hidden" not in str(raised.value)
    with pytest.raises(StoreGoneError):
        writer.read([a_document(1)["_id"]])


@postgres
def test_what_moves_beside_the_guard_between_look_and_statement_is_looked_at_again(server_place: SqlPlace) -> None:
    """Another column of a guarded object moved: the statement does not match, and the row fits as it is now."""
    document = a_document(1)
    server_place.open_writer([document])
    turns: list[str] = []

    class Racing(SqlWriter):
        def _update(self, *given: Any, **named: Any) -> bool:
            if len(turns) < len(moves):
                server_place.run(f"UPDATE payments SET {moves[len(turns)]}")
                turns.append("")
            return super()._update(*given, **named)

    moves = ["network = 'base'"]
    assert write(Racing(server_place.shared), document).matched == 1
    assert server_place.run("SELECT network, status FROM payments") == [("base", "completed")]
    turns.clear()
    server_place.open_writer([document])
    moves = ["network = 'a'", "network = 'b'", "network = 'c'"]
    assert write(Racing(server_place.shared), document) == WriteResult(0), "a row that never rests is asked again later"
    assert server_place.run("SELECT network, status FROM payments") == [("c", "pending")]


def test_a_server_tells_its_own_time_and_a_file_has_none(place: SqlPlace) -> None:
    writer = place.writer()
    if place.kind == "sqlite":
        with pytest.raises(StoreSaysError, match="it has no clock of its own"):
            writer.server_time()
        return
    place.run("ALTER ROLE recon_owner SET timezone = 'Asia/Tokyo'")
    (now,) = place.run("SELECT extract(epoch FROM clock_timestamp())")[0]
    place.run("ALTER ROLE recon_owner RESET timezone")
    assert abs(writer.server_time().timestamp() - float(now)) < 60
    assert writer.server_time().utcoffset() == dt.timedelta(0)


AMOUNTS = ["12.50", "12.5", "12.500000000000000001", "1250", "-12.50", None]


def test_an_amount_is_the_same_only_digit_by_digit(place: SqlPlace) -> None:
    """Numeric in PostgreSQL, text in SQLite: 12.5 was not reviewed where 12.50 was, and no double stands between."""
    place.section = BY_COLUMNS.model_copy(update={"kinds": {**BY_COLUMNS.kinds, "amount": "decimal"}})
    place.run("ALTER TABLE payments DROP COLUMN amount")
    place.run(f"ALTER TABLE payments ADD COLUMN amount {'TEXT' if place.kind == 'sqlite' else 'numeric'}")
    document = a_document(1, amount={"amount": Decimal128("12.50"), "currency": "USDC"})
    for amount in AMOUNTS:
        writer = place.open_writer([document])
        place.run("UPDATE payments SET amount = ?", [(amount,)])
        found = writer.read([document["_id"]])[payment_id_text(document["_id"])]
        assert value_at(found, "amount.amount") == (ABSENT if amount is None else Decimal128(amount))
        assert write(writer, document).matched == (1 if amount == "12.50" else 0), amount
        statuses = place.run("SELECT status FROM payments")
        assert statuses == [("completed" if amount == "12.50" else "pending",)], amount
