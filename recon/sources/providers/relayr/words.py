"""Relayr's words for the state of one transaction of a bundle, in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DONE: Final = frozenset({"success", "completed"})
"""The transaction did what it was for."""

OVER: Final = frozenset({"reverted", "cancelled", "invalid", "failed"})
"""Nothing more comes of the transaction."""

OPEN: Final = frozenset({"pending", "mempool", "included", "resend", "cancel"})
"""It may still succeed: ``Included`` is in a block that is not final, ``Resend`` and ``Cancel`` are under way."""

STATE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(sorted(DONE), "paid"),
    **dict.fromkeys(sorted(OVER), "failed"),
    **dict.fromkeys(sorted(OPEN), "processing"),
}
