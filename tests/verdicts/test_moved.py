"""How much moved, by the token's own log, and what is too small or too strange to count."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from tests.support.builders import (
    CHAIN,
    HEAD,
    PAYER,
    UNITS,
    USDC,
    USDT,
    Row,
    claim_row,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, leads_of, together, verdicts
from tests.verdicts.test_match import ME, deposit_row, open_row

ENGINES = ("duckdb", "polars", "pandas")
INDIRECT = ("conversion_proxy", "escrow", "receivable")
DUST = Policy(dust_units={f"{CHAIN}:{USDC}": 10**16, f"{CHAIN}:{USDT}": 10**16})
ESCROW = "0x" + "ee" * 20
STRANGE = {"token": "0x" + "99" * 20, "token_known": False}


def unpaid(number: int = 1, **given: Any) -> Row:
    return claim_row(number, **{"state": "unpaid", "state_raw": "unpaid", "tx_hashes": None, **given})


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_token_logged_is_what_came_whatever_the_proxy_states(engine: str) -> None:
    less = transfer_row(moved_units=UNITS * 99 // 100)
    (row,) = judgement_of({"payments": [open_row()], "transfers": [less]}, engine=engine).breaks.to_pylist()
    assert (row["verdict"], int(row["received"])) == ("underpaid", UNITS * 99 // 100)


def test_a_stated_amount_of_which_the_token_logged_nothing_proves_nothing() -> None:
    rows = {"payments": [open_row()], "transfers": [transfer_row(moved_units=0)], "claims": [unpaid()]}
    assert counts(rows) == {"in_transit": 1}


@pytest.mark.parametrize("status", ["pending", "completed"])
def test_a_stated_amount_that_nobody_measured_is_unproven_and_never_written(status: str) -> None:
    row = payment_row(status=status, status_raw=status)
    assert verdicts({"payments": [row], "transfers": [transfer_row(stated_only=True)], "claims": [claim_row()]}) == {
        ME: "unproven"
    }


def test_a_snapshot_that_says_nothing_about_measuring_is_judged_as_it_was() -> None:
    assert transfer_row().get("stated_only") is None
    assert counts(dict(one_payment())) == {"in_sync": 1}


@pytest.mark.parametrize("kind", INDIRECT)
def test_money_through_another_official_contract_counts_where_the_token_shows_it(kind: str) -> None:
    through = transfer_row(kind=kind, moved_units=UNITS)
    assert verdicts({"payments": [open_row()], "transfers": [through]}) == {ME: "local_behind"}


@pytest.mark.parametrize("moved", [None, 0])
@pytest.mark.parametrize("kind", INDIRECT)
def test_money_through_another_official_contract_is_else_unproven_and_no_mismatch(kind: str, moved: int | None) -> None:
    through = transfer_row(kind=kind, moved_units=moved)
    (row,) = judgement_of({"payments": [open_row()], "transfers": [through]}).breaks.to_pylist()
    assert (row["verdict"], row["m_indirect"]) == ("unproven", 1)


def released(**given: Any) -> list[Row]:
    deposit = transfer_row(kind="escrow", recipient=ESCROW, log_index=1, moved_units=UNITS)
    return [deposit, transfer_row(tx_hash=tx_hash(8), block=int(str(deposit["block"])) + 10, fee_units=None, **given)]


def test_money_in_escrow_is_not_the_recipients_until_the_token_shows_its_release() -> None:
    for transfers in (released()[:1], released()):
        assert verdicts({"payments": [open_row()], "transfers": transfers}) == {ME: "unproven"}
    assert verdicts({"payments": [open_row()], "transfers": released(moved_units=UNITS)}) == {ME: "local_behind"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_escrow_released_in_part_and_gave_back_in_part_is_no_whole_refund(engine: str) -> None:
    half = UNITS // 2
    back = transfer_row(tx_hash=tx_hash(9), recipient=PAYER, block=HEAD - 4000, amount_units=half, moved_units=half)
    row = payment_row(sender=PAYER, tx_hash=tx_hash(8))
    rows = {"payments": [row], "transfers": [*released(amount_units=half, moved_units=half), back]}
    (told,) = judgement_of(rows, engine=engine).breaks.to_pylist()
    assert (told["verdict"], told["refund_tx"], told["back"]) == ("refund_drift", None, half)
    whole = {"payments": [row], "transfers": [released()[0], {**back, "amount_units": UNITS, "moved_units": UNITS}]}
    (told,) = judgement_of(whole, engine=engine).breaks.to_pylist()
    assert (told["verdict"], told["refund_tx"]) == ("refund_drift", tx_hash(9))


def test_a_reverted_or_unknown_contract_is_not_made_good_by_the_tokens_log() -> None:
    stranger = transfer_row(kind="unknown", moved_units=UNITS)
    assert verdicts({"payments": [open_row()], "transfers": [stranger]}) == {ME: "reference_mismatch"}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unknown_token_at_a_one_time_address_is_a_mismatch_with_its_own_name(engine: str) -> None:
    strange = plain_transfer_row(**STRANGE, token_symbol="USDX", token_decimals=6)
    found = judgement_of({"payments": [deposit_row()], "transfers": [strange]}, engine=engine)
    assert found.breaks["verdict"].to_pylist() == ["token_mismatch"]
    assert {(row["t_symbol"], row["t_decimals"]) for row in found.links.to_pylist()} == {("USDX", 6)}


def test_an_unknown_token_at_an_address_that_is_no_payments_is_spam() -> None:
    strange = plain_transfer_row(**STRANGE, recipient="0x" + "ab" * 20)
    assert counts({"payments": [open_row()], "transfers": [strange], "claims": [unpaid()]}) == {"in_transit": 1}


def test_an_unknown_token_beside_the_right_money_is_no_break() -> None:
    strange = plain_transfer_row(2, **STRANGE)
    row = deposit_row(status="completed", status_raw="completed", escrow_state="funded", tx_hash=tx_hash(1))
    rows = {"payments": [row], "transfers": [plain_transfer_row(1), strange]}
    assert "token_mismatch" not in verdicts(rows).values()


@pytest.mark.parametrize("engine", ENGINES)
def test_dust_is_counted_apart_and_is_no_second_transfer(engine: str) -> None:
    speck = transfer_row(tx_hash=tx_hash(5), amount_units=10**12)
    rows = dict(together(dict(one_payment()), {"transfers": [speck]}))
    assert counts(rows, engine=engine, policy=DUST) == {"in_sync": 1}
    assert counts(rows, engine=engine) != {"in_sync": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_came_beyond_the_amount_and_is_dust_is_no_break(engine: str) -> None:
    def paid(units: int) -> dict[str, list[Row]]:
        return {**one_payment(), "transfers": [transfer_row(amount_units=units)]}

    assert counts(paid(UNITS + 10**12), engine=engine, policy=DUST) == {"in_sync": 1}
    assert counts(paid(UNITS + 10**16 - 1), engine=engine, policy=DUST) == {"in_sync": 1}
    assert verdicts(paid(UNITS + 10**16), engine=engine, policy=DUST) == {ME: "overpaid"}
    assert verdicts(paid(UNITS - 1), engine=engine, policy=DUST) == {ME: "underpaid"}


@pytest.mark.parametrize("first", [True, False])
def test_dust_before_or_after_the_money_changes_nothing(first: bool) -> None:
    block = int(str(transfer_row()["block"])) + (-5 if first else 5)
    speck = transfer_row(tx_hash=tx_hash(5), amount_units=10**12, block=block)
    rows = dict(together(dict(one_payment()), {"transfers": [speck]}))
    assert counts(rows, policy=DUST) == {"in_sync": 1}


def test_dust_alone_is_no_money_and_what_completes_a_payment_is_never_dust() -> None:
    speck = transfer_row(amount_units=10**12)
    assert counts({"payments": [open_row()], "transfers": [speck], "claims": [unpaid()]}, policy=DUST) == {
        "in_transit": 1
    }
    rest = transfer_row(tx_hash=tx_hash(6), amount_units=UNITS - 10**12, log_index=9)
    assert verdicts({"payments": [open_row()], "transfers": [speck, rest]}, policy=DUST) == {ME: "local_behind"}


def test_a_payment_of_less_than_the_limit_is_not_dust() -> None:
    tiny = 10**13
    row = open_row(expected_units=tiny, covered_from_units=tiny, overpaid_from_units=tiny + 1, amount_text="0.00001")
    assert verdicts({"payments": [row], "transfers": [transfer_row(amount_units=tiny)]}, policy=DUST) == {
        ME: "local_behind"
    }


def test_dust_at_a_merchant_wallet_is_no_payment_without_a_row() -> None:
    wallet = "0x" + "5e" * 20
    policy = Policy(dust_units=DUST.dust_units, merchant_recipients=(wallet,))
    speck = plain_transfer_row(7, recipient=wallet, amount_units=10**12)
    assert leads_of({"payments": [open_row()], "transfers": [speck]}, policy=policy).orphan_transfers.num_rows == 0
    found = judgement_of({"payments": [open_row()], "transfers": [speck]}, policy=policy)
    assert [(row["rows"], int(row["units"])) for row in found.dust.to_pylist()] == [(1, 10**12)]


def test_a_completed_row_whose_transaction_holds_nothing_of_it_says_so_of_itself_alone() -> None:
    rows = {"payments": [payment_row()], "transactions": [transaction_row()], "claims": [unpaid()]}
    (row,) = judgement_of(rows).breaks.to_pylist()
    assert (row["payment_id"], row["verdict"], row["x_success"]) == (payment_id(1), "local_ahead", 1)


def test_a_refund_is_what_the_token_logged_too() -> None:
    back = transfer_row(tx_hash=tx_hash(9), recipient=PAYER, moved_units=0)
    rows = dict(together(dict(one_payment(sender=PAYER)), {"transfers": [back]}))
    assert counts(rows) == {"in_sync": 1}
