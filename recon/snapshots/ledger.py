"""The entries of the backend's ledger, read after everything else and sealed with it.

They are read as a scan, in bounded memory. Then the books are judged by what the rows themselves say: what is odd by
that is read again from the primary, whenever it was made, and its order is looked up in the whole collection, for a
deal with rows that nobody read proves nothing. What a payment id that no row of the window has leads to is looked up as
well: only then is it called unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.ledger import LedgerRules
from recon.core.tables import arrow_schema, table_of
from recon.snapshots.sealed import SnapshotWriter, key_table
from recon.sources.interface import Coverage, DocumentStore, Progress, Reading
from recon.sources.ledger.entries import EntryReader, PaymentFacts, payment_named, payment_spellings, spelled_once
from recon.sources.ledger.source import Document, EntrySource
from recon.verdicts.engine import open_engine, usual_engine, usual_memory_bytes
from recon.verdicts.ledger import LedgerTerms, judge_ledger, told_facts

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

    import pyarrow as pa

    from recon.core.registry import Registry

SOURCE: Final = "ledger"
DOUBTFUL_MAX: Final = 20_000
"""Of so many payments, deals and unknown ids, at the most, the books are looked up once more."""
_AT_ONCE: Final = 20_000
_COLUMNS: Final = ("payment_id", "chain_id", "token", "decimals", "currency")


@dataclass(slots=True)
class LedgerStep:
    """Reads the ledger of one snapshot.

    Args:
        store: The payments, to look up what the window does not hold.
        from_ms: Entries are read since then, UTC ms; None reads all of them.
        is_whole: Whether every row of the collection was read, so that no deal has rows elsewhere.
    """

    writer: SnapshotWriter
    entries: EntrySource
    store: DocumentStore
    registry: Registry
    from_ms: int | None
    now_ms: int
    is_whole: bool
    progress: Progress
    _problems: list[str] = field(default_factory=list)
    _unlooked: list[str] = field(default_factory=list)
    _strangers: set[str] = field(default_factory=set)
    _targets: set[str] = field(default_factory=set)
    _read: int = 0

    @property
    def rules(self) -> LedgerRules:
        """By what the entries are judged."""
        return self.entries.mapping.rules

    def read(self) -> Reading:
        """Write ``ledger``, what replaces a part of it, and ``ledger_known``; the account of it all."""
        try:
            for batch in self._batches(self.entries.scan(self.from_ms or 0)):
                self._write(batch)
        except SourceError as error:
            self._problems.append(str(error))
        self.writer.close_stream("ledger")
        if not self._problems:
            self._look_again()
        else:
            self._write_again([], set())
            self.writer.write_rows("ledger_known", [])
        return Reading(coverage=(self._coverage(), *self._lookups()))

    def _batches(self, scanned: Iterable[Sequence[Document]]) -> Iterator[list[Document]]:
        """The documents of a scan, some thousand at a time."""
        held: list[Document] = []
        for part in scanned:
            held.extend(part)
            if len(held) >= _AT_ONCE:
                yield held
                held = []
        if held:
            yield held

    def _write(self, documents: Sequence[Document]) -> None:
        rows = self._rows(documents)
        self._targets |= {row["reverses"] for row in rows if row["reverses"] is not None}
        self.writer.stream("ledger", _batch(rows))
        self._read += len(rows)
        self.progress(SOURCE, self._read, None)

    def _rows(self, documents: Sequence[Document]) -> list[dict[str, Any]]:
        """Documents as rows of the table, with what their payments say."""
        mapping = self.entries.mapping
        known = self._payments(spelled_once(documents, mapping))
        reader = EntryReader(mapping, self.registry)
        rows = []
        for document in documents:
            spelled = payment_named(document, mapping)
            payment = next((known[each] for each in spelled if each in known), None)
            if spelled and payment is None:
                self._strangers.add(spelled[0])
            rows.append(reader.row(document, payment, reach="beside" if payment is None else "window"))
        return rows

    def _payments(self, spelled: Set[str]) -> dict[str, PaymentFacts]:
        """What the payments of the window say, of some ids."""
        found = {}
        for batch in self._found("payment_id", spelled, columns=_COLUMNS):
            for row in batch.to_pylist():
                found[row["payment_id"]] = PaymentFacts(**row)
        return found

    def _found(self, column: str, values: Set[str], *, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of the window with one of some values, as read first and again."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if not values:
            return
        wanted = pa.array(sorted(values), type=pa.string())
        for file in self._payment_files():
            with pq.ParquetFile(file) as table:
                for batch in table.iter_batches(65_536, columns=list(dict.fromkeys((column, *columns)))):
                    kept = batch.filter(pc.is_in(batch[column], wanted))
                    if kept.num_rows:
                        yield pa.Table.from_batches([kept]).select(list(columns))

    def _payment_files(self) -> list[Path]:
        return [self.writer.file(name) for name in ("payments", "again/payments") if self.writer.file(name).exists()]

    def _look_again(self) -> None:
        """Read again what is odd by the rows' own word, and look up what the window does not hold."""
        payments, deals = self._doubtful()
        woken = self._woken()
        again: list[Document] = []
        try:
            spelled = _capped(payments | woken, self._note, what="payments")
            again = list(self.entries.of_payments(_every_spelling(spelled)))
            again += self._old_targets(again)
            known = [*self._known_payments(), *self._known_deals(deals)]
        except SourceError as error:
            self._unlooked.append(str(error))
            again, known, spelled = [], [], set()
        self._write_again(again, spelled)
        self.writer.write_rows("ledger_known", known)

    def _doubtful(self) -> tuple[set[str], set[str]]:
        """The payments and deals whose books are odd beside what their rows say of themselves."""
        rows = self.writer.rows("payments")
        engine = open_engine(usual_engine(rows), memory_bytes=usual_memory_bytes(rows), payments=rows)
        self.writer.write_rows("ledger_known", [])
        try:
            frames = {name: engine.scan([self.writer.file(name)]) for name in ("ledger", "ledger_known", "payments")}
            facts = told_facts(frames["payments"])
            terms = LedgerTerms(self.rules, since_ms=None, taken_ms=self.now_ms + self.rules.grace_ms)
            found = judge_ledger(frames, facts, terms=terms, engine=engine).breaks.to_pylist()
        finally:
            engine.close()
        deals = {row["deal"] for row in found if row["deal"] is not None}
        named = {row["payment_id"] for row in found if row["payment_id"] is not None}
        return named | self._rows_of_deals(deals), deals

    def _rows_of_deals(self, deals: Set[str]) -> set[str]:
        """The payments of the window of some deals."""
        batches = self._found("order_id", deals, columns=("payment_id",))
        return {row for batch in batches for row in batch["payment_id"].to_pylist()}

    def _woken(self) -> set[str]:
        """Payments that only the second reading has: their entries may be older than the scan."""
        import pyarrow.parquet as pq

        file = self.writer.file("again/payments")
        if not file.exists():
            return set()
        ids = set(pq.ParquetFile(file).read(["payment_id"])["payment_id"].to_pylist())
        base = pq.ParquetFile(self.writer.file("payments"))
        for batch in base.iter_batches(65_536, columns=["payment_id"]):
            ids.difference_update(batch["payment_id"].to_pylist())
        return ids

    def _old_targets(self, again: Sequence[Document]) -> list[Document]:
        """Entries that others take back and that are older than the scan."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        wanted = self._targets - {str(payment_id_text(each["_id"])) for each in again}
        if not wanted:
            return []
        table = pq.ParquetFile(self.writer.file("ledger"))
        for batch in table.iter_batches(65_536, columns=["entry_id"]):
            wanted.difference_update(pc.drop_null(batch["entry_id"]).to_pylist())
        return list(self.entries.by_ids(_capped(wanted, self._note, what="reversed entries")))

    def _known_payments(self) -> list[dict[str, Any]]:
        """Which of the payments that entries name, and the window does not hold, are there."""
        asked = _capped(self._strangers, self._note, what="payments of entries")
        found = {str(payment_id_text(each["_id"])) for each in self.store.fetch(sorted(_every_spelling(asked)))}
        return [
            {"kind": "payment", "key": each, "rows": int(bool(found.intersection(_spellings(each))))}
            for each in sorted(asked)
        ]

    def _known_deals(self, deals: Set[str]) -> list[dict[str, Any]]:
        """How many rows outside the window each of the deals in question has."""
        asked = _capped(deals | self._bare_deals(), self._note, what="orders")
        if self.is_whole:
            return [{"kind": "deal", "key": deal, "rows": 0} for deal in sorted(asked)]
        pairs = {
            (deal, str(payment_id_text(document["_id"])))
            for deal, document in self.store.find_claimants("order_id", sorted(asked))
        }
        inside = self._payments({payment for _, payment in pairs})
        beside: dict[str, int] = dict.fromkeys(sorted(asked), 0)
        for deal, payment in pairs:
            beside[deal] += payment not in inside
        return [{"kind": "deal", "key": deal, "rows": rows} for deal, rows in beside.items()]

    def _bare_deals(self) -> set[str]:
        """Deals that are named by entries without a payment."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        found: set[str] = set()
        for batch in pq.ParquetFile(self.writer.file("ledger")).iter_batches(65_536, columns=["payment_id", "deal_id"]):
            bare = batch.filter(pc.and_(pc.is_null(batch["payment_id"]), pc.is_valid(batch["deal_id"])))
            found.update(bare["deal_id"].to_pylist())
        return found

    def _write_again(self, documents: Sequence[Document], payments: Set[str]) -> None:
        """Write what replaces a part of the scan: every entry of these payments, and the old ones that are reversed."""
        rows = self._rows(documents)
        of_them = {row["entry_id"] for row in rows}
        replaced = of_them | {
            entry for batch in self._entries_of(payments) for entry in batch["entry_id"].to_pylist()
        }  # fmt: skip
        mine = {spelling for each in payments for spelling in _spellings(each)}
        for row in rows:
            is_old = self.from_ms is not None and row["payment_id"] not in mine
            row["reach"] = "old" if is_old else row["reach"]
        self.writer.write("again/ledger", table_of("ledger", rows))
        self.writer.write("again/ledger_keys", key_table("ledger", [(each,) for each in replaced]))

    def _entries_of(self, payments: Set[str]) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        wanted = pa.array(sorted(_every_spelling(payments)), type=pa.string())
        for batch in pq.ParquetFile(self.writer.file("ledger")).iter_batches(
            65_536, columns=["entry_id", "payment_id"]
        ):
            yield pa.Table.from_batches([batch.filter(pc.is_in(batch["payment_id"], wanted))])

    def _note(self, said: str) -> None:
        self._unlooked.append(said)

    def _coverage(self) -> Coverage:
        return Coverage(
            source=SOURCE,
            scope="window",
            complete=not self._problems,
            asked_from=self.from_ms,
            asked_to=self.now_ms,
            done_from=None if self._problems else self.from_ms,
            done_to=None if self._problems else self.now_ms,
            items=self._read,
            problem=" ".join(self._problems) or None,
        )

    def _lookups(self) -> tuple[Coverage, ...]:
        """What was not looked up once more, where something was not."""
        if not self._unlooked:
            return ()
        return (Coverage(SOURCE, "lookup", complete=False, problem=" ".join(self._unlooked)),)


def ledger_of(sources: object) -> EntrySource | None:
    """The ledger of a set of sources; None where none is configured."""
    return getattr(sources, "ledger", None)


def _spellings(payment_id: str) -> tuple[str, ...]:
    return payment_spellings(parse_payment_id(payment_id))


def _every_spelling(payment_ids: Iterable[str]) -> set[str]:
    return {spelling for each in payment_ids for spelling in _spellings(each)}


def _capped(values: Set[str], note: Any, *, what: str) -> set[str]:
    """The first of some values, as many as are looked up; that some were left out is noted."""
    if len(values) > DOUBTFUL_MAX:
        note(f"Of {len(values)} {what} that are odd, {DOUBTFUL_MAX} were looked up.")
    return set(sorted(values)[:DOUBTFUL_MAX])


def _batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    table = table_of("ledger", [dict(row) for row in rows])
    if not rows:
        return pa.RecordBatch.from_pylist([], schema=arrow_schema("ledger"))
    return table.combine_chunks().to_batches()[0]
