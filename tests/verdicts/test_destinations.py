"""Money that went out: to whom it went must fit its direction, and what no row names is told."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Tier
from tests.support.builders import (
    PAYER,
    RECIPIENT,
    UNITS,
    Row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_deals import DEAL, SELLER, back_row, described, out_row

IT = payment_id(2)
STRANGER = "0x" + "0e" * 20
ENGINES = ["duckdb", "polars", "pandas"]


def to(address: str, row: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The same row with its money, to another address."""
    moved = [{**each, "recipient": address} for each in row["transfers"]]
    return {**row, "payments": [{**row["payments"][0], "recipient": address}], "transfers": moved}


def paid_from(sender: str) -> dict[str, list[Row]]:
    """The token's own log of the money that came for payment 1."""
    return {"transfers": [plain_transfer_row(1, recipient=RECIPIENT, sender=sender, log_index=1)]}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_payout_to_the_address_that_paid_for_its_deal_is_told(engine: str) -> None:
    rows = together(one_payment(1, sender=PAYER, escrow_state="released"), to(PAYER, out_row(2)))
    assert verdicts(rows, engine=engine) == {IT: "recipient_mismatch"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refund_to_another_than_the_buyer_is_told(engine: str) -> None:
    paid = one_payment(1, sender=PAYER, status="refunded", status_raw="refunded", escrow_state="refunded")
    assert verdicts(together(paid, to(STRANGER, back_row(2, UNITS))), engine=engine)[IT] == "recipient_mismatch"
    assert IT not in verdicts(together(paid, back_row(2, UNITS)), engine=engine)


@pytest.mark.parametrize("sent", [to(PAYER, out_row(2)), to(STRANGER, back_row(2, UNITS))])
def test_who_paid_is_read_off_the_tokens_own_log_too(sent: dict[str, list[Row]]) -> None:
    assert verdicts(together(one_payment(1), paid_from(PAYER), sent))[IT] == "recipient_mismatch"


@pytest.mark.parametrize("escrow", ["releasing", "released", None, "funded"])
@pytest.mark.parametrize("status", ["completed", "processing", "failed", "confirmed"])
def test_nothing_is_written_to_a_payout_that_went_to_the_buyer(status: str, escrow: str | None) -> None:
    sent = to(PAYER, out_row(2, status=status, status_raw=status, escrow_state=escrow, tx_hash=None, confirmations=1))
    named = {"claims": [], "payments": [], "transfers": []}
    sent["payments"][0]["tx_hash"] = payment_row(2)["tx_hash"]
    finding, _ = described(judgement_of(together(one_payment(1, sender=PAYER), sent, named)), IT)
    assert (finding.verdict, finding.tier) == ("recipient_mismatch", Tier.REVIEW)
    assert f"The seller's money went to {PAYER}, the address from which this deal was paid." in finding.reason


def test_the_sentence_of_a_refund_names_both_addresses() -> None:
    rows = together(one_payment(1, sender=PAYER), to(STRANGER, back_row(2, UNITS)))
    finding, _ = described(judgement_of(rows), IT)
    assert f"The refund went to {STRANGER}, and this deal was paid from {PAYER}." in finding.reason
    assert finding.value_units == UNITS


def test_where_nobody_knows_who_paid_nothing_is_said() -> None:
    assert counts(together(one_payment(1, escrow_state="released"), out_row(2))) == {"in_sync": 2}
    assert IT not in verdicts(together(one_payment(1), to(STRANGER, back_row(2, UNITS))))


@pytest.mark.parametrize(("sender", "told"), [(None, False), (PAYER, True)])
def test_who_paid_a_deposit_address_may_be_an_exchange(sender: str | None, told: bool) -> None:
    gateway = {
        "provider": "shkeeper", "request_id": None, "reference": None, "reference_topic": None, "is_deposit": True,
        "external_id": "ord-1", "recipient": deposit_address(1), "sender": sender,
    }  # fmt: skip
    came = {"payments": [payment_row(1, **DEAL, **gateway)], "transfers": [plain_transfer_row(1, sender=PAYER)]}
    refund = together(came, to(STRANGER, back_row(2, UNITS)))
    assert (verdicts(refund).get(IT) == "recipient_mismatch") is told
    assert verdicts(together(came, to(PAYER, out_row(2))))[IT] == "recipient_mismatch", "a seller is no exchange"


def test_of_several_buyers_each_may_get_it_back() -> None:
    first = one_payment(1, sender=PAYER, expected_units=UNITS)
    second = one_payment(3, **DEAL, sender=STRANGER, status="failed", status_raw="failed")
    rows = together(first, {"payments": second["payments"]}, to(STRANGER, back_row(2, UNITS)))
    assert IT not in verdicts(rows)


# A row that names no destination


def bare(**given: Any) -> Row:
    """A payout without an address, done."""
    done = {"direction": "out", "escrow_state": "released", "request_id": None, "recipient": None}
    return payment_row(2, **{**done, **given})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("escrow", ["releasing", "released"])
def test_money_by_the_reference_of_a_payout_without_an_address_is_told(escrow: str, engine: str) -> None:
    rows = {"payments": [bare(escrow_state=escrow, tx_hash=None)], "transfers": [transfer_row(2, recipient=SELLER)]}
    assert verdicts(rows, engine=engine) == {IT: "recipient_mismatch"}


def test_its_sentence_says_that_the_row_names_no_address() -> None:
    rows = {"payments": [bare(tx_hash=None)], "transfers": [transfer_row(2, recipient=SELLER)]}
    finding, _ = described(judgement_of(rows), IT)
    assert finding.reason.startswith(f"The money went to {SELLER}, and the row names no address.")
