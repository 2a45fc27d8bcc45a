"""The time that a run goes by: the database server's own, so that a client whose clock is wrong changes nothing by it.

The server is asked again every few seconds; in between, time is what a clock that never jumps says has passed. A client
whose own clock is off is refused all the same, for its clock made the plans and decides what they are judged by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from recon.core.errors import ReconError, RefusedError

OFF_MAX: Final = timedelta(seconds=30)
"""How far a client's clock may be off unless the configuration says otherwise."""

_ASK_AGAIN_S: Final = 5.0


class ClientClockError(RefusedError):
    """The clock of this machine is not that of the database server."""

    def __init__(self, *, here: datetime, server: datetime, allowed: timedelta) -> None:
        off = (here - server).total_seconds()
        super().__init__(
            f"This machine's clock says {here.isoformat(timespec='seconds')} and the database server's "
            f"{server.isoformat(timespec='seconds')}: it is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}, and "
            f"[limits] clock_off_max_s allows {allowed.total_seconds():.0f} s; nothing was written. Set it right."
        )


class ServerClock:
    """Gives the database server's time; called from several threads.

    Args:
        ask: Asks the server for its time, aware UTC.
        local: The client's own clock, only ever compared.
        off_max: How far the two may be apart, less what the answer may have been under way.
        monotonic: Seconds since some moment, on a clock that never jumps.

    Raises:
        ClientClockError: They are further apart.
        StoppedError: The server does not say.
    """

    def __init__(
        self,
        ask: Callable[[], datetime],
        *,
        local: Callable[[], datetime],
        off_max: timedelta = OFF_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._monotonic, self._lock = ask, monotonic, threading.Lock()
        begun, here = monotonic(), local()
        server, ended = ask(), monotonic()
        way = timedelta(seconds=(ended - begun) / 2)
        if abs(here + way - server) - way > off_max:
            raise ClientClockError(here=here + way, server=server, allowed=off_max)
        self._known = (server + way, ended)

    def __call__(self) -> datetime:
        """The server's time now; while it does not answer, what it would be."""
        with self._lock:
            server, at = self._known
            begun = self._monotonic()
            if begun - at >= _ASK_AGAIN_S:
                try:
                    found, ended = self._ask(), self._monotonic()
                    server, at = found + timedelta(seconds=(ended - begun) / 2), ended
                except ReconError:
                    # The server is away; what has passed since it was last asked is known all the same.
                    server, at = server + timedelta(seconds=begun - at), begun
                self._known = (server, at)
            return server + timedelta(seconds=self._monotonic() - at)
