"""Reads one log line, in whatever form it is, as the request that it tells of.

A line may be wrapped: by Docker, Kubernetes, syslog, journald or a collector. It is tried, in this order, as one of the
line formats, as JSON, as columns with a header, as ``key=value`` pairs, and as columns without. What cannot be told
apart is not guessed: the line is unread, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from recon.investigation.incident.logs.attributes import attribute_value
from recon.investigation.incident.logs.formats import (
    BODIES,
    CLOCK_NAMES,
    COLUMNS_KNOWN,
    DATE_NAMES,
    LINE_FORMATS,
    LINE_NAMES,
    METHODS,
    NAMES,
    NO_ANSWER,
    SKIPPED,
    STATUSES,
    LineFormat,
    plain_name,
    plain_names,
)
from recon.investigation.incident.logs.likeness import plain_path
from recon.investigation.incident.logs.moments import LogClock, Stamp
from recon.investigation.incident.logs.tables import cells_of, named_cells

DEPTH_MAX: Final = 4
LEAVES_MAX: Final = 400
TEXT_MAX: Final = 64 * 1024
URL_MAX: Final = 2000
LINE_MIN: Final = 20
COLUMNS_MIN: Final = 3
STATUS_DIGITS: Final = 3
NEAR: Final = 4
"""How many columns behind the path a status may stand, where nobody named the columns."""
NAMED: Final = sum(not each.is_guess for each in LINE_FORMATS)
Leaf = tuple[str, str, Any]
_REQUEST_LINE = re.compile(r"([A-Z]{3,8}) (\S+)(?: HTTP/[0-9.]{1,3})?\Z")
_PAIR = re.compile(rb"([A-Za-z_][\w.@-]{0,60})[=:](\"(?:[^\"\\]|\\.)*\"|[^\s\",|]*)")
_LABELLED = re.compile(rb"([A-Za-z_][\w.@-]{0,60}):([^\t]*)")
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_W3C = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[ \t][0-9]{2}:[0-9]{2}:[0-9]{2}[ \t]")
_SSL_REQUEST = re.compile(
    rb"\] \S+ (?:TLSv1|SSLv)[0-9.]* \S+ \""
    + rb"(?P<method>[A-Z]{3,8}) (?P<path>[^\s\"]+)(?: HTTP/[0-9.]{1,3})?\" (?:[0-9]+|-)\s*$"
)
"""Apache's ``ssl_request_log`` as it is installed: it ends with the size of the answer and tells no status."""
_ALONE = re.compile(r"(?<![\w.,:+-])[0-9]{3}(?![\w.,:-])")
_NO_STATUS: Final = ("-", "0", "-1")
_NGINX_ESCAPE = re.compile(rb"((?<!\\)(?:\\\\)*)\\x([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line tells of; what is None it does not tell.

    Args:
        stamp: When, and whether its zone was written.
        path: Without query, host and closing slash.
        status: :data:`~recon.investigation.incident.logs.formats.NO_ANSWER` where the log says that none was given.
    """

    stamp: Stamp | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What is needed and not told."""
        told = {"time": self.stamp, "method": self.method, "path": self.path, "status": self.status}
        return tuple(name for name, value in told.items() if value is None)


@dataclass(slots=True)
class LineReader:
    """Reads lines.

    Args:
        routes: The paths that are looked for; a JSON value that holds one may be the path whatever its name is.
        given: The format that a user named; tried first.
        is_doubtful: In this file the number behind a request may be something else than its status.
    """

    routes: Sequence[str] = ()
    given: LineFormat | None = None
    clock: LogClock = field(default_factory=LogClock)
    is_doubtful: bool = False

    def read(self, line: bytes, *, columns: Sequence[str] = ()) -> Asked:
        """The request of a line, as far as it is told.

        Args:
            columns: The columns of a W3C log, by its header.
        """
        if columns and not line.startswith(b"#"):
            return self._columns(line, columns)
        return self._read(line, depth=0)

    def table(self, line: bytes, names: Sequence[str]) -> Asked:
        """The request of a row of a table whose columns have these names."""
        cells = cells_of(line.decode("utf-8", "replace").rstrip("\r\n"))
        if len(cells) != len(names):
            return Asked()
        leaves = [(*plain_names((name,)), cell) for name, cell in named_cells(names, cells)]
        told = self._told(leaves)
        return told if told.path is not None else self._line_in(leaves, told, depth=0)

    def row(self, row: Mapping[str, Any]) -> Asked:
        """The request of a JSON object that was decoded already."""
        return self._row(row, depth=0)

    def _read(self, line: bytes, *, depth: int) -> Asked:
        named = LINE_FORMATS[:NAMED] if self.given is None else (self.given, *LINE_FORMATS[:NAMED])
        found = self._text(line[:TEXT_MAX], named)
        if found is not None and not found.missing:
            return found
        return self._json(line, depth=depth) or found or self._guessed(_COLOUR.sub(b"", line[:TEXT_MAX])) or Asked()

    def _json(self, line: bytes, *, depth: int) -> Asked | None:
        """The JSON of a line, with the time that stands before it where it has none."""
        begin = line.find(b"{")
        row = _json_row(line[begin:]) if begin >= 0 else None
        if row is None or (told := self._row(row, depth=depth)).path is None:
            return None
        return _with_time(told, None if begin == 0 else self.clock.find(line[:begin]))

    def _guessed(self, line: bytes) -> Asked | None:
        """A line of no format that has a name."""
        if _W3C.match(line) and (columns := _columns_by_count(line)):
            return self._columns(line, columns)
        if (sized := _SSL_REQUEST.search(line)) is not None:
            method, path = sized["method"].decode(), target_path(sized["path"].decode("utf-8", "replace"))
            return Asked(self.clock.find(line), method, path)
        return (
            self._text(line, LINE_FORMATS[NAMED:]) or self._labelled(line) or self._pairs(line) or self._separated(line)
        )

    def _text(self, line: bytes, formats: Sequence[LineFormat]) -> Asked | None:
        """The first line format that fits."""
        for each in formats:
            if (match := each.pattern.search(line)) is None:
                continue
            groups = match.groupdict()
            status = _status_of(groups["status"], is_guess=each.is_guess)
            if self.is_doubtful and each.is_behind:
                status = None
            if each.is_guess and status is None and not _may_be_status(groups["status"]):
                continue
            written = groups.get("time")
            stamp = None if written is None else self.clock.read(written)
            if stamp is None or not stamp.is_zoned:
                stamp = self.clock.find(line) or stamp
            return Asked(
                stamp, groups["method"].decode(), target_path(groups["path"].decode("utf-8", "replace")), status
            )
        return None

    def _row(self, row: Mapping[str, Any], *, depth: int) -> Asked:
        leaves = list(islice(_leaves(row, skipped=(*SKIPPED, *BODIES)), LEAVES_MAX))
        told = self._told(leaves)
        if told.path is None:
            leaves = list(islice(_leaves(row), LEAVES_MAX))
            told = self._told(leaves)
        return told if told.path is not None else self._line_in(leaves, told, depth=depth)

    def _line_in(self, leaves: Sequence[Leaf], told: Asked, *, depth: int) -> Asked:
        """The request of the line that one of the values holds as the server wrote it."""
        for _, last, value in leaves:
            if last in LINE_NAMES and isinstance(value, str) and depth < DEPTH_MAX and len(value) > LINE_MIN:
                inner = self._read(value.encode("utf-8", "replace"), depth=depth + 1)
                if inner.path is not None:
                    return _with_time(inner, told.stamp)
        return told

    def _told(self, leaves: Sequence[Leaf]) -> Asked:
        """What named values tell of a request."""
        method, path = self._request(leaves)
        if method is None:
            method = next(iter(_of_name(leaves, "method", _as_method)), None)
        if method is None:
            method = next((value for _, _, value in leaves if isinstance(value, str) and value in METHODS), None)
        return Asked(self._stamp(leaves), method, self._path(leaves, path), _named_status(leaves))

    def _path(self, leaves: Sequence[Leaf], requested: str | None) -> str | None:
        """The path: of several that are told the one that is looked for."""
        paths = [*([requested] if requested else []), *_of_name(leaves, "path", _as_path)]
        # Behind a gateway the path is told with its stage or prefix and without: the very route is the backend's own.
        sought = [each for each in paths if self._is_sought(each)]
        very = next((each for each in sought if each in self.routes), None)
        return very or next(iter((*sought, *paths)), None) or self._by_route(leaves)

    def _is_sought(self, path: str) -> bool:
        return any(path.endswith(route) for route in self.routes)

    def _request(self, leaves: Sequence[Leaf]) -> tuple[str | None, str | None]:
        """Method and path of a request line that stands in one value."""
        for text in _of_name(leaves, "request", lambda value: value if isinstance(value, str) else None):
            if (found := _REQUEST_LINE.match(text)) is not None:
                return found[1], target_path(found[2])
        return None, None

    def _by_route(self, leaves: Sequence[Leaf]) -> str | None:
        """A value that is a path that is looked for, under a name that nobody knows."""
        for full, last, value in leaves:
            if not isinstance(value, str) or "refer" in full or last in LINE_NAMES or len(value) > URL_MAX:
                continue
            found = _REQUEST_LINE.match(value)
            path = target_path(found[2] if found else value)
            if path is not None and self._is_sought(path):
                return path
        return None

    def _stamp(self, leaves: Sequence[Leaf]) -> Stamp | None:
        clocks = [value for _, last, value in leaves if last in CLOCK_NAMES and isinstance(value, str)]
        dates = [value for _, last, value in leaves if last in DATE_NAMES and isinstance(value, str)]
        for clock in clocks:
            if dates and re.match(r"\d\d:\d\d:\d\d", clock):
                return self.clock.read(f"{dates[0]} {clock.partition(' ')[0]}Z".encode())
        return next(iter(_of_name(leaves, "time", self.clock.value)), None)

    def _pairs(self, line: bytes) -> Asked | None:
        """``key=value`` pairs, as Heroku, Loki and Go programs write them."""
        found = [(name, value.strip(b'"')) for name, value in _PAIR.findall(line)[:LEAVES_MAX]]
        leaves = [(*plain_names((name.decode(),)), value.decode("utf-8", "replace")) for name, value in found]
        told = self._told(leaves)
        return None if told.path is None or told.status is None else _with_time(told, self.clock.find(line))

    def _labelled(self, line: bytes) -> Asked | None:
        """Labels and values between tabs (LTSV); None unless every column has its label."""
        columns = [_LABELLED.fullmatch(each) for each in line.strip().split(b"\t")]
        if len(columns) < COLUMNS_MIN or None in columns:
            return None
        found = [(each[1].decode(), each[2].decode("utf-8", "replace")) for each in columns if each is not None]
        told = self._told([(*plain_names((name,)), value) for name, value in found])
        return None if told.path is None else told

    def _columns(self, line: bytes, columns: Sequence[str]) -> Asked:
        """A line of a W3C log; its times are UTC."""
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        values = text.split("\t") if "\t" in text else text.split(" ")
        leaves = [(*plain_names((name,)), value) for name, value in zip(columns, values, strict=False)]
        told = self._told(leaves)
        # A line that was torn, or two that ran together: which value stands in which column nobody can tell.
        return told if len(values) == len(columns) else replace(told, path=None, status=None)

    def _separated(self, line: bytes) -> Asked | None:
        """Columns that nobody named: read only where one alone can be the status."""
        text = line.decode("utf-8", "replace").strip()
        sign = next((sign for sign in ("\t", "|", ";", "~", "^", ",", " ") if text.count(sign) >= COLUMNS_MIN), None)
        if sign is None:
            return None
        values = [" ".join(value.replace('"', " ").split()).strip("'[]") for value in text.split(sign)]
        method, path = _asked_in(values, self.routes)
        if path is None:
            return None
        return Asked(self.clock.find(line), method, path, _only_status(values))


def _asked_in(values: Sequence[str], routes: Sequence[str]) -> tuple[str | None, str | None]:
    """Method and path among columns without names: in one request line, or each in its own."""
    for value in values:
        if (found := _REQUEST_LINE.match(value)) is not None and found[1] in METHODS:
            return found[1], target_path(found[2])
    method = next((value for value in values if value in METHODS), None)
    return method, _only_route([value for value in values if value.startswith(("/", "http://", "https://"))], routes)


def _named_status(leaves: Sequence[Leaf]) -> int | None:
    """The status under the best of the names that hold one.

    None where that one is a number that no server gives, or says that there was none while another name has one.
    """
    told = list(_of_name(leaves, "status", _as_number))
    best = next(iter(told), None)
    if best is None or best not in (*STATUSES, NO_ANSWER):
        return None
    return best if best != NO_ANSWER or not any(each in STATUSES for each in told) else None


def _only_status(values: Sequence[str]) -> int | None:
    """The status among columns without names: the one number that stands there and that servers give.

    None where there are several, or where a column behind the path says "none" or a number that no server gives as a
    status: then the one that is left may as well be a size.
    """
    found = [(place, int(text)) for place, value in enumerate(values) for text in _ALONE.findall(value)]
    told = [(place, number) for place, number in found if number in STATUSES]
    if len({number for _, number in told}) != 1:
        return None
    place, status = told[0]
    return status if values[place] != str(status) or _is_first_behind(values, place) else None


def _is_first_behind(values: Sequence[str], place: int) -> bool:
    """Whether no column behind the path, before this place, may be an odd status."""
    asked = next((at for at, value in enumerate(values) if value.startswith("/") or " /" in value), 0)
    odd = next((at for at in range(asked + 1, min(len(values), asked + NEAR)) if _is_odd(values[at])), None)
    return odd is None or asked < place < odd


def _is_odd(value: str) -> bool:
    """Whether a column may be a status that no server gives, or say that there was none."""
    return value in _NO_STATUS or (len(value) == STATUS_DIGITS and value.isdigit() and int(value) not in STATUSES)


def _with_time(told: Asked, other: Stamp | None) -> Asked:
    """The time of a line, or of what it was wrapped in: the one with a zone."""
    if other is None or (told.stamp is not None and (told.stamp.is_zoned or not other.is_zoned)):
        return told
    return replace(told, stamp=other)


def target_path(text: str) -> str | None:
    """The path of a request target: without scheme, host and query, equivalent paths in one form.

    >>> target_path("https://amn.example:443//api/hook/?a=1")
    '/api/hook'
    """
    text = re.sub(r"\Ahttps?://[^/?#]*", "", text, count=1, flags=re.IGNORECASE)
    if text[:1] not in ("/", "?", ""):
        return None
    return plain_path(text.partition("?")[0].partition("#")[0])


def _columns_by_count(line: bytes) -> Sequence[str]:
    """The columns of a W3C log whose header was cut off, by how many there are."""
    values = line.rstrip().split(b"\t" if b"\t" in line else b" ")
    return next((columns for columns in COLUMNS_KNOWN if len(columns) == len(values) and _fits(columns, values)), ())


def _fits(columns: Sequence[str], values: Sequence[bytes]) -> bool:
    """Whether method, path and status stand where columns that were only counted have them."""
    named = dict(zip(columns, values, strict=True))
    method, path, status = (named[name] for name in ("cs-method", "cs-uri-stem", "sc-status"))
    return (
        method.decode("latin-1") in METHODS and path.startswith(b"/") and re.fullmatch(rb"[0-9]{3}", status) is not None
    )


def _only_route(paths: Sequence[str], routes: Sequence[str]) -> str | None:
    """The path of a line whose columns have no names: the one that is looked for, or the first."""
    found = [path for text in paths if (path := target_path(text)) is not None]
    return next((path for path in found if any(path.endswith(route) for route in routes)), next(iter(found), None))


def _may_be_status(text: bytes) -> bool:
    """Whether what stands where a status may stand looks like one that no server gives, or like none."""
    return text == b"-" or len(text) == STATUS_DIGITS


def _status_of(text: bytes, *, is_guess: bool) -> int | None:
    if text in (b"-", b"0", b"000", b"-1"):
        return None if is_guess else NO_ANSWER
    number = int(text)
    return number if number in STATUSES else None


def _as_number(value: Any) -> int | None:
    """A number where a status may stand; NO_ANSWER for the signs of none."""
    if isinstance(value, str):
        value = value.strip()
        if not re.fullmatch(r"-?[0-9]{1,3}(\.0+)?|-", value):
            return None
        value = NO_ANSWER if value == "-" else int(float(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return NO_ANSWER if value in (0, -1) else int(value)


def _as_method(value: Any) -> str | None:
    return value.upper() if isinstance(value, str) and value.upper() in METHODS else None


def _as_path(value: Any) -> str | None:
    if not isinstance(value, str) or not value.startswith(("/", "http://", "https://")):
        found = _REQUEST_LINE.match(value) if isinstance(value, str) else None
        return target_path(found[2]) if found else None
    return target_path(value)


def _of_name(leaves: Sequence[Leaf], field_name: str, read: Any) -> Iterator[Any]:
    """What can be read under the names of a field, the best name first."""
    wanted = NAMES[field_name]
    ranked: list[tuple[int, int, Any]] = []
    for number, (full, last, value) in enumerate(leaves):
        name = full if full in wanted else last
        if name in wanted and (told := read(value)) is not None:
            ranked.append((wanted.index(name), number, told))
    yield from (told for _, _, told in sorted(ranked, key=lambda each: each[:2]))


def _leaves(row: Mapping[str, Any], path: tuple[str, ...] = (), *, skipped: Sequence[str] = SKIPPED) -> Iterator[Leaf]:
    """Every plain value of a row with its names; headers tell nothing of the request."""
    for name, kept in row.items():
        inner, value = (*path, str(name)[:80]), attribute_value(kept)
        if isinstance(value, Mapping):
            if len(inner) < DEPTH_MAX and plain_name(str(name)) not in skipped:
                yield from _leaves(value, inner, skipped=skipped)
        elif isinstance(value, str | int | float):
            yield (*plain_names(inner), value)


def _json_row(text: bytes) -> dict[str, Any] | None:
    import msgspec

    # nginx escapes in a way of its own (\x22) where the format does not say escape=json, which is no JSON.
    for each in (text, _NGINX_ESCAPE.sub(rb"\1\\u00\2", text)) if b"\\x" in text else (text,):
        try:
            row = msgspec.json.decode(each)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return row if isinstance(row, dict) else None
    return None
