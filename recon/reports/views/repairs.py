"""Repairs as reports: a plan with every deed whole, and what a run of one did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recon.repairs.apply import RepairReport
from recon.repairs.deeds import Deed
from recon.repairs.plan import RepairPlan
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, shell_word, value_text
from recon.reports.views.people import behind
from recon.reports.views.run import TROUBLE, moved_text
from recon.runs.states import Result

_WHAT = {
    "missing": "put in rows that are missing",
    "hold": "put holds",
    "lift": "lift holds",
    "ledger": "append ledger entries",
    "undo": "take a run back",
}


def render_repair_plan(plan: RepairPlan, *, path: str, config: str | None = None) -> Report:
    """A plan of repairs: why, what, field by field, what it leaves out, and how it is applied."""
    facts = [
        Fact("digest", "digest", plan.digest, "id"),
        Fact("kind", "would", _WHAT[plan.kind]),
        Fact("reason", "because", plan.reason, "prose"),
        Fact("author", "asked for by", plan.author),
        Fact("expires_at", "expires", plan.expires_at, "time"),
        Fact("target", "in", f"{plan.target.name} {plan.target.database}"),
    ]
    facts += [Fact("ticket", "ticket", plan.ticket)] if plan.ticket else []
    facts += [Fact("run", "takes back", plan.run, "id")] if plan.run else []
    facts += [Fact("case", "captured in", case, "id") for case in plan.cases]
    facts += [Fact("cannot", "stays", text, "prose", alarm=True) for text in plan.cannot]
    own = f" --config {shell_word(config)}" if config else ""
    steps = []
    if plan.deeds:
        steps.append(
            f"Nothing has changed. To apply exactly this: recon repair apply {shell_word(path)} --digest "
            f"{plan.digest}{own}"
        )
    return Report("repair", "Repairs, planned", tuple(facts), (_deeds(plan), _fields(plan), _left(plan)), tuple(steps))


def _deeds(plan: RepairPlan) -> Table:
    columns = (
        Column("about", "about", "id"), Column("does", "does"), Column("in", "in"), Column("finding", "puts right"),
        Column("amount", "amount", "amount"), Column("reason", "because", "prose"),
        Column("evidence", "rests on", "prose", wide=True), Column("id", "deed", "id", wide=True),
    )  # fmt: skip
    rows = tuple(
        (
            deed.payment_id,
            deed.kind,
            deed.collection,
            deed.finding,
            amount_text(deed.value_units, decimals=deed.decimals, symbol=deed.symbol) if deed.value_units else "",
            deed.reason,
            "; ".join(deed.evidence),
            deed.id,
        )
        for deed in plan.deeds
    )
    return Table("deeds", "What it would do", columns, rows, empty="nothing")


def _fields(plan: RepairPlan) -> Table:
    columns = (
        Column("about", "about", "id"), Column("field", "field"), Column("before", "before"), Column("after", "after"),
    )  # fmt: skip
    rows = tuple(row for deed in plan.deeds for row in _field_rows(deed))
    return Table("fields", "Field by field", columns, rows, empty="nothing")


def _field_rows(deed: Deed) -> Iterator[tuple[str, str, str, str]]:
    for item in deed.sets:
        yield deed.payment_id, item.path, value_text(item.before), value_text(item.after)
    is_removed = deed.kind == "remove"
    for document in deed.documents:
        for name, value in document.items():
            told = value_text(value)
            yield deed.payment_id, name, told if is_removed else "", "" if is_removed else told
    for name in deed.times:
        yield deed.payment_id, name, "", "the time of the write"


def _left(plan: RepairPlan) -> Table:
    columns = (Column("about", "about", "id"), Column("why", "because", "prose"))
    rows = tuple((each.about, each.why) for each in plan.left_out)
    return Table("left_out", "Asked for and left out", columns, rows, empty="nothing")


def render_repair_run(report: RepairReport, *, next_steps: Sequence[str] = ()) -> Report:
    """What a run of repairs did, deed by deed."""
    facts = [Fact("run", "run", report.run or "none: nothing was left to do", "id")]
    facts += [
        Fact(result.value, result.value.replace("_", " "), str(report.counts[result]), "count", result in TROUBLE)
        for result in Result
        if report.counts.get(result)
    ]
    if report.backing is not None:
        facts += [*behind("approved by", report.backing.approved), *behind("plan made by", report.backing.made)]
    if report.stopped:
        facts.append(Fact("stopped", "stopped", report.stopped, alarm=True))
    if report.head:
        facts.append(Fact("head", "journal head", report.head, "id"))
    columns = (
        Column("about", "about", "id"), Column("finding", "puts right"), Column("result", "result", "severity"),
        Column("reason", "what became of it", "prose"), Column("moved", "was, is", "prose", wide=True),
    )  # fmt: skip
    rows = tuple(
        (row.payment_id, row.verdict, row.result.value, row.reason, "; ".join(map(moved_text, row.moved)))
        for row in report.rows
    )
    title = f"Run {report.run}" if report.run else "Nothing was left to do"
    return Report("repair_run", title, tuple(facts), (Table("deeds", "Deeds", columns, rows),), tuple(next_steps))


def repair_needs_attention(report: RepairReport) -> bool:
    """Whether a deed was not done."""
    return any(row.result in TROUBLE for row in report.rows)
