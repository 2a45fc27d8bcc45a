"""Taking a snapshot: all sources at once, then the breaks a second time, then the seal.

The window selects payments; the evidence runs from the oldest selected payment (less clock skew) to now, whatever
the end of the window is. A source that fails in part leaves a gap and the rest goes on; a wrong source stops the
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.engine import open_engine
from recon.errors import SourceError
from recon.judge import horizon_of, judge
from recon.model import Policy, Target
from recon.reread import SecondReading
from recon.sealed import Snapshot, SnapshotWriter, empty_tables, open_snapshot
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimSource,
    Coverage,
    DocumentStore,
    Gap,
    Progress,
    Reading,
    Selection,
    no_progress,
)
from recon.tables import table_of

if TYPE_CHECKING:
    from recon.registry import Registry
    from recon.sources.fields import FieldPaths

__all__ = ["Snapshot", "SourceSet", "open_snapshot", "take_snapshot"]

_FOREVER_MS: Final = 2**53
SMALL_ROWS: Final = 250_000
"""Up to so many payments the first judgement runs in memory on Polars, which starts faster; past that on DuckDB."""

_CHAIN_TABLES: Final = ("transfers", "transactions")
_CLAIM_TABLES: Final = ("claims", "claim_txs")


class SourceSet(Protocol):
    """What a snapshot reads from; ``recon.opening`` builds one from the configuration."""

    @property
    def store(self) -> DocumentStore:
        """The payment documents."""
        ...

    @property
    def fields(self) -> FieldPaths:
        """Where each logical field is found in a document."""
        ...

    @property
    def claims(self) -> Sequence[ClaimSource]:
        """The providers in scope."""
        ...

    @property
    def chains(self) -> Sequence[ChainSource]:
        """The chains in scope that can be read."""
        ...

    @property
    def target_name(self) -> str:
        """The name the user gave this target."""
        ...

    @property
    def provider_accounts(self) -> Sequence[str]:
        """``provider:account`` of every provider in scope."""
        ...


@dataclass(frozen=True, slots=True)
class _Needs:
    """What the selected payments need of the chains."""

    from_ms: int
    recipients: Mapping[int, tuple[str, ...]]
    hashes: Mapping[int, tuple[str, ...]]
    chain_ids: frozenset[int]


def take_snapshot(
    sources: SourceSet,
    *,
    selection: Selection,
    policy: Policy,
    registry: Registry,
    now: datetime,
    out: Path,
    progress: Progress = no_progress,
) -> Snapshot:
    """Read everything a judgement of the selection needs and seal it in ``out``.

    Raises:
        WrongSourceError: A source is not the one that was meant. The directory is left without a manifest.
        SnapshotExistsError: ``out`` is not empty.
    """
    from recon.sources.payments import read_payments

    writer = SnapshotWriter(out)
    target = target_of(sources, policy=policy, registry=registry)
    paid = read_payments(
        sources.store,
        selection=selection,
        sink=writer.stream_payments,
        progress=progress,
        fields=sources.fields,
        registry=registry,
        policy=policy,
    )
    writer.close_payments()
    now_ms = round(now.timestamp() * 1000)
    needs = _needs_of(writer.file("payments"), now_ms=now_ms, policy=policy)
    readings = _read_all(sources, needs, now_ms=now_ms, progress=progress)
    first = [paid, *readings, _unread(sources, needs, policy=policy)]
    for name in (*_CLAIM_TABLES, *_CHAIN_TABLES, "deliveries"):
        writer.write(name, _joined(name, first))
    empty_tables(writer, "context", "orphans", "documents")
    second = SecondReading(sources, policy=policy, registry=registry, now_ms=now_ms, progress=progress)
    again = _read_again(writer, second, first, selection=selection, policy=policy, now_ms=now_ms)
    coverage = [row for reading in (*first, again) for row in reading.coverage]
    writer.write_rows("coverage", [asdict(row) for row in sorted(coverage, key=_coverage_order)])
    gaps = [row for reading in (*first, again) for row in reading.gaps]
    writer.write_rows("gaps", [asdict(row) for row in gaps])
    return writer.seal(taken_at=now, target=target, selection=_selection_json(selection), policy=policy)


def target_of(sources: SourceSet, *, policy: Policy, registry: Registry) -> Target:
    """The identity of what is read: names a person knows and what a renamed copy does not share."""
    identity = sources.store.identity()
    proxies = [
        f"{emitter.chain_id}:{emitter.address}"
        for chain_id in policy.chain_ids
        for emitter in registry.emitters_of(chain_id, kind="fee_proxy")
    ]
    return Target(
        name=sources.target_name,
        hosts=identity.hosts,
        database=identity.database,
        collection=identity.collection,
        collection_uuid=identity.collection_uuid,
        chain_ids=tuple(sorted(policy.chain_ids)),
        proxies=tuple(sorted(proxies)),
        provider_accounts=tuple(sorted(sources.provider_accounts)),
    )


def _selection_json(selection: Selection) -> dict[str, Any]:
    return {
        "from": selection.from_at.isoformat() if selection.from_at else None,
        "to": selection.to_at.isoformat() if selection.to_at else None,
        "date": selection.date_field,
        "providers": list(selection.providers),
        "statuses": list(selection.statuses),
        "ids": list(selection.ids),
        "open_only": selection.open_only,
    }


def _needs_of(payments: Path, *, now_ms: int, policy: Policy) -> _Needs:
    """Scan the few columns that say what to ask the chains for."""
    import duckdb

    connection = duckdb.connect()
    rows = connection.read_parquet(str(payments))
    scoped = rows.filter("created_at is not null")
    found = scoped.aggregate("min(created_at)").fetchall()[0][0]
    deposits = rows.filter("is_deposit and recipient is not null").select("chain_id, recipient, status")
    hashes = rows.filter("tx_hash is not null").select("chain_id, tx_hash").distinct().fetchall()
    chain_ids = frozenset(row[0] for row in rows.select("chain_id").distinct().fetchall())
    own = deposits.select("chain_id, recipient").distinct().fetchall()
    waiting = deposits.filter("status in ('pending', 'processing')").select("recipient").distinct().fetchall()
    connection.close()
    merchants = set(policy.merchant_recipients)
    anywhere = merchants | {address for (address,) in waiting}
    recipients = {
        chain: tuple(sorted(anywhere | {address for chain_id, address in own if chain_id == chain}))
        for chain in policy.chain_ids
    }
    named = {chain: tuple(sorted(tx for chain_id, tx in hashes if chain_id == chain)) for chain in policy.chain_ids}
    oldest = min(found, now_ms) if found is not None else now_ms
    return _Needs(oldest - policy.clock_skew_ms, recipients=recipients, hashes=named, chain_ids=chain_ids)


def _read_all(sources: SourceSet, needs: _Needs, *, now_ms: int, progress: Progress) -> list[Reading]:
    """Ask all providers and chains at the same time; one that breaks off leaves a gap over everything it was asked."""
    jobs: list[Callable[[], Reading]] = []
    for claim in sources.claims:
        jobs.append(_claim_job(claim, needs.from_ms, now_ms, progress))
    for chain in sources.chains:
        question = ChainQuestion(
            from_ms=needs.from_ms,
            recipients=needs.recipients.get(chain.chain_id, ()),
            tx_hashes=needs.hashes.get(chain.chain_id, ()),
        )
        jobs.append(_chain_job(chain, question, now_ms, progress))
    if not jobs:
        return []
    with ThreadPoolExecutor(max_workers=len(jobs), thread_name_prefix="source") as pool:
        return [job.result() for job in [pool.submit(job) for job in jobs]]


def _unread(sources: SourceSet, needs: _Needs, *, policy: Policy) -> Reading:
    """Account for chains in scope that carry payments of the window and that nobody can be asked about."""
    trusted = {int(rail.partition(":")[2]) for rail in policy.provider_proves}
    wanted = (needs.chain_ids & set(policy.chain_ids)) - {chain.chain_id for chain in sources.chains} - trusted
    said = "no endpoint is configured for this chain"
    return Reading(
        coverage=tuple(
            Coverage(f"chain:{chain_id}", "proxy", complete=False, chain_id=chain_id, unit="block", problem=said)
            for chain_id in sorted(wanted)
        ),
        gaps=tuple(
            Gap(f"chain:{chain_id}", scope, needs.from_ms, _FOREVER_MS, said, chain_id=chain_id)
            for chain_id in sorted(wanted)
            for scope in ("proxy", "erc20")
        ),
    )


def _claim_job(source: ClaimSource, from_ms: int, to_ms: int, progress: Progress) -> Callable[[], Reading]:
    def run() -> Reading:
        try:
            return source.read_window(from_ms, to_ms, progress=progress)
        except SourceError as error:
            row = Coverage(source.name, "bulk", complete=False, asked_from=from_ms, asked_to=to_ms, problem=str(error))
            return Reading(coverage=(row,), gaps=(Gap(source.name, "bulk", from_ms, to_ms, str(error)),))

    return run


def _chain_job(source: ChainSource, question: ChainQuestion, now_ms: int, progress: Progress) -> Callable[[], Reading]:
    name = f"chain:{source.chain_id}"

    def run() -> Reading:
        try:
            return source.read(question, progress=progress)
        except SourceError as error:
            said = str(error)
            rows = tuple(
                Coverage(name, scope, complete=False, chain_id=source.chain_id, problem=said)
                for scope in ("proxy", "erc20", "receipts")
            )
            gaps = tuple(
                Gap(name, scope, question.from_ms, now_ms, said, chain_id=source.chain_id)
                for scope in ("proxy", "erc20")
            )
            return Reading(coverage=rows, gaps=gaps)

    return run


def _joined(name: str, readings: Iterable[Reading]) -> Any:
    import pyarrow as pa

    tables = [reading.tables[name] for reading in readings if name in reading.tables]
    return pa.concat_tables([table_of(name, []), *tables])


def _read_again(
    writer: SnapshotWriter,
    second: SecondReading,
    first: Sequence[Reading],
    *,
    selection: Selection,
    policy: Policy,
    now_ms: int,
) -> Reading:
    """Judge the first reading, and read what shows a break once more."""
    coverage = [asdict(row) for reading in first for row in reading.coverage]
    gaps = [asdict(row) for reading in first for row in reading.gaps]
    horizon = horizon_of(coverage, gaps, now_ms=now_ms)
    paid_rows = sum(row.items for row in first[0].coverage)
    engine = open_engine("polars" if paid_rows <= SMALL_ROWS else "duckdb")
    try:
        names = ("payments", "context", "claims", "claim_txs", "transfers", "transactions")
        frames = {name: engine.scan([writer.file(name)]) for name in names}
        judgement = judge(frames, engine, horizon=horizon, policy=policy)
    finally:
        engine.close()
    is_window = not (selection.ids or selection.statuses or selection.open_only)
    return second.read(writer, judgement, with_orphans=is_window)


def _coverage_order(row: Coverage) -> tuple[str, str, int]:
    return row.source, row.scope, row.asked_from or 0
