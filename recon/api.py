"""The commands as functions, for notebooks and jobs: ``recon.snapshot``, ``recon.plan``, ``recon.apply`` and the rest.

Each reads the same configuration as the command of its name and gives the object that the command prints. Like the
commands, all of them are dry but :func:`apply`.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from recon.core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recon.core.model import Plan, Target
    from recon.core.registry import Registry
    from recon.investigation.payment import Inspection
    from recon.reports.notebooks.load import Loaded
    from recon.runs.apply import RunReport
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.sources.chain.logs import Transfer
    from recon.sources.http import Secret
    from recon.sources.interface import Selection

Config: TypeAlias = "str | Path | Settings | None"
"""A configuration file or its settings; None means ``RECON_CONFIG``, else ``recon.toml`` here."""


class NoOperatorNameError(UsageError):
    """Nobody knows who is acting."""

    def __init__(self) -> None:
        super().__init__("This login has no name; name yourself with operator=, so that the journal can say who acted.")


def snapshot(config: Config = None, *, selection: Selection | None = None, out: str | Path | None = None) -> Snapshot:
    """Read a window from every source and seal it; see ``recon snapshot``.

    Args:
        selection: Which payments; the configured window when not given.
        out: The new directory; one in the output directory when not given.

    Raises:
        ConfigError: A setting is missing or wrong.
        WrongSourceError: A source is not the one that was meant.
        SnapshotExistsError: ``out`` is not empty.
    """
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import take_snapshot

    settings = _settings(config)
    now = settings.now()
    folder = Path(out) if out is not None else _free(settings.output_dir / f"snapshot-{now:%Y%m%dT%H%M%SZ}")
    with open_sources(settings) as sources:
        return take_snapshot(
            sources,
            selection=settings.selection(choice=selection) if selection is None else selection,
            policy=settings.policy(),
            registry=settings.registry(),
            now=now,
            out=folder,
        )


def plan(
    snapshot: Snapshot | str | Path | None = None,
    *,
    config: Config = None,
    selection: Selection | None = None,
    engine: str = "duckdb",
    out: str | Path | None = None,
) -> Plan:
    """Judge a snapshot, or the sources as they are now, and plan the corrections; see ``recon plan``.

    Args:
        snapshot: Judged offline, from a directory or an fsspec address; without one a new snapshot is taken first.
        out: Where the plan file is saved; nowhere when not given.

    Raises:
        ConfigError: A setting is missing or wrong.
        SnapshotError: The snapshot was changed, or is none.
    """
    from recon.plans.file import save_plan
    from recon.plans.make import make_plan
    from recon.snapshots.address import opened

    settings = _settings(config)
    taken = _take(settings, selection) if snapshot is None else snapshot
    with opened(taken, engine=engine) if isinstance(taken, str | Path) else nullcontext(taken) as judged:
        made = make_plan(judged, policy=settings.policy(), registry=settings.registry(), engine=engine)
    if out is not None:
        from recon.plans.approvals import DecisionRecords

        save_plan(made, Path(out))
        DecisionRecords(settings.decisions_dir).note_author(made, who=_operator(), at=settings.now())
    return made


def apply(plan: Plan | str | Path, *, digest: str, config: Config = None, operator: str | None = None) -> RunReport:
    """Write exactly the reviewed plan; see ``recon apply``. Limits and approvals are those of the configuration.

    Args:
        digest: The digest that the reviewer saw, whole; any other plan is refused.
        operator: Who acts; ``RECON_OPERATOR`` or the login when not given.

    Raises:
        RefusedError: Something is not as it must be; nothing was written.
        RunStoppedError: The run ended early; the command line resumes it.
    """
    from recon.plans.approvals import DecisionRecords
    from recon.plans.file import load_plan
    from recon.runs.apply import ApplyOptions, apply_plan
    from recon.runs.pace import RunPace
    from recon.setup.judge_again import judge_again
    from recon.setup.open_runs import open_ledger

    settings = _settings(config)
    reviewed = load_plan(Path(plan)) if isinstance(plan, str | Path) else plan
    records = DecisionRecords(settings.decisions_dir)
    with open_ledger(settings) as ledger:
        options = ApplyOptions(
            target=_target(settings),
            operator=operator or _operator(),
            limits=settings.limits(),
            pace=RunPace(in_flight=min(RunPace().in_flight, ledger.writer.in_flight_max), judge=judge_again(settings)),
            approvals=records.approvals(reviewed),
            approval_policy=settings.approval_policy(),
            author=records.author(reviewed),
        )
        return apply_plan(
            reviewed,
            digest=digest,
            writer=ledger.writer,
            journal=ledger.journal,
            clock=settings.now,
            options=options,
        )


def undo(run: str, *, config: Config = None, payments: Collection[str] = (), verdicts: Collection[str] = ()) -> Plan:
    """Plan the way back from a run; see ``recon undo``. The plan is reviewed and applied like any other.

    Raises:
        UnknownRunError: The journal knows no such run.
        NothingToUndoError: Nothing that was asked for is left to take back.
    """
    from recon.runs.undo import leave_moved, plan_undo
    from recon.setup.open_runs import open_ledger

    settings = _settings(config)
    with open_ledger(settings) as ledger:
        made = plan_undo(
            ledger.journal,
            run=run,
            payments=payments,
            verdicts=verdicts,
            target=_target(settings),
            now=settings.now(),
        )
        return leave_moved(made, writer=ledger.writer)


def inspect(
    name: str,
    *,
    config: Config = None,
    snapshot: Snapshot | str | Path | None = None,
    deliveries: Iterable[str | Path] = (),
) -> Inspection:
    """Find out what is the matter with one payment; see ``recon inspect``.

    Args:
        name: A payment id, request id, reference, external id, transaction hash or address.
        snapshot: Looked at offline, instead of the sources as they are now.
        deliveries: Files or directories of webhook delivery records.

    Raises:
        UnknownIdError: Nothing knows it.
    """
    from recon.investigation.payment import inspect_payment
    from recon.investigation.payment.gather import Asking
    from recon.reports.notebooks.formatters import register_formatters
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import open_snapshot
    from recon.sources.deliveries.records import load_deliveries

    register_formatters()
    settings = _settings(config)
    folder = settings.recorded_dir
    recorded = folder / "deliveries.ndjson" if folder is not None else None
    paths = [Path(path) for path in deliveries] or ([recorded] if recorded is not None and recorded.exists() else [])
    files = [load_deliveries(path) for path in paths]
    asking = Asking(
        policy=settings.policy(),
        registry=settings.registry(),
        now=settings.now(),
        deliveries=[each.row() for file in files for each in file.deliveries],
        delivery_sources=tuple(file.source_text for file in files),
        journal=lambda: _journal(settings),
    )
    if snapshot is not None:
        taken = open_snapshot(Path(snapshot)) if isinstance(snapshot, str | Path) else snapshot
        return inspect_payment(name, asking=asking, snapshot=taken)
    with open_sources(settings) as sources:
        return inspect_payment(name, asking=asking, sources=sources)


def load(source: str | Path | Plan | Snapshot | Inspection, *, registry: Registry | None = None) -> Loaded:
    """Read any artefact into exact pandas frames; see :func:`recon.reports.notebooks.load.load`."""
    from recon.reports.notebooks.load import load as read

    return read(source, registry=registry)


def plot(source: Loaded | Plan | Snapshot | Inspection, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw one picture of what was loaded; see :func:`recon.reports.notebooks.plot.plot`."""
    from recon.reports.notebooks.plot import plot as draw

    return draw(source, name, ax=ax)


