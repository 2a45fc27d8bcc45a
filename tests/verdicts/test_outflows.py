"""Money that left a payout wallet: what explains it, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recon.api.investigate import outgoing
from recon.core.model import Policy, Tier, Verdict
from recon.core.registry import load_registry
from recon.plans.orphans import outflow_findings
from tests.support.builders import (
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    Row,
    claim_row,
    claim_tx_row,
    coverage_row,
    deposit_address,
    full_coverage,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import judgement_of, together
from tests.support.worlds import plan_of_directory
from tests.verdicts.test_deals import SELLER, back_row, out_row

WORLD = Path(__file__).parents[1] / "cases" / "worlds" / "payout-twice"
LOOKED = coverage_row(
    "chain:56", "outflow", chain_id=56, unit="ms", asked_from=NOW_MS - 48 * 3_600_000, asked_to=NOW_MS
)
WALLET = RECIPIENT


def left(number: int, **given: Any) -> Row:
    """A transfer out of the wallet that the proven payout of row 2 came from."""
    values: dict[str, Any] = {"recipient": SELLER, "sender": WALLET, **given}
    return plain_transfer_row(number, **values)


def outflows(*transfers: Row, engine: str = "polars", policy: Policy | None = None, **more: Any) -> list[str]:
    rows = together(out_row(2), {"transfers": list(transfers), "coverage": [*full_coverage(), LOOKED]}, more)
    return [row["tx_hash"] for row in judgement_of(rows, engine=engine, policy=policy).outflows.to_pylist()]


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_money_that_left_a_payout_wallet_and_that_no_row_explains_is_found(engine: str) -> None:
    assert outflows(left(9), engine=engine) == [tx_hash(9)]
    assert outflows(engine=engine) == []


@pytest.mark.parametrize(
    "given",
    [
        {"amount_units": 0},
        {"token_known": False},
        {"final": False},
        {"sender": "0x" + "77" * 20},
        {"recipient": WALLET},
        {"block_time": NOW_MS - 49 * 3_600_000},
    ],
)
def test_what_is_nothing_not_final_not_ours_or_not_within_the_window_is_no_outflow(given: dict[str, Any]) -> None:
    assert outflows(left(9, **given)) == []


def test_a_row_a_payout_and_a_one_time_address_of_ours_explain_it() -> None:
    recorded = payment_row(
        3, direction="out", escrow_state="released", recipient=SELLER, reference=None, tx_hash=tx_hash(9)
    )
    assert outflows(left(9), context=[recorded]) == []
    payout = claim_tx_row(9, provider="shkeeper", external_id="p9", request_id=None, recipient=SELLER)
    assert outflows(left(9), claim_txs=[payout]) == []
    deposit = payment_row(3, is_deposit=True, recipient=deposit_address(3), reference=None, tx_hash=None)
    assert outflows(left(9, recipient=deposit_address(3)), context=[deposit]) == []


def test_a_second_log_of_a_recorded_transaction_is_not_explained_by_it() -> None:
    assert outflows(left(2, log_index=7, recipient="0x" + "66" * 20)) == [tx_hash(2)]


def test_a_wallet_of_the_configuration_needs_no_proven_payout() -> None:
    other = "0x" + "77" * 20
    assert outflows(left(9, sender=other), policy=Policy(payout_wallets=(other,))) == [tx_hash(9)]


def test_a_transaction_that_the_gateway_lists_as_outgoing_is_found_whoever_sent_it() -> None:
    bare = {"provider": "shkeeper", "claim_id": "outgoing:x", "request_id": None}
    listed = {
        "claims": [claim_row(9, object="payout", reference=None, reference_topic=None, external_id=None, **bare)],
        "claim_txs": [claim_tx_row(9, recipient=SELLER, external_id=None, **bare)],
    }
    assert outflows(left(9, sender="0x" + "77" * 20), **listed) == [tx_hash(9)]


def test_without_a_look_at_outgoing_money_nothing_is_said() -> None:
    rows = together(out_row(2), {"transfers": [left(9)]})
    assert judgement_of(rows).outflows.num_rows == 0


def test_a_payout_that_left_twice_is_a_break_with_hash_and_destination(tmp_path: Path) -> None:
    plan = plan_of_directory(WORLD, tmp_path)
    [found] = [each for each in plan.findings if each.verdict is Verdict.UNEXPLAINED_OUTFLOW]
    assert found.tier is Tier.NEVER
    assert found.reason.startswith("310 USDT more went to 0x45be0428ef0a7c66f078126a76d4ca80a1f77dab than any row")
    assert "0x70323ec3c250ebd04242e33a30abc6c6cc86e47e3a93d1e1c789ca63766dd5a4" in found.reason
    assert plan.summary["verdicts"]["unexplained_outflow"] == 1
    assert int(found.value_units) == 310 * 10**18 and UNITS


def test_the_list_of_what_went_out_marks_every_row_that_the_verdicts_mark() -> None:
    listed = outgoing(WORLD / "recon.toml")
    assert len(listed) == 4
    assert all(any("unexplained_outflow" in why or "competing" in why for why in each.unusual) for each in listed)
    assert payment_id(1) not in {each.payment_id for each in listed}


def test_money_that_went_astray_by_a_rows_reference_is_that_rows_affair_unless_it_has_its_money() -> None:
    thief = "0x" + "66" * 20
    row = payment_row(3, direction="out", status="processing", status_raw="processing", escrow_state="releasing",
                      tx_hash=None, recipient=SELLER)  # fmt: skip
    log = transfer_row(3, tx_hash=tx_hash(9), recipient=thief)
    echo = left(9, recipient=thief, log_index=0)
    assert outflows(log, echo, payments=[row]) == []
    paid = {"transfers": [transfer_row(3, recipient=SELLER)]}
    done = payment_row(3, direction="out", escrow_state="released", recipient=SELLER)
    assert outflows(log, echo, *paid["transfers"], payments=[done]) == [tx_hash(9)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"status": "failed", "status_raw": "failed"}, [tx_hash(9)]),
        ({"recipient": "0x" + "66" * 20}, [tx_hash(9)]),
        ({"expected_units": UNITS - 1}, [tx_hash(9)]),
    ],
)
def test_a_payout_that_still_waits_for_its_proof_may_be_it_and_a_failed_one_is_not(
    given: dict[str, Any], found: list[str]
) -> None:
    waiting: dict[str, Any] = {"status": "processing", "status_raw": "processing", "escrow_state": "releasing"}
    row = payment_row(
        3, **{"direction": "out", "tx_hash": None, "reference": None, "recipient": SELLER, **waiting, **given}
    )
    assert outflows(left(9), payments=[row]) == found


# Wallets that are known less well


def told(*transfers: Row, engine: str = "polars", **more: Any) -> list[Row]:
    rows = together({"transfers": list(transfers), "coverage": [*full_coverage(), LOOKED]}, more)
    found: list[Row] = judgement_of(rows, engine=engine).outflows.to_pylist()
    return found


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize("direction", ["out", "refund"])
def test_what_left_the_wallet_of_a_payout_that_was_given_up_is_looked_for_at_its_payee(
    direction: str, engine: str
) -> None:
    row = payment_row(3, direction=direction, status="failed", status_raw="failed", escrow_state="releasable",
                      tx_hash=None, reference=None, recipient=SELLER, sender=WALLET)  # fmt: skip
    [found] = told(left(9), left(8, recipient="0x" + "66" * 20), payments=[row], engine=engine)
    assert (found["tx_hash"], found["given_up_row"], found["is_less_known"]) == (tx_hash(9), payment_id(3), True)
    [reason] = [
        each.reason for each in outflow_findings([found], registry=load_registry(), policy=Policy(), now_ms=NOW_MS)
    ]
    assert f"Payment {payment_id(3)} was to send this amount there and was given up" in reason
    assert "do not send it again" in reason
    [other] = told(left(9, amount_units=UNITS + 1), payments=[row], engine=engine)
    assert other["given_up_row"] is None


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_refund_that_was_sent_once_more_is_found_though_no_payout_left_the_wallet(engine: str) -> None:
    back = back_row(2, UNITS)
    again, elsewhere = left(9, recipient=PAYER), left(8, recipient="0x" + "66" * 20)
    rows = together(back, {"transfers": [again, elsewhere], "coverage": [*full_coverage(), LOOKED]})
    found = judgement_of(rows, engine=engine)
    assert [row["tx_hash"] for row in found.outflows.to_pylist()] == [tx_hash(9)]
