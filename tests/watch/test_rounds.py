"""One round: read, judged, remembered in one line. Killed anywhere it leaves nothing wrong; it writes no payment."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.core.errors import SourceError
from recon.core.times import second_text
from recon.files import ChainedLog, NoRoomError
from recon.plans import history
from recon.plans.history import History, load_history
from recon.rails.flags.journal import FlagJournal
from recon.runs.stores.lease import FileLeases, held_lease
from recon.setup.settings import Settings, load_settings
from recon.snapshots.sealed import is_sealed
from recon.snapshots.unfinished import STATE
from recon.sources.payments.mongo import StoreUnreachableError
from recon.watch import acknowledge_situation, watch_once, watch_state
from recon.watch.alone import AnotherWatchError
from recon.watch.once import NotOpenError
from recon.watch.rounds import DeadlineError, Rounds, UnknownWindowError, windows_of
from recon.watch.schedule import ScheduleError
from recon.watch.situations import Turn
from recon.watch.state import WatchLog
from tests.support.flagworld import ENV
from tests.support.watching import a_watched_world, killed_rounds, move_clock, one_round


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which one round was made."""
    config = a_watched_world(tmp_path_factory.mktemp("made"))
    watch_once(config)
    return config.parent


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "world")
    return tmp_path / "world" / "recon.toml"


def with_watch(settings: Settings, **given: object) -> Settings:
    """The settings with others of ``[watch]``."""
    watch = settings.values.watch.model_copy(update=given)
    return replace(settings, values=settings.values.model_copy(update={"watch": watch}))


