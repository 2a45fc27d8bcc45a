"""A run as a page: the outcome of every row, the money, the course over time, and the breaks that remain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recon.core.money import decimal_amount, format_units, whole_tokens
from recon.core.registry import Registry
from recon.core.text import count_text, group_digits
from recon.core.times import parse_iso_ms
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.pages.page import CELL_MAX, Chart, Grid, GridColumn, Page, counted
from recon.reports.pages.pictures import chain_name, time_chart
from recon.reports.text import amount_text, display_text, shell_word, value_text
from recon.reports.views.people import OPERATORS
from recon.reports.views.run import TROUBLE, state_text
from recon.reports.views.totals import money_text
from recon.runs.states import ChangeState, Result, RunState, RunSummary
from recon.runs.stores.journal import JournalEntry

WRITTEN: Final = (Result.APPLIED, Result.ALREADY, Result.OURS)
"""Results after which the row is as the plan wanted it."""

_CARDS: Final = ("written", "value", "trouble", "remaining", "took")
_COLUMNS: Final = (
    GridColumn("severity", "severity", "severity", is_filter=True),
    GridColumn("payment_id", "payment", "id"),
    GridColumn("verdict", "verdict", "verdict", is_filter=True),
    GridColumn("result", "result", is_filter=True),
    GridColumn("value", "value", "amount"),
    GridColumn("chain", "chain", is_filter=True),
    GridColumn("reason", "what became of it", "prose"),
    GridColumn("moved", "written", "prose"),
    GridColumn("change", "change", "id", is_hidden=True),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One change of the run with what its intent said of it."""

    state: ChangeState
    intent: Mapping[str, Any]

    @property
    def result(self) -> str:
        """The result's word; open where nothing says what became of it."""
        return self.state.result.value if self.state.result is not None else Result.OPEN.value

    @property
    def is_written(self) -> bool:
        return self.state.result in WRITTEN

    @property
    def needs_attention(self) -> bool:
        return self.state.result is None or self.state.result in TROUBLE

    @property
    def units(self) -> int:
        return int(str(self.intent.get("value") or 0))

    @property
    def decimals(self) -> int | None:
        """Of its token; None where the intent does not say them."""
        said = self.intent.get("decimals")
        return said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= 77 else None

    @property
    def sets(self) -> list[list[str]]:
        """Path, before and after of every reviewed field; the stamp and the date are ours and left out."""
        before, after = self.intent.get("before") or {}, self.intent.get("after") or {}
        ours = ("updatedAt", "metadata.recon.last")
        return [
            [display_text(path), value_text(before.get(path)), value_text(after[path])]
            for path in sorted(after)
            if path not in ours
        ]


def run_page(
    state: RunState, *, summary: RunSummary | None, entries: Sequence[JournalEntry], registry: Registry
) -> Page:
    """A run with its pictures and its rows.

    Args:
        summary: The run as its opening and its end tell it; None when it is not known.
        entries: The run's own entries of the journal, in order: for the times, and for what its end says remained.
    """
    rows = [_Row(item, item.intent or {}) for item in state.changes.values()]
    remaining = _remaining(entries)
    charts = (
        _results(rows),
        _money(rows, registry),
        _over_time(entries),
        _left(remaining),
    )
    return Page(
        _report(state, rows, summary=summary, remaining=remaining),
        charts=tuple(chart for chart in charts if chart is not None),
        grid=_grid(rows, entries, registry),
        lists=(_remaining_table(remaining),),
        cards=_CARDS,
    )


def _report(
    state: RunState, rows: Sequence[_Row], *, summary: RunSummary | None, remaining: Sequence[Sequence[str]]
) -> Report:
    written = [row for row in rows if row.is_written]
    facts = [*_outcome_facts(rows, written, remaining, summary=summary), *_origin_facts(state, summary=summary)]
    steps = (f"To take it back: recon undo {shell_word(state.run)}",) if written else ()
    return Report("run", f"Run {state.run}", facts=tuple(fact for fact in facts if fact.value), next_steps=steps)


