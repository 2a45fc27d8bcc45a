"""Whether payments fail more than they used to, by the error that the backend keeps beside them. Pure.

A worked example, with a window of 60 minutes and a line at 10 %::

    before       1 of 200 failed with TIMEOUT
    last hour    6 of  20 failed with TIMEOUT      30 %, 0.5 % before: said
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from recon.core.text import clean_text, count_text
from recon.core.times import to_ms
from recon.sources.payments.documents import milliseconds
from recon.sources.payments.fields import FieldPaths, stored_at

if TYPE_CHECKING:
    from recon.setup.file import FailuresSection

LOOKED_AT: Final = 2_000
"""The newest payments that are looked at."""

FAILED_MIN: Final = 3
"""Fewer failures than this are no spike, whatever their share."""

TIMES_MORE: Final = 3
"""How many times as often as before a code has to come."""

NO_CODE: Final = "no code"


@dataclass(frozen=True, slots=True)
class Failures:
    """The newest payments counted, those of the window and those before it.

    Args:
        counts: By whether it was in the window, how many failed with each code.
        totals: By the same, how many payments there were.
        minutes, share_max_percent: The window, and above which share of it failures are a spike.
    """

    counts: Mapping[bool, Counter[str]]
    totals: Counter[bool]
    minutes: int
    share_max_percent: float

    def spikes(self) -> Iterator[str]:
        """One sentence for each code of which failures are a spike, the most frequent first."""
        recent, older = self.totals[True], self.totals[False]
        for name, seen in sorted(self.counts[True].items(), key=lambda pair: (-pair[1], pair[0])):
            before = self.counts[False][name]
            is_much = seen >= FAILED_MIN and seen * 100 > self.share_max_percent * recent
            is_more = seen * older > TIMES_MORE * before * recent or not older
            if is_much and is_more:
                yield _said(name, (seen, recent), before=(before, older), minutes=self.minutes)

    def said(self) -> tuple[bool, tuple[str, ...]]:
        """Whether all is as usual, and what is to be said; of a window without payments nothing is concluded."""
        if spikes := tuple(self.spikes()):
            return False, spikes
        of = f"of the last {self.minutes} min"
        if not self.totals[True]:
            return False, (f"No payment {of} was read, so whether more fail than before is not known.",)
        return True, (f"No code is a spike among the {count_text(self.totals[True], 'payment')} {of}.",)


def count_failures(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, section: FailuresSection, now: datetime
) -> Failures:
    """Count the newest payments, which are given whole, by whether they failed and with which code."""
    since_ms = to_ms(now - timedelta(minutes=section.window_min))
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    totals: Counter[bool] = Counter()
    for made_ms, why in _reasons(documents, fields=fields, path=section.field):
        totals[made_ms >= since_ms] += 1
        counts[made_ms >= since_ms].update([] if why is None else [why])
    return Failures(counts, totals, section.window_min, section.share_max_percent)


def _reasons(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, path: str
) -> Iterator[tuple[int, str | None]]:
    """When each payment was made, UTC ms, and why it failed, None where it did not."""
    created, status = (fields.path(name).split(".") for name in ("created_at", "status"))
    for document in documents:
        made_ms = milliseconds(stored_at(document, created))
        if made_ms is not None:
            is_failed = stored_at(document, status) == "failed"
            why = stored_at(document, path.split(".")) if is_failed else None
            yield made_ms, clean_text(why or NO_CODE, limit=60) if is_failed else None


def _said(code: str, now: tuple[int, int], *, before: tuple[int, int], minutes: int) -> str:
    was = f"{before[0]} of {before[1]:,} before" if before[1] else "nothing older to compare with"
    return (
        f"{now[0]} of the {count_text(now[1], 'payment')} of the last {minutes} min failed with {code} ({was}). Find "
        "out why before payments are sent again: what failed for the backend may have gone through."
    )
