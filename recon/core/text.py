"""Text from outside, made safe to print, and counted nouns in their number."""

from __future__ import annotations

from typing import Final

TEXT_MAX: Final = 200


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
