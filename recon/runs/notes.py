"""What one run tells the journal: intents before its writes, outcomes after them, always under its lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from recon.core.errors import RefusedError
from recon.core.times import millisecond_text
from recon.runs.states import RowResult
from recon.runs.stopping import CredentialLostError
from recon.runs.stores.journal import Journal, Note
from recon.runs.stores.lease import Lease


class Announced(Protocol):
    """What a run announces before it writes: a change of a payment, or a deed of a repair."""

    @property
    def id(self) -> str:
        """Its name within its plan."""

    @property
    def payment_id(self) -> str:
        """What it is about; no other run writes to that while it is open."""


@dataclass(slots=True, kw_only=True)
class RunNotes:
    """The journal as one run writes it.

    Args:
        step: Called before and after each insert, with its name.
        announced: Changes whose intent is in the journal, or may be, and whose outcome is not yet.
        head: Hash of the last entry of this run; None before the first.
    """

    run: str
    journal: Journal
    lease: Lease
    clock: Callable[[], datetime]
    step: Callable[[str], None]
    announced: set[str] = field(default_factory=set)
    head: str | None = None
    _late: list[Note] = field(default_factory=list)

    def note(self, kind: str, body: Mapping[str, Any], *, change: Announced | None = None) -> Note:
        """A journal note of this run, at this moment."""
        name, payment = (None, None) if change is None else (change.id, change.payment_id)
        return Note(self.run, kind, millisecond_text(self.clock()), body, self.lease.token, name, payment)

    def append(self, notes: Sequence[Note]) -> None:
        """Append to the journal under the lease.

        Raises:
            CredentialLostError: The journal began to refuse the run midway.
            StoppedError: The lease is lost, or the journal gives no usable answer.
        """
        if not notes:
            return
        self.lease.check()
        # Announced from here on: if the answer is lost, the entries may be there all the same.
        self.announced.update(note.change for note in notes if note.kind == "intent" and note.change is not None)
        self.step("journal.append:before")
        try:
            self.head = self.journal.append(notes)[-1].hash
        except RefusedError as error:
            if self.head is None:
                raise  # Nothing of this run is in the journal yet, so nothing was written either.
            raise CredentialLostError(cause=error) from error
        self.announced.difference_update(note.change for note in notes if note.kind == "outcome")
        self.step("journal.append:after")

    def keep_outcome(self, row: RowResult, *, change: Announced) -> None:
        """Keep what became of a row for the next :meth:`append_outcomes`."""
        self._late.append(self.note("outcome", outcome_body(row), change=change))

    def append_outcomes(self, *, then: Sequence[Note] = ()) -> None:
        """Append the outcomes kept so far, and in the same insert what follows them."""
        self.append([*self._late, *then])
        self._late = []


def outcome_body(row: RowResult) -> dict[str, Any]:
    """What the journal keeps of a row's result."""
    body: dict[str, Any] = {"result": row.result.value, "reason": row.reason}
    if row.moved:
        body["moved"] = [[each.path, each.reviewed, each.planned, each.now] for each in row.moved]
    if row.code is not None:
        body["code"] = row.code
    return body
