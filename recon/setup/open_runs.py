"""What a run writes with: the payment writer, the journal and the backend's own ledger, opened from a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from recon.core.errors import SourceError
from recon.core.times import parse_iso
from recon.plans.approvals import DecisionRecords, JournalHead, head_of
from recon.rails.gates.sample import load_sign_offs
from recon.runs.clock import ServerClock
from recon.runs.ends import journal_head, journal_name, noted_heads
from recon.setup.open_decisions import open_shelf
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.setup.stores.store import Ledger

if TYPE_CHECKING:
    from recon.runs.states import RunSummary
    from recon.runs.stores.journal import Journal, JournalEntry

Taken = TypeVar("Taken")

__all__ = [
    "JournalUnreadError",
    "Ledger",
    "clock_of",
    "head_if",
    "head_now",
    "heads_on_record",
    "noted_ends",
    "open_ledger",
    "read_journal",
    "read_runs",
]  # fmt: skip


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


def head_now(ledger: Ledger) -> JournalHead:
    """The end of a journal as it is now."""
    return journal_head(ledger.journal, name=journal_name(ledger.writer))


def head_if(settings: Settings, wanted: bool) -> JournalHead | None:
    """The journal's end where it is wanted; the database is asked only then."""
    if not wanted:
        return None
    with open_ledger(settings) as ledger:
        return head_now(ledger)


def noted_ends(settings: Settings, ledger: Ledger) -> list[tuple[str, int, str]]:
    """The noted ends of one journal: where, number and hash; raises what :func:`heads_on_record` raises."""
    name = journal_name(ledger.writer)
    return [(where, each.seq, each.hash) for where, each in heads_on_record(settings) if each.journal == name]


def heads_on_record(settings: Settings) -> Iterator[tuple[str, JournalHead]]:
    """Every end of a journal that was noted beside what recon writes: in its own log, in decisions and in sign-offs.

    Raises:
        BrokenRecordError, SampleError: A record was changed, so it may have lost what it noted.
    """
    yield from noted_heads(settings.output_dir)
    yield from DecisionRecords(open_shelf(settings)).heads()
    for path in sorted(settings.output_dir.glob("*.signed-*.json")):
        sample = path.with_name(f"{path.name.partition('.signed-')[0]}.json")
        for sign in load_sign_offs(sample):
            if (head := head_of(sign.journal_head)) is not None:
                yield path.name, head


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
