"""Reads what gates are judged by: the run history, a plan, delivery records, health checks.

A line that cannot be read is passed over and counted where that can only make a gate stricter; where leaving it out
could let a gate pass, the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError
from recon.core.model import Plan
from recon.core.registry import load_registry
from recon.core.times import EPOCH, from_ms, parse_iso
from recon.files import ChainedLog
from recon.plans.approvals import target_digest
from recon.plans.history import History
from recon.rails.flags.plan import FlagSetup
from recon.rails.flags.probes import Probe, ProbeAnswer, Prober
from recon.rails.gates.records import Deliveries, DeliveryRecord, DryRun, GateFinding, HealthRecord, RunRecord

HEALTH_FILE: Final = "health-checks.ndjson"
FORMAT: Final = 1


class EvidenceFileError(RefusedError):
    """A file of evidence cannot be read whole, so no gate may rest on it."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; no gate was judged by it. Correct the file or name another.")


def run_records(history: History) -> tuple[RunRecord, ...]:
    """The run history as gates use it; entries of undo and backfill plans are no dry runs and are left out.

    A line that cannot be read may have been a bad run of any rail: it stands as one, right after the run before it.
    """
    found: list[RunRecord] = []
    for entry in history.entries:
        if entry.get("kind", "correction") == "correction":
            found.append(_run_record(entry) or _lost_run(found, found[-1].at if found else EPOCH))
    lost = [_lost_run(found, _moment(at) or EPOCH) for at in history.lost_after]
    return tuple(sorted((*found, *lost), key=lambda run: run.at))


def _lost_run(runs: Sequence[RunRecord], after: datetime) -> RunRecord:
    """A run of which nothing can be read: it read nothing whole, and what blocked before it may go on blocking."""
    before = [run for run in runs if run.at <= after]
    at = after + timedelta(milliseconds=1)
    return RunRecord(
        at=at,
        digest="unreadable",
        covers_from=at,
        covers_to=at,
        providers=(),
        is_whole=True,
        is_complete=False,
        is_healthy=False,
        blocking=before[-1].blocking if before else {},
        breaks=None,
    )


def _run_record(entry: Mapping[str, Any]) -> RunRecord | None:
    at = _moment(entry.get("at"))
    window = entry.get("window") or {}
    if at is None or not isinstance(window, Mapping):
        return None
    breaks, blocking = entry.get("breaks"), entry.get("blocking") or {}
    return RunRecord(
        at=at,
        digest=str(entry.get("digest") or ""),
        covers_from=_moment(window.get("from")),
        covers_to=min(_moment(window.get("to")) or at, at),
        providers=_texts(window.get("providers")),
        is_whole=is_whole_window(window),
        is_complete=entry.get("complete") is True,
        is_healthy=_is_healthy(entry.get("health")),
        blocking={str(name): count for name, count in dict(blocking).items() if isinstance(count, int)},
        breaks=frozenset(map(str, breaks)) if isinstance(breaks, list) else None,
    )


def _is_healthy(health: object) -> bool:
    return isinstance(health, Mapping) and health.get("ok") is True


def _texts(values: Iterable[object] | None) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def is_whole_window(window: Mapping[str, Any]) -> bool:
    """Whether a selection left out no status, no single payments and none that are not open."""
    return not (window.get("statuses") or window.get("ids") or window.get("open_only"))


def dry_run_of(plan: Plan) -> DryRun:
    """A plan of corrections as evidence."""
    health = plan.summary.get("health") or {}
    judged = plan.summary.get("by_provider") or {}
    at = _moment(plan.created_at)
    assert at is not None, "a loaded plan has a time"
    return DryRun(
        digest=plan.digest,
        at=at,
        judged={str(rail): _counts(split) for rail, split in judged.items()},
        findings=tuple(
            GateFinding(item.payment_id, item.provider, item.verdict, item.tier, item.severity)
            for item in plan.findings
        ),
        is_healthy=health.get("ok") is True,
        health_reasons=_texts(health.get("reasons")),
        incomplete=tuple(sorted({str(row["source"]) for row in plan.coverage if not row.get("complete", False)})),
        providers=_texts(plan.window.get("providers")),
        is_whole=is_whole_window(plan.window),
        target=target_digest(plan.target),
    )


def _counts(split: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in split.items()}


