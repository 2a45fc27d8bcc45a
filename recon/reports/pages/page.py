"""What an HTML page shows besides a report: charts, and a table that the browser filters and opens.

Everything is plain data made here, so that the page's script only draws. Cells are cleaned for the screen when they are
put in; the script sets them as text and never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from recon.reports.model import Report, Table
from recon.reports.text import display_text

ChartKind = Literal["bars", "columns", "money", "flow", "time", "depth", "lanes"]
GridKind = Literal["text", "id", "amount", "count", "age", "ms", "severity", "tier", "verdict", "prose"]

CELL_MAX: Final = 2000
"""Most characters of one cell; what is longer is cut and keeps its place in the evidence."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture as data.

    Args:
        kind: ``bars`` lie and are stacked, ``columns`` stand and are stacked, ``money`` stands side by side with exact
            labels, ``flow`` has ``nodes`` and ``links``, ``time`` has ``start_ms``, ``step_ms`` and ``gaps``, ``depth``
            counts on a logarithmic axis, ``lanes`` has ``lanes``, ``points`` (at, lane, text) and ``now``.
        data: ``categories`` and ``series`` (name and values), or what the kind needs instead; JSON.
        filters: The grid's columns that a click on a category and on a series narrows.
    """

    name: str
    title: str
    kind: ChartKind
    data: Mapping[str, Any]
    note: str = ""
    filters: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class GridColumn:
    """One column of the grid; a hidden one is searched and shown in the details only."""

    name: str
    label: str
    kind: GridKind = "text"
    is_filter: bool = False
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class PickList:
    """Which rows can be picked, and what takes the list of them.

    Args:
        command: The command that takes the list, up to its options, as one pastes it.
        name: The file's name when the browser saves the list, and the head of it.
        words: By row number, the payment as that command reads it; see :func:`recon.plans.picking.written_word`.
    """

    command: str
    name: str
    head: str
    words: dict[int, str]


@dataclass(slots=True)
class Grid:
    """The rows that the browser filters, sorts and opens, by columns.

    Args:
        cells: One list a column; ``ms`` columns hold UTC milliseconds or None, all others text.
        details: By row number: ``fields``, ``sets``, ``evidence``, ``effects``, ``left`` and the like.
        events: Columns ``row``, ``at`` (UTC milliseconds or None), ``side``, ``text``, ``tx`` and the ``chain`` that it
            lies on, as the cells name it, for the timelines.
        note: What is not in the rows, in one sentence.
        now_ms: Ages count to here.
        explorers: By chain, as the cells name it, its ``id`` and the pages of its explorer, ``tx`` and ``address``.
        picks: For a grid whose rows can be handed to a command.
    """

    title: str
    columns: tuple[GridColumn, ...]
    cells: list[list[Any]]
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[Any]] = field(default_factory=dict)
    note: str = ""
    now_ms: int | None = None
    explorers: dict[str, dict[str, Any]] = field(default_factory=dict)
    picks: PickList | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.cells[0]) if self.cells else 0


@dataclass(frozen=True, slots=True)
class Following:
    """What a page needs that is served and shows itself anew when there is news.

    Args:
        stamp: Names what is shown; the page asks ``stamp`` beside it whether that is still the newest.
        every_s: How often it asks.
        links: Other pages of the same server, each its path and its name.
    """

    stamp: str
    every_s: int
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A report with its pictures and its grid."""

    report: Report
    charts: tuple[Chart, ...] = ()
    grid: Grid | None = None
    lists: tuple[Table, ...] = ()
    """The tables that are printed as they are, below the grid."""
    cards: tuple[str, ...] = ()
    """The facts that are shown large, by name; none means the usual ones."""
    live: Following | None = None
    """For a page that is served; a file asks nothing."""


def encode_column(cells: Sequence[Any]) -> dict[str, Any]:
    """A column as JSON: what repeats is written once and named by its number.

    >>> encode_column(["a", "a", "b", "a"])
    {'words': ['a', 'b'], 'at': [0, 0, 1, 0]}
    """
    words: dict[Any, int] = {}
    for cell in cells:
        words.setdefault(cell, len(words))
    if len(words) * 2 > len(cells):
        return {"cells": list(cells)}
    return {"words": list(words), "at": [words[cell] for cell in cells]}


def grid_of_table(table: Table) -> Grid:
    """The rows of any table as a grid; columns of few different words can be filtered."""
    columns, cells = [], []
    for number, column in enumerate(table.columns):
        values = [display_text(row[number], length_max=CELL_MAX) for row in table.rows]
        is_word = column.kind in ("verdict", "tier", "severity", "text") and len(set(values)) <= 40
        kind: Any = column.kind if column.kind in _SAME_KINDS else "text"
        columns.append(GridColumn(column.name, column.label, kind, is_filter=is_word and len(set(values)) > 1))
        cells.append(values)
    return Grid(table.title, tuple(columns), cells, note=table.note if table.shown is None else "")


_SAME_KINDS: Final = ("id", "amount", "count", "age", "severity", "tier", "verdict", "prose")


def page_of_report(report: Report) -> Page:
    """Any report as a page: its largest table becomes the grid once it is too long to read."""
    largest = max(report.tables, key=lambda table: len(table.rows), default=None)
    if largest is None or len(largest.rows) <= GRID_FROM:
        return Page(report, lists=report.tables)
    rest = tuple(table for table in report.tables if table is not largest)
    return Page(report, grid=grid_of_table(largest), lists=rest)


GRID_FROM: Final = 25
"""Tables with more rows than this become a grid that can be searched."""


def counted(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Count pairs: outer word, then inner word."""
    found: dict[str, dict[str, int]] = {}
    for outer, inner in pairs:
        row = found.setdefault(outer, {})
        row[inner] = row.get(inner, 0) + 1
    return found
