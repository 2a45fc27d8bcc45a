"""``recon preflight``, ``recon drain``, ``recon backfill``: what lies before a change, how a backlog goes, old rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from recon.cli.common import NewFilePath, config_option, format_option, note, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE


@click.command()
@config_option
@click.option(
    "--deliveries",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of webhook delivery records, one JSON object a line.",
)
@format_option
@part_option
def preflight(*, config_path: Path | None, deliveries: Path | None, output: str, part: str | None) -> None:
    """Look at credentials, payments, webhooks and indexes before anything is switched.

    Reads the flag file, the whole collection, delivery records and the list of indexes; writes nothing and shows no
    secret. Leaves with 1 when something needs attention, with 4 when something could not be looked at.

    \b
    Example: recon preflight --deliveries deliveries.ndjson --format json
    """
    from recon.api.rollout import preflight as look
    from recon.reports.views.operations import render_preflight

    found = look(config_path, deliveries=deliveries)
    print_result(render_preflight(found), output, part=part)
    sys.exit(DONE if found.is_clear else DIFFERENCES if found.is_measured else INCOMPLETE)


@click.command()
@config_option
@click.option("--provider", required=True, help="The rail whose backlog is watched.")
@click.option("--every", type=click.IntRange(1), default=30, show_default=True, help="Seconds between two counts.")
@click.option("--stalled-after", type=click.IntRange(1), default=15, show_default=True, help="Minutes without less.")
@click.option("--at-most", type=click.IntRange(0), help="Minutes after which the watch ends; 0 counts once.")
@format_option
def drain(*, config_path: Path | None, provider: str, output: str, **options: Any) -> None:
    """Watch the stuck payments of a rail become fewer, with a rate and an estimate.

    Reads the open payments of the rail again and again; writes nothing. Ends with 0 when none is stuck any more, with
    1 when the backlog stalls or time is over.

    \b
    Examples: recon drain --provider shkeeper
              recon drain --provider request_network --every 60 --at-most 0
    """
    from recon.api.rollout import drain as watch
    from recon.reports.views.operations import progress_line, render_drain

    found = watch(provider, config=config_path, on_count=lambda progress: note(progress_line(progress)), **options)
    print_result(render_drain(found), output)
    sys.exit(DONE if found.end == "empty" else DIFFERENCES)


@click.group()
def backfill() -> None:
    """Give legacy payments what newer ones have; insert only, planned and taken back."""


@backfill.command()
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def shkeeper(*, config_path: Path | None, out: Path | None, output: str, part: str | None) -> None:
    """Plan funds-account references and notes for legacy SHKeeper payments.

    Reads every SHKeeper payment whole; writes one plan file, which "recon apply" carries out and "recon undo" takes
    back. Leaves with 0 only when every payment has its reference, with 1 while one has not, with 4 when not all could
    be read.

    \b
    Example: recon backfill shkeeper --out backfill.json
    """
    from recon.api.backfill import shkeeper as plan_backfill
    from recon.reports.views.operations import render_backfill

    places: list[Path] = []
    plan, found = plan_backfill(config_path, out=out, on_saved=places.append)
    config = None if config_path is None else str(config_path)
    print_result(render_backfill(plan, found, path=str(places[0]), config=config), output, part=part)
    sys.exit(INCOMPLETE if not (found.read_wholly and found.rows) else DONE if found.is_complete else DIFFERENCES)
