"""Which money belongs to which payment, and the traps of that."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Verdict
from tests.support.builders import (
    CHAIN,
    HOUR_MS,
    NOW_MS,
    PAYER,
    PROXY,
    RECIPIENT,
    UNITS,
    USDC,
    USDT,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, findings, judgement_of, together, verdicts

ME = payment_id(1)
OLD_POLYGON_PROXY = "0x2171a0dc12a9e5b1659fef2bb20e54c84fa7db0c"


def open_row(number: int = 1, **given: Any) -> Row:
    """An open payment: nothing recorded, nothing funded."""
    values = {
        "status": "pending", "status_raw": "pending", "escrow_state": None, "tx_hash": None, "confirmations": None,
    }  # fmt: skip
    return payment_row(number, **{**values, **given})


def deposit_row(number: int = 1, **given: Any) -> Row:
    """An open SHKeeper payment with a one-time address and the gateway's tolerance."""
    values: dict[str, Any] = {
        "provider": "shkeeper", "provider_raw": "shkeeper", "is_deposit": True, "recipient": deposit_address(number),
        "reference": None, "request_id": None, "external_id": payment_id(number),
        "covered_from_units": UNITS * 95 // 100, "overpaid_from_units": UNITS * 105 // 100,
    }  # fmt: skip
    return open_row(number, **{**values, **given})


def test_a_payment_that_all_sides_know_is_in_sync() -> None:
    assert counts(dict(one_payment())) == {"in_sync": 1}


