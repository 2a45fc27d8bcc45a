"""Exact money: integer base units of a named asset, and the only ways in and out of text.

No float ever enters arithmetic. A stored double becomes an amount through its shortest decimal text, because
that text is what the writer meant: ``0.1`` is one tenth and not ``0.1000000000000000055``. A double that was computed
is right within 2 units in its last place, and :func:`meant_text` gives the shorter text within that tolerance.

>>> Money.parse("12.5", Asset("USDC", decimals=6)).units
12500000
>>> decimal_text(0.1)
'0.1'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import ulp
from typing import Final

from recon.core.errors import MoneyError

UNITS_DIGITS_MAX = 37
"""Most digits an amount may have in a frame: ``Decimal(38, 0)`` less one, so that a sum of a few still fits."""

UNITS_MAX = 10**UNITS_DIGITS_MAX - 1

_EXACT: Final = Context(prec=200)
"""Holds every sum of amounts whole; the default context would round to 28 digits."""

_NOISE: Final = Decimal("0.001")
"""Parts of a base unit below which what a double adds to a whole number of them was never meant."""

_PLAIN = re.compile(r"-?[0-9]{1,78}(\.[0-9]{1,78})?\Z")


@dataclass(frozen=True, slots=True)
class Asset:
    """A token on one chain as far as arithmetic cares: its symbol and how many decimals it has."""

    symbol: str
    decimals: int

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= 77:
            raise MoneyError(f"{self.symbol}: {self.decimals} decimals; an asset has 0 to 77.")


@dataclass(frozen=True, slots=True)
class Money:
    """An exact, signed amount. Negative means short of something."""

    units: int
    asset: Asset

    @classmethod
    def parse(cls, text: str, asset: Asset) -> Money:
        """Read a plain decimal amount in whole assets without losing a digit.

        Raises:
            MoneyError: The text is not plain decimal notation, or is finer than the asset's smallest
                unit. Nothing is ever rounded here.
        """
        return cls(parse_units(text, decimals=asset.decimals), asset)

    def __str__(self) -> str:
        return f"{format_units(self.units, decimals=self.asset.decimals)} {self.asset.symbol}"


def decimal_text(number: int | float | Decimal) -> str:
    """Give the shortest plain decimal text that reads back as the same number.

    Raises:
        MoneyError: The number is not finite, or has more than 78 digits on either side of the point.
    """
    if isinstance(number, bool):
        raise MoneyError(f"{number} is a truth value, not an amount.")
    value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not value.is_finite():
        raise MoneyError(f"{number} is not a finite number.")
    if value.adjusted() > 77 or ((exponent := value.as_tuple().exponent) and int(exponent) < -400):
        raise MoneyError(f"{number} has more digits than any token amount.")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def meant_text(number: float) -> str:
    """Give the decimal text that a stored double stands for: right within 2 units in its last place.

    What is added or multiplied as doubles is off in its last digits. Fifteen digits are all that a double keeps for
    certain, so where they are within that tolerance and spare at least two digits, they are what was meant.

    >>> meant_text(0.1 + 0.2), meant_text(1234567.8900000001), meant_text(100 / 3), meant_text(9007199254.740993)
    ('0.3', '1234567.89', '33.333333333333336', '9007199254.740993')

    Raises:
        MoneyError: As :func:`decimal_text`.
    """
    stored = decimal_text(number)
    if "." not in stored:
        return stored
    short = decimal_text(Decimal(f"{number:.15g}"))
    is_near = abs(Fraction(short) - Fraction(number)) <= 2 * Fraction(ulp(number))
    return short if is_near and len(short) <= len(stored) - 2 else stored


def slack_units(number: float, *, decimals: int) -> int:
    """Whole base units within 2 units in the last place of a double: what no one can tell from it.

    >>> slack_units(0.3, decimals=6), slack_units(0.3, decimals=18)
    (0, 111)
    """
    return int(2 * Fraction(ulp(number)) * 10**decimals)


def nearest_units(text: str, *, decimals: int) -> int | None:
    """Base units of plain decimal text that is off a whole number of them by less than a thousandth; else None.

    >>> nearest_units("20.999999999999964", decimals=6), nearest_units("57.0000001", decimals=6)
    (21000000, None)
    """
    scaled = Decimal(text).scaleb(decimals, _EXACT)
    units = int(scaled.to_integral_value(context=_EXACT))
    return units if units and abs(_EXACT.subtract(scaled, Decimal(units))) < _NOISE else None


def parse_units(text: str, *, decimals: int) -> int:
    """Read plain decimal text in whole assets as base units.

    >>> parse_units("0.01", decimals=18)
    10000000000000000

    Raises:
        MoneyError: Not plain decimal notation, or finer than one base unit.
    """
    if not isinstance(text, str) or not _PLAIN.match(text):
        raise MoneyError(f"{text!r} is not a plain decimal amount.")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise MoneyError(f"{text!r} is finer than the {decimals} decimals of its asset.")
    units = int(whole.lstrip("-") + fraction.ljust(decimals, "0"))
    return -units if text.startswith("-") else units


def format_units(units: int, *, decimals: int) -> str:
    """Write base units as plain decimal text in whole assets, without a trailing zero.

    >>> format_units(-12500000, decimals=6)
    '-12.5'
    """
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def whole_tokens(units: int, *, decimals: int | None) -> Decimal:
    """The amount in whole tokens, exact, to compare and add what different chains count differently."""
    return Decimal(units).scaleb(-(decimals or 0), _EXACT)


def sum_by_name(amounts: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    """Amounts summed by name, exact, in the order of the names; sums of zero are left out.

    >>> sum_by_name([("USDT", Decimal("1")), ("USDC", Decimal("2.5")), ("USDC", Decimal("0.000000000000000001"))])
    [('USDC', Decimal('2.500000000000000001')), ('USDT', Decimal('1'))]
    """
    sums: dict[str, Decimal] = {}
    for name, amount in amounts:
        sums[name] = _EXACT.add(sums.get(name, Decimal(0)), amount)
    return [(name, amount) for name, amount in sorted(sums.items()) if amount]


def decimal_amount(value: Decimal, *, grouped: bool = False) -> str:
    """Plain notation without a trailing zero; ``grouped`` sets thousands apart by commas."""
    text = format(value, ",f" if grouped else "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
