"""The rows of one exported file, CSV or Parquet: exact texts by field, each row with the place where it stands.

Every cell is text, as it was written. A Parquet column of floats is refused, since it has lost digits already; so is
what a spreadsheet has rounded (``1.2E+18``). What cannot be read is collected and told together, by file and line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from recon.core.errors import MoneyError, UsageError
from recon.core.ids import normalise_address, normalise_reference, normalise_tx_hash
from recon.core.money import UNITS_MAX, parse_units
from recon.core.text import clean_text, count_text
from recon.sources.exports.mapping import FileSection, MappingError, TransfersSection, usual_columns
from recon.sources.exports.statements import statement_cells

ROWS_MAX: Final = 2_000_000
FILE_MAX_BYTES: Final = 2_000_000_000
CELL_MAX: Final = 2_000
TOLD_MAX: Final = 20
_YES: Final = frozenset({"true", "yes", "1", "y"})
_NO: Final = frozenset({"false", "no", "0", "n", ""})
_ROUNDED: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+\Z")


class BadRowsError(UsageError):
    """Rows of exported files cannot be read exactly."""

    def __init__(self, *, told: list[str], count: int) -> None:
        more = f"\n  and {count - len(told)} more" if count > len(told) else ""
        super().__init__(
            f"{count_text(count, 'cell')} cannot be read exactly, so nothing was imported:\n  "
            + "\n  ".join(told)
            + f"{more}\nCorrect the files or the mapping, and run the command again."
        )


class CellError(Exception):
    """Why one cell cannot be read."""


@dataclass(slots=True)
class BadCells:
    """What cannot be read, by file, line and column; the first ones are told."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, place: str, why: str) -> None:
        """Take one in."""
        self.count += 1
        if len(self.told) < TOLD_MAX:
            self.told.append(f"{place}: {why}")

    def check(self) -> None:
        """Refuse the files if anything was taken in.

        Raises:
            BadRowsError: Something was.
        """
        if self.count:
            raise BadRowsError(told=self.told, count=self.count)


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """One row: its place, ``payments.csv:7``, and the text of each field that has one.

    Args:
        raw: Of an entry of a bank statement, all its cells by their columns.
    """

    place: str
    cells: Mapping[str, str]
    section: FileSection
    faults: BadCells
    raw: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A cell as it stands, or what its word means; None where it is empty."""
        value = self.cells.get(name, "")
        if name in self.section.find:
            found = self.names(name)
            if len(found) > 1:
                self.miss(name, f"it names several: {clean_text(', '.join(found), limit=80)}")
            value = found[0] if found else ""
        return self.section.words.get(name, {}).get(value, value) or None

    def names(self, name: str) -> list[str]:
        """Everything that a cell names, each once, in order: what ``find`` finds in it, or the cell as it stands."""
        value, pattern = self.cells.get(name, ""), self.section.find.get(name)
        if pattern is None:
            return [value] if value else []
        found = (match[1] if match.re.groups else match[0] for match in re.finditer(pattern, value))
        return list(dict.fromkeys(each for each in found if each))

    def needed(self, name: str) -> str | None:
        """The same; an empty cell is told."""
        value = self.text(name)
        if value is None:
            self.miss(name, "it is empty")
        return value

    def miss(self, name: str, why: str) -> None:
        """Tell that a cell cannot be read."""
        column = self.section.columns.get(name, name)
        self.faults.add(self.place, f"column {clean_text(column, limit=60)!r}: {why}")

    def amount(self, name: str) -> str | None:
        """An amount as plain decimal text, exactly as many digits as were written."""
        value = self.text(name)
        try:
            return None if value is None else plain_amount(value, self.section)
        except CellError as error:
            self.miss(name, str(error))
            return None

    def units(self, name: str, *, decimals: int | None) -> int | None:
        """An amount in base units.

        Args:
            decimals: Of the token whose whole amount it is; 0 where it is in base units already.
        """
        value = self.amount(name)
        if value is None:
            return None
        if decimals is None:
            self.miss(name, "the decimals of its token are not known; add the token to [[tokens]] of recon.toml")
            return None
        try:
            units = parse_units(value, decimals=decimals)
        except MoneyError as error:
            self.miss(
                name, f"{clean_text(value, limit=60)!r} is no amount of a token with {decimals} decimals ({error})"
            )
            return None
        if abs(units) > UNITS_MAX:
            self.miss(name, "it has more than 37 digits")
            return None
        return units

    def moment(self, name: str) -> datetime | None:
        """A time, aware UTC."""
        value = self.text(name)
        try:
            return None if value is None else read_moment(value, self.section)
        except CellError as error:
            self.miss(name, str(error))
            return None

    def flag(self, name: str) -> bool | None:
        """A truth word; None where the file has no such field."""
        if name not in self.cells:
            return None
        word = (self.text(name) or "").strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
        self.miss(name, f"{clean_text(word, limit=40)!r} is neither true nor false")
        return None

    def number(self, name: str) -> int | None:
        """A whole number, not negative."""
        value = self.text(name)
        if value is None:
            return None
        if re.fullmatch(r"[0-9]{1,18}", value):
            return int(value)
        self.miss(name, f"{clean_text(value, limit=40)!r} is no whole number")
        return None

    def tx_hash(self, name: str = "tx_hash") -> str | None:
        """A transaction hash; None where there is none."""
        value = self.text(name)
        found = None if value is None else normalise_tx_hash(value)
        if value is not None and found is None:
            self.miss(name, f"{clean_text(value, limit=80)!r} is no transaction hash")
        return found

    def address(self, name: str) -> str | None:
        """An address; None where there is none."""
        value = self.text(name)
        found = None if value is None else normalise_address(value)
        if value is not None and found is None:
            self.miss(name, f"{clean_text(value, limit=80)!r} is no address")
        return found

    def reference(self) -> str | None:
        """A payment reference; None where there is none."""
        value = self.text("reference")
        found = normalise_reference(value) if value else None
        if value and found is None:
            self.miss("reference", f"{clean_text(value, limit=60)!r} is no payment reference")
        return found

    def is_repeated(self, key: str, places: dict[str, str]) -> bool:
        """Whether another row has the same id, which is told; otherwise note where this one stands."""
        if key in places:
            self.miss("id", f"{clean_text(key, limit=60)!r} stands in {places[key]} already")
            return True
        places[key] = self.place
        return False


def plain_amount(text: str, section: FileSection) -> str:
    """An amount without the signs that group its digits, and with a point.

    Raises:
        CellError: It is no number as the section writes numbers, or was rounded.
    """
    value = text.strip().replace("\u00a0", " ")
    if _ROUNDED.match(value):
        raise CellError(f"{value[:40]!r} was rounded, as a spreadsheet does; export the column as text")
    whole, sign, fraction = value.partition(section.decimal)
    if section.thousands is not None and section.thousands in whole:
        grouped = re.escape(section.thousands)
        if not re.fullmatch(rf"[+-]?[0-9]{{1,3}}({grouped}[0-9]{{3}})+", whole):
            raise CellError(f"{clean_text(value, limit=40)!r} groups its digits in another way than the mapping says")
        whole = whole.replace(section.thousands, "")
    if not re.fullmatch(r"[+-]?[0-9]{1,60}", whole) or (sign and not re.fullmatch(r"[0-9]{1,60}", fraction)):
        raise CellError(
            f"{clean_text(value, limit=40)!r} is no plain number with {section.decimal!r} before its fraction"
        )
    return f"{whole.removeprefix('+')}.{fraction}" if sign else whole.removeprefix("+")


def read_moment(text: str, section: FileSection) -> datetime:
    """A time as the section writes times.

    Raises:
        CellError: It is no time, names no zone, or stands for two moments or for none.
    """
    value, form = text.strip(), section.time_format
    shown = repr(clean_text(value, limit=40))
    if form in ("unix", "unix_ms"):
        if not re.fullmatch(r"[0-9]{1,15}", value):
            raise CellError(f"{shown} counts neither seconds nor milliseconds")
        try:
            return datetime.fromtimestamp(int(value) / (1 if form == "unix" else 1000), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise CellError(f"{shown} is no time") from error
    try:
        found = datetime.strptime(value, form) if form else datetime.fromisoformat(value.replace("Z", "+00:00"))  # noqa: DTZ007 - the zone follows
    except ValueError as error:
        raise CellError(f"{shown} is no time" + (f" of the form {form}" if form else "")) from error
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    zone = section.tz
    if zone is None:
        raise CellError(f'{shown} names no zone; add zone = "UTC" or another one to the mapping')
    first, second = (found.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first != second:
        raise CellError(f"{shown} stands for two moments in {section.zone}, or for none; write it with its zone")
    return first


# ------------------------------------------------------------------------------------------------------------ reading


def exported_rows(section: FileSection, *, home: Path, faults: BadCells) -> Iterator[ExportedRow]:
    """The rows of a file, in order.

    Args:
        home: Where the mapping lies.
        faults: Where rows that cannot be read are told.

    Raises:
        MappingError: The file cannot be opened, or lacks a column.
    """
    if section.format != "table":
        yield from _statement_rows(section, home, faults)
        return
    path = home / section.file
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MappingError(path=section.file, why=f"it cannot be read ({error.strerror})") from error
    if not path.is_file() or size > FILE_MAX_BYTES:
        raise MappingError(path=section.file, why=f"it is no file of at most {FILE_MAX_BYTES >> 20} MB")
    read = _parquet_rows if path.suffix.lower() in (".parquet", ".pq") else _csv_rows
    for count, (number, cells) in enumerate(read(path, section, faults), start=1):
        if count > ROWS_MAX:
            raise MappingError(path=path.name, why=f"it has more than {ROWS_MAX} rows; import a shorter time")
        place = f"{clean_text(path.name, limit=80)}:{number}"
        if odd := next((name for name, cell in cells.items() if _is_odd(cell)), None):
            column = clean_text(section.columns.get(odd, odd), limit=60)
            faults.add(place, f"column {column!r}: it holds control characters, or more than {CELL_MAX} characters")
            continue
        yield ExportedRow(place, {**section.fixed, **cells}, section, faults)


def _statement_rows(section: FileSection, home: Path, faults: BadCells) -> Iterator[ExportedRow]:
    kind = "transfers" if isinstance(section, TransfersSection) else "claims"
    columns = {**section.columns, **usual_columns(kind, section)}
    for place, cells in statement_cells(section, home=home):
        own = {name: cells[column] for name, column in columns.items()}
        if odd := next((name for name, cell in cells.items() if _is_odd(cell)), None):
            faults.add(place, f"column {odd!r}: it holds control characters, or more than {CELL_MAX} characters")
            continue
        yield ExportedRow(place, {**section.fixed, **own}, section, faults, raw=cells)


def _is_odd(cell: str) -> bool:
    return bool(cell) and (len(cell) > CELL_MAX or not cell.isprintable())


def _csv_rows(path: Path, section: FileSection, faults: BadCells) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open("rb") as raw:
        stream = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="strict", newline="")
        name = clean_text(path.name, limit=80)
        try:
            head = stream.readline(1_000_000)
            sign = section.separator or max((",", ";", "\t", "|"), key=head.count)
            names = next(csv.reader([head], delimiter=sign, strict=True), [])
            places = _places([each.strip() for each in names], section, name=path.name)
            reader, before = csv.reader(stream, delimiter=sign, strict=True), 1
            for cells in reader:
                number, before = before + 1, reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(names):
                    faults.add(
                        f"{name}:{number}",
                        f"it has {count_text(len(cells), 'cell')} where the first line names {len(names)}",
                    )
                    continue
                yield number, {field: cells[place].strip() for field, place in places.items()}
        except UnicodeDecodeError as error:
            raise MappingError(path=path.name, why="it is no UTF-8 text; export it as CSV in UTF-8") from error
        except csv.Error as error:
            raise MappingError(path=path.name, why=f"it is no CSV ({clean_text(error, limit=100)})") from error


def _places(names: list[str], section: FileSection, *, name: str) -> dict[str, int]:
    """By field, the place of its column."""
    wanted = section.columns
    if twice := sorted({each for each in names if names.count(each) > 1 and each in wanted.values()}):
        raise MappingError(path=name, why=f"the column {clean_text(twice[0], limit=60)!r} is there twice")
    lacking = sorted({column for column in wanted.values() if column not in names})
    if lacking:
        there = ", ".join(clean_text(each, limit=40) for each in names[:30])
        raise MappingError(path=name, why=f"it has no column {clean_text(lacking[0], limit=60)!r}; there are {there}")
    return {field: names.index(column) for field, column in wanted.items()}


def _parquet_rows(path: Path, section: FileSection, faults: BadCells) -> Iterator[tuple[int, dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _places(list(schema.names), section, name=path.name)
            for name, column in section.columns.items():
                if pa.types.is_floating(schema.field(column).type):
                    why = f"the column {clean_text(column, limit=60)!r} ({name}) holds floats, which have lost digits"
                    raise MappingError(path=path.name, why=f"{why}; write it as text or as decimals")
            number = 0
            for batch in file.iter_batches(columns=list(section.columns.values())):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: _cell_text(row[column]) for name, column in section.columns.items()}
    except (pa.ArrowException, OSError) as error:
        raise MappingError(
            path=path.name, why=f"it is no Parquet file that can be read ({type(error).__name__})"
        ) from error


def _cell_text(value: Any) -> str:
    """A stored value as exact text; of another kind, as something that no reader of cells takes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else repr(value)[:CELL_MAX]
