"""What every source promises: tables, and an honest account of what was asked, answered and missed.

A source never raises because the world is sick in part: what it could not get becomes a gap or a row whose outcome
is ``failed``, and the rest goes on. It raises :class:`~recon.core.errors.WrongSourceError` when it turns out to be the
wrong source (chain id, database, account), because believing it would make false findings, and
:class:`~recon.core.errors.SourceError` only from ``check()``, which ``recon doctor`` calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

Counted = TypeVar("Counted")

Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(source, done, total)``; total is None while it is not known."""


def no_progress(source: str, done: int, total: int | None) -> None:
    """Take no notice."""


def told_one_by_one(things: Sequence[Counted], *, source: str, progress: Progress, every: int = 1) -> Iterator[Counted]:
    """The same things one by one, with how many were taken told on the way, each time so many more were."""
    for done, each in enumerate(things, start=1):
        yield each
        if done % every == 0 or done == len(things):
            progress(source, done, len(things))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which payments are reconciled. All given conditions must hold.

    Args:
        from_at, to_at: The window, from included, to excluded, aware UTC.
        date_field: Which date the window is about.
        providers: Normalised provider names; empty means all.
        statuses: Raw status words; empty means all.
        ids: Payment ids as text (``ids.payment_id_text``); empty means all.
        open_only: Only ``pending`` and ``processing``.
    """

    from_at: datetime | None = None
    to_at: datetime | None = None
    date_field: Literal["created", "updated"] = "created"
    providers: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    open_only: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """One row of the coverage table; see :data:`recon.core.tables.COVERAGE` for the meaning of each field."""

    source: str
    scope: str
    complete: bool
    chain_id: int | None = None
    unit: Literal["ms", "block"] = "ms"
    asked_from: int | None = None
    asked_to: int | None = None
    done_from: int | None = None
    done_to: int | None = None
    head: int | None = None
    head_time: int | None = None
    final_head: int | None = None
    finality_rule: str | None = None
    calls: int = 0
    wire_bytes: int = 0
    pages: int = 0
    items: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source that nobody could read; see :data:`recon.core.tables.GAPS`."""

    source: str
    scope: str
    from_ms: int
    to_ms: int
    reason: str
    chain_id: int | None = None
    from_block: int | None = None
    to_block: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one call to a source gave: Arrow tables by name (see ``recon.core.tables``), coverage and gaps."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    coverage: tuple[Coverage, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """Which database this is: names a person knows, and the UUID that a renamed copy does not share."""

    hosts: tuple[str, ...]
    database: str
    collection: str
    collection_uuid: str | None
    replica_set: str | None = None


class DocumentStore(Protocol):
    """Payment documents, read only. MongoDB is one; a recorded world and the embedded store are others."""

    def identity(self) -> StoreIdentity:
        """Name the collection that is read."""
        ...

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield batches of projected documents of the selection, secondary-preferred, majority, none skipped."""
        ...

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield whole-projection documents by id, from the primary; unknown ids are left out."""
        ...

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield ``(value, document)`` of every row in the *whole* collection that carries one of the values.

        ``field`` is tx_hash, reference, request_id, external_id, recipient (an address) or order_id; every candidate
        path of it and every spelling (case, with or without ``0x``) is looked at. A store may have ``claimant_ids``,
        which gives the payment ids alone; it is asked where most of the rows are known.
        """
        ...


class DeliverySource(Protocol):
    """Kept webhook deliveries, read only."""

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read the deliveries that came in the window: table ``deliveries``. One without a time is always in it."""
        ...


class ClaimSource(Protocol):
    """A payment provider, read only."""

    name: str

    def check(self) -> str:
        """Say in one sentence that it can be used. Raises SourceError or WrongSourceError with the way out."""
        ...

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        """Read in bulk what the provider knows of the window: tables ``claims`` and ``claim_txs``."""
        ...

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        """Ask about single payments. Every key gets at least one claim row: found, not_found or failed."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimKey:
    """By what a provider can be asked about one payment; at least one of the three is given.

    ``created_at`` and ``updated_at`` say when the payment was made and last changed, UTC ms, where that is known.
    """

    payment_id: str
    request_id: str | None = None
    reference: str | None = None
    external_id: str | None = None
    direction: str = "in"
    chain_id: int | None = None
    token: str | None = None
    created_at: int | None = None
    updated_at: int | None = None


@dataclass(frozen=True, slots=True)
class ChainQuestion:
    """What is asked of one chain.

    Args:
        from_ms: Start of the evidence window, UTC ms; the scan runs from the block at or before it to the head.
        recipients: Addresses whose incoming ERC-20 transfers are read (deposit addresses, merchant wallets).
        senders: Addresses whose outgoing ERC-20 transfers are read instead; no recipients are then looked for.
        tokens: Token contracts of those transfers; empty means any token.
        tx_hashes: Recorded and claimed hashes; each gets a row in ``transactions`` and the transfers in its receipt.
        proxies: Whether the fee proxy logs are scanned.
        odd_tokens: Contracts of tokens nobody knows that are asked for their symbol and decimals, some tens at most.
        known_blocks: First and last block of a stretch whose logs the asker has already and that is final: it is not
            scanned. A source that cannot leave it out may scan it all the same.
        calls: Those of the hashes of which it is also asked what call they made.
        receipts_only: Nothing is scanned, only the hashes are asked about; how it stands with them now, and no more.
    """

    from_ms: int
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    tx_hashes: tuple[str, ...] = ()
    proxies: bool = True
    odd_tokens: tuple[str, ...] = ()
    known_blocks: tuple[int, int] | None = None
    receipts_only: bool = False
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BalanceQuestion:
    """What is asked of one chain about known wallets.

    Args:
        from_ms: UTC ms; the first balance is that before the block at which a scan from there begins.
        wallets: Addresses, at least one.
        to_ms: The last balance is that at the newest block before this time, UTC ms; None means at the head.
    """

    from_ms: int
    wallets: tuple[str, ...]
    to_ms: int | None = None


@runtime_checkable
class BalanceSource(Protocol):
    """A chain that can be asked what a wallet held at a block that is past."""

    def read_balances(self, question: BalanceQuestion, *, progress: Progress) -> Reading:
        """Answer the question: tables ``balances`` and ``movements``, one coverage row of scope ``balances``."""
        ...


@runtime_checkable
class HoldingSource(Protocol):
    """A chain that can be asked what addresses hold now, and whether anything ever left them."""

    def read_holdings(self, places: Sequence[tuple[str, str]], *, progress: Progress) -> Reading:
        """Answer for each address and token: table ``holdings``, one coverage row of that scope.

        What cannot be told of a place stands in no row of the table, and is counted in the coverage.
        """
        ...


@runtime_checkable
class CoinSource(Protocol):
    """A chain that can be asked what an address holds of its own coin."""

    def native_units(self, address: str) -> int:
        """What it holds at the newest block, in the coin's smallest units. Raises SourceError."""
        ...


class ChainSource(Protocol):
    """One chain, read only."""

    chain_id: int

    def check(self) -> str:
        """Say in one sentence that it can be used. Raises SourceError or WrongSourceError with the way out."""
        ...

    def read(self, question: ChainQuestion, *, progress: Progress) -> Reading:
        """Answer the question: tables ``transfers`` and ``transactions``."""
        ...
