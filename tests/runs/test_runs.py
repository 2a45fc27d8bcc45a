"""What a run leaves open is settled by its stamp, or waits for a person and blocks everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from recon.plans.limits import PlanAgeError
from recon.runs.apply import WrongRunError
from recon.runs.states import (
    Decision,
    NotUnsettledError,
    Result,
    UnknownRunError,
    blocked_payments,
    list_runs,
    read_run,
    settle_change,
)
from tests.support.applying import NOW, World, a_change, a_plan, a_world, died_after_a_write, later, some_documents

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(20))


# What is left unsettled


def interrupted(world: World, plan: Any, *, lose_stamp: bool) -> str:
    """A run that died after its writes and before their outcomes; a backend may have erased the stamp since."""
    run = died_after_a_write(world, plan)
    assert run.state == "open"
    if lose_stamp:
        world.database.payments.update_many({}, {"$unset": {"metadata.recon": ""}})
    return run.run


def test_resuming_settles_by_the_stamp_and_never_by_the_value(world: World) -> None:
    plan = world.plan()
    run = interrupted(world, plan, lose_stamp=False)
    second = world.before[1]["_id"]
    values = {"status": "completed", "escrowState": "funded", "blockchain.confirmations": 12}
    hash_ = {"blockchain.transactionHash": "0x" + "ab" * 32}
    world.database.payments.update_one({"_id": second}, {"$set": {**values, **hash_}})
    report = world.resume(plan, run)
    assert [row.result for row in report.rows][:3] == [Result.APPLIED, Result.UNSETTLED, Result.APPLIED]
    assert list_runs(world.journal)[0].unsettled == 1


def test_values_without_our_stamp_wait_for_a_person_and_block_other_runs_until_then(world: World) -> None:
    plan = world.plan()
    run = interrupted(world, plan, lose_stamp=True)
    payment = plan.changes[0].payment_id
    other = a_plan(world.target, [a_change(d, sets={"disputed": True}) for d in world.documents()])
    assert set(blocked_payments(world.journal)) == {change.payment_id for change in plan.changes}
    assert world.apply(other).counts == {Result.BLOCKED: 20}, "an interrupted run holds what it announced"
    report = world.resume(plan, run)
    assert report.counts == {Result.UNSETTLED: 1, Result.APPLIED: 19}
    assert blocked_payments(world.journal) == {payment: run}
    other = a_plan(world.target, [a_change(d, sets={"disputed": True}) for d in world.documents()])
    blocked = world.apply(other)
    assert blocked.counts == {Result.BLOCKED: 1, Result.APPLIED: 19}
    assert run in blocked.rows[0].reason
    decision = Decision(who="Ann", reason="the backend's log shows its own write", written_by_run=False)
    with pytest.raises(NotUnsettledError):
        settle_change(world.journal, run=run, payment=plan.changes[1].payment_id, decision=decision, now=NOW)
    settle_change(world.journal, run=run, payment=payment, decision=decision, now=NOW)
    assert blocked_payments(world.journal) == {}
    assert read_run(world.journal, run).changes[plan.changes[0].id].result is Result.MOVED
    assert world.apply(other).counts[Result.APPLIED] == 1


def test_a_run_resumes_only_with_its_own_plan(world: World) -> None:
    report = world.apply(world.plan())
    with pytest.raises(WrongRunError):
        world.resume(world.plan(only=slice(3)), str(report.run))
    with pytest.raises(UnknownRunError):
        world.resume(world.plan(), "no-such-run")


def test_an_old_run_settles_first_and_writes_nothing_more(world: World) -> None:
    plan = world.plan()
    run = interrupted(world, plan, lose_stamp=False)
    with pytest.raises(PlanAgeError):
        world.resume(plan, run, clock=lambda: later(plan, hours=5))
    states = read_run(world.journal, run).changes
    assert [states[change.id].result for change in plan.changes[:2]] == [Result.APPLIED, Result.NOT_REACHED]
    assert sum("recon" in document["metadata"] for document in world.documents()) == 1
