"""Whether the wallets that pay for what is sent hold enough of each chain's own coin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from recon.core.errors import ConfigError
from recon.core.money import format_units, parse_units
from recon.sources.interface import CoinSource

if TYPE_CHECKING:
    from recon.setup.file import ReserveSection
    from recon.setup.open_sources import Opening

COIN_DECIMALS: Final = 18
"""Decimal places of the own coin of every EVM chain."""


class ReserveLinesError(ConfigError):
    """The critical line of a reserve lies above the one that warns."""

    def __init__(self, *, address: str, chain_id: int) -> None:
        super().__init__(
            f"reserves: the wallet {address} on chain {chain_id} has its critical line above the one that warns. Set "
            "critical_below to no more than warn_below."
        )


def reserve_says(opening: Opening, reserve: ReserveSection) -> tuple[Literal["ok", "warning", "failed"], str]:
    """How one reserve stands, and one sentence.

    Raises:
        ReserveLinesError: Its lines are the wrong way round.
        SourceError: The chain could not be asked.
    """
    lines = (reserve.warn_below, reserve.critical_below)
    warn, critical = (parse_units(text, decimals=COIN_DECIMALS) for text in lines)
    if critical > warn:
        raise ReserveLinesError(address=reserve.address, chain_id=reserve.chain_id)
    where = f"The wallet {reserve.address} on chain {reserve.chain_id}"
    if not opening.has_endpoints(reserve.chain_id):
        return "warning", f"{where} could not be looked at: the chain has no endpoint. Add one to [[chains]]."
    chain = opening.chain(reserve.chain_id)
    if not isinstance(chain, CoinSource):
        return "warning", f"{where} could not be looked at: nobody can ask that chain what a wallet holds."
    held = chain.native_units(reserve.address)
    shown = format_units(held, decimals=COIN_DECIMALS)
    if held < critical:
        return "failed", f"{where} holds {shown} of its coin, below the critical {reserve.critical_below}: fill it now."
    if held < warn:
        return "warning", f"{where} holds {shown} of its coin, below {reserve.warn_below}: fill it soon."
    return "ok", f"{where} holds {shown} of its coin."
