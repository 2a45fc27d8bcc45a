"""For which time files are whole, and what of a time they leave open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recon.core.times import to_ms
from recon.sources.exports.mapping import WholeWindow

Stretch = tuple[int, int]


def stretches(windows: Iterable[WholeWindow], *, taken_ms: int) -> tuple[Stretch, ...]:
    """The times at which files are whole, UTC ms, joined where they touch."""
    given = sorted((to_ms(each.from_at), taken_ms if each.to_at is None else to_ms(each.to_at)) for each in windows)
    joined: list[Stretch] = []
    for begin, end in given:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def unread(whole: Sequence[Stretch], *, asked: Stretch) -> list[Stretch]:
    """What of a time is covered by no stretch.

    >>> unread([(10, 20), (30, 50)], asked=(5, 40))
    [(5, 10), (20, 30)]
    """
    left, (begin, last) = [], asked
    for start, end in whole:
        if end <= begin:
            continue
        if start >= last:
            break
        if start > begin:
            left.append((begin, start))
        begin = max(begin, end)
    if begin < last:
        left.append((begin, last))
    return left
