"""``recon reverify``: the proofs that past corrections rested on, asked for again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recon.cli.common import MomentOption, config_option, format_option, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from recon.api.choosing import Moment


@click.command()
@click.argument("run", metavar="RUN", required=False)
@config_option
@click.option(
    "--since", type=MomentOption(), help="Instead of a run: all that began at this UTC time or later, or 30d ago."
)
@format_option
@part_option
def reverify(*, run: str | None, config_path: Path | None, since: Moment | None, output: str, part: str | None) -> None:
    """Ask again what past corrections rested on.

    Reads the journal, the plans and the chains; writes nothing. Each transfer that a correction rested on is asked for
    by its receipt, and must be final by both the chain's own tag and the registry's depth; what rests on a provider's
    word is judged again. Lists which proofs hold, which are gone, and which cannot be told, and says with which command
    the way back is planned. Leaves with 1 when a proof is gone, with 4 when one cannot be told.

    \b
    Examples: recon reverify last
              recon reverify --since 30d --format csv
    """
    from recon.api.reverify import reverify as ask_again
    from recon.reports.views.reverify import render_reverified

    found = ask_again(run, since=since, config=config_path)
    report = render_reverified(found, config=None if config_path is None else str(config_path))
    print_result(report, output, part=part or ("rows" if output == "csv" else None))
    untold = found.of_state("cannot tell")
    sys.exit(INCOMPLETE if untold else DIFFERENCES if found.of_state("gone") else DONE)
