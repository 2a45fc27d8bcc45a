"""What a provider is: one object that says everything the rest of recon needs to know of one payment provider.

It is cheap to import. What is heavy (an HTTP client, the settings' model) is imported inside the functions it names. A
distribution of its own registers one in the entry-point group ``recon.providers``::

    [project.entry-points."recon.providers"]
    acmepay = "acmepay.provider:PROVIDER"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import httpx

    from recon.core.registry import Registry
    from recon.sources.http import Clock, Secret
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

Headers = Mapping[str, str]
Payload = Mapping[str, Any]
Identity = tuple[str, ...]
"""What payment a delivery tells of, so that one settlement told by several deliveries counts once."""


@dataclass(frozen=True, slots=True)
class OpeningTerms:
    """What a provider is opened with.

    Args:
        section: Its section of the configuration, of the model that the provider names.
        secret: Gives the secret that a variable holds; raises a ConfigError where there is none.
        registry: What is known of chains and tokens.
        home: The folder that relative paths of the configuration start at.
        calls_per_s: How often it may be asked; a recorded world sets no pace.
        transport, clock: What stands in for network and time in a recorded world; None means the real ones.
    """

    section: Any
    secret: Callable[[str], Secret]
    registry: Registry
    home: Path
    calls_per_s: float
    transport: httpx.BaseTransport | None = None
    clock: Clock | None = None


@dataclass(frozen=True, slots=True)
class RailProbe:
    """How it is asked whether a provider is up: one GET."""

    url: str
    expect: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def _never(headers: Headers, payload: Payload) -> bool:
    return False


def _nothing(headers: Headers, payload: Payload, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def _no_time(headers: Headers) -> int | None:
    return None


def _whole(payload: Payload) -> Payload:
    return payload


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where in a stream an event stands.

    Args:
        position: Its position where that is a number; positions rise and need not follow each other.
        transaction, number: The transaction that it is of, and its number there, from 1 on.
        says_lost: Whether it stands for others that the sender could not tell.
    """

    channel: str
    position: int | None = None
    transaction: str | None = None
    number: int | None = None
    says_lost: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """Events that are read from a stream, where each has a position from which one can go on.

    Args:
        kept_h: For how many hours the sender keeps them; what is older can be had from nobody.
        place: Where an event stands, given its body; None where it is none of the stream.
    """

    kept_h: int
    place: Callable[[Payload], StreamPlace | None]


@dataclass(frozen=True, slots=True)
class Webhooks:
    """A provider's webhooks.

    Args:
        routes: The backend's routes for them.
        accepted: The only statuses that it takes for success; empty means every 2xx.
        secret_setting: The setting of its section that names the variable of the signing secret.
        verify: Whether the raw body is signed: given headers (lower-case names), body, secret and the time
            now; None where nothing is signed.
        signed_at: When the signature says that it was made, UNIX seconds; None where it says no time.
        sent: Whether headers and parsed body show a delivery of this provider.
        read: More of a delivery than the usual names give: delivery_id, attempt, event, tx_hash, external_id, is_test,
            and received_at where nothing else tells a time.
        told: The part of the body that tells of this one payment, with its amount and currency.
        tells_coin: Whether two coins paid to one object are two payments.
        signature_header: The header of the signature, for records that keep it under a name of their own.
        gives_up_after: After how many tries it never sends again; None where it goes on until it is accepted.
        moving: Events of its own that a payment has to follow, beside the usual ones.
        stream: Where its events are not sent but read from a stream by the one who keeps them.
    """

    routes: tuple[str, ...] = ()
    accepted: tuple[int, ...] = ()
    secret_setting: str | None = None
    verify: Callable[[Headers, bytes, bytes, datetime], bool] | None = None
    signed_at: Callable[[Headers], int | None] = _no_time
    sent: Callable[[Headers, Payload], bool] = _never
    read: Callable[[Headers, Payload, Mapping[str, Any]], Mapping[str, Any]] = _nothing
    told: Callable[[Payload], Payload] = _whole
    tells_coin: bool = False
    signature_header: str | None = None
    gives_up_after: int | None = None
    moving: frozenset[str] = frozenset()
    stream: Stream | None = None

    def takes(self, status: int | None) -> bool:
        """Whether an answer with this status is success to the provider; no answer never is."""
        if status is None:
            return False
        return status in self.accepted if self.accepted else 200 <= status < 300


