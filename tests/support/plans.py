"""Plans made by hand, every field defaulted, for tests of what is made from plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recon.core.model import (
    Change,
    FieldChange,
    FieldView,
    Finding,
    GuardTerm,
    LeftAlone,
    Plan,
    Severity,
    Target,
    Tier,
    Verdict,
)
from recon.plans.file import change_id, seal_plan

USDC_BSC = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
USDC_ETH = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
PAYMENT = "665f1c2e9b1d8a0012345678"


def a_finding(**given: Any) -> Finding:
    values: dict[str, Any] = {
        "payment_id": PAYMENT,
        "verdict": Verdict.LOCAL_BEHIND,
        "findings": (given.get("verdict", Verdict.LOCAL_BEHIND),),
        "tier": Tier.AUTO,
        "severity": Severity.HIGH,
        "reason": "The money is there and final, and the row is still pending.",
        "provider": "request_network",
        "chain_id": 56,
        "token": USDC_BSC,
        "symbol": "USDC",
        "decimals": 18,
        "age_s": 7200,
        "difference_units": 0,
        "value_units": 1234567 * 10**18,
        "fields": (FieldView("status", "pending", "paid", "covered"),),
        "evidence": ("transfer 56:0x" + "11" * 32 + ":3",),
    }
    return Finding(**{**values, **given})


def a_change(**given: Any) -> Change:
    sets = given.pop("sets", (FieldChange("escrowState", {"$recon": "missing"}, "funded"),
                              FieldChange("status", "pending", "completed")))  # fmt: skip
    payment = given.get("payment_id", PAYMENT)
    verdict = given.get("verdict", Verdict.LOCAL_BEHIND)
    values: dict[str, Any] = {
        "id": change_id(payment, verdict, sets=sets),
        "payment_id": payment,
        "document_id": {"$oid": PAYMENT},
        "verdict": verdict,
        "tier": Tier.AUTO,
        "sets": sets,
        "guard": (GuardTerm("blockchain.confirmations", {"$numberInt": "3"}), GuardTerm("status", "pending")),
        "evidence": ("transfer 56:0x" + "11" * 32 + ":3",),
        "side_effects": ("release becomes possible",),
        "value_units": 1234567 * 10**18,
        "token": USDC_BSC,
        "symbol": "USDC",
        "decimals": 18,
        "chain_id": 56,
        "age_s": 7200,
        "reason": "The money is there and final, and the row is still pending.",
    }
    return Change(**{**values, **given})


def a_coverage(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "source": "request_network", "scope": "bulk", "complete": True, "unit": "ms", "asked_from": 1_763_596_800_000,
        "asked_to": 1_763_683_200_000, "done_from": 1_763_596_800_000, "done_to": 1_763_683_200_000, "calls": 4,
        "items": 100, "problem": None,
    }  # fmt: skip
    return {**values, **given}


def a_plan(**given: Any) -> Plan:
    values: dict[str, Any] = {
        "kind": "correction",
        "tool_version": "0.1.0",
        "created_at": "2026-11-20T12:00:00Z",
        "expires_at": "2026-11-20T16:00:00Z",
        "target": Target("demo", ("db:27017",), "marketplace", "payments", None, (56,), (), ()),
        "policy_digest": "p" * 64,
        "snapshot": "s" * 64,
        "window": {"date": "created", "from": "2026-11-13T00:00:00Z", "to": "2026-11-20T00:00:00Z"},
        "coverage": (a_coverage(),),
        "summary": {
            "payments": 2000,
            "verdicts": {"in_sync": 1999, "local_behind": 1},
            "auto_match_rate": "0.9995",
            "unproven_share": "0",
            "value_at_risk": {f"56:{USDC_BSC}": str(1234567 * 10**18)},
            "captured_not_credited": {f"56:{USDC_BSC}": str(1234567 * 10**18), f"1:{USDC_ETH}": "500000"},
            "open_by_age": {"under_30_min": 3, "over 30 min": 2},
            "health": {"ok": True, "reasons": []},
            "provider_calls": 12,
        },
        "findings": (a_finding(),),
        "changes": (a_change(),),
        "left_alone": (LeftAlone("other", Verdict.UNPROVEN, "the chain was not read to its end"),),
    }
    return seal_plan(Plan(**{**values, **given}))


def with_summary(plan: Plan, **parts: Any) -> Plan:
    """The plan with other summary figures, sealed again."""
    return seal_plan(replace(plan, summary={**plan.summary, **parts}))
