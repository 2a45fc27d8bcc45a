"""Providers that stand still: they know the older payments and not one of the newer, though they answer.

An indexer that stopped, a replica that no longer follows and a database restored from yesterday's copy answer "no such
payment" in good faith. Where a provider knows nearly everything until some moment and nothing of what came after it,
its "no" about what came after is no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from recon.core.tables import table_of
from recon.core.text import count_text
from recon.core.times import ms_text
from recon.snapshots.orphans import tables_in
from recon.snapshots.sealed import SnapshotWriter, read_table
from recon.sources.interface import Coverage, Gap, Reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEW: Final = 3
"""Fewer unknown payments than these tell nothing."""

CHANCE_MAX: Final = 10_000
"""A run of unknown payments this unlikely by chance, one in so many, is none."""

_KEYS: Final = ("request_id", "external_id", "reference")
_OURS: Final = "direction = 'in' and not coalesce(is_test, false) and created_at is not null"
_MATCHES: Final = " union ".join(
    f"select payment_id, ours.provider, created_at, outcome from ours join said using (provider, {key})"  # noqa: S608
    for key in _KEYS
)
_ANSWERS: Final = f"""
    with ours as (select * from payments where {_OURS}),
    matched as ({_MATCHES}),
    known as (select distinct provider, payment_id, created_at from matched where outcome = 'found'),
    unknown as (
        select distinct provider, payment_id, created_at from matched
        where outcome = 'not_found' and payment_id not in (select payment_id from known)
    ),
    newest as (select provider, max(created_at) as since, count(*) as known from known group by provider)
    select provider, since, known,
        count(*) filter (unknown.created_at > since), count(*) filter (unknown.created_at <= since)
    from newest join unknown using (provider) group by all order by all
"""  # noqa: S608 - the parts are those above
_MADE_AT: Final = f"select provider, created_at, {', '.join(_KEYS)} from payments where {_OURS}"  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider that stands still.

    Args:
        source: Its name.
        since_ms: When the newest payment that it knows was made, UTC ms.
        unknown: How many newer ones it says not to know.
    """

    source: str
    since_ms: int
    unknown: int

    @property
    def problem(self) -> str:
        """What is wrong, for people."""
        return (
            f"{self.source} knows none of {count_text(self.unknown, 'payment')} made after {ms_text(self.since_ms)} "
            "that it was asked about, though it knows the older ones: it stands still, or answers from an old copy."
        )

    def coverage(self) -> Coverage:
        """The incomplete row that says so."""
        return Coverage(
            self.source,
            "fresh",
            complete=False,
            head_time=self.since_ms,
            items=self.unknown,
            problem=self.problem,
        )

    def gap(self, *, now_ms: int) -> Gap:
        """The time since then, of which it says nothing."""
        return Gap(self.source, "bulk", self.since_ms, now_ms, self.problem)


def standing_still(writer: SnapshotWriter, answered: Sequence[Reading]) -> list[Standing]:
    """Find the providers that know none of the newest payments.

    Args:
        writer: The first reading: its payments, and what providers said in bulk.
        answered: Look-ups of single payments.
    """
    said = tables_in(answered, "claims")
    if not any("not_found" in table["outcome"].to_pylist() for table in said):
        return []
    import pyarrow as pa

    columns = ["provider", "outcome", *_KEYS]
    with _opened(writer) as connection:
        first = read_table(writer.file("claims"))
        connection.register("said", pa.concat_tables([table.select(columns) for table in (first, *said)]))
        found = connection.execute(_ANSWERS).fetchall()
    return [
        Standing(source, since, newer)
        for source, since, known, newer, older in found
        # The share of unknown payments before, with one more of each kind than was seen: never none, never all.
        if newer >= FEW and CHANCE_MAX * (older + 1) ** newer < (older + known + 2) ** newer
    ]


def unsaid(writer: SnapshotWriter, readings: Sequence[Reading], *, standing: Sequence[Standing]) -> list[Reading]:
    """The same answers, with every "no such payment" about a newer payment as a question that failed."""
    if not standing:
        return list(readings)
    by_source = {one.source: one for one in standing}
    made_at: dict[tuple[str, str, str], int] = {}
    with _opened(writer) as connection:
        for source, at, *keys in connection.execute(_MADE_AT).fetchall():
            for name, key in zip(_KEYS, keys, strict=True):
                if key:
                    made_at[source, name, key] = max(made_at.get((source, name, key), 0), at)

    def failed(row: dict[str, Any]) -> dict[str, Any]:
        one = by_source.get(row["provider"])
        at = max(made_at.get((row["provider"], name, row[name] or ""), 0) for name in _KEYS)
        if one is None or row["outcome"] != "not_found" or at <= one.since_ms:
            return row
        return {**row, "outcome": "failed", "error": one.problem}

    found = []
    for reading in readings:
        rows = [failed(row) for table in tables_in([reading], "claims") for row in table.to_pylist()]
        found.append(replace(reading, tables={**reading.tables, "claims": table_of("claims", rows)}))
    return found


@contextmanager
def _opened(writer: SnapshotWriter) -> Iterator[DuckDBPyConnection]:
    """The payments of the first reading, to be asked."""
    import duckdb

    with duckdb.connect() as connection:
        connection.read_parquet(str(writer.file("payments"))).create_view("payments")
        yield connection
