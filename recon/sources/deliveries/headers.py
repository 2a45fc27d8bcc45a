"""Headers as people keep them: a map, pairs, names and values, a flat list, text, or a queue's attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

HEADERS_MAX: Final = 200
VALUE_MAX: Final = 2000
VALUES_MAX: Final = 5
_NAMES: Final = ("name", "key", "k", "Name", "Key", "header")
_VALUES: Final = ("value", "v", "Value", "val")
_ATTRIBUTES: Final = ("StringValue", "stringValue", "Value", "value", "S", "string")


def read_headers(value: Any) -> dict[str, str]:
    """Lower-case names and plain values; what is no header is left out.

    >>> read_headers([{"name": "X-Id", "value": "7"}]), read_headers(["X-Id", "7"]), read_headers("X-Id: 7")
    ({'x-id': '7'}, {'x-id': '7'}, {'x-id': '7'})
    """
    found: dict[str, str] = {}
    for number, (name, text) in enumerate(_pairs(value)):
        if number >= HEADERS_MAX:
            break
        plain = _plain(text)
        if plain is not None and isinstance(name, str | bytes):
            found[_header_name(name)] = plain[:VALUE_MAX]
    return found


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from _pairs_of_list(list(value))
    elif isinstance(value, str):
        yield from _pairs_of_text(value)


def _pairs_of_list(value: list[Any]) -> Iterator[tuple[Any, Any]]:
    if len(value) % 2 == 0 and all(isinstance(each, str) for each in value):
        yield from zip(value[::2], value[1::2], strict=True)
        return
    for each in value:
        if isinstance(each, list | tuple) and len(each) == 2:
            yield each[0], each[1]
        elif isinstance(each, Mapping):
            yield from _pairs_of_object(each)
        elif isinstance(each, str) and ":" in each:
            yield from _pairs_of_text(each)


def _pairs_of_object(value: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """One header as an object with its name and its value; otherwise each field is a header."""
    name = next((value[name] for name in _NAMES if name in value), None)
    if name is None:
        yield from value.items()
    else:
        yield name, next((value[name] for name in _VALUES if name in value), None)


def _pairs_of_text(value: str) -> Iterator[tuple[Any, Any]]:
    if value.lstrip()[:1] in ("{", "["):
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return
        if not isinstance(inner, str):
            yield from _pairs(inner)
        return
    for line in value.splitlines()[:HEADERS_MAX]:
        name, colon, text = line.partition(":")
        if colon and name.strip() and " " not in name.strip():
            yield name, text


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1").strip()
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_plain, value[:VALUES_MAX]))) or None
    if isinstance(value, Mapping):
        inner = next((value[name] for name in _ATTRIBUTES if isinstance(value.get(name), str)), None)
        return None if inner is None else str(inner).strip()
    return str(value).strip()


def _header_name(name: str | bytes) -> str:
    """The name on the wire: WSGI and CGI write ``HTTP_X_SIGNATURE`` for ``X-Signature``."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return (text[5:].replace("_", "-") if text.startswith("HTTP_") else text).strip().lower()[:100]
