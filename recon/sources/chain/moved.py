"""Transactions that are told in more than one block: a fork that a node has not forgotten yet, or a cache that kept it.

A transaction is in one block. Where logs of one come from two blocks, its money would count twice. The receipt says in
which block it is; the logs of the others are left out. Where no receipt settles it, all its blocks are in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from recon.sources.chain.receipts import Transaction

if TYPE_CHECKING:
    import pyarrow as pa


def moved_transactions(table: pa.Table) -> dict[str, set[int]]:
    """By hash, the blocks of each transaction that is told in more than one."""
    import pyarrow.compute as pc

    hashes, blocks = table["tx_hash"], table["block"]
    if table.num_rows < 2 or pc.count_distinct(hashes).as_py() == table.num_rows:
        return {}
    places = table.select(["tx_hash", "block"]).group_by("tx_hash").aggregate([("block", "min_max")])
    both = places["block_min_max"].combine_chunks()
    apart = pc.not_equal(pc.struct_field(both, "min"), pc.struct_field(both, "max"))
    suspects = places["tx_hash"].filter(apart)
    if not len(suspects):
        return {}
    found: dict[str, set[int]] = {}
    here = pc.is_in(hashes, value_set=suspects.combine_chunks())
    for tx_hash, block in zip(hashes.filter(here).to_pylist(), blocks.filter(here).to_pylist(), strict=True):
        found.setdefault(tx_hash, set()).add(block)
    return found


def settled_by(answers: Mapping[str, Transaction], places: Mapping[str, set[int]]) -> tuple[dict[str, int], set[int]]:
    """The block of each transaction that its receipt places in one of those told, and the blocks that stay in doubt."""
    right: dict[str, int] = {}
    doubtful: set[int] = set()
    for tx_hash, blocks in places.items():
        answer = answers.get(tx_hash)
        if answer is not None and answer.block in blocks and answer.outcome == "success":
            right[tx_hash] = answer.block
        else:
            doubtful |= blocks
    return right, doubtful


def without_others(table: pa.Table, right: Mapping[str, int]) -> pa.Table:
    """The table without logs of these transactions from other blocks than theirs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    here = pc.is_in(table["tx_hash"], value_set=pa.array(sorted(right), pa.string()))
    if not pc.any(here).as_py():
        return table
    places = zip(table["tx_hash"].to_pylist(), table["block"].to_pylist(), strict=True)
    return table.filter(pa.array([right.get(tx_hash, block) == block for tx_hash, block in places], pa.bool_()))
