"""``inspect`` and ``case``: one payment from question to cause, and the same frozen into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, Place, rules_for, settings_if_there, settings_of, time_of_run
from recon.api.naming import snapshot_place

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.investigation.payment import Inspection
    from recon.investigation.payment.gather import Asking
    from recon.investigation.payment.outgoing import OutgoingList
    from recon.investigation.payment.proof import ProofReport
    from recon.runs.stores.journal import JournalEntry
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot

OUTGOING_WITHIN: Final = timedelta(hours=24)
"""How far back :func:`outgoing` looks when no time is named."""


def inspect(
    name: str, *, config: Config = None, snapshot: Snapshot | Place | None = None, deliveries: Iterable[Place] = ()
) -> Inspection:
    """Find out what is the matter with one payment; see ``recon inspect``.

    Args:
        name: A payment id, request id, reference, external id, transaction hash or address.
        snapshot: Looked at offline, instead of the sources as they are now; without a configuration by its own rules.
        deliveries: Files or directories of webhook delivery records, besides those of the configuration.

    Raises:
        UnknownIdError: Nothing knows it.
    """
    from recon.investigation.payment import inspect_payment
    from recon.reports.notebooks.formatters import register_formatters
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import open_snapshot

    register_formatters()
    if snapshot is not None:
        if isinstance(snapshot, str | Path):
            taken = open_snapshot(Path(snapshot_place(snapshot, config=config)))
        else:
            taken = snapshot
        return inspect_payment(name, asking=_asking_offline(taken, config, deliveries), snapshot=taken)
    settings = settings_of(config)
    asking = _asking(settings, deliveries)
    with open_sources(settings) as sources:
        return inspect_payment(name, asking=asking, sources=sources)


def replay_case(case: Place, *, config: Config = None) -> Inspection:
    """An inspection as a case file holds it, offline; see ``recon inspect --case``.

    Args:
        config: Whose names of chains and tokens count; the shipped ones when not given.
    """
    from recon.investigation.payment.casefile import load_case

    return load_case(Path(case), registry=None if config is None else settings_of(config).registry())


def proof(name: str, *, tx: str, config: Config = None, deliveries: Iterable[Place] = ()) -> ProofReport:
    """Hold a buyer's transaction against a payment; see ``recon inspect --verify-proof``."""
    from recon.investigation.payment import inspect_payment
    from recon.investigation.payment.proof import verify_proof
    from recon.setup.open_sources import open_sources

    settings = settings_of(config)
    asking = _asking(settings, deliveries)
    with open_sources(settings) as sources:
        found = inspect_payment(name, asking=asking, sources=sources)
        return verify_proof(tx, found.dossier, sources=sources, asking=asking)


def outgoing(config: Config = None, *, since: Moment = OUTGOING_WITHIN) -> OutgoingList:
    """Releases, refunds and payouts since a time, unusual ones first; see ``recon inspect --outgoing``.

    ``unread`` of the list says what could not be read, so that its silence proves nothing.
    """
    from recon.investigation.payment.outgoing import judge_outgoing, list_outgoing
    from recon.setup.open_sources import open_sources

    settings = settings_of(config)
    start = resolve_moment(since, now=settings.now())
    assert start is not None, "only no moment resolves to none"
    with open_sources(settings) as sources:
        asking = _asking(settings, ())
        judged = judge_outgoing(sources, since=start, asking=asking)
        return list_outgoing(sources, since=start, asking=asking, judged=judged)


def case(
    name: str,
    *,
    out: Place,
    config: Config = None,
    snapshot: Snapshot | Place | None = None,
    deliveries: Iterable[Place] = (),
) -> Inspection:
    """Inspect one payment and freeze the evidence into a redacted file; see ``recon case``."""
    from recon.investigation.payment.casefile import save_case

    settings = settings_of(config) if snapshot is None else settings_if_there(config)
    found = inspect(name, config=settings, snapshot=snapshot, deliveries=deliveries)
    save_case(found, Path(out), made_at=time_of_run(settings))
    return found


def _asking(settings: Settings, deliveries: Iterable[Place]) -> Asking:
    """How an inspection asks under a configuration, with delivery records besides the configured ones."""
    from recon.setup.open_runs import read_journal

    rules = settings.policy(), settings.registry()
    return _asking_by(rules, settings, deliveries, now=settings.now(), journal=lambda: read_journal(settings))


def _asking_offline(snapshot: Snapshot, config: Config, deliveries: Iterable[Place]) -> Asking:
    """How an inspection asks a snapshot; only a recorded world has its journal beside it.

    Without a configuration ages count to when the snapshot was taken.
    """
    from recon.core.times import from_ms
    from recon.setup.open_runs import read_journal

    settings = settings_if_there(config)
    recorded = settings if settings is not None and settings.recorded_dir is not None else None
    journal = None if recorded is None else lambda: read_journal(recorded)
    now = from_ms(snapshot.taken_at_ms) if settings is None else settings.now()
    return _asking_by(rules_for(snapshot, settings), settings, deliveries, now=now, journal=journal)


def _asking_by(
    rules: tuple[Policy, Registry],
    settings: Settings | None,
    deliveries: Iterable[Place],
    *,
    now: datetime,
    journal: Callable[[], Sequence[JournalEntry]] | None,
) -> Asking:
    from recon.investigation.payment.gather import Asking
    from recon.sources.deliveries.records import load_deliveries

    names = None if settings is None else settings.values.deliveries.fields
    files = [load_deliveries(Path(path), bodies=False, names=names) for path in deliveries]
    policy, registry = rules
    return Asking(
        policy=policy,
        registry=registry,
        now=now,
        deliveries=[each.row() for file in files for each in file.deliveries],
        delivery_sources=tuple(file.source_text for file in files),
        journal=journal,
    )
