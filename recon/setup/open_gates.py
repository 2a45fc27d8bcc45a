"""Reads what gates are judged by, as a configuration names it: history, plans, deliveries, samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recon.core.errors import ConfigError, RefusedError, SourceError
from recon.core.model import Finding, Plan
from recon.core.times import from_ms, parse_iso, to_ms
from recon.plans.file import PlanFileError, load_plan
from recon.plans.history import load_history
from recon.rails.flags.plan import FlagPlan
from recon.rails.flags.standing import SampleLook
from recon.rails.gates.evidence import (
    EvidenceFileError,
    delivery_evidence_of,
    dry_run_of,
    load_health,
    run_records,
)
from recon.rails.gates.judge import judge_manual_sample
from recon.rails.gates.records import Deliveries, DryRun, GateCase, GateEvidence, SignedSample, WrittenRun
from recon.rails.gates.sample import SampleCandidate, check_sign_offs, load_sample
from recon.setup.open_decisions import decision_terms
from recon.setup.open_samples import sign_offs_of
from recon.setup.settings import Settings
from recon.snapshots.sealed import Snapshot, find_snapshot, open_snapshot

DELIVERIES_NAME = "deliveries.ndjson"


class NoPlanError(ConfigError):
    """There is no plan that a sample could be drawn from."""

    def __init__(self) -> None:
        super().__init__('There is no plan to draw from; run "recon plan", or name one with --plan.')


class SnapshotMissingError(ConfigError):
    """The snapshot that a plan was made from is missing."""

    def __init__(self, *, plan: str, snapshot: str) -> None:
        super().__init__(
            f"The snapshot {snapshot[:12]} that plan {plan[:12]} was made from is not there, so payments in sync "
            "cannot be drawn; name its directory with --snapshot."
        )


def read_deliveries(path: Path, *, now: datetime, names: Mapping[str, tuple[str, ...]] | None = None) -> Deliveries:
    """Delivery records in any form that is known, if all of them can be read; deliveries that were a test are left out.

    They are taken to be whole from the first of them to now, unless the file's first line says otherwise.

    Raises:
        EvidenceFileError: A record cannot be read, or one has no time or no provider: it could be the failure.
    """
    from recon.sources.deliveries.records import load_deliveries

    try:
        found = load_deliveries(path, bodies=False, names=names)
    except SourceError as error:
        raise EvidenceFileError(path=path.name, why="the file cannot be read") from error
    if found.unreadable_at is not None:
        raise EvidenceFileError(path=found.unreadable_at, why="this is no delivery with provider and received_at")
    if found.problems:
        raise EvidenceFileError(path=path.name, why=found.problems[0])
    for each in found.deliveries:
        if {"no_time", "no_provider"} & set(each.problems):
            raise EvidenceFileError(path=each.place, why="this delivery has no time or no provider")
    times = [each.received_at for each in found.deliveries if each.received_at is not None]
    end = to_ms(now)
    begin, end = found.covers or (min(times, default=end), end)
    rows = [each.row() for each in found.deliveries if not each.is_test]
    to_at = min(from_ms(end), now)
    return delivery_evidence_of(rows, from_at=min(from_ms(begin), to_at), to_at=to_at, source=path.name)


def recorded_deliveries(settings: Settings) -> Path | None:
    """The delivery records that a recorded world brings, or None."""
    path = settings.recorded_dir / DELIVERIES_NAME if settings.recorded_dir is not None else None
    return path if path is not None and path.exists() else None


def read_evidence(
    settings: Settings,
    *,
    now: datetime,
    plan: Plan | None = None,
    deliveries: Path | None = None,
    sample: SignedSample | None = None,
) -> GateEvidence:
    """Read what gates are judged by: the run history, the latest dry run, deliveries, health checks, the sample.

    Args:
        plan: The dry run to judge by; the latest one of the history that can still be read otherwise.
        deliveries: A file of delivery records; a recorded world brings its own.

    Raises:
        EvidenceFileError: A file cannot be read whole.
    """
    history = load_history(settings.output_dir)
    latest = dry_run_of(plan) if plan is not None else latest_dry_run(settings)
    deliveries = deliveries or recorded_deliveries(settings)
    names = settings.values.deliveries.fields
    return GateEvidence(
        runs=run_records(history),
        dry_run=latest,
        deliveries=None if deliveries is None else read_deliveries(deliveries, now=now, names=names),
        health=load_health(settings.output_dir),
        sample=sample,
        writes=written_runs(settings),
    )


def signed_sample(settings: Settings, path: Path, *, now: datetime) -> SignedSample:
    """A sample with its sign-offs, each checked.

    Raises:
        SampleError: A file cannot be read, or was changed.
        SignersFileError, NoSshKeygenError: Signatures cannot be checked.
    """
    drawn = load_sample(path)
    signs = sign_offs_of(settings, drawn, path=path)
    return SignedSample(drawn, check_sign_offs(drawn, signs, terms=decision_terms(settings), now=now))


def sample_now(settings: Settings, plan: FlagPlan, *, now: datetime) -> SampleLook:
    """What the gate of the manual sample says at a time, of the very sample that an enable plan was made with."""
    if plan.sample is None:
        return SampleLook((), "the plan does not say which file it was")
    try:
        held = signed_sample(settings, Path(plan.sample), now=now)
    except RefusedError as error:
        return SampleLook((), f"it cannot be looked at ({error})")
    if held.sample.digest != plan.sample_digest:
        return SampleLook((), f"{plan.sample} is another sample now")
    case = GateCase(plan.safe, GateEvidence(sample=held), settings.values.gates.limits(), now)
    gate = judge_manual_sample(case)
    return SampleLook(gate.evidence, "" if gate.outcome == "pass" else gate.why)


def written_runs(settings: Settings) -> tuple[WrittenRun, ...] | None:
    """Runs that wrote to payments, each with its last write; None where the journal cannot be read."""
    from recon.setup.open_runs import read_journal

    try:
        entries = read_journal(settings)
    except (ConfigError, SourceError, RefusedError):
        return None
    found: dict[str, datetime] = {}
    for each in entries:
        at = parse_iso(each.note.at)
        if each.note.kind == "outcome" and at is not None:
            found[each.note.run] = max(at, found.get(each.note.run, at))
    return tuple(WrittenRun(run, at) for run, at in sorted(found.items()))


def latest_plan(settings: Settings) -> Plan | None:
    """The newest plan of corrections in the run history whose file is still there and whole; None without one."""
    for entry in reversed(load_history(settings.output_dir).entries):
        name = entry.get("plan")
        if entry.get("kind", "correction") != "correction" or not isinstance(name, str):
            continue
        for path in (Path(name), settings.output_dir / name, settings.output_dir / Path(name).name):
            try:
                plan = load_plan(path)
            except PlanFileError:
                continue
            if plan.digest == entry.get("digest"):
                return plan
    return None


def latest_dry_run(settings: Settings) -> DryRun | None:
    """:func:`latest_plan` as evidence."""
    plan = latest_plan(settings)
    return None if plan is None else dry_run_of(plan)


def sample_candidates(
    settings: Settings, provider: str, *, plan_path: Path | None = None, snapshot: Path | None = None
) -> tuple[Plan, list[SampleCandidate]]:
    """Every payment of a rail that a sample may draw, and the plan that judged them.

    The plan knows its breaks; payments in sync come from its snapshot, which is looked for beside it. What no rule
    compared, tests and payments on a chain that is not in scope, no person can sign off.

    Raises:
        NoPlanError, SnapshotMissingError: There is no plan, or not the snapshot that it was made from.
    """
    plan = load_plan(plan_path) if plan_path is not None else latest_plan(settings)
    if plan is None:
        raise NoPlanError
    breaks = {item.payment_id: item for item in plan.findings if item.provider == provider}
    found: list[SampleCandidate] = []
    taken = _snapshot_of(settings, plan, snapshot)
    in_scope = {None, *settings.policy().chain_ids}
    columns = ("payment_id", "provider", "chain_id", "is_test", "expected_units", "decimals", "currency", "tx_hash")
    for row in taken.table("payments").select(list(columns)).to_pylist():
        if row["provider"] == provider and not row["is_test"] and row["chain_id"] in in_scope:
            found.append(_candidate(row, breaks.pop(row["payment_id"], None)))
    # What is left has no row of its own: money or a provider's object that no row knows.
    found += [
        SampleCandidate(
            item.payment_id, item.verdict, item.value_units, item.decimals, item.symbol, item.reason, item.evidence
        )
        for item in breaks.values()
    ]
    return plan, found


def _candidate(row: Mapping[str, Any], finding: Finding | None) -> SampleCandidate:
    recorded = (f"recorded hash {row['tx_hash']}",) if row["tx_hash"] else ()
    units = row["expected_units"]
    return SampleCandidate(
        payment_id=row["payment_id"],
        verdict=finding.verdict if finding else "no_break",
        value_units=None if units is None else int(units),
        decimals=row["decimals"],
        symbol=row["currency"],
        reason=finding.reason if finding else "nothing to do was found",
        evidence=finding.evidence if finding else recorded,
    )


def _snapshot_of(settings: Settings, plan: Plan, path: Path | None) -> Snapshot:
    """The snapshot that a plan was made from, found by its digest among those of the output directory."""
    taken = find_snapshot(settings.output_dir, plan.snapshot) if path is None else open_snapshot(path)
    if taken is None or taken.digest != plan.snapshot:
        raise SnapshotMissingError(plan=plan.digest, snapshot=plan.snapshot)
    return taken
