"""Carries messages to their channels, each in a thread of its own, so that one that hangs holds up nothing else.

The watch calls :meth:`Courier.tell` after each round and goes on at once. A channel that fails is tried again
after pauses that double; what it was to be told is worked out anew before each try, so that it hears how things are.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from recon.core.text import clean_text
from recon.core.tries import Backoff, Tries
from recon.sources.http import Clock
from recon.watch.situations import KeptSituation
from recon.watch.telling.channels import Channel, NotTakenError
from recon.watch.telling.outbox import Outbox
from recon.watch.telling.texts import Dispatch

BACKOFF: Final = Backoff(first_s=5.0, longest_s=900.0, share_min=0.7)
LOOK_EVERY_S: Final = 20.0
"""How often a channel looks whether quiet hours ended or a summary is due."""

_LOG = logging.getLogger("recon")


class Courier:
    """Tells people, and counts how that went.

    Args:
        channels: By name; the outbox has a route for each.
        clock: Gives the time, and the seconds that pauses are counted in.

    ``counts`` holds how many messages each channel took and did not take, by ``(channel, outcome)``.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        *,
        clock: Clock | None = None,
        backoff: Backoff = BACKOFF,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.outbox = outbox
        self.counts: dict[tuple[str, str], int] = {
            (name, outcome): 0 for name in channels for outcome in ("taken", "failed", "refused")
        }
        self._channels, self._clock = dict(channels), clock or Clock()
        self._backoff, self._look_every_s = backoff, look_every_s
        self._wake = threading.Condition()
        self._round = 0
        self._done: dict[str, int] = {}
        self._is_stopping = False
        self._refused: dict[tuple[str, str], datetime] = {}
        self._threads: list[threading.Thread] = []

    def tell(self, open_ones: Iterable[KeptSituation], *, now: datetime, rounds: int = 1) -> None:
        """Take over what is open after a round; returns at once, and raises nothing that a channel does.

        What a round changed need not be said: what is due follows from what is open and what was told before.

        Args:
            rounds: How many rounds it was; 0 for a look between two.
        """
        self.outbox.put(open_ones, now=now, rounds=rounds)
        with self._wake:
            self._round += 1
            self._wake.notify_all()

    def start(self) -> None:
        """Begin to carry; what an earlier process left is carried first."""
        for name in self._channels:
            thread = threading.Thread(target=self._work, args=(name,), daemon=True, name=f"channel {name}")
            self._threads.append(thread)
            thread.start()

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Wait until every channel has what it is due, at most so long; the names of those that have not."""
        with self._wake:
            self._wake.wait_for(lambda: not self._behind(), timeout=seconds)
            return tuple(self._behind())

    def _behind(self) -> list[str]:
        return [name for name in self._channels if self._done.get(name, -1) < self._round]

    def stop(self, seconds: float = 5.0) -> None:
        """Stop carrying; a message that hangs is waited for so long. What is not sent stays in the outbox."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(seconds)
        for channel in self._channels.values():
            with suppress(Exception):
                channel.close()

    def now(self) -> datetime:
        """The time of the clock."""
        return _moment(self._clock)

    # One channel

    def _work(self, name: str) -> None:
        tries = Tries(
            self._backoff, sleep=self._clock.sleep, monotonic=self._clock.monotonic, draw=random.random
        )  # fmt: skip
        while not self._is_stopping:
            begun = self._round
            try:
                self.carry(name)
            except NotTakenError as error:
                self._pause(tries.next_pause_s(pause_min_s=error.after_s) or self._backoff.longest_s)
                continue
            except Exception as error:  # a fault of ours must not silence the channel for good
                _LOG.warning("The channel %s stumbled (%s); it goes on.", name, type(error).__name__)
                self._pause(tries.next_pause_s() or self._backoff.longest_s)
                continue
            tries.start_over()
            with self._wake:
                self._done[name] = max(begun, self._done.get(name, -1))
                self._wake.notify_all()
                self._wake.wait_for(lambda seen=begun: self._is_stopping or self._round > seen, self._look_every_s)  # type: ignore[misc]

    def _pause(self, seconds: float) -> None:
        """Wait; what happens meanwhile does not hurry a channel that just failed."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_stopping, timeout=seconds)

    def carry(self, name: str) -> None:
        """Send one channel all that is due now.

        Raises:
            NotTakenError: It took something not; what follows it was not tried.
        """
        for due in self.outbox.due(name, now=self.now()):
            situation = due[1]
            if self._is_stopping:
                return
            if self._refused.get((name, situation.key)) == situation.changed_at:
                continue
            now = self.now()
            dispatch = self.outbox.message(name, due, now=now)
            if self._send(name, dispatch):
                self.outbox.note_told(name, due, now=now)
            else:
                self._refused[name, situation.key] = situation.changed_at
        summary = self.outbox.summary(name, now=self.now())
        if summary is not None and self._send(name, summary):
            self.outbox.note_summary(name, now=summary.at)

    def _send(self, name: str, dispatch: Dispatch) -> bool:
        """Send; whether it was taken, False where it never will be. Raises NotTakenError where it may yet be."""
        try:
            self._channels[name].send(dispatch)
        except NotTakenError as error:
            self.counts[name, "refused" if error.is_final else "failed"] += 1
            _LOG.warning("%s", clean_text(error, limit=500))
            if not error.is_final:
                raise
            return False
        self.counts[name, "taken"] += 1
        return True


def _moment(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
