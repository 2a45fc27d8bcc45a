"""What people say of an incident and no tool can measure: who is on call, what is tried, causes, lessons, tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recon.core.errors import UsageError
from recon.core.times import second_text
from recon.investigation.incident.bounds import Bounds

INVESTIGATING: Final = "investigating"
RESOLVED: Final = "resolved"
STATUS_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    INVESTIGATING: ("investigating", "Investigating"),
    "identified": ("investigating", "Identified"),
    "mitigating": ("applying fix", "Identified"),
    "monitoring": ("monitoring", "Monitoring"),
    RESOLVED: ("resolved", "Resolved"),
}
"""Where an incident stands, and the words for it that customers get and that a status page has."""


@dataclass(frozen=True, slots=True)
class ActionItem:
    """Something that is left to do; a part that nobody has said is empty."""

    what: str
    owner: str = ""
    due: str = ""
    ticket: str = ""


def parse_action_item(text: str) -> ActionItem:
    """Read ``WHAT | OWNER | DUE | TICKET``, of which all but the first may be left out.

    >>> parse_action_item("alert on 404 | ada | 2026-12-01")
    ActionItem(what='alert on 404', owner='ada', due='2026-12-01', ticket='')
    """
    what, owner, due, ticket = ([part.strip() for part in text.split("|", 3)] + ["", "", ""])[:4]
    return ActionItem(what, owner, due, ticket)


@dataclass(frozen=True, slots=True)
class Stated:
    """What was said; empty or None means that nobody has said it.

    Args:
        status: One of :data:`STATUS_WORDS`.
        number: Which update this is, from 1.
        next_update_at: When the next text comes; by the rhythm of updates where nobody says.
        expected_at: When it should be over.
        features: What customers can no longer do, in their words; ``effect`` how it shows, for the status page.
        acknowledged_at, mitigated_at, verified_at, closed_at: Milestones, besides those of the bounds.
        fix: The permanent fix with its ticket; ``post_mortem`` a link.
        items: What is left.
    """

    status: str = ""
    number: int | None = None
    next_update_at: datetime | None = None
    expected_at: datetime | None = None
    detected_at: datetime | None = None
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    on_call: str = ""
    takes_over: str = ""
    features: tuple[str, ...] = ()
    effect: str = ""
    summary: str = ""
    trigger: str = ""
    root_cause: str = ""
    fix: str = ""
    post_mortem: str = ""
    data_loss: str = ""
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    items: tuple[ActionItem, ...] = ()
    well: tuple[str, ...] = ()
    poorly: tuple[str, ...] = ()
    lucky: tuple[str, ...] = ()
    detection: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()


class SaidTimeError(UsageError):
    """A time that was said cannot be meant."""

    def __init__(self, *, option: str, at: datetime, why: str) -> None:
        super().__init__(f"{option} {second_text(at)} cannot be meant: {why}; nothing was written.")


def check_said_times(stated: Stated, bounds: Bounds) -> None:
    """Hold what was said to the incident's bounds, so that no span is measured between times in the wrong order.

    Raises:
        SaidTimeError: A milestone lies before the incident began or after now, or what is to come has passed already.
    """
    milestones = (
        ("--noticed", stated.detected_at), ("--acknowledged", stated.acknowledged_at),
        ("--mitigated", stated.mitigated_at), ("--verified", stated.verified_at), ("--closed", stated.closed_at),
    )  # fmt: skip
    for option, at in milestones:
        if at is not None:
            _check_milestone(option, at, bounds)
    for option, at in (("--next-update", stated.next_update_at), ("--expected", stated.expected_at)):
        if at is not None and at < bounds.now:
            raise SaidTimeError(option=option, at=at, why=f"it is {second_text(bounds.now)} now")
    if stated.closed_at is not None and bounds.resolved_at is not None and stated.closed_at < bounds.resolved_at:
        over = f"the incident was over at {second_text(bounds.resolved_at)}"
        raise SaidTimeError(option="--closed", at=stated.closed_at, why=over)


def _check_milestone(option: str, at: datetime, bounds: Bounds) -> None:
    if at > bounds.now:
        raise SaidTimeError(option=option, at=at, why=f"it is {second_text(bounds.now)} now")
    if bounds.began_at is not None and at < bounds.began_at:
        began = f"the incident began at {second_text(bounds.began_at)} ({bounds.began_from}; see --began)"
        raise SaidTimeError(option=option, at=at, why=began)
