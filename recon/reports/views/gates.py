"""Gates as reports: each with what was asked, measured and allowed, the outcome, why, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from recon.rails.gates.judge import GateReport
from recon.rails.gates.sample import CheckedSign, Sample, SignOff
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import shell_word
from recon.reports.views.people import CLAIMS

OUTCOMES = {"pass": "pass", "fail": "FAIL", "not_measurable": "NOT MEASURABLE"}
DECISIONS = {
    "escalate": "ESCALATE",
    "roll_back": "ROLL BACK",
    "stay": "stay",
    "unknown": "CANNOT TELL",
    "enable": "may be enabled",
    "refuse": "MAY NOT BE ENABLED",
}
EVIDENCE_SHOWN = 4
_COLUMNS = (
    Column("gate", "gate"), Column("outcome", "outcome", "severity"), Column("measured", "measured"),
    Column("limit", "limit"), Column("why", "why", "prose"), Column("asked", "asked", "prose", wide=True),
    Column("evidence", "evidence", "prose", wide=True),
)  # fmt: skip


def gates_as_json(report: GateReport) -> tuple[dict[str, Any], ...]:
    """The judged gates as JSON values, as flag plans keep them."""
    return tuple({**asdict(gate), "evidence": list(gate.evidence)} for gate in report.gates)


def gate_table_of(gates: Iterable[Mapping[str, Any]]) -> Table:
    """Gates in their JSON form as a table."""
    rows = tuple(
        (
            str(gate["name"]),
            OUTCOMES[str(gate["outcome"])],
            str(gate["measured"]),
            str(gate["limit"]),
            str(gate["why"]),
            str(gate["asked"]),
            _some(gate["evidence"]),
        )
        for gate in gates
    )
    return Table("gates", "Gates", _COLUMNS, rows)


def _some(lines: Iterable[object]) -> str:
    """The first few pieces of evidence; files keep all of them."""
    found = [str(line) for line in lines]
    more = [f"and {len(found) - EVIDENCE_SHOWN} more"] if len(found) > EVIDENCE_SHOWN else []
    return "; ".join(found[:EVIDENCE_SHOWN] + more)


def render_gates(report: GateReport, *, next_steps: Iterable[str] = ()) -> Report:
    """One judgement: the decision first, then every gate."""
    said = DECISIONS[report.decision]
    if not report.is_told and report.decision == "refuse":
        said = f"{DECISIONS['unknown']}, so it {said}"
    facts = (
        Fact("decision", "decision", said, alarm=report.decision not in ("stay", "enable")),
        Fact("because", "because", report.because),
        Fact("provider", "rail", report.provider),
        Fact("judged_at", "judged at", report.judged_at, "time"),
    )
    title = {
        "enable": f"May {report.provider} carry money again?",
        "rollback": f"Must {report.provider} be rolled back?",
    }
    return Report("gates", title[report.question], facts, (gate_table_of(gates_as_json(report)),), tuple(next_steps))


def render_sample(sample: Sample, signs: Iterable[CheckedSign], *, path: str) -> Report:
    """A sample as two people look at it, and who has signed it."""
    held = tuple(signs)
    facts = [
        Fact("provider", "rail", sample.provider),
        Fact("digest", "digest", sample.digest, "id"),
        Fact("seed", "seed", str(sample.seed)),
        Fact("population", "drawn from", str(sample.population), "count"),
        Fact("plan", "checks plan", sample.plan, "id"),
    ]
    facts += [
        Fact("signed", f"signed by {each.person}", each.void or _said(each.sign), alarm="wrong" in _said(each.sign))
        for each in held
    ]
    if any(each.person.signer is None for each in held):
        facts.append(Fact("names", "names", CLAIMS))
    columns = (
        Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
        Column("amount", "amount", "exact"), Column("band", "size"), Column("reason", "reason", "prose"),
        Column("evidence", "evidence", "prose", wide=True), Column("findings", "found"),
    )  # fmt: skip
    rows = tuple(
        (
            row.payment_id,
            row.verdict,
            row.amount,
            row.band,
            row.reason,
            _some(row.evidence),
            ", ".join(
                f"{each.person}: {each.sign.findings.get(row.payment_id, '?')}" for each in held if not each.void
            ),
        )
        for row in sample.rows
    )
    steps = (f"Each of two people looks at every row and signs: recon sample sign {shell_word(path)} --right all",)
    return Report("sample", "Manual sample", tuple(facts), (Table("rows", "Rows", columns, rows),), steps)


def _said(sign: SignOff) -> str:
    wrong = sum(word == "wrong" for word in sign.findings.values())
    return f"{len(sign.findings) - wrong} right, {wrong} wrong" if wrong else f"{len(sign.findings)} right"
