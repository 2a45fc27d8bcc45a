"""``report incident``: gathers what an incident's texts are filled from, held to its rails and time, and writes one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

from recon.api.choosing import Moment, check_known, providers_of, resolve_moment
from recon.api.common import Config, output_folder, settings_if_there, settings_of, time_of_run
from recon.api.naming import plan_of, plan_place, snapshot_place
from recon.api.triage import RecordsAsked, page_evidence, plan_to_count_by, triage_kept
from recon.core.errors import ReconError, UsageError
from recon.core.text import count_text
from recon.core.times import parse_iso, second_text
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from typing import Unpack

    from recon.api.common import Place
    from recon.core.model import Plan, Policy
    from recon.investigation.incident.access_log import LogTriage
    from recon.investigation.incident.account import Incident, IncidentText
    from recon.investigation.incident.bounds import Bounds
    from recon.investigation.incident.first_page import IncidentEvidence
    from recon.investigation.incident.impact import Impact, PlanFacts
    from recon.investigation.incident.replay import DeliveryTriage
    from recon.investigation.incident.stated import Stated
    from recon.investigation.incident.timeline import Kept
    from recon.investigation.incident.timeline import Moment as TimelineMoment
    from recon.rails.flags.journal import FlagEntry
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot
    from recon.sources.deliveries.delivery import Delivery
    from recon.sources.interface import Progress

PLANS_MAX: Final = 50
"""Most plans of the history in one timeline."""

_EVIDENCE_PARTS: Final = 4
"""Plans with their snapshots, deliveries, the first page, journals."""

SECRET_MIN: Final = 6
"""A shorter secret is no secret, and hiding it would tear words apart."""

KIND_ALIASES: Final[Mapping[str, str]] = {
    "first-notification": "notification", "customers": "customer", "customer-facing": "customer",
    "statuspage": "status-page", "status": "status-page", "handover": "hand-over", "postmortem": "post-mortem",
}  # fmt: skip
"""Other words that people use for the texts."""

_MILESTONES: Final = (
    ("noticed", "noticed"), ("acknowledged", "acknowledged"), ("mitigated", "mitigated"), ("verified", "verified"),
    ("resolved", "resolved"), ("closed", "closed"),
)  # fmt: skip
_TEXTS: Final = (
    "on_call", "takes_over", "effect", "summary", "trigger", "root_cause", "fix", "post_mortem", "data_loss",
)  # fmt: skip
_LISTS: Final = (
    "features", "authors", "tags", "actions", "well", "poorly", "lucky", "detection", "process", "runbooks",
)  # fmt: skip
_WITH_JOURNALS: Final = ("resolution", "hand-over", "post-mortem")
"""Texts for which the journals of runs and flags are read."""


class EventError(UsageError):
    """An event of the timeline has no time."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            f"{text[:60]!r} is no event; write a UTC time and what happened: --event '2026-11-20T10:31Z we suspect X'."
        )


class IncidentStatusError(UsageError):
    """An incident that is over is said to stand elsewhere."""

    def __init__(self, *, status: str) -> None:
        super().__init__(f'The incident is over by --resolved and "{status}" by --status; leave out one of them.')


