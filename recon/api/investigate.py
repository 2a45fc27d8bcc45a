"""``inspect`` and ``case``: one payment from question to cause, and the same frozen into a file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, Place, settings_of

if TYPE_CHECKING:
    from recon.investigation.payment import Inspection
    from recon.investigation.payment.gather import Asking
    from recon.investigation.payment.outgoing import Outgoing
    from recon.investigation.payment.proof import ProofReport
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
        snapshot: Looked at offline, instead of the sources as they are now.
        deliveries: Files or directories of webhook delivery records, besides those of the configuration.

    Raises:
        UnknownIdError: Nothing knows it.
    """
    from recon.investigation.payment import inspect_payment
    from recon.reports.notebooks.formatters import register_formatters
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import open_snapshot

    register_formatters()
    settings = settings_of(config)
    asking = _asking(settings, deliveries, offline=snapshot is not None)
    if snapshot is not None:
        taken = open_snapshot(Path(snapshot)) if isinstance(snapshot, str | Path) else snapshot
        return inspect_payment(name, asking=asking, snapshot=taken)
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


def outgoing(config: Config = None, *, since: Moment = OUTGOING_WITHIN) -> tuple[Outgoing, ...]:
    """Releases, refunds and payouts since a time, unusual ones first; see ``recon inspect --outgoing``."""
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

    settings = settings_of(config)
    found = inspect(name, config=settings, snapshot=snapshot, deliveries=deliveries)
    save_case(found, Path(out), made_at=settings.now())
    return found


def _asking(settings: Settings, deliveries: Iterable[Place], *, offline: bool = False) -> Asking:
    """How an inspection asks under a configuration, with delivery records besides the configured ones."""
    from recon.investigation.payment.gather import Asking
    from recon.setup.open_runs import read_journal
    from recon.sources.deliveries.records import load_deliveries

    files = [load_deliveries(Path(path), bodies=False, names=settings.values.deliveries.fields) for path in deliveries]
    return Asking(
        policy=settings.policy(),
        registry=settings.registry(),
        now=settings.now(),
        deliveries=[each.row() for file in files for each in file.deliveries],
        delivery_sources=tuple(file.source_text for file in files),
        # A snapshot is looked at offline; only a recorded world has its journal beside it.
        journal=None if offline and settings.recorded_dir is None else lambda: read_journal(settings),
    )
