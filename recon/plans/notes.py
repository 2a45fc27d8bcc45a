"""What people wrote about the payments of a plan in a sheet of decisions, read back from the files beside the plan.

``recon decide import`` writes such a file. It has no seal: it is shown as what people said, and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recon.core.model import Plan

NOTES_FORMAT: Final = 1
NOTES_SUFFIX: Final = ".notes"
"""No ending of plans, so that a word that names a plan never names notes too."""
_FILES_MAX: Final = 200
_SIZE_MAX_BYTES: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class PlanNote:
    """What one person decided of one payment in a sheet, and why.

    Args:
        decision: ``apply``, ``ack``, ``inspect`` or ``note``.
        reason: May be empty.
        until: UTC time, of an acknowledgement only.
        who: A name as it was given.
        at: UTC time at which the sheet was taken.
        sheet: The file's name.
    """

    payment_id: str
    decision: str
    reason: str
    until: str
    who: str
    at: str
    sheet: str


@dataclass(frozen=True, slots=True)
class PlanNotes:
    """The notes that lie beside a plan, oldest first, and the files that could not be read, with why."""

    by_payment: Mapping[str, tuple[PlanNote, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def of(self, payment: str) -> tuple[PlanNote, ...]:
        """The notes on one payment."""
        return self.by_payment.get(payment, ())


NO_NOTES: Final = PlanNotes()
"""Nobody decided anything in a sheet, or nobody looked."""


def notes_beside(plan: Plan, *, folder: Path) -> PlanNotes:
    """The notes in a folder that are on a plan, or on the one that it was selected from.

    Args:
        folder: That of the plan's file. At most the 200 files of the latest names are read.
    """
    found: list[PlanNote] = []
    unread: list[str] = []
    for path in sorted(folder.glob(f"*{NOTES_SUFFIX}"))[-_FILES_MAX:]:
        try:
            found += _notes_in(path, plan)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not as it was written"
            unread.append(f"{path.name} could not be read ({why})")
    by_payment: dict[str, list[PlanNote]] = {}
    for note in sorted(found, key=lambda each: (each.at, each.sheet, each.payment_id)):
        by_payment.setdefault(note.payment_id, []).append(note)
    return PlanNotes({payment: tuple(notes) for payment, notes in by_payment.items()}, tuple(unread))


def _notes_in(path: Path, plan: Plan) -> Iterator[PlanNote]:
    if path.stat().st_size > _SIZE_MAX_BYTES:
        raise ValueError(path.name)
    held: Mapping[str, Any] = json.loads(path.read_bytes())
    if held["format"] != NOTES_FORMAT:
        raise ValueError(held["format"])
    if plan.digest not in (held["plan"], held["decided_plan"]) and held["plan"] != plan.parent:
        return
    said = {"who": _text(held["who"]), "at": _text(held["at"]), "sheet": _text(held["sheet"]["name"])}
    for row in held["decisions"]:
        texts = {name: _text(row[name]) for name in ("payment_id", "decision", "reason")}
        yield PlanNote(**texts, **said, until=_text(row.get("until", "")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
