"""Payment documents → the payments table, from MongoDB, a list or anything else that can scan.

>>> from recon.core.registry import load_registry
>>> store = ListStore([{"_id": "a", "status": "pending", "amount": {"amount": 12.5, "currency": "USDC"},
...                     "blockchain": {"network": "base"}}])
>>> rows = payment_rows(store.documents, fields=FieldPaths(), registry=load_registry(), policy=Policy())
>>> rows["expected_units"].to_pylist(), rows["problem"].to_pylist()
([Decimal('12500000')], ['date_unreadable'])
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from recon.core import ids
from recon.core.errors import SourceError
from recon.core.model import COMPLETE, Policy
from recon.core.registry import Registry, load_registry
from recon.core.text import count_text
from recon.sources.interface import (
    Coverage,
    DocumentStore,
    Gap,
    Progress,
    Reading,
    Selection,
    StoreIdentity,
    no_progress,
)
from recon.sources.payments.bson_walk import RawBatch, RawDocument
from recon.sources.payments.documents import DocumentReader, document_text, milliseconds
from recon.sources.payments.fields import FieldPaths, project
from recon.sources.payments.filters import claim_keys, stored_claim_key
from recon.sources.payments.mongo import MongoSettings, MongoStore
from recon.sources.payments.selecting import inside, selected_by

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FieldPaths",
    "ListStore",
    "MongoSettings",
    "MongoStore",
    "RowRules",
    "document_text",
    "payment_rows",
    "read_payments",
]

SOURCE: Final = "payments"
"""The name of this source in coverage and gaps."""

LIST_BATCH: Final = 5_000
"""Documents per batch of a :class:`ListStore`."""

COLUMNS_FROM: Final = 50
"""From so many documents on, encoding them to be read by columns costs less than reading them one by one."""

_LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: the end of a window that has none."""


def payment_rows(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, registry: Registry, policy: Policy
) -> pa.RecordBatch:
    """Turn documents into rows of :data:`recon.core.tables.PAYMENTS`, one row each, in the given order."""
    reader = DocumentReader(fields=fields, registry=registry, policy=policy)
    raw = documents if isinstance(documents, RawBatch) else _encoded(documents)
    if raw is not None and len(raw):
        rows = _raw_rows(raw, fields, reader)
    else:
        rows = _batch([reader.row(document) for document in documents])
    return rows if fields.of("escrow_state") else _with_implied_escrow(rows)


