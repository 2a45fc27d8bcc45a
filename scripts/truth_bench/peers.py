"""Runs matchers on a written world, each in a virtual environment of its own below a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SECONDS_MAX: Final = 900


@dataclass(frozen=True, slots=True)
class Peer:
    """A matcher.

    Args:
        needs: What pip installs for it, one call after the other, versions pinned; ``{source}`` is a copy of this
            project.
        script: The file of this folder that reads the world's folder and writes the answers.
    """

    name: str
    needs: tuple[tuple[str, ...], ...]
    script: str


PEERS: Final = (
    Peer("recon", (("-r", str(ROOT / "constraints.txt")), ("--no-deps", "{source}")), "peer_recon.py"),
    Peer(
        "datacompy", (("datacompy==1.1.0", "pandas==3.0.6", "polars==1.44.2", "pyarrow==26.0.1"),), "peer_datacompy.py"
    ),
    Peer("reconcile-py", (("reconcile-py==0.1.0",),), "peer_reconcile.py"),
    Peer("recordlinkage", (("recordlinkage==0.16", "pandas==2.3.3", "numpy==2.4.6"),), "peer_recordlinkage.py"),
)


class PeerError(Exception):
    """A matcher could not be installed, or did not finish."""


def answer(peer: Peer, world: Path, *, folder: Path, out: Path) -> float:
    """Make the environment of a matcher, run it on a world, and give the seconds that it took.

    Raises:
        PeerError: With the last lines of what it said.
    """
    home = folder / peer.name
    _run([sys.executable, "-m", "venv", str(home)])
    python = home / "bin" / "python"
    for needs in peer.needs:
        named = [need.format(source=_source(home)) for need in needs]
        _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *named])
    start = time.monotonic()
    _run([str(python), str(HERE / peer.script), str(world), str(out)])
    return time.monotonic() - start


def _source(home: Path) -> Path:
    """A copy of this project to install from, so that building it leaves nothing in it."""
    source = home / "source"
    if not source.exists():
        shutil.copytree(ROOT / "recon", source / "recon", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, source / name)
    return source


def _run(command: list[str]) -> None:
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX, env=outside, cwd="/"
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{command[0]} did not end within {SECONDS_MAX} s") from error
    if done.returncode:
        raise PeerError("\n".join(done.stderr.splitlines()[-8:]))
