"""``recon snapshot``, ``recon plan`` and ``recon history``: the main job, dry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import (
    Command,
    MomentOption,
    NewFilePath,
    config_option,
    format_option,
    free_path,
    note,
    operator_name,
    part_option,
    print_result,
    read_ids,
    resolve_moment,
    settings_from,
    write_stdout,
)
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.core.times import second_text

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.plans.history import News
    from recon.reports import Report
    from recon.setup.settings import Settings
    from recon.sources.interface import Selection
    from recon.verdicts.engine import Engine

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
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        metavar="DIR",
        help="Go on with the interrupted snapshot in this directory; the other options have to be the same.",
    )(command)


def since_option(command: Command) -> Command:
    """``--since``: the snapshot that a new one is built upon."""
    return click.option(
        "--since",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
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
def snapshot(
    *,
    config_path: Path | None,
    out: Path | None,
    resume: Path | None,
    since: Path | None,
    export: str | None,
    **chosen: Any,
) -> None:
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
    settings = settings_from(config_path)
    if out is not None and resume is not None:
        raise click.UsageError("The directory to go on in is the one to write to: give --resume or --out, not both.")
    taken = _take(settings, replace(_begun(settings, chosen, folder=resume or out, since=since), export=export))
    write_stdout(f"{taken.path}\n")
    note(f'Nothing has changed. To judge it: recon plan --snapshot "{taken.path}"')
    sys.exit(DONE if all(row.get("complete") for row in coverage_rows(taken)) else INCOMPLETE)


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
    default="duckdb",
    show_default=True,
    help="Where the tables are joined.",
)
@click.option(
    "--memory-max-mb", type=click.IntRange(min=100), help="Memory of duckdb in MB; it spills to disk past it."
)
@click.option("--spark-master", metavar="ADDRESS", help="Spark cluster; without it Spark runs on this machine.")
@click.option("--out", type=NewFilePath(), help="Plan file to write.")
@click.option(
    "--new-only", is_flag=True, help="Leave with 1 only for breaks that the plan before had not (nightly job)."
)
@format_option
@part_option
def plan(*, config_path: Path | None, snapshot_path: str | None, engine: str, out: Path | None, **rest: Any) -> None:
    """Judge a window and plan its corrections.

    Reads the database, the providers and the chains (or a snapshot, offline); writes a snapshot, a plan file and one
    line of history, and changes nothing else. Leaves with 1 when there are breaks that nobody has acknowledged, with 4
    when a source was not read completely. "recon snapshot --help" says what --resume and --since do.

    \b
    Examples: recon plan --from 24h
              recon plan --open-only --provider shkeeper
              recon plan --from 365d --since recon-out/snapshot-20261119T040000Z
              recon plan --snapshot recon-out/snapshot-20261120T120000Z --format md
    """
    settings = settings_from(config_path)
    output, part, new_only = rest.pop("output"), rest.pop("part"), rest.pop("new_only")
    running = _engine(engine, memory_max_mb=rest.pop("memory_max_mb"), master=rest.pop("spark_master"))
    if snapshot_path is not None and any(rest.values()):
        raise click.UsageError("A snapshot holds its own window: leave out --from, --id and the like, or --snapshot.")
    begun = _begun(settings, rest, folder=rest.pop("resume"), since=rest.pop("since"))
    made = make(settings, begun, snapshot_path=snapshot_path, engine=running, out=out)
    print_plan(made, output=output, part=part, config=config_path)
    sys.exit(exit_code(made, new_only=new_only))


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
    from recon.plans.history import load_history
    from recon.reports.views.history import render_history

    settings = settings_from(config_path)
    print_result(render_history(load_history(settings.output_dir), limit=limit), output)


def selection_of(settings: Settings, chosen: Mapping[str, Any], *, now: datetime | None = None) -> Selection:
    """The selection that the values of :func:`selection_options` mean, ages counted from ``now``."""
    from recon.sources.interface import Selection

    registry, now = settings.registry(), now or settings.now()
    choice = Selection(
        providers=tuple(dict.fromkeys(registry.provider(word) for word in chosen["providers"])),
        statuses=tuple(dict.fromkeys(chosen["statuses"])),
        ids=read_ids(chosen["ids"], chosen["id_file"]),
        open_only=chosen["open_only"],
    )
    return settings.selection(
        from_at=resolve_moment(chosen["from_at"], now=now),
        to_at=resolve_moment(chosen["to_at"], now=now),
        date_field=chosen["date_field"],
        choice=choice,
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Begun:
    """What is read: which payments, as of when, into which directory.

    Args:
        folder: The directory named by the user, which may hold an interrupted snapshot; None for a new one.
        since: The snapshot to build upon; None to read everything.
        export: The address to write the snapshot to as well.
    """

    selection: Selection
    now: datetime
    folder: Path | None = None
    since: Path | None = None
    export: str | None = None


def _begun(settings: Settings, chosen: Mapping[str, Any], *, folder: Path | None, since: Path | None) -> Begun:
    """The choice of the options; where a snapshot is continued, as of the moment of its beginning."""
    from recon.snapshots.sealed import is_sealed
    from recon.snapshots.unfinished import unfinished_now

    if folder is not None and is_sealed(folder):
        raise click.UsageError(f'{folder} is a finished snapshot; to judge it: recon plan --snapshot "{folder}".')
    now = (None if folder is None else unfinished_now(folder)) or settings.now()
    return Begun(selection_of(settings, chosen, now=now), now, folder, since)


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that was made and saved, and how much of it is new."""

    plan: Plan
    path: Path
    news: News


