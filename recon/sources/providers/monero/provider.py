"""Monero as the rest of recon knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import Flags, OpeningTerms, Provider, RailProbe

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "monero"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.monero.settings import MoneroSection

    return MoneroSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.sources.providers.monero.claims import WalletClaims
    from recon.sources.providers.monero.opened import opened_wallets

    return WalletClaims(opened_wallets(terms))


def _probe(section: Any, key: str | None) -> RailProbe | None:
    """The daemon's own page of its height, which needs no login of a wallet."""
    return None if section.daemon_url is None else RailProbe(f"{section.daemon_url}/get_height")


def _recorded(world: Any) -> Any:
    from recon.sources.providers.monero.recorded import monero_handler

    return monero_handler(world)


_EXAMPLE: Final = """\
enabled = true
daemon_url = "http://127.0.0.1:18081"
# daemon_login_variable = "RECON_MONERO_LOGIN"    # holds user:password; the same key in a wallet is login_variable
# head_age_max_min = 20                  # a daemon whose newest block is older has not been asked
wallets = [
  { name = "buyer", url = "http://127.0.0.1:18083", start_height = 3100000 },    # or canary = "a transaction of it"
]

[[chains]]
chain_id = 524694243                     # mainnet; the page of the provider has the numbers of the other networks
confirmations_min = 10                   # an output unlocks then
"""
"""Its section of the configuration that ``recon init`` writes."""

_ADDRESSES: Final = ("metadata.moneroAddress", "moneroAddress", "multisig_address", "metadata.multisigAddress")

PROVIDER: Final = Provider(
    name=NAME,
    title="Monero",
    aliases=("xmr", "monero-wallet-rpc"),
    section=_section,
    open=_open,
    key="external_id",
    asked_by=frozenset({"external_id"}),
    has_one_time_addresses=True,
    shows_only_its_own=True,
    state_words={"received": "unknown", "empty": "unknown"},
    fields={
        "recipient": _ADDRESSES,
        "payout_recipient": ("payout_address", "metadata.payoutAddress"),
        "external_id": _ADDRESSES,
    },
    flags=Flags(switch="MONERO_ENABLED", secrets=("MONERO_WALLET_RPC_URL", "MONERO_DAEMON_URL")),
    probe=_probe,
    recorded=_recorded,
    secrets={"RECON_MONERO_LOGIN": "user:password of a wallet server"},
    example=_EXAMPLE,
    is_usual=False,
)
