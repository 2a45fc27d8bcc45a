"""The crashes of a run, over SQLite and PostgreSQL: killed at a step, server restarted, foreign writers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest

from recon.core.errors import RefusedError
from recon.runs.apply import RunReport, RunStoppedError
from recon.runs.guard import GuardedUpdate
from recon.runs.states import Result, list_runs
from recon.runs.stores.journal import verify_journal
from recon.runs.stores.lease import LeaseHeldError
from recon.runs.stores.payments import WriteResult
from recon.runs.stores.retry import Retry
from recon.runs.stores.sql.journal import SqlJournal
from recon.runs.stores.sql.payments import SqlWriter
from recon.runs.undo import plan_undo
from tests.support.applying import NOW, UNLIMITED, restored, some_documents
from tests.support.crashing import ROWS, Nursery, Steps, pace
from tests.support.postgres import Postgres, start_postgres
from tests.support.servers import LOOPBACK
from tests.support.sql_stores import SqlPlace, postgres_place, sqlite_place
from tests.support.sql_world import SqlWorld, sql_world

GROUP = 7


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlPlace]:
    is_file = request.param == "sqlite"
    found = sqlite_place(tmp_path) if is_file else request.getfixturevalue("postgres_at")()
    yield found
    found.close()


def values_of(world: SqlWorld) -> list[bytes]:
    """Every document without the stamp, ``updatedAt`` included."""
    found = world.documents()
    for document in found:
        assert document["metadata"].pop("recon")["last"].startswith("2026")
    return [bson.encode(document) for document in found]


def undone(world: SqlWorld, run: str) -> None:
    """Take the run back and find every document as it was, byte for byte."""
    report = world.apply(plan_undo(world.journal, run=run, target=world.target, now=NOW), in_flight=4)
    assert report.counts == {Result.APPLIED: ROWS}
    assert world.raw() == {str(d["_id"]): restored(d, d) for d in world.before}


def chosen_steps(names: list[str]) -> list[int]:
    """The last time of every kind of step, by number."""
    return sorted({name: number for number, name in enumerate(names, start=1)}.values())


def test_killed_at_any_kind_of_step_a_run_resumes_to_the_same_end_and_undoes_to_the_same_start(
    place: SqlPlace, record_property: Callable[[str, object], None]
) -> None:
    steps, world = Steps(), sql_world(place, some_documents(ROWS))
    report = world.apply(world.plan(), **pace(GROUP, 1, steps))
    assert report.counts == {Result.APPLIED: ROWS}
    expected = values_of(world)
    undone(world, str(report.run))
    nursery = Nursery("sql", "sql")
    try:
        # A file has one writer at a time; a server also dies with several writes on their way.
        several = [(4, steps.names.index("store.write:after") + 4)] if place.kind == "postgres" else []
        for in_flight, kill_at in [(1, number) for number in chosen_steps(steps.names)] + several:
            world = sql_world(place, some_documents(ROWS))
            plan = world.plan()
            code = nursery.run(place.url, group_size=GROUP, in_flight=in_flight, kill_at=kill_at)
            assert code == -9, f"step {kill_at}: the child ended with {code}"
            runs = list_runs(world.journal)
            report = world.resume(plan, runs[0].run) if runs else world.apply(plan)
            assert report.counts == {Result.APPLIED: ROWS}, f"step {kill_at}: {report.counts}"
            assert verify_journal(world.journal).is_whole
            assert values_of(world) == expected, f"step {kill_at}: another end"
            undone(world, str(report.run))
    finally:
        nursery.close()
    record_property("blows", len(chosen_steps(steps.names)))


def test_a_writer_in_between_is_never_overwritten(place: SqlPlace) -> None:
    """Some rows get a foreign value in a guarded column just before our write."""
    world = sql_world(place, some_documents(40))
    foreign, seen = random.Random(3).sample(range(40), 8), set[str]()
    waiting = {world.before[number]["_id"]: place_in for place_in, number in enumerate(foreign)}
    columns = {"status": "'failed'", "escrow_state": "'releasing'", "disputed": "true", "amount": "12.0",
               "provider": "'shkeeper'"}  # fmt: skip

    class Meddler(SqlWriter):
        def write(self, update: GuardedUpdate) -> WriteResult:
            number = waiting.get(update.document_id)
            if number is not None:
                column = list(columns)[number % 5]
                seen.add(column)
                place.run(f"UPDATE payments SET {column} = {columns[column]} WHERE id = '{update.document_id}'")
            return super().write(update)

    limits = replace(UNLIMITED, refusals_max=8)
    report = world.apply(world.plan(), writer=Meddler(place.shared), limits=limits, canary_rows=0, group_size=8)
    assert report.counts == {Result.APPLIED: 32, Result.REFUSED: 8}
    assert seen == set(columns)
    for row, document in zip(report.rows, world.documents(), strict=True):
        if row.result is Result.REFUSED:
            assert "recon" not in document["metadata"]
            assert [item.path for item in row.moved]
        else:
            assert document["status"] == "completed"


def test_a_writer_between_the_look_and_the_statement_is_never_overwritten(place: SqlPlace) -> None:
    """The narrowest place: after our own transaction looked at the row, where only the statement's guard can see it."""
    world = sql_world(place, some_documents(3))
    if place.kind == "sqlite":
        place.run("CREATE TABLE kept (note TEXT)")
    victim = world.before[1]["_id"]

    class Racing(SqlWriter):
        def _update(self, *given: Any, **named: Any) -> bool:
            if named["update"].document_id == victim and place.kind == "postgres":
                place.run(f"UPDATE payments SET status = 'failed' WHERE id = '{victim}'")
            return super()._update(*given, **named)

    report = world.apply(world.plan(), writer=Racing(place.shared), limits=replace(UNLIMITED, refusals_max=3))
    statuses = [document["status"] for document in world.documents()]
    if place.kind == "postgres":
        assert statuses == ["completed", "failed", "completed"]
        assert report.counts == {Result.APPLIED: 2, Result.REFUSED: 1}
    else:
        assert statuses == ["completed"] * 3, "a file has one writer at a time, so nothing can come between"


