"""Write incident texts as Markdown: notification, update, resolution and post-mortem.

Measurements appear under *Facts*, what they suggest under *Guesses*, and nothing moves between the two. A figure that
was not measured reads "not measured", never zero. Text from outside is cleaned and escaped, so that a payment's
metadata cannot put a picture or a link into an incident channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from recon.core.errors import UsageError
from recon.core.model import Plan, Tier
from recon.core.text import clean_text, escape_markdown
from recon.core.times import parse_iso
from recon.investigation.incident.access_log import LogTriage
from recon.investigation.incident.first_page import FirstPage, token_sums_text

if TYPE_CHECKING:
    from recon.snapshots.sealed import Snapshot

IncidentKind = Literal["notification", "update", "resolution", "post-mortem"]
KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)
UPDATE_EVERY_MIN: Final = 15
POST_MORTEM_DAYS: Final = 5
_SIGNS: Final = "\\`*_{}[]<>#|!~"
_BLANK: Final = "not measured"


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
class Moment:
    """One line of an incident's timeline."""

    at: datetime
    says: str


@dataclass(frozen=True, slots=True)
class Incident:
    """What fills an incident text; None means not known.

    Args:
        title: A few words.
        severity: 1 to 4 by runbook 000 §1.
        page: The first page (:func:`recon.investigation.incident.first_page.first_page`), with facts and guesses.
        summary: The ``summary`` of the latest plan, and ``before`` the one of the plan before the repair.
        payments_affected, users_affected: How many.
        actions: What was done so far, one sentence each; ``open_items`` what is still to do, with owners.
    """

    title: str
    now: datetime
    severity: int = 2
    started_at: datetime | None = None
    detected_at: datetime | None = None
    resolved_at: datetime | None = None
    page: FirstPage | None = None
    summary: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    payments_affected: int | None = None
    users_affected: int | None = None
    timeline: tuple[Moment, ...] = ()
    actions: tuple[str, ...] = ()
    open_items: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)


def render_incident(kind: str, incident: Incident) -> IncidentText:
    """The text of one kind, as Markdown.

    Args:
        kind: ``notification``, ``update``, ``resolution`` or ``post-mortem``.

    Raises:
        IncidentKindError: There is no such text.
    """
    parts = {
        "notification": _notification,
        "update": _update,
        "resolution": _resolution,
        "post-mortem": _post_mortem,
    }.get(kind)
    if parts is None:
        raise IncidentKindError(kind=kind)
    unread = () if incident.page is None else incident.page.unread
    return IncidentText("\n".join(parts(incident)).rstrip("\n") + "\n", unread)


def incident_of(
    title: str,
    *,
    page: FirstPage,
    plan: Plan | None = None,
    before: Plan | None = None,
    logs: LogTriage | None = None,
    snapshot: Snapshot | None = None,
) -> Incident:
    """Fill an incident from measurements; what is not given stays unknown.

    Args:
        title: A few words.
        plan: The latest plan; ``before`` one from before the repair.
        snapshot: The plan's snapshot, which knows how many buyers its breaks concern.
    """
    moments = [] if logs is None else list(_log_moments(logs))
    evidence: dict[str, str] = {}
    for name, made, says in (("plan", plan, "latest plan"), ("plan before", before, "plan before the repair")):
        if made is not None:
            moments.append(_made_moment(made, says))
            evidence[name] = f"sha256 {made.digest}"
    if snapshot is not None:
        evidence["snapshot"] = f"sha256 {snapshot.digest}"
    broken = None if plan is None else _breaks(plan)
    return Incident(
        title=title,
        now=page.at,
        started_at=_first_burst(logs),
        page=page,
        summary=None if plan is None else plan.summary,
        before=None if before is None else before.summary,
        payments_affected=None if broken is None else len(broken),
        users_affected=None if broken is None or snapshot is None else _buyers(snapshot, broken),
        timeline=tuple(sorted(moments, key=lambda each: (each.at, each.says))),
        evidence=evidence,
    )


