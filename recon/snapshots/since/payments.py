"""The payments of a window since an earlier snapshot: kept rows, and rows that are read anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.model import OPEN
from recon.snapshots.since.tables import KEPT, KeptTables, moment_at, ms_of
from recon.sources.interface import Coverage, DocumentStore, Progress, Reading, Selection

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.sources.payments.read import RowRules

PAYMENTS_OVERLAP_MS: Final = 3_600_000
"""How long before the snapshot was taken a write may have been made that it did not see."""

_NAMELESS: Final = "select count(*) from payments where payment_id is null"
_TO_ASK_AGAIN: Final = """
select payment_id from payments where status in (select unnest($2))
union select payment_id from read_parquet($1)
except select payment_id from changed order by 1
"""
_ASKED_AGAIN_CHANGED: Final = """
insert into changed select * from arriving where payment_id in (select name from asked_again)
"""
_KEPT_ROWS: Final = """
create view kept as select * from payments
where (dated_at is null or (
    (getvariable('from_ms') is null or dated_at >= getvariable('from_ms'))
    and (getvariable('to_ms') is null or dated_at < getvariable('to_ms'))))
and payment_id not in (select payment_id from changed)
and payment_id not in (select name from asked_again)
"""
_WRITTEN_ROWS: Final = """
select * from kept union all by name select * from changed
where dated_at is null or (
    (getvariable('from_ms') is null or dated_at >= getvariable('from_ms'))
    and (getvariable('to_ms') is null or dated_at < getvariable('to_ms')))
"""
_OLDER: Final = "select count(*) from read_parquet($1) where dated_at is null or dated_at < $2"


@dataclass(frozen=True, slots=True)
class PaymentsSince:
    """The payments of a window: kept rows, and rows that were read anew.

    Args:
        taken_at_ms: As of when the earlier snapshot is.
        skew_ms: How far clocks may differ.
        out: Where the table is written.
    """

    tables: KeptTables
    selection: Selection
    taken_at_ms: int
    skew_ms: int
    out: Path

    def read(self, store: DocumentStore, *, rules: RowRules, progress: Progress) -> tuple[Reading, int] | None:
        """Read what may have changed and write it with what is kept; how many rows there are with it.

        None when a row has no id, something could not be read whole, reading all is no more work, or the database
        holds another number of older rows.
        """
        if self.tables.one(_NAMELESS):
            return None
        since_ms = self.taken_at_ms - max(PAYMENTS_OVERLAP_MS, self.skew_ms)
        changed = self._read(store, Selection(from_at=moment_at(since_ms), date_field="updated"), rules, progress)
        if changed is None:
            return None
        self.tables.connection.execute("create table changed as select * from arriving")
        ids = self._to_ask_again()
        if ids is None:
            return None
        again = self._read(store, Selection(ids=tuple(ids)), rules, progress) if ids else Reading()
        if again is None:
            return None
        self.tables.list_as("asked_again", ids)
        if ids:
            self.tables.connection.execute(_ASKED_AGAIN_CHANGED)
        kept, rows = self._write()
        if not self._agrees(store, since_ms):
            return None
        return self._account(changed, again, kept=kept, rows=rows, since_ms=since_ms), rows

    def _read(self, store: DocumentStore, selection: Selection, rules: RowRules, progress: Progress) -> Reading | None:
        """Read a selection into ``arriving``; None when it was not read whole."""
        import pyarrow as pa

        from recon.sources.payments.read import read_payments

        connection = self.tables.connection
        connection.execute("create or replace table arriving as select * from payments limit 0")

        def sink(batch: pa.RecordBatch) -> None:
            connection.register("batch", pa.Table.from_batches([batch]))
            connection.execute("insert into arriving by name select * from batch")
            connection.unregister("batch")

        reading = read_payments(store, selection=selection, sink=sink, progress=progress, **rules)
        return reading if all(row.complete for row in reading.coverage) else None

    def _to_ask_again(self) -> list[str] | None:
        """Rows that were open or showed a break, by id; None when reading all is no more work."""
        keys = str(self.tables.snapshot.file("again/payments_keys"))
        ids = self.tables.column(_TO_ASK_AGAIN, keys, [str(word) for word in OPEN])
        total = self.tables.one("select count(*) from payments")
        return None if len(ids) > max(1_000, total // 2) else ids

    def _write(self) -> tuple[int, int]:
        """Write the table; how many rows were kept, and how many there are."""
        connection = self.tables.connection
        from_ms, to_ms = (None if at is None else ms_of(at) for at in (self.selection.from_at, self.selection.to_at))
        connection.execute("set variable from_ms = $1", [from_ms])
        connection.execute("set variable to_ms = $1", [to_ms])
        connection.execute(_KEPT_ROWS)
        count = self.tables.one("select count(*) from kept")
        connection.sql(_WRITTEN_ROWS).write_parquet(str(self.out), compression="zstd")
        return count, self.tables.one("select count(*) from read_parquet($1)", str(self.out))

    def _agrees(self, store: Any, since_ms: int) -> bool:
        """Whether the database has as many older rows as were put together: one that vanished shows here."""
        chosen = self.selection
        edge = moment_at(since_ms)
        to_at = edge if chosen.to_at is None else min(chosen.to_at, edge)
        if chosen.from_at is not None and chosen.from_at >= to_at:
            return True
        try:
            expected = store.count(Selection(from_at=chosen.from_at, to_at=to_at))
        except SourceError:
            return False
        found = self.tables.one(_OLDER, str(self.out), ms_of(to_at))
        return bool(expected == found)

    def _account(self, *readings: Reading, kept: int, rows: int, since_ms: int) -> Reading:
        coverage = [row for reading in readings for row in reading.coverage]
        from_ms, to_ms = (None if at is None else ms_of(at) for at in (self.selection.from_at, self.selection.to_at))
        window = Coverage(
            source="payments",
            scope="window",
            complete=True,
            asked_from=from_ms,
            asked_to=to_ms,
            done_from=from_ms,
            done_to=to_ms,
            calls=sum(row.calls for row in coverage),
            wire_bytes=sum(row.wire_bytes for row in coverage),
            pages=sum(row.pages for row in coverage),
            items=rows,
        )
        return Reading(coverage=(window, Coverage("payments", KEPT, complete=True, asked_to=since_ms, items=kept)))
