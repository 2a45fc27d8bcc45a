"""A connection that is lost in the middle of a review: what was marked and picked is there when it is opened again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import recon
from recon.desk.desk import open_desk
from recon.desk.marks import MarkKind
from recon.plans.file import load_plan
from tests.support.screens import Seat, a_review_plan, sit_down
from tests.support.terminal import Terminal


@pytest.mark.parametrize("is_killed", [False, True], ids=["hangup", "kill"])
def test_a_review_goes_on_where_the_connection_was_lost(is_killed: bool, tmp_path: Path) -> None:
    plan = a_review_plan(tmp_path)
    terminal = Terminal("review", str(plan))
    terminal.wait_for("To apply: 0 rows (limit 500)")
    terminal.type("  ", until="2 rows (limit 500)")
    terminal.type("jjv", until="picked 1")
    assert (terminal.kill() if is_killed else terminal.hang_up()) == (
        -signal.SIGKILL if is_killed else 128 + signal.SIGHUP
    )
    marked = open_desk(plan).draft.marks.marked(MarkKind.APPLY)
    assert len(marked) == 2

    async def go_on(seat: Seat) -> None:
        assert "Going on where this review was left: 2 rows marked, 1 row picked; u undoes" in seat.said
        assert len(seat.screen.picked) == 1
        picked = seat.screen.lines.index(seat.screen.row)  # type: ignore[arg-type]
        assert picked == (5 if not is_killed else 4), "the cursor is where it was at the last step"
        await seat.press("u")
        assert seat.screen.picked == set() and "Undone: pick 1 row." in seat.said
        await seat.press("u", "u", "U")
        assert len(seat.desk.draft.marks.marked(MarkKind.APPLY)) == 1
        await seat.press("U", "w", "enter")

    sit_down(go_on, plan=plan)
    [written] = tmp_path.glob("plan-picked*.json")
    recon.select(plan, payments=marked, out=tmp_path / "by-select.json", operator="ann")
    assert written.read_bytes() == (tmp_path / "by-select.json").read_bytes()
    assert {change.payment_id for change in load_plan(written).changes} >= set(marked)


_LEFT = """
import os, signal, sys
from recon.desk import app
from recon.desk.desk import open_desk
app.DeskApp.on_mount = lambda self: self.exit()
app.run_desk(open_desk(sys.argv[1]))
os.kill(os.getpid(), signal.SIGCONT)
print("left")
"""


def test_a_program_that_was_left_does_not_take_a_lost_terminal_again(tmp_path: Path) -> None:
    """Who loses a terminal is told to go on (SIGCONT) right after it is told to end."""
    terminal = Terminal(str(a_review_plan(tmp_path)), text=_LEFT)
    terminal.wait_for("left")
    assert terminal.leave("") == 0


_DEAF = """
import runpy, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.argv = ["recon", "review", PLAN]
runpy.run_module("recon", run_name="__main__")
"""


def test_a_review_that_nobody_tells_of_the_lost_terminal_ends_all_the_same(tmp_path: Path) -> None:
    plan = a_review_plan(tmp_path)
    text = _DEAF.replace("PLAN", repr(str(plan)))
    terminal = Terminal(text=text)
    terminal.wait_for("To apply: 0 rows")
    assert terminal.hang_up() != 0
