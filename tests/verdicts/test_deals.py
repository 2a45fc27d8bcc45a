"""The rows of one deal: sums of refunds, payouts beside pay-ins, and when two rows compete."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy, Tier
from recon.core.registry import load_registry
from recon.plans.changes import Refusal, change_for
from recon.plans.findings import Describer, links_by_payment
from recon.verdicts.deals import may_be_one_deal
from recon.verdicts.judge import Judgement
from tests.support.builders import (
    HEAD,
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    USDT,
    Row,
    claim_row,
    gap_row,
    one_payment,
    payment_document,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_match import open_row

ME = payment_id(1)
SELLER = "0x" + "5e" * 20
DEAL = {name: payment_row(1)[name] for name in ("buyer_id", "order_id", "offer_id")}
REFUNDED: dict[str, Any] = {"status": "refunded", "status_raw": "refunded", "escrow_state": "refunded", "sender": PAYER}


def back_row(number: int, units: int, **given: Any) -> dict[str, list[Row]]:
    """A refund row of the deal of payment 1, done, with its transfer on chain."""
    row = payment_row(
        number, direction="refund", escrow_state="refunded", recipient=PAYER, expected_units=units, reference=None,
        request_id=None, **{**DEAL, **given},
    )  # fmt: skip
    block = HEAD - 4000 + number
    moved = plain_transfer_row(number, recipient=PAYER, sender=RECIPIENT, amount_units=units, block=block)
    return {"payments": [row], "transfers": [{**moved, "token": row["token"]}]}


def out_row(number: int, units: int = UNITS, **given: Any) -> dict[str, list[Row]]:
    """A payout row of the deal of payment 1, done, with its transfer on chain."""
    done: dict[str, Any] = {"direction": "out", "escrow_state": "released", "recipient": SELLER, "request_id": None}
    row = payment_row(number, expected_units=units, reference=None, **{**done, **DEAL, **given})
    moved = plain_transfer_row(number, recipient=SELLER, sender=RECIPIENT, amount_units=units)
    return {"payments": [row], "transfers": [moved]}


def reference_back(units: int, number: int, *, block: int) -> Row:
    """Money that went back to the payer by the reference of payment 1."""
    return transfer_row(1, tx_hash=tx_hash(number), log_index=number, recipient=PAYER, amount_units=units, block=block)


def described(judgement: Judgement, payment: str = ME) -> Any:
    rows = {row["payment_id"]: row for row in judgement.breaks.to_pylist()}
    links = links_by_payment(judgement.links.to_pylist())
    describer = Describer(registry=load_registry(), policy=Policy(), links=links, now_ms=NOW_MS)
    return describer.finding(rows[payment]), rows[payment]


# Refunds


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize(
    "back",
    [
        {"transfers": [reference_back(5 * 10**18, 40, block=HEAD - 900)]},
        back_row(2, 5 * 10**18),
        together(back_row(2, 2 * 10**18), back_row(3, 3 * 10**18)),
    ],
)
def test_a_row_that_says_refunded_and_of_which_a_part_went_back_is_told_with_both_sums(
    back: dict[str, list[Row]], engine: str
) -> None:
    found = judgement_of(together(one_payment(**REFUNDED), back), engine=engine)
    finding, row = described(found)
    assert finding.verdict == "refund_drift"
    assert "5 of 12.5 USDC went back" in finding.reason
    assert (finding.difference_units, finding.value_units) == (-75 * 10**17, 75 * 10**17)
    assert row["refund_tx"] is None
    told = [text for text in finding.evidence if text.startswith("refund ")]
    assert len(told) == len(back["transfers"])


def test_parts_that_add_up_are_a_whole_refund() -> None:
    parts = [reference_back(5 * 10**18, 40, block=HEAD - 900), reference_back(75 * 10**17, 41, block=HEAD - 800)]
    assert counts(together(one_payment(**REFUNDED), {"transfers": parts})) == {"in_sync": 1}


def test_the_hash_of_a_refund_is_the_one_that_completes_the_sum() -> None:
    hashes = sorted([tx_hash(40), tx_hash(41)])
    early, late = hashes[1], hashes[0]
    parts = [
        {**reference_back(5 * 10**18, 40, block=HEAD - 900), "tx_hash": early},
        {**reference_back(75 * 10**17, 41, block=HEAD - 800), "tx_hash": late},
    ]
    found = judgement_of(together(one_payment(sender=PAYER), {"transfers": parts}))
    finding, row = described(found)
    assert (finding.verdict, row["refund_tx"]) == ("refund_drift", late)


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_completed_payment_of_which_a_part_went_back_is_partly_refunded(engine: str) -> None:
    parts = together(back_row(2, 5 * 10**18), back_row(3, 2 * 10**18))
    assert counts(together(one_payment(escrow_state="released"), parts), engine=engine) == {
        "partly_refunded": 1, "in_sync": 2
    }  # fmt: skip
    by_reference = {"transfers": [reference_back(5 * 10**18, 40, block=HEAD - 900)]}
    assert counts(together(one_payment(sender=PAYER), by_reference), engine=engine) == {"partly_refunded": 1}


def test_a_refund_that_stands_in_a_row_and_carries_the_reference_counts_once() -> None:
    moved = reference_back(5 * 10**18, 2, block=HEAD - 900)
    echo = plain_transfer_row(2, recipient=PAYER, sender=RECIPIENT, amount_units=5 * 10**18, log_index=9)
    row = back_row(2, 5 * 10**18)["payments"]
    rows = together(one_payment(**REFUNDED), {"payments": row, "transfers": [moved, echo]})
    assert "5 of 12.5 USDC went back" in described(judgement_of(rows))[0].reason


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_a_payment_that_was_given_back_records_the_hash_of_its_refund_row(engine: str) -> None:
    back = back_row(2, UNITS)
    assert counts(together(one_payment(**REFUNDED, tx_hash=tx_hash(2)), back), engine=engine) == {"in_sync": 2}
    # One that was not given back by its own word names a transaction that is another row's.
    assert verdicts(together(one_payment(tx_hash=tx_hash(2)), back), engine=engine)[ME] != "in_sync"


def test_a_refund_in_another_token_does_not_prove_the_whole() -> None:
    other = back_row(2, 10**16, token=USDT)
    assert verdicts(together(one_payment(**REFUNDED), other)) == {ME: "refund_drift"}
    finding, _ = described(judgement_of(together(one_payment(**REFUNDED), other), engine="polars"))
    assert "1 refund row of this deal gave money back in another token or on another chain" in finding.reason
    alone, _ = described(judgement_of(one_payment(**REFUNDED), engine="polars"))
    assert "refund row" not in alone.reason


def test_that_only_a_part_went_back_is_not_said_where_the_rest_could_not_be_seen() -> None:
    back = {"transfers": [reference_back(5 * 10**18, 40, block=HEAD - 900)]}
    gap = gap_row(from_ms=NOW_MS - 3_600_000, to_ms=NOW_MS)
    assert verdicts(together(one_payment(**REFUNDED), back), gaps=[gap]) == {ME: "unproven"}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_a_surplus_that_went_back_leaves_the_payment_whole(engine: str) -> None:
    twice = {"transfers": [transfer_row(1, tx_hash=tx_hash(50), log_index=50, block=HEAD - 950)]}
    back = {"transfers": [reference_back(UNITS, 40, block=HEAD - 900)]}
    for given in ({}, {"escrow_state": "released"}):
        rows = together(one_payment(sender=PAYER, **given), twice, back)
        assert counts(rows, engine=engine) == {"in_sync": 1}


def test_of_a_double_payment_both_halves_are_the_buyers_when_it_is_refunded() -> None:
    twice = {"transfers": [transfer_row(1, tx_hash=tx_hash(50), log_index=50, block=HEAD - 950)]}
    back = {"transfers": [reference_back(UNITS, 40, block=HEAD - 900)]}
    finding, row = described(judgement_of(together(one_payment(**REFUNDED), twice, back), engine="polars"))
    assert (finding.verdict, row["refund_tx"], finding.difference_units) == ("refund_drift", None, -UNITS)
    assert "12.5 of 25 USDC went back" in finding.reason
    rest = {"transfers": [reference_back(UNITS, 41, block=HEAD - 800)]}
    assert counts(together(one_payment(**REFUNDED), twice, back, rest), engine="polars") == {"in_sync": 1}


def test_an_open_payment_that_was_paid_twice_and_given_back_once_is_behind_and_to_be_picked() -> None:
    twice = {"transfers": [transfer_row(1, tx_hash=tx_hash(50), log_index=50, block=HEAD - 950)]}
    back = {"transfers": [reference_back(UNITS, 40, block=HEAD - 900)]}
    finding, _ = described(judgement_of(together(open_deal(sender=PAYER), twice, back), engine="polars"))
    assert (finding.verdict, finding.tier) == ("local_behind", Tier.REVIEW)


STRANGER = "0x" + "77" * 20


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize("sender", [None, "0x" + "99" * 20])
def test_money_that_went_by_the_reference_to_somebody_the_row_does_not_name_may_have_gone_back(
    sender: str | None, engine: str
) -> None:
    gone = {"transfers": [{**reference_back(UNITS, 40, block=HEAD - 900), "recipient": STRANGER}]}
    for rows in (one_payment(sender=sender), open_deal(sender=sender), one_payment(**{**REFUNDED, "sender": sender})):
        finding, row = described(judgement_of(together(rows, gone), engine=engine))
        assert (finding.verdict, finding.tier) == ("refund_drift", Tier.REVIEW)
        assert f"12.5 USDC went by its reference to {STRANGER} in {tx_hash(40)}" in finding.reason
        assert row["refund_tx"] is None


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_what_the_payer_sent_elsewhere_by_the_reference_did_not_go_back(engine: str) -> None:
    gone = {**reference_back(UNITS, 40, block=HEAD - 900), "recipient": STRANGER}
    paid = plain_transfer_row(1, recipient=RECIPIENT, sender=PAYER, amount_units=UNITS, log_index=1)
    for sender, expected in ((PAYER, "in_sync"), (RECIPIENT, "refund_drift")):
        moved = plain_transfer_row(40, recipient=STRANGER, sender=sender, amount_units=UNITS, log_index=39)
        rows = together(one_payment(sender=None), {"transfers": [gone, paid, {**moved, "tx_hash": tx_hash(40)}]})
        assert counts(rows, engine=engine) == {expected: 1}


def test_a_log_of_the_same_transaction_or_from_before_the_money_is_no_return() -> None:
    own = transfer_row(1)
    beside = {"transfers": [{**own, "log_index": own["log_index"] + 5, "recipient": STRANGER}]}
    before = {"transfers": [{**reference_back(UNITS, 40, block=HEAD - 90_000), "recipient": STRANGER}]}
    for gone in (beside, before):
        assert counts(together(one_payment(sender=PAYER), gone), engine="polars") == {"in_sync": 1}


# Competing


def test_refunds_compete_only_where_more_went_back_than_came() -> None:
    within = together(one_payment(), back_row(2, 5 * 10**18), back_row(3, 75 * 10**17))
    assert "competing_payment" not in verdicts(within).values()
    beyond = together(one_payment(), back_row(2, 5 * 10**18), back_row(3, 10**19))
    found = verdicts(beyond)
    assert [found[payment_id(number)] for number in (2, 3)] == ["competing_payment"] * 2


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_two_refund_rows_that_record_one_transfer_gave_back_once(engine: str) -> None:
    first = back_row(2, UNITS)
    second = back_row(3, UNITS, tx_hash=tx_hash(2))["payments"]
    pay_in = one_payment(**REFUNDED)
    found = verdicts(together(pay_in, first, {"payments": second}), engine=engine)
    assert {found[payment_id(number)] for number in (2, 3)} == {"duplicate_tx_hash"}
    two = verdicts(together(pay_in, first, back_row(3, UNITS)), engine=engine)
    assert {two[payment_id(number)] for number in (2, 3)} == {"competing_payment"}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize(("back", "told"), [(UNITS, "silent"), (UNITS + 1, "competing_payment")])
def test_a_single_refund_is_too_much_where_it_gave_back_more_than_came(back: int, told: str, engine: str) -> None:
    rows = together(one_payment(status="refunded", escrow_state="refunded"), back_row(2, back))
    assert verdicts(rows, engine=engine).get(payment_id(2), "silent") == told
    alone = verdicts(back_row(2, back), engine=engine)
    assert alone.get(payment_id(2), "silent") == "silent"


def test_payouts_compete_where_more_went_out_than_is_owed() -> None:
    twice = verdicts(together(out_row(2), out_row(3)))
    assert twice == {payment_id(2): "competing_payment", payment_id(3): "competing_payment"}
    parts = together(one_payment(), out_row(2, 5 * 10**18), out_row(3, 75 * 10**17))
    assert "competing_payment" not in verdicts(parts).values()


# Payouts beside pay-ins


def open_deal(**given: Any) -> dict[str, list[Row]]:
    return {"payments": [open_row(1, **given)], "transfers": [transfer_row(1)], "claims": [claim_row(1)]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize("given", [{}, {"status": "failed", "status_raw": "failed"}])
def test_a_pay_in_whose_seller_was_paid_is_not_corrected(given: dict[str, Any], engine: str) -> None:
    found = judgement_of(together(open_deal(**given), out_row(2)), engine=engine)
    finding, row = described(found)
    assert (finding.verdict, finding.tier) == ("coordinator_blocked", Tier.REVIEW)
    said = f"The seller of this deal was already paid by payment {payment_id(2)} ({tx_hash(2)})."
    assert said in finding.reason
    change = change_for(finding, row, document=payment_document(1), policy=Policy())
    assert not given or (isinstance(change, Refusal) and "second release" in change.reason)
    assert given or change is None


def test_a_payout_that_only_may_have_gone_out_is_no_reason_to_act() -> None:
    under_way = out_row(2, status="processing", status_raw="processing", escrow_state="releasing")
    rows = together(open_deal(), {"payments": under_way["payments"]})
    finding, _ = described(judgement_of(rows))
    assert (finding.verdict, finding.tier) == ("coordinator_blocked", Tier.REVIEW)
    assert "may already be paid" in finding.reason
    given_up = out_row(2, status="failed", status_raw="failed", escrow_state="failed", tx_hash=None)
    assert verdicts(together(open_deal(), {"payments": given_up["payments"]}))[ME] == "local_behind"


@pytest.mark.parametrize(
    ("named", "engine"),
    [
        ({"offer_id": None}, "duckdb"),
        ({"buyer_id": None}, "pandas"),
        ({"buyer_id": "somebody-else"}, "polars"),
        ({"order_id": None}, "polars"),
        ({"buyer_id": None, "offer_id": None}, "polars"),
        ({"direction": "payout", "problem": "direction_unknown"}, "polars"),
    ],
)
def test_a_payout_that_names_the_deal_loosely_keeps_a_pay_in_from_being_corrected(
    named: dict[str, Any], engine: str
) -> None:
    finding, row = described(judgement_of(together(open_deal(), out_row(2, **named)), engine=engine))
    assert (finding.verdict, finding.tier) == ("coordinator_blocked", Tier.REVIEW)
    said = f"may have gone out, or be going out, by payment {payment_id(2)} ({tx_hash(2)})."
    assert said in finding.reason
    assert change_for(finding, row, document=payment_document(1), policy=Policy()) is None


def test_another_offer_of_the_same_order_is_another_deal() -> None:
    assert verdicts(together(open_deal(), out_row(2, offer_id="another")))[ME] == "local_behind"
    assert verdicts(together(open_deal(), out_row(2, order_id="another")))[ME] == "local_behind"
    given_up = out_row(2, buyer_id=None, status="failed", status_raw="failed", escrow_state="failed", tx_hash=None)
    assert verdicts(together(open_deal(), {"payments": given_up["payments"]}))[ME] == "local_behind"


@pytest.mark.parametrize("named", [{}, {"offer_id": None}])
def test_a_pay_in_of_which_a_refund_is_under_way_is_not_corrected(named: dict[str, Any]) -> None:
    under_way = {"status": "processing", "status_raw": "processing", "escrow_state": "releasing", "tx_hash": None}
    rows = [{**row, **under_way, **named} for row in back_row(2, UNITS)["payments"]]
    finding, _ = described(judgement_of(together(open_deal(), {"payments": rows}), engine="polars"))
    assert (finding.verdict, finding.tier) == ("coordinator_blocked", Tier.REVIEW)
    assert f"by payment {payment_id(2)}." in finding.reason


def test_a_whole_refund_that_names_the_deal_loosely_keeps_its_pay_in_from_being_corrected() -> None:
    assert verdicts(together(open_deal(), back_row(2, UNITS, offer_id=None)))[ME] == "coordinator_blocked"


def test_an_unset_escrow_is_not_funded_once_the_seller_was_paid() -> None:
    found = verdicts(together(one_payment(escrow_state=None), out_row(2)))
    assert found == {ME: "coordinator_blocked"}


def test_a_released_pay_in_is_corrected_only_when_it_is_picked() -> None:
    finding, _ = described(judgement_of(dict(one_payment(escrow_state="released", confirmations=3))))
    assert (finding.verdict, finding.tier) == ("confirmations_stale", Tier.REVIEW)
    finding, _ = described(judgement_of(dict(one_payment(confirmations=3))))
    assert finding.tier is Tier.AUTO


def test_two_rows_may_be_of_one_deal_by_the_order_or_the_offer_and_never_against_either() -> None:
    own = {"order_id": "o", "offer_id": "f"}
    for other, expected in (
        ({"order_id": "o", "offer_id": "f"}, True), ({"order_id": "o", "offer_id": None}, True),
        ({"order_id": None, "offer_id": "f"}, True), ({"order_id": "o", "offer_id": "g"}, False),
        ({"order_id": "p", "offer_id": "f"}, False), ({"order_id": None, "offer_id": None}, False),
    ):  # fmt: skip
        assert may_be_one_deal(own, other) is may_be_one_deal(other, own) is expected


# One order paid in parts on several rows


def part(number: int, units: int, **given: Any) -> dict[str, list[Row]]:
    """An open payment of the deal of payment 1 for which so much came."""
    row = open_row(number, **{**DEAL, **given})
    return {"payments": [row], "transfers": [transfer_row(number, amount_units=units)]}


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_halves_on_two_attempts_of_one_order_are_told_together(engine: str) -> None:
    rows = together(part(1, UNITS // 2), part(2, UNITS // 2))
    assert set(verdicts(rows, engine=engine).values()) == {"underpaid"}
    finding, _ = described(judgement_of(rows, engine=engine))
    assert f"Together with payment {payment_id(2)} of the same order 12.5 of 12.5 came." in finding.reason
    assert finding.tier is Tier.REVIEW, "it is enough, so nobody waits for more"


def test_parts_that_are_not_enough_together_wait_like_one() -> None:
    rows = together(part(1, UNITS // 2), part(2, UNITS // 4))
    finding, _ = described(judgement_of(rows))
    assert "9.375 of 12.5 came." in finding.reason
    assert finding.tier is Tier.WAIT


@pytest.mark.parametrize(
    "beside",
    [part(2, UNITS // 2, order_id="another"), part(2, UNITS // 2, token=USDT), part(2, UNITS // 2, is_test=True)],
    ids=["another order", "another token", "a test row"],
)
def test_what_is_of_another_deal_or_token_is_not_added(beside: dict[str, list[Row]]) -> None:
    finding, row = described(judgement_of(together(part(1, UNITS // 2), beside)))
    assert (row["deal_came"], finding.tier) == (None, Tier.WAIT)
