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
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from recon.api.choosing import Moment
    from recon.investigation.payment import Inspection

_FILE = click.Path(path_type=Path, dir_okay=False)


def inspection_sources(command: Command) -> Command:
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
@inspection_sources
@click.option("--case", "case_path", type=_FILE, help="Replay a case file, offline.")
@click.option("--verify-proof", "proof", metavar="TX", help="Hold a buyer's transaction against the payment.")
@click.option("--outgoing", is_flag=True, help="List releases, refunds and payouts, unusual ones first.")
@click.option("--since", type=MomentOption(), help="With --outgoing: from this UTC time on, or so long ago (24h).")
@format_option
@part_option
def inspect(
    *,
    name: str | None,
    config_path: Path | None,
    case_path: Path | None,
    outgoing: bool,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Find out what is the matter with one payment.

    ID is a payment id, request id, payment reference, external id, transaction hash, deposit or payer address, as it
    was pasted. Asks the database, the providers and the chains about that payment alone; writes nothing. Leaves with 1
    when the payment needs attention or a proof is not accepted, with 4 when a source was not read completely.

    \b
    Examples: recon inspect 665f1c2e9b1d8a0012345678
              recon inspect 0x8e73ca47ea90a8f0d66b829e6a8ac4ba05805975ed2f89d94a2f20aaf3c64af7
              recon inspect 665f1c2e9b1d8a0012345678 --verify-proof 0x8e73...
              recon inspect --outgoing --since 24h
              recon inspect --case case.json
    """
    from recon.api.investigate import inspect as inspect_one
    from recon.api.investigate import replay_case
    from recon.reports.views.inspection import render_inspection

    if outgoing:
        _show_outgoing(config_path, given["since"], output=output, part=part)
        return
    if case_path is not None:
        found = replay_case(case_path, config=config_path)
    elif name is None:
        raise click.UsageError("Say what to inspect: an ID, --case FILE, or --outgoing.")
    elif given["proof"] is not None:
        _show_proof(config_path, name, given, output=output, part=part)
        return
    else:
        found = inspect_one(name, config=config_path, snapshot=given["snapshot_path"], deliveries=given["deliveries"])
    print_result(render_inspection(found), output, part=part)
    sys.exit(inspection_exit_code(found))


@click.command()
@click.argument("name", metavar="ID")
@config_option
@inspection_sources
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
    from recon.api.investigate import case as freeze

    found = freeze(name, out=out, config=config_path, snapshot=snapshot_path, deliveries=deliveries)
    note(f"Case file: {out}")
    note(f'To replay it: recon inspect --case "{out}"')
    sys.exit(DONE if sources_complete(found) else INCOMPLETE)


def sources_complete(found: Inspection) -> bool:
    """Whether every source was read completely; delivery records nobody named do not count."""
    return all(row["complete"] for row in found.dossier.rows("coverage")) and not found.dossier.not_asked


def inspection_exit_code(found: Inspection) -> int:
    """4 when a source was not read completely, 1 when attention is needed, else 0."""
    if not sources_complete(found):
        return INCOMPLETE
    needed = found.judged is None or found.judged.finding.tier in ("auto", "review", "never")
    return DIFFERENCES if needed else DONE


def _show_proof(config_path: Path | None, name: str, given: dict[str, Any], *, output: str, part: str | None) -> None:
    from recon.api.investigate import proof
    from recon.reports.views.inspection import render_proof

    report = proof(name, tx=given["proof"], config=config_path, deliveries=given["deliveries"])
    print_result(render_proof(report), output, part=part)
    unknown = any(check.state == "unknown" for check in report.checks)
    sys.exit(DONE if report.answer == "accept" else INCOMPLETE if unknown else DIFFERENCES)


def _show_outgoing(config_path: Path | None, since: Moment | None, *, output: str, part: str | None) -> None:
    from recon.api.choosing import resolve_moment
    from recon.api.common import settings_of
    from recon.api.investigate import OUTGOING_WITHIN
    from recon.api.investigate import outgoing as list_all
    from recon.reports.views.inspection import render_outgoing

    settings = settings_of(config_path)
    start = resolve_moment(since or OUTGOING_WITHIN, now=settings.now())
    assert start is not None, "only no moment resolves to none"
    found = list_all(settings, since=start)
    print_result(render_outgoing(found, since=start), output, part=part)
    sys.exit(INCOMPLETE if found.unread else DIFFERENCES if any(each.unusual for each in found) else DONE)
