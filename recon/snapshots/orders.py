"""Payments in sync whose buyer may have paid once more, on a row of the same order that was not read.

Such a row is outside the selection: made before the window, by another provider, not named. It matters where it says
that it was paid, and then both are judged with all that both sides and the chain show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.model import COMPLETE

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.sources.interface import DocumentStore

ORDERS_MAX: Final = 20_000
"""Of so many orders the whole collection is asked at most; of a window with more none is."""

_COLUMNS: Final = ("payment_id", "order_id", "direction", "status", "is_test")


def paid_elsewhere(
    payments: Path,
    store: DocumentStore,
    *,
    read: set[str],
    rows_of: Callable[[Iterable[Mapping[str, Any]]], list[pa.RecordBatch]],
) -> set[str]:
    """The complete pay-ins of a file of payments whose order has another complete pay-in that was not read.

    Nothing of a file with more complete payments than :data:`ORDERS_MAX`.

    Args:
        read: Every payment that was read.
        rows_of: Documents as rows of payments.

    Raises:
        SourceError: The store cannot be asked.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(payments, columns=list(_COLUMNS), filters=pc.field("status").isin(sorted(COMPLETE)))
    if rows.num_rows > ORDERS_MAX:
        return set()
    here = _by_order(rows.to_pylist())
    found = store.find_claimants("order_id", sorted(here)) if here else ()
    others = {payment_id_text(document["_id"]): document for _, document in found}
    unread = [others[payment_id] for payment_id in sorted(others.keys() - read)]
    elsewhere = _by_order(row for batch in rows_of(unread) for row in batch.select(list(_COLUMNS)).to_pylist())
    return {payment_id for order in here.keys() & elsewhere.keys() for payment_id in here[order]}


def _by_order(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The complete pay-ins of each order."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["order_id"] and row["direction"] == "in" and row["status"] in COMPLETE and not row["is_test"]:
            found[row["order_id"]].append(row["payment_id"])
    return found
