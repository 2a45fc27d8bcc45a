"""Runs as reports: what one apply did row by row, which runs there were, and whether the journal is whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recon.core.text import count_text
from recon.plans.approvals import Backing
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import value_text
from recon.reports.views.people import OPERATORS, behind
from recon.runs.apply import RunReport
from recon.runs.guard import MovedField
from recon.runs.states import RESULT_TEXT, ChangeState, Result, RowResult, RunState, RunSummary
from recon.runs.stores.journal import JournalCheck

TROUBLE = (
    Result.MOVED, Result.GONE, Result.REFUSED, Result.FAILED, Result.BLOCKED, Result.UNPROVEN, Result.UNSETTLED,
)  # fmt: skip
"""Results that need attention."""

_ROWS_SHOWN = 50


def needs_attention(report: RunReport) -> bool:
    """Whether a row was not written, or a break is there that nothing explains."""
    left = any(row.result in TROUBLE for row in report.rows)
    return left or any(item.explained_by is None for item in report.remaining or ())


def render_run(report: RunReport, *, next_steps: Sequence[str] = ()) -> Report:
    """What an apply did: counts by result, every row that needs attention, and what remains."""
    facts = [Fact("run", "run", report.run or "none: nothing was left to do", "id")]
    facts += [
        Fact(result.value, result.value.replace("_", " "), str(report.counts[result]), "count", result in TROUBLE)
        for result in Result
        if report.counts.get(result)
    ]
    if report.proofs:
        asked, calls = report.proofs
        facts.append(Fact("proofs", "proofs asked for again", f"{asked} in {count_text(calls, 'call')}"))
    facts += _backing_facts(report.backing)
    facts += [Fact("warning", "warning", text, alarm=True) for text in report.warnings]
    if report.stopped:
        facts.append(Fact("stopped", "stopped", report.stopped, alarm=True))
    if report.head:
        facts.append(Fact("head", "journal head", report.head, "id"))
    return Report(
        name="run",
        title=f"Run {report.run}" if report.run else "Nothing was left to do",
        facts=tuple(facts),
        tables=(_row_table(report.rows), _remaining_table(report)),
        next_steps=tuple(next_steps),
    )


def _backing_facts(backing: Backing | None) -> list[Fact]:
    """Who stands behind the plan of a run, and what was left out."""
    if backing is None:
        return []
    said = [*behind("approved by", backing.approved), *behind("plan made by", backing.made)]
    facts = [each for place, each in enumerate(said) if each not in said[:place]]
    facts += [Fact("left_out", "counts for nothing", reason, alarm=True) for reason in backing.left_out]
    return facts


def render_runs(runs: Iterable[RunSummary]) -> Report:
    """All runs, newest first; first of all those that did not end, and of which rows know more than the journal."""
    held = tuple(runs)
    columns = (
        Column("run", "run", "id"), Column("kind", "kind"), Column("state", "state", "severity"),
        Column("started_at", "started", "time"), Column("ended_at", "ended", "time"), Column("rows", "rows"),
        Column("unsettled", "unsettled", "count"), Column("operator", "by"), Column("undoes", "takes back", "id"),
        Column("plan", "plan", "id", wide=True),
    )  # fmt: skip
    rows = tuple(
        (
            item.run,
            item.kind,
            item.state,
            item.started_at,
            item.ended_at or "",
            " ".join(f"{name}:{count}" for name, count in sorted(item.counts.items())),
            "?" if item.unsettled is None else str(item.unsettled),
            item.operator,
            item.undoes or "",
            item.plan,
        )
        for item in held
    )
    facts = [Fact("runs", "runs", str(len(rows)), "count")]
    facts += [Fact("cut", "journal", _lost_text(item), alarm=True) for item in held if item.lost]
    facts += [Fact("unfinished", "unfinished", item.run, "id", alarm=True) for item in held if item.state == "open"]
    table = Table("runs", "Runs, newest first", columns, rows[::-1], note=OPERATORS, empty="nothing was applied yet")
    return Report("runs", "Runs", facts=tuple(facts), tables=(table,))


def _lost_text(item: RunSummary) -> str:
    known = "does not know it" if item.state == "lost" else "knows nothing of them"
    rows = count_text(item.lost, "row carries a stamp", many="rows carry stamps")
    return f"its entries of {item.run} end early: {rows} of it, and the journal {known}"


def render_run_state(state: RunState) -> Report:
    """One run as the journal holds it, change by change."""
    columns = (Column("payment_id", "payment", "id"), Column("change", "change", "id"),
               Column("result", "result", "severity"), Column("reason", "what became of it", "prose"))  # fmt: skip
    rows = tuple(
        (item.payment_id, item.change, item.result.value if item.result else "open", state_text(item))
        for item in state.changes.values()
    )
    lost = f"its entries end early: rows carry stamps that it does not know: {', '.join(state.lost[:3])}"
    facts = (
        Fact("state", "state", "ended" if state.has_ended else "UNFINISHED", alarm=not state.has_ended),
        *([Fact("cut", "journal", f"{lost} ({count_text(len(state.lost), 'row')})", alarm=True)] if state.lost else []),
        Fact("plan", "plan", state.plan, "id"),
        Fact("kind", "kind", str(state.opening.get("kind", ""))),
        Fact("operator", "by", str(state.opening.get("operator", ""))),
        Fact("names", "names", OPERATORS),
        Fact("changes", "changes", str(len(rows)), "count"),
    )
    return Report("run", f"Run {state.run}", facts=facts, tables=(Table("rows", "Rows", columns, rows),))


def render_journal_check(check: JournalCheck) -> Report:
    """Whether the journal's chain is whole, and which entry is the first that does not fit."""
    against = (
        f"{check.noted} noted, the newest at entry {check.noted_seq}" if check.noted else "none: a cut end is not seen"
    )
    facts = [
        Fact("verdict", "verdict", "whole" if check.is_whole else "BROKEN", alarm=not check.is_whole),
        Fact("entries", "entries that fit", str(check.entries), "count"),
        Fact("head", "hash of the last of them", check.head, "id"),
    ]
    if check.is_whole:
        facts.append(Fact("noted", "heads noted outside", against))
    if not check.is_whole:
        facts.append(Fact("broken_entry", "first entry that does not fit", str(check.broken_seq), "count", alarm=True))
        facts.append(Fact("why", "why", check.why or "", alarm=True))
    return Report("journal", "Journal", facts=tuple(facts))


