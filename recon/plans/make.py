"""Verdicts to the plan a person reviews: findings, changes, what is left alone, and the summary.

:func:`make_plan` reads nothing but the snapshot: same snapshot, same policy, same bytes, whichever engine ran.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import Change, Finding, LeftAlone, Plan, Policy, Severity, Tier, Verdict
from recon.core.registry import Registry, load_registry
from recon.core.version import __version__
from recon.plans.changes import Places, Refusal, change_for, parse_document, places_of
from recon.plans.file import (
    change_id,
    load_plan,
    many_objects,
    parse_plan,
    plan_bytes,
    save_plan,
    seal_plan,
    select_changes,
)
from recon.plans.findings import Describer, links_by_payment
from recon.plans.limits import LimitError, Limits, check_size
from recon.sources.payments.fields import FieldPaths
from recon.sources.providers.installed import providers
from recon.verdicts.engine import Engine, open_engine, usual_memory_bytes
from recon.verdicts.judge import Judgement, horizon_of, judge, lost_rows
from recon.verdicts.rules import RULE

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.snapshots.sealed import Snapshot

__all__ = [
    "canonical_json",
    "change_id",
    "load_plan",
    "make_plan",
    "parse_plan",
    "plan_bytes",
    "save_plan",
    "seal_plan",
    "select_changes",
    "sha256_hex",
]

_ROWS_AT_ONCE = 5_000
_NOT_IN_SCOPE = (Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE)
_IDLE = (Verdict.IN_TRANSIT, Verdict.ABANDONED)
_UNPROVEN = (Verdict.LOOKUP_FAILED, Verdict.UNPROVEN, Verdict.MISSING_REFERENCE)


class PolicyError(RefusedError):
    """A snapshot is judged under other tolerances than those its payments were read with."""

    def __init__(self, *, taken: str, now: str) -> None:
        super().__init__(
            f"The snapshot was taken with the tolerances {taken} and the configuration says {now}; nothing was judged. "
            'Take a new snapshot with "recon snapshot".'
        )


def policy_digest(policy: Policy) -> str:
    """The sha256 of everything a judgement depends on besides the evidence."""
    return sha256_hex(canonical_json(_jsonable(asdict(policy))))


def make_plan(
    snapshot: Snapshot,
    *,
    policy: Policy,
    registry: Registry | None = None,
    engine: str | Engine = "duckdb",
    memory_bytes: int | None = None,
    scratch: Path | None = None,
) -> Plan:
    """Judge a snapshot and plan its corrections.

    Args:
        registry: The shipped one unless a configuration adds to it.
        engine: ``duckdb``, ``polars`` or ``spark``, or an engine that is open; it is closed. The plan is the same.
        memory_bytes: Memory limit for DuckDB, which spills to ``scratch``; by the number of payments when None.
    """
    registry = registry or load_registry()
    _check_policy(snapshot, policy)
    coverage = _coverage(snapshot)
    gaps = snapshot.table("gaps").to_pylist()
    horizon = horizon_of(coverage, gaps, now_ms=snapshot.taken_at_ms)
    memory_bytes = memory_bytes or usual_memory_bytes(snapshot.rows("payments"))
    running = open_engine(engine, memory_bytes=memory_bytes, scratch=scratch) if isinstance(engine, str) else engine
    try:
        frames = snapshot.frames(running)
        judgement = judge(frames, running, horizon=horizon, policy=policy)
        lost = lost_rows(frames, running) if snapshot.rows("orphans") else ()
    finally:
        running.close()
    searched = all(row["complete"] for row in coverage if (row["source"], row["scope"]) == ("payments", "claimants"))
    describer = Describer(registry=registry, policy=policy, links={}, now_ms=snapshot.taken_at_ms)
    with many_objects():
        written = _written_up(judgement, _documents(snapshot, wanted=searched), describer, places=_places(snapshot))
    findings, changes, left_alone = written
    findings += missing_local(*lost, registry=registry, now_ms=snapshot.taken_at_ms) if lost else []
    created = datetime.fromtimestamp(snapshot.taken_at_ms / 1000, tz=UTC)
    plan = Plan(
        kind="correction",
        tool_version=__version__,
        created_at=_text(created),
        expires_at=_text(created + timedelta(milliseconds=policy.plan_age_max_ms)),
        target=snapshot.target,
        policy_digest=policy_digest(policy),
        snapshot=snapshot.digest,
        window=dict(snapshot.manifest["selection"]),
        coverage=tuple(coverage),
        summary=_summary(judgement, findings, coverage, policy=policy),
        findings=tuple(sorted(findings, key=lambda item: item.payment_id)),
        changes=tuple(sorted(changes, key=lambda item: item.payment_id)),
        left_alone=tuple(sorted(left_alone, key=lambda item: item.payment_id)),
    )
    return seal_plan(_with_limits(plan, policy=policy))


def _check_policy(snapshot: Snapshot, policy: Policy) -> None:
    stored = snapshot.manifest["tolerance_ppm"]
    wanted = {name: list(pair) for name, pair in sorted(policy.tolerance_ppm.items())}
    if stored != wanted:
        raise PolicyError(taken=str(stored), now=str(wanted))


def missing_local(transfers: pa.Table, claims: pa.Table, *, registry: Registry, now_ms: int) -> list[Finding]:
    """Findings for the transfers and provider objects that no row of the whole collection knows.

    Args:
        transfers, claims: What :func:`recon.verdicts.judge.lost_rows` gives; a key that comes twice is one finding.
        now_ms: Ages count to here.
    """
    found: dict[str, Finding] = {}
    sides = (("chain", "transfer", "amount_units", transfers), ("provider", "claim", "paid_units", claims))
    for side, what, units, table in sides:
        for row in table.to_pylist():
            name = f"{side}:{row['key']}"
            token = registry.tokens.get((row["chain_id"], row["token"] or ""))
            seen = row.get("block_time") or row.get("created_at")
            found[name] = Finding(
                payment_id=name,
                verdict=Verdict.MISSING_LOCAL,
                findings=(Verdict.MISSING_LOCAL,),
                tier=Tier.REVIEW,
                severity=Severity.HIGH,
                reason=RULE[Verdict.MISSING_LOCAL].sentence.format(what=what),
                provider=row.get("provider"),
                chain_id=row["chain_id"],
                token=row["token"],
                symbol=token.symbol if token else None,
                decimals=token.decimals if token else None,
                age_s=None if seen is None else max(0, (now_ms - seen) // 1000),
                value_units=int(row[units] or 0),
                evidence=(f"{what} {row['key']}",),
            )
    return list(found.values())


def _documents(snapshot: Snapshot, *, wanted: bool) -> pa.Table:
    table = snapshot.table("documents").select(["payment_id", "document"])
    return (table if wanted else table.slice(0, 0)).sort_by("payment_id")


def _places(snapshot: Snapshot) -> Places:
    """Where the snapshot's fields were read from; one that does not say so was read with the usual paths."""
    return places_of(FieldPaths.with_overrides(snapshot.manifest.get("fields", {})))


