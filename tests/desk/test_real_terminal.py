"""A review from plan to undo in a real terminal of 80 columns: typed through it, and read as it was drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.plans.file import load_plan
from tests.support.terminal import Terminal

ENTER = "\r"


def test_the_demo_from_plan_to_undo_in_a_real_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["demo", "--payments", "200"], prog_name="recon").exit_code == 0
    config = str(tmp_path / "recon-demo" / "recon.toml")
    [path] = (tmp_path / "recon-demo").glob("plan-*.json")
    changes = len(load_plan(path).changes)
    terminal = Terminal("review", "--config", config)
    terminal.wait_for("To apply: 0 rows")
    terminal.type("*", until=f"To apply: {changes} rows")
    terminal.type("w", until="Write what is marked")
    terminal.type(ENTER, until="it is open")
    terminal.type("p", until="Approve plan")
    terminal.type("ok" + ENTER, until="Recorded: ")
    terminal.type("a", until="Enter: apply")
    terminal.type(digits(terminal) + ENTER, until="journal head")
    assert re.search(rf"applied +{changes}\b", terminal.seen), terminal.seen[-3000:]
    terminal.type("t", until="undo plan")
    terminal.type("a", until="Enter: apply")
    terminal.type(digits(terminal) + ENTER, until="journal head")
    assert re.search(rf"applied +{changes}\b", terminal.seen), terminal.seen[-3000:]
    assert "the correction of it was taken back" in terminal.seen
    assert terminal.leave("qqqqq") == 0


def digits(terminal: Terminal) -> str:
    """The first digits of the digest as the terminal shows them."""
    found = re.search(r"Apply \w+ plan ([0-9a-f]{12})", terminal.seen)
    assert found, terminal.seen[-3000:]
    return found[1][:6]
