"""Takes the types that databases write around values away: Mongo's Extended JSON, DynamoDB's attributes, Firestore."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

DEPTH_MAX: Final = 12


def plain_values(value: Any, depth: int = 0) -> Any:
    """A value without the wrapping of its database; objects and lists are copied only as far as they are read."""
    if depth >= DEPTH_MAX or isinstance(value, str | int | None):
        return value
    if isinstance(value, Mapping):
        found = _unwrapped(value, depth)
        return _object(value, depth) if found is None else found
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [plain_values(inner, depth + 1) for inner in value]
    return value


def _unwrapped(value: Mapping[str, Any], depth: int) -> Any:
    """The one value of an object of Extended JSON; None where it is none."""
    if len(value) == 2 and isinstance(value.get("$binary"), str) and "$type" in value:
        return _binary(value["$binary"], depth)
    if len(value) != 1:
        return None
    (name, inner), *_ = value.items()
    unwrap = _SINGLE.get(str(name))
    return None if unwrap is None else unwrap(inner, depth)


def _object(value: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if _is_attribute_map(value):
        return {name: _attribute(inner, depth) for name, inner in value.items()}
    return {name: plain_values(inner, depth + 1) for name, inner in value.items()}


def _text(value: Any, depth: int) -> Any:
    return value if isinstance(value, str | int | float) else None


def _inner(value: Any, depth: int) -> Any:
    return plain_values(value, depth + 1)


def _binary(value: Any, depth: int) -> bytes | None:
    text = value.get("base64") if isinstance(value, Mapping) else value
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _second(value: Any, depth: int) -> int | None:
    seconds = value.get("t") if isinstance(value, Mapping) else None
    return seconds if isinstance(seconds, int) else None


_SINGLE: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "$oid": _text, "$numberInt": _text, "$numberLong": _text, "$numberDouble": _text, "$numberDecimal": _text,
    "$uuid": _text, "$symbol": _text, "$date": _inner, "$binary": _binary, "$timestamp": _second,
}  # fmt: skip
_ATTRIBUTES: Final = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS"})


def _is_attribute_map(value: Mapping[str, Any]) -> bool:
    """Whether every field is one of DynamoDB's typed attributes."""
    return bool(value) and all(
        isinstance(inner, Mapping) and len(inner) == 1 and next(iter(inner)) in _ATTRIBUTES for inner in value.values()
    )


def _attribute(value: Any, depth: int) -> Any:
    """What one typed attribute holds; a value that is none is given as it is."""
    if depth >= DEPTH_MAX or not isinstance(value, Mapping) or len(value) != 1:
        return value
    (kind, inner), *_ = value.items()
    if isinstance(inner, Mapping | list):
        return _nested(inner, depth) if kind in ("M", "L") else value
    if kind == "B":
        return _binary(inner, depth)
    return None if kind == "NULL" else inner if kind in _ATTRIBUTES else value


def _nested(inner: Mapping[str, Any] | list[Any], depth: int) -> Any:
    if isinstance(inner, list):
        return [_attribute(each, depth + 1) for each in inner]
    return {name: _attribute(each, depth + 1) for name, each in inner.items()}
