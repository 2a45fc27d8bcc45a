"""Count webhook deliveries in web server logs, per provider, status and minute.

A log may hold gigabytes of other routes, binary junk, half lines and several formats. So only hits are decoded: the
reader searches pieces of 8 MB for the routes, and parses a piece only if it holds one. One expression takes all lines
of the combined format; JSON lines are parsed one by one. Only counts by second are kept.

The reader knows the combined format of nginx (with anything before it on the line), JSON lines of Caddy, and JSON lines
that nginx writes with the names of its variables. Files may be plain or gzip, rotated files may come in any order.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO, Final

from recon.core.errors import SourceError, UsageError
from recon.core.text import clean_text
from recon.core.times import epoch_second, parse_iso, second_text
from recon.sources.providers.installed import providers, webhooks_of

PIECE_BYTES: Final = 8 * 1024 * 1024
LINE_MAX_BYTES: Final = 1024 * 1024
"""A longer line is junk and is stepped over."""

EXPANDED_MAX_BYTES: Final = 256 * 1024**3
"""Most bytes that one file may expand to."""

BURST_FAILURES_MIN: Final = 5
"""Failures in one minute from which it counts as part of a burst."""

_MONTHS: Final = {
    name: number
    for number, name in enumerate((b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct",
                                   b"Nov", b"Dec"), 1)
}  # fmt: skip
_STATUS_MAX: Final = 600


class LogFileError(SourceError):
    """A log file cannot be opened."""

    def __init__(self, *, name: str, why: str) -> None:
        super().__init__(f"{clean_text(name, limit=200)}: the log cannot be read ({clean_text(why, limit=120)}).")


class RouteError(UsageError):
    """A route is not written as provider and path."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            f"{clean_text(text, limit=80)!r} is no route; write provider and path, for example "
            f"{next(f'{name}={routes[0]}' for name, routes in webhook_routes().items())}."
        )


@dataclass(frozen=True, slots=True)
class Burst:
    """Minutes in a row with many failures."""

    provider: str
    from_at: datetime
    to_at: datetime
    failures: int
    statuses: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RouteTriage:
    """One provider's deliveries in the logs.

    Args:
        statuses: Deliveries by status, most first.
        minutes: (minute, status) and how many, oldest first.
        first_good, last_good: When the first and the last delivery was accepted, or None.
        failures: Deliveries that their provider does not take for success.
        other_methods: Requests to the route that are no POST, not counted above.
        rule: What the runbook concludes, and ``advice``, what it says to do.
    """

    provider: str
    deliveries: int
    statuses: tuple[tuple[int, int], ...]
    minutes: tuple[tuple[datetime, int, int], ...]
    first_at: datetime | None
    last_at: datetime | None
    first_good: datetime | None
    last_good: datetime | None
    failures: int
    other_methods: int
    bursts: tuple[Burst, ...]
    rule: str
    advice: str


@dataclass(frozen=True, slots=True)
class LogTriage:
    """What the logs say.

    Args:
        read_bytes: How many bytes were looked through, after decompression.
        unreadable: Lines that name a route and are no request line of a known format.
        problems: Files that could not be read whole or are no access log, one sentence each; nothing may be concluded
            from their silence.
        from_at, to_at: From when to when the logs reach, by any of their requests; None where none could be read.
    """

    files: tuple[str, ...]
    routes: tuple[RouteTriage, ...]
    read_bytes: int
    unreadable: int
    problems: tuple[str, ...]
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every file was read to its end."""
        return not self.problems


@dataclass(slots=True)
class _Tally:
    """Counts by (route number, method is POST, status, second)."""

    seen: Counter[tuple[int, bool, int, int]] = field(default_factory=Counter)
    unreadable: int = 0
    read_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    from_second: int | None = None
    to_second: int | None = None

    def reaches(self, second: int) -> None:
        """Note a request of any route at this second."""
        self.from_second = second if self.from_second is None else min(self.from_second, second)
        self.to_second = second if self.to_second is None else max(self.to_second, second)

    def reaches_its_hits(self) -> None:
        """Note the times of the deliveries that were counted."""
        for _, _, _, second in self.seen:
            self.reaches(second)

    def silence(self, low: int) -> str | None:
        """Why the absence of deliveries after ``low`` proves nothing; None where it proves that none came."""
        if self.to_second is None:
            return "no request of any route could be read"
        if self.to_second < low:
            return f"the logs end at {second_text(_at(self.to_second))}, before the time that is asked about"
        return "not every file could be read" if self.problems else None


def parse_routes(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read ``provider=/path`` texts as routes by provider; without any, give the usual routes.

    Raises:
        RouteError: One is not of that form.
    """
    routes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        provider, _, path = text.partition("=")
        if not re.fullmatch(r"[\w.-]{1,40}", provider) or not re.fullmatch(r"/[\x21-\x7e]{1,200}", path):
            raise RouteError(text=text)
        routes[provider] = (*routes.get(provider, ()), path)
    return routes or webhook_routes()


