"""A run ends before its next write when anything asks it to, and says where it is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect, WriteConcernError
from pymongo.read_concern import ReadConcern

from recon.core.model import Verdict
from recon.plans.limits import LimitError, PlanAgeError
from recon.runs.canary import EvidenceMovedError
from recon.runs.guard import GuardedUpdate
from recon.runs.states import Result, blocked_payments, list_runs, read_run
from recon.runs.stores.payments import MongoWriter, ReadOnlyCredentialError, WriteResult
from recon.runs.stores.retry import Retry
from tests.support.applying import (
    NOW,
    UNLIMITED,
    SeenWriter,
    Sent,
    World,
    a_change,
    a_plan,
    a_world,
    connect,
    died_after_a_write,
    later,
    some_documents,
    stopped_report,
)

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.conftest import MongodStarter

    Store = Database[dict[str, Any]]


STAMPED = {"metadata.recon.last": {"$exists": True}}


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(20))


# How a run ends early


def test_the_canary_is_judged_before_anything_else_is_written(world: World) -> None:
    asked: list[Sequence[str]] = []

    def judge(payments: Sequence[str]) -> Mapping[str, str]:
        asked.append(payments)
        return {payments[3]: Verdict.LOCAL_BEHIND}

    report = stopped_report(
        lambda: world.apply(world.plan(), judge=judge), "is still local_behind after it was written"
    )
    assert report.counts == {Result.APPLIED: 5, Result.NOT_REACHED: 15}
    assert [len(payments) for payments in asked] == [5, 5], "once before anything is written, once after the first rows"
    assert list_runs(world.journal)[0].state == "stopped"
    resumed = world.resume(world.plan(), str(report.run))
    assert resumed.counts == {Result.APPLIED: 20}


def test_evidence_that_moved_since_the_plan_refuses_the_run_before_its_first_write(world: World) -> None:
    before = world.documents()
    with pytest.raises(EvidenceMovedError, match="sources now say reorged; nothing was written"):
        world.apply(world.plan(), judge=lambda payments: {payments[2]: "reorged"})
    assert world.documents() == before
    assert list_runs(world.journal) == ()


def test_a_backfill_is_not_judged_by_the_breaks_of_its_payments(world: World) -> None:
    plan = world.plan(kind="backfill")
    report = world.apply(plan, judge=lambda payments: dict.fromkeys(payments, "local_behind"))
    assert report.counts == {Result.APPLIED: len(plan.changes)}
    assert report.remaining is not None
    assert {each.explained_by for each in report.remaining} == {
        'a backfill heals no break; "recon plan" judges this one'
    }


def test_a_canary_that_shows_another_break_stops_the_run(world: World) -> None:
    looks: list[int] = []

    def judge(payments: Sequence[str]) -> Mapping[str, str]:
        looks.append(len(payments))
        return {} if len(looks) == 1 else {payments[1]: "reorged"}

    report = stopped_report(lambda: world.apply(world.plan(), judge=judge), "is reorged after it was written")
    assert report.counts == {Result.APPLIED: 5, Result.NOT_REACHED: 15}


def test_a_stop_file_ends_the_run_before_its_next_write_and_resuming_continues(world: World, tmp_path: Path) -> None:
    stop, plan = tmp_path / "stop", world.plan()
    writes: list[str] = []

    def step(name: str) -> None:
        writes.append(name)
        if writes.count("store.write:after") == 8:
            stop.touch()

    report = stopped_report(
        lambda: world.apply(plan, stop_file=stop, step=step, in_flight=1), "The stop file stop is there"
    )
    assert report.counts == {Result.APPLIED: 8, Result.NOT_REACHED: 12}
    assert sum("recon" in document["metadata"] for document in world.documents()) == 8
    assert blocked_payments(world.journal) == {}
    again = stopped_report(lambda: world.resume(plan, str(report.run), stop_file=stop), "The stop file")
    assert again.counts == {Result.APPLIED: 8, Result.NOT_REACHED: 12}
    stop.unlink()
    assert world.resume(plan, str(report.run), stop_file=stop).counts == {Result.APPLIED: 20}
    assert [run.state for run in list_runs(world.journal)] == ["done"]


def test_a_lost_lease_stops_the_run_before_its_next_write(world: World) -> None:
    plan, seen = world.plan(), []

    def step(name: str) -> None:
        seen.append(name)
        if seen.count("store.write:after") == 7:
            world.database.recon_lease.update_one({}, [{"$set": {"token": {"$add": ["$token", 1]}}}])
            while not any(thread.name == "recon-lease" for thread in threading.enumerate()):
                raise AssertionError("the heartbeat is gone")
            threading.Event().wait(0.4)

    report = stopped_report(
        lambda: world.apply(plan, step=step, in_flight=1, group_size=1, lease_ms=800), "the lease with token 1 is lost"
    )
    assert sum("recon" in document["metadata"] for document in world.documents()) == 7
    assert list_runs(world.journal)[0].state == "open"
    world.database.recon_lease.update_one({}, {"$set": {"expires_at": NOW}})
    assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 20}


def test_more_refusals_than_chance_explains_stop_the_run_within_the_group(world: World) -> None:
    class Meddler(MongoWriter):
        def write(self, update: GuardedUpdate) -> WriteResult:
            world.database.payments.update_one({"_id": update.document_id}, {"$set": {"disputed": True}})
            return super().write(update)

    meddler = Meddler(world.database.payments)
    report = stopped_report(
        lambda: world.apply(world.plan(), writer=meddler, in_flight=1), "4 rows were refused and the limit on refusals"
    )
    assert report.counts == {Result.REFUSED: 4, Result.NOT_REACHED: 16}
    assert [row.moved[0].path for row in report.rows[:4]] == ["disputed"] * 4


def test_a_clock_that_jumps_stops_the_run(world: World) -> None:
    times = iter([*[NOW] * 24, *[NOW + timedelta(hours=2)] * 1000])
    report = stopped_report(
        lambda: world.apply(world.plan(), clock=lambda: next(times), group_size=5), "was due; no further write"
    )
    assert 0 < report.counts[Result.APPLIED] < 20
    assert world.resume(world.plan(), str(report.run)).counts == {Result.APPLIED: 20}


def test_a_credential_that_is_taken_away_midway_stops_the_run(world: World) -> None:
    class Revoked(MongoWriter):
        writes = 0

        def write(self, update: GuardedUpdate) -> WriteResult:
            self.writes += 1
            if self.writes > 3:
                raise ReadOnlyCredentialError(collection="payments", what="update records")
            return super().write(update)

    revoked = Revoked(world.database.payments)
    report = stopped_report(lambda: world.apply(world.plan(), writer=revoked, in_flight=1), "began to refuse the run")
    assert report.counts[Result.APPLIED] == 3
    assert world.resume(world.plan(), str(report.run)).counts == {Result.APPLIED: 20}


# Several groups under way at once


def test_no_write_begins_before_the_intent_of_its_own_group_is_durable(world: World) -> None:
    """Asked of the server at the moment of each write; and later groups really are announced while one is written."""
    journal = world.database.recon_journal.with_options(read_concern=ReadConcern("majority"))
    missing: list[str] = []
    ahead: list[int] = []

    def sees(update: GuardedUpdate) -> None:
        payment = str(update.document_id)
        if not journal.count_documents({"kind": "intent", "payment": payment}):
            missing.append(payment)
        ahead.append(journal.count_documents({"kind": "intent"}) - world.database.payments.count_documents(STAMPED))

    plan = world.plan()
    writer = SeenWriter(world.database.payments, sees)
    report = world.apply(plan, writer=writer, group_size=3, in_flight=3, canary_rows=2)
    assert report.counts == {Result.APPLIED: 20}
    assert missing == []
    assert max(ahead) > 3, "more than one group was announced and not yet written"
    kinds = [entry.note.kind for entry in world.journal.entries(run=str(report.run))]
    assert kinds[:6] == ["run", "intent", "intent", "outcome", "outcome", "intent"], "the canary stands alone"


def test_a_stop_file_holds_back_every_write_of_the_groups_under_way(world: World, tmp_path: Path) -> None:
    stop, plan, lock = tmp_path / "stop", world.plan(), threading.Lock()
    begun: list[bool] = []

    def step(name: str) -> None:
        if name == "store.write:before":
            with lock:
                begun.append(stop.exists())
                if len(begun) == 9:
                    stop.touch()

    report = stopped_report(
        lambda: world.apply(plan, stop_file=stop, step=step, in_flight=2, group_size=3, canary_rows=2), "The stop file"
    )
    assert sum(begun) <= 1, "only a write that had passed its check by then"
    written = world.database.payments.count_documents(STAMPED)
    assert report.counts == {Result.APPLIED: written, Result.NOT_REACHED: 20 - written}
    assert blocked_payments(world.journal) == {}, "what was announced and held back is journalled as not reached"
    stop.unlink()
    assert world.resume(plan, str(report.run), group_size=3, in_flight=2).counts == {Result.APPLIED: 20}


def test_a_lease_lost_with_groups_under_way_starts_no_further_write(world: World) -> None:
    plan, lock = world.plan(), threading.Lock()
    begun: list[bool] = []
    lost = threading.Event()

    def step(name: str) -> None:
        if name != "store.write:before":
            return
        with lock:
            begun.append(lost.is_set())
            number = len(begun)
        if number == 9:
            world.database.recon_lease.update_one({}, [{"$set": {"token": {"$add": ["$token", 1]}}}])
            threading.Event().wait(0.5)  # two heartbeats, the first of which learns of it
            lost.set()
        elif number > 9:
            lost.wait(30)

    report = stopped_report(
        lambda: world.apply(plan, step=step, in_flight=2, group_size=3, canary_rows=2, lease_ms=800), "the lease with"
    )
    assert sum(begun) == 0
    assert world.database.payments.count_documents(STAMPED) < 20
    assert list_runs(world.journal)[0].state == "open", "without its lease it appends nothing any more"
    world.database.recon_lease.update_one({}, {"$set": {"expires_at": NOW}})
    assert world.resume(plan, str(report.run), in_flight=2).counts == {Result.APPLIED: 20}


def test_limits_hold_for_rows_that_came_free_while_the_lease_was_waited_for(world: World) -> None:
    """Another run gives rows back between the look at all rows and the lease: they count like all others."""
    first = world.plan(only=slice(10))
    run = died_after_a_write(world, first).run
    other = a_plan(world.target, [a_change(d, sets={"disputed": True}) for d in world.documents()])

    def step(name: str) -> None:
        if name == "lease:before":
            with pytest.raises(PlanAgeError):
                world.resume(first, run, clock=lambda: later(first, hours=5))

    before = world.documents()
    with pytest.raises(LimitError, match="rows is 15 and this run has 20"):
        world.apply(other, step=step, limits=replace(UNLIMITED, changes_max=15))
    assert world.documents() == before
    assert [each.run for each in list_runs(world.journal)] == [run]


def test_a_write_whose_majority_nobody_confirmed_is_neither_done_nor_refused(world: World) -> None:
    class Unsure(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            super()._update(updates)
            raise WriteConcernError("operation was interrupted", 11601)

    plan = world.plan()
    report = stopped_report(
        lambda: world.apply(plan, writer=Unsure(world.database.payments), in_flight=1), "no usable answer to a guarded"
    )
    assert report.counts == {Result.OPEN: 1, Result.NOT_REACHED: 19}
    assert set(blocked_payments(world.journal)) == {plan.changes[0].payment_id}
    assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 20}


def test_a_write_whose_answer_was_lost_is_not_repeated_once_the_run_has_to_end(world: World, tmp_path: Path) -> None:
    """The store is away, and while it is asked again the stop file appears (or, as well, the lease runs out)."""
    stop, asked = tmp_path / "stop", []

    class Away(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            asked.append(updates[0].document_id)
            if len(asked) > 6:
                stop.touch()
            if len(asked) > 3:
                raise AutoReconnect("connection reset")
            return super()._update(updates)

    away = Away(world.database.payments, retry=Retry(sleep=lambda _: None))
    report = stopped_report(
        lambda: world.apply(world.plan(), writer=away, stop_file=stop, in_flight=1), "no usable answer to a guarded"
    )
    assert len(asked) == 7
    assert report.counts == {Result.APPLIED: 3, Result.OPEN: 1, Result.NOT_REACHED: 16}
    assert world.resume(world.plan(), str(report.run)).counts == {Result.APPLIED: 20}


def test_our_values_without_our_stamp_after_a_lost_answer_are_left_to_a_person(world: World) -> None:
    """The first ask was carried out and its answer lost; a backend saves the document whole before the second one."""

    class Lossy(MongoWriter):
        is_lost = False

        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            found = super()._update(updates)
            if not self.is_lost:
                self.is_lost = True
                erased = {"$unset": {"metadata.recon": ""}}
                world.database.payments.update_one({"_id": updates[0].document_id}, erased)
                raise AutoReconnect("connection reset")
            return found

    lossy = Lossy(world.database.payments, retry=Retry(sleep=lambda _: None))
    report = world.apply(world.plan(), writer=lossy, in_flight=1, canary_rows=0)
    assert report.counts == {Result.UNSETTLED: 1, Result.APPLIED: 19}
    assert list_runs(world.journal)[0].unsettled == 1
    assert set(blocked_payments(world.journal)) == {world.plan().changes[0].payment_id}


@pytest.mark.parametrize(("is_erased", "result"), [(False, Result.APPLIED), (True, Result.UNSETTLED)])
def test_a_write_that_arrives_after_it_was_settled_is_still_told(world: World, is_erased: bool, result: Result) -> None:
    """A process died with its write under way; the next one settled it as not written and died too."""
    plan, sent = world.plan(), list[GuardedUpdate]()

    class DiedError(Exception):
        pass

    class UnderWay(MongoWriter):
        def _update(self, updates: Sequence[GuardedUpdate]) -> Sent:
            sent.extend(updates)
            raise DiedError

    with pytest.raises(DiedError):
        world.apply(plan, writer=UnderWay(world.database.payments), in_flight=1, canary_rows=0)
    run = list_runs(world.journal)[0].run
    seen: list[str] = []

    def step(name: str) -> None:
        seen.append(name)
        if seen.count("journal.append:after") == 2:
            raise DiedError  # The run is taken up again, and what was open is settled.

    with pytest.raises(DiedError):
        world.resume(plan, run, step=step)
    assert MongoWriter(world.database.payments).write(sent[0]).matched == 1
    if is_erased:
        world.database.payments.update_one({"_id": sent[0].document_id}, {"$unset": {"metadata.recon": ""}})
    report = world.resume(plan, run)
    assert report.rows[0].result is result
    assert report.counts[Result.APPLIED] == 20 - is_erased
    state = read_run(world.journal, run).changes[plan.changes[0].id]
    assert state.result is result, "an undo takes back what the journal calls applied, and nothing else"


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("where", ["writing", "announcing", "canary", "afterwards"])
def test_an_interrupted_run_says_where_it_is_and_continues(world: World, where: str, in_flight: int) -> None:
    """Ctrl-C reaches the main thread, wherever that is; what is on its way is still accounted for."""
    plan, seen, looks = world.plan(), [], []

    class Interrupted(dict[str, str]):
        """A judge's answer, or the key pressed while it is waited for."""

        def __init__(self, at: int) -> None:
            looks.append(at)
            if len(looks) == at:
                raise KeyboardInterrupt

    def step(name: str) -> None:
        seen.append(name)
        if where == "announcing" and name == "journal.append:before" and seen.count(name) == 5:
            raise KeyboardInterrupt

    def progress(done: int, total: int) -> None:
        if where == "writing" and done >= 8 and "pressed" not in seen:
            seen.append("pressed")
            raise KeyboardInterrupt

    looked = {"canary": 2, "afterwards": 3}.get(where, 99)
    report = stopped_report(
        lambda: world.apply(
            plan, judge=lambda _: Interrupted(looked), step=step, progress=progress, in_flight=in_flight, group_size=3,
            canary_rows=2,
        ),
        "written rows: It was interrupted, so no further write was started",
    )  # fmt: skip
    written = world.database.payments.count_documents(STAMPED)
    assert report.counts[Result.APPLIED] == written
    assert report.counts[Result.OPEN] == (3 if where == "announcing" else 0), "the insert may have happened"
    assert (written == 20) == (where == "afterwards")
    assert [run.state for run in list_runs(world.journal)] == ["stopped"]
    assert blocked_payments(world.journal) == {}
    assert world.resume(plan, str(report.run), judge=lambda _: {}).counts == {Result.APPLIED: 20}


