"""Where the frames run: DuckDB by default, Polars as the other, pandas as a third opinion, Spark past one machine.

Every engine gives the same rows; results leave it through :meth:`Engine.collect`, which casts them to one Arrow schema
and sorts them, so that nothing downstream can tell which engine ran.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import UsageError
from recon.core.extras import check_extra, is_installed
from recon.core.tables import Schema
from recon.verdicts.casting import cast_table

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

    from recon.verdicts.spark import SparkPlace

    Frame = nw.LazyFrame[Any]

ENGINES: Final = ("duckdb", "polars", "pandas", "spark")


SMALL_ROWS: Final = 200_000
"""Up to so many payments are judged in memory, in some 0.7 GB; past that by an engine that spills."""
MEMORY_LEAST_BYTES: Final = 1_000_000_000
MEMORY_MOST_BYTES: Final = 2_000_000_000
_MEMORY_PER_PAYMENT: Final = 250


class UnknownEngineError(UsageError):
    """An engine name nobody knows."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"{name!r} is no engine; choose one of {', '.join(ENGINES)}.")


class Engine(Protocol):
    """What a run needs of an engine. Use it as a context manager: leaving it frees what was kept."""

    name: str

    def scan(self, files: Sequence[Path | str]) -> Frame:
        """A lazy frame over Parquet files of one table."""
        ...

    def keep(self, frame: Frame) -> Frame:
        """Compute a frame once, for frames that are used more than once."""
        ...

    def keep_any(self, frame: Frame) -> Frame | None:
        """Compute a frame once; None where it has no row, so that what rests on it can be left out."""
        ...

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """Compute a frame as Arrow: exactly these columns, cast, sorted by ``order``."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Within it, what the engine fails with by no fault of recon is raised as a :class:`SourceError`."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


def open_engine(
    name: str,
    *,
    memory_bytes: int | None = None,
    scratch: Path | None = None,
    spark: SparkPlace | None = None,
    payments: int | None = None,
) -> Engine:
    """Start an engine by name.

    Args:
        name: ``duckdb``, ``polars``, ``pandas`` or ``spark``; see :func:`usual_engine` for where nobody names one.
        memory_bytes: Limit that DuckDB keeps by spilling to ``scratch`` (a temporary directory when None); other
            engines have no such limit.
        spark: Which Spark, see :func:`recon.verdicts.spark.open_spark`; an active session, or this machine, when None.
        payments: How many payments there are, where that is known; a few are held in memory, which plans faster.

    Raises:
        UnknownEngineError: No engine of that name.
        SparkMissingError: Spark was asked for and cannot be started or reached.
        MissingExtraError: Polars or pandas was asked for and is not installed.
    """
    if name == "duckdb":
        is_small = payments is not None and payments <= SMALL_ROWS
        return DuckDbEngine(memory_bytes=memory_bytes, scratch=scratch, is_small=is_small)
    if name == "polars":
        check_extra("The engine polars", package="polars", extra="polars")
        return PolarsEngine()
    if name == "pandas":
        check_extra("The engine pandas", package="pandas", extra="notebook")
        return PandasEngine()
    if name == "spark":
        from recon.verdicts.spark import open_spark

        return open_spark(spark)
    raise UnknownEngineError(name=name)


def values_in(frame: Frame, engine: Engine, *names: str) -> frozenset[tuple[str, ...]]:
    """What stands together in some columns of text, each once; for columns that hold few different values."""
    columns: Schema = dict.fromkeys(names, "text")
    found = engine.collect(frame.select(*names).unique(), columns, order=names)
    return frozenset(zip(*(found[name].to_pylist() for name in names), strict=True))


def usual_engine(payments: int) -> str:
    """The engine of a judgement for which nobody named one; each gives the same rows.

    Polars starts in a tenth of the time that DuckDB plans for, and holds everything in memory; DuckDB spills to disk.
    Polars is an extra: without it DuckDB judges small windows as well, in three times the time.
    """
    return "polars" if payments <= SMALL_ROWS and is_installed("polars") else "duckdb"


def memory_engine() -> DuckDbEngine | PolarsEngine:
    """The engine for the rows of one payment, which are in memory already."""
    return PolarsEngine() if usual_engine(1) == "polars" else DuckDbEngine(is_small=True)


def usual_memory_bytes(payments: int) -> int:
    """The memory limit of a judgement for which nobody set one: 1 GB, and up to 2 GB for ten million payments."""
    return min(MEMORY_MOST_BYTES, max(MEMORY_LEAST_BYTES, payments * _MEMORY_PER_PAYMENT))


class DuckDbEngine:
    """DuckDB in process; spills to disk under a memory limit.

    Every new table makes DuckDB ask again what the columns of all frames before it are. Where there are few payments
    that is a quarter of the work, so there the frames that are kept are Arrow tables, which never spill.
    """

    name = "duckdb"

    def __init__(self, *, memory_bytes: int | None = None, scratch: Path | None = None, is_small: bool = False) -> None:
        import duckdb

        self._is_small = is_small
        self._connection = duckdb.connect()
        self._connection.execute("set preserve_insertion_order = false")
        self._connection.execute("set enable_progress_bar = false")
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if memory_bytes:
            self._connection.execute(f"set memory_limit = '{memory_bytes // 1_000_000}MB'")
            if scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="recon-spill-", ignore_cleanup_errors=True)
                scratch = Path(self._scratch.name)
        if scratch:
            self._connection.execute("set temp_directory = $1", [str(scratch)])
        self._kept = 0

    def scan(self, files: Sequence[Path | str]) -> Frame:
        """A lazy frame over Parquet files of one table."""
        import narwhals as nw

        # The folders of a shared snapshot have names that DuckDB would else turn into columns.
        read = self._connection.read_parquet([str(file) for file in files], hive_partitioning=False)
        return nw.from_native(read).lazy()

    def lay(self, table: pa.Table) -> Frame:
        """A lazy frame over a table in memory."""
        import narwhals as nw

        frame: Frame = nw.from_native(self._connection.from_arrow(table)).lazy()
        return frame

    def keep(self, frame: Frame) -> Frame:
        """Write the frame into a table of the in-memory database, which spills when it must."""
        if self._is_small:
            return self.lay(frame.to_native().to_arrow_table())
        return self._table(self._created(frame))

    def keep_any(self, frame: Frame) -> Frame | None:
        """The same, and a look at whether the table has a row."""
        if self._is_small:
            held = frame.to_native().to_arrow_table()
            return self.lay(held) if held.num_rows else None
        name = self._created(frame)
        found = self._connection.table(name).limit(1).fetchall()
        return self._table(name) if found else None

    def _created(self, frame: Frame) -> str:
        name = f"kept_{self._kept}"
        self._kept += 1
        frame.to_native().create(name)
        return name

    def _table(self, name: str) -> Frame:
        import narwhals as nw

        kept: Frame = nw.from_native(self._connection.table(name)).lazy()
        return kept

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """Compute a frame as Arrow."""
        table = frame.select(*columns).to_native().to_arrow_table()
        return cast_table(table, columns, order=order)

    def working(self) -> AbstractContextManager[None]:
        """It works in this process and fails as this process does."""
        return nullcontext()

    def close(self) -> None:
        """Drop the in-memory database and what it spilled."""
        self._connection.close()
        if self._scratch is not None:
            self._scratch.cleanup()


class PolarsEngine:
    """Polars, lazy; the plan runs when a frame is kept or collected, its joins in the order in which they are written.

    Without figures of its columns Polars may begin with the join of all payments to all transfers of one payee.
    """

    name = "polars"

    def scan(self, files: Sequence[Path | str]) -> Frame:
        """A lazy frame over Parquet files of one table."""
        import narwhals as nw
        import polars as pl

        frame: Frame = nw.from_native(pl.scan_parquet([str(file) for file in files], hive_partitioning=False))
        return frame

    def lay(self, table: pa.Table) -> Frame:
        """A lazy frame over a table in memory."""
        import narwhals as nw
        import polars as pl

        frame: Frame = nw.from_native(pl.DataFrame(table).lazy())
        return frame

    def keep(self, frame: Frame) -> Frame:
        """Collect and go on lazily from the result."""
        import narwhals as nw

        kept: Frame = nw.from_native(self._collected(frame).lazy())
        return kept

    def keep_any(self, frame: Frame) -> Frame | None:
        """The same where there is a row."""
        import narwhals as nw

        found = self._collected(frame)
        kept: Frame | None = nw.from_native(found.lazy()) if found.height else None
        return kept

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """Compute a frame as Arrow."""
        return cast_table(self._collected(frame.select(*columns)).to_arrow(), columns, order=order)

    def working(self) -> AbstractContextManager[None]:
        """It works in this process and fails as this process does."""
        return nullcontext()

    def close(self) -> None:
        """Polars holds nothing."""

    @staticmethod
    def _collected(frame: Frame) -> Any:
        import polars as pl

        return frame.to_native().collect(optimizations=pl.QueryOptFlags(join_order=False))


class PandasEngine:
    """pandas with Arrow types: slow, and a third opinion in tests."""

    name = "pandas"

    def scan(self, files: Sequence[Path | str]) -> Frame:
        """An eager frame in lazy clothes; null keys are routed by the expressions, which never join on null."""
        import narwhals as nw
        import pandas as pd
        import pyarrow.parquet as pq

        parts = [pq.read_table(file).to_pandas(types_mapper=pd.ArrowDtype) for file in files]
        frame: Frame = nw.from_native(pd.concat(parts, ignore_index=True)).lazy()
        return frame

    def keep(self, frame: Frame) -> Frame:
        """pandas has computed it already."""
        return frame

    def keep_any(self, frame: Frame) -> Frame | None:
        """The frame, where it has a row."""
        return frame if len(frame.collect()) else None

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """Hand the columns over as Arrow, without the index."""
        import pyarrow as pa

        native = frame.select(*columns).collect().to_native()
        return cast_table(pa.Table.from_pandas(native, preserve_index=False), columns, order=order)

    def working(self) -> AbstractContextManager[None]:
        """It works in this process and fails as this process does."""
        return nullcontext()

    def close(self) -> None:
        """pandas holds nothing."""