def triage_access_log(
    files: Sequence[Path],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    routes: Mapping[str, Sequence[str]] | None = None,
) -> LogTriage:
    """Count the webhook deliveries in log files.

    A file that breaks off (a torn gzip) is counted as far as it goes and named in ``problems``.

    Args:
        since, until: Only requests from ``since`` on and before ``until``, aware UTC.

    Raises:
        LogFileError: A file cannot be opened.
    """
    named = routes or webhook_routes()
    flat = [(provider, path.encode()) for provider, paths in sorted(named.items()) for path in paths]
    reader = _Reader([path for _, path in flat])
    for file in files:
        reader.read(file)
    low, high = _bound(since, 0), _bound(until, 2**62)
    tally = reader.tally
    tally.reaches_its_hits()
    chosen = {key: count for key, count in tally.seen.items() if low <= key[3] < high}
    silence = tally.silence(low)
    return LogTriage(
        files=tuple(str(file) for file in files),
        routes=tuple(_route(provider, flat, chosen, silence) for provider in sorted(named)),
        read_bytes=tally.read_bytes,
        unreadable=tally.unreadable,
        problems=tuple(tally.problems),
        from_at=_at_or_none(tally.from_second),
        to_at=_at_or_none(tally.to_second),
    )


def _bound(moment: datetime | None, default: int) -> int:
    return default if moment is None else int(moment.timestamp())


