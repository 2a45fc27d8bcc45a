"""A snapshot on any fsspec address, its large tables cut into parts by chain and day.

``recon snapshot --export ADDRESS`` writes there, while the snapshot is being sealed::

    manifest.json                                           the same manifest as on disk, written last
    coverage.parquet, documents.parquet, again/...          the small tables, byte for byte
    payments/chain_id=56/day=2026-11-14/rows.parquet        payments by the day of their creation
    transfers/chain_id=56/day=2026-11-14/rows.parquet       transfers by the day of their block

The manifest names every part with its digest, so one digest seals both forms and a plan made from either is the same,
byte for byte. A reader at the address holds every file against its digest first: DuckDB and Polars work on a
copy, Spark reads from the address itself.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import RefusedError, SourceError, UsageError
from recon.snapshots.sealed import (
    MANIFEST,
    Snapshot,
    SnapshotWriter,
    changed_file,
    file_digest,
    files_of,
    open_snapshot,
    read_manifest,
)

if TYPE_CHECKING:
    import pyarrow as pa

CUT_BY: Final[Mapping[str, str | None]] = {
    "payments": "created_at",
    "claims": "created_at",
    "claim_txs": None,
    "transfers": "block_time",
    "transactions": "block_time",
}
"""The tables that are cut by chain, and by the day of which column; None for one that has no date."""

_UNKNOWN: Final = "unknown"
_DAY_MS: Final = 86_400_000
_LATEST_MS: Final = 253_402_300_799_999
_ROWS_AT_ONCE: Final = 100_000
_COPIED_AT_ONCE: Final = 2**22
_MEMORY: Final = "1GB"


class AddressError(SourceError):
    """An address cannot be read or written."""

    def __init__(self, *, address: str, why: str) -> None:
        super().__init__(
            f"{address}: the address could not be used ({why}); nothing was judged. Check it, its credentials and that "
            "the fsspec package of its scheme is installed, and run the command again."
        )


class FsspecMissingError(UsageError):
    """An address was given and nothing here can read one."""

    def __init__(self) -> None:
        super().__init__(
            'Addresses are read and written through fsspec: "pip install recon-toolkit[shared]", and the package of '
            "the scheme, such as s3fs or gcsfs."
        )


class AddressTakenError(RefusedError):
    """A snapshot lies at an address already."""

    def __init__(self, *, address: str) -> None:
        super().__init__(f"{address} holds a snapshot already and one is never written over; name another address.")


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder on a file system that fsspec knows."""

    system: Any
    root: str
    shown: str

    def at(self, name: str) -> str:
        return f"{self.root}/{name}"


