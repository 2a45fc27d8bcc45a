"""Situations: what the rules of the watch see, told as one thing from its first round to its last.

A rule says in each round what is there now, as sightings. A situation is the same sighting over time: it opens, is
updated, becomes more urgent, is over. A rule whose evidence could not be read resolves nothing: unknown stays unknown.
Nothing here reads or writes, and ``now`` is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from recon.core.times import millisecond_text, parse_iso

PAYMENTS_MAX: Final = 20
"""How many payments a sighting names; its count may be higher."""


class Urgency(StrEnum):
    """How soon a person must look at a situation, the least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """The place in the order; higher is more urgent."""
        return tuple(Urgency).index(self)


class Turn(StrEnum):
    """What one round did to a situation."""

    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one rule sees in one round: one thing that is there now.

    Args:
        rule: The name of the rule, such as ``captured_not_credited``.
        about: What it is of: a rail, a source, a wallet, a flag; empty where there is only one.
        title: One plain sentence with count, money and the oldest.
        money: Exact amounts as text, each with its token as a person reads it, such as ``("USDC on Base", "12.50")``.
        oldest: Since when the oldest of it has been so.
        command: The next command, as it can be typed.
        payments: The ids of the first 20 payments, oldest first.
    """

    rule: str
    about: str
    urgency: Urgency
    title: str
    count: int | None = None
    money: tuple[tuple[str, str], ...] = ()
    oldest: datetime | None = None
    command: str = ""
    payments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What makes it the same thing in every round."""
        return f"{self.rule}:{self.about}"


@dataclass(frozen=True, slots=True)
class KeptSituation:
    """One sighting over time.

    Args:
        seen: The last sighting.
        opened_at: The round that saw it first.
        changed_at: The round that last changed its urgency, count, money or payments.
        rounds: How many rounds saw it.
        resolved_at: The round that no longer saw it; None while it is open.
        acknowledged_by: Who said that it is being worked on; it lapses when the situation becomes more urgent.
        is_unread: Whether the last round could not read what the rule needs, so that it may be over.
    """

    seen: Sighting
    opened_at: datetime
    changed_at: datetime
    rounds: int = 1
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    is_unread: bool = False

    @property
    def key(self) -> str:
        """See :attr:`Sighting.key`."""
        return self.seen.key

    @property
    def id(self) -> str:
        """The name of this one course of it, from opening to end: the key and when it opened."""
        return f"{self.key}@{millisecond_text(self.opened_at)}"

    @property
    def sentence(self) -> str:
        """Its title, with what makes it uncertain."""
        if not self.is_unread:
            return self.seen.title
        return f"{self.seen.title} (not read in the last round: it may be otherwise by now)"


def judged(
    open_ones: Iterable[KeptSituation],
    seen: Iterable[Sighting],
    *,
    unreadable: Collection[str],
    now: datetime,
) -> tuple[tuple[KeptSituation, ...], tuple[tuple[Turn, KeptSituation], ...]]:
    """Carry the open situations on by what one round saw.

    >>> from datetime import UTC
    >>> now = datetime(2026, 12, 1, tzinfo=UTC)
    >>> low = Sighting("wallet_low", "56:0xa", Urgency.WARNING, "It holds 0.1 BNB.")
    >>> kept, turns = judged((), [low], unreadable=(), now=now)
    >>> [(turn.value, each.key) for turn, each in turns]
    [('opened', 'wallet_low:56:0xa')]
    >>> judged(kept, [], unreadable={"wallet_low"}, now=now)[0][0].is_unread
    True

    Args:
        seen: What the rules see now; of two with one key the more urgent counts.
        unreadable: Rules, by name, and single situations, by key, whose evidence could not be read.

    Returns:
        The situations that are open now, and what changed, each sorted by key. What is over is in the second only.
    """
    before = {each.key: each for each in open_ones if each.resolved_at is None}
    present: dict[str, Sighting] = {}
    for sighting in seen:
        other = present.get(sighting.key)
        if other is None or sighting.urgency.rank > other.urgency.rank:
            present[sighting.key] = sighting
    kept: list[KeptSituation] = []
    turns: list[tuple[Turn, KeptSituation]] = []
    for key in sorted({*before, *present}):
        turn, after = _carried(before.get(key), present.get(key), is_read=not _is_among(key, unreadable), now=now)
        if after.resolved_at is None:
            kept.append(after)
        if turn is not None:
            turns.append((turn, after))
    return tuple(kept), tuple(turns)


