"""Times as text, read and written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from recon.core.times import (
    epoch_ms,
    epoch_second,
    millisecond_text,
    ms_text,
    parse_iso,
    parse_iso_ms,
    second_text,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T12:00:00Z", "2026-11-20T13:00+01:00", "2026-11-20T12:00", "2026-11-20 12:00:00.000", "20261120T12Z"],
)
def test_every_spelling_of_a_time_is_the_same_aware_utc_time(text: str) -> None:
    assert parse_iso(text) == NOON
    assert parse_iso(text).tzinfo is UTC  # type: ignore[union-attr]
    assert parse_iso_ms(text) == NOON.timestamp() * 1000


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "0001-01-01T00:00+05:00", "1763640000"])
def test_what_is_no_time_of_the_calendar_is_none(text: str) -> None:
    assert parse_iso(text) is None
    assert parse_iso_ms(text) is None


def test_a_time_without_a_zone_is_in_the_zone_that_is_given_or_refused() -> None:
    assert parse_iso("2026-11-20T13:00", zone=timezone(timedelta(hours=1))) == NOON
    assert parse_iso("2026-11-20T12:00", zone=None) is None
    assert parse_iso("2026-11-20T12:00Z", zone=None) == NOON


def test_a_unix_time_counts_seconds_or_milliseconds() -> None:
    assert epoch_ms(1_763_640_000) == epoch_ms(1_763_640_000_000) == 1_763_640_000_000
    assert epoch_second(1_763_640_000.9) == epoch_second(1_763_640_000_900) == 1_763_640_000
    assert [epoch_second(number) for number in (0, -5, 1e15, float("nan"), float("inf"))] == [None] * 5


def test_times_are_written_to_the_second_or_to_the_millisecond() -> None:
    at = NOON + timedelta(microseconds=7_999)
    assert second_text(at) == "2026-11-20T12:00:00Z"
    assert second_text(None) == ""
    assert millisecond_text(at) == "2026-11-20T12:00:00.007Z"
    assert ms_text(1_795_176_000_000) == "2026-11-20T12:00:00Z"
    assert ms_text(None) == "an unknown time"
    assert ms_text(10**18) == f"{10**18} ms"
