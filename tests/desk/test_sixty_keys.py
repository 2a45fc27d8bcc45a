"""The demo's plan reviewed, a third of it picked, approved, applied, looked at and taken back, within sixty keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.desk.running import RunScreen
from recon.plans.file import load_plan
from tests.support.screens import Seat, sit_down

KEYS_MAX = 60


def test_the_demo_from_plan_to_undo_in_sixty_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_OPERATOR", "ann")
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(cli, ["demo", "--payments", "700"], prog_name="recon")
    assert made.exit_code == 0, made.stderr
    demo = tmp_path / "recon-demo"
    [path] = demo.glob("plan-*.json")
    whole = load_plan(path)

    async def do(seat: Seat) -> int:
        await seat.press("slash")
        await seat.type("amount>160")
        await seat.press("enter", "enter")  # the list, and the first payment as it is read
        assert "What each side says" in seat.text
        await seat.press("escape", "asterisk", "w", "enter")
        picked = len(seat.desk.plan.changes)
        assert len(whole.changes) / 3 <= picked <= len(whole.changes) / 2, picked
        await seat.press("p")
        await seat.type("ok")
        await seat.press("enter")
        assert "Recorded: ann approved" in seat.said
        await seat.press("a", *seat.desk.plan.digest[:6], "enter")
        assert isinstance(seat.app.screen, RunScreen) and seat.app.screen.outcome == "done", seat.text
        assert f"applied                 {picked}" in seat.text
        await seat.press("v")
        assert "state    ended" in seat.text
        await seat.press("t", "a")
        await seat.press(*seat.desk.plan.digest[:6], "enter")
        assert isinstance(seat.app.screen, RunScreen) and seat.app.screen.outcome == "done", seat.text
        assert seat.app.screen.desk.plan.kind == "undo"
        await seat.press("q", "q", "q", "q", "q")
        return seat.pressed

    pressed = sit_down(do, plan=None, config=demo / "recon.toml", size=(80, 24))
    assert pressed <= KEYS_MAX, pressed
    again = CliRunner().invoke(cli, ["plan", "--config", "recon-demo/recon.toml", "--format", "json"])
    assert load_plan(next(demo.glob("plan-*-2.json"))).summary["verdicts"] == whole.summary["verdicts"], again.output
