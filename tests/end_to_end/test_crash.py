"""A process killed at any step, a primary that steps down, a writer in between: nothing lost, nothing done twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Queue
from typing import TYPE_CHECKING, Any

import bson
import pytest

from recon.core.errors import RefusedError
from recon.core.model import Plan
from recon.runs.apply import RunReport, RunStoppedError
from recon.runs.guard import GuardedUpdate
from recon.runs.states import Result, list_runs
from recon.runs.stores.journal import MongoJournal, verify_journal
from recon.runs.stores.lease import LeaseHeldError
from recon.runs.stores.payments import MongoWriter
from recon.runs.stores.retry import Retry
from recon.runs.undo import plan_undo
from tests.support import servers
from tests.support.applying import NOW, UNLIMITED, SeenWriter, World, a_world, restored, some_documents
from tests.support.crashing import ROWS, Nursery, Steps, pace, world_of

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

    from tests.conftest import MongodStarter

    Client = MongoClient[dict[str, Any]]

AT_ONCE = 3


def a_case(client: Client, name: str) -> World:
    """The start documents in a database that an earlier case may have used; emptying is faster than making anew."""
    for collection in ("payments", "recon_journal", "recon_lease"):
        client[name][collection].delete_many({})
    client[name].payments.insert_many(some_documents(ROWS))
    return world_of(client, name)


def values_of(world: World) -> list[bytes]:
    """Every document without the stamp, ``updatedAt`` included: what a run leaves, whatever its name."""
    found = world.documents()
    for document in found:
        assert document["metadata"].pop("recon")["last"].startswith("2026")
    return [bson.encode(document) for document in found]


def undone(world: World, run: str) -> None:
    """Take the run back and find every document as it was, byte for byte."""
    report = world.apply(plan_undo(world.journal, run=run, target=world.target, now=NOW), in_flight=4)
    assert report.counts == {Result.APPLIED: ROWS}
    assert world.raw() == {str(d["_id"]): restored(d, d) for d in world.before}


def undisturbed(client: Client, group_size: int, in_flight: int) -> tuple[list[bytes], list[str]]:
    """What a run leaves that nobody disturbs, and the names of its steps."""
    steps, world = Steps(), a_case(client, "undisturbed")
    report = world.apply(world.plan(), **pace(group_size, in_flight, steps))
    assert report.counts == {Result.APPLIED: ROWS}
    return values_of(world), steps.names


def killed_resumed_undone(client: Client, nursery: Nursery, uri: str, **how: int) -> list[bytes]:
    """Kill a child at one step, continue its run, and give what the documents hold before taking it back."""
    world = a_case(client, nursery.name)
    kill_at = how["kill_at"]
    code = nursery.run(uri, **how)
    assert code == -9, f"step {kill_at}: the child ended with {code}"
    plan, runs = world.plan(), list_runs(world.journal)
    report = world.resume(plan, runs[0].run, in_flight=4) if runs else world.apply(plan, in_flight=4)
    assert report.run is not None
    assert report.counts == {Result.APPLIED: ROWS}, f"step {kill_at}: {report.counts}"
    assert verify_journal(world.journal).is_whole
    found = values_of(world)
    undone(world, report.run)
    return found


@pytest.fixture
def nurseries() -> Iterator[Queue[Nursery]]:
    """Idle processes to fork children from, as many as there are cases at once."""
    idle: Queue[Nursery] = Queue()
    made = [Nursery(f"crash_{number}") for number in range(AT_ONCE)]
    for nursery in made:
        idle.put(nursery)
    yield idle
    for nursery in made:
        nursery.close()


@pytest.mark.parametrize(("group_size", "in_flight"), [(1, 1), (7, 1), (7, 4)])
def test_killed_at_any_step_a_run_resumes_to_the_same_end_and_undoes_to_the_same_start(
    mongod: servers.Mongod,
    nurseries: Queue[Nursery],
    group_size: int,
    in_flight: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Each step once, by number; with several writes in flight the next groups are announced behind them."""
    with mongod.client() as client, ThreadPoolExecutor(AT_ONCE) as pool:
        expected, names = undisturbed(client, group_size, in_flight)
        assert {name.partition(":")[2] for name in names} == {"before", "after"}

        def case(step: int) -> list[bytes]:
            nursery = nurseries.get()
            try:
                return killed_resumed_undone(
                    client, nursery, mongod.uri, group_size=group_size, in_flight=in_flight, kill_at=step
                )
            finally:
                nurseries.put(nursery)

        found = pool.map(case, range(1, len(names) + 1))
        different = [step for step, documents in enumerate(found, start=1) if documents != expected]
    assert not different
    record_property("blows", len(names))


def test_a_primary_that_steps_down_midway_stops_nothing(start_mongod: MongodStarter) -> None:
    server = start_mongod()
    with server.client() as client:
        world = a_case(client, "stepdown")
        plan, seen = world.plan(), []

        def step(name: str) -> None:
            seen.append(name)
            if len(seen) in (12, 30):
                client.admin.command("replSetStepDown", 1, secondaryCatchUpPeriodSecs=0, force=True)

        report = world.apply(plan, group_size=7, in_flight=4, step=step)
        assert len(seen) > 30
        assert report.counts == {Result.APPLIED: ROWS}
        assert verify_journal(world.journal).is_whole
        assert report.run is not None
        undone(world, report.run)


