"""The options of an apply as one line, named as those of the command: ``--changes-max 800 --accept-unhealthy "why"``.

Each has the bounds that the command line has, so that nothing which is refused there goes through here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

from recon.core.errors import UsageError
from recon.desk.query import UnknownWordError

NUMBERS: Final[dict[str, tuple[int, int | None]]] = {
    "changes-max": (0, None), "share-max": (0, 100), "refusals-max": (0, None), "plan-age-max": (0, None),
    "canary": (0, None), "in-flight": (1, 200),
}  # fmt: skip
"""Options that take a whole number, with the least and the largest."""
TEXTS: Final = ("accept-unhealthy", "resume")
AMOUNT_OPTIONS: Final = ("value-max", "value-max-per-payment")
SWITCHES: Final = ("all-or-nothing", "backend-reconciles")
_KNOWN: Final = (*NUMBERS, *TEXTS, *AMOUNT_OPTIONS, *SWITCHES)


class OptionLineError(UsageError):
    """The line of options cannot be read."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f'{why}; nothing was written. Options are written as for "recon apply".')


def parse_choices(line: str) -> dict[str, Any]:
    """The options of a line, named as the library names them.

    Raises:
        UnknownWordError: An option is not known; the nearest is told.
        OptionLineError: A value is missing, or is out of its bounds.
    """
    try:
        words = iter(shlex.split(line))
    except ValueError as error:
        raise OptionLineError(why="A quotation mark is not closed") from error
    choices: dict[str, Any] = {}
    for word in words:
        name, _, given = word.partition("=") if word.startswith("--") else (word, "", "")
        name = name.removeprefix("--")
        if not word.startswith("--") or name not in _KNOWN:
            raise UnknownWordError(what="option", word=word, known=[f"--{known}" for known in _KNOWN])
        key = name.replace("-", "_")
        if name in SWITCHES:
            choices[key] = True
            continue
        value = given or next(words, "")
        if name in AMOUNT_OPTIONS:
            choices.setdefault(key, []).append(_text(name, value))
        else:
            choices[key] = _number(name, value) if name in NUMBERS else _text(name, value)
    return choices


def _text(name: str, value: str) -> str:
    if not value.strip() or value.startswith("--"):
        raise OptionLineError(why=f"--{name} wants a value")
    return value


def _number(name: str, value: str) -> int:
    low, high = NUMBERS[name]
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else -1
    if number < low or (high is not None and number > high):
        raise OptionLineError(why=f"--{name} wants a whole number {_span(low, high)}")
    return number


def _span(low: int, high: int | None) -> str:
    return f"from {low} to {high}" if high is not None else f"of at least {low}"


def choice_names() -> Iterator[str]:
    """The options that are known, for the help of the line."""
    yield from (f"--{name}" for name in _KNOWN)