class _Reader:
    """Reads files piece by piece into a tally."""

    def __init__(self, paths: Sequence[bytes]) -> None:
        self.tally = _Tally()
        self._paths = {path: number for number, path in enumerate(paths)}
        either = b"|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
        self._hit = re.compile(either)
        form = rb"\[(%s[^\]\n]{20,32})\] \"(%s[A-Z]{3,7}) (%s" + either + rb")/?(?:[?#][^ \"\n]*)?"
        form += rb"(?: HTTP/[0-9.]{1,3})?\" (%s[0-9]{3})(?![0-9])"
        self._line = re.compile(form.replace(b"%s", b""))
        self._whole = re.compile(form.replace(b"%s", b"?:"))
        self._seconds: dict[bytes, int | None] = {}
        self._decoder: Callable[[bytes], tuple[float, int, tuple[str, str]]] | None = None

    def read(self, file: Path) -> None:
        """Read one file to its end, or to where it breaks off."""
        try:
            with file.open("rb") as raw:
                packed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                stream: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
                self._stream(stream, file.name)
        except OSError as error:
            raise LogFileError(name=file.name, why=error.strerror or "unknown reason") from error

    def _stream(self, stream: BinaryIO, name: str) -> None:
        rest = b""
        expanded = 0
        has_request = False
        broken: Exception | None = None
        while broken is None:
            piece, broken = _next_piece(stream)
            expanded += len(piece)
            self.tally.read_bytes += len(piece)
            if not piece or expanded > EXPANDED_MAX_BYTES:
                break
            has_request |= self._look_at_times(piece)
            end = piece.rfind(b"\n")
            if end < 0:
                # A line over the limit is junk: its beginning is dropped, the search goes on behind it.
                rest = rest + piece if len(rest) + len(piece) <= LINE_MAX_BYTES else piece[-LINE_MAX_BYTES:]
                continue
            self._lines(rest + piece[: end + 1])
            rest = piece[end + 1 :][-LINE_MAX_BYTES:]
        if rest:
            self._lines(rest + b"\n")
        shown = clean_text(name, limit=200)
        if broken is not None:
            said = clean_text(broken, limit=80)
            self.tally.problems.append(f"{shown} breaks off after {expanded} bytes ({said})")
        elif expanded and not has_request:
            self.tally.problems.append(
                f"{shown} holds no request in a format that is read (nginx combined, Caddy JSON)"
            )

    def _look_at_times(self, piece: bytes) -> bool:
        """Take the times of the first and the last request of a piece; False when its ends hold none."""
        ends = (piece[:_ENDS_BYTES].split(b"\n"), reversed(piece[-_ENDS_BYTES:].split(b"\n")))
        found = [next((second for line in lines if (second := _request_second(line)) is not None), None)
                 for lines in ends]  # fmt: skip
        for second in found:
            if second is not None:
                self.tally.reaches(second)
        return any(second is not None for second in found)

    def _lines(self, text: bytes) -> None:
        hits = sum(text.count(path) for path in self._paths)
        if not hits:
            return
        found = self._whole.findall(text)
        for whole, count in Counter(found).items():
            parts = self._line.match(whole)
            assert parts is not None, "both are the same expression"
            stamp, method, path, status = parts.groups()
            self._add(path, method, status, self._second(stamp), count)
        if len(found) < hits:
            self._other_lines(text)

    def _other_lines(self, text: bytes) -> None:
        """Lines that name a route and that the expression did not take: JSON, or unreadable."""
        position, size = 0, len(text)
        while position < size:
            hit = self._hit.search(text, position)
            if hit is None:
                return
            start = text.rfind(b"\n", 0, hit.start()) + 1
            end = text.find(b"\n", hit.end())
            line, position = text[start:end], end + 1
            if line.startswith(b"{"):
                taken = self._caddy(line) or self._json(line)
            else:
                taken = self._line.search(line) is not None or self._json(line)
            self.tally.unreadable += not taken

    def _caddy(self, line: bytes) -> bool:
        """Count a line of Caddy's own form, reading no more of it than is needed; False when it is none."""
        if self._decoder is None:
            self._decoder = _caddy_decoder()
        try:
            ts, status, (method, uri) = self._decoder(line)
        except ValueError:
            return False
        path = uri.partition("?")[0].partition("#")[0].rstrip("/").encode("utf-8", "replace")
        if path in self._paths:
            self._add(path, method.encode("utf-8", "replace"), b"%d" % status, int(ts), 1)
        return True

    def _json(self, line: bytes) -> bool:
        """Count a JSON line; False when it is none, True also when its request is of another route."""
        begin = line.find(b"{")
        row = _json_row(line[begin:]) if begin >= 0 else None
        if row is None:
            return False
        inner = row.get("request")
        request = inner if isinstance(inner, dict) else row
        uri = request.get("uri") or request.get("request_uri") or row.get("path")
        method = request.get("method") or request.get("request_method")
        second = _json_second(row)
        if not isinstance(uri, str) or second is None:
            return False
        path = uri.partition("?")[0].partition("#")[0].rstrip("/").encode("utf-8", "replace")
        if path not in self._paths:
            return True
        status = str(row.get("status", "")).encode("utf-8", "replace")
        if not isinstance(method, str) or not re.fullmatch(rb"[0-9]{3}", status):
            return False
        self._add(path, method.encode("utf-8", "replace"), status, second, 1)
        return True

    def _add(self, path: bytes, method: bytes, status: bytes, second: int | None, count: int) -> None:
        code = int(status)
        if second is None or not 100 <= code < _STATUS_MAX:
            self.tally.unreadable += count
            return
        self.tally.seen[self._paths[path], method == b"POST", code, second] += count

    def _second(self, stamp: bytes) -> int | None:
        if stamp not in self._seconds:
            if len(self._seconds) > 1_000_000:
                self._seconds.clear()
            self._seconds[stamp] = _stamp_second(stamp)
        return self._seconds[stamp]


