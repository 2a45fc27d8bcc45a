"""What a spreadsheet makes of cells without anyone changing them, and the dates that people write in them.

A number loses digits past the fifteenth and its last zeros, or is shown with a power of ten; a text that looks like a
date becomes one; the quote before a text that is no formula goes. A cell that went through that is not changed.

>>> [is_same_cell("8453.0", "8453"), is_same_cell("1.23457E+11", "123456789012"), is_same_cell("13", "12.5")]
[True, True, False]
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

from recon.core.times import parse_iso

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)*|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,4})?\Z")
_NUMBER_MAX: Final = 200
_SURE_DIGITS: Final = 15
_ROUNDED_MIN: Final = 9
"""From so many digits on a cell may be its number rounded, as a narrow column shows it."""
_POWER_MIN: Final = 3
_AGE: Final = re.compile(r"([0-9]{1,6})(min|h|d)\Z")
_AGE_UNITS: Final = {"min": "minutes", "h": "hours", "d": "days"}
_DOTTED: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: +([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?\Z")
_SLASHED: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?: +([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?\Z")
_YEAR_FIRST: Final = re.compile(
    r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[ T]+([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?\Z"
)


def is_same_cell(found: str, wanted: str) -> bool:
    """Whether a cell holds what was written into it, as far as a spreadsheet leaves it."""
    one, other = _bare(found), _bare(wanted)
    if one == other:
        return True
    if one.casefold() == other.casefold():
        return other.casefold() in ("true", "false")
    return _is_same_number(one, other) or _is_same_day(one, other)


def _bare(text: str) -> str:
    text = " ".join(text.split())
    return text[1:].lstrip() if text.startswith("'") else text


def _is_same_number(found: str, wanted: str) -> bool:
    values = _numbers(wanted)
    if len(values) != 1 and "," in wanted:
        return False
    return any(_is_near(one, value, is_power="e" in found.lower()) for one in _numbers(found) for value in values)


def _numbers(text: str) -> list[Decimal]:
    """The numbers that a text may stand for: a comma sets apart decimals, or thousands."""
    if len(text) > _NUMBER_MAX or not _NUMBER.match(text):
        return []
    spelled = {text} if "," not in text else {text.replace(",", ""), text.replace(".", "").replace(",", ".")}
    found = []
    for each in sorted(spelled):
        try:
            found.append(Decimal(each))
        except InvalidOperation:
            continue
    return found


def _is_near(found: Decimal, wanted: Decimal, *, is_power: bool) -> bool:
    if found == wanted:
        return True
    digits = len(found.normalize(_context(_NUMBER_MAX)).as_tuple().digits)
    if digits >= (_POWER_MIN if is_power else _ROUNDED_MIN) and _rounded(wanted, digits) == found:
        return True
    return _rounded(found, _SURE_DIGITS) == _rounded(wanted, _SURE_DIGITS)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return _context(digits).plus(value)


def _context(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=99_999, Emin=-99_999)


def _is_same_day(found: str, wanted: str) -> bool:
    """Whether both are the same day or moment, whichever comes first in them, the day or the month."""
    meant = parse_iso(wanted) if wanted[:1].isdigit() else None
    return meant is not None and meant in _moments(found)


def until_of_cell(text: str) -> datetime | timedelta | None:
    """The time that a person wrote, as UTC, or how long from now; None when it is none, or may be two.

    >>> until_of_cell("31.12.2026"), until_of_cell("1/12/2026")
    (datetime.datetime(2026, 12, 31, 0, 0, tzinfo=datetime.timezone.utc), None)
    """
    text = _bare(text)
    if found := _AGE.match(text):
        return timedelta(**{_AGE_UNITS[found[2]]: int(found[1])})
    moments = _moments(text)
    return moments.pop() if len(moments) == 1 else None


def _moments(text: str) -> set[datetime]:
    if found := _YEAR_FIRST.match(text):
        return _dated([(found[1], found[2], found[3])], found[4])
    if found := _DOTTED.match(text):
        return _dated([(found[3], found[2], found[1])], found[4])
    if found := _SLASHED.match(text):
        return _dated([(found[3], found[1], found[2]), (found[3], found[2], found[1])], found[4])
    moment = parse_iso(text) if len(text) > 10 and text[:4].isdigit() else None
    return set() if moment is None else {moment}


def _dated(days: list[tuple[str, str, str]], clock: str | None) -> set[datetime]:
    found = set()
    hours, minutes, seconds = (int(part) for part in (f"{clock or '0:0'}:0".split(":"))[:3])
    for year, month, day in days:
        try:
            at = date(int(year), int(month), int(day))
            found.add(datetime(at.year, at.month, at.day, hours, minutes, seconds, tzinfo=UTC))
        except ValueError:
            continue
    return found
