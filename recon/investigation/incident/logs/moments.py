"""Times as logs write them, as UNIX seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from recon.core.times import epoch_second, parse_iso

KNOWN_MAX: Final = 100_000
_MONTHS_MAX: Final = 12
_MONTHS: Final = {
    name: number
    for number, name in enumerate((b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct",
                                   b"Nov", b"Dec"), 1)
}  # fmt: skip
_CLF = re.compile(
    rb"(\d\d)/([A-Z][a-z]{2})/(\d{4})[: ](\d\d):(\d\d):(\d\d)(?:[.,]\d{1,9})?(?: ?([+-])(\d\d):?(\d\d)| ?(Z|UTC|GMT))?"
)
_ISO = re.compile(
    rb"\d{4}([-/])\d\d[-/]\d\d(?:[T ]| - )\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    rb"(?: ?(?:Z|UTC|GMT)(?![A-Za-z])| ?[+-]\d\d:?\d\d)?"
)
_SLASHED = re.compile(
    rb"(?<![0-9/])(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d\d):(\d\d)(?:[.,]\d{1,9})?"
    rb"(?: ?([AaPp])\.?[Mm]\b\.?)?(?: ?(Z|UTC|GMT)\b)?"
)
_WORDED = (
    re.compile(rb"(?P<m>[A-Z][a-z]{2}) (?P<d>\d{1,2}), (?P<y>\d{4}) @ (?P<t>\d\d:\d\d:\d\d)(?P<z>\b)"),
    re.compile(rb"(?P<d>\d{1,2}) (?P<m>[A-Z][a-z]{2}) (?P<y>\d{4}) (?P<t>\d\d:\d\d:\d\d) (?P<z>GMT|UTC|\+0000)"),
    re.compile(
        rb"[A-Z][a-z]{2} (?P<m>[A-Z][a-z]{2}) (?P<d>[ \d]\d) (?P<t>\d\d:\d\d:\d\d)(?:\.\d{1,9})? (?P<y>\d{4})(?P<z>)"
    ),
)
"""Kibana's tables, the dates of HTTP, and those of C."""
_EPOCH = re.compile(rb"(?<![\w.:/-])1[0-9]{9}(?:\.[0-9]{1,9}|[0-9]{3}|[0-9]{6})?(?![\w.:/-])")
_SYSLOG = re.compile(rb"(?:^|>|\| )([A-Z][a-z]{2}) ([ 0-3][0-9]) (\d\d):(\d\d):(\d\d)(?![0-9])")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time in a log: UNIX seconds, and whether its zone was written beside it; without one it is taken as UTC."""

    second: int
    is_zoned: bool = True


class LogClock:
    """Reads times, and remembers them: a busy server writes each many times.

    Args:
        written_at: UNIX seconds at which a file was last written: the year of a syslog time, which names none.
    """

    def __init__(self, written_at: float = 0.0) -> None:
        self.written_at = written_at
        self._known: dict[bytes, Stamp | None] = {}
        self._is_day_first: bool | None = None

    def begin(self, text: bytes, *, written_at: float) -> None:
        """Begin another file, and learn from its first lines whether ``4/11/2026`` begins with the day."""
        self.written_at = written_at
        told = {int(first) > _MONTHS_MAX for first, second, *_ in _SLASHED.findall(text)
                if (int(first) > _MONTHS_MAX) != (int(second) > _MONTHS_MAX)}  # fmt: skip
        self._is_day_first = told.pop() if len(told) == 1 else None
        self._known.clear()

    def read(self, text: bytes) -> Stamp | None:
        """The first time in a short text, None where there is none."""
        if text not in self._known:
            if len(self._known) > KNOWN_MAX:
                self._known.clear()
            whole = _CLF.fullmatch(text)
            self._known[text] = self.find(text) if whole is None else _of_clf(whole)
        return self._known[text]

    def find(self, text: bytes) -> Stamp | None:
        """The first time in a text that names its zone, else the first; None where there is none."""
        found = [*_CLF.finditer(text), *_ISO.finditer(text)]
        stamps = [_of_clf(each) if each.re is _CLF else _of_iso(each) for each in sorted(found, key=re.Match.start)]
        known = [stamp for stamp in stamps if stamp is not None]
        if known:
            return next((stamp for stamp in known if stamp.is_zoned), known[0])
        if (told := self._slashed(text) or _of_words(text)) is not None:
            return told
        if (epoch := _EPOCH.search(text)) is not None:
            return _of_epoch(float(epoch[0]))
        return self._syslog(text)

    def _slashed(self, text: bytes) -> Stamp | None:
        """A date of two numbers and a year, where it is known which of them is the day."""
        found = _SLASHED.search(text)
        if found is None:
            return None
        first, second, year, hour, minute, number = (int(part) for part in found.groups()[:6])
        is_day_first = first > _MONTHS_MAX or (second <= _MONTHS_MAX and self._is_day_first)
        if not is_day_first and second <= _MONTHS_MAX and self._is_day_first is None and first != second:
            return None
        month, day = (second, first) if is_day_first else (first, second)
        if found[7] is not None:
            hour = hour % 12 + (12 if found[7] in b"Pp" else 0)
        return _of_parts(year, month, day, f"{hour:02}:{minute:02}:{number:02}", is_zoned=found[8] is not None)

    def value(self, value: Any) -> Stamp | None:
        """A value of a JSON row: a number of seconds, milliseconds or less, or a text."""
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float):
            return _of_epoch(value)
        if not isinstance(value, str) or len(value) > 80:
            return None
        if re.fullmatch(r"[0-9]{9,19}(\.[0-9]{1,9})?", value):
            return _of_epoch(float(value))
        return self.read(value.encode("utf-8", "replace"))

    def _syslog(self, text: bytes) -> Stamp | None:
        found = _SYSLOG.search(text)
        if found is None or found[1] not in _MONTHS or self.written_at <= 0:
            return None
        end = datetime.fromtimestamp(self.written_at, UTC) + timedelta(days=1)
        numbers = [int(part) for part in found.groups()[1:]]
        for year in (end.year, end.year - 1):
            try:
                at = datetime(year, _MONTHS[found[1]], *numbers, tzinfo=UTC)  # type: ignore[misc,arg-type]
            except ValueError:
                continue
            if at <= end:
                return Stamp(int(at.timestamp()), is_zoned=False)
        return None


def _of_words(text: bytes) -> Stamp | None:
    """A date with the name of its month, as few servers write it."""
    for form in _WORDED:
        if (found := form.search(text)) is not None and found["m"] in _MONTHS:
            year, month, day = int(found["y"]), _MONTHS[found["m"]], int(found["d"])
            return _of_parts(year, month, day, found["t"].decode(), is_zoned=bool(found["z"]))
    return None


def _of_parts(year: int, month: int, day: int, clock: str, *, is_zoned: bool) -> Stamp | None:
    moment = parse_iso(f"{year:04}-{month:02}-{day:02}T{clock}Z")
    return None if moment is None else Stamp(int(moment.timestamp()), is_zoned)


def _of_clf(found: re.Match[bytes]) -> Stamp | None:
    day, month, year, hour, minute, second, sign, east_h, east_min, named = found.groups()
    offset = timedelta(hours=int(east_h or 0), minutes=int(east_min or 0))
    try:
        zone = timezone(-offset if sign == b"-" else offset)
        parts = [int(part) for part in (year, b"%d" % _MONTHS[month], day, hour, minute, second)]
        at = datetime(*parts[:5], min(parts[5], 59), tzinfo=zone)  # type: ignore[misc,arg-type]
        return Stamp(int(at.timestamp()), is_zoned=sign is not None or named is not None)
    except (ValueError, KeyError, OverflowError):
        return None


def _of_iso(found: re.Match[bytes]) -> Stamp | None:
    text = found[0].decode().replace(" - ", " ").replace("/", "-").replace(",", ".")
    text = re.sub(r" ?(?:UTC|GMT)\Z", "Z", text)
    text = re.sub(r"(\.\d{6})\d+", r"\1", re.sub(r" (?=[+-]\d\d:?\d\d\Z|Z\Z)", "", text))
    moment = parse_iso(text)
    is_zoned = re.search(r"(?:Z|[+-]\d\d:?\d\d)\Z", text[10:]) is not None
    return None if moment is None else Stamp(int(moment.timestamp()), is_zoned)


def _of_epoch(number: float) -> Stamp | None:
    """A number that counts seconds, milliseconds, microseconds or nanoseconds; less than 1973 is a duration."""
    for _ in range(2):
        if number > 1e14:
            number /= 1000
    second = epoch_second(number) if number > 1e8 else None
    return None if second is None else Stamp(second)
