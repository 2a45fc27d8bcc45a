"""Files that are one JSON document: what cloud consoles, browsers and command lines export.

Google's ``gcloud logging read --format json`` is a list over many lines, Azure writes ``{"records": [...]}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    elif isinstance(value, dict) and _is_stream(value):
        yield from ({"timestamp": at, "line": text} for at, text in value["values"])
    elif isinstance(value, dict):
        inner = next((value[name] for name in lists if _holds_rows(value.get(name), lists)), None)
        if inner is None or depth >= _DEPTH_MAX:
            yield value
        else:
            yield from _rows(inner, depth + 1, lists)


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
