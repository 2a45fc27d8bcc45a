"""A snapshot on disk: tables of both readings, held together by digests, opened as frames.

The directory holds one Parquet file per table, ``again/`` with the second reading of the breaks, and
``manifest.json`` with the digest of each file; the digest of the manifest names the snapshot. It is never edited:
judging it anew, offline, gives the same plan byte for byte. What the second reading replaces is laid over the first
when the tables are opened.

A snapshot that is also shared (:mod:`recon.snapshots.address`) lists in its manifest the parts by chain and day into
which its large tables were cut, with the digest of each: a table may then lie there as one file or as its parts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError, StoppedError, UsageError
from recon.core.model import Policy, Target
from recon.core.tables import TABLES, Schema, schema_of, table_of, with_every_column
from recon.core.times import to_ms
from recon.files import NO_ROOM, NoRoomError, make_folder, save_new, sync_file, touch_private
from recon.verdicts.engine import Engine
from recon.verdicts.links import Frame

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
OVERLAID: Final[Mapping[str, tuple[str, ...]]] = {
    "payments": ("payment_id",),
    "keys": ("payment_id",),
    "claims": ("provider", "object", "claim_id"),
    "claim_txs": ("provider", "claim_id"),
    "transfers": ("chain_id", "tx_hash"),
    "transactions": ("chain_id", "tx_hash"),
    "ledger": ("entry_id",),
}
"""Tables that the second reading replaces in part, and by which keys."""

ADDED: Final = frozenset({"keys", "balances", "movements", "holdings", "ledger", "ledger_known"})
"""Tables that a snapshot may lack, one of an older version or without what they are of: nothing is known of them."""

_TABLE: Final = re.compile(r"(again/)?[a-z_]{1,40}")
_PART: Final = re.compile(r"[a-z_]{1,40}(/[a-z_]{1,40}=[0-9a-z-]{1,40}){1,2}/rows\.parquet")


class SnapshotError(RefusedError):
    """A directory is not an intact snapshot."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f'{path.name}: {why}; nothing was judged. Take a new snapshot with "recon snapshot".')


class SnapshotExistsError(UsageError):
    """The directory for a new snapshot is taken."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(f"{path.name} exists already and a snapshot is never written over; name another directory.")


class SnapshotWriteError(UsageError):
    """A snapshot cannot be written to its directory."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(_unwritten(path, why))


