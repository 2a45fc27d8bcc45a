"""Records of webhook deliveries, dead letters and durable ingress, read from files and collections.

Read are NDJSON, JSON documents of any usual export, HAR archives, CSV, mongodump's BSON and the dumps of ``pg_dump``,
plain or packed; a directory of such files and of pairs ``NAME.body`` and ``NAME.headers``; and the documents of a
MongoDB collection. What each record may look like is in :mod:`recon.sources.deliveries.forms`. The body is kept as the
bytes that came, where they were kept: a signature is over those, and a body that was parsed and written again has other
number or escape formats.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

from recon.core.bounded_json import JsonTooLargeError
from recon.core.errors import SourceError
from recon.core.text import clean_text, count_text
from recon.sources.deliveries.bodies import BODY_MAX_BYTES
from recon.sources.deliveries.delivery import Delivery, DeliveryFile
from recon.sources.deliveries.dumps import BrokenDumpError, dumped
from recon.sources.deliveries.forms import FIELDS, LISTS, ROWS
from recon.sources.deliveries.parsing import (
    Names,
    as_object,
    is_export_head,
    is_other_request,
    parse_delivery,
    read_time,
)
from recon.sources.deliveries.texts import COPY, copied_cells, copied_names, record_of_line
from recon.sources.documents import whole_document
from recon.sources.packing import Broken, unpacked

RECORDS_MAX: Final = 5_000_000
MEMORY_MAX: Final = 500 * 1024 * 1024
"""Most bytes that the deliveries of one place may take in memory."""

LINE_MAX_BYTES: Final = 8 * 1024 * 1024
HAS_MAX: Final = 12
_RECORD_BYTES: Final = 1_600
_DECODER: Final = json.JSONDecoder()
_HEADERS_OF: Final = ("", "request.", "req.", "httpRequest.", "properties.", "metadata.")
"""What may stand before ``headers.NAME`` in the header of a table that was made flat."""
_BETWEEN = re.compile(rb"\}\s*\{")
_BLANK = re.compile(r"\s*")
_PACKED: Final = ("", ".gz", ".bz2", ".xz", ".zst", ".lz4")
_SUFFIXES: Final = tuple(
    f"{kind}{packed}"
    for kind in (".ndjson", ".jsonl", ".json", ".har", ".csv", ".tsv", ".bson", ".sql")
    for packed in _PACKED
)


class DeliveriesReadError(SourceError):
    """Delivery records cannot be read."""

    def __init__(self, *, place: str, why: str) -> None:
        super().__init__(
            f"{clean_text(place, limit=200)}: no delivery records can be read there ({clean_text(why, limit=160)})."
        )


def load_deliveries(path: Path, *, bodies: bool = True, names: Names | None = None) -> DeliveryFile:
    """Read a file or a directory of delivery records.

    Args:
        bodies: Whether bodies and headers stay in memory; signatures and replays need them, timelines do not.
        names: Further names of fields, by field; see :data:`~recon.sources.deliveries.forms.FIELDS`.

    Raises:
        DeliveriesReadError: It cannot be opened. A file that breaks off is read as far as it goes.
        PackedFileError: It is packed in a way that is not read.
    """
    if path.is_dir():
        return _directory(path, bodies=bodies, names=names)
    reading = _Reading(bodies=bodies, names=names)
    reading.file(path, path.name)
    return reading.found(path.name)


def deliveries_of(
    documents: Iterable[Mapping[str, Any]], *, place: str, bodies: bool = True, names: Names | None = None
) -> DeliveryFile:
    """Delivery records from documents of a collection, to :data:`RECORDS_MAX`; see :func:`load_deliveries`."""
    reading = _Reading(bodies=bodies, names=names)
    for number, document in enumerate(documents, 1):
        if number > RECORDS_MAX or reading.is_full:
            reading.stop(place)
            break
        reading.add(document, f"{place}:{clean_text(document.get('_id', number), limit=60)}")
    return reading.found(place)


class _Reading:
    """What has been read so far, of one file or of several."""

    def __init__(self, *, bodies: bool, names: Names | None) -> None:
        self.problems: list[str] = []
        self._bodies = bodies
        self._names = names
        self._deliveries: list[Delivery] = []
        self._unreadable = 0
        self._unreadable_at: str | None = None
        self._unreadable_has: tuple[str, ...] = ()
        self._covers: tuple[int, int] | None = None
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether no more deliveries may be kept."""
        return self._held >= MEMORY_MAX or len(self._deliveries) >= RECORDS_MAX

    def stop(self, place: str) -> None:
        """Say that a place was not read to its end."""
        records = count_text(len(self._deliveries), "record was", many="records were")
        self.problems.append(f"{place}: only the first {records} read, more do not fit into memory")

    def add(self, row: Mapping[str, Any], place: str, line: bytes | None = None) -> None:
        """Keep a record, or count what is none."""
        if is_export_head(row):
            return
        record = parse_delivery(row, place=place, names=self._names, line=line)
        if is_other_request(row, record):
            return
        if record is None:
            if not self._keyed(row, place):
                self.miss(place, row)
            return
        self._keep(record)

    def _keyed(self, row: Mapping[str, Any], place: str) -> bool:
        """Keep the records that an object holds by their keys, as a dump of Redis or KV; False where it is none."""
        inner = [(key, as_object(value)) for key, value in row.items()]
        if not all(value for _, value in inner):
            return False
        found = [(parse_delivery(value, place=f"{place} {clean_text(key, limit=60)}", names=self._names), value)
                 for key, value in inner]  # fmt: skip
        if all(record is None for record, _ in found):
            return False
        for record, value in found:
            if record is None:
                self.miss(place, value)
            else:
                self._keep(record)
        return True

    def _keep(self, record: Delivery) -> None:
        if not self._bodies:
            record = replace(record, body=None, said=None, headers={})
        self._held += _RECORD_BYTES + len(record.body or b"") + len(record.said or b"") + 150 * len(record.headers)
        self._deliveries.append(record)

    def miss(self, place: str, row: Mapping[str, Any] | None = None) -> None:
        """Count a record that is no delivery."""
        self._unreadable += 1
        if self._unreadable_at is None:
            self._unreadable_at = place
            self._unreadable_has = tuple(clean_text(name, limit=40) for name in list(row or {})[:HAS_MAX])

    def file(self, path: Path, place: str) -> None:
        """Read one file of records, as far as it goes."""
        broken = Broken()
        try:
            with path.open("rb") as raw:
                pieces = unpacked(raw, name=path.name, broken=broken)
                if ".csv" in path.suffixes or ".tsv" in path.suffixes:
                    self._csv(pieces, place)
                elif ".bson" in path.suffixes:
                    self._bson(pieces, place)
                else:
                    self._json(pieces, place)
        except OSError as error:
            raise DeliveriesReadError(place=place, why=error.strerror or "unknown reason") from error
        if broken.why is not None:
            self.problems.append(f"{place} breaks off ({broken.why})")

    def _bson(self, pieces: Iterator[bytes], place: str) -> None:
        """The documents that mongodump wrote."""
        number = 0
        try:
            for number, document in enumerate(dumped(io.BufferedReader(_Stream(pieces))), 1):
                if self.is_full:
                    self.stop(place)
                    return
                self.add(document, f"{place}:{number}")
        except BrokenDumpError as error:
            self.problems.append(f"{place} cannot be read behind document {number} ({error.why})")

    def _copied(self, pieces: Iterator[bytes], place: str) -> None:
        """The tables of a dump of Postgres that hold deliveries, by the names of their columns."""
        names, held = list[str](), False
        for number, line in enumerate(_split(pieces), 1):
            if self.is_full:
                self.stop(place)
                return
            if (head := COPY.match(line)) is not None:
                columns = copied_names(head["names"])
                names = columns if self._holds_bodies(columns) else []
                held |= bool(names)
            elif line.rstrip() == b"\\.":
                names = []
            elif names:
                self.add(_table_row(names, copied_cells(line.rstrip(b"\r\n"))), f"{place}:{number}")
        if not held:
            self.problems.append(f"{place}: no table in it has a column that names the body of a delivery")

    def _holds_bodies(self, names: list[str]) -> bool:
        """Whether a table has a column for bodies."""
        own = self._names or {}
        return not {*FIELDS["raw_body"], *FIELDS["body"], *own.get("raw_body", ()), *own.get("body", ())}.isdisjoint(
            names
        )

    def _json(self, pieces: Iterator[bytes], place: str) -> None:
        first = next(pieces, b"")
        if COPY.search(first) is not None:
            self._copied(chain([first], pieces), place)
            return
        is_one_line = b"\n" not in first.strip()
        document, pieces = whole_document(chain([first], pieces), lists=LISTS)
        if document is None:
            self._lines(pieces, place)
            return
        if document.problem is not None:
            self.problems.append(f"{place} {document.problem}")
        line = first.strip() if len(document.rows) == 1 and is_one_line and len(first) == document.size else None
        self._rows(document.rows, place=f"{place}:1", number=1, line=line)

    def _lines(self, pieces: Iterator[bytes], place: str) -> None:
        for number, raw in enumerate(_split(pieces), 1):
            if self.is_full:
                self.stop(place)
                return
            text = raw.strip().removeprefix(b"\xef\xbb\xbf")
            if not text:
                continue
            where = f"{place}:{number}"
            for part in _back_to_back(text):
                try:
                    document, _ = whole_document(iter([part]), lists=LISTS)
                except JsonTooLargeError:
                    document = None
                rows = () if document is None else document.rows
                if document is None and (told := record_of_line(part)) is not None:
                    rows = (told,)
                self._rows(rows, place=where, number=number, line=part if len(rows) == 1 else None)

    def _rows(self, rows: Iterable[Mapping[str, Any]], *, place: str, number: int, line: bytes | None) -> None:
        count = 0
        for row in rows:
            count += 1
            if number == 1 and count == 1 and isinstance(head := row.get("coverage"), Mapping):
                self._cover(head, place)
            elif self.is_full:
                self.stop(place)
                return
            else:
                self.add(row, place, line)
        if not count:
            self.miss(place)

    def _cover(self, head: Mapping[str, Any], place: str) -> None:
        begin, end = read_time(head.get("from")), read_time(head.get("to"))
        if begin is None or end is None:
            self.problems.append(f"{place}: coverage needs from and to, in milliseconds or as times")
        else:
            self._covers = begin, end

    def _csv(self, pieces: Iterator[bytes], place: str) -> None:
        """Rows of a table: cells that hold objects are read as such, a body stays the text that it is."""
        stream = io.TextIOWrapper(
            io.BufferedReader(_Stream(pieces)), encoding="utf-8-sig", errors="replace", newline=""
        )
        before = csv.field_size_limit(LINE_MAX_BYTES)
        try:
            head = stream.readline(LINE_MAX_BYTES)
            sign = max(("\t", ";", "|", ","), key=head.count)
            names = next(csv.reader([head], delimiter=sign), [])
            if names and not self._is_head(names):
                self.problems.append(f"{place} names no field of a delivery on its first line; give the table a header")
            for number, cells in enumerate(csv.reader(stream, delimiter=sign), 2):
                if self.is_full:
                    self.stop(place)
                    return
                if cells:
                    self.add(_table_row(names, cells), f"{place}:{number}")
        except csv.Error as error:
            self.problems.append(f"{place} is no table that can be read ({clean_text(error, limit=80)})")
        finally:
            csv.field_size_limit(before)

    def _is_head(self, names: list[str]) -> bool:
        """Whether the first line of a table names any field."""
        own = chain.from_iterable((self._names or {}).values())
        known = {name.partition(".")[0] for name in (*chain.from_iterable(FIELDS.values()), *own)} | {*LISTS, *ROWS}
        return any(name.strip().partition(".")[0] in known for name in names)

    def found(self, place: str) -> DeliveryFile:
        """All of it."""
        return DeliveryFile(
            place, tuple(self._deliveries), self._unreadable, tuple(self.problems), self._unreadable_at, self._covers,
            self._unreadable_has,
        )  # fmt: skip


