"""When a round is due: five cron words or an interval, in UTC, each time with a delay of its own.

The delay is drawn from the name of the schedule and the time itself, so that many watches do not ask their sources at
one moment, and that a watch which was killed comes back to the very same times.

>>> from datetime import UTC
>>> every = read_schedule("every 5min", name="main", jitter_s=0)
>>> every.next_after(datetime(2026, 12, 1, 8, 3, tzinfo=UTC)).isoformat()
'2026-12-01T08:05:00+00:00'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from recon.core.errors import ConfigError
from recon.core.extras import check_extra
from recon.core.times import EPOCH, second_text

_INTERVAL: Final = re.compile(r"every\s+([0-9]{1,5})\s*(s|min|h|d)")
_UNITS: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
SHORTEST: Final = timedelta(seconds=10)


class ScheduleError(ConfigError):
    """The words of a schedule are none."""

    def __init__(self, *, words: str, why: str) -> None:
        super().__init__(
            f'[watch]: {words[:60]!r} is no schedule ({why}); write "every 5min", "every 2h" or five cron words such '
            'as "*/15 * * * *", in UTC. No round was made.'
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which rounds of one window are due.

    Args:
        words: As the configuration gives them.
        name: What the delays are drawn from, besides the time.
        jitter_s: The longest delay, seconds.
        following: Gives the first time of the words after a moment.
    """

    words: str
    name: str
    jitter_s: int
    following: Callable[[datetime], datetime]

    def next_after(self, moment: datetime) -> datetime:
        """The first time after a moment, without its delay."""
        return self.following(moment.astimezone(UTC))

    def delay_of(self, due: datetime) -> timedelta:
        """How long after its time a round begins: the same for the same time, below the jitter."""
        drawn = hashlib.sha256(f"{self.name}|{second_text(due)}".encode()).digest()
        return timedelta(milliseconds=int.from_bytes(drawn[:8], "big") % (self.jitter_s * 1000 or 1))

    @property
    def apart(self) -> timedelta:
        """How far apart two times are, at the beginning of a year: what "late" is measured by."""
        first = self.next_after(datetime(2026, 1, 1, tzinfo=UTC))
        return self.next_after(first) - first


def read_schedule(words: str, *, name: str, jitter_s: int) -> Schedule:
    """Read the words of a schedule.

    Raises:
        ScheduleError: They are none.
        MissingExtraError: They are cron words, and what reads them is not installed.
    """
    text = " ".join(words.split())
    if text.startswith("every"):
        return Schedule(text, name, jitter_s, _by_interval(text))
    check_extra(f"the schedule {text[:60]!r}", package="cronsim", extra="watch")
    return Schedule(text, name, jitter_s, _by_cron(text))


def _by_interval(text: str) -> Callable[[datetime], datetime]:
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise ScheduleError(words=text, why='after "every" a number and s, min, h or d are wanted')
    every = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if every < SHORTEST:
        raise ScheduleError(words=text, why="rounds are at least ten seconds apart")

    def following(moment: datetime) -> datetime:
        # Counted from 1970, so that a watch that is started anew keeps the times of the one before.
        return EPOCH + every * ((moment - EPOCH) // every + 1)

    return following


def _by_cron(text: str) -> Callable[[datetime], datetime]:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        raise ScheduleError(words=text, why=f"it has {len(text.split())} words where cron has five")
    try:
        next(CronSim(text, EPOCH + timedelta(days=20_000)))
    except CronSimError as error:
        raise ScheduleError(words=text, why=str(error).lower()) from error
    except StopIteration:
        raise ScheduleError(words=text, why="no day is ever like that") from None
    return lambda moment: next(CronSim(text, moment))