def test_a_store_that_goes_away_stops_the_run_and_the_same_run_continues(start_mongod: MongodStarter) -> None:
    server = start_mongod()
    with server.client() as client:
        world = a_case(client, "away")
        impatient = server.client(serverSelectionTimeoutMS=300)
        retry = Retry(retry_s=1.0)
        writer = MongoWriter(impatient["away"].payments, retry=retry)
        journal = MongoJournal(impatient["away"], retry=retry)
        seen: list[str] = []

        def step(name: str) -> None:
            seen.append(name)
            if len(seen) == 21:
                server.kill()

        plan = world.plan()
        with pytest.raises(RunStoppedError, match=r"The store gave no usable answer") as stopped:
            world.apply(plan, writer=writer, journal=journal, group_size=7, in_flight=1, step=step)
        impatient.close()
        run = stopped.value.report.run
        assert run is not None
        assert stopped.value.report.counts[Result.APPLIED] < ROWS
        server.start()
        report = world.resume(plan, run)
        assert report.counts == {Result.APPLIED: ROWS}
        undone(world, run)


def test_a_writer_in_between_is_never_overwritten(mongo_database: Database[dict[str, Any]]) -> None:
    """Ten per cent of the rows get a foreign value in a guarded field just before our write, in a dozen groups."""
    world = a_world(mongo_database, some_documents(100))
    foreign = random.Random(3).sample(range(100), 10)
    plan = world.plan()
    waiting = {world.before[number]["_id"]: number for number in foreign}
    seen: list[str] = []

    def sees(update: GuardedUpdate) -> None:
        number = waiting.get(update.document_id)
        if number is not None:
            field = ("status", "escrowState", "disputed", "provider", "amount")[number % 5]
            value = {"status": "failed", "escrowState": "releasing", "disputed": True, "provider": "shkeeper"}.get(
                field, [{"amount": 12.5}]
            )
            mongo_database.payments.update_one({"_id": update.document_id}, {"$set": {field: value}})
            seen.append(field)

    limits = replace(UNLIMITED, refusals_max=10)
    writer = SeenWriter(mongo_database.payments, sees)
    report = world.apply(plan, writer=writer, limits=limits, canary_rows=0, group_size=8)
    assert report.counts == {Result.APPLIED: 90, Result.REFUSED: 10}
    assert len(set(seen)) > 1
    for row, document, first in zip(report.rows, world.documents(), world.before, strict=True):
        if row.result is Result.REFUSED:
            assert "recon" not in document["metadata"]
            assert row.moved
            assert all(item.reviewed != item.now for item in row.moved)
            assert document["blockchain"] == first["blockchain"]
        else:
            assert document["status"] == "completed"


def test_a_backend_that_writes_all_the_time_keeps_every_value_of_its_own(
    mongo_database: Database[dict[str, Any]], mongod: servers.Mongod
) -> None:
    """A thread of its own settles ten per cent of the rows its way while the run goes through its groups."""
    world = a_world(mongo_database, some_documents(100))
    foreign = random.Random(5).sample(range(100), 10)
    started, met = threading.Event(), threading.Event()

    def backend() -> None:
        with mongod.client() as client:
            started.wait(30)
            for number in foreign:
                payments = client[mongo_database.name].payments
                payments.update_one(
                    {"_id": world.before[number]["_id"]}, {"$set": {"status": "failed", "mine": number}}
                )
            met.set()

    def step(name: str) -> None:
        if name == "store.write:after":
            started.set()
        if name == "journal.append:before" and started.is_set():
            met.wait(30)  # The groups that were read ahead hold rows that have moved by now.

    thread = threading.Thread(target=backend)
    thread.start()
    limits = replace(UNLIMITED, refusals_max=10)
    report = world.apply(world.plan(), limits=limits, canary_rows=0, group_size=8, in_flight=4, step=step)
    thread.join()
    assert report.counts[Result.APPLIED] >= 90
    for number, (row, document) in enumerate(zip(report.rows, world.documents(), strict=True)):
        assert (document["status"] == "failed") == (number in foreign), "what the backend wrote is never overwritten"
        if row.result is not Result.APPLIED:
            assert [item.path for item in row.moved] == ["status"]
            assert "recon" not in document["metadata"]


def test_two_applies_at_once_write_exactly_once_ten_times_over(mongo_database: Database[dict[str, Any]]) -> None:
    for turn in range(10):
        mongo_database.drop_collection("payments")
        world = a_world(mongo_database, some_documents(20))
        plan, reports, refused = world.plan(), [], []
        barrier = threading.Barrier(2)

        def go(
            plan: Plan = plan, world: World = world, barrier: threading.Barrier = barrier,
            reports: list[RunReport] = reports, refused: list[RefusedError] = refused,
        ) -> None:  # fmt: skip
            journal, writer = MongoJournal(mongo_database), MongoWriter(mongo_database.payments)
            barrier.wait()
            try:
                reports.append(world.apply(plan, journal=journal, writer=writer, in_flight=4))
            except LeaseHeldError as error:
                refused.append(error)

        threads = [threading.Thread(target=go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reports) + len(refused) == 2
        written = [report for report in reports if report.run is not None]
        assert [report.counts for report in written] == [{Result.APPLIED: 20}], f"turn {turn}"
        intents = list(world.journal.entries(run=str(written[0].run), kinds=("intent",)))
        assert len(intents) == 20
        stamps = {document["metadata"]["recon"]["last"] for document in world.documents()}
        assert stamps == {f"{written[0].run}/{change.id}" for change in plan.changes}
    assert verify_journal(world.journal).is_whole