@dataclass(frozen=True, slots=True)
class SharedSnapshot(Snapshot):
    """A snapshot whose parts stay at their address; its small tables have been copied.

    Args:
        address: Where every file lies, for the engine that reads them there.
    """

    address: str = ""

    def files(self, name: str) -> Sequence[Path | str]:
        """Every file of a table by its address."""
        return [f"{self.address}/{file}" for file, _ in files_of(self.manifest, name, is_whole=False)]

    def read(self, name: str) -> pa.Table:
        """One table as it was read first; the parts come over the network."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if name not in self.manifest.get("parts", {}):
            return Snapshot.read(Snapshot(self.path, self.digest, self.manifest), name)
        place = _place(self.address)
        tables = []
        with _reachable(place.shown):
            for file, _ in files_of(self.manifest, name, is_whole=False):
                with place.system.open(place.at(file), "rb") as stream:
                    tables.append(pq.ParquetFile(stream).read())
        return pa.concat_tables(tables)


class Export:
    """A snapshot on its way to an address: first its tables, then, once it is sealed, the manifest.

    Raises:
        FsspecMissingError: fsspec is not installed.
        AddressError: The address cannot be used.
        AddressTakenError: A snapshot lies there already.
    """

    def __init__(self, address: str) -> None:
        self._place = _place(address)
        with _reachable(self._place.shown):
            is_taken = self._place.system.exists(self._place.at(MANIFEST))
        if is_taken:
            raise AddressTakenError(address=self._place.shown)

    def write_tables(self, writer: SnapshotWriter) -> dict[str, list[dict[str, Any]]]:
        """Write every table, the large ones in parts; what the manifest is to say of the parts."""
        parts = {name: made for name in CUT_BY if (made := list(self._parts(name, writer.file(name))))}
        for name in writer.names():
            if name not in parts:
                self._put(writer.file(name), f"{name}.parquet")
        return parts

    def finish(self, sealed: Snapshot) -> None:
        """Write the manifest, which makes it a snapshot."""
        self._put(sealed.path / MANIFEST, MANIFEST)

    def _parts(self, name: str, table: Path) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        for folder, batches in _runs(name, table):
            with tempfile.TemporaryDirectory(prefix="recon-part-") as made:
                waiting, rows = Path(made) / "rows.parquet", 0
                with pq.ParquetWriter(waiting, batches[0].schema, compression="zstd") as part:
                    for batch in batches:
                        part.write_batch(batch)
                        rows += batch.num_rows
                self._put(waiting, f"{folder}/rows.parquet")
                yield {"path": f"{folder}/rows.parquet", "rows": rows, "sha256": file_digest(waiting)}

    def _put(self, file: Path, name: str) -> None:
        target = self._place.at(name)
        with _reachable(self._place.shown):
            self._place.system.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._place.system.put_file(str(file), target)


@contextmanager
def opened(place: Path | str, *, engine: str | None) -> Iterator[Snapshot]:
    """Open a sealed snapshot in a directory or at an address, every file held against its digest.

    Args:
        engine: The engine that will read it. Spark reads from the address, which its executors have to reach as well;
            for the others a copy is made, which goes away with the context.

    Raises:
        SnapshotError: It is no snapshot, or a file is missing or was changed.
        AddressError: The address cannot be read.
    """
    if not is_address(place):
        yield open_snapshot(Path(place))
        return
    with tempfile.TemporaryDirectory(prefix="recon-shared-") as folder:
        yield _fetched(str(place).rstrip("/"), Path(folder), is_read_there=engine == "spark")


def is_address(place: Path | str) -> bool:
    """Whether a snapshot is named by an address (``s3://…``) and not by a directory."""
    return isinstance(place, str) and "://" in place


def _fetched(address: str, folder: Path, *, is_read_there: bool) -> Snapshot:
    source = _place(address)
    named = Path(source.shown)
    with _reachable(source.shown):
        text = source.system.cat_file(source.at(MANIFEST)).decode("utf-8", "replace")
    digest, manifest = read_manifest(text, path=named)
    (folder / "again").mkdir()
    for name in manifest["tables"]:
        is_cut = name in manifest.get("parts", {})
        for file, sha256 in files_of(manifest, name, is_whole=False):
            copy = None if is_cut and is_read_there else folder / file
            if _fetch(source, file, copy) != sha256:
                raise changed_file(named, file)
    return SharedSnapshot(folder, digest, manifest, address) if is_read_there else Snapshot(folder, digest, manifest)


def _fetch(source: _Place, name: str, copy: Path | None) -> str:
    """The digest of a file at the address, which is copied unless there is no need to."""
    digest = hashlib.sha256()
    if copy is not None:
        copy.parent.mkdir(parents=True, exist_ok=True)
    with (
        _reachable(source.shown),
        Path(copy or os.devnull).open("wb") as target,
        source.system.open(source.at(name), "rb") as stream,
    ):
        while data := stream.read(_COPIED_AT_ONCE):
            digest.update(data)
            target.write(data)
    return digest.hexdigest()


def _place(address: str) -> _Place:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise FsspecMissingError from error
    scheme, _, rest = address.partition("://")
    # An address may hold a key and its secret before an @.
    shown = f"{scheme}://{rest.rpartition('@')[2]}"
    with _reachable(shown):
        system, root = url_to_fs(address)
        return _Place(system, str(root).rstrip("/"), shown)
    raise AssertionError("the block above returns or raises")


@contextmanager
def _reachable(shown: str) -> Iterator[None]:
    """Turn whatever a file system raises into one sentence: each has errors of its own kind, some that are no OSError.

    Only the kind of the error is told, since its text may hold credentials.
    """
    try:
        yield
    except Exception as error:
        raise AddressError(address=shown, why=type(error).__name__) from error


def _runs(name: str, table: Path) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
    """The rows of a table by chain and day, each folder once; equal rows in the order in which they were."""
    waiting: list[pa.RecordBatch] = []
    current: str | None = None
    for batch in _sorted(name, table):
        keys = list(zip(batch.column("part_chain").to_pylist(), batch.column("part_day").to_pylist(), strict=True))
        rows = batch.drop_columns(["part_chain", "part_day"])
        start = 0
        while start < len(keys):
            end = next((at for at in range(start, len(keys)) if keys[at] != keys[start]), len(keys))
            folder = _folder(name, *keys[start])
            if folder != current and current is not None:
                yield current, waiting
                waiting = []
            current = folder
            waiting.append(rows.slice(start, end - start))
            start = end
    if current is not None:
        yield current, waiting


def _sorted(name: str, table: Path) -> Iterator[pa.RecordBatch]:
    import duckdb

    from recon.core.tables import TABLES

    date, columns = CUT_BY[name], ", ".join(TABLES[name])
    day = f"case when {date} between 0 and {_LATEST_MS} then {date} // {_DAY_MS} end" if date else "null"
    with duckdb.connect() as connection, tempfile.TemporaryDirectory(prefix="recon-spill-") as scratch:
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute("set temp_directory = $1", [scratch])
        found = connection.sql(
            f"select {columns}, chain_id as part_chain, cast({day} as bigint) as part_day "  # noqa: S608 - our own names
            "from read_parquet($1, file_row_number = true) "
            "order by part_chain nulls last, part_day nulls last, file_row_number",
            params=[str(table)],
        )
        reader: pa.RecordBatchReader = found.to_arrow_reader(_ROWS_AT_ONCE)
        yield from reader


def _folder(name: str, chain_id: int | None, day: int | None) -> str:
    chain = f"{name}/chain_id={_UNKNOWN if chain_id is None else chain_id}"
    if CUT_BY[name] is None:
        return chain
    date = _UNKNOWN if day is None else f"{datetime.fromtimestamp(day * _DAY_MS / 1000, UTC):%Y-%m-%d}"
    return f"{chain}/day={date}"
