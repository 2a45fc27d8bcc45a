"""Sheets: what is written is text to every spreadsheet, and what spreadsheets save is read as what it was."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from recon.reports.sheets import SheetColumn, SheetError, read_sheet, sheet_bytes
from recon.reports.sheets.cells import is_same_cell, until_of_cell
from recon.reports.sheets.written import TooManyRowsError
from tests.support.workbooks import STRICT, Saved, saved_workbook

COLUMNS = (SheetColumn("a"), SheetColumn("b", is_number=True), SheetColumn("c", choices=("x", "y"), is_filled_in=True))
NAMES = [column.name for column in COLUMNS]
ROWS = [
    ["=1+1", "12.5", ""],
    ["<a & 'b'> _x0041_", "123456789012345678901", "x"],
    ['ünïcode, "quoted"; semi', "-3", "y"],
]


def cells(data: bytes, **given: Any) -> list[list[str]]:
    sheet = read_sheet(data, name="f", columns=given.pop("columns", NAMES), **given)
    return [[line.cells[name] for name in sheet.columns if name] for line in sheet.lines]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_is_written_is_read_back_and_no_text_of_it_is_a_formula(kind: Any) -> None:
    data = sheet_bytes(COLUMNS, ROWS, kind=kind, name="decisions")
    assert cells(data) == [["'=1+1", "12.5", ""], *ROWS[1:]]
    assert data == sheet_bytes(COLUMNS, ROWS, kind=kind, name="decisions")


def test_a_workbook_holds_no_formula_and_numbers_only_where_no_digit_is_lost() -> None:
    with zipfile.ZipFile(io.BytesIO(sheet_bytes(COLUMNS, ROWS, kind="xlsx", name="d"))) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert re.findall(r"<v>(.*?)</v>", sheet) == ["12.5", "-3"]
    assert '<formula1>"x,y"</formula1>' in sheet


def test_more_rows_than_a_spreadsheet_takes_are_refused() -> None:
    with pytest.raises(TooManyRowsError, match="1,048,575 rows"):
        sheet_bytes(COLUMNS, [["", "", ""]] * 1_048_576, kind="csv", name="d")


PLAIN = "a,b,c\r\n1,2,\r\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\r\n", "\n").encode(),
        PLAIN.replace("\r\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        ("sep=;\r\n" + PLAIN.replace(",", ";")).encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        b'"a","b","c"\n"1","2",""\n',
        (PLAIN + ",,\r\n,,\r\n\r\n").encode(),
        b"\r\na,b,c,,\r\n1,2,,,\r\n",
    ],
)
def test_csv_is_read_as_spreadsheets_save_it(data: bytes) -> None:
    assert cells(data) == [["1", "2", ""]]


def test_the_code_page_of_windows_is_read() -> None:
    assert cells("a,b,c\nMüller,2,\n".encode("cp1252")) == [["Müller", "2", ""]]


@pytest.mark.parametrize(
    "saved",
    [
        Saved(),
        Saved(absolute=True, before=("Notes", "Other")),
        Saved(namespace=STRICT),
        Saved(rich=True),
        Saved(places=False),
        Saved(from_1904=True),
        Saved(format_code="[$-409]d/m/yy h:mm\\ AM/PM;@"),
        Saved(format_code='dd"."mm"."yyyy'),
        Saved(sheet="Sheet1"),
    ],
)
def test_a_workbook_is_read_as_spreadsheets_save_it(saved: Saved) -> None:
    rows = [["a", "b", "c"], ["_x0041_ & <b>", 46357.5, date(2026, 12, 31)], [None] * 3, [True, 3, "0012"]]
    assert cells(saved_workbook(rows, saved), sheet="decisions") == [
        ["A & <b>", "46357.5", "2026-12-31"],
        ["TRUE", "3", "0012"],
    ]


@pytest.mark.parametrize("code", ['0.00" days"', "#,##0.00", "General", "[Red]0.0", '"d"0'])
def test_a_number_whose_format_only_looks_like_one_of_dates_stays_a_number(code: str) -> None:
    rows = [["a", "b", "c"], ["x", 1, date(2026, 12, 31)]]
    assert cells(saved_workbook(rows, Saved(format_code=code))) == [["x", "1", "46387"]]


def test_a_line_is_counted_where_it_begins_and_a_formula_is_told() -> None:
    sheet = read_sheet(b'a,b,c\n"two\nlines",1,\nx,2,\n', name="f", columns=NAMES)
    assert [line.number for line in sheet.lines] == [2, 4]
    rows = [["a", "b", "c"], ["x", 1, "apply"]]
    [line] = read_sheet(
        saved_workbook(rows, Saved(formulas={"C2": 'IF(A2="x","apply")'})), name="f", columns=NAMES
    ).lines
    assert (line.number, line.formulas, line.cells["c"]) == (2, ("c",), "apply")


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><sst>&b;</sst>'
WIDE_BOMB = BOMB.decode().encode("utf-16")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "holds no row"),
        (b"a,a,c\n", "two columns are headed 'a'"),
        (b'a,b,c\n"open,1,\n', "line 2: the line is no whole line of CSV"),
        (b"\x00\x01\x02", "no text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 100, "a password or is of an old format"),
        (b"PK\x03\x04 and nothing", "cut or broken"),
        (saved_workbook([["a"]])[:-40], "cut or broken"),
        (saved_workbook([["a"]], Saved(parts={"xl/sharedStrings.xml": BOMB})), "declares a document type"),
        (saved_workbook([["a"]], Saved(parts={"xl/sharedStrings.xml": WIDE_BOMB})), "document type"),
        (saved_workbook([["a"]], Saved(parts={"xl/sharedStrings.xml": b"<sst/>"})), "a part of the workbook is broken"),
        (saved_workbook([["a"]], Saved(parts={"xl/worksheets/sheet1.xml": b"<worksheet>"})), "is broken"),
        (saved_workbook([["a"]], Saved(parts={"mimetype": b"opendocument"})), "save it as .xlsx or as CSV"),
        (saved_workbook([["a"]], Saved(parts={"_rels/.rels": b"<Relationships/>"})), "no Excel workbook"),
        (saved_workbook([["a"]], Saved(parts={"xl/_rels/workbook.xml.rels": b"<r/>"})), "not where the workbook says"),
        (saved_workbook([["a"]], Saved(parts={"xl/workbook.xml": b"<workbook/>"})), "has no sheet"),
    ],
)  # fmt: skip
def test_what_is_no_sheet_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(SheetError, match=why) as raised:
        read_sheet(data, name="file.xlsx", columns=NAMES)
    assert str(raised.value).startswith("file.xlsx")
    assert str(raised.value).endswith("nothing was written.")


def test_a_workbook_that_unpacks_to_more_than_any_is_refused_before_it_is_unpacked(monkeypatch: Any) -> None:
    monkeypatch.setattr("recon.reports.sheets.workbook.SHEET_MAX_BYTES", 100_000)
    data = saved_workbook([["a"]], Saved(parts={"xl/sharedStrings.xml": b"<sst>" + b" " * 200_000 + b"</sst>"}))
    with pytest.raises(SheetError, match="larger than any"):
        read_sheet(data, name="f", columns=NAMES)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("8453.0", "8453"),
        ("12.50", "12.5"),
        ("12,5", "12.5"),
        ("1.234,5", "1234.5"),
        ("1,234.5", "1234.5"),
        ("1.23457E+11", "123456789012"),
        ("6.65E+12", "665e10"),
        ("3750", "3750.00000000000000003"),
        ("1234567.123", "1234567.12345"),
        ("12", "0012"),
        ("=1+1", "'=1+1"),
        ("TRUE", "true"),
        ("  two  words ", "two words"),
        ("20.11.2026", "2026-11-20"),
        ("11/20/2026", "2026-11-20"),
        ("2026-11-20T08:30:00", "2026-11-20T08:30Z"),
    ],
)
def test_a_cell_that_went_through_a_spreadsheet_is_not_changed(found: str, wanted: str) -> None:
    assert is_same_cell(found, wanted)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("12.6", "12.5"),
        ("8454", "8453"),
        ("", "0"),
        ("", "x"),
        ("1E+11", "123456789012"),
        ("123456789013", "123456789012"),
        ("0x11", "0x12"),
        ("Paid", "paid"),
        ("21.11.2026", "2026-11-20"),
        ("125", "1,25 and more"),
        ("1e999999999", "12"),
        ("nan", "12"),
    ],
)
def test_a_cell_that_says_another_thing_is_changed(found: str, wanted: str) -> None:
    assert not is_same_cell(found, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026/12/31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31 08:30", datetime(2026, 12, 31, 8, 30, tzinfo=UTC)),
        ("2026-12-31T08:30:00", datetime(2026, 12, 31, 8, 30, tzinfo=UTC)),
        ("2026-12-31T08:30+01:00", datetime(2026, 12, 31, 7, 30, tzinfo=UTC)),
        ("31.12.2026", datetime(2026, 12, 31, tzinfo=UTC)),
        ("12/31/2026", datetime(2026, 12, 31, tzinfo=UTC)),
        ("31/12/2026 9:05", datetime(2026, 12, 31, 9, 5, tzinfo=UTC)),
        ("7d", timedelta(days=7)),
        ("1/12/2026", None),
        ("31/12/26", None),
        ("31.12.2026 25:00", None),
        ("2026-02-30", None),
        ("46387", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_date_is_read_as_people_and_spreadsheets_write_it_unless_it_may_be_two(text: str, wanted: Any) -> None:
    assert until_of_cell(text) == wanted
