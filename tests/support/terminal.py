"""A program in a process and a real terminal of its own, as at the far end of a connection."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

ROWS, COLUMNS = 24, 80
WAIT_S = 60.0


class Terminal:
    """``recon`` with arguments, or a text of Python, in 24 lines of 80 columns."""

    def __init__(self, *arguments: str, text: str | None = None) -> None:
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", RECON_OPERATOR="ann")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            program = ["-m", "recon"] if text is None else ["-c", text]
            os.execv(sys.executable, [sys.executable, *program, *arguments])
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

    def leave(self, keys: str) -> int:
        """Type the keys that end the program, and read to its end; the code with which it leaves."""
        os.write(self._end, keys.encode())
        until = time.monotonic() + WAIT_S
        with contextlib.suppress(OSError):  # nobody is at the other end any more
            while time.monotonic() < until:
                if select.select([self._end], [], [], 1.0)[0]:
                    os.read(self._end, 65_536)
        code = self._code()
        os.close(self._end)
        return code

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
