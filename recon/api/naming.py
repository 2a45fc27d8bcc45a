"""Plans, snapshots and runs by a word: ``latest``, the beginning of a name or of a digest, or the whole of either."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.api.common import Config, Place, output_folder, settings_if_sound
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.rails.flags.journal import FlagJournal
    from recon.rails.flags.plan import FlagPlan
    from recon.repairs.plan import RepairPlan
    from recon.runs.stores.journal import Journal
    from recon.setup.settings import Settings

NEWEST: Final = ("latest", "last")
PREFIX_MIN: Final = 4
"""From so many characters on the beginning of a name or of a digest is enough, where no other begins like it."""


class NoPlanYetError(UsageError):
    """The history holds no plan."""

    def __init__(self) -> None:
        super().__init__('There is no plan in the run history; name a plan file, or run "recon plan" first.')


class NoneYetError(UsageError):
    """The newest of something is wanted, and there is none in the output directory."""

    def __init__(self, *, what: str, folder: Path) -> None:
        super().__init__(f"There is no {what} in {folder}; name one by its path. Nothing was written.")


class NoSuchNameError(UsageError):
    """A word names no plan or run, or several."""

    def __init__(self, *, what: str, word: str, near: Sequence[str], is_many: bool) -> None:
        shown = ", ".join(near)
        if is_many:
            said = f"{word[:80]!r} names several {what}s: {shown}. Write more of it."
        else:
            said = f"There is no {what} {word[:80]!r}" + (f"; the nearest is {shown}." if near else ".")
        super().__init__(f"{said} Nothing was written.")
        self.is_many = is_many


def plan_place(word: Place, *, config: Config = None) -> Path:
    """The plan file that a word names: a path that is there, ``latest``, or the beginning of a name or a digest.

    A word that looks like a path comes back as it is, so that the error names the file that is missing.

    Raises:
        NoPlanYetError: The newest is wanted, and there is none.
        NoSuchNameError: Several plans are called so, or none and another one nearly is.
    """
    if _is_path(word):
        return Path(word)
    folder = _output_folder(config)
    if str(word) in NEWEST:
        return _newest_plan(folder)
    return Path(_only(str(word), _plans(folder), what="plan"))


def snapshot_place(word: Place, *, config: Config = None) -> Place:
    """The snapshot that a word names, as :func:`plan_place` does it for plans; an fsspec address comes back as it is.

    The newest is the sealed one in the output directory that was taken last.

    Raises:
        NoneYetError: The newest is wanted, and there is none.
        NoSuchNameError: Several snapshots are called so, or none and another one nearly is.
    """
    from recon.snapshots.address import is_address

    if is_address(word):
        return word
    return word if _is_path(word) else _in_folder(word, config, known=_snapshots, what="snapshot")


def unfinished_place(word: Place, *, config: Config = None) -> Path:
    """The directory of an interrupted snapshot that a word names, as :func:`snapshot_place`.

    Raises:
        NoSuchNameError: There is no directory of that path either; nothing new is begun under it.
    """
    what = "interrupted snapshot"
    if not _is_path(word):
        return _in_folder(word, config, known=_unfinished, what=what)
    if not Path(word).is_dir():
        raise NoSuchNameError(what=what, word=str(word), near=(), is_many=False)
    return Path(word)


def flag_plan_place(word: Place, *, config: Config = None) -> Path:
    """The file of a plan for flags that a word names, as :func:`plan_place`; the newest was made last."""
    return Path(word) if _is_path(word) else _in_folder(word, config, known=_flag_plans, what="plan for flags")


def artefact_place(word: Place, *, config: Config = None) -> Path:
    """The plan or snapshot that a word names; the newest is a plan. Raises as :func:`plan_place`."""
    if _is_path(word) or str(word) in NEWEST:
        return plan_place(word, config=config)
    folder = _output_folder(config)
    named = [*_plans(folder), *((path, names) for path, names, _ in _snapshots(folder))]
    return Path(_only(str(word), named, what="plan or snapshot"))


def plan_of(plan: Plan | Place, *, config: Config = None) -> Plan:
    """A plan as it is, or read from the file that a word names; see :func:`plan_place`."""
    from recon.plans.file import load_plan

    return load_plan(plan_place(plan, config=config)) if isinstance(plan, str | Path) else plan


def plan_by_digest(digest: str, settings: Settings) -> Plan | None:
    """The plan of that digest: one of the run history or the output directory, else None.

    Raises:
        PlanFileError: The file that holds it was changed.
    """
    from recon.plans.file import is_plan_named, load_plan

    folder = settings.output_dir
    known = [Path(str(entry["plan"])) for entry in _history(folder) if entry["digest"] == digest]
    for place in (*known, *sorted(folder.glob("*.json"))):
        if is_plan_named(place, digest) and (found := load_plan(place)).digest == digest:
            return found
    return None


def plan_of_any_kind(
    plan: Plan | FlagPlan | RepairPlan | Place, *, config: Config = None
) -> Plan | FlagPlan | RepairPlan:
    """:func:`plan_of`, of corrections, flags or repairs."""
    from recon.rails.flags.plan import is_flag_plan, load_flag_plan
    from recon.repairs.plan import RepairPlan, is_repair_plan, load_repair_plan

    if isinstance(plan, RepairPlan):
        return plan
    if isinstance(plan, str | Path) and is_repair_plan(place := plan_place(plan, config=config)):
        return load_repair_plan(place)
    if isinstance(plan, str | Path) and is_flag_plan(place := plan_place(plan, config=config)):
        return load_flag_plan(place)
    return plan_of(plan, config=config) if isinstance(plan, str | Path) else plan


def run_named(word: str, journal: Journal, *, what: str = "run") -> str:
    """The run that a word names: its name, ``last``, or the beginning of a name.

    Args:
        what: What is looked for, as the error says it.

    Raises:
        NoSuchNameError: Several runs are called so, or none and another one nearly is.
    """
    from recon.runs.states import list_runs

    return _run_among([each.run for each in list_runs(journal)], word, what=what)


def flag_run_named(word: str, journal: FlagJournal) -> str:
    """As :func:`run_named`, of the runs that changed flags."""
    return _run_among(list(dict.fromkeys(each.run for each in journal.read() if each.kind == "intent")), word)


def _run_among(runs: Sequence[str], word: str, *, what: str = "run") -> str:
    if word in runs or not runs:
        return word
    return runs[-1] if word in NEWEST else _only(word, [(run, (run,)) for run in runs], what=what)


def newest_plan(config: Config = None) -> Path:
    """The plan that was made last. Raises NoPlanYetError when there is none."""
    return plan_place(NEWEST[0], config=config)


def _is_path(place: Place) -> bool:
    path = Path(place)
    return path.exists() or len(path.parts) > 1 or bool(path.suffix)


def _newest_plan(folder: Path) -> Path:
    entries = _history(folder)
    if not entries:
        raise NoPlanYetError
    return Path(str(entries[-1]["plan"]))


_Named = tuple[str, Sequence[str]]
"""A path, and what it is called."""
_Dated = tuple[str, Sequence[str], tuple[float, ...]]
"""The same, and what tells its age."""


def _plans(folder: Path) -> list[_Named]:
    """The plans of the history and the files of the output directory."""
    made = [(Path(str(entry["plan"])).absolute(), str(entry["digest"])) for entry in _history(folder)]
    return [
        *((str(path), (path.stem, digest)) for path, digest in made),
        *((str(path.absolute()), (path.stem,)) for path in folder.glob("*.json")),
    ]


def _in_folder(word: Place, config: Config, *, known: Callable[[Path], Iterable[_Dated]], what: str) -> Path:
    folder = _output_folder(config)
    found = sorted(known(folder), key=lambda each: each[2])
    if str(word) not in NEWEST:
        return Path(_only(str(word), [(path, names) for path, names, _ in found], what=what))
    if not found:
        raise NoneYetError(what=what, folder=folder)
    return Path(found[-1][0])


def _snapshots(folder: Path) -> Iterator[_Dated]:
    """The sealed snapshots; one whose manifest cannot be read has only its name, and is never the newest."""
    from recon.snapshots.sealed import MANIFEST

    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        said = _json_of(path)
        taken = said.get("taken_at_ms")
        age = (float(taken), _written(path)) if isinstance(taken, int) else (-1.0, 0.0)
        yield str(path.parent), (path.parent.name, str(said.get("digest", ""))), age


def _unfinished(folder: Path) -> Iterator[_Dated]:
    from recon.snapshots.unfinished import unfinished_now

    for path in sorted(folder.glob("*/")):
        if (began := unfinished_now(path)) is not None:
            yield str(path), (path.name,), (began.timestamp(), _written(path))


def _flag_plans(folder: Path) -> Iterator[_Dated]:
    from recon.core.times import parse_iso_ms
    from recon.rails.flags.plan import is_flag_plan

    for path in sorted(folder.glob("*.json")):
        if is_flag_plan(path):
            said = _json_of(path)
            made = parse_iso_ms(str(said.get("created_at", "")))
            yield str(path), (path.stem, str(said.get("digest", ""))), (float(made or 0), _written(path))


def _json_of(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        if isinstance(found := json.loads(path.read_bytes()), dict):
            return found
    return {}


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _only(word: str, things: Sequence[tuple[str, Sequence[str]]], *, what: str) -> str:
    """The one thing that is called so, else the one of which a name begins so."""
    called = {thing for thing, names in things if word in names}
    begins = called or {thing for thing, names in things if any(name.startswith(word) for name in names)}
    if len(begins) == 1 and (called or len(word) >= PREFIX_MIN):
        return begins.pop()
    near = sorted(begins)[:3] or get_close_matches(word, [*NEWEST, *(names[0] for _, names in things)], n=1, cutoff=0.7)
    raise NoSuchNameError(what=what, word=word, near=near, is_many=len(begins) > 1)


def _output_folder(config: Config) -> Path:
    return output_folder(settings_if_sound(config))


def _history(folder: Path) -> Sequence[Mapping[str, Any]]:
    from recon.plans.history import load_history

    return load_history(folder).entries
