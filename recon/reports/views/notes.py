"""The notes that people made on a payment in a sheet of decisions, as a table and as lines."""

from __future__ import annotations

from recon.plans.notes import PlanNote, PlanNotes
from recon.reports.model import Column, Table

_COLUMNS = (
    Column("at", "when", "time"),
    Column("who", "who"),
    Column("decision", "decision"),
    Column("reason", "reason", "prose"),
    Column("until", "until", "time"),
    Column("sheet", "sheet"),
)
CLAIMED = "Who decided is a name as it was given: a claim that nobody checked."


def note_tables(notes: PlanNotes, payment: str) -> tuple[Table, ...]:
    """What was decided of a payment in sheets, oldest first; no table where nothing was."""
    rows = tuple((each.at, each.who, each.decision, each.reason, each.until, each.sheet) for each in notes.of(payment))
    return (Table("notes", "Decided in a sheet", _COLUMNS, rows, note=CLAIMED),) if rows else ()


def note_line(note: PlanNote) -> str:
    """One note as a sentence of the page and of the review in the terminal."""
    until = f" until {note.until}" if note.until else ""
    why = f": {note.reason}" if note.reason else ""
    return f"{note.at} {note.who} ({note.sheet}): {note.decision}{until}{why}"
