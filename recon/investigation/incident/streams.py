"""What a stream of events that is read by its positions may have brought and was not kept.

Positions need not follow each other, so a jump alone proves nothing: it says from where the stream has to be read
again, for as long as its sender keeps events. Known to be lost is what the stream itself tells: an event that
stands for others, or a number that is missing among those of one transaction. A worked example, kept for 72 hours::

    position 100 at 08:00, 101 at 08:05, 150 at 09:00     one jump, 101 to 150: read again from 101
    transaction t: numbers 1, 3                           one event of t is missing
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from recon.core.text import clean_text, count_text
from recon.core.times import ms_text
from recon.sources.deliveries.delivery import Delivery
from recon.sources.providers.installed import webhooks_of
from recon.sources.providers.provider import StreamPlace

_HOUR_MS: Final = 3_600_000
_SHOWN: Final = 5


class _Event(NamedTuple):
    at_ms: int | None
    place: StreamPlace
    kept_h: int

    @property
    def ends_ms(self) -> int | None:
        """Until when the sender keeps it."""
        return None if self.at_ms is None else self.at_ms + self.kept_h * _HOUR_MS


def stream_gaps(deliveries: Iterable[Delivery], *, now_ms: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may be missing of streams, and what is: one sentence each, channel by channel.

    Args:
        now_ms: The time now, UTC milliseconds; None where it is not known, and nothing is then said to be too old.
    """
    channels: dict[tuple[str, str], list[_Event]] = defaultdict(list)
    for delivery in deliveries:
        stream = webhooks_of(delivery.provider).stream
        place = None if stream is None else stream.place(delivery.payload)
        if stream is not None and place is not None:
            told = _Event(delivery.received_at, place, stream.kept_h)
            channels[delivery.provider, place.channel].append(told)
    maybe, lost = list[str](), list[str]()
    for (provider, channel), events in sorted(channels.items()):
        name = f"{provider} {clean_text(channel, limit=80)}"
        maybe += _unnumbered(name, events)
        maybe += _jumps(name, events, now_ms=now_ms)
        lost += _lost(name, events)
    return tuple(maybe), tuple(lost)


def _jumps(name: str, events: Sequence[_Event], *, now_ms: int | None) -> Iterator[str]:
    """Where positions jump, those that can be read again together and those that cannot."""
    by_position = {event.place.position: event for event in events if event.place.position is not None}
    pairs = [(before, after) for before, after in pairwise(sorted(by_position)) if after - before > 1]
    old = [pair for pair in pairs if _is_over(by_position[pair[0]], now_ms)]
    over = frozenset(old)
    young = [pair for pair in pairs if pair not in over]
    if young:
        ends_ms = by_position[young[0][0]].ends_ms
        until = "" if ends_ms is None else f", until {ms_text(ends_ms)}"
        yield (
            f"{name}: nothing is kept {_between(young)}. Positions need not follow each other, so whether events "
            f"are missing only the stream can tell: read it again from {young[0][0]} on{until}"
        )
    if old:
        yield (
            f"{name}: nothing is kept {_between(old)}, and events that old can no longer be read ({events[0].kept_h} "
            "hours): whether any are missing cannot be told by events. Compare the records themselves: recon plan"
        )


def _unnumbered(name: str, events: Sequence[_Event]) -> Iterator[str]:
    """That some events cannot be laid in order."""
    count = sum(event.place.position is None for event in events)
    if count:
        told = count_text(count, "event has", many="events have")
        yield f"{name}: {told} a position that is no number, so what is missing beside them cannot be told"


def _is_over(event: _Event, now_ms: int | None) -> bool:
    """Whether what followed an event is no longer kept by its sender, as far as times tell."""
    return now_ms is not None and event.ends_ms is not None and event.ends_ms <= now_ms


def _between(pairs: Sequence[tuple[int, int]]) -> str:
    said = ", ".join(f"between positions {before} and {after}" for before, after in pairs[:_SHOWN])
    return said + (f" and at {len(pairs) - _SHOWN} more places" if len(pairs) > _SHOWN else "")


def _lost(name: str, events: Sequence[_Event]) -> Iterator[str]:
    """What the stream itself says was lost."""
    stand_ins = sum(event.place.says_lost for event in events)
    if stand_ins:
        stand = count_text(stand_ins, "event stands for them", many="events stand for them")
        yield f"{name}: the sender could not tell some changes in full ({stand}); read those records again"
    numbers: dict[str, set[int]] = defaultdict(set)
    for event in events:
        if event.place.transaction is not None and event.place.number:
            numbers[event.place.transaction].add(event.place.number)
    missing = {key: max(told) - len(told) for key, told in numbers.items() if max(told) > len(told)}
    if missing:
        count = count_text(sum(missing.values()), "event")
        of = count_text(len(missing), "transaction")
        yield f"{name}: {count} of {of} are missing by their numbers, the first of {min(missing)[:60]}"