class UpdateNumberError(UsageError):
    """An update has a number below one."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"There is no update number {number}; updates count from 1.")


class IncidentOptions(TypedDict, total=False):
    """The options of an incident's text, named as those of the command.

    ``severity`` 1 is the worst. ``rails`` are providers; without them and ``began`` the bursts in the logs say both.
    Times are aware UTC or ages. ``events`` are texts of a time and what happened; ``open_items`` texts of what, owner,
    due and ticket between bars. ``plan`` is counted by (the latest of the history unless named), ``before`` is from
    before the repair, ``snapshot`` is the plan's. ``access_log`` and ``deliveries`` are files; ``ask`` asks every
    source and the backend. Everything else is what people say; nothing of it can be measured.
    """

    severity: int
    status: str | None
    rails: Iterable[str]
    began: Moment | None
    noticed: Moment | None
    acknowledged: Moment | None
    mitigated: Moment | None
    verified: Moment | None
    resolved: Moment | None
    closed: Moment | None
    next_update: datetime | timedelta | None
    expected: datetime | timedelta | None
    number: int | None
    on_call: str | None
    takes_over: str | None
    features: Iterable[str]
    effect: str | None
    summary: str | None
    trigger: str | None
    root_cause: str | None
    fix: str | None
    post_mortem: str | None
    data_loss: str | None
    authors: Iterable[str]
    tags: Iterable[str]
    actions: Iterable[str]
    events: Iterable[str]
    open_items: Iterable[str]
    well: Iterable[str]
    poorly: Iterable[str]
    lucky: Iterable[str]
    detection: Iterable[str]
    process: Iterable[str]
    runbooks: Iterable[str]
    plan: Place | None
    before: Place | None
    snapshot: Place | None
    access_log: Iterable[Place]
    log_format: str | None
    deliveries: Iterable[Place]
    ask: bool


@dataclass(slots=True)
class _Desk:
    """What one text is written from, as it is gathered; ``unread`` takes what could not be read.

    Args:
        settings: None where there is no configuration: plan and snapshot hold what is counted.
    """

    settings: Settings | None
    options: IncidentOptions
    now: datetime
    progress: Progress
    unread: list[str] = field(default_factory=list)

    def told(self, part: int) -> None:
        """Tell how many parts of the evidence are read."""
        self.progress("evidence", part, _EVIDENCE_PARTS)

    def at(self, name: str) -> datetime | None:
        """An option that is a time or an age."""
        given: Any = self.options.get(name)
        return resolve_moment(given, now=self.now)

    def ahead(self, name: str) -> datetime | None:
        """An option that is a time, or how long from now."""
        given: Any = self.options.get(name)
        return self.now + given if isinstance(given, timedelta) else given


def incident(
    kind: str,
    *,
    title: str,
    config: Config = None,
    progress: Progress = no_progress,
    **options: Unpack[IncidentOptions],
) -> IncidentText:
    """Fill an incident text, every figure held to the incident's rails and time; see ``recon report incident``.

    Without a configuration a plan has to be named: it and its snapshot hold what is counted. The texts for people
    outside count nothing and need neither.

    Args:
        kind: ``notification``, ``update``, ``resolution``, ``customer``, ``status-page``, ``hand-over`` or
            ``post-mortem``.
        title: A few words for the headline; texts for people outside leave it out.
        progress: Hears of ``log kB`` and ``deliveries`` as they are read, and of ``evidence`` by its four parts.

    Raises:
        ConfigError: There is no configuration, and it is needed.
        IncidentKindError: There is no such text.
        IncidentTimesError: It would end before it begins, or begin or end in the future.
        SaidTimeError: Another time that was said lies before its beginning, or on the wrong side of now.
        UnknownFilterError: A rail or a status is not known.
        EventError, IncidentStatusError, UpdateNumberError: An option cannot be meant.
        LogFormatError: The format does not say where time, method, path and status stand.
    """
    from recon.investigation.incident.account import FOR_OUTSIDE, KINDS, IncidentKindError, IncidentText
    from recon.investigation.incident.stated import check_said_times
    from recon.investigation.incident.styles import STYLES
    from recon.investigation.incident.write_up import render_incident

    word = KIND_ALIASES.get(kind, kind)
    if word not in KINDS:
        raise IncidentKindError(kind=kind)
    settings = settings_if_there(config)
    if settings is None and (options.get("ask") or (options.get("plan") is None and word not in FOR_OUTSIDE)):
        settings = settings_of(config)
    hide = _hiding(settings)
    spoken = {*_TEXTS, *_LISTS, "events", "open_items"}
    said_safely: Any = {name: _hidden(value, hide) if name in spoken else value for name, value in options.items()}
    desk = _Desk(settings, said_safely, time_of_run(settings), progress)
    said, rails = _stated(desk), providers_of(settings, options.get("rails", ()))
    made = _for_outside(desk, rails) if word in FOR_OUTSIDE else _for_team(word, desk, rails)
    check_said_times(said, made.bounds)
    style = next(iter(STYLES.values())) if settings is None else STYLES[settings.values.incident.style]
    made = replace(made, title=hide(title), severity=options.get("severity", 2), stated=said, style=style)
    text = render_incident(word, made)
    return IncidentText(hide(text), text.unread)


def _stated(desk: _Desk) -> Stated:
    """What people say, checked as far as it can be."""
    from recon.investigation.incident.stated import Stated, parse_action_item

    options: Mapping[str, Any] = desk.options
    status, number = options.get("status") or "", options.get("number")
    _check_said(status, number, is_over=options.get("resolved") is not None)
    said: dict[str, Any] = {f"{name}_at": desk.at(name) for name in ("acknowledged", "mitigated", "verified", "closed")}
    said |= {name: str(options.get(name) or "") for name in _TEXTS}
    said |= {name: tuple(options.get(name) or ()) for name in _LISTS}
    return Stated(
        status=status,
        number=number,
        next_update_at=desk.ahead("next_update"),
        expected_at=desk.ahead("expected"),
        detected_at=desk.at("noticed"),
        items=tuple(parse_action_item(text) for text in options.get("open_items") or ()),
        **said,
    )


def _check_said(status: str, number: int | None, *, is_over: bool) -> None:
    from recon.investigation.incident.stated import RESOLVED, STATUS_WORDS

    check_known("status", [status] if status else [], known=STATUS_WORDS)
    if status not in ("", RESOLVED) and is_over:
        raise IncidentStatusError(status=status)
    if number is not None and number < 1:
        raise UpdateNumberError(number=number)


def _moments_said(desk: _Desk, bounds: Bounds) -> Iterator[TimelineMoment]:
    """The milestones and events that people said, as moments of the timeline."""
    from recon.investigation.incident.timeline import Moment as Line

    if bounds.began_at is not None:
        yield Line(bounds.began_at, "the incident begins", bounds.began_from)
    for name, words in _MILESTONES:
        if (at := desk.at(name)) is not None:
            yield Line(at, words)
    for text in desk.options.get("events") or ():
        when, _, what = text.strip().partition(" ")
        at = parse_iso(when)
        if at is None or not what.strip():
            raise EventError(text=text)
        yield Line(at, what)


def _bounded(desk: _Desk, rails: Sequence[str]) -> tuple[Bounds, LogTriage | None, LogTriage | None]:
    """The incident's bounds, all that the logs hold, and what of it lies within the bounds."""
    from recon.investigation.incident.access_log import triage_access_log, webhook_routes
    from recon.investigation.incident.bounds import bounds_of

    files, form = [Path(file) for file in desk.options.get("access_log") or ()], desk.options.get("log_format")
    logs = triage_access_log(files, log_format=form, progress=desk.progress) if files else None
    bounds = bounds_of(desk.now, logs, rails=rails, began=desk.at("began"), resolved=desk.at("resolved"))
    if logs is None or not (bounds.rails or bounds.began_at or bounds.resolved_at):
        return bounds, logs, logs
    # What is known of the bounds holds, also where the rest is not.
    routes = {rail: paths for rail, paths in webhook_routes().items() if not bounds.rails or rail in bounds.rails}
    if not routes:
        return bounds, logs, None
    span: Any = {"since": bounds.began_at, "until": bounds.end_at}
    own = triage_access_log(files, routes=routes, log_format=form, progress=desk.progress, **span)
    return bounds, logs, own


