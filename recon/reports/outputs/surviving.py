"""A terminal that may go away, as when a connection is lost: what is written to it afterwards is dropped."""

from __future__ import annotations

import errno
import io
import signal
from typing import Any, Final, TextIO

ENDING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What asks a program to end: the system, and a terminal whose connection is lost."""


class _Terminal(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write, as far as it is still there."""
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def surviving(stream: TextIO) -> TextIO:
    """A stream whose end may hang up without an error to the writer; what is no terminal stays what it is."""
    try:
        if not stream.isatty():
            return stream
        raw = _Terminal(stream.fileno(), "w", closefd=False)
    except (AttributeError, OSError, ValueError):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True, write_through=True
    )
