"""What a process does that is asked to end, by SIGTERM or by the hangup of its terminal: what Ctrl-C does.

A run closes its journal, a snapshot keeps what it has read, and the exit code names the signal. A terminal that is gone
is written to without an error, so that nothing on its way out is stopped by it.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from recon.reports.outputs.surviving import ENDING, surviving


class EndedBySignalError(KeyboardInterrupt):
    """The process was asked to end, once; a signal that follows is not heard, for a shell passes a hangup on."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def end_cleanly() -> None:
    """Take both signals as an interruption, but for those that the caller chose to ignore, as ``nohup`` does."""
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    sys.stdout, sys.stderr = surviving(sys.stdout), surviving(sys.stderr)


def _end(number: int, _frame: FrameType | None) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise EndedBySignalError(number)
