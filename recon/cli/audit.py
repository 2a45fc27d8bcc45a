"""``recon audit``: everything that moved value between two times."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recon.cli.common import MomentOption, config_option, format_option, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.progress import ShownProgress

if TYPE_CHECKING:
    from recon.api.choosing import Moment


@click.command()
@config_option
@click.option("--from", "from_at", type=MomentOption(), required=True, help="Start, included: a UTC time, or 24h ago.")
@click.option("--to", "to_at", type=MomentOption(), help="End, excluded: a UTC time, or 30min ago; now unless named.")
@click.option(
    "--before",
    "snapshot_path",
    metavar="DIR|ADDRESS",
    help="Snapshot that says what rows were before; the newest one of before --from unless named.",
)
@format_option
@part_option
def audit(
    *,
    config_path: Path | None,
    from_at: Moment,
    to_at: Moment | None,
    snapshot_path: str | None,
    output: str,
    part: str | None,
) -> None:
    """List everything that moved value between two times.

    Reads the rows that were changed, the providers and the chains, the reconciliation journal, the flags journal, and a
    snapshot of before; writes nothing. Each event has who did it and who approved it as far as the data says, and what
    the evidence says of it. Unusual ones come first: value, hour, a new destination, no approval. Totals by token and
    state before and after follow, and what the data cannot say. Leaves with 1 when something is unusual, with 4 when
    something could not be read.

    \b
    Examples: recon audit --from 48h
              recon audit --from 2026-11-18T02:00Z --to 2026-11-18T06:00Z --format csv
    """
    from recon.api.audit import audit as list_moved
    from recon.reports.views.audit import render_audit

    with ShownProgress() as progress:
        found = list_moved(from_at, to_at, before=snapshot_path, config=config_path, progress=progress)
    print_result(render_audit(found), output, part=part or ("events" if output == "csv" else None))
    sys.exit(INCOMPLETE if found.unread else DIFFERENCES if found.unusual else DONE)
