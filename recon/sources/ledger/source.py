"""Where the entries of a ledger are read from: a collection of MongoDB, or documents in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from recon.core.ids import parse_payment_id, payment_id_text
from recon.core.times import from_ms as time_of_ms
from recon.core.values import STAMP
from recon.sources.ledger.entries import payment_named
from recon.sources.ledger.mapping import LedgerMapping

if TYPE_CHECKING:
    from recon.sources.payments.mongo import MongoSettings

Document = Mapping[str, Any]
ENTRIES_AT_ONCE: Final = 20_000
_KEYS_AT_ONCE: Final = 5_000


class EntrySource(Protocol):
    """The entries of a backend's ledger, read only."""

    mapping: LedgerMapping

    def scan(self, from_ms: int) -> Iterator[Sequence[Document]]:
        """Yield batches of every entry made at or after a time, and of those that do not say when.

        Raises:
            SourceError: The store cannot be reached, refuses, or breaks off.
        """
        ...

    def of_payments(self, spellings: Iterable[str]) -> Iterator[Document]:
        """Yield every entry of some payments, whenever it was made, as the primary has it now.

        Args:
            spellings: Ids of payments, each as :func:`recon.sources.ledger.entries.payment_spellings` gives it.
        """
        ...

    def by_ids(self, entry_ids: Iterable[str]) -> Iterator[Document]:
        """Yield entries by their ids, as the primary has them now; unknown ids are left out."""
        ...


class MongoEntries:
    """A collection of MongoDB with one document an entry."""

    def __init__(self, settings: MongoSettings, mapping: LedgerMapping) -> None:
        """Set up the reading of a collection.

        Args:
            settings: Of the collection; its projection is taken from ``mapping``.
        """
        from dataclasses import replace

        from recon.sources.payments.mongo import MongoStore

        self.mapping = mapping
        read = {"_id": 1, **dict.fromkeys(_outermost(sorted({*mapping.places, STAMP})), 1)}
        self._store = MongoStore(replace(settings, read=read))

    def close(self) -> None:
        """Give the connections back."""
        self._store.close()

    def scan(self, from_ms: int) -> Iterator[Sequence[Document]]:
        """Yield batches of every entry made at or after a time, and of those that do not say when.

        Raises:
            StoreMissingError: There is no such collection: a wrong name would else read as a ledger without entries.
            SourceError: The server cannot be reached, refuses, or breaks off.
        """
        self._store.identity()
        self._store.as_of_ms()
        path = self.mapping.time
        if path is None or from_ms <= 0:
            return self._store.scan_where({})
        is_dated = {path: {"$gte": time_of_ms(from_ms)}}
        return self._store.scan_where({"$or": [is_dated, {path: {"$not": {"$type": "date"}}}]})

    def of_payments(self, spellings: Iterable[str]) -> Iterator[Document]:
        """Yield every entry of some payments, as the primary has it now."""
        return self._found(self.mapping.payment, spellings)

    def by_ids(self, entry_ids: Iterable[str]) -> Iterator[Document]:
        """Yield entries by their ids, as the primary has them now."""
        return self._found("_id", entry_ids)

    def _found(self, path: str | None, texts: Iterable[str]) -> Iterator[Document]:
        wanted = sorted(set(texts))
        for start in range(0, len(wanted) if path else 0, _KEYS_AT_ONCE):
            chunk = [parse_payment_id(text) for text in wanted[start : start + _KEYS_AT_ONCE]]
            yield from self._store.find_where({str(path): {"$in": chunk}})


class ListEntries:
    """Entries in memory: a recorded world's, or a test's."""

    def __init__(self, documents: Sequence[Document], mapping: LedgerMapping) -> None:
        self.mapping, self._documents = mapping, documents

    def scan(self, from_ms: int) -> Iterator[Sequence[Document]]:
        """Yield batches of every entry made at or after a time, and of those that do not say when."""
        from recon.core.values import value_at

        path = self.mapping.time
        start = time_of_ms(max(from_ms, 0))

        def is_in(document: Document) -> bool:
            at = value_at(document, path) if path else None
            return not isinstance(at, datetime) or at >= start

        chosen = [document for document in self._documents if is_in(document)]
        for place in range(0, len(chosen), ENTRIES_AT_ONCE):
            yield chosen[place : place + ENTRIES_AT_ONCE]

    def of_payments(self, spellings: Iterable[str]) -> Iterator[Document]:
        """Yield every entry of some payments."""
        wanted = set(spellings)
        return (each for each in self._documents if wanted.intersection(payment_named(each, self.mapping)[:1]))

    def by_ids(self, entry_ids: Iterable[str]) -> Iterator[Document]:
        """Yield entries by their ids."""
        wanted = set(entry_ids)
        return (each for each in self._documents if payment_id_text(each["_id"]) in wanted)


def _outermost(paths: Sequence[str]) -> list[str]:
    """Paths without those below another: a projection of both is refused."""
    return [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]
