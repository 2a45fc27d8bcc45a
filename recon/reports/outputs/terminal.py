"""A report on a terminal, by rich; on a pipe the same text without colours, one row a line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, TextIO

from recon.reports.model import Column, Report, Table, human_cell
from recon.reports.text import display_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_APART_MAX: Final = 4
"""Of more columns the cells of a row stand one after the other below it, and not on a line each."""
_RIGHT: Final = ("count", "amount", "exact", "age")
_GAP: Final = "  "


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
    _print_facts(report, console)
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


def _print_facts(report: Report, console: Console) -> None:
    """Label and value on a line; longer prose goes on below itself, and an id is never broken, for it is copied."""
    from rich.text import Text

    room = max((len(_text(fact.label)) for fact in report.facts), default=0) + 2 * len(_GAP)
    for fact in report.facts:
        value = _text(human_cell(fact.value, fact.kind), "bold red" * fact.alarm)
        label = Text(f"{_GAP}{display_text(fact.label)}".ljust(room), style="dim")
        if fact.kind == "id" or " " not in value.plain:
            console.print(Text.assemble(label, value), soft_wrap=True)
            continue
        for line in value.wrap(console, max(20, console.width - room)):
            line.rstrip()
            console.print(Text.assemble(label, line), soft_wrap=True)
            label = Text(" " * room)


def _print_rows(table: Table, console: Console) -> None:
    is_wide = console.width >= WIDE_FROM
    if any(column.kind == "link" for column in table.columns):
        _print_pages(table, console)
    elif not is_wide and any(column.is_prose for column in table.columns):
        _print_narrow(table, console)
    elif _needs(table, is_wide=is_wide) <= console.width:
        console.print(_grid(table, is_wide=is_wide))
    else:
        _print_apart(table, console, is_wide=is_wide)


def _needs(table: Table, *, is_wide: bool) -> int:
    """The width that a table takes when nothing in it is broken."""
    used, rows = _used(table, is_wide=is_wide), table.rows[: table.shown]
    return sum(_width(table, n, rows) for n in used) + len(used) * (len(_GAP) + 1)


def _print_apart(table: Table, console: Console, *, is_wide: bool) -> None:
    """Each row on its line where it fits; else its first cell there, and below it the others, each whole."""
    used = _used(table, is_wide=is_wide)
    said = [_cells(table, row, used) for row in table.rows[: table.shown]]
    widths = dict(zip(used, _aligned([table.columns[n] for n in used], said, console.width), strict=True))
    fits = [_is_within(cells, list(widths.values())) for cells in said]
    if not any(fits) and len(used) > _APART_MAX:
        _print_narrow(table, console)
        return
    labels = [table.columns[n].label for n in used]
    if len(used) > 1:
        console.print(_narrow_line(labels, table, used, widths), style="dim")
    for cells, is_whole in zip(said, fits, strict=True):
        if is_whole:
            console.print(_narrow_line(cells, table, used, widths), soft_wrap=True)
        else:
            _print_cells(cells, labels, console)


def _used(table: Table, *, is_wide: bool) -> list[int]:
    return [n for n, column in enumerate(table.columns) if _is_worth_showing(table, n, column, is_wide=is_wide)]


def _cells(table: Table, row: tuple[str, ...], columns: Sequence[int]) -> list[str]:
    return [display_text(human_cell(row[n], table.columns[n].kind)) for n in columns]


def _is_within(cells: Sequence[str], widths: Sequence[int]) -> bool:
    return all(len(cell) <= width for cell, width in zip(cells, widths, strict=True))


def _print_cells(cells: Sequence[str], labels: Sequence[str], console: Console) -> None:
    """The first cell of a row, and below it each other that says something behind its label."""
    has_long_word = max(map(len, cells[0].split()), default=0) > console.width
    console.print(_text(cells[0], _STYLES.get(cells[0], "")), soft_wrap=has_long_word)
    below = [(label, cell) for label, cell in zip(labels[1:], cells[1:], strict=True) if cell]
    room = max((len(label) for label, _ in below), default=0)
    for label, cell in below:
        console.print(_text(f"{_GAP * 2}{label.ljust(room)}{_GAP}{cell}"), soft_wrap=True)


def _aligned(columns: Sequence[Column], said: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of columns for as many rows as fit into the room: the longest cells are left to stand apart."""
    widths: list[int] = []
    for most in sorted({len(cell) for cells in said for cell in cells}, reverse=True):
        widths = [
            max(len(display_text(column.label)), *(len(cells[at]) for cells in said if len(cells[at]) <= most), 1)
            for at, column in enumerate(columns)
        ]
        if sum(widths) + len(_GAP) * (len(widths) - 1) <= room:
            break
    return widths


