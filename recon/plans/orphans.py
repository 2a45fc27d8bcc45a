"""Findings for what no row knows: transfers to us, objects of a provider, and money that left us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recon.core.model import Finding, Severity, Tier, Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.verdicts.rules import RULE

if TYPE_CHECKING:
    import pyarrow as pa


def missing_local(transfers: pa.Table, claims: pa.Table, *, registry: Registry, now_ms: int) -> list[Finding]:
    """Findings for the transfers and provider objects that no row of the whole collection knows.

    Args:
        transfers, claims: What :func:`recon.verdicts.orphans.lost_rows` gives; a key that comes twice is one finding.
        now_ms: Ages count to here.
    """
    found: dict[str, Finding] = {}
    sides = (("chain", "transfer", "amount_units", transfers), ("provider", "claim", "paid_units", claims))
    for side, what, units, table in sides:
        for row in table.to_pylist():
            name = f"{side}:{row['key']}"
            token = registry.tokens.get((row["chain_id"], row["token"] or ""))
            seen = row.get("block_time") or row.get("created_at")
            found[name] = Finding(
                payment_id=name,
                verdict=Verdict.MISSING_LOCAL,
                findings=(Verdict.MISSING_LOCAL,),
                tier=Tier.REVIEW,
                severity=Severity.HIGH,
                reason=RULE[Verdict.MISSING_LOCAL].sentence.format(what=what),
                provider=row.get("provider"),
                chain_id=row["chain_id"],
                token=row["token"],
                symbol=token.symbol if token else None,
                decimals=token.decimals if token else None,
                age_s=None if seen is None else max(0, (now_ms - seen) // 1000),
                value_units=int(row[units] or 0),
                evidence=(f"{what} {row['key']}",),
            )
    return list(found.values())


def outflow_findings(outflows: Sequence[Mapping[str, Any]], *, registry: Registry, now_ms: int) -> list[Finding]:
    """Findings for outgoing money that no row explains.

    Args:
        outflows: Rows of :data:`recon.verdicts.outflows.OUTFLOWS`.
        now_ms: Ages count to here.
    """
    verdict = Verdict.UNEXPLAINED_OUTFLOW
    found = []
    for row in outflows:
        key = f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}"
        token = registry.tokens.get((row["chain_id"], row["token"] or ""))
        units = int(row["amount_units"])
        words = {
            "amount": format_units(units, decimals=token.decimals) if token else str(units),
            "symbol": token.symbol if token else "units",
            "destination": row["recipient"],
            "where": f"{row['tx_hash']} on chain {row['chain_id']}",
        }
        listed = f" {row['listed_by']} lists it as outgoing, for no payout of its own." if row["listed_by"] else ""
        found.append(
            Finding(
                payment_id=f"chain:{key}",
                verdict=verdict,
                findings=(verdict,),
                tier=Tier.NEVER,
                severity=Severity.HIGH,
                reason=f"{RULE[verdict].sentence.format(**words)}{listed}",
                provider=row["listed_by"],
                chain_id=row["chain_id"],
                token=row["token"],
                symbol=token.symbol if token else None,
                decimals=token.decimals if token else None,
                age_s=max(0, (now_ms - row["block_time"]) // 1000),
                difference_units=units,
                value_units=units,
                evidence=(f"transfer {key}", f"from {row['sender']}", f"to {row['recipient']}"),
            )
        )
    return found
