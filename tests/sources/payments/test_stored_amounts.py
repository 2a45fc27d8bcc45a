"""A double is right within 2 units in its last place, and what no token can pay stays a problem."""

from __future__ import annotations

from fractions import Fraction
from math import ulp
from typing import Any

import pytest
from bson import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from recon.core.money import meant_text, nearest_units, slack_units
from recon.sources.payments.stored_amounts import between_units, exact_amount
from tests.support.payment_documents import row_of


@pytest.mark.parametrize(
    ("stored", "units"),
    [
        (0.1 + 0.2, 300_000), (1234567.8900000001, 1_234_567_890_000), (19.989999999999998, 19_990_000),
        (sum([0.1] * 300), 30_000_000), (8.94 * 3, 26_820_000), (12.5, 12_500_000),
    ],
)  # fmt: skip
def test_noise_of_a_double_is_the_amount_that_was_meant(stored: float, units: int) -> None:
    assert exact_amount(stored, decimals=6)[1:] == (None, (units, units, units + 1))


def test_a_double_that_holds_all_its_digits_keeps_them() -> None:
    assert (exact_amount(9007199254.740993, decimals=6)[2] or (0,))[0] == 9_007_199_254_740_993


@pytest.mark.parametrize("stored", [100 / 3, 57.0000001, 5e-324, "0.30000000000000004", Decimal128("33.3333333")])
def test_what_is_no_whole_number_of_units_stays_a_problem(stored: Any) -> None:
    assert exact_amount(stored, decimals=6)[1:] == ("amount_too_fine", None)


@pytest.mark.parametrize("network", ["bsc", "base"])
def test_a_few_wei_are_neither_too_little_nor_too_much(network: str) -> None:
    row = row_of(amount__amount=0.1 + 0.2, amount__currency="USDC", blockchain={"network": network})
    whole = 3 * 10 ** (17 if network == "bsc" else 5)
    slack = 111 if network == "bsc" else 0
    assert (row["expected_units"], row["covered_from_units"], row["overpaid_from_units"]) == (
        whole, whole - slack, whole + slack + 1,
    )  # fmt: skip
    assert (row["amount_text"], row["problem"]) == ("0.3", None)


def test_text_and_decimals_are_exactly_what_they_say() -> None:
    for stored in ("0.3", Decimal128("0.3"), 3):
        units, covered, overpaid = exact_amount(stored, decimals=18)[2] or (0, 0, 0)
        assert (covered, overpaid) == (units, units + 1)


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_what_was_meant_is_within_two_units_in_the_last_place(number: float) -> None:
    assert abs(Fraction(meant_text(number)) - Fraction(number)) <= 2 * Fraction(ulp(number))


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 6))
def test_the_sum_of_two_amounts_means_their_exact_sum(one: int, other: int, places: int) -> None:
    exact = Fraction(one + other, 10**places)
    units = exact_amount(one / 10**places + other / 10**places, decimals=6)[2]
    assert units is not None
    assert abs(units[0] - exact * 10**6) <= slack_units(float(exact), decimals=6) + (exact * 10**6 > 10**15)


def test_the_units_beside_an_amount() -> None:
    assert between_units("33.333333333333336", decimals=6) == (33333333, 33333334)
    assert nearest_units("0.0000000000001", decimals=6) is None
