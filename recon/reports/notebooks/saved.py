"""Frames as files that come back the same: Parquet for programs, Excel for people.

In a workbook every amount, time and list is a text that holds all of it, numbers of up to 15 digits are numbers, and
nothing is a formula. What a sheet cannot hold as it is (an empty text, spaces at the ends, a sign that is not seen)
stands there in JSON quotes. An empty cell is what is not known.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from recon.core.errors import RefusedError, UsageError
from recon.core.times import ms_text, parse_iso_ms
from recon.reports.notebooks.columns import ATTRS, ColumnKind, documented, meanings

if TYPE_CHECKING:
    import pandas as pd

FileKind = Literal["parquet", "xlsx"]
INDEX: Final = "frames.json"
"""In a directory of saved frames: what they are frames of, and the file of each."""
ENDINGS: Final = (".parquet", ".xlsx")
_ROW: Final = "row"
_FORMAT: Final = 1
_INDEX_MAX_BYTES: Final = 1_000_000
_MISSING_TIME: Final = -(2**63)


class TooLongForExcelError(UsageError):
    """A cell is longer than a spreadsheet takes."""

    def __init__(self, *, frame: str, column: str, row: int) -> None:
        super().__init__(
            f"{frame}, row {row}: {column} is longer than a cell of a spreadsheet; save these frames as Parquet."
        )


class SavedFramesError(RefusedError):
    """A file of saved frames cannot be read back."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; it is no frame that was saved here, or was changed since.")


def save_frames(
    frames: Mapping[str, pd.DataFrame], folder: Path, *, artefact_kind: str, name: str, file_kind: FileKind
) -> Path:
    """Write frames into a new directory, a file each.

    Raises:
        FileThereError: Something is there already.
        TooLongForExcelError: A cell does not fit into a workbook; nothing was written.
    """
    from recon.files import check_free, make_folder, save_new

    check_free(folder)
    written = {called: frame_bytes(frame, name=called, file_kind=file_kind) for called, frame in frames.items()}
    make_folder(folder)
    files = {}
    for called, data in written.items():
        files[called] = f"{called}.{file_kind}"
        save_new(folder / files[called], data)
    told = {"format": _FORMAT, "kind": artefact_kind, "name": name, "files": files}
    save_new(folder / INDEX, json.dumps(told, indent=1).encode())
    return folder


def frame_bytes(frame: pd.DataFrame, *, name: str, file_kind: FileKind) -> bytes:
    """A frame as the bytes of a file."""
    if file_kind == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    from recon.reports.sheets.model import CELL_MAX, SheetColumn
    from recon.reports.sheets.written import workbook_bytes

    kinds = [_kind(frame, str(column)) for column in frame.columns]
    columns = [SheetColumn(_ROW, width=8, is_number=True)]
    columns += [
        SheetColumn(str(column), width=24 if kind in ("text", "list") else 16, is_number=kind not in ("text", "list"))
        for column, kind in zip(frame.columns, kinds, strict=True)
    ]
    cells = [_written(frame[column], kind) for column, kind in zip(frame.columns, kinds, strict=True)]
    rows = [[str(number), *row] for number, row in enumerate(zip(*cells, strict=True))]
    for number, row in enumerate(rows):
        for place, text in enumerate(row):
            if len(text) > CELL_MAX:
                raise TooLongForExcelError(frame=name, column=columns[place].name, row=number)
    return workbook_bytes(columns, rows, name=name[:31])


