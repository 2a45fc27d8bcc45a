"""What a provider says since an earlier snapshot: what settled stays, the last days and what is open are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from recon.snapshots.since.tables import KEPT, KeptTables
from recon.sources.interface import ClaimSource, Coverage, Progress, Reading

if TYPE_CHECKING:
    import pyarrow as pa

CLAIMS_OVERLAP_MS: Final = 86_400_000
"""How late a provider may list a payment, and after what time it is taken to have settled."""

ASKED_MIN: Final = 10
"""Up to so many objects are asked for one by one, and more where a whole reading would take more calls than that."""

_TO_ASK: Final = """
with txs as (select claim_id, count(*) as many from claim_txs where provider = $1 group by 1)
select distinct c.claim_id from claims c left join txs using (claim_id)
where c.provider = $1 and coalesce(c.created_at, 0) < $2 and not starts_with(c.claim_id, 'payment:')
and (c.claim_id in (select name from fresh) or c.created_at is null
or coalesce(c.state, '') not in ('paid', 'overpaid', 'refunded')
or (c.created_at < $3 and coalesce(txs.many, 0) <> 1))
order by 1
"""
_ALL: Final = "select count(*) from claims where provider = $1"
_STAYING: Final = """
create table staying as select claim_id from claims where provider = $1 and created_at >= $2 and created_at < $3
and claim_id not in (select name from asked)
"""
_KEPT_ROWS: Final = {
    "claims": "select * from claims where provider = $1 and claim_id in (select claim_id from staying)",
    "claim_txs": "select * from claim_txs where provider = $1 and claim_id in (select claim_id from staying)",
}


@runtime_checkable
class ObjectReader(ClaimSource, Protocol):
    """A provider that can be asked for what its bulk reading says of single objects."""

    def read_objects(self, claim_ids: Sequence[str], *, from_ms: int, to_ms: int, progress: Progress) -> Reading:
        """Read the payments of these objects within a closed window."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimsSince:
    """The objects of one provider: kept ones, those of the last days, and those asked for one by one.

    Args:
        from_ms: Where the evidence begins.
        window_from: Where what is read anew begins.
        now_ms: As of when is read.
    """

    tables: KeptTables
    source: ObjectReader
    from_ms: int
    window_from: int
    now_ms: int

    def read(self, *, progress: Progress) -> Reading | None:
        """Read what may have changed and lay it over what is kept; None when reading all is no more work."""
        fresh = self.source.read_window(self.window_from, self.now_ms, progress=progress)
        asked = self._to_ask(fresh.tables["claims"])
        if asked is None:
            return None
        again = None
        if asked:
            again = self.source.read_objects(asked, from_ms=self.from_ms, to_ms=self.now_ms, progress=progress)
        return self._together(fresh, again, self._kept(asked), asked=asked)

    def _to_ask(self, fresh: pa.Table) -> list[str] | None:
        """Objects with payments before the window that may say something else now; None when they are too many.

        Those are objects with new payments, those that had not settled, those whose time nobody knows, and those that
        may have payments on both sides of the beginning of the evidence.
        """
        self.tables.list_as("fresh", fresh["claim_id"].to_pylist())
        asked = self.tables.column(_TO_ASK, self.source.name, self.window_from, self.from_ms)
        total = self.tables.one(_ALL, self.source.name)
        return None if len(asked) > max(ASKED_MIN, total // 100) else asked

    def _kept(self, asked: Sequence[str]) -> dict[str, pa.Table]:
        """Claims and their transactions that stay as they were."""
        self.tables.list_as("asked", asked)
        self.tables.connection.execute(_STAYING, [self.source.name, self.from_ms, self.window_from])
        return {name: self.tables.table(name, query, self.source.name) for name, query in _KEPT_ROWS.items()}

    def _together(
        self, fresh: Reading, again: Reading | None, known: Mapping[str, pa.Table], *, asked: Sequence[str]
    ) -> Reading:
        import pyarrow as pa
        import pyarrow.compute as pc

        readings = [fresh] if again is None else [fresh, again]
        parts = {}
        for name in ("claims", "claim_txs"):
            table = fresh.tables[name]
            own = pc.is_in(table["claim_id"], value_set=pa.array(asked, pa.string()))
            others = [] if again is None else [again.tables[name]]
            parts[name] = pa.concat_tables([known[name], table.filter(pc.invert(own)), *others])
        return Reading(
            parts,
            coverage=(self._account(*readings), self._account_of_kept(fresh, known)),
            gaps=tuple(gap for reading in readings for gap in reading.gaps),
        )

    def _account(self, *readings: Reading) -> Coverage:
        """One row of coverage for all that was read: whole only where every part was."""
        rows = [reading.coverage[0] for reading in readings]
        problem = next((row.problem for row in rows if row.problem), None)
        return replace(
            rows[0],
            asked_from=self.from_ms,
            done_from=None if problem else self.from_ms,
            done_to=None if problem else rows[0].done_to,
            complete=problem is None,
            problem=problem,
            calls=sum(row.calls for row in rows),
            wire_bytes=sum(row.wire_bytes for row in rows),
            pages=sum(row.pages for row in rows),
            items=sum(row.items for row in rows),
        )

    def _account_of_kept(self, fresh: Reading, known: Mapping[str, pa.Table]) -> Coverage:
        row = fresh.coverage[0]
        before = (row.asked_from or self.from_ms) - 1
        return Coverage(
            row.source, KEPT, complete=True, asked_from=self.from_ms, asked_to=before, items=known["claims"].num_rows
        )
