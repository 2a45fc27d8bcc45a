"""Text for people and for spreadsheets: outside text made harmless, amounts, ages and stored values made readable.

What comes from outside may hold control characters, terminal escapes and marks that turn the reading direction; on
screen each becomes a visible sign; the kept evidence stays unchanged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from recon.core.model import MISSING
from recon.core.money import format_units
from recon.core.times import millisecond_text

TEXT_MAX: Final = 2000
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?\Z")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def display_text(value: object, *, length_max: int = TEXT_MAX) -> str:
    """One line of text that cannot steer a terminal or turn the line around.

    Control, format, surrogate and private characters, bidirectional marks among them, become U+FFFD; every kind of
    line break and space becomes one space; longer text is cut with an ellipsis.

    >>> display_text("paid" + chr(27) + "[2J" + chr(0x202E) + "x")
    'paid\ufffd[2J\ufffdx'
    """
    text = str(value)[: length_max + 1]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_visible(character) for character in text)
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("Z") or character in "\t\n\r":
        return " "
    return UNREADABLE if category.startswith("C") else character


def shell_word(text: str) -> str:
    """Text as one word of a command that a person can paste."""
    import shlex

    return shlex.quote(display_text(text))


def csv_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: a quote before whatever begins like one and is no number.

    Nothing is cut: what a person decides by must be whole.

    >>> [csv_cell("=1+1"), csv_cell("-12.5"), csv_cell("ok")]
    ["'=1+1", '-12.5', 'ok']
    """
    whole = str(value)
    text = display_text(whole, length_max=len(whole))
    begins = text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if begins and not _NUMBER.match(text) else text


def amount_text(units: int, *, decimals: int | None, symbol: str | None) -> str:
    """Base units as an amount with its token; without decimals the units themselves are named as such."""
    if decimals is None or not 0 <= decimals <= 77:
        return f"{units} base units" + (f" of {symbol}" if symbol else "")
    return f"{format_units(units, decimals=decimals)} {symbol or '?'}"


def age_text(seconds: int | None) -> str:
    """An age in its two largest units.

    >>> [age_text(95), age_text(3 * 86400 + 7200), age_text(None)]
    ['1 min 35 s', '3 d 2 h', '']
    """
    if seconds is None:
        return ""
    parts: list[str] = []
    sign, left = ("-" if seconds < 0 else ""), abs(seconds)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
    return sign + " ".join(parts[:2])


def value_text(value: Any) -> str:
    """A stored value (canonical Extended JSON) as a person would say it, type included where it matters.

    >>> value_text({"$numberInt": "12"}), value_text({"$recon": "missing"}), value_text(None)
    ('12', 'not there', 'null')
    """
    if isinstance(value, Mapping):
        if dict(value) == MISSING:
            return "not there"
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in ("$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$oid"):
                return display_text(inner)
            if key == "$date":
                return _date_text(inner)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return display_text(value)


def _date_text(inner: Any) -> str:
    from datetime import UTC, datetime

    number = inner.get("$numberLong") if isinstance(inner, Mapping) else inner
    try:
        moment = datetime.fromtimestamp(int(str(number)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return display_text(number)
    return millisecond_text(moment)


def chain_text(chain_id: str) -> str:
    """A chain id with the name of its chain where that is known."""
    from recon.core.registry import load_registry
    from recon.core.registry.off_chain import OFF_CHAIN, OFF_CHAIN_NAME

    if chain_id == str(OFF_CHAIN):
        return OFF_CHAIN_NAME
    facts = load_registry().chains.get(int(chain_id)) if chain_id.isdecimal() and len(chain_id) < 20 else None
    return f"{chain_id} {facts.name}" if facts else chain_id
