"""Known facts about chains, tokens, contracts and the words for them: data files, and no other I/O.

The JSON files beside this module are the data; :func:`load_registry` gives them, :func:`extend_registry` adds to them.
Deployment addresses come from npm ``@requestnetwork/smart-contracts`` 0.48.0 (MIT).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from recon.core.installed import CHAINS, PROVIDERS, installed
from recon.core.registry.explorers import Explorer

TRANSFER_WITH_REFERENCE_AND_FEE = "0x9f16cbcc523c67a60c450e5ffe4f3b7b6dbe772e7abcadb2686ce029a9a0a2b6"
"""topic0 of ``TransferWithReferenceAndFee(address,address,uint256,bytes,uint256,address)``; four contracts emit it."""

ERC20_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""topic0 of ERC-20 ``Transfer(address,address,uint256)``."""

FORWARDER_CREATED = "0xb3f4a2fbcfdb092b801614aff3a3c369aa8b488724fc598488423b3f3aa999df"
"""topic0 of a factory's ``ERC20SingleRequestProxyCreated``; topic1 is the hash of the payment reference."""

TERMINAL_PAY = "0x133161f1c9161488f777ab9a26aae91d47c0d9a3fafb398960f138db02c73797"
"""topic0 of a terminal's ``Pay(uint256,uint256,uint256,address,address,uint256,uint256,string,bytes,address)``."""

TERMINAL = "terminal"
"""The kind of the contracts that log :data:`TERMINAL_PAY`: they carry no reference, and no scan looks for them."""

TEST_PROVIDER = "test"
"""The provider word of rows that no money belongs to; nothing is asked about them."""

