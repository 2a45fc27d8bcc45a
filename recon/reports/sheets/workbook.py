"""The rows of an Excel workbook (Office Open XML, ECMA-376), read without trust in what it holds.

Only the parts that make up one sheet are read, each bounded; a document type, which may declare entities, is refused.
Dates are cells whose format shows a date; they come back as ISO text, numbers as they are written.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from xml.parsers import expat

from recon.reports.sheets.model import COLUMNS_MAX, ROWS_MAX, SHEET_MAX_BYTES, RawLine, SheetError

_PARTS_MAX: Final = 10_000
_TEXTS_MAX: Final = 5_000_000
_CELLS_MAX: Final = 50_000_000
_PLACE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})\Z")
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NOT_OF_A_DATE: Final = re.compile(r'"[^"]*"|\\.|\[(?!(?:h+|m+|s+)\])[^\]]*\]|_.|\*.', re.IGNORECASE)
_DATE_SIGNS: Final = frozenset("dmyhs")
_DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""The numbers of the built-in formats that show a date or a time, those of East Asian languages among them."""
_SERIAL_MAX: Final = 2_958_466
"""The day after the last one that a spreadsheet knows, 9999-12-31."""
Attributes = Mapping[str, str]


class _PartError(Exception):
    """A part of a workbook cannot be read; says why."""


