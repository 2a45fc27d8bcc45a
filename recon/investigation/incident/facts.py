"""Reads from a plan's snapshot what tells an incident's payments from others: times, buyers, and money owed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import OPEN, OPEN_AGES, Plan, Policy
from recon.core.times import to_ms
from recon.investigation.incident.bounds import Bounds
from recon.investigation.incident.impact import PlanFacts, RowTimes
from recon.plans.make import policy_digest
from recon.verdicts.engine import open_engine, usual_engine, usual_memory_bytes
from recon.verdicts.judge import find_owed, horizon_of

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.snapshots.sealed import Snapshot

_MOVES: Final = ("transfer ", "other transfer ", "refund ")
"""How the evidence of a finding names the transfers of its payment."""


def read_facts(snapshot: Snapshot, plan: Plan, *, bounds: Bounds, policy: Policy | None) -> PlanFacts:
    """What a snapshot adds to its plan.

    Args:
        policy: What the plan was made under, to count money that is owed; that is not known without it, or under
            another.
    """
    found = {finding.payment_id for finding in plan.findings}
    moved = _moved(snapshot, plan)
    columns = ["payment_id", "provider", "direction", "status", "is_test", "created_at", "buyer_id"]
    payments = snapshot.table("payments").select(columns)
    rows = {key: RowTimes(moved_at=times) for key, times in moved.items()}
    for row in _where_in(payments, "payment_id", found).to_pylist():
        key = row["payment_id"]
        rows[key] = RowTimes(row["created_at"], moved.get(key, ()), row["buyer_id"] or None)
    is_same = policy is not None and policy_digest(policy) == plan.policy_digest
    short = () if is_same else ("what is captured and not credited: the plan was made under another configuration",)
    made, waiting = _made(payments, bounds, now_ms=snapshot.taken_at_ms)
    owed = _owed(snapshot, policy) if policy is not None and is_same else None
    return PlanFacts(rows=rows, owed=owed, made=made, waiting=waiting, short=short, has_rows=True)


def _where_in(table: pa.Table, column: str, values: Collection[Any]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    listed = pa.array(sorted(values), type=table.schema.field(column).type)
    return table.filter(pc.is_in(table[column], value_set=listed))


def _moved(snapshot: Snapshot, plan: Plan) -> dict[str, tuple[int, ...]]:
    """When money of each payment moved, by the transfers that the evidence of its finding names."""
    named: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for finding in plan.findings:
        for text in finding.evidence:
            if text.startswith(_MOVES):
                chain, tx, _ = text.rpartition(" ")[2].split(":", 2)
                named[int(chain), tx].add(finding.payment_id)
    transfers = snapshot.table("transfers").select(["chain_id", "tx_hash", "block_time"])
    found: defaultdict[str, set[int]] = defaultdict(set)
    for row in _where_in(transfers, "tx_hash", {tx for _, tx in named}).to_pylist():
        if row["block_time"] is not None:
            for payment in named.get((row["chain_id"], row["tx_hash"]), ()):
                found[payment].add(row["block_time"])
    return {payment: tuple(sorted(times)) for payment, times in found.items()}


def _made(payments: pa.Table, bounds: Bounds, *, now_ms: int) -> tuple[int | None, dict[str, int] | None]:
    """How many payments were made on the rails in the time, and how many of them are open, by age."""
    import pyarrow.compute as pc

    if not bounds.is_known or bounds.began_at is None:
        return None, None
    own = _where_in(payments, "provider", bounds.rails)
    at = own["created_at"]
    inside = pc.and_(pc.greater_equal(at, to_ms(bounds.began_at)), pc.less(at, to_ms(bounds.end_at)))
    own = own.filter(pc.and_(inside, pc.invert(pc.fill_null(own["is_test"], False))))
    waiting = _where_in(_where_in(own, "status", OPEN), "direction", ("in",))
    ages: dict[str, int] = {}
    youngest = to_ms(bounds.end_at)
    for name, limit in OPEN_AGES:
        oldest = 0 if limit is None else now_ms - limit
        times = waiting["created_at"]
        band = pc.and_(pc.greater(times, oldest), pc.less_equal(times, youngest))
        ages[name] = pc.sum(band).as_py() or 0
        youngest = oldest
    over = sum(ages.values()) - ages[OPEN_AGES[0][0]]
    return own.num_rows, {**ages, "over 30 min": over}


def _owed(snapshot: Snapshot, policy: Policy) -> Mapping[str, tuple[int, str, int]]:
    """Money that is proven on chain and not credited, by payment: the snapshot judged once more."""
    payments = snapshot.rows("payments")
    coverage, gaps = snapshot.table("coverage").to_pylist(), snapshot.table("gaps").to_pylist()
    horizon = horizon_of(coverage, gaps, now_ms=snapshot.taken_at_ms)
    running = open_engine(usual_engine(payments), memory_bytes=usual_memory_bytes(payments), payments=payments)
    try:
        owed = find_owed(snapshot.frames(running), running, horizon=horizon, policy=policy)
    finally:
        running.close()
    return {row["payment_id"]: (row["chain_id"], row["token"], int(row["units"])) for row in owed.to_pylist()}
