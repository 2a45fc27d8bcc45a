"""The shapes of WHMCS's answers: texts for numbers, "" for an empty list, lists by flattened keys, days without a zone.

Nothing here is believed by its shape: what cannot be read is None, and the reader says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from recon.core.errors import MoneyError
from recon.core.money import UNITS_MAX, parse_units

Row = Mapping[str, Any]
_FORMS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_PLAIN: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,10})?\Z")
LISTED_MAX: Final = 1_000_000


def listed_rows(body: Row, *, outer: str, inner: str) -> list[Row] | None:
    """The rows of ``{"outer": {"inner": [...]}}`` in any of its shapes; None where it holds something else.

    >>> listed_rows({"transactions": ""}, outer="transactions", inner="transaction")
    []
    >>> listed_rows({"transactions": {"transaction": {"id": 1}}}, outer="transactions", inner="transaction")
    [{'id': 1}]
    >>> listed_rows({"transactions[transaction][0][id]": "1"}, outer="transactions", inner="transaction")
    [{'id': '1'}]
    """
    if outer not in body:
        return _flattened(body, outer, inner)
    held = body[outer]
    listed = held.get(inner, held or "") if isinstance(held, dict) else held
    if isinstance(listed, dict):
        listed = [listed]
    if listed in ("", None):
        return []
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        return None
    return listed


def each_once(transactions: Sequence[Row]) -> list[Row] | None:
    """Transactions without those that are listed again; None where one id stands for two different things.

    >>> each_once([{"id": "1", "amountin": "5"}, {"id": "1", "amountin": "5"}])
    [{'id': '1', 'amountin': '5'}]
    """
    found: dict[str, Row] = {}
    for row in transactions:
        if found.setdefault(str(row.get("id")), row) != row:
            return None
    return list(found.values())


def _flattened(body: Row, outer: str, inner: str) -> list[Row] | None:
    place = re.compile(rf"{re.escape(outer)}\[{re.escape(inner)}\]\[([0-9]{{1,7}})\]\[(\w+)\]\Z")
    found: dict[int, dict[str, Any]] = {}
    for key, value in body.items():
        match = place.match(key) if isinstance(key, str) else None
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [found[number] for number in sorted(found)] or None


def number_of(value: object) -> int | None:
    """A whole number that is not negative, as a number or as a text; None for anything else."""
    if isinstance(value, bool):
        return None
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def units_of(value: object, *, decimals: int) -> int | None:
    """An amount in base units, from a text or from a number that was kept as text; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    if not _PLAIN.match(text):
        return None
    try:
        units = parse_units(text, decimals=decimals)
    except MoneyError:
        return None
    return units if abs(units) <= UNITS_MAX else None


def moment_of(value: object, *, zone: tzinfo) -> int | None:
    """A day or a time of the installation as UTC milliseconds; None for ``0000-00-00``, which means never.

    Of a time that two moments share the first is meant.
    """
    if not isinstance(value, str):
        return None
    for form in _FORMS:
        try:
            at = datetime.strptime(value.strip(), form).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return None
