"""A sheet as rows of text: what is written for a person to fill in, and what comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from recon.core.errors import RefusedError

SHEET_MAX_BYTES: Final = 200_000_000
ROWS_MAX: Final = 1_048_576
"""What a spreadsheet takes."""
COLUMNS_MAX: Final = 100
CELL_MAX: Final = 32_767
"""Characters of one cell that a spreadsheet takes."""


class SheetError(RefusedError):
    """A file cannot be read as a sheet."""

    def __init__(self, *, path: str, why: str, line: int | None = None) -> None:
        where = path if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {why}; nothing was written.")


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """One column of a sheet that is written.

    Args:
        width: About how many characters are seen.
        choices: The words that a cell may hold, where a person fills it in.
        is_filled_in: Whether a person fills it in.
        is_number: Whether its cells are numbers or dates where a spreadsheet keeps all of their digits, and not texts.
    """

    name: str
    width: int = 12
    choices: tuple[str, ...] = ()
    is_filled_in: bool = False
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class GivenLine:
    """One row as it came: the line of the file (of a workbook: the row) on which it begins, and its cells by column.

    ``more`` is what stands beyond the last column; ``formulas`` are the columns in which a formula stands.
    """

    number: int
    cells: Mapping[str, str]
    more: str = ""
    formulas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenSheet:
    """A sheet as it came, without its blank rows.

    Args:
        columns: The words of its first row, as they stand.
    """

    name: str
    columns: tuple[str, ...]
    lines: tuple[GivenLine, ...]


@dataclass(frozen=True, slots=True)
class RawLine:
    """A row before the columns have names."""

    number: int
    cells: tuple[str, ...]
    formulas: frozenset[int] = frozenset()


def named_lines(name: str, raw: list[RawLine]) -> GivenSheet:
    """The rows under the words of the first one that is not blank.

    Raises:
        SheetError: There is none, or a word heads two columns.
    """
    held = [line for line in raw if line.formulas or "".join(line.cells).strip()]
    if not held:
        raise SheetError(path=name, why="it holds no row")
    head = [cell.strip() for cell in held[0].cells]
    twice = [word for word, count in Counter(head).items() if word and count > 1]
    if twice:
        raise SheetError(path=name, line=held[0].number, why=f"two columns are headed {twice[0][:60]!r}")
    return GivenSheet(name, tuple(head), tuple(_named(line, head) for line in held[1:]))


def _named(line: RawLine, head: list[str]) -> GivenLine:
    words = (*head, *[""] * (len(line.cells) - len(head)))
    padded = (*line.cells, *[""] * (len(words) - len(line.cells)))
    pairs = list(zip(words, padded, strict=True))
    return GivenLine(
        line.number,
        {word: cell for word, cell in pairs if word},
        " ".join(cell.strip() for word, cell in pairs if not word and cell.strip()),
        tuple(words[place] for place in sorted(line.formulas)),
    )
