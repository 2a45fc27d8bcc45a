"""Money for a payment by reference that came to its address as a plain transfer, past the proxy."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from tests.support.builders import (
    HOUR_MS,
    NOW_MS,
    UNITS,
    Row,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import leads_of, together, verdicts

ME = payment_id(1)
CREATED = NOW_MS - 2 * HOUR_MS
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
        together(plain(amount_units=UNITS - 1), unpaid(2)),
    ],
)
def test_what_is_no_money_or_may_be_for_another_is_not(other: dict[str, list[Row]]) -> None:
    assert judged_as(unpaid(), other) != "reference_mismatch"


OTHER_SUM = plain(amount_units=UNITS - 1)
NAMED = unpaid(2, status="failed", tx_hash=tx_hash(7), recipient="0x" + "0e" * 20)
EARLY = plain(block_time=CREATED - Policy().clock_skew_ms - 1)
LATE = plain(block_time=CREATED + Policy().abandoned_after_ms + 1)


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_the_very_sum_at_the_address_of_the_shop_is_told_of_the_payment_that_waits_for_it(engine: str) -> None:
    policy = Policy(merchant_recipients=(OWN,))
    assert verdicts(together(unpaid(), plain()), policy=policy, engine=engine).get(ME) == "reference_mismatch"


@pytest.mark.parametrize("other", [OTHER_SUM, EARLY, LATE, together(plain(), NAMED), plain(token="0x" + "0f" * 20)])
def test_another_sum_time_or_token_and_what_a_row_names_is_told_of_no_payment(other: dict[str, list[Row]]) -> None:
    policy = Policy(merchant_recipients=(OWN,))
    assert verdicts(together(unpaid(), other), policy=policy).get(ME) != "reference_mismatch"


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_the_sum_that_two_payments_wait_for_is_told_of_both(engine: str) -> None:
    told = verdicts(together(unpaid(), unpaid(2), plain()), engine=engine)
    assert [told.get(payment_id(number)) for number in (1, 2)] == ["reference_mismatch"] * 2


def test_a_payment_that_was_paid_by_its_reference_is_not_accused() -> None:
    paid = one_payment(recipient=OWN)
    came = {**paid, "transfers": [transfer_row(1, recipient=OWN)]}
    assert judged_as(came, plain()) == "silent"
    assert judged_as({**came, **unpaid(status="pending")}, {"transfers": came["transfers"]}, plain()) == "local_behind"


def test_money_that_no_payment_waits_for_is_nobodys_that_is_known() -> None:
    assert leads_of(together(unpaid(), unpaid(2), OTHER_SUM)).orphan_transfers.num_rows == 1
    assert leads_of(together(unpaid(), unpaid(2), plain())).orphan_transfers.num_rows == 0
    assert leads_of(together(unpaid(), plain())).orphan_transfers.num_rows == 0
