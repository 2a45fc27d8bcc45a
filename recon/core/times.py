"""Times as text: one reader of ISO and UNIX times, and one function for each way in which a time is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

MILLISECONDS_ABOVE: Final = 10**11
"""A UNIX time above this counts milliseconds; as seconds it would lie after the year 5000."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CALENDAR_END_MS: Final = 253_402_300_799_999


def from_ms(ms: int) -> datetime:
    """UTC milliseconds as a time; one before 1970 or after the year 9999 as the nearest that there is."""
    return EPOCH + timedelta(milliseconds=min(max(ms, 0), _CALENDAR_END_MS))


def to_ms(moment: datetime) -> int:
    """An aware time as UTC milliseconds.

    >>> to_ms(from_ms(1_763_640_000_123))
    1763640000123
    """
    return round(moment.timestamp() * 1000)


def parse_iso(text: str, *, zone: tzinfo | None = UTC) -> datetime | None:
    """Read an ISO 8601 time or date as aware UTC; None when it is no time.

    >>> parse_iso("2026-11-20T08:30Z")
    datetime.datetime(2026, 11, 20, 8, 30, tzinfo=datetime.timezone.utc)

    Args:
        zone: The zone of a time that names none; None refuses such a time.
    """
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if found.tzinfo is None:
            return None if zone is None else found.replace(tzinfo=zone).astimezone(UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_iso_ms(text: str) -> int | None:
    """Read an ISO 8601 time as UTC milliseconds, one without a zone as UTC; None when it is no time."""
    found = parse_iso(text)
    return None if found is None else to_ms(found)


def epoch_ms(number: int) -> int:
    """UTC milliseconds of a UNIX time that may count seconds or milliseconds.

    >>> epoch_ms(1_763_640_000) == epoch_ms(1_763_640_000_000)
    True
    """
    return number if number > MILLISECONDS_ABOVE else number * 1000


def epoch_second(number: float) -> int | None:
    """The second of a UNIX time that may count seconds or milliseconds; None where it is no time after 1970."""
    second = number / 1000 if abs(number) > MILLISECONDS_ABOVE else number
    return int(second) if 0 < second < MILLISECONDS_ABOVE else None


def second_text(moment: datetime | None) -> str:
    """A UTC time to the second, as ``2026-11-20T08:30:00Z``; empty for none."""
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def millisecond_text(moment: datetime) -> str:
    """An aware UTC time to the millisecond, as ``2026-11-20T08:30:00.000Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms_text(ms: int | None) -> str:
    """UTC milliseconds as a time to the second; far-off numbers are shown as they are."""
    if ms is None:
        return "an unknown time"
    try:
        return second_text(datetime.fromtimestamp(ms / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
