"""Who is the only watch of a target: a lock on this machine, and a lease in the database where it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from recon.core.errors import RefusedError, SourceError, StoppedError

if TYPE_CHECKING:
    from recon.runs.stores.lease import Lease, LeaseHeldError, LeaseStore
    from recon.setup.settings import Settings

WATCH_LEASE: Final = "watch"


class AnotherWatchError(RefusedError):
    """Another watch holds the lease of this target."""

    def __init__(self, *, holder: str) -> None:
        super().__init__(
            f"Another watch of this target is running ({holder}); this one did nothing. End that one first, or leave "
            "it to it."
        )


class DatabaseLease:
    """The lease in the database. One that ran out while the database was away is taken anew.

    Raises:
        LeaseHeldError: Another watch holds it.
        SourceError, StoppedError: The database cannot be asked for it.
    """

    def __init__(self, store: LeaseStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._monotonic = store, monotonic
        self._lease = self._taken()

    def _taken(self) -> Lease:
        from recon.runs.stores.lease import Lease

        return Lease(self._store, target=WATCH_LEASE, monotonic=self._monotonic)

    def keep(self) -> None:
        """Make sure before each step that no other watch took over meanwhile.

        Raises:
            AnotherWatchError: One did.
        """
        from recon.runs.stores.lease import LeaseHeldError, LeaseLostError

        try:
            self._lease.check()
        except LeaseLostError:
            self._lease.abandon()
            try:
                self._lease = self._taken()
            except LeaseHeldError as error:
                raise AnotherWatchError(holder=_holder(error)) from error
            except (SourceError, StoppedError):
                return  # The database is away: the round asks the same one, and says so.

    def give_back(self) -> None:
        """End it; left to run out where the database is away."""
        try:
            self._lease.release()
        except (SourceError, StoppedError):
            self._lease.abandon()


@contextmanager
def only_watch(settings: Settings) -> Iterator[Callable[[], None]]:
    """Be the only watch of a target until the end of the block; gives what to call before each step.

    Raises:
        AnotherWatchError: Another watch is running; also from the call.
        ConfigError, SourceError: The database cannot be asked for the lease.
    """
    from recon.runs.stores.lease import FileLeases, LeaseHeldError, held_lease

    with ExitStack() as stack:
        try:
            stack.enter_context(held_lease(FileLeases(settings.output_dir / "watch"), target=WATCH_LEASE))
            keep: Callable[[], None] = _always_alone
            if settings.values.watch.lease == "database":
                from recon.setup.open_runs import open_ledger

                held = DatabaseLease(stack.enter_context(open_ledger(settings)).journal.leases)
                stack.callback(held.give_back)
                keep = held.keep
        except LeaseHeldError as error:
            raise AnotherWatchError(holder=_holder(error)) from error
        yield keep


def _always_alone() -> None:
    """The lock of a file is held until it is given back."""


def _holder(error: LeaseHeldError) -> str:
    return str(error).partition(" holds ")[0].rpartition(": ")[2]