def delivery_evidence_of(
    rows: Iterable[Mapping[str, Any]], *, from_at: datetime, to_at: datetime, source: str
) -> Deliveries:
    """Rows of :data:`recon.core.tables.DELIVERIES` as evidence; a row without a time is taken to be from right now.

    Args:
        from_at, to_at: The time for which all deliveries are there.
    """
    registry, records = load_registry(), []
    for row in rows:
        ms, status, valid = row.get("received_at"), row.get("http_status"), row.get("signature_valid")
        known = isinstance(ms, int) and not isinstance(ms, bool)
        records.append(
            DeliveryRecord(
                delivery_id=str(row.get("delivery_id") or "?")[:100],
                provider=registry.provider(str(row.get("provider") or "")),
                at=from_ms(int(ms)) if known and ms is not None else to_at,
                http_status=status if isinstance(status, int) and not isinstance(status, bool) else None,
                signature_valid=valid if isinstance(valid, bool) else None,
                is_dead_letter=dead if isinstance(dead := row.get("dead_letter"), bool) else None,
            )
        )
    return Deliveries(tuple(sorted(records, key=lambda each: (each.at, each.delivery_id))), from_at, to_at, source)


def check_health(
    provider: str, *, setup: FlagSetup, prober: Prober, backend: Iterable[Probe], now: datetime
) -> HealthRecord:
    """Make one deployment health check: the rail itself and every probe of the running backend, each asked once."""
    answers: list[ProbeAnswer] = []
    if (probe := setup.health.get(provider)) is None:
        answers.append(ProbeAnswer(provider, "unclear", f"no health address is configured for {provider}"))
    else:
        answers.append(prober.ask(probe))
    asked = tuple(backend)
    answers.extend(prober.ask(each) for each in asked)
    if not asked:
        answers.append(
            ProbeAnswer("backend", "unclear", "no probe of the running backend is configured in [[flags.readback]]")
        )
    return _record_of(provider, answers, now)


def _record_of(provider: str, answers: Sequence[ProbeAnswer], now: datetime) -> HealthRecord:
    bad = [answer for answer in answers if answer.outcome == "down"]
    unasked = [answer for answer in answers if answer.outcome == "unclear"]
    why = "; ".join(f"{answer.name}: {answer.why}" for answer in (bad or unasked or answers))
    return HealthRecord(now, provider, not bad and not unasked, why[:1000], is_told=bool(bad) or not unasked)


def append_health(folder: Path, record: HealthRecord) -> None:
    """Add one health check to the log of them, in one write, and make it last.

    Raises:
        NoRoomError: The disk is full; the log is as it was.
    """
    body = {
        "format": FORMAT,
        "at": record.at.astimezone(UTC).isoformat(),
        "provider": record.provider,
        "ok": record.is_ok,
        "told": record.is_told,
        "why": record.why,
    }
    ChainedLog(folder / HEALTH_FILE).add(body)


def load_health(folder: Path) -> tuple[HealthRecord, ...]:
    """The health checks made so far. What cannot be read, or was changed, counts as a check that was not well.

    Such a line may have been a bad check, and skipping it could make two good ones look like two in a row; it is taken
    to be a bad check of every rail, made right after the line before it.

    Raises:
        EvidenceFileError: The log, or every line of it, cannot be read.
    """
    records: list[HealthRecord] = []
    lines = 0
    try:
        for line in ChainedLog(folder / HEALTH_FILE).entries():
            lines += 1
            record = _health_record(line.body or {})
            if not line.follows:
                records.extend(_bad_checks(records, f"the line before line {line.number} was changed or taken out"))
            records.extend([record] if record else _bad_checks(records, f"line {line.number} cannot be read"))
    except OSError as error:
        raise EvidenceFileError(path=HEALTH_FILE, why=f"the file cannot be read ({error.strerror})") from error
    if lines and not records:
        raise EvidenceFileError(path=HEALTH_FILE, why="none of its lines can be read, so nobody knows of which rail")
    return tuple(records)


def _health_record(item: Mapping[str, Any]) -> HealthRecord | None:
    at, provider, is_ok = _moment(item.get("at")), item.get("provider"), item.get("ok")
    if item.get("format") == FORMAT and at and isinstance(provider, str) and isinstance(is_ok, bool):
        why = str(item.get("why") or "")[:1000]
        return HealthRecord(at, provider, is_ok, why, is_told=is_ok or item.get("told") is not False)
    return None


def _bad_checks(records: Sequence[HealthRecord], why: str) -> list[HealthRecord]:
    """A bad check of every rail, right after the last record."""
    after = records[-1].at + timedelta(milliseconds=1) if records else EPOCH
    return [HealthRecord(after, rail, False, why) for rail in sorted({record.provider for record in records})]


def _moment(value: object) -> datetime | None:
    return parse_iso(value) if isinstance(value, str) else None