def _for_outside(desk: _Desk, rails: Sequence[str]) -> Incident:
    """An incident as people outside are told of it: only its bounds are looked for."""
    from recon.investigation.incident.account import Incident
    from recon.investigation.incident.first_page import IncidentEvidence, first_page

    bounds, logs, _ = _bounded(desk, rails)
    needed = logs if desk.options.get("began") is None else None
    return Incident("", bounds, page=first_page(IncidentEvidence(now=desk.now, logs=needed)))


def _for_team(kind: str, desk: _Desk, rails: Sequence[str]) -> Incident:
    from recon.investigation.incident.account import Incident
    from recon.investigation.incident.first_page import first_page
    from recon.investigation.incident.timeline import Kept, log_shortfalls, moments_of

    settings, options = desk.settings, desk.options
    bounds, logs, own_logs = _bounded(desk, rails)
    desk.unread += [] if logs is None else log_shortfalls(logs, bounds)
    said = tuple(_moments_said(desk, bounds))
    plan = plan_to_count_by(settings, options.get("plan"))
    found, evidence = _impact(desk, plan, bounds)
    desk.told(1)
    asked = RecordsAsked(
        tuple(Path(place) for place in options.get("deliveries") or ()), since=bounds.began_at, until=bounds.resolved_at
    )
    kept = triage_kept(settings, asked, progress=desk.progress)
    desk.told(2)
    all_of_it = page_evidence(
        settings, plan=plan, logs=own_logs, deliveries=_own(kept, bounds), ask=options.get("ask", False)
    )
    page = first_page(_within(all_of_it, found, bounds, unread=desk.unread))
    desk.told(3)
    read = Kept(logs=logs, deliveries=kept, plans=_plans_since(settings, bounds), fallen=found.by_digest)
    running = None
    if kind in _WITH_JOURNALS:
        read = _with_journals(desk, read, bounds, payments=found.ids)
        running = tuple(_running(read, plan, now=desk.now))
        page = replace(page, unread=tuple(dict.fromkeys((*page.unread, *desk.unread))))
    desk.told(4)
    return Incident(
        "",
        bounds,
        page=page,
        logs=own_logs,
        impact=found,
        timeline=moments_of(read, bounds, said=said),
        running=running,
        evidence=evidence,
    )


