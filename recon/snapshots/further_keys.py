"""The table of further keys: a row for each request id, reference and external id besides a payment's first ones, and
for the forwarder that its request has.

It is made of ``payments.further_keys``, a cell for each payment, so that the matching can join it. A snapshot of a
version that did not read them has neither, and no payment in it has further keys.

>>> rows = [{"payment_id": "p", "further_keys": '[["external_id","x"]]'}, {"payment_id": "q", "further_keys": None}]
>>> [(row["payment_id"], row["field"], row["value"]) for row in further_keys_of(rows)]
[('p', 'external_id', 'x')]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import reference_topic

if TYPE_CHECKING:
    import pyarrow as pa

COLUMN: Final = "further_keys"


def further_keys_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of :data:`recon.core.tables.KEYS` for some payments."""
    for row in rows:
        for field, value in json.loads(row.get(COLUMN) or "[]"):
            yield {
                "payment_id": row["payment_id"],
                "field": field,
                "value": value,
                "reference_topic": reference_topic(value) if field == "reference" else None,
            }


def keys_in(*tables: pa.Table) -> list[dict[str, Any]]:
    """The further keys of tables of payments; none of a table that an older version wrote."""
    found: list[dict[str, Any]] = []
    for table in tables:
        if COLUMN in table.column_names:
            held = table.select(["payment_id", COLUMN])
            found += further_keys_of(held.filter(held[COLUMN].is_valid()).to_pylist())
    return found


def keys_in_file(payments: Path) -> list[dict[str, Any]]:
    """The further keys of a file of payments, of which only the rows that have some are held in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(payments) as file:
        if COLUMN not in file.schema_arrow.names:
            return []
        held: list[dict[str, Any]] = []
        for batch in file.iter_batches(columns=["payment_id", COLUMN]):
            held += batch.filter(batch[COLUMN].is_valid()).to_pylist()
    return list(further_keys_of(sorted(held, key=lambda row: row["payment_id"])))
