"""Stored values: read from a document, written as text, compared by value and type.

What a document holds is written as canonical Extended JSON v2. A field that is not there is
:data:`recon.core.model.MISSING` in text and :data:`ABSENT` in Python; null is a value of its own.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache, lru_cache
from typing import Any, Final

from recon.core.errors import RefusedError
from recon.core.model import MISSING

STAMP: Final = "metadata.recon.last"
"""Where the last run that wrote to a document leaves its name, as ``run/change``."""
UPDATED_AT: Final = "updatedAt"
OBJECT: Final[dict[str, str]] = {"$recon": "object"}
"""Stands for "an object that a run created": an undo takes it away again if nothing else is in it."""
_INT32: Final = 2**31
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_OBJECTS: Final = (dict, Mapping)
_PLAIN: Final = (str, bool, type(None))
_FREQUENT_TYPES: Final[dict[type, str]] = {str: "string", bool: "bool", float: "double", dt.datetime: "date"}
_NOT_ARRAY: Final[Mapping[str, Any]] = {"$type": "array"}
_IS_OBJECT: Final[Mapping[str, Any]] = {"$type": "object", "$not": _NOT_ARRAY}
_IS_MISSING: Final[Mapping[str, Any]] = {"$exists": False}


class _Absent:
    """The one value that means "the field is not there"."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class ValueTextError(RefusedError):
    """A value in a plan or journal is not canonical Extended JSON of a single value."""

    def __init__(self, *, where: str, found: str) -> None:
        super().__init__(
            f"{where}: {found[:80]} is not a single value in canonical Extended JSON; nothing was written. "
            'Make a new plan with "recon plan".'
        )


@cache
def json_options() -> Any:
    """How values are spelled in Extended JSON: canonical, aware dates, dates past the year 9999 kept."""
    from bson.binary import UuidRepresentation
    from bson.codec_options import DatetimeConversion
    from bson.json_util import JSONMode, JSONOptions

    return JSONOptions(
        json_mode=JSONMode.CANONICAL,
        tz_aware=True,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        uuid_representation=UuidRepresentation.UNSPECIFIED,
    )


