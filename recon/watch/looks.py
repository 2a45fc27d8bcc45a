"""What waits too long, between rounds: counted anew only where something changed or becomes overdue.

Where the database is a replica set, a change stream says whether any payment changed. Elsewhere, and while the stream
cannot be had, the open payments are counted at every look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from recon.sources.payments.changes import ChangesUnseenError

if TYPE_CHECKING:
    from recon.setup.open_rollout import OpenCount
    from recon.setup.settings import Settings
    from recon.sources.payments.changes import ChangeFeed

RECOUNT: Final = timedelta(minutes=5)
"""What is known is counted again after so long, whatever the stream says."""

RETRY_S: Final = 300.0
"""A stream that cannot be had is asked for again after so long."""


@dataclass(frozen=True, slots=True)
class _Counted:
    found: OpenCount
    at: datetime
    before: datetime


class OpenPayments:
    """Counts what is open for too long, as seldom as it can.

    Args:
        feed: Tells whether any payment changed; None where every look counts.
        say: Told once in one sentence that changes cannot be followed, and once that they are again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        feed: ChangeFeed | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._feed, self._say, self._monotonic = settings, feed, say, monotonic
        self._known: _Counted | None = None
        self._blind_until = -1.0
        self._said = ""
        self.counts = 0
        """How often the database was asked to count."""

    def close(self) -> None:
        """Let go of the stream."""
        if self._feed is not None:
            self._feed.close()

    def overdue(self, *, now: datetime) -> OpenCount:
        """What is open for over ``pending_min`` at a moment.

        Raises:
            SourceError: The database cannot be reached, or gave fewer rows than it has.
            ConfigError: Its address is missing.
        """
        from recon.setup.open_rollout import count_open

        before = now - timedelta(minutes=self._settings.values.watch.pending_min)
        may_have_changed = self._has_news()
        known, self._known = self._known, None
        if known is None or may_have_changed or not _still_holds(known, before=before, now=now):
            self.counts += 1
            known = _Counted(count_open(self._settings, before=before), now, before)
        self._known = known
        return known.found

    def _has_news(self) -> bool:
        """Whether any payment may have changed since the last look; always where nobody can tell."""
        if self._feed is None or self._monotonic() < self._blind_until:
            return True
        try:
            has_news = self._feed.has_news()
        except ChangesUnseenError as error:
            self._known = None
            if error.is_away:
                raise  # to count would be to wait for the same server once more
            self._blind_until = self._monotonic() + RETRY_S
            self._tell(f"{error} Meanwhile each look counts the open payments.")
            return True
        if self._said:
            self._tell("")
            self._say("The changes of the payments are followed again.")
        return has_news

    def _tell(self, sentence: str) -> None:
        if sentence and sentence != self._said:
            self._say(sentence)
        self._said = sentence


def _still_holds(known: _Counted, *, before: datetime, now: datetime) -> bool:
    """Whether what was counted holds at a later moment, when no payment changed meanwhile."""
    following = known.found.next_made_at
    is_due = following is not None and following < before
    return known.before <= before and now - known.at < RECOUNT and not is_due
