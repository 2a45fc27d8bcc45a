"""A report as one HTML file that needs no network: headline, pictures, and a table of every payment.

The file carries its script, its styles and its data; a content security policy names the scripts by digest and forbids
everything else, so that nothing from outside could run even if it were there as markup. Text is put in escaped by the
template, or handed to the script as data, which sets it as text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from recon.core.registry.explorers import is_web_page
from recon.reports.model import Fact, Kind, Report, Table, human_cell
from recon.reports.pages.page import Grid, Page, encode_column, page_of_report
from recon.reports.text import display_text
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from recon.core.model import Plan, Policy
    from recon.core.registry import Registry
    from recon.snapshots.sealed import Snapshot
    from recon.sources.interface import Progress

LIBRARY: Final = "vendor/echarts.min.js"
SCRIPTS: Final = ("grid.js", "explorers.js", "sums.js", "picks.js", "details.js", "address.js", "charts.js", "page.js")
CARDS: Final = (
    "payments", "breaks", "value_at_risk", "captured_not_credited", "oldest_break", "open_over_30_min",
    "auto_match_rate", "unproven_share",
)  # fmt: skip
"""Facts that are shown large, where a report has them."""
_BELOW: Final = ("breaks", "changes", "left_alone")
_CARDS_OTHERWISE: Final = 4
_CARD_LETTERS_MAX: Final = 60


def plan_page(
    plan: Plan,
    *,
    snapshot: Snapshot | None = None,
    policy: Policy | None = None,
    registry: Registry | None = None,
    report: Report | None = None,
    command: str = "",
    progress: Progress = no_progress,
) -> Page:
    """A plan as a page.

    Args:
        snapshot: The plan's own snapshot, for payments in sync, timelines and arrivals; without it only the findings
            are listed.
        policy: The policy the plan was made under; None leaves what is not a finding without a verdict.
        report: The headline and tables, when not those of the plan itself.
        command: What takes a list of the rows that are picked on the page, such as ``recon select plan.json``; without
            it none are picked.
        progress: Hears of ``rows`` as they are laid out.
    """
    from recon.core.registry import load_registry
    from recon.reports.pages.pictures import plan_charts
    from recon.reports.pages.rows import plan_grid
    from recon.reports.pages.whole import read_whole
    from recon.reports.views.plan import render_plan

    registry = registry or load_registry()
    # What a way back was made from is the journal; the snapshot shows how things were before the run.
    whole = None if snapshot is None or plan.kind != "correction" else read_whole(snapshot, policy=policy)
    report = report or render_plan(plan, full=True)
    return Page(
        report,
        charts=plan_charts(plan, whole=whole, policy=policy, registry=registry),
        grid=plan_grid(plan, whole=whole, registry=registry, command=command, progress=progress),
        lists=tuple(table for table in report.tables if table.name not in _BELOW),
    )


def render_html(page: Page | Report) -> str:
    """The whole file as text; the same page always gives the same bytes."""
    page = page_of_report(page) if isinstance(page, Report) else page
    library, program = _scripts(page)
    cards, rest = _cards(page)
    template = _environment().get_template("page.html")
    text: str = template.render(
        report=page.report,
        title=display_text(page.report.title),
        cards=cards,
        rest=rest,
        alarms=[fact for fact in page.report.facts if fact.alarm and fact.name in ("health", "complete", "limits_hit")],
        lists=page.lists,
        charts=page.charts,
        grid=page.grid,
        live=page.live,
        policy=page_policy(page),
        style=_template("page.css"),
        library=library,
        program=program,
        head=_script_json(_head(page)),
        rows=_packed(_rows(page.grid)) if page.grid else "",
        more=_packed(_more(page.grid)) if page.grid else "",
    )
    return text


def page_policy(page: Page) -> str:
    """The content security policy of a page: its own scripts by digest, and nothing else.

    A page that is served may ask its server whether there is news.
    """
    scripts = " ".join(_digest(script) for script in _scripts(page) if script)
    parts = (
        "default-src 'none'",
        f"script-src {scripts}",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join((*parts, "connect-src 'self'") if page.live else parts)


def _scripts(page: Page) -> tuple[str, str]:
    """The library of pictures, where there are any, and the program of the page."""
    names = (*SCRIPTS, "live.js") if page.live else SCRIPTS
    return (_template(LIBRARY) if page.charts else ""), "\n".join(map(_template, names))


def _head(page: Page) -> dict[str, Any]:
    charts = [
        {
            "name": chart.name, "title": chart.title, "kind": chart.kind, "data": chart.data, "note": chart.note,
            "filters": list(chart.filters),
        }
        for chart in page.charts
    ]  # fmt: skip
    live = {} if page.live is None else {"live": {"stamp": page.live.stamp, "every": page.live.every_s}}
    grid = page.grid
    if grid is None:
        return {"charts": charts, "grid": None, **live}
    columns = [
        {"name": c.name, "label": c.label, "kind": c.kind, "filter": c.is_filter, "hidden": c.is_hidden}
        for c in grid.columns
    ]
    told = {"columns": columns, "rows": grid.rows, "now": grid.now_ms, "note": grid.note, "explorers": grid.explorers}
    if grid.picks is not None:
        told["picks"] = {"command": grid.picks.command, "name": grid.picks.name, "head": grid.picks.head}
    return {"charts": charts, "grid": told, **live}


def _rows(grid: Grid) -> dict[str, Any]:
    """The cells by column, and the rows that can be picked; the word of a row is left out where its id is it."""
    told: dict[str, Any] = {"cells": [encode_column(cells) for cells in grid.cells]}
    if grid.picks is not None:
        ids = grid.cells[[column.name for column in grid.columns].index("payment_id")]
        told["picks"] = {
            "rows": list(grid.picks.words),
            "words": ["" if ids[row] == word else word for row, word in grid.picks.words.items()],
        }
    return told


def _more(grid: Grid) -> dict[str, Any]:
    events = {name: cells if name in ("row", "at") else encode_column(cells) for name, cells in grid.events.items()}
    return {"details": {str(number): detail for number, detail in grid.details.items()}, "events": events}


def _cards(page: Page) -> tuple[list[Fact], list[Fact]]:
    """The facts shown large, and all others."""
    report = page.report
    by_name = {fact.name: fact for fact in report.facts}
    large = [by_name[name] for name in page.cards or CARDS if name in by_name]
    if not large:
        short = [fact for fact in report.facts if len(fact.value) <= _CARD_LETTERS_MAX and fact.kind != "id"]
        large = short[:_CARDS_OTHERWISE]
    return large, [fact for fact in report.facts if fact not in large]


def _script_json(value: Mapping[str, Any]) -> str:
    """JSON that no parser of HTML can take for the end of a script or the start of a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(value: Mapping[str, Any]) -> str:
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str).encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(data, compresslevel=6, mtime=0)).decode()


def _digest(script: str) -> str:
    """The name under which a content security policy allows an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _template(name: str) -> str:
    text = (resources.files("recon.reports.pages") / "templates" / name).read_text(encoding="utf-8")
    assert "</script" not in text.lower() or name == "page.html", f"{name} would end its own script"
    return text.strip()


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["human"] = human_cell
    environment.filters["clean"] = display_text
    environment.filters["shown"] = _shown
    environment.filters["is_page"] = is_web_page
    environment.filters["exact"] = _exact
    environment.filters["parts"] = lambda text: text.split(", ")
    return environment


def _exact(text: str, kind: Kind) -> str:
    """The exact cell where people are shown a shorter one; empty where they are shown all of it."""
    whole = human_cell(text, "exact") if kind == "amount" else display_text(text)
    return whole if kind in ("amount", "amounts", "reason") and human_cell(text, kind) != whole else ""


def _shown(table: Table) -> tuple[tuple[int, ...], Sequence[tuple[str, ...]]]:
    """The columns of a list that say something, by number, and the rows that people are shown."""
    rows = table.rows if table.shown in (None, 0) else table.rows[: table.shown]
    used = tuple(number for number in range(len(table.columns)) if any(row[number] for row in rows))
    return used, rows
