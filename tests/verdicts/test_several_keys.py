"""All keys of a row count: money on any of its requests is the row's, and none of them silences anything wrongly."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recon.core.ids import reference_topic
from recon.core.model import Plan, Policy, Verdict
from recon.core.registry import load_registry
from recon.plans.make import make_plan
from recon.snapshots.sealed import Snapshot
from tests.support.builders import (
    RECIPIENT,
    Row,
    claim_row,
    claim_tx_row,
    one_payment,
    payment_id,
    payment_row,
    reference,
    request_id,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import judgement_of, leads_of, snapshot_of_directory, verdicts
from tests.support.worlds import plan_of_directory
from tests.verdicts.test_match import open_row

CASES = Path(__file__).parent.parent / "cases"
ME, OTHER = payment_id(1), payment_id(2)
UNPAID: dict[str, Any] = {"state": "unpaid", "state_raw": "unpaid", "tx_hashes": None, "paid_units": None}
Rows = dict[str, Sequence[Row]]


def key(field: str = "request_id", value: str = request_id(7), payment: str = ME) -> Row:
    topic = reference_topic(value) if field == "reference" else None
    return {"payment_id": payment, "field": field, "value": value, "reference_topic": topic}


def paid_by_the_second(**given: Any) -> Rows:
    """An open row with two requests, of which the second, number 7, was paid."""
    return {
        "payments": [open_row(tx_hash=None)],
        "keys": [key()],
        "claims": [claim_row(1, **UNPAID), claim_row(7)],
        "claim_txs": [claim_tx_row(7)],
        "transfers": [transfer_row(7, **given)],
        "transactions": [transaction_row(7)],
    }


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_what_came_for_a_further_request_is_the_rows(engine: str) -> None:
    assert verdicts(paid_by_the_second(), engine=engine) == {ME: "local_behind"}
    row = judgement_of(paid_by_the_second(), engine=engine).breaks.to_pylist()[0]
    assert (row["proof_tx"], row["claim_state"], row["claim_hashes"]) == (tx_hash(7), "paid", tx_hash(7))


def test_without_the_further_key_it_is_not() -> None:
    assert verdicts({**paid_by_the_second(), "keys": []}) == {}


def test_what_came_by_a_further_reference_of_the_row_is_the_rows() -> None:
    rows = {**paid_by_the_second(), "claims": [claim_row(1, **UNPAID)], "claim_txs": []}
    assert verdicts({**rows, "keys": [key("reference", reference(7))]}) == {ME: "local_behind"}


def test_money_of_a_further_request_that_went_elsewhere_is_told_and_never_counted() -> None:
    assert verdicts(paid_by_the_second(recipient="0x" + "9" * 40)) == {ME: "recipient_mismatch"}


def test_a_further_request_that_could_not_be_asked_is_no_no() -> None:
    failed = claim_row(7, outcome="failed", state=None, error="timed out", reference_topic=None, tx_hashes=None)
    rows = {"payments": [open_row(tx_hash=None)], "keys": [key()], "claims": [claim_row(1, **UNPAID), failed]}
    assert verdicts(rows) == {ME: "lookup_failed"}


def test_two_rows_that_hold_one_request_prove_neither() -> None:
    two = payment_row(2, status="pending", status_raw="pending", escrow_state=None, tx_hash=None,
                      request_id=request_id(7), reference=None, reference_topic=None)  # fmt: skip
    rows = paid_by_the_second()
    found = verdicts({**rows, "payments": [*rows["payments"], two]})
    assert found == {ME: "duplicate_provider_key", OTHER: "duplicate_provider_key"}


def test_only_what_is_used_is_known() -> None:
    policy = Policy(merchant_recipients=(RECIPIENT,))
    found = leads_of(paid_by_the_second(), policy=policy)
    assert (found.orphan_claims.num_rows, found.orphan_transfers.num_rows) == (0, 0)
    alone = leads_of({**one_payment(1), "claims": [claim_row(1), claim_row(7)],
                          "transfers": [transfer_row(1), transfer_row(7)]}, policy=policy)  # fmt: skip
    assert (alone.orphan_claims.num_rows, alone.orphan_transfers.num_rows) == (1, 1)


def test_the_object_that_says_most_about_money_is_shown_whole() -> None:
    rows = one_payment(1, status="failed", status_raw="failed")
    rows["claims"] = [claim_row(1, claim_id="z", **UNPAID), claim_row(1, claim_id="a")]
    row = judgement_of(rows).breaks.to_pylist()[0]
    assert (row["claim_id"], row["claim_state"], row["claim_hashes"]) == ("a", "paid", tx_hash(1))


def test_a_snapshot_of_an_older_version_is_judged(tmp_path: Path) -> None:
    shutil.copytree(CASES / "float_amounts", tmp_path / "world")
    sealed = snapshot_of_directory(tmp_path / "world", tmp_path / "snapshot")
    policy, registry = Policy(), load_registry()
    now = [row.verdict for row in make_plan(sealed, policy=policy, registry=registry).findings]
    for path in sealed.path.rglob("*.parquet"):
        table = pq.read_table(path)
        added = [name for name in ("further_keys", "asked_amount") if name in table.column_names]
        pq.write_table(table.drop_columns(added), path)
    (sealed.path / "keys.parquet").unlink()
    older = {
        name: facts for name, facts in sealed.manifest["tables"].items() if not name.split("/")[-1].startswith("keys")
    }
    before = Snapshot(sealed.path, sealed.digest, {**sealed.manifest, "tables": older})
    assert [row.verdict for row in make_plan(before, policy=policy, registry=registry).findings] == now
    assert before.table("keys").num_rows == 0


def plan_of_case(name: str, folder: Path) -> Plan:
    shutil.copytree(CASES / name, folder / name)
    return plan_of_directory(folder / name, folder)


def test_money_on_a_second_request_is_the_rows(tmp_path: Path) -> None:
    plan = plan_of_case("two_attempts", tmp_path)
    assert {(row.verdict, row.value_units) for row in plan.findings} == {
        (Verdict.COORDINATOR_BLOCKED, 77_000_000), (Verdict.LOCAL_BEHIND, 41_000_000),
    }  # fmt: skip
    for row in plan.findings:
        shown = {view.field: view.provider for view in row.fields}
        assert "hasBeenPaid=true" in (shown["status"] or "")


def test_amounts_that_were_computed_as_doubles_are_what_was_meant(tmp_path: Path) -> None:
    plan = plan_of_case("float_amounts", tmp_path)
    assert {row.verdict for row in plan.findings} == {Verdict.LOCAL_BEHIND}
    assert sorted(row.value_units for row in plan.findings) == [
        300_000, 19_990_000, 33_333_333, 57_000_000, 1_234_567_890_000,
    ]  # fmt: skip
    unclear = [row for row in plan.findings if Verdict.MALFORMED_RECORD in row.findings]
    assert sorted(row.value_units for row in unclear) == [33_333_333, 57_000_000]
    assert all("the provider asked for" in row.reason for row in unclear)


def test_an_amount_that_the_provider_does_not_confirm_cannot_be_read(tmp_path: Path) -> None:
    shutil.copytree(CASES / "float_amounts", tmp_path / "other")
    said = tmp_path / "other" / "request_network.ndjson"
    said.write_text(said.read_text().replace('"requestAmount":"33.333333"', '"requestAmount":"33.34"'))
    plan = plan_of_directory(tmp_path / "other", tmp_path)
    assert sorted(row.verdict for row in plan.findings).count(Verdict.MALFORMED_RECORD) == 1


def paid_by_the_providers_reference(**given: Any) -> Rows:
    """A row whose stored reference is not the one that its request has at the provider, which was paid."""
    made_anew = {"reference": reference(7), "reference_topic": reference_topic(reference(7))}
    moved = transfer_row(1, reference_topic=reference_topic(reference(7)))
    return {**one_payment(**given), "claims": [claim_row(1, **made_anew)], "transfers": [moved]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_what_came_by_the_reference_that_the_request_has_at_the_provider_is_the_rows(engine: str) -> None:
    assert verdicts(paid_by_the_providers_reference(), engine=engine) == {}
    waiting = {"status": "pending", "status_raw": "pending", "escrow_state": None, "tx_hash": None}
    assert verdicts(paid_by_the_providers_reference(**waiting), engine=engine) == {ME: "local_behind"}


def test_the_references_of_two_rows_that_hold_one_request_prove_neither() -> None:
    rows = paid_by_the_providers_reference()
    other = payment_row(7, request_id=request_id(1))
    found = verdicts({**rows, "payments": [*rows["payments"], other]})
    assert found == {ME: "duplicate_provider_key", payment_id(7): "duplicate_provider_key"}