def workbook_lines(data: bytes, *, name: str, sheet: str = "") -> list[RawLine]:
    """The rows of one sheet: the one that is called so, else the first.

    Raises:
        SheetError: It is no workbook, or a part is missing, broken or larger than any.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _lines_of(archive, sheet)
    except _PartError as error:
        raise SheetError(path=name, why=str(error)) from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        # NotImplementedError, for ways of packing that nobody uses, is a RuntimeError.
        raise SheetError(path=name, why="it is cut or broken, so it is no workbook") from error
    except (expat.ExpatError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise SheetError(path=name, why=f"a part of the workbook is broken ({type(error).__name__})") from error


def _lines_of(archive: zipfile.ZipFile, wanted: str) -> list[RawLine]:
    if len(archive.infolist()) > _PARTS_MAX:
        raise _PartError(f"the workbook has more than {_PARTS_MAX} parts")
    if archive.NameToInfo.get("mimetype") is not None:
        raise _PartError("it is no Excel workbook; save it as .xlsx or as CSV")
    start = _related(archive, "", "officeDocument")
    if not start:
        raise _PartError("it is no Excel workbook; save it as .xlsx or as CSV")
    book = _Book()
    _parse(archive, start[0], book)
    if not book.sheets:
        raise _PartError("the workbook has no sheet")
    relation = book.sheets.get(wanted) or next(iter(book.sheets.values()))
    place = _target(archive, start[0], relation)
    texts, styles = _Texts(), _Styles()
    for kind, reader in (("sharedStrings", texts), ("styles", styles)):
        for part in _related(archive, start[0], kind):
            _parse(archive, part, reader)
    rows = _Rows(texts.texts, styles.dates, book.first_day)
    _parse(archive, place, rows)
    return rows.lines


def _parse(archive: zipfile.ZipFile, part: str, reader: _Reader) -> None:
    """Go through one part of the archive; what is larger than any is refused before it is unpacked."""
    try:
        info = archive.getinfo(part)
    except KeyError as error:
        raise _PartError(f"the workbook lacks its part {part[:80]!r}") from error
    if info.file_size > SHEET_MAX_BYTES:
        raise _PartError("a part of the workbook is larger than any")
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = lambda name, given: reader.start(name.rpartition("}")[2], given)
    parser.EndElementHandler = lambda name: reader.end(name.rpartition("}")[2])
    parser.CharacterDataHandler = reader.text
    with archive.open(info) as stream:
        left = SHEET_MAX_BYTES
        while piece := stream.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise _PartError("a part of the workbook is larger than any")
            parser.Parse(piece, False)
    parser.Parse(b"", True)


def _refuse_doctype(*_given: object) -> None:
    raise _PartError("a part of the workbook declares a document type, which no spreadsheet does")


class _Reader:
    """What hears of a part: its elements without their namespaces, and the text between them."""

    def start(self, name: str, given: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """Text inside of it."""


@dataclass(slots=True)
class _Relations(_Reader):
    """The relations of a part: by id the last word of the kind, and the target."""

    found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def start(self, name: str, given: Attributes) -> None:
        if name == "Relationship" and given.get("TargetMode") != "External":
            self.found[given["Id"]] = (given["Type"].rpartition("/")[2], given["Target"])


def _relations_of(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    folder, name = posixpath.split(part)
    place = posixpath.join(folder, "_rels", f"{name}.rels")
    relations = _Relations()
    if place in archive.NameToInfo:
        _parse(archive, place, relations)
    return {key: (kind, _inside(folder, target)) for key, (kind, target) in relations.found.items()}


def _inside(folder: str, target: str) -> str:
    """The name of a part in its archive: a target is told from its own folder, or from the top with a slash."""
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def _related(archive: zipfile.ZipFile, part: str, kind: str) -> list[str]:
    return [target for found, target in _relations_of(archive, part).values() if found == kind]


def _target(archive: zipfile.ZipFile, part: str, relation: str) -> str:
    found = _relations_of(archive, part).get(relation)
    if found is None or found[0] != "worksheet":
        raise _PartError("the sheet of the workbook is not where the workbook says")
    return found[1]


@dataclass(slots=True)
class _Book(_Reader):
    """The sheets of a workbook by name, each with the relation that leads to it, and the day that counts as 0."""

    sheets: dict[str, str] = field(default_factory=dict)
    first_day: datetime = datetime(1899, 12, 30, tzinfo=UTC)

    def start(self, name: str, given: Attributes) -> None:
        if name == "workbookPr" and given.get("date1904") in ("1", "true"):
            self.first_day = datetime(1904, 1, 1, tzinfo=UTC)
        if name == "sheet":
            relation = next(value for key, value in given.items() if key.endswith("}id"))
            self.sheets.setdefault(given["name"], relation)


@dataclass(slots=True)
class _Styles(_Reader):
    """Which formats of cells show a date."""

    codes: dict[int, str] = field(default_factory=dict)
    dates: list[bool] = field(default_factory=list)
    is_cell_formats: bool = False

    def start(self, name: str, given: Attributes) -> None:
        if name == "numFmt":
            self.codes[int(given["numFmtId"])] = given.get("formatCode", "")
        elif name == "cellXfs":
            self.is_cell_formats = True
        elif name == "xf" and self.is_cell_formats:
            self.dates.append(self._shows_date(int(given.get("numFmtId", "0"))))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self.is_cell_formats = False

    def _shows_date(self, number: int) -> bool:
        code = self.codes.get(number)
        if code is None:
            return number in _DATE_FORMATS
        return bool(
            _DATE_SIGNS & set(_NOT_OF_A_DATE.sub("", code.partition(";")[0]).lower()) and "general" not in code.lower()
        )


@dataclass(slots=True)
class _Texts(_Reader):
    """The texts that cells share; how they sound (``rPh``) is no part of them."""

    texts: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    depth_aside: int = 0
    is_text: bool = False

    def start(self, name: str, given: Attributes) -> None:
        if name == "si":
            self.pieces = []
        elif name == "rPh":
            self.depth_aside += 1
        elif name == "t":
            self.is_text = not self.depth_aside

    def end(self, name: str) -> None:
        if name == "si":
            self.texts.append(_plain("".join(self.pieces)))
            if len(self.texts) > _TEXTS_MAX:
                raise _PartError("the workbook has more texts than any")
        elif name == "rPh":
            self.depth_aside -= 1
        elif name == "t":
            self.is_text = False

    def text(self, data: str) -> None:
        if self.is_text:
            self.pieces.append(data)


@dataclass(slots=True)
class _Cell:
    """A cell that is being read."""

    place: int
    kind: str
    style: int
    pieces: list[str] = field(default_factory=list)
    is_formula: bool = False


class _Rows(_Reader):
    """The rows of a sheet, each cell as text."""

    def __init__(self, texts: list[str], dates: list[bool], first_day: datetime) -> None:
        self.lines: list[RawLine] = []
        self._texts, self._dates, self._first_day = texts, dates, first_day
        self._number = 0
        self._cells: list[str] = []
        self._formulas: set[int] = set()
        self._cell: _Cell | None = None
        self._count = self._aside = 0
        self._hears = False

    def start(self, name: str, given: Attributes) -> None:
        """An element begins."""
        if name == "row":
            self._number = int(given.get("r", self._number + 1))
            if not 0 < self._number <= ROWS_MAX:
                raise _PartError("the workbook has more rows than any")
            self._cells, self._formulas = [], set()
        elif name == "c":
            found = _PLACE.match(given.get("r", ""))
            place = _column(found[1]) if found else len(self._cells)
            self._cell = _Cell(place, given.get("t", "n"), int(given.get("s", "0")))
        elif name == "rPh":
            self._aside += 1
        elif self._cell is not None:
            self._cell.is_formula |= name == "f"
            self._hears = name in ("v", "t") and not self._aside

    def end(self, name: str) -> None:
        """An element ends."""
        if name == "c" and self._cell is not None:
            self._put(self._cell)
            self._cell = None
        elif name == "row":
            self.lines.append(RawLine(self._number, tuple(self._cells), frozenset(self._formulas)))
        elif name == "rPh":
            self._aside -= 1
        elif name in ("v", "t"):
            self._hears = False

    def text(self, data: str) -> None:
        """Text inside of it."""
        if self._hears and self._cell is not None:
            self._cell.pieces.append(data)

    def _put(self, cell: _Cell) -> None:
        self._count += 1
        if self._count > _CELLS_MAX:
            raise _PartError("the workbook has more cells than any")
        text = self._text(cell)
        if cell.place >= COLUMNS_MAX and not text and not cell.is_formula:
            return
        place = min(cell.place, COLUMNS_MAX)
        if len(self._cells) > place and cell.place < COLUMNS_MAX:
            raise _PartError("the cells of a row stand in no order")
        self._cells += [""] * (place + 1 - len(self._cells))
        self._cells[place] = text
        if cell.is_formula:
            self._formulas.add(place)

    def _text(self, cell: _Cell) -> str:
        text = "".join(cell.pieces)
        if cell.kind == "s":
            return self._texts[_index(text)]
        if cell.kind in ("inlineStr", "str"):
            return _plain(text)
        if cell.kind == "b":
            return "TRUE" if text.strip() == "1" else "FALSE" if text.strip() else ""
        if cell.kind == "n" and cell.style < len(self._dates) and self._dates[cell.style]:
            return _date_text(text, self._first_day)
        return text.strip()


def _index(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("no text has a number below 0")
    return number


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _plain(text: str) -> str:
    """Text with the signs that XML cannot hold, which a workbook writes as ``_x000D_``."""
    turn: Callable[[re.Match[str]], str] = lambda found: chr(int(found[1], 16))  # noqa: E731
    return _ESCAPED.sub(turn, text) if "_x" in text else text


def _date_text(text: str, first_day: datetime) -> str:
    """A day number as ISO text, to the second; what is no day stays as it is written."""
    try:
        days = Decimal(text.strip())
    except InvalidOperation:
        return text.strip()
    if not days.is_finite() or not 0 <= days < _SERIAL_MAX:
        return text.strip()
    moment = first_day + timedelta(seconds=int((days * 86_400).to_integral_value()))
    return (
        f"{moment:%Y-%m-%d}" if not (moment.hour or moment.minute or moment.second) else f"{moment:%Y-%m-%dT%H:%M:%S}"
    )