@pytest.mark.parametrize("in_flight", [1, 4])
def test_rights_that_are_taken_away_midway_stop_the_run_and_it_continues_with_them(
    start_mongod: MongodStarter, in_flight: int
) -> None:
    server = start_mongod(auth=True, replica_set=False)
    with server.client() as admin:
        first = a_world(admin.shop, some_documents(20))
        admin.shop.command("createUser", "writer", pwd="words", roles=["readWrite"])
        with server.client(server.uri_for("writer", "words", auth_database="shop")) as client:
            world = connect(client.shop, first.before)
            plan, seen, lock = world.plan(), [0], threading.Lock()

            def step(name: str) -> None:
                with lock:
                    seen[0] += name == "store.write:after"
                    if seen[0] == 8 and name == "store.write:after":
                        admin.shop.command("updateUser", "writer", roles=["read"])

            report = stopped_report(
                lambda: world.apply(plan, step=step, in_flight=in_flight, group_size=3), "may not .*no further write"
            )
            assert "nothing was written" not in str(report.stopped)
            assert 8 <= first.database.payments.count_documents(STAMPED) < 20
            with pytest.raises(ReadOnlyCredentialError):
                world.resume(plan, str(report.run))
            admin.shop.command("updateUser", "writer", roles=["readWrite"])
            assert world.resume(plan, str(report.run)).counts == {Result.APPLIED: 20}
