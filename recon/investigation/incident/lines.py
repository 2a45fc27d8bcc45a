"""The lines of incident texts: fields, lists and tables in Markdown, blanks that say what is missing, safe text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from recon.core.text import clean_text, escape_markdown

TEXT_MAX_SIGNS: Final = 600
_SIGNS: Final = "\\`*_{}[]<>#|!~"
_BECOMES_LINK: Final = re.compile(r"(?i)\b(www|mailto|xmpp|javascript|data)(?=[.:])")
_LOGIN: Final = re.compile(r"(?<=://)[^\s/@]+@")
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#%&=+,;!-]{0,300})?")
_SATURDAY: Final = 5


def unlinked_text(text: object) -> str:
    """Outside text as one line without links, mentions of people, or the logins of addresses."""
    known = escape_markdown(_LOGIN.sub("***@", clean_text(text, limit=TEXT_MAX_SIGNS)), signs="")
    return _BECOMES_LINK.sub("\\1\u200b", known).replace("@", "@\u200b")


def escape_for_markdown(text: object) -> str:
    """Outside text as :func:`unlinked_text`, and without markup."""
    return escape_markdown(unlinked_text(text), signs=_SIGNS)


def link_or_text(text: str) -> str:
    """An address that the writer gives, as a link that can be followed; anything else as outside text.

    >>> link_or_text("https://wiki.example/pm-9"), link_or_text("PM_9")
    ('<https://wiki.example/pm-9>', 'PM\\\\_9')
    """
    return f"<{text}>" if _ADDRESS.fullmatch(text) else escape_for_markdown(text)


def blank(option: str, *, why: str = "nobody has said") -> str:
    """An honest blank: that something is not known, and what would fill it.

    >>> blank("--on-call")
    'not known: nobody has said (--on-call)'
    """
    return f"not known: {why} ({option})"


def field_line(label: str, value: object | None, *, otherwise: str) -> str:
    """``- label: value`` with the value made safe, or the blank where there is none."""
    said = "" if value is None else escape_for_markdown(value)
    return f"- {label}: {said or otherwise}"


def block(title: str, lines: Iterable[str], *, level: int = 2) -> Iterator[str]:
    """A heading, its lines as they are, and an empty line."""
    yield f"{'#' * level} {title}"
    yield ""
    yield from lines
    yield ""


def list_of(title: str, texts: Iterable[object], *, empty: str, level: int = 2) -> Iterator[str]:
    """A section with one bullet for each text, made safe; ``empty`` where there is none."""
    rows = [f"- {escape_for_markdown(text)}" for text in texts]
    yield from block(title, rows or [f"- {empty}"], level=level)


def markdown_table(title: str, names: Sequence[str], *, rows: Iterable[Sequence[object]], empty: str) -> Iterator[str]:
    """A section with a table whose cells are made safe; ``empty`` where there is no row."""
    cells = [f"| {' | '.join(link_or_text(str(cell)) for cell in row)} |" for row in rows]
    head = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    yield from block(title, [*head, *cells] if cells else [f"- {empty}"])


def time_text(moment: datetime) -> str:
    """A moment as people read it: ``2026-11-20 10:20:00 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span_text(start: datetime, end: datetime) -> str:
    """How long it was: ``1 h 5 min``."""
    minutes = max(0, int((end - start).total_seconds()) // 60)
    return f"{minutes // 60} h {minutes % 60} min"


def working_day_after(moment: datetime, days: int) -> str:
    """The date so many working days later; Saturdays and Sundays are none.

    >>> working_day_after(datetime(2026, 11, 20, tzinfo=UTC), 5)
    '2026-11-27'
    """
    day, left = moment.astimezone(UTC).date(), days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return day.isoformat()
