"""What a run writes with: the payment writer, the journal and the backend's own ledger, opened from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from recon.core.errors import SourceError
from recon.runs.clock import ServerClock
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.setup.stores.store import Ledger

if TYPE_CHECKING:
    from recon.runs.stores.journal import JournalEntry

__all__ = ["JournalUnreadError", "Ledger", "clock_of", "open_ledger", "read_journal"]


class JournalUnreadError(SourceError):
    """The database does not give the reconciliation journal."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"The database does not give the reconciliation journal ({why}), so what runs did is not known; a login "
            'with the role "read" on the database may read it.'
        )


def open_ledger(settings: Settings) -> Ledger:
    """Open the writing side: the database with its journal, or the embedded store of a recorded world.

    Raises:
        ConfigError: The address of the database is missing.
        SourceError: The database cannot be reached, or refuses the credential.
    """
    return store_of(settings).open_writer(settings)


def clock_of(ledger: Ledger, settings: Settings) -> Callable[[], datetime]:
    """The clock that a run goes by: the database server's, or where there is no server that of the settings.

    Raises:
        ClientClockError: This machine's clock is further off than the configuration allows.
    """
    if ledger.server_time is None:
        return settings.now
    off_max = timedelta(seconds=settings.values.limits.clock_off_max_s)
    return ServerClock(ledger.server_time, local=settings.now, off_max=off_max)


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
