"""A table of PostgreSQL or SQLite as the rest of recon opens it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from recon.core.errors import ConfigError
from recon.setup.stores.sql.audit import audit_rights
from recon.setup.stores.sql.look import payment_tables
from recon.setup.stores.sql.reached import database_for
from recon.setup.stores.store import Ledger, Store, StoreTerms

if TYPE_CHECKING:
    from recon.plans.shelf import Shelf
    from recon.setup.settings import Settings
    from recon.sources.interface import DocumentStore


class LedgerNotHereError(ConfigError):
    """A setting asks for something that only a store of documents has."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f'"{key}" is a collection of MongoDB, and the payments of this configuration stand in a SQL table; '
            "take it out of the file."
        )


def _open_source(terms: StoreTerms) -> DocumentStore:
    from recon.sources.payments.sql.store import SqlStore

    _check(terms.settings)
    return SqlStore(database_for(terms.settings), fields=terms.fields(), registry=terms.registry)


def _open_writer(settings: Settings) -> Ledger:
    from recon.runs.stores.sql.journal import SqlJournal
    from recon.runs.stores.sql.payments import SqlWriter

    _check(settings)
    with ExitStack() as stack:
        database = database_for(settings, may_write=True)
        stack.callback(database.close)
        writer, journal = SqlWriter(database), SqlJournal(database)
        # Says in one sentence of its own that the server is away or refuses the password.
        with database.asked_of(), database.reading() as connection:
            database.layout(connection)
        server_time = writer.server_time if database.has_clock else None
        return Ledger(writer, journal, None, stack.pop_all(), server_time=server_time)
    raise AssertionError("an exit stack lets no exception pass")


def _open_decisions(settings: Settings) -> Shelf:
    from recon.runs.stores.sql.decisions import SqlShelf

    return SqlShelf(lambda: database_for(settings, may_write=True))


def _check(settings: Settings) -> None:
    for key, said in (
        ("ledger.collection", settings.values.ledger.collection),
        ("deliveries.collection", settings.values.deliveries.collection),
    ):
        if said is not None:
            raise LedgerNotHereError(key=key)


STORE: Final = Store(
    name="sql",
    title="PostgreSQL or SQLite",
    means=lambda settings: settings.recorded_dir is None and bool(settings.values.sql.table),
    open_source=_open_source,
    open_writer=_open_writer,
    open_decisions=_open_decisions,
    audit=audit_rights,
    look=payment_tables,
    variables=lambda settings: (settings.values.sql.url_variable,),
)
"""A table of PostgreSQL or SQLite: what a configuration means that names one under ``[sql]``."""
