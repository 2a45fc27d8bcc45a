"""Reading only what can have changed since an earlier snapshot, so that a daily run costs what the day costs.

What is kept of the earlier snapshot, and why that is right:

========= ============================================================================================================
payments  closed rows that were benign and whose ``updatedAt`` is older than the snapshot; every other row is read
          anew, and the database's own count of the older rows must agree, or all are read
claims    objects the provider called paid or refunded a day or more before the snapshot and that got no payment since;
          a provider that cannot be asked for single objects of its bulk reading is read whole
transfers those in blocks that were final: the non-final tail and everything after it is scanned anew, addresses that
          are new are scanned from their first payment on, and the newest kept transaction must still be in its block
========= ============================================================================================================

It rests on the backend moving ``updatedAt`` with every write, on final blocks staying final, and on a provider not
taking back a settled payment without a new one. Whatever cannot be shown to be unchanged is read whole; a full run is
the check of all that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from recon.core.errors import RefusedError
from recon.core.model import OPEN, Policy, Target
from recon.core.tables import arrow_schema
from recon.snapshots.needs import needs_of
from recon.snapshots.sealed import Snapshot
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimSource,
    Coverage,
    DocumentStore,
    Progress,
    Reading,
    Selection,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from recon.sources.payments.read import RowRules

PAYMENTS_OVERLAP_MS: Final = 3_600_000
"""How long before the snapshot was taken a write may have been made that it did not see."""

CLAIMS_OVERLAP_MS: Final = 86_400_000
"""How late a provider may list a payment, and after what time it is taken to have settled."""

KEPT: Final = "kept"
"""The scope of the coverage row that says what was taken from the earlier snapshot."""

ASKED_MIN: Final = 10
"""Up to so many objects are asked for one by one, and more where a whole reading would take more calls than that."""
_OWN_FILTERS: Final = ("providers", "statuses", "ids", "open_only")


class SinceError(RefusedError):
    """A snapshot cannot be the base of an incremental run."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f"{path.name} cannot be built upon: {why}. Leave out --since, which reads everything.")


@runtime_checkable
class ObjectReader(Protocol):
    """A provider that can be asked for what its bulk reading says of single objects."""

    def read_objects(self, claim_ids: Sequence[str], *, from_ms: int, to_ms: int, progress: Progress) -> Reading:
        """Read the payments of these objects within a closed window."""
        ...


