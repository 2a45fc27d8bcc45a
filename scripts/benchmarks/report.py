"""The HTML report of many payments in headless Chromium: how long until its table shows, and how fluent it is then."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, Result, run_part, say

AIM_OPEN_S = 2.0
AIM_FRAME_MS = 34.0
"""Two frames of a screen that shows sixty a second."""
PLAIN_ROWS = 10_000
"""Rows of the plain table; with 100,000 a browser took one and a half minutes, or gave up."""

_SCROLL = """
const done = arguments[0], grid = document.querySelector('#grid'), spent = [];
const step = Math.max(1, (grid.scrollHeight - grid.clientHeight) / 90);
let at = 0, before = 0;
const draw = (now) => {
  if (before) spent.push(now - before);
  before = now;
  if (at === 90) { done(spent); return; }
  at += 1;
  grid.scrollTop = at * step;
  requestAnimationFrame(draw);
};
requestAnimationFrame(draw);
"""
_TIMED = """
const [script, waits, done] = arguments, start = performance.now();
const count = () => document.querySelector('#count').textContent, before = count();
const look = () => {
  if (waits && count() === before && performance.now() - start < 20000) { requestAnimationFrame(look); return; }
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
};
(new Function(script))();
look();
"""
_SORT = "document.querySelector('[data-sort=value]').click()"
_FILTER = (
    "const s = document.querySelector('[data-filter=verdict]'); s.selectedIndex = 2;"
    "s.dispatchEvent(new Event('change'))"
)
_CLEAR = "document.querySelector('#clear').click()"
_SEARCH = (
    "const n = document.querySelector('#search'); n.value = 'abc'; n.dispatchEvent(new Event('input', {bubbles: true}))"
)


def measure_report(payments: int, *, rounds: int) -> list[Result]:
    """Open, scroll, sort, filter and search a report of so many payments; beside a table as pandas writes it."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        say("        not measured: Chromium is not there (Debian, Ubuntu: apt-get install chromium chromium-driver)")
        return []
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        folder = Path(name)
        out, plain = folder / "report.html", folder / "plain.html"
        run_part("make", folder / "snapshot", payments)
        run_part("plan", folder / "snapshot", folder / "plan.json", "duckdb", 0)
        made = run_part("page", folder / "snapshot", folder / "plan.json", out)
        run_part("plain_page", folder / "snapshot", plain, PLAIN_ROWS)
        say(f"        written by        {made.text()}   {payments:,} payments, {out.stat().st_size / 1e6:.1f} MB")
        found = [_opened(out) for _ in range(rounds)]
        theirs_s = _plain_opened(plain)
    opened, ready, frame, worst = (median(each[name] for each in found) for name in ("open", "ready", "frame", "worst"))
    say(f"        table shown after {opened:8.2f} s   all pictures drawn after {ready:.2f} s   aim {AIM_OPEN_S} s")
    beside = f"{PLAIN_ROWS:,} rows only, no search, no sort: ratio {opened / theirs_s:.2f}"
    say(f"        plain table       {theirs_s:8.2f} s   {beside}")
    say(f"        a frame           {frame:8.0f} ms  while scrolling from end to end; the slowest {worst:.0f} ms")
    for name in ("sort", "filter", "clear", "search"):
        say(f"        {name:17} {median(each[name] for each in found):8.0f} ms  until drawn")
    return [
        Result(f"report.{payments}_open_s", opened, f"{ready:.2f} s with its pictures", AIM_OPEN_S),
        Result(f"report.{payments}_by_table", opened / theirs_s, f"plain table {theirs_s:.2f} s"),
        Result(f"report.{payments}_frame_ms", frame, f"slowest {worst:.0f} ms", AIM_FRAME_MS),
    ]


def _opened(path: Path) -> dict[str, float]:
    with _chromium() as browser:
        browser.size(1440, 1000)
        browser.open(path)
        marks = browser.run("return [performance.getEntriesByName('rows shown')[0].startTime, performance.now()]")
        frames = sorted(browser.driver.execute_async_script(_SCROLL))
        found = {"open": marks[0] / 1000, "ready": marks[1] / 1000, "frame": frames[45], "worst": frames[-1]}
        steps = {"sort": _SORT, "filter": _FILTER, "clear": _CLEAR, "search": _SEARCH}
        return found | {
            name: browser.driver.execute_async_script(_TIMED, step, name != "sort") for name, step in steps.items()
        }


def _plain_opened(path: Path) -> float:
    with _chromium() as browser:
        browser.size(1440, 1000)
        browser.driver.get(path.as_uri())
        browser.wait(lambda: browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd > 0"))
        return float(browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd")) / 1000


def _chromium() -> Any:
    """The test suite's browser, which the benchmark shares."""
    sys.path.insert(0, str(ROOT))
    from tests.support.browser import chromium

    return chromium()
