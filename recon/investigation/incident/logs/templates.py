"""Paths that a log tells only as templates: a gateway or program that names the route of a request, not what was asked.

AWS writes ``/api/{provider}/webhook``, Express and OpenTelemetry ``/api/:provider/webhook``, Flask and Django
``/api/<provider>/webhook``.

>>> covers("/{proxy+}", "/api/payment/shkeeper/webhook"), covers("/api/{stage}/x", "/api/payment/shkeeper/webhook")
(True, False)
>>> covers("/api/payment/:provider/webhook", "/api/payment/shkeeper/webhook"), covers("/<path:rest>", "/api/hook")
(True, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

DEFAULT: Final = "$default"
"""The route of an HTTP API of AWS that takes whatever no other takes."""
_TEMPLATE = re.compile(
    rb"\"(?:[A-Z]{3,8} )?((?:/[^\"\s{}<>]{0,300}(?:\{[A-Za-z0-9_.-]{1,60}\+?\}|(?<=/):[A-Za-z_]\w{0,60}"
    rb"|<(?:[a-z]{1,12}:)?[A-Za-z_]\w{0,60}>)[^\"\s]{0,300})|\$default)\""
)
_MARKS: Final = ((b"{", b"/{"), (b"<", b"/<"), (b":", b"/:"), (b"$", b"$default"))
_HOLE = re.compile(r"\{[^{}]+?(?P<plus>\+?)\}|(?<=/):[A-Za-z_]\w*|<(?:(?P<path>path):)?[^<>/]+>")


def stands_for_many(path: str) -> bool:
    """Whether a path stands for many."""
    return path == DEFAULT or _HOLE.search(path) is not None


def covers(template: str, path: str) -> bool:
    """Whether a request for a path may be told as this template."""
    if template == DEFAULT:
        return True
    form, position = "", 0
    for hole in _HOLE.finditer(template):
        form += re.escape(template[position : hole.start()]) + (".+" if hole["plus"] or hole["path"] else "[^/]+")
        position = hole.end()
    return re.fullmatch(form + re.escape(template[position:]), path) is not None


def templates_in(text: bytes) -> Iterator[tuple[bytes, str]]:
    """Every line with a template, and the template."""
    # A single byte is found many times faster than several, and most logs hold few of these.
    if not any(sign in text and words in text for sign, words in _MARKS):
        return
    position = 0
    while (found := _TEMPLATE.search(text, position)) is not None:
        start, end = text.rfind(b"\n", 0, found.start()) + 1, text.find(b"\n", found.end())
        position = len(text) if end < 0 else end + 1
        yield text[start : position if end < 0 else end], found[1].decode()
