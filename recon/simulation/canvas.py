"""Everything a world will hold, and the one random number generator that decides it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recon.simulation.case import Case
    from recon.simulation.situation import Truth
    from recon.sources.recorded.faults import FaultRule


class Canvas:
    """The documents, claims, deliveries, cases, truths and faults of a world that is being made."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311 - a simulation has to be repeatable
        self.documents: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.invoices: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.truths: list[Truth] = []
        self.cases: list[Case] = []
        self.merchants: tuple[str, ...] = ()
        self.faults: list[FaultRule] = []

    def hex(self, size: int) -> str:
        """Random bytes as bare hex digits."""
        return f"{self.rng.getrandbits(8 * size):0{2 * size}x}"

    def address(self) -> str:
        """A random address."""
        return "0x" + self.hex(20)
