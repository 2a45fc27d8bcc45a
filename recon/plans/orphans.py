"""Findings for what no row knows: transfers to us, objects of a provider, and money that left us."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Finding, Policy, Severity, Tier, Verdict
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.verdicts.rules import RULE

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]


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


STRANGE_MAX: Final = 20
"""From so many transfers on, a wallet that the configuration does not name is told of once and not for each."""


def outflow_findings(outflows: Sequence[Row], *, registry: Registry, policy: Policy, now_ms: int) -> list[Finding]:
    """Findings for outgoing money that no row explains.

    A payout may have left an exchange's wallet, from which the exchange pays all its customers. Of a wallet that only a
    payout leads to, more than :data:`STRANGE_MAX` transfers to strangers are one finding, at the largest of them; what
    went to an address that a row of ours sends money to is told of by itself.

    Args:
        outflows: Rows of :data:`recon.verdicts.outflows.OUTFLOWS`.
        now_ms: Ages count to here.
    """
    named = {*policy.payout_wallets, *policy.merchant_recipients}
    found, strange = [], defaultdict[tuple[int, str], list[Row]](list)
    for row in outflows:
        if row["sender"] in named or row["listed_by"] or row["to_payee"]:
            is_ours = row["sender"] in named or row["listed_by"]
            found.append(_outflow(row, registry, now_ms=now_ms, words="" if is_ours else _unnamed_words(row)))
        else:
            strange[row["chain_id"], row["sender"]].append(row)
    for rows in strange.values():
        if len(rows) <= STRANGE_MAX:
            found.extend(_outflow(row, registry, now_ms=now_ms, words=_unnamed_words(row)) for row in rows)
            continue
        largest = max(rows, key=lambda row: (_whole_units(row, registry), row["tx_hash"], row["log_index"]))
        words = _unnamed_words(largest) + _MANY.format(more=len(rows) - 1)
        found.append(_outflow(largest, registry, now_ms=now_ms, words=words))
    return found


_MANY: Final = (
    " So did {more} more to strangers, which are not listed one by one: this looks like the wallet of an exchange or a"
    " gateway, whose money is not yours. If it is yours, name it in merchant.payout_wallets."
)


def _unnamed_words(row: Row) -> str:
    """That only a payout leads to the wallet, or less than that."""
    how = "which a refund came from or a row records" if row["is_less_known"] else "which a payout came from"
    return f" It left {row['sender']}, {how} and merchant.payout_wallets does not name."


def _given_up_words(row: Row) -> str:
    """That a payout which was given up is of this amount to this address."""
    if not row["given_up_row"]:
        return ""
    return (
        f" Payment {row['given_up_row']} was to send this amount there and was given up: this may be it, so do not "
        "send it again."
    )


def _whole_units(row: Row, registry: Registry) -> Decimal:
    """An amount in whole tokens, by which those of several tokens are compared."""
    token = registry.tokens.get((row["chain_id"], row["token"] or ""))
    return Decimal(int(row["amount_units"])).scaleb(-token.decimals if token else 0)


def _outflow(row: Row, registry: Registry, *, now_ms: int, words: str) -> Finding:
    verdict = Verdict.UNEXPLAINED_OUTFLOW
    key = f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}"
    token = registry.tokens.get((row["chain_id"], row["token"] or ""))
    units = int(row["amount_units"])
    said = RULE[verdict].sentence.format(
        amount=format_units(units, decimals=token.decimals) if token else str(units),
        symbol=token.symbol if token else "units",
        destination=row["recipient"],
        where=f"{row['tx_hash']} on chain {row['chain_id']}",
    )
    listed = f" {row['listed_by']} lists it as outgoing, for no payout of its own." if row["listed_by"] else ""
    return Finding(
        payment_id=f"chain:{key}",
        verdict=verdict,
        findings=(verdict,),
        tier=Tier.NEVER,
        severity=Severity.HIGH,
        reason=f"{said}{listed}{words}{_given_up_words(row)}",
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
