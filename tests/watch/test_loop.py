"""The watch over days that no machine had: outages, jumps of the clock, sleep, and what is told of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import SourceError
from recon.setup.file import parse_settings
from recon.setup.settings import Settings
from recon.watch.facts import WatchTimes
from recon.watch.keeping import Pruned
from recon.watch.loop import Clocks, Watcher
from recon.watch.rounds import RoundDone, WatchedWindow, windows_of
from recon.watch.state import WatchState, WindowMemory

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@dataclass
class Machine:
    """A machine whose clocks a test moves: the wall's may jump, the other never does."""

    wall: datetime = NOON
    passed: float = 1000.0
    jumps: dict[int, timedelta] = field(default_factory=dict)
    waits: int = 0
    ends_after: timedelta = timedelta(hours=1)

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.passed, self.wait)

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        self.passed += seconds
        self.wall += timedelta(seconds=seconds) + self.jumps.pop(self.waits, timedelta(0))
        return self.passed > 1000.0 + self.ends_after.total_seconds()


@dataclass
class PlayedRounds:
    """Rounds that take no time, or as much as a test says; some cannot be made."""

    settings: Settings
    machine: Machine
    fails: Callable[[datetime], bool] = lambda moment: False
    breaks: Callable[[datetime], bool] = lambda moment: False
    takes_s: float = 0.0
    state: WatchState = field(default_factory=WatchState)
    made: list[tuple[str, datetime]] = field(default_factory=list)
    asleep: list[datetime | None] = field(default_factory=list)
    looks: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.windows = windows_of(self.settings)

    def make(self, window: WatchedWindow, *, due: datetime | None = None, asleep: datetime | None = None) -> RoundDone:
        now = self.machine.wall
        if self.breaks(now):
            raise SourceError("the journal is away")
        self.made.append((window.name, now))
        self.asleep.append(asleep)
        self.machine.passed += self.takes_s
        self.machine.wall += timedelta(seconds=self.takes_s)
        failed = self.fails(now)
        windows = {**self.state.windows, window.name: WindowMemory(due)}
        self.state = replace(self.state, failures=self.state.failures + 1 if failed else 0, windows=windows)
        return RoundDone(
            "round", window.name, WatchTimes(due, now, now, 300), self.state, (), failure="away" if failed else ""
        )

    def look(self) -> RoundDone:
        self.looks.append(self.machine.wall)
        return RoundDone("look", "", WatchTimes(None, self.machine.wall, self.machine.wall, 0), self.state, ())


@pytest.fixture(autouse=True)
def _nothing_is_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.watch.loop.prune", lambda settings, **given: Pruned())


def settings(**watch: Any) -> Settings:
    return Settings(parse_settings({"watch": {"jitter_s": 0, **watch}}), home=Path("nowhere"))


def play(machine: Machine, rounds: PlayedRounds, *heard: Callable[[RoundDone], None]) -> list[str]:
    said: list[str] = []
    Watcher(rounds, clocks=machine.clocks(), heard=heard, say=said.append).run()  # type: ignore[arg-type]
    return said


def minutes(rounds: PlayedRounds) -> list[float]:
    return [round((moment - NOON).total_seconds() / 60, 2) for _, moment in rounds.made]


def test_an_hour_has_a_round_at_once_and_one_every_five_minutes_and_looks_between() -> None:
    machine = Machine(ends_after=timedelta(minutes=59))
    rounds = PlayedRounds(settings(), machine)
    assert play(machine, rounds) == []
    assert [round(each) for each in minutes(rounds)] == [0, *range(5, 60, 5)]
    assert all(each - round(each) < 0.2 for each in minutes(rounds))
    gaps = [later - earlier for earlier, later in zip(rounds.looks, rounds.looks[1:], strict=False)]
    assert max(gaps) <= timedelta(seconds=66), "what becomes overdue is seen within about a minute"
    assert machine.waits < 1500, "an idle hour costs next to nothing"


def test_cron_words_and_two_windows() -> None:
    machine = Machine(ends_after=timedelta(minutes=60))
    rounds = PlayedRounds(
        settings(
            windows=[
                {"name": "day", "hours": 24, "schedule": "*/20 * * * *"},
                {"name": "all", "hours": 0, "schedule": "30 12 * * *"},
            ]
        ),
        machine,
    )
    rounds.state = WatchState(windows={name: WindowMemory(NOON) for name in ("day", "all")})
    play(machine, rounds)
    assert [(name, round((moment - NOON).total_seconds() / 60)) for name, moment in rounds.made] == [
        ("day", 20), ("all", 30), ("day", 40), ("day", 60),
    ]  # fmt: skip