def _written_up(
    judgement: Judgement, documents: pa.Table, describer: Describer, *, places: Places
) -> tuple[list[Finding], list[Change], list[LeftAlone]]:
    """Turn the breaks into records, some thousand at a time; all three tables are sorted by payment."""
    findings: list[Finding] = []
    changes: list[Change] = []
    left_alone: list[LeftAlone] = []
    tables = {"links": judgement.links, "documents": documents}
    ids = {name: table["payment_id"].to_pylist() for name, table in tables.items()}

    def part(name: str, first: str, last: str) -> list[dict[str, Any]]:
        start, end = bisect_left(ids[name], first), bisect_right(ids[name], last)
        found: list[dict[str, Any]] = tables[name].slice(start, end - start).to_pylist()
        return found

    for start in range(0, judgement.breaks.num_rows, _ROWS_AT_ONCE):
        rows = judgement.breaks.slice(start, _ROWS_AT_ONCE).to_pylist()
        first, last = rows[0]["payment_id"], rows[-1]["payment_id"]
        told = replace(describer, links=links_by_payment(part("links", first, last)))
        found = [told.finding(row) for row in rows]
        texts = {row["payment_id"]: row["document"] for row in part("documents", first, last)}
        changed, left = _changes(found, rows, texts, policy=describer.policy, places=places)
        findings += found
        changes += changed
        left_alone += left
    return findings, changes, left_alone


def _changes(
    findings: Sequence[Finding],
    rows: Sequence[Mapping[str, Any]],
    documents: Mapping[str, str],
    *,
    policy: Policy,
    places: Places,
) -> tuple[list[Change], list[LeftAlone]]:
    changes, left_alone = [], []
    for finding, row in zip(findings, rows, strict=True):
        text = documents.get(finding.payment_id)
        due = finding.tier in (Tier.AUTO, Tier.REVIEW)
        document = parse_document(text) if text and due else None
        change = change_for(finding, row, document=document, policy=policy, places=places)
        if isinstance(change, Change):
            changes.append(change)
        else:
            left_alone.append(LeftAlone(finding.payment_id, finding.verdict, _why_left(finding, change)))
    return changes, left_alone


