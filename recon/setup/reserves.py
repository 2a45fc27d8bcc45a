"""Whether the wallets that pay for what is sent hold enough of each chain's own coin, or of a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from recon.core.errors import ConfigError, SourceError
from recon.core.money import format_units, parse_units
from recon.sources.interface import CoinSource, HoldingSource, no_progress

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


class ReserveTokenError(ConfigError):
    """A reserve is of a token that nobody knows."""

    def __init__(self, *, token: str, chain_id: int) -> None:
        super().__init__(
            f"reserves: no known token of chain {chain_id} is called {token[:20]!r}. Add it to [[tokens]], or leave "
            "token out for the chain's own coin."
        )


class ReserveUnreadError(SourceError):
    """Nobody can tell what a reserve holds."""

    def __init__(self, *, where: str, why: str) -> None:
        super().__init__(f"{where} could not be looked at: {why}")


@dataclass(frozen=True, slots=True)
class ReserveAsset:
    """What a reserve is kept in: the contract of a token, or empty for the chain's own coin."""

    address: str
    symbol: str
    decimals: int


def reserve_asset(opening: Opening, reserve: ReserveSection) -> ReserveAsset:
    """What a reserve is kept in.

    Raises:
        ReserveTokenError: No known token of its chain is called so.
    """
    if reserve.token is None:
        return ReserveAsset("", "of its coin", COIN_DECIMALS)
    for token in opening.registry.tokens.values():
        if token.chain_id == reserve.chain_id and token.symbol.upper() == reserve.token.upper():
            return ReserveAsset(token.address, token.symbol, token.decimals)
    raise ReserveTokenError(token=reserve.token, chain_id=reserve.chain_id)


def reserve_lines(reserve: ReserveSection, *, decimals: int) -> tuple[int, int]:
    """The line that warns and the critical one, in smallest units.

    Raises:
        ReserveLinesError: They are the wrong way round.
    """
    lines = (reserve.warn_below, reserve.critical_below)
    warn, critical = (parse_units(text, decimals=decimals) for text in lines)
    if critical > warn:
        raise ReserveLinesError(address=reserve.address, chain_id=reserve.chain_id)
    return warn, critical


def reserve_units(opening: Opening, reserve: ReserveSection, *, asset: ReserveAsset) -> int:
    """What a reserve holds, in smallest units.

    Raises:
        ReserveUnreadError: The chain has no endpoint, or is none that can be asked for it.
        SourceError: The chain could not be asked.
    """
    where = f"The wallet {reserve.address} on chain {reserve.chain_id}"
    if not opening.has_endpoints(reserve.chain_id):
        raise ReserveUnreadError(where=where, why="the chain has no endpoint. Add one to [[chains]].")
    chain = opening.chain(reserve.chain_id)
    if asset.address and isinstance(chain, HoldingSource):
        reading = chain.read_holdings([(reserve.address, asset.address)], progress=no_progress)
        rows = reading.tables["holdings"].to_pylist()
        if not rows or rows[0]["units"] is None:
            why = next((row.problem for row in reading.coverage if row.problem), "")
            said = why.rpartition(": ")[2].rstrip(".") or "no balance was given"
            raise ReserveUnreadError(where=where, why=f"the chain does not say what it holds ({said}).")
        return int(rows[0]["units"])
    if asset.address or not isinstance(chain, CoinSource):
        raise ReserveUnreadError(where=where, why="nobody can ask that chain what a wallet holds.")
    return chain.native_units(reserve.address)


def reserve_says(opening: Opening, reserve: ReserveSection) -> tuple[Literal["ok", "warning", "failed"], str]:
    """How one reserve stands, and one sentence.

    Raises:
        ReserveLinesError: Its lines are the wrong way round.
        ReserveTokenError: No known token of its chain is called so.
        SourceError: The chain could not be asked.
    """
    asset = reserve_asset(opening, reserve)
    warn, critical = reserve_lines(reserve, decimals=asset.decimals)
    where = f"The wallet {reserve.address} on chain {reserve.chain_id}"
    try:
        held = reserve_units(opening, reserve, asset=asset)
    except ReserveUnreadError as error:
        return "warning", str(error)
    shown = f"{format_units(held, decimals=asset.decimals)} {asset.symbol}"
    if held < critical:
        return "failed", f"{where} holds {shown}, below the critical {reserve.critical_below}: fill it now."
    if held < warn:
        return "warning", f"{where} holds {shown}, below {reserve.warn_below}: fill it soon."
    return "ok", f"{where} holds {shown}."
