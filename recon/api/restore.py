"""``restore check``: what a restored dump did to rows, runs, flags and webhooks, and in which order to put it right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, Place, settings_of
from recon.api.naming import plan_of
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from recon.core.model import Plan
    from recon.repairs.restores import Delivered, Restored, WrittenRow
    from recon.setup.open_runs import Ledger
    from recon.setup.settings import Settings


def check(config: Config = None, *, dump_time: Moment | None = None, plan: Plan | Place | None = None) -> Restored:
    """Say what a restore did, as far as journal, rows, flags and deliveries tell; see ``recon restore check``.

    Nothing is written.

    Args:
        dump_time: When the dump was taken; found from the journal where it is not given.
        plan: A plan of corrections made after the restore, whose payments need no replay of their webhooks.

    Raises:
        SourceError: The database or its journal cannot be read.
        BrokenRecordError, ChangedHeadsError: What was noted of the journal elsewhere was changed.
    """
    from recon.repairs.restores import Restored, dump_bounds, journal_gap, judged_rows, stamps_by_record, written_rows
    from recon.runs.ends import orphaned_rows, stamped_rows
    from recon.setup.open_runs import noted_ends, open_ledger

    settings = settings_of(config)
    taken = resolve_moment(dump_time, now=settings.now())
    told = () if plan is None else _credited(plan_of(plan, config=settings))
    with open_ledger(settings) as ledger:
        written = written_rows(ledger.journal)
        documents = dict(_documents(ledger, written))
        rows = tuple(judged_rows(written, documents, stamps=stamps_by_record(ledger.journal)))
        orphaned = orphaned_rows(ledger.journal, stamped_rows(ledger.writer))
        gap = journal_gap(ledger.journal, noted_ends(settings, ledger))
    kept, lost = dump_bounds(rows)
    since = taken or kept
    unread: list[str] = []
    return Restored(
        dump_time=taken,
        rows=rows,
        kept_until=kept,
        lost_from=lost,
        newer_runs=tuple(sorted({row.run for row in rows if since is not None and row.at > since})),
        unknown_stamps=Counter({run: len(found) for run, found in orphaned.items()}),
        journal_gap=gap,
        flags=tuple(_flags(settings, unread)),
        deliveries=tuple(_deliveries(settings, since, told, unread)),
        unread=tuple(unread),
    )


def _documents(ledger: Ledger, written: tuple[WrittenRow, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What stands in the database of every record that a run wrote to, by the journal's name of it."""
    from recon.core.ids import payment_id_text

    by_collection: dict[str, list[WrittenRow]] = {}
    for row in written:
        by_collection.setdefault(row.collection, []).append(row)
    for collection, rows in sorted(by_collection.items()):
        ids = [row.document_id for row in rows]
        if collection and ledger.records is not None:
            found: Mapping[str, Mapping[str, Any]] = ledger.records.read(collection, ids)
        else:
            found = ledger.writer.read(ids)
        for row in rows:
            if (document := found.get(payment_id_text(row.document_id))) is not None:
                yield row.payment_id, document


def _credited(plan: Plan) -> tuple[str, ...]:
    """The payments that a plan credits, by every name that a delivery may have for them."""
    credited = {change.payment_id for change in plan.changes}
    shown = (view.local for item in plan.findings if item.payment_id in credited for view in item.fields if view.local)
    return (*credited, *(text for text in shown if text is not None))


def _flags(settings: Settings, unread: list[str]) -> Iterator[str]:
    """What the journal of flags says that the flag file does not."""
    from recon.core.errors import ReconError
    from recon.rails.flags.files import DotenvPlace
    from recon.rails.flags.journal import FILE_NAME, FlagJournal
    from recon.setup.open_flags import flag_path

    try:
        entries = FlagJournal(settings.output_dir / FILE_NAME).read()
        changed = {entry.run for entry in entries if entry.kind == "outcome" and entry.body.get("outcome") == "changed"}
        intents = [entry for entry in entries if entry.kind == "intent" and entry.run in changed]
        if not intents:
            return
        last, found = intents[-1], DotenvPlace(flag_path(settings)).read().digest
    except ReconError as error:
        unread.append(f"flags: {error}")
        return
    if found == last.body.get("before_digest"):
        yield f"they are as before run {last.run}, the last one that changed them"
    elif found != last.body.get("after_digest"):
        yield f"their file is not as run {last.run} left it, the last one that changed them"


def _deliveries(
    settings: Settings, since: datetime | None, told: tuple[str, ...], unread: list[str]
) -> Iterator[Delivered]:
    from recon.core.errors import SourceError
    from recon.core.times import to_ms
    from recon.repairs.restores import delivered
    from recon.setup.open_sources import open_sources

    if since is None:
        unread.append("deliveries: since when is not known; give --dump-time")
        return
    start = to_ms(since)
    try:
        with open_sources(settings) as sources:
            if sources.deliveries is None:
                unread.append("deliveries: [deliveries] names none")
                return
            reading = sources.deliveries.read_window(start, to_ms(settings.now()) + 1, progress=no_progress)
    except SourceError as error:
        unread.append(f"deliveries: {error}")
        return
    unread.extend(f"deliveries: {each.problem}" for each in reading.coverage if not each.complete)
    rows = reading.tables["deliveries"].to_pylist() if "deliveries" in reading.tables else []
    yield from delivered(rows, corrected=told, since_ms=start)
