"""What the watch keeps on disk: snapshots and plans of rounds, by age and number, and whatever else names them.

A plan or a snapshot of a round is never removed while its digest stands in any other file of the output directory (an
approval, an acknowledgement, a sample, a case, a selection, a report) or in the journal of runs. Where the journal
cannot be read, nothing is removed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.core.errors import ReconError
from recon.plans.history import FILE_NAME as HISTORY
from recon.plans.history import load_history
from recon.plans.shelf import AUTHOR, Shelf
from recon.setup.open_decisions import open_shelf
from recon.snapshots.sealed import MANIFEST
from recon.snapshots.unfinished import STATE
from recon.watch.state import FOLDER

if TYPE_CHECKING:
    from recon.setup.settings import Settings
    from recon.setup.watch_section import WatchSection

_STAMPED: Final = re.compile(r"(snapshot|plan)-watch-(.+)-(\d{8}T\d{6}Z)(?:-\d+)?(?:\.json)?")
_DIGEST: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LEFT_OVER: Final = timedelta(days=1)
"""A folder of a round with neither a seal nor a beginning is what a crash left, after so long."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One plan or snapshot of a round.

    Args:
        names: The digests by which other files may name it.
        snapshot: Of a plan, the digest of the snapshot that it was made from.
    """

    path: Path
    kind: str
    window: str
    at: datetime
    names: frozenset[str]
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, by name, and why nothing was where nothing could be."""

    removed: tuple[str, ...] = ()
    why_not: str = ""


def prune(settings: Settings, *, now: datetime, in_use: Iterable[str] = ()) -> Pruned:
    """Remove what is too old or too many; what a crash left of an earlier removal goes as well.

    Args:
        in_use: Names of snapshots that the next rounds build upon.
    """
    span = timedelta(days=settings.values.watch.keep_days) + LEFT_OVER
    found = list(artefacts(settings.output_dir, span=span))
    old = to_remove(found, limits=settings.values.watch, now=now)
    if not old:
        return Pruned()
    try:
        shelf = open_shelf(settings)
        named = _named_by_runs(settings) | _named_in(settings.output_dir) | _named_by_decisions(shelf)
    except (ReconError, OSError) as error:
        return Pruned(why_not=f"Nothing was removed, because what runs and decisions name could not be read: {error}")
    going = _unnamed(found, old, named | set(in_use))
    for each in going:
        _remove(each.path)
    names = tuple(each.path.name for each in going)
    try:
        for digest in sorted(digest for each in going if each.kind == "plan" for digest in each.names):
            shelf.drop_author(digest)
    except (ReconError, OSError) as error:
        return Pruned(names, why_not=f"Notes of who made plans that are gone could not be removed: {error}")
    return Pruned(names)


def _unnamed(found: Iterable[Artefact], old: Iterable[Artefact], named: set[str]) -> list[Artefact]:
    """Those of the old ones that nothing names; a plan that stays names its snapshot."""
    aged = {each.path for each in old}
    stays = [each for each in found if each.path not in aged or each.names & named]
    named = named | {each.snapshot for each in stays} - {""}
    return [each for each in old if not (each.names | {each.path.name}) & named]


def to_remove(found: Iterable[Artefact], *, limits: WatchSection, now: datetime) -> list[Artefact]:
    """Those that are too old or too many, of each kind and window; what names them is not asked."""
    groups: dict[tuple[str, str], list[Artefact]] = {}
    for each in found:
        groups.setdefault((each.kind, each.window), []).append(each)
    old: list[Artefact] = []
    for mine in groups.values():
        mine.sort(key=lambda each: (each.at, each.path.name), reverse=True)
        # A clock that jumped ahead makes nothing old: what counts is how much older it is than the newest round.
        edge = min(now, mine[0].at + LEFT_OVER) - timedelta(days=limits.keep_days)
        for number, each in enumerate(mine):
            if number >= limits.keep_rounds_min and (each.at < edge or number >= limits.keep_rounds_max):
                old.append(each)
    return sorted(old, key=lambda each: (each.at, each.path.name))


def artefacts(folder: Path, *, span: timedelta | None = None) -> Iterator[Artefact]:
    """The plans and snapshots of rounds in a folder.

    Args:
        span: Plans whose lines are that far back in the history are opened to learn their digests.
    """
    entries = {Path(str(each.get("plan"))).name: each for each in load_history(folder, span=span).entries}
    for path in sorted(folder.glob("*-watch-*")):
        if not path.is_symlink() and (found := _artefact(path, entries.get(path.name))) is not None:
            yield found


def _artefact(path: Path, entry: Mapping[str, object] | None) -> Artefact | None:
    if (named := _STAMPED.fullmatch(path.name)) is None:
        return None
    kind, window, text = named.groups()
    at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if kind == "plan" and path.is_file():
        said = entry or _json_of(path)
        names = frozenset({str(said.get("digest") or "")} - {""})
        return Artefact(path, kind, window, at, names, str(said.get("snapshot") or ""))
    if kind == "snapshot" and path.is_dir() and not (path / STATE).exists():
        digest = str(_json_of(path / MANIFEST).get("digest") or "")
        return Artefact(path, kind, window, at, frozenset({digest} - {""}))
    return None


def _json_of(path: Path) -> Mapping[str, object]:
    with suppress(OSError, ValueError, RecursionError):
        if isinstance(found := json.loads(path.read_bytes()), dict):
            return found
    return {}


def _named_by_runs(settings: Settings) -> set[str]:
    from recon.setup.open_runs import read_runs

    runs, _ = read_runs(settings)
    return {each.plan for each in runs}


def _named_by_decisions(shelf: Shelf) -> set[str]:
    """Every digest that a decision names; the notes of authors go with their plans."""
    texts = (data for name, data in shelf.records("") if not name.startswith(AUTHOR))
    return {each.decode() for data in texts for each in _DIGEST.findall(data)}


def _named_in(folder: Path) -> set[str]:
    """Every digest that stands in a file of the folder which is no round's own, and none of a snapshot's tables."""
    found: set[str] = set()
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts[0]
        if top in (FOLDER, HISTORY) or top.startswith("snapshot-") or _STAMPED.fullmatch(top) or not path.is_file():
            continue
        if path.name.startswith("author-"):
            continue
        with path.open("rb") as stream:
            found.update(each.decode() for line in stream for each in _DIGEST.findall(line))
    return found


def _remove(path: Path) -> None:
    if path.is_dir():
        # Without its seal it is no snapshot any more, so that half of one is never taken for one.
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