def _made_moment(plan: Plan, says: str) -> Moment:
    at = datetime.fromisoformat(plan.created_at.replace("Z", "+00:00"))
    return Moment(at, f"{says} {plan.digest[:12]}: {len(_breaks(plan))} payments need attention")


def _first_burst(logs: LogTriage | None) -> datetime | None:
    """When webhooks first began to fail; None where no log shows it."""
    routes = () if logs is None else logs.routes
    return min((burst.from_at for route in routes for burst in route.bursts), default=None)


def with_plans(incident: Incident, entries: Iterable[Mapping[str, Any]]) -> Incident:
    """Add further plans of the history to the timeline, except those that the incident names already."""
    told = " ".join(incident.evidence.values())
    found = [_plan_moment(entry) for entry in entries if str(entry.get("digest")) not in told]
    moments = (*incident.timeline, *(moment for moment in found if moment is not None))
    return replace(incident, timeline=tuple(sorted(moments, key=lambda each: (each.at, each.says))))


def _plan_moment(entry: Mapping[str, Any]) -> Moment | None:
    """A plan of the history as a moment; None where its time cannot be read."""
    at = parse_iso(str(entry.get("at")))
    if at is None:
        return None
    counted = f"{entry.get('break_count')} breaks among {entry.get('payments')} payments"
    return Moment(at, f"plan {str(entry.get('digest'))[:12]}: {counted}")


def _breaks(plan: Plan) -> frozenset[str]:
    """The payments of a plan that need attention."""
    return frozenset(item.payment_id for item in plan.findings if item.tier in (Tier.AUTO, Tier.REVIEW, Tier.NEVER))


def _buyers(snapshot: Snapshot, payments: frozenset[str]) -> int:
    table = snapshot.table("payments").select(["payment_id", "buyer_id"])
    pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return len({buyer for payment, buyer in pairs if buyer and payment in payments})


def _log_moments(logs: LogTriage) -> Iterator[Moment]:
    for route in logs.routes:
        for burst in route.bursts:
            said = ", ".join(f"{count} x {status}" for status, count in burst.statuses)
            yield Moment(burst.from_at, f"{route.provider}: webhooks begin to fail ({said})")
            yield Moment(burst.to_at, f"{route.provider}: this burst of failures ends")
        if route.last_good is not None:
            yield Moment(route.last_good, f"{route.provider}: last accepted webhook in the logs")


def escape_for_markdown(text: object) -> str:
    """Outside text as one line without markup or links."""
    return escape_markdown(clean_text(text, limit=600), signs=_SIGNS)


def _notification(incident: Incident) -> Iterator[str]:
    yield f"# SEV {incident.severity}: {escape_for_markdown(incident.title)}"
    yield ""
    yield from _head(incident)
    yield from _impact(incident)
    yield from _facts(incident)
    yield from _guesses(incident)
    yield from _list("Done so far", incident.actions, empty="nothing yet")
    yield f"Next update in {UPDATE_EVERY_MIN} minutes. Do not make a second paid test payment."


def _update(incident: Incident) -> Iterator[str]:
    yield f"# Update, SEV {incident.severity}: {escape_for_markdown(incident.title)}"
    yield ""
    yield from _head(incident)
    yield from _change(incident)
    yield from _facts(incident)
    yield from _guesses(incident)
    yield from _list("Done since it began", incident.actions, empty="nothing yet")
    yield from _list("Still to do", incident.open_items, empty="nothing is listed")
    yield f"Next update in {UPDATE_EVERY_MIN} minutes."


def _resolution(incident: Incident) -> Iterator[str]:
    yield f"# Resolved, SEV {incident.severity}: {escape_for_markdown(incident.title)}"
    yield ""
    yield from _head(incident)
    yield from _impact(incident)
    yield from _change(incident)
    yield from _list("What was done", incident.actions, empty="nothing is listed")
    yield from _list("What is left", incident.open_items, empty="nothing is listed")
    yield f"Post-mortem within {POST_MORTEM_DAYS} business days."