def state_text(item: ChangeState) -> str:
    """What became of one change, in words."""
    if item.result is None:
        return 'announced, and nothing says what became of it: "recon apply --resume" settles it'
    return str(item.outcome.get("reason") or RESULT_TEXT[item.result])


def _row_table(rows: Sequence[RowResult]) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
               Column("result", "result", "severity"), Column("reason", "what became of it", "prose"),
               Column("moved", "reviewed -> now", "prose"))  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row.result not in TROUBLE, row.payment_id))
    cells = tuple(
        (row.payment_id, row.verdict, row.result.value, row.reason, "; ".join(map(moved_text, row.moved)))
        for row in ordered
    )
    note = f"the first {_ROWS_SHOWN} of {len(cells)}" if len(cells) > _ROWS_SHOWN else ""
    return Table("rows", "Rows", columns, cells, note=note, empty="no row", shown=_ROWS_SHOWN)


def moved_text(item: MovedField) -> str:
    """A field that moved: as it was reviewed, and as it is now."""
    return f"{item.path}: {value_text(item.reviewed)} -> {value_text(item.now)}"


def _remaining_table(report: RunReport) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
               Column("explained_by", "explained by", "prose"))  # fmt: skip
    rows = tuple(
        (item.payment_id, item.verdict, item.explained_by or "NOTHING: look at it") for item in report.remaining or ()
    )
    is_unknown = report.remaining is None and report.run is not None
    return Table(
        "remaining", "Breaks of these payments afterwards", columns, rows,
        empty="cannot tell: they were not judged again" if is_unknown else "none",
    )  # fmt: skip
