"""The first page: open situations, breaks and money over time, and the newest entries of the history.

Everything is read from the output folder, so that the page shows the same whichever process judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from recon.core.money import decimal_amount, whole_tokens
from recon.core.registry import Registry
from recon.core.text import count_text, group_digits
from recon.core.times import parse_iso
from recon.plans.history import FILE_NAME, load_history
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.pages.page import Chart, Following, Page
from recon.reports.pages.pictures import chain_name
from recon.reports.text import display_text
from recon.watch.state import WatchLog
from recon.watch.view import render_watch

POINTS_MAX: Final = 180
ENTRIES_MAX: Final = 5_000
SHOWN: Final = timedelta(days=30)
"""So much of the history is shown, counted from its newest line."""

LISTED_MAX: Final = 100
TOKENS_MAX: Final = 8
GAP_TIMES: Final = 5
"""A stretch without a round is shaded when it is so many times as long as usual, and longer than one step."""

_STEPS_MS: Final = tuple(minutes * 60_000 for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 10_080))
_COLUMNS: Final = (
    Column("at", "Judged at", "time"), Column("payments", "Payments", "count"), Column("breaks", "Breaks", "count"),
    Column("new", "New", "count"), Column("complete", "Read whole"), Column("health", "Health", "prose"),
    Column("plan", "Plan", "id"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Point:
    at_ms: int
    entry: Mapping[str, Any]


def stamp_of(folder: Path) -> str:
    """Names what the output folder holds of a watch; it changes with every round."""
    paths = [folder / FILE_NAME, *WatchLog(folder).paths()[-1:]]
    found = []
    for path in paths:
        try:
            facts = path.stat()
        except OSError:
            continue
        found.append(f"{facts.st_size:x}.{facts.st_mtime_ns:x}")
    return "-".join(found) or "empty"


def overview(
    folder: Path, *, registry: Registry, now: datetime, every_s: int, links: tuple[tuple[str, str], ...]
) -> Page:
    """The page of an output folder as it is now."""
    stamp = stamp_of(folder)
    history = load_history(folder, span=SHOWN)
    points = [
        _Point(int(at.timestamp() * 1000), entry)
        for entry in history.entries[-ENTRIES_MAX:]
        if (at := parse_iso(str(entry["at"]))) is not None and entry.get("kind") == "correction"
    ]
    state = WatchLog(folder).state()
    report = render_watch(state, now=now)
    lost = history.unreadable + history.changed
    is_whole = history.is_whole and len(history.entries) <= ENTRIES_MAX
    facts = [*report.facts, *_facts(points, is_whole=is_whole)]
    if lost:
        facts.append(Fact("lost", "history", f"{count_text(lost, 'line')} unreadable or changed", alarm=True))
    whole = Report(
        "watch", "What the watch sees", tuple(facts), (*report.tables, _rounds(points)), report.next_steps
    )  # fmt: skip
    charts = (_breaks(points), _money(points, "captured_not_credited", "Captured and not credited", registry),
              _money(points, "value_at_risk", "Money at risk", registry))  # fmt: skip
    return Page(
        whole, charts=tuple(chart for chart in charts if chart is not None), lists=whole.tables,
        cards=("open", "breaks", "payments", "rounds"), live=Following(stamp, every_s, links),
    )  # fmt: skip


def _facts(points: Sequence[_Point], *, is_whole: bool) -> Iterable[Fact]:
    yield Fact("rounds", "plans in the history" if is_whole else "newest plans", str(len(points)), "count")
    if points:
        newest = points[-1].entry
        breaks = int(newest.get("break_count") or 0)
        yield Fact("breaks", "breaks", str(breaks), "count", alarm=breaks > 0)
        yield Fact("payments", "payments", str(newest.get("payments") or 0), "count")


def _rounds(points: Sequence[_Point]) -> Table:
    rows = []
    for point in reversed(points[-LISTED_MAX:]):
        entry = point.entry
        health, news = entry.get("health") or {}, entry.get("news") or {}
        rows.append((
            str(entry["at"]), str(entry.get("payments") or 0), str(entry.get("break_count") or 0),
            str(news.get("new", "")), "yes" if entry.get("complete") else "NO",
            "sound" if health.get("ok") else "; ".join(map(str, health.get("reasons") or ())),
            Path(str(entry.get("plan") or "")).name,
        ))  # fmt: skip
    return Table("rounds", "Newest plans", _COLUMNS, tuple(rows), empty="none yet")


def _breaks(points: Sequence[_Point]) -> Chart | None:
    verdicts = [("breaks", lambda entry: Decimal(int(entry.get("break_count") or 0)))]
    return _over_time("breaks_over_time", "Breaks over time", points, verdicts, note="Of each round; ")


Take = Callable[[Mapping[str, Any]], Decimal]


def _money(points: Sequence[_Point], name: str, title: str, registry: Registry) -> Chart | None:
    keys = sorted({key for point in points for key in point.entry.get(name) or {}})
    series = []
    for key in keys:
        chain, _, address = key.partition(":")
        token = registry.tokens.get((int(chain), address)) if chain.isascii() and chain.isdecimal() else None
        if token is not None:
            label = f"{display_text(token.symbol)} on {chain_name(chain, registry)}"
            series.append((label, _amount_of(name, key, token.decimals)))
    note = "In whole tokens; "
    return _over_time(f"{name}_over_time", f"{title} over time", points, series[:TOKENS_MAX], note=note)


def _amount_of(name: str, key: str, decimals: int) -> Take:
    return lambda entry: whole_tokens(int((entry.get(name) or {}).get(key, 0)), decimals=decimals)


def _over_time(
    name: str, title: str, points: Sequence[_Point], series: Sequence[tuple[str, Take]], *, note: str
) -> Chart | None:
    """Values that hold until the next round, one a step of the axis."""
    if not points or not series:
        return None
    first, last = points[0].at_ms, points[-1].at_ms
    step = next((step for step in _STEPS_MS if (last - first) // step < POINTS_MAX), _STEPS_MS[-1])
    start = first - first % step
    size = min((last - start) // step + 1, POINTS_MAX * 20)
    latest = _latest(points, start=start, step=step, size=size)
    drawn = []
    for label, take in series:
        values = [None if entry is None else decimal_amount(take(entry)) for entry in latest]
        texts = ["" if value is None else group_digits(str(value)) for value in values]
        drawn.append({"name": label, "values": values, "texts": texts})
    gaps = _gaps(points, step=step)
    told = f"{note}a value holds until the next round; shaded where none was made."
    return Chart(name, title, "time", {"start_ms": start, "step_ms": step, "series": drawn, "gaps": gaps}, told)


def _latest(points: Sequence[_Point], *, start: int, step: int, size: int) -> list[Mapping[str, Any] | None]:
    """By step, the newest entry at its end."""
    found: list[Mapping[str, Any] | None] = [None] * size
    for point in points:
        found[min((point.at_ms - start) // step, size - 1)] = point.entry
    held: Mapping[str, Any] | None = None
    for number, entry in enumerate(found):
        held = entry if entry is not None else held
        found[number] = held
    return found


def _gaps(points: Sequence[_Point], *, step: int) -> list[dict[str, Any]]:
    spans = [after.at_ms - before.at_ms for before, after in pairwise(points)]
    if len(spans) < 2:
        return []
    least = max(step, int(median(spans)) * GAP_TIMES)
    return [
        {"from": before.at_ms, "to": after.at_ms, "text": "no round was made"}
        for (before, after), span in zip(pairwise(points), spans, strict=True)
        if span > least
    ][:200]
