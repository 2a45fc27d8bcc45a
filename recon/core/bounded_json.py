"""JSON from outside, decoded only where what comes of it fits into memory.

A text of a few megabytes can become a gigabyte of objects: every ``[]`` of two bytes is an object of 56. So the signs
that make objects are counted before anything is decoded.
"""

from __future__ import annotations

import json
from typing import Any, Final

MEMORY_MAX: Final = 384 * 1024 * 1024
"""Most bytes of objects that one text may become."""

_BYTES_A_SIGN: Final = 90
"""What one more value costs at most, on the average of the hostile texts that were measured."""


class JsonTooLargeError(ValueError):
    """A JSON text would take more memory than it may."""

    def __init__(self, *, size: int) -> None:
        super().__init__(
            f"is one JSON text of {size / 1e6:.1f} MB with so many values that it does not fit into memory; "
            "write one record a line, for example with jq -c '.[]'"
        )


def decode_json(text: bytes, *, memory_max: int = MEMORY_MAX) -> Any:
    """Decode a JSON text; numbers with a point stay text, so that no amount passes through a float.

    Args:
        memory_max: Most bytes that the objects may take.

    Raises:
        JsonTooLargeError: It would become too large.
        ValueError: It is no JSON, or nested too deep.
    """
    _check(text, memory_max)
    try:
        return json.loads(text, parse_float=str)
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError("it is no JSON, or nested too deep") from error


def decode_many(text: bytes, *, memory_max: int = MEMORY_MAX) -> list[Any]:
    """Decode JSON texts that stand behind each other, as jq and mongoexport write them; see :func:`decode_json`.

    Raises:
        JsonTooLargeError: They would become too large.
        ValueError: One of them is no JSON, or nested too deep.
    """
    _check(text, memory_max)
    decoder, values, position = json.JSONDecoder(parse_float=str), [], 0
    try:
        plain = text.decode()
        while position < len(plain):
            if plain[position].isspace():
                position += 1
                continue
            value, position = decoder.raw_decode(plain, position)
            values.append(value)
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError("it is no JSON, or nested too deep") from error
    return values


def _check(text: bytes, memory_max: int) -> None:
    signs = sum(text.count(sign) for sign in (b",", b"[", b"{", b":"))
    if signs * _BYTES_A_SIGN + 4 * len(text) > memory_max:
        raise JsonTooLargeError(size=len(text))
