"""``recon simulate`` and ``recon score``: worlds with known truth, and how right a judgement of them is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from recon.cli.common import (
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    settings_from,
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE
from recon.core.errors import RefusedError, UsageError


class WorldThereError(RefusedError):
    """The directory for a new world holds something already."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"{path} is there already and was left as it is; name another directory with --out.")


class ScenarioAloneError(UsageError):
    """A scenario was asked for together with options that describe another world."""

    def __init__(self, *, options: list[str]) -> None:
        super().__init__(
            f"--scenario names a whole world and cannot be given with {' or '.join(options)}; leave either away. "
            "Nothing was written."
        )


@click.command()
@click.option("--payments", type=int, default=2000, show_default=True, help="How many payments the world has.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which world; the same seed gives the same bytes.")
@click.option(
    "--breaks", metavar="FILE|default|none", default="default", show_default=True, help="Which breaks, and how many."
)
@click.option("--scenario", metavar="NAME", help="One row of the catalogue instead, e.g. webhook_lost.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory to write to.")
def simulate(*, payments: int, seed: int, breaks: str, scenario: str | None, out: Path) -> None:
    """Make a world of payments with known truth.

    Reads a file of breaks if one is named; writes one directory that every command can run on, offline. Its
    truth.ndjson holds the right answers and is read by "recon score" only.

    \b
    Example: recon simulate --payments 5000 --seed 7 --out world
             recon simulate --scenario webhook_lost --out world
             recon plan --config world/recon.toml
    """
    from recon.simulation import generate_world, load_breaks, write_world
    from recon.simulation.scenarios import scenario_world

    if out.exists() and any(out.iterdir()):
        raise WorldThereError(path=str(out))
    if scenario is not None:
        _refuse_mixture()
        world = scenario_world(scenario)
    else:
        mixture = breaks if breaks in ("default", "none") else load_breaks(Path(breaks))
        world = generate_world(payments=payments, seed=seed, breaks=mixture)  # type: ignore[arg-type]
    write_world(world, out)
    write_stdout(f"{out}\n")
    note(f"To reconcile it: recon plan --config {out / 'recon.toml'}")


def _refuse_mixture() -> None:
    """Refuse the options of a generated world beside ``--scenario``."""
    context = click.get_current_context()
    given = [
        f"--{name}"
        for name in ("payments", "seed", "breaks")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise ScenarioAloneError(options=given)


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

    Reads a plan (or a snapshot, which it judges by the configured policy) and a truth file; writes nothing. Leaves with
    1 when a verdict is wrong, a finding is missing, or a planned write contradicts the truth.

    \b
    Example: recon score world/recon-out/plan.json --truth world/truth.ndjson
    """
    from recon.plans.file import load_plan
    from recon.plans.make import make_plan
    from recon.reports.views.score import render_score
    from recon.simulation import load_truth
    from recon.simulation.score import score as score_plan
    from recon.simulation.score import score_json
    from recon.snapshots.take import open_snapshot

    truths = load_truth(truth)
    if judged.is_dir():
        settings = settings_from(config_path)
        plan = make_plan(open_snapshot(judged), policy=settings.policy(), registry=settings.registry())
    else:
        plan = load_plan(judged)
    found = score_plan(plan, truths)
    if output == "json":
        write_stdout(json.dumps(score_json(found), indent=1) + "\n")
    else:
        print_result(render_score(found), output, part=part)
    sys.exit(DONE if found.is_perfect else DIFFERENCES)
