"""An incident's timeline, built from logs, deliveries, plans, runs, flags, health checks, and what people said.

Only what is on the incident's rails, or on none, stands there, and nothing from before it began but the last webhook
that was accepted. Each line names its source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from recon.core.text import count_text
from recon.core.times import from_ms, parse_iso
from recon.investigation.incident.access_log import Burst, LogTriage, RouteTriage, is_good
from recon.investigation.incident.bounds import SAID, Bounds
from recon.investigation.incident.replay import CheckedDelivery, DeliveryTriage
from recon.rails.flags.journal import FlagEntry
from recon.rails.flags.words import looks_secret
from recon.rails.gates.records import HealthRecord
from recon.runs.states import RunSummary

MOMENTS_MAX: Final = 300
"""Most lines of one timeline; what is left out is said."""

LOGS, RECORDS, HISTORY = "access logs", "delivery records", "history of plans"
RUNS, FLAGS, CHECKS = "journal of runs", "journal of flags", "health checks"


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of an incident's timeline: when, what, and who says so."""

    at: datetime
    says: str
    source: str = SAID


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of the time of an incident; an empty part was not looked at or holds nothing.

    Args:
        logs: All that the logs hold, not cut to the incident, so that the last good before it shows.
        plans: Entries of the history of plans; ``fallen`` how many breaks of the incident some of them have, by digest.
        own: By run, what became of the changes of the incident's own payments.
    """

    logs: LogTriage | None = None
    deliveries: DeliveryTriage | None = None
    plans: Sequence[Mapping[str, Any]] = ()
    fallen: Mapping[str, int] = field(default_factory=dict)
    runs: Sequence[RunSummary] = ()
    own: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    flags: Sequence[FlagEntry] = ()
    checks: Sequence[HealthRecord] = ()


def moments_of(kept: Kept, bounds: Bounds, *, said: Iterable[Moment] = ()) -> tuple[Moment, ...]:
    """The timeline, oldest first. Without a beginning only what people said stands on it."""
    found = list(said)
    if bounds.began_at is not None:
        found += _own(kept, bounds)
    found.sort(key=lambda each: (each.at, each.says))
    if len(found) > MOMENTS_MAX:
        left = f"{len(found) - MOMENTS_MAX} further moments are left out here"
        found = [*found[:MOMENTS_MAX], Moment(found[MOMENTS_MAX - 1].at, left, "this text")]
    return tuple(found)


def _own(kept: Kept, bounds: Bounds) -> Iterator[Moment]:
    began = bounds.began_at
    assert began is not None, "the timeline of an incident without a beginning is not built"
    if kept.logs is not None:
        for route in kept.logs.routes:
            if route.provider in bounds.rails:
                yield from _of_route(route, bounds, began=began)
    if kept.deliveries is not None:
        yield from _of_deliveries(kept.deliveries.checked, bounds)
    later = [
        *_of_plans(kept.plans, kept.fallen),
        *_of_runs(kept.runs, kept.own),
        *_of_flags(kept.flags),
        *_of_checks(kept.checks, bounds),
    ]
    yield from (each for each in later if began <= each.at)


def _of_route(route: RouteTriage, bounds: Bounds, *, began: datetime) -> Iterator[Moment]:
    own = [burst for burst in route.bursts if bounds.overlaps(burst)]
    yield from _of_bursts(own)
    good = [minute for minute, status, _ in route.minutes if is_good(route.provider, status)]
    before = [minute for minute in good if minute < began]
    if before:
        yield Moment(max(before), f"{route.provider}: last minute before it with an accepted webhook", LOGS)
    after = [minute for minute in good if own and minute >= own[-1].to_at]
    if after:
        yield Moment(min(after), f"{route.provider}: webhooks are accepted again", LOGS)


def _of_bursts(bursts: Iterable[Burst]) -> Iterator[Moment]:
    for burst in bursts:
        yield Moment(burst.from_at, f"{burst.provider}: webhooks begin to fail ({_statuses(burst)})", LOGS)
        yield Moment(burst.to_at, f"{burst.provider}: this burst of failures ends", LOGS)


def _statuses(burst: Burst) -> str:
    return ", ".join(f"{count} x {status or 'no status'}" for status, count in burst.statuses)


def _of_deliveries(checked: Iterable[CheckedDelivery], bounds: Bounds) -> Iterator[Moment]:
    listed = list(checked)
    for rail in bounds.rails:
        timed = [
            (from_ms(each.delivery.received_at), each)
            for each in listed
            if each.delivery.received_at is not None and each.delivery.provider == rail
        ]
        yield from _refusals(rail, timed, bounds)


def _refusals(rail: str, timed: Sequence[tuple[datetime, CheckedDelivery]], bounds: Bounds) -> Iterator[Moment]:
    """The first and the last refused delivery of a rail, and the first that was accepted after them."""
    refused = [at for at, each in timed if _is_refused(each) and bounds.has(at)]
    if not refused:
        return
    first, last, count = min(refused), max(refused), len(refused)
    yield Moment(first, f"{rail}: first of {count_text(count, 'delivery', many='deliveries')} not accepted", RECORDS)
    if count > 1:
        yield Moment(last, f"{rail}: last of {count} deliveries not accepted", RECORDS)
    later = [at for at, each in timed if each.accepted and at > last]
    if later:
        yield Moment(min(later), f"{rail}: a delivery is accepted again", RECORDS)


def _is_refused(each: CheckedDelivery) -> bool:
    return each.accepted is False or bool(each.delivery.dead_letter)


def _needing(count: int) -> str:
    return count_text(count, "payment of this incident needs", many="payments of this incident need")


def _of_plans(entries: Iterable[Mapping[str, Any]], fallen: Mapping[str, int]) -> Iterator[Moment]:
    for entry in entries:
        at = parse_iso(str(entry.get("at")))
        if at is not None:
            kind = "plan" if entry.get("kind", "correction") == "correction" else f"plan of {entry.get('kind')}"
            digest = str(entry.get("digest"))
            counted = f": {_needing(fallen[digest])} attention" if digest in fallen else ""
            yield Moment(at, f"{kind} {digest[:12]} is made{counted}", HISTORY)


def _of_runs(runs: Iterable[RunSummary], own: Mapping[str, Mapping[str, int]]) -> Iterator[Moment]:
    for run in runs:
        began, ended = parse_iso(run.started_at), parse_iso(run.ended_at or "")
        by = f" by {run.operator}" if run.operator else ""
        what = f"takes back {run.undoes}" if run.undoes else f"carries out plan {run.plan[:12]}"
        if began is not None:
            yield Moment(began, f"run {run.run}{by} {what}", RUNS)
        if ended is not None:
            results = own.get(run.run, {})
            counts = ", ".join(f"{count} {name}" for name, count in sorted(results.items())) or "none"
            yield Moment(ended, f"run {run.run} ends, {run.state}; payments of this incident: {counts}", RUNS)


def _of_flags(entries: Iterable[FlagEntry]) -> Iterator[Moment]:
    for entry in entries:
        at, says = parse_iso(entry.at), _flag_words(entry)
        if at is not None and says:
            yield Moment(at, f"{entry.run}: {says}", FLAGS)


def _flag_words(entry: FlagEntry) -> str:
    """What one entry of the journal of flags says; empty for a kind that says nothing of its own."""
    body = entry.body
    if entry.kind == "intent":
        return _intent_words(body)
    if entry.kind == "outcome":
        return f"flags: {body.get('outcome')}"
    if entry.kind == "restart":
        return f"the backend is restarted, exit code {body.get('exit_code')}"
    if entry.kind == "readback":
        states = Counter(str(each.get("outcome")) for each in _rows(body, "checks"))
        said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"flags read back: {said or 'nothing'}"
    return ""


def _rows(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [each for each in body.get(name) or () if isinstance(each, Mapping)]


def _intent_words(body: Mapping[str, Any]) -> str:
    edits = ", ".join(_edit_words(each) for each in _rows(body, "edits"))
    recipe = f" by recipe {body['recipe']}" if body.get("recipe") else ""
    over = f", over the gates {', '.join(map(str, body['blocked_by']))}" if body.get("blocked_by") else ""
    who = f"{body.get('kind')}{recipe}, {body.get('by') or 'by nobody named'}{over}"
    return f"flags are to be changed ({who}): {edits}"


def _edit_words(edit: Mapping[str, Any]) -> str:
    flag = str(edit.get("flag"))
    if looks_secret(flag):
        return f"{flag} is changed"
    before, after = ("not set" if edit.get(name) is None else str(edit[name]) for name in ("before", "after"))
    return f"{flag} {before} to {after}"


def _of_checks(checks: Iterable[HealthRecord], bounds: Bounds) -> Iterator[Moment]:
    """Health checks that changed their mind; one that says the same as the one before is left out."""
    for rail in bounds.rails:
        last: bool | None = None
        for check in sorted((each for each in checks if each.provider == rail), key=lambda each: each.at):
            if check.is_ok is not last:
                word = "well" if check.is_ok else f"NOT well: {check.why[:150]}"
                yield Moment(check.at, f"{rail}: health check, {word}", CHECKS)
            last = check.is_ok


def log_shortfalls(logs: LogTriage, bounds: Bounds) -> Iterator[str]:
    """What of an incident's time the logs do not reach, one sentence each; a quiet minute or two says nothing."""
    quiet = timedelta(minutes=5)
    if logs.from_at is None or logs.to_at is None or bounds.began_at is None:
        return
    if logs.from_at > bounds.began_at + quiet:
        yield f"the access logs before {logs.from_at:%Y-%m-%dT%H:%M:%SZ}, when it had begun"
    if bounds.resolved_at is not None and logs.to_at < bounds.resolved_at - quiet:
        yield f"the access logs after {logs.to_at:%Y-%m-%dT%H:%M:%SZ}, before it was over"
