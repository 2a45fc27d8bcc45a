"""What a run writes with: the payment writer, the journal and the backend's own ledger, opened from a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from recon.core.errors import SourceError
from recon.setup.file import LedgerSection
from recon.setup.open_sources import kept_open, mongo_client, mongo_uri
from recon.setup.settings import Settings

if TYPE_CHECKING:
    from pymongo.database import Database

    from recon.runs.release import LedgerCheck
    from recon.runs.stores.journal import Journal, JournalEntry
    from recon.runs.stores.payments import PaymentWriter


class JournalUnreadError(SourceError):
    """The database does not give the reconciliation journal."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"The database does not give the reconciliation journal ({why}), so what runs did is not known; a login "
            'with the role "read" on the database may read it.'
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where corrections are written and journalled; a context manager that closes its connections.

    Args:
        pay_ins: Asks the backend's own ledger which payments have a pay-in; None when none is configured.
    """

    writer: PaymentWriter
    journal: Journal
    pay_ins: LedgerCheck | None = None
    stack: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()


def open_ledger(settings: Settings) -> Ledger:
    """Open the writing side: the database with its journal, or the embedded store of a recorded world.

    Raises:
        ConfigError: The address of the database is missing.
        SourceError: The database cannot be reached, or refuses the credential.
    """
    folder = settings.recorded_dir
    if folder is not None:
        from recon.runs.stores.journal import FileJournal
        from recon.runs.stores.payments import EmbeddedStore

        return Ledger(
            EmbeddedStore(folder), FileJournal(folder), _no_entries if settings.values.ledger.collection else None
        )
    from recon.runs.stores.journal import MongoJournal
    from recon.runs.stores.payments import MongoWriter
    from recon.sources.payments.mongo import MongoSettings, MongoStore

    mongo = settings.values.mongo
    with ExitStack() as stack:
        uri = mongo_uri(settings.write_uri())
        timeout_ms = int(mongo.timeout_s * 1000)
        store = kept_open(
            stack, MongoStore(MongoSettings(uri, mongo.database, mongo.collection, timeout_ms=timeout_ms))
        )
        # Says in one sentence of its own that the server is away or refuses the password.
        store.identity()
        client = kept_open(stack, mongo_client(uri, timeout_ms=timeout_ms))
        database = client[mongo.database]
        pay_ins = _pay_ins(settings.values.ledger, database)
        return Ledger(MongoWriter(database[mongo.collection]), MongoJournal(database), pay_ins, stack.pop_all())
    raise AssertionError("an exit stack lets no exception pass")


def read_journal(settings: Settings) -> list[JournalEntry]:
    """Every entry of the reconciliation journal.

    Raises:
        ConfigError: The address of the database is missing.
        JournalUnreadError: The login may not read it.
        SourceError: The database cannot be reached.
    """
    from pymongo.errors import PyMongoError

    from recon.runs.stores.retry import ReadOnlyCredentialError

    with open_ledger(settings) as ledger:
        try:
            return list(ledger.journal.entries())
        except ReadOnlyCredentialError as error:
            raise JournalUnreadError(why=error.said) from error
        except PyMongoError as error:
            raise JournalUnreadError(why=type(error).__name__) from error


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


def _no_entries(payments: Sequence[str]) -> Mapping[str, bool]:
    """A recorded world has no ledger, so nothing is known of any payment."""
    return {}
