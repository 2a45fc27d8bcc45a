"""Preflight, drain and backfill as reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from recon.core.model import Plan
from recon.core.times import second_text
from recon.plans.backfill import Completeness
from recon.rails.drain import Drained, Progress
from recon.rails.preflight import Preflight
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import shell_word

_STATES = {"ok": "ok", "attention": "ATTENTION", "alarm": "ALARM", "not_measured": "NOT MEASURED"}
_ENDS = {
    "empty": "the backlog is empty",
    "stalled": "STALLED: the backlog does not get smaller",
    "time_over": "time is over and the backlog is not empty",
}


def render_preflight(found: Preflight) -> Report:
    """Every item with its state, then the counts behind them."""
    alarms = [item for item in found.items if item.state == "alarm"]
    facts = [Fact("alarm", "ALARM", item.says, alarm=True) for item in alarms]
    facts += [
        Fact("attention", "need attention", str(sum(i.state == "attention" for i in found.items)), "count"),
        Fact("not_measured", "not measured", str(sum(i.state == "not_measured" for i in found.items)), "count"),
    ]
    items = tuple((item.name, _STATES[item.state], item.says) for item in found.items)
    return Report(
        "preflight",
        "Preflight",
        tuple(facts),
        (
            Table(
                "items",
                "Looked at",
                (Column("name", "what"), Column("state", "state", "severity"), Column("says", "found", "prose")),
                items,
            ),
            _table("legacy", "Payments by stored provider word", found.legacy, found),
            _table("duplicates", "Provider keys carried by several payments", found.duplicates, found),
            _table("unresolved", "Pending and processing for too long", found.unresolved, found),
            _table("webhooks", "Webhooks of the last 24 h", found.webhooks, found),
            _table("indexes", "Unique indexes that a correction may hit", found.indexes, found),
        ),
    )


def _table(name: str, title: str, rows: Iterable[Mapping[str, Any]], found: Preflight) -> Table:
    held, empty = tuple(rows), "not measured" if name in found.unmeasured else "nothing"
    columns = tuple(held[0]) if held else ("nothing",)
    cells = tuple(tuple(_cell(row[column]) for column in columns) for row in held)
    return Table(name, title, tuple(Column(column, column.replace("_", " ")) for column in columns), cells, empty=empty)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def progress_line(progress: Progress) -> str:
    """One reading as one line: when, how many, how fast, how long still."""
    reading = progress.reading
    line = f"{second_text(reading.at)}  stuck {reading.stuck}, open {reading.open}"
    if reading.oldest_at is not None:
        line += f", oldest {second_text(reading.oldest_at)}"
    if progress.per_hour_tenths is not None:
        line += f", {_rate(progress.per_hour_tenths)} an hour"
    if progress.left is not None and reading.stuck:
        line += f", empty in about {_span(progress.left)}"
    if progress.failures:
        line += f" (after {progress.failures} failed counts)"
    return line


def render_drain(found: Drained) -> Report:
    """How the watch ended, and every reading."""
    last = found.last
    facts = (
        Fact("end", "end", _ENDS[found.end], alarm=found.end != "empty"),
        Fact("provider", "rail", found.provider),
        Fact("stuck", "stuck now", str(last.reading.stuck), "count"),
        Fact("gone", "gone since the start", str(found.readings[0].stuck - last.reading.stuck), "count"),
        Fact("rate", "leaving in an hour", "" if last.per_hour_tenths is None else _rate(last.per_hour_tenths)),
        Fact("left", "empty in about", _span(last.left) if last.left is not None and last.reading.stuck else ""),
    )
    columns = (Column("at", "when", "time"), Column("stuck", "stuck", "count"), Column("open", "open", "count"))
    rows = tuple((second_text(r.at), str(r.stuck), str(r.open)) for r in found.readings)
    return Report("drain", f"Backlog of {found.provider}", facts, (Table("readings", "Readings", columns, rows),))


def _rate(tenths: int) -> str:
    sign = "-" if tenths < 0 else ""
    return f"{sign}{abs(tenths) // 10}.{abs(tenths) % 10}"


def _span(left: timedelta) -> str:
    minutes = -(-left // timedelta(minutes=1)) if left else 0
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def render_backfill(plan: Plan, found: Completeness, *, path: str, config: str | None) -> Report:
    """How every legacy payment stands, what would be inserted, and what is left to a person."""
    facts = (
        Fact("says", "completeness", found.says, alarm=not found.is_complete),
        Fact("rows", "payments of the rail", str(found.rows), "count"),
        Fact("mapped", "mapped already", str(found.mapped), "count"),
        Fact("planned", "planned", str(found.planned), "count"),
        Fact("left", "left alone", str(sum(found.left.values())), "count", alarm=bool(found.left)),
        Fact("tests", "test payments", str(found.tests), "count"),
        Fact("digest", "digest", plan.digest, "id"),
    )
    changes = tuple(
        (change.payment_id, " ".join(f"{item.path}={item.after}" for item in change.sets)) for change in plan.changes
    )
    columns, why = (
        (Column("payment_id", "payment", "id"), Column("inserts", "inserts", "prose")),
        Column("reason", "why"),
    )
    reasons = tuple((reason, str(count)) for reason, count in found.left.items())
    left = tuple((item.payment_id, item.reason) for item in plan.left_alone)
    config_part = f" --config {shell_word(config)}" if config else ""
    command = f"recon apply {shell_word(path)} --digest {plan.digest} --changes-max {len(changes)}{config_part}"
    idle = "Nothing has changed, and nothing is left to insert."
    if not found.read_wholly:
        idle = "Nothing has changed; cannot tell whether anything is left to insert: the rows could not all be read."
    step = f"Nothing has changed. To do it: {command}" if changes else idle
    return Report(
        "backfill",
        "Backfill of SHKeeper payments",
        facts,
        (
            Table("changes", "Would be inserted", columns, changes, shown=20),
            Table("reasons", "Left alone, by reason", (why, Column("rows", "rows", "count")), reasons),
            Table("left", "Left alone", (columns[0], why), left, shown=20),
        ),
        (step,),
    )
