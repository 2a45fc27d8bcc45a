"""A table as CSV for spreadsheets: exact values, every row, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from recon.reports.model import Report, Table
from recon.reports.text import csv_cell


def csv_text(table: Table) -> str:
    """Header and rows, lines ended by CR LF as RFC 4180 wants."""
    return "".join(csv_lines(table))


def csv_lines(table: Table) -> Iterator[str]:
    """The same, line by line, for tables that fill a disk rather than a screen."""
    yield delimited_line([column.name for column in table.columns])
    for row in table.rows:
        yield delimited_line([csv_cell(cell) for cell in row])


def facts_csv(report: Report) -> str:
    """The headline as CSV: name and value."""
    rows = [["name", "value"], *([fact.name, csv_cell(fact.value)] for fact in report.facts)]
    return "".join(map(delimited_line, rows))


def delimited_line(cells: list[str]) -> str:
    """One line as RFC 4180 wants it; the cells are as safe as they were given."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
