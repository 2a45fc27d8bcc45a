"""Keys inside columns of JSON: which of them the text of a column tells, so that the database can look for them.

A hash, a reference or an id stands in the text of a tree letter by letter, however deep, in whichever array and in
capitals or not. Looking for it there leaves out no row that has it; rows that hold it elsewhere are sorted out after.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

KEYS_IN_TREES: Final = 20
"""So many keys are looked for in the text of each row; for more, reading the table once costs less."""

TOLD_FIELDS: Final = frozenset({"tx_hash", "reference", "request_id", "external_id", "order_id", "buyer_id"})
"""An address is not among them: some chains write one in several alphabets."""

_PLAIN: Final = re.compile(r"[0-9A-Za-z_.:+=-]{1,500}\Z")
ESCAPED: Final = "\\u00"
"""What a letter that needs no escape may be written by nevertheless."""


def is_told_by_text(field: str, keys: Sequence[str]) -> bool:
    """Whether every row that has one of the keys in a tree holds it letter by letter.

    >>> is_told_by_text("external_id", ["order-7"]), is_told_by_text("external_id", ["café"])
    (True, False)
    """
    return field in TOLD_FIELDS and all(_PLAIN.match(key) for key in keys)


def any_of_texts(text: ColumnElement[str], keys: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a text, lowered, holds one of the keys or a letter that is escaped without need."""
    import sqlalchemy as sa

    lowered = sa.func.lower(text)
    bare = [key.removeprefix("0x").lower() for key in keys]
    return sa.or_(*(lowered.contains(each, autoescape=True) for each in (*bare, ESCAPED)))
