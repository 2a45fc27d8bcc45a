"""MongoDB as the rest of recon opens it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from recon.setup.stores.mongo.client import check_concerns, mongo_client, mongo_uri
from recon.setup.stores.mongo.look import payment_collections
from recon.setup.stores.mongo.privileges import audit
from recon.setup.stores.store import Ledger, Store, StoreTerms

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

    from recon.plans.shelf import Shelf
    from recon.runs.release import LedgerCheck
    from recon.setup.ledger_section import LedgerSection
    from recon.setup.settings import Settings
    from recon.sources.interface import DocumentStore
    from recon.sources.ledger.mapping import LedgerMapping
    from recon.sources.ledger.source import EntrySource
    from recon.sources.payments.changes import ChangeFeed
    from recon.sources.payments.mongo import MongoSettings


def _open_source(terms: StoreTerms) -> DocumentStore:
    from recon.sources.payments.mongo import MongoStore

    return MongoStore(_read_with(terms))


def _follow_changes(terms: StoreTerms) -> ChangeFeed:
    from recon.sources.payments.changes import MongoChanges

    return MongoChanges(_read_with(terms))


def _read_with(terms: StoreTerms) -> MongoSettings:
    from recon.sources.payments.mongo import MongoSettings

    mongo = terms.settings.values.mongo
    return MongoSettings(
        uri=mongo_uri(terms.settings.secret(mongo.uri_variable, purpose="the database")),
        database=mongo.database,
        collection=mongo.collection,
        fields=terms.fields(),
        registry=terms.registry,
        timeout_ms=int(mongo.timeout_s * 1000),
    )


def _open_writer(settings: Settings) -> Ledger:
    from recon.runs.stores.documents import MongoRecords
    from recon.runs.stores.journal import MongoJournal
    from recon.runs.stores.payments import MongoWriter
    from recon.sources.payments.mongo import MongoSettings, MongoStore

    mongo = settings.values.mongo
    with ExitStack() as stack:
        uri = mongo_uri(settings.write_uri())
        check_concerns(uri)
        timeout_ms = int(mongo.timeout_s * 1000)
        store = MongoStore(MongoSettings(uri, mongo.database, mongo.collection, timeout_ms=timeout_ms))
        stack.callback(store.close)
        # Says in one sentence of its own that the server is away or refuses the password.
        store.identity()
        client = mongo_client(uri, timeout_ms=timeout_ms)
        stack.callback(client.close)
        database = client[mongo.database]
        pay_ins = _pay_ins(settings.values.ledger, database)
        writer, journal = MongoWriter(database[mongo.collection]), MongoJournal(database)
        records = MongoRecords(database)
        return Ledger(writer, journal, pay_ins, stack.pop_all(), server_time=writer.server_time, records=records)
    raise AssertionError("an exit stack lets no exception pass")


def _open_decisions(settings: Settings) -> Shelf:
    from recon.runs.stores.decisions import MongoShelf

    mongo = settings.values.mongo

    def open_client() -> MongoClient[dict[str, Any]]:
        return mongo_client(mongo_uri(settings.write_uri()), timeout_ms=int(mongo.timeout_s * 1000))

    return MongoShelf(open_client, database=mongo.database)


def _open_entries(settings: Settings, mapping: LedgerMapping) -> EntrySource:
    from recon.sources.ledger.source import MongoEntries
    from recon.sources.payments.mongo import MongoSettings

    mongo, collection = settings.values.mongo, settings.values.ledger.collection
    assert collection is not None, "a ledger without a collection has no mapping"
    uri = mongo_uri(settings.secret(mongo.uri_variable, purpose="the database"))
    timeout_ms = int(mongo.timeout_s * 1000)
    return MongoEntries(MongoSettings(uri, mongo.database, collection, timeout_ms=timeout_ms), mapping)


def _pay_ins(given: LedgerSection, database: Database[dict[str, Any]]) -> LedgerCheck | None:
    if given.collection is None:
        return None
    from recon.runs.release import MongoLedger

    return MongoLedger(
        database[given.collection],
        payment_field=given.payment_field,
        kind_field=given.kind_field,
        pay_in_kinds=given.pay_in_kinds,
    )


STORE: Final = Store(
    name="mongo",
    title="MongoDB",
    means=lambda settings: settings.recorded_dir is None,
    open_source=_open_source,
    open_writer=_open_writer,
    open_decisions=_open_decisions,
    open_entries=_open_entries,
    audit=audit,
    look=payment_collections,
    is_usual=True,
    speaks_mongodb=True,
    variables=lambda settings: (settings.values.mongo.uri_variable,),
    follow_changes=_follow_changes,
)
"""MongoDB: what a configuration means that names no recorded world."""
