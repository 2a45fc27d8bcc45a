"""``recon repair`` and ``recon hold``: put right what is not there, by plans of a kind of their own."""

from __future__ import annotations

import json
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
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE

if TYPE_CHECKING:
    from recon.repairs.apply import RepairReport
    from recon.repairs.plan import RepairPlan

_PLAN = click.Path(path_type=Path, dir_okay=False)


def _why_options(command: Command) -> Command:
    """``--ticket`` and ``--out``: what every plan of repairs may be given."""
    command = click.option("--out", type=NewFilePath(), help="Plan file to write.")(command)
    return click.option("--ticket", metavar="ID", help="The ticket that it belongs to.")(command)


@click.group()
def repair() -> None:
    """Put in rows that are missing, and apply or take back plans of repairs.

    This is the one exception to "recon never inserts a payment": "repair apply" puts whole rows in, if "[repair] insert
    = true" allows it, from a plan that was reviewed, by its digest, with two approvals where approvals are signed. Rows
    are open; nothing is credited by them. No plan of corrections carries a repair along.

    \b
    Example: recon repair missing
    """


@repair.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@config_option
@click.option(
    "--snapshot", "snapshot_path", metavar="DIR", help="The snapshot that shows them; the newest unless named."
)
@click.option("--give", multiple=True, metavar="NAME=VALUE", help="What only a person knows, as buyer=ID; repeatable.")
@click.option("--reason", default="", metavar="TEXT", help="Why the rows are put in; needed to plan them.")
@_why_options
@format_option
@part_option
def missing(
    *,
    names: tuple[str, ...],
    config_path: Path | None,
    snapshot_path: str | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """List money that no row knows, or plan rows for what is named.

    Reads a snapshot; with names also the database. Writes a sealed case file of the evidence of each, then one plan
    file; nothing else. A row is planned only where the evidence is whole, after the template in [repair.missing], and
    where the database itself keeps one of its keys unique. Leaves with 1 when something is missing, with 4 when the
    snapshot is not whole.

    \b
    Examples: recon repair missing
              recon repair missing chain:56:0x9d5e...:3 --give buyer=ID --give order=ID --reason "webhook lost"
    """
    from recon.api.repair import missing as find_missing
    from recon.reports.views.missing import render_missing

    places: list[Path] = []
    made = find_missing(names, config=config_path, snapshot=snapshot_path, on_saved=places.append, say=note, **given)
    if made.plan is not None:
        _print_plan(made.plan, places[0], config_path=config_path, output=output, part=part)
        sys.exit(DIFFERENCES if made.left_out else DONE)
    print_result(render_missing(made), output, part=part)
    sys.exit(INCOMPLETE if made.unread else DIFFERENCES if made.found else DONE)


@repair.command("apply")
@click.argument("plan_path", metavar="PLAN", type=_PLAN)
@config_option
@click.option("--digest", help="Digest of the reviewed plan, whole; any other plan is refused.")
@click.option("--resume", metavar="RUN", help="Settle what this interrupted run left open, and finish its plan.")
@click.option(
    "--stop-file", type=click.Path(path_type=Path), help="A file whose presence ends the run before its next write."
)
@format_option
def apply_command(*, plan_path: Path, config_path: Path | None, output: str, **given: Any) -> None:
    """Do exactly what a reviewed plan of repairs says.

    Reads every record again before the first write; writes records and the journal, nothing else. Rows that are
    missing, holds and ledger entries come this way. Leaves with 1 when something was left alone, with 3 when refused,
    with 5 when stopped midway: the same command with --resume continues.

    \b
    Examples: recon repair apply repair.json --digest 3f9c...
              recon repair apply repair.json --resume RUN
    """
    from recon.api.repair import apply as apply_reviewed
    from recon.repairs.apply import RepairStoppedError
    from recon.reports.views.repairs import repair_needs_attention

    try:
        report = apply_reviewed(plan_path, config=config_path, say=note, **given)
    except RepairStoppedError as error:
        _print_run(error.report, output, config_path, plan_path)
        raise
    _print_run(report, output, config_path, plan_path)
    sys.exit(DIFFERENCES if repair_needs_attention(report) else DONE)


@repair.command("undo")
@click.argument("run")
@config_option
@click.option("--reason", default="", metavar="TEXT", help="Why it is taken back.")
@_why_options
@format_option
@part_option
def undo_command(*, run: str, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan the way back from a run of repairs.

    Reads the journal and the records; writes a plan file, which is reviewed and applied like any other. A row that was
    put in is taken away if it is exactly as it was put in; one that was touched since stays. Ledger entries are never
    taken away.

    \b
    Example: recon repair undo last --out back.json
    """
    from recon.api.repair import undo as take_back

    places: list[Path] = []
    plan = take_back(run, config=config_path, on_saved=places.append, **given)
    _print_plan(plan, places[0], config_path=config_path, output=output, part=part)


@click.group()
def hold() -> None:
    """Put and lift holds on release and payout, by plan.

    \b
    Example: recon hold list
    """


def _held_options(command: Command) -> Command:
    """What a hold is about."""
    for what, help_ in (
        ("seller", "Every row of this seller; repeatable."),
        ("deal", "Every row of this deal; repeatable."),
        ("request", "Every row of this request; repeatable."),
        ("payment", "This payment; repeatable."),
    ):
        command = click.option(f"--{what}", f"{what}s", multiple=True, metavar="ID", help=help_)(command)
    return command


@hold.command()
@_held_options
@config_option
@click.option("--reason", required=True, metavar="TEXT", help="Why it is held.")
@click.option("--until", type=MomentOption(is_ahead=True), help="When it ends at the latest, UTC, or 72h from now.")
@_why_options
@format_option
@part_option
def put(*, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan holds on release and payout.

    Reads the rows that are named; writes one plan file, which "recon repair apply" carries out. Rows that are held
    already, released or refunded are left out and listed.

    \b
    Example: recon hold put --payment ID --reason "double release suspected" --ticket T-12 --until 72h
    """
    from recon.api.hold import put as plan_put

    places: list[Path] = []
    plan = plan_put(config=config_path, on_saved=places.append, **given)
    _print_plan(plan, places[0], config_path=config_path, output=output, part=part)


@hold.command()
@_held_options
@config_option
@click.option("--reason", required=True, metavar="TEXT", help="Why it may go on.")
@_why_options
@format_option
@part_option
def lift(*, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Plan that holds are lifted, never while a dispute is active.

    Reads the rows that are named; writes one plan file, which "recon repair apply" carries out. A dispute that begins
    between the plan and the write keeps the hold.

    \b
    Example: recon hold lift --payment ID --reason "ledger and evidence agree" --ticket T-12
    """
    from recon.api.hold import lift as plan_lift

    places: list[Path] = []
    plan = plan_lift(config=config_path, on_saved=places.append, **given)
    _print_plan(plan, places[0], config_path=config_path, output=output, part=part)


@hold.command("list")
@config_option
@click.option("--no-judge", is_flag=True, help="Ask no source about the payments; only look at disputes.")
@format_option
def list_command(config_path: Path | None, no_judge: bool, output: str) -> None:
    """List the holds, first those that nothing speaks for any more.

    Reads the rows that are held and asks every source about their payments; writes nothing. Each is lifted by itself,
    with "recon hold lift". Leaves with 1 when nothing speaks for a hold, with 4 when it could not be judged.

    \b
    Example: recon hold list
    """
    from recon.api.hold import list_
    from recon.reports.views.missing import render_holds

    found = list_(config_path, judge=not no_judge)
    print_result(render_holds(found, config=None if config_path is None else str(config_path)), output)
    if not found.is_judged:
        sys.exit(INCOMPLETE)
    sys.exit(DIFFERENCES if any(row.is_supported is False for row in found.rows) else DONE)


def _print_plan(plan: RepairPlan, path: Path, *, config_path: Path | None, output: str, part: str | None) -> None:
    from recon.repairs.plan import repair_plan_as_json
    from recon.reports.views.repairs import render_repair_plan

    if output == "json":
        write_stdout(json.dumps(repair_plan_as_json(plan), indent=2, sort_keys=True) + "\n")
        note(f"The plan is in {path}. Nothing has changed.")
        return
    report = render_repair_plan(plan, path=str(path), config=None if config_path is None else str(config_path))
    print_result(report, output, part=part)


def _print_run(report: RepairReport, output: str, config_path: Path | None, plan_path: Path) -> None:
    from recon.reports.text import shell_word
    from recon.reports.views.repairs import render_repair_run
    from recon.runs.states import Result

    config = f" --config {shell_word(str(config_path))}" if config_path else ""
    steps = []
    if report.stopped and report.run:
        steps.append(f"To continue: recon repair apply {shell_word(str(plan_path))} --resume {report.run}{config}")
    if report.run and report.counts.get(Result.APPLIED):
        steps.append(f"To take it back: recon repair undo {report.run}{config}")
        if report.kind == "missing":
            steps.append(f"The rows are open. To judge them by the evidence: recon plan{config}")
    print_result(render_repair_run(report, next_steps=steps), output)


@click.group()
def restore() -> None:
    """Find out what a restored dump did.

    \b
    Example: recon restore check --dump-time 2026-11-20T03:00Z
    """


@restore.command()
@config_option
@click.option("--dump-time", type=MomentOption(), help="When the dump was taken, UTC, or 6h ago; found unless named.")
@click.option("--plan", type=_PLAN, help="Plan made since the restore; what it credits is not to be replayed.")
@format_option
@part_option
def check(*, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Say which rows went back or vanished, and in which order to put it right.

    Reads the journal, what its runs wrote, the flags and the deliveries since; writes nothing. Says also where the
    journal itself is older than the data, or lacks an end that was noted elsewhere; then no undo is planned by it.
    Leaves with 1 when something is lost, with 4 when something could not be read.

    \b
    Example: recon restore check --dump-time 2026-11-20T03:00Z
    """
    from recon.api.restore import check as check_restore
    from recon.repairs.restores import LOST
    from recon.reports.views.missing import render_restored

    found = check_restore(config_path, **given)
    report = render_restored(found, config=None if config_path is None else str(config_path))
    print_result(report, output, part=part or ("rows" if output == "csv" else None))
    if found.unread:
        sys.exit(INCOMPLETE)
    is_lost = any(found.counts[state] for state in (*LOST, "cannot tell")) or found.is_behind or found.flags
    sys.exit(DIFFERENCES if is_lost else DONE)
