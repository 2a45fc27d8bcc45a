"""A recorded world as the rest of recon opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from recon.setup.stores.store import Ledger, Store, StoreTerms

if TYPE_CHECKING:
    from recon.setup.settings import Settings
    from recon.sources.interface import DocumentStore
    from recon.sources.ledger.mapping import LedgerMapping
    from recon.sources.ledger.source import EntrySource

RECORDED_HOST: Final = "embedded"
"""The host that a recorded world's database is said to have, the same as in the embedded store that writes to it."""


def _open_source(terms: StoreTerms) -> DocumentStore:
    from recon.sources.interface import StoreIdentity
    from recon.sources.payments.read import ListStore

    known = terms.world
    assert known is not None, "a configuration that names a recorded world opens it first"
    identity = StoreIdentity((RECORDED_HOST,), known.database, known.collection, known.collection_uuid)
    return ListStore(known.payments, identity=identity, fields=terms.fields(), registry=terms.registry)


def _open_writer(settings: Settings) -> Ledger:
    from recon.runs.stores.embedded import EmbeddedStore
    from recon.runs.stores.journal import FileJournal

    folder = settings.recorded_dir
    assert folder is not None, "only a configuration that names a recorded world means this store"
    with ExitStack() as stack:
        writer, pay_ins = EmbeddedStore(folder), _no_entries if settings.values.ledger.collection else None
        stack.callback(writer.close)
        return Ledger(writer, FileJournal(folder), pay_ins, stack.pop_all())
    raise AssertionError("an exit stack lets no exception pass")


def _open_entries(settings: Settings, mapping: LedgerMapping) -> EntrySource:
    from recon.sources.ledger.source import ListEntries
    from recon.sources.recorded.world import load_ledger

    folder = settings.recorded_dir
    assert folder is not None, "only a configuration that names a recorded world means this store"
    return ListEntries(load_ledger(folder), mapping)


def _no_entries(payments: Sequence[str]) -> Mapping[str, bool]:
    """A recorded world has no ledger, so nothing is known of any payment."""
    return {}


STORE: Final = Store(
    name="recorded",
    title="a recorded world",
    means=lambda settings: settings.recorded_dir is not None,
    open_source=_open_source,
    open_writer=_open_writer,
    open_entries=_open_entries,
)
"""A recorded world: for demonstrations and tests; it proves nothing about a real database."""
