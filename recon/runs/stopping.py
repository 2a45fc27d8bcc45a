"""What ends a run early: a stop file, a lost lease, a clock that jumps, too many refusals, an error while writing.

Every write asks first. The first reason to stop is kept and given to every later write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from recon.core.errors import RefusedError, StoppedError
from recon.core.text import count_text
from recon.plans.limits import Limits
from recon.runs.stores.lease import Lease
from recon.runs.stores.retry import ReadOnlyCredentialError

JUMP_MAX: Final = timedelta(minutes=5)


class StopFileError(StoppedError):
    """The stop file is there."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"The stop file {path} is there, so no further write was started. Remove it and resume the run."
        )


class TooManyRefusalsError(StoppedError):
    """More rows moved under the run than chance explains."""

    def __init__(self, *, refusals: int, allowed: int) -> None:
        super().__init__(
            f"{count_text(refusals, 'row was', many='rows were')} refused and the limit on refusals during a run is "
            f"{allowed}; no further write was started. Find out who else writes, then resume, or raise this one limit "
            "with --refusals-max."
        )


class ClockJumpedError(StoppedError):
    """The clock does not go with the time that has passed."""

    def __init__(self, *, found: datetime, expected: datetime) -> None:
        super().__init__(
            f"The clock says {found.isoformat(timespec='seconds')} where {expected.isoformat(timespec='seconds')} "
            "was due; no further write was started. Set the clock and resume the run."
        )


class CredentialLostError(StoppedError):
    """The store began to refuse this run while it was writing."""

    def __init__(self, *, cause: RefusedError) -> None:
        said = cause.said if isinstance(cause, ReadOnlyCredentialError) else str(cause).rstrip(".")
        super().__init__(
            f"The store began to refuse the run midway ({said}); no further write was started. "
            "Give it a credential with the readWrite role and resume the run."
        )


class RunInterruptedError(StoppedError):
    """The process that applies was interrupted."""

    def __init__(self) -> None:
        super().__init__("It was interrupted, so no further write was started.")


@dataclass(slots=True, kw_only=True)
class RunStops:
    """Everything that may end a run, asked before each write.

    Args:
        rows: Rows that the run is to write, by which the limit on refusals is measured.
        reason: Why the run ends; None while it goes on.
    """

    lease: Lease
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    limits: Limits
    stop_file: Path | None
    rows: int = 0
    reason: StoppedError | None = None
    _refusals: int = 0
    _began: tuple[datetime, float] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._began = (self.clock(), self.monotonic())

    @property
    def refusals(self) -> int:
        """How many rows moved under the run so far, or were refused by the store."""
        return self._refusals

    def may_write(self) -> None:
        """Go on only if nothing asks the run to end; called before every write.

        A process may stand still between this and the send while another run takes the lease over. Its write is one
        that it announced: the other run leaves such rows alone, and guard and stamp let it happen once at most.
        """
        if self.reason is not None:
            raise self.reason
        self.lease.check()
        if self.stop_file is not None and self.stop_file.exists():
            raise StopFileError(path=self.stop_file.name)
        allowed = self.limits.refusals_allowed(self.rows)
        if self._refusals > allowed:
            raise TooManyRefusalsError(refusals=self._refusals, allowed=allowed)

    def check_clock(self) -> datetime:
        """Give the time now.

        Raises:
            ClockJumpedError: The clock does not go with the time that has passed since the run began.
        """
        now = self.clock()
        expected = self._began[0] + timedelta(seconds=self.monotonic() - self._began[1])
        if abs(now - expected) > JUMP_MAX:
            raise ClockJumpedError(found=now, expected=expected)
        return now

    def count_refusal(self) -> None:
        """Count a row that moved under the run, or that the store refused."""
        with self._lock:
            self._refusals += 1

    def end(self, reason: StoppedError) -> StoppedError:
        """Let no further write start, and give the reason that counts: the first one."""
        self.reason = self.reason or reason
        return self.reason
