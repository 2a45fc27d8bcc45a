"""Files that are one JSON document: what cloud consoles, browsers and command lines export.

Google's ``gcloud logging read --format json`` is a list over many lines, Azure writes ``{"records": [...]}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from recon.core.bounded_json import JsonTooLargeError, decode_json, decode_many

DOCUMENT_MAX_BYTES: Final = 64 * 1024 * 1024
LISTS: Final = (
    "records", "Records", "entries", "logEvents", "events", "items", "logs", "hits", "data", "results", "value", "log",
    "result", "requests", "streams",
)  # fmt: skip
"""Fields under which an export of a log keeps its rows."""
_TELEMETRY: Final = (("resourceLogs", "scopeLogs", "logRecords"), ("resourceSpans", "scopeSpans", "spans"))
_DEPTH_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Document:
    """A file that is one JSON document.

    Args:
        problem: Why it could not be read; None where it was.
    """

    rows: tuple[Mapping[str, Any], ...]
    size: int
    problem: str | None = None


def whole_document(pieces: Iterator[bytes], *, lists: Sequence[str] = LISTS) -> tuple[Document | None, Iterator[bytes]]:
    """The rows of a file that is one JSON document; None, with all its pieces, where it is none.

    Args:
        lists: Fields under which an export keeps its rows.
    """
    first = next(pieces, b"")
    if not _may_be_document(first):
        return None, chain([first], pieces)
    held, size = [first], len(first)
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > DOCUMENT_MAX_BYTES:
            if not _is_list(first):
                return None, chain(held, pieces)
            why = f"is one JSON document of over {DOCUMENT_MAX_BYTES >> 20} MB; write one row a line: jq -c '.[]'"
            return Document((), size, why), iter(())
    text = b"".join(held).removeprefix(b"\xef\xbb\xbf")
    try:
        value = _decoded(text)
    except JsonTooLargeError as error:
        return Document((), size, str(error)), iter(())
    except ValueError:
        return None, iter(held)
    del held, text
    return Document(tuple(_rows(value, 0, lists)), size), iter(())


def batch_rows(line: bytes) -> tuple[Mapping[str, Any], ...]:
    """The rows of a line that holds several, as a batch of a cloud's log."""
    begin = min((at for at in (line.find(b"{"), line.find(b"[")) if at >= 0), default=-1)
    if begin < 0:
        return ()
    try:
        value = decode_json(line[begin:])
    except ValueError:
        return ()
    rows = tuple(_rows(value, 0, LISTS))
    return () if len(rows) == 1 and rows[0] is value else rows


def _decoded(text: bytes) -> Any:
    """One JSON text, or the list of several that stand behind each other over many lines."""
    try:
        return decode_json(text)
    except JsonTooLargeError:
        raise
    except ValueError:
        if b"\n" not in text.strip():
            raise
        return decode_many(text)


def _may_be_document(first: bytes) -> bool:
    """Whether a file begins as a list, or as an object that does not end with its line."""
    head = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] == b"[":
        return _is_list(first)
    if head[:1] != b"{":
        return False
    line, _, more = head.partition(b"\n")
    if len(line.rstrip()) < 3 or not more.strip():
        return True
    try:
        decode_json(line)
    except ValueError:
        return more.lstrip()[:1] in (b'"', b"{", b"[", b"}", b"]")
    return False


def _is_list(first: bytes) -> bool:
    head = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1] == b"[" and head[1:].lstrip()[:1] in (b"{", b"]", b"[")


def _rows(value: Any, depth: int, lists: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The innermost objects of the lists in which an export keeps its rows."""
    if isinstance(value, list):
        for each in value:
            yield from _rows(each, depth, lists)
    elif isinstance(value, dict) and (known := _rows_of_kind(value)) is not None:
        yield from known
    elif isinstance(value, dict):
        inner = next((value[name] for name in lists if _holds_rows(value.get(name), lists)), None)
        if inner is None or depth >= _DEPTH_MAX:
            yield value
        else:
            yield from _rows(inner, depth + 1, lists)


def _rows_of_kind(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]] | None:
    """The rows of an export that keeps them in a way of its own; None for every other object."""
    if _is_stream(value):
        return ({"timestamp": at, "line": text} for at, text in value["values"])
    return _tables(value) if _is_answer(value) else _telemetry(value)


def _holds_rows(value: Any, lists: Sequence[str]) -> bool:
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict) and any(_holds_rows(value.get(name), lists) for name in lists)


def _is_stream(value: Mapping[str, Any]) -> bool:
    """Whether an object is a stream of Loki: its labels, and its lines as pairs of nanoseconds and text."""
    lines = value.get("values")
    return (
        isinstance(value.get("stream"), dict)
        and isinstance(lines, list)
        and all(isinstance(each, list) and len(each) == 2 for each in lines)
    )


def _telemetry(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]] | None:
    """The records or spans of an export of OpenTelemetry; None where it is none."""
    for outer, middle, inner in _TELEMETRY:
        if isinstance(value.get(outer), list):
            return _objects(each for part in _objects(value[outer], middle) for each in _objects([part], inner))
    return None


def _objects(values: Iterable[Any], name: str | None = None) -> Iterator[Mapping[str, Any]]:
    """The objects among some values; those in a list of each of them where a name is given."""
    for value in values:
        if isinstance(value, dict) and name is None:
            yield value
        elif isinstance(value, dict) and isinstance(inner := value.get(str(name)), list):
            yield from _objects(inner)


def _is_answer(value: Mapping[str, Any]) -> bool:
    """Whether an object is what Azure's query service answers: tables with columns that have names."""
    tables = value.get("tables")
    return isinstance(tables, list) and all(
        isinstance(each, dict) and isinstance(each.get("columns"), list) and isinstance(each.get("rows"), list)
        for each in tables
    )


def _tables(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rows of an answer of Azure's query service, by the names of their columns."""
    for table in value["tables"]:
        names = [str(column.get("name")) for column in _objects(table["columns"])]
        for row in table["rows"]:
            yield dict(zip(names, row, strict=False)) if isinstance(row, list) else {"row": row}
