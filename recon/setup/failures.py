"""Whether payments fail more than they used to, by the error that the backend keeps beside them. Pure.

A worked example, with a window of 60 minutes and a line at 10 %::

    before       1 of 200 failed with TIMEOUT
    last hour    6 of  20 failed with TIMEOUT      30 %, 0.5 % before: said
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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


def failures_said(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, section: FailuresSection, now: datetime
) -> tuple[bool, tuple[str, ...]]:
    """Whether all is as usual, and what is to be said; of a window without payments nothing is concluded."""
    if said := tuple(spikes_in(documents, fields=fields, section=section, now=now)):
        return False, said
    since_ms = to_ms(now - timedelta(minutes=section.window_min))
    recent = sum(made_ms >= since_ms for made_ms, _ in _reasons(documents, fields=fields, path=section.field))
    of = f"of the last {section.window_min} min"
    if not recent:
        return False, (f"No payment {of} was read, so whether more fail than before is not known.",)
    return True, (f"No code is a spike among the {count_text(recent, 'payment')} {of}.",)


def spikes_in(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, section: FailuresSection, now: datetime
) -> Iterator[str]:
    """One sentence for each code of which failures are a spike, the most frequent first.

    Args:
        documents: The newest payments, whole.
    """
    since_ms = to_ms(now - timedelta(minutes=section.window_min))
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    totals: Counter[bool] = Counter()
    for made_ms, why in _reasons(documents, fields=fields, path=section.field):
        totals[made_ms >= since_ms] += 1
        counts[made_ms >= since_ms].update([] if why is None else [why])
    for name, seen in sorted(counts[True].items(), key=lambda pair: (-pair[1], pair[0])):
        before = counts[False][name]
        is_much = seen >= FAILED_MIN and seen * 100 > section.share_max_percent * totals[True]
        is_more = seen * totals[False] > TIMES_MORE * before * totals[True] or not totals[False]
        if is_much and is_more:
            yield _said(name, (seen, totals[True]), before=(before, totals[False]), minutes=section.window_min)


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
