"""What was asked of each source and what it gave, as a table that begins with what was not checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recon.core.text import count_text
from recon.core.times import ms_text
from recon.reports.model import Column, Table

CANNOT_TELL: Final = "cannot tell"


NOT_ASKED: Final = "An undo rests on the journal alone."


def coverage_table(coverage: Sequence[Mapping[str, Any]], *, is_undo: bool = False) -> Table:
    """The coverage rows, incomplete ones first, with what each did not read and why.

    Args:
        is_undo: The plan takes a run back: it rests on the journal, and no source is asked for it.
    """
    columns = (Column("source", "source"), Column("scope", "scope"), Column("complete", "complete"),
               Column("asked", "asked", wide=True), Column("done", "really read", wide=True),
               Column("calls", "calls", "count"), Column("items", "items", "count"),
               Column("problem", "what was not checked, and why", "prose"))  # fmt: skip
    rows = tuple(_coverage_row(row) for row in sorted(coverage, key=_gaps_first))
    missing = sum(not row.get("complete", False) for row in coverage)
    note = (
        f"{missing} of {len(rows)} were not read completely. Whatever needs what is missing there is called unproven "
        "or lookup_failed, never unpaid."
        if missing
        else f"Everything that was asked for was read ({count_text(len(rows), 'reading')})."
    )
    title = "What was checked, and what was not"
    empty = NOT_ASKED if is_undo else f"{CANNOT_TELL}: no reading of any source is recorded"
    return Table("coverage", title, columns, rows, note=note if rows else "", empty=empty, shown=missing)


def is_whole(coverage: Sequence[Mapping[str, Any]]) -> bool:
    """Whether readings are recorded, and every one of them gave all that was asked of it."""
    return bool(coverage) and all(row.get("complete", False) for row in coverage)


def _gaps_first(row: Mapping[str, Any]) -> tuple[bool, str, str]:
    return bool(row.get("complete")), str(row.get("source", "")), str(row.get("scope", ""))


def _coverage_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    unit = str(row.get("unit") or "ms")
    return (
        str(row.get("source", "?")),
        str(row.get("scope", "")),
        "yes" if row.get("complete") else "NO",
        _range_text(row.get("asked_from"), row.get("asked_to"), unit),
        _range_text(row.get("done_from"), row.get("done_to"), unit),
        str(row.get("calls") or 0),
        str(row.get("items") or 0),
        str(row.get("problem") or ""),
    )


def _range_text(start: Any, end: Any, unit: str) -> str:
    if start is None and end is None:
        return ""
    if unit == "block":
        return f"{'?' if start is None else start}..{'?' if end is None else end}"
    return f"{moment_text(start)}..{moment_text(end)}"


def moment_text(value: Any) -> str:
    """UTC milliseconds as a time to the second; ``?`` for none."""
    return "?" if value is None else ms_text(int(value))
