"""Logs exported as a table with a header: Athena, Azure's and Google's console, Datadog, Grafana. Each row is a line.

>>> header_names(b"timestamp,httpRequest.requestMethod,httpRequest.requestUrl,httpRequest.status\\n")
('timestamp', 'httpRequest.requestMethod', 'httpRequest.requestUrl', 'httpRequest.status')
>>> header_names(b"@timestamp,@message\\n")
('@timestamp', '@message')
>>> header_names(b"when,what\\n")
()
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Final

from recon.investigation.incident.logs.formats import LINE_NAMES, NAMES, plain_names

HEAD_MAX: Final = 8_000
NEEDED: Final = ("path", "status")
_NAME = re.compile(r"[\w.@ ()\[\]:/#-]{1,80}\Z")
_ZONE = re.compile(r" \[([^\]]{1,40})\]\Z")
"""Behind the name of a column of times Azure's console writes their zone: ``TimeGenerated [UTC]``."""


def header_names(text: bytes) -> tuple[str, ...]:
    """The names of the columns where the first line is a header; none otherwise.

    A header names path and status, or a column that holds the line as the server wrote it.
    """
    head = text[:HEAD_MAX].partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
    if "," not in head or "{" in head:
        return ()
    names = tuple(each.strip() for each in cells_of(head))
    plain = {each for name in names for each in plain_names((_ZONE.sub("", name),))}
    if all(plain & set(NAMES[field]) for field in NEEDED):
        return names
    return names if plain & set(LINE_NAMES) and all(_NAME.match(name) for name in names) else ()


def named_cells(names: Sequence[str], cells: Sequence[str]) -> list[tuple[str, str]]:
    """The cells of a row that hold something, under the names of their columns, times with their zone.

    >>> named_cells(("TimeGenerated [UTC]", "ScStatus"), ("11/20/2026, 11:58:01.186 AM", "404"))
    [('TimeGenerated', '11/20/2026, 11:58:01.186 AM UTC'), ('ScStatus', '404')]
    """
    found = []
    for name, cell in zip(names, cells, strict=True):
        zone = _ZONE.search(name)
        is_utc = zone is not None and zone[1] == "UTC"
        if cell:
            found.append((_ZONE.sub("", name), f"{cell} UTC" if is_utc else cell))
    return found


def cells_of(line: str) -> list[str]:
    """The cells of a row; none where it is no row."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return []
