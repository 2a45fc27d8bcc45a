"""The parts that several incident texts share: head, impact, facts, guesses, what is open besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from recon.investigation.incident.account import Incident
from recon.investigation.incident.first_page import token_sums_text
from recon.investigation.incident.impact import NO_RAIL, NO_TIME, Fallen
from recon.investigation.incident.lines import (
    blank,
    block,
    escape_for_markdown,
    field_line,
    list_of,
    markdown_table,
    span_text,
    time_text,
)
from recon.investigation.incident.stated import RESOLVED

GUESSES_MAX: Final = 3
UNTOLD: Final = "cannot tell: not everything could be read"
_OVER_30: Final = "over 30 min"


def severity_lines(incident: Incident) -> Iterator[str]:
    """Severity, status and who is on call."""
    style, number = incident.style, incident.severity
    yield f"- Severity: {style.severity(number).removeprefix('SEV ')} (first answer {style.first_answer[number]})"
    said = "" if incident.stated.status or incident.bounds.resolved_at else " (nobody has said otherwise: --status)"
    yield f"- Status: {incident.status}{said}"
    yield field_line("On call", incident.stated.on_call, otherwise=blank("--on-call"))
    for role in style.roles:
        yield f"- {role}: not known (to be named by people)"


def time_lines(incident: Incident) -> Iterator[str]:
    """As of when, since when, until when, and on which rail, each with who says so."""
    bounds, stated = incident.bounds, incident.stated
    yield f"- As of: {time_text(bounds.now)}"
    yield f"- Began: {_when(bounds.began_at, '--began', source=bounds.began_from, why=_UNSEEN)}"
    yield f"- Noticed: {_when(stated.detected_at, '--noticed')}"
    if incident.status == RESOLVED:
        yield f"- Resolved: {_when(bounds.resolved_at, '--resolved')}"
    else:
        yield "- Resolved: no"
    yield f"- Lasted: {lasted_text(incident)}"
    yield f"- Rail: {rails_text(incident)}"


_UNSEEN: Final = "nobody has said, and no log shows a burst of failures"


def lasted_text(incident: Incident) -> str:
    """How long it lasted; so far, while it goes on; a blank where beginning or end is not known."""
    bounds = incident.bounds
    if bounds.began_at is None:
        return blank("--began", why="when it began is not known")
    if bounds.resolved_at is not None:
        return span_text(bounds.began_at, bounds.resolved_at)
    if incident.status == RESOLVED:
        return blank("--resolved", why="when it was over is not known")
    return f"{span_text(bounds.began_at, bounds.now)} so far"


def rails_text(incident: Incident) -> str:
    """The rails by name with who says so, made safe."""
    rails = incident.bounds.rails
    if not rails:
        return blank("--rail", why=_UNSEEN)
    return escape_for_markdown(f"{', '.join(rails)} ({incident.bounds.rails_from})")


def _when(moment: datetime | None, option: str, *, source: str = "", why: str = "nobody has said") -> str:
    if moment is None:
        return blank(option, why=why)
    return time_text(moment) + (f" ({source})" if source else "")


def next_update_at(incident: Incident) -> datetime:
    """When the next text is due: as said, or by the rhythm of updates of the house."""
    return incident.stated.next_update_at or incident.now + timedelta(
        minutes=incident.style.rhythm_min[incident.severity]
    )


def next_text_outside_at(incident: Incident) -> datetime:
    """When customers hear again: as said, or by the rhythm that the house has for them."""
    minutes = incident.style.outside_min[incident.severity]
    return incident.stated.next_update_at or incident.now + timedelta(minutes=minutes)


def impact(incident: Incident, *, level: int = 2) -> Iterator[str]:
    """What it did to users, features, requests and money, within its rails and its time."""
    lines = [*_whole(incident), *payments_lines(incident), users_line(incident)]
    lines += [field_line("Features", ", ".join(incident.stated.features), otherwise=blank("--feature"))]
    yield from block("Impact", [*lines, *request_lines(incident), *money_lines(incident)], level=level)


def _whole(incident: Incident) -> Iterator[str]:
    if incident.unread:
        yield "- Cannot tell whether these figures are whole: not everything could be read (see below)"


def payments_lines(incident: Incident) -> Iterator[str]:
    """How many payments, of how many, and how many of them still need attention."""
    found = incident.impact
    bounds = incident.bounds
    if found.now is None or bounds.began_at is None:
        yield f"- Payments affected: not known: {escape_for_markdown(found.blank)}"
        return
    rails = escape_for_markdown(", ".join(bounds.rails))
    yield f"- Counted: payments of {rails}, from {time_text(bounds.began_at)} until {time_text(bounds.end_at)}"
    late = len(found.now.inside) - found.now.made
    how = f"{found.now.made:,} made in this time, {late:,} made at another time whose money moved in it"
    source = f"plan of {escape_for_markdown(found.plan_at)}"
    if found.earlier is None:
        yield f"- Payments affected: {found.affected:,} ({how}; {source})"
    else:
        earlier = f"{len(found.earlier.inside):,} before the repair"
        yield f"- Payments affected: {found.affected:,} ({earlier}, {len(found.now.inside):,} now; {source})"
        yield f"- Payments that still need attention: {len(found.now.inside):,} ({how})"
    if len(bounds.rails) > 1:
        counts = Counter(each.provider for each in found.now.inside)
        split = ", ".join(f"{rail} {counts[rail]:,}" for rail in bounds.rails)
        yield f"- By rail: {escape_for_markdown(split)}"
    yield from _unplaced(found.now)
    if found.facts.made is not None:
        yield f"- Payments made on these rails in this time: {found.facts.made:,}"


def _unplaced(found: Fallen) -> Iterator[str]:
    """Breaks of which nobody can tell whether they are of this incident."""
    counts = {place: found.outside.get(place, 0) for place in (NO_RAIL, NO_TIME)}
    if any(counts.values()):
        where = ", ".join(f"{count:,} {place}" for place, count in counts.items() if count)
        yield f"- Not counted, for nobody can tell whether they are of it: {where}"


def users_line(incident: Incident) -> str:
    """How many buyers."""
    found = incident.impact
    if found.now is None:
        return f"- Users affected: not known: {escape_for_markdown(found.blank)}"
    if found.users is None:
        return f"- Users affected: {blank('--snapshot', why='the snapshot of a plan is not there')}"
    nameless = found.now.nameless + (found.earlier.nameless if found.earlier else 0)
    more = f" (besides, {nameless:,} of the payments name no buyer)" if nameless else ""
    return f"- Users affected: {found.users:,}{more}"


def request_lines(incident: Incident) -> Iterator[str]:
    """How many webhooks were refused, by each provider's own rule, with its share."""
    if incident.logs is None:
        yield f"- Requests: {blank('--access-log', why='no access log was looked at')}"
        return
    for route in incident.logs.routes:
        said = f"{route.failures:,} of {route.deliveries:,} webhooks refused; {route.rule}"
        yield f"- Requests, {escape_for_markdown(route.provider)}: {escape_for_markdown(said)}"


