"""Logs exported as a table with a header: Athena, Google's console, Datadog. Each row is a line.

>>> header_names(b"timestamp,httpRequest.requestMethod,httpRequest.requestUrl,httpRequest.status\\n")
('timestamp', 'httpRequest.requestMethod', 'httpRequest.requestUrl', 'httpRequest.status')
>>> header_names(b"@timestamp,@message\\n")
()
"""

from __future__ import annotations

import csv
from typing import Final

from recon.investigation.incident.logs.formats import NAMES, plain_names

HEAD_MAX: Final = 8_000
NEEDED: Final = ("path", "status")


def header_names(text: bytes) -> tuple[str, ...]:
    """The names of the columns where the first line is a header that names path and status; none otherwise."""
    head = text[:HEAD_MAX].partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
    if "," not in head or "{" in head:
        return ()
    names = tuple(each.strip() for each in cells_of(head))
    plain = {each for name in names for each in plain_names((name,))}
    return names if all(plain & set(NAMES[field]) for field in NEEDED) else ()


def cells_of(line: str) -> list[str]:
    """The cells of a row; none where it is no row."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return []
