"""A run is taken back row by row, exactly, and never over what somebody else has written since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Int64

from recon.core.model import MISSING, Verdict
from recon.core.values import ABSENT
from recon.plans.file import parse_plan, plan_bytes
from recon.runs.states import Result, UnknownRunError, list_runs
from recon.runs.undo import (
    CANNOT_BE_UNDONE,
    NothingToUndoError,
    OtherTargetError,
    TakenBackAlreadyError,
    leave_moved,
    plan_undo,
)
from tests.support.applying import NOW, World, a_change, a_document, a_plan, a_world, restored, some_documents

if TYPE_CHECKING:
    from pymongo.database import Database

    from recon.core.model import Plan

    Store = Database[dict[str, Any]]


def undo_of(world: World, run: str | None, **given: Any) -> Plan:
    assert run is not None
    return plan_undo(world.journal, run=run, **{"target": world.target, "now": NOW, **given})


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(6))


def test_an_undo_is_a_plan_like_any_other_newest_change_first(world: World) -> None:
    report = world.apply(world.plan())
    plan = undo_of(world, report.run)
    assert parse_plan(plan_bytes(plan)) == plan
    assert plan.kind == "undo"
    assert plan.run == report.run
    assert plan.parent == report.plan
    assert [c.payment_id for c in plan.changes] == [c.payment_id for c in reversed(world.plan().changes)]
    assert plan.summary["cannot_be_undone"] == list(CANNOT_BE_UNDONE)
    change = plan.changes[0]
    assert {s.path: (s.before, s.after) for s in change.sets}["escrowState"] == ("funded", MISSING)
    assert change.stamp_before == f"{report.run}/{world.plan().changes[-1].id}"
    assert change.value_units == 125 * 10**17
    assert {s.path for s in change.sets} <= {g.path for g in change.guard}
    undone = world.apply(plan)
    assert undone.counts == {Result.APPLIED: 6}
    assert [run.undoes for run in list_runs(world.journal)] == [None, report.run]


def test_documents_come_back_byte_for_byte_with_their_field_order(mongo_database: Store) -> None:
    first = [
        a_document(0),
        a_document(1, metadata=ABSENT),
        a_document(2, blockchain=ABSENT, escrowState=None, metadata={}),
        a_document(3, escrowState="partial", blockchain={"transactionHash": "0x1", "confirmations": Int64(3), "z": 1}),
        {"escrowState": "", "blockchain": {}, "status": "pending", "_id": a_document(4)["_id"]},
        a_document(5, blockchain={"confirmations": 3.0, "transactionHash": None}, updatedAt="2026-01-01"),
    ]
    world = a_world(mongo_database, first)
    start = world.raw()
    report = world.apply(world.plan())
    assert report.counts == {Result.APPLIED: 6}
    assert all(world.raw()[key] != start[key] for key in start)
    world.apply(undo_of(world, report.run))
    assert world.raw() == start
    assert world.documents()[1]["metadata"].keys() == {"recon"}


def test_an_object_that_the_run_created_stays_if_somebody_put_something_into_it(mongo_database: Store) -> None:
    world = a_world(mongo_database, [a_document(0, blockchain=ABSENT), a_document(1, blockchain=ABSENT)])
    report = world.apply(world.plan())
    payments = mongo_database.payments
    payments.update_one({"_id": world.before[0]["_id"]}, {"$set": {"blockchain.sender": "0xbuyer"}})
    assert world.apply(undo_of(world, report.run)).counts == {Result.APPLIED: 2}
    kept, gone = world.documents()
    assert kept["blockchain"] == {"sender": "0xbuyer"}
    assert "blockchain" not in gone


def test_nested_objects_that_the_run_created_go_as_one(mongo_database: Store) -> None:
    world = a_world(mongo_database, some_documents(2))
    sets = {"a.b.c": 1, "a.b.d": "x", "a.e": None}
    plan = a_plan(world.target, [a_change(d, sets=sets) for d in world.before])
    report = world.apply(plan)
    assert world.documents()[0]["a"] == {"b": {"c": 1, "d": "x"}, "e": None}
    mongo_database.payments.update_one({"_id": world.before[1]["_id"]}, {"$set": {"a.mine": 1}})
    undo = undo_of(world, report.run)
    assert world.apply(undo).counts == {Result.APPLIED: 2}
    first, second = world.documents()
    assert "a" not in first
    assert second["a"] == {"mine": 1}


def test_undo_of_undo_gives_equal_values_and_types_and_so_on_forever(mongo_database: Store) -> None:
    world = a_world(
        mongo_database, [a_document(0, blockchain=ABSENT, metadata=ABSENT), a_document(1, escrowState=None)]
    )
    run = world.apply(world.plan()).run
    applied = [{k: v for k, v in d.items() if k != "metadata"} for d in world.documents()]
    start = {str(d["_id"]): restored(d, d) for d in world.before}
    for turn in range(4):
        run = world.apply(undo_of(world, run)).run
        if turn % 2 == 0:
            assert world.raw() == start
        else:
            found = [{k: v for k, v in d.items() if k != "metadata"} for d in world.documents()]
            assert found == applied
            assert [type(d["blockchain"]["confirmations"]) for d in found] == [int, int]


def test_one_of_three_is_taken_back_and_its_neighbours_are_not_touched(world: World) -> None:
    report = world.apply(world.plan(only=slice(3)))
    after = [bson.encode(d) for d in world.documents()]
    picked = world.plan().changes[1].payment_id
    assert world.apply(undo_of(world, report.run, payments=[picked])).counts == {Result.APPLIED: 1}
    now = [bson.encode(d) for d in world.documents()]
    assert [n for n in range(6) if now[n] != after[n]] == [1]
    assert restored(world.documents()[1], world.before[1]) == restored(world.before[1], world.before[1])


def test_what_is_taken_back_already_is_said_and_not_planned(world: World) -> None:
    run = world.apply(world.plan()).run
    first = world.apply(undo_of(world, run, payments=[world.plan().changes[1].payment_id])).run
    rest = leave_moved(undo_of(world, run), writer=world.writer)
    assert len(rest.changes) == 5
    assert [item.reason for item in rest.left_alone] == [
        f"it holds what it held before the run already, by run {first}"
    ]
    second = world.apply(rest).run
    with pytest.raises(TakenBackAlreadyError, match=rf"(?s)taken back already .*{second}.*all 6 rows.*nothing to plan"):
        leave_moved(undo_of(world, run), writer=world.writer)
    # Once more, after the run is in force again: what is taken back then is the run that brought it back.
    again = world.apply(undo_of(world, second)).run
    assert len(leave_moved(undo_of(world, again), writer=world.writer).changes) == 5
    with pytest.raises(NothingToUndoError, match="still as it wrote it"):
        leave_moved(undo_of(world, run), writer=world.writer)


def test_verdicts_choose_what_is_taken_back(world: World) -> None:
    changes = [
        a_change(d, verdict=Verdict.MISSING_TX_HASH if n % 2 else Verdict.LOCAL_BEHIND)
        for n, d in enumerate(world.before)
    ]
    report = world.apply(a_plan(world.target, changes))
    plan = undo_of(world, report.run, verdicts=["missing_tx_hash"])
    assert {change.verdict for change in plan.changes} == {Verdict.MISSING_TX_HASH}
    assert len(plan.changes) == 3


def test_what_moved_since_is_listed_with_three_values_and_left_alone(world: World) -> None:
    report = world.apply(world.plan())
    payments = world.database.payments
    ids = [d["_id"] for d in world.before]
    payments.update_one({"_id": ids[0]}, {"$set": {"status": "refunded"}})
    payments.update_one({"_id": ids[1]}, {"$set": {"metadata.recon.last": "other/c"}})
    payments.delete_one({"_id": ids[2]})
    payments.update_one({"_id": ids[3]}, {"$set": {"note": "harmless", "updatedAt": NOW}})
    full = undo_of(world, report.run)
    heard: list[tuple[str, int, int | None]] = []
    plan = leave_moved(full, writer=world.writer, progress=lambda *told: heard.append(told))
    assert heard == [("rows", len(full.changes), len(full.changes))]
    assert len(plan.changes) == 3
    reasons = {item.payment_id: item.reason for item in plan.left_alone}
    assert reasons[str(ids[0])] == "status was 'pending', the run wrote 'completed', now it is 'refunded'"
    assert "metadata.recon.last" in reasons[str(ids[1])]
    assert reasons[str(ids[2])] == "it is no longer there"
    assert world.apply(full).counts == {Result.APPLIED: 3, Result.MOVED: 2, Result.GONE: 1}
    assert payments.find_one({"_id": ids[0]})["status"] == "refunded"  # type: ignore[index]
    payments.update_many({}, {"$set": {"status": "failed"}})
    with pytest.raises(NothingToUndoError, match="still as it wrote it"):
        leave_moved(full, writer=world.writer)


@pytest.mark.parametrize("sets", [{"escrowState": "funded"}, {"blockchain.transactionHash": "0x1"}])
def test_undo_is_refused_once_the_escrow_has_moved_on_even_if_the_run_did_not_set_it(
    mongo_database: Store, sets: dict[str, Any]
) -> None:
    start = "partial" if "escrowState" in sets else "funded"
    world = a_world(mongo_database, [a_document(n, status="completed", escrowState=start) for n in range(2)])
    report = world.apply(a_plan(world.target, [a_change(d, sets=sets) for d in world.before]))
    mongo_database.payments.update_one({"_id": world.before[0]["_id"]}, {"$set": {"escrowState": "releasable"}})
    undone = world.apply(undo_of(world, report.run))
    assert [row.result for row in undone.rows] == [Result.APPLIED, Result.MOVED]
    moved = undone.rows[1].moved[0]
    assert (moved.path, moved.reviewed, moved.now) == ("escrowState", "funded", "releasable")


def test_rows_that_a_run_did_not_write_are_not_in_its_undo(world: World) -> None:
    plan = world.plan()
    world.database.payments.update_one({"_id": world.before[0]["_id"]}, {"$set": {"status": "failed"}})
    report = world.apply(plan)
    undo = undo_of(world, report.run)
    assert len(undo.changes) == 5
    with pytest.raises(NothingToUndoError, match="has written nothing for 000000000000000000000001"):
        undo_of(world, report.run, payments=[plan.changes[0].payment_id])


def test_an_undo_goes_to_the_target_that_the_run_wrote_to_and_nowhere_else(world: World) -> None:
    report = world.apply(world.plan())
    with pytest.raises(OtherTargetError, match="wrote to name 'test' and the target given has 'clone'"):
        undo_of(world, report.run, target=replace(world.target, name="clone"))
    with pytest.raises(UnknownRunError):
        undo_of(world, "no-such-run")


def test_an_undone_plan_cannot_be_applied_again_without_planning_anew(world: World) -> None:
    plan = world.plan()
    report = world.apply(plan)
    world.apply(undo_of(world, report.run))
    again = world.apply(plan)
    assert again.counts == {Result.MOVED: 6}
    assert {row.moved[0].path for row in again.rows} == {"metadata.recon.last"}
    world.before = world.documents()
    assert world.apply(world.plan()).counts == {Result.APPLIED: 6}


def test_terminal_goes_back_only_by_the_undo_of_our_own_write(mongo_database: Store) -> None:
    world = a_world(mongo_database, some_documents(1))
    report = world.apply(world.plan())
    assert world.documents()[0]["status"] == "completed"
    world.apply(undo_of(world, report.run))
    assert world.documents()[0]["status"] == "pending"
