"""Schedules: the same times for every watch, a delay that is drawn and repeats, and one sentence on wrong words."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from recon.core.extras import MissingExtraError
from recon.watch.schedule import ScheduleError, read_schedule

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "moment", "due"),
    [
        ("every 5min", NOON, NOON + timedelta(minutes=5)),
        ("every  5 min", NOON + timedelta(seconds=1), NOON + timedelta(minutes=5)),
        ("every 1d", NOON, datetime(2026, 12, 2, tzinfo=UTC)),
        ("*/15 * * * *", NOON + timedelta(minutes=14, seconds=59), NOON + timedelta(minutes=15)),
        ("0 3 * * 1", NOON, datetime(2026, 12, 7, 3, tzinfo=UTC)),
        ("0 0 29 2 *", NOON, datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_the_next_time(words: str, moment: datetime, due: datetime) -> None:
    assert read_schedule(words, name="main", jitter_s=0).next_after(moment) == due


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("every", "a number"),
        ("every 5 fortnights", "a number"),
        ("every 0min", "ten seconds apart"),
        ("every 9s", "ten seconds apart"),
        ("* * * *", "4 words"),
        ("61 * * * *", "minute"),
        ("0 0 30 2 *", "day"),
        ("at noon please sir now", "bad"),
        ("* * * * * *", "6 words"),
    ],
)
def test_wrong_words_are_one_sentence(words: str, why: str) -> None:
    with pytest.raises(ScheduleError, match=why) as raised:
        read_schedule(words, name="main", jitter_s=0)
    assert "every 5min" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_delays_repeat_differ_by_name_and_stay_below_the_jitter() -> None:
    pick = random.Random(3)
    times = [NOON + timedelta(minutes=pick.randrange(500_000)) for _ in range(200)]
    one, again, other = (read_schedule("every 5min", name=name, jitter_s=20) for name in ("a", "a", "b"))
    assert [one.delay_of(each) for each in times] == [again.delay_of(each) for each in times]
    assert [one.delay_of(each) for each in times] != [other.delay_of(each) for each in times]
    delays = [one.delay_of(each) for each in times]
    assert (
        timedelta(0) <= min(delays) < timedelta(seconds=2) < timedelta(seconds=18) < max(delays) < timedelta(seconds=20)
    )
    assert read_schedule("every 5min", name="a", jitter_s=0).delay_of(NOON) == timedelta(0)


def test_how_far_apart_rounds_are() -> None:
    assert read_schedule("every 2h", name="a", jitter_s=0).apart == timedelta(hours=2)
    assert read_schedule("*/10 * * * *", name="a", jitter_s=0).apart == timedelta(minutes=10)


def test_without_cronsim_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.core.extras.is_installed", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"recon-toolkit\[watch\]"):
        read_schedule("* * * * *", name="a", jitter_s=0)
    assert read_schedule("every 5min", name="a", jitter_s=0)
