"""One report as text, in any of the formats that a command offers."""

from __future__ import annotations

from typing import Literal, TextIO

from recon.reports.model import Report

Format = Literal["table", "json", "csv", "md"]


def render_report(report: Report, *, output: Format, part: str | None = None) -> str:
    """The report as text of one format.

    Args:
        output: ``table`` is laid out for a pipe; use :func:`print_report` for a terminal.
        part: For ``csv``, which table (``summary`` for the headline); the first table with rows by default.
    """
    if output == "json":
        from recon.reports.outputs.structured import report_json

        return report_json(report)
    if output == "csv":
        from recon.reports.outputs.delimited import csv_text, facts_csv

        if part == "summary" or (part is None and not report.tables):
            return facts_csv(report)
        return csv_text(report.table(part) if part else report.tables[0])
    if output == "md":
        from recon.reports.outputs.markdown import markdown_text

        return markdown_text(report)
    import io

    stream = io.StringIO()
    print_report(report, stream)
    return stream.getvalue()


def print_report(report: Report, stream: TextIO) -> None:
    """Write the report for people, see :mod:`recon.reports.outputs.terminal`."""
    from recon.reports.outputs.terminal import print_to_terminal as print_to

    print_to(report, stream)
