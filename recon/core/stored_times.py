"""Times that a database holds in another form than a date, read where their meaning is certain. Pure.

A real collection has rows whose dates are text, UNIX numbers or what an import left of Extended JSON. Text in ISO 8601
is read, one without a zone as UTC, which is told; a number where it can count only seconds or only milliseconds.
Everything else (a day without a time, ``11/12/2026``, a number of microseconds) is not read, and what stands there is
told instead. A worked example::

    "2026-11-20T08:30:00Z"       text          2026-11-20T08:30:00Z
    "2026-11-20 08:30"           text_utc      2026-11-20T08:30:00Z, for it names no zone
    1763640000                   seconds       2025-11-20T12:00:00Z
    {"$date": 1763640000000}     exported      2025-11-20T12:00:00Z
    "20.11.2026 08:30"           not read
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote, unquote

from recon.core.times import from_ms, millisecond_text, parse_iso, second_text, to_ms

HOW: Final[Mapping[str, str]] = {
    "text": "text with its zone",
    "text_utc": "text without a zone, read as UTC",
    "seconds": "a number of seconds since 1970",
    "milliseconds": "a number of milliseconds since 1970",
    "exported": "a date in Extended JSON, as an import left it",
    "timestamp": "a timestamp of the database's own, to the second",
}
"""How a time is stored that is no date, by the word that stands on its row."""

_UNREAD: Final = "unread"
_QUOTED_MAX: Final = 60
_SECONDS: Final = range(10**9, 10**10)
"""From 2001 to 2286. As milliseconds these would lie in January to April 1970."""
_MILLISECONDS: Final = range(10**12, 10**13)
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))? ?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?\Z", re.ASCII
)
_DIGITS: Final = re.compile(r"\d{10}(?:\d{3})?\Z", re.ASCII)
_NUMBER_KEYS: Final = ("$numberLong", "$numberInt", "$numberDouble", "$numberDecimal")
_NAMES: Final[Mapping[str, str]] = {
    "str": "the text", "bool": "the truth value", "int": "the number", "Int64": "the number", "float": "the number",
    "Decimal128": "the number", "list": "a list", "dict": "an object", "ObjectId": "the id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredTime:
    """A time read from a value that is no date: UTC milliseconds, and how it is stored (a word of :data:`HOW`)."""

    ms: int
    how: str


def read_stored_time(value: object) -> StoredTime | None:
    """The time that a value which is no date means for certain, between 2001 and 2286; None for any other.

    >>> read_stored_time("2026-11-20 08:30:00.250+01:00")
    StoredTime(ms=1795159800250, how='text')
    >>> read_stored_time(1_763_640_000)
    StoredTime(ms=1763640000000, how='seconds')
    """
    if isinstance(value, str):
        return _counted(int(value)) if _DIGITS.match(value) else _spelled(value)
    if isinstance(value, Mapping):
        return _exported(value)
    if type(value).__name__ == "Timestamp":
        seconds = getattr(value, "time", 0)
        return StoredTime(seconds * 1000, "timestamp") if seconds in _SECONDS else None
    number = _number(value)
    return None if number is None else _counted(number)


def time_mark(name: str, value: object) -> str | None:
    """A word for a row about a time that is stored as no date: how it was read, or what stands there instead.

    None where nothing stands there. Without a blank and without an equals sign, so that it can stand among the paths
    of a row; :func:`told_mark` reads it.

    >>> time_mark("createdAt", "20.11.2026"), time_mark("createdAt", "2026-11-20 08:30")
    ('createdAt:unread:str:20.11.2026', 'createdAt:text_utc')
    """
    if value is None:
        return None
    read = read_stored_time(value)
    if read is not None:
        return f"{name}:{read.how}"
    kind = type(value).__name__ if type(value).__name__ in _NAMES else "other"
    shown = "" if kind in ("list", "dict", "other") else quote(str(value)[:_QUOTED_MAX], safe=":")
    return f"{name}:{_UNREAD}:{kind}:{shown}"


def told_mark(mark: str) -> tuple[str, str, bool] | None:
    """The field of a mark, what it says of the field, and whether the time was read; None for any other text.

    >>> told_mark("createdAt:unread:str:20.11.2026")
    ('createdAt', "the text '20.11.2026'", False)
    >>> told_mark("createdAt:text_utc")
    ('createdAt', 'text without a zone, read as UTC', True)
    """
    name, _, rest = mark.partition(":")
    if "=" in mark or not rest:
        return None
    if rest in HOW:
        return name, HOW[rest], True
    word, _, found = rest.partition(":")
    if word != _UNREAD:
        return None
    kind, _, shown = found.partition(":")
    said = _NAMES.get(kind, "a value of another kind")
    return name, f"{said} {unquote(shown)!r}" if shown or kind == "str" else said, False


def stored_alike(before: object, at: dt.datetime) -> Any:
    """A time in the form in which another is stored, so that who reads the field can still read it.

    Where the other is a date, is not there or cannot be read, the time stays a date.

    >>> at = from_ms(1_763_640_000_123)
    >>> stored_alike("2025-11-19T10:00:00.000Z", at), stored_alike(1_763_600_000, at)
    ('2025-11-20T12:00:00.123Z', 1763640000)
    """
    read = read_stored_time(before)
    if read is None or isinstance(before, Mapping) or read.how == "timestamp":
        return at
    if isinstance(before, str) and read.how in ("text", "text_utc"):
        return _spelled_like(before, at)
    count = to_ms(at) if read.how == "milliseconds" else to_ms(at) // 1000
    return str(count) if isinstance(before, str) else _of_kind(before, count)


def _of_kind(before: object, count: int) -> Any:
    """A whole number of the type that another has."""
    if type(before).__name__ == "Decimal128":
        return type(before)(str(count))  # type: ignore[call-arg]
    return type(before)(count)  # type: ignore[call-arg]


def _spelled_like(before: str, at: dt.datetime) -> str:
    """ISO text with the blank, the fraction and the zone of another; a zone that is no UTC becomes Z."""
    found = _ISO.match(before)
    assert found is not None, "a text that was read as ISO"
    _, clock, fraction, zone = found.groups()
    text = millisecond_text(at) if fraction else second_text(at)
    if not fraction and clock.count(":") == 1:
        text = f"{text[:16]}Z"
    text = text[:10] + before[10] + text[11:-1]
    is_utc = zone is None or zone in ("z", "UTC") or zone.strip("+-0:") == ""
    return text + ((zone or "") if is_utc else "Z")


def _spelled(text: str) -> StoredTime | None:
    found = _ISO.match(text.strip())
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    part = f".{fraction[:6].ljust(6, '0')}" if fraction and clock.count(":") == 2 else ""
    if fraction and not part:
        return None
    offset = "+00:00" if zone in (None, "Z", "z", "UTC") else zone
    at = parse_iso(f"{day}T{clock}{part}{offset}")
    ms = None if at is None else (at - from_ms(0)) // dt.timedelta(milliseconds=1)
    return StoredTime(ms, "text" if zone else "text_utc") if ms is not None and ms // 1000 in _SECONDS else None


def _counted(number: int | Decimal) -> StoredTime | None:
    if int(number) in _SECONDS:
        return StoredTime(int(number * 1000), "seconds")
    return StoredTime(int(number), "milliseconds") if int(number) in _MILLISECONDS else None


def _exported(value: Mapping[str, Any]) -> StoredTime | None:
    """``{"$date": …}`` in each of its spellings, or a number in Extended JSON."""
    if len(value) != 1:
        return None
    ((key, held),) = value.items()
    if key in _NUMBER_KEYS:
        number = _number_text(held)
        return None if number is None else _counted(number)
    if key != "$date":
        return None
    if isinstance(held, Mapping):
        held = _number_text(held.get("$numberLong")) if len(held) == 1 else None
    read = _spelled(held) if isinstance(held, str) else _milliseconds(held)
    return None if read is None else StoredTime(read.ms, "exported")


def _milliseconds(held: object) -> StoredTime | None:
    number = _number(held)
    return None if number is None or int(number) not in _MILLISECONDS else StoredTime(int(number), "exported")


def _number_text(held: object) -> Decimal | None:
    try:
        number = Decimal(held) if isinstance(held, str) and len(held) <= _QUOTED_MAX else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _number(value: object) -> int | Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, float):
        return _number_text(repr(value))
    return _number_text(str(value)) if type(value).__name__ == "Decimal128" else None
