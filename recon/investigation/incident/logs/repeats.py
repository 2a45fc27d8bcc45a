"""Lines that tell of a request which another line tells of as well: each request is counted once.

Caddy writes an error beside the request that it belongs to. A program's logger for one request (pino) writes the
request into every line, and the answer into the last. Vercel writes the request beside each line that its function
printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from recon.investigation.incident.logs.formats import STATUSES

ANSWER_LINES_MAX: Final = 50
"""How many lines of one request are looked through for its answer."""
LINES_MAX: Final = 200
"""How many lines of one request are looked through for the one that counts."""
SEEN_MAX: Final = 1_000_000

_FASTIFY = re.compile(rb"\\?\"reqId\\?\":(?:\\?\"[^\"\\]{1,100}\\?\"|[0-9]{1,15})(?![0-9])")
_FASTIFY_ANSWER = re.compile(rb"\\?\"res\\?\":\{\\?\"statusCode\\?\":([0-9]{3})(?![0-9])")
_RAILS = re.compile(rb"(\[[0-9a-f]{8}-?[0-9a-f-]{8,40}\] )(?:\[[^\]\n]{1,80}\] ){0,5}Started [A-Z]{3,8} \\?\"")
_RAILS_ANSWER = re.compile(rb"\] Completed ([0-9]{3}) ")
_ANSWERS: Final = ((_FASTIFY, _FASTIFY_ANSWER), (_RAILS, _RAILS_ANSWER))
"""How a line names its request, and how the line that says its answer does."""
_PROXIED = re.compile(rb"\"proxy\"\s*:\s*\{")
_REQUEST = re.compile(rb"\"requestId\"\s*:\s*\"([^\"\\]{1,100})\"")
_PINO = re.compile(rb"\"req\":\{\"id\":(?:\"[^\"\\]{1,100}\"|[0-9]{1,15}),")
_PID = re.compile(rb"\"pid\":[0-9]{1,10},")
_ANSWERED: Final = b'"res":{"statusCode":'
_CADDY_ERROR: Final = b"http.log.error"
_CADDY_ACCESS: Final = b"http.log.access"


def answer_of(line: bytes, text: bytes, *, position: int) -> int | None:
    """The status that a later line tells of the request of this one; None where none does.

    Fastify writes one line as a request comes and one as it is answered, and so does Rails where each line is marked
    with the id of its request (``config.log_tags``).

    Args:
        position: Where in the text the line after this one begins.
    """
    for asked, answered in _ANSWERS:
        if (own := asked.search(line)) is None:
            continue
        sign = own[own.lastindex or 0]
        for start, end in later_lines(sign, text, position=position, most=ANSWER_LINES_MAX):
            if (found := answered.search(text, start, end)) is not None:
                return int(found[1]) if int(found[1]) in STATUSES else None
    return None


def is_told_later(line: bytes, text: bytes, *, route: bytes, position: int) -> bool:
    """Whether a later line is the one that counts for the request that this one names.

    Args:
        route: The route as the line writes it.
        position: Where in the text the line after this one begins.
    """
    if _CADDY_ERROR in line:
        return _later(text, position, sign=_CADDY_ACCESS, needs=(route,))
    own = _PINO.search(line) if _ANSWERED not in line else None
    if own is None:
        return False
    pid = _PID.search(line)
    return _later(text, position, sign=own[0], needs=(_ANSWERED, route, *([pid[0]] if pid else [])))


def _later(text: bytes, position: int, *, sign: bytes, needs: tuple[bytes, ...]) -> bool:
    found = later_lines(sign, text, position=position, most=LINES_MAX)
    return any(all(need in text[start:end] for need in needs) for start, end in found)


def later_lines(sign: bytes, text: bytes, *, position: int, most: int) -> Iterator[tuple[int, int]]:
    """Where the next lines with a sign begin and end, from a position on, at most so many."""
    for _ in range(most):
        place = text.find(sign, position)
        if place < 0:
            return
        end = text.find(b"\n", place)
        position = len(text) if end < 0 else end + 1
        yield text.rfind(b"\n", 0, place) + 1, position


class Seen:
    """Requests of Vercel by their ids."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()

    def again(self, line: bytes) -> bool:
        """Whether the request of a line was told by an earlier one; the line is remembered."""
        found = _REQUEST.search(line) if _PROXIED.search(line) is not None else None
        if found is None:
            return False
        is_again = found[1] in self._ids
        if len(self._ids) < SEEN_MAX:
            self._ids.add(found[1])
        return is_again
