"""The sources of a configuration: the real ones, or a recorded world behind the very same classes.

Nothing is asked of any source here; what is wrong with one shows when it is read or checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from recon.core.errors import ConfigError, SourceError
from recon.core.registry.off_chain import OFF_CHAIN
from recon.setup.file import ChainSection
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.setup.stores.mongo.client import mongo_client, mongo_uri
from recon.setup.stores.store import StoreTerms
from recon.sources.interface import (
    ChainQuestion,
    ChainSource,
    ClaimSource,
    DeliverySource,
    DocumentStore,
    Progress,
    Reading,
)
from recon.sources.providers.chain_kind import ChainTerms, chain_kinds
from recon.sources.providers.installed import providers
from recon.sources.providers.provider import OpeningTerms, Provider

if TYPE_CHECKING:
    import httpx

    from recon.core.registry import Registry
    from recon.sources.deliveries.delivery import DeliveryFile
    from recon.sources.deliveries.kept import KeptDeliveries
    from recon.sources.exports.mapping import ClaimsSection
    from recon.sources.http import Secret
    from recon.sources.ledger.source import EntrySource
    from recon.sources.payments.changes import ChangeFeed
    from recon.sources.payments.fields import FieldPaths
    from recon.sources.recorded.format import RecordedWorld

Source = TypeVar("Source")

_RECORDED_RATE_PER_S: Final = 1_000_000.0
_RECORDED_URL: Final = "http://recorded.invalid"


class EndpointMissingError(SourceError):
    """A chain is in scope and has no endpoint."""

    def __init__(self, *, chain_id: int) -> None:
        super().__init__(
            f"chain:{chain_id}: no endpoint is configured, so nothing on it was read; add one to [[chains]]."
        )


class EntriesNotHereError(ConfigError):
    """Entries of a ledger are to be read from a store that has none."""

    def __init__(self, *, store: str) -> None:
        super().__init__(
            f"ledger.amount_field: entries of a ledger are read from MongoDB, not from {store}; remove it."
        )


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a snapshot reads from; a context manager that gives connections back.

    Args:
        store: The payment documents.
        claims: The providers in scope.
        chains: The chains in scope. One without an endpoint leaves gaps, unless policy lets a provider prove there.
        fields: Where logical fields are found in documents.
        target_name: The name the user gave this target.
        provider_accounts: ``provider:account`` for every provider in scope, part of a plan's identity.
        deliveries: Kept webhook deliveries, or None where the configuration names none.
        wallets: Known wallets whose balances are proven.
        ledger: The entries of the backend's own ledger, or None where the configuration does not say what they say.
    """

    store: DocumentStore
    claims: tuple[ClaimSource, ...]
    chains: tuple[ChainSource, ...]
    fields: FieldPaths
    target_name: str
    provider_accounts: tuple[str, ...]
    deliveries: DeliverySource | None = None
    wallets: tuple[str, ...] = ()
    ledger: EntrySource | None = None
    stack: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> Sources:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()