def _post_mortem(incident: Incident) -> Iterator[str]:
    yield f"# Post-mortem: {escape_for_markdown(incident.title)}"
    yield ""
    yield from _head(incident)
    yield from _impact(incident)
    yield from _change(incident)
    yield "## Timeline (UTC)"
    yield ""
    rows = sorted(incident.timeline, key=lambda each: (each.at, each.says))
    yield from (f"- {_time(each.at)} {escape_for_markdown(each.says)}" for each in rows)
    yield "" if rows else "- nothing is recorded\n"
    yield from _facts(incident)
    yield from _guesses(incident)
    yield from _list("What was done", incident.actions, empty="nothing is listed")
    yield from _list("What is left, and who does it", incident.open_items, empty="nothing is listed")
    for title in ("Cause", "Why it was not noticed earlier", "What went well", "What must change"):
        yield f"## {title}"
        yield ""
        yield "(to be written by people; nothing here is concluded by a tool)"
        yield ""
    named = [f"{name}: {value}" for name, value in sorted(incident.evidence.items())]
    yield from _list("Evidence kept", named, empty="none is named")


def _head(incident: Incident) -> Iterator[str]:
    end = incident.resolved_at or incident.now
    lasted = _BLANK if incident.started_at is None else _span(incident.started_at, end)
    yield f"- As of: {_time(incident.now)}"
    yield f"- Began: {_time(incident.started_at)}"
    yield f"- Noticed: {_time(incident.detected_at)}"
    yield f"- Resolved: {_time(incident.resolved_at) if incident.resolved_at else 'no'}"
    yield f"- Lasted: {lasted}"
    yield ""


def _impact(incident: Incident) -> Iterator[str]:
    yield "## Impact"
    yield ""
    if incident.page is not None and incident.page.unread:
        yield "- Cannot tell whether these figures are whole: not everything could be read (see below)"
    yield f"- Payments affected: {_number(incident.payments_affected)}"
    yield f"- Users affected: {_number(incident.users_affected)}"
    for label, name in (("Money at risk", "value_at_risk"), ("Captured, not credited", "captured_not_credited")):
        money = (incident.summary or {}).get(name)
        yield f"- {label}: {escape_for_markdown(token_sums_text(money)) if isinstance(money, Mapping) else _BLANK}"
    yield ""


def _change(incident: Incident) -> Iterator[str]:
    """Verdict counts before and now, where both were measured."""
    if incident.before is None or incident.summary is None:
        return
    before, now = incident.before.get("verdicts", {}), incident.summary.get("verdicts", {})
    names = sorted({*before, *now})
    moved = [name for name in names if before.get(name, 0) != now.get(name, 0)]
    yield "## Before and now"
    yield ""
    yield from (
        f"- {escape_for_markdown(name)}: {before.get(name, 0)} before, {now.get(name, 0)} now" for name in moved
    )
    yield "" if moved else "- no count has changed\n"


def _facts(incident: Incident) -> Iterator[str]:
    page = incident.page
    lines = [] if page is None else [f"{line.question} {line.answer} ({line.source})" for line in page.facts]
    yield from _list("Facts (measured)", lines, empty="nothing was measured")
    if page is not None and page.unread:
        yield from _list("Could not be read", page.unread, empty="")
    if page is not None and page.unknown:
        yield from _list("Not looked at", (f"{line.question} ({line.source})" for line in page.unknown), empty="")


def _guesses(incident: Incident) -> Iterator[str]:
    guesses = () if incident.page is None else incident.page.guesses[:3]
    lines = [
        f"{guess.scenario} (003 §{guess.section}), because {'; '.join(guess.because)}. To settle it: {guess.settle}."
        for guess in guesses
    ]
    yield from _list("Guesses (not confirmed)", lines, empty="none")


def _list(title: str, lines: Iterable[str], *, empty: str) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    rows = [f"- {escape_for_markdown(line)}" for line in lines]
    yield from rows or [f"- {empty}"]
    yield ""


def _number(value: int | None) -> str:
    return _BLANK if value is None else f"{value:,}"


def _time(moment: datetime | None) -> str:
    return "not known" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(start: datetime, end: datetime) -> str:
    minutes = max(0, int((end - start).total_seconds()) // 60)
    return f"{minutes // 60} h {minutes % 60} min"
