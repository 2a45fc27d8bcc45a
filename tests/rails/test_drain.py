"""A backlog is watched until it is empty, stalled, or time is over; the clock and the pause are the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from recon.core.errors import SourceError
from recon.rails.drain import (
    BacklogReading,
    Drained,
    DrainError,
    DrainSettingError,
    Progress,
    Watch,
    ended,
    progress_of,
    watch_drain,
)
from recon.reports.views.operations import progress_line, render_drain

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def reading(minute: float, stuck: int) -> BacklogReading:
    return BacklogReading(NOW + minute * MINUTE, stuck + 5, stuck, NOW - timedelta(hours=1))


def counter(values: Iterator[int | Exception], clock: list[float]) -> Callable[[], BacklogReading]:
    def count() -> BacklogReading:
        value = next(values)
        if isinstance(value, Exception):
            raise value
        return reading(clock[0] / 60, value)

    return count


def watched(*values: int | Exception, watch: Watch | None = None) -> tuple[Drained, list[Progress], float]:
    clock, shown = [0.0], []
    found = watch_drain(
        "shkeeper",
        count=counter(iter(values), clock),
        watch=watch or Watch(every=MINUTE, stalled_after=3 * MINUTE),
        sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds),
        show=shown.append,
    )
    return found, shown, clock[0]


def test_it_ends_when_the_backlog_is_empty() -> None:
    found, shown, waited = watched(9, 6, 3, 0)
    assert (found.end, len(shown), waited) == ("empty", 4, 180.0)


def test_an_empty_backlog_needs_one_count_and_no_wait() -> None:
    assert watched(0)[0].end == "empty"
    assert watched(0)[2] == 0.0


@pytest.mark.parametrize(("minutes", "end"), [(2, None), (3, "stalled")])
def test_no_less_backlog_for_long_enough_is_stalled(minutes: int, end: str | None) -> None:
    readings = [reading(0, 9), reading(1, 5), reading(1 + minutes, 5)]
    assert ended(readings, Watch(every=MINUTE, stalled_after=3 * MINUTE)) == end


def test_a_backlog_that_bounces_without_a_new_low_is_stalled() -> None:
    assert watched(5, 4, 6, 5, 4)[0].end == "stalled"


def test_every_new_low_starts_the_time_anew() -> None:
    assert watched(9, 9, 9, 8, 8, 8, 7, 0)[0].end == "empty"


@pytest.mark.parametrize(("at_most", "counts"), [(timedelta(0), 1), (2 * MINUTE, 3)])
def test_it_ends_when_time_is_over(at_most: timedelta, counts: int) -> None:
    found, shown, _ = watched(9, 8, 7, 6, watch=Watch(every=MINUTE, stalled_after=9 * MINUTE, at_most=at_most))
    assert (found.end, len(shown)) == ("time_over", counts)


def test_the_rate_and_the_estimate_are_exact() -> None:
    progress = progress_of([reading(0, 100), reading(6, 90)])
    assert (progress.per_hour_tenths, progress.left) == (1000, timedelta(minutes=54))
    assert "stuck 90, open 95, oldest 2026-11-20T11:00:00Z, 100.0 an hour, empty in about 54 min" in progress_line(
        progress
    )


def test_a_growing_backlog_has_a_negative_rate_and_no_estimate() -> None:
    progress = progress_of([reading(0, 10), reading(60, 13)])
    assert (progress.per_hour_tenths, progress.left) == (-30, None)
    assert ", -3.0 an hour" in progress_line(progress)


def test_the_rate_is_that_of_the_last_readings() -> None:
    readings = [reading(0, 1000), *(reading(minute, 100 - minute) for minute in range(1, 8))]
    assert progress_of(readings).per_hour_tenths == 600


def test_one_reading_and_a_clock_that_went_back_have_no_rate() -> None:
    assert progress_of([reading(0, 9)]).per_hour_tenths is None
    assert progress_of([reading(5, 9), reading(1, 8)]).per_hour_tenths is None


def test_a_count_that_fails_is_tried_again_and_three_in_a_row_end_the_watch() -> None:
    away = SourceError("the database does not answer")
    found, shown, _ = watched(9, away, away, 8, away, away, 0)
    assert (found.end, [progress.failures for progress in shown]) == ("empty", [0, 2, 2])
    assert "(after 2 failed counts)" in progress_line(shown[1])
    with pytest.raises(DrainError, match="3 times in a row"):
        watched(9, away, away, away, 0)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(DrainSettingError, match="a second apart"):
        Watch(every=timedelta(0))
    with pytest.raises(DrainSettingError, match="before the second count"):
        Watch(every=MINUTE, stalled_after=MINUTE / 2)


def test_the_report_says_how_it_ended() -> None:
    facts = {fact.name: fact for fact in render_drain(watched(5, 4, 6, 5, 4)[0]).facts}
    assert facts["end"].alarm
    assert facts["gone"].value == "1"
    assert not next(fact for fact in render_drain(watched(1, 0)[0]).facts if fact.name == "end").alarm