def _next_piece(stream: BinaryIO) -> tuple[bytes, Exception | None]:
    """The next piece, as far as it goes, and what broke it off; of a torn gzip all that was whole is given."""
    if not isinstance(stream, gzip.GzipFile):
        return stream.read(PIECE_BYTES), None
    parts: list[bytes] = []
    size = 0
    while size < PIECE_BYTES:
        try:
            part = stream.read1(PIECE_BYTES - size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            return b"".join(parts), error
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts), None


_ENDS_BYTES: Final = 256 * 1024
_REQUEST = re.compile(rb"\[([^\]\n]{20,32})\] \"[A-Z]{3,7} [^\"\n]*\" [0-9]{3}(?![0-9])")


def _request_second(line: bytes) -> int | None:
    """When the request of a line was, whatever its route; None where it is no request in a known format."""
    if found := _REQUEST.search(line):
        return _stamp_second(found[1])
    row = _json_row(line) if line.startswith(b"{") else None
    return None if row is None or "status" not in row else _json_second(row)


_STAMP = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\Z")


def _stamp_second(stamp: bytes) -> int | None:
    """``20/Nov/2026:11:58:03 +0000`` (or an ISO time) as UNIX seconds, None when it is no time."""
    found = _STAMP.match(stamp)
    if found is None:
        moment = parse_iso(stamp.decode("ascii", "replace").strip().replace("/", "-"))
        return None if moment is None else int(moment.timestamp())
    day, month, year, hour, minute, second, sign, east_h, east_min = found.groups()
    offset = timedelta(hours=int(east_h), minutes=int(east_min))
    try:
        zone = timezone(-offset if sign == b"-" else offset)
        parts = [int(part) for part in (year, b"%d" % _MONTHS[month], day, hour, minute, second)]
        return int(datetime(*parts[:5], min(parts[5], 59), tzinfo=zone).timestamp())  # type: ignore[misc,arg-type]
    except (ValueError, KeyError, OverflowError):
        return None


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
        if not (0 < row.ts < 1e11 and 100 <= row.status < _STATUS_MAX):
            raise ValueError
        return row.ts, row.status, (row.request.method, row.request.uri)

    return decode


def _json_row(text: bytes) -> dict[str, Any] | None:
    import msgspec

    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _json_second(row: Mapping[str, Any]) -> int | None:
    for name in ("ts", "time_iso8601", "time", "timestamp", "@timestamp", "time_local", "msec"):
        value = row.get(name)
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, (int, float)):
            return epoch_second(value)
        if isinstance(value, str):
            if re.fullmatch(r"[0-9]{9,11}(\.[0-9]{1,9})?", value):
                return int(float(value))
            return _stamp_second(value.encode("utf-8", "replace"))
    return None


def webhook_routes() -> dict[str, tuple[str, ...]]:
    """The backend's webhook routes by provider; a configuration may name others."""
    return {name: each.webhooks.routes for name, each in providers().items() if each.webhooks.routes}


def is_good(provider: str, status: int) -> bool:
    """Whether a provider takes a status for success; one that is not installed takes any 2xx."""
    return webhooks_of(provider).takes(status)


def _route(
    provider: str,
    flat: Sequence[tuple[str, bytes]],
    seen: Mapping[tuple[int, bool, int, int], int],
    silence: str | None,
) -> RouteTriage:
    own = _of_provider(provider, flat, seen)
    minutes: Counter[tuple[int, int]] = Counter()
    statuses: Counter[int] = Counter()
    posts = {key: count for key, count in own.items() if key[1]}
    for (_, _, status, second), count in posts.items():
        minutes[second // 60, status] += count
        statuses[status] += count
    times = [second for _, _, _, second in posts]
    good = [second for _, _, status, second in posts if is_good(provider, status)]
    rule, advice = runbook_rule(provider, statuses, silence=silence)
    return RouteTriage(
        provider=provider,
        deliveries=statuses.total(),
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0]))),
        minutes=tuple((_at(minute * 60), status, count) for (minute, status), count in sorted(minutes.items())),
        first_at=_at_or_none(min(times, default=None)),
        last_at=_at_or_none(max(times, default=None)),
        first_good=_at_or_none(min(good, default=None)),
        last_good=_at_or_none(max(good, default=None)),
        failures=sum(count for status, count in statuses.items() if not is_good(provider, status)),
        other_methods=sum(own.values()) - statuses.total(),
        bursts=tuple(_bursts(provider, minutes)),
        rule=rule,
        advice=advice,
    )


