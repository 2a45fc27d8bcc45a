"""What a store is: one object that opens both sides of it, the one that is read and the one that is written to.

It is cheap to import. What is heavy (a driver) is imported inside the functions it names. A distribution of its own
registers one in the entry-point group ``recon.stores``, and its tests run :func:`recon.testing.check_store` over both
sides of it::

    [project.entry-points."recon.stores"]
    acmebase = "acmebase.store:STORE"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.plans.shelf import Shelf
    from recon.runs.release import LedgerCheck
    from recon.runs.stores.documents import RecordWriter
    from recon.runs.stores.journal import Journal
    from recon.runs.stores.payments import PaymentWriter
    from recon.setup.settings import Settings
    from recon.sources.interface import DocumentStore
    from recon.sources.ledger.mapping import LedgerMapping
    from recon.sources.ledger.source import EntrySource
    from recon.sources.payments.changes import ChangeFeed
    from recon.sources.payments.fields import FieldPaths
    from recon.sources.recorded.format import RecordedWorld


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where corrections are written and journalled; a context manager that closes its connections.

    Args:
        pay_ins: Asks the backend's own ledger which payments have a pay-in; None when none is configured.
        server_time: Asks the store for its own time, aware UTC; None where it has none and the settings' clock counts.
        records: Puts and takes away whole records, for repairs; None where a store does no such thing.
    """

    writer: PaymentWriter
    journal: Journal
    pay_ins: LedgerCheck | None = None
    stack: ExitStack = field(default_factory=ExitStack, repr=False)
    server_time: Callable[[], datetime] | None = None
    records: RecordWriter | None = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """What the reading side of a store is opened with.

    Args:
        settings: The configuration, which also gives secrets.
        registry: What is known of chains and tokens.
        fields: Gives the places of logical fields in documents; raises a ConfigError for a path that cannot be one.
        world: The recorded world that stands in for every source, or None.
    """

    settings: Settings
    registry: Registry
    fields: Callable[[], FieldPaths]
    world: RecordedWorld | None = None


@dataclass(frozen=True, slots=True)
class FoundCollection:
    """A place that may hold payments, and about how many documents it has.

    Args:
        sections: What of a configuration means it, by section; where nothing is said, ``[mongo]`` names it.
    """

    database: str
    collection: str
    documents: int
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def as_settings(self) -> dict[str, Mapping[str, Any]]:
        """The sections of a configuration that mean this place."""
        return dict(self.sections) or {"mongo": {"database": self.database, "collection": self.collection}}


@dataclass(frozen=True, slots=True)
class Store:
    """One kind of store.

    Args:
        name: Lower case.
        title: As people call it.
        means: Whether a configuration means this store.
        open_source: Gives the side that is read; raises a ConfigError where a secret or a setting is missing.
        open_writer: Gives the side that is written to, with its journal; raises a ConfigError likewise, and a
            SourceError when the store cannot be reached or refuses the credential.
        open_decisions: Gives the place of decisions in the store; nothing is asked of it yet. None where it has none.
        open_entries: Gives the entries of the backend's own ledger; None where this kind of store has none.
        audit: Says what the logins may do, a state and a sentence each; None where a store has no logins.
        look: Looks for places that may hold payments, before there is a configuration; None where it cannot.
        is_usual: Whether it is meant only where a configuration means no other.
        speaks_mongodb: Whether what only MongoDB has (a ledger, kept deliveries, a backfill) can be asked of it.
        variables: Gives the names of the variables that hold its addresses; None where it needs none.
        follow_changes: Gives what tells whether any payment changed; None where a store cannot tell.
    """

    name: str
    title: str
    means: Callable[[Settings], bool]
    open_source: Callable[[StoreTerms], DocumentStore]
    open_writer: Callable[[Settings], Ledger]
    open_decisions: Callable[[Settings], Shelf] | None = None
    open_entries: Callable[[Settings, LedgerMapping], EntrySource] | None = None
    audit: Callable[[Settings], Iterable[tuple[Literal["ok", "warning", "failed"], str]]] | None = None
    look: Callable[[], Iterable[FoundCollection]] | None = None
    is_usual: bool = False
    speaks_mongodb: bool = False
    variables: Callable[[Settings], tuple[str, ...]] | None = None
    follow_changes: Callable[[StoreTerms], ChangeFeed] | None = None
