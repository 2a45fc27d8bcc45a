"""``$NAME`` and ``${NAME...}`` as Docker Compose fills them in, in its own files and in the dotenv files it reads.

What stands in the ``.env`` beside the Compose file is known; what the shell sets is not. So a name that is nowhere has
its default where one is written, and is a doubt where none is: the shell may well set it, and nobody here can tell.

>>> fill("${MODE:-live} $$5", {}).text
'live $5'
>>> fill("$MODE", {}).doubt
'it takes its value from MODE, which is not set here'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

DEPTH_MAX: Final = 20
NAMES_MAX: Final = 200
_FORM: Final = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-?+]|\}))")


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its names filled in.

    Args:
        doubt: Why the text cannot be told; empty where it can.
        names: The names that it takes values from, in order.
    """

    text: str
    doubt: str = ""
    names: tuple[str, ...] = ()


def fill(text: str, known: Mapping[str, str | None]) -> Filled:
    """Fill a text in.

    Args:
        known: What is set here, by name; None is a name whose value cannot be told.
    """
    return _fill(text, known, depth=0)


def _fill(text: str, known: Mapping[str, str | None], *, depth: int) -> Filled:
    if "$" not in text:
        return Filled(text)
    if depth > DEPTH_MAX or text.count("$") > NAMES_MAX:
        return Filled(text, "it takes too many values from elsewhere")
    parts: list[str] = []
    doubts: list[str] = []
    names: list[str] = []
    place = 0
    while (found := _FORM.search(text, place)) is not None:
        parts.append(text[place : found.start()])
        place = found.end()
        if found[0] == "$$":
            parts.append("$")
            continue
        name, sign, rest = found[1] or found[2], "", ""
        if found[3] not in (None, "}"):
            end = _closing(text, place)
            if end < 0:
                return Filled(text, "it has a ${ that is not closed", tuple(names))
            sign, rest, place = found[3], text[place:end], end + 1
        one = _one(name, sign, rest, known, fill_in=lambda inner: _fill(inner, known, depth=depth + 1))
        parts.append(one.text)
        doubts += [one.doubt] if one.doubt else []
        names += one.names
    parts.append(text[place:])
    return Filled("".join(parts), doubts[0] if doubts else "", tuple(names))


def _one(
    name: str, sign: str, rest: str, known: Mapping[str, str | None], *, fill_in: Callable[[str], Filled]
) -> Filled:
    """What one name with its sign (``-``, ``?``, ``+``, each with or without ``:``) becomes."""
    if name in known and known[name] is None:
        return Filled("", f"it takes its value from {name}, which cannot be told", (name,))
    value = known.get(name)
    is_set = bool(value) if sign.startswith(":") else value is not None
    if sign.endswith("+"):
        inner = fill_in(rest) if is_set else Filled("")
        return Filled(inner.text, inner.doubt, (name, *inner.names))
    if is_set or (value is not None and not sign):
        return Filled(value or "", "", (name,))
    if sign.endswith("-"):
        inner = fill_in(rest)
        return Filled(inner.text, inner.doubt, (name, *inner.names))
    return Filled("", f"it takes its value from {name}, which is not set here", (name,))


def _closing(text: str, start: int) -> int:
    """Where the brace that was opened before ``start`` is closed; -1 where it is not."""
    depth, place = 1, start
    while place < len(text):
        if text.startswith("${", place):
            depth, place = depth + 1, place + 2
            continue
        if text[place] == "}":
            depth -= 1
            if not depth:
                return place
        place += 1
    return -1
