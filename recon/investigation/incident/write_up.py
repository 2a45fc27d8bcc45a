"""Write an incident's texts as Markdown: for the team, for customers, for the next shift, and afterwards.

Each text holds what its readers need and no more: those for people outside carry no figure, no cause and no guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from recon.core.text import count_text
from recon.investigation.incident import sections
from recon.investigation.incident.account import Incident, IncidentKindError, IncidentText
from recon.investigation.incident.lines import (
    blank,
    block,
    escape_for_markdown,
    field_line,
    link_or_text,
    list_of,
    span_text,
    time_text,
    unlinked_text,
    working_day_after,
)
from recon.investigation.incident.stated import RESOLVED, STATUS_WORDS

BY_PEOPLE: Final = "to be written by people; nothing here is concluded by a tool"


def render_incident(kind: str, incident: Incident) -> IncidentText:
    """The text of one kind, as Markdown.

    Args:
        kind: One of :data:`~recon.investigation.incident.account.KINDS`.

    Raises:
        IncidentKindError: There is no such text.
    """
    parts = _TEXTS.get(kind)
    if parts is None:
        raise IncidentKindError(kind=kind)
    return IncidentText("\n".join(parts(incident)).rstrip("\n") + "\n", incident.unread)


def _headline(incident: Incident, words: str) -> Iterator[str]:
    yield f"# {words}: {escape_for_markdown(incident.title)}"
    yield ""


def _notification(incident: Incident) -> Iterator[str]:
    every = incident.style.rhythm_min[incident.severity]
    yield from _headline(incident, incident.style.severity(incident.severity))
    yield from sections.severity_lines(incident)
    yield from sections.time_lines(incident)
    yield f"- Updates: every {every} minutes, the next at {time_text(sections.next_update_at(incident))}"
    yield ""
    yield from sections.impact(incident)
    yield from sections.facts(incident)
    yield from sections.guesses(incident)
    yield from list_of("Done so far", incident.stated.actions, empty="nothing yet")
    yield from sections.whole_plan(incident)
    yield from incident.style.escalation
    yield "Do not make a second paid test payment."


def _update(incident: Incident) -> Iterator[str]:
    number = incident.stated.number
    yield from _headline(
        incident,
        f"Update {'' if number is None else f'{number}'}".rstrip() + f", {incident.style.severity(incident.severity)}",
    )
    yield f"- Number of this update: {blank('--number') if number is None else number}"
    yield from sections.severity_lines(incident)
    yield from sections.time_lines(incident)
    expected = incident.stated.expected_at
    yield f"- Expected to be over: {blank('--expected') if expected is None else time_text(expected)}"
    yield f"- Next update: {_next_update(incident)}"
    yield ""
    yield from sections.impact(incident)
    yield from sections.change(incident)
    yield from sections.facts(incident)
    yield from sections.guesses(incident)
    yield from list_of("Done and being tried", incident.stated.actions, empty="nothing yet")
    yield from sections.items_table("Still to do", incident)
    yield from sections.whole_plan(incident)


def _next_update(incident: Incident) -> str:
    if incident.status == RESOLVED and incident.stated.next_update_at is None:
        return "none, it is resolved"
    return time_text(sections.next_update_at(incident))


def _resolution(incident: Incident) -> Iterator[str]:
    stated = incident.stated
    yield from _headline(incident, f"Resolved, {incident.style.severity(incident.severity)}")
    yield from sections.severity_lines(incident)
    yield from sections.time_lines(incident)
    yield field_line("Root cause", stated.root_cause, otherwise=blank("--root-cause"))
    yield field_line("Permanent fix", stated.fix, otherwise=blank("--fix"))
    yield from _post_mortem_lines(incident)
    yield ""
    yield from sections.impact(incident)
    yield from sections.change(incident)
    yield from list_of("What was done", stated.actions, empty=blank("--action"))
    yield from sections.items_table("What is left", incident)
    yield from sections.facts(incident)
    yield from sections.whole_plan(incident)


def _post_mortem_lines(incident: Incident) -> Iterator[str]:
    link = incident.stated.post_mortem
    yield f"- Post-mortem: {link_or_text(link) if link else blank('--post-mortem')}"
    end = incident.bounds.resolved_at
    yield f"- Post-mortem due: {_due(incident, end)}"
    if incident.style.after:
        yield f"- After that: {incident.style.after}"


def _due(incident: Incident, end: datetime | None) -> str:
    """By when the post-mortem is due, and for which incidents the house writes one."""
    style, unknown = incident.style, blank("--resolved", why="when it was over is not known")
    if style.due_days is not None:
        by = unknown if end is None else f"by {working_day_after(end, style.due_days)}"
        return f"within {count_text(style.due_days, 'working day')}, {by}"
    if style.due_h is not None:
        by = unknown if end is None else f"by {time_text(end + timedelta(hours=style.due_h))}"
        return f"within {count_text(style.due_h, 'hour')}, {by}"
    return f"for {style.due_for}; the house sets no time"


def _customer(incident: Incident) -> Iterator[str]:
    """Feature, status in one of four words, beginning, and when the next text comes; nothing else."""
    yield from _outside(incident, STATUS_WORDS[incident.status][0])


def _outside(incident: Incident, status: str) -> Iterator[str]:
    features = ", ".join(incident.stated.features)
    yield field_line("Feature", features, otherwise=blank("--feature"))
    yield f"- Status: {status}"
    began, end = incident.bounds.began_at, incident.bounds.resolved_at
    yield f"- Started: {blank('--began') if began is None else time_text(began)}"
    if incident.status == RESOLVED:
        yield f"- Ended: {blank('--resolved') if end is None else time_text(end)}"
    else:
        yield f"- Next text: by {time_text(sections.next_text_outside_at(incident))}"
    if incident.style.channels is not None:
        yield f"- Told: {incident.style.channels[incident.severity]}"
    if incident.style.apologises:
        yield ""
        yield "We are sorry for this."


def _status_page(incident: Incident) -> Iterator[str]:
    word = STATUS_WORDS[incident.status][1]
    features = ", ".join(incident.stated.features)
    yield f"# {escape_for_markdown(features) or 'Feature ' + blank('--feature')}"
    yield ""
    yield f"**{word}** - {time_text(incident.now)}"
    yield ""
    yield field_line("Impact", incident.stated.effect, otherwise=blank("--effect"))
    began, expected = incident.bounds.began_at, incident.stated.expected_at
    yield f"- Started: {blank('--began') if began is None else time_text(began)}"
    yield f"- Last updated: {time_text(incident.now)}"
    if incident.status == RESOLVED:
        end = incident.bounds.resolved_at
        yield f"- Ended: {blank('--resolved') if end is None else time_text(end)}"
        return
    if expected is not None:
        yield f"- Expected to be over: {time_text(expected)}"
    yield f"- Next update: by {time_text(sections.next_text_outside_at(incident))}"


def _hand_over(incident: Incident) -> Iterator[str]:
    stated = incident.stated
    yield from _headline(incident, f"Hand-over, {incident.style.severity(incident.severity)}")
    yield from sections.severity_lines(incident)
    yield field_line("Takes over", stated.takes_over, otherwise=blank("--takes-over"))
    yield from sections.time_lines(incident)
    number = blank("--number") if stated.number is None else str(stated.number)
    yield f"- Last update sent: {number}; the next is due at {_next_update(incident)}"
    yield field_line("Runbooks", ", ".join(stated.runbooks), otherwise=blank("--runbook"))
    yield ""
    yield from sections.impact(incident)
    yield from sections.items_table("Still to do", incident)
    running = incident.running
    empty = "nothing" if running is not None else "not known: the journals of runs and flags were not read"
    empty = sections.UNTOLD if running is not None and incident.unread else empty
    yield from list_of("Under way", running or (), empty=empty)
    yield from list_of("Done so far", stated.actions, empty=blank("--action"))
    yield from sections.facts(incident)
    yield from sections.guesses(incident)
    yield from block("Look again with", [f"- `{command}`" for command in _look_again(incident.bounds.rails)])
    yield from sections.timeline(incident)
    yield from sections.whole_plan(incident)


def _look_again(rails: Sequence[str]) -> Iterator[str]:
    yield "recon plan --open-only"
    yield "recon triage summary --ask"
    for rail in rails:
        yield f"recon drain --provider {rail}"
        yield f"recon gates rollback {rail}"
    yield "recon runs"


def _post_mortem(incident: Incident) -> Iterator[str]:
    stated = incident.stated
    yield from _front_matter(incident)
    yield from _headline(incident, "Post-mortem")
    yield from block("Summary", [_said(stated.summary, "--summary")])
    yield from block("Times", [*sections.time_lines(incident), *_phases(incident), *_post_mortem_lines(incident)])
    yield from sections.impact(incident)
    yield from block("Data", [*_data_lines(incident)])
    yield from sections.change(incident)
    yield from sections.timeline(incident)
    causes = [
        f"- Trigger: {_said(stated.trigger, '--trigger')}",
        f"- Underlying cause: {_said(stated.root_cause, '--root-cause')}",
        f"- Permanent fix: {_said(stated.fix, '--fix')}",
    ]
    yield from block("Root cause", causes)
    yield from list_of("What was done", stated.actions, empty=blank("--action"))
    for title, said, option in (
        ("What went well", stated.well, "--well"),
        ("What went poorly", stated.poorly, "--poorly"),
        ("Where we were lucky", stated.lucky, "--lucky"),
        ("Detection", stated.detection, "--detection"),
        ("Process", stated.process, "--process"),
    ):
        yield from list_of(title, said, empty=f"{blank(option)}; {BY_PEOPLE}")
    for title in incident.style.headings:
        yield from list_of(title, (), empty=BY_PEOPLE)
    yield from sections.items_table("Action items", incident)
    yield from sections.facts(incident)
    yield from sections.guesses(incident)
    yield from sections.whole_plan(incident)
    named = [f"{name}: {value}" for name, value in sorted(incident.evidence.items())]
    yield from list_of("Evidence kept", named, empty="none is named")


def _said(text: str, option: str) -> str:
    return escape_for_markdown(text) if text else f"{blank(option)}; {BY_PEOPLE}"


def _front_matter(incident: Incident) -> Iterator[str]:
    """YAML that any reader of front matter takes: every value is a JSON text, a number or a list of texts."""
    stated, began = incident.stated, incident.bounds.began_at
    values: dict[str, object] = {
        "title": unlinked_text(incident.title),
        "date": blank("--began") if began is None else time_text(began)[:10],
        "severity": incident.severity,
        "status": incident.status,
        "duration": sections.lasted_text(incident),
        "rails": list(incident.bounds.rails),
        "authors": [unlinked_text(each) for each in stated.authors] or blank("--author"),
        "tags": [unlinked_text(each) for each in stated.tags],
    }
    yield "---"
    yield from (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    yield "---"
    yield ""


def _phases(incident: Incident) -> Iterator[str]:
    """How long it took to notice, to acknowledge, to mitigate, to verify and to resolve, each since it began."""
    began, stated = incident.bounds.began_at, incident.stated
    for label, moment, option in (
        ("Time to detect", stated.detected_at, "--noticed"),
        ("Time to acknowledge", stated.acknowledged_at, "--acknowledged"),
        ("Time to mitigate", stated.mitigated_at, "--mitigated"),
        ("Time to verify", stated.verified_at, "--verified"),
        ("Time to resolve", incident.bounds.resolved_at, "--resolved"),
    ):
        if began is None:
            yield f"- {label}: {blank('--began', why='when it began is not known')}"
        else:
            yield f"- {label}: {blank(option) if moment is None else span_text(began, moment)}"


def _data_lines(incident: Incident) -> Iterator[str]:
    yield field_line("Data lost", incident.stated.data_loss, otherwise=f"{blank('--data-loss')}; {BY_PEOPLE}")
    replay = next(
        (line for line in (incident.page.facts if incident.page else ()) if line.source == "deliveries"), None
    )
    said = None if replay is None else f"{replay.question} {replay.answer}"
    why = blank("--deliveries", why="no delivery records were looked at")
    yield field_line("Deliveries that were refused", said, otherwise=why)


_TEXTS: Final[Mapping[str, Callable[[Incident], Iterator[str]]]] = {
    "notification": _notification,
    "update": _update,
    "resolution": _resolution,
    "customer": _customer,
    "status-page": _status_page,
    "hand-over": _hand_over,
    "post-mortem": _post_mortem,
}
