"""What a verdict may write: every cell of the table, every refusal, every type kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from recon.core.model import CLOSED, ESCROW_STATES, MISSING, OPEN, STATUSES, Change, Policy, Tier, Verdict
from recon.core.registry.transitions import allowed_sets
from recon.plans.changes import Places, Refusal, change_for, places_of
from recon.sources.payments.fields import FieldPaths
from tests.support.builders import payment_id
from tests.support.plans import a_finding

PROOF = "0x" + "ab" * 32
CREDIT = {"status": "completed", "escrow": "funded", "tx_hash": "proof", "confirmations": "threshold"}
COMPLETE = ("completed", "confirmed")


def expected_cell(verdict: Verdict, direction: str, status: str, escrow: str | None) -> dict[str, Any]:
    """The table of allowed writes in words, apart from the data file that the tool reads."""
    unfunded = escrow in (None, "partial")
    if verdict is Verdict.LOCAL_BEHIND and direction == "in":
        return CREDIT if status in OPEN and unfunded else {}
    if verdict is Verdict.LOCAL_BEHIND:
        done = {"out": "released", "refund": "refunded"}[direction]
        is_due = escrow == "releasing" and status not in CLOSED
        return {"escrow": done, "tx_hash": "proof"} if is_due else {}
    if verdict in (Verdict.LATE_PAYMENT, Verdict.COORDINATOR_BLOCKED):
        return CREDIT if direction == "in" and status in ("failed", "cancelled") and unfunded else {}
    if verdict is Verdict.REFUND_DRIFT:
        refund = {"status": "refunded", "escrow": "refunded", "tx_hash": "refund"}
        return refund if direction == "in" and status in COMPLETE else {}
    if verdict in (Verdict.TX_HASH_MISMATCH, Verdict.MISSING_TX_HASH):
        return {"tx_hash": "proof"} if status in COMPLETE else {}
    if verdict is Verdict.ESCROW_DRIFT:
        return {"escrow": "funded"} if direction == "in" and status in COMPLETE and unfunded else {}
    if verdict is Verdict.STATUS_DRIFT:
        return {"status": "completed"} if status == "confirmed" else {}
    if verdict is Verdict.CONFIRMATIONS_STALE:
        return {"confirmations": "threshold"} if status in COMPLETE else {}
    if verdict.value.endswith("_mismatch") and verdict not in (Verdict.FEE_MISMATCH, Verdict.TX_HASH_MISMATCH):
        return {"disputed": True} if direction == "in" and status in OPEN else {}
    return {}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_cell_of_the_table_is_as_designed(verdict: Verdict) -> None:
    for direction, status, escrow in itertools.product(("in", "out", "refund"), STATUSES, (None, *ESCROW_STATES)):
        cell = allowed_sets(verdict=verdict, direction=direction, status=status, escrow=escrow)
        assert dict(cell) == expected_cell(verdict, direction, status, escrow), (direction, status, escrow)


def test_no_cell_walks_a_finished_payment_back() -> None:
    for verdict, status in itertools.product(Verdict, (*COMPLETE, *CLOSED)):
        for escrow in (None, *ESCROW_STATES):
            cell = allowed_sets(verdict=verdict, direction="in", status=status, escrow=escrow)
            assert cell.get("status") not in OPEN


def test_a_status_word_that_nobody_knows_has_no_cell() -> None:
    assert allowed_sets(verdict="local_behind", direction="in", status=None, escrow=None) == {}


def row_of(**given: Any) -> dict[str, Any]:
    values = {
        "direction": "in", "status": "pending", "escrow_state": None, "proof_tx": PROOF, "refund_tx": None,
        "chain_id": 56, "expected_units": 5, "paths": "reference=metadata.paymentReference",
    }  # fmt: skip
    return {**values, **given}


def document_of(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "_id": {"$oid": payment_id(1)},
        "status": "pending",
        "provider": "request.network",
        "amount": {"amount": {"$numberDouble": "12.5"}, "currency": "USDC"},
        "blockchain": {"network": "bsc"},
        "metadata": {"paymentReference": "0xab"},
    }
    return {**values, **given}


def planned(document: Any, **row: Any) -> Change:
    change = change_for(a_finding(), row_of(**row), document=document, policy=Policy())
    assert isinstance(change, Change)
    return change


def test_a_credit_sets_the_four_fields_and_guards_everything_it_rests_on() -> None:
    change = planned(document_of())
    assert {item.path: item.after for item in change.sets} == {
        "status": "completed",
        "escrowState": "funded",
        "blockchain.transactionHash": PROOF,
        "blockchain.confirmations": {"$numberInt": "12"},
    }
    guard = {term.path: term.value for term in change.guard}
    assert guard["metadata.paymentReference"] == "0xab"
    assert guard["amount.amount"] == {"$numberDouble": "12.5"}
    assert guard["escrowState"] == guard["disputed"] == guard["blockchain.transactionHash"] == MISSING
    assert set(guard) >= {item.path for item in change.sets}
    assert change.parents == ("blockchain", "metadata", "metadata.recon")


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ({"$numberInt": "3"}, {"$numberInt": "12"}),
        ({"$numberLong": "3"}, {"$numberLong": "12"}),
        ({"$numberDouble": "3.0"}, {"$numberDouble": "12.0"}),
        ({"$numberDecimal": "3"}, {"$numberDecimal": "12"}),
    ],
)
def test_a_count_keeps_the_number_type_it_is_stored_in(stored: Any, written: Any) -> None:
    change = planned(document_of(blockchain={"network": "bsc", "confirmations": stored}))
    assert {item.path: item.after for item in change.sets}["blockchain.confirmations"] == written


def test_null_and_missing_are_told_apart() -> None:
    before = {item.path: item.before for item in planned(document_of(escrowState=None)).sets}
    assert before["escrowState"] is None
    assert before["blockchain.transactionHash"] == MISSING


@pytest.mark.parametrize("parent", ["metadata", "blockchain"])
@pytest.mark.parametrize("value", [None, "text", ["a"], {"$numberInt": "1"}])
def test_a_row_that_cannot_carry_the_stamp_is_refused_with_the_reason(parent: str, value: Any) -> None:
    found = change_for(a_finding(), row_of(), document=document_of(**{parent: value}), policy=Policy())
    assert isinstance(found, Refusal)
    assert f"{parent} is no object" in found.reason


def test_a_value_that_no_guard_can_compare_is_refused() -> None:
    found = change_for(a_finding(), row_of(), document=document_of(disputeId={"a": 1, "b": 2}), policy=Policy())
    assert found == Refusal("disputeId holds an object or an array, which no guard compares")


def test_nothing_is_planned_for_a_row_that_was_not_read_again() -> None:
    found = change_for(a_finding(), row_of(), document=None, policy=Policy())
    assert isinstance(found, Refusal)


def test_nothing_is_planned_from_a_state_that_has_no_cell() -> None:
    assert change_for(a_finding(), row_of(escrow_state="released"), document=document_of(), policy=Policy()) is None


def test_a_refund_is_written_only_with_proof_on_the_chain() -> None:
    finding = a_finding(verdict=Verdict.REFUND_DRIFT, tier=Tier.REVIEW)
    complete = row_of(status="completed", escrow_state="funded")
    document = document_of(status="completed", escrowState="funded")
    assert change_for(finding, complete, document=document, policy=Policy()) is None
    change = change_for(finding, {**complete, "refund_tx": PROOF}, document=document, policy=Policy())
    assert isinstance(change, Change)
    assert {item.path: item.after for item in change.sets} == {
        "status": "refunded",
        "escrowState": "refunded",
        "blockchain.transactionHash": PROOF,
    }


def test_automatic_repairs_of_one_payment_are_one_change() -> None:
    finding = a_finding(
        verdict=Verdict.MISSING_TX_HASH, findings=(Verdict.MISSING_TX_HASH, Verdict.ESCROW_DRIFT, Verdict.OVERPAID)
    )
    change = change_for(finding, row_of(status="completed"), document=document_of(status="completed"), policy=Policy())
    assert isinstance(change, Change)
    assert [item.path for item in change.sets] == ["blockchain.transactionHash", "escrowState"]


def test_what_the_write_lets_happen_and_what_it_leaves_out_is_said_before() -> None:
    said = " ".join(planned(document_of()).side_effects)
    assert "release of the money" in said
    assert "ledger entry" in said


@pytest.mark.parametrize(
    "stored",
    [{"$numberInt": "12"}, {"$numberInt": "30"}, {"$numberLong": "30"}, {"$numberDouble": "30.0"},
     {"$numberDecimal": "30"}, "30"],
)  # fmt: skip
def test_a_count_that_is_as_high_already_is_never_lowered(stored: Any) -> None:
    change = planned(document_of(blockchain={"network": "bsc", "confirmations": stored}))
    assert "blockchain.confirmations" not in {item.path for item in change.sets}
    assert {item.path for item in change.sets} >= {"status", "blockchain.transactionHash"}


@pytest.mark.parametrize("stored", [{"$numberDouble": "NaN"}, None, "many", {"$numberInt": "11"}])
def test_what_is_no_count_or_a_lower_one_is_set(stored: Any) -> None:
    change = planned(document_of(blockchain={"network": "bsc", "confirmations": stored}))
    assert "blockchain.confirmations" in {item.path for item in change.sets}


def configured(**fields: list[str]) -> Places:
    return places_of(FieldPaths.with_overrides(fields))


def test_holds_are_guarded_wherever_the_configuration_looks_for_them() -> None:
    places = configured(hold=["metadata.freeze", "shkeeper:metadata.stops.0.kind"], disputed=["disputed", "case.open"])
    change = change_for(a_finding(), row_of(), document=document_of(), policy=Policy(), places=places)
    assert isinstance(change, Change)
    guard = {term.path: term.value for term in change.guard}
    assert guard["metadata.freeze"] == guard["case.open"] == guard["disputed"] == MISSING
    assert guard["metadata.stops"] == MISSING, "an array that is not there yet is guarded as a whole"
    assert "onHold" not in guard, "a place where nobody looks for a hold holds nothing back"


def test_a_field_that_is_read_from_elsewhere_first_is_left_alone() -> None:
    for fields, name in (
        ({"status": ["state"]}, "status"),
        ({"tx_hash": ["txHash", "blockchain.transactionHash"]}, "tx_hash"),
    ):
        found = change_for(a_finding(), row_of(), document=document_of(), policy=Policy(), places=configured(**fields))
        assert isinstance(found, Refusal)
        assert f"{name} is read from {fields[name][0]} here" in found.reason


def test_a_hold_that_is_an_object_is_guarded_by_what_stands_in_it_and_what_could_come() -> None:
    screened = {"paymentReference": "0xab", "amlResult": {"status": "clear", "score": {"$numberInt": "3"}, "raw": [1]}}
    guard = {term.path: term.value for term in planned(document_of(metadata=screened)).guard}
    assert guard["metadata.amlResult.status"] == "clear"
    assert guard["metadata.amlResult.score"] == {"$numberInt": "3"}
    assert guard["metadata.amlResult.blocked"] == guard["metadata.amlResult.decision"] == MISSING
    assert not {"metadata.amlResult", "metadata.amlResult.raw"} & set(guard), "no guard compares those"


def test_a_hold_that_is_an_array_leaves_the_row_alone_since_what_may_be_added_to_it_cannot_be_guarded() -> None:
    for held in ([], [{"kind": "manual"}]):
        document = document_of(metadata={"paymentReference": "0xab", "manualHold": held})
        found = change_for(a_finding(), row_of(), document=document, policy=Policy())
        assert found == Refusal("metadata.manualHold holds an object or an array, which no guard compares")
