"""What people are told, as short plain text: one message for one turn of a situation, and the summary of a day.

Titles come from rules and may quote the outside world, so nothing in them may act in a chat: no mention, no link, no
markup, no second line. No buyer is in a text; payments are named only where a channel is configured to show them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from recon.core.text import clean_text, count_text, short_amount
from recon.reports.text import age_text
from recon.watch.situations import KeptSituation, Urgency

TITLE_MAX: Final = 240
LINE_MAX: Final = 400
KEY_MAX: Final = 200
LISTED_MAX: Final = 10
"""Most situations that a summary lists."""

_ACTING: Final = str.maketrans(
    {"@": "@\u200b", "#": "#\u200b", "<": "(", ">": ")", "[": "(", "]": ")", "`": "'", "|": "/", "*": "", "~": ""}
)


class Occasion(StrEnum):
    """Why a message is sent."""

    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    PASSED = "passed"
    SUMMARY = "summary"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message, ready to be sent.

    Args:
        key: What makes it the same thing for who receives it: sent twice, it is still one.
        lines: Below the title; each one line.
        details: The same as single values, for services that keep fields.
        who: Who acknowledged it.
    """

    occasion: Occasion
    key: str
    urgency: Urgency
    title: str
    lines: tuple[str, ...]
    at: datetime
    target: str = ""
    rule: str = ""
    details: tuple[tuple[str, str], ...] = ()
    who: str = ""

    @property
    def text(self) -> str:
        """Everything below the title."""
        return "\n".join(self.lines)


def harmless(text: object, *, limit: int = LINE_MAX) -> str:
    """Outside text for a chat or a mail: one line, and nothing in it that a service would act on.

    >>> harmless("<!channel> see https://x.io\\n@here")
    '(!channel) see https:\u200b//x.io @\u200bhere'
    """
    return clean_text(text, limit=limit).translate(_ACTING).replace("://", ":\u200b//")


def situation_key(target: str, situation_key: str) -> str:
    """The name of a situation at a service: the target and its key, bounded, the same in every run.

    >>> situation_key("shop", "wallet_low:56:0xab")
    'recon/shop/wallet_low:56:0xab'
    """
    whole = f"recon/{clean_text(target)}/{clean_text(situation_key, limit=1000)}"
    if len(whole) <= KEY_MAX:
        return whole
    return f"{whole[: KEY_MAX - 17]}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def dispatch_of(
    occasion: Occasion, situation: KeptSituation, *, target: str, now: datetime, shows_payments: bool = False
) -> Dispatch:
    """The message about one turn of a situation."""
    seen = situation.seen
    word = seen.urgency.value.upper() if occasion is not Occasion.RESOLVED else "RESOLVED"
    if occasion in (Occasion.ESCALATED, Occasion.ACKNOWLEDGED, Occasion.UPDATED):
        word = f"{word}, {occasion.value}"
    if occasion is Occasion.PASSED:
        word = "RESOLVED, could not be told before"
    where = f" {harmless(target, limit=60)}" if target else ""
    details = tuple(_details(situation, now=now, shows_payments=shows_payments))
    return Dispatch(
        occasion=occasion,
        key=situation_key(target, situation.key),
        urgency=seen.urgency,
        title=clean_text(f"{word}{where}: {harmless(situation.sentence, limit=TITLE_MAX)}", limit=TITLE_MAX),
        lines=tuple(_lines(occasion, situation, details, now=now)),
        at=now,
        target=clean_text(target),
        rule=clean_text(seen.rule),
        details=details,
        who=harmless(situation.acknowledged_by or "", limit=60),
    )


def _details(situation: KeptSituation, *, now: datetime, shows_payments: bool) -> Iterable[tuple[str, str]]:
    seen = situation.seen
    yield "rule", harmless(seen.rule)
    if seen.about:
        yield "about", harmless(seen.about)
    if seen.count is not None:
        yield "count", f"{seen.count:,}"
    if seen.money:
        yield "money", harmless(", ".join(f"{short_amount(amount)} {token}" for token, amount in seen.money))
    if seen.oldest is not None:
        yield "oldest", f"{minute_text(seen.oldest)}, {_span(now - seen.oldest)} ago"
    yield "open since", minute_text(situation.opened_at)
    if seen.command:
        yield "next", _typed(seen.command)
    if shows_payments and seen.payments:
        more = (seen.count or 0) - len(seen.payments)
        rest = f" and {more:,} more" if more > 0 else ""
        yield "payments", harmless(", ".join(seen.payments)) + rest


