"""Findings for what no row of the whole collection knows: transfers on chain, and objects of a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.core.model import Finding, Severity, Tier, Verdict
from recon.core.registry import Registry
from recon.verdicts.rules import RULE

if TYPE_CHECKING:
    import pyarrow as pa


def missing_local(transfers: pa.Table, claims: pa.Table, *, registry: Registry, now_ms: int) -> list[Finding]:
    """Findings for the transfers and provider objects that no row of the whole collection knows.

    Args:
        transfers, claims: What :func:`recon.verdicts.judge.lost_rows` gives; a key that comes twice is one finding.
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
