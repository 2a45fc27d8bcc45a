"""An incident with everything that its texts are filled from.

Measurements appear under *Facts*, what they suggest under *Guesses*, and nothing moves between the two. Every figure is
held to the incident's rails and time; what cannot be told apart stands under *Open in the whole plan*. A field is a
fact with its source or a blank that says what is missing. Text from outside is cleaned and escaped, so that a payment's
metadata cannot put a picture or a link into an incident channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, get_args

from recon.core.errors import UsageError
from recon.core.text import clean_text
from recon.investigation.incident.access_log import LogTriage
from recon.investigation.incident.bounds import Bounds
from recon.investigation.incident.first_page import FirstPage
from recon.investigation.incident.impact import Impact
from recon.investigation.incident.stated import INVESTIGATING, RESOLVED, Stated
from recon.investigation.incident.styles import USUAL_STYLE, IncidentStyle
from recon.investigation.incident.timeline import Moment

IncidentKind = Literal["notification", "update", "resolution", "customer", "status-page", "hand-over", "post-mortem"]
KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)
FOR_OUTSIDE: Final = ("customer", "status-page")
"""Texts for people outside, which hold no figure and no cause."""


class IncidentKindError(UsageError):
    """There is no incident text of that kind."""

    def __init__(self, *, kind: str) -> None:
        super().__init__(f"{clean_text(kind, limit=40)!r} is no incident text; there are {', '.join(KINDS)}.")


class IncidentText(str):
    """An incident text that knows what could not be read when it was made."""

    unread: tuple[str, ...]

    def __new__(cls, text: str, unread: Iterable[str] = ()) -> IncidentText:
        """The text with one sentence for each thing that could not be read."""
        made = super().__new__(cls, text)
        made.unread = tuple(unread)
        return made


@dataclass(frozen=True, slots=True)
class Incident:
    """What fills an incident text.

    Args:
        title: A few words.
        bounds: Its rails and its time.
        severity: 1 to 4, 1 is the worst.
        page: The first page, made of what lies within the bounds; None where nobody looked.
        logs: The access logs, cut to the bounds.
        impact: What it did to payments.
        stated: What people say.
        timeline: Oldest first.
        running: Runs that are not done, and other things under way, one sentence each; None where nobody looked.
        evidence: Digests of what the text was made from, by name.
        style: The habits of the house it is written for.
    """

    title: str
    bounds: Bounds
    severity: int = 2
    page: FirstPage | None = None
    logs: LogTriage | None = None
    impact: Impact = field(default_factory=Impact)
    stated: Stated = field(default_factory=Stated)
    timeline: tuple[Moment, ...] = ()
    running: tuple[str, ...] | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    style: IncidentStyle = USUAL_STYLE

    @property
    def now(self) -> datetime:
        """When the text is written."""
        return self.bounds.now

    @property
    def unread(self) -> tuple[str, ...]:
        """What was looked at and could not be read, or not in full, one sentence each."""
        read = () if self.page is None else self.page.unread
        return tuple(dict.fromkeys((*read, *self.impact.short)))

    @property
    def status(self) -> str:
        """Where it stands, one of :data:`~recon.investigation.incident.stated.STATUS_WORDS`."""
        return self.stated.status or (RESOLVED if self.bounds.resolved_at else INVESTIGATING)
