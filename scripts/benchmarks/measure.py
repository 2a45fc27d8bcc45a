"""Running one program and seeing what it cost: wall and processor seconds, and the most memory it held.

This module imports nothing heavy: the memory of the parent would otherwise show up in the figure of its children.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


class FailedError(Exception):
    """A measured program did not do its work."""

    def __init__(self, *, command: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"{' '.join(command)} left with {code}: {said[-2000:]}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost: seconds on the wall, seconds of processor, peak resident megabytes."""

    wall_s: float
    cpu_s: float
    peak_mb: float

    def text(self) -> str:
        """The cost as it is printed."""
        return f"{self.wall_s:8.2f} s   {self.cpu_s:8.2f} cpu s   {self.peak_mb:7.0f} MB"


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure beside its peer.

    Args:
        name: Stable name under which the ratio is kept, e.g. ``judge.100000``.
        ratio: Ours by theirs; ``better`` says in which direction it is good.
        aim: The aim of the ratio or figure, or None.
        better: ``less`` or ``more``.
    """

    name: str
    ratio: float
    said: str
    aim: float | None = None
    better: str = "less"

    def is_met(self) -> bool:
        """Whether the aim is met; a figure without one always is."""
        if self.aim is None:
            return True
        return self.ratio <= self.aim if self.better == "less" else self.ratio >= self.aim


def run_process(command: Sequence[str], *, codes: Sequence[int] = (0,), env: dict[str, str] | None = None) -> Cost:
    """Run a program to its end and give what it cost; its children are counted in."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command), stdout=said, stderr=said, cwd=ROOT, env={**os.environ, **(env or {})}, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        code = process.returncode = os.waitstatus_to_exitcode(status)
        if code not in codes:
            said.seek(0)
            raise FailedError(command=command, code=code, said=said.read())
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def run_part(name: str, *arguments: object, codes: Sequence[int] = (0,)) -> Cost:
    """Run ``benchmarks.parts.<name>`` with these arguments in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.parts", name, *map(str, arguments)]
    return run_process(command, codes=codes)


def ask_part(name: str, *arguments: object) -> Any:
    """Run a part that prints one JSON value and give that value."""
    command = [sys.executable, "-m", "benchmarks.parts", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise FailedError(command=command, code=done.returncode, said=done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def interleaved(rounds: int, *measures: Callable[[], Cost]) -> list[Cost]:
    """Take each measure in turn, ``rounds`` times, so that a busy minute hits all of them; give the median of each."""
    taken: list[list[Cost]] = [[] for _ in measures]
    for _ in range(rounds):
        for place, measure in enumerate(measures):
            taken[place].append(measure())
    return [
        Cost(median(c.wall_s for c in costs), median(c.cpu_s for c in costs), max(c.peak_mb for c in costs))
        for costs in taken
    ]


def say(text: str = "") -> None:
    """Print one line at once."""
    print(text, flush=True)
