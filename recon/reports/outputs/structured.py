"""A report as JSON, for what is not itself a JSON artefact."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from recon.reports.model import Fact, Report

FORMAT = 1


def report_json(report: Report) -> str:
    """Facts by name and tables as lists of objects; keys are stable, values are the exact cells as text.

    Of several facts with one name none is lost: they stand in one text, a line each, with their labels where these
    differ.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "report": report.name,
        "title": report.title,
        "facts": _facts(report.facts),
        "next_steps": list(report.next_steps),
    }
    for table in report.tables:
        names = [column.name for column in table.columns]
        content.setdefault(table.name, []).extend(dict(zip(names, row, strict=True)) for row in table.rows)
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def _facts(facts: Iterable[Fact]) -> dict[str, str]:
    named: dict[str, list[Fact]] = {}
    for fact in facts:
        named.setdefault(fact.name, []).append(fact)
    return {name: _lines(held) for name, held in named.items()}


def _lines(held: Sequence[Fact]) -> str:
    has_labels = len({fact.label for fact in held}) > 1
    return "\n".join(f"{fact.label.strip()}: {fact.value}" if has_labels else fact.value for fact in held)
