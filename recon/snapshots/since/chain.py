"""What a chain shows since an earlier snapshot: transfers in blocks that were final stay, the rest is scanned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from recon.core.tables import arrow_schema
from recon.snapshots.since.tables import KEPT, BlockSpan, KeptTables
from recon.sources.interface import ChainQuestion, ChainSource, Coverage, Progress, Reading

if TYPE_CHECKING:
    import pyarrow as pa

_LOWEST_NOT_FINAL: Final = "select min(block) from transfers where chain_id = $1 and not coalesce(final, false)"
_SCANNED: Final = """
create table scanned as select * from transfers where chain_id = $1 and block <= $2 and coalesce(final, false)
and (kind not in ('erc20', 'unknown') or (kind = 'erc20' and recipient in (select name from recipients)))
"""
"""Transfers that a scan of today's question would show in the known blocks."""
_NEWEST: Final = "select tx_hash, block_hash from scanned order by block desc, log_index desc limit 1"
_KNOWN_TRANSACTIONS: Final = """
with shown as (
    select tx_hash, min(block) as block, min(block_hash) as block_hash, min(block_time) as block_time
    from scanned where block_time >= $3 group by 1
), told as (
    select t.* from transactions t where t.chain_id = $1 and t.block <= $2
    and coalesce(t.final, false) and t.outcome in ('success', 'reverted')
    and t.tx_hash in (select name from hashes)
    and (t.sender is not null or t.tx_hash in (select tx_hash from shown))
)
select * from told union all by name
select $1 as chain_id, s.tx_hash, 'success' as outcome, s.block, s.block_hash, s.block_time,
null as confirmations, true as final, null as sender, null as error from shown s
where s.tx_hash in (select name from hashes) and s.tx_hash not in (select tx_hash from told)
"""
"""Recorded transactions that are final: as they were answered, or as the kept transfers show them."""
_KEPT_TRANSFERS: Final = """
select * replace (greatest(1, $1 + 1 - block) as confirmations, block <= $2 as final) from (
    select * from scanned where block >= $3 union all
    select t.* from transfers t where t.chain_id = $4 and t.block <= $5
    and coalesce(t.final, false) and t.tx_hash in (select name from receipts)
    and t.tx_hash not in (select tx_hash from scanned where block >= $3)
) k
where not exists (select 1 from new_rows n where n.tx_hash = k.tx_hash and n.log_index = k.log_index)
"""
"""Transfers of known blocks: what a scan shows, and what was in receipts that a scan does not show."""


@dataclass(frozen=True, slots=True)
class EarlyAddresses:
    """Addresses that nobody asked about before, and since when their payments are."""

    from_ms: int
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where today's scan began, and how far the chain is."""

    start: int
    head: int
    final_head: int

    @classmethod
    def of(cls, scanned: Sequence[Coverage]) -> _Place | None:
        """What the scans of one chain have in common; None when one of them does not say."""
        starts = [row.asked_from for row in scanned if row.asked_from is not None]
        heads = [row.head for row in scanned if row.head is not None]
        final_heads = [row.final_head for row in scanned if row.final_head is not None]
        if not scanned or not len(starts) == len(heads) == len(final_heads) == len(scanned):
            return None
        return cls(max(starts), min(heads), min(final_heads))


@dataclass(frozen=True, slots=True)
class _Witness:
    """The newest kept transaction and its block's hash, which must not have changed."""

    tx_hash: str
    block_hash: str

    def is_still_there(self, transactions: pa.Table) -> bool:
        """Whether it is in the block it was in; a transaction that could not be asked about counts."""
        for row in transactions.select(["tx_hash", "outcome", "block_hash"]).to_pylist():
            if row["tx_hash"] == self.tx_hash:
                return row["outcome"] == "failed" or (row["outcome"], row["block_hash"]) == ("success", self.block_hash)
        return False


