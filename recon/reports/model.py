"""The report that every output renders: facts and tables of plain text, with the kind of each column.

A cell holds the exact value as text (``1234.5678 USDC``, seconds, ISO times). Outputs for people format it by the kind
of its column (``1,234.56 USDC``, ``3 d 2 h``); outputs for machines print it as it is, to the last unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from recon.core.text import group_digits, short_amount, short_amounts
from recon.reports.text import age_text, display_text

Kind = Literal[
    "text",
    "id",
    "count",
    "amount",
    "amounts",
    "exact",
    "age",
    "time",
    "severity",
    "tier",
    "verdict",
    "prose",
    "reason",
    "link",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its stable name, its heading for people, and what kind of cell it holds.

    ``exact`` cells are amounts to the last unit, ``reason`` cells prose whose amounts people read short, ``link`` cells
    addresses of pages. ``wide`` columns are left out where a terminal is narrow; every other output has them.
    """

    name: str
    label: str
    kind: Kind = "text"
    wide: bool = False

    @property
    def is_prose(self) -> bool:
        """Whether its cells are sentences."""
        return self.kind in ("prose", "reason")


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure or statement of the headline; ``alarm`` asks for attention."""

    name: str
    label: str
    value: str
    kind: Kind = "text"
    alarm: bool = False


Cells = tuple[str, ...]


class RowsOf(Sequence[Cells]):
    """The rows of some items, each made when it is looked at: of ten thousand, outputs for people print twenty."""

    def __init__(self, items: Sequence[Any], make: Callable[[Any], Cells]) -> None:
        self._items, self._make = items, make

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, place: int) -> Cells: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Cells, ...]: ...
    def __getitem__(self, place: int | slice) -> Cells | tuple[Cells, ...]:
        if isinstance(place, slice):
            return tuple(map(self._make, self._items[place]))
        return self._make(self._items[place])


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under columns. ``shown`` is how many rows an output for people prints; None is all."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Cells]
    note: str = ""
    empty: str = "nothing"
    shown: int | None = None

    def __post_init__(self) -> None:
        looked_at = () if isinstance(self.rows, RowsOf) else self.rows
        assert all(len(row) == len(self.columns) for row in looked_at), f"{self.name}: a row of another width"


@dataclass(frozen=True, slots=True)
class Report:
    """A headline, tables in reading order, and what to do next."""

    name: str
    title: str
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    next_steps: tuple[str, ...] = field(default=())

    def table(self, name: str) -> Table:
        """The table of that name; KeyError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def human_cell(text: str, kind: Kind) -> str:
    """A cell as people read it; the value itself is unchanged."""
    if kind in ("count", "exact"):
        return group_digits(display_text(text))
    if kind in ("amount", "amounts"):
        return ", ".join(short_amount(part) for part in display_text(text).split(", "))
    if kind == "reason":
        return short_amounts(display_text(text))
    if kind == "age":
        return age_text(int(text)) if text.lstrip("-").isdigit() else ""
    return display_text(text)
