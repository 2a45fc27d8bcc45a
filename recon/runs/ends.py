"""Whether the journal still ends where it ended: by the stamps in the rows, and by heads that were noted elsewhere.

A chain shows what was changed or taken out of its middle, and never that its end is gone. A row that carries the stamp
of a change which the journal does not know was written by an entry that is lost; a noted head that is not in the chain
says how far it once reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError
from recon.core.times import millisecond_text
from recon.files import GENESIS, ChainedLog
from recon.plans.approvals import JournalHead, head_of
from recon.runs.states import list_runs, read_run
from recon.runs.stores.journal import Journal
from recon.runs.stores.payments import PaymentWriter

HEADS_FILE: Final = "journal-heads.ndjson"
STAMPS_SHOWN: Final = 3


class CutRunError(RefusedError):
    """The journal has lost entries of a run, so that nobody knows all that it wrote."""

    def __init__(self, *, run: str, lost: Sequence[Stamped]) -> None:
        super().__init__(
            f"The journal's entries of run {run} end early: {stamps_text(lost)} it knows nothing of; no plan was made, "
            'for it would leave them as the run wrote them. Bring the journal back from a copy ("recon journal verify" '
            "says whether its end is there), or correct these rows with a plan of their own."
        )


class ChangedHeadsError(RefusedError):
    """The log of noted ends was changed."""

    def __init__(self, *, line: int) -> None:
        super().__init__(
            f"{HEADS_FILE}: line {line}, or the one before it, was changed or taken out, so how far the journal once "
            "reached is not known from it. Keep the file as evidence and move it aside; decision records note ends too."
        )


@dataclass(frozen=True, slots=True)
class Stamped:
    """A row that carries the stamp of a run's change."""

    payment_id: str
    run: str
    change: str

    @property
    def stamp(self) -> str:
        """The mark as the row holds it."""
        return f"{self.run}/{self.change}"


def stamped_rows(writer: PaymentWriter, *, run: str | None = None) -> tuple[Stamped, ...]:
    """The rows whose last writer was a run, or one run; none where a store cannot look for stamps.

    Raises:
        StoreGoneError: The store does not answer.
    """
    look = getattr(writer, "stamps", None)
    found = []
    for payment, stamp in look(run) if look is not None else ():
        name, _, change = str(stamp).rpartition("/")
        if name and (run is None or name == run):
            found.append(Stamped(payment, name, change))
    return tuple(sorted(found, key=lambda each: (each.run, each.payment_id)))


def orphaned_rows(journal: Journal, stamped: Iterable[Stamped]) -> dict[str, list[Stamped]]:
    """By run, the rows that carry a stamp of it which the journal does not know."""
    lost: dict[str, list[Stamped]] = {}
    runs = {summary.run for summary in list_runs(journal)}
    known: dict[str, set[str]] = {}
    for each in stamped:
        if each.run not in known:
            states = read_run(journal, each.run, with_intents=False).changes.values() if each.run in runs else ()
            known[each.run] = {state.change for state in states if state.intent is not None}
        if each.change not in known[each.run]:
            lost.setdefault(each.run, []).append(each)
    return lost


def check_not_cut(journal: Journal, *, run: str, writer: PaymentWriter) -> None:
    """Refuse a run of which the rows know more than the journal.

    Raises:
        CutRunError: See the class.
    """
    lost = orphaned_rows(journal, stamped_rows(writer, run=run))
    if run in lost:
        raise CutRunError(run=run, lost=lost[run])


def stamps_text(lost: Sequence[Stamped]) -> str:
    """How many rows carry stamps, with the first of them."""
    shown = ", ".join(f"{each.payment_id} ({each.stamp})" for each in lost[:STAMPS_SHOWN])
    more = f" and {len(lost) - STAMPS_SHOWN} more" if len(lost) > STAMPS_SHOWN else ""
    carry = "row carries" if len(lost) == 1 else "rows carry"
    return f"{len(lost)} {carry} a stamp of it, {shown}{more}, that"


def journal_head(journal: Journal, *, name: str) -> JournalHead:
    """The end of a journal as it is now; entry 0 with the hash of nothing where it is empty.

    Args:
        name: Which journal it is.
    """
    end = getattr(journal, "end", None)
    if end is not None:
        seq, digest = end()
        return JournalHead(seq, digest, name)
    head = JournalHead(0, GENESIS, name)
    for seq, _, digest, _ in journal.lines():
        head = JournalHead(seq, digest, name)
    return head


def journal_name(writer: PaymentWriter) -> str:
    """Which journal it is: that of one collection, by its database and UUID."""
    found = writer.identity()
    return f"{found.database}:{found.collection_uuid or found.collection}"


def note_head(folder: Path, head: JournalHead, *, at: datetime, run: str | None = None) -> None:
    """Note the end of a journal in a log of such ends, away from the database.

    Args:
        run: The run that ended there, for people who look for its name.

    Raises:
        NoRoomError: The disk is full; the log is as it was.
    """
    ChainedLog(folder / HEADS_FILE).add(
        {"format": 1, "at": millisecond_text(at), **asdict(head), **({} if run is None else {"run": run})}
    )


def noted_heads(folder: Path) -> Iterator[tuple[str, JournalHead]]:
    """The ends that were noted in the log, each with its place there.

    Raises:
        ChangedHeadsError: A line was changed or taken out, so that nobody knows how far the journal once reached.
    """
    for line in ChainedLog(folder / HEADS_FILE).entries():
        if not line.follows:
            raise ChangedHeadsError(line=line.number)
        body: dict[str, Any] = dict(line.body or {})
        if (head := head_of(body)) is not None:
            yield f"line {line.number} of {HEADS_FILE}", head
