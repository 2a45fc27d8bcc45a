"""What a kind of chain is: one object that says everything the rest of recon needs to know of chains that are not EVM.

It is cheap to import, like a provider. A distribution of its own registers one in the entry-point group
``recon.chains``::

    [project.entry-points."recon.chains"]
    acmechain = "acmechain.chain:CHAIN"

The source that it opens gives the same tables as every chain. Money that moved is a transfer of kind ``erc20``, the
plain kind that needs no reference, with ``log_index`` as whatever number tells two transfers of one transaction apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from recon.core.installed import CHAINS, PluginError, installed
from recon.core.registry import ChainFacts, Token

if TYPE_CHECKING:
    from recon.sources.interface import ChainSource
    from recon.sources.providers.provider import OpeningTerms


@dataclass(frozen=True, slots=True)
class ChainTerms:
    """What a chain is opened with.

    Args:
        chain_id: Which of the kind's chains.
        confirmations_min: The backend's own minimum; the kind's final depth may ask for more.
        opening: What its provider is opened with, the provider's section among it.
    """

    chain_id: int
    confirmations_min: int
    opening: OpeningTerms


@dataclass(frozen=True, slots=True)
class ChainKind:
    """Chains of one kind.

    Args:
        name: Lower case; also the provider in whose section it stands how these chains are reached.
        chains: What is known of each of them. They join the registry.
        tokens: The coins and tokens that move there.
        read_address: An address of such a chain as it is compared, or None for any other text.
        is_reached: Whether a section says how a chain is asked.
        open: Gives the source of a chain; raises a ConfigError where a setting or a secret is missing.
        dust_units: By address of a token, the least amount that matters; 0.01 of it where nothing is said.
        has_bare_hashes: Whether its people write hashes without ``0x``; a correction writes them so.
    """

    name: str
    chains: tuple[ChainFacts, ...]
    tokens: tuple[Token, ...]
    read_address: Callable[[str], str | None]
    is_reached: Callable[[Any], bool]
    open: Callable[[ChainTerms], ChainSource]
    dust_units: Mapping[str, int] = field(default_factory=dict)
    has_bare_hashes: bool = False


@cache
def chain_kinds() -> Mapping[int, ChainKind]:
    """The kinds by chain id.

    Raises:
        PluginError: What is installed under a name is no kind of chain.
    """
    found: dict[int, ChainKind] = {}
    for each in installed(CHAINS).values():
        if not isinstance(each.thing, ChainKind):
            why = f"it is a {type(each.thing).__name__} and no ChainKind"
            raise PluginError(group=CHAINS, name=each.name, origin=each.distribution, why=why)
        found |= {chain.chain_id: each.thing for chain in each.thing.chains}
    return found
