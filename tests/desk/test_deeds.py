"""What is done from the screen: by the functions of the API, with the digest, the limits and the questions of each."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import recon.api.review as decisions
from recon.cli import cli
from recon.core.errors import UsageError
from recon.desk.choices import OptionLineError, parse_choices
from recon.desk.desk import Desk
from recon.desk.marks import MarkKind
from recon.desk.rows import DeskRow
from recon.desk.running import RunScreen
from recon.desk.watch import RunWatch
from recon.files import touch_private
from recon.plans.file import load_plan
from recon.sources.recorded.store_file import payment_lines
from tests.support.keys import Keys
from tests.support.screens import Seat, sit_down

SIZE = (120, 34)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, smaller: a recorded marketplace and its plan."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    recon("demo", "--out", folder, "--payments", 400, code=0)
    [plan] = folder.glob("plan-*.json")
    plan.rename(folder / "plan.json")
    return folder


@pytest.fixture
def demo(made_once: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    shutil.copytree(made_once, folder)
    return folder


def recon(*arguments: object, code: int | None = None) -> Result:
    result = CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="recon")
    assert "Traceback" not in result.output
    assert code is None or result.exit_code == code, result.output
    return result


def at_demo(do: Any, demo: Path, *, plan: str = "plan.json", size: tuple[int, int] = SIZE) -> Any:
    return sit_down(do, plan=demo / plan, config=demo / "recon.toml", size=size)


async def pick(seat: Seat, line: str = "tier:auto amount>20") -> list[str]:
    """Mark what a filter shows; the payments that can be put right among it."""
    await seat.press("slash")
    await seat.type(line)
    await seat.press("enter", "asterisk")
    return list(seat.desk.draft.marks.marked(MarkKind.APPLY))


async def write(seat: Seat) -> Desk:
    await seat.press("w", "enter")
    return seat.desk


async def consent(seat: Seat) -> Seat:
    await seat.press("a")
    return await seat.press(*seat.desk.plan.digest[:6], "enter")


def run_screen(seat: Seat) -> RunScreen:
    assert isinstance(seat.app.screen, RunScreen), seat.text
    return seat.app.screen


# Writing what is marked


def test_the_selection_is_byte_for_byte_that_of_select(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        picked = await pick(seat)
        assert len(picked) > 3
        desk = await write(seat)
        assert desk.path == demo / "plan-picked.json"
        assert "q leads back" in seat.said
        ids = [word for payment in picked for word in ("--payment", payment)]
        out = ("--out", demo / "by-hand.json", "--config", demo / "recon.toml")
        recon("select", demo / "plan.json", *ids, *out, code=0)
        assert desk.path.read_bytes() == (demo / "by-hand.json").read_bytes()
        assert set(seat.shown) == set(picked), "of what is not written it begins with nothing"
        await seat.press("q")
        assert seat.desk.path == demo / "plan.json"

    at_demo(do, demo)


def test_a_selection_never_goes_over_a_file(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await pick(seat)
        await seat.press("w")
        seat.fill("out", str(demo / "recon.toml"))
        await seat.press("enter")
        assert "is there already and was left as it is" in seat.said
        assert seat.desk.path == demo / "plan.json"

    before = (demo / "recon.toml").read_bytes()
    at_demo(do, demo)
    assert (demo / "recon.toml").read_bytes() == before


def test_acceptances_are_recorded_once_as_by_ack(demo: Path) -> None:
    async def do(seat: Seat) -> str:
        await seat.press("end", "up")
        while seat.screen.row is not None and seat.screen.row.tier == "wait":
            await seat.press("up")
        assert seat.screen.row is not None
        payment = seat.screen.row.payment_id
        await seat.press("c")
        await seat.type("agreed")
        await seat.press("enter", "w")
        assert "1 acceptance will be recorded" in seat.text
        await seat.press("enter")
        assert f"Recorded: {payment}" in seat.said
        await seat.press("w")
        assert "Nothing is marked" in seat.said, "nothing is recorded twice"
        return payment

    payment = at_demo(do, demo)
    [record] = (demo / "decisions").glob("ack-*.json")
    assert "agreed" in record.read_text(encoding="utf-8") and payment.strip('"') in record.read_text(encoding="utf-8")


def test_many_rows_are_accepted_in_one_go_until_one_time_for_one_reason(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    original = decisions.ack

    def ack(breaks: Iterable[str], **given: Any) -> Any:
        calls.append(tuple(breaks))
        return original(calls[-1], **given)

    monkeypatch.setattr("recon.api.review.ack", ack)

    async def do(seat: Seat) -> set[str]:
        await seat.press("slash")
        await seat.type("tier:never")
        await seat.press("enter", "home", "V", "v", "c")
        held = [line.payment_id for line in seat.screen.lines if isinstance(line, DeskRow)]
        assert len(held) > 4
        assert f"Accept {len(held) - 1} breaks" in seat.text
        await seat.type("with legal until then")
        await seat.press("enter")
        assert seat.screen.picked == set()
        marks = seat.desk.draft.marks.by_payment
        assert {(mark.kind, mark.reason) for mark in marks.values()} == {("ack", "with legal until then")}
        await seat.press("u")
        assert marks == {}, "it is one step"
        await seat.press("U", "w")
        assert f"{len(held) - 1} acceptances will be recorded" in seat.text
        await seat.press("enter")
        assert f"Recorded: {len(held) - 1} acceptances." in seat.said
        return set(held[1:])

    wanted = at_demo(do, demo)
    assert [set(each) for each in calls] == [wanted], "one call for all of them"
    records = [json.loads(path.read_text().split("\n", 1)[1]) for path in (demo / "decisions").glob("ack-*.json")]
    assert {each["payment_id"] for each in records} == wanted
    assert len({(each["until"], each["reason"]) for each in records}) == 1


def test_nothing_marked_is_nothing_to_write(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("w")
        assert "Nothing is marked" in seat.said

    at_demo(do, demo)


# Approving


def test_an_approval_is_that_of_approve(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("p", "enter")
        assert "reason" in seat.said
        await seat.press("p")
        await seat.type("checked ten")
        await seat.press("enter")
        assert "Recorded: ann approved the effects" in seat.said
        assert "Names are claims" in seat.said
        await seat.press("p")
        await seat.type("again")
        await seat.press("enter")
        assert "ann already recorded an approval of these effects" in seat.said

    at_demo(do, demo)
    [record] = (demo / "decisions").glob("approval-*.json")
    assert "checked ten" in record.read_text(encoding="utf-8")


def test_an_approval_is_of_what_is_on_the_screen(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await pick(seat)
        await write(seat)
        (demo / "plan-picked.json").unlink()
        shutil.copy(demo / "plan.json", demo / "plan-picked.json")
        await seat.press("p")
        await seat.type("ok")
        await seat.press("enter")
        assert "The plan's digest is" in seat.said
        await consent(seat)
        assert "The plan's digest is" in seat.said
        assert run_screen(seat).run_name is None

    at_demo(do, demo)
    assert list((demo / "decisions").glob("approval-*.json")) == []


# Applying


def test_apply_wants_the_digits_as_they_are_shown(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await pick(seat)
        await seat.press("a")
        assert "w writes them as a plan of its own" in seat.said, "marks are not forgotten"
        await write(seat)
        await seat.press("a")
        assert f"digest {seat.desk.plan.digest}" in seat.text
        await seat.press("enter")
        assert "were not typed as they are shown" in seat.refused
        await seat.type("000000")
        await seat.press("enter")
        assert "were not typed as they are shown" in seat.refused
        seat.fill("digest", seat.desk.plan.digest[:5])
        await seat.press("enter")
        assert "were not typed as they are shown" in seat.refused
        seat.fill("options", "--in-fligt 3")
        await seat.press("enter")
        assert "did you mean --in-flight?" in seat.refused
        await seat.press("escape")

    at_demo(do, demo)
    assert "recon_journal" not in "".join(path.name for path in demo.rglob("*journal-heads*"))


@pytest.mark.parametrize(
    ("option", "command"),
    [
        ("--changes-max 2", ["--changes-max", "2"]),
        ("--share-max 0", ["--share-max", "0"]),
        ("--value-max USDC=1 --value-max USDT=1", ["--value-max", "USDC=1", "--value-max", "USDT=1"]),
        ("--resume 20261120T120000Z-00000000-1", None),
    ],
)
def test_what_the_command_line_refuses_is_refused_in_the_same_words(
    demo: Path, option: str, command: list[str] | None
) -> None:
    async def do(seat: Seat) -> str:
        await seat.press("a")
        seat.fill("options", option)
        await seat.press(*seat.desk.plan.digest[:6], "enter")
        assert run_screen(seat).run_name is None
        return seat.said

    said = at_demo(do, demo, size=(200, 50))
    digest = load_plan(demo / "plan.json").digest
    words = command if command is not None else option.split()
    consent = ["--digest", digest] if "--resume" not in option else []
    told = recon("apply", demo / "plan.json", *consent, "--config", demo / "recon.toml", *words)
    assert told.exit_code in (2, 3), told.output
    assert " ".join(said.split()) == told.stderr.strip().splitlines()[-1].removeprefix("recon: ")


def test_policy_holds_here_too(demo: Path) -> None:
    with (demo / "recon.toml").open("a", encoding="utf-8") as file:
        file.write("\n[approvals]\napprovals_min = 1\n")

    async def do(seat: Seat) -> None:
        await pick(seat)
        await write(seat)
        await consent(seat)
        assert "needs 1 approval because policy asks for it" in seat.said
        await seat.press("q", "p")
        await seat.type("ok")
        await seat.press("enter")
        await consent(seat)
        assert run_screen(seat).outcome == "done", seat.text
        assert "approved by" in seat.text

    at_demo(do, demo)


def test_where_decisions_are_signed_they_are_signed_here(demo: Path) -> None:
    (demo / "keys").mkdir()
    key = Keys(demo / "keys").person("ann")
    with (demo / "recon.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[approvals]\napprovals_min = 1\nallowed_signers = "keys/allowed_signers"\nsigning_key = "{key}"\n'
        )

    async def do(seat: Seat) -> None:
        await pick(seat)
        await write(seat)
        await seat.press("p")
        assert f"signed with {key}"[:30] in seat.text
        await seat.type("ok")
        await seat.press("enter")
        assert "Recorded: ann@example.org (key SHA256:" in seat.said and "claims" not in seat.said
        await consent(seat)
        assert run_screen(seat).outcome == "done", seat.text
        assert "ann@example.org" in seat.text and ", signed" in seat.text
        await seat.press("t")
        assert seat.desk.plan.kind == "undo"

    at_demo(do, demo)


def test_a_key_that_is_not_there_signs_nothing(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("p")
        seat.fill("key", str(demo / "no-key"))
        await seat.type("ok")
        await seat.press("enter")
        assert "Recorded" not in seat.said and "no-key" in seat.said

    at_demo(do, demo)
    assert list((demo / "decisions").glob("approval-*.json")) == []


def test_a_plan_is_picked_applied_looked_at_and_taken_back(demo: Path) -> None:
    before = world(demo)

    async def do(seat: Seat) -> None:
        picked = await pick(seat)
        await write(seat)
        await consent(seat)
        screen = run_screen(seat)
        assert screen.outcome == "done" and f"applied                 {len(picked)}" in seat.text, seat.text
        assert "Breaks of these payments afterwards" in seat.text
        assert screen.progress.done == screen.progress.total == len(picked)
        assert not screen.desk.stop_path().exists()
        await seat.press("v")
        assert "state    ended" in seat.text
        await seat.press("t")
        assert seat.desk.plan.kind == "undo" and len(seat.shown) == len(picked)
        await consent(seat)
        assert run_screen(seat).outcome == "done" and f"{len(picked)}" in seat.text
        await seat.press("escape", "q", "escape", "q")
        assert seat.desk.path == demo / "plan.json"
        await seat.press("t")
        assert seat.text.count("by ann") == 2, seat.text
        await seat.press("enter")
        assert seat.desk.plan.kind == "undo" and len(seat.shown) == len(picked), "the undo can be taken back too"

    at_demo(do, demo)
    assert world(demo) == before


def world(demo: Path) -> dict[str, Any]:
    """The payments as they are stored, without what recon notes in them and without updatedAt."""
    found = {}
    for line in payment_lines(demo / "world"):
        document = json.loads(line)
        document.pop("updatedAt", None)
        metadata = document.get("metadata")
        if isinstance(metadata, dict):
            metadata.pop("recon", None)
            if not metadata:
                document.pop("metadata")
        found[json.dumps(document.get("_id"), sort_keys=True)] = document
    assert found
    return found


def test_a_run_is_stopped_by_a_key_and_resumed(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = RunScreen._hear

    def hear_and_stop(self: RunScreen, source: str, done: int, total: int | None) -> None:
        heard(self, source, done, total)
        if not self._choices.get("resume"):
            assert self.is_applying
            touch_private(self.desk.stop_path())

    monkeypatch.setattr(RunScreen, "_hear", hear_and_stop)

    async def do(seat: Seat) -> None:
        picked = await pick(seat)
        await write(seat)
        await seat.press("a")
        seat.fill("options", "--canary 2")
        await seat.press(*seat.desk.plan.digest[:6], "enter")
        screen = run_screen(seat)
        assert screen.is_stopped and "The stop file" in seat.said, seat.text
        assert not screen.desk.stop_path().exists()
        assert "--resume" in seat.text
        await seat.press("r")
        assert screen.outcome == "done" and not screen.is_stopped, seat.text
        assert world(demo) != before
        assert len(picked) > 3

    before = world(demo)

    at_demo(do, demo)


def test_no_key_leaves_while_rows_are_written(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def do(seat: Seat) -> None:
        await pick(seat)
        await write(seat)
        await consent(seat)
        screen = run_screen(seat)
        screen.is_applying = True
        await seat.press("q", "escape", "t", "v", "r", "ctrl+q", "ctrl+c")
        assert seat.app.is_running and seat.app.screen is screen
        assert "s stops it before its next write" in seat.said
        await seat.press("s")
        assert screen.desk.stop_path().exists() and "Stopping before the next write" in seat.said
        screen.desk.stop_path().unlink()
        screen.is_applying = False

    at_demo(do, demo)


def test_a_signal_stops_a_run_before_the_program_ends(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def do(seat: Seat) -> None:
        await pick(seat)
        await write(seat)
        await consent(seat)
        screen = run_screen(seat)
        screen.is_applying = True
        os.kill(os.getpid(), signal.SIGHUP)
        await seat.press("x")
        assert seat.app.is_running and screen.desk.stop_path().exists()
        screen.is_applying = False
        os.kill(os.getpid(), signal.SIGTERM)
        await seat.press("x")
        assert isinstance(seat.app.ended_by, KeyboardInterrupt)
        screen.desk.stop_path().unlink(missing_ok=True)

    at_demo(do, demo)


def test_inspect_shows_causes_and_timeline(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("I")
        assert "Payment " in seat.text and "first cause" in seat.text, seat.text
        await seat.press("escape", "down", "enter")
        assert "What each side says" in seat.text

    at_demo(do, demo)


def test_an_error_that_nobody_foresaw_is_one_sentence(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Desk, *_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Desk, "inspect", broken)
    monkeypatch.setattr(Desk, "apply", broken)

    async def do(seat: Seat) -> None:
        await seat.press("I")
        assert "This should not have happened (ZeroDivisionError)" in seat.said and "secret" not in seat.text
        await consent(seat)
        assert "This should not have happened (ZeroDivisionError)" in seat.said
        await seat.press("q", "q")

    at_demo(do, demo)


# The pieces


def test_options_have_the_bounds_of_the_command_line() -> None:
    line = '--changes-max 800 --value-max USDC=5 --value-max=USDT=6 --accept-unhealthy "a gap" --all-or-nothing'
    assert parse_choices(line) == {
        "changes_max": 800, "value_max": ["USDC=5", "USDT=6"], "accept_unhealthy": "a gap", "all_or_nothing": True,
    }  # fmt: skip
    assert parse_choices("") == {}
    for wrong in ("--share-max 101", "--in-flight 0", "--in-flight 201", "--changes-max -1", "--changes-max many",
                  "--changes-max", "--accept-unhealthy", '--accept-unhealthy "', "--resume --canary 3"):  # fmt: skip
        with pytest.raises(OptionLineError):
            parse_choices(wrong)
    for wrong in ("changes-max 3", "--force", "--stop-file x", "--digest 1", "--config y"):
        with pytest.raises(UsageError):
            parse_choices(wrong)


def test_progress_is_rows_rate_time_left_and_refusals() -> None:
    watch = RunWatch(100.0)
    assert watch.line(103.0).startswith("reading every row again before the first write, 3 s")
    watch.hear("writes", done=10, total=100, now=104.0)
    assert watch.line(104.0, width=10) == "[#.........]  10 of 100 rows  2/s  36 s left  0 refused"
    watch.hear("writes", done=50, total=100, now=106.0)
    watch.hear("refused", done=2, total=None, now=106.0)
    assert watch.line(106.0, width=10) == "[#####.....]  50 of 100 rows  20/s  3 s left  2 refused"
    watch.hear("writes", done=100, total=100, now=108.0)
    assert watch.line(109.0, width=4) == "[####]  100 of 100 rows  reading and judging them again  2 refused"
    assert RunWatch(0.0, total=0).line(1.0, width=4) == "[####]  0 of 0 rows  0 refused"


def test_a_saved_review_does_not_make_the_name_of_its_plan_ambiguous(demo: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("space", "q")

    at_demo(do, demo)
    assert (demo / "plan.json.review").exists()
    recon("show", "plan", "--config", demo / "recon.toml", code=0)
