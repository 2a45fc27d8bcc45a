r"""Deliveries in lines of text that are no JSON: Kafka's console, Redis' client, and dumps of Postgres.

>>> record_of_line(b'CreateTime:1795170600000\tX-Id:7\tk1\t{"event": "paid"}')
{'received_at': 1795170600000, 'headers': {'X-Id': '7'}, 'body': '{"event": "paid"}'}
>>> record_of_line(b'1) "{\\"event\\": \\"paid\\"}"')
{'event': 'paid'}
>>> copied_cells(b"7\t\\N\ta\\tb")
['7', '\\N', 'a\tb']
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_TIME = re.compile(r"(?:CreateTime|LogAppendTime):([0-9]{10,16})\Z")
_HEADERS = re.compile(r"[\w.-]{1,100}:[^,]*(?:,[\w.-]{1,100}:[^,]*)*\Z")
_PLACE: Final = ("Partition:", "Offset:")
_QUOTED = re.compile(rb"\A(?:[0-9]{1,12}\) )?\"(.*)\"\Z", re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\\\"nrtab])")
_SIGNS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
COPY = re.compile(rb"^COPY (?P<table>\S{1,200}) \((?P<names>[^()\n]{1,8000})\) FROM stdin;\s*$", re.MULTILINE)
_COPIED = re.compile(r"\\(?:([bfnrtv\\])|x([0-9a-fA-F]{1,2})|([0-7]{1,3}))")
_COPY_SIGNS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def record_of_line(line: bytes) -> Mapping[str, Any] | None:
    """The record of a line that is no JSON; None where it is none that is known."""
    if (quoted := _QUOTED.match(line)) is not None:
        return _object(_ESCAPE.sub(_unescaped, quoted[1]))
    return _of_console(line) if b"\t" in line and b"{" in line else None


def copied_cells(line: bytes) -> list[str]:
    r"""The cells of a row as Postgres' ``COPY`` writes it; what is null stays ``\N``."""
    cells = line.decode("utf-8", "replace").split("\t")
    return [cell if cell == "\\N" else _COPIED.sub(_sign, cell) for cell in cells]


def copied_names(names: bytes) -> list[str]:
    """The columns that a ``COPY`` names."""
    return [name.strip().strip('"') for name in names.decode("utf-8", "replace").split(",")]


def _of_console(line: bytes) -> Mapping[str, Any] | None:
    """A record as Kafka's console consumer prints it: time, headers, key and value between tabs, as far as it tells."""
    parts = line.decode("utf-8", "replace").split("\t")
    place = next((number for number, part in enumerate(parts) if part.startswith("{")), None)
    if place is None:
        return None
    record: dict[str, Any] = {}
    for part in parts[:place]:
        if (stamp := _TIME.match(part)) is not None:
            record["received_at"] = int(stamp[1])
        elif _HEADERS.match(part) and not part.startswith(_PLACE) and "headers" not in record:
            record["headers"] = dict(each.split(":", 1) for each in part.split(","))
    return record | {"body": "\t".join(parts[place:])}


def _object(text: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _unescaped(found: re.Match[bytes]) -> bytes:
    sign = found[1]
    return bytes([int(sign[1:], 16)]) if sign[:1] == b"x" else _SIGNS.get(sign, sign)


def _sign(found: re.Match[str]) -> str:
    if found[1] is not None:
        return _COPY_SIGNS[found[1]]
    return chr(int(found[2], 16) if found[2] else int(found[3], 8) & 0xFF)
