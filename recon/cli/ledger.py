"""``recon ledger``: the backend's own ledger beside the evidence, and entries that put it right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from recon.cli.common import config_option, format_option, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.plan import selection_options
from recon.cli.progress import ShownProgress


@click.group()
def ledger() -> None:
    """Hold the backend's own ledger against the evidence; propose entries that put it right.

    What an entry says is configured in [ledger]. Its entries are sealed with every snapshot, and every plan says what
    is the matter with them.
    """


@ledger.command()
@config_option
@selection_options
@click.option(
    "--snapshot",
    "snapshot_path",
    metavar="DIR|ADDRESS",
    help="Judge the ledger of this snapshot, offline, instead of reading the sources.",
)
@format_option
@part_option
def check(
    *, config_path: Path | None, snapshot_path: str | None, output: str, part: str | None, **options: Any
) -> None:
    """Hold the entries of a window against the evidence, and against each other.

    Reads what "recon plan" reads, the ledger with it; writes the same snapshot and plan file, and changes nothing else.
    A ledger_missing is money that no entry states, a ledger_mismatch is stated otherwise, a ledger_orphan is stated and
    never moved, a ledger_out_of_balance does not add up by itself. Sums by token and account follow, to the unit.
    Payments keep their one verdict. Leaves with 1 when something is the matter, with 4 when a source was not read
    completely.

    \b
    Examples: recon ledger check --from 24h
              recon ledger check --snapshot latest --format csv
    """
    from recon.api.ledger import check as check_ledger
    from recon.reports.views.ledger import render_ledger

    with ShownProgress() as progress:
        made = check_ledger(snapshot_path, config=config_path, progress=progress, say=progress.note, **options)
    report = render_ledger(made.plan, path=str(made.path))
    print_result(report, output, part=part or ("ledger" if output == "csv" else None))
    assert made.plan.ledger is not None, "the function refuses a plan without a ledger"
    is_odd = bool(made.plan.ledger["findings"])
    sys.exit(INCOMPLETE if not made.plan.is_read_whole else DIFFERENCES if is_odd else DONE)
