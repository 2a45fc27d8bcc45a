"""Taking a snapshot: all sources at once, then the breaks a second time, then the seal.

The window selects payments; the evidence runs from the oldest selected payment (less clock skew) to now, whatever
the end of the window is. A source that fails in part leaves a gap and the rest goes on; a wrong source stops the
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.errors import SourceError
from recon.core.model import Policy, Target
from recon.core.tables import table_of, with_every_column
from recon.core.times import to_ms
from recon.snapshots.address import Export
from recon.snapshots.further_keys import keys_in_file
from recon.snapshots.ledger import LedgerStep, ledger_of
from recon.snapshots.needs import Needs, needs_of
from recon.snapshots.orphans import tables_in
from recon.snapshots.rules import RULES, rules_json
from recon.snapshots.sealed import Snapshot, SnapshotWriter, empty_tables, open_snapshot, writing_to
from recon.snapshots.second_reading import SecondReading
from recon.snapshots.since import Base
from recon.snapshots.unfinished import Unfinished, reading_basis
from recon.snapshots.wallets import WALLET_TABLES, WalletReader
from recon.snapshots.watched import NOTHING_WATCHED, watched_rows
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimSource,
    Coverage,
    DeliverySource,
    DocumentStore,
    Gap,
    Progress,
    Reading,
    Selection,
    no_progress,
)
from recon.sources.spans import span
from recon.verdicts.engine import open_engine, usual_engine, usual_memory_bytes
from recon.verdicts.judge import find_leads, horizon_of
from recon.verdicts.reach import FOREVER_MS

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.sources.payments.fields import FieldPaths
    from recon.sources.payments.read import RowRules

__all__ = ["Snapshot", "SourceSet", "open_snapshot", "take_snapshot"]


SILENT_MAX: Final = 200
"""Open payments that a bulk list does not show are asked for one by one, the newest of them; at Request Network's five
calls a second that takes 40 s. The others rest on the list alone."""

_Job = Callable[[], Reading]
_CHAIN_TABLES: Final = ("transfers", "transactions")
_CLAIM_TABLES: Final = ("claims", "claim_txs")


class SourceSet(Protocol):
    """What a snapshot reads from; ``recon.setup.open_sources`` builds one from the configuration."""

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
    def deliveries(self) -> DeliverySource | None:
        """Kept webhook deliveries, or None where nobody says where they are."""
        ...

    @property
    def target_name(self) -> str:
        """The name the user gave this target."""
        ...

    @property
    def provider_accounts(self) -> Sequence[str]:
        """``provider:account`` of every provider in scope."""
        ...


def take_snapshot(
    sources: SourceSet,
    *,
    selection: Selection,
    policy: Policy,
    registry: Registry,
    now: datetime,
    out: Path,
    progress: Progress = no_progress,
    since: Snapshot | None = None,
    export: Export | None = None,
) -> Snapshot:
    """Read everything a judgement of the selection needs and seal it in ``out``.

    An interrupted reading is continued when the same is asked for with the same ``out``: what was read whole is used
    again, and the moment of the first beginning stays the moment of the snapshot. A window that counts from now has to
    count from that one: :func:`recon.snapshots.unfinished.unfinished_now` gives it.

    Args:
        since: An earlier snapshot: only what can have changed since is read, the rest is taken from it
            (:mod:`recon.snapshots.since`).
        export: Where the snapshot is written a second time, in parts by chain and day (:mod:`recon.snapshots.address`).

    Raises:
        WrongSourceError: A source is not the one that was meant. The directory is left without a manifest.
        SnapshotExistsError: ``out`` is not empty.
        SinceError: ``since`` is of another target or configuration.
        AddressError: The address of ``export`` cannot be written. What was read is kept and can be continued.
        OtherRunError: ``out`` holds the beginning of another reading.
        SnapshotWriteError: The disk is full, or ``out`` cannot be written. The directory is left without a manifest.
    """
    target = target_of(sources, policy=policy, registry=registry)
    chosen = _selection_json(selection)
    basis = reading_basis(policy=policy, registry=registry, fields=sources.fields)
    identity = {"window": chosen, "target": asdict(target), "configuration": basis}
    if wallets := wallets_of(sources):
        identity["known wallets"] = list(wallets)
    base = None
    if since is not None:
        identity["snapshot to build upon"] = since.digest
        base = Base(since, basis=basis, target=target, policy=policy, registry=registry, now_ms=to_ms(now))
    with writing_to(out):
        taking = _Taking(
            sources,
            kept=Unfinished(out, identity=identity, now=now),
            base=base,
            selection=selection,
            rules={"fields": sources.fields, "registry": registry, "policy": policy},
            progress=progress,
        )
        writer, readings = taking.read()
        coverage = [row for reading in readings for row in reading.coverage]
        writer.write_rows("coverage", [asdict(row) for row in sorted(coverage, key=_coverage_order)])
        gaps = [row for reading in readings for row in reading.gaps]
        writer.write_rows("gaps", [asdict(row) for row in gaps])
        parts = None if export is None else export.write_tables(writer)
        noted = {
            "basis": basis,
            "fields": sources.fields.texts(),
            "since": since.digest if since is not None else None,
            "parts": parts,
            "ledger": taking.books,
            RULES: rules_json(policy, registry=registry),
        }
        sealed = writer.seal(taken_at=taking.now, target=target, selection=chosen, policy=policy, **noted)
        taking.kept.clear()
        if export is not None:
            export.finish(sealed)
        return sealed


class _Taking:
    """One snapshot in the making."""

    def __init__(
        self,
        sources: SourceSet,
        *,
        kept: Unfinished,
        base: Base | None,
        selection: Selection,
        rules: RowRules,
        progress: Progress,
    ) -> None:
        self.sources, self.kept, self.base = sources, kept, base
        self.selection, self.rules, self.progress = selection, rules, progress
        self.policy = rules["policy"]
        self.now = kept.now
        self.now_ms = to_ms(self.now)
        self.writer = SnapshotWriter(kept.path, is_continued=True)
        self.watched = NOTHING_WATCHED
        self.books: Mapping[str, Any] | None = None

    @property
    def is_window(self) -> bool:
        """Whether the selection is a stretch of time, and not chosen payments."""
        chosen = self.selection
        return not (chosen.ids or chosen.statuses or chosen.open_only)

    @property
    def wallets(self) -> tuple[str, ...]:
        """The known wallets whose balances are read; only a stretch of time has an opening and a closing one."""
        return wallets_of(self.sources) if self.is_window else ()

    def read(self) -> tuple[SnapshotWriter, list[Reading]]:
        """Both readings; every table is written but coverage and gaps."""
        writer = self.writer
        paid = self._payments()
        if self.is_window:
            self.watched = watched_rows(self.sources.store, selection=self.selection, rules=self.rules)
        from_at = self.selection.from_at
        needs = needs_of(
            writer.file("payments"),
            now_ms=self.now_ms,
            policy=self.policy,
            registry=self.rules["registry"],
            window_from_ms=None if from_at is None else to_ms(from_at),
            watched=self.watched,
        )
        watching = Reading(coverage=self.watched.coverage)
        first = [paid, watching, *self._read_all(needs), _unread(self.sources, needs, policy=self.policy)]
        if self.wallets:
            first.append(self._wallet_reader().unread(set(self.policy.chain_ids) - _readable(self.sources)))
        for name in (*_CLAIM_TABLES, *_CHAIN_TABLES, *(WALLET_TABLES if self.wallets else ()), "deliveries"):
            writer.write(name, _joined(name, first))
        empty_tables(writer, "context", "orphans", "documents")
        writer.write_rows("keys", keys_in_file(writer.file("payments")))
        again = self._read_again(first, from_ms=needs.from_ms)
        return writer, [*first, again, *self._ledger(needs.from_ms)]

    def _ledger(self, from_ms: int) -> list[Reading]:
        """The entries of the backend's ledger, where one is configured."""
        entries = ledger_of(self.sources)
        if entries is None:
            return []
        self.books = {"rules": entries.mapping.rules.to_json(), "since_ms": self._since(from_ms)}
        step = LedgerStep(
            self.writer,
            entries,
            self.sources.store,
            registry=self.rules["registry"],
            from_ms=self._since(from_ms),
            now_ms=self.now_ms,
            is_whole=self.selection == Selection(),
            progress=self.progress,
        )
        return [step.read()]

    def _since(self, from_ms: int) -> int | None:
        """Since when entries are read; None for all of them, where every payment is read."""
        return None if self.selection == Selection() else from_ms

    def _payments(self) -> Reading:
        with span("read", source="payments"):
            return self._rows()

    def _rows(self) -> Reading:
        from recon.sources.payments.read import read_payments

        done = self.kept.part("payments")
        if done is not None:
            self.writer.count("payments", self.kept.rows("payments", "payments"))
            return done
        reading = self._changed_payments()
        if reading is None:
            reading = read_payments(
                self.sources.store,
                selection=self.selection,
                sink=self.writer.stream_payments,
                progress=self.progress,
                **self.rules,
            )
            self.writer.close_payments()
        self._keep("payments", reading, placed={"payments": self.writer.rows("payments")})
        return reading

    def _changed_payments(self) -> Reading | None:
        if self.base is None:
            return None
        read = self.base.payments(
            self.sources.store,
            selection=self.selection,
            out=self.writer.file("payments"),
            rules=self.rules,
            progress=self.progress,
        )
        if read is None:
            return None
        self.writer.count("payments", read[1])
        return read[0]

    def _keep(self, part: str, reading: Reading, *, placed: Mapping[str, int] | None = None) -> None:
        """Keep a part for a run that goes on after an interruption; what has a gap is better read again."""
        if all(row.complete for row in reading.coverage):
            self.kept.keep(part, reading, placed=placed)

    def _once(self, part: str, job: _Job) -> _Job:
        """A job whose part is read only where no run before read it whole."""

        def run() -> Reading:
            reading = self.kept.part(part)
            if reading is None:
                with span("read", source=part):
                    reading = job()
                self._keep(part, reading)
            return reading

        return run

    def _read_all(self, needs: Needs) -> list[Reading]:
        """Ask all providers and chains at the same time; one that breaks off leaves a gap over all it was asked."""
        jobs: list[_Job] = []
        for claim in self.sources.claims:
            jobs.append(self._once(f"claims:{claim.name}", self._claim_job(claim, needs.from_ms)))
        for chain in self.sources.chains:
            question = ChainQuestion(
                from_ms=needs.from_ms,
                recipients=needs.recipients.get(chain.chain_id, ()),
                tx_hashes=needs.hashes.get(chain.chain_id, ()),
            )
            scan = self._once(f"chain:{chain.chain_id}", self._chain_job(chain, question))
            jobs.append(self._with_balances(chain, scan, from_ms=needs.from_ms) if self.wallets else scan)
        kept = self.sources.deliveries
        if kept is not None:
            read = partial(kept.read_window, needs.from_ms, self.now_ms, progress=self.progress)
            jobs.append(self._once("deliveries", read))
        if not jobs:
            return []
        with ThreadPoolExecutor(max_workers=len(jobs), thread_name_prefix="source") as pool:
            return [job.result() for job in [pool.submit(run) for run in jobs]]

    def _claim_job(self, source: ClaimSource, from_ms: int) -> _Job:
        to_ms = self.now_ms

        def run() -> Reading:
            try:
                known = self.base and self.base.claims(source, from_ms=from_ms, progress=self.progress)
                return known or source.read_window(from_ms, to_ms, progress=self.progress)
            except SourceError as error:
                said = str(error)
                row = Coverage(source.name, "bulk", complete=False, asked_from=from_ms, asked_to=to_ms, problem=said)
                return Reading(coverage=(row,), gaps=(Gap(source.name, "bulk", from_ms, to_ms, said),))

        return run

    def _with_balances(self, source: ChainSource, scan: _Job, *, from_ms: int) -> _Job:
        """What known wallets held, then the scan, both in one thread: what moved by then is in the scan, too."""
        reader = self._wallet_reader()
        balances = self._once(f"balances:{source.chain_id}", lambda: reader.read(source, from_ms=from_ms))

        def run() -> Reading:
            held, read = balances(), scan()
            tables = {**read.tables, **held.tables}
            return replace(read, tables=tables, coverage=(*read.coverage, *held.coverage))

        return run

    def _wallet_reader(self) -> WalletReader:
        to_at = self.selection.to_at
        until = None if to_at is None or to_ms(to_at) >= self.now_ms else to_ms(to_at)
        return WalletReader(self.wallets, until, self.rules["registry"], self.progress)

    def _chain_job(self, source: ChainSource, question: ChainQuestion) -> _Job:
        name, payments = f"chain:{source.chain_id}", self.writer.file("payments")

        def run() -> Reading:
            try:
                known = self.base and self.base.chain(
                    source, question=question, payments=payments, progress=self.progress
                )
                return known or source.read(question, progress=self.progress)
            except SourceError as error:
                said = str(error)
                rows = tuple(
                    Coverage(name, scope, complete=False, chain_id=source.chain_id, problem=said)
                    for scope in ("proxy", "erc20", "receipts")
                )
                gaps = tuple(
                    Gap(name, scope, question.from_ms, self.now_ms, said, chain_id=source.chain_id)
                    for scope in ("proxy", "erc20")
                )
                return Reading(coverage=rows, gaps=gaps)

        return run

    def _span(self, from_ms: int) -> tuple[int, int]:
        """The window as times, UTC ms; one without a start begins where the evidence does."""
        chosen = self.selection
        start = from_ms if chosen.from_at is None else to_ms(chosen.from_at)
        end = self.now_ms if chosen.to_at is None else to_ms(chosen.to_at)
        return start, min(end, self.now_ms)

    def _read_again(self, first: Sequence[Reading], *, from_ms: int) -> Reading:
        """Judge the first reading, and read what shows a break once more."""
        writer, policy = self.writer, self.policy
        coverage = [asdict(row) for reading in first for row in reading.coverage]
        gaps = [asdict(row) for reading in first for row in reading.gaps]
        horizon = horizon_of(coverage, gaps, now_ms=self.now_ms)
        rows = writer.rows("payments")
        engine = open_engine(usual_engine(rows), memory_bytes=usual_memory_bytes(rows), payments=rows)
        try:
            names = ("payments", "keys", "context", "claims", "claim_txs", "transfers", "transactions")
            frames = {name: engine.scan([writer.file(name)]) for name in names}
            leads = find_leads(frames, engine, horizon=horizon, policy=policy, silent_max=SILENT_MAX)
        finally:
            engine.close()
        second = SecondReading(
            self.sources,
            policy=policy,
            registry=self.rules["registry"],
            now_ms=self.now_ms,
            progress=self.progress,
            selection=self.selection,
        )
        return second.read(
            writer,
            leads,
            span=self._span(from_ms),
            with_orphans=self.is_window,
            watched=self.watched,
            from_ms=from_ms,
        )