def test_a_backend_that_writes_all_the_time_keeps_every_value_of_its_own(place: SqlPlace) -> None:
    """A thread of its own settles some rows its way while the run goes through its groups."""
    world = sql_world(place, some_documents(40))
    foreign = random.Random(5).sample(range(40), 6)
    started, met = threading.Event(), threading.Event()

    def backend() -> None:
        started.wait(30)
        for number in foreign:
            place.run(f"UPDATE payments SET status = 'failed' WHERE id = '{world.before[number]['_id']}'")
        met.set()

    def step(name: str) -> None:
        if name == "store.write:after":
            started.set()
        if name == "journal.append:before" and started.is_set():
            met.wait(30)  # The groups that were read ahead hold rows that have moved by now.

    thread = threading.Thread(target=backend)
    thread.start()
    limits, in_flight = replace(UNLIMITED, refusals_max=6), 4 if place.kind == "postgres" else 1
    report = world.apply(world.plan(), limits=limits, canary_rows=0, group_size=8, in_flight=in_flight, step=step)
    thread.join()
    assert met.is_set()
    assert 34 <= report.counts[Result.APPLIED] < 40, "some rows moved before their write"
    for number, (row, document) in enumerate(zip(report.rows, world.documents(), strict=True)):
        assert (document["status"] == "failed") == (number in foreign), "what the backend wrote is never overwritten"
        if row.result is not Result.APPLIED:
            assert [item.path for item in row.moved] == ["status"]
            assert "recon" not in document["metadata"]


