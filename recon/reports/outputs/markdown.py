"""A report as Markdown, for an incident channel or a ticket; outside text shows as text and never as markup."""

from __future__ import annotations

import re
from typing import Final

from recon.core.registry.explorers import is_web_page
from recon.core.text import escape_markdown
from recon.reports.model import Column, Report, Table, human_cell
from recon.reports.text import display_text

_SIGNS: Final = "\\`*_{}[]<>()#+!|~&"
_RIGHT = ("count", "amount", "age")


def markdown_text(report: Report) -> str:
    """The whole report; a long table shows its first rows and says of how many."""
    lines = [f"# {escape(report.title)}", ""]
    lines += [
        f"- **{escape(fact.label.strip())}**: {escape(human_cell(fact.value, fact.kind))}" for fact in report.facts
    ]
    for table in report.tables:
        lines += ["", f"## {escape(table.title)}", "", *_table(table)]
    if report.next_steps:
        lines += ["", "## Next", ""]
        lines += [f"- `{display_text(step).replace('`', chr(0x2019))}`" for step in report.next_steps]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Outside text with every sign that Markdown or HTML could act on escaped; links do not become links."""
    return re.sub(r"(?i)\bwww\.", "www\u200b.", escape_markdown(display_text(text), signs=_SIGNS))


def _cell(text: str, column: Column) -> str:
    """A cell as text; only a column of pages gives links."""
    return f"<{text}>" if column.kind == "link" and is_web_page(text) else escape(human_cell(text, column.kind))


def _table(table: Table) -> list[str]:
    if not table.rows:
        return [f"{escape(table.empty)}."]
    if table.shown == 0:
        return [escape(table.note)]
    lines = [
        "| " + " | ".join(escape(column.label) for column in table.columns) + " |",
        "|" + "|".join(" ---: " if column.kind in _RIGHT else " --- " for column in table.columns) + "|",
    ]
    for row in table.rows[: table.shown]:
        cells = (_cell(cell, column) for cell, column in zip(row, table.columns, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", escape(table.note)] if table.note else lines
