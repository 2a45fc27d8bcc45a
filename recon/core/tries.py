"""The one way to try again: pauses that double up to a longest one, a number of tries, and a time at which it ends.

Which failures pass by themselves is for the caller to say; nothing here knows HTTP, JSON-RPC or MongoDB. Time and
chance are given, so that a test need not wait:

    tries = Tries(Backoff(0.5, 20.0), sleep=clock.sleep, monotonic=clock.monotonic, tries_max=5)
    while True:
        try:
            return ask()
        except ConnectionError:
            if not tries.again():
                raise
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_DOUBLINGS_MAX = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long the pauses between tries are.

    Args:
        first_s: The pause after the first failure; each further one is twice as long.
        longest_s: No pause grows beyond it.
        share_min, share_max: Between these shares of the pause one is drawn each time; 1 and 1 for no jitter.

    >>> [Backoff(0.5, 3.0).pause_s(failures) for failures in (1, 2, 3, 4)]
    [0.5, 1.0, 2.0, 3.0]
    """

    first_s: float
    longest_s: float
    share_min: float = 1.0
    share_max: float = 1.0

    def pause_s(self, failures: int, *, draw: float = 0.0) -> float:
        """The pause after this many failures; ``draw`` is a number from 0 to below 1."""
        whole = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX))
        return whole * (self.share_min + draw * (self.share_max - self.share_min))


class Tries:
    """Counts the failures of one question and waits between its tries.

    Args:
        tries_max: How often is tried at all; None where only the time ends it.
        ends_at: On the clock of ``monotonic``; no try begins then or later.
        draw: Gives a number from 0 to below 1 for the jitter.

    ``failures`` are those in a row, ``lasted_s`` is the time from the beginning to the last of them.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        tries_max: int | None = None,
        ends_at: float = math.inf,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.failures = 0
        self.lasted_s = 0.0
        self.ends_at = ends_at
        self._backoff, self._sleep, self._monotonic, self._draw = backoff, sleep, monotonic, draw
        self._tries_max = tries_max
        self._began_at = monotonic()

    @property
    def is_last(self) -> bool:
        """Whether the try that runs now is the last one that is allowed."""
        return self._tries_max is not None and self.failures + 1 >= self._tries_max

    def again(self, *, pause_s: float | None = None) -> bool:
        """Count a failure and wait for the next try; False when there is to be none, and then nothing is waited.

        Args:
            pause_s: The pause that the other side asked for, instead of our own.
        """
        pause = self.next_pause_s(pause_s=pause_s)
        if pause is None:
            return False
        self._sleep(pause)
        return True

    def next_pause_s(self, *, pause_s: float | None = None, pause_min_s: float = 0.0) -> float | None:
        """Count a failure and say how long to wait before the next try, None when there is to be none.

        Args:
            pause_s: The pause that the other side asked for, instead of our own.
            pause_min_s: The shortest pause that the other side asked for.
        """
        was_last = self.is_last
        self.failures += 1
        now = self._monotonic()
        self.lasted_s = now - self._began_at
        if was_last:
            return None
        if pause_s is None:
            pause_s = max(self._backoff.pause_s(self.failures, draw=self._draw()), pause_min_s)
        return pause_s if now + pause_s < self.ends_at else None

    def start_over(self) -> None:
        """A try got somewhere: the failures before it no longer count."""
        self.failures = 0
