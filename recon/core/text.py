"""Text from outside, made safe to print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    pass

TEXT_MAX: Final = 200


def clean_text(value: object, *, limit: int = TEXT_MAX) -> str:
    """Outside text made safe to keep and show: one line, no control characters or lone surrogates, bounded."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= limit and text.isprintable():
        return " ".join(text.split()) if " " in text else text
    text = text[: limit * 4].encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