def read_frames(folder: Path) -> tuple[str, str, dict[str, pd.DataFrame]]:
    """What :func:`save_frames` wrote: the kind, the name, and the frames.

    Raises:
        SavedFramesError: Something is missing or is not what was written.
    """
    try:
        with (folder / INDEX).open("rb") as stream:
            told = json.loads(stream.read(_INDEX_MAX_BYTES))
        files = {str(name): str(file) for name, file in told["files"].items()}
        kind, name = str(told["kind"]), str(told["name"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SavedFramesError(path=folder / INDEX, why=f"it cannot be read ({type(error).__name__})") from error
    outside = [file for file in files.values() if Path(file).name != file]
    if outside:
        raise SavedFramesError(path=folder / INDEX, why=f"it names {outside[0][:60]!r}, which is outside of it")
    return kind, name, {called: read_frame(folder / file) for called, file in files.items()}


def read_frame(path: Path) -> pd.DataFrame:
    """One saved frame, with the types that its columns had.

    Raises:
        SavedFramesError: It is none.
    """
    import pandas as pd

    from recon.reports.notebooks import exact  # noqa: F401 - pandas learns the types of the columns
    from recon.reports.sheets import SheetError

    try:
        if path.suffix == ".xlsx":
            return _from_sheet(path)
        frame = pd.read_parquet(path)
        for column in frame.columns:
            if _kind(frame, str(column)) == "list":
                cells = [None if cell is None else tuple(cell) for cell in frame[column]]
                frame[column] = pd.Series(cells, dtype="object", index=frame.index)
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, SheetError) as error:
        raise SavedFramesError(path=path, why=str(error)[:200]) from error
    return frame


def _from_sheet(path: Path) -> pd.DataFrame:
    import pandas as pd

    from recon.reports.notebooks.frames import column_of
    from recon.reports.sheets import sheet_data
    from recon.reports.sheets.workbook import workbook_lines

    lines = workbook_lines(sheet_data(path), name=path.name)
    if not lines or lines[0].cells[:1] != (_ROW,):
        raise ValueError("its first column is not called row")
    names = lines[0].cells[1:]
    rows = [(*line.cells[1:], *[""] * (len(names) + 1 - len(line.cells))) for line in lines[1:]]
    known = meanings()
    found = {}
    for place, name in enumerate(names):
        kind = known[name].kind if name in known else "text"
        cells = [None if not row[place] else _READ[kind](row[place]) for row in rows]
        found[name] = column_of(name, cells) if name in known else pd.array(cells, dtype="string")
    return documented(pd.DataFrame(found, columns=list(names)), path.stem)


def _kind(frame: pd.DataFrame, column: str) -> ColumnKind:
    """What a column holds: as its frame says, else as its name does."""
    told = frame.attrs.get(ATTRS, {}).get("columns", {}).get(column)
    if told:
        return told[0]  # type: ignore[no-any-return]
    known = meanings().get(column)
    return known.kind if known else "text"


def _written(column: Any, kind: ColumnKind) -> list[str]:
    """The cells of a column as texts of a sheet."""
    if kind == "time":
        moments = column.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype("int64")
        return ["" if at == _MISSING_TIME else _time_text(int(at)) for at in moments]
    if kind == "age":
        spans = column.to_numpy().astype("timedelta64[s]").astype("int64")
        return ["" if span == _MISSING_TIME else str(span) for span in spans]
    missing = column.isna()
    return ["" if gone else _WRITE[kind](cell) for cell, gone in zip(column, missing, strict=True)]


def _time_text(at_ms: int) -> str:
    text = ms_text(at_ms)
    return text if parse_iso_ms(text) == at_ms else f"{at_ms} ms"


def _time_of(text: str) -> int | None:
    return int(text.removesuffix(" ms")) if text.endswith(" ms") else parse_iso_ms(text)


def _cell_text(text: str) -> str:
    """A text as it is where a sheet keeps it so, else in JSON quotes."""
    from recon.reports.text import csv_cell, display_text

    is_plain = bool(text) and text == text.strip() and text[0] not in "\"'"
    if is_plain and display_text(text, length_max=len(text) + 1) == text and csv_cell(text[:9]) == text[:9]:
        return text
    return json.dumps(text)


def _text_of(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


def _exact_text(cell: int | Decimal) -> str:
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _tuple_text(cell: Sequence[str]) -> str:
    return json.dumps(list(cell))


_WRITE: Final[Mapping[ColumnKind, Callable[[Any], str]]] = {
    "text": lambda cell: _cell_text(str(cell)), "int": str, "bool": lambda cell: "TRUE" if cell else "FALSE",
    "units": _exact_text, "tokens": _exact_text, "list": _tuple_text,
}  # fmt: skip
_READ: Final[Mapping[ColumnKind, Callable[[str], Any]]] = {
    "text": _text_of, "int": int, "bool": lambda text: text == "TRUE", "units": int, "tokens": Decimal,
    "time": _time_of, "age": int, "list": lambda text: tuple(json.loads(text)),
}  # fmt: skip