def _print_pages(table: Table, console: Console) -> None:
    """Addresses of pages, each whole on its line: one that is broken over two cannot be opened."""
    columns = range(len(table.columns))
    rows = table.rows[: table.shown]
    widths = {number: _width(table, number, rows) for number in columns}
    for row in rows:
        console.print(_narrow_line(row, table, columns, widths), soft_wrap=True)


def _print_narrow(table: Table, console: Console) -> None:
    """A heading, then each row on a line of its own as far as it fits, and below it the rest of it and its prose."""
    rows = table.rows[: table.shown]
    short, prose = _worth_showing(table)
    widths = {n: _width(table, n, rows) for n in short}
    fitting = _fitting(sorted(short, key=lambda n: table.columns[n].kind == "id"), widths, console.width)
    below = [n for n in short if n not in fitting]
    console.print(_narrow_line([table.columns[n].label for n in fitting], table, fitting, widths), style="dim")
    for row in rows:
        cells = [human_cell(row[n], table.columns[n].kind) for n in fitting]
        console.print(_narrow_line(cells, table, fitting, widths), soft_wrap=True)
        for line in _below(table, row, below, prose):
            _print_below(line, console)


def _worth_showing(table: Table) -> tuple[list[int], list[int]]:
    """The columns that say something, short ones and prose."""
    columns = list(enumerate(table.columns))
    short = [n for n, c in columns if not c.is_prose and _is_worth_showing(table, n, c, is_wide=False)]
    prose = [n for n, c in columns if c.is_prose and _is_worth_showing(table, n, c, is_wide=True)]
    return short, prose


def _below(table: Table, row: tuple[str, ...], short: Sequence[int], prose: Sequence[int]) -> list[str]:
    """What stands below a row: the cells that did not fit, with their headings, and its prose."""
    cells = [(table.columns[n].label, human_cell(row[n], table.columns[n].kind)) for n in short if row[n]]
    rest = ", ".join(f"{label} {cell}" for label, cell in cells)
    return [line for line in (rest, *(human_cell(row[n], table.columns[n].kind) for n in prose)) if line]


def _print_below(line: str, console: Console) -> None:
    """A line that belongs to the row above it, moved in."""
    from rich.padding import Padding

    console.print(Padding(_text(line, "dim"), (0, 0, 0, 4)))


def _width(table: Table, number: int, rows: Sequence[tuple[str, ...]]) -> int:
    column = table.columns[number]
    return max(len(display_text(column.label)), *(len(human_cell(row[number], column.kind)) for row in rows))


def _fitting(columns: Sequence[int], widths: Mapping[int, int], room: int) -> list[int]:
    """The columns that stand on one line, in order, ids last; the first id always does, for rows are known by it."""
    fitting, used = [], 0
    for number in columns:
        if used + widths[number] <= room:
            fitting.append(number)
            used += widths[number] + len(_GAP)
    return fitting or list(columns[:1])


def _narrow_line(cells: Sequence[str], table: Table, columns: Sequence[int], widths: Mapping[int, int]) -> Text:
    from rich.text import Text

    line = Text()
    for cell, number in zip(cells, columns, strict=True):
        is_right = table.columns[number].kind in _RIGHT
        placed = cell.rjust(widths[number]) if is_right else cell.ljust(widths[number])
        line.append_text(_text(placed, _STYLES.get(cell, "")))
        line.append(_GAP)
    line.rstrip()
    return line


def _grid(table: Table, *, is_wide: bool) -> RichTable:
    from rich.box import SIMPLE
    from rich.table import Table as RichTable

    used = _used(table, is_wide=is_wide)
    # One column that is headed as the table is needs no heading of its own.
    is_list = len(used) == 1 and table.columns[used[0]].label == table.title
    grid = RichTable(box=SIMPLE, show_edge=False, pad_edge=False, header_style="dim", show_header=not is_list)
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


def _is_worth_showing(table: Table, number: int, column: Column, *, is_wide: bool) -> bool:
    """Leave out a column that says nothing, and the list of all findings, which only repeats most verdicts."""
    shown = table.rows[: table.shown]
    return column.name != "findings" and (is_wide or not column.wide) and any(row[number] for row in shown)
