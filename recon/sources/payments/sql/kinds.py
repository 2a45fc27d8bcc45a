"""What a column holds: its raw image in the database, and the value that it is in a payment document.

The raw image is what a guard compares, so that text is never compared with a number: in SQLite the value as it is
stored, in PostgreSQL the text that the server writes for it. NULL is a field that is not there.

A raw image that is not of its kind (a word in a column of dates) is given as it stands, and the row is then reported
as malformed; it is never folded into something that can be read.

>>> kind = kind_named("unix_s", zone=None)
>>> kind.read(1_763_640_000).isoformat()
'2025-11-20T12:00:00+00:00'
>>> kind_named("decimal", zone=None).read("12.50")
Decimal128('12.50')
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from recon.core.errors import RefusedError
from recon.core.values import ABSENT, json_options, same

Raw = str | int | float | bytes | None
"""A column's value as the database compares it."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DECIMAL_DIGITS: Final = 34
"""Digits that a Decimal128 holds; a longer number stays text, which is exact as well."""
_LONG: Final = range(-(2**63), 2**63)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([ Tt])(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?\s?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?\Z"
)
UNIT_DECIMALS: Final = (6, 8, 12, 18)
"""How many decimals a coin has whose smallest units a column may count."""
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?\Z")


class UnfitValueError(RefusedError):
    """A column cannot hold exactly what is to be written to it."""

    def __init__(self, *, column: str, why: str) -> None:
        self.said = f"the column {column} {why}"
        super().__init__(f"{self.said}; nothing was written to it.")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of column.

    Args:
        read: The document's value of a raw image; ValueError for one that is not of this kind.
        write: The raw image of a value, like the one that was there before; ValueError for a value it cannot hold.
        is_json: Whether it holds a tree that is reached by path.
        is_time: Whether it holds moments.
    """

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Raw], Raw]
    is_json: bool = False
    is_time: bool = False

    def value(self, raw: Raw) -> Any:
        """The document's value of a raw image; what is not of this kind is given as it stands."""
        if raw is None:
            return ABSENT
        try:
            return self.read(raw)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            return raw

    def image(self, value: Any, before: Raw, *, column: str) -> Raw:
        """The raw image of a value, which reads back as exactly this value.

        Raises:
            UnfitValueError: The column cannot hold it.
        """
        if value is ABSENT:
            return None
        try:
            raw = self.write(value, before)
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise UnfitValueError(column=column, why=f"holds {self.name} and cannot hold this value") from error
        if not self.is_time and not same(self.value(raw), value):
            raise UnfitValueError(column=column, why=f"holds {self.name}, and this value would not come back as it is")
        return raw


def kind_in_words(kind: Kind, words: Mapping[str, str]) -> Kind:
    """The same kind where a column has a backend's own words: each is read as what it means, and written back as it.

    A word that is not named stands for itself. A meaning that several words have can be read and not written.

    >>> kind_in_words(kind_named("text", zone=None), {"confirmed": "completed"}).value("confirmed")
    'completed'
    """

    def read(raw: Any) -> Any:
        value = kind.read(raw)
        return words.get(value, value) if isinstance(value, str) else value

    def write(value: Any, before: Raw) -> Raw:
        named = [word for word, meaning in words.items() if meaning == value]
        if len(named) > 1 or (not named and value in words):
            raise ValueError("no word of the backend means this, or several do")
        return kind.write(named[0] if named else value, before)

    return replace(kind, read=read, write=write)


def _text(raw: Any) -> str:
    if type(raw) is not str:
        raise ValueError("no text")
    return raw


def _whole(raw: Any) -> Any:
    number = int(raw) if type(raw) is str else raw
    if type(number) is not int:
        raise ValueError("no whole number")
    return _sized(number)


def _sized(number: int) -> Any:
    from bson import Int64

    if number not in _LONG:
        raise ValueError("more than 64 bits")
    return number if -(2**31) <= number < 2**31 else Int64(number)


def _write_whole(value: Any, before: Raw) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("no whole number")
    return str(int(value))


def _decimal(raw: Any) -> Any:
    """An exact number: a Decimal128, or text where it has more digits than one holds."""
    from bson import Decimal128

    text = str(raw) if type(raw) is int else raw
    if type(text) is not str:
        raise ValueError("no exact number")
    if not _NUMBER.match(text):
        return Decimal128(Decimal(text)) if text in ("NaN", "Infinity", "-Infinity") else text
    if len(text.lstrip("-").replace(".", "").lstrip("0")) > _DECIMAL_DIGITS:
        return text
    return Decimal128(text)


def _write_decimal(value: Any, before: Raw) -> str:
    from bson import Decimal128

    if isinstance(value, Decimal128):
        return format(value.to_decimal(), "f")
    return _text(value)