def _within(evidence: IncidentEvidence, found: Impact, bounds: Bounds, *, unread: Iterable[str]) -> IncidentEvidence:
    """The evidence of the first page cut to the incident: counts of its own payments, sources of its own rails."""
    from recon.sources.providers.installed import providers

    others = set(providers()) - set(bounds.rails) if bounds.rails else set()
    readings = evidence.readings
    problems = evidence.coverage_problems
    return replace(
        evidence,
        summary=found.summary,
        readings=None if readings is None else {k: v for k, v in readings.items() if k not in others},
        coverage_problems=tuple(text for text in problems if text.partition(":")[0] not in others),
        unread=tuple(dict.fromkeys((*evidence.unread, *unread))),
    )


def _own(kept: DeliveryTriage | None, bounds: Bounds) -> DeliveryTriage | None:
    """The deliveries of the incident's rails and time; those whose rail or time is not known are told."""
    from recon.core.times import from_ms
    from recon.investigation.incident.replay import part_of

    if kept is None or not bounds.is_known:
        return kept

    def holds(delivery: Delivery) -> bool:
        at = delivery.received_at
        return delivery.provider in bounds.rails and at is not None and bounds.has(from_ms(at))

    def is_strange(delivery: Delivery) -> bool:
        at = delivery.received_at
        return delivery.provider == "unknown" and (at is None or bounds.has(from_ms(at)))

    records = [each.delivery for each in kept.checked]
    nobody = sum(map(is_strange, records))
    timeless = sum(each.received_at is None and each.provider in bounds.rails for each in records)
    told = [f"of which provider {count_text(nobody, 'delivery is', many='deliveries are')}"] if nobody else []
    told += [f"when {count_text(timeless, 'delivery', many='deliveries')} came"] if timeless else []
    own = part_of(kept, holds)
    return replace(own, unread=tuple(dict.fromkeys((*own.unread, *told))))


