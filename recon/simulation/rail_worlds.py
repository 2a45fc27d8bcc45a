"""Worlds of a rail of their own, beside the usual marketplace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from recon.core.errors import UsageError
from recon.simulation.bundles import bundle_world
from recon.simulation.invoice_world import invoice_world
from recon.simulation.order_world import order_world
from recon.simulation.wallet_world import wallet_world

if TYPE_CHECKING:
    from recon.simulation.world import World

RAIL_WORLDS: Final[Mapping[str, Callable[..., World]]] = {
    "monero": wallet_world,
    "relayr": bundle_world,
    "salesforce": order_world,
    "whmcs": invoice_world,
}
"""By rail, what makes its world of so many payments."""


def rail_world(rail: str, payments: int, *, seed: int) -> World:
    """A world of about so many payments on one rail. Raises UsageError where the rail has none."""
    if rail not in RAIL_WORLDS:
        raise UsageError(f"There is no world of {rail[:40]}; there is one of {', '.join(sorted(RAIL_WORLDS))}.")
    return RAIL_WORLDS[rail](payments, seed=seed)