def _outcome_facts(
    rows: Sequence[_Row],
    written: Sequence[_Row],
    remaining: Sequence[Sequence[str]],
    *,
    summary: RunSummary | None,
) -> list[Fact]:
    """What became of the rows."""
    trouble = sum(row.needs_attention for row in rows)
    value = money_text((row.intent.get("symbol"), row.intent.get("decimals"), row.units) for row in written)
    return [
        Fact("written", "rows as the plan wanted them", f"{len(written)} of {len(rows)}"),
        Fact("value", "value of these rows", value, "amounts"),
        Fact("trouble", "rows that need attention", str(trouble), "count", alarm=bool(trouble)),
        Fact("remaining", "breaks of them afterwards", str(len(remaining)) if remaining else "none on record"),
        Fact("took", "took", _took(summary)),
    ]


def _origin_facts(state: RunState, *, summary: RunSummary | None) -> list[Fact]:
    """Which run it is: its state, who began it and when, and its plan; a fact without a value says nothing."""
    said = state.opening
    facts = [Fact("kind", "kind", str(said.get("kind", ""))), Fact("operator", "by", str(said.get("operator", "")))]
    facts.append(Fact("names", "names", OPERATORS))
    if summary is not None:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(summary.counts.items()))
        facts = [
            Fact("state", "state", summary.state, alarm=summary.state != "done"),
            *facts,
            Fact("started_at", "started", summary.started_at, "time"),
            Fact("ended_at", "ended", summary.ended_at or "", "time"),
            Fact("counts", "all rows of the plan", counts),
        ]
    return [
        *facts,
        Fact("undoes", "takes back", str(said.get("undoes") or ""), "id"),
        Fact("plan", "plan", state.plan, "id"),
    ]


def _took(summary: RunSummary | None) -> str:
    if summary is None or summary.ended_at is None:
        return "not ended"
    start, end = (parse_iso_ms(text) for text in (summary.started_at, summary.ended_at))
    return "unknown" if start is None or end is None else f"{max(0, end - start) / 1000:.1f} s"


def _remaining(entries: Sequence[JournalEntry]) -> list[list[str]]:
    """What the last end of the run says of breaks afterwards: payment, verdict, and what explains it."""
    said = next((entry.note.body for entry in reversed(entries) if entry.note.kind == "end"), {})
    rows = said.get("remaining")
    told = [row for row in rows if isinstance(row, list) and len(row) == 3] if isinstance(rows, list) else []
    return [[display_text("" if cell is None else cell) for cell in row] for row in told]


def _results(rows: Sequence[_Row]) -> Chart | None:
    found = counted((str(row.intent.get("verdict") or "unknown"), row.result) for row in rows)
    verdicts = sorted(found, key=lambda name: (-sum(found[name].values()), name))
    results = sorted({word for counts in found.values() for word in counts})
    series = [{"name": word, "values": [found[name].get(word, 0) for name in verdicts]} for word in results]
    if not rows:
        return None
    data = {"categories": [display_text(name) for name in verdicts], "series": series}
    note = "Rows that were announced, by their verdict."
    return Chart("results", "What became of the rows", "bars", data, note, ("verdict", "result"))


def _money(rows: Sequence[_Row], registry: Registry) -> Chart | None:
    """Value by token: of the rows that are as the plan wanted them, and of the others."""
    sums = _sums(rows)
    kept = sorted(
        (token for token in sums if any(sums[token])),
        key=lambda token: (-whole_tokens(sum(sums[token]), decimals=token[2]), str(token)),
    )
    if not kept:
        return None
    series = [
        {
            "name": name,
            "values": [decimal_amount(whole_tokens(sums[token][at], decimals=token[2])) for token in kept],
            "texts": [group_digits(amount_text(sums[token][at], decimals=token[2], symbol=token[1])) for token in kept],
            "colour": colour,
        }
        for at, (name, colour) in enumerate((("as the plan wanted", "good"), ("not", "high")))
        if any(sums[token][at] for token in kept)
    ]
    data = {"categories": [f"{token[1]} on {chain_name(token[0], registry)}" for token in kept], "series": series}
    return Chart("money", "Value of the rows", "money", data, "In whole tokens; every token counted by itself.")


