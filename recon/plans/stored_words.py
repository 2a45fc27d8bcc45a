"""How a row was read, in words: from which paths, what stands where no date does, why it cannot be read. Pure.

>>> read_from("tx_hash=blockchain.transactionHash createdAt:text_utc")
['read from tx_hash=blockchain.transactionHash', 'createdAt is stored as text without a zone, read as UTC']
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from recon.core.model import PROBLEMS
from recon.core.stored_times import told_mark

_DATE: Final = "date_unreadable"
_CREATED: Final = "createdAt"


def read_from(paths: str) -> list[str]:
    """The paths that supplied a row's fields, and each time that is stored as something else than a date."""
    words = paths.split()
    told = {word: said for word in words if (said := told_mark(word)) is not None}
    plain = " ".join(word for word in words if word not in told)
    return [*([f"read from {plain}"] if plain else []), *(_said(*each) for each in told.values())]


def problem_words(row: Mapping[str, Any]) -> str:
    """What is wrong with a stored row, with the value that stands where its date should."""
    codes = (row["problem"] or "").split()
    said = {**PROBLEMS, _DATE: _date_words(row) or PROBLEMS[_DATE]}
    return "; ".join(said.get(code, code) for code in codes)


def _date_words(row: Mapping[str, Any]) -> str | None:
    marks = [told for word in (row["paths"] or "").split() if (told := told_mark(word)) is not None]
    found = [said for name, said, is_read in marks if name == _CREATED and not is_read]
    return f"{_CREATED} holds {found[0]}, which is no certain date" if found else None


def _said(name: str, said: str, is_read: bool) -> str:
    return f"{name} is stored as {said}" if is_read else f"{name} holds {said}, which is no certain date"