def _typed(command: str) -> str:
    """A command as it can be typed; only what would act in a chat is taken out of it."""
    text = clean_text(command, limit=LINE_MAX).replace("@", "@\u200b").replace("<", "(").replace("`", "'")
    return text.replace("://", ":\u200b//")


def _lines(
    occasion: Occasion, situation: KeptSituation, details: Sequence[tuple[str, str]], *, now: datetime
) -> Iterable[str]:
    told = dict(details)
    if occasion in (Occasion.RESOLVED, Occasion.PASSED):
        yield f"Open since {told['open since']}, over after {_span(now - situation.opened_at)}."
        return
    if occasion is Occasion.ACKNOWLEDGED:
        yield f"{harmless(situation.acknowledged_by or 'Nobody named', limit=60)} is working on it."
        return
    title = situation.seen.title
    figures = [
        f"{name} {told[name]}"
        for name, is_said in (
            ("count", told.get("count", "") in title.split()),
            ("money", told.get("money", "") in title),
            ("oldest", "oldest" in title),
        )
        if name in told and not is_said
    ]
    if figures:
        yield " · ".join(figures)
    if "payments" in told:
        yield f"payments {told['payments']}"
    # A service may refuse a message of a title alone.
    yield f"next: {told['next']}" if "next" in told else f"open since {told['open since']}"


def summary_of(
    open_ones: Sequence[KeptSituation], *, ended: int, rounds: int | None, target: str, now: datetime, day: str
) -> Dispatch:
    """The summary of a day: what is open, the most urgent and oldest first, and how many are over.

    Args:
        ended: Situations that ended since the last summary.
        rounds: Rounds since then; None where it is not known.
    """
    ordered = sorted(open_ones, key=lambda each: (-each.seen.urgency.rank, each.opened_at, each.key))
    told = _counted(ordered) or (
        "no round was made, so nobody knows what is open" if rounds == 0 else "nothing is open"
    )
    lines = [f"{each.seen.urgency.value}: {harmless(each.sentence)}" for each in ordered[:LISTED_MAX]]
    if len(ordered) > LISTED_MAX:
        lines.append(f"and {count_text(len(ordered) - LISTED_MAX, 'more situation')}")
    made = "" if rounds is None else f", {count_text(rounds, 'round')}"
    lines.append(f"Since the last summary: {count_text(ended, 'situation')} over{made}.")
    where = f" of {harmless(target, limit=60)}" if target else ""
    return Dispatch(
        occasion=Occasion.SUMMARY, key=situation_key(target, f"summary:{day}"),
        urgency=ordered[0].seen.urgency if ordered else Urgency.INFO,
        title=f"Summary{where}: {told}", lines=tuple(lines), at=now, target=clean_text(target),
    )  # fmt: skip


def _counted(situations: Sequence[KeptSituation]) -> str:
    """How many are open of each urgency, the most urgent first; empty without any."""
    counts = Counter(each.seen.urgency for each in situations)
    return ", ".join(f"{counts[word]:,} {word.value}" for word in reversed(Urgency) if counts[word])


def trial_of(channel: str, *, target: str, now: datetime) -> Dispatch:
    """The message of ``recon watch test-alert``."""
    return Dispatch(
        occasion=Occasion.TEST, key=situation_key(target, f"test:{channel}"), urgency=Urgency.INFO,
        title=f"TEST{' ' + harmless(target, limit=60) if target else ''}: messages of recon arrive here",
        lines=(f"Sent to the channel {channel} by hand at {minute_text(now)}; there is nothing to do.",),
        at=now, target=clean_text(target),
    )  # fmt: skip


def minute_text(moment: datetime) -> str:
    """A UTC time for people, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _span(span: timedelta) -> str:
    return age_text(max(0, int(span.total_seconds())))