class SnapshotStoppedError(StoppedError):
    """The disk became full while a snapshot was written."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(_unwritten(path, why))


def _unwritten(path: Path, why: str) -> str:
    return (
        f"{path.name}: the snapshot could not be written there ({why}); it was not finished and nothing was "
        "judged. Make room or name another directory, and run the command again."
    )


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn a full disk, or one that cannot be written, into our error. Sources have errors of their own."""
    try:
        yield
    except NoRoomError as error:
        raise SnapshotStoppedError(path=path, why=error.why) from error
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else "the file system refused it"
        kind = SnapshotStoppedError if error.errno in NO_ROOM else SnapshotWriteError
        raise kind(path=path, why=words) from error


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A sealed snapshot on disk.

    Args:
        path: Its directory.
        digest: sha256 of the manifest.
        manifest: What ``manifest.json`` says: ``taken_at``, ``selection``, ``target``, ``tables`` and their digests.
    """

    path: Path
    digest: str
    manifest: Mapping[str, Any]

    @property
    def taken_at_ms(self) -> int:
        """When the evidence was taken, UTC milliseconds; ages and expiry count from here."""
        return int(self.manifest["taken_at_ms"])

    @property
    def target(self) -> Target:
        """What was read, and where its corrections may be applied."""
        stored: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in self.manifest["target"].items()
        }
        return Target(**stored)

    def rows(self, name: str) -> int:
        """How many rows a stored file has; ``again/payments`` names the second reading."""
        return int(self.manifest["tables"].get(name, {}).get("rows", 0))

    def file(self, name: str) -> Path:
        """The Parquet file of a stored table that lies there whole."""
        return self.path / f"{name}.parquet"

    def files(self, name: str) -> Sequence[Path | str]:
        """Every Parquet file of a stored table, as an engine is to read it."""
        parts = self.manifest.get("parts", {}).get(name)
        whole = self.file(name)
        return [whole] if parts is None or whole.exists() else [self.path / part["path"] for part in parts]

    def read(self, name: str) -> pa.Table:
        """One table as it was read first; small tables only."""
        import pyarrow as pa

        if name in ADDED and name not in self.manifest["tables"]:
            return table_of(name, [])
        tables = [read_table(Path(file)) for file in self.files(name)]
        if (kind := name.removeprefix("again/")) in TABLES:
            tables = [with_every_column(table, kind) for table in tables]
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables)

    def table(self, name: str) -> pa.Table:
        """One table as it stands after the second reading; small tables only."""
        import pyarrow as pa

        base = self.read(name)
        if name not in OVERLAID or not self.rows(f"again/{name}_keys"):
            return base
        keys = list(OVERLAID[name])
        replaced = self.read(f"again/{name}_keys")
        kept = base.join(replaced, keys=keys, join_type="left anti", use_threads=False).select(base.column_names)
        return pa.concat_tables([kept, self.read(f"again/{name}")])

    def frames(self, engine: Engine) -> dict[str, Frame]:
        """The tables that a judgement needs, lazy, with the second reading laid over the first.

        Nothing is computed here: a reader of a table loads only the columns it needs of both readings.
        """
        frames = {name: _whole(engine.scan(self.files(name)), name) for name in ("context", "orphans")}
        frames |= {
            name: _of_today(engine.scan(self.files(name)), name)
            for name in ("balances", "movements", "holdings", "ledger_known")
            if name in self.manifest["tables"]
        }
        for name, keys in OVERLAID.items():
            if name in ADDED and name not in self.manifest["tables"]:
                continue
            base = _whole(engine.scan(self.files(name)), name)
            if self.rows(f"again/{name}_keys"):
                replaced = engine.scan(self.files(f"again/{name}_keys"))
                again = _whole(engine.scan(self.files(f"again/{name}")), name)
                kept = base.join(replaced, on=list(keys), how="anti")
                base = nw.concat([_of_today(kept, name), _of_today(again, name)], how="vertical")
            frames[name] = _of_today(base, name)
        return frames


def _of_today(frame: Frame, name: str) -> Frame:
    """The columns of a table; one that an older version did not write is null."""
    has = set(frame.collect_schema().names())
    kinds: Any = {"text": nw.String, "int": nw.Int64, "bool": nw.Boolean}
    missing = {column: kind for column, kind in TABLES[name].items() if column not in has}
    given: dict[str, nw.Expr] = {}
    for column, kind in missing.items():
        if kind == "units":
            # A null of the type of a column that is there: engines spell decimals differently.
            like = next(other for other, same in TABLES[name].items() if same == "units" and other in has)
            given[column] = nw.when(nw.lit(value=False)).then(nw.col(like))
        else:
            given[column] = nw.lit(None).cast(kinds[kind])
    return (frame.with_columns(**given) if given else frame).select(*TABLES[name])


class SnapshotWriter:
    """Writes the files of one snapshot and seals it; until then the directory is no snapshot.

    Args:
        is_continued: The directory holds what was read before an interruption; otherwise it has to be empty.
    """

    def __init__(self, path: Path, *, is_continued: bool = False) -> None:
        if not is_continued and path.exists() and any(path.iterdir()):
            raise SnapshotExistsError(path=path)
        make_folder(path / "again")
        self.path = path
        self._rows: dict[str, int] = {}
        self._streams: dict[str, Any] = {}

    def stream_payments(self, batch: pa.RecordBatch) -> None:
        """Append one batch to the payments table, in bounded memory."""
        self.stream("payments", batch)

    def close_payments(self) -> None:
        """Finish the payments table, which may have had no row at all."""
        self.close_stream("payments")

    def stream(self, name: str, batch: pa.RecordBatch) -> None:
        """Append one batch to a table, in bounded memory."""
        import pyarrow.parquet as pq

        if name not in self._streams:
            schema = schema_of(TABLES[name])
            self._streams[name] = pq.ParquetWriter(self._private_file(name), schema, compression="zstd")
        if batch.num_rows:
            self._streams[name].write_batch(batch)
        self._rows[name] = self._rows.get(name, 0) + batch.num_rows

    def close_stream(self, name: str) -> None:
        """Finish a table that was streamed, which may have had no row at all."""
        if name not in self._streams:
            self.write(name, table_of(name, []))
            return
        self._streams.pop(name).close()

    def write(self, name: str, table: pa.Table) -> None:
        """Write one table whole, cast to its schema."""
        import pyarrow.parquet as pq

        pq.write_table(table, self._private_file(name), compression="zstd")
        self._rows[name] = table.num_rows

    def rows(self, name: str) -> int:
        """How many rows a table that was written has."""
        return self._rows.get(name, 0)

    def names(self) -> list[str]:
        """Every table that was written."""
        return sorted(self._rows)

    def count(self, name: str, rows: int) -> None:
        """Take in a table that another writer has put at :meth:`file`, by its number of rows."""
        self._rows[name] = rows

    def write_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write one table from row dictionaries."""
        self.write(name, table_of(name, rows))

    def file(self, name: str) -> Path:
        """Where a table is written."""
        return self.path / f"{name}.parquet"

    def _private_file(self, name: str) -> Path:
        """Where a table is written, with rights for its owner only from its first byte on."""
        path = self.file(name)
        touch_private(path)
        return path

    def seal(
        self, *, taken_at: datetime, target: Target, selection: Mapping[str, Any], policy: Policy, **noted: Any
    ) -> Snapshot:
        """Write the manifest; from here on the directory is a snapshot.

        Args:
            noted: Further facts for the manifest, as JSON; those that are None are left out.
        """
        tables = {
            name: {"rows": rows, "sha256": file_digest(self.file(name))} for name, rows in sorted(self._rows.items())
        }
        manifest = {
            "format": FORMAT,
            "taken_at_ms": to_ms(taken_at),
            "selection": selection,
            "target": asdict(target),
            "tolerance_ppm": {name: list(pair) for name, pair in sorted(policy.tolerance_ppm.items())},
            "tables": tables,
            **{name: fact for name, fact in noted.items() if fact is not None},
        }
        digest = sha256_hex(canonical_json(manifest))
        text = canonical_json({**manifest, "digest": digest})
        for name in tables:
            sync_file(self.file(name))
        save_new(self.path / MANIFEST, text.encode())
        return Snapshot(self.path, digest, json.loads(canonical_json(manifest)))


