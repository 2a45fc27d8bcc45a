"""The command that makes the backend read its flags: run without a shell, its output caught, bounded and cleaned."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from recon.core.errors import RefusedError, UsageError
from recon.core.text import clean_text

WAIT_S: Final = 300.0
OUTPUT_MAX_BYTES: Final = 8_000
LINES_MAX: Final = 40
LINE_MAX: Final = 300
TIMED_OUT: Final = 124
NOT_STARTED: Final = 127
HIDDEN: Final = "(hidden)"
SECRET_LENGTH_MIN: Final = 4


@dataclass(frozen=True, slots=True)
class Restarted:
    """How the command went.

    Args:
        code: Its exit code; 124 when it took too long and was ended, 127 when it could not be started.
        took_ms: How long it ran.
        output: The last lines that it printed, on both streams, with nothing in them that steers a terminal.
    """

    code: int
    took_ms: int = 0
    output: tuple[str, ...] = ()


Restart = Callable[[Sequence[str], Sequence[str]], Restarted]
"""Runs a command; the second argument names texts, secrets, that must not be kept of its output."""


class NoRestartError(UsageError):
    """A restart is asked for and no command is configured."""

    def __init__(self) -> None:
        super().__init__(
            "--restart was given and no command is configured in [flags] restart; nothing was changed. Name one, for "
            'example restart = ["docker", "compose", "up", "-d", "backend"], or leave --restart out.'
        )


class RestartMissingError(RefusedError):
    """The configured restart command is no program that can be started here."""

    def __init__(self, *, program: str) -> None:
        super().__init__(
            f"[flags] restart names {clean_text(program)!r}, which is no program on this machine; nothing was changed. "
            "Correct it, or leave --restart out and restart the backend by hand."
        )


def check_restart(command: Sequence[str]) -> None:
    """Refuse a restart that could not be run, before anything is written.

    Raises:
        NoRestartError: No command is configured.
        RestartMissingError: Its program is not on this machine.
    """
    if not command or not command[0].strip():
        raise NoRestartError
    if shutil.which(command[0]) is None:
        raise RestartMissingError(program=command[0])


def run_restart(command: Sequence[str], hide: Sequence[str] = (), *, wait_s: float = WAIT_S) -> Restarted:
    """Run the command without a shell and without input; with all it started it is ended when it takes too long.

    Args:
        hide: Texts, secrets, that are taken out of what is kept of its output.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as caught:
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the configuration's own
                list(command), stdin=subprocess.DEVNULL, stdout=caught, stderr=caught, start_new_session=True
            )
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return Restarted(NOT_STARTED, _ms_since(began), (clean_text(said, limit=LINE_MAX),))
        try:
            code = process.wait(wait_s)
        except subprocess.TimeoutExpired:
            code = TIMED_OUT
        if code == TIMED_OUT:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Restarted(code, _ms_since(began), _lines(caught.fileno(), hide))


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _lines(handle: int, hide: Sequence[str]) -> tuple[str, ...]:
    """The last lines of what was caught."""
    size = os.fstat(handle).st_size
    start = max(0, size - OUTPUT_MAX_BYTES)
    text = os.pread(handle, OUTPUT_MAX_BYTES, start).decode("utf-8", "replace")
    for secret in sorted(filter(None, hide), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    lines = [clean for line in text.splitlines() if (clean := clean_text(line, limit=LINE_MAX))]
    if start or len(lines) > LINES_MAX:
        lines = ["(what came before is left out)", *lines[-LINES_MAX:]]
    return tuple(lines)
