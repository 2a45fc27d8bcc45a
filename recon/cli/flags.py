"""``recon flags``: look at the provider flags, plan a change of them, apply it, take it back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    NewFilePath,
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    sign_option,
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.progress import ShownProgress
from recon.sources.providers.installed import first_provider

if TYPE_CHECKING:
    from recon.api.flags import FlagPatch
    from recon.rails.flags.plan import FlagPlan

_PLAN = click.Path(path_type=Path, dir_okay=False)


@click.group()
def flags() -> None:
    """Look at the provider flags, roll a rail back, take it back, enable it again.

    Every change is a plan that is reviewed and applied by its digest. Only "flags apply" changes the flag file; a
    Compose file or a manifest is never changed, its patch is printed.
    """


@flags.command()
@config_option
@format_option
def status(config_path: Path | None, output: str) -> None:
    """Show what is set, what it means together, and what contradicts.

    Reads the flag file, what it names, and the journal of flags; writes nothing. Leaves with 1 when something
    contradicts or alarms, with 4 when it cannot be told which rails take new payments.

    \b
    Example: recon flags status --format json
    """
    from recon.api.flags import status as look
    from recon.reports.views.flags import render_flag_status

    seen = look(config_path)
    report = render_flag_status(
        seen.status,
        place=str(seen.place),
        notes=seen.notes,
        entries=seen.entries,
        looked=seen.looked,
        where=seen.where,
    )
    print_result(report, output)
    sys.exit(INCOMPLETE if seen.status.unknown else DONE if seen.status.is_sound else DIFFERENCES)


@flags.command()
@config_option
@click.option("--recipe", required=True, metavar="NAME", help="incident, migration, merged, cutoff, read-only or own.")
@click.option("--sick", default=first_provider(), show_default=True, help="The rail that misbehaves.")
@click.option("--to", "safe", metavar="RAIL", help="The rail payments go to; the other of the two unless named.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option("--plan", type=_PLAN, help="Plan of corrections that says what is not credited.")
@click.option("--no-blast", is_flag=True, help="Do not read the database to measure what the switch hits.")
@sign_option
@format_option
@part_option
def rollback(*, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan how new payments stop on a rail, and what that hits.

    Reads the flag file and the open payments, asks the rail that payments would go to; writes one plan file. Refused
    while that rail is down. For a Compose file or a manifest the patch is printed instead.

    \b
    Examples: recon flags rollback --recipe incident --out rollback.json
              recon flags rollback --recipe incident --sick shkeeper
              recon flags rollback --recipe read-only --no-blast
    """
    from recon.api.flags import FlagPatch
    from recon.api.flags import rollback as roll_back

    places: list[Path] = []
    made = roll_back(config_path, on_saved=places.append, say=note, **given)
    if isinstance(made, FlagPatch):
        _print_patch(made)
    else:
        _print_flag_plan(made, places[0], config_path=config_path, output=output, part=part)


@flags.command()
@click.argument("provider")
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option("--plan", type=_PLAN, help="Plan of corrections to judge by; the latest unless named.")
@click.option("--deliveries", type=_PLAN, help="File of webhook delivery records, one JSON object a line.")
@click.option("--sample", type=_PLAN, help="The signed manual sample.")
@sign_option
@format_option
@part_option
def enable(*, provider: str, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan that a rail takes new payments again, if every gate passes.

    Reads the flag file and the evidence of the gates, asks the rail; writes one plan file. While a gate fails it leaves
    with 3, and the plan can be applied only with its own phrase and a reason.

    \b
    Example: recon flags enable request_network --deliveries deliveries.ndjson --sample sample.json
    """
    from recon.api.flags import enable as plan_enable
    from recon.rails.flags.errors import GatesFailedError

    places: list[Path] = []
    plan = plan_enable(provider, config=config_path, on_saved=places.append, **given)
    _print_flag_plan(plan, places[0], config_path=config_path, output=output, part=part)
    if plan.blocked_by:
        raise GatesFailedError(provider=plan.safe, failing=plan.blocked_by, phrase=plan.phrase)


@flags.command("apply")
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--digest", required=True, help="Digest of the reviewed plan, whole; any other plan is refused.")
@click.option("--restart", is_flag=True, help="Run the restart command of the configuration afterwards.")
@click.option("--override", default="", metavar="PHRASE", help="The plan's own phrase, when its gates did not pass.")
@click.option("--reason", default="", metavar="TEXT", help="Why it is applied although gates did not pass.")
@sign_option
@format_option
def apply_command(*, plan_path: Path, config_path: Path | None, output: str, **given: Any) -> None:
    """Write exactly the reviewed flags, and look whether they are there.

    Replaces the flag file atomically, writes the journal of flags, asks the running backend. Killed anywhere, the same
    command goes on. The signed sample behind a plan of "flags enable" is judged again. With [approvals] allowed_signers
    who applies signs with an SSH key. Leaves with 1 when something could not be confirmed.

    \b
    Examples: recon flags apply rollback.json --digest 3f9c... --restart
              recon flags apply enable.json --digest 3f9c... --key ~/.ssh/id_ed25519
    """
    from recon.api.flags import apply as apply_flags
    from recon.reports.views.flags import render_flag_run

    with ShownProgress() as progress:
        run = apply_flags(plan_path, config=config_path, progress=progress, **given)
    print_result(render_flag_run(run, config=None if config_path is None else str(config_path)), output)
    is_well = not run.unconfirmed and run.restart_code in (None, 0)
    sys.exit(DONE if is_well else DIFFERENCES)


@flags.command()
@click.argument("run")
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@sign_option
@format_option
@part_option
def undo(*, run: str, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan the way back from a run, byte for byte.

    Reads the flag file and the journal of flags, asks every rail that would take payments again; writes one plan file.

    \b
    Example: recon flags undo flags-20261120T120000Z-1a2b3c4d --out undo.json
    """
    from recon.api.flags import undo as take_back

    places: list[Path] = []
    plan = take_back(run, config=config_path, on_saved=places.append, **given)
    _print_flag_plan(plan, places[0], config_path=config_path, output=output, part=part)


def _print_flag_plan(plan: FlagPlan, path: Path, *, config_path: Path | None, output: str, part: str | None) -> None:
    from recon.rails.flags.plan import plan_as_json
    from recon.reports.views.flags import render_flag_plan

    if output == "json":
        write_stdout(json.dumps(plan_as_json(plan), indent=2, sort_keys=True) + "\n")
        note(f"The plan is in {path}. Nothing has changed.")
        return
    report = render_flag_plan(plan, path=str(path), config=None if config_path is None else str(config_path))
    print_result(report, output, part=part)


def _print_patch(made: FlagPatch) -> None:
    from recon.reports.views.flags import render_patch_note

    write_stdout(made.patch)
    nothing = ("Nothing has changed: the flags say so already.",)
    for sentence in render_patch_note(made.place, made.notes) if made.patch else nothing:
        note(sentence)
