"""The kept scenarios: ``tests/scenarios/<verdict>/<name>.json`` holds what the tool says of a world and a digest of it.

The world itself is planted when it is needed; the digest tells when the simulator would plant another one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from recon.simulation import write_world
from recon.simulation.scenarios import SCENARIOS, scenario_world

FOLDER = Path(__file__).parents[1] / "scenarios"


def kept(name: str) -> Path:
    """Where what is expected of a scenario is kept: in the folder of the verdict that its row plants."""
    return FOLDER / SCENARIOS[name].value / f"{name}.json"


def plant(name: str, folder: Path) -> Path:
    """Write the world of a scenario below ``folder`` and return its directory."""
    write_world(scenario_world(name), folder / name)
    return folder / name


def digest_of(directory: Path) -> str:
    """SHA-256 over the names and the bytes of all files of a world, by name; lengths keep them apart."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
