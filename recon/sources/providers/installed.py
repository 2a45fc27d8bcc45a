"""The providers that are installed, by name, and the few questions that others ask of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from recon.core.installed import PROVIDERS, PluginError, installed
from recon.sources.providers.provider import Provider, Webhooks


@cache
def providers() -> Mapping[str, Provider]:
    """The installed providers by name, the built-in ones first.

    Raises:
        PluginError: What is installed under a name is no provider.
    """
    for each in installed(PROVIDERS).values():
        if not isinstance(each.thing, Provider):
            why = f"it is a {type(each.thing).__name__} and no Provider"
            raise PluginError(group=PROVIDERS, name=each.name, origin=each.distribution, why=why)
    return {name: each.thing for name, each in installed(PROVIDERS).items()}


@cache
def usual_providers() -> Mapping[str, Provider]:
    """Those that are in scope where nobody names any, and between which flags switch."""
    return {name: each for name, each in providers().items() if each.is_usual}


def first_provider() -> str:
    """The rail that commands mean when none is named."""
    return next(iter(usual_providers()))


def provider_names() -> str:
    """The names of all providers as a sentence lists them."""
    return " and ".join(providers())


def webhooks_of(name: str) -> Webhooks:
    """What is known of a provider's webhooks; of one that is not installed, only that it takes every 2xx."""
    found = providers().get(name)
    return Webhooks() if found is None else found.webhooks


@cache
def rails_by_external_id() -> tuple[str, ...]:
    """Providers whose objects are known by external id; those of all others by request id."""
    return tuple(name for name, each in providers().items() if each.key == "external_id")


@cache
def rails_that_pay_out() -> tuple[str, ...]:
    """Providers at which money that goes out is an object of its own."""
    return tuple(name for name, each in providers().items() if each.pays_out)


@cache
def rails_with_one_time_addresses() -> frozenset[str]:
    """Providers that give each payment an address of its own."""
    return frozenset(name for name, each in providers().items() if each.has_one_time_addresses)


@cache
def rails_that_send() -> tuple[str, ...]:
    """Providers that send the transactions of payments themselves."""
    return tuple(name for name, each in providers().items() if each.sends_transactions)


@cache
def rails_that_show_only_their_own() -> tuple[str, ...]:
    """Providers without whose own objects nobody can tell what came."""
    return tuple(name for name, each in providers().items() if each.shows_only_its_own)


@cache
def rails_with_books() -> frozenset[str]:
    """Providers whose money is in books of their own, on no chain."""
    return frozenset(name for name, each in providers().items() if each.books is not None)


@cache
def rails_without_money() -> frozenset[str]:
    """Providers whose books are of orders and what was delivered of them, and not of money."""
    return frozenset(name for name, each in providers().items() if each.books and not each.books.hold_money)


@cache
def rails_without_escrow() -> frozenset[str]:
    """Providers at which no money is held until it is released."""
    return frozenset(name for name, each in providers().items() if not each.holds_escrow)


@cache
def rails_with_other_business() -> frozenset[str]:
    """Providers whose account serves more than our payments."""
    return frozenset(name for name, each in providers().items() if not each.is_ours)


def rail_with_funds_accounts() -> str:
    """The provider whose legacy payments a backfill maps to funds accounts."""
    return next(name for name, each in providers().items() if each.has_funds_accounts)


def names_asked_by(name: str) -> frozenset[str]:
    """Which kinds of names a source of claims can be asked by; one that is not installed by any."""
    found = providers().get(name)
    return frozenset({"external_id", "request_id", "reference"}) if found is None else found.asked_by
