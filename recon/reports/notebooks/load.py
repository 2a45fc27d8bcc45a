"""Any artefact as pandas frames: ``recon.load(path)``.

Columns are readable and exact: amounts are ``Decimal`` in whole tokens beside Python integers in base units, never a
float and never a wrapped int64; times are UTC; chains carry their names.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.errors import UsageError
from recon.core.registry import Registry, load_registry

if TYPE_CHECKING:
    import pandas as pd

    from recon.core.model import Plan
    from recon.investigation.payment import Inspection
    from recon.snapshots.sealed import Snapshot

ArtefactKind = Literal["plan", "snapshot", "history", "case", "journal", "deliveries"]
DIGITS_KEPT: Final = 100
"""Digits that sums of amounts keep, at least."""
JOURNAL_NAME: Final = "journal.ndjson"
_HEAD_BYTES: Final = 65_536
_DELIVERY_ENDINGS: Final = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")


class NoArtefactError(UsageError):
    """A path holds nothing that this tool has written."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(
            f"{path}: {why}; there are plan files, snapshot directories, case files, run histories, journals and "
            "notifications as NDJSON."
        )


class Loaded(Mapping[str, Any]):
    """The frames of one artefact by name, as a mapping and as attributes.

    Args:
        kind: What the artefact is: an :data:`ArtefactKind`, or ``frame`` for one that was saved alone.
        frames: The tables; which there are depends on the kind.
        artefact: The plan, snapshot or inspection itself, for functions that want it.
    """

    def __init__(self, kind: str, *, name: str, frames: Mapping[str, pd.DataFrame], artefact: Any) -> None:
        self.kind = kind
        self.name = name
        self.artefact = artefact
        self._frames = dict(frames)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getattr__(self, name: str) -> pd.DataFrame:
        frames = self.__dict__.get("_frames", {})
        if name in frames:
            frame: pd.DataFrame = frames[name]
            return frame
        raise AttributeError(f"this {self.__dict__.get('kind', 'artefact')} has no table {name!r}: {', '.join(frames)}")

    def join(self, left: str, right: str | pd.DataFrame, *, name: str = "") -> pd.DataFrame:
        """The rows of one frame with what belongs to them in another; see :func:`recon.reports.notebooks.joins.joined`.

        Args:
            left: A frame of this artefact.
            right: Another one of it, or a frame of another artefact: ``plan.join("findings", snapshot.payments)``.
            name: What the other frame's columns are marked with where both have one of that name.
        """
        from recon.reports.notebooks.joins import joined

        other = self[right] if isinstance(right, str) else right
        return joined(self[left], other, name=name or (right if isinstance(right, str) else ""))

    def save(self, place: str | Path, *, kind: Literal["parquet", "xlsx"] = "parquet") -> Path:
        """Write every frame into a new directory, exactly; ``recon.load`` reads it back the same.

        Raises:
            FileThereError: The directory is there already.
        """
        from recon.reports.notebooks.saved import save_frames

        return save_frames(self._frames, Path(place), artefact_kind=self.kind, name=self.name, file_kind=kind)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._frames]

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} ({len(frame):,})" for name, frame in self._frames.items())
        return f"<{self.kind} {self.name}: {rows}>"

    def _repr_html_(self) -> str:
        from recon.reports.notebooks.formatters import html_table

        rows = [(name, f"{len(frame):,}", ", ".join(frame.columns)) for name, frame in self._frames.items()]
        return html_table(f"{self.kind} {self.name}", ("table", "rows", "columns"), rows=rows)


def artefact_kind(path: Path) -> ArtefactKind:
    """Tell what a path holds, from its name and its first bytes.

    Raises:
        NoArtefactError: It holds nothing that this tool reads, or cannot be opened.
    """
    from recon.plans.history import FILE_NAME
    from recon.snapshots.sealed import MANIFEST

    if path.is_dir():
        if (path / MANIFEST).exists():
            return "snapshot"
        if (path / JOURNAL_NAME).exists():
            return "journal"
        raise NoArtefactError(path=path, why="this directory holds neither a manifest.json nor a journal")
    if path.name in (FILE_NAME, JOURNAL_NAME):
        return "history" if path.name == FILE_NAME else "journal"
    if path.name.endswith(_DELIVERY_ENDINGS):
        return "deliveries"
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES).lstrip()
    except OSError as error:
        raise NoArtefactError(path=path, why=f"it cannot be read ({error.strerror or 'unknown reason'})") from error
    if not head.startswith(b"{"):
        raise NoArtefactError(path=path, why="it is no JSON object")
    if b'"effects_digest"' in head:
        return "plan"
    return "case" if _is_case(path) else "plan"


