"""Situations open, change, become more urgent and end exactly once, and what could not be read ends nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recon.watch.situations import (
    KeptSituation,
    Sighting,
    Turn,
    Urgency,
    acknowledged,
    judged,
    read_situation,
    situation_body,
)

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SEEN = Sighting(
    "captured_not_credited", "shkeeper", Urgency.WARNING, "3 payments wait.", count=3,
    money=(("USDT on BNB Chain", "331.21"),), oldest=NOON - timedelta(hours=1), command="recon show latest",
    payments=("665f1c2e9b1d8a0012345678",),
)  # fmt: skip


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def test_one_course_from_opening_to_end() -> None:
    kept, turns = judged((), [SEEN], unreadable=(), now=at(0))
    assert [turn for turn, _ in turns] == [Turn.OPENED]
    older = replace(SEEN, title="3 payments wait, the oldest for 2 h.")
    kept, turns = judged(kept, [older], unreadable=(), now=at(5))
    assert turns == (), "an age that grows is not told again"
    assert (kept[0].seen, kept[0].rounds, kept[0].changed_at) == (older, 2, at(0))
    kept, turns = judged(kept, [replace(SEEN, count=4)], unreadable=(), now=at(10))
    assert [turn for turn, _ in turns] == [Turn.UPDATED]
    kept = (acknowledged(kept[0], who="ada"),)
    kept, turns = judged(kept, [replace(SEEN, urgency=Urgency.CRITICAL)], unreadable=(), now=at(15))
    assert [(turn, each.acknowledged_by) for turn, each in turns] == [(Turn.ESCALATED, None)]
    kept, turns = judged(kept, [SEEN], unreadable=(), now=at(20))
    assert [turn for turn, _ in turns] == [Turn.UPDATED], "less urgent is told, and not as an escalation"
    kept, turns = judged(kept, [], unreadable=(), now=at(25))
    assert kept == ()
    assert [(turn, each.resolved_at, each.opened_at) for turn, each in turns] == [(Turn.RESOLVED, at(25), at(0))]


@pytest.mark.parametrize("unreadable", [{"captured_not_credited"}, {"captured_not_credited:shkeeper"}])
def test_what_could_not_be_read_ends_nothing_and_says_so_once(unreadable: set[str]) -> None:
    kept, _ = judged((), [SEEN], unreadable=(), now=at(0))
    kept, turns = judged(kept, [], unreadable=unreadable, now=at(5))
    assert [turn for turn, _ in turns] == [Turn.UPDATED]
    assert "may be otherwise" in kept[0].sentence
    kept, turns = judged(kept, [], unreadable=unreadable, now=at(10))
    assert (len(kept), turns) == (1, ())
    kept, turns = judged(kept, [SEEN], unreadable=(), now=at(15))
    assert [turn for turn, _ in turns] == [Turn.UPDATED]
    assert kept[0].sentence == SEEN.title
    kept, _ = judged(kept, [], unreadable={"captured_not_credited:other"}, now=at(20))
    assert kept == ()


def test_less_evidence_makes_nothing_smaller_and_more_makes_it_larger() -> None:
    kept, _ = judged((), [SEEN], unreadable=(), now=at(0))
    kept, turns = judged(kept, [replace(SEEN, count=1)], unreadable={SEEN.rule}, now=at(5))
    assert (kept[0].seen.count, kept[0].is_unread, len(turns)) == (3, True, 1)
    kept, turns = judged(kept, [replace(SEEN, count=4)], unreadable={SEEN.rule}, now=at(10))
    assert (kept[0].seen.count, [turn for turn, _ in turns]) == (4, [Turn.UPDATED])


def test_of_two_of_one_key_the_more_urgent_counts_in_either_order() -> None:
    worse = replace(SEEN, urgency=Urgency.CRITICAL)
    assert {judged((), pair, unreadable=(), now=NOON)[0][0].seen for pair in ([SEEN, worse], [worse, SEEN])} == {worse}


def test_a_situation_is_read_back_as_it_was_and_others_are_refused() -> None:
    for kept in (
        KeptSituation(SEEN, opened_at=at(0), changed_at=at(1), rounds=4, acknowledged_by="ada", is_unread=True),
        KeptSituation(Sighting("own_lateness", "", Urgency.INFO, "Late."), at(0), at(0), resolved_at=at(2)),
    ):
        assert read_situation(situation_body(kept)) == kept
    for broken in ({}, {"seen": 1}, {**situation_body(kept), "opened_at": "noon"}):
        with pytest.raises(ValueError, match="situation"):
            read_situation(broken)


def test_the_order_of_what_is_seen_changes_nothing() -> None:
    pick = random.Random(14)
    many = [replace(SEEN, about=str(number), count=number) for number in range(1000)]
    kept, _ = judged((), many[:600], unreadable=(), now=at(0))
    first = judged(kept, many[300:], unreadable=(), now=at(1))
    shuffled, before = many[300:], list(kept)
    pick.shuffle(shuffled)
    pick.shuffle(before)
    assert judged(before, shuffled, unreadable=(), now=at(1)) == first
    assert [len([turn for turn, _ in first[1] if turn is each]) for each in (Turn.OPENED, Turn.RESOLVED)] == [400, 300]