def _sums(rows: Sequence[_Row]) -> dict[tuple[Any, str, int], list[int]]:
    """By chain, symbol and decimals, the units of the rows that are as the plan wanted them, and of the others."""
    sums: dict[tuple[Any, str, int], list[int]] = {}
    for row in rows:
        if row.decimals is not None:
            token = (row.intent.get("chain_id"), display_text(row.intent.get("symbol") or "?"), row.decimals)
            sums.setdefault(token, [0, 0])[0 if row.is_written else 1] += row.units
    return sums


def _over_time(entries: Sequence[JournalEntry]) -> Chart | None:
    """Outcomes over time; a run within a moment has no course to show."""
    seen = [
        (parse_iso_ms(entry.note.at), str(entry.note.body.get("result")))
        for entry in entries
        if entry.note.kind == "outcome"
    ]
    known = [(at, word) for at, word in seen if at is not None]
    if len({at // 1000 for at, _ in known}) < 2:
        return None
    return time_chart(
        "course", "Rows over time", known=known, note=f"{count_text(len(known), 'outcome')}.", is_fine=True
    )


def _left(remaining: Sequence[Sequence[str]]) -> Chart | None:
    if not remaining:
        return None
    found = counted((row[1], "explained" if row[2] else "NOT EXPLAINED") for row in remaining)
    verdicts = sorted(found, key=lambda name: (-sum(found[name].values()), name))
    words = sorted({word for counts in found.values() for word in counts}, reverse=True)
    series = [{"name": word, "values": [found[name].get(word, 0) for name in verdicts]} for word in words]
    data = {"categories": verdicts, "series": series}
    return Chart("remaining", "Breaks of these payments afterwards", "bars", data, "Judged again after the last write.")


def _grid(rows: Sequence[_Row], entries: Sequence[JournalEntry], registry: Registry) -> Grid:
    ordered = sorted(rows, key=lambda row: (not row.needs_attention, row.is_written, row.state.order))
    cells: list[list[Any]] = [list(column) for column in zip(*(_cells(row, registry) for row in ordered), strict=True)]
    grid = Grid("Rows", _COLUMNS, cells or [[] for _ in _COLUMNS])
    grid.details = {
        number: {
            "change": row.state.change,
            "change_tier": display_text(row.intent.get("tier") or ""),
            "sets": row.sets,
        }
        for number, row in enumerate(ordered)
        if row.sets
    }
    grid.events = _events(entries, {row.state.change: number for number, row in enumerate(ordered)})
    return grid


def _events(entries: Sequence[JournalEntry], numbers: Mapping[str, int]) -> dict[str, list[Any]]:
    """What the journal holds of each row, by columns."""
    events: dict[str, list[Any]] = {name: [] for name in ("row", "at", "side", "text", "tx", "chain")}
    for entry in entries:
        number = numbers.get(entry.note.change or "")
        if number is not None:
            said = "announced" if entry.note.kind == "intent" else str(entry.note.body.get("reason") or "")
            text = display_text(f"{entry.note.kind}: {said}")
            happened = (number, parse_iso_ms(entry.note.at), "our record", text, "", "")
            for name, value in zip(events, happened, strict=True):
                events[name].append(value)
    return events


def _cells(row: _Row, registry: Registry) -> list[str]:
    intent = row.intent
    chain_id, value = intent.get("chain_id"), ""
    if row.decimals is not None:
        value = f"{format_units(row.units, decimals=row.decimals)} {intent.get('symbol') or '?'}"
    moved = "; ".join(f"{path}: {before} to {after}" for path, before, after in row.sets)
    told = (
        "high" if row.needs_attention else "none" if row.is_written else "info", row.state.payment_id,
        intent.get("verdict") or "unknown", row.result, value,
        "none" if chain_id is None else chain_name(chain_id, registry), state_text(row.state), moved, row.state.change,
    )  # fmt: skip
    return [display_text(cell, length_max=CELL_MAX) for cell in told]


def _remaining_table(remaining: Sequence[Sequence[str]]) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
               Column("explained_by", "explained by", "prose"))  # fmt: skip
    rows = tuple((row[0], row[1], row[2] or "NOTHING: look at it") for row in remaining)
    counts = Counter(row[1] for row in rows)
    note = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return Table(
        "remaining", "Breaks of these payments afterwards", columns, rows, note=note,
        empty="none on record",
    )  # fmt: skip