_CAIP_2 = re.compile(r"eip155:([0-9]{1,18})\Z")
_NETWORK_WORDS = re.compile(r"[\s_-]+")
_MAINNET = "-mainnet"
_NUMBER = re.compile(r"(?:[0-9]{1,18}|0x[0-9a-f]{1,15})\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """A token contract on one chain. Decimals belong to (chain, address), never to the symbol.

    Args:
        aliases: Other words for it on its chain, such as a provider's own.
        may_take_fee: Its contract can keep a part of what is sent, now or by a switch: how much came is then measured
            in its own logs. False only where the contract is known to have no such thing.
    """

    chain_id: int
    address: str
    symbol: str
    decimals: int
    aliases: tuple[str, ...] = ()
    may_take_fee: bool = True

    def is_called(self, word: str) -> bool:
        """Whether a word means this token, whatever its case."""
        return word.upper() in {name.upper() for name in (self.symbol, *self.aliases)}


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """One chain as far as finality and scanning care.

    Args:
        final_depth: Blocks below the head that count as final where the tag is missing or not to be trusted.
        trusts_finalized_tag: False where the ``finalized`` tag was seen violated; then the lower of both is used.
        block_ms: Usual time between blocks, for a first guess only.
        range_blocks: First block range to ask ``eth_getLogs`` for.
        explorer: Where people look at its transactions and addresses; None where no such place is known.
    """

    chain_id: int
    name: str
    aliases: tuple[str, ...]
    final_depth: int
    trusts_finalized_tag: bool
    block_ms: int
    range_blocks: int
    explorer: Explorer | None = None


@dataclass(frozen=True, slots=True)
class Emitter:
    """A contract whose logs carry payment references; a ``terminal`` logs what it was paid without one."""

    chain_id: int
    address: str
    kind: str
    version: str
    created_block: int


@dataclass(frozen=True, slots=True)
class Registry:
    """Chains, tokens and emitters by key; immutable."""

    chains: Mapping[int, ChainFacts]
    tokens: Mapping[tuple[int, str], Token]
    emitters: Mapping[tuple[int, str], Emitter]
    chain_aliases: Mapping[str, int]
    provider_aliases: Mapping[str, str]

    def chain_id(self, word: str | int | None) -> int | None:
        """The chain id that a network word, a CAIP-2 name or a number means, or None for an unknown one.

        >>> [load_registry().chain_id(word) for word in ("eip155:56", "polygon-mainnet", "base-sepolia")]
        [56, 137, None]
        """
        if word is None:
            return None
        text = str(word).strip().lower()
        plain = _NETWORK_WORDS.sub("-", text)
        for known in (text, plain, plain.removesuffix(_MAINNET)):
            if known in self.chain_aliases:
                return self.chain_aliases[known]
        caip = _CAIP_2.match(text)
        text = caip[1] if caip else text
        if not _NUMBER.match(text):
            return None
        number = int(text, 16 if text.startswith("0x") else 10)
        return number if number in self.chains else None

    def token(self, chain_id: int, symbol: str) -> Token | None:
        """The token a symbol or an alias means on a chain, or None when it is unknown or means several."""
        wanted = symbol.strip()
        found = [token for (chain, _), token in self.tokens.items() if chain == chain_id and token.is_called(wanted)]
        return found[0] if len(found) == 1 else None

    def provider(self, word: str | None) -> str:
        """The normalised name of a provider word; an unknown one comes back in lower case."""
        text = (word or "").strip().lower()
        return self.provider_aliases.get(text, text)

    def explorer(self, chain_id: int | None) -> Explorer | None:
        """Where a chain is looked at; None for a chain that is not known or has no such place."""
        facts = None if chain_id is None else self.chains.get(chain_id)
        return None if facts is None else facts.explorer

    def tx_page(self, chain_id: int | None, tx_hash: str | None) -> str | None:
        """The page of a transaction at the explorer of its chain, or None."""
        explorer = self.explorer(chain_id)
        if explorer is None or chain_id is None:
            return None
        return explorer.tx_page(chain_id, tx_hash or "")

    def address_page(self, chain_id: int | None, address: str | None) -> str | None:
        """The page of an address at the explorer of its chain, or None."""
        explorer = self.explorer(chain_id)
        if explorer is None or chain_id is None:
            return None
        return explorer.address_page(chain_id, address or "")

    def emitters_of(self, chain_id: int, *, kind: str | None = None) -> tuple[Emitter, ...]:
        """All contracts of a chain that emit payment references, oldest first; terminals only by their kind."""
        kinds = (e.kind != TERMINAL if kind is None else e.kind == kind for e in self.emitters.values())
        here = (e for e, is_meant in zip(self.emitters.values(), kinds, strict=True) if is_meant)
        return tuple(sorted((e for e in here if e.chain_id == chain_id), key=lambda e: (e.created_block, e.address)))


def _data(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def load_registry() -> Registry:
    """The registry as shipped, with the chains of every installed kind; :func:`extend_registry` adds to it."""
    chains = {
        row["chain_id"]: ChainFacts(
            chain_id=row["chain_id"],
            name=row["name"],
            aliases=tuple(row["aliases"]),
            final_depth=row["final_depth"],
            trusts_finalized_tag=row["trusts_finalized_tag"],
            block_ms=row["block_ms"],
            range_blocks=row["range_blocks"],
            explorer=_explorer(row.get("explorer")),
        )
        for row in _data("chains.json")
    }
    tokens = {(row["chain_id"], row["address"]): _token(row) for row in _data("tokens.json")}
    emitters = {(row["chain_id"], row["address"]): Emitter(**row) for row in _data("emitters.json")}
    providers = {alias: name for name, each in installed(PROVIDERS).items() for alias in (name, *each.thing.aliases)}
    providers[TEST_PROVIDER] = TEST_PROVIDER
    for each in installed(CHAINS).values():
        chains |= {chain.chain_id: chain for chain in each.thing.chains}
        tokens |= {(token.chain_id, token.address): token for token in each.thing.tokens}
    return _registry(chains, tokens, emitters, providers)


def _explorer(said: str | Mapping[str, str] | None) -> Explorer | None:
    if said is None:
        return None
    return Explorer.at(said) if isinstance(said, str) else Explorer(**said)


def _token(row: Mapping[str, Any]) -> Token:
    return Token(**{**row, "aliases": tuple(row.get("aliases", ()))})


@cache
def forwarder_factories(chain_id: int) -> tuple[tuple[str, int], ...]:
    """The contracts of a chain that make Request Network's forwarders: address and the block each was made in."""
    rows = [row for row in _data("factories.json") if row["chain_id"] == chain_id]
    return tuple((row["address"], row["created_block"]) for row in rows)


def extend_registry(
    base: Registry,
    *,
    chains: tuple[ChainFacts, ...] = (),
    tokens: tuple[Token, ...] = (),
    emitters: tuple[Emitter, ...] = (),
) -> Registry:
    """A registry with more (or other) entries; what is given replaces what has the same key."""
    return _registry(
        {**base.chains, **{chain.chain_id: chain for chain in chains}},
        {**base.tokens, **{(token.chain_id, token.address.lower()): token for token in tokens}},
        {**base.emitters, **{(emitter.chain_id, emitter.address.lower()): emitter for emitter in emitters}},
        base.provider_aliases,
    )


def _registry(
    chains: Mapping[int, ChainFacts],
    tokens: Mapping[tuple[int, str], Token],
    emitters: Mapping[tuple[int, str], Emitter],
    providers: Mapping[str, str],
) -> Registry:
    aliases = {alias.lower(): chain.chain_id for chain in chains.values() for alias in (chain.name, *chain.aliases)}
    return Registry(chains, tokens, emitters, aliases, providers)
