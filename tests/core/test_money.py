"""Exact money: what goes in comes out, and what is not exact is refused."""

from __future__ import annotations

import sys
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.core.errors import MoneyError
from recon.core.money import UNITS_DIGITS_MAX, UNITS_MAX, Asset, Money, decimal_text, format_units, parse_units

USDC_BSC = Asset("USDC", decimals=18)
USDC = Asset("USDC", decimals=6)

decimals = st.integers(0, 77)
units = st.integers(-(2**256), 2**256)


@given(units, decimals)
def test_money_text_round_trips(value: int, places: int) -> None:
    assert parse_units(format_units(value, decimals=places), decimals=places) == value


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e70, max_value=1e70))
def test_a_double_becomes_the_text_that_reads_back_as_the_same_double(value: float) -> None:
    text = decimal_text(value)
    assert float(text) == value
    assert "e" not in text.lower()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=18))
def test_a_decimal_keeps_every_digit(value: Decimal) -> None:
    assert Decimal(decimal_text(value)) == value


@given(st.integers(-(10**77), 10**77))
def test_an_integer_is_its_own_text(value: int) -> None:
    assert decimal_text(value) == str(value)


@given(units, st.integers(0, 30))
def test_formatting_never_uses_a_float_or_a_context(value: int, places: int) -> None:
    with localcontext() as context:
        context.prec = 3
        exact = format_units(value, decimals=places)
    assert exact == format_units(value, decimals=places)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (0.1, "0.1"),
        (12.5, "12.5"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (5e-18, "0.000000000000000005"),
        (-0.0, "0"),
        (100.0, "100"),
        (19.99, "19.99"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("12.50"), "12.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00"), "0"),
        (0, "0"),
        (sys.maxsize, str(sys.maxsize)),
    ],
)
def test_decimal_text_is_plain_and_shortest(stored: float | Decimal, text: str) -> None:
    assert decimal_text(stored) == text


@pytest.mark.parametrize(
    "stored", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), True]
)
def test_what_is_no_number_is_no_amount(stored: float | Decimal) -> None:
    with pytest.raises(MoneyError):
        decimal_text(stored)


@pytest.mark.parametrize("stored", [1e300, 10**78, Decimal("1E+6000"), Decimal("1E-6000")])
def test_a_number_beyond_any_token_is_refused_without_writing_it_out(stored: float | Decimal) -> None:
    with pytest.raises(MoneyError):
        decimal_text(stored)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1,000", "1_000", "1e3", "0x10", "+1", ".5", "5.", "1.2.3", "NaN", "Infinity", "--1", "1 ", " 1",
        "1\n",        "\u0661", "\uff11", "1\u00a0000", "$5", "1" * 79, "0." + "0" * 79,
    ],
)  # fmt: skip
def test_only_plain_decimal_text_is_an_amount(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_units(text, decimals=18)


@given(st.text(max_size=100))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        value = parse_units(text, decimals=18)
    except MoneyError:
        return
    assert parse_units(format_units(value, decimals=18), decimals=18) == value


@pytest.mark.parametrize("thing", [None, 5, 5.0, b"5", ["5"]])
def test_an_amount_is_text(thing: object) -> None:
    with pytest.raises(MoneyError):
        parse_units(thing, decimals=6)  # type: ignore[arg-type]


def test_finer_than_the_smallest_unit_is_refused_and_trailing_zeros_are_not() -> None:
    assert parse_units("0.0000010", decimals=6) == 1
    with pytest.raises(MoneyError, match="finer than the 6 decimals"):
        parse_units("0.0000001", decimals=6)
    with pytest.raises(MoneyError, match="finer"):
        parse_units("0.1", decimals=0)


def test_the_same_text_is_more_units_where_the_token_has_more_decimals() -> None:
    assert Money.parse("12.5", USDC).units == 12_500_000
    assert Money.parse("12.5", USDC_BSC).units == 12_500_000_000_000_000_000


def test_differences_keep_their_sign() -> None:
    assert str(Money(-12_500_000, USDC)) == "-12.5 USDC"
    assert str(Money(-1, USDC)) == "-0.000001 USDC"
    assert parse_units("-0.000001", decimals=6) == -1


def test_money_compares_by_units_and_asset() -> None:
    assert Money(1, USDC) == Money(1, Asset("USDC", 6))
    assert Money(1, USDC) != Money(1, USDC_BSC)


@pytest.mark.parametrize("places", [-1, 78, 255])
def test_an_asset_has_a_believable_number_of_decimals(places: int) -> None:
    with pytest.raises(MoneyError, match="decimals"):
        Asset("ODD", decimals=places)


def test_an_amount_fits_a_frame_with_room_for_a_sum() -> None:
    assert len(str(UNITS_MAX)) == UNITS_DIGITS_MAX == 37
    assert 9 * UNITS_MAX < 10**38
