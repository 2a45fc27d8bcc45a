"""One stored amount as exact base units: what its value says, what covers it, and what is too much.

Text and decimals say exactly what they say. A double that was added or multiplied is right within 2 units in its
last place: the text that it stands for (:func:`recon.core.money.meant_text`) is what is owed, and nothing within
that tolerance of it is too little or too much. Where a double is off a whole number of base units by less than a
thousandth, that number was meant. What is finer still is a problem of the row.

>>> exact_amount(0.1 + 0.2, decimals=6)[::2], exact_amount(100 / 3, decimals=6)[:2]
(('0.3', (300000, 300000, 300001)), ('33.333333333333336', 'amount_too_fine'))
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from recon.core.errors import MoneyError
from recon.core.money import UNITS_MAX, decimal_text, meant_text, nearest_units, parse_units, slack_units

Units = tuple[int, int, int]
"""What is expected, the least sum that covers it, and the least that is too much, in base units."""

_PPM: Final = 1_000_000


def amount_words(value: object) -> tuple[str | None, str | None]:
    """The decimal text of a stored amount, and the problem code when it has none."""
    if value is None:
        return None, "amount_missing"
    number: object = value
    if type(value).__name__ == "Decimal128":
        number = value.to_decimal()  # type: ignore[attr-defined]
    try:
        if type(number) is str:
            stripped = number.strip()
            parse_units(stripped, decimals=78)
            number = Decimal(stripped)
        if isinstance(number, float):
            return meant_text(number), None
        if isinstance(number, int | Decimal):
            return decimal_text(int(number) if type(number).__name__ == "Int64" else number), None
    except MoneyError as error:
        large = "more digits" in str(error)
        return None, "amount_too_large" if large else "amount_unreadable"
    return None, "amount_unreadable"


def bounds(units: int, tolerance: tuple[int, int], *, slack: int = 0) -> tuple[int, int]:
    """The least sum that covers an amount and the least that is too much, by parts per million below and above.

    >>> bounds(1000, (50_000, 50_000))
    (950, 1050)
    >>> bounds(1000, (0, 0)), bounds(1000, (0, 0), slack=7)
    ((1000, 1001), (993, 1008))

    Args:
        slack: Base units by which the amount itself may be off, because it was stored as a double.
    """
    below, above = tolerance
    covered = -(-units * (_PPM - below) // _PPM)
    overpaid = units + 1 if above == 0 else -(-units * (_PPM + above) // _PPM)
    return max(1, min(covered, units - slack)), max(overpaid, units + slack + 1)


def exact_amount(
    value: object, *, decimals: int | None, tolerance: tuple[int, int] = (0, 0)
) -> tuple[str | None, str | None, Units | None]:
    """The text of a stored amount, the problem code if any, and its units where the token is known.

    Args:
        decimals: Of the token; None where it is unknown.
        tolerance: Parts per million below and above the amount that its provider accepts.
    """
    text, problem = amount_words(value)
    if text is None:
        return None, problem, None
    if text == "0" or text.startswith("-"):
        return text, "amount_not_positive", None
    if decimals is None:
        return text, None, None
    double = value if isinstance(value, float) else None
    units, problem = _units_of(text, decimals, may_be_off=double is not None)
    if units is None:
        return text, problem, None
    slack = slack_units(double, decimals=decimals) if double is not None else 0
    return text, None, (units, *bounds(units, tolerance, slack=slack))


def _units_of(text: str, decimals: int, *, may_be_off: bool) -> tuple[int | None, str | None]:
    """Base units of a plain decimal amount, or the problem code that says why there are none."""
    try:
        units: int | None = parse_units(text, decimals=decimals)
    except MoneyError:
        units = nearest_units(text, decimals=decimals) if may_be_off else None
    if units is None:
        return None, "amount_too_fine"
    return (None, "amount_too_large") if units > UNITS_MAX else (units, None)


def between_units(text: str, *, decimals: int) -> tuple[int, int]:
    """The whole numbers of base units below and above an amount that is none.

    >>> between_units("33.333333333333336", decimals=6)
    (33333333, 33333334)
    """
    whole, _, fraction = text.partition(".")
    below = int(whole + fraction[:decimals].ljust(decimals, "0"))
    return below, below + 1
