"""A run ends before its next write when anything asks it to, and says where it is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recon.apply import EvidenceMovedError
from recon.guard import GuardedUpdate
from recon.model import Verdict
from recon.runs import Result, blocked_payments, list_runs
from recon.store import MongoWriter, ReadOnlyCredentialError, WriteResult
from tests.applying import NOW, World, a_world, some_documents, stopped_report

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]


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