class Opening:
    """Opens each source of a configuration by itself, so that one that cannot be opened does not hide the others."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry: Registry = settings.registry()

    @cached_property
    def fields(self) -> FieldPaths:
        """Where logical fields are found. Raises ConfigError for a path that cannot be one."""
        from recon.sources.payments.fields import FieldPaths

        return FieldPaths.with_overrides(self.settings.values.fields)

    @cached_property
    def world(self) -> RecordedWorld | None:
        """The recorded world, read once, or None when the sources are real."""
        folder = self.settings.recorded_dir
        if folder is None:
            return None
        from recon.sources.recorded.world import load_world

        return load_world(folder)

    def store(self) -> DocumentStore:
        """The payment documents. Raises ConfigError when the address of the database is missing."""
        return store_of(self.settings).open_source(self._store_terms())

    def changes(self) -> ChangeFeed | None:
        """Tells whether any payment changed; None where the store cannot. Raises ConfigError as :meth:`store` does."""
        follow = store_of(self.settings).follow_changes
        return None if follow is None else follow(self._store_terms())

    def _store_terms(self) -> StoreTerms:
        return StoreTerms(settings=self.settings, registry=self.registry, fields=lambda: self.fields, world=self.world)

    def ledger(self) -> EntrySource | None:
        """The entries of the backend's ledger; None where the configuration does not say what they say.

        Raises:
            ConfigError: They are to be read from a store that has none, or the address of the database is missing.
        """
        mapping = self.settings.values.ledger.mapping()
        if mapping is None:
            return None
        store = store_of(self.settings)
        if store.open_entries is None:
            raise EntriesNotHereError(store=store.title)
        return store.open_entries(self.settings, mapping)

    def claim(self, name: str) -> ClaimSource:
        """A provider by its normalised name: its files where there are some, else itself.

        Raises:
            ConfigError: Its key is missing.
            UsageError: Its files cannot be read.
        """
        if self._files.get(name):
            return self._live(name)
        return providers()[name].open(self._terms(name))

    @cached_property
    def _files(self) -> Mapping[str, list[ClaimsSection]]:
        """The files that stand in for providers in scope, by provider."""
        from recon.sources.exports.mapping import MappingError, load_claims_mapping

        if self._mapping is None or self.world is not None:
            return {}
        found: dict[str, list[ClaimsSection]] = {}
        for section in load_claims_mapping(self._mapping):
            name = self.registry.provider(section.provider)
            if name not in self.settings.providers:
                why = f"claims: {name[:40]!r} is no provider in scope ({', '.join(self.settings.providers)})"
                raise MappingError(path=self._mapping.name, why=why)
            found.setdefault(name, []).append(section)
        return found

    @property
    def _mapping(self) -> Path | None:
        named = self.settings.values.statements.mapping
        return None if named is None else self.settings.home / named

    def _live(self, name: str) -> ClaimSource:
        from recon.sources.exports.claims import ClaimTerms
        from recon.sources.exports.live import live_claims
        from recon.sources.exports.rows import BadCells

        assert self._mapping is not None
        terms = ClaimTerms(self.registry, self._mapping.parent, self._now_ms(), BadCells())
        return live_claims(self._files[name], providers()[name], terms=terms)

    def _terms(self, name: str) -> OpeningTerms:
        """What a provider, and the chains of its kind, are opened with."""
        provider, section = providers()[name], self.settings.section(name)
        return OpeningTerms(
            section=section,
            secret=lambda variable: self._key(variable, provider.title),
            registry=self.registry,
            home=self.settings.home,
            calls_per_s=self._rate(section.calls_per_s),
            **self._manner(provider),
        )

    def chain(self, chain_id: int) -> ChainSource:
        """A chain. Raises ConfigError when an endpoint cannot be used."""
        from recon.sources.chain.evm import ChainSettings, EvmChain
        from recon.sources.chain.rpc import Endpoint
        from recon.sources.http import Clock

        section = self._section(chain_id)
        if chain_id in chain_kinds():
            return self._chain_of_a_kind(chain_id, section)
        minimum = section.confirmations_min
        own: dict[str, Any] = {
            "chain_id": chain_id,
            "confirmations_min": self.settings.values.policy.confirmations_min_default if minimum is None else minimum,
            "merchant_recipients": self.settings.recipients,
            "timeout_s": section.timeout_s,
        }
        if self.world is not None:
            from recon.sources.recorded.world import rpc_handler

            return EvmChain(
                ChainSettings(**own, endpoints=(Endpoint(_RECORDED_URL),), rate_per_s=None),
                registry=self.registry,
                transport=_transport(rpc_handler(self.world, chain_id)),
                clock=Clock(sleep=_no_sleep, now_ms=self._now_ms),
            )
        endpoints = tuple(Endpoint(url.get_secret_value()) for url in self.settings.endpoints(section))
        settings = ChainSettings(
            **own, endpoints=endpoints, range_blocks_max=section.range_blocks, rate_per_s=section.calls_per_s
        )
        return EvmChain(settings, registry=self.registry)

    def has_endpoints(self, chain_id: int) -> bool:
        """Whether a chain can be asked at all."""
        kind = chain_kinds().get(chain_id)
        if kind is not None:
            return self.world is not None or kind.is_reached(self.settings.section(kind.name))
        return self.world is not None or bool(self._section(chain_id).endpoints)

    def _chain_of_a_kind(self, chain_id: int, section: ChainSection) -> ChainSource:
        """A chain that is not EVM, as its kind opens it with the section of its provider."""
        kind = chain_kinds()[chain_id]
        minimum = section.confirmations_min
        default = self.settings.values.policy.confirmations_min_default
        return kind.open(ChainTerms(chain_id, default if minimum is None else minimum, self._terms(kind.name)))

    def accounts(self) -> tuple[str, ...]:
        """``provider:account`` of every provider in scope."""
        given = {name: self.settings.section(name).account for name in sorted(self.settings.providers)}
        return tuple(f"{name}:{'files' if name in self._files else account}" for name, account in given.items())

    def _section(self, chain_id: int) -> ChainSection:
        listed = {section.chain_id: section for section in self.settings.values.chains}
        return listed.get(chain_id) or ChainSection(chain_id=chain_id)

    def _now_ms(self) -> int:
        return int(self.settings.now().timestamp() * 1000)

    def _key(self, variable: str, purpose: str) -> Secret:
        from recon.sources.http import Secret

        if self.world is not None:
            return Secret("recorded")
        return Secret(self.settings.secret(variable, purpose=purpose).get_secret_value())

    def _rate(self, calls_per_s: float) -> float:
        return calls_per_s if self.world is None else _RECORDED_RATE_PER_S

    def _manner(self, provider: Provider) -> dict[str, Any]:
        """How a provider is reached: over the network, or as the recorded world answers for it."""
        if self.world is None or provider.recorded is None:
            return {}
        from recon.sources.http import Clock

        return {
            "transport": _transport(provider.recorded(self.world)),
            "clock": Clock(self._now_ms, sleep=_no_sleep),
        }


class UnreadChain:
    """A chain in scope that cannot be asked, because no endpoint is configured: its coverage says so."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id

    def check(self) -> str:
        """Never says that it can be used."""
        raise EndpointMissingError(chain_id=self.chain_id)

    def read(self, question: ChainQuestion, *, progress: Progress) -> Reading:
        """Never reads anything; what is asked becomes a gap."""
        raise EndpointMissingError(chain_id=self.chain_id)


