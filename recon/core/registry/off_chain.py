"""Money that is on no chain: one place for it, so that it is counted, matched and planned as all other money is.

Nobody can be asked about that place but those who keep the books. Currencies of states stand in it as tokens do on a
chain: two decimals for most, three for a few. A currency without a smaller unit has two as well, since invoices and
statements write them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from recon.core.registry.fiat import FIAT
from recon.core.registry.known import ChainFacts, Registry, Token, extend_registry

OFF_CHAIN: Final = 9_000_000_000_000_000
"""Stands where a chain id stands. No chain has it: ids of chains are far smaller, and JavaScript holds it exactly."""

OFF_CHAIN_NAME: Final = "off-chain"
_ALIASES: Final = ("off_chain", "books", "bank")
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def currency_token(code: str) -> Token:
    """A currency as a token of the place off all chains; its address is made of the letters of its code.

    >>> currency_token("EUR").decimals, currency_token("KWD").decimals, currency_token("EUR").address[-6:]
    (2, 3, '455552')
    """
    address = "0x" + code.encode("ascii").hex().rjust(40, "0")
    return Token(OFF_CHAIN, address, code, 3 if code in _THREE_DECIMALS else 2, may_take_fee=False)


def number_text(chain_id: int) -> str:
    """The number of a chain, and the place off all chains by its name.

    >>> number_text(56), number_text(OFF_CHAIN)
    ('56', 'off-chain')
    """
    return OFF_CHAIN_NAME if chain_id == OFF_CHAIN else str(chain_id)


def place_text(chain_id: int) -> str:
    """A chain as a sentence names it, and the place off all chains by its name.

    >>> place_text(56), place_text(OFF_CHAIN)
    ('chain 56', 'off-chain')
    """
    return OFF_CHAIN_NAME if chain_id == OFF_CHAIN else f"chain {chain_id}"


def with_books(registry: Registry, currencies: Iterable[str]) -> Registry:
    """The registry with the place off all chains and these currencies; unchanged where there are none."""
    return _extended(registry, tuple(sorted(set(currencies)))) if currencies else registry


def currencies_in(words: Iterable[str]) -> tuple[str, ...]:
    """Those words that are currencies of states, each once, sorted.

    >>> currencies_in(["usd", "EUR", "USDC", "EUR"])
    ('EUR', 'USD')
    """
    return tuple(sorted({code for word in words if (code := word.strip().upper()) in FIAT and len(code) == 3}))


def _extended(registry: Registry, currencies: tuple[str, ...]) -> Registry:
    return extend_registry(registry, chains=(_place(),), tokens=tuple(map(currency_token, currencies)))


@cache
def _place() -> ChainFacts:
    return ChainFacts(
        OFF_CHAIN, OFF_CHAIN_NAME, _ALIASES, final_depth=0, trusts_finalized_tag=True, block_ms=1000, range_blocks=1
    )
