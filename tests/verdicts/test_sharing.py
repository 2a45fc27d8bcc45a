"""Addresses and transactions that several payments share: years of one deposit address, batches, placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy, Tier, Verdict
from recon.plans.changes import change_for
from tests.support.builders import (
    HEAD,
    HOUR_MS,
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_document,
    payment_id,
    payment_row,
    plain_transfer_row,
    transaction_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_deals import DEAL, SELLER, described
from tests.verdicts.test_match import deposit_row

ME, OTHER = payment_id(1), payment_id(2)
ENGINES = ["duckdb", "polars", "pandas"]
DAY_MS = 24 * HOUR_MS
SHARED = deposit_address(1)
DONE: dict[str, Any] = {"status": "completed", "status_raw": "completed", "escrow_state": "funded"}


def came(number: int, *, days_ago: int, units: int = UNITS) -> Row:
    """Money at the shared address."""
    when = {"block_time": NOW_MS - days_ago * DAY_MS, "block": HEAD - 4000 - days_ago * 1000}
    return plain_transfer_row(number, recipient=SHARED, amount_units=units, **when)


def settled(number: int, *, days_ago: int, **given: Any) -> dict[str, list[Row]]:
    """A completed payment at the shared address, which records the transfer that came an hour after it was made."""
    made = {"recipient": SHARED, "created_at": NOW_MS - days_ago * DAY_MS - HOUR_MS, "tx_hash": tx_hash(number)}
    return {
        "payments": [deposit_row(number, **{**DONE, **made, **given})],
        "transfers": [came(number, days_ago=days_ago)],
    }


def waiting(number: int, *, days_ago: int = 1) -> dict[str, list[Row]]:
    """An open payment at the shared address that records nothing."""
    return {"payments": [deposit_row(number, recipient=SHARED, created_at=NOW_MS - days_ago * DAY_MS - HOUR_MS)]}


def old_buyer(*rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Six payments of two months at one address, each with its own transfer, and further rows."""
    return together(*(settled(number, days_ago=10 * number) for number in range(2, 8)), *rows)


# One address for years


@pytest.mark.parametrize("engine", ENGINES)
def test_payments_of_an_old_address_stay_in_sync_when_new_money_comes_to_it(engine: str) -> None:
    rows = old_buyer(waiting(1), {"transfers": [came(1, days_ago=1)]})
    assert counts(rows, engine=engine) == {"in_sync": 6, "local_behind": 1}