def _impact(desk: _Desk, plan: Plan | None, bounds: Bounds) -> tuple[Impact, dict[str, str]]:
    """What fell in the incident by the latest plan and by the one from before the repair, and what both rest on."""
    from recon.investigation.incident.impact import Impact, fallen_in, shortfalls_of, why_uncounted

    if plan is None:
        return Impact(), {}
    evidence = {"plan": f"sha256 {plan.digest}", "snapshot": f"sha256 {plan.snapshot}"}
    whole = {**plan.summary, "breaks": _break_count(plan)}
    if (why := why_uncounted(plan, bounds)) is not None:
        return Impact(blank=why, whole=whole, plan_at=plan.created_at), evidence
    facts = _facts(desk, plan, bounds, place=desk.options.get("snapshot"))
    before = _plan_before(desk, plan, bounds)
    earlier = None
    short = [*shortfalls_of(plan, bounds), *facts.short]
    has_buyers = bool(facts.has_rows)
    if before is not None:
        evidence["plan before"] = f"sha256 {before.digest}"
        past = _facts(desk, before, bounds, place=None)
        earlier = fallen_in(before, bounds, facts=past)
        has_buyers = has_buyers and past.has_rows
        short += [text for text in past.short if text not in short]
    found = Impact(
        now=fallen_in(plan, bounds, facts=facts),
        earlier=earlier,
        facts=facts,
        has_buyers=has_buyers,
        short=tuple(dict.fromkeys(short)),
        whole=whole,
        plan_at=plan.created_at,
        digest=plan.digest,
        digest_before="" if before is None else before.digest,
    )
    return found, evidence


def _break_count(plan: Plan) -> int:
    from recon.investigation.incident.impact import NEEDS_SOMEBODY

    return sum(finding.tier in NEEDS_SOMEBODY for finding in plan.findings)


def _facts(desk: _Desk, plan: Plan, bounds: Bounds, *, place: Place | None) -> PlanFacts:
    """What the plan's snapshot adds; where it is not there or was changed, that is told."""
    from recon.investigation.incident.facts import read_facts
    from recon.investigation.incident.impact import PlanFacts
    from recon.snapshots.sealed import find_snapshot, open_snapshot

    settings = desk.settings
    gone = f"the snapshot of the plan of {plan.created_at}, which tells when money moved and who bought"
    try:
        if place is None:
            found = (find_snapshot(folder, plan.snapshot) for folder in _folders(desk))
            snapshot = next((each for each in found if each is not None), None)
        else:
            snapshot = open_snapshot(Path(snapshot_place(place, config=settings)))
        if snapshot is None:
            return PlanFacts(short=(f"{gone}, is not there",))
        if snapshot.digest != plan.snapshot:
            return PlanFacts(short=(f"{gone}, is another one than --snapshot names",))
        return read_facts(snapshot, plan, bounds=bounds, policy=_policy_of(plan, snapshot, settings))
    except ReconError as error:
        return PlanFacts(short=(f"{gone}: {error}",))


def _folders(desk: _Desk) -> Iterable[Path]:
    """Where a plan's snapshot is looked for: in the output directory, and beside the plan that was named."""
    named = desk.options.get("plan")
    beside = [] if named is None else [plan_place(named, config=desk.settings).parent]
    return dict.fromkeys((output_folder(desk.settings), *beside))


def _policy_of(plan: Plan, snapshot: Snapshot, settings: Settings | None) -> Policy | None:
    """The policy that the plan was made under: the configured one, or the one that its snapshot holds."""
    from recon.plans.make import policy_digest
    from recon.snapshots.rules import rules_of

    held = rules_of(snapshot)
    known = [*([settings.policy()] if settings is not None else []), *([held[0]] if held is not None else [])]
    return next((policy for policy in known if policy_digest(policy) == plan.policy_digest), None)


def _plan_before(desk: _Desk, plan: Plan, bounds: Bounds) -> Plan | None:
    """The plan from before the repair: the one named, else the one since it began that had the most breaks."""
    from recon.plans.file import load_plan

    if (named := desk.options.get("before")) is not None:
        return plan_of(named, config=desk.settings)
    now = _break_count(plan)
    entries = [
        each
        for each in _plans_since(desk.settings, bounds)
        if each.get("digest") != plan.digest and each.get("kind", "correction") == "correction"
    ]
    worst = max(entries, key=lambda each: (int(each.get("break_count") or 0), str(each["at"])), default=None)
    if worst is None or int(worst.get("break_count") or 0) <= now:
        return None
    name = Path(str(worst.get("plan")))
    folder = output_folder(desk.settings)
    for path in (name, folder / name, folder / name.name):
        try:
            found = load_plan(path)
        except ReconError:
            continue
        if found.digest == worst.get("digest"):
            return found
    desk.unread.append(
        f"the plan of {worst['at']} with {count_text(worst.get('break_count', 0), 'break')}, from before the repair"
    )
    return None


