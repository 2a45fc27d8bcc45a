"""Findings, changes, plans and timelines as a notebook shows them: small tables, every text escaped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Final

from recon.core.model import TIER_TEXT, Change, Finding, Plan
from recon.core.text import group_digits
from recon.reports.model import Report, human_cell
from recon.reports.text import amount_text, display_text, value_text

ROWS_MAX: Final = 50
"""Most rows that one table shows; the frames hold all of them."""

_COLOURS: Final = {
    "critical": "#a8071a", "high": "#bf3d0a", "medium": "#86610a", "low": "#1864ab", "never": "#bf3d0a",
    "review": "#86610a", "auto": "#17743f", "wait": "#1864ab", "proven": "#17743f", "likely": "#86610a",
}  # fmt: skip


def html_table(title: str, columns: Sequence[str], *, rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A titled table as HTML; cells are cleaned and escaped, and words of severity and tier are coloured."""
    listed = list(rows)
    head = "".join(f"<th style='text-align:left'>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in listed[:ROWS_MAX])
    rest = f"{len(listed) - ROWS_MAX} more rows" if len(listed) > ROWS_MAX else ""
    said = "; ".join(part for part in (note, rest) if part)
    foot = f"<p style='opacity:.7;margin:.2em 0'>{_text(said)}</p>" if said else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if listed else ""
    return f"<div><p style='font-weight:600;margin:.4em 0'>{_text(title)}</p>{table}{foot}</div>"


def _text(value: object) -> str:
    return escape(display_text(value))


def _cell(value: object) -> str:
    text = _text("" if value is None else value)
    colour = _COLOURS.get(text)
    style = "text-align:left;vertical-align:top" + (f";color:{colour};font-weight:600" if colour else "")
    return f"<td style='{style}'>{text}</td>"


def finding_html(item: Finding) -> str:
    """One finding: what it is, what each side says, the evidence."""
    value = group_digits(amount_text(item.value_units, decimals=item.decimals, symbol=item.symbol))
    head = html_table(
        f"{item.payment_id}: {item.verdict.value}",
        ("severity", "tier", "value", "provider", "chain"),
        rows=[(item.severity.value, item.tier.value, value, item.provider, item.chain_id)],
        note=item.reason,
    )
    rows = [(view.field, view.local, view.provider, view.chain) for view in item.fields]
    sides = html_table("What each side says", ("field", "our record", "provider", "chain"), rows=rows)
    return head + sides + html_table("Evidence", ("reference",), rows=[(entry,) for entry in item.evidence])


def change_html(item: Change) -> str:
    """One change: paths before and after, and what it makes possible."""
    rows = [(one.path, value_text(one.before), value_text(one.after)) for one in item.sets]
    title = f"{item.payment_id}: {item.verdict.value}, {TIER_TEXT[item.tier]}"
    return html_table(title, ("path", "before", "after"), rows=rows, note=" ".join(item.side_effects))


def plan_html(plan: Plan) -> str:
    """The headline of a plan and its worst breaks."""
    from recon.reports.views.plan import render_plan

    return report_html(render_plan(plan), tables=("verdicts", "money", "breaks"))


def report_html(report: Report, *, tables: Sequence[str] | None = None) -> str:
    """Any report: its facts and its tables, or some of them."""
    facts = html_table(
        report.title, ("", ""), rows=[(fact.label, human_cell(fact.value, fact.kind)) for fact in report.facts]
    )
    parts = [facts]
    for table in report.tables:
        if tables is None or table.name in tables:
            kinds = [column.kind for column in table.columns]
            rows = [
                tuple(human_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))
                for row in table.rows[: table.shown]
            ]
            parts.append(
                html_table(table.title, [column.label for column in table.columns], rows=rows, note=table.note)
            )
    return "".join(parts)


def timeline_html(events: Iterable[Any]) -> str:
    """Events of one payment, oldest first, in UTC."""
    from recon.core.times import ms_text

    rows = [(ms_text(event.at_ms), event.source, event.says) for event in events]
    return html_table("Timeline", ("UTC", "source", "what happened"), rows=rows)


def _inspection_html(found: Any) -> str:
    from recon.reports.views.inspection import render_inspection

    return report_html(render_inspection(found, related=False))


def _formatters() -> list[tuple[type, Callable[[Any], str]]]:
    from recon.investigation.payment import Inspection
    from recon.investigation.payment.timeline import Event, Timeline

    return [
        (Finding, finding_html), (Change, change_html), (Plan, plan_html), (Report, report_html),
        (Inspection, _inspection_html), (Event, lambda event: timeline_html([event])), (Timeline, timeline_html),
    ]  # fmt: skip


def register_formatters() -> bool:
    """Teach the running notebook to show findings, changes, plans, reports and inspections; True inside a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if shell is None:
        return False
    formatter = shell.display_formatter.formatters["text/html"]
    for kind, show in _formatters():
        formatter.for_type(kind, show)
    return True
