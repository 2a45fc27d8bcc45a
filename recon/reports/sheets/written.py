"""A sheet as CSV or as an Excel workbook. Every text is a text there: a spreadsheet runs none of it as a formula.

The workbook is the least that Office Open XML (ECMA-376) asks for: one sheet with its first row fixed, a filter,
widths, and a list to choose from where words are to be filled in. The same rows give the same bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal
from xml.sax.saxutils import escape

from recon.core.errors import UsageError
from recon.reports.outputs.delimited import delimited_line
from recon.reports.sheets.model import CELL_MAX, ROWS_MAX, SheetColumn
from recon.reports.text import csv_cell

SheetKind = Literal["csv", "xlsx"]
_SURE_DIGITS: Final = 15
"""Digits that a spreadsheet keeps of a number."""
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_ESCAPE_LOOK: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_HEAD_STYLE, _TEXT_STYLE, _NUMBER_STYLE, _FILL_STYLE, _FILL_DATE_STYLE = 1, 2, 0, 3, 4


class TooManyRowsError(UsageError):
    """A spreadsheet does not take so many rows."""

    def __init__(self, *, rows: int) -> None:
        super().__init__(
            f"A spreadsheet takes {ROWS_MAX - 1:,} rows and these are {rows:,}; nothing was written. Choose fewer with "
            '"recon select" first.'
        )


def sheet_bytes(columns: Sequence[SheetColumn], rows: Sequence[Sequence[str]], *, kind: SheetKind, name: str) -> bytes:
    """The file of a sheet.

    Args:
        rows: A text for each column.
        name: What the sheet of a workbook is called.

    Raises:
        TooManyRowsError: A spreadsheet would leave some out.
    """
    if len(rows) >= ROWS_MAX:
        raise TooManyRowsError(rows=len(rows))
    safe = [[csv_cell(cell[:CELL_MAX]) for cell in row] for row in rows]
    if kind == "csv":
        return "".join([delimited_line([column.name for column in columns]), *map(delimited_line, safe)]).encode()
    return _workbook(columns, safe, name=name)


def workbook_bytes(columns: Sequence[SheetColumn], rows: Sequence[Sequence[str]], *, name: str) -> bytes:
    """The workbook of cells that are to come back to the last sign: none is cleaned, cut or quoted here.

    Raises:
        TooManyRowsError: A spreadsheet would leave some out.
    """
    if len(rows) >= ROWS_MAX:
        raise TooManyRowsError(rows=len(rows))
    return _workbook(columns, rows, name=name)


def _workbook(columns: Sequence[SheetColumn], rows: Sequence[Sequence[str]], *, name: str) -> bytes:
    parts = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _workbook_part(name, filtered=f"$A$1:${_letters(len(columns) - 1)}${len(rows) + 1}"),
        "xl/_rels/workbook.xml.rels": _relations([("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")]),
        "xl/styles.xml": _styles(),
        "xl/worksheets/sheet1.xml": "".join(_sheet(columns, rows)),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, text in parts.items():
            info = zipfile.ZipInfo(place, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _XML + text)
    return buffer.getvalue()


def _content_types() -> str:
    overrides = {"workbook": "sheet.main", "worksheets/sheet1": "worksheet", "styles": "styles"}
    told = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{_TYPE}.{kind}+xml"/>' for part, kind in overrides.items()
    )
    return (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{told}</Types>'
    )


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    told = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{told}</Relationships>'


def _workbook_part(name: str, *, filtered: str) -> str:
    quoted = escape(name, {'"': "&quot;"})
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELS}"><sheets><sheet name="{quoted}" sheetId="1" r:id="rId1"/></sheets>'
        f'<definedNames><definedName name="_xlnm._FilterDatabase" localSheetId="0" hidden="1">\'{quoted}\'!{filtered}'
        "</definedName></definedNames></workbook>"
    )


def _styles() -> str:
    """Plain, the heads in bold, texts that stay texts, and the cells to fill in with a ground of their own."""
    fill = '<fill><patternFill patternType="{}">{}</patternFill></fill>'
    yellow = '<fgColor rgb="FFFFF8DC"/><bgColor indexed="64"/>'
    font = '<font>{}<sz val="11"/><name val="Calibri"/></font>'
    lettered, numbered, filled = ' applyFont="1"', ' applyNumberFormat="1"', ' applyFill="1"'
    xf = '<xf numFmtId="{}" fontId="{}" fillId="{}" borderId="0" xfId="0"{}/>'
    return (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2">{font.format("")}{font.format("<b/>")}</fonts>'
        f'<fills count="3">{fill.format("none", "")}{fill.format("gray125", "")}{fill.format("solid", yellow)}</fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="5">{xf.format(0, 0, 0, "")}{xf.format(0, 1, 0, lettered)}{xf.format(49, 0, 0, numbered)}'
        f"{xf.format(49, 0, 2, numbered + filled)}{xf.format(0, 0, 2, filled)}"
        '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def _sheet(columns: Sequence[SheetColumn], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    last = len(rows) + 1
    yield f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    yield '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>'
    for number, column in enumerate(columns, start=1):
        yield f'<col min="{number}" max="{number}" width="{column.width}" customWidth="1"/>'
    yield "</cols><sheetData>"
    yield _row(1, [_cell(column.name, f"{_letters(place)}1", _HEAD_STYLE) for place, column in enumerate(columns)])
    places = [(_letters(place), column) for place, column in enumerate(columns)]
    for number, row in enumerate(rows, start=2):
        yield _row(
            number, [_body(text, f"{at}{number}", column) for text, (at, column) in zip(row, places, strict=True)]
        )
    yield f'</sheetData><autoFilter ref="A1:{_letters(len(columns) - 1)}{last}"/>'
    yield from _choices(places, last)
    yield "</worksheet>"


def _choices(places: Sequence[tuple[str, SheetColumn]], last: int) -> Iterator[str]:
    """The lists to choose from; more than 255 characters no spreadsheet takes."""
    told = [
        f'<dataValidation type="list" allowBlank="1" showErrorMessage="1" sqref="{at}2:{at}{max(last, 2)}">'
        f'<formula1>"{escape(",".join(column.choices))}"</formula1></dataValidation>'
        for at, column in places
        if column.choices
    ]
    if told:
        yield f'<dataValidations count="{len(told)}">{"".join(told)}</dataValidations>'


def _row(number: int, cells: Iterable[str]) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def _body(text: str, at: str, column: SheetColumn) -> str:
    if column.is_number and _NUMBER.match(text) and len(text.strip("-").replace(".", "").strip("0")) <= _SURE_DIGITS:
        return f'<c r="{at}" s="{_NUMBER_STYLE}"><v>{text}</v></c>'
    fill = _FILL_DATE_STYLE if column.is_number else _FILL_STYLE
    style = fill if column.is_filled_in else _TEXT_STYLE
    return _cell(text, at, style) if text or column.is_filled_in else ""


def _cell(text: str, at: str, style: int) -> str:
    if not text:
        return f'<c r="{at}" s="{style}"/>'
    inner = escape(_ESCAPE_LOOK.sub("_x005F_", text))
    return f'<c r="{at}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{inner}</t></is></c>'


def _letters(place: int) -> str:
    """The letters of a column, counted from 0: A, Z, AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text