def _whole(frame: Frame, name: str) -> Frame:
    """A table as an older version wrote it, with the columns that it lacks, empty."""
    held = set(frame.collect_schema().names())
    lacking = [column for column in sorted(TABLES[name]) if column not in held]
    return frame.with_columns(**{column: _empty(name, column, held) for column in lacking}) if lacking else frame


def _empty(name: str, column: str, held: set[str]) -> nw.Expr:
    """A null of a column's type; of units that of another column, for engines spell decimals differently."""
    kinds: dict[str, Any] = {"text": nw.String(), "int": nw.Int64(), "bool": nw.Boolean()}
    kind = TABLES[name][column]
    if kind != "units":
        return nw.lit(None).cast(kinds[kind])
    like = next(other for other, same in TABLES[name].items() if same == "units" and other in held)
    return nw.when(nw.lit(value=False)).then(nw.col(like))


def is_sealed(path: Path) -> bool:
    """Whether a directory is a finished snapshot; its files are not looked at."""
    return (path / MANIFEST).exists()


def open_snapshot(path: Path) -> Snapshot:
    """Open a sealed snapshot and hold every file against its digest.

    Raises:
        SnapshotError: There is no manifest, it is of another format, or a file is missing or changed.
    """
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _no_manifest(path) from error
    digest, manifest = read_manifest(text, path=path)
    snapshot = Snapshot(path, digest, manifest)
    try:
        for name in manifest["tables"]:
            for file, sha256 in files_of(manifest, name, is_whole=snapshot.file(name).exists()):
                if file_digest(path / file) != sha256:
                    raise changed_file(path, file)
    except OSError as error:
        raise _missing(path) from error
    return snapshot


