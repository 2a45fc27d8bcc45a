"""The scenarios: every single row of the catalogue, healthy or broken, as a small world of its own, always the same.

A scenario's family is the verdict that its row plants, so that what one verdict looks like stands in one place.
"""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Mapping
from typing import Final

from recon.core.errors import UsageError
from recon.core.model import Verdict
from recon.simulation.catalogue import BREAKS, HEALTHY
from recon.simulation.oddities import ODDITIES
from recon.simulation.world import World, plant_world

SCENARIOS: Final[Mapping[str, Verdict]] = {
    plant.name: plant.verdict for plant in (*HEALTHY, *BREAKS.values(), *ODDITIES.values())
}
"""Every scenario by name, with its family."""


class UnknownScenarioError(UsageError):
    """No scenario has that name."""

    def __init__(self, *, name: str, near: tuple[str, ...]) -> None:
        meant = f"did you mean {' or '.join(near)}?" if near else "names are in the catalogue of the simulator."
        super().__init__(f"There is no scenario {name!r}; {meant} Nothing was written.")


def scenario_world(name: str) -> World:
    """Make the world of one scenario; its seed is made of its name, so that it is the same everywhere and always.

    Raises:
        UnknownScenarioError: No scenario has that name.
    """
    if name not in SCENARIOS:
        raise UnknownScenarioError(name=name, near=tuple(difflib.get_close_matches(name, SCENARIOS, n=3)))
    return plant_world(name, seed=zlib.crc32(name.encode()))
