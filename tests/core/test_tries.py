"""Trying again: how often, how long between, and when it ends."""

from __future__ import annotations

from typing import Any

from recon.core.tries import Backoff, Tries


class Time:
    """A clock whose sleeps pass at once and are remembered."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def tries(self, backoff: Backoff, **limits: Any) -> Tries:
        return Tries(backoff, sleep=self.sleep, monotonic=lambda: self.now, **limits)


def test_pauses_double_up_to_the_longest_and_the_number_of_tries_holds() -> None:
    time = Time()
    tries = time.tries(Backoff(1.0, 4.0), tries_max=6)
    made = 1
    while tries.again():
        made += 1
    assert (made, time.slept, tries.failures, tries.lasted_s) == (6, [1.0, 2.0, 4.0, 4.0, 4.0], 6, 15.0)


def test_no_try_begins_at_or_after_the_end() -> None:
    time = Time()
    tries = time.tries(Backoff(1.0, 60.0), ends_at=7.0)
    while tries.again():
        pass
    assert time.slept == [1.0, 2.0], "the third would begin at the very end"


def test_jitter_stays_between_its_shares() -> None:
    backoff = Backoff(8.0, 8.0, share_min=0.5, share_max=1.5)
    assert [backoff.pause_s(1, draw=draw) for draw in (0.0, 0.5)] == [4.0, 8.0]
    draws = iter([0.25, 0.75])
    time = Time()
    tries = time.tries(backoff, tries_max=3, draw=lambda: next(draws))
    assert tries.again() and tries.again() and not tries.again()
    assert time.slept == [6.0, 10.0]


def test_the_pause_that_is_asked_for_is_kept_and_a_shortest_one_is_a_bound() -> None:
    time = Time()
    tries = time.tries(Backoff(1.0, 60.0), ends_at=100.0)
    assert tries.again(pause_s=30.0) and time.slept == [30.0]
    assert tries.next_pause_s(pause_min_s=0.5) == 2.0
    assert tries.next_pause_s(pause_min_s=9.0) == 9.0
    assert tries.next_pause_s(pause_s=70.0) is None


def test_progress_starts_the_count_over() -> None:
    time = Time()
    tries = time.tries(Backoff(1.0, 60.0), tries_max=2)
    assert tries.again()
    tries.start_over()
    assert tries.again() and not tries.again()
    assert time.slept == [1.0, 1.0]


def test_very_many_failures_overflow_nothing() -> None:
    assert Backoff(0.25, 30.0).pause_s(5_000) == 30.0
