"""Every payment of a snapshot with its verdict and its transfers, by the same matching and rules as a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recon.core.model import Policy
from recon.verdicts.classify import classify
from recon.verdicts.engine import open_engine, usual_engine
from recon.verdicts.judge import LINKS, horizon_of
from recon.verdicts.match import match_payments

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.snapshots.sealed import Snapshot


@dataclass(frozen=True, slots=True)
class Whole:
    """What a judgement says about every payment, the benign ones included.

    Args:
        payments: The payments table.
        verdicts: Verdict by payment id.
        links: Transfers of all payments, :data:`recon.verdicts.judge.LINKS`.
        deliveries, claims, transfers, gaps: Tables of the snapshot.
        short: How many readings did not give all that was asked of them; 1 where none is recorded.
    """

    taken_at_ms: int
    payments: pa.Table
    verdicts: Mapping[str, str]
    links: pa.Table
    claims: pa.Table
    transfers: pa.Table
    deliveries: pa.Table
    gaps: pa.Table
    short: int = 0


def read_whole(snapshot: Snapshot, *, policy: Policy | None) -> Whole:
    """Read a snapshot's rows and, with the policy its plan was made under, judge every one of them.

    Args:
        policy: None leaves the verdicts and links empty: a judgement under another policy would not be the plan's.
    """
    verdicts: dict[str, str] = {}
    links: Any = None
    readings = snapshot.table("coverage").select(["complete"]).to_pylist()
    if policy is not None:
        verdicts, links = _judged(snapshot, policy)
    return Whole(
        taken_at_ms=snapshot.taken_at_ms,
        payments=snapshot.table("payments"),
        verdicts=verdicts,
        links=links,
        claims=snapshot.table("claims"),
        transfers=snapshot.table("transfers"),
        deliveries=snapshot.table("deliveries"),
        gaps=snapshot.table("gaps"),
        short=sum(not row["complete"] for row in readings) if readings else 1,
    )


def _judged(snapshot: Snapshot, policy: Policy) -> tuple[dict[str, str], pa.Table]:
    import narwhals as nw

    coverage, gaps = snapshot.table("coverage").to_pylist(), snapshot.table("gaps").to_pylist()
    horizon = horizon_of(coverage, gaps, now_ms=snapshot.taken_at_ms)
    payments = snapshot.rows("payments")
    engine = open_engine(usual_engine(payments), payments=payments)
    try:
        matched = match_payments(snapshot.frames(engine), horizon=horizon, policy=policy, engine=engine)
        judged = classify(matched.evidence, horizon=horizon, policy=policy).filter(nw.col("in_window"))
        found = engine.collect(judged, {"payment_id": "text", "verdict": "text"}, order=["payment_id"])
        links = engine.collect(matched.links, LINKS, order=["payment_id", "t_chain", "t_block", "t_log", "t_tx"])
    finally:
        engine.close()
    return dict(zip(found["payment_id"].to_pylist(), found["verdict"].to_pylist(), strict=True)), links