def money_lines(incident: Incident) -> Iterator[str]:
    """Money at risk, and money that came and was not credited."""
    found = incident.impact
    if found.now is None:
        for label in ("Money at risk", "Captured, not credited"):
            yield f"- {label}: not known: {escape_for_markdown(found.blank)}"
        return
    if found.earlier is not None:
        yield f"- Money at risk before the repair: {_money(found.earlier.at_risk)}"
    yield f"- Money at risk: {_money(found.now.at_risk)}"
    captured = found.captured
    why = "the snapshot of the plan is not there, or its configuration is another one"
    said = blank("--snapshot", why=why) if captured is None else _money(captured)
    yield f"- Captured, not credited: {said}"


def _money(sums: Mapping[str, Any]) -> str:
    return escape_for_markdown(token_sums_text(sums))


def change(incident: Incident) -> Iterator[str]:
    """Verdicts of the payments that fell in it before the repair and now, where both were counted."""
    found = incident.impact
    if found.earlier is None or found.now is None:
        return
    before, now = found.earlier.verdicts, found.now.verdicts
    moved = [name for name in sorted({*before, *now}) if before.get(name, 0) != now.get(name, 0)]
    lines = [f"- {escape_for_markdown(name)}: {before.get(name, 0)} before, {now.get(name, 0)} now" for name in moved]
    none = "- no count has changed" if not incident.unread else f"- {UNTOLD}"
    yield from block("Before and now", lines or [none])


