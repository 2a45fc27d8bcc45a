"""Headers as people keep them: a map, pairs, names and values, a flat list, text, or a queue's attributes."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

HEADERS_MAX: Final = 200
VALUE_MAX: Final = 2000
VALUES_MAX: Final = 5
BASE64_MIN: Final = 8
_LOOSE = re.compile(r"(?:[xX]-|HTTP_X_)[\w-]+\Z")
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]{1,100}\Z")
_REPR = re.compile(r"b(['\"])(.*)\1", re.DOTALL)
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
    return _unpacked(found)


def loose_headers(layer: Mapping[str, Any]) -> dict[str, str]:
    """Headers that stand among the fields of a record itself: ``x-...`` and ``HTTP_X_...``."""
    return read_headers({name: value for name, value in layer.items() if _LOOSE.match(str(name))})


def _unpacked(found: dict[str, str]) -> dict[str, str]:
    """Headers whose values are all base64, as queues keep bytes; any others as they are."""
    plain = {}
    for name, value in found.items():
        try:
            text = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            return found
        if len(value) < BASE64_MIN or not text.isprintable():
            return found
        plain[name] = text
    return plain


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from _pairs_of_list(list(value))
    elif isinstance(value, str):
        yield from _pairs_of_text(value)


def _pairs_of_list(value: list[Any]) -> Iterator[tuple[Any, Any]]:
    if _is_flat(value):
        yield from zip(value[::2], value[1::2], strict=True)
        return
    for each in value:
        if isinstance(each, list | tuple) and len(each) == 2:
            yield each[0], each[1]
        elif isinstance(each, Mapping):
            yield from _pairs_of_object(each)
        elif isinstance(each, str) and ":" in each:
            yield from _pairs_of_text(each)


def _is_flat(value: list[Any]) -> bool:
    """Whether a list holds names and values in turn, and no lines of both."""
    is_text = len(value) % 2 == 0 and all(isinstance(each, str) for each in value)
    return is_text and all(_NAME.match(each) for each in value[::2])


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
    return _bare(str(value).strip())


def _header_name(name: str | bytes) -> str:
    """The name on the wire: WSGI and CGI write ``HTTP_X_SIGNATURE`` for ``X-Signature``, others ``x_signature``."""
    text = _bare(name.decode("latin-1") if isinstance(name, bytes) else name)
    text = text[5:] if text.startswith("HTTP_") else text
    return (text if "-" in text else text.replace("_", "-")).strip().lower()[:100]


def _bare(text: str) -> str:
    """A text that was bytes of Python when it was written: ``b'...'`` without its mark."""
    found = _REPR.fullmatch(text)
    return text if found is None else found[2]
