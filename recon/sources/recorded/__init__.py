"""A recorded world: sources that answer from files as the real ones answer over a network."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.recorded.format import RecordedChain, RecordedWorld
    from recon.sources.recorded.world import load_world

__all__ = [
    "RecordedChain",
    "RecordedWorld",
    "load_world",
]

__getattr__ = names_from(
    {
        "RecordedChain": "recon.sources.recorded.format",
        "RecordedWorld": "recon.sources.recorded.format",
        "load_world": "recon.sources.recorded.world",
    }
)