def test_transfers_that_add_up_are_a_match_and_the_last_needed_one_is_the_proof() -> None:
    first = transfer_row(amount_units=UNITS // 5, log_index=9)
    second = transfer_row(amount_units=UNITS - UNITS // 5, log_index=1, tx_hash=tx_hash(77), block=first["block"] + 5)  # type: ignore[operator]
    breaks = judgement_of({"payments": [open_row()], "transfers": [second, first]}).breaks.to_pylist()
    assert [(row["verdict"], row["proof_tx"], row["needed_count"]) for row in breaks] == [
        ("local_behind", tx_hash(77), 2)
    ]


def test_two_logs_of_one_reference_in_one_transaction_are_two_transfers() -> None:
    halves = [transfer_row(amount_units=UNITS // 2, log_index=index) for index in (3, 8)]
    breaks = judgement_of({"payments": [open_row()], "transfers": halves}).breaks.to_pylist()
    assert [(row["verdict"], row["proof_log"], int(row["received"])) for row in breaks] == [("local_behind", 8, UNITS)]


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        ({"chain_id": 8453}, "network_mismatch"),
        ({"token": USDT}, "token_mismatch"),
        ({"recipient": "0x" + "cc" * 20}, "recipient_mismatch"),
    ],
)
def test_money_that_is_wrong_in_one_field_is_never_credited(wrong: dict[str, Any], verdict: str) -> None:
    assert verdicts({"payments": [open_row()], "transfers": [transfer_row(**wrong)]}) == {ME: verdict}


def test_a_recorded_hash_whose_log_carries_another_reference_is_a_reference_mismatch() -> None:
    rows = {
        "payments": [open_row(tx_hash=tx_hash(1))],
        "transfers": [transfer_row(reference_topic="0x" + "77" * 32)],
        "transactions": [transaction_row()],
    }
    assert verdicts(rows) == {ME: "reference_mismatch"}


OTHER_CHAIN: dict[str, Any] = {"chain_id": 8453, "token": "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"}


def first_leg(**given: Any) -> dict[str, list[Any]]:
    """A row that records a transaction of another chain, which moved money to a bridge there."""
    moved = plain_transfer_row(1, recipient="0x" + "bb" * 20, amount_units=UNITS, **OTHER_CHAIN)
    said = [transaction_row(chain_id=8453), transaction_row(outcome="not_found")]
    row = open_row(tx_hash=tx_hash(1), confirmations=12, **given)
    unpaid = claim_row(state="processing", state_raw="processing", tx_hashes=None)
    return {"payments": [row], "transfers": [moved], "transactions": said, "claims": [unpaid]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_the_first_leg_of_a_bridge_is_no_money_on_the_wrong_network(engine: str) -> None:
    found = judgement_of(first_leg(), engine=engine).breaks.to_pylist()
    assert [(row["verdict"], row["x_elsewhere"]) for row in found] == [("tx_not_found", 1)]


def test_money_at_the_payments_own_address_on_another_chain_is_on_the_wrong_network() -> None:
    rows = first_leg()
    rows["transfers"] = [{**rows["transfers"][0], "recipient": RECIPIENT}]
    assert verdicts(rows) == {ME: "network_mismatch"}


def test_what_a_bridge_delivered_is_not_held_against_a_row_that_records_its_first_leg() -> None:
    rows = first_leg(status="completed", status_raw="completed", escrow_state="funded")
    rows["claims"] = [claim_row(detection_source="lifi")]
    assert verdicts(rows) == {ME: "provider_ahead"}


def test_an_unknown_token_with_our_reference_is_told_and_never_credited() -> None:
    fake = transfer_row(token="0x" + "99" * 20, token_known=False, amount_units=None, amount_text=str(2**256 - 1))
    claims = [claim_row(state="unpaid", state_raw="unpaid", tx_hashes=None)]
    assert counts({"payments": [open_row()], "transfers": [fake], "claims": claims}) == {"token_mismatch": 1}


def test_an_event_with_our_reference_of_which_the_token_knows_nothing_is_no_money_and_no_alarm() -> None:
    fake = transfer_row(
        token="0x" + "99" * 20, token_known=False, amount_units=None, amount_text=str(2**256 - 1), moved_units=0
    )
    claims = [claim_row(state="unpaid", state_raw="unpaid", tx_hashes=None)]
    assert counts({"payments": [open_row()], "transfers": [fake], "claims": claims}) == {"in_transit": 1}


def test_a_worthless_token_that_the_row_itself_points_to_is_told() -> None:
    fake = transfer_row(token="0x" + "99" * 20, token_known=False)
    rows = {"payments": [open_row(tx_hash=tx_hash(1))], "transfers": [fake], "transactions": [transaction_row()]}
    assert verdicts(rows) == {ME: "token_mismatch"}


def test_a_contract_that_nobody_knows_does_not_pay() -> None:
    found = verdicts({"payments": [open_row()], "transfers": [transfer_row(kind="unknown")]})
    assert found[ME] == "reference_mismatch"


def test_both_polygon_proxies_pay() -> None:
    token = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"
    row = open_row(chain_id=137, token=token, decimals=6)
    old = transfer_row(chain_id=137, token=token, emitter=OLD_POLYGON_PROXY)
    assert verdicts({"payments": [row], "transfers": [old]}) == {ME: "local_behind"}


def test_an_escrow_deposit_by_a_stranger_does_not_void_a_payment_that_paid_its_fee() -> None:
    deposit = transfer_row(kind="escrow", recipient="0x" + "ee" * 20, log_index=1, tx_hash=tx_hash(9))
    paid = transfer_row(fee_units=5, fee_recipient="0x" + "fe" * 20)
    assert verdicts({"payments": [open_row()], "transfers": [deposit, paid]}) == {ME: "local_behind"}


def test_dust_of_nothing_does_not_make_a_second_payment() -> None:
    rows = together(dict(one_payment()), {"transfers": [transfer_row(tx_hash=tx_hash(5), amount_units=0)]})
    assert counts(dict(rows)) == {"in_sync": 1}


def test_a_deposit_before_the_payment_was_made_is_not_its_money() -> None:
    early = plain_transfer_row(block_time=NOW_MS - 30 * HOUR_MS)
    claims = [claim_row(provider="shkeeper", object="invoice", claim_id=ME, external_id=ME, request_id=None,
                        reference=None, reference_topic=None, state="unpaid", tx_hashes=None)]  # fmt: skip
    assert counts({"payments": [deposit_row()], "transfers": [early], "claims": claims}) == {"unproven": 1}


@pytest.mark.parametrize(
    ("percent_ppm", "verdict"),
    [(950_000, "local_behind"), (949_999, "underpaid"), (1_049_999, "local_behind"), (1_050_000, "local_behind")],
)
def test_the_gateways_tolerance_is_judged_at_its_edges(percent_ppm: int, verdict: str) -> None:
    paid = plain_transfer_row(amount_units=UNITS * percent_ppm // 1_000_000)
    rows = {"payments": [deposit_row()], "transfers": [paid]}
    assert verdicts(rows) == {ME: verdict}
    assert (Verdict.OVERPAID in findings(rows, ME)) == (percent_ppm >= 1_050_000)


def test_the_transfer_logs_of_a_proxy_payment_are_not_counted_beside_it() -> None:
    echo = plain_transfer_row(recipient=RECIPIENT, log_index=1)
    rows = together(dict(one_payment()), {"transfers": [echo]})
    assert counts(dict(rows)) == {"in_sync": 1}


def test_rows_without_keys_are_not_joined_to_each_other() -> None:
    blank = {"reference": None, "request_id": None, "tx_hash": None, "recipient": None}
    rows = {
        "payments": [open_row(number, **blank) for number in (1, 2, 3)],
        "transfers": [transfer_row(reference_topic=None), plain_transfer_row(recipient=None)],
        "claims": [claim_row(request_id=None, reference=None, reference_topic=None)],
    }
    for engine in ("duckdb", "polars", "pandas"):
        assert set(verdicts(rows, engine=engine).values()) == {"missing_reference"}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_hash_that_another_row_borrowed_stays_the_payments_whose_reference_is_in_it(engine: str) -> None:
    second = open_row(2, tx_hash=tx_hash(1))
    rows = dict(together(dict(one_payment()), {"payments": [second]}))
    (taker,) = judgement_of(rows, engine=engine).breaks.to_pylist()
    assert (taker["payment_id"], taker["verdict"]) == (payment_id(2), "duplicate_tx_hash")
    assert (taker["rival_id"], taker["borrowed_hash"]) == (ME, 1)


def test_a_hash_that_two_rows_record_and_no_mark_of_theirs_is_in_proves_neither() -> None:
    rows = {
        "payments": [open_row(number, tx_hash=tx_hash(9)) for number in (1, 2)],
        "transactions": [transaction_row(9)],
    }
    breaks = judgement_of(rows).breaks.to_pylist()
    assert [(row["verdict"], row["rival_id"], row["borrowed_hash"]) for row in breaks] == [
        ("duplicate_tx_hash", payment_id(2), 0),
        ("duplicate_tx_hash", ME, 0),
    ]


def test_a_hash_borrowed_by_a_row_outside_the_window_takes_nothing_from_the_payment() -> None:
    rows = together(
        dict(one_payment(status="pending", status_raw="pending", escrow_state=None)),
        {"context": [payment_row(2, tx_hash=tx_hash(1))]},
    )
    assert verdicts(dict(rows)) == {ME: "local_behind"}


def test_a_transfer_to_a_one_time_address_is_that_rows_also_where_another_records_its_hash() -> None:
    rows = {"payments": [deposit_row(1), open_row(2, tx_hash=tx_hash(1))], "transfers": [plain_transfer_row(1)]}
    assert verdicts(rows) == {ME: "local_behind", payment_id(2): "duplicate_tx_hash"}


@pytest.mark.parametrize("status", ["pending", "completed"])
def test_a_row_paid_otherwise_that_borrowed_a_hash_is_not_written_because_its_chain_was_read_in_part(
    status: str,
) -> None:
    escrow = None if status == "pending" else "funded"
    taker = open_row(1, status=status, status_raw=status, escrow_state=escrow, tx_hash=tx_hash(2))
    rows = {
        "payments": [taker, open_row(2)],
        "transfers": [transfer_row(1), transfer_row(2)],
        "transactions": [transaction_row(2)],
    }
    hole = {"source": "chain:56", "scope": "proxy", "chain_id": 56, "from_ms": 0, "to_ms": NOW_MS, "reason": "-"}
    for gaps in ((), (hole,)):
        assert verdicts(rows, gaps=gaps)[ME] == "duplicate_tx_hash"


def test_a_payout_and_a_row_that_records_its_hash_prove_neither_however_little_was_read() -> None:
    payout = open_row(
        1, direction="out", status="completed", status_raw="completed", escrow_state="releasing", reference=None,
        request_id=None, tx_hash=tx_hash(1), recipient=PAYER,
    )  # fmt: skip
    rows = {
        "payments": [payout, open_row(2, tx_hash=tx_hash(1), chain_id=8453)],
        "transfers": [plain_transfer_row(1, recipient=PAYER, sender=RECIPIENT)],
        "transactions": [transaction_row(1)],
    }
    hole = {"source": "chain:8453", "scope": "proxy", "chain_id": 8453, "from_ms": 0, "to_ms": NOW_MS, "reason": "-"}
    for gaps in ((), (hole,)):
        assert verdicts(rows, gaps=gaps)[ME] == "duplicate_tx_hash"


def test_two_payments_in_one_batch_transaction_are_both_in_sync() -> None:
    batch = together(
        dict(one_payment(1)),
        {
            "payments": [payment_row(2, tx_hash=tx_hash(1))],
            "claims": [claim_row(2, tx_hashes=tx_hash(1))],
            "transfers": [transfer_row(2, tx_hash=tx_hash(1), log_index=5)],
        },
    )
    assert counts(dict(batch)) == {"in_sync": 2}


def test_two_payments_on_one_deposit_address_are_ambiguous() -> None:
    shared = deposit_address(1)
    rows = {
        "payments": [deposit_row(1), deposit_row(2, recipient=shared)],
        "transfers": [plain_transfer_row(1)],
    }
    assert verdicts(rows) == {ME: "ambiguous", payment_id(2): "ambiguous"}


@pytest.mark.parametrize("engine", ["polars", "duckdb", "pandas"])
@pytest.mark.parametrize("is_told", [True, False])
def test_a_transfer_that_one_of_two_payments_records_is_not_the_others_if_its_provider_says_so_too(
    engine: str, is_told: bool
) -> None:
    """The hash alone says nothing against the other: it is not called unpaid then."""
    shared = deposit_address(1)
    owner = deposit_row(1, status="completed", status_raw="completed", escrow_state="funded", tx_hash=tx_hash(1))
    other = deposit_row(2, recipient=shared)
    invoice = {"provider": "shkeeper", "object": "invoice", "request_id": None, "reference": None,
               "reference_topic": None}  # fmt: skip
    claims = [
        claim_row(1, claim_id=ME, external_id=ME, **invoice),
        claim_row(2, claim_id=payment_id(2), external_id=payment_id(2), state="unpaid", tx_hashes=None, **invoice),
    ]
    named = [claim_tx_row(provider="shkeeper", claim_id=ME, external_id=ME, request_id=None)] if is_told else []
    rows = {"payments": [owner, other], "transfers": [plain_transfer_row(1)], "claims": claims, "claim_txs": named}
    assert counts(rows, engine=engine) == {"in_sync": 1, "in_transit" if is_told else "ambiguous": 1}


def test_one_request_on_two_rows_is_a_duplicate_key() -> None:
    twin = payment_row(2, request_id=payment_row(1)["request_id"], reference=payment_row(1)["reference"])
    found = verdicts(dict(together(dict(one_payment()), {"payments": [twin]})))
    assert found == {ME: "duplicate_provider_key", payment_id(2): "duplicate_provider_key"}


def test_a_refund_row_may_share_the_request_of_its_payment() -> None:
    refund = payment_row(2, direction="refund", escrow_state="refunded", request_id=payment_row(1)["request_id"],
                         reference=None, recipient=PAYER, tx_hash=tx_hash(2))  # fmt: skip
    back = plain_transfer_row(2, recipient=PAYER, sender=RECIPIENT)
    rows = together(dict(one_payment()), {"payments": [refund], "transfers": [back]})
    assert Verdict.DUPLICATE_PROVIDER_KEY not in verdicts(dict(rows)).values()


def test_a_release_is_proven_by_the_transaction_that_the_gateway_names() -> None:
    row = open_row(
        direction="out", provider="shkeeper", escrow_state="releasing", reference=None, request_id=None,
        external_id=ME, recipient=PAYER,
    )  # fmt: skip
    payout = {"provider": "shkeeper", "object": "payout", "claim_id": ME, "external_id": ME, "request_id": None,
              "reference": None, "reference_topic": None}  # fmt: skip
    rows = {
        "payments": [row],
        "claims": [claim_row(**payout)],
        "claim_txs": [claim_tx_row(provider="shkeeper", claim_id=ME, external_id=ME, request_id=None)],
        "transfers": [plain_transfer_row(recipient=PAYER, sender=RECIPIENT)],
    }
    assert verdicts(rows) == {ME: "local_behind"}


def test_the_reference_that_the_provider_names_is_used_where_the_row_has_none() -> None:
    rows = dict(one_payment(reference=None, status="pending", status_raw="pending", escrow_state=None))
    assert verdicts(rows) == {ME: "local_behind"}


def test_amounts_near_the_limit_are_summed_exactly() -> None:
    huge = 10**36
    halves = [transfer_row(amount_units=huge // 2 + extra, log_index=extra) for extra in (0, 1)]
    row = open_row(expected_units=huge + 1, amount_text="1")
    for engine in ("duckdb", "polars", "pandas"):
        breaks = judgement_of({"payments": [row], "transfers": halves}, engine=engine).breaks.to_pylist()
        assert [(item["verdict"], int(item["received"])) for item in breaks] == [("local_behind", huge + 1)]


def test_an_emitter_is_known_by_its_kind_not_by_its_topic() -> None:
    assert transfer_row()["emitter"] == PROXY
    assert (56, transfer_row()["token"]) == (CHAIN, USDC)