def test_the_one_that_waits_there_is_credited_only_if_a_person_picks_it() -> None:
    finding, row = described(judgement_of(old_buyer(waiting(1), {"transfers": [came(1, days_ago=1)]})))
    assert finding.tier is Tier.REVIEW and row["others_settled"] == 1
    assert (
        "Each has its own transfer there" in finding.reason and "the hash that this row records" not in finding.reason
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_two_that_wait_there_contend_and_nobody_else(engine: str) -> None:
    rows = old_buyer(waiting(1, days_ago=2), waiting(8, days_ago=2), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows, engine=engine) == {ME: "ambiguous", payment_id(8): "ambiguous"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_nobody_waits_for_is_told_once_of_the_newest_that_was_there(engine: str) -> None:
    rows = old_buyer({"transfers": [came(9, days_ago=15)]})
    assert verdicts(rows, engine=engine) == {payment_id(2): "multiple_transfers"}


def test_a_row_that_records_too_little_still_waits_for_the_rest() -> None:
    short = settled(2, days_ago=3)
    short["transfers"] = [came(2, days_ago=3, units=UNITS // 2)]
    rows = together(short, waiting(1, days_ago=2), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows) == {ME: "ambiguous", OTHER: "ambiguous"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_payment_that_was_given_back_keeps_the_transfer_that_its_provider_names(engine: str) -> None:
    """Its row records the refund's transaction then."""
    refunded = {"status": "refunded", "status_raw": "refunded", "escrow_state": "refunded"}
    given = settled(2, days_ago=20, **refunded, sender=PAYER, **DEAL)
    given["payments"][0] |= {"tx_hash": tx_hash(9), "request_id": None, "external_id": OTHER}
    refund = payment_row(
        9, direction="refund", escrow_state="refunded", recipient=PAYER, reference=None, request_id=None, **DEAL
    )
    moved = plain_transfer_row(9, recipient=PAYER, sender=RECIPIENT, block=HEAD - 4000, block_time=NOW_MS - DAY_MS)
    named = claim_tx_row(2, provider="shkeeper", claim_id=OTHER, external_id=OTHER, request_id=None)
    rows = together(given, settled(3, days_ago=30), waiting(1), {"transfers": [came(1, days_ago=1)]})
    rows = together(rows, {"payments": [refund], "transfers": [moved], "claim_txs": [named]})
    assert verdicts(rows, engine=engine) == {ME: "local_behind"}


# Batches


def batch(*paid: int, owed: tuple[int, ...], **given: Any) -> dict[str, list[Row]]:
    """Payouts to one seller that all record transaction 1, and its logs."""
    done: dict[str, Any] = {"direction": "out", "escrow_state": "released", "recipient": SELLER, "request_id": None}
    rows = [
        payment_row(number, reference=None, tx_hash=tx_hash(1), expected_units=units, **{**done, **given})
        for number, units in enumerate(owed, start=1)
    ]
    logs = [
        plain_transfer_row(1, recipient=SELLER, sender=RECIPIENT, amount_units=units, log_index=index)
        for index, units in enumerate(paid)
    ]
    return {"payments": rows, "transfers": logs}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("paid", [(UNITS, UNITS), (3 * UNITS, UNITS, 2 * UNITS)])
def test_two_logs_of_a_batch_to_one_address_are_two_payouts(paid: tuple[int, ...], engine: str) -> None:
    assert counts(batch(*paid, owed=tuple(sorted(paid))), engine=engine) == {"in_sync": len(paid)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("paid", "owed"),
    [
        ((UNITS,), (UNITS, UNITS)),
        ((UNITS, UNITS // 2), (UNITS, UNITS)),
        ((UNITS, UNITS, UNITS), (UNITS, UNITS)),
    ],
)
def test_a_batch_in_which_not_each_finds_its_own_proves_none(
    paid: tuple[int, ...], owed: tuple[int, ...], engine: str
) -> None:
    assert counts(batch(*paid, owed=owed), engine=engine) == {"duplicate_tx_hash": 2}


def given_back(*units: int, owed: tuple[int, ...]) -> dict[str, list[Row]]:
    """Payment 1, refunded, and refund rows of its deal in one batch."""
    rows = batch(*units, owed=owed, direction="refund", escrow_state="refunded", recipient=PAYER, **DEAL)
    for number, row in enumerate(rows["payments"], start=2):
        row |= {"payment_id": payment_id(number), "external_id": payment_id(number), "tx_hash": tx_hash(9)}
    logs = [
        {**log, "recipient": PAYER, "tx_hash": tx_hash(9), "block": log["block"] + 900} for log in rows["transfers"]
    ]
    said = {"status": "refunded", "status_raw": "refunded", "escrow_state": "refunded"}
    return together(one_payment(1, sender=PAYER, **DEAL, **said), {"payments": rows["payments"], "transfers": logs})


@pytest.mark.parametrize("engine", ENGINES)
def test_two_refunds_of_one_deal_in_one_batch_add_up(engine: str) -> None:
    parts = (UNITS // 5, UNITS - UNITS // 5)
    assert counts(given_back(*parts, owed=parts), engine=engine) == {"in_sync": 3}


@pytest.mark.parametrize("engine", ENGINES)
def test_two_whole_refunds_of_one_deal_in_one_batch_are_one_too_many(engine: str) -> None:
    found = verdicts(given_back(UNITS, UNITS, owed=(UNITS, UNITS)), engine=engine)
    assert found[OTHER] == found[payment_id(3)] == "competing_payment"


# A pay-in whose hash was overwritten by its payout's


def released(**given: Any) -> dict[str, list[Row]]:
    """Payment 1, whose backend wrote the payout's hash over that of the pay-in, and the payout row of its deal."""
    row = {**DONE, "escrow_state": "released", "tx_hash": tx_hash(8), **DEAL}
    nothing = dict.fromkeys(("reference", "reference_topic", "request_id"))
    out = {
        "direction": "out",
        "escrow_state": "released",
        "recipient": SELLER,
        "tx_hash": tx_hash(8),
        **nothing,
        **DEAL,
    }
    moved = plain_transfer_row(8, recipient=SELLER, sender=RECIPIENT, block=HEAD - 4000)
    return together(one_payment(1, **row), {"payments": [payment_row(8, **{**out, **given})], "transfers": [moved]})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pay_in_that_records_the_payout_of_its_deal_shares_it_with_nobody(engine: str) -> None:
    judged = judgement_of(released(), engine=engine)
    assert counts(released(), engine=engine) == {"in_sync": 1, "tx_hash_mismatch": 1}
    finding, _ = described(judged)
    assert finding.tier is Tier.REVIEW and "is the payout of this deal" in finding.reason


def test_the_payout_of_another_deal_is_shared_all_the_same() -> None:
    found = verdicts(released(order_id="another-order"))
    assert found == {ME: "duplicate_tx_hash", payment_id(8): "duplicate_tx_hash"}


# Hashes that are none


@pytest.mark.parametrize("engine", ENGINES)
def test_zeros_in_place_of_a_hash_are_no_claim_to_a_transfer(engine: str) -> None:
    zeros = "0x" + "0" * 64
    rows = together(
        *(
            {"payments": [deposit_row(number, tx_hash=zeros)], "transfers": [plain_transfer_row(number)]}
            for number in (1, 2)
        )
    )
    assert verdicts(rows, engine=engine) == {ME: "local_behind", OTHER: "local_behind"}


# Refunds of nobody's order


def loose_refund(units: int, **given: Any) -> dict[str, list[Row]]:
    """A completed refund row that names neither buyer nor order nor offer, to the address that paid."""
    nothing = dict.fromkeys(DEAL)
    row = payment_row(
        2, direction="refund", escrow_state="refunded", recipient=PAYER, expected_units=units, reference=None,
        request_id=None, tx_hash=tx_hash(9), **{**nothing, **given},
    )  # fmt: skip
    moved = plain_transfer_row(9, recipient=PAYER, sender="0x" + "77" * 20, amount_units=units)
    return {"payments": [row], "transfers": [{**moved, "block": moved["block"] + 900}]}


def paid_deposit(**given: Any) -> dict[str, list[Row]]:
    return {"payments": [deposit_row(1, **given)], "transfers": [plain_transfer_row(1)]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("given", [{}, {**DONE, "escrow_state": None, "tx_hash": tx_hash(1)}])
def test_money_that_a_refund_of_no_order_sent_to_the_payer_is_not_credited_unseen(
    given: dict[str, Any], engine: str
) -> None:
    judged = judgement_of(together(paid_deposit(**given), loose_refund(UNITS)), engine=engine)
    finding, row = described(judged)
    assert finding.tier is Tier.REVIEW
    assert f"12.5 USDC went to {PAYER}, the address that paid, in {tx_hash(9)}" in finding.reason
    assert change_for(finding, row, document=payment_document(1), policy=Policy()) is None


@pytest.mark.parametrize("given", [{"order_id": "o-9"}, {"offer_id": "f-9"}])
def test_a_refund_of_another_order_takes_nothing_from_this_one(given: dict[str, Any]) -> None:
    assert verdicts(together(paid_deposit(), loose_refund(UNITS, **given)))[ME] == "local_behind"


# Payouts of which a provider alone speaks


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"tx_hash": None}, "neither it nor the row names a transaction"),
        ({"tx_hash": tx_hash(9)}, "the transactions that it and the row name show no transfer of it"),
    ],
)
def test_a_payout_that_no_named_transaction_shows_is_not_said_to_be_absent(named: dict[str, Any], said: str) -> None:
    """It is found by hash only, so that no log was found says little."""
    sent = {"direction": "out", "escrow_state": "released", "recipient": SELLER, "request_id": None, "reference": None}
    shkeeper = {"provider": "shkeeper", "provider_raw": "shkeeper", "external_id": ME, "confirmations": None}
    row = payment_row(1, **sent, **shkeeper, **named)
    claim = claim_row(
        1, provider="shkeeper", object="payout", claim_id=ME, external_id=ME, request_id=None, reference=None,
        reference_topic=None, tx_hashes=None,
    )  # fmt: skip
    hashes = [transaction_row(9, outcome="success")]
    finding, _ = described(judgement_of({"payments": [row], "claims": [claim], "transactions": hashes}))
    assert finding.verdict is Verdict.PROVIDER_AHEAD
    assert said in finding.reason and "before anything is sent again" in finding.reason
    assert "the chain shows no money" not in finding.reason


# A row that ended long before


def ended(number: int, *, days_ago: int, status: str = "failed", **given: Any) -> dict[str, list[Row]]:
    """A payment at the shared address that was never paid: it expired an hour after it was made."""
    made = NOW_MS - days_ago * DAY_MS
    word = {"status": status, "status_raw": status, "escrow_state": None}
    row = {"recipient": SHARED, "created_at": made, "expires_at": made + HOUR_MS, **word, **given}
    asked: dict[str, Any] = {"claim_id": payment_id(number), "external_id": payment_id(number), "object": "invoice"}
    nothing = dict.fromkeys(("request_id", "reference", "reference_topic", "paid_units", "tx_hashes"))
    claim = claim_row(number, provider="shkeeper", state="unpaid", state_raw="UNPAID", **asked, **nothing)
    return {"payments": [deposit_row(number, **row)], "claims": [claim]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", ["failed", "cancelled", "pending"])
def test_a_row_that_ended_long_before_the_money_does_not_contend_for_it(status: str, engine: str) -> None:
    rows = together(ended(2, days_ago=100, status=status), waiting(1), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows, engine=engine) == {ME: "local_behind"}
    finding, row = described(judgement_of(rows, engine=engine))
    assert finding.tier is Tier.REVIEW and row["others_settled"] == 2, "a person picks it: the age alone says so"
    assert "expired more than a month before this money came" in finding.reason


@pytest.mark.parametrize(
    "rows",
    [
        together(ended(2, days_ago=20), waiting(1)),
        together(ended(2, days_ago=100, expires_at=NOW_MS - 20 * DAY_MS), waiting(1)),
        together(ended(2, days_ago=50, expires_at=None), waiting(1)),
        together(ended(2, days_ago=100, **DONE), waiting(1)),
    ],
    ids=["a month is not over", "it expired lately", "it never expires", "it says that it was paid"],
)
def test_a_row_that_may_still_be_paid_contends(rows: dict[str, list[Row]]) -> None:
    told = verdicts(together(rows, {"transfers": [came(1, days_ago=1)]}))
    assert told == {ME: "ambiguous", OTHER: "ambiguous"}


@pytest.mark.parametrize("units", [UNITS // 2, UNITS * 2])
def test_money_that_is_not_just_what_the_new_one_asks_stays_open(units: int) -> None:
    rows = together(ended(2, days_ago=100), waiting(1), {"transfers": [came(1, days_ago=1, units=units)]})
    assert verdicts(rows) == {ME: "ambiguous", OTHER: "ambiguous"}


def test_without_a_newer_one_the_money_is_told_of_the_row_that_ended() -> None:
    rows = together(ended(2, days_ago=100), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows) == {OTHER: "late_payment"}


def test_two_that_wait_contend_and_the_one_that_ended_does_not() -> None:
    rows = together(ended(2, days_ago=100), waiting(1), waiting(8), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows) == {ME: "ambiguous", payment_id(8): "ambiguous"}


def test_a_row_that_ended_keeps_the_transfer_that_it_records() -> None:
    rows = together(ended(2, days_ago=100, tx_hash=tx_hash(1)), waiting(1), {"transfers": [came(1, days_ago=1)]})
    assert verdicts(rows)[OTHER] != "in_sync" and verdicts(rows).get(ME) != "local_behind"