def decode_transfer(log: Mapping[str, Any]) -> Transfer:
    """Decode one proxy or ERC-20 transfer log; see :func:`recon.sources.chain.logs.decode_transfer`."""
    from recon.sources.chain.logs import decode_transfer as decode

    return decode(log)


def verify_webhook(
    provider: str, headers: Mapping[str, str], body: bytes, secret: str | bytes | Secret, *, now: datetime | None = None
) -> bool:
    """Say whether a delivery is signed; see :func:`recon.sources.providers.webhooks.verify_webhook`."""
    from recon.sources.providers.webhooks import verify_webhook as verify

    return verify(provider, headers, body, secret, now=now)


def _settings(config: Config) -> Settings:
    from recon.setup.settings import Settings, load_settings

    return config if isinstance(config, Settings) else load_settings(None if config is None else Path(config))


def _take(settings: Settings, selection: Selection | None) -> Snapshot:
    return snapshot(settings, selection=selection)


def _free(path: Path) -> Path:
    """The path itself, or with a number behind it when something is there already."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _target(settings: Settings) -> Target:
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import target_of

    with open_sources(settings) as sources:
        return target_of(sources, policy=settings.policy(), registry=settings.registry())


def _journal(settings: Settings) -> Any:
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings) as ledger:
        return list(ledger.journal.entries())


def _operator() -> str:
    environment: Mapping[str, str] = os.environ
    try:
        return environment.get("RECON_OPERATOR", "").strip() or getpass.getuser()
    except (KeyError, OSError) as error:
        raise NoOperatorNameError from error
