"""``snapshot``, ``plan`` and ``history``: the main job, dry."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.choosing import Chosen, selection_of
from recon.api.common import (
    Config,
    Place,
    Say,
    free_path,
    operator_name,
    output_folder,
    place_for,
    rules_for,
    settings_if_there,
    settings_of,
    stamp,
    tell,
    time_of_run,
)
from recon.api.naming import snapshot_place, unfinished_place
from recon.core.errors import UsageError
from recon.core.times import second_text
from recon.sources.interface import no_progress
from recon.sources.spans import span

if TYPE_CHECKING:
    from typing import Unpack

    from recon.core.model import Plan
    from recon.plans.approvals import Ack
    from recon.plans.history import History, News
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.sources.interface import Progress, Selection
    from recon.verdicts.engine import Engine


class FinishedSnapshotError(UsageError):
    """A directory to go on in holds a snapshot that is finished."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(f'{path} is a finished snapshot; to judge it: recon plan --snapshot "{path}".')


class TwoFoldersError(UsageError):
    """A snapshot is to be written to one directory and continued in another."""

    def __init__(self) -> None:
        super().__init__("The directory to go on in is the one to write to: give --resume or --out, not both.")


class OwnWindowError(UsageError):
    """A snapshot is to be judged, and payments are chosen besides."""

    def __init__(self) -> None:
        super().__init__("A snapshot holds its own window: leave out --from, --id and the like, or --snapshot.")


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


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was made and saved, and how much of it is new."""

    plan: Plan
    path: Path
    news: News


def snapshot(
    config: Config = None,
    *,
    selection: Selection | None = None,
    out: Place | None = None,
    resume: Place | None = None,
    since: Place | None = None,
    export: str | None = None,
    progress: Progress = no_progress,
    say: Say = tell,
    **chosen: Unpack[Chosen],
) -> Snapshot:
    """Read a window from every source and seal it; see ``recon snapshot``.

    Args:
        selection: Which payments, instead of ``from_at``, ``providers`` and the like; without dates of its own it is
            one within the configured window.
        out: The new directory, or one that holds an interrupted snapshot; one in the output directory otherwise.
        resume: The directory of an interrupted snapshot; the other options have to be the same.
        since: The snapshot to build upon.
        export: An fsspec address to write the snapshot to as well.

    Raises:
        ConfigError: A setting is missing or wrong.
        UnknownFilterError: A filter names something that is not known.
        WrongSourceError: A source is not the one that was meant.
        SnapshotExistsError: ``out`` is not empty.
    """
    if out is not None and resume is not None:
        raise TwoFoldersError
    settings = settings_of(config)
    named = out if resume is None else unfinished_place(resume, config=settings)
    folder, now = _folder_and_moment(settings, named)
    chosen_here = selection_of(settings, chosen, selection=selection, now=now)
    begun = Begun(chosen_here, now, folder, since=_base(since, settings), export=export)
    return _taken(settings, begun, progress=progress, say=say)


def plan(snapshot: Snapshot | Place | None = None, *, config: Config = None, **options: Unpack[PlanOptions]) -> Plan:
    """Judge a snapshot, or the sources as they are now, and plan the corrections; see ``recon plan``.

    The plan file is saved, its author noted, and a line of history written, as by the command.

    Args:
        snapshot: Judged offline, from a directory or an fsspec address; without one a new snapshot is taken first.
            Where there is no configuration it is judged by the rules that it holds, and no author is noted.
        options: See :class:`PlanOptions`.

    Raises:
        ConfigError: A setting is missing or wrong.
        UnknownFilterError: A filter names something that is not known.
        SnapshotError: The snapshot was changed, or is none.
    """
    return plan_and_save(snapshot, config=config, **options).plan


class PlanOptions(Chosen, total=False):
    """The options of a plan.

    ``selection``, ``resume`` and ``since`` are as for :func:`snapshot`, and only for a snapshot that is taken now.
    ``engine`` joins the tables (the usual one for their size when None), DuckDB within ``memory_max_mb``, Spark at
    ``spark_master``, with what it keeps at ``spark_scratch``. ``out`` is the plan file; without it one in the output
    directory is written. ``operator`` made it.
    """

    selection: Selection | None
    resume: Place | None
    since: Place | None
    engine: str | None
    memory_max_mb: int | None
    spark_master: str | None
    spark_scratch: str | None
    out: Place | None
    operator: str | None
    progress: Progress
    say: Say


def plan_and_save(
    snapshot: Snapshot | Place | None = None, *, config: Config = None, **options: Unpack[PlanOptions]
) -> SavedPlan:
    """As :func:`plan`, with the place of the plan file and how much of the plan is new."""
    from recon.plans.file import save_plan
    from recon.plans.make import make_plan
    from recon.snapshots.address import opened

    # A snapshot holds what it is judged by; only who reads the sources has to say where they are.
    settings = settings_of(config) if snapshot is None else settings_if_there(config)
    name, say = options.pop("engine", None), options.pop("say", tell)
    engine = _engine(
        name,
        memory_max_mb=options.pop("memory_max_mb", None),
        master=options.pop("spark_master", None),
        scratch=options.pop("spark_scratch", None),
    )
    out, operator = options.pop("out", None), options.pop("operator", None)
    progress = options.pop("progress", no_progress)
    if snapshot is not None and any(options.values()):
        raise OwnWindowError
    if out is not None:
        _make_room(Path(out))
    if snapshot is None:
        snapshot = _new_snapshot(settings_of(settings), options, progress, say)
    elif isinstance(snapshot, str | Path):
        snapshot = snapshot_place(snapshot, config=settings)
    now = time_of_run(settings)
    with opened(snapshot, engine=name) if isinstance(snapshot, str | Path) else nullcontext(snapshot) as judged:
        policy, registry = rules_for(judged, settings)
        with span("plan"):
            made = make_plan(judged, policy=policy, registry=registry, engine=engine)
        place = snapshot if isinstance(snapshot, str | Path) else snapshot.path
    path = place_for(out, usual=output_folder(settings) / f"plan-{stamp(now)}.json")
    save_plan(made, path)
    who = operator_name(operator)
    saved = SavedPlan(made, path, _recorded(settings, made, path=path, who=who, now=now, say=say))
    say(f"Snapshot: {place}")
    say(f"Plan:     {path}")
    return saved


def _make_room(place: Path) -> None:
    """Find out before minutes of reading whether a plan can be kept where it is wanted."""
    from recon.files import check_free, make_folder

    check_free(place)
    make_folder(place.parent)


def history(config: Config = None) -> History:
    """The plans made so far, oldest first; see ``recon history``."""
    from recon.plans.history import load_history

    return load_history(settings_of(config).output_dir)


def _new_snapshot(settings: Settings, options: PlanOptions, progress: Progress, say: Say) -> Snapshot:
    selection, since = options.pop("selection", None), _base(options.pop("since", None), settings)
    resume = options.pop("resume", None)
    named = None if resume is None else unfinished_place(resume, config=settings)
    folder, now = _folder_and_moment(settings, named)
    begun = Begun(selection_of(settings, options, selection=selection, now=now), now, folder, since=since)
    return _taken(settings, begun, progress=progress, say=say)


def _base(since: Place | None, settings: Settings) -> Path | None:
    """The snapshot that a new one is built upon, found before anything is read."""
    return None if since is None else Path(snapshot_place(since, config=settings))


def _folder_and_moment(settings: Settings, place: Place | None) -> tuple[Path | None, datetime]:
    """The directory that was named; where it holds an interrupted snapshot, as of the moment of its beginning."""
    from recon.snapshots.sealed import is_sealed
    from recon.snapshots.unfinished import unfinished_now

    if place is None:
        return None, settings.now()
    folder = Path(place)
    if is_sealed(folder):
        raise FinishedSnapshotError(path=folder)
    return folder, unfinished_now(folder) or settings.now()


def _taken(settings: Settings, begun: Begun, *, progress: Progress, say: Say) -> Snapshot:
    from recon.setup.open_sources import open_sources
    from recon.snapshots.address import Export
    from recon.snapshots.take import open_snapshot, take_snapshot
    from recon.snapshots.unfinished import unfinished_now

    export = None if begun.export is None else Export(begun.export)
    base = None if begun.since is None else open_snapshot(begun.since)
    target = begun.folder or free_path(settings.output_dir / f"snapshot-{stamp(begun.now)}")
    try:
        with open_sources(settings) as sources:
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
            say(f'What was read is kept. To go on, add to the same command: --resume "{target}"')
        raise


def _engine(
    name: str | None, *, memory_max_mb: int | None, master: str | None, scratch: str | None
) -> str | Engine | None:
    """The engine by name, opened here only when it needs more than a name; a limit of memory means DuckDB."""
    if memory_max_mb is None and name != "spark":
        return name
    from recon.verdicts.engine import open_engine
    from recon.verdicts.spark import SparkPlace

    limit = (memory_max_mb or 0) * 1_000_000 or None
    return open_engine(name or "duckdb", memory_bytes=limit, spark=SparkPlace(master, scratch))


def _recorded(settings: Settings | None, made: Plan, *, path: Path, who: str, now: datetime, say: Say) -> News:
    """Note the author, add the line of history, and tell what is new since the plan before.

    Decisions are recorded and believed under a configuration only; without one nothing counts as acknowledged.
    """
    from recon.plans.history import append_history, history_entry, newest_entry, news_of
    from recon.setup.open_decisions import open_decisions

    folder = output_folder(settings)
    acks: tuple[Ack, ...] = ()
    if settings is not None:
        records = open_decisions(settings)
        records.note_author(made, who=who, at=now)
        acks = records.acks(made.target, now=now, only=made.findings)
    before = newest_entry(folder, target=made.target.name)
    for each in (ack for ack in acks if ack.void):
        say(f"An acknowledgement of {each.payment_id} counts for nothing: {each.void}.")
    news = news_of(made, acks=acks, before=before, now=now)
    append_history(folder, history_entry(made, at=second_text(now), path=str(path), news=news))
    return news