def business(folder: Path) -> dict[str, bytes]:
    """Every file of the world itself: its payments, and what is said of them."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_rounds_go_on_from_one_another_and_write_nothing_but_their_own(config: Path) -> None:
    before = business(config.parent)
    first = watch_state(config)
    assert first.open, "the world has payments that wait"
    said: list[str] = []
    done = one_round(config, heard=[lambda done: said.append(done.window)], say=said.append)
    assert (done.was_whole, said) == (False, ["main"])
    assert [each.key for each in done.open] == [each.key for each in first.open]
    assert done.turns == (), "what is there still is not told again"
    assert {each.rounds for each in done.open} == {2}
    after = business(config.parent)
    assert {name: data for name, data in after.items() if name != "world.json"} == {
        name: data for name, data in before.items() if name != "world.json"
    }
    entries = load_history(config.parent / "recon-out").entries
    assert [entry["digest"] for entry in entries][-1] == done.plan.digest if done.plan else False
    [log] = (config.parent / "recon-out" / "watch").glob("*.ndjson")
    assert [entry.follows for entry in ChainedLog(log).entries()] == [True, True]
    lines = [*WatchLog(config.parent / "recon-out").lines()]
    assert [(line.kind, line.state.number) for line in lines] == [("round", 1), ("round", 2)]
    assert lines[-1].state == done.state == watch_state(config)
    assert recon.gates.rollback(config=config).decision, "gates read the history that rounds have written"


def test_everything_is_read_anew_each_week_and_on_doubt(config: Path) -> None:
    assert not one_round(config).was_whole
    for each in config.parent.glob("recon-out/snapshot-watch-*"):
        shutil.rmtree(each)
    assert one_round(config).was_whole, "the snapshot to build upon is gone"
    config.write_text(config.read_text(encoding="utf-8") + "\n[policy]\nclock_skew_s = 200\n", encoding="utf-8")
    said: list[str] = []
    assert one_round(config, say=said.append).was_whole, "it was read under another configuration"
    assert any("This round reads everything" in each for each in said)
    assert one_round(config, minutes=-60).was_whole, "the clock went back"
    assert one_round(config, minutes=40).was_whole is False
    assert not [each for each in watch_state(config).open if each.seen.rule == "own_lateness"], "this round is good"
    assert one_round(config, minutes=7 * 24 * 60).was_whole, "a week is over"


def test_a_source_that_is_away_ends_no_situation_and_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = watch_state(config)

    def away(*given: object, **options: object) -> None:
        raise SourceError("payments: the database cannot be reached; start it.")

    with monkeypatch.context() as patch:
        patch.setattr("recon.api.reconcile.snapshot", away)
        patch.setattr("recon.setup.open_rollout.count_open", away)
        done = one_round(config)
        again = one_round(config)
    assert done.is_incomplete
    assert {each.key for each in before.open} < {each.key for each in done.open}
    assert [each.key for turn, each in done.turns if turn is Turn.OPENED] == ["source_down:payments"]
    assert all(each.is_unread for each in done.open if each.seen.rule in ("captured_not_credited", "overdue"))
    assert (again.state.failures, again.turns) == (2, ())
    well = one_round(config)
    assert well.was_whole, "after doubt everything is read"
    assert [each.key for turn, each in well.turns if turn is Turn.RESOLVED] == ["source_down:payments"]
    assert not any(each.is_unread for each in well.open)
    assert well.state.failures == 0


def test_a_second_watch_is_told_in_one_sentence_and_does_nothing(config: Path) -> None:
    before = watch_state(config)
    with held_lease(FileLeases(config.parent / "recon-out" / "watch"), target="watch"):
        with pytest.raises(AnotherWatchError, match="did nothing"):
            watch_once(config)
        ran = CliRunner().invoke(cli, ["watch", "--once", "--config", str(config)])
    assert ran.exit_code == 3
    assert watch_state(config) == before


def test_an_interrupted_snapshot_is_gone_on_with_while_it_is_fresh(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recon.snapshots.take.SecondReading", cut)
        with pytest.raises(KeyboardInterrupt):
            one_round(config)
    [left] = [path.parent for path in config.parent.glob(f"recon-out/snapshot-watch-*/{STATE}")]
    other = left.with_name(left.name.replace("-main-", "-main-late-"))
    shutil.copytree(left, other)
    done = one_round(config)
    assert done.snapshot == left, "what was read whole is used again"
    assert is_sealed(left)
    assert (other / STATE).exists(), "another window's, whose name begins alike"
    shutil.rmtree(other)
    with monkeypatch.context() as patch:
        patch.setattr("recon.snapshots.take.SecondReading", cut)
        with pytest.raises(KeyboardInterrupt):
            one_round(config)
    [stale] = [path.parent for path in config.parent.glob(f"recon-out/snapshot-watch-*/{STATE}")]
    assert one_round(config, minutes=61).snapshot != stale
    assert not stale.exists()


def test_a_round_that_takes_too_long_is_ended_and_says_so(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10**9, 4000))
    monkeypatch.setattr("recon.watch.rounds.time.monotonic", lambda: next(ticks))
    done = one_round(config)
    assert str(DeadlineError(minutes=30)) in done.failure
    assert done.plan is None


def test_a_full_disk_is_said_and_what_was_judged_is_told_all_the_same(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    rounds = Rounds(with_watch(load_settings(config), pending_min=10**6), say=said.append)
    number = rounds.state.number

    def full(*given: object, **options: object) -> None:
        raise NoRoomError(path="rounds", why="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recon.watch.state.WatchLog.add", full)
        done = rounds.make(rounds.windows[0])
    assert not done.is_kept
    assert any("could not be written down" in each for each in said)
    assert [turn for turn, _ in done.turns] == [Turn.RESOLVED] * len(done.turns) != []
    again = rounds.make(rounds.windows[0])
    assert again.is_kept
    assert [each.key for _, each in again.turns] == [each.key for _, each in done.turns], "told again when it is kept"
    assert rounds.state.number == number + 1


def test_killed_at_any_moment_it_comes_to_the_same_situations(made: Path, tmp_path: Path) -> None:
    pick = random.Random(14)
    shutil.copytree(made, tmp_path / "a")
    shutil.copytree(made, tmp_path / "b")
    killed, whole = tmp_path / "a" / "recon.toml", tmp_path / "b" / "recon.toml"
    for each in (killed, whole):
        move_clock(each, 60 * 26)
    places = [1, *sorted(pick.sample(range(3, 40), 3)), 10_000]
    ends = killed_rounds(killed, places)
    assert ends[-1] == 0
    assert set(ends[:3]) == {-9}
    expected = watch_once(whole)
    lines = [*WatchLog(tmp_path / "a" / "recon-out").lines()]
    found = watch_state(killed)
    assert [(each.key, each.seen.count, each.seen.money, each.seen.urgency) for each in found.open] == [
        (each.key, each.seen.count, each.seen.money, each.seen.urgency) for each in expected.open
    ]
    told = [(turn, each.key) for line in lines[1:] for turn, each in line.turns]
    assert sorted(told) == sorted((turn, each.key) for turn, each in expected.turns), "each is told exactly once"
    assert len(set(told)) == len(told)
    for log in (tmp_path / "a" / "recon-out").rglob("*.ndjson"):
        assert all(entry.follows for entry in ChainedLog(log).entries())


def test_windows_have_schedules_and_situations_of_their_own(tmp_path: Path) -> None:
    config = a_watched_world(
        tmp_path / "world",
        settings='\n[[watch.windows]]\nname = "day"\nhours = 24\nschedule = "every 5min"\n'
        '[[watch.windows]]\nname = "all"\nhours = 0\nschedule = "every 1d"\n',
    )
    with pytest.raises(UnknownWindowError, match="day, all"):
        watch_once(config, window="month")
    everything = watch_once(config, window="all")
    mine = {each.key for each in everything.open if each.seen.about.startswith("all/")}
    assert mine
    day = one_round(config)
    assert day.window == "day"
    assert mine <= {each.key for each in day.open}, "a window ends nothing of another"
    assert everything.plan is not None and day.plan is not None
    assert day.plan.summary["payments"] < everything.plan.summary["payments"]
    again = watch_once(config, window="all")
    assert not again.was_whole
    assert sorted(again.state.windows) == ["all", "day"]


def test_wrong_cron_words_stop_it_before_anything_is_read(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + '\n[watch]\nschedule = "61 * * * *"\n', encoding="utf-8")
    with pytest.raises(ScheduleError, match="no schedule"):
        windows_of(load_settings(config))
    ran = CliRunner().invoke(cli, ["watch", "--once", "--config", str(config)])
    assert ran.exit_code == 2


def test_a_situation_is_acknowledged_from_outside_and_keeps_it(config: Path) -> None:
    key = watch_state(config).open[0].key
    with pytest.raises(NotOpenError, match=key):
        acknowledge_situation("nothing:", config=config)
    assert acknowledge_situation(key, config=config, operator="ada").acknowledged_by == "ada"
    done = one_round(config)
    assert [each.acknowledged_by for each in done.open if each.key == key] == ["ada"]
    assert done.state.number == 3


def test_a_look_between_rounds_sees_what_became_overdue_and_writes_only_news(config: Path) -> None:
    settings = load_settings(config)
    rounds = Rounds(settings)
    number = rounds.state.number
    assert rounds.look().turns == ()
    assert WatchLog(settings.output_dir).state().number == number
    calm = replace(
        settings,
        values=settings.values.model_copy(
            update={"watch": settings.values.watch.model_copy(update={"pending_min": 10**6})}
        ),
    )
    nothing = Rounds(calm)
    done = nothing.look()
    assert {turn for turn, _ in done.turns} == {Turn.RESOLVED}
    assert {each.seen.rule for _, each in done.turns} == {"overdue"}
    done = Rounds(settings).look()
    assert {turn for turn, _ in done.turns} == {Turn.OPENED}
    assert (done.kind, done.state.number) == ("look", number + 2)


def test_the_command_leaves_with_what_it_found(config: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    ran = run(cli, ["watch", "--once", "--format", "json", "--config", str(config)])
    assert ran.exit_code == 1, ran.output
    assert {each["urgency"] for each in json.loads(ran.stdout)["situations"]} <= {"warning", "critical", "info"}
    shown = run(cli, ["watch", "status", "--config", str(config)])
    assert shown.exit_code == 1
    assert "captured_not_credited" in shown.stdout
    key = watch_state(config).open[0].key
    assert run(cli, ["watch", "ack", key, "--config", str(config)]).exit_code == 0
    assert run(cli, ["watch", "--window", "main", "--config", str(config)]).exit_code == 2
    assert run(cli, ["watch", "--config", str(config)]).exit_code == 2, "time stands still in a recorded world"
    calm = a_watched_world(tmp_path / "calm", payments=1)
    before = run(cli, ["watch", "status", "--config", str(calm)])
    assert (before.exit_code, "cannot tell: no round was made yet" in before.stdout) == (4, True)
    lenient = "\n[watch]\nundecided_h = 99999\npending_min = 999999\ncaptured_min = 999999\n"
    calm.write_text(calm.read_text(encoding="utf-8") + lenient, encoding="utf-8")
    assert run(cli, ["watch", "--once", "--config", str(calm)]).exit_code == 0
    assert run(cli, ["watch", "status", "--config", str(calm)]).exit_code == 0


def test_the_log_goes_on_in_the_next_month_and_after_a_torn_line(config: Path) -> None:
    log = WatchLog(config.parent / "recon-out")
    before = log.state()
    assert before.at is not None
    with log.paths()[-1].open("ab") as stream:
        stream.write(b'{"format":1,"kind":"rou')
    assert log.state() == before
    done = one_round(config, minutes=timedelta(days=31).total_seconds() / 60)
    assert len(log.paths()) == 2
    assert done.state.number == before.number + 1
    assert [each.opened_at for each in done.open if each.key == before.open[0].key] == [before.open[0].opened_at]


FLAGS = """
[flags]
file = ".env"
[[reserves]]
chain_id = 56
address = "0x00000000000000000000000000000000000000aa"
warn_below = "1"
critical_below = "0.1"
"""


def test_a_flag_changed_by_hand_is_told_until_a_person_says_that_it_is_right(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + FLAGS, encoding="utf-8")
    flags = config.parent / ".env"
    flags.write_text(ENV, encoding="utf-8")
    done = one_round(config)
    assert not [each for each in done.open if each.seen.rule == "flags_changed"]
    assert [part for part in done.unread if part.startswith("wallet_low:56:")], "who cannot be asked is not low"
    flags.write_text(ENV.replace("live", "read-only"), encoding="utf-8")
    done = one_round(config)
    [found] = [each for each in done.open if each.seen.rule == "flags_changed"]
    assert found.seen.title.startswith("PAYMENT_PROVIDER_MODE was 'live' and is 'read-only'")
    assert "pa55" not in WatchLog(config.parent / "recon-out").paths()[-1].read_text(encoding="utf-8")
    assert found.key in {each.key for each in one_round(config).open}, "it stays"
    acknowledge_situation(found.key, config=config, operator="ada")
    done = one_round(config)
    assert [each.key for turn, each in done.turns if turn is Turn.RESOLVED] == [found.key]
    assert not [each for each in one_round(config).open if each.seen.rule == "flags_changed"]
    later = second_text(move_clock(config, 1))
    journal = FlagJournal(config.parent / "recon-out" / "flags-journal.ndjson")
    journal.append(at=later, run="run-1", kind="outcome", body={}, state="")
    flags.write_text(ENV.replace("live", "dry-run"), encoding="utf-8")
    assert not [each for each in one_round(config).open if each.seen.rule == "flags_changed"], "a run of recon wrote it"


def test_wallets_of_tokens_are_held_against_their_lines(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = json.loads((config.parent / "world.json").read_text(encoding="utf-8"))
    wallet, text = world["merchant_recipients"][0], config.read_text(encoding="utf-8")
    lines = f'\n[[reserves]]\nchain_id = 56\naddress = "{wallet}"\ntoken = "usdc"\n'
    config.write_text(f'{text}{lines}warn_below = "999999999"\ncritical_below = "1"\n', encoding="utf-8")
    assert "does not say what it holds" in next(iter(one_round(config).unread.values())), "the world holds no balances"
    held = iter((5 * 10**18, 4 * 10**18))
    monkeypatch.setattr("recon.setup.reserves.reserve_units", lambda opening, reserve, *, asset: next(held))
    done = one_round(config)
    [low] = [each for each in done.open if each.seen.rule == "wallet_low"]
    assert low.seen.urgency.value == "warning"
    assert low.seen.money == (("USDC", "5"),)
    [looks] = done.state.wallets.values()
    assert len(looks) == 1
    assert len(next(iter(one_round(config, minutes=31).state.wallets.values()))) == 2, "half an hour apart"
    monkeypatch.undo()
    config.write_text(f'{text}{lines}warn_below = "1"\ncritical_below = "2"\n', encoding="utf-8")
    assert "has its critical line above" in one_round(config).unread["wallets"]
    config.write_text(
        text + lines.replace("usdc", "NOPE") + 'warn_below = "1"\ncritical_below = "1"\n', encoding="utf-8"
    )
    assert "no known token of chain 56" in one_round(config).unread["wallets"]


def test_a_database_that_is_away_is_waited_for_once_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    real = StoreUnreachableError.__init__

    def counted(error: StoreUnreachableError, **given: Any) -> None:
        tries.append(given["hosts"])
        real(error, **given)

    monkeypatch.setattr(StoreUnreachableError, "__init__", counted)
    monkeypatch.setenv("RECON_MONGO_URI", "mongodb://127.0.0.1:9/?directConnection=true")
    monkeypatch.setenv("RECON_SHKEEPER_API_KEY", "sh-test-key")
    config = tmp_path / "recon.toml"
    config.write_text('[mongo]\ntimeout_s = 0.1\n[shkeeper]\nbase_url = "http://127.0.0.1:9"\n', encoding="utf-8")
    done = watch_once(config)
    assert len(tries) == 1, "the journal and the open payments are in the same database"
    assert {part for part, why in done.unread.items() if "no usable server answered" in why} >= {"runs", "waiting"}
    assert done.runs is None


def test_a_round_reads_the_end_of_the_history_and_never_all_of_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    real = history.load_history

    def counted(folder: Path, **given: Any) -> History:
        read.append(given.get("span"))
        return real(folder, **given)

    for place in ("recon.plans.history", "recon.watch.rounds", "recon.watch.keeping"):
        monkeypatch.setattr(f"{place}.load_history", counted)
    one_round(config)
    assert len(read) == 3, "for what is new, for the rules, for what is kept"
    assert None not in read, "the end of it, never all"