def _is_case(path: Path) -> bool:
    from recon.investigation.payment.casefile import FILE_MAX_BYTES, KIND

    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            return False
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def load(source: str | Path | Plan | Snapshot | Inspection, *, registry: Registry | None = None) -> Loaded:
    """Read any artefact into pandas frames.

    A plan gives ``findings``, ``fields``, ``changes``, ``sets``, ``left_alone``, ``verdicts``, ``by_provider``,
    ``by_chain``, ``open_by_age``, ``money`` and ``coverage``; a snapshot the tables of :mod:`recon.core.tables`; a
    case or an inspection ``timeline``, ``causes``, ``fields`` and its rows; a history ``plans``; a journal
    ``entries``; notifications as NDJSON ``deliveries``. What :meth:`Loaded.save` wrote is read back the same, a single
    ``.parquet`` or ``.xlsx`` of it too. ``recon.columns(name)`` and ``frame.attrs`` say what the columns are. The
    precision of this thread's decimal arithmetic is raised, so that quotients of amounts keep many digits.

    Args:
        source: A path, or a plan, snapshot or inspection that is there already.
        registry: Names of chains and tokens; the shipped one unless a configuration adds to it.

    Raises:
        NoArtefactError: The path holds nothing that this tool reads.
        PlanFileError, SnapshotError, CaseFileError: It is damaged or was changed.
    """
    from recon.reports.notebooks.formatters import register_formatters

    register_formatters()
    # Sums of a column go through the thread's decimal context, which rounds at 28 digits unless it is told otherwise.
    context = decimal.getcontext()
    context.prec = max(context.prec, DIGITS_KEPT)
    known = registry or load_registry()
    if not isinstance(source, str | Path):
        return _loaded(source, known)
    path = Path(source)
    if not path.exists():
        raise NoArtefactError(path=path, why="nothing is there")
    return _saved(path) or _read(path, known)


def _saved(path: Path) -> Loaded | None:
    """Frames that :meth:`Loaded.save` wrote, or one of them; None where it is something else."""
    from recon.reports.notebooks.saved import ENDINGS, INDEX, read_frame, read_frames

    if (path / INDEX).exists():
        kind, name, frames = read_frames(path)
        return Loaded(kind, name=name, frames=frames, artefact=None)
    if path.suffix in ENDINGS:
        return Loaded("frame", name=path.name, frames={path.stem: read_frame(path)}, artefact=None)
    return None


def _read(path: Path, known: Registry) -> Loaded:
    kind = artefact_kind(path)
    if kind == "plan":
        from recon.plans.file import load_plan

        return _loaded(load_plan(path), known)
    if kind == "snapshot":
        from recon.snapshots.take import open_snapshot

        return _loaded(open_snapshot(path), known)
    if kind == "case":
        from recon.investigation.payment.casefile import load_case

        return _loaded(load_case(path, registry=known), known)
    return Loaded(kind, name=path.name, frames=_lines(kind, path), artefact=None)


def _loaded(artefact: Plan | Snapshot | Inspection, registry: Registry) -> Loaded:
    from recon.core.model import Plan
    from recon.reports.notebooks import frames
    from recon.snapshots.sealed import Snapshot

    if isinstance(artefact, Plan):
        found = frames.plan_frames(artefact, registry)
        return Loaded("plan", name=artefact.digest[:12], frames=found, artefact=artefact)
    if isinstance(artefact, Snapshot):
        found = frames.snapshot_frames(artefact, registry)
        return Loaded("snapshot", name=artefact.digest[:12], frames=found, artefact=artefact)
    name = artefact.dossier.payment_id or artefact.dossier.asked
    return Loaded("case", name=name, frames=frames.case_frames(artefact, registry), artefact=artefact)


def _lines(kind: ArtefactKind, path: Path) -> dict[str, pd.DataFrame]:
    """The frame of a file of lines: a history, a journal, or notifications."""
    from recon.reports.notebooks import frames

    if kind == "history":
        from recon.plans.history import load_history

        return {"plans": frames.history_frame(load_history(path.parent).entries)}
    if kind == "journal":
        from recon.runs.stores.journal import FileJournal

        return {"entries": frames.journal_frame(FileJournal(path if path.is_dir() else path.parent).entries())}
    from recon.sources.deliveries.records import load_deliveries

    return {"deliveries": frames.delivery_frame(each.row() for each in load_deliveries(path).deliveries)}
