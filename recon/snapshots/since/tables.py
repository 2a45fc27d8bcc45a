"""The first reading of an earlier snapshot as DuckDB sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.tables import arrow_schema, with_every_column
from recon.snapshots.sealed import Snapshot

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

KEPT: Final = "kept"
"""The scope of the coverage row that says what was taken from the earlier snapshot."""


@dataclass(frozen=True, slots=True)
class BlockSpan:
    """Blocks of one chain, both ends included."""

    first: int
    last: int


class KeptTables:
    """Views of a snapshot's first reading, and what is put beside them. Use it as a context manager."""

    def __init__(self, snapshot: Snapshot) -> None:
        import duckdb

        self.snapshot = snapshot
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect()
        for name in ("payments", "claims", "claim_txs", "transfers", "transactions"):
            self.connection.read_parquet(str(snapshot.file(name))).create_view(name)

    def __enter__(self) -> KeptTables:
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def one(self, query: str, *given: Any) -> Any:
        """The first value of a query, or None."""
        return next(iter(self.column(query, *given)), None)

    def column(self, query: str, *given: Any) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.connection.execute(query, list(given)).fetchall()]

    def table(self, name: str, query: str, *given: Any) -> pa.Table:
        """A query as one of the tables, columns in order and cast."""
        wanted = arrow_schema(name)
        found: pa.Table = self.connection.sql(query, params=list(given)).to_arrow_table()
        return with_every_column(found, name).select(wanted.names).cast(wanted)

    def list_as(self, name: str, values: Iterable[str]) -> None:
        """Make a table of one column, ``name``."""
        import pyarrow as pa

        texts = pa.table({"name": pa.array(sorted(set(values)), pa.string())})
        self.connection.from_arrow(texts).create(name)


def moment_at(moment_ms: int) -> datetime:
    """A UTC millisecond as a moment."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC)


def ms_of(at: datetime) -> int:
    """A moment as UTC milliseconds."""
    return round(at.timestamp() * 1000)
