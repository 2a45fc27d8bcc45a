"""What a run writes with: the payment writer, the journal and the backend's own ledger, opened from a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from recon.core.errors import SourceError
from recon.core.times import parse_iso
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.setup.stores.store import Ledger

if TYPE_CHECKING:
    from recon.runs.states import RunSummary
    from recon.runs.stores.journal import Journal, JournalEntry

Taken = TypeVar("Taken")

__all__ = ["JournalUnreadError", "Ledger", "open_ledger", "read_journal", "read_runs"]


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


def read_journal(settings: Settings) -> list[JournalEntry]:
    """Every entry of the reconciliation journal.

    Raises:
        ConfigError: The address of the database is missing.
        JournalUnreadError: The login may not read it.
        SourceError: The database cannot be reached.
    """
    return _read(settings, lambda journal: list(journal.entries()))


def read_runs(
    settings: Settings, *, since: datetime | None = None, payments: Collection[str] = ()
) -> tuple[tuple[RunSummary, ...], dict[str, dict[str, int]]]:
    """Every run that the journal knows, in the order in which they began; raises what :func:`read_journal` raises.

    Args:
        since: Runs that began before it are not looked into.
        payments: Whose changes are counted apart: by run, their results and how many.
    """
    from recon.runs.states import list_runs, read_run

    def take(journal: Journal) -> tuple[tuple[RunSummary, ...], dict[str, dict[str, int]]]:
        runs, own = list_runs(journal), dict[str, dict[str, int]]()
        for run in runs if payments else ():
            began = parse_iso(run.started_at)
            if since is None or (began is not None and began >= since):
                changes = read_run(journal, run.run, with_intents=False).changes.values()
                own[run.run] = dict(
                    Counter(str(each.result or "open") for each in changes if each.payment_id in payments)
                )
        return runs, own

    return _read(settings, take)


def _read(settings: Settings, take: Callable[[Journal], Taken]) -> Taken:
    from pymongo.errors import PyMongoError

    from recon.runs.stores.retry import ReadOnlyCredentialError

    with open_ledger(settings) as ledger:
        try:
            return take(ledger.journal)
        except ReadOnlyCredentialError as error:
            raise JournalUnreadError(why=error.said) from error
        except PyMongoError as error:
            raise JournalUnreadError(why=type(error).__name__) from error
