"""Killed at any step, with an answer lost at any write: resumed, every deed is done once; undone, nothing is left."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect

from recon.core.values import STAMP, value_at
from recon.repairs.plan import RepairPlan, save_repair_plan
from recon.runs.guard import without_marks
from recon.runs.states import list_runs, read_run
from recon.runs.stores.documents import MongoRecords
from recon.runs.stores.journal import verify_journal
from recon.runs.stores.retry import Retry
from tests.support.applying import a_document
from tests.support.crashing import Steps
from tests.support.repair_crashing import RepairNursery
from tests.support.repairing import REFERENCE, Repairs, a_row, a_set, an_append, an_insert, some_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymongo.database import Database

    from tests.support.servers import Mongod

HELD = a_document(0, status="completed", escrowState="funded")


@pytest.fixture
def nursery() -> Iterator[RepairNursery]:
    made = RepairNursery()
    yield made
    made.close()


def begin(repairs: Repairs) -> RepairPlan:
    """A fresh world with one deed of each kind to be done."""
    for name in ("payments", "ledger", "recon_journal", "recon_lease"):
        repairs.database[name].delete_many({})
    repairs.journal.refresh()
    repairs.database.payments.insert_one(dict(HELD))
    return repairs.plan(
        an_insert(a_row()), an_append(*some_entries()), a_set(HELD, {"hold": True}, guarded=("disputed",)),
        kind="ledger",
    )  # fmt: skip


def finish(repairs: Repairs, plan: RepairPlan) -> str:
    """What a person does after a crash: resume the run, or apply where none began."""
    runs = [run.run for run in list_runs(repairs.journal) if run.plan == plan.digest]
    if runs:
        repairs.resume(plan, runs[-1])
        return runs[-1]
    return str(repairs.apply(plan).run)


def assert_done_once(repairs: Repairs, run: str) -> None:
    held, row = repairs.payments()
    assert held["hold"] is True
    assert row["_id"] == a_row()["_id"]
    assert [each["_id"] for each in repairs.entries()] == sorted(each["_id"] for each in some_entries())
    stamps = {value_at(each, STAMP) for each in (held, row, *repairs.entries())}
    assert stamps == {f"{run}/{change}" for change in read_run(repairs.journal, run).changes}
    assert verify_journal(repairs.journal).is_whole
    assert list_runs(repairs.journal)[-1].unsettled == 0


def deaths_of(act: Callable[[Steps], object]) -> list[int]:
    """Where a run can die: before its first step, and after each; what is before the next one is the same moment."""
    steps = Steps()
    act(steps)
    return [1, *(place for place, name in enumerate(steps.names, 1) if name.endswith(":after"))]


def test_killed_at_every_step_each_deed_is_done_once_and_taken_back(
    mongod: Mongod, mongo_database: Database[dict[str, Any]], nursery: RepairNursery, tmp_path: Path
) -> None:
    repairs = Repairs(mongo_database)
    plan = begin(repairs)
    deaths = deaths_of(lambda steps: repairs.apply(plan, step=steps))
    assert len(deaths) > 10
    path = tmp_path / "plan.json"
    save_repair_plan(plan, path)
    run = ""
    for kill_at in deaths:
        assert begin(repairs).digest == plan.digest
        assert nursery.run(mongod.uri, mongo_database.name, path, kill_at=kill_at) == -signal.SIGKILL
        repairs.journal.refresh()
        run = finish(repairs, plan)
        assert_done_once(repairs, run)

    undo = repairs.undo(run)
    assert [deed.kind for deed in undo.deeds] == ["set", "remove"]
    state = {name: list(mongo_database[name].find()) for name in ("payments", "ledger", "recon_journal")}
    deaths = deaths_of(lambda steps: repairs.apply(undo, step=steps))
    path = tmp_path / "undo.json"
    save_repair_plan(undo, path)
    for kill_at in deaths:
        for name, documents in state.items():
            mongo_database[name].delete_many({})
            mongo_database[name].insert_many(documents)
        assert nursery.run(mongod.uri, mongo_database.name, path, kill_at=kill_at) == -signal.SIGKILL
        repairs.journal.refresh()
        finish(repairs, undo)
        (held,) = repairs.payments()
        assert without_marks(held, created_metadata="metadata" not in HELD) == without_marks(
            HELD, created_metadata=False
        )
        assert verify_journal(repairs.journal).is_whole
        assert list_runs(repairs.journal)[-1].unsettled == 0


class LossyRecords(MongoRecords):
    """The real server, whose first answer to a write of each kind is lost after it was carried out."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        super().__init__(database, retry=Retry(sleep=lambda seconds: None))
        self.lost: set[str] = set()

    def _lose(self, what: str, done: int) -> int:
        if what not in self.lost:
            self.lost.add(what)
            raise AutoReconnect("the answer was lost")
        return done

    def _put_one(self, record: Any) -> int:
        return self._lose("insert", super()._put_one(record))

    def _put_together(self, records: Any) -> int:
        return self._lose("append", super()._put_together(records))


def test_a_lost_answer_is_settled_by_the_stamp(mongo_database: Database[dict[str, Any]]) -> None:
    repairs = Repairs(mongo_database)
    plan = begin(repairs)
    repairs.records = LossyRecords(mongo_database)
    report = repairs.apply(plan)
    assert repairs.records.lost == {"insert", "append"}
    assert {row.result.value for row in report.rows} == {"applied"}
    assert_done_once(repairs, str(report.run))


def test_a_second_applier_finds_the_run_and_a_rival_between_is_seen(mongo_database: Database[dict[str, Any]]) -> None:
    repairs = Repairs(mongo_database)
    plan = begin(repairs)
    first = repairs.apply(plan)
    second = repairs.apply(plan)
    assert second.run is None
    assert {row.result.value for row in second.rows} == {"ours"}
    assert_done_once(repairs, str(first.run))


def test_a_rival_that_lands_while_the_run_is_dead_wins(
    mongod: Mongod, mongo_database: Database[dict[str, Any]], nursery: RepairNursery, tmp_path: Path
) -> None:
    repairs = Repairs(mongo_database)
    begin(repairs)
    plan = repairs.plan(an_insert(a_row()))
    save_repair_plan(plan, tmp_path / "plan.json")
    names = Steps()
    repairs.apply(plan, step=names)
    for step in ("store.write:before", "store.write:after"):
        begin(repairs)
        at = names.names.index(step) + 1
        nursery.run(mongod.uri, mongo_database.name, tmp_path / "plan.json", kill_at=at)
        repairs.database.payments.insert_one({"paymentReference": REFERENCE})
        repairs.journal.refresh()
        run = list_runs(repairs.journal)[-1].run
        (row,) = repairs.resume(plan, run).rows
        assert row.result.value in ("moved", "refused")
        assert not repairs.database.payments.count_documents({"_id": a_row()["_id"]})