def open_sources(settings: Settings) -> Sources:
    """Open every source that the configuration puts in scope.

    Raises:
        ConfigError: A secret is missing, or a setting cannot be used; nothing stays open.
    """
    opening = Opening(settings)
    with ExitStack() as stack:
        store = kept_open(stack, opening.store())
        claims = tuple(kept_open(stack, opening.claim(name)) for name in settings.providers)
        chains = tuple(kept_open(stack, chain) for chain in _chains(settings, opening))
        return Sources(
            store=store,
            claims=claims,
            chains=chains,
            fields=opening.fields,
            target_name=settings.target_name,
            provider_accounts=opening.accounts(),
            deliveries=kept_deliveries(settings),
            wallets=settings.known_wallets,
            ledger=kept_open(stack, opening.ledger()),
            stack=stack.pop_all(),
        )
    raise AssertionError("an exit stack lets no exception pass")


def kept_deliveries(settings: Settings) -> KeptDeliveries | None:
    """Where the configuration says that webhook deliveries are kept; a recorded world brings its own. None: nowhere."""
    from recon.sources.deliveries.kept import KeptDeliveries

    given, folder = settings.values.deliveries, settings.recorded_dir
    files = [settings.home / name for name in given.files]
    if folder is not None and (folder / "deliveries.ndjson").exists():
        files.append(folder / "deliveries.ndjson")
    places = [(path.name, _file_reader(path, given.fields)) for path in files]
    name = given.collection if folder is None else None
    if name is not None:
        places.append((name, lambda bodies: read_delivery_collection(settings, name, bodies=bodies)))
    return KeptDeliveries(places) if places else None


def _file_reader(path: Path, names: Mapping[str, tuple[str, ...]]) -> Callable[[bool], DeliveryFile]:
    from recon.sources.deliveries.records import load_deliveries

    return lambda bodies: load_deliveries(path, bodies=bodies, names=names)


def read_delivery_collection(settings: Settings, name: str, *, bodies: bool = True) -> DeliveryFile:
    """Read the delivery records of a collection of the configured database; as :func:`load_deliveries` reads a file.

    Raises:
        ConfigError: The address of the database is missing.
        DeliveriesReadError: The server cannot be reached, or refuses to give them.
    """
    from pymongo.errors import PyMongoError

    from recon.sources.deliveries.records import RECORDS_MAX, DeliveriesReadError, deliveries_of

    mongo = settings.values.mongo
    uri = mongo_uri(settings.secret(mongo.uri_variable, purpose="the database"))
    try:
        with mongo_client(uri, timeout_ms=int(mongo.timeout_s * 1000)) as client:
            found = client[mongo.database][name].find({}).sort("_id", 1).limit(RECORDS_MAX)
            return deliveries_of(found, place=name, bodies=bodies, names=settings.values.deliveries.fields)
    except PyMongoError as error:
        raise DeliveriesReadError(place=name, why=type(error).__name__) from error


def _chains(settings: Settings, opening: Opening) -> Iterator[ChainSource]:
    proven_by_word = {rail.rpartition(":")[2] for rail in settings.rails_by_word()}
    for chain_id in settings.chain_ids:
        if chain_id == OFF_CHAIN:
            continue  # only those who keep the books can be asked
        if opening.has_endpoints(chain_id):
            yield opening.chain(chain_id)
        elif str(chain_id) not in proven_by_word:
            yield UnreadChain(chain_id)


def kept_open(stack: ExitStack, source: Source) -> Source:
    """The source itself, closed with the stack where it can be closed."""
    close = getattr(source, "close", None)
    if close is not None:
        stack.callback(close)
    return source


def _transport(handler: Callable[[httpx.Request], httpx.Response]) -> httpx.BaseTransport:
    import httpx

    return httpx.MockTransport(handler)


def _no_sleep(seconds: float) -> None:
    """A recorded world never makes a caller wait."""
