"""Transfers that are written beside those of a first reading stand in one order, however Arrow joins."""

from __future__ import annotations

import pyarrow as pa
import pytest

from recon.snapshots.outflows import joined_in_order

ROWS = 200_000
"""Enough for Arrow to join in several threads, which give their rows in any order."""


@pytest.mark.parametrize(("how", "left"), [("left anti", 1), ("left semi", 0)])
def test_a_join_leaves_rows_where_they_stood(how: str, left: int) -> None:
    rows = pa.table({"chain_id": [1] * ROWS, "tx_hash": [f"{(n * 7919) % ROWS:x}" for n in range(ROWS)]})
    keyed = pa.table({"chain_id": [1] * (ROWS // 2), "tx_hash": [f"{n:x}" for n in range(0, ROWS, 2)]})
    found = joined_in_order(rows, keyed, keys=("chain_id", "tx_hash"), how=how)
    assert found["tx_hash"].to_pylist() == [each for each in rows["tx_hash"].to_pylist() if int(each, 16) % 2 == left]