def _units(decimals: int) -> tuple[Callable[[Any], Any], Callable[[Any, Raw], Raw]]:
    """Whole numbers of a smallest unit, of which ten to the power of ``decimals`` are one coin.

    >>> kind_named("units_12", zone=None).read(1_500_000_000_000)
    Decimal128('1.500000000000')
    """

    def read(raw: Any) -> Any:
        from bson import Decimal128

        number = int(raw) if type(raw) is str and raw.isascii() and raw.isdigit() else raw
        if type(number) is not int or number < 0:
            raise ValueError("no whole number of units")
        return Decimal128(Decimal((0, tuple(map(int, str(number))), -decimals)))

    def write(value: Any, before: Raw) -> Raw:
        from bson import Decimal128

        if not isinstance(value, Decimal128):
            raise ValueError("no exact number")
        sign, digits, exponent = value.to_decimal().as_tuple()
        if sign or exponent != -decimals:
            raise ValueError("of other units")
        number = int("".join(map(str, digits)))
        return number if type(before) is int else str(number)

    return read, write


def _double(raw: Any) -> float:
    number = float(raw) if type(raw) is str else raw
    if type(number) is not float:
        raise ValueError("no double")
    return number


def _write_double(value: Any, before: Raw) -> str:
    if type(value) is not float or not math.isfinite(value):
        raise ValueError("no finite double")
    return repr(value)


def _object_id(raw: Any) -> Any:
    from bson import ObjectId

    if type(raw) is not str or not re.match(r"[0-9a-f]{24}\Z", raw):
        raise ValueError("no ObjectId")
    return ObjectId(raw)


def _write_object_id(value: Any, before: Raw) -> str:
    if type(value).__name__ != "ObjectId":
        raise ValueError("no ObjectId")
    return str(value)


def _bytes(raw: Any) -> Any:
    from bson import Binary

    if type(raw) is bytes:
        return Binary(raw)
    if type(raw) is str and raw.startswith("\\x"):
        return Binary(bytes.fromhex(raw[2:]))
    raise ValueError("no bytes")


def _write_bytes(value: Any, before: Raw) -> str:
    if not isinstance(value, bytes):
        raise ValueError("no bytes")
    return f"\\x{bytes(value).hex()}"


def _read_bool(raw: Any) -> bool:
    found = {"true": True, "false": False, 1: True, 0: False}.get(raw) if type(raw) in (str, int) else None
    if found is None:
        raise ValueError("neither true nor false")
    return found


def _write_bool(value: Any, before: Raw) -> bool:
    if type(value) is not bool:
        raise ValueError("neither true nor false")
    return value


# Moments. A document keeps milliseconds, as MongoDB does.


