"""The world simulator: labelled worlds that prove the verdicts. Never imported by what judges."""

from recon.simulate.situation import Truth
from recon.simulate.world import PLANTS, World, generate_world, load_breaks, load_truth, plant_world, write_world

__all__ = [
    "PLANTS",
    "Truth",
    "World",
    "generate_world",
    "load_breaks",
    "load_truth",
    "plant_world",
    "write_world",
]
