"""A report on a terminal, by rich; on a pipe the same text without colours, one row a line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, TextIO

from recon.reports.model import Column, Report, Table, human_cell
from recon.reports.text import display_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

PIPE_WIDTH: Final = 100_000
"""On a pipe nothing is broken over lines: a row is a line, and every id can be cut out of it."""
WIDE_FROM: Final = 130
"""From so many columns on a terminal shows the wide columns of a table."""

_STYLES: Final = {
    "critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim",
    "auto": "green", "review": "yellow", "never": "red", "wait": "cyan", "benign": "dim",
    "failed": "bold red", "warning": "yellow", "ok": "green", "NO": "bold red",
}  # fmt: skip
_RIGHT: Final = ("count", "amount", "age")


def print_to_terminal(report: Report, stream: TextIO, *, width: int | None = None) -> None:
    """Write the report for people; outside text is cleaned and never read as markup."""
    if stream.isatty():
        _print(report, console_for(stream, width=width))
        return
    buffer = io.StringIO()
    _print(report, console_for(buffer, width=width))
    stream.write("".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines()))


def _print(report: Report, console: Console) -> None:
    console.print(_text(report.title, "bold"))
    if report.facts:
        console.print(_facts(report))
    for table in report.tables:
        console.print()
        console.print(_text(table.title, "bold"))
        if not table.rows:
            console.print(_text(f"  {table.empty}", "dim"))
        elif table.shown != 0:
            _print_rows(table, console)
        if table.note:
            console.print(_text(f"  {table.note}", "italic"))
    if report.next_steps:
        console.print()
        for step in report.next_steps:
            console.print(_text(step, "bold cyan"), soft_wrap=True)


def console_for(stream: TextIO, *, width: int | None = None) -> Console:
    """A console on a stream: the terminal's own width, or a fixed one on a pipe; ``NO_COLOR`` is honoured."""
    from rich.console import Console

    if width is None and not stream.isatty():
        width = PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def _text(content: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(display_text(content, length_max=20_000), style=style)


def _facts(report: Report) -> RichTable:
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for fact in report.facts:
        grid.add_row(_text(f"  {fact.label}"), _text(human_cell(fact.value, fact.kind), "bold red" * fact.alarm))
    return grid


def _print_rows(table: Table, console: Console) -> None:
    is_wide = console.width >= WIDE_FROM
    if is_wide or not any(column.kind == "prose" for column in table.columns):
        console.print(_grid(table, is_wide=is_wide))
    else:
        _print_narrow(table, console)


def _print_narrow(table: Table, console: Console) -> None:
    """Each row on a line of its own, and its prose below it, so that nothing is squeezed into a few letters."""
    from rich.padding import Padding
    from rich.text import Text

    columns = list(enumerate(table.columns))
    short = [n for n, c in columns if c.kind != "prose" and _is_worth_showing(table, n, c, False)]
    prose = [n for n, c in columns if c.kind == "prose" and _is_worth_showing(table, n, c, True)]
    rows = table.rows[: table.shown]
    widths = {n: max(len(human_cell(row[n], table.columns[n].kind)) for row in rows) for n in short}
    for row in rows:
        line = Text()
        for number in short:
            cell = human_cell(row[number], table.columns[number].kind).ljust(min(widths[number], console.width // 4))
            line.append_text(_text(cell, _STYLES.get(row[number], "")))
            line.append("  ")
        line.rstrip()
        console.print(line)
        for number in prose:
            console.print(Padding(_text(row[number], "dim"), (0, 0, 0, 4)))


def _grid(table: Table, *, is_wide: bool) -> RichTable:
    from rich.box import SIMPLE
    from rich.table import Table as RichTable

    used = [n for n, column in enumerate(table.columns) if _is_worth_showing(table, n, column, is_wide)]
    grid = RichTable(box=SIMPLE, show_edge=False, pad_edge=False, header_style="dim")
    for number in used:
        column = table.columns[number]
        grid.add_column(
            display_text(column.label),
            justify="right" if column.kind in _RIGHT else "left",
            no_wrap=column.kind in ("count", "age", "severity", "tier", "verdict", "time"),
            overflow="fold",
        )
    for row in table.rows[: table.shown]:
        cells = [_text(human_cell(row[n], table.columns[n].kind), _STYLES.get(row[n], "")) for n in used]
        grid.add_row(*cells)
    return grid


def _is_worth_showing(table: Table, number: int, column: Column, is_wide: bool) -> bool:
    """Leave out a column that says nothing, and the list of all findings, which only repeats most verdicts."""
    shown = table.rows[: table.shown]
    return column.name != "findings" and (is_wide or not column.wide) and any(row[number] for row in shown)
