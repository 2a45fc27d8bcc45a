"""Habits of the houses that incident texts are written for: words for severities, deadlines, rhythms, further headings.

Which one counts is ``[incident] style``. A style adds lines and headings to a text and changes its times; what is a
fact, a guess or a blank is the same in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

StyleName = Literal["marketplace", "pay-app", "billing", "monero"]


@dataclass(frozen=True, slots=True)
class IncidentStyle:
    """How one house writes.

    Args:
        label: What stands before the number of a severity.
        first_answer: How soon an incident of each severity is answered.
        rhythm_min: Minutes from one update to the next, by severity; ``outside_min`` the same for customers.
        due_h: Hours until the post-mortem, or ``due_days`` working days; neither where the house sets no time.
        due_for: For which incidents a post-mortem is written.
        escalation: When more people are called, a sentence each.
        roles: Who is named besides who is on call.
        after: What is done once it is resolved.
        channels: How customers of an incident of each severity are told, where the house says it.
        apologises: Whether the text for customers ends with an apology.
        headings: Further headings of the post-mortem, each with what people write there.
    """

    label: str
    first_answer: Mapping[int, str]
    rhythm_min: Mapping[int, int]
    outside_min: Mapping[int, int]
    due_for: str
    due_days: int | None = None
    due_h: int | None = None
    escalation: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    after: str = ""
    channels: Mapping[int, str] | None = None
    apologises: bool = False
    headings: tuple[str, ...] = ()

    def severity(self, number: int) -> str:
        """A severity in the words of the house."""
        return f"{self.label}{number}"


def _same(minutes: int) -> dict[int, int]:
    return dict.fromkeys((1, 2, 3, 4), minutes)


STYLES: Final[Mapping[str, IncidentStyle]] = {
    "marketplace": IncidentStyle(
        label="SEV ",
        first_answer={
            1: "within 15 minutes", 2: "within 1 hour", 3: "by the next business day", 4: "from the backlog",
        },
        rhythm_min=_same(15),
        outside_min=_same(15),
        due_for="severity 1 and 2",
        due_days=5,
        escalation=("One severity higher when over 10 reports come within 5 minutes.",),
    ),
    "pay-app": IncidentStyle(
        label="SEV",
        first_answer={1: "within 15 minutes", 2: "within 1 hour", 3: "within 4 hours", 4: "within 24 hours"},
        rhythm_min={1: 15, 2: 15, 3: 60, 4: 60},
        outside_min={1: 15, 2: 15, 3: 60, 4: 60},
        due_for="SEV1, SEV2 of over 30 minutes, and any that touched payments",
        headings=("Revenue", "Resolution", "Prevention"),
    ),
    "billing": IncidentStyle(
        label="P",
        first_answer={1: "within 15 minutes", 2: "within 1 hour", 3: "within 4 hours", 4: "within 24 hours"},
        rhythm_min={1: 30, 2: 30, 3: 60, 4: 60},
        outside_min={1: 30, 2: 30, 3: 60, 4: 60},
        due_for="P1 and P2",
        due_days=3,
        escalation=(
            "P1 and P2 that are not solved after 30 minutes go one level up.",
            "P1 goes to management after 1 hour.",
        ),
        apologises=True,
        headings=(
            "Contributing factors", "Why it was not prevented", "Immediate fixes", "Preventive measures", "Monitoring",
        ),
    ),
    "monero": IncidentStyle(
        label="P",
        first_answer={1: "within 15 minutes", 2: "within 1 hour", 3: "within 4 hours", 4: "within 1 week"},
        rhythm_min={1: 15, 2: 60, 3: 60, 4: 60},
        outside_min={1: 30, 2: 60, 3: 60, 4: 60},
        due_for="every incident",
        due_h=48,
        roles=("Commander", "Operations", "Communications"),
        after="The channel is kept for one hour more.",
        channels={
            1: "by mail, once it lasts 30 minutes", 2: "in the app", **dict.fromkeys((3, 4), "in the release notes"),
        },
        headings=("Services", "Five whys", "Breach of the agreed service, with its figure", "References"),
    ),
}  # fmt: skip
"""The styles by name; the first is the usual one."""

USUAL_STYLE: Final = STYLES["marketplace"]