def _engine(name: str, *, memory_max_mb: int | None, master: str | None) -> str | Engine:
    """The engine by name, opened here only when it needs more than a name."""
    if memory_max_mb is None and name != "spark":
        return name
    from recon.verdicts.engine import open_engine

    return open_engine(name, memory_bytes=(memory_max_mb or 0) * 1_000_000 or None, spark_master=master)


def make(
    settings: Settings, begun: Begun, *, snapshot_path: str | None, engine: str | Engine, out: Path | None
) -> Made:
    """Snapshot (unless one is given), plan, save, and append to the history."""
    from recon.plans.approvals import DecisionRecords
    from recon.plans.file import save_plan
    from recon.plans.history import append_history, history_entry, latest_entry, load_history, news_of
    from recon.plans.make import make_plan
    from recon.snapshots.address import opened

    now, folder = settings.now(), settings.output_dir
    running = engine if isinstance(engine, str) else engine.name
    with opened(snapshot_path, engine=running) if snapshot_path else nullcontext(_take(settings, begun)) as taken:
        place = snapshot_path or taken.path
        plan = make_plan(taken, policy=settings.policy(), registry=settings.registry(), engine=engine)
    path = out or free_path(folder / f"plan-{stamp(now)}.json")
    save_plan(plan, path)
    records = DecisionRecords(settings.decisions_dir)
    records.note_author(plan, who=operator_name(), at=now)
    before = latest_entry(load_history(folder), target=plan.target.name)
    news = news_of(plan, acks=records.acks(), before=before, now=now)
    entry = history_entry(plan, at=second_text(now), path=str(path), news=news)
    append_history(folder, entry)
    note(f"Snapshot: {place}")
    note(f"Plan:     {path}")
    return Made(plan, path, news)


def print_plan(made: Made, *, output: str, part: str | None = None, config: Path | None = None) -> None:
    """Print the plan as a report, or as the plan file itself for JSON."""
    from recon.plans.file import plan_bytes

    if output == "json":
        write_stdout(plan_bytes(made.plan).decode())
        return
    report = report_of(made, config=config, full=output in ("csv", "md"))
    print_result(report, output, part=part or ("breaks" if output == "csv" else None))


def report_of(made: Made, *, config: Path | None, full: bool) -> Report:
    """The report of a plan that was just made, with how much of it is new."""
    from recon.reports import render_plan

    return render_plan(
        made.plan, path=str(made.path), config=None if config is None else str(config), full=full, news=made.news
    )


def exit_code(made: Made, *, new_only: bool = False) -> int:
    """4 when a source was not read completely, else 1 when there are breaks nobody acknowledged, else 0."""
    from recon.reports.views.plan import has_gaps

    if has_gaps(made.plan):
        return INCOMPLETE
    counted = made.news.new + (0 if new_only else made.news.known)
    return DIFFERENCES if counted else DONE


def stamp(moment: datetime) -> str:
    """A UTC time as part of a file name."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def coverage_rows(taken: Any) -> list[dict[str, Any]]:
    """The coverage table of a snapshot as dictionaries."""
    rows: list[dict[str, Any]] = taken.table("coverage").to_pylist()
    return rows


def _take(settings: Settings, begun: Begun) -> Any:
    from recon.cli.progress import ShownProgress
    from recon.setup.open_sources import open_sources
    from recon.snapshots.address import Export
    from recon.snapshots.take import open_snapshot, take_snapshot
    from recon.snapshots.unfinished import unfinished_now

    export = None if begun.export is None else Export(begun.export)
    base = None if begun.since is None else open_snapshot(begun.since)
    target = begun.folder or free_path(settings.output_dir / f"snapshot-{stamp(begun.now)}")
    try:
        with open_sources(settings) as sources, ShownProgress() as progress:
            return take_snapshot(
                sources,
                selection=begun.selection,
                policy=settings.policy(),
                registry=settings.registry(),
                now=begun.now,
                out=target,
                progress=progress,
                since=base,
                export=export,
            )
    except BaseException:
        if begun.folder is None and unfinished_now(target) is not None:
            note(f'What was read is kept. To go on, add to the same command: --resume "{target}"')
        raise
