"""Rows of an order that was read in part: another payment of it, or the pay-in behind a payout.

Such a row is outside the selection: made before the window, by another provider, not named. A pay-in matters where
both say that they were paid, and then both are judged with all that both sides and the chain show. Beside money that
went out the pay-ins of its deal say who paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.model import COMPLETE
from recon.sources.interface import Coverage

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.sources.interface import DocumentStore

ORDERS_MAX: Final = 20_000
"""Of so many orders the whole collection is asked at most: those nearest to the two ends of the window."""

_COLUMNS: Final = ("payment_id", "order_id", "direction", "status", "is_test")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Orders:
    """What the whole collection has of the orders of a window.

    Args:
        paid: Complete pay-ins whose order has another complete pay-in that was not read.
        beside: Documents of pay-ins that were not read, of orders of which money went out, and of those that were paid
            once more, by payment.
        coverage: How many orders were looked up, and which were not.
    """

    paid: frozenset[str] = frozenset()
    beside: Mapping[str, Row] = field(default_factory=dict)
    coverage: tuple[Coverage, ...] = ()


def find_orders(
    payments: Path,
    store: DocumentStore,
    *,
    read: set[str],
    rows_of: Callable[[Iterable[Row]], list[pa.RecordBatch]],
    orders_max: int = ORDERS_MAX,
) -> Orders:
    """Look the orders of the complete payments of a file up in the whole collection.

    Args:
        read: Every payment that was read.
        rows_of: Documents as rows of payments.
        orders_max: Of how many orders, at the most.

    Raises:
        SourceError: The store cannot be asked.
    """
    rows = _complete(payments)
    every = _ends(rows, most=orders_max).to_pylist()
    asked = {row["order_id"] for row in every}
    if not asked:
        return Orders()
    unread = {
        payment_id: document
        for document in _documents_of(sorted(asked), store, read=read)
        if (payment_id := payment_id_text(document["_id"])) not in read
    }
    ordered = [unread[payment_id] for payment_id in sorted(unread)]
    others = [row for batch in rows_of(ordered) for row in batch.select(list(_COLUMNS)).to_pylist()]
    paid, rivals = _paid_again(every, others), _paid_again(_complete_of(others), every)
    behind = _behind_payouts(every, others) | rivals
    return Orders(
        paid=paid,
        beside={payment_id: unread[payment_id] for payment_id in sorted(unread.keys() & behind)},
        coverage=_account(len(asked), of=len(rows["order_id"].unique())),
    )


def _documents_of(orders: Sequence[str], store: DocumentStore, *, read: Set[str]) -> Iterator[Row]:
    """The documents of some orders; most rows of an order were read, so a store that can is asked for the ids first."""
    claimant_ids: Callable[[str, Iterable[str]], Iterator[str]] | None = getattr(store, "claimant_ids", None)
    if claimant_ids is None:
        return (document for _, document in store.find_claimants("order_id", orders))
    return store.fetch(sorted({*claimant_ids("order_id", orders)} - read))


def _complete(payments: Path) -> pa.Table:
    """The complete payments of a file that have an order, the oldest first."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(payments, columns=[*_COLUMNS, "created_at"], filters=pc.field("status").isin(sorted(COMPLETE)))
    is_real = pc.invert(pc.fill_null(rows["is_test"], fill_value=False))
    kept = rows.filter(pc.and_(pc.is_valid(rows["order_id"]), is_real))
    return kept.sort_by([("created_at", "ascending"), ("payment_id", "ascending")])


def _complete_of(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["status"] in COMPLETE]


def _paid_again(every: Iterable[Row], others: Iterable[Row]) -> frozenset[str]:
    """The pay-ins whose order has a complete one among the others, too."""
    here, elsewhere = _pay_ins(every), _pay_ins(_complete_of(others))
    return frozenset(each for order in here.keys() & elsewhere.keys() for each in here[order])


def _behind_payouts(every: Iterable[Row], others: Iterable[Row]) -> set[str]:
    """The pay-ins among the others of whose order money went out."""
    went_out = {row["order_id"] for row in every if row["direction"] != "in"}
    return {each for order, ids in _pay_ins(others).items() if order in went_out for each in ids}


def _ends(rows: pa.Table, *, most: int) -> pa.Table:
    """At most so many rows, half from each end: an order that was paid again was so soon before or after."""
    import pyarrow as pa

    if rows.num_rows <= most:
        return rows
    half = most // 2
    return pa.concat_tables([rows.slice(0, half), rows.slice(rows.num_rows - (most - half))])


def _account(asked: int, *, of: int) -> tuple[Coverage, ...]:
    """How many orders were not looked up, if any: a limit of ours is no failure of the source, and is said."""
    if asked >= of:
        return ()
    said = (
        f"of {of} orders the {asked} nearest to the ends of the window were looked up in the whole collection; whether "
        "one of the others was paid once more on a row that was not read, nobody asked"
    )
    return (Coverage("payments", "orders", complete=True, items=asked, problem=said),)


def _pay_ins(rows: Iterable[Row]) -> dict[str, list[str]]:
    """The pay-ins of each order."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["order_id"] and row["direction"] == "in" and not row["is_test"]:
            found[row["order_id"]].append(row["payment_id"])
    return found
