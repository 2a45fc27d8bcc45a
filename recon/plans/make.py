"""Verdicts to the plan a person reviews: findings, changes, and what is left alone.

:func:`make_plan` reads nothing but the snapshot: same snapshot, same policy, same bytes, whichever engine ran.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import Change, Finding, LeftAlone, Plan, Policy, Tier
from recon.core.registry import Registry, load_registry
from recon.core.times import millisecond_text, parse_iso_ms
from recon.core.version import __version__
from recon.plans.balances import BalanceProof, without_named
from recon.plans.changes import Places, Refusal, change_for, parse_document, places_of, proof_of
from recon.plans.file import many_objects, seal_plan
from recon.plans.findings import Describer, contested_money, links_by_payment
from recon.plans.ledger import LedgerProof, terms_of
from recon.plans.limits import Limits, limits_hit
from recon.plans.orphans import missing_local, outflow_findings
from recon.plans.summary import Summary, answers_of
from recon.sources.payments.fields import FieldPaths
from recon.sources.providers.installed import providers
from recon.sources.spans import span
from recon.verdicts.answers import provider_answers
from recon.verdicts.engine import Engine, open_engine, usual_engine, usual_memory_bytes
from recon.verdicts.judge import Judgement, horizon_of, judge
from recon.verdicts.orphans import lost_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.snapshots.sealed import Snapshot

_ROWS_AT_ONCE = 5_000


class PolicyError(RefusedError):
    """A snapshot is judged under other tolerances than those its payments were read with."""

    def __init__(self, *, taken: str, now: str) -> None:
        super().__init__(
            f"The snapshot was taken with the tolerances {taken} and the configuration says {now}; nothing was judged. "
            'Take a new snapshot with "recon snapshot".'
        )


def policy_digest(policy: Policy) -> str:
    """The sha256 of everything a judgement depends on besides the evidence."""
    return sha256_hex(canonical_json(_jsonable(policy_facts(policy))))


def policy_facts(policy: Policy) -> dict[str, Any]:
    """Everything that a policy says; what came to it later and is not used leaves older digests as they were."""
    said = asdict(policy)
    for name in ("payout_wallets", "explained"):
        if not said[name]:
            del said[name]
    return said


def _started(name: str | None, *, payments: int, memory_bytes: int | None, scratch: Path | None) -> Engine:
    name = name or ("duckdb" if memory_bytes else usual_engine(payments))
    memory_bytes = memory_bytes or usual_memory_bytes(payments)
    return open_engine(name, memory_bytes=memory_bytes, scratch=scratch, payments=payments)


def make_plan(
    snapshot: Snapshot,
    *,
    policy: Policy,
    registry: Registry | None = None,
    engine: str | Engine | None = None,
    memory_bytes: int | None = None,
    scratch: Path | None = None,
) -> Plan:
    """Judge a snapshot and plan its corrections.

    Args:
        registry: The shipped one unless a configuration adds to it.
        engine: ``duckdb``, ``polars`` or ``spark``, or an engine that is open; it is closed. The plan is the same.
            None takes DuckDB where memory is limited, and the usual one for the number of payments otherwise.
        memory_bytes: Memory limit for DuckDB, which spills to ``scratch``; by the number of payments when None.
    """
    registry = registry or load_registry()
    _check_policy(snapshot, policy)
    coverage = _coverage(snapshot)
    gaps = snapshot.table("gaps").to_pylist()
    horizon = horizon_of(coverage, gaps, now_ms=snapshot.taken_at_ms)
    if engine is None or isinstance(engine, str):
        engine = _started(engine, payments=snapshot.rows("payments"), memory_bytes=memory_bytes, scratch=scratch)
    with closing(engine), engine.working():
        frames = snapshot.frames(engine)
        with span("judge"):
            books = terms_of(snapshot.manifest, coverage)
            judgement = judge(frames, engine, horizon=horizon, policy=policy, books=books)
        answers = provider_answers(frames, engine)
        lost = lost_rows(frames, engine) if snapshot.rows("orphans") else ()
    searched = _is_whole(coverage, "claimants")
    looked = snapshot.manifest.get("fields", {})
    describer = Describer(
        registry=registry,
        policy=policy,
        links={},
        now_ms=snapshot.taken_at_ms,
        fields=looked,
        contested=contested_money(judgement.links),
    )
    with many_objects():
        written = _written_up(judgement, _documents(snapshot, wanted=searched), describer, places=_places(snapshot))
    findings, changes, left_alone = written
    findings += missing_local(*lost, registry=registry, now_ms=snapshot.taken_at_ms) if lost else []
    proof = _balance_proof(snapshot, judgement, registry=registry, policy=policy)
    findings += _outgoing(snapshot, judgement, proof) if searched and _is_whole(coverage, "outflows") else []
    created = datetime.fromtimestamp(snapshot.taken_at_ms / 1000, tz=UTC)
    plan = Plan(
        kind="correction",
        tool_version=__version__,
        created_at=millisecond_text(created),
        expires_at=millisecond_text(created + timedelta(milliseconds=policy.plan_age_max_ms)),
        target=snapshot.target,
        policy_digest=policy_digest(policy),
        snapshot=snapshot.digest,
        window=dict(snapshot.manifest["selection"]),
        coverage=tuple(proof.told_coverage(coverage)),
        summary=Summary(
            judgement,
            findings,
            coverage,
            policy,
            providers=tuple(providers()),
            answers=answers_of(answers),
            residuals=proof.residuals(),
        ).as_dict(),
        balances=proof.block,
        ledger=LedgerProof.of(snapshot.manifest, judgement, coverage=coverage, registry=registry),
        findings=tuple(sorted(findings, key=lambda item: item.payment_id)),
        changes=tuple(sorted(changes, key=lambda item: item.payment_id)),
        left_alone=tuple(sorted(left_alone, key=lambda item: item.payment_id)),
    )
    return seal_plan(_with_limits(plan, policy=policy))


def _balance_proof(snapshot: Snapshot, judgement: Judgement, *, registry: Registry, policy: Policy) -> BalanceProof:
    """The proof about known wallets, which says nothing where none is known."""
    has_wallets = "balances" in snapshot.manifest["tables"]
    return BalanceProof(
        snapshot.read("balances") if has_wallets else None,
        judgement.moved,
        judgement.unexplained,
        registry,
        policy,
        is_searched=all(row["complete"] for row in _coverage(snapshot) if row["source"] == "payments"),
    )


def _outgoing(snapshot: Snapshot, judgement: Judgement, proof: BalanceProof) -> list[Finding]:
    """Findings for outgoing money that no row, payout or named rule explains."""
    left = without_named(judgement.outflows.to_pylist(), proof.policy)
    left += proof.leaks(from_ms=_window_start(snapshot), besides=left)
    return outflow_findings(left, registry=proof.registry, policy=proof.policy, now_ms=snapshot.taken_at_ms)


def _window_start(snapshot: Snapshot) -> int | None:
    """Where the window begins, UTC ms; None without a beginning."""
    start = snapshot.manifest["selection"]["from"]
    return None if start is None else parse_iso_ms(start)


def _is_whole(coverage: Sequence[Mapping[str, Any]], search: str) -> bool:
    """Whether a search of the whole collection was not cut short; one that was not needed is whole."""
    return all(row["complete"] for row in coverage if (row["source"], row["scope"]) == ("payments", search))


def _check_policy(snapshot: Snapshot, policy: Policy) -> None:
    stored = snapshot.manifest["tolerance_ppm"]
    wanted = {name: list(pair) for name, pair in sorted(policy.tolerance_ppm.items())}
    if stored != wanted:
        raise PolicyError(taken=str(stored), now=str(wanted))


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
        proven = ((each, proof_of(each.verdict, told.links.get(each.payment_id, ()))) for each in changed)
        changes += [replace(each, proof=proof) for each, proof in proven]
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
    return "from where this row stands no write is allowed"


def _with_limits(plan: Plan, *, policy: Policy) -> Plan:
    """Name every limit that an apply of the whole plan would hit, of those on value only the first."""
    automatic = [change for change in plan.changes if change.tier is Tier.AUTO]
    hit = limits_hit(plan, automatic, limits=Limits.of(policy))
    on_size, on_value = ([error for error in hit if error.is_value is of_value] for of_value in (False, True))
    told = [str(error) for error in (*on_size, *on_value[:1])]
    return replace(plan, summary={**plan.summary, "limits_hit": told})


def _coverage(snapshot: Snapshot) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = snapshot.table("coverage").to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["scope"], row["asked_from"] or 0, canonical_json(row)))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value
