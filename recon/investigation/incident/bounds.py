"""What belongs to an incident: the rails it was on and the time it lasted. Every figure of its texts is held to them.

The writer says both, or the bursts of failures in the access logs do. What nobody says stays open, and then nothing is
counted as the incident's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from recon.core.errors import UsageError
from recon.core.times import second_text
from recon.investigation.incident.access_log import Burst, LogTriage

IN_LOGS = "the first burst of failures in the access logs"
SAID = "said by the writer"


class IncidentTimesError(UsageError):
    """An incident ends before it begins, or begins or ends in the future."""

    def __init__(self, *, began: datetime, other: datetime, what: str, word: str = "begin") -> None:
        super().__init__(
            f"The incident cannot {word} at {second_text(began)} and {what} {second_text(other)}; nothing was written. "
            "See --began and --resolved."
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """An incident's rails and its time, from ``began_at`` included to ``end_at`` excluded.

    Args:
        rails: Normalised provider names; none means that nobody knows which.
        began_at: None means that nobody knows when.
        resolved_at: None means that it goes on, as far as is known.
        rails_from, began_from: Who says so.
    """

    now: datetime
    rails: tuple[str, ...] = ()
    began_at: datetime | None = None
    resolved_at: datetime | None = None
    rails_from: str = SAID
    began_from: str = SAID

    @property
    def end_at(self) -> datetime:
        """When it was over; now while it goes on."""
        return self.resolved_at or self.now

    @property
    def is_known(self) -> bool:
        """Whether rail and beginning are known, without which nothing can be told apart from the rest."""
        return bool(self.rails) and self.began_at is not None

    def has(self, moment: datetime | None) -> bool:
        """Whether a moment lies in its time."""
        return moment is not None and self.began_at is not None and self.began_at <= moment < self.end_at

    def overlaps(self, burst: Burst) -> bool:
        """Whether a burst is on one of its rails and partly in its time."""
        if self.began_at is None or burst.provider not in self.rails:
            return False
        return burst.from_at < self.end_at and burst.to_at > self.began_at


def bounds_of(
    now: datetime,
    logs: LogTriage | None,
    *,
    rails: Sequence[str] = (),
    began: datetime | None = None,
    resolved: datetime | None = None,
) -> Bounds:
    """The bounds that were said, and for what was not, those that the bursts in the logs show.

    Args:
        logs: All that the logs hold, before they are cut to the incident.
        rails: Normalised provider names.

    Raises:
        IncidentTimesError: It would end before it begins, or begin or end in the future.
    """
    seen = list(_bursts(logs, began, resolved or now))
    named = tuple(rails) or tuple(sorted({burst.provider for burst in seen}))
    own = [burst.from_at for burst in seen if burst.provider in named]
    start = began if began is not None else min(own, default=None)
    _check_times(start, resolved, now)
    return Bounds(
        now=now,
        rails=named,
        began_at=start,
        resolved_at=resolved,
        rails_from=SAID if rails else "the bursts of failures in the access logs",
        began_from=SAID if began is not None else IN_LOGS,
    )


def _bursts(logs: LogTriage | None, began: datetime | None, end: datetime) -> Iterator[Burst]:
    """The bursts that lie partly in a time."""
    for route in () if logs is None else logs.routes:
        for burst in route.bursts:
            if burst.from_at < end and (began is None or burst.to_at > began):
                yield burst


def _check_times(began: datetime | None, resolved: datetime | None, now: datetime) -> None:
    if resolved is not None and resolved > now:
        raise IncidentTimesError(began=resolved, other=now, what="be written about at", word="be over")
    if began is None:
        return
    if resolved is not None and resolved <= began:
        raise IncidentTimesError(began=began, other=resolved, what="be over at")
    if began > now:
        raise IncidentTimesError(began=began, other=now, what="be written about at")