def _is_among(key: str, unreadable: Collection[str]) -> bool:
    return key in unreadable or key.partition(":")[0] in unreadable


def _carried(
    before: KeptSituation | None, seen: Sighting | None, *, is_read: bool, now: datetime
) -> tuple[Turn | None, KeptSituation]:
    if before is None:
        assert seen is not None, "a key comes from one of the two"
        return Turn.OPENED, KeptSituation(seen, opened_at=now, changed_at=now)
    if not is_read and (seen is None or _is_less(seen, before.seen)):
        rounds = before.rounds + (seen is not None)
        return (None if before.is_unread else Turn.UPDATED), replace(before, rounds=rounds, is_unread=True)
    if seen is None:
        return Turn.RESOLVED, replace(before, resolved_at=now, changed_at=now, is_unread=False)
    return _seen_again(before, seen, now)


def _seen_again(before: KeptSituation, seen: Sighting, now: datetime) -> tuple[Turn | None, KeptSituation]:
    after = replace(before, seen=seen, rounds=before.rounds + 1, is_unread=False)
    if seen.urgency.rank > before.seen.urgency.rank:
        return Turn.ESCALATED, replace(after, changed_at=now, acknowledged_by=None)
    if before.is_unread or _weight(seen) != _weight(before.seen):
        return Turn.UPDATED, replace(after, changed_at=now)
    return None, after


def _is_less(seen: Sighting, before: Sighting) -> bool:
    """Whether there is less of it, which who could not read all of it cannot say."""
    return seen.urgency.rank < before.urgency.rank or (seen.count or 0) < (before.count or 0)


def _weight(seen: Sighting) -> tuple[object, ...]:
    """What a person is told again for; an age that only grows is not among it."""
    return seen.urgency, seen.count, seen.money, seen.payments


def acknowledged(situation: KeptSituation, *, who: str) -> KeptSituation:
    """The situation with the name of who is working on it."""
    return replace(situation, acknowledged_by=who)


def situation_body(situation: KeptSituation) -> dict[str, Any]:
    """The situation as JSON; :func:`read_situation` reads it back."""
    body = asdict(situation)
    for moment in ("opened_at", "changed_at", "resolved_at"):
        body[moment] = _text(body[moment])
    body["seen"].update(urgency=situation.seen.urgency.value, oldest=_text(situation.seen.oldest))
    body["seen"]["money"] = [list(pair) for pair in situation.seen.money]
    body["seen"]["payments"] = list(situation.seen.payments)
    return body


def read_situation(body: Mapping[str, Any]) -> KeptSituation:
    """A situation from what :func:`situation_body` gave.

    Raises:
        ValueError: It is none.
    """
    try:
        seen = dict(body["seen"])
        sighting = Sighting(
            **{
                **seen,
                "urgency": Urgency(seen["urgency"]),
                "money": tuple((str(token), str(amount)) for token, amount in seen["money"]),
                "oldest": _moment(seen["oldest"]),
                "payments": tuple(map(str, seen["payments"])),
            }
        )
        opened, changed = _moment(body["opened_at"]), _moment(body["changed_at"])
        if opened is None or changed is None:
            raise ValueError("a situation without its times")
        rest = {name: body[name] for name in ("rounds", "acknowledged_by", "is_unread")}
        return KeptSituation(
            sighting, opened_at=opened, changed_at=changed, resolved_at=_moment(body["resolved_at"]), **rest
        )
    except (KeyError, TypeError) as error:
        raise ValueError("no situation") from error


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else millisecond_text(moment)


def _moment(text: object) -> datetime | None:
    return None if text is None else parse_iso(str(text))
