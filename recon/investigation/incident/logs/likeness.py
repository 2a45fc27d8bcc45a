"""Routes that a log writes in another way: percent-encoded, with doubled slashes or dot segments, or in another case.

What RFC 3986 calls equivalent (unreserved signs decoded, dot segments removed) and what every server here takes as one
(doubled slashes, a closing slash) is the same path and is counted. Everything else that has a route in it (another
case, a slash written ``%2F``, a path in front or behind) only *resembles* the route: it is told, and never silent.

>>> plain_path("/api//payment/./request%2Dnetwork/x/../webhook/")
'/api/payment/request-network/webhook'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_DECODED: Final = {f"%{ord(sign):02X}": sign for sign in _UNRESERVED}
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_SLASHES = re.compile(r"/{2,}")
_DOTS = re.compile(r"/\.{1,2}(?:/|\Z)")

_LOOSE: Final = {f"%{ord(sign):02x}".encode(): sign.lower().encode() for sign in f"{_UNRESERVED}/%"}
_ANY_SIGN = re.compile(rb"%(?:2[5def]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])")
_STEPS = re.compile(rb"/(?:\.?/|[^/\s\"'?#]{1,200}/\.\./)+")
_ROUNDS_MAX: Final = 3
"""A proxy may encode what was encoded before it."""


def plain_path(path: str) -> str:
    """A path in the one form in which equivalent paths are equal; a closing slash is taken away."""
    if "%" in path:
        path = _ENCODED.sub(lambda found: _DECODED.get(found[0].upper(), found[0]), path)
    if "//" in path:
        path = _SLASHES.sub("/", path)
    return (_without_dots(path) if _DOTS.search(path) else path).rstrip("/") or "/"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for step in path.split("/"):
        if step == ".." and len(kept) > 1:
            kept.pop()
        elif step not in (".", ".."):
            kept.append(step)
    return "/".join(kept)


def _loose(text: bytes) -> bytes:
    """A text in lower case, with every sign that a route may hold decoded and slashes and dots taken together."""
    text = text.lower()
    if b"\\" in text:
        text = text.replace(b"\\/", b"/")
    for _ in range(_ROUNDS_MAX if b"%" in text else 0):
        decoded = _ANY_SIGN.sub(lambda found: _LOOSE[found[0]], text)
        if decoded == text:
            break
        text = decoded
    return text


class Likeness:
    """Finds what resembles a route.

    Args:
        routes: The paths, in the order of their numbers.
    """

    def __init__(self, routes: Sequence[bytes]) -> None:
        self._routes = tuple(_STEPS.sub(b"/", _loose(route)).rstrip(b"/") for route in routes)
        self._exact = tuple(dict.fromkeys(routes))
        # The longest step of a route stands in one piece whatever is done to its slashes.
        longest = (max(route.split(b"/"), key=len) for route in self._routes)
        self._keys = tuple(key for key in dict.fromkeys(longest) if key)
        own = [each for each in self._exact if not any(each is not other and each in other for other in self._exact)]
        self._times = {route: sum(_loose(route).count(key) for key in self._keys) for route in own}

    def number_in(self, text: str | bytes) -> int | None:
        """The number of the route that a path or a line resembles; None for none."""
        loose = _STEPS.sub(b"/", _loose(text.encode("utf-8", "replace") if isinstance(text, str) else text))
        return next((number for number, route in enumerate(self._routes) if route and route in loose), None)

    def lines(self, text: bytes, counted: Mapping[bytes, int]) -> Iterator[tuple[int, bytes, int]]:
        """Every line that resembles a route and writes none exactly: where it begins, itself, the route's number.

        Args:
            counted: How often each route is written exactly in the text.
        """
        loose = _loose(text)
        if sum(loose.count(key) for key in self._keys) <= self._explained(counted):
            return
        lines = text.split(b"\n")
        start, last = 0, 0
        for at in sorted(set(self._line_numbers(loose))):
            start, last, line = start + sum(len(each) + 1 for each in lines[last:at]), at, lines[at]
            number = None if any(route in line for route in self._exact) else self.number_in(line)
            if number is not None:
                yield start, line, number

    def _explained(self, counted: Mapping[bytes, int]) -> int:
        """How often the keys stand there because a route is written exactly."""
        return sum(counted[route] * times for route, times in self._times.items())

    def _line_numbers(self, loose: bytes) -> Iterator[int]:
        for key in self._keys:
            number, position = 0, 0
            while (found := loose.find(key, position)) >= 0:
                number += loose.count(b"\n", position, found)
                yield number
                end = loose.find(b"\n", found)
                if end < 0:
                    break
                number, position = number + 1, end + 1
