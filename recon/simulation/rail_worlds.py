"""Worlds of a single rail, by its name, for ``recon demo --rail``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recon.simulation.world import World


def _bundles(payments: int, seed: int) -> World:
    from recon.simulation.bundles import bundle_world

    return bundle_world(payments=payments, seed=seed)


RAIL_WORLDS: Final[Mapping[str, Callable[[int, int], World]]] = {"relayr": _bundles}
"""What makes a world of so many payments from a seed, by rail."""
