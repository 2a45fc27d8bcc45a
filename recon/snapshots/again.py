"""Writes what the second reading lays over the first: keys, claims, transfers and transactions under ``again/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recon.core.tables import table_of
from recon.snapshots.further_keys import keys_in
from recon.snapshots.orphans import tables_in
from recon.snapshots.sealed import OVERLAID, SnapshotWriter, key_table
from recon.sources.interface import Reading

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]


def write_keys(writer: SnapshotWriter, again: pa.Table, *, context: pa.Table, gone: Sequence[Row] | None) -> None:
    """The further keys of the rows that were read again, and of those beside them."""
    writer.write("again/keys", table_of("keys", keys_in(again, context)))
    ids = [row["payment_id"] for row in gone or ()]
    writer.write("again/keys_keys", key_table("keys", [(each,) for each in (*ids, *context["payment_id"].to_pylist())]))


def write_claims(writer: SnapshotWriter, readings: Sequence[Reading]) -> None:
    """New answers replace old ones; a look-up that failed replaces nothing, it only adds that it failed."""
    claims, txs = _concat("claims", readings), _concat("claim_txs", readings)
    outcomes = claims["outcome"].to_pylist()
    answered = [row for row, outcome in zip(claims.to_pylist(), outcomes, strict=True) if outcome != "failed"]
    # A transaction that a provider does not name any more is gone with the answer that named it.
    for name, table, rows in (("claims", claims, answered), ("claim_txs", txs, [*answered, *txs.to_pylist()])):
        keys = [tuple(row[key] for key in OVERLAID[name]) for row in rows]
        writer.write(f"again/{name}", table)
        writer.write(f"again/{name}_keys", key_table(name, keys))


def write_chain(writer: SnapshotWriter, readings: Sequence[Reading], *, moved: pa.Table | None = None) -> None:
    """What the chain says now replaces what it said; a transaction that could not be asked about keeps its old rows.

    Args:
        moved: Transfers that stand beside those of the first reading.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    said = _concat("transactions", readings)
    is_answer = pc.fill_null(pc.not_equal(said["outcome"], "failed"), fill_value=False)
    ordered = pa.concat_tables([said.filter(is_answer), said.filter(pc.invert(is_answer))])
    transactions = _once(ordered, "chain_id", "tx_hash")
    answered = [
        (row["chain_id"], row["tx_hash"])
        for row in transactions.select(["chain_id", "tx_hash", "outcome"]).to_pylist()
        if row["outcome"] != "failed"
    ]
    transfers = _once(_concat("transfers", readings), "chain_id", "tx_hash", "log_index")
    keep = set(answered)
    mask = [(row["chain_id"], row["tx_hash"]) in keep for row in transfers.select(["chain_id", "tx_hash"]).to_pylist()]
    beside, places = _beside(writer, moved, answered=keep)
    writer.write("again/transfers", pa.concat_tables([transfers.filter(pa.array(mask, type=pa.bool_())), beside]))
    writer.write("again/transfers_keys", key_table("transfers", [*answered, *places]))
    writer.write("again/transactions", transactions)
    writer.write(
        "again/transactions_keys",
        key_table("transactions", answered),
    )


def _once(table: pa.Table, *keys: str) -> pa.Table:
    """The first row of each key: a transaction may be asked about twice, for two reasons."""
    import pyarrow as pa

    seen: set[tuple[object, ...]] = set()
    mask = []
    for key in zip(*(table[name].to_pylist() for name in keys), strict=True):
        mask.append(key not in seen)
        seen.add(key)
    return table.filter(pa.array(mask, type=pa.bool_()))


def _beside(
    writer: SnapshotWriter, moved: pa.Table | None, *, answered: set[tuple[int, str]]
) -> tuple[pa.Table, list[tuple[int, str]]]:
    """Further transfers with those that the first reading has of the same transactions, and these transactions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    nothing = table_of("transfers", [])
    if moved is None or not moved.num_rows:
        return nothing, []
    pairs = zip(moved["chain_id"].to_pylist(), moved["tx_hash"].to_pylist(), strict=True)
    places = sorted(set(pairs) - answered)
    keys = key_table("transfers", places)
    first = pq.read_table(writer.file("transfers"))
    parts = [
        table.join(keys, keys=["chain_id", "tx_hash"], join_type="left semi", use_threads=False)
        for table in (moved, first)
    ]
    return pa.concat_tables(
        [nothing, *[part.select(nothing.column_names).cast(nothing.schema) for part in parts]]
    ), places


def _concat(name: str, readings: Sequence[Reading]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables([table_of(name, []), *tables_in(readings, name)])
