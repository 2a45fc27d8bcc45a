"""Whether the wallets that pay for what is sent hold enough of each chain's own coin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from recon.core.errors import ConfigError, SourceError
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


class ReserveUnreadError(SourceError):
    """Nobody can tell what a reserve holds."""

    def __init__(self, *, where: str, why: str) -> None:
        super().__init__(f"{where} could not be looked at: {why}")


def reserve_lines(reserve: ReserveSection) -> tuple[int, int, int]:
    """The line that warns and the critical one in smallest units, and the decimal places.

    Raises:
        ReserveLinesError: They are the wrong way round.
    """
    lines = (reserve.warn_below, reserve.critical_below)
    warn, critical = (parse_units(text, decimals=COIN_DECIMALS) for text in lines)
    if critical > warn:
        raise ReserveLinesError(address=reserve.address, chain_id=reserve.chain_id)
    return warn, critical, COIN_DECIMALS


def reserve_units(opening: Opening, reserve: ReserveSection) -> int:
    """What a reserve holds, in smallest units.

    Raises:
        ReserveUnreadError: The chain has no endpoint, or is none that can be asked for it.
        SourceError: The chain could not be asked.
    """
    where = f"The wallet {reserve.address} on chain {reserve.chain_id}"
    if not opening.has_endpoints(reserve.chain_id):
        raise ReserveUnreadError(where=where, why="the chain has no endpoint. Add one to [[chains]].")
    chain = opening.chain(reserve.chain_id)
    if not isinstance(chain, CoinSource):
        raise ReserveUnreadError(where=where, why="nobody can ask that chain what a wallet holds.")
    return chain.native_units(reserve.address)


def reserve_says(opening: Opening, reserve: ReserveSection) -> tuple[Literal["ok", "warning", "failed"], str]:
    """How one reserve stands, and one sentence.

    Raises:
        ReserveLinesError: Its lines are the wrong way round.
        SourceError: The chain could not be asked.
    """
    warn, critical, _ = reserve_lines(reserve)
    where = f"The wallet {reserve.address} on chain {reserve.chain_id}"
    try:
        held = reserve_units(opening, reserve)
    except ReserveUnreadError as error:
        return "warning", str(error)
    shown = format_units(held, decimals=COIN_DECIMALS)
    if held < critical:
        return "failed", f"{where} holds {shown} of its coin, below the critical {reserve.critical_below}: fill it now."
    if held < warn:
        return "warning", f"{where} holds {shown} of its coin, below {reserve.warn_below}: fill it soon."
    return "ok", f"{where} holds {shown} of its coin."
