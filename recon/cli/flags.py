"""``recon flags``: look at the provider flags, plan a change of them, apply it, take it back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    NewFilePath,
    config_option,
    format_option,
    free_path,
    note,
    operator_name,
    part_option,
    print_result,
    settings_from,
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE
from recon.sources.providers.installed import first_provider

if TYPE_CHECKING:
    from datetime import datetime

    from recon.rails.flags.plan import FlagPlan
    from recon.rails.flags.recipes import Recipe, Roles
    from recon.setup.settings import Settings

_PLAN = click.Path(path_type=Path, dir_okay=False)


@click.group()
def flags() -> None:
    """Look at the provider flags, roll a rail back, take it back, enable it again.

    Every change is a plan that is reviewed and applied by its digest. Only "flags apply" changes the flag file; a
    Compose file or a ConfigMap is never changed, its patch is printed.
    """


@flags.command()
@config_option
@format_option
def status(config_path: Path | None, output: str) -> None:
    """Show what is set, what it means together, and what contradicts.

    Reads the flag file and the journal of flags; writes nothing. Leaves with 1 when something contradicts or alarms.

    \b
    Example: recon flags status --format json
    """
    from recon.rails.flags.journal import FILE_NAME, FlagJournal
    from recon.rails.flags.status import judge_flags
    from recon.reports.views.flags import render_flag_status
    from recon.setup.open_rails import flag_path, read_flag_values

    settings = settings_from(config_path)
    values, notes = read_flag_values(settings)
    found = judge_flags(values, settings.values.flags.words())
    entries = FlagJournal(settings.output_dir / FILE_NAME).read()
    print_result(render_flag_status(found, place=str(flag_path(settings)), notes=notes, entries=entries), output)
    sys.exit(DONE if found.is_sound else DIFFERENCES)


@flags.command()
@config_option
@click.option("--recipe", required=True, metavar="NAME", help="incident, migration, merged, cutoff, read-only or own.")
@click.option("--sick", default=first_provider(), show_default=True, help="The rail that misbehaves.")
@click.option("--to", "safe", metavar="RAIL", help="The rail payments go to; the other of the two unless named.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option("--plan", "evidence", type=_PLAN, help="Plan of corrections that says what is not credited.")
@click.option("--no-blast", is_flag=True, help="Do not read the database to measure what the switch hits.")
@format_option
@part_option
def rollback(*, config_path: Path | None, recipe: str, sick: str, safe: str | None, **given: Any) -> None:
    """Plan how new payments stop on a rail, and what that hits.

    Reads the flag file and the open payments, asks the rail that payments would go to; writes one plan file. Refused
    while that rail is down. For a Compose file or a ConfigMap the patch is printed instead.

    \b
    Examples: recon flags rollback --recipe incident --out rollback.json
              recon flags rollback --recipe incident --sick shkeeper
              recon flags rollback --recipe read-only --no-blast
    """
    from recon.rails.flags.recipes import find_recipe, roles_for
    from recon.setup.open_rails import flag_setup

    settings = settings_from(config_path)
    setup = flag_setup(settings)
    chosen, roles = find_recipe(recipe, setup.recipes), roles_for(sick, words=setup.words, safe=safe)
    if settings.values.flags.kind != "dotenv":
        _print_patch(settings, chosen, roles)
        return
    _plan_and_print(settings, chosen, roles, config_path=config_path, given=given)


@flags.command()
@click.argument("provider")
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option("--plan", "evidence", type=_PLAN, help="Plan of corrections to judge by; the latest unless named.")
@click.option("--deliveries", type=_PLAN, help="File of webhook delivery records, one JSON object a line.")
@click.option("--sample", "sample_path", type=_PLAN, help="The signed manual sample.")
@format_option
@part_option
def enable(*, provider: str, config_path: Path | None, **given: Any) -> None:
    """Plan that a rail takes new payments again, if every gate passes.

    Reads the flag file and the evidence of the gates, asks the rail; writes one plan file. While a gate fails it leaves
    with 3, and the plan can be applied only with its own phrase and a reason.

    \b
    Example: recon flags enable request_network --deliveries deliveries.ndjson --sample sample.json
    """
    from recon.cli.gates import judged
    from recon.rails.flags.errors import GatesFailedError
    from recon.rails.flags.recipes import ENABLE, roles_for
    from recon.reports.views.gates import gates_as_json
    from recon.setup.open_rails import flag_setup

    settings = settings_from(config_path)
    setup, now = flag_setup(settings), settings.now()
    other = roles_for(provider, words=setup.words)
    roles = replace(other, sick=other.safe, safe=other.sick)
    report = judged(settings, roles.safe, question="enable", now=now, given=given)
    request = {"gates": gates_as_json(report), "kind": "enable", "now": now}
    plan = _plan_and_print(settings, ENABLE, roles, config_path=config_path, given=given, request=request)
    if plan.blocked_by:
        raise GatesFailedError(provider=roles.safe, failing=plan.blocked_by, phrase=plan.phrase)


@flags.command("apply")
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--digest", required=True, help="Digest of the reviewed plan, whole; any other plan is refused.")
@click.option("--restart", is_flag=True, help="Run the restart command of the configuration afterwards.")
@click.option("--override", default="", metavar="PHRASE", help="The plan's own phrase, when its gates did not pass.")
@click.option("--reason", default="", metavar="TEXT", help="Why it is applied although gates did not pass.")
@format_option
def apply_command(*, plan_path: Path, config_path: Path | None, output: str, **given: Any) -> None:
    """Write exactly the reviewed flags, and look whether they are there.

    Replaces the flag file atomically, writes the journal of flags, asks the running backend. Killed anywhere, the same
    command goes on. Leaves with 1 when something could not be confirmed.

    \b
    Example: recon flags apply rollback.json --digest 3f9c... --restart
    """
    from recon.rails.flags.apply import Consent, apply_flag_plan
    from recon.rails.flags.plan import load_flag_plan
    from recon.reports.views.flags import render_flag_run
    from recon.setup.open_rails import open_flags

    settings, plan = settings_from(config_path), load_flag_plan(plan_path)
    run = apply_flag_plan(plan, open_flags(settings), consent=Consent(by=operator_name(), **given), now=settings.now())
    print_result(render_flag_run(run, config=None if config_path is None else str(config_path)), output)
    is_well = not run.unconfirmed and run.restart_code in (None, 0)
    sys.exit(DONE if is_well else DIFFERENCES)


@flags.command()
@click.argument("run")
@config_option
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@format_option
@part_option
def undo(*, run: str, config_path: Path | None, out: Path | None, output: str, part: str | None) -> None:
    """Plan the way back from a run, byte for byte.

    Reads the flag file and the journal of flags, asks every rail that would take payments again; writes one plan file.

    \b
    Example: recon flags undo flags-20261120T120000Z-1a2b3c4d --out undo.json
    """
    from recon.rails.flags.apply import undo_flag_run
    from recon.rails.flags.plan import Request
    from recon.setup.open_rails import open_flags

    settings = settings_from(config_path)
    now = settings.now()
    plan = undo_flag_run(run, open_flags(settings), request=Request(now=now, author=operator_name()))
    _save_and_print(
        settings, plan, config_path=config_path, now=now, given={"out": out, "output": output, "part": part}
    )


def _plan_and_print(
    settings: Settings,
    recipe: Recipe,
    roles: Roles,
    *,
    config_path: Path | None,
    given: dict[str, Any],
    request: dict[str, Any] | None = None,
) -> FlagPlan:
    from recon.rails.flags.plan import Request, plan_recipe
    from recon.setup.open_rails import measure_blast, open_flags

    ports, now = open_flags(settings), settings.now()
    about: dict[str, Any] = request or {"now": now}
    if request is None and not given["no_blast"]:
        from recon.plans.file import load_plan

        evidence = load_plan(given["evidence"]) if given["evidence"] else None
        about["blast"], problem = measure_blast(settings, roles.sick, now=now, plan=evidence)
        if problem:
            note(f"The blast radius was not measured: {problem}")
    plan = plan_recipe(
        recipe,
        roles,
        seen=ports.place.read(),
        setup=ports.setup,
        prober=ports.prober,
        request=Request(author=operator_name(), **about),
    )
    _save_and_print(settings, plan, config_path=config_path, now=now, given=given)
    return plan


def _save_and_print(
    settings: Settings, plan: FlagPlan, *, config_path: Path | None, now: datetime, given: dict[str, Any]
) -> None:
    from recon.rails.flags.plan import plan_as_json, save_flag_plan
    from recon.reports.views.flags import render_flag_plan

    path = given["out"] or free_path(settings.output_dir / f"flags-{plan.kind}-{now:%Y%m%dT%H%M%SZ}.json")
    if given["output"] == "json":
        import json

        save_flag_plan(plan, path)
        write_stdout(json.dumps(plan_as_json(plan), indent=2, sort_keys=True) + "\n")
        note(f"The plan is in {path}. Nothing has changed.")
        return
    save_flag_plan(plan, path)
    report = render_flag_plan(plan, path=str(path), config=None if config_path is None else str(config_path))
    print_result(report, given["output"], part=given["part"])


def _print_patch(settings: Settings, recipe: Recipe, roles: Roles) -> None:
    from recon.reports.views.flags import render_patch_note
    from recon.setup.open_rails import flag_patch

    patch, place, notes = flag_patch(settings, recipe, roles=roles)
    write_stdout(patch)
    for sentence in render_patch_note(place, notes) if patch else ("Nothing has changed: the flags say so already.",):
        note(sentence)
