"""Text from outside made safe to print; amounts and counted nouns as people read them."""

from __future__ import annotations

import re
from typing import Final

TEXT_MAX: Final = 200
_DECIMALS: Final = 2
_AMOUNT = re.compile(r"(-?)([0-9]+)(\.[0-9]+)?( .*)?\Z")
_AMOUNT_IN_PROSE = re.compile(
    r"(?<![\w.,-])[0-9]{1,60}\.[0-9]{1,60}(?= (?:of [0-9]{1,60}(?:\.[0-9]{1,60})? )?[A-Z][A-Z0-9]{2,11}(?:\.e)?\b)"
)
_UNITS: Final = (" base units", " units")


def clean_text(value: object, *, limit: int = TEXT_MAX) -> str:
    """Outside text made safe to keep and show: one line, no control characters or lone surrogates, bounded."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= limit and text.isprintable():
        return " ".join(text.split()) if " " in text else text
    text = text[: limit * 4].encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape_markdown(text: str, *, signs: str) -> str:
    """Clean text with a backslash before each of these signs, and no address that becomes a link.

    >>> escape_markdown("a|b https://x.io", signs="|")
    'a\\\\|b https:\\u200b//x.io'
    """
    escaped = "".join(f"\\{character}" if character in signs else character for character in text)
    return escaped.replace("://", ":\u200b//")


def count_text(count: int, one: str, *, many: str = "") -> str:
    """How many of something there are, with the noun in its number, and the verb where it follows.

    >>> [count_text(1, "row"), count_text(0, "row"), count_text(2000, "entry is", many="entries are")]
    ['1 row', '0 rows', '2,000 entries are']

    Args:
        many: For any number but one; ``one`` with an ``s`` when not given.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def group_digits(text: str) -> str:
    """Thousands set apart by commas in the whole part of an amount; anything else comes back as it is.

    >>> group_digits("-1234567.5 USDC")
    '-1,234,567.5 USDC'
    """
    found = _AMOUNT.match(text)
    return f"{found[1]}{int(found[2]):,}{found[3] or ''}{found[4] or ''}" if found and len(found[2]) < 80 else text


def short_amount(text: str) -> str:
    """An amount for people: thousands apart, two decimals or as many as matter, cut and never rounded up.

    Nothing at all stays ``0``, and base units of a token whose decimals nobody knows stay whole.

    >>> [short_amount(text) for text in ("98512.790983 USDC", "12.5 USDC", "99.999999 USDC", "-0.000123 USDC", "0")]
    ['98,512.79 USDC', '12.50 USDC', '99.99 USDC', '-0.00012 USDC', '0']
    """
    found = _AMOUNT.match(text)
    if found is None or (found[4] or "").startswith(_UNITS):
        return group_digits(text)
    sign, whole, decimals, symbol = found.groups(default="")
    fraction = decimals.removeprefix(".").rstrip("0")
    if not fraction and not whole.strip("0"):
        return group_digits(text)
    zeros = len(fraction) - len(fraction.lstrip("0"))
    kept = _DECIMALS if whole.strip("0") or zeros < _DECIMALS else zeros + _DECIMALS
    return group_digits(f"{sign}{whole}.{fraction[:kept].ljust(_DECIMALS, '0')}{symbol}")


def short_amounts(text: str) -> str:
    """Prose with its amounts as :func:`short_amount` gives them; whole where two would look the same and are not.

    >>> short_amounts("The chain proves 8815.1999 of 9000.5 USDC.")
    'The chain proves 8,815.19 of 9,000.50 USDC.'
    >>> short_amounts("The chain proves 24.999999 of 24.99 USDC.")
    'The chain proves 24.999999 of 24.99 USDC.'
    """
    given = {found[0] for found in _AMOUNT_IN_PROSE.finditer(text)}
    if len({short_amount(number) for number in given}) < len(given):
        return text
    return _AMOUNT_IN_PROSE.sub(lambda found: short_amount(found[0]), text)