def test_a_database_away_for_an_hour_is_tried_again_ever_more_rarely_and_then_at_once() -> None:
    machine = Machine(ends_after=timedelta(minutes=100))
    rounds = PlayedRounds(settings(), machine, fails=lambda moment: moment < NOON + timedelta(minutes=60))
    said = play(machine, rounds)
    tries = [each for each in minutes(rounds) if each < 60]
    assert [round(each) for each in tries] == [0, 1, 3, 7, 15, 31]
    assert len(said) == 6
    assert "is tried again in 16 min" in said[4]
    after = [each for each in minutes(rounds) if each >= 60]
    assert round(after[0]) == 61, "no longer than half an hour after the last try"
    assert [round(each) for each in after[1:4]] == [65, 70, 75], "then by the schedule again"


def test_an_error_that_nobody_foresaw_stops_no_watch() -> None:
    machine = Machine(ends_after=timedelta(minutes=20))
    rounds = PlayedRounds(settings(), machine, breaks=lambda moment: moment < NOON + timedelta(minutes=7))
    said = play(machine, rounds)
    assert [round(each) for each in minutes(rounds)] == [10, 15, 20]
    assert any("made again at its next time: the journal is away" in each for each in said)


def test_a_week_asleep_is_made_up_for_by_one_round_that_says_so() -> None:
    machine = Machine(jumps={40: timedelta(days=7)}, ends_after=timedelta(minutes=20))
    rounds = PlayedRounds(settings(), machine)
    said = play(machine, rounds)
    late = [moment for _, moment in rounds.made if moment > NOON + timedelta(days=1)]
    assert len(late) == len({moment.minute // 5 for moment in late}), "one for all that were missed"
    assert [each is not None for each in rounds.asleep].count(True) == 1
    assert any("The clock jumped ahead by 7 d" in each for each in said)


def test_a_watch_that_was_off_for_a_week_says_so_when_it_starts() -> None:
    machine = Machine(ends_after=timedelta(minutes=4))
    rounds = PlayedRounds(settings(), machine)
    rounds.state = WatchState(windows={"main": WindowMemory(NOON - timedelta(days=7))})
    said = play(machine, rounds)
    assert rounds.asleep == [NOON - timedelta(days=7)]
    assert any("no round was made for 7 d" in each for each in said)


def test_a_clock_that_goes_back_waits_for_no_hour_that_was() -> None:
    machine = Machine(jumps={40: timedelta(hours=-3)}, ends_after=timedelta(minutes=30))
    rounds = PlayedRounds(settings(), machine)
    said = play(machine, rounds)
    assert any("jumped back by 3 h" in each for each in said)
    back = [moment for _, moment in rounds.made if moment < NOON - timedelta(hours=1)]
    assert len(back) >= 4, "rounds go on by the clock as it is now"


def test_rounds_that_take_longer_than_their_schedule_do_not_pile_up() -> None:
    machine = Machine(ends_after=timedelta(minutes=60))
    rounds = PlayedRounds(settings(), machine, takes_s=12 * 60)
    play(machine, rounds)
    assert [round(each) for each in minutes(rounds)] == [0, 15, 30, 45, 60][: len(rounds.made)]


def test_what_listens_never_stops_the_watch_and_hears_every_round() -> None:
    machine = Machine(ends_after=timedelta(minutes=11))
    rounds = PlayedRounds(settings(), machine)
    heard: list[str] = []

    def breaks(done: RoundDone) -> None:
        raise RuntimeError("a channel hangs up")

    said = play(machine, rounds, breaks, lambda done: heard.append(done.kind))
    assert heard.count("round") == 3
    assert heard.count("look") == len(rounds.looks)
    assert all("RuntimeError" in each for each in said)
    assert "hangs up" not in " ".join(said), "an error of a channel may hold a secret"


def test_a_watch_that_is_started_again_keeps_its_times() -> None:
    machine = Machine(wall=NOON + timedelta(minutes=2), ends_after=timedelta(minutes=10))
    rounds = PlayedRounds(settings(), machine)
    rounds.state = WatchState(windows={"main": WindowMemory(NOON)})
    play(machine, rounds)
    assert [round(each) for each in minutes(rounds)] == [5, 10]