def to_extended(value: Any) -> Any:
    """A value as the JSON structure that plans and journals hold; :data:`ABSENT` becomes MISSING."""
    if value is ABSENT:
        return dict(MISSING)
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int and -_INT32 <= value < _INT32:
        return {"$numberInt": str(value)}
    if type(value) is dt.datetime and value.tzinfo is not None:
        return {"$date": {"$numberLong": str((value - _EPOCH) // _MILLISECOND)}}
    from bson import json_util

    if isinstance(value, Mapping | list | tuple):
        return json.loads(json_util.dumps(value, json_options=json_options()))
    return json_util.default(value, json_options=json_options())


def from_extended(value: Any, *, where: str) -> Any:
    """Read one scalar back from its JSON structure.

    Raises:
        ValueTextError: It is an object, an array, or no Extended JSON.
    """
    if value is None or isinstance(value, bool):
        return value
    if value == MISSING:
        return ABSENT
    try:
        if isinstance(value, str):
            value.encode()  # half a surrogate pair is no text that a database can hold
            return value
        if not isinstance(value, dict):
            raise TypeError("a bare number or an array")
        if (number := _small_number(value)) is not None:
            return number
        if len(value) == 1 and type(spelled := next(iter(value.values()))) is str:
            return _read_spelled(next(iter(value)), spelled)
        return _read_typed(value)
    except Exception as error:  # bson raises whatever its converters raise on hostile text
        raise ValueTextError(where=where, found=repr(value)) from error


def _read_typed(value: dict[str, Any]) -> Any:
    from bson import json_util

    options = json_options()
    inner = {k: json_util.object_hook(v, options) if isinstance(v, dict) else v for k, v in value.items()}
    read = json_util.object_hook(inner, options)
    if isinstance(read, dict | list) or to_extended(read) != value:
        raise TypeError("not one canonical value")
    return read


@lru_cache(maxsize=1024)
def _read_spelled(kind: str, spelled: str) -> Any:
    """Values of one type and one text: amounts recur, and a row is decoded several times in a run."""
    return _read_typed({kind: spelled})


def _small_number(value: Mapping[str, Any]) -> int | None:
    """The quick way for the most frequent kind of number; None leaves everything else to the careful way."""
    text = value.get("$numberInt")
    if type(text) is not str or len(value) != 1 or not 0 < len(text) < 12 or not text.lstrip("-").isdecimal():
        return None
    number = int(text)
    return number if str(number) == text and -_INT32 <= number < _INT32 else None


def type_name(value: Any) -> str:
    """The name that ``$type`` has for a value's BSON type."""
    if (name := _FREQUENT_TYPES.get(type(value))) is not None:
        return name
    if isinstance(value, int):
        is_long = type(value).__name__ == "Int64" or not -_INT32 <= value < _INT32
        return "long" if is_long else "int"
    if isinstance(value, dt.datetime):
        return "date"
    names = {
        "NoneType": "null", "ObjectId": "objectId", "Decimal128": "decimal",
        "DatetimeMS": "date", "bytes": "binData", "Binary": "binData", "UUID": "binData", "Timestamp": "timestamp",
        "Regex": "regex", "Code": "javascript", "MinKey": "minKey", "MaxKey": "maxKey", "dict": "object",
        "SON": "object", "list": "array",
    }  # fmt: skip
    return names.get(type(value).__name__, "object")


def value_terms(path: str, value: Any) -> Mapping[str, Any]:
    """The conditions under which a field holds exactly this value, type and all.

    Raises:
        ValueTextError: The value is an object or an array, which no filter compares type by type.
    """
    if value is ABSENT:
        return _IS_MISSING
    if value is None:
        return {"$eq": None, "$exists": True, "$not": _NOT_ARRAY}
    if (name := _FREQUENT_TYPES.get(type(value))) is None:
        name = type_name(value)
        if isinstance(value, Mapping | list | tuple):
            raise ValueTextError(where=path, found=f"an {name}")
    return {"$eq": value, "$type": name, "$not": _NOT_ARRAY}


def parent_terms(exists: bool) -> Mapping[str, Any]:
    """The conditions under which a parent is an object, or is not there."""
    return _IS_OBJECT if exists else _IS_MISSING


def parents_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Every path above the given dotted paths, sorted, so that a parent comes before its children."""
    return _parents_of(frozenset(paths))


@lru_cache(maxsize=1024)
def _parents_of(paths: frozenset[str]) -> tuple[str, ...]:
    found = set()
    for path in paths:
        parts = path.split(".")
        found |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def value_at(document: Any, path: str) -> Any:
    """What stands at a dotted path, or :data:`ABSENT`; nothing is found inside what is no object."""
    return value_along(document, _parts(path))


def value_along(document: Any, parts: Iterable[str], *, is_indexed: bool = False) -> Any:
    """What stands at a path given in pieces, or :data:`ABSENT`.

    Args:
        is_indexed: A number in the path is an index into an array; otherwise nothing is found inside an array.
    """
    value = document
    for part in parts:
        if isinstance(value, _OBJECTS):
            if part not in value:
                return ABSENT
            value = value[part]
        elif is_indexed and isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def changed_document(
    document: Mapping[str, Any], sets: Mapping[str, Any], *, unsets: Iterable[str] = ()
) -> dict[str, Any]:
    """The document after an update: as MongoDB carries it out, new fields in the order of their names.

    Raises:
        ValueTextError: A field would stand inside a value that is no object.
    """
    made = deepcopy(dict(document))
    for path in sorted(sets):
        *parents, last = _parts(path)
        inner = made
        for name in parents:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ValueTextError(where=path, found=f"what stands at {name}")
        inner[last] = sets[path]
    for path in unsets:
        *parents, last = _parts(path)
        holder = value_along(made, parents)
        if isinstance(holder, dict):
            holder.pop(last, None)
    return made


def same(left: Any, right: Any) -> bool:
    """Whether two stored values are equal in type and value, as their canonical Extended JSON is."""
    if left is ABSENT or right is ABSENT:
        return left is right
    if type(left) in _PLAIN or type(right) in _PLAIN:
        return type(left) is type(right) and bool(left == right)
    if type(left) is type(right) is int:
        return bool(left == right)
    if type(left) is type(right) is float:
        return repr(left) == repr(right)
    return bool(to_extended(left) == to_extended(right))
