"""What an interrupted snapshot has read already: parts that were read whole are kept and used again.

Until a snapshot is sealed its directory holds ``unfinished.json``: what is being read, as of which moment, and each
part with the digests of its files. A part is there once it was read to its end and its files are complete; whatever
the run died in the middle of is read anew. The second reading of the breaks is never kept: it has to be recent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import UsageError
from recon.core.tables import TABLES
from recon.core.times import to_ms
from recon.core.version import __version__
from recon.files import is_waiting, make_folder, remove_waiting, replace_file
from recon.snapshots.sealed import MANIFEST, SnapshotExistsError, file_digest, is_sealed, read_table
from recon.sources.interface import Coverage, Gap, Reading

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.sources.payments.fields import FieldPaths

FORMAT: Final = 1
STATE: Final = "unfinished.json"
FOLDER: Final = "unfinished"


class OtherRunError(UsageError):
    """A directory holds what another command has begun to read."""

    def __init__(self, *, path: Path, what: str) -> None:
        super().__init__(
            f"{path.name}: its reading was begun with another {what}, so it cannot be continued like this; "
            "give the same options again, or name another directory."
        )


def reading_basis(*, policy: Policy, registry: Registry, fields: FieldPaths) -> str:
    """The sha256 of everything that tables depend on besides the sources: rules, known contracts, field paths, tool."""

    return sha256_hex(repr((__version__, TABLES, _plain(policy), _plain(registry), _plain(fields))))


_CAME_LATER: Final = ("payout_wallets", "explained")
"""Settings that earlier versions had not: while they are not used, what was read before can be built upon."""


def _plain(value: Any) -> Any:
    """A value whose text is the same in every process: sets and mappings sorted, records as their fields."""
    if isinstance(value, Mapping):
        return sorted((repr(key), _plain(item)) for key, item in value.items())
    if isinstance(value, set | frozenset):
        return sorted(repr(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    names = getattr(value, "__dataclass_fields__", None)
    if names is None:
        return value
    said = {name: getattr(value, name) for name in sorted(names)}
    return [(name, _plain(each)) for name, each in said.items() if each or name not in _CAME_LATER]


def unfinished_now(path: Path) -> datetime | None:
    """As of which moment the unfinished reading in a directory was begun; None when there is none."""
    state = _load(path / STATE)
    return None if state is None else datetime.fromtimestamp(state["now_ms"] / 1000, UTC)


class Unfinished:
    """The parts of a snapshot that were read already; used from several threads.

    Args:
        identity: What is read and how, as JSON; a run with another one is refused.
        now: When this run began; a continued one keeps the moment of the first.

    Raises:
        OtherRunError: The directory holds what another command has begun.
        SnapshotExistsError: The directory is a snapshot, or holds something else.
    """

    def __init__(self, path: Path, *, identity: Mapping[str, Any], now: datetime) -> None:
        self.path = path
        self._lock = Lock()
        given = json.loads(canonical_json(dict(identity)))
        if is_sealed(path):
            raise SnapshotExistsError(path=path)
        state = _load(path / STATE)
        if state is None:
            if path.exists() and not all(_is_ours(item.name) for item in path.iterdir()):
                raise SnapshotExistsError(path=path)
            self._state = {"format": FORMAT, "identity": given, "now_ms": to_ms(now), "parts": {}}
        else:
            for what in sorted({*given, *state["identity"]}, reverse=True):
                if given.get(what) != state["identity"].get(what):
                    raise OtherRunError(path=path, what=what)
            self._state = state
        make_folder(path / FOLDER)
        self._save()

    @property
    def now(self) -> datetime:
        """The moment as of which everything is read."""
        return datetime.fromtimestamp(self._state["now_ms"] / 1000, UTC)

    def rows(self, part: str, name: str) -> int:
        """How many rows a file of a part has."""
        return int(self._state["parts"][part]["files"][name]["rows"])

    def part(self, part: str) -> Reading | None:
        """A part that was read whole, without the tables that lie at their place already; None when it was not."""
        stored = self._state["parts"].get(part)
        if stored is None:
            return None
        try:
            tables = {}
            for name, facts in stored["files"].items():
                if file_digest(self.path / facts["path"]) != facts["sha256"]:
                    return None
                if facts["path"].startswith(f"{FOLDER}/"):
                    tables[name] = read_table(self.path / facts["path"])
            return Reading(
                tables=tables,
                coverage=tuple(Coverage(**row) for row in stored["coverage"]),
                gaps=tuple(Gap(**row) for row in stored["gaps"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, part: str, reading: Reading, *, placed: Mapping[str, int] | None = None) -> None:
        """Note that a part was read whole.

        Args:
            placed: Tables that lie at their place in the snapshot already, with their rows.
        """
        import pyarrow.parquet as pq

        files: dict[str, Any] = {}
        for name, rows in (placed or {}).items():
            files[name] = {
                "path": f"{name}.parquet",
                "rows": rows,
                "sha256": file_digest(self.path / f"{name}.parquet"),
            }
        for name, table in reading.tables.items():
            path = f"{FOLDER}/{part.replace(':', '-')}-{name}.parquet"
            pq.write_table(table, self.path / path, compression="zstd")
            files[name] = {"path": path, "rows": table.num_rows, "sha256": file_digest(self.path / path)}
        with self._lock:
            self._state["parts"][part] = {
                "files": files,
                "coverage": [asdict(row) for row in reading.coverage],
                "gaps": [asdict(row) for row in reading.gaps],
            }
            self._save()

    def clear(self) -> None:
        """Take away what only an unfinished snapshot holds; it is sealed now."""
        (self.path / STATE).unlink(missing_ok=True)
        for name in (STATE, MANIFEST):
            remove_waiting(self.path / name)
        shutil.rmtree(self.path / FOLDER, ignore_errors=True)

    def _save(self) -> None:
        replace_file(self.path / STATE, canonical_json(self._state).encode())


def _is_ours(name: str) -> bool:
    """Whether a run that was cut short may have left a file of that name; the last is that of earlier versions."""
    return name == FOLDER or is_waiting(name) or name == f"{STATE}.part"


def _load(path: Path) -> dict[str, Any] | None:
    """The state in a file, or None when there is none that this version can continue."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != FORMAT or not isinstance(state["identity"], dict):
            return None
        datetime.fromtimestamp(state["now_ms"] / 1000, UTC)
        assert all(isinstance(part["files"], dict) for part in state["parts"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, AssertionError, RecursionError):
        return None
    return dict(state)