def read_manifest(text: str, *, path: Path) -> tuple[str, dict[str, Any]]:
    """The digest of a snapshot and what its manifest says, from the text of ``manifest.json``.

    Raises:
        SnapshotError: It is no manifest, of another format, changed after the seal, or names what no snapshot holds.
    """
    manifest = _parsed(text, path=path)
    try:
        bare = {key: value for key, value in manifest.items() if key != "digest"}
        digest = sha256_hex(canonical_json(bare))
        if canonical_json(manifest) != text or manifest.get("digest") != digest:
            raise SnapshotError(path=path, why="its manifest was changed after it was sealed")
        snapshot = Snapshot(path, digest, bare)
        assert snapshot.taken_at_ms and snapshot.target
        assert _names_our_files_only(bare)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise _missing(path) from error
    return digest, bare


def _parsed(text: str, *, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_manifest(path) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise SnapshotError(path=path, why=f"its manifest is not of format {FORMAT}, the one this version reads")
    return manifest


def _names_our_files_only(manifest: Mapping[str, Any]) -> bool:
    """Whether every table and part is named as we name them: names become paths, and only our own are followed."""
    parts = [part for listed in manifest.get("parts", {}).values() for part in listed]
    are_tables = all(_TABLE.fullmatch(name) and facts["sha256"] for name, facts in manifest["tables"].items())
    return are_tables and all(_PART.fullmatch(part["path"]) and part["sha256"] for part in parts)


def files_of(manifest: Mapping[str, Any], name: str, *, is_whole: bool) -> list[tuple[str, str]]:
    """The files of a table and their digests: the one that holds it whole, or its parts where it has some."""
    parts = manifest.get("parts", {}).get(name)
    if parts is None or is_whole:
        return [(f"{name}.parquet", manifest["tables"][name]["sha256"])]
    return [(part["path"], part["sha256"]) for part in parts]


def changed_file(path: Path, file: str) -> SnapshotError:
    """That a file is not what was sealed."""
    return SnapshotError(path=path, why=f"{file} was changed after the snapshot was sealed")


def _no_manifest(path: Path) -> SnapshotError:
    return SnapshotError(path=path, why="it has no readable manifest.json and is no sealed snapshot")


def _missing(path: Path) -> SnapshotError:
    return SnapshotError(path=path, why="a file that its manifest names is missing or unreadable")


def find_snapshot(folder: Path, digest: str) -> Snapshot | None:
    """The sealed snapshot of that digest among the directories of a folder, or None.

    Raises:
        SnapshotError: A directory is named by that digest, and was changed since.
    """
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            named = f'"digest":"{digest}"'.encode() in manifest.read_bytes()
        except OSError:
            continue
        if named:
            return open_snapshot(manifest.parent)
    return None


def file_digest(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """One Parquet file, or some of its columns.

    ``pyarrow.parquet.read_table`` would import pandas, which takes longer than the reading.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read(columns)


def empty_tables(writer: SnapshotWriter, *names: str) -> None:
    """Write tables without a row."""
    for name in names:
        writer.write_rows(name, [])


def key_table(name: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    """The keys that the second reading of a table replaces."""
    import pyarrow as pa

    columns: Schema = {key: TABLES[name][key] for key in OVERLAID[name]}
    schema = schema_of(columns)
    unique = sorted(set(rows))
    return pa.Table.from_arrays(
        [pa.array([row[i] for row in unique], type=field.type) for i, field in enumerate(schema)], schema=schema
    )
