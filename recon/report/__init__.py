"""One report model, and the same numbers from it on a terminal, as JSON, CSV, Markdown and HTML."""

from __future__ import annotations

from typing import Literal, TextIO

from recon.report.model import Column, Fact, Report, Table
from recon.report.plan import break_table, breaks_of, change_table, has_gaps, render_payment, render_plan, render_review

Format = Literal["table", "json", "csv", "md"]


def render_report(report: Report, *, output: Format, part: str | None = None) -> str:
    """The report as text of one format.

    Args:
        output: ``table`` is laid out for a pipe; use :func:`print_report` for a terminal.
        part: For ``csv``, which table (``summary`` for the headline); the first table with rows by default.
    """
    if output == "json":
        from recon.report.structured import report_json

        return report_json(report)
    if output == "csv":
        from recon.report.delimited import csv_text, facts_csv

        if part == "summary" or (part is None and not report.tables):
            return facts_csv(report)
        return csv_text(report.table(part) if part else report.tables[0])
    if output == "md":
        from recon.report.markdown import markdown_text

        return markdown_text(report)
    import io

    stream = io.StringIO()
    print_report(report, stream)
    return stream.getvalue()


def print_report(report: Report, stream: TextIO) -> None:
    """Write the report for people, see :mod:`recon.report.terminal`."""
    from recon.report.terminal import print_report as print_to

    print_to(report, stream)


__all__ = [
    "Column",
    "Fact",
    "Format",
    "Report",
    "Table",
    "break_table",
    "breaks_of",
    "change_table",
    "has_gaps",
    "print_report",
    "render_payment",
    "render_plan",
    "render_report",
    "render_review",
]