class Base:
    """An earlier snapshot that a new one is built upon. Every method gives None for what has to be read whole.

    Args:
        basis: What readings depend on now, :func:`recon.snapshots.unfinished.reading_basis`.
        now_ms: As of when is read now.

    Raises:
        SinceError: It is of another target, was read under another configuration, or is newer than now.
    """

    def __init__(self, snapshot: Snapshot, *, basis: str, target: Target, policy: Policy, now_ms: int) -> None:
        if snapshot.target != target:
            raise SinceError(path=snapshot.path, why="it was taken of another target")
        if snapshot.manifest.get("basis") != basis:
            raise SinceError(path=snapshot.path, why="it was taken by another version or under another configuration")
        if snapshot.taken_at_ms > now_ms:
            raise SinceError(path=snapshot.path, why="it is newer than this run")
        self.snapshot, self.policy, self.now_ms = snapshot, policy, now_ms
        self.taken_at_ms = snapshot.taken_at_ms
        self._needs = needs_of(snapshot.file("payments"), now_ms=self.taken_at_ms, policy=policy)
        self._coverage: list[dict[str, Any]] = snapshot.table("coverage").to_pylist()
        self._gaps: list[dict[str, Any]] = snapshot.table("gaps").to_pylist()

    def payments(
        self, store: DocumentStore, *, selection: Selection, out: Path, rules: RowRules, progress: Progress
    ) -> tuple[Reading, int] | None:
        """Write the payments of a window to ``out``, reading those that may have changed; with how many they are."""
        count = getattr(store, "count", None)
        if count is None or not self._has_window(selection) or not self._whole("payments", ("window",)):
            return None
        with _Tables(self.snapshot) as tables:
            return _Payments(self, tables, selection=selection, out=out).read(store, rules=rules, progress=progress)

    def claims(self, source: ClaimSource, *, from_ms: int, progress: Progress) -> Reading | None:
        """What a provider says: what settled before stays, the last days and what is open are read."""
        window_from = self.taken_at_ms - CLAIMS_OVERLAP_MS
        rows = self._whole(source.name, ("bulk",))
        if not isinstance(source, ObjectReader) or not rows or window_from <= from_ms:
            return None
        if any(row["asked_from"] is None or row["asked_from"] > from_ms for row in rows):
            return None
        with _Tables(self.snapshot) as tables:
            fresh = source.read_window(window_from, self.now_ms, progress=progress)
            asked = tables.claims_to_ask(source.name, fresh.tables["claims"], from_ms=from_ms, window_from=window_from)
            if asked is None:
                return None
            again = source.read_objects(asked, from_ms=from_ms, to_ms=self.now_ms, progress=progress) if asked else None
            known = tables.kept_claims(source.name, asked, from_ms=from_ms, before_ms=window_from)
        return _claims_together(fresh, again, known, asked=asked, from_ms=from_ms)

    def chain(
        self, source: ChainSource, *, question: ChainQuestion, payments: Path, progress: Progress
    ) -> Reading | None:
        """What a chain shows: transfers in blocks that were final stay, the rest is scanned."""
        name = f"chain:{source.chain_id}"
        rows = self._whole(name, ("proxy", "erc20"))
        if not rows or any(row["final_head"] is None or row["asked_from"] is None for row in rows):
            return None
        with _Tables(self.snapshot) as tables:
            last = tables.last_final(source.chain_id, min(row["final_head"] for row in rows))
            first = max(row["asked_from"] for row in rows)
            if last < first:
                return None
            reading = _Chain(tables, question, chain_id=source.chain_id, known=(first, last), head=rows[0]["head"])
            early = self._early(question, payments, asked_before=self._needs.recipients.get(source.chain_id, ()))
            return reading.read(source, early=early, progress=progress)

    def _has_window(self, selection: Selection) -> bool:
        """Whether the earlier snapshot held every payment of this window that was there then."""
        old = self.snapshot.manifest["selection"]
        if selection.date_field != "created" or old["date"] != "created":
            return False
        if any(getattr(selection, name) for name in _OWN_FILTERS) or any(old[name] for name in _OWN_FILTERS):
            return False
        from_at, to_at = (None if old[name] is None else datetime.fromisoformat(old[name]) for name in ("from", "to"))
        if from_at is not None and (selection.from_at is None or from_at > selection.from_at):
            return False
        if to_at is None or (selection.to_at is not None and to_at >= selection.to_at):
            return True
        return to_at.timestamp() * 1000 >= self.taken_at_ms

    def _whole(self, source: str, scopes: Iterable[str]) -> list[dict[str, Any]]:
        """The coverage rows of a source that was read without a gap; none when there is one."""
        rows = [row for row in self._coverage if row["source"] == source and row["scope"] in scopes]
        has_gap = any(gap["source"] == source for gap in self._gaps)
        return [] if has_gap or not all(row["complete"] for row in rows) else rows

    def _early(
        self, question: ChainQuestion, payments: Path, *, asked_before: Sequence[str]
    ) -> tuple[int, tuple[str, ...]] | None:
        """Addresses nobody asked about before, and since when their payments are; None when the scan shows them all."""
        import duckdb

        new = sorted(set(question.recipients) - set(asked_before))
        with duckdb.connect() as connection:
            made = connection.execute(
                "select recipient, min(created_at) from read_parquet($1) "
                "where recipient in (select unnest($2)) group by 1",
                [str(payments), new],
            ).fetchall()
        skew = self.policy.clock_skew_ms
        since = {recipient: question.from_ms if at is None else at - skew for recipient, at in made}
        early = {recipient: since.get(recipient, question.from_ms) for recipient in new}
        early = {recipient: at for recipient, at in early.items() if at < self.taken_at_ms}
        return (max(question.from_ms, min(early.values())), tuple(early)) if early else None


