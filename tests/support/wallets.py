"""A recorded world with known wallets: what they held is recorded, and what moved is known by construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recon.core.registry import load_registry
from recon.simulation import World
from recon.simulation.catalogue import HEALTHY
from recon.simulation.ledger import Movement, Written
from recon.simulation.stage import HOUR, NOW_MS, Stage
from recon.simulation.world import world_of

FIRST_UNITS = 10**24
STRANGER = "0x" + "66" * 20
TREASURY = "0x" + "99" * 20
LEAK_UNITS = 50
ASTRAY_UNITS = 70
SWEEP_UNITS = 90
CHAIN = 56


@dataclass(frozen=True)
class WalletWorld:
    """The world and what is true of it.

    Args:
        hot: The wallet that payouts leave from.
        merchant: One of our recipients.
        leak, astray, sweep: What left the hot wallet, left the merchant, and went from it to the treasury; no row names
            any of them.
    """

    world: World
    hot: str
    merchant: str
    token: str
    leak: Written
    astray: Written
    sweep: Written

    def moved(self, wallet: str, *, chain_id: int = CHAIN, token: str | None = None) -> tuple[int, int]:
        """What came to a wallet and what left it, of a token, by the logs of the chain."""
        word, came, left = "0x" + wallet[2:].rjust(64, "0"), 0, 0
        for log in self.world.recorded.chains[chain_id].logs:
            if log["address"] == (token or self.token) and len(log["topics"]) == 3 and not log["removed"]:
                came += int(log["data"], 16) * (log["topics"][2] == word)
                left += int(log["data"], 16) * (log["topics"][1] == word)
        return came, left


def wallet_world(*, seed: int = 5) -> WalletWorld:
    """Healthy payments in, out and back; a leak from the hot wallet, one from the merchant, and a sweep."""
    stage = Stage(seed)
    healthy = {plant.name: plant for plant in HEALTHY}
    for name in ("completed", "released", "refunded", "completed", "given_back", "released") * 4:
        stage.plant(healthy[name])
    token = load_registry().token(CHAIN, "USDC")
    assert token is not None
    merchant = stage.merchants[0]
    hot = stage.hot_wallet

    def move(sender: str, recipient: str, units: int, *, hours: int) -> Written:
        block = stage.ledger.block_at(CHAIN, NOW_MS - hours * HOUR)
        [landed] = stage.ledger.write(CHAIN, block, movements=(Movement(token.address, sender, recipient, units),))
        return landed

    leak = move(hot, STRANGER, LEAK_UNITS, hours=5)
    astray = move(merchant, STRANGER, ASTRAY_UNITS, hours=4)
    sweep = move(merchant, TREASURY, SWEEP_UNITS, hours=3)
    world = with_balances(world_of(stage, seed=seed), (*stage.merchants, hot), {})
    return WalletWorld(world, hot, merchant, token.address, leak, astray, sweep)


def with_balances(world: World, wallets: tuple[str, ...], later: Mapping[int, list[dict[str, Any]]]) -> World:
    """The world with every wallet's balance recorded at block 1, and further rows by chain."""
    registry, recorded = load_registry(), world.recorded
    chains = {
        chain_id: replace(
            chain,
            balances=(
                *(
                    {"wallet": wallet, "token": address, "block": 1, "units": str(FIRST_UNITS)}
                    for wallet in wallets
                    for of_chain, address in sorted(registry.tokens)
                    if of_chain == chain_id
                ),
                *later.get(chain_id, []),
            ),
        )
        for chain_id, chain in recorded.chains.items()
    }
    return replace(world, recorded=replace(recorded, chains=chains, wallets=wallets))


def pruned(world: World, *, since: int) -> World:
    """The same world behind nodes that keep no state of the blocks before the newest ``since``."""
    chains = {}
    for chain_id, chain in world.recorded.chains.items():
        first = chain.head - since
        held = tuple({**row, "block": first, "units": str(_at(chain, row, first))} for row in chain.balances)
        chains[chain_id] = replace(chain, balances=held)
    return replace(world, recorded=replace(world.recorded, chains=chains))


def _at(chain: Any, row: Mapping[str, Any], block: int) -> int:
    word, units = "0x" + row["wallet"][2:].rjust(64, "0"), int(row["units"])
    for log in chain.logs:
        if log["address"] == row["token"] and len(log["topics"]) == 3 and int(log["blockNumber"], 16) <= block:
            units += int(log["data"], 16) * ((log["topics"][2] == word) - (log["topics"][1] == word))
    return units
