"""Watching a backlog drain: the same count again and again, with a rate and an estimate, until it is empty or stalled.

The clock, the pause and the count come from outside, so the same loop runs in a test, in a notebook and over SSH.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from recon.core.errors import SourceError, UsageError

READINGS_MAX: Final = 100_000
FAILURES_MAX: Final = 3
RATE_READINGS: Final = 6
"""The rate is that of the last few readings: an early burst must not promise too much."""

End = Literal["empty", "stalled", "time_over"]


class DrainError(SourceError):
    """The backlog could not be counted any more."""

    def __init__(self, *, provider: str, times: int, why: str) -> None:
        super().__init__(
            f"The backlog of {provider} could not be counted {times} times in a row ({why}); nothing is known of it "
            "now. Run the command again once the database answers."
        )


class DrainSettingError(UsageError):
    """The settings of a watch make no sense."""

    def __init__(self, *, what: str) -> None:
        super().__init__(f"{what}; nothing was counted.")


@dataclass(frozen=True, slots=True)
class BacklogReading:
    """One count.

    Args:
        open: Open payments of the rail.
        stuck: Those of them older than the stuck age: the backlog.
        oldest_at: When the oldest of the backlog was created.
    """

    at: datetime
    open: int
    stuck: int
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A reading with what follows from it and the ones before.

    Args:
        per_hour: Payments that leave the backlog in an hour, in tenths; negative while it grows; None with one reading.
        left: How long the backlog lasts at that rate; None while it does not shrink.
    """

    reading: BacklogReading
    per_hour_tenths: int | None
    left: timedelta | None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Drained:
    """How a watch ended."""

    provider: str
    end: End
    readings: tuple[BacklogReading, ...]
    last: Progress


@dataclass(frozen=True, slots=True)
class Watch:
    """How long and how often to look.

    Args:
        every: Time between two counts.
        stalled_after: No less backlog for that long means stalled.
        at_most: The watch ends then at the latest; None is no end.
    """

    every: timedelta = timedelta(seconds=30)
    stalled_after: timedelta = timedelta(minutes=15)
    at_most: timedelta | None = None

    def __post_init__(self) -> None:
        if self.every < timedelta(seconds=1):
            raise DrainSettingError(what="Two counts must be at least a second apart")
        if self.stalled_after < self.every:
            raise DrainSettingError(what="Stalled must not come before the second count")


def watch_drain(
    provider: str,
    *,
    count: Callable[[], BacklogReading],
    watch: Watch,
    sleep: Callable[[float], None],
    show: Callable[[Progress], None],
) -> Drained:
    """Count until the backlog is empty, has not shrunk for long enough, or time is over.

    Args:
        count: Counts now; a :class:`~recon.core.errors.SourceError` is tried again, three times in a row at most.
        sleep: Waits for that many seconds.
        show: Called with every reading as it comes.

    Raises:
        DrainError: The backlog could not be counted three times in a row.
    """
    readings: list[BacklogReading] = []
    failures = 0
    while len(readings) < READINGS_MAX:
        try:
            reading = count()
        except SourceError as error:
            failures += 1
            if failures >= FAILURES_MAX:
                raise DrainError(provider=provider, times=failures, why=str(error)) from error
            sleep(watch.every.total_seconds())
            continue
        readings.append(reading)
        progress = progress_of(readings, failures=failures)
        failures = 0
        show(progress)
        if (end := ended(readings, watch)) is not None:
            return Drained(provider, end, tuple(readings), progress)
        sleep(watch.every.total_seconds())
    return Drained(provider, "time_over", tuple(readings), progress_of(readings))


def ended(readings: Sequence[BacklogReading], watch: Watch) -> End | None:
    """Whether the watch is over: empty first, then stalled, then out of time."""
    last, first = readings[-1], readings[0]
    if last.stuck == 0:
        return "empty"
    lowest = min(reading.stuck for reading in readings)
    reached = next(reading for reading in readings if reading.stuck == lowest)
    if last.at - reached.at >= watch.stalled_after:
        return "stalled"
    if watch.at_most is not None and last.at - first.at >= watch.at_most:
        return "time_over"
    return None


def progress_of(readings: Sequence[BacklogReading], *, failures: int = 0) -> Progress:
    """The last reading with the rate over the last few, and how long the backlog lasts at that rate."""
    recent = readings[-RATE_READINGS:]
    last, first = recent[-1], recent[0]
    span = last.at - first.at
    if span <= timedelta(0):
        return Progress(last, None, None, failures)
    gone, millis = first.stuck - last.stuck, span // timedelta(milliseconds=1)
    tenths = gone * 36_000_000 // max(1, millis)
    left = span * last.stuck / gone if gone > 0 else None
    return Progress(last, tenths, left, failures)
