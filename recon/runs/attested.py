"""What a statement says of a run: how it went, row by row counted, and the sums of what it wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from recon.runs.states import Result, RunState, RunSummary

_WRITTEN = (Result.APPLIED, Result.OURS)


def run_facts(state: RunState, summary: RunSummary) -> Mapping[str, Any]:
    """Everything of a run that a statement names; amounts are base units as text, by chain and token."""
    changes = state.changes.values()
    written: Counter[str] = Counter()
    named: dict[str, dict[str, Any]] = {}
    for each in changes:
        if each.result in _WRITTEN and each.intent is not None and each.intent.get("token"):
            token = f"{each.intent['chain_id']}:{each.intent['token']}"
            written[token] += int(each.intent["value"])
            named[token] = {"symbol": each.intent.get("symbol"), "decimals": each.intent.get("decimals")}
    verdicts = Counter(
        str(each.intent["verdict"]) for each in changes if each.result in _WRITTEN and each.intent is not None
    )
    return {
        "run": state.run,
        "kind": summary.kind,
        "state": summary.state,
        "started_at": summary.started_at,
        "ended_at": summary.ended_at,
        "operator": summary.operator,
        "undoes": summary.undoes,
        "has_ended": state.has_ended,
        "rows": dict(sorted(Counter(str(each.result or Result.OPEN) for each in changes).items())),
        "counts": dict(sorted(summary.counts.items())),
        "unsettled": summary.unsettled,
        "written_by_verdict": dict(sorted(verdicts.items())),
        "written": {token: {"units": str(units), **named[token]} for token, units in sorted(written.items())},
    }
