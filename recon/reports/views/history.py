"""The run history as a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recon.plans.history import History, new_breaks
from recon.reports.model import Column, Fact, Report, Table

_COLUMNS = (
    Column("at", "when", "time"), Column("target", "target"), Column("payments", "payments", "count"),
    Column("breaks", "breaks", "count"), Column("new", "new", "count"), Column("health", "evidence"),
    Column("complete", "coverage"), Column("blocking", "blocking"), Column("digest", "plan", "id"),
    Column("plan", "file", "id"),
)  # fmt: skip


def render_history(history: History, *, limit: int | None = None) -> Report:
    """The entries, newest first; ``new`` counts breaks that the target's previous entry did not have.

    The count made with the plan also leaves out what was acknowledged; an entry without one is counted here.
    """
    before: dict[str, dict[str, object]] = {}
    rows = []
    for entry in history.entries:
        target = str(entry.get("target") or "")
        rows.append(_row(entry, new=new_breaks(entry, before.get(target))))
        before[target] = dict(entry)
    facts = [Fact("plans", "plans", str(len(rows)), "count")]
    if history.unreadable:
        facts.append(Fact("unreadable", "lines that cannot be read", str(history.unreadable), "count", alarm=True))
    if history.changed:
        facts.append(Fact("changed", "lines changed or taken out", str(history.changed), "count", alarm=True))
    kept = tuple(reversed(rows))[:limit]
    is_lost = bool(history.unreadable or history.changed)
    empty = "cannot tell: no line can be read" if is_lost else "no plan was made yet"
    table = Table("history", "Plans, newest first", _COLUMNS, kept, empty=empty)
    return Report("history", "Run history", facts=tuple(facts), tables=(table,))


def _row(entry: Mapping[str, Any], *, new: int | None) -> tuple[str, ...]:
    """One plan of the history; ``new`` stands in where the entry does not count its new breaks itself."""
    news, health = entry.get("news") or {}, entry.get("health") or {}
    return (
        str(entry["at"]),
        str(entry.get("target") or ""),
        str(entry.get("payments") or 0),
        str(entry.get("break_count") or 0),
        str(news.get("new", "?" if new is None else new)),
        "complete" if health.get("ok") else "INCOMPLETE",
        "complete" if entry.get("complete") else "INCOMPLETE",
        _blocking_text(entry.get("blocking") or {}),
        str(entry.get("digest") or "")[:12],
        str(entry.get("plan") or ""),
    )


def _blocking_text(blocking: Mapping[str, Any]) -> str:
    return " ".join(f"{name}:{count}" for name, count in sorted(blocking.items()) if count)
