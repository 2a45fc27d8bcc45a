"""Rounds of a watch over a recorded world whose clock is moved, and children that are killed in the middle of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recon.core.times import second_text
from recon.simulation import generate_world, write_world
from recon.watch import watch_once
from recon.watch.rounds import RoundDone

ROOT = Path(__file__).resolve().parents[2]


def a_watched_world(folder: Path, *, payments: int = 40, settings: str = "") -> Path:
    """A small recorded world; gives its configuration."""
    write_world(generate_world(payments=payments, seed=4), folder)
    config = folder / "recon.toml"
    config.write_text(config.read_text(encoding="utf-8") + settings, encoding="utf-8")
    return config


def move_clock(config: Path, minutes: float) -> datetime:
    """Let the moment of a recorded world be so much later; gives it."""
    path = config.parent / "world.json"
    world: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    now = datetime.fromisoformat(str(world["now"]).replace("Z", "+00:00")) + timedelta(minutes=minutes)
    path.write_text(json.dumps({**world, "now": second_text(now)}), encoding="utf-8")
    return now


def one_round(config: Path, minutes: float = 5, **given: Any) -> RoundDone:
    """One round, so much later."""
    move_clock(config, minutes)
    return watch_once(config, **given)


def killed_rounds(config: Path, places: Iterable[int]) -> list[int]:
    """One round after another, each in a process that is killed at its so-many-th sync of a file.

    Gives for each what ended it: 0 when it came to its end, else the signal, negative.
    """
    command = [sys.executable, "-m", "tests.support.watching", str(config), *map(str, places)]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    return [int(word) for word in ran.stdout.split()]


def _die_at(place: int) -> None:
    real, seen = os.fsync, 0

    def counted(handle: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == place:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = counted


def _child(config: Path, place: int) -> int:
    pid = os.fork()
    if pid == 0:
        _die_at(place)
        try:
            watch_once(config)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    import duckdb  # noqa: F401 - imported once for all children
    import polars  # noqa: F401

    sys.stdout.write(" ".join(str(_child(Path(sys.argv[1]), int(word))) for word in sys.argv[2:]))
