"""Who is told what, and when: routes by urgency and rule, quiet hours, the pace of updates, the time of the summary.

What is due is worked out anew from what is open and what a channel was told, never from single events: a message that
was lost with a killed process is due again, and one thing is told once however often it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from fnmatch import fnmatchcase

from recon.watch.situations import KeptSituation, Urgency
from recon.watch.telling.texts import Occasion

DueMessage = tuple[Occasion, KeptSituation]
"""Why something is to be told, and what."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a channel is told.

    Args:
        urgency_min: It hears of nothing that is less urgent.
        rules: Names of rules, where ``*`` stands for any letters.
        keeps_one_entry: Whether the service keeps one entry for each situation, which later messages change in place.
    """

    channel: str
    urgency_min: Urgency = Urgency.INFO
    rules: tuple[str, ...] = ("*",)
    keeps_one_entry: bool = False
    gets_summary: bool = True
    shows_payments: bool = False

    def takes(self, situation: KeptSituation) -> bool:
        """Whether a situation is for this channel."""
        seen = situation.seen
        return seen.urgency.rank >= self.urgency_min.rank and any(fnmatchcase(seen.rule, each) for each in self.rules)


@dataclass(frozen=True, slots=True)
class Hours:
    """When people are told.

    Args:
        zone: The zone of the times of day.
        quiet_from, quiet_to: Between them only what is at least as urgent as ``quiet_below`` is told; None for never.
        summary_at: When the summary of a day is sent; None for never.
        update_every: A situation that changes is told again at most so often.
    """

    zone: tzinfo
    quiet_from: time | None = None
    quiet_to: time | None = None
    quiet_below: Urgency = Urgency.CRITICAL
    summary_at: time | None = None
    update_every: timedelta = timedelta(hours=1)

    def holds_back(self, urgency: Urgency, now: datetime) -> bool:
        """Whether something of this urgency waits for the end of the quiet hours."""
        if self.quiet_from is None or self.quiet_to is None or urgency.rank >= self.quiet_below.rank:
            return False
        at = now.astimezone(self.zone).time()
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= at < self.quiet_to
        return at >= self.quiet_from or at < self.quiet_to

    def summary_day(self, now: datetime) -> str:
        """The day of the newest summary whose time has come; empty where there are none."""
        if self.summary_at is None:
            return ""
        local = now.astimezone(self.zone)
        day = local.date() if local.time() >= self.summary_at else local.date() - timedelta(days=1)
        return day.isoformat()


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was told of a situation last, and when."""

    situation: KeptSituation
    at: datetime


@dataclass(slots=True)
class ChannelRecord:
    """What one channel was told so far.

    Args:
        told: By key, the situations that it takes to be open.
        waiting: By key, situations that it should have been told of and was not yet.
        summary_day: The day of its last summary; empty before the first.
        ended, rounds: How many situations ended, and how many rounds there were, since that summary.
    """

    told: dict[str, Told] = field(default_factory=dict)
    waiting: dict[str, KeptSituation] = field(default_factory=dict)
    summary_day: str = ""
    ended: int = 0
    rounds: int = 0

    def note_told(self, occasion: Occasion, situation: KeptSituation, *, now: datetime) -> None:
        """Take down that a message arrived."""
        self.waiting.pop(situation.key, None)
        if occasion in (Occasion.RESOLVED, Occasion.PASSED):
            self.told.pop(situation.key, None)
        else:
            self.told[situation.key] = Told(situation, now)


def due_messages(
    open_ones: Mapping[str, KeptSituation], record: ChannelRecord, *, route: Route, hours: Hours, now: datetime
) -> list[DueMessage]:
    """What a channel is to be told now, the most urgent first."""
    found = list(_of_open(open_ones, record, route=route, hours=hours, now=now))
    for key, told in record.told.items():
        is_held = hours.holds_back(told.situation.seen.urgency, now) and not route.keeps_one_entry
        if key not in open_ones and not is_held:
            found.append((Occasion.RESOLVED, told.situation))
    for key, situation in record.waiting.items():
        is_held = hours.holds_back(situation.seen.urgency, now)
        if key not in open_ones and key not in record.told and not is_held:
            found.append((Occasion.PASSED, situation))
    return sorted(found, key=lambda each: (-each[1].seen.urgency.rank, each[1].opened_at, each[1].key))


def _of_open(
    open_ones: Mapping[str, KeptSituation], record: ChannelRecord, *, route: Route, hours: Hours, now: datetime
) -> Iterable[DueMessage]:
    for key, situation in open_ones.items():
        if not route.takes(situation):
            continue
        occasion = _occasion(situation, record.told.get(key), update_every=hours.update_every, now=now)
        is_loud = occasion in (Occasion.OPENED, Occasion.ESCALATED) or not route.keeps_one_entry
        if occasion is not None and not (is_loud and hours.holds_back(situation.seen.urgency, now)):
            yield occasion, situation


def _occasion(
    situation: KeptSituation, told: Told | None, *, update_every: timedelta, now: datetime
) -> Occasion | None:
    """What is new in a situation for who was told of it once; None where nothing is."""
    if told is None or told.situation.opened_at != situation.opened_at:
        return Occasion.OPENED
    before = told.situation
    if situation.seen.urgency.rank > before.seen.urgency.rank:
        return Occasion.ESCALATED
    if situation.acknowledged_by and situation.acknowledged_by != before.acknowledged_by:
        return Occasion.ACKNOWLEDGED
    has_changed = situation.changed_at > before.changed_at or situation.is_unread != before.is_unread
    if has_changed and not situation.acknowledged_by and now - told.at >= update_every:
        return Occasion.UPDATED
    return None
