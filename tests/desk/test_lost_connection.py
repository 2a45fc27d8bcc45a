"""A connection that is lost in the middle of a review: what was marked and picked is there when it is opened again."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

import recon
from recon.desk.desk import open_desk
from recon.desk.marks import MarkKind
from recon.plans.file import load_plan
from tests.support.screens import Seat, a_review_plan, sit_down

ROWS, COLUMNS = 24, 80
WAIT_S = 60.0


class Terminal:
    """``recon review`` in a process and a terminal of its own, as at the far end of a connection."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", RECON_OPERATOR="ann")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execv(sys.executable, [sys.executable, "-m", "recon", "review", *arguments])
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read what the program draws until a text is in it."""
        until = time.monotonic() + WAIT_S
        while text not in self.seen:
            assert time.monotonic() < until, self.seen[-4000:]
            if select.select([self._end], [], [], 1.0)[0]:
                self.seen += os.read(self._end, 65_536).decode(errors="replace")

    def type(self, keys: str, *, until: str) -> None:
        """Type keys, and wait for what they bring onto the screen."""
        self.seen = ""
        os.write(self._end, keys.encode())
        self.wait_for(until)

    def hang_up(self) -> int:
        """Close the connection; the code with which the program leaves."""
        os.close(self._end)
        return self._code()

    def kill(self) -> int:
        """End the program without a word to it."""
        os.kill(self.pid, signal.SIGKILL)
        code = self._code()
        os.close(self._end)
        return code

    def _code(self) -> int:
        until = time.monotonic() + WAIT_S
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < until, "it does not end"
            time.sleep(0.02)
        return os.waitstatus_to_exitcode(found[1])


@pytest.mark.parametrize("is_killed", [False, True], ids=["hangup", "kill"])
def test_a_review_goes_on_where_the_connection_was_lost(is_killed: bool, tmp_path: Path) -> None:
    plan = a_review_plan(tmp_path)
    terminal = Terminal(str(plan))
    terminal.wait_for("Marked for apply: 0 of 500")
    terminal.type("  ", until="2 of 500")
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
