"""A sealed snapshot as a report: when it was taken, of what, and how complete it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from recon.core.model import Target
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.views.coverage import CANNOT_TELL, coverage_table, is_whole, moment_text


class Sealed(Protocol):
    """What a report needs of :class:`recon.snapshots.take.Snapshot`."""

    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...
    @property
    def manifest(self) -> Mapping[str, Any]: ...
    @property
    def taken_at_ms(self) -> int: ...
    @property
    def target(self) -> Target: ...
    def table(self, name: str) -> Any:
        """One table as Arrow."""
        ...


def render_snapshot(snapshot: Sealed) -> Report:
    """Facts, what was not read, the gaps, and how many rows each table has."""
    coverage = snapshot.table("coverage").to_pylist()
    complete = is_whole(coverage)
    selection = snapshot.manifest.get("selection") or {}
    chosen = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(selection.items()) if value)
    facts = (
        Fact("taken_at", "taken at", moment_text(snapshot.taken_at_ms), "time"),
        Fact("target", "target", snapshot.target.name or "unnamed"),
        Fact("selection", "selection", chosen or "every payment"),
        Fact("complete", "evidence", "complete" if complete else "INCOMPLETE: see what was not checked",
             alarm=not complete),
        Fact("digest", "digest", snapshot.digest, "id"),
    )  # fmt: skip
    return Report(
        name="snapshot",
        title=f"Snapshot {snapshot.digest[:12]}",
        facts=facts,
        tables=(coverage_table(coverage), _gap_table(snapshot, complete), _row_table(snapshot)),
        next_steps=(f"Nothing has changed. To judge it: recon plan --snapshot {snapshot.path}",),
    )


def _gap_table(snapshot: Sealed, complete: bool) -> Table:
    columns = (Column("source", "source"), Column("scope", "scope"), Column("from_ms", "from", "time"),
               Column("to_ms", "to", "time"), Column("reason", "why"))  # fmt: skip
    rows = tuple(
        (str(gap["source"]), str(gap["scope"]), moment_text(gap["from_ms"]), moment_text(gap["to_ms"]),
         str(gap["reason"] or ""))
        for gap in snapshot.table("gaps").to_pylist()
    )  # fmt: skip
    return Table(
        "gaps",
        "Stretches that could not be read",
        columns,
        rows,
        empty="none" if complete else f"{CANNOT_TELL}: see what was not checked",
    )


def _row_table(snapshot: Sealed) -> Table:
    columns = (Column("table", "table"), Column("rows", "rows", "count"))
    tables = snapshot.manifest.get("tables") or {}
    rows = tuple((str(name), str(facts.get("rows", 0))) for name, facts in sorted(tables.items()))
    return Table("tables", "Tables", columns, rows)
