"""Networks that fail in the ways that real ones do, and time that only sleeping moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

    from recon.sources.http import Clock

    Handler = Callable[[httpx.Request], httpx.Response]

START_MS: Final = 1_795_176_000_000
"""When the time of :func:`still_clock` begins: 20 November 2026."""


def still_clock() -> Clock:
    """Time that only sleeping moves, so that no check waits."""
    from recon.sources.http import Clock

    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += max(seconds, 0.001)

    return Clock(now_ms=lambda: START_MS + int(slept[0] * 1000), monotonic=lambda: slept[0], sleep=sleep)


def _answers(status: int, content: bytes, kind: str = "application/json") -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        import httpx

        return httpx.Response(status, content=content, headers={"content-type": kind})

    return answer


def _times_out(request: httpx.Request) -> httpx.Response:
    import httpx

    raise httpx.ReadTimeout("no answer came in time", request=request)


def _refuses(request: httpx.Request) -> httpx.Response:
    import httpx

    raise httpx.ConnectError("connection refused", request=request)


TELLS_NOTHING: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "every call gets HTTP 500": _answers(500, b'{"message": "Internal Server Error"}'),
        "every call gets HTTP 503 with a page": _answers(503, b"<html>try later</html>", "text/html"),
        "every call gets HTTP 401": _answers(401, b'{"message": "Unauthorized"}'),
        "every call times out": _times_out,
        "every connection is refused": _refuses,
        "every JSON answer is cut": _answers(200, b'{"payments": [{"id": "1", "sta'),
        "every answer is a page": _answers(200, b"<html>maintenance</html>", "text/html"),
    }
)
"""Networks from which nothing may be concluded, by what happens in them."""

TELLS_LITTLE: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "every call gets HTTP 404": _answers(404, b'{"statusCode": 404, "message": "Not Found"}'),
        "every answer is an empty list": _answers(200, b"[]"),
        "every answer is an empty object": _answers(200, b"{}"),
    }
)
"""Networks that may say "there is none", by what happens in them; nothing can be found in them."""


class Counting:
    """A handler that counts the calls it gets, and gives HTTP 500 to all after the first ``answered_max``."""

    def __init__(self, handler: Handler, *, answered_max: int | None = None) -> None:
        self.calls = 0
        self.answered_max = answered_max
        self._handler = handler
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.calls += 1
            number = self.calls
        if self.answered_max is not None and number > self.answered_max:
            return TELLS_NOTHING["every call gets HTTP 500"](request)
        return self._handler(request)
