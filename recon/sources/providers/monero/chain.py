"""Monero's networks as a kind of chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.chain_kind import ChainKind, ChainTerms
from recon.sources.providers.monero.networks import CHAINS, COIN, DUST_UNITS, NETTYPES, TOKENS, UNLOCK_BLOCKS
from recon.sources.providers.monero.networks import read_address as _read_address

if TYPE_CHECKING:
    from recon.sources.interface import ChainSource


def _is_reached(section: Any) -> bool:
    return section.daemon_url is not None and bool(section.wallets)


def _open(terms: ChainTerms) -> ChainSource:
    from recon.sources.providers.monero.ledger import MoneroLedger
    from recon.sources.providers.monero.moved import FinalFrom
    from recon.sources.providers.monero.opened import opened_wallets

    depth = max(UNLOCK_BLOCKS, terms.confirmations_min)
    wallets = opened_wallets(terms.opening, nettype=NETTYPES[terms.chain_id])
    return MoneroLedger(wallets, by=FinalFrom(terms.chain_id, depth))


CHAIN: Final = ChainKind(
    name="monero",
    chains=CHAINS,
    tokens=TOKENS,
    read_address=_read_address,
    is_reached=_is_reached,
    open=_open,
    dust_units={COIN: DUST_UNITS},
    has_bare_hashes=True,
)
