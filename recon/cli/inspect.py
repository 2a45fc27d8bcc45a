"""``recon inspect`` and ``recon case``: one payment from question to cause, and the same frozen into a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    Command,
    MomentOption,
    NewFilePath,
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    resolve_moment,
    settings_from,
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from recon.investigation.payment import Inspection
    from recon.investigation.payment.gather import Asking
    from recon.setup.settings import Settings

_FILE = click.Path(path_type=Path, dir_okay=False)


def _look_options(command: Command) -> Command:
    """What may be looked at besides the sources."""
    for option in (
        click.option(
            "--deliveries",
            multiple=True,
            type=click.Path(path_type=Path),
            help="File or directory of webhook delivery records, besides the configured ones; repeatable.",
        ),
        click.option(
            "--snapshot",
            "snapshot_path",
            type=click.Path(path_type=Path),
            help="Look in this snapshot, offline, instead of asking the sources.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name", metavar="ID", required=False)
@config_option
@_look_options
@click.option("--case", "case_path", type=_FILE, help="Replay a case file, offline.")
@click.option("--verify-proof", "proof", metavar="TX", help="Hold a buyer's transaction against the payment.")
@click.option("--outgoing", is_flag=True, help="List releases, refunds and payouts, unusual ones first.")
@click.option("--since", type=MomentOption(), help="With --outgoing: from this UTC time on, or so long ago (24h).")
@format_option
@part_option
def inspect(name: str | None, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Find out what is the matter with one payment.

    ID is a payment id, request id, payment reference, external id, transaction hash, deposit or payer address, as it
    was pasted. Asks the database, the providers and the chains about that payment alone; writes nothing. Leaves with 1
    when the payment needs somebody or a proof is not accepted, with 4 when a source was not read completely.

    \b
    Examples: recon inspect 665f1c2e9b1d8a0012345678
              recon inspect 0x8e73ca47ea90a8f0d66b829e6a8ac4ba05805975ed2f89d94a2f20aaf3c64af7
              recon inspect 665f1c2e9b1d8a0012345678 --verify-proof 0x8e73...
              recon inspect --outgoing --since 24h
              recon inspect --case case.json
    """
    if given["outgoing"]:
        _show_outgoing(config_path, given["since"], output=output, part=part)
        return
    if given["case_path"] is not None:
        found = _replayed(given["case_path"], config_path)
    elif name is None:
        raise click.UsageError("Say what to inspect: an ID, --case FILE, or --outgoing.")
    else:
        settings = settings_from(config_path)
        if given["proof"] is not None:
            _show_proof(settings, name, given, output=output, part=part)
            return
        found = inspected(settings, name, deliveries=given["deliveries"], snapshot_path=given["snapshot_path"])
    from recon.reports.views.inspection import render_inspection

    print_result(render_inspection(found), output, part=part)
    sys.exit(_exit_code(found))


@click.command()
@click.argument("name", metavar="ID")
@config_option
@_look_options
@click.option("--out", type=NewFilePath(), required=True, help="Case file to write.")
def case(
    *, name: str, config_path: Path | None, out: Path, deliveries: tuple[Path, ...], snapshot_path: Path | None
) -> None:
    """Freeze one payment's evidence into a redacted file.

    Asks the same as "recon inspect"; writes one file that replays offline to the same verdict and causes. Personal
    fields are replaced, the same value by the same stand-in; secrets are never in it.

    \b
    Examples: recon case 665f1c2e9b1d8a0012345678 --out case.json
              recon inspect --case case.json
    """
    from recon.investigation.payment.casefile import save_case

    settings = settings_from(config_path)
    found = inspected(settings, name, deliveries=deliveries, snapshot_path=snapshot_path)
    save_case(found, out, made_at=settings.now())
    note(f"Case file: {out}")
    note(f'To replay it: recon inspect --case "{out}"')
    sys.exit(DONE if sources_complete(found) else INCOMPLETE)


def inspected(settings: Settings, name: str, *, deliveries: tuple[Path, ...], snapshot_path: Path | None) -> Inspection:
    """Inspect through the configured sources, or a snapshot."""
    from recon.investigation.payment import inspect_payment
    from recon.setup.open_sources import open_sources
    from recon.snapshots.take import open_snapshot

    asking = asking_of(settings, deliveries, offline=snapshot_path is not None)
    if snapshot_path is not None:
        return inspect_payment(name, asking=asking, snapshot=open_snapshot(snapshot_path))
    with open_sources(settings) as sources:
        return inspect_payment(name, asking=asking, sources=sources)


def asking_of(settings: Settings, deliveries: tuple[Path, ...], *, offline: bool = False) -> Asking:
    """How an inspection asks under a configuration, with delivery records besides the configured ones."""
    from recon.investigation.payment.gather import Asking
    from recon.setup.open_runs import read_journal
    from recon.sources.deliveries.records import load_deliveries

    files = [load_deliveries(path, bodies=False) for path in deliveries]
    return Asking(
        policy=settings.policy(),
        registry=settings.registry(),
        now=settings.now(),
        deliveries=[each.row() for file in files for each in file.deliveries],
        delivery_sources=tuple(file.source_text for file in files),
        # A snapshot is looked at offline; only a recorded world has its journal beside it.
        journal=None if offline and settings.recorded_dir is None else lambda: read_journal(settings),
    )


def sources_complete(found: Inspection) -> bool:
    """Whether every source was read completely; delivery records nobody named do not count."""
    return all(row["complete"] for row in found.dossier.rows("coverage")) and not found.dossier.not_asked


def _exit_code(found: Inspection) -> int:
    """4 when a source was not read completely, 1 when somebody is needed, else 0."""
    if not sources_complete(found):
        return INCOMPLETE
    needed = found.judged is None or found.judged.finding.tier in ("auto", "review", "never")
    return DIFFERENCES if needed else DONE


def _replayed(path: Path, config_path: Path | None) -> Inspection:
    from recon.investigation.payment.casefile import load_case

    registry = settings_from(config_path).registry() if config_path is not None else None
    return load_case(path, registry=registry)


def _show_proof(settings: Settings, name: str, given: dict[str, Any], *, output: str, part: str | None) -> None:
    from recon.investigation.payment import inspect_payment
    from recon.investigation.payment.proof import verify_proof
    from recon.reports.views.inspection import render_proof
    from recon.setup.open_sources import open_sources

    asking = asking_of(settings, given["deliveries"])
    with open_sources(settings) as sources:
        found = inspect_payment(name, asking=asking, sources=sources)
        report = verify_proof(given["proof"], found.dossier, sources=sources, asking=asking)
    print_result(render_proof(report), output, part=part)
    unknown = any(check.state == "unknown" for check in report.checks)
    sys.exit(DONE if report.answer == "accept" else INCOMPLETE if unknown else DIFFERENCES)


def _show_outgoing(config_path: Path | None, since: Any, *, output: str, part: str | None) -> None:
    from datetime import timedelta

    from recon.investigation.payment.outgoing import list_outgoing
    from recon.reports.views.inspection import render_outgoing
    from recon.setup.open_sources import open_sources

    settings = settings_from(config_path)
    now = settings.now()
    start = resolve_moment(since, now=now) or now - timedelta(hours=24)
    with open_sources(settings) as sources:
        found = list_outgoing(sources, since=start, asking=asking_of(settings, ()))
    print_result(render_outgoing(found, since=start), output, part=part)
    sys.exit(DIFFERENCES if any(each.unusual for each in found) else DONE)