@dataclass(frozen=True, slots=True)
class ChainSince:
    """One chain: what was final is kept, the rest is read.

    Args:
        head: The newest block that the earlier snapshot saw.
    """

    tables: KeptTables
    question: ChainQuestion
    chain_id: int
    head: int

    def last_final(self, final_head: int) -> int:
        """The last block below which everything was final, the backend's own minimum included."""
        lowest = self.tables.one(_LOWEST_NOT_FINAL, self.chain_id)
        return final_head if lowest is None else min(final_head, lowest - 1)

    def read(
        self, source: ChainSource, *, known: BlockSpan, early: EarlyAddresses | None, progress: Progress
    ) -> Reading | None:
        """Scan what is not known and lay it over what is kept; None when the chain is not the one that was known."""
        self._prepare(known)
        recorded = self._recorded(known)
        witness = self._witness()
        missing = [tx_hash for tx_hash in self.question.tx_hashes if tx_hash not in recorded]
        extra = [witness.tx_hash] if witness and witness.tx_hash not in missing else []
        blocks = (known.first, known.last)
        asked = replace(self.question, tx_hashes=tuple(sorted([*missing, *extra])), known_blocks=blocks)
        reading = source.read(asked, progress=progress)
        place = _Place.of([row for row in reading.coverage if row.scope in ("proxy", "erc20")])
        if place is None:
            return reading if reading.gaps else None
        if not self._is_the_same(reading, place, known=known, witness=witness):
            return None
        older = self._older(source, early, known=known, progress=progress)
        scan = _Scan(reading, older, place=place, extra=tuple(extra))
        return self._together(scan, recorded, known=known)

    def _is_the_same(self, reading: Reading, place: _Place, *, known: BlockSpan, witness: _Witness | None) -> bool:
        """Whether the chain has only grown: it is no shorter, and the newest kept transaction is where it was."""
        if place.final_head < known.last or place.head < self.head:
            return False
        return witness is None or witness.is_still_there(reading.tables["transactions"])

    def _prepare(self, known: BlockSpan) -> None:
        """The transfers that stay, and what is asked about."""
        self.tables.list_as("recipients", self.question.recipients)
        self.tables.list_as("hashes", self.question.tx_hashes)
        self.tables.connection.execute(_SCANNED, [self.chain_id, known.last])

    def _witness(self) -> _Witness | None:
        found = self.tables.connection.execute(_NEWEST).fetchall()
        return _Witness(str(found[0][0]), str(found[0][1])) if found else None

    def _recorded(self, known: BlockSpan) -> dict[str, dict[str, Any]]:
        """Recorded transactions that are final, by hash."""
        table = self.tables.table("transactions", _KNOWN_TRANSACTIONS, self.chain_id, known.last, self.question.from_ms)
        return {row["tx_hash"]: row for row in table.to_pylist()}

    def _older(
        self, source: ChainSource, early: EarlyAddresses | None, *, known: BlockSpan, progress: Progress
    ) -> Reading:
        """The transfers in known blocks to addresses that are new; nothing where there are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if early is None:
            return Reading()
        question = ChainQuestion(early.from_ms, recipients=early.recipients, proxies=False)
        reading = source.read(question, progress=progress)
        transfers = reading.tables["transfers"]
        mine = pc.is_in(transfers["recipient"], value_set=pa.array(early.recipients, pa.string()))
        before = pc.less_equal(transfers["block"], known.last)
        return replace(reading, tables={"transfers": transfers.filter(pc.and_(mine, before))})

    def _together(self, scan: _Scan, recorded: Mapping[str, Mapping[str, Any]], *, known: BlockSpan) -> Reading:
        """What was read, and beside it what is kept: its confirmations counted to the head of now."""
        import pyarrow as pa

        place, new = scan.place, scan.transfers
        kept = self._kept(new, recorded, known=known, place=place)
        told = [
            {**row, "confirmations": max(1, place.head + 1 - row["block"]), "final": row["block"] <= place.final_head}
            for row in recorded.values()
        ]
        transactions = [pa.Table.from_pylist(told, schema=arrow_schema("transactions")), scan.transactions]
        row = Coverage(
            scan.reading.coverage[0].source,
            KEPT,
            complete=True,
            chain_id=self.chain_id,
            unit="block",
            asked_from=place.start,
            asked_to=known.last,
            items=kept.num_rows,
        )
        return Reading(
            tables={"transfers": pa.concat_tables([kept, new]), "transactions": pa.concat_tables(transactions)},
            coverage=(*_with_older(scan.reading.coverage, scan.older.coverage), row),
            gaps=(*scan.reading.gaps, *scan.older.gaps),
        )

    def _kept(
        self, new: pa.Table, recorded: Mapping[str, Mapping[str, Any]], *, known: BlockSpan, place: _Place
    ) -> pa.Table:
        """Transfers of known blocks that were not read anew."""
        self.tables.connection.register("new_rows", new.select(["tx_hash", "log_index"]))
        self.tables.list_as("receipts", [tx_hash for tx_hash, row in recorded.items() if row["sender"] is not None])
        given = (place.head, place.final_head, place.start, self.chain_id, known.last)
        return self.tables.table("transfers", _KEPT_TRANSFERS, *given)


@dataclass(frozen=True, slots=True)
class _Scan:
    """What was read of a chain.

    Args:
        older: What was read of new addresses in known blocks.
        extra: Transactions that were asked about only to see whether the chain is still the same.
    """

    reading: Reading
    older: Reading
    place: _Place
    extra: tuple[str, ...]

    @property
    def transfers(self) -> pa.Table:
        """Every transfer that was read."""
        import pyarrow as pa

        older = [self.older.tables["transfers"]] if self.older.tables else []
        return pa.concat_tables([self._without_extra("transfers"), *older])

    @property
    def transactions(self) -> pa.Table:
        """Every transaction that was asked about for its own sake."""
        return self._without_extra("transactions")

    def _without_extra(self, name: str) -> pa.Table:
        import pyarrow.compute as pc

        table = self.reading.tables[name]
        for tx_hash in self.extra:
            table = table.filter(pc.not_equal(table["tx_hash"], tx_hash))
        return table


def _with_older(coverage: Iterable[Coverage], older: Sequence[Coverage]) -> list[Coverage]:
    """The coverage of the scan, with what the scan of new addresses cost and missed."""
    rows = list(coverage)
    for extra in older:
        for index, row in enumerate(rows):
            if row.scope == extra.scope:
                rows[index] = replace(
                    row,
                    calls=row.calls + extra.calls,
                    wire_bytes=row.wire_bytes + extra.wire_bytes,
                    pages=row.pages + extra.pages,
                    items=row.items + extra.items,
                    complete=row.complete and extra.complete,
                    problem=row.problem or extra.problem,
                )
    return rows
