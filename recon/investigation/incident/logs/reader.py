"""Reads log files piece by piece into a tally.

A log may hold gigabytes of other routes, binary junk, half lines and several formats. So only hits are decoded: pieces
of 8 MB are searched for the routes, and a piece is parsed only if it holds one. One expression takes all lines of the
combined format at once; every other line that names a route goes to the line reader.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from recon.core.errors import SourceError
from recon.core.text import clean_text
from recon.investigation.incident.logs.attributes import is_not_served
from recon.investigation.incident.logs.behind import leaves_status_open
from recon.investigation.incident.logs.formats import METHODS, NO_ANSWER, STATUSES, LineFormat
from recon.investigation.incident.logs.likeness import Likeness, plain_path
from recon.investigation.incident.logs.lines import Asked, LineReader
from recon.investigation.incident.logs.pieces import message_of, whole_lines
from recon.investigation.incident.logs.repeats import Seen, answer_of, is_told_later
from recon.investigation.incident.logs.tables import header_names
from recon.investigation.incident.logs.tally import Tally
from recon.investigation.incident.logs.templates import covers, stands_for_many, templates_in
from recon.sources.documents import Document, batch_rows, whole_document
from recon.sources.packing import Broken, unpacked

LINE_MAX_BYTES: Final = 1024 * 1024
"""A longer line is junk and is stepped over."""

_SAMPLE_BYTES: Final = 1024 * 1024
_ENDS_BYTES: Final = 256 * 1024
_ENDS_LINES: Final = 300
_ESCAPED = re.compile(rb"\\(?:u00|x)2([dDfF])")
_HEADER = re.compile(rb"^#Fields:[ \t]*([^\r\n]{1,4000})", re.MULTILINE)


class LogFileError(SourceError):
    """A log file cannot be opened."""

    def __init__(self, *, name: str, why: str) -> None:
        super().__init__(f"{clean_text(name, limit=200)}: the log cannot be read ({clean_text(why, limit=120)}).")


class LogReader:
    """Reads log files into a tally.

    Args:
        paths: The routes, in the order of their numbers in the tally.
        owners: Whose each of them is; a line that may be about several routes of one owner counts once for it.
        given: The format that a user named.
        heard: Told how many bytes more of the files, as they lie there, were read.
    """

    def __init__(
        self,
        paths: Sequence[bytes],
        *,
        tally: Tally,
        owners: Sequence[str] = (),
        given: LineFormat | None = None,
        heard: Callable[[int], None] = lambda _read: None,
    ) -> None:
        self.tally, self._heard = tally, heard
        paths = [plain_path(path.decode("utf-8", "replace")).encode() for path in paths]
        self._like = Likeness(paths)
        self._paths = {path: number for number, path in enumerate(paths)}
        self._escaped = [path.replace(b"/", b"\\/") for path in paths]
        self._lines_of = LineReader(tuple(path.decode() for path in paths), given)
        either = b"|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
        self._hit = re.compile(either)
        form = rb"\[(%s[^\]\n]{20,32})\] \"(%s[A-Z]{3,7}) (%s" + either + rb")/?(?:[?#][^ \"\n]*)?"
        form += rb"(?: HTTP/[0-9.]{1,3})?\" (%s[0-9]{3})(?![0-9])"
        self._line = re.compile(form.replace(b"%s", b""))
        self._whole = re.compile(form.replace(b"%s", b"?:"))
        self._given, self._is_fast, self._has_counted = given, given is None, False
        self._has_hits = False
        self._columns: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()
        self._seen, self._owners = Seen(), tuple(owners)
        self._decoder: Callable[[bytes], tuple[float, int, tuple[str, str]]] | None = None

    def read(self, file: Path) -> None:
        """Read one file to its end, or to where it breaks off.

        Raises:
            LogFileError: It cannot be opened.
            PackedFileError: It is packed in a way that is not read.
        """
        broken = Broken()
        try:
            with file.open("rb") as raw:
                self._columns = ()
                pieces = unpacked(raw, name=file.name, broken=broken)
                pieces = self._told(pieces, raw)
                first = next(pieces, b"")
                self._learn(first[:_SAMPLE_BYTES], file)
                self._pieces(chain([first], pieces), file.name)
                self._doubt(file.name)
        except OSError as error:
            raise LogFileError(name=file.name, why=error.strerror or "unknown reason") from error
        if broken.why is not None:
            self.tally.problems.append(f"{clean_text(file.name, limit=200)} breaks off ({broken.why})")

    def _learn(self, text: bytes, file: Path) -> None:
        """Learn from the beginning of a file how its dates and its columns have to be read."""
        self._lines_of.clock.begin(text, written_at=file.stat().st_mtime)
        self._lines_of.is_doubtful = self._given is None and leaves_status_open(text, of=self._hit)
        self._is_fast, self._has_hits = self._given is None and not self._lines_of.is_doubtful, False

    def _doubt(self, name: str) -> None:
        """Say of a file with hits that its statuses cannot be told from other columns."""
        if self._lines_of.is_doubtful and self._has_hits:
            self.tally.problems.append(
                f"{clean_text(name, limit=200)}: the number behind a request may be a duration or a size and not "
                "its status; name the format of the lines with --log-format"
            )

    def _told(self, pieces: Iterator[bytes], raw: BinaryIO) -> Iterator[bytes]:
        """The pieces, with what was read of the file for each told when it was worked through."""
        before = 0
        for piece in pieces:
            yield piece
            place = before if raw.closed else raw.tell()
            self._heard(place - before)
            before = place

    def _pieces(self, pieces: Iterator[bytes], name: str) -> None:
        document, pieces = self._document(pieces)
        if document is not None:
            self.tally.read_bytes += document.size
            if document.problem is not None:
                self.tally.problems.append(f"{clean_text(name, limit=200)} {document.problem}")
            elif not sum([self._object(row) for row in document.rows]) and document.size:
                self._no_request(name)
            return
        waiting, rest, has_request, total, self._has_counted = b"", b"", False, 0, False
        for piece in pieces:
            total += len(piece)
            has_request |= self._look_at_times(piece)
            end = piece.rfind(b"\n")
            if end < 0:
                rest = self._shortened(rest + piece)
                continue
            self._lines(waiting)
            # The last lines wait for what a file holds behind its last line end.
            waiting, rest = rest + piece[: end + 1], self._shortened(piece[end + 1 :])
        self._lines(waiting + rest + b"\n" if rest else waiting)
        self.tally.read_bytes += total
        if total and not has_request and not self._has_counted:
            self._no_request(name)

    def _document(self, pieces: Iterator[bytes]) -> tuple[Document | None, Iterator[bytes]]:
        """The file as one JSON document; None where it is lines, among them one line of JSON in the given format."""
        first = next(pieces, b"")
        self._names = header_names(first)
        pieces = chain([first], pieces)
        if (
            self._given is not None
            and self._given.pattern.search(first.partition(b"\n")[0][:LINE_MAX_BYTES]) is not None
        ):
            return None, pieces
        return whole_document(pieces)

    def _no_request(self, name: str) -> None:
        self.tally.problems.append(
            f"{clean_text(name, limit=200)} holds no request in a format that is known; name it with --log-format"
        )

    def _shortened(self, rest: bytes) -> bytes:
        """A line over the limit is junk: its beginning is dropped, and counted where it names a route."""
        if len(rest) <= LINE_MAX_BYTES:
            return rest
        for found in self._hit.findall(rest[:-LINE_MAX_BYTES]):
            self.tally.miss(self._paths[found], reason=f"it stands in a line of over {LINE_MAX_BYTES >> 20} MB")
        return rest[-LINE_MAX_BYTES:]

    def _look_at_times(self, piece: bytes) -> bool:
        """Take the times of the first and the last request of a piece; False when its ends hold none."""
        self._header(piece[:_ENDS_BYTES])
        seen = False
        for lines in (piece[:_ENDS_BYTES].split(b"\n"), reversed(piece[-_ENDS_BYTES:].split(b"\n"))):
            for _, line in zip(range(_ENDS_LINES), lines, strict=False):
                found = self._read(line, self._columns) if line else Asked()
                if found.stamp is not None and found.path is not None and found.status is not None:
                    self.tally.reaches(found.stamp.second)
                    seen = True
                    break
        return seen

    def _header(self, text: bytes) -> None:
        if not self._columns and (found := _HEADER.search(text)) is not None:
            self._columns = tuple(found[1].decode("utf-8", "replace").split())

    def _lines(self, text: bytes) -> None:
        text = self._unescaped(whole_lines(text))
        counted = {path: text.count(path) for path in self._paths}
        hits = sum(counted.values())
        headers = list(_HEADER.finditer(text)) if b"#" in text and b"#Fields:" in text else []
        if hits:
            self._has_hits = True
            taken = self._fast(text) if self._is_fast else 0
            self._has_counted |= taken > 0
            if taken < hits:
                self._other_lines(text, headers)
        for start, line, number in self._like.lines(text, counted):
            self._one(line, number, self._columns_at(start, headers), answers=(text, start + len(line) + 1))
        for line, template in templates_in(text):
            if self._hit.search(line) is None:
                self._templated_line(line, template)
        if headers:
            self._columns = tuple(headers[-1][1].decode("utf-8", "replace").split())

    def _templated_line(self, line: bytes, template: str) -> None:
        """Count what a line with a template tells, or each row of a line that holds several."""
        found = self._read(line, self._columns)
        rows = batch_rows(line) if found.path is None else ()
        for row in rows:
            self._object(row)
        if not rows:
            self._templated(found, template)

    def _templated(self, found: Asked, template: str) -> None:
        """Count a request whose path is told only as a template, for every route that it may have gone to."""
        is_past = found.stamp is not None and not self.tally.holds(found.stamp.second)
        if (
            is_past
            or found.method not in (None, "POST")
            or (found.path is not None and not stands_for_many(found.path))
        ):
            return
        numbers = [number for path, number in self._paths.items() if covers(template, path.decode())]
        for number in {self._owners[number] if self._owners else str(number): number for number in numbers}.values():
            self.tally.miss(number, reason=f"its path is told only as {template}")

    def _unescaped(self, text: bytes) -> bytes:
        """The text with routes written plainly, whatever their signs were escaped by."""
        # A single byte is found many times faster than two, and most logs hold neither of these.
        if b"\\" in text and any(path in text for path in self._escaped):
            text = text.replace(b"\\/", b"/")
        if b"\\u002" in text or b"\\x2" in text:
            text = _ESCAPED.sub(lambda found: b"/" if found[1] in b"fF" else b"-", text)
        return text

    def _fast(self, text: bytes) -> int:
        """Count all lines of the combined format; gives how many there were."""
        found = self._whole.findall(text)
        for whole, count in Counter(found).items():
            parts = self._line.match(whole)
            assert parts is not None, "both are the same expression"
            written, method, path, status = parts.groups()
            number, code = self._paths[path], int(status)
            stamp = self._lines_of.clock.read(written)
            if stamp is None or (code not in STATUSES and code != NO_ANSWER):
                self.tally.miss(number, reason="no time found" if stamp is None else "no status found", count=count)
                continue
            self.tally.zoneless += 0 if stamp.is_zoned else count
            self.tally.add((number, method == b"POST", code), second=stamp.second, count=count)
        return len(found)

    def _other_lines(self, text: bytes, headers: Sequence[re.Match[bytes]]) -> None:
        """Lines that name a route and that the expression did not take."""
        position, size = 0, len(text)
        while position < size:
            hit = self._hit.search(text, position)
            if hit is None:
                return
            start = text.rfind(b"\n", 0, hit.start()) + 1
            end = text.find(b"\n", hit.end())
            line, position = text[start:end], end + 1
            if self._is_fast and self._line.search(line) is not None:
                continue
            self._one(line, self._paths[hit[0]], self._columns_at(start, headers), answers=(text, position))

    def _columns_at(self, start: int, headers: Sequence[re.Match[bytes]]) -> tuple[str, ...]:
        """The columns of a W3C line by the header before it."""
        before = bisect_right([each.start() for each in headers], start)
        return tuple(headers[before - 1][1].decode("utf-8", "replace").split()) if before else self._columns

    def _one(self, line: bytes, number: int, columns: Sequence[str], *, answers: tuple[bytes, int]) -> None:
        hit = self._hit.search(line)
        if hit is not None and is_told_later(line, answers[0], route=hit[0], position=answers[1]):
            return
        if line.startswith(b"{") and self._caddy(line):
            return
        found = self._read(line, columns)
        if found.missing == ("status",):
            found = replace(found, status=answer_of(line, answers[0], position=answers[1]))
        rows = batch_rows(line) if found.path is None else ()
        for row in rows:
            self._object(row)
        if not rows and not (found.status and self._seen.again(line)):
            self._take(found, number)

    def _read(self, line: bytes, columns: Sequence[str]) -> Asked:
        """The request of a line: by the header of its table, or as it stands."""
        if self._names and self._given is None and (told := self._lines_of.table(line, self._names)).path is not None:
            return told
        return self._lines_of.read(line, columns=columns)

    def _object(self, row: Mapping[str, Any]) -> bool:
        """Count one JSON object; gives whether it is a request of any route."""
        if is_not_served(row):
            return False
        row = message_of(row)
        found = self._lines_of.row(row)
        if found.path is None or stands_for_many(found.path):
            for _, template in templates_in(json.dumps(dict(row), default=str).encode()):
                self._templated(found, template)
        if found.path is None:
            if (like := self._like.number_in(json.dumps(dict(row)))) is not None:
                self.tally.miss(like, reason="no path found")
            return False
        if found.stamp is not None and found.status is not None:
            self.tally.reaches(found.stamp.second)
        if (like := self._like.number_in(found.path)) is not None:
            self._take(found, like)
        return found.status is not None

    def _take(self, found: Asked, number: int) -> None:
        """Count a request whose line names the route of this number, or resembles it."""
        path = b"" if found.path is None else found.path.encode("utf-8", "replace")
        if path and path not in self._paths:
            self._take_aside(found, path)
            return
        if found.stamp is not None and not self.tally.holds(found.stamp.second):
            self.tally.reaches(found.stamp.second)
        elif found.stamp is None or found.status is None or found.missing:
            self.tally.miss(number, reason=f"no {' and no '.join(found.missing)} found")
        else:
            self._has_counted = True
            self.tally.zoneless += not found.stamp.is_zoned
            self.tally.add((self._paths[path], found.method == "POST", found.status), second=found.stamp.second)

    def _take_aside(self, found: Asked, path: bytes) -> None:
        """Count a request to a path that is no route, where it resembles one."""
        like, is_past = self._like.number_in(path), found.stamp and not self.tally.holds(found.stamp.second)
        if like is not None and found.method in (None, "POST") and not is_past:
            self.tally.aside(like, path=clean_text(found.path, limit=120))

    def _caddy(self, line: bytes) -> bool:
        """Count a line of Caddy's own form, reading no more of it than is needed; False when it is none."""
        if self._decoder is None:
            self._decoder = _caddy_decoder()
        try:
            ts, status, (method, uri) = self._decoder(line)
        except ValueError:
            return False
        path = plain_path(uri.partition("?")[0].partition("#")[0]).encode("utf-8", "replace")
        if path not in self._paths or method not in METHODS:
            return False
        self.tally.add((self._paths[path], method == "POST", status), second=int(ts))
        return True


def _caddy_decoder() -> Callable[[bytes], tuple[float, int, tuple[str, str]]]:
    """A decoder that takes the four fields of a Caddy line; it raises ValueError for every other line."""
    import msgspec

    request = msgspec.defstruct("request", [("method", str), ("uri", str)])
    line = msgspec.defstruct("line", [("ts", float), ("status", int), ("request", request)])
    decoder = msgspec.json.Decoder(line)

    def decode(text: bytes) -> tuple[float, int, tuple[str, str]]:
        try:
            row: Any = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError from error
        if not (1e8 < row.ts < 1e11 and row.status in STATUSES):
            raise ValueError
        return row.ts, row.status, (row.request.method, row.request.uri)

    return decode