class _Stream(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """A stream of pieces can always be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next piece goes; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _table_row(names: list[str], cells: list[str]) -> dict[str, Any]:
    """A row of a table by its names; a cell that is empty tells nothing, a dotted name leads into an object."""
    row: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if cell in ("", "NULL", "\\N"):
            continue
        place, _, header = name.strip().partition("headers.")
        if header and place in _HEADERS_OF:
            row.setdefault(f"{place}headers", {})[header] = cell
        else:
            row[name.strip()] = cell
    return row


def _back_to_back(line: bytes) -> Iterator[bytes]:
    """The objects of a line that follow each other without a line end, as Firehose writes them; or the line itself."""
    text = line.decode("utf-8", "replace") if _BETWEEN.search(line) else ""
    ends: list[int] = []
    try:
        while text and (ends or [0])[-1] < len(text):
            ends.append(_DECODER.raw_decode(text, _BLANK.match(text, (ends or [0])[-1]).end())[1])  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        ends = []
    yield from (text[begin:end].strip().encode() for begin, end in pairwise([0, *ends])) if len(ends) > 1 else (line,)


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines of bounded length; of a longer one its parts, which then are no records."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
        if len(rest) > LINE_MAX_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


def _directory(path: Path, *, bodies: bool, names: Names | None) -> DeliveryFile:
    reading = _Reading(bodies=bodies, names=names)
    try:
        files = sorted(each for each in path.rglob("*") if each.is_file())
    except OSError as error:
        raise DeliveriesReadError(place=path.name, why=error.strerror or "unknown reason") from error
    for each in files:
        inner = f"{path.name}/{each.relative_to(path).as_posix()}"
        if each.name.endswith(".metadata.json") and each.with_name(f"{each.name[:-14]}.bson") in files:
            continue
        if each.name.endswith(_SUFFIXES):
            reading.file(each, inner)
        elif each.suffix == ".body":
            reading.add(_pair(each, inner), inner)
    return reading.found(path.name)


def _pair(body_file: Path, place: str) -> dict[str, Any]:
    """``NAME.body`` holds the raw bytes, ``NAME.headers`` lines of ``Name: value``."""
    try:
        with body_file.open("rb") as raw:
            body = _bounded(raw)
        headers_file = body_file.with_suffix(".headers")
        text = b""
        if headers_file.exists():
            with headers_file.open("rb") as raw:
                text = _bounded(raw)
    except OSError as error:
        raise DeliveriesReadError(place=place, why=error.strerror or "unknown reason") from error
    return {"headers": text.decode("utf-8", "replace"), "raw_body": body}


def _bounded(raw: BinaryIO) -> bytes:
    return raw.read(BODY_MAX_BYTES + 1)
