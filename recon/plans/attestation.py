"""What a statement says of a plan or a run: what was reconciled, with which coverage, on which premises, the result.

It names everything by digest and holds no payment by name. Amounts are base units as text, by chain and token. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.model import Change, Finding, Plan
from recon.core.times import millisecond_text, ms_text
from recon.core.version import __version__
from recon.plans.approvals import JournalHead
from recon.plans.envelope import PREDICATE_TYPE, STATEMENT_TYPE

ATTESTATION_FORMAT: Final = 1
_COVERED: Final = (
    "source", "scope", "chain_id", "unit", "asked_from", "asked_to", "done_from", "done_to", "head", "head_time",
    "final_head", "finality_rule", "complete", "problem",
)  # fmt: skip
_RESULTS: Final = (
    "payments", "payments_in_scope", "payments_compared", "verdicts", "auto_match_rate", "unproven_share",
    "value_at_risk", "captured_not_credited", "health",
)  # fmt: skip


def attestation_of(
    plan: Plan, *, head: JournalHead, made_at: datetime, operator: str, run: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The statement about a plan, or about a run of it.

    Args:
        head: The journal's end as it is now.
        run: What :func:`recon.runs.attested.run_facts` says of the run; None for the plan alone.
    """
    subjects = {"plan": plan.digest, "plan effects": plan.effects_digest, "journal end": head.hash}
    if plan.snapshot:
        subjects["snapshot"] = plan.snapshot
    predicate = {
        "format": ATTESTATION_FORMAT,
        "made_at": millisecond_text(made_at),
        "made_by": operator,
        "tool": {"name": "recon", "version": __version__, "plan_version": plan.tool_version},
        "about": {
            "kind": "plan" if run is None else "run",
            "plan_kind": plan.kind,
            "plan_made_at": plan.created_at,
            "target": asdict(plan.target),
            "window": dict(plan.window),
            "policy_digest": plan.policy_digest,
        },
        "coverage": {
            "read_whole": plan.is_read_whole,
            "sources": [{name: row.get(name) for name in _COVERED} for row in plan.coverage],
        },
        "premises": list(_premises(plan)),
        "results": {name: plan.summary[name] for name in _RESULTS if name in plan.summary},
        "breaks": _by_verdict(plan.findings),
        "corrections": _by_verdict(plan.changes),
        "left_alone": dict(sorted(Counter(each.verdict.value for each in plan.left_alone).items())),
        "balances_digest": None if plan.balances is None else sha256_hex(canonical_json(plan.balances)),
        "journal": asdict(head),
        "run": None if run is None else dict(run),
    }
    return {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())],
        "predicate": predicate,
    }


def _by_verdict(items: Iterable[Finding] | Iterable[Change]) -> list[dict[str, Any]]:
    """By verdict and tier how many, and the sum of what they are about by chain and token."""
    counts: Counter[tuple[str, str]] = Counter()
    sums: dict[tuple[str, str], Counter[str]] = {}
    named: dict[str, dict[str, Any]] = {}
    for each in items:
        key = (each.verdict.value, each.tier.value)
        counts[key] += 1
        if each.value_units and each.token:
            token = f"{each.chain_id}:{each.token}"
            sums.setdefault(key, Counter())[token] += each.value_units
            named[token] = {"symbol": each.symbol, "decimals": each.decimals}
    return [
        {
            "verdict": verdict,
            "tier": tier,
            "rows": counts[verdict, tier],
            "value": {
                token: {"units": str(units), **named[token]}
                for token, units in sorted(sums.get((verdict, tier), {}).items())
            },
        }
        for verdict, tier in sorted(counts)
    ]


def _premises(plan: Plan) -> Iterable[str]:
    """What the results rest on, one sentence each; what was not read is one of them."""
    yield "what is said holds for the window and the target that are named, as they were when the evidence was read"
    for row in plan.coverage:
        where = f"{row.get('source')}, {row.get('scope')}"
        if not row.get("complete"):
            yield f"{where}: NOT read whole: {row.get('problem') or 'no reason is recorded'}"
        elif row.get("finality_rule") and row.get("scope") in ("proxy", "erc20"):
            seen = "an unknown block" if row.get("head") is None else f"block {row['head']}"
            at = "" if row.get("head_time") is None else f" of {ms_text(row['head_time'])}"
            yield f"{where}: read to {seen}{at}; final means {row['finality_rule']}"
    if plan.kind == "correction":
        yield "that there is no money means: none in what was read; a break that could not be told is unproven"
