"""Money for a payment by reference that came to its address as a plain transfer, past the proxy."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from tests.support.builders import Row, one_payment, payment_id, payment_row, plain_transfer_row, transfer_row
from tests.support.judging import leads_of, together, verdicts

ME = payment_id(1)
OWN = "0x" + "0d" * 20
"""An address that one payment has."""


def unpaid(number: int = 1, **given: Any) -> dict[str, list[Row]]:
    """An open payment by reference, long past its expiry, with an address of its own."""
    open_row = {"status": "pending", "status_raw": "pending", "escrow_state": None, "tx_hash": None, "recipient": OWN}
    return {"payments": [payment_row(number, **{**open_row, "confirmations": None, **given})]}


def plain(number: int = 7, **given: Any) -> dict[str, list[Row]]:
    return {"transfers": [plain_transfer_row(number, **{"recipient": OWN, **given})]}


def judged_as(*parts: dict[str, list[Row]], engine: str = "polars") -> str:
    return verdicts(together(*parts), engine=engine).get(ME, "silent")


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
@pytest.mark.parametrize("status", ["pending", "processing", "failed", "cancelled"])
def test_money_at_the_address_of_one_payment_is_told_of_it(status: str, engine: str) -> None:
    assert judged_as(unpaid(status=status, status_raw=status), plain(), engine=engine) == "reference_mismatch"


@pytest.mark.parametrize(
    "other",
    [
        plain(amount_units=0),
        plain(recipient="0x" + "0e" * 20),
        plain(token_known=False),
        together(plain(), unpaid(2)),
    ],
)
def test_what_is_no_money_or_may_be_for_another_is_not(other: dict[str, list[Row]]) -> None:
    assert judged_as(unpaid(), other) != "reference_mismatch"


def test_the_address_of_the_shop_leads_to_no_payment() -> None:
    policy = Policy(merchant_recipients=(OWN,))
    assert verdicts(together(unpaid(), plain()), policy=policy).get(ME) != "reference_mismatch"


def test_a_payment_that_was_paid_by_its_reference_is_not_accused() -> None:
    paid = one_payment(recipient=OWN)
    came = {**paid, "transfers": [transfer_row(1, recipient=OWN)]}
    assert judged_as(came, plain()) == "silent"
    assert judged_as({**came, **unpaid(status="pending")}, {"transfers": came["transfers"]}, plain()) == "local_behind"


def test_money_at_an_address_that_two_payments_have_is_nobodys_that_is_known() -> None:
    assert leads_of(together(unpaid(), unpaid(2), plain())).orphan_transfers.num_rows == 1
    assert leads_of(together(unpaid(), plain())).orphan_transfers.num_rows == 0
