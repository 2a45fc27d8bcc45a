r"""Whether the first number behind a request in quotes is its status: some formats write a duration or a size there.

nginx and Apache let everyone choose the columns, and ``"POST /hook HTTP/1.1" 204 502 17`` may be a status and two
sizes, or 204 microseconds before the status 502. One line cannot tell, the lines of a file mostly can::

    "GET / HTTP/1.1" 200 5120     a second number that no server gives as a status: it is a size, the first the status
    "GET / HTTP/1.1" 1377 200     a first number that no server gives as a status: it is none
    "GET / HTTP/1.1" 204 502      where every line looks like this: the one that varies less is the status

>>> hook = re.compile(b"/hook")
>>> leaves_status_open(b'"GET / HTTP/1.1" 200 5120\n"POST /hook HTTP/1.1" 404 200\n', of=hook)
False
>>> leaves_status_open(b'"POST /hook HTTP/1.1" 204 502 17\n"POST /hook HTTP/1.1" 301 502 17\n', of=hook)
True
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Final

from recon.investigation.incident.logs.formats import STATUSES

LINES_MAX: Final = 20_000
ODD_SHARE: Final = 20
"""One line of so many with a number that is no status is a server's own; more of them are another column."""
_NUMBERS = re.compile(
    rb"\\?\"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [^\"\\\n]{1,2000}\\?\"[ \t|,;]{1,3}"
    rb"(?P<first>[0-9]{1,10}|-)(?![0-9.])"
    rb"(?:[ \t|,;]{1,3}(?P<second>[0-9]{1,12})(?![0-9.])(?P<third> [0-9]+(?![0-9.]))?)?(?P<quote> \\?\")?"
    rb"(?P<end>\r?(?:\n|\Z))?"
)
_Shape = tuple[bool, bool, bool]
STATUS_DIGITS: Final = 3
_NONE: Final = frozenset({b"-", b"0", b"000"})


def leaves_status_open(text: bytes, *, of: re.Pattern[bytes]) -> bool:
    """Whether the lines of a text do not show that the first number behind a request is its status.

    Lines of several servers may stand in one file, so only those with as many numbers are compared.

    Args:
        of: The routes; how other requests are written matters only where these are written alike, or not seen yet.
    """
    shapes: dict[_Shape, list[re.Match[bytes]]] = defaultdict(list)
    sought = set[_Shape]()
    for each in islice(_NUMBERS.finditer(text), LINES_MAX):
        if _is_torn(each):
            continue
        shape = each["second"] is None, each["third"] is None, each["quote"] is None
        shapes[shape].append(each)
        if of.search(each[0]) is not None:
            sought.add(shape)
    return any(_leaves_open(shapes[shape]) for shape in sought or shapes)


def _leaves_open(found: Sequence[re.Match[bytes]]) -> bool:
    """Whether lines that are written alike do not show it."""
    odd = sum(_is_odd(each["first"], each["second"]) for each in found)
    if odd:
        return odd * ODD_SHARE >= len(found)
    seconds = {each["second"] for each in found if each["second"] is not None}
    if not seconds or not all(_is_status(second) for second in seconds):
        return False
    return len({each["first"] for each in found}) > len(seconds) or any(each["third"] for each in found)


def _is_torn(match: re.Match[bytes]) -> bool:
    """Whether a line ends within its first number."""
    return match["second"] is None and match["end"] is not None and len(match["first"]) < STATUS_DIGITS


def _is_odd(first: bytes, second: bytes | None) -> bool:
    """Whether the first number is no status, or says that there was none before a number that is one."""
    return _is_status(second) if first in _NONE else not _is_status(first)


def _is_status(number: bytes | None) -> bool:
    return number is not None and int(number) in STATUSES
