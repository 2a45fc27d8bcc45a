"""``audit``: everything that moved value between two times, by whom and against which evidence."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, Place, settings_of
from recon.api.naming import snapshot_place
from recon.core.errors import ReconError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from datetime import datetime

    from recon.investigation.audit import Audit, LedgerEntry, LedgerReach
    from recon.investigation.payment.dossier import Row
    from recon.investigation.payment.gather import Asking
    from recon.investigation.payment.outgoing import Outgoing
    from recon.rails.flags.journal import FlagEntry
    from recon.runs.stores.journal import JournalEntry
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.snapshots.take import SourceSet
    from recon.sources.interface import Progress


def audit(
    from_at: Moment,
    to_at: Moment | None = None,
    *,
    before: Place | None = None,
    config: Config = None,
    progress: Progress = no_progress,
) -> Audit:
    """List what moved value between two times, unusual first; see ``recon audit``. Nothing is written.

    Args:
        from_at: Included. ``to_at``: excluded; the time of this run when not given.
        before: The snapshot that says what rows were before; the newest one taken at or before ``from_at`` otherwise.

    Raises:
        WindowError: The window ends before it begins.
        SourceError: The payments cannot be read.
    """
    from recon.core.times import to_ms
    from recon.investigation.audit import Audit, AuditSources, audit_events, audit_limits, state_totals
    from recon.investigation.payment.outgoing import judge_changes
    from recon.setup.file import WindowError
    from recon.setup.open_sources import open_sources

    settings = settings_of(config)
    now = settings.now()
    start, end = resolve_moment(from_at, now=now), resolve_moment(to_at, now=now) or now
    assert start is not None, "only no moment resolves to none"
    if end <= start:
        raise WindowError(from_at=start, to_at=end)
    unread: list[str] = []
    earlier, name = _earlier(before, settings, start=start)
    with open_sources(settings) as sources:
        asking = _asking_of(settings, progress)
        changes = judge_changes(sources, since=start, asking=asking)
        sent = _sent(sources, asking, start=start, unread=unread)
    unread += changes.unread
    plan, rows = changes.plan, changes.payments.to_pylist()
    # Without an end the list goes up to this very moment, and what was written in it belongs there.
    terms = {"from_ms": to_ms(start), "to_ms": to_ms(end) + (to_at is None)}
    journal, flags = _journal(settings, unread), _flags(settings, unread)
    booked = _entries(settings, from_ms=terms["from_ms"], rows=[*earlier, *rows], unread=unread)
    read = AuditSources(rows, earlier, sent, journal, flags, plan, entries=booked)
    return Audit(
        **terms,
        events=audit_events(read, **terms),
        totals=state_totals(read, **terms),
        plan=plan,
        before=name,
        unread=tuple(dict.fromkeys(unread)),
        unsaid=tuple(
            audit_limits(
                read,
                before=name,
                window=(terms["from_ms"], terms["to_ms"]),
                ledger=_ledger_reach(settings),
            )
        ),
    )


def _ledger_reach(settings: Settings) -> LedgerReach:
    given = settings.values.ledger
    return "none" if given.collection is None else "unmapped" if given.mapping() is None else "read"


def _entries(settings: Settings, *, from_ms: int, rows: Iterable[Row], unread: list[str]) -> list[LedgerEntry]:
    """The entries that were appended to the backend's own ledger since a time."""
    from recon.core.values import STAMP, value_at
    from recon.investigation.audit import LedgerEntry
    from recon.setup.open_sources import Opening, kept_open
    from recon.sources.ledger.entries import EntryReader, PaymentFacts, payment_named, text_at

    names = ("payment_id", "chain_id", "token", "decimals", "currency")
    facts = {row["payment_id"]: PaymentFacts(**{name: row[name] for name in names}) for row in rows}
    found: list[LedgerEntry] = []
    with ExitStack() as stack:
        try:
            opening = Opening(settings)
            source = kept_open(stack, opening.ledger())
            if source is None:
                return []
            mapping, reader = source.mapping, EntryReader(source.mapping, opening.registry)
            for document in (each for batch in source.scan(from_ms) for each in batch):
                known = (facts[name] for name in payment_named(document, mapping) if name in facts)
                row = reader.row(document, next(known, None), reach="window")
                by = text_at(document, mapping.by) or ""
                found.append(LedgerEntry(row, by, is_ours=isinstance(value_at(document, STAMP), str)))
        except ReconError as error:
            unread.append(f"the ledger: {error}")
    return found


def _asking_of(settings: Settings, progress: Progress) -> Asking:
    from recon.investigation.payment.gather import Asking

    return Asking(settings.policy(), settings.registry(), settings.now(), progress=progress)


def _sent(sources: SourceSet, asking: Asking, *, start: datetime, unread: list[str]) -> list[Outgoing]:
    from recon.investigation.payment.outgoing import list_outgoing

    found = list_outgoing(sources, since=start, asking=asking)
    unread += found.unread
    return list(found)


def _earlier(before: Place | None, settings: Settings, *, start: datetime) -> tuple[list[Row], str]:
    """The rows of the snapshot of before, and how people name it; none where there is none."""
    from recon.core.times import ms_text
    from recon.snapshots.address import opened

    with ExitStack() as stack:
        taken: Snapshot | None
        if before is not None:
            place = snapshot_place(before, config=settings)
            taken = stack.enter_context(opened(place, engine=None))
        else:
            taken = _newest_before(settings, start=start)
        if taken is None:
            return [], ""
        rows: list[Row] = taken.table("payments").to_pylist()
        return rows, f"snapshot {taken.digest[:12]} of {ms_text(taken.taken_at_ms)}"


def _newest_before(settings: Settings, *, start: datetime) -> Snapshot | None:
    """The newest whole snapshot that was taken at or before a time; one that was changed since is passed over."""
    from recon.core.times import to_ms
    from recon.snapshots.sealed import MANIFEST, open_snapshot, read_manifest

    found: list[tuple[int, int, Path]] = []
    for manifest in settings.output_dir.glob(f"*/{MANIFEST}"):
        try:
            _, said = read_manifest(manifest.read_text(encoding="utf-8"), path=manifest.parent)
        except (ReconError, OSError, ValueError):
            continue
        if said["taken_at_ms"] <= to_ms(start):
            found.append((said["taken_at_ms"], int(said["tables"]["payments"]["rows"]), manifest.parent))
    for _, _, folder in sorted(found, reverse=True):
        try:
            return open_snapshot(folder)
        except ReconError:
            continue
    return None


def _journal(settings: Settings, unread: list[str]) -> list[JournalEntry]:
    from recon.setup.open_runs import read_journal

    try:
        return list(read_journal(settings))
    except ReconError as error:
        unread.append(f"the reconciliation journal: {error}")
        return []


def _flags(settings: Settings, unread: list[str]) -> tuple[FlagEntry, ...]:
    from recon.rails.flags.journal import FILE_NAME, FlagJournal

    try:
        return FlagJournal(settings.output_dir / FILE_NAME).read()
    except ReconError as error:
        unread.append(f"the flags journal: {error}")
        return ()
