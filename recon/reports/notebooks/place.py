"""The files that a notebook reads, wherever it is started: found by looking around, or named by a variable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recon.core.errors import UsageError

VARIABLE: Final = "RECON_FOLDER"
NAMES: Final = ("recon-demo", "recon-out")
"""What is looked for, in the folder of the notebook and in every folder above it."""


class NothingToReadError(UsageError):
    """There are no files that a notebook could read."""

    def __init__(self, *, looked: str) -> None:
        super().__init__(
            f'{looked}. Run "recon demo" first, which writes recon-demo, or "recon plan", which writes recon-out; or '
            f"set {VARIABLE} to the directory that holds the snapshot and the plan."
        )


@dataclass(frozen=True, slots=True)
class Artefacts:
    """A directory with what commands wrote.

    Args:
        folder: Holds the snapshots, the plans and the history.
    """

    folder: Path

    @property
    def snapshot(self) -> Path:
        """The newest snapshot that is sealed; one that was interrupted is none."""
        return self._newest(self.snapshots, "a sealed snapshot")

    @property
    def snapshots(self) -> tuple[Path, ...]:
        """The sealed snapshots, oldest first."""
        from recon.snapshots.sealed import MANIFEST

        return _by_time(manifest.parent for manifest in self.folder.glob(f"snapshot*/{MANIFEST}"))

    @property
    def plan(self) -> Path:
        """The plan that was made last."""
        return self._newest(self.plans, "a plan")

    @property
    def plans(self) -> tuple[Path, ...]:
        """The plans that were made of snapshots, oldest first; selections and ways back are none of them."""
        named = (path for path in self.folder.glob("plan-*.json") if not path.stem.endswith("-selected"))
        return _by_time(named)

    @property
    def config(self) -> Path:
        """The configuration, in the directory or above it."""
        return self._there("recon.toml", self.folder.parent / "recon.toml")

    @property
    def history(self) -> Path:
        """The history of runs."""
        return self._there("history.ndjson")

    @property
    def deliveries(self) -> Path:
        """The notifications that were kept."""
        return self._there("world/deliveries.ndjson", self.folder / "deliveries.ndjson")

    def _newest(self, found: tuple[Path, ...], what: str) -> Path:
        if not found:
            raise NothingToReadError(looked=f"{self.folder} holds no {what.removeprefix('a ')}")
        return found[-1]

    def _there(self, name: str, *others: Path) -> Path:
        found = next((path for path in (self.folder / name, *others) if path.exists()), None)
        if found is None:
            raise NothingToReadError(looked=f"{self.folder} holds no {name}")
        return found


def find_artefacts(folder: str | Path | None = None) -> Artefacts:
    """The directory that a notebook reads: the one given, that of ``RECON_FOLDER``, or the nearest recon-demo or
    recon-out in this folder or above it.

    Raises:
        NothingToReadError: There is none; it says what to run first.
    """
    named = folder or os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise NothingToReadError(looked=f"{named} is no directory")
        return Artefacts(Path(named).absolute())
    here = Path.cwd()
    for place in _around(here):
        if place.is_dir():
            return Artefacts(place)
    raise NothingToReadError(looked=f"Neither {' nor '.join(NAMES)} is in {here} or above it")


def _around(here: Path) -> Iterator[Path]:
    for above in (here, *here.parents):
        if above.name in NAMES:
            yield above
        yield from (above / name for name in NAMES)


def _by_time(paths: Iterator[Path]) -> tuple[Path, ...]:
    return tuple(sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name)))
