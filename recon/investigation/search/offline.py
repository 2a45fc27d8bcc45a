"""Searches a sealed snapshot: nothing is asked of any source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from recon.core.times import ms_text
from recon.investigation.search.matching import SearchTables, match_tables
from recon.investigation.search.question import LookedAt, SearchQuestion, SearchResult

if TYPE_CHECKING:
    from recon.core.model import Policy
    from recon.core.registry import Registry
    from recon.snapshots.sealed import Snapshot


def search_snapshot(
    snapshot: Snapshot, question: SearchQuestion, *, registry: Registry, policy: Policy
) -> SearchResult:
    """Everything in a snapshot that a question means.

    A snapshot holds one window. What is not in it may be elsewhere, so the result names the window of each source.
    """
    import pyarrow as pa

    payments, context = snapshot.table("payments"), snapshot.table("context")
    known = set(payments.column("payment_id").to_pylist()) if context.num_rows else set()
    beside = context.filter(pa.array([each not in known for each in context["payment_id"].to_pylist()], pa.bool_()))
    tables = SearchTables(
        payments=pa.concat_tables([payments, beside.select(payments.column_names)]),
        keys=snapshot.table("keys"),
        claims=snapshot.table("claims"),
        transfers=snapshot.table("transfers"),
        owners=dict(_owners(snapshot)),
    )
    matched = match_tables(tables, question, registry=registry)
    return SearchResult(
        question=question,
        place=f"snapshot {snapshot.digest[:12]} of {ms_text(snapshot.taken_at_ms)}",
        rows=tuple(matched.hits["payments"]),
        claims=tuple(matched.hits["claims"]),
        transfers=tuple(matched.hits["transfers"]),
        unowned="no row of this snapshot knows it; --live asks the whole collection",
        searched=tuple(map(looked_at, snapshot.table("coverage").to_pylist())),
        untold=(*matched.untold, *(gap_text(each) for each in snapshot.table("gaps").to_pylist())),
        own_addresses=policy.merchant_recipients,
        ledger="a snapshot holds nothing of the ledger; --live asks it",
    )


def _owners(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """What the look-up in the whole collection said of money and provider objects that no row of the window knows."""
    for row in snapshot.table("orphans").to_pylist():
        if row["payment_id"] is not None:
            yield row["key"], f"{row['payment_id']} by {row['known_by']}"


def looked_at(row: Mapping[str, Any]) -> LookedAt:
    """A row of the coverage as a search tells it."""
    unit = (lambda value: f"block {value}") if row["unit"] == "block" else ms_text
    ends = [row["done_from"], row["done_to"]]
    if ends == [None, None]:
        ends = [row["asked_from"], row["asked_to"]]
    reach = " to ".join("open" if each is None else unit(each) for each in ends)
    if ends == [None, None]:
        reach = "without a bound" if row["scope"] in ("window", "bulk") else "single look-ups"
    return LookedAt(row["source"], row["scope"], reach, bool(row["complete"]), row["problem"] or "")


def gap_text(row: Mapping[str, Any]) -> str:
    """A gap of a source as one sentence."""
    return (
        f"{row['source']}, {row['scope']}: nothing is known from {ms_text(row['from_ms'])} to "
        f"{ms_text(row['to_ms'])} ({row['reason']})"
    )