def test_two_applies_at_once_write_exactly_once(place: SqlPlace) -> None:
    for turn in range(3):
        world = sql_world(place, some_documents(12))
        plan, reports, refused = world.plan(), [], []
        barrier = threading.Barrier(2)

        def go(
            world: SqlWorld = world, barrier: threading.Barrier = barrier, plan: Any = plan,
            reports: list[RunReport] = reports, refused: list[RefusedError] = refused,
        ) -> None:  # fmt: skip
            writer, journal = world.fresh()
            barrier.wait()
            try:
                reports.append(world.apply(plan, journal=journal, writer=writer))
            except LeaseHeldError as error:
                refused.append(error)

        threads = [threading.Thread(target=go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reports) + len(refused) == 2
        written = [report for report in reports if report.run is not None]
        assert [report.counts for report in written] == [{Result.APPLIED: 12}], f"turn {turn}"
        stamps = {document["metadata"]["recon"]["last"] for document in world.documents()}
        assert stamps == {f"{written[0].run}/{change.id}" for change in plan.changes}
    assert verify_journal(world.journal).is_whole


# A server that goes away


@contextmanager
def own_server(**given: Any) -> Iterator[Postgres]:
    server = start_postgres(**given)
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.postgres
def test_a_server_that_crashes_stops_the_run_and_the_same_run_continues() -> None:
    with own_server(is_durable=True) as server:
        place = postgres_place(server, "away")
        world = sql_world(place, some_documents(ROWS))
        retry = Retry(retry_s=0.5, passes=place.shared.is_passing)
        database = place.database()
        writer, journal = SqlWriter(database, retry=retry), SqlJournal(database, retry=retry)
        seen: list[str] = []

        def step(name: str) -> None:
            seen.append(name)
            if len(seen) == 21:
                server.kill()

        plan = world.plan()
        with pytest.raises(RunStoppedError, match=r"The store gave no usable answer") as stopped:
            world.apply(plan, writer=writer, journal=journal, group_size=GROUP, in_flight=1, step=step)
        run = stopped.value.report.run
        assert run is not None
        assert stopped.value.report.counts[Result.APPLIED] < ROWS
        server.start()
        place.close()
        assert world.resume(plan, run).counts == {Result.APPLIED: ROWS}
        assert verify_journal(world.journal).is_whole
        undone(world, run)
        place.close()


@pytest.mark.postgres
def test_a_server_that_restarts_while_a_run_waits_stops_nothing() -> None:
    """The connections die under the run, the server comes back, and the write is asked again."""
    with own_server(is_durable=True) as server:
        place = postgres_place(server, "restarted")
        world = sql_world(place, some_documents(ROWS))
        seen: list[str] = []

        def step(name: str) -> None:
            seen.append(name)
            if len(seen) in (12, 25):
                server.kill()
                server.start()

        report = world.apply(world.plan(), group_size=GROUP, in_flight=1, step=step)
        assert len(seen) > 25
        assert report.counts == {Result.APPLIED: ROWS}
        assert verify_journal(world.journal).is_whole
        place.close()
        undone(world, str(report.run))
        place.close()


@pytest.mark.postgres
def test_a_primary_that_is_lost_midway_stops_nothing_where_its_standby_has_all() -> None:
    """A streaming replica that every commit waits for takes over; both addresses stand in one."""
    with own_server(is_durable=True) as primary:
        place = postgres_place(primary, "failover")
        world = sql_world(place, some_documents(ROWS))
        standby = primary.standby()
        try:
            with primary.connected() as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            primary.wait_for(lambda: _has_standby(primary), what="have a standby that commits wait for")
            hosts = "&".join(f"host={LOOPBACK}:{server.port}" for server in (primary, standby))
            head, _, database = primary.url("failover").rpartition("/")
            login = head.rpartition("@")[0]
            both = place.database(url=f"{login}@/{database}?{hosts}&target_session_attrs=read-write")
            seen: list[str] = []

            def step(name: str) -> None:
                seen.append(name)
                if len(seen) == 14:
                    primary.kill()
                    standby.promote()
                    standby.wait_for(lambda: _is_primary(standby), what="take over")

            report = world.apply(
                world.plan(), writer=SqlWriter(both), journal=SqlJournal(both), group_size=GROUP, in_flight=1, step=step
            )
            assert len(seen) > 14
            assert report.counts == {Result.APPLIED: ROWS}
            place.close()
            after = replace(place, url=standby.url("failover"), opened=[], stores=[])
            world = sql_world(after, some_documents(ROWS), is_there=True)
            assert verify_journal(world.journal).is_whole
            undone(world, str(report.run))
            after.close()
        finally:
            place.close()
            standby.stop()


def _has_standby(server: Postgres) -> bool:
    with server.connected() as connection:
        found = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone()
    return found == (1,)


def _is_primary(server: Postgres) -> bool:
    with server.connected() as connection:
        return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
