"""``recon simulate`` and ``recon score``: worlds with known truth, and how right a judgement of them is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from recon.cli.common import config_option, format_option, note, part_option, print_result, write_stdout
from recon.cli.lazy import DIFFERENCES, DONE


@click.command()
@click.option("--payments", type=int, default=2000, show_default=True, help="How many payments the world has.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which world; the same seed gives the same bytes.")
@click.option(
    "--breaks", metavar="FILE|default|none", default="default", show_default=True, help="Which breaks, and how many."
)
@click.option("--scenario", metavar="NAME", help="One row of the catalogue instead, e.g. webhook_lost.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory to write to.")
def simulate(*, scenario: str | None, out: Path, **described: Any) -> None:
    """Make a world of payments with known truth.

    Reads a file of breaks if one is named; writes one directory that every command can run on, offline. Its
    truth.ndjson holds the right answers and is read by "recon score" only.

    \b
    Example: recon simulate --payments 5000 --seed 7 --out world
             recon simulate --scenario webhook_lost --out world
             recon plan --config world/recon.toml
    """
    from recon.api.prove import simulate as make_world

    source = click.get_current_context().get_parameter_source
    given = {name: value for name, value in described.items() if source(name) is ParameterSource.COMMANDLINE}
    make_world(out, scenario=scenario, **given)
    write_stdout(f"{out}\n")
    note(f"To reconcile it: recon plan --config {out / 'recon.toml'}")


@click.command()
@click.argument("judged", metavar="SNAPSHOT|PLAN", type=click.Path(path_type=Path))
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The truth.ndjson of a simulated world.",
)
@config_option
@format_option
@part_option
def score(*, judged: Path, truth: Path, config_path: Path | None, output: str, part: str | None) -> None:
    """Hold a judgement beside the known truth.

    Reads a plan (or a snapshot, which it judges by the configured policy, or without a configuration by its own) and a
    truth file; writes nothing. Leaves with 1 when a verdict is wrong, a finding is missing, or a planned write
    contradicts the truth.

    \b
    Example: recon score world/recon-out/plan.json --truth world/truth.ndjson
    """
    from recon.api.prove import score as score_of
    from recon.reports.views.score import render_score
    from recon.simulation.score import score_json

    found = score_of(judged, truth=truth, config=config_path)
    if output == "json":
        write_stdout(json.dumps(score_json(found), indent=1) + "\n")
    else:
        print_result(render_score(found), output, part=part)
    sys.exit(DONE if found.is_perfect else DIFFERENCES)
