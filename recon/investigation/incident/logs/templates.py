"""Paths that a log tells only as templates: a gateway that names the resource of a request and not what was asked for.

>>> covers("/{proxy+}", "/api/payment/shkeeper/webhook"), covers("/api/{stage}/x", "/api/payment/shkeeper/webhook")
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

DEFAULT: Final = "$default"
"""The route of an HTTP API of AWS that takes whatever no other takes."""
_TEMPLATE = re.compile(
    rb"\"(?:[A-Z]{3,8} )?((?:/[^\"\s{}]{0,300}\{[A-Za-z0-9_.-]{1,60}\+?\}[^\"\s]{0,300})|\$default)\""
)
_HOLE = re.compile(r"\{[^{}]+?(\+?)\}")


def covers(template: str, path: str) -> bool:
    """Whether a request for a path may be told as this template."""
    if template == DEFAULT:
        return True
    parts = _HOLE.split(template)
    form = "".join(re.escape(part) if place % 2 == 0 else ".+" if part else "[^/]+" for place, part in enumerate(parts))
    return re.fullmatch(form, path) is not None


def templates_in(text: bytes) -> Iterator[tuple[bytes, str]]:
    """Every line with a template, and the template."""
    # A single byte is found many times faster than several, and most logs hold neither of these.
    if not ((b"{" in text and b"/{" in text) or (b"$" in text and b"$default" in text)):
        return
    position = 0
    while (found := _TEMPLATE.search(text, position)) is not None:
        start, end = text.rfind(b"\n", 0, found.start()) + 1, text.find(b"\n", found.end())
        position = len(text) if end < 0 else end + 1
        yield text[start : position if end < 0 else end], found[1].decode()