@dataclass(frozen=True, slots=True)
class Flags:
    """How a backend's flags speak of a provider.

    Args:
        switch: The boolean flag that switches it on and off, None where there is none.
        secrets: The variables under which a backend keeps what it needs to reach it.
    """

    switch: str | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Books:
    """Money that a provider keeps in books of its own, on no chain.

    Nobody else can be asked about it, so the provider's word on its own money is what proves it: all that it says
    came, one object alone, nothing odd about it. A change that rests on it is never made without being picked.

    Args:
        currencies: Given its section, the ISO 4217 codes of the money in them; another currency cannot be read.
        hold_money: False where they hold orders and what was delivered of them: an order that is delivered is proven
            by them then, and no payment of it, and no other payment of the same deal competes with it.
    """

    currencies: Callable[[Any], tuple[str, ...]]
    hold_money: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """One payment provider.

    Args:
        name: Lower case, as tables, selections and settings call it.
        title: As people call it.
        aliases: Other words that stored payments, flags and deliveries use for it, lower case.
        section: Its settings: gives a subclass of :class:`~recon.sources.providers.sections.ProviderSection`.
        open: Gives its source of claims; raises a ConfigError where a setting or a secret is missing.
        key: The column by which its objects and our payments meet.
        asked_by: Which kinds of names it can be asked by: external_id, request_id, reference.
        has_list: Whether a window of its objects can be read; one without a list is asked payment by payment, and its
            window has no coverage of scope ``bulk``, so that nothing follows from what is not in it.
        pays_out: Whether money that goes out is an object of its own, with keys of its own.
        has_one_time_addresses: Whether each payment has an address of its own, so that money to it belongs to it.
        sends_transactions: Whether it sends the transaction of a payment itself, so that the transactions which its
            object names are all there are, and each makes the very call that the object tells.
        shows_only_its_own: Whether nobody but its own objects can tell what came: a chain that hides receivers. What
            no object of it was found for is then never called unpaid.
        has_funds_accounts: Whether its legacy payments are mapped to funds accounts by a backfill.
        tolerance_ppm: Millionths below and above the expected amount that still count as paid.
        state_words: Its state words, lower case, and the state that each means.
        fields: More places in a payment document where a logical field of its payments stands, in order.
        probe: How to ask whether it is up, given its section and its key where one is set; None: cannot be asked.
        recorded: How a recorded world answers for it, request by request; None where it is asked all the same.
        secrets: Variables of the environment that hold its secrets, each with what it is.
        example: The lines of its section in the configuration that ``recon init`` writes, commented; none: left out.
        books: Where its money is on no chain, what it keeps itself; None: money is on chains, and they prove it.
        holds_escrow: Whether what it takes in is held until it is released; otherwise no escrow state is due.
        is_ours: Whether every object in its account belongs to a payment of ours; otherwise one that no row knows says
            nothing.
        is_usual: In scope where nobody names providers, and one of those between which flags switch.
    """

    name: str
    title: str
    section: Callable[[], type[ProviderSection]]
    open: Callable[[OpeningTerms], ClaimSource]
    key: Literal["external_id", "request_id"]
    aliases: tuple[str, ...] = ()
    asked_by: frozenset[str] = frozenset()
    has_list: bool = True
    pays_out: bool = False
    has_one_time_addresses: bool = False
    sends_transactions: bool = False
    has_funds_accounts: bool = False
    shows_only_its_own: bool = False
    tolerance_ppm: tuple[int, int] = (0, 0)
    state_words: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    webhooks: Webhooks = Webhooks()
    flags: Flags = Flags()
    probe: Callable[[Any, str | None], RailProbe | None] | None = None
    recorded: Callable[[Any], Callable[[httpx.Request], httpx.Response]] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    example: str = ""
    books: Books | None = None
    holds_escrow: bool = True
    is_ours: bool = True
    is_usual: bool = True