def _with_implied_escrow(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of a backend without an escrow: where the money is follows from the status alone."""
    import pyarrow as pa

    pairs = zip(rows["direction"].to_pylist(), rows["status"].to_pylist(), strict=True)
    implied = pa.array([escrow_implied(direction, status) for direction, status in pairs], pa.string())
    return rows.set_column(rows.schema.get_field_index("escrow_state"), "escrow_state", implied)


def escrow_implied(direction: str | None, status: str | None) -> str | None:
    """What an escrow would say of a row whose backend has none; None while no money is anywhere.

    >>> escrow_implied("in", "completed"), escrow_implied("out", "completed"), escrow_implied("in", "failed")
    ('funded', 'released', None)
    """
    if status == "refunded":
        return "refunded"
    if status not in COMPLETE:
        return None
    return {"out": "released", "refund": "refunded"}.get(direction or "in", "funded")


def _encoded(documents: Sequence[Mapping[str, Any]]) -> RawBatch | None:
    """Many documents as the raw batch that a server would send; None for few, or when BSON cannot hold one."""
    if len(documents) < COLUMNS_FROM:
        return None
    import bson

    try:
        return RawBatch(b"".join(bson.encode(document) for document in documents))
    except (bson.errors.BSONError, OverflowError, UnicodeError, TypeError, ValueError):
        return None


def _raw_rows(documents: RawBatch, fields: FieldPaths, reader: DocumentReader) -> pa.RecordBatch:
    """The rows of a raw batch by columns; documents that are odd in any way are read one by one."""
    import numpy as np
    import pyarrow as pa

    from recon.sources.payments.columns import PaymentColumns

    try:
        columns = PaymentColumns(documents, fields=fields, reader=reader)
    except pa.ArrowInvalid:
        return _batch([reader.row(RawDocument(documents.raw(index))) for index in range(len(documents))])
    rows = columns.batch()
    odd = np.flatnonzero(columns.odd)
    if not odd.size:
        return rows
    patches = _batch([reader.row(RawDocument(documents.raw(index))) for index in odd.tolist()])
    order = np.arange(len(documents))
    order[odd] = len(documents) + np.arange(odd.size)
    return pa.concat_batches([rows, patches]).take(pa.array(order))


class RowRules(TypedDict):
    """What turns documents into rows: where fields are, what words mean, how much may be missing."""

    fields: FieldPaths
    registry: Registry
    policy: Policy


def read_payments(
    store: DocumentStore,
    *,
    selection: Selection,
    sink: Callable[[pa.RecordBatch], None],
    progress: Progress = no_progress,
    **rules: Unpack[RowRules],
) -> Reading:
    """Stream a selection into ``sink``, batch by batch, and account for it; the reading itself holds no table.

    The number of rows is held against the store's own count. A scan that broke off, a count that failed and a scan
    that gave fewer rows than are there each leave a gap over the whole window: ids are not in the order of time.
    """
    tally = _Tally()
    tally.as_of_ms, unsure = _as_of(store)
    with ThreadPoolExecutor(1) as aside:
        counting = aside.submit(_count, store, selection)
        try:
            for documents in store.scan(selection):
                batch = payment_rows(documents, **rules)
                kept = inside(batch, selection)
                sink(kept)
                tally.add(documents, batch.num_rows, kept=kept.num_rows)
                total = counting.result()[0] if counting.done() else None
                progress(SOURCE, tally.items, None if total is None else max(total, tally.items))
        except SourceError as error:
            tally.problem = str(error)
        expected, failed = counting.result()
    if tally.problem is None:
        tally.problem = unsure or failed or _shortfall(store, selection, expected, tally.items)
    return _account(selection, tally)


@dataclass
class _Tally:
    items: int = 0
    kept: int = 0
    pages: int = 0
    wire_bytes: int = 0
    problem: str | None = None
    as_of_ms: int | None = None

    def add(self, documents: Sequence[Mapping[str, Any]], rows: int, *, kept: int) -> None:
        self.items += rows
        self.kept += kept
        self.pages += 1
        if isinstance(documents, RawBatch):
            self.wire_bytes += len(documents.data)


def _as_of(store: DocumentStore) -> tuple[int | None, str | None]:
    """Until when the store shows everything, and why that is not known; nothing of both where it cannot lag."""
    as_of = getattr(store, "as_of_ms", None)
    if as_of is None:
        return None, None
    try:
        return as_of(), None
    except SourceError as error:
        return None, f"Nothing shows how old the payments that were read are. {error}"


def _count(store: DocumentStore, selection: Selection) -> tuple[int | None, str | None]:
    count = getattr(store, "count", None)
    if count is None:
        return None, None
    try:
        return int(count(selection)), None
    except SourceError as error:
        return None, f"The payments could not be counted, so nothing shows that all were read. {error}"


def _shortfall(store: DocumentStore, selection: Selection, expected: int | None, items: int) -> str | None:
    """Rows may leave a window while it is read, so only what is still there at the end counts as missed."""
    if expected is None or items >= expected:
        return None
    left, failed = _count(store, selection)
    if failed or left is None or items >= left:
        return failed
    return f"The store counts {count_text(left, 'payment')} in the window and gave {items}; run the command again."


def _account(selection: Selection, tally: _Tally) -> Reading:
    asked_from = None if selection.from_at is None else milliseconds(selection.from_at)
    asked_to = None if selection.to_at is None else milliseconds(selection.to_at)
    complete = tally.problem is None
    coverage = Coverage(
        source=SOURCE,
        scope="window",
        complete=complete,
        asked_from=asked_from,
        asked_to=asked_to,
        done_from=asked_from if complete else None,
        done_to=asked_to if complete else None,
        head_time=tally.as_of_ms,
        calls=tally.pages,
        wire_bytes=tally.wire_bytes,
        pages=tally.pages,
        items=tally.kept,
        problem=tally.problem,
    )
    if tally.problem is None:
        return Reading(coverage=(coverage,))
    to_ms = _LATEST_MS if asked_to is None else asked_to
    gap = Gap(source=SOURCE, scope="window", from_ms=asked_from or 0, to_ms=to_ms, reason=tally.problem)
    return Reading(coverage=(coverage,), gaps=(gap,))


class ListStore:
    """A :class:`~recon.sources.interface.DocumentStore` over documents in memory; it selects as the real one does.

    The documents must not change while it is used: what they carry is kept once it was looked up.
    """

    def __init__(
        self,
        documents: Sequence[Mapping[str, Any]],
        *,
        identity: StoreIdentity | None = None,
        fields: FieldPaths | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.documents = documents
        self._identity = identity or StoreIdentity((), "recorded", "payments", None)
        self._fields = fields or FieldPaths()
        self._registry = registry or load_registry()
        self._paths = tuple(self._fields.projection())
        self._claimants: dict[str, dict[str, list[int]]] = {}

    def identity(self) -> StoreIdentity:
        """Name the collection as it was given."""
        return self._identity

    def count(self, selection: Selection) -> int:
        """How many documents the selection has."""
        return sum(1 for _ in self._selected(selection))

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield projected documents of the selection, in the order in which they were given."""
        batch = []
        for document in self._selected(selection):
            batch.append(project(document, self._paths))
            if len(batch) == LIST_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        """The last documents that were given, whole, at most so many."""
        return list(self.documents[-count:])

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield projected documents by id, in the order in which they were given; unknown ids are left out."""
        wanted = set(payment_ids)
        for document in self.documents:
            if ids.payment_id_text(document.get("_id")) in wanted:
                yield project(document, self._paths)

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield ``(value, document)`` for every document that carries one of the values, in any spelling."""
        wanted = {key: value for value in sorted(set(values)) if (key := stored_claim_key(field, value)) is not None}
        claimants = self._claimants_by(field) if wanted else {}
        found = sorted((place, key) for key in wanted for place in claimants.get(key, ()))
        for place, key in found:
            yield wanted[key], project(self.documents[place], self._paths)

    def _claimants_by(self, field: str) -> Mapping[str, Sequence[int]]:
        """The places of the documents that carry a value of a claim field, as an index of a database has them."""
        if field not in self._claimants:
            places: dict[str, list[int]] = defaultdict(list)
            for place, document in enumerate(self.documents):
                for key in claim_keys(document, field, fields=self._fields, registry=self._registry):
                    places[key].append(place)
            self._claimants[field] = dict(places)
        return self._claimants[field]

    def _selected(self, selection: Selection) -> Iterator[Mapping[str, Any]]:
        return filter(selected_by(selection, fields=self._fields, registry=self._registry), self.documents)


def _batch(rows: list[dict[str, object]]) -> pa.RecordBatch:
    import pyarrow as pa

    from recon.core.tables import arrow_schema, table_of

    table = table_of("payments", rows)
    if not rows:
        return pa.RecordBatch.from_pylist([], schema=arrow_schema("payments"))
    return table.combine_chunks().to_batches()[0]
