"""A report as JSON, for what is not itself a JSON artefact."""

from __future__ import annotations

import json
from typing import Any

from recon.reports.model import Report

FORMAT = 1


def report_json(report: Report) -> str:
    """Facts by name and tables as lists of objects; keys are stable, values are the exact cells as text."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "report": report.name,
        "title": report.title,
        "facts": {fact.name: fact.value for fact in report.facts},
        "next_steps": list(report.next_steps),
    }
    for table in report.tables:
        names = [column.name for column in table.columns]
        content.setdefault(table.name, []).extend(dict(zip(names, row, strict=True)) for row in table.rows)
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"
