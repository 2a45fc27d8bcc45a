"""Repairs on a real server: put in, appended, set, taken back; what others do between is never written over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId

from recon.core.errors import RefusedError
from recon.core.values import STAMP, value_at
from recon.plans.approvals import Approval, ApprovalPolicy, NotApprovedError
from recon.plans.limits import LimitError, Limits, PlanAgeError
from recon.repairs.apply import RepairPorts, RepairStoppedError
from recon.repairs.deeds import UnfitDeedError
from recon.repairs.plan import (
    RepairPlanError,
    is_repair_plan,
    load_repair_plan,
    save_repair_plan,
    seal_repair_plan,
)
from recon.runs.apply import WrongDigestError, WrongTargetError
from recon.runs.guard import UnfitChangeError
from recon.runs.states import list_runs
from recon.runs.stores.documents import NoTransactionError
from recon.runs.stores.journal import verify_journal
from recon.runs.stores.lease import LeaseHeldError, held_lease
from recon.runs.undo import NothingToUndoError, RepairRunError, TakenBackAlreadyError, plan_undo
from tests.support.applying import NOW, a_document
from tests.support.repairing import REFERENCE, Repairs, a_row, a_set, an_append, an_insert, some_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymongo.database import Database

    from recon.core.model import Target
    from tests.support.servers import Mongod


@pytest.fixture
def repairs(mongo_database: Database[dict[str, Any]]) -> Repairs:
    return Repairs(mongo_database)


def results(report: Any) -> list[str]:
    return [row.result.value for row in report.rows]


def test_a_row_is_put_in_once_journalled_and_taken_back_to_nothing(repairs: Repairs, tmp_path: Path) -> None:
    plan = repairs.plan(an_insert(a_row()))
    save_repair_plan(plan, tmp_path / "repair.json")
    assert is_repair_plan(tmp_path / "repair.json")
    assert load_repair_plan(tmp_path / "repair.json") == plan

    report = repairs.apply(plan)
    assert results(report) == ["applied"]
    (row,) = repairs.payments()
    assert value_at(row, STAMP) == f"{report.run}/{plan.deeds[0].id}"
    assert {key: row[key] for key in a_row() if key != "metadata"} == {
        key: value for key, value in a_row().items() if key != "metadata"
    }
    assert row["createdAt"] == row["updatedAt"] == NOW
    assert verify_journal(repairs.journal).is_whole
    (run,) = list_runs(repairs.journal)
    assert (run.kind, run.state, run.unsettled) == ("repair", "done", 0)

    again = repairs.apply(plan)
    assert (again.run, results(again)) == (None, ["ours"])

    undo = repairs.undo(str(report.run))
    assert [deed.kind for deed in undo.deeds] == ["remove"]
    back = repairs.apply(undo)
    assert results(back) == ["applied"]
    assert repairs.payments() == []
    with pytest.raises(TakenBackAlreadyError):
        repairs.undo(str(report.run))
    # The undo of the undo brings it again.
    third = repairs.apply(repairs.undo(str(back.run)))
    assert results(third) == ["applied"]
    assert {k: v for k, v in repairs.payments()[0].items() if k != "metadata"} == {
        k: v for k, v in row.items() if k != "metadata"
    }
    assert verify_journal(repairs.journal).is_whole


def test_a_row_that_was_touched_is_never_taken_away(repairs: Repairs) -> None:
    report = repairs.apply(repairs.plan(an_insert(a_row())))
    undo = repairs.undo(str(report.run))
    repairs.database.payments.update_one({}, {"$set": {"status": "processing"}})
    back = repairs.apply(undo)
    assert (back.run, results(back)) == (None, ["moved"])
    assert "status" in back.rows[0].reason
    with pytest.raises(NothingToUndoError):
        repairs.undo(str(report.run))
    # A field that was added counts as well, and so does one deep inside.
    repairs.database.payments.update_one({}, {"$set": {"status": "pending"}})
    repairs.database.payments.update_one({}, {"$set": {"metadata.requestNetwork.seen": True}})
    assert results(repairs.apply(undo)) == ["moved"]
    assert len(repairs.payments()) == 1


@pytest.mark.parametrize(
    "rival",
    [
        {"metadata": {"requestNetwork": {"paymentReference": REFERENCE}}},
        {"paymentReference": REFERENCE},
        {"paymentReference": ["other", REFERENCE]},
    ],
)
def test_a_row_that_bears_the_key_is_seen_at_every_moment(repairs: Repairs, rival: dict[str, Any]) -> None:
    plan = repairs.plan(an_insert(a_row()))
    webhook = {"_id": ObjectId(), **rival}

    def lands(at: str) -> Callable[[str], None]:
        def step(name: str) -> None:
            if name == at and not repairs.database.payments.count_documents({"_id": webhook["_id"]}):
                repairs.database.payments.insert_one(dict(webhook))

        return step

    for at, result in (
        ("lease:after", "moved"), ("journal.append:after", "moved"), ("store.write:before", "refused"),
        ("store.write:after", "refused"),
    ):  # fmt: skip
        repairs.database.payments.delete_many({})
        report = repairs.apply(plan, step=lands(at))
        assert results(report) == [result], at
        assert [row["_id"] for row in repairs.payments()] == [webhook["_id"]], at
    assert verify_journal(repairs.journal).is_whole


def test_a_rival_after_ours_was_touched_is_left_to_a_person(repairs: Repairs) -> None:
    plan = repairs.plan(an_insert(a_row()))

    def step(name: str) -> None:
        if name == "store.write:after":
            repairs.database.payments.insert_one({"paymentReference": REFERENCE})
        if name == "store.take_back:before":
            repairs.database.payments.update_one({"_id": a_row()["_id"]}, {"$set": {"status": "processing"}})

    report = repairs.apply(plan, step=step)
    assert results(report) == ["unsettled"]
    assert len(repairs.payments()) == 2
    ours = repairs.database.payments.find_one({"_id": a_row()["_id"]}) or {}
    assert results(repairs.apply(repairs.plan(a_set(ours, {"hold": True}), kind="hold"))) == ["blocked"]


def test_entries_go_in_as_one_or_not_at_all(repairs: Repairs) -> None:
    first, second = some_entries()
    plan = repairs.plan(an_append(first, second), kind="ledger")
    repairs.database.ledger.insert_one({"_id": second["_id"], "by": "the backend"})
    assert results(repairs.apply(plan)) == ["moved"]
    assert [each["_id"] for each in repairs.entries()] == [second["_id"]]
    repairs.database.ledger.delete_many({})

    def lands(name: str) -> None:
        if name == "store.write:before":
            repairs.database.ledger.insert_one({"_id": second["_id"], "by": "the backend"})

    assert results(repairs.apply(plan, step=lands)) == ["refused"]
    assert [each["_id"] for each in repairs.entries()] == [second["_id"]]
    repairs.database.ledger.delete_many({})

    report = repairs.apply(plan)
    assert results(report) == ["applied"]
    assert [value_at(each, STAMP) for each in repairs.entries()] == [f"{report.run}/{plan.deeds[0].id}"] * 2
    with pytest.raises(NothingToUndoError):
        repairs.undo(str(report.run))

    def counter(deed: Any, documents: Any) -> Any:
        made = tuple({**each, "_id": f"{each['_id']}-back", "createdAt": None, "metadata": {}} for each in documents)
        return replace(deed, id="", documents=made)

    back = repairs.undo(str(report.run), counter=counter)
    assert [deed.kind for deed in back.deeds] == ["append"]
    assert results(repairs.apply(back)) == ["applied"]
    assert len(repairs.entries()) == 4


def test_a_field_is_set_under_every_reviewed_value_and_put_back(repairs: Repairs) -> None:
    document = a_document(0, status="completed", escrowState="funded")
    repairs.database.payments.insert_one(dict(document))
    deed = a_set(document, {"metadata.hold.reason": "case 7", "hold": True}, guarded=("disputed", "status"))
    plan = repairs.plan(deed, kind="hold")
    report = repairs.apply(plan)
    assert results(report) == ["applied"]
    held = repairs.payments()[0]
    assert (held["hold"], held["metadata"]["hold"]) == (True, {"reason": "case 7"})

    undo = repairs.undo(str(report.run))
    # A dispute that began since was reviewed as not being there: the hold stays.
    repairs.database.payments.update_one({}, {"$set": {"disputed": True}})
    assert results(repairs.apply(undo)) == ["moved"]
    repairs.database.payments.update_one({}, {"$unset": {"disputed": ""}})
    assert results(repairs.apply(undo)) == ["applied"]
    after = repairs.payments()[0]
    assert "hold" not in after
    assert "hold" not in after["metadata"]
    assert {k: v for k, v in after.items() if k not in ("metadata", "updatedAt")} == {
        k: v for k, v in document.items() if k not in ("metadata", "updatedAt")
    }


def test_a_field_that_moved_between_plan_and_write_is_left_alone(repairs: Repairs) -> None:
    document = a_document(0)
    repairs.database.payments.insert_one(dict(document))
    plan = repairs.plan(a_set(document, {"hold": True}, guarded=("status",)), kind="hold")

    def step(name: str) -> None:
        if name == "store.write:before":
            repairs.database.payments.update_one({}, {"$set": {"status": "completed"}})

    report = repairs.apply(plan, step=step)
    assert results(report) == ["moved"]
    assert "hold" not in repairs.payments()[0]


def test_only_the_reviewed_plan_is_applied_where_it_was_reviewed(repairs: Repairs, tmp_path: Path) -> None:
    plan = repairs.plan(an_insert(a_row()))
    moved = replace(plan.deeds[0], documents=(an_insert(a_row(status="completed")).documents[0],))
    with pytest.raises(WrongDigestError):
        repairs.apply(plan, digest=plan.digest[:16])
    with pytest.raises(RepairPlanError):
        repairs.apply(replace(plan, deeds=(moved,)))
    with pytest.raises(UnfitDeedError):
        resealed = seal_repair_plan(replace(plan, deeds=(moved,)))
        repairs.apply(resealed)
    with pytest.raises(UnfitDeedError, match="only an undo"):
        repairs.apply(repairs.plan(replace(plan.deeds[0], kind="remove")))
    with pytest.raises(UnfitChangeError):
        document = a_document(0)
        repairs.apply(repairs.plan(a_set(document, {"status": "x", "metadata.recon.last": "no"}), kind="hold"))
    other: Target = replace(repairs.target, name="another")
    with pytest.raises(WrongTargetError):
        repairs.apply(plan, target=other)
    with pytest.raises(PlanAgeError):
        repairs.apply(plan, ports=RepairPorts(repairs.records, repairs.journal, lambda: NOW + timedelta(hours=5)))
    with pytest.raises(LimitError):
        repairs.apply(plan, limits=Limits(changes_max=0))
    repairs.database.payments.drop()
    repairs.database.create_collection("payments")
    with pytest.raises(WrongTargetError):
        repairs.apply(plan)
    assert repairs.payments() == []
    assert list_runs(repairs.journal) == ()
    save_repair_plan(plan, tmp_path / "plan.json")
    (tmp_path / "cut.json").write_bytes((tmp_path / "plan.json").read_bytes().replace(b"pending", b"pendinG"))
    with pytest.raises(RepairPlanError, match="changed"):
        load_repair_plan(tmp_path / "cut.json")


def test_inserting_needs_two_people_where_approvals_are_signed(repairs: Repairs) -> None:
    plan = repairs.plan(an_insert(a_row()))
    policy = ApprovalPolicy(is_signed=True)
    with pytest.raises(NotApprovedError, match="2 approvals"):
        repairs.apply(plan, approval_policy=policy)
    one = Approval("bo", "2026-11-20T12:00:00.000Z", "seen", plan.digest, plan.effects_digest)
    two = replace(one, who="cy")
    with pytest.raises(NotApprovedError, match="needs 1 approval"):
        repairs.apply(plan, approval_policy=ApprovalPolicy(approvals_min=1))
    with pytest.raises(NotApprovedError, match="nobody checked"):
        repairs.apply(plan, approval_policy=policy, approvals=(one, two))
    much = repairs.plan(an_insert(a_row(), value="2000", token="0x1", chain_id=56))
    with pytest.raises(NotApprovedError, match="2 approvals"):
        repairs.apply(much, approval_policy=ApprovalPolicy(two_person_above={"56:0x1": 1000}))
    assert repairs.payments() == []


def test_a_deed_that_is_no_longer_due_is_left_alone(repairs: Repairs) -> None:
    plan = repairs.plan(an_insert(a_row()))
    report = repairs.apply(plan, recheck=lambda deeds: {deed.id: "the money went back" for deed in deeds})
    assert results(report) == ["unproven"]
    assert "the money went back" in report.rows[0].reason
    assert repairs.payments() == []


def test_one_run_at_a_time_and_a_stop_file_ends_it(repairs: Repairs, tmp_path: Path) -> None:
    plan = repairs.plan(an_insert(a_row()))
    with held_lease(repairs.journal.leases, target="recon_journal"), pytest.raises(LeaseHeldError):
        repairs.apply(plan)
    (tmp_path / "stop").touch()
    with pytest.raises(RepairStoppedError) as stopped:
        repairs.apply(plan, stop_file=tmp_path / "stop")
    assert results(stopped.value.report) == ["not_reached"]
    assert repairs.payments() == []
    report = repairs.resume(plan, str(stopped.value.report.run))
    assert results(report) == ["applied"]


def test_the_way_back_of_a_repair_is_its_own(repairs: Repairs) -> None:
    report = repairs.apply(repairs.plan(an_insert(a_row())))
    with pytest.raises(RepairRunError, match="recon repair undo"):
        plan_undo(repairs.journal, run=str(report.run), target=repairs.target, now=NOW)


def test_a_server_without_transactions_takes_no_pairs(start_mongod: Callable[..., Mongod]) -> None:
    server = start_mongod(replica_set=False)
    with server.client() as client:
        repairs = Repairs(client["alone"])
        with pytest.raises(NoTransactionError):
            repairs.apply(repairs.plan(an_append(*some_entries()), kind="ledger"))
        assert repairs.entries() == []
        report = repairs.apply(repairs.plan(an_insert(a_row())))
        assert results(report) == ["applied"]
        assert results(repairs.apply(repairs.undo(str(report.run)))) == ["applied"]


def test_unique_indexes_are_told_apart_from_partial_ones(repairs: Repairs) -> None:
    payments = repairs.database.payments
    payments.create_index("a", unique=True)
    payments.create_index("b", unique=True, sparse=True)
    payments.create_index("c", unique=True, partialFilterExpression={"c": {"$exists": True}})
    payments.create_index([("d", 1), ("e", 1)], unique=True)
    assert repairs.records.unique_paths("payments") == {"_id", "a", "b"}


def test_an_odd_record_is_refused(repairs: Repairs) -> None:
    for document in ({"_id": 1, "metadata": "text"}, {"_id": 1, "metadata": {"recon": []}}):
        with pytest.raises(RefusedError):
            repairs.apply(repairs.plan(an_insert({**document}, payment_id="x")))
    assert repairs.payments() == []


def test_what_the_servers_own_rules_refuse_is_told_with_its_word_and_nothing_is_there(repairs: Repairs) -> None:
    for name in ("payments", "ledger"):
        rule = {"$jsonSchema": {"required": ["approvedBy"]}}
        repairs.database.command("collMod", name, validator=rule)
    report = repairs.apply(repairs.plan(an_insert(a_row()), an_append(*some_entries())))
    assert results(report) == ["failed", "failed"]
    assert all("refused" in row.reason and row.code == 121 for row in report.rows)
    assert (repairs.payments(), repairs.entries()) == ([], [])
    assert verify_journal(repairs.journal).is_whole
