"""Workbooks as spreadsheets save them, written by hand: shared texts, rich text, styles, dates as day numbers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
Cell = str | int | float | bool | date | None


@dataclass
class Saved:
    """How a spreadsheet saves a workbook.

    Args:
        formulas: By place, for example ``B2``, what stands there instead of a value.
        parts: Further parts of the archive, or other ones.
    """

    sheet: str = "decisions"
    before: Sequence[str] = ()
    absolute: bool = False
    namespace: str = MAIN
    from_1904: bool = False
    format_code: str = "yyyy\\-mm\\-dd"
    rich: bool = False
    places: bool = True
    formulas: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)


def saved_workbook(rows: Sequence[Sequence[Cell]], saved: Saved | None = None) -> bytes:
    """The bytes of a workbook."""
    how = saved or Saved()
    texts: dict[str, int] = {}
    body = "".join(_row(number, row, texts, how) for number, row in enumerate(rows, start=1))
    names = [*how.before, how.sheet]
    sheets = "".join(f'<sheet name="{escape(n)}" sheetId="{i}" r:id="s{i}"/>' for i, n in enumerate(names, start=1))
    top = "/xl/" if how.absolute else ""
    linked = "".join(
        f'<Relationship Id="s{i}" Type="{RELATIONS}/worksheet" Target="{top}worksheets/sheet{i}.xml"/>'
        for i, _ in enumerate(names, start=1)
    )
    linked += f'<Relationship Id="t" Type="{RELATIONS}/sharedStrings" Target="{top}sharedStrings.xml"/>'
    linked += f'<Relationship Id="y" Type="{RELATIONS}/styles" Target="{top}styles.xml"/>'
    shared = "".join(f"<si>{_text(text, how)}</si>" for text in texts)
    parts: dict[str, str | bytes] = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="a" Type="{RELATIONS}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{how.namespace}" xmlns:r="{RELATIONS}">'
        f'<workbookPr date1904="{int(how.from_1904)}"/><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{linked}</Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{how.namespace}">{shared}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{how.namespace}"><numFmts count="1"><numFmt numFmtId="164" formatCode="'
        f'{escape(how.format_code, {chr(34): "&quot;"})}"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        **{f"xl/worksheets/sheet{i}.xml": f'<worksheet xmlns="{how.namespace}"><sheetData/></worksheet>'
           for i, _ in enumerate(how.before, start=1)},
        f"xl/worksheets/sheet{len(names)}.xml": f'<worksheet xmlns="{how.namespace}"><sheetData>{body}</sheetData>'
        "</worksheet>",
        **how.parts,
    }  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _text(text: str, how: Saved) -> str:
    if not how.rich or len(text) < 2:
        return f'<t xml:space="preserve">{escape(text)}</t>'
    runs = "".join(f'<r><rPr><b/></rPr><t xml:space="preserve">{escape(p)}</t></r>' for p in (text[:1], text[1:]))
    return f'{runs}<rPh sb="0" eb="1"><t>sound</t></rPh>'


def _row(number: int, row: Sequence[Cell], texts: dict[str, int], how: Saved) -> str:
    cells = "".join(_cell(f"{_letters(place)}{number}", value, texts, how) for place, value in enumerate(row))
    return f'<row r="{number}">{cells}</row>' if how.places else f"<row>{cells}</row>"


def _cell(at: str, value: Cell, texts: dict[str, int], how: Saved) -> str:
    place = f' r="{at}"' if how.places else ""
    if at in how.formulas:
        return f'<c{place} t="str"><f>{escape(how.formulas[at])}</f><v>{escape(str(value))}</v></c>'
    if value is None or value == "":
        return "" if how.places else "<c/>"
    if isinstance(value, bool):
        return f'<c{place} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, date):
        first = date(1904, 1, 1) if how.from_1904 else date(1899, 12, 30)
        return f'<c{place} s="1"><v>{(value - first).days}</v></c>'
    if isinstance(value, int | float):
        return f"<c{place}><v>{value!r}</v></c>"
    return f'<c{place} t="s"><v>{texts.setdefault(value, len(texts))}</v></c>'


def _letters(place: int) -> str:
    return chr(65 + place) if place < 26 else chr(64 + place // 26) + chr(65 + place % 26)