def _why_left(finding: Finding, refusal: Refusal | None) -> str:
    if refusal is not None:
        return refusal.reason
    if finding.tier is Tier.WAIT:
        return "it is not due yet"
    if finding.tier is Tier.NEVER:
        return "a verdict of this kind is only reported"
    return "the table of allowed writes has no cell for this state"


def _summary(
    judgement: Judgement, findings: Sequence[Finding], coverage: Sequence[Mapping[str, Any]], *, policy: Policy
) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    by_provider: dict[str, Counter[str]] = defaultdict(Counter)
    by_chain: dict[str, Counter[str]] = defaultdict(Counter)
    for row in judgement.counts.to_pylist():
        counts[row["verdict"]] += row["rows"]
        by_provider[row["provider"] or "none"][row["verdict"]] += row["rows"]
        by_chain[str(row["chain_id"] or "none")][row["verdict"]] += row["rows"]
    payments = sum(counts.values())
    orphans = sum(finding.verdict is Verdict.MISSING_LOCAL for finding in findings)
    if orphans:
        counts[Verdict.MISSING_LOCAL] = orphans
    scoped = payments - sum(counts[verdict] for verdict in _NOT_IN_SCOPE)
    compared = scoped - sum(counts[verdict] for verdict in _IDLE)
    unproven = sum(counts[verdict] for verdict in _UNPROVEN)
    risk: Counter[str] = Counter()
    for finding in findings:
        if finding.value_units and finding.token:
            risk[f"{finding.chain_id}:{finding.token}"] += finding.value_units
    captured = {f"{row['chain_id']}:{row['token']}": str(int(row["units"])) for row in judgement.captured.to_pylist()}
    return {
        "payments": payments,
        "payments_in_scope": scoped,
        "payments_compared": compared,
        "verdicts": {str(name): counts[name] for name in Verdict if counts[name]},
        "by_provider": {name: dict(sorted(split.items())) for name, split in sorted(by_provider.items())},
        "by_chain": {name: dict(sorted(split.items())) for name, split in sorted(by_chain.items())},
        "auto_match_rate": _share(counts[Verdict.IN_SYNC], compared),
        "unproven_share": _share(unproven, scoped),
        "value_at_risk": {name: str(units) for name, units in sorted(risk.items())},
        "captured_not_credited": dict(sorted(captured.items())),
        "open_by_age": dict(judgement.open_by_age),
        "health": _health(payments, scoped, unproven, coverage, policy=policy),
        "provider_calls": sum(row["calls"] or 0 for row in coverage if row["source"] in providers()),
        "chain_calls": sum(row["calls"] or 0 for row in coverage if row["chain_id"] is not None),
    }


def _share(part: int, whole: int) -> str:
    """A ratio as exact decimal text with four places, cut, never rounded up; an empty whole gives 0."""
    places = part * 10_000 // whole if whole else 0
    return f"{places // 10_000}.{places % 10_000:04d}"


def _health(
    payments: int, scoped: int, unproven: int, coverage: Sequence[Mapping[str, Any]], *, policy: Policy
) -> dict[str, Any]:
    reasons = []
    if payments and not scoped:
        reasons.append(f"none of the {payments} payments is in scope: no provider or chain of theirs is configured")
    if unproven * 100 > policy.unproven_share_max_percent * scoped:
        reasons.append(f"{unproven} of {scoped} payments are unproven, over {policy.unproven_share_max_percent} %")
    if any(row["source"] == "payments" and not row["complete"] for row in coverage):
        reasons.append("the payments themselves were not read completely")
    return {"ok": not reasons, "reasons": reasons}


def _with_limits(plan: Plan, *, policy: Policy) -> Plan:
    """Name every limit that an apply of the whole plan would hit, with the option that raises it."""
    limits, hit = Limits.of(policy), []
    changes = [change for change in plan.changes if change.tier is Tier.AUTO]
    checks: Iterable[Limits] = (
        Limits(changes_max=limits.changes_max, share_max_percent=100),
        Limits(
            changes_max=len(changes),
            share_max_percent=limits.share_max_percent,
            share_max_from_rows=limits.share_max_from_rows,
        ),
        Limits(
            changes_max=len(changes),
            share_max_percent=100,
            value_max_units=limits.value_max_units,
            value_max_units_per_payment=limits.value_max_units_per_payment,
        ),
    )
    for check in checks:
        try:
            check_size(plan, changes, limits=check)
        except LimitError as error:
            hit.append(str(error))
    return replace(plan, summary={**plan.summary, "limits_hit": hit})


def _coverage(snapshot: Snapshot) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = snapshot.table("coverage").to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["scope"], row["asked_from"] or 0, canonical_json(row)))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value
