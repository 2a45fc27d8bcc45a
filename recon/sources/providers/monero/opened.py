"""The wallets of a configuration, as provider and chain alike open them."""

from __future__ import annotations

from recon.sources.http import Clock
from recon.sources.providers.monero.rpc import ServerTerms
from recon.sources.providers.monero.wallets import Wallets
from recon.sources.providers.provider import OpeningTerms


def opened_wallets(terms: OpeningTerms, *, nettype: str | None = None) -> Wallets:
    """Wallets that nothing was asked of yet. Raises a ConfigError where a login is missing."""
    reached = ServerTerms(
        timeout_s=terms.section.timeout_s,
        calls_per_s=terms.calls_per_s,
        transport=terms.transport,
        clock=terms.clock or Clock(),
    )
    return Wallets(terms.section, secret=terms.secret, reached=reached, nettype=nettype)