def facts(incident: Incident) -> Iterator[str]:
    """What was measured, what could not be read, what nobody looked at."""
    page = incident.page
    lines = [] if page is None else [f"{line.question} {line.answer} ({line.source})" for line in page.facts]
    is_bound = incident.bounds.is_known or not lines
    title = (
        "Facts (measured)"
        if is_bound
        else "Facts (measured, not of this incident alone: its rail or time is not known)"
    )
    yield from list_of(title, lines, empty="nothing was measured")
    if incident.unread:
        yield from list_of("Could not be read", incident.unread, empty="")
    if page is not None and page.unknown:
        is_apart = incident.impact.whole is not None and incident.impact.now is None
        apart = "a plan was looked at; what of it is this incident's cannot be told"
        rows = (
            f"{line.question} ({apart if is_apart and line.source.startswith('recon plan') else line.source})"
            for line in page.unknown
        )
        yield from list_of("Not looked at", rows, empty="")


def guesses(incident: Incident) -> Iterator[str]:
    """What the facts suggest, with what would settle it."""
    found = () if incident.page is None else incident.page.guesses[:GUESSES_MAX]
    lines = [f"{guess.scenario}, because {'; '.join(guess.because)}. To settle it: {guess.settle}." for guess in found]
    yield from list_of(
        "Guesses (not confirmed)", lines, empty=UNTOLD if incident.unread or _is_bare(incident) else "none"
    )


def _is_bare(incident: Incident) -> bool:
    """Whether nothing was measured at all."""
    return incident.page is None or not incident.page.facts


def whole_plan(incident: Incident) -> Iterator[str]:
    """What the plan shows over all rails and times, so that nobody takes it for the incident's."""
    found = incident.impact
    if found.whole is None:
        return
    yield from block("Open in the whole plan (not this incident's alone)", _whole_plan_lines(incident))


def _whole_plan_lines(incident: Incident) -> Iterator[str]:
    found, whole = incident.impact, incident.impact.whole or {}
    yield f"- All rails and times, by the plan of {escape_for_markdown(found.plan_at)}"
    if found.now is None:
        count = whole.get("breaks", "not known")
        yield f"- Payments that need attention: {count}; which of them are this incident's cannot be told"
    else:
        outside = sum(found.now.outside.values())
        parts = ", ".join(f"{count:,} {where}" for where, count in found.now.outside.items())
        all_of_them = outside + len(found.now.inside)
        yield f"- Payments that need attention: {all_of_them:,}, of them outside this incident {outside:,}" + (
            f" ({parts})" if parts else ""
        )
    ages = whole.get("open_by_age")
    if isinstance(ages, Mapping) and _OVER_30 in ages:
        yield f"- Open for over 30 minutes: {ages[_OVER_30]}"
    for label, name in (("Money at risk", "value_at_risk"), ("Captured, not credited", "captured_not_credited")):
        if isinstance(money := whole.get(name), Mapping):
            yield f"- {label}: {_money(money)}"


def items_table(title: str, incident: Incident) -> Iterator[str]:
    """What is left to do, as a table with owner, date and ticket."""
    rows = (
        (number, item.what, item.owner or "nobody yet", item.due or "not set", item.ticket or "none")
        for number, item in enumerate(incident.stated.items, 1)
    )
    names = ("#", "item", "owner", "due", "ticket")
    yield from markdown_table(title, names, rows=rows, empty=blank("--open", why="nobody has named any"))


def timeline(incident: Incident) -> Iterator[str]:
    """What happened, oldest first, with the source of each line."""
    lines = [
        f"- {time_text(each.at)} {escape_for_markdown(each.says)} ({escape_for_markdown(each.source)})"
        for each in incident.timeline
    ]
    yield from block("Timeline (UTC)", lines or ["- not known: nothing is recorded since it began"])
