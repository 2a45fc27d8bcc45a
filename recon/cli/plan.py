"""``recon snapshot``, ``recon plan`` and ``recon history``: the main job, dry."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
from recon.cli.progress import ShownProgress

if TYPE_CHECKING:
    from recon.api.reconcile import SavedPlan
    from recon.reports import Report

_ID_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


def selection_options(command: Command) -> Command:
    """The options that choose payments."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--from", "from_at", type=MomentOption(), help="Start of the window, included: a UTC time, or 24h ago."
        ),
        click.option(
            "--to", "to_at", type=MomentOption(), help="End of the window, excluded: a UTC time, or 30min ago."
        ),
        click.option("--date", "date_field", type=click.Choice(["created", "updated"]), help="The window's date."),
        click.option("--provider", "providers", multiple=True, metavar="NAME", help="Only this provider; repeatable."),
        click.option("--status", "statuses", multiple=True, metavar="WORD", help="Only this status; repeatable."),
        click.option("--id", "ids", multiple=True, metavar="ID", help="Only this payment; repeatable."),
        click.option("--id-file", type=_ID_FILE, help="Only the payments in this file, one id a line."),
        click.option("--open-only", is_flag=True, help="Only payments that are pending or processing."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def resume_option(command: Command) -> Command:
    """``--resume``: the directory of an interrupted snapshot."""
    return click.option(
        "--resume",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Go on with the interrupted snapshot in this directory; the other options have to be the same.",
    )(command)


def since_option(command: Command) -> Command:
    """``--since``: the snapshot that a new one is built upon."""
    return click.option(
        "--since",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="SNAPSHOT",
        help="Read only what can have changed since this snapshot, and take the rest from it.",
    )(command)


@click.command()
@config_option
@selection_options
@click.option("--out", type=_FOLDER, help="Directory to write the snapshot to; an interrupted one there goes on.")
@resume_option
@since_option
@click.option(
    "--export", metavar="ADDRESS", help="Write it a second time to this fsspec address, in parts by chain and day."
)
def snapshot(*, config_path: Path | None, **options: Any) -> None:
    """Read a window from every source and seal it.

    Reads the database, the providers and the chains; writes one snapshot directory, which is never edited again.
    Leaves with 4 when a source was not read completely. An interrupted snapshot goes on where it was when the same
    command names its directory again: what was read whole is not read twice, and ages count from the first beginning.

    With --since a daily run over a long window costs what the day costs. Read anew are payments that were open, showed
    a break or were written since (by updatedAt), blocks that were not final, and the last day of what the provider
    says; a source that cannot be read in part, or whose numbers do not agree, is read whole. This relies on the backend
    moving updatedAt with every write. A run without --since relies on nothing and is the check: make one every week.

    With --export other machines, and Spark, can judge it: "recon plan --snapshot ADDRESS" holds every file against the
    digest of the same seal and gives the same plan. The address is anything that fsspec knows, such as s3a://, gs:// or
    file://.

    \b
    Examples: recon snapshot --from 2026-11-13 --to 2026-11-20
              recon plan --snapshot recon-out/snapshot-20261120T120000Z
              recon snapshot --from 365d --export s3a://finance/recon/20261120
    """
    from recon.api.reconcile import snapshot as take

    with ShownProgress() as progress:
        taken = take(config_path, progress=progress, say=progress.note, **options)
    write_stdout(f"{taken.path}\n")
    note(f'Nothing has changed. To judge it: recon plan --snapshot "{taken.path}"')
    coverage = taken.table("coverage").to_pylist()
    sys.exit(DONE if all(row.get("complete") for row in coverage) else INCOMPLETE)


@click.command()
@config_option
@selection_options
@click.option(
    "--snapshot",
    "snapshot_path",
    metavar="DIR|ADDRESS",
    help="Judge this snapshot, offline, instead of reading the sources; or one at an fsspec address.",
)
@resume_option
@since_option
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "polars", "spark"]),
    help="Where the tables are joined; up to 200,000 payments polars when left out, past that duckdb, which spills.",
)
@click.option(
    "--memory-max-mb", type=click.IntRange(min=100), help="Memory of duckdb in MB; it spills to disk past it."
)
@click.option(
    "--spark-master", metavar="ADDRESS", help="Spark cluster, or sc:// of a Spark Connect server; else this machine."
)
@click.option(
    "--spark-scratch", metavar="ADDRESS", help="Where Spark keeps tables on the way, for a server without checkpoints."
)
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option(
    "--new-only", is_flag=True, help="Leave with 1 only for breaks that the plan before had not (nightly job)."
)
@format_option
@part_option
def plan(
    *,
    config_path: Path | None,
    snapshot_path: str | None,
    new_only: bool,
    output: str,
    part: str | None,
    **options: Any,
) -> None:
    """Judge a window and plan its corrections.

    Reads the database, the providers and the chains (or a snapshot, offline); writes a snapshot, a plan file and one
    line of history, and changes nothing else. Leaves with 1 when there are breaks that nobody has acknowledged, with 4
    when a source was not read completely. "recon snapshot --help" says what --resume and --since do. For the wallets
    that the configuration names it shows whether opening balance and movements make the closing one, to the unit. A
    snapshot needs no configuration: without one it is judged by the rules that were sealed with it.

    \b
    Examples: recon plan --from 24h
              recon plan --open-only --provider shkeeper
              recon plan --from 365d --since recon-out/snapshot-20261119T040000Z
              recon plan --snapshot recon-out/snapshot-20261120T120000Z --format md
    """
    from recon.api.reconcile import plan_and_save

    with ShownProgress() as progress:
        made = plan_and_save(snapshot_path, config=config_path, progress=progress, say=progress.note, **options)
    print_plan(made, output=output, part=part, config=config_path)
    sys.exit(plan_exit_code(made, new_only=new_only))


@click.command()
@config_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many plans are listed.")
@format_option
def history(config_path: Path | None, limit: int, output: str) -> None:
    """List the plans made so far, newest first.

    Reads the run history in the output directory; writes nothing. "new" counts the breaks that the plan before had
    not.

    \b
    Example: recon history --limit 7 --format md
    """
    from recon.api.reconcile import history as plans_made
    from recon.reports.views.history import render_history

    print_result(render_history(plans_made(config_path), limit=limit), output)


def print_plan(made: SavedPlan, *, output: str, part: str | None = None, config: Path | None = None) -> None:
    """Print the plan as a report, or as the plan file itself for JSON."""
    from recon.plans.file import plan_bytes

    if output == "json":
        write_stdout(plan_bytes(made.plan).decode())
        return
    report = report_of(made, config=config, full=output in ("csv", "md"))
    print_result(report, output, part=part or ("breaks" if output == "csv" else None))


def report_of(made: SavedPlan, *, config: Path | None, full: bool) -> Report:
    """The report of a plan that was just made, with how much of it is new."""
    from recon.reports import render_plan

    return render_plan(
        made.plan, path=str(made.path), config=None if config is None else str(config), full=full, news=made.news
    )


def plan_exit_code(made: SavedPlan, *, new_only: bool = False) -> int:
    """4 when a source was not read completely, else 1 when there are breaks nobody acknowledged, else 0."""
    from recon.reports.views.totals import has_gaps

    if has_gaps(made.plan):
        return INCOMPLETE
    counted = made.news.new + (0 if new_only else made.news.known)
    return DIFFERENCES if counted else DONE
