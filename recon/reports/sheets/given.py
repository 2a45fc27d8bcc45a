"""A sheet as it comes back: CSV as spreadsheets save it, or a workbook."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from recon.reports.sheets.model import (
    COLUMNS_MAX,
    ROWS_MAX,
    SHEET_MAX_BYTES,
    GivenSheet,
    RawLine,
    SheetError,
    named_lines,
)
from recon.reports.sheets.workbook import workbook_lines

_ZIP: Final = b"PK\x03\x04"
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DELIMITERS: Final = (",", ";", "\t", "|")
_WIDE: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_sheet(data: bytes, *, name: str, columns: Collection[str], sheet: str = "") -> GivenSheet:
    """The rows of a file that a spreadsheet saved.

    CSV is read in UTF-8, with a byte order mark or not, in UTF-16 with one, else in the Western code page of Windows.
    Commas, semicolons, tabs or bars set its cells apart, whichever splits the first row into the columns meant.

    Args:
        name: The file, for messages.
        columns: The columns that are meant.
        sheet: The sheet of a workbook; its first one where none is called so.

    Raises:
        SheetError: It is no sheet, is broken, or is larger than any.
    """
    if len(data) > SHEET_MAX_BYTES:
        raise SheetError(path=name, why=f"it is larger than {SHEET_MAX_BYTES // 1_000_000} MB")
    if data.startswith(_OLD_OFFICE):
        raise SheetError(path=name, why="it has a password or is of an old format; save it as .xlsx without one")
    if data.startswith(_ZIP):
        return named_lines(name, workbook_lines(data, name=name, sheet=sheet))
    return named_lines(name, list(_csv_lines(_text_of(data, name), name=name, columns=columns)))


def sheet_data(path: Path) -> bytes:
    """The bytes of a file that a person named.

    Raises:
        SheetError: It cannot be read, or is larger than any sheet.
    """
    try:
        if path.stat().st_size > SHEET_MAX_BYTES:
            raise SheetError(path=path.name, why=f"it is larger than {SHEET_MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise SheetError(path=str(path), why=f"it cannot be read ({error.strerror})") from error


def _text_of(data: bytes, name: str) -> str:
    coding = next((coding for mark, coding in _WIDE if data.startswith(mark)), "")
    try:
        if coding:
            return data.decode(coding)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise SheetError(path=name, why="it is no text; save it as CSV in UTF-8, or as .xlsx") from error
    if "\0" in text:
        raise SheetError(path=name, why="it is no text; save it as CSV in UTF-8, or as .xlsx")
    return text


def _csv_lines(text: str, *, name: str, columns: Collection[str]) -> Iterator[RawLine]:
    skipped = 0
    if text[:4].lower() == "sep=" and len(first := text.splitlines()[0]) == 5:
        delimiters: tuple[str, ...] = (first[4],)
        text, skipped = text[len(first) :].lstrip("\r").removeprefix("\n"), 1
    else:
        delimiters = _DELIMITERS
    delimiter = max(delimiters, key=lambda each: len(set(columns) & set(_first_row(text, each))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1 + skipped
    try:
        for cells in reader:
            beyond = "".join(cells[COLUMNS_MAX:]).strip()
            yield RawLine(begins, (*cells[:COLUMNS_MAX], beyond) if beyond else tuple(cells[:COLUMNS_MAX]))
            begins = reader.line_num + 1 + skipped
            if begins > ROWS_MAX * 4:
                raise SheetError(path=name, line=begins, why="it has more lines than any sheet")
    except csv.Error as error:
        raise SheetError(path=name, line=begins, why=f"the line is no whole line of CSV ({error})") from error


def _first_row(text: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text[:20_000], newline=""), delimiter=delimiter)
        return [cell.strip() for cell in next((row for row in rows if any(map(str.strip, row))), [])]
    except csv.Error:
        return []
