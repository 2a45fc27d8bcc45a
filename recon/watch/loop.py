"""The watch that never ends: rounds by their schedules, looks between them, and patience with what is away.

The clock of the wall says what is due; how long to wait is told by one that never jumps. A time that was slept through
is made up for by one round, whatever their number was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from recon.core.errors import ReconError
from recon.core.times import second_text
from recon.watch.keeping import prune
from recon.watch.rounds import RoundDone, Rounds, WatchedWindow
from recon.watch.saying import age_said
from recon.watch.state import WindowMemory

if TYPE_CHECKING:
    from recon.setup.settings import Settings

JUMP: Final = timedelta(seconds=60)
"""The clock is off by more than this against the one that never jumps: it was set, or the machine slept."""

RETRY_S: Final = 60.0
PRUNE_EVERY_S: Final = 3600.0
SLEEP_MAX_S: Final = 5.0

Heard = Callable[[RoundDone], None]
"""Told of every round and look; what it raises is said, and never stops the watch."""


@dataclass(slots=True)
class Clocks:
    """The three clocks of a watch, so that a test can be its own.

    Args:
        wall: The time.
        monotonic: Seconds on a clock that never jumps.
        wait: Waits for so many seconds, or less when the watch is to end; True then.
    """

    wall: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], bool] = field(default_factory=lambda: threading.Event().wait)


@dataclass(slots=True)
class _Course:
    """Where the schedule of one window stands."""

    window: WatchedWindow
    due: datetime
    asleep: datetime | None = None

    @property
    def begins(self) -> datetime:
        """When its next round begins."""
        return self.due + self.window.schedule.delay_of(self.due)


class Watcher:
    """A watch of one target; :meth:`run` holds on until it is told to end.

    Args:
        heard: Told of every round and every look.
        say: Told in one sentence what a person at the terminal should know.
        keep: Called before each step; raises where another watch took over.
    """

    def __init__(
        self,
        rounds: Rounds,
        *,
        clocks: Clocks,
        heard: Iterable[Heard] = (),
        say: Callable[[str], None],
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.rounds, self.clocks, self._heard, self.say, self._keep = rounds, clocks, tuple(heard), say, keep
        self._limits = rounds.settings.values.watch
        self._offset = self._now_offset()
        self._not_before = -1.0  # on the clock that never jumps: rounds wait for it while sources are away
        self._look_at = clocks.monotonic()
        self._prune_at = clocks.monotonic()
        now = clocks.wall()
        self.courses = [self._first(window, now) for window in rounds.windows]

    def run(self) -> None:
        """Watch until told to end."""
        while not self.clocks.wait(self.step()):
            pass

    def step(self) -> float:
        """Do what is due now; gives the seconds until it is worth looking again.

        Raises:
            AnotherWatchError: Another watch took the lease over while the database was away.
        """
        self._keep()
        self._hear_jump()
        now, passed = self.clocks.wall(), self.clocks.monotonic()
        course = min(self.courses, key=lambda each: (each.begins, each.window.name))
        if course.begins <= now and passed >= self._not_before:
            self._round(course)
            return 0.0
        if passed >= self._look_at:
            self._look_at = passed + self._limits.look_every_s
            self._tell(self.rounds.look())
            return 0.0
        until = max((course.begins - now).total_seconds(), self._not_before - passed)
        return max(0.05, min(SLEEP_MAX_S, until, self._look_at - passed))

    def _round(self, course: _Course) -> None:
        due, asleep, course.asleep = course.due, course.asleep, None
        try:
            done = self.rounds.make(course.window, due=due, asleep=asleep)
        except ReconError as error:
            self.say(f"A round stopped, and is made again at its next time: {error}")
            self._not_before = self.clocks.monotonic() + RETRY_S
            return
        finally:
            course.due = self._following(course.window, due)
        self._look_at = self.clocks.monotonic() + self._limits.look_every_s
        self._tell(done)
        self._back_off(done)
        self._prune()

    def _following(self, window: WatchedWindow, due: datetime) -> datetime:
        """The first time that is still ahead; those that passed meanwhile are made up for by the round just made."""
        return window.schedule.next_after(max(due, self.clocks.wall()))

    def _back_off(self, done: RoundDone) -> None:
        """After a round that could not be made the next one waits 1, 2, 4 minutes and so on."""
        failures = done.state.failures
        if not failures:
            self._not_before = -1.0
            return
        minutes = min(2 ** min(failures - 1, 20), self._limits.back_off_max_min)
        self._not_before = self.clocks.monotonic() + minutes * 60
        for course in self.courses:
            if course.window.name == done.window:
                # It is tried again before its next time, and as soon as it may.
                course.due = min(course.due, self.clocks.wall() + timedelta(minutes=minutes))
        self.say(f"The round could not be made and is tried again in {minutes} min: {done.failure}")

    def _prune(self) -> None:
        if self.clocks.monotonic() < self._prune_at:
            return
        self._prune_at = self.clocks.monotonic() + PRUNE_EVERY_S
        in_use = [each.snapshot for each in self.rounds.state.windows.values()]
        with suppress(OSError):
            found = prune(self.rounds.settings, now=self.clocks.wall(), in_use=in_use)
            if found.why_not:
                self.say(found.why_not)

    def _tell(self, done: RoundDone) -> None:
        for each in self._heard:
            try:
                each(done)
            except Exception as error:
                self.say(f"A round could not be told of ({type(error).__name__}); the watch goes on.")

    def _first(self, window: WatchedWindow, now: datetime) -> _Course:
        """The next round of a window: at once where one is missing, else by the schedule."""
        memory = self.rounds.state.windows.get(window.name, WindowMemory())
        if memory.due is None or memory.due > now:
            return _Course(window, now - timedelta(seconds=window.schedule.jitter_s))
        due = window.schedule.next_after(memory.due)
        if due > now:
            return _Course(window, due)
        slept = now - due > 3 * window.schedule.apart + timedelta(minutes=self._limits.late_min)
        if slept:
            self.say(
                f"{window.name}: no round was made for {age_said(now - memory.due)}; one is made now for all of them."
            )
        return _Course(window, due, memory.due if slept else None)

    def _now_offset(self) -> float:
        return self.clocks.wall().timestamp() - self.clocks.monotonic()

    def _hear_jump(self) -> None:
        """Notice a clock that was set, or a machine that slept: what is due is counted anew."""
        offset = self._now_offset()
        jumped, self._offset = timedelta(seconds=offset - self._offset), offset
        if abs(jumped) < JUMP:
            return
        now = self.clocks.wall()
        way = "ahead" if jumped > timedelta(0) else "back"
        self.say(
            f"The clock jumped {way} by {age_said(abs(jumped))}, to {second_text(now)}; what is due is counted anew."
        )
        self._look_at = self.clocks.monotonic()
        for course in self.courses:
            if jumped < timedelta(0) and course.due > now:
                course.due = course.window.schedule.next_after(now)
            elif course.due <= now - 3 * course.window.schedule.apart:
                course.asleep = course.due


def watch_until(
    settings: Settings,
    *,
    clocks: Clocks,
    heard: Iterable[Heard] = (),
    say: Callable[[str], None],
    keep: Callable[[], None],
    config: str = "",
) -> None:
    """Watch a target until told to end; the lease has to be held, and ``keep`` makes sure that it still is.

    Raises:
        ConfigError: A setting or a secret is missing.
        AnotherWatchError: Another watch took over.
    """
    from recon.setup.open_sources import Opening

    feed = Opening(settings).changes()
    with closing(Rounds(settings, clock=clocks.wall, config=config, say=say, feed=feed)) as rounds:
        Watcher(rounds, clocks=clocks, heard=heard, say=say, keep=keep).run()
