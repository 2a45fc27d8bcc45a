"""What an adversarial reading of the judging core turned up: money counted twice, given back, or never looked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from recon.core.model import Policy, Verdict
from recon.core.registry import load_registry
from recon.core.tables import table_of
from recon.plans.changes import Refusal, change_for
from recon.snapshots.sealed import SnapshotWriter
from recon.snapshots.second_reading import SecondReading
from recon.sources.interface import Reading, Selection, no_progress
from recon.sources.payments.fields import FieldPaths
from tests.plans.test_changes import document_of, row_of
from tests.support.builders import (
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    USDT,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    full_coverage,
    payment_document,
    payment_id,
    payment_row,
    plain_transfer_row,
    reference,
    request_id,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, leads_of, verdicts
from tests.support.plans import a_finding
from tests.verdicts.test_match import deposit_row, open_row

ME = payment_id(1)
OTHER = payment_id(2)
SELLER = "0x" + "5e" * 20
ENGINES = ("polars", "duckdb", "pandas")
UNPAID: dict[str, Any] = {"state": "unpaid", "state_raw": "unpaid", "tx_hashes": None}


def payout_row(number: int = 1, **given: Any) -> Row:
    """A release under way that only its recorded hash can prove."""
    values: dict[str, Any] = {
        "direction": "out", "provider": "shkeeper", "escrow_state": "releasing", "reference": None,
        "request_id": None, "external_id": payment_id(number), "recipient": PAYER, "tx_hash": tx_hash(1),
    }  # fmt: skip
    return open_row(number, **{**values, **given})


def payout_claim(number: int = 1, **given: Any) -> Row:
    """What the gateway says of that release: paid."""
    own = payment_id(number)
    values: dict[str, Any] = {
        "provider": "shkeeper", "object": "payout", "claim_id": own, "external_id": own, "request_id": None,
        "reference": None, "reference_topic": None,
    }  # fmt: skip
    return claim_row(number, **{**values, **given})


@pytest.mark.parametrize("engine", ENGINES)
def test_one_outgoing_transfer_proves_no_two_releases(engine: str) -> None:
    rows: dict[str, Any] = {
        "payments": [payout_row(1), payout_row(2)],
        "claims": [payout_claim(1), payout_claim(2)],
        "transfers": [plain_transfer_row(recipient=PAYER, sender=RECIPIENT)],
    }
    assert verdicts(rows, engine=engine) == {ME: "duplicate_tx_hash", OTHER: "duplicate_tx_hash"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_known_to_one_row_by_reference_and_to_another_by_id_is_one_provider_object(engine: str) -> None:
    rows: dict[str, Any] = {
        "payments": [open_row(1, request_id=None), open_row(2, request_id=request_id(1), reference=None)],
        "claims": [claim_row(1)],
        "transfers": [transfer_row(1)],
    }
    assert rows["payments"][0]["reference"] == reference(1)
    assert verdicts(rows, engine=engine) == {ME: "duplicate_provider_key", OTHER: "duplicate_provider_key"}


def given_back(units: int = UNITS, number: int = 1) -> Row:
    """A proxy log with the payment's reference back to its payer."""
    return transfer_row(number, tx_hash=tx_hash(9), recipient=PAYER, amount_units=units)


@pytest.mark.parametrize(("status", "engine"), [*(("pending", engine) for engine in ENGINES), ("failed", "polars")])
def test_money_that_was_given_back_is_never_credited(status: str, engine: str) -> None:
    row = open_row(status=status, status_raw=status, sender=PAYER)
    rows: dict[str, Any] = {
        "payments": [row],
        "claims": [claim_row()],
        "transfers": [transfer_row(), given_back()],
    }
    # A payment that was given up, and whose late money went back whole, leaves nothing to do.
    assert verdicts(rows, engine=engine) == ({} if status == "failed" else {ME: "refund_drift"})


def test_money_that_the_provider_calls_refunded_is_never_credited() -> None:
    claim = claim_row(state="refunded", state_raw="refunded")
    assert verdicts({"payments": [open_row()], "claims": [claim], "transfers": [transfer_row()]}) == {
        ME: "refund_drift"
    }


@pytest.mark.parametrize(("units", "proof"), [(UNITS, tx_hash(9)), (UNITS - 1, None), (1, None)])
def test_only_the_whole_amount_given_back_is_proof_of_a_refund(units: int, proof: str | None) -> None:
    rows: dict[str, Any] = {"payments": [payment_row(sender=PAYER)], "transfers": [transfer_row(), given_back(units)]}
    rows["claims"] = [claim_row()]
    breaks = judgement_of(rows).breaks.to_pylist()
    assert [(row["verdict"], row["refund_tx"]) for row in breaks] == ([("refund_drift", proof)] if proof else [])
    assert proof or counts(rows) == {"partly_refunded": 1}