def wallets_of(sources: SourceSet) -> tuple[str, ...]:
    """The known wallets of a set of sources; one that names none has none."""
    return tuple(getattr(sources, "wallets", ()))


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


def _readable(sources: SourceSet) -> set[int]:
    """The chains that are asked."""
    return {chain.chain_id for chain in sources.chains}


def _unread(sources: SourceSet, needs: Needs, *, policy: Policy) -> Reading:
    """Account for chains in scope that carry payments of the window and that nobody can be asked about."""
    trusted = set(policy.provider_proves)
    asked = {chain_id for provider, chain_id in needs.rails if f"{provider}:{chain_id}" not in trusted}
    wanted = (asked & set(policy.chain_ids)) - _readable(sources)
    said = "no endpoint is configured for this chain"
    return Reading(
        coverage=tuple(
            Coverage(f"chain:{chain_id}", "proxy", complete=False, chain_id=chain_id, unit="block", problem=said)
            for chain_id in sorted(wanted)
        ),
        gaps=tuple(
            Gap(f"chain:{chain_id}", scope, needs.from_ms, FOREVER_MS, said, chain_id=chain_id)
            for chain_id in sorted(wanted)
            for scope in ("proxy", "erc20")
        ),
    )


def _joined(name: str, readings: Iterable[Reading]) -> Any:
    import pyarrow as pa

    tables = (with_every_column(table, name) for table in tables_in(readings, name))
    return pa.concat_tables([table_of(name, []), *tables])


def _coverage_order(row: Coverage) -> tuple[str, str, int]:
    return row.source, row.scope, row.asked_from or 0