class _Tables:
    """The first reading of a snapshot as DuckDB sees it."""

    def __init__(self, snapshot: Snapshot) -> None:
        import duckdb

        self.snapshot = snapshot
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect()
        for name in ("payments", "claims", "claim_txs", "transfers", "transactions"):
            path = str(snapshot.file(name)).replace("'", "''")
            self.connection.execute(f"create view {name} as select * from read_parquet('{path}')")  # noqa: S608

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def one(self, query: str, *given: Any) -> Any:
        return next(iter(self.column(query, *given)), None)

    def column(self, query: str, *given: Any) -> list[Any]:
        return [row[0] for row in self.connection.execute(query, list(given)).fetchall()]

    def table(self, name: str, query: str, *given: Any) -> pa.Table:
        """A query as one of the tables, columns in order and cast."""
        columns = ", ".join(arrow_schema(name).names)
        found = self.connection.sql(f"select {columns} from ({query})", params=list(given))  # noqa: S608 - fixed names
        made: pa.Table = found.to_arrow_table()
        return made.cast(arrow_schema(name))

    def names(self, name: str, values: Iterable[str]) -> None:
        """A table of one column, ``name``."""
        import pyarrow as pa

        texts = pa.table({"name": pa.array(sorted(set(values)), pa.string())})
        self.connection.register(f"given_{name}", texts)
        self.connection.execute(f"create or replace table {name} as select * from given_{name}")  # noqa: S608
        self.connection.unregister(f"given_{name}")

    def claims_to_ask(self, provider: str, fresh: pa.Table, *, from_ms: int, window_from: int) -> list[str] | None:
        """Objects with payments before the window that may say something else now; None when they are too many.

        Those are objects with new payments, those that had not settled, those whose time nobody knows, and those that
        may have payments on both sides of the beginning of the evidence.
        """
        self.names("fresh", fresh["claim_id"].to_pylist())
        asked = self.column(
            "with txs as (select claim_id, count(*) as many from claim_txs where provider = $1 group by 1) "
            "select distinct c.claim_id from claims c left join txs using (claim_id) "
            "where c.provider = $1 and coalesce(c.created_at, 0) < $2 and not starts_with(c.claim_id, 'payment:') "
            "and (c.claim_id in (select name from fresh) or c.created_at is null "
            "or coalesce(c.state, '') not in ('paid', 'overpaid', 'refunded') "
            "or (c.created_at < $3 and coalesce(txs.many, 0) <> 1)) "
            "order by 1",
            provider, window_from, from_ms,
        )  # fmt: skip
        total = self.one("select count(*) from claims where provider = $1", provider)
        return None if len(asked) > max(ASKED_MIN, total // 100) else asked

    def kept_claims(self, provider: str, asked: Sequence[str], *, from_ms: int, before_ms: int) -> dict[str, pa.Table]:
        """Claims and their transactions that stay as they were."""
        self.names("asked", asked)
        kept = (
            "select claim_id from claims where provider = $1 and created_at >= $2 and created_at < $3 "
            "and claim_id not in (select name from asked)"
        )
        return {
            name: self.table(
                name, f"select * from {name} where provider = $1 and claim_id in ({kept})", provider, from_ms, before_ms  # noqa: S608
            )
            for name in ("claims", "claim_txs")
        }  # fmt: skip

    def last_final(self, chain_id: int, final_head: int) -> int:
        """The last block below which everything was final, the backend's own minimum included."""
        lowest = self.one(
            "select min(block) from transfers where chain_id = $1 and not coalesce(final, false)", chain_id
        )
        return final_head if lowest is None else min(final_head, lowest - 1)


@dataclass(frozen=True, slots=True)
class _Payments:
    """The payments of a window: kept rows, and rows that were read anew."""

    base: Base
    tables: _Tables
    selection: Selection
    out: Path

    def read(self, store: DocumentStore, *, rules: RowRules, progress: Progress) -> tuple[Reading, int] | None:
        if self.tables.one("select count(*) from payments where payment_id is null"):
            return None
        since_ms = self.base.taken_at_ms - max(PAYMENTS_OVERLAP_MS, self.base.policy.clock_skew_ms)
        changed = self._read(store, Selection(from_at=_at(since_ms), date_field="updated"), rules, progress)
        if changed is None:
            return None
        self.tables.connection.execute("create table changed as select * from arriving")
        ids = self._to_ask_again()
        if ids is None:
            return None
        again = self._read(store, Selection(ids=tuple(ids)), rules, progress) if ids else Reading()
        if again is None:
            return None
        self.tables.names("asked_again", ids)
        if ids:
            self.tables.connection.execute(
                "insert into changed select * from arriving where payment_id in (select name from asked_again)"
            )
        kept, rows = self._write()
        if not self._agrees(store, since_ms):
            return None
        return self._account(changed, again, kept=kept, rows=rows, since_ms=since_ms), rows

    def _read(self, store: DocumentStore, selection: Selection, rules: RowRules, progress: Progress) -> Reading | None:
        """Read a selection into ``arriving``; None when it was not read whole."""
        import pyarrow as pa

        from recon.sources.payments.read import read_payments

        connection = self.tables.connection
        connection.execute("create or replace table arriving as select * from payments limit 0")

        def sink(batch: pa.RecordBatch) -> None:
            connection.register("batch", pa.Table.from_batches([batch]))
            connection.execute("insert into arriving by name select * from batch")
            connection.unregister("batch")

        reading = read_payments(store, selection=selection, sink=sink, progress=progress, **rules)
        return reading if all(row.complete for row in reading.coverage) else None

    def _to_ask_again(self) -> list[str] | None:
        """Rows that were open or showed a break, by id; None when reading all is no more work."""
        keys = str(self.base.snapshot.file("again/payments_keys"))
        words = ", ".join(f"'{word}'" for word in OPEN)
        ids = self.tables.column(
            f"select payment_id from payments where status in ({words}) "  # noqa: S608 - our own words
            "union select payment_id from read_parquet($1) "
            "except select payment_id from changed order by 1",
            keys,
        )
        total = self.tables.one("select count(*) from payments")
        return None if len(ids) > max(1_000, total // 2) else ids

    def _window(self) -> str:
        limits = ((">=", self.selection.from_at), ("<", self.selection.to_at))
        parts = [f"created_at {sign} {_ms(at)}" for sign, at in limits if at is not None]
        return f"(created_at is null or ({' and '.join(parts)}))" if parts else "true"

    def _write(self) -> tuple[int, int]:
        """Write the table; how many rows were kept, and how many there are."""
        window, path = self._window(), str(self.out).replace("'", "''")
        kept = (
            f"select * from payments where {window} and payment_id not in (select payment_id from changed) "  # noqa: S608
            "and payment_id not in (select name from asked_again)"
        )
        count = self.tables.one(f"select count(*) from ({kept})")  # noqa: S608
        self.tables.connection.execute(
            f"copy ({kept} union all by name select * from changed where {window}) "  # noqa: S608
            f"to '{path}' (format parquet, compression zstd)"
        )
        return count, self.tables.one("select count(*) from read_parquet($1)", str(self.out))

    def _agrees(self, store: Any, since_ms: int) -> bool:
        """Whether the database has as many older rows as were put together: one that vanished shows here."""
        from recon.core.errors import SourceError

        chosen = self.selection
        edge = _at(since_ms)
        to_at = edge if chosen.to_at is None else min(chosen.to_at, edge)
        if chosen.from_at is not None and chosen.from_at >= to_at:
            return True
        try:
            expected = store.count(Selection(from_at=chosen.from_at, to_at=to_at))
        except SourceError:
            return False
        found = self.tables.one(
            "select count(*) from read_parquet($1) where created_at is null or created_at < $2",
            str(self.out), _ms(to_at),
        )  # fmt: skip
        return bool(expected == found)

    def _account(self, *readings: Reading, kept: int, rows: int, since_ms: int) -> Reading:
        coverage = [row for reading in readings for row in reading.coverage]
        from_ms, to_ms = (None if at is None else _ms(at) for at in (self.selection.from_at, self.selection.to_at))
        window = Coverage(
            source="payments",
            scope="window",
            complete=True,
            asked_from=from_ms,
            asked_to=to_ms,
            done_from=from_ms,
            done_to=to_ms,
            calls=sum(row.calls for row in coverage),
            wire_bytes=sum(row.wire_bytes for row in coverage),
            pages=sum(row.pages for row in coverage),
            items=rows,
        )
        return Reading(coverage=(window, Coverage("payments", KEPT, complete=True, asked_to=since_ms, items=kept)))


def _claims_together(
    fresh: Reading, again: Reading | None, known: Mapping[str, pa.Table], *, asked: Sequence[str], from_ms: int
) -> Reading:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = {name: [known[name]] for name in ("claims", "claim_txs")}
    for name, tables in parts.items():
        table = fresh.tables[name]
        own = pc.is_in(table["claim_id"], value_set=pa.array(asked, pa.string()))
        tables.append(table.filter(pc.invert(own)))
        if again is not None:
            tables.append(again.tables[name])
    row = fresh.coverage[0]
    second = again.coverage[0] if again is not None else None
    problem = row.problem or (second.problem if second else None)
    bulk = replace(
        row,
        asked_from=from_ms,
        done_from=None if problem else from_ms,
        done_to=None if problem else row.done_to,
        complete=problem is None,
        problem=problem,
        calls=row.calls + (second.calls if second else 0),
        wire_bytes=row.wire_bytes + (second.wire_bytes if second else 0),
        pages=row.pages + (second.pages if second else 0),
        items=row.items + (second.items if second else 0),
    )
    before = (row.asked_from or from_ms) - 1
    kept = Coverage(
        row.source, KEPT, complete=True, asked_from=from_ms, asked_to=before, items=known["claims"].num_rows
    )
    gaps = (*fresh.gaps, *(again.gaps if again is not None else ()))
    return Reading({name: pa.concat_tables(tables) for name, tables in parts.items()}, (bulk, kept), gaps)


@dataclass(frozen=True, slots=True)
class _Chain:
    """One chain: what was final is kept, the rest is read."""

    tables: _Tables
    question: ChainQuestion
    chain_id: int
    known: tuple[int, int]
    head: int

    def read(
        self, source: ChainSource, *, early: tuple[int, tuple[str, ...]] | None, progress: Progress
    ) -> Reading | None:
        self._prepare()
        known = {row["tx_hash"]: row for row in self._known_transactions()}
        witness = self._witness()
        open_hashes = [tx_hash for tx_hash in self.question.tx_hashes if tx_hash not in known]
        extra = [witness[0]] if witness and witness[0] not in open_hashes else []
        asked = replace(self.question, tx_hashes=tuple(sorted([*open_hashes, *extra])), known_blocks=self.known)
        reading = source.read(asked, progress=progress)
        scanned = [row for row in reading.coverage if row.scope in ("proxy", "erc20")]
        if any(row.head is None or row.final_head is None or row.asked_from is None for row in scanned) or not scanned:
            return reading if reading.gaps else None
        head, final_head = min(row.head or 0 for row in scanned), min(row.final_head or 0 for row in scanned)
        if final_head < self.known[1] or head < self.head or not _still_there(reading, witness):
            return None
        older = None
        if early is not None:
            older = source.read(ChainQuestion(early[0], recipients=early[1], proxies=False), progress=progress)
        start = max(row.asked_from or 0 for row in scanned)
        return self._together(reading, older, early=early, known=known, extra=extra, place=(start, head, final_head))

    def _prepare(self) -> None:
        """Views of what was kept: transfers that a scan of today's question would show in the known blocks."""
        question = self.question
        self.tables.names("recipients", question.recipients)
        self.tables.names("hashes", question.tx_hashes)
        self.tables.connection.execute(
            "create or replace table scanned as select * from transfers "  # noqa: S608 - whole numbers only
            f"where chain_id = {self.chain_id} and block <= {self.known[1]} and coalesce(final, false) "
            "and (kind not in ('erc20', 'unknown') "
            "or (kind = 'erc20' and recipient in (select name from recipients)))"
        )

    def _witness(self) -> tuple[str, str] | None:
        """The newest kept transaction and its block's hash, which must not have changed."""
        found = self.tables.connection.execute(
            "select tx_hash, block_hash from scanned order by block desc, log_index desc limit 1"
        ).fetchall()
        return (str(found[0][0]), str(found[0][1])) if found else None

    def _known_transactions(self) -> list[dict[str, Any]]:
        """Recorded transactions that are final: as they were answered, or as the kept transfers show them."""
        table = self.tables.table(
            "transactions",
            "with shown as (select tx_hash, min(block) as block, min(block_hash) as block_hash, "
            "min(block_time) as block_time from scanned where block_time >= $3 group by 1), "
            "told as (select t.* from transactions t where t.chain_id = $1 and t.block <= $2 "
            "and coalesce(t.final, false) and t.outcome in ('success', 'reverted') "
            "and t.tx_hash in (select name from hashes) "
            "and (t.sender is not null or t.tx_hash in (select tx_hash from shown))) "
            "select * from told union all by name "
            "select $1 as chain_id, s.tx_hash, 'success' as outcome, s.block, s.block_hash, s.block_time, "
            "null as confirmations, true as final, null as sender, null as error from shown s "
            "where s.tx_hash in (select name from hashes) and s.tx_hash not in (select tx_hash from told)",
            self.chain_id, self.known[1], self.question.from_ms,
        )  # fmt: skip
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _together(
        self,
        reading: Reading,
        older: Reading | None,
        *,
        early: tuple[int, tuple[str, ...]] | None,
        known: Mapping[str, Mapping[str, Any]],
        extra: Sequence[str],
        place: tuple[int, int, int],
    ) -> Reading:
        import pyarrow as pa
        import pyarrow.compute as pc

        start, head, final_head = place
        new = reading.tables["transfers"]
        answered = reading.tables["transactions"]
        for tx_hash in extra:
            new = new.filter(pc.not_equal(new["tx_hash"], tx_hash))
            answered = answered.filter(pc.not_equal(answered["tx_hash"], tx_hash))
        if older is not None and early is not None:
            mine = pc.is_in(older.tables["transfers"]["recipient"], value_set=pa.array(early[1], pa.string()))
            before = pc.less_equal(older.tables["transfers"]["block"], self.known[1])
            new = pa.concat_tables([new, older.tables["transfers"].filter(pc.and_(mine, before))])
        kept = self._kept_transfers(new, known, place=place)
        placed = [
            {**row, "confirmations": max(1, head + 1 - row["block"]), "final": row["block"] <= final_head}
            for row in known.values()
        ]
        told = pa.Table.from_pylist(placed, schema=arrow_schema("transactions"))
        row = Coverage(
            reading.coverage[0].source,
            KEPT,
            complete=True,
            chain_id=self.chain_id,
            unit="block",
            asked_from=start,
            asked_to=self.known[1],
            items=kept.num_rows,
        )
        return Reading(
            tables={"transfers": pa.concat_tables([kept, new]), "transactions": pa.concat_tables([told, answered])},
            coverage=(*_with_older(reading.coverage, older), row),
            gaps=(*reading.gaps, *(older.gaps if older is not None else ())),
        )

    def _kept_transfers(
        self, new: pa.Table, known: Mapping[str, Mapping[str, Any]], *, place: tuple[int, int, int]
    ) -> pa.Table:
        """Transfers of known blocks: what a scan shows, and what was in receipts that a scan does not show."""
        start, head, final_head = place
        self.tables.connection.register("new_rows", new.select(["tx_hash", "log_index"]))
        self.tables.names("receipts", [tx_hash for tx_hash, row in known.items() if row["sender"] is not None])
        columns = ", ".join(
            {
                "confirmations": f"greatest(1, {head} + 1 - block) as confirmations",
                "final": f"block <= {final_head} as final",
            }.get(name, name)
            for name in arrow_schema("transfers").names
        )
        return self.tables.table(
            "transfers",
            f"select {columns} from ("  # noqa: S608 - whole numbers and our own names only
            f"select * from scanned where block >= {start} union all "
            f"select t.* from transfers t where t.chain_id = {self.chain_id} and t.block <= {self.known[1]} "
            "and coalesce(t.final, false) and t.tx_hash in (select name from receipts) "
            f"and t.tx_hash not in (select tx_hash from scanned where block >= {start})) k "
            "where not exists (select 1 from new_rows n where n.tx_hash = k.tx_hash and n.log_index = k.log_index)",
        )


def _still_there(reading: Reading, witness: tuple[str, str] | None) -> bool:
    """Whether the newest kept transaction is in the block it was in; one that could not be asked about counts."""
    if witness is None:
        return True
    table = reading.tables["transactions"]
    for row in table.select(["tx_hash", "outcome", "block_hash"]).to_pylist():
        if row["tx_hash"] == witness[0]:
            return row["outcome"] == "failed" or (row["outcome"], row["block_hash"]) == ("success", witness[1])
    return False


def _with_older(coverage: Sequence[Coverage], older: Reading | None) -> list[Coverage]:
    """The coverage of the scan, with what the scan of new addresses cost and missed."""
    rows = list(coverage)
    for extra in older.coverage if older is not None else ():
        for index, row in enumerate(rows):
            if row.scope == extra.scope:
                rows[index] = replace(
                    row,
                    calls=row.calls + extra.calls,
                    wire_bytes=row.wire_bytes + extra.wire_bytes,
                    pages=row.pages + extra.pages,
                    items=row.items + extra.items,
                    complete=row.complete and extra.complete,
                    problem=row.problem or extra.problem,
                )
    return rows


def _at(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, UTC)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
