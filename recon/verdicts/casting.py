"""What leaves an engine: one Arrow schema and one order, whichever engine it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recon.core.tables import Schema, schema_of

if TYPE_CHECKING:
    import pyarrow as pa


def cast_table(table: pa.Table, columns: Schema, *, order: Sequence[str]) -> pa.Table:
    """The columns of a result, cast to one Arrow schema and sorted, so that nothing tells which engine it is from."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = schema_of(columns)
    arrays = []
    for field in wanted:
        column = table.column(field.name)
        if pa.types.is_decimal(column.type) and pa.types.is_integer(field.type):
            column = pc.cast(column, pa.decimal128(38, 0))
        arrays.append(column.cast(field.type))
    result = pa.Table.from_arrays(arrays, schema=wanted)
    return result.sort_by([(name, "ascending") for name in order]) if order else result