def test_a_refund_of_nothing_is_no_refund() -> None:
    rows: dict[str, Any] = {"payments": [payment_row(sender=PAYER)], "transfers": [transfer_row(), given_back(0)]}
    assert counts({**rows, "claims": [claim_row()]}) == {"in_sync": 1}


def test_dust_to_the_payer_does_not_prove_the_refund_that_a_row_claims() -> None:
    row = payment_row(sender=PAYER, status="refunded", status_raw="refunded", escrow_state="refunded")
    assert verdicts({"payments": [row], "claims": [claim_row()], "transfers": [transfer_row(), given_back(1)]}) == {
        ME: "refund_drift"
    }


@pytest.mark.parametrize(
    ("units", "proof", "engine"),
    [(UNITS, tx_hash(2), "polars"), *((UNITS // 4, None, engine) for engine in ENGINES)],
)
def test_a_refund_row_over_a_part_proves_no_refund_of_the_whole(units: int, proof: str | None, engine: str) -> None:
    paid = payment_row()
    deal = {name: paid[name] for name in ("buyer_id", "order_id", "offer_id")}
    refund = payment_row(
        2, direction="refund", expected_units=units, escrow_state="refunded", reference=None, request_id=None,
        recipient=PAYER, **deal,
    )  # fmt: skip
    rows: dict[str, Any] = {
        "payments": [paid, refund],
        "claims": [claim_row()],
        "transfers": [
            transfer_row(),
            plain_transfer_row(2, sender=SELLER, recipient=PAYER, amount_units=units),
        ],
    }
    breaks = judgement_of(rows, engine=engine).breaks.to_pylist()
    drift = [(ME, "refund_drift", proof)] if proof else []
    assert [(row["payment_id"], row["verdict"], row["refund_tx"]) for row in breaks] == drift
    assert proof or counts(rows, engine=engine) == {"partly_refunded": 1, "in_sync": 1}


@pytest.mark.parametrize("wrong", [{"token": USDT}, {"chain_id": 137}, {"recipient": "0x" + "cc" * 20}])
def test_a_log_that_moves_nothing_is_no_money_gone_astray(wrong: dict[str, Any]) -> None:
    nothing = transfer_row(amount_units=0, **wrong)
    rows: dict[str, Any] = {"payments": [open_row()], "claims": [claim_row(**UNPAID)], "transfers": [nothing]}
    assert counts(rows) == {"in_transit": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_money_of_another_payment_on_the_same_address_is_not_this_ones_gone_astray(engine: str) -> None:
    invoice = {"provider": "shkeeper", "object": "invoice", "request_id": None, "reference": None,
               "reference_topic": None}  # fmt: skip
    paid = deposit_row(
        2, recipient=deposit_address(1), token=USDT, status="completed", status_raw="completed",
        escrow_state="funded", tx_hash=tx_hash(2),
    )  # fmt: skip
    rows: dict[str, Any] = {
        "payments": [deposit_row(1), paid],
        "claims": [
            claim_row(1, claim_id=ME, external_id=ME, **invoice, **UNPAID),
            claim_row(2, claim_id=OTHER, external_id=OTHER, **invoice),
        ],
        "transfers": [plain_transfer_row(2, recipient=deposit_address(1), token=USDT)],
    }
    assert counts(rows, engine=engine) == {"in_sync": 1, "in_transit": 1}


def test_a_settlement_by_a_bridge_without_a_proxy_log_is_the_providers_word() -> None:
    rows: dict[str, Any] = {
        "payments": [open_row()],
        "claims": [claim_row(detection_source="lifi")],
        "claim_txs": [claim_tx_row()],
        "transfers": [plain_transfer_row(recipient=RECIPIENT)],
    }
    assert verdicts(rows) == {ME: "provider_ahead"}


def test_a_payout_hash_that_was_never_asked_about_is_no_missing_payout() -> None:
    named = claim_tx_row(provider="shkeeper", claim_id=ME, external_id=ME, request_id=None)
    silent: dict[str, Any] = {"payments": [payout_row(tx_hash=None)], "claims": [payout_claim()], "claim_txs": [named]}
    assert verdicts(silent) == {ME: "lookup_failed"}
    gone = transaction_row(outcome="not_found")
    assert verdicts({**silent, "transactions": [gone]}) == {ME: "tx_not_found"}


def test_a_recorded_hash_that_nobody_answered_about_is_not_called_wrong() -> None:
    rows: dict[str, Any] = {
        "payments": [payment_row(tx_hash=tx_hash(5))],
        "claims": [claim_row()],
        "transfers": [transfer_row()],
    }
    assert verdicts({**rows, "transactions": [transaction_row(5, outcome="failed")]}) == {ME: "lookup_failed"}
    assert verdicts({**rows, "transactions": [transaction_row(5, outcome="reverted")]}) == {ME: "tx_hash_mismatch"}


def test_a_deposit_payment_without_an_address_is_never_called_unpaid() -> None:
    invoice = claim_row(provider="shkeeper", object="invoice", claim_id=ME, external_id=ME, request_id=None,
                        reference=None, reference_topic=None, **UNPAID)  # fmt: skip
    for status in ("pending", "failed"):
        row = deposit_row(recipient=None, status=status, status_raw=status)
        assert verdicts({"payments": [row], "claims": [invoice]}) == {ME: "missing_reference"}


@pytest.mark.parametrize(
    ("direction", "status", "escrow", "paid", "verdict"),
    [
        ("refund", "refunded", "refunded", True, "in_sync"),
        ("refund", "refunded", "refunded", False, "local_ahead"),
        ("refund", "failed", None, True, "coordinator_blocked"),
        ("refund", "failed", None, False, "in_sync"),
        ("out", "cancelled", "funded", True, "coordinator_blocked"),
        ("out", "cancelled", "funded", False, "in_sync"),
        ("out", "refunded", None, True, "coordinator_blocked"),
        ("out", "failed", "refunded", False, "local_ahead"),
    ],
)
def test_every_finished_outgoing_row_has_a_verdict(
    direction: str, status: str, escrow: str | None, paid: bool, verdict: str
) -> None:
    row = payout_row(direction=direction, status=status, status_raw=status, escrow_state=escrow, tx_hash=None)
    if paid:
        row["tx_hash"] = tx_hash(1)
    rows: dict[str, Any] = {
        "payments": [row],
        "claims": [payout_claim(**({} if paid else UNPAID))],
        "transfers": [plain_transfer_row(sender=SELLER, recipient=PAYER)] if paid else [],
    }
    assert counts(rows) == {verdict: 1}


@pytest.mark.parametrize("hold", ["disputed", "hold", "aml_blocked"])
def test_no_change_is_planned_on_a_row_that_anybody_holds(hold: str) -> None:
    for verdict in (Verdict.COORDINATOR_BLOCKED, Verdict.TOKEN_MISMATCH):
        status = "failed" if verdict is Verdict.COORDINATOR_BLOCKED else "pending"
        row = row_of(status=status, **{hold: True})
        document = document_of(status=status)
        planned = change_for(a_finding(verdict=verdict), row, document=document, policy=Policy())
        assert isinstance(planned, Refusal)
        assert "until that is decided" in planned.reason


def test_a_given_up_row_with_too_little_money_does_not_wait() -> None:
    breaks = judgement_of(
        {
            "payments": [open_row(status="cancelled", status_raw="cancelled")],
            "transfers": [transfer_row(amount_units=5)],
        }
    ).breaks.to_pylist()
    assert [(row["verdict"], row["open"], row["aml_blocked"]) for row in breaks] == [("underpaid", False, False)]


def test_rivals_are_searched_by_what_was_read_again_and_by_what_the_provider_names(tmp_path: Path) -> None:
    asked: dict[str, set[str]] = {}
    again = payment_document(1, {"blockchain.transactionHash": tx_hash(44)})

    def find_claimants(field: str, values: list[str]) -> list[Any]:
        asked[field] = set(values)
        return []

    def look_up(keys: Any, *, progress: Any) -> Reading:
        return Reading(tables={"claims": table_of("claims", [claim_row(1)])})

    store = SimpleNamespace(fetch=lambda ids: [again], find_claimants=find_claimants)
    sources: Any = SimpleNamespace(
        store=store, fields=FieldPaths(), chains=(), claims=[SimpleNamespace(name="request_network", look_up=look_up)]
    )
    row = open_row(reference=None)
    leads = leads_of({"payments": [row], "claims": [claim_row(1)]})
    writer = SnapshotWriter(tmp_path / "snapshot")
    writer.write("payments", table_of("payments", [row]))
    writer.write("keys", table_of("keys", []))
    rules: dict[str, Any] = {"policy": Policy(), "registry": load_registry(), "now_ms": NOW_MS}
    second = SecondReading(sources, **rules, progress=no_progress, selection=Selection())
    second.read(writer, leads, with_orphans=False)
    assert reference(1) in asked["reference"]
    assert tx_hash(44) in asked["tx_hash"]
    keys = pq.read_table(writer.file("again/claim_txs_keys")).to_pylist()
    assert keys == [{"provider": "request_network", "claim_id": request_id(1)}]


@pytest.mark.parametrize("engine", ENGINES)
def test_money_that_two_rows_claim_is_not_counted_for_each(engine: str) -> None:
    twin = open_row(2, reference=reference(1), request_id=request_id(1))
    rows: dict[str, Any] = {"payments": [open_row(1), twin], "claims": [claim_row()], "transfers": [transfer_row()]}
    assert judgement_of(rows, engine=engine).captured.to_pylist() == []


def test_a_scan_that_is_incomplete_without_saying_where_proves_no_absence() -> None:
    coverage = [{**row, "complete": row["scope"] != "proxy"} for row in full_coverage()]
    rows: dict[str, Any] = {"payments": [open_row()], "claims": [claim_row(**UNPAID)], "coverage": coverage}
    assert verdicts(rows) == {ME: "unproven"}