def _plans_since(settings: Settings | None, bounds: Bounds) -> list[Mapping[str, Any]]:
    """The plans of this target since an incident began, without a configuration of any; none where nobody says when."""
    from recon.plans.history import load_history

    if bounds.began_at is None:
        return []
    since = second_text(bounds.began_at)
    entries = load_history(output_folder(settings)).entries
    mine = [each for each in entries if _is_of(settings, each.get("target")) and str(each["at"]) >= since]
    return mine[-PLANS_MAX:]


def _is_of(settings: Settings | None, target: Any) -> bool:
    return settings is None or target in (None, settings.target_name)


def _with_journals(desk: _Desk, kept: Kept, bounds: Bounds, *, payments: Collection[str]) -> Kept:
    """What runs, flags and health checks left behind; a journal that cannot be read is told."""
    from recon.rails.flags.journal import FILE_NAME, FlagJournal
    from recon.rails.gates.evidence import load_health
    from recon.setup.open_runs import read_runs

    settings = desk.settings
    if settings is None:
        desk.unread.append("the journals of runs and flags, which the configuration names (--config)")
        return kept

    def attempt(what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ReconError as error:
            desk.unread.append(f"{what} could not be read: {error}")
            return ()

    found = attempt("the journal of runs", lambda: read_runs(settings, since=bounds.began_at, payments=payments))
    runs, own = found or ((), {})
    return replace(
        kept,
        runs=runs,
        own=own,
        flags=attempt("the journal of flags", FlagJournal(settings.output_dir / FILE_NAME).read),
        checks=attempt("the health checks", lambda: load_health(settings.output_dir)),
    )


def _running(kept: Kept, plan: Plan | None, *, now: datetime) -> Iterator[str]:
    """What is under way when the text is written."""
    for run in kept.runs:
        if run.state == "open":
            yield f"run {run.run} began at {run.started_at} and nothing says that it ended (recon apply --resume)"
        elif run.unsettled:
            left = count_text(run.unsettled, "change")
            yield f"run {run.run} left {left} for a person to decide (recon journal settle)"
    yield from (f"{name} was to change flags and nothing says that it did" for name in _unfinished(kept.flags))
    if plan is not None and _waits(plan, now) and all(run.plan != plan.digest for run in kept.runs):
        waits = f"waits for review, valid until {plan.expires_at}"
        yield f"plan {plan.digest[:12]} with {count_text(len(plan.changes), 'change')}, over all rails, {waits}"


def _unfinished(entries: Iterable[FlagEntry]) -> Iterator[str]:
    """Runs that were to change flags and have no outcome."""
    states: dict[str, str] = {}
    for entry in entries:
        if entry.kind in ("intent", "outcome"):
            states[entry.run] = entry.kind
    return (name for name, kind in states.items() if kind == "intent")


def _waits(plan: Plan, now: datetime) -> bool:
    expires = parse_iso(plan.expires_at)
    return bool(plan.changes) and expires is not None and expires > now


def _hiding(settings: Settings | None) -> Callable[[str], str]:
    """Takes out of a text every secret that the configuration or the environment holds, as it is or escaped."""
    from recon.investigation.incident.lines import escape_for_markdown
    from recon.rails.flags.words import looks_secret

    found = set() if settings is None else {each.get_secret_value().strip() for each in settings.secrets.values()}
    found |= {
        value.strip()
        for name, value in os.environ.items()
        if looks_secret(name) or (name.startswith("RECON_") and name.endswith(("_URI", "_OLD")))
    }
    spelled = {form for secret in found if len(secret) >= SECRET_MIN for form in (secret, escape_for_markdown(secret))}
    longest_first = sorted(spelled, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in longest_first:
            text = text.replace(form, "***")
        return text

    return hide


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    """An option without secrets; times, paths and numbers as they are."""
    if isinstance(value, str):
        return hide(value)
    return tuple(_hidden(each, hide) for each in value) if isinstance(value, list | tuple) else value
