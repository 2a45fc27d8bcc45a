"""One watch of a target on every machine: the lease in the database, through an outage of it and a takeover."""

from __future__ import annotations

import pytest

from recon.core.errors import SourceError
from recon.runs.stores.lease import Holder, LeaseHeldError
from recon.watch.alone import AnotherWatchError, DatabaseLease


class Leases:
    """One lease as a database keeps it; away when told to be."""

    def __init__(self) -> None:
        self.held_by: str | None = None
        self.is_away = False
        self.token = 0

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        self._asked()
        if self.held_by is not None:
            raise LeaseHeldError(target=target, holder=self.held_by, seconds=9)
        self.held_by, self.token = "this one", self.token + 1
        return self.token

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        self._asked()
        return token == self.token and self.held_by == "this one"

    def release(self, target: str, *, token: int) -> None:
        self._asked()
        if token == self.token:
            self.held_by = None

    def _asked(self) -> None:
        if self.is_away:
            raise SourceError("The database is away.")


@pytest.fixture
def passed() -> list[float]:
    return [0.0]


def test_a_lease_that_ran_out_in_an_outage_is_taken_anew(passed: list[float]) -> None:
    leases = Leases()
    held = DatabaseLease(leases, monotonic=lambda: passed[0])
    held.keep()
    leases.is_away, passed[0] = True, 3_600.0
    held.keep()  # nobody can tell; the round asks the same database
    leases.is_away, leases.held_by = False, None
    held.keep()
    assert (leases.held_by, leases.token) == ("this one", 2)
    held.give_back()
    assert leases.held_by is None


def test_a_watch_that_was_taken_over_ends(passed: list[float]) -> None:
    leases = Leases()
    held = DatabaseLease(leases, monotonic=lambda: passed[0])
    leases.held_by, leases.token, passed[0] = "another host", 2, 3_600.0
    with pytest.raises(AnotherWatchError, match="another host"):
        held.keep()
    held.give_back()
    assert leases.held_by == "another host"