def _moment(text: Any, zone: dt.tzinfo | None) -> dt.datetime:
    found = _TIME.match(text) if type(text) is str else None
    if found is None:
        raise ValueError("no moment")
    year, month, day, _, hour, minute, second, part, offset = found.groups()
    at_zone = zone if offset is None else _offset(offset)
    if at_zone is None:
        raise ValueError("a moment without a zone, and no zone is configured")
    milliseconds = int((part or ".0")[1:4].ljust(3, "0"))
    numbers = (int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    return dt.datetime(*numbers, milliseconds * 1000, at_zone).astimezone(dt.UTC)


def _offset(text: str) -> dt.tzinfo:
    if text in ("Z", "z", "UTC"):
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    distance = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(-distance if text[0] == "-" else distance)


def _write_moment(value: Any, before: Raw, zone: dt.tzinfo | None) -> str:
    """The text of a moment, spelled as the one that was there before."""
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise ValueError("no moment")
    style = _TIME.match(before) if type(before) is str else None
    between, part, offset = (" ", ".0", None if zone else "+00") if style is None else style.group(4, 8, 9)
    at_zone = _offset(offset) if offset is not None else zone
    if at_zone is None:
        raise ValueError("no zone is configured")
    at = value.astimezone(at_zone)
    fraction = "" if part is None else f".{at.microsecond // 1000:03}"
    return f"{at:%Y-%m-%d}{between}{at:%H:%M:%S}{fraction}{offset or ''}"


def _since_epoch(per_second: int) -> tuple[Callable[[Any], Any], Callable[[Any, Raw], Raw]]:
    def read(raw: Any) -> Any:
        number = _whole(raw)
        return _EPOCH + dt.timedelta(milliseconds=int(number) * 1000 // per_second)

    def write(value: Any, before: Raw) -> int:
        if not isinstance(value, dt.datetime):
            raise ValueError("no moment")
        return (value - _EPOCH) // dt.timedelta(milliseconds=1000 // per_second)

    return read, write


# Trees


class _Digits(str):
    """A number that neither a double nor a decimal holds: its digits, which are written back as they are."""

    __slots__ = ()


def _plain_number(text: str) -> Any:
    """A fraction of a JSON text: a double where a double is written the same, else a decimal, so no digit is lost."""
    number = float(text)
    return number if math.isfinite(number) and repr(number) == text else _all_digits(text)


def _plain_whole(text: str) -> Any:
    number = int(text)
    return _sized(number) if number in _LONG else _all_digits(text)


def _all_digits(text: str) -> Any:
    from bson import Decimal128

    try:
        return Decimal128(text)
    except ArithmeticError:
        return _Digits(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _read_json(raw: Any) -> Any:
    return json.loads(
        _text(raw), parse_float=_plain_number, parse_int=_plain_whole, object_pairs_hook=_once, parse_constant=_refuse
    )


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _jsonable(value: Any) -> Any:
    from bson import Decimal128

    if isinstance(value, Mapping):
        return {key: _jsonable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_jsonable(each) for each in value]
    if isinstance(value, Decimal128):
        return _Digits(_finite(value))
    if value is None or isinstance(value, bool | int | str | float):
        return value
    raise ValueError(f"JSON has no {type(value).__name__}")


def _finite(value: Any) -> str:
    number: Decimal = value.to_decimal()
    if not number.is_finite():
        raise ValueError("no finite number")
    return str(number)


@dataclass(frozen=True, slots=True)
class _Style:
    """How a JSON text is spelled: its blanks, and whether letters beyond ASCII are escaped."""

    comma: str = ", "
    colon: str = ": "
    is_ascii: bool = False


_STYLES: Final = (_Style(), _Style(",", ":"), _Style(is_ascii=True), _Style(",", ":", is_ascii=True))


def _style_of(before: Raw) -> _Style:
    """The style in which what stands in a text comes out as that text; the usual one where none does."""
    try:
        tree = _jsonable(_read_json(before))
    except (ValueError, RecursionError):
        return _STYLES[0]
    return next((style for style in _STYLES if _written(tree, style) == before), _STYLES[0])


def _written(tree: Any, style: _Style) -> str:
    """As ``json.dumps``, with the digits of decimals kept."""
    if isinstance(tree, dict):
        named = (f"{_letters(name, style)}{style.colon}{_written(each, style)}" for name, each in tree.items())
        return f"{{{style.comma.join(named)}}}"
    if isinstance(tree, list):
        return f"[{style.comma.join(_written(each, style) for each in tree)}]"
    return str(tree) if type(tree) is _Digits else _letters(tree, style)


def _letters(value: Any, style: _Style) -> str:
    return json.dumps(value, ensure_ascii=style.is_ascii, allow_nan=False)


def _write_json(value: Any, before: Raw) -> str:
    return _written(_jsonable(value), _style_of(before))


def _read_extended(raw: Any) -> Any:
    from bson import json_util
    from bson.errors import BSONError

    try:
        tree = json.loads(_text(raw), object_pairs_hook=_once, parse_constant=_refuse)
        return json_util.loads(json.dumps(tree), json_options=json_options())
    except (BSONError, InvalidOperation, KeyError, AttributeError) as error:
        raise ValueError("no Extended JSON") from error


def _write_extended(value: Any, before: Raw) -> str:
    from bson import json_util

    return str(json_util.dumps(value, json_options=json_options()))


def _given(raw: Any) -> Any:
    """What SQLite stored, by its own type."""
    if type(raw) is int:
        return _sized(raw)
    return _bytes(raw) if type(raw) is bytes else raw


def _give(value: Any, before: Raw) -> Raw:
    if type(value) in (str, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        return bytes(value)
    raise ValueError("no value of SQLite")


def kind_named(name: str, *, zone: dt.tzinfo | None) -> Kind:
    """The kind of a name; ``zone`` is that of moments which name none."""
    seconds, milliseconds = _since_epoch(1), _since_epoch(1000)
    kinds = (
        Kind("stored", _given, _give),
        Kind("text", _text, lambda value, before: _text(value)),
        Kind("whole", _whole, _write_whole),
        Kind("decimal", _decimal, _write_decimal),
        *(Kind(f"units_{decimals}", *_units(decimals)) for decimals in UNIT_DECIMALS),
        Kind("double", _double, _write_double),
        Kind("bool", _read_bool, _write_bool),
        Kind("bytes", _bytes, _write_bytes),
        Kind("objectid", _object_id, _write_object_id),
        Kind("date", lambda raw: _moment(raw, zone), lambda v, before: _write_moment(v, before, zone), is_time=True),
        Kind("unix_s", *seconds, is_time=True),
        Kind("unix_ms", *milliseconds, is_time=True),
        Kind("json", _read_json, _write_json, is_json=True),
        Kind("ejson", _read_extended, _write_extended, is_json=True),
    )
    return {kind.name: kind for kind in kinds}[name]