def _of_provider(
    provider: str, flat: Sequence[tuple[str, bytes]], seen: Mapping[tuple[int, bool, int, int], int]
) -> dict[tuple[int, bool, int, int], int]:
    """The requests to the routes of one provider."""
    numbers = {number for number, (name, _) in enumerate(flat) if name == provider}
    return {key: count for key, count in seen.items() if key[0] in numbers}


def _at_or_none(second: int | None) -> datetime | None:
    return None if second is None else _at(second)


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _bursts(provider: str, minutes: Mapping[tuple[int, int], int]) -> Iterator[Burst]:
    failed: dict[int, Counter[int]] = {}
    for (minute, status), count in minutes.items():
        if not is_good(provider, status):
            failed.setdefault(minute, Counter())[status] += count
    loud = [minute for minute in sorted(failed) if failed[minute].total() >= BURST_FAILURES_MIN]
    run: list[int] = []
    for minute in [*loud, -1]:
        if run and minute != run[-1] + 1:
            total: Counter[int] = sum((failed[each] for each in run), Counter())
            yield Burst(
                provider=provider,
                from_at=_at(run[0] * 60),
                to_at=_at(run[-1] * 60 + 60),
                failures=total.total(),
                statuses=tuple(sorted(total.items())),
            )
            run = []
        run.append(minute)


def _kind_of(provider: str, status: int) -> str:
    if is_good(provider, status):
        return "good"
    if status in (401, 403, 404):
        return "404" if status == 404 else "denied"
    return "unaccepted" if 200 <= status < 400 else "failed"


def runbook_rule(provider: str, statuses: Mapping[int, int], *, silence: str | None = None) -> tuple[str, str]:
    """What the statuses mean by runbook 000 §3.8, and what it says to do; the most frequent kind of failure first.

    Args:
        silence: Why no delivery in the logs does not mean that none came; None where it does.
    """
    if not statuses and silence is not None:
        return f"cannot tell: {silence}", "Name the access logs of the time in question, whole, and look again."
    if not statuses:
        return "nothing came: delivery", (
            "No delivery reached the server. Check the provider's webhook settings, the network path and the ingress; "
            "payments that were missed are found by recon plan."
        )
    kinds: Counter[str] = Counter()
    for status, count in statuses.items():
        kinds[_kind_of(provider, status)] += count
    bad = {kind: count for kind, count in kinds.items() if kind != "good"}
    if not bad:
        return "accepted: if payments are still pending, the safety check holds them", (
            "Look at metadata.transactionSafety of the pending payments: recon inspect ID names the check."
        )
    found = [_RULES[kind] for kind in sorted(bad, key=lambda kind: (-bad[kind], kind))]
    return "; ".join(rule for rule, _ in found), " ".join(advice for _, advice in found)


_RULES: Final[Mapping[str, tuple[str, str]]] = {
    "404": (
        "404: a correlation or configuration bug",
        "Do not ask for a second paid probe. Find the captured deliveries and replay them once it is mended.",
    ),
    "denied": (
        "401 or 403: deliveries are turned away as not genuine",
        "Check the webhook secret and that the raw body is verified (003 §2.7).",
    ),
    "unaccepted": (
        "answered, but not with the status that the provider waits for",
        "Make the route answer exactly 202; the gateway repeats its callbacks every minute until then.",
    ),
    "failed": (
        "the backend fails on deliveries (4xx or 5xx)",
        "See its errors of these minutes; isolate the provider if it lasts, then replay (003 §2.1).",
    ),
}
