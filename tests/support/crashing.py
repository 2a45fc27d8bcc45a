"""A child that applies a plan and kills itself at one step; kept lean, because it is started hundreds of times."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient

from tests.support.applying import World, connect, some_documents

ROWS = 18
"""Two first rows, two whole groups of seven and a part of one: every kind of step, at every place in a group."""


@dataclass
class Steps:
    """Counts the steps of a run and, at one of them, kills the process as a crash of the machine would."""

    kill_at: int | None = None
    names: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, name: str) -> None:
        with self._lock:
            self.names.append(name)
            if len(self.names) == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def pace(group_size: int, in_flight: int, steps: Steps) -> dict[str, Any]:
    """With one write at a time the steps have the same order in every run; with more they have the same number."""
    return {"group_size": group_size, "in_flight": in_flight, "canary_rows": 2, "step": steps}


def world_of(client: MongoClient[dict[str, object]], name: str) -> World:
    """The world of a case as both the parent and the child see it."""
    return connect(client[name], some_documents(ROWS))


def apply_and_die(uri: str, name: str, *, group_size: int, in_flight: int, kill_at: int) -> None:
    """What the child does; a database of SQL has an address of its own, and its name is of no use."""
    if not uri.startswith("mongodb"):
        from tests.support.sql_world import place_at, sql_world

        sql = sql_world(place_at(uri), some_documents(ROWS), is_there=True)
        sql.apply(sql.plan(), **pace(group_size, in_flight, Steps(kill_at)))
        return
    with MongoClient[dict[str, object]](uri, tz_aware=True) as client:
        world = world_of(client, name)
        world.apply(world.plan(), **pace(group_size, in_flight, Steps(kill_at)))


class Nursery:
    """A process that has everything imported and forks a child for each case, which saves the time of importing."""

    def __init__(self, name: str, *kinds: str) -> None:
        self.name = name
        command = [sys.executable, "-m", "tests.support.crashing", *kinds]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, uri: str, *, group_size: int, in_flight: int, kill_at: int) -> int:
        """Run one child on this nursery's database and give its exit code; negative is the signal that killed it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{uri} {self.name} {group_size} {in_flight} {kill_at}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def main() -> None:
    """Fork a child for every line on stdin and print how it ended."""
    if "sql" in sys.argv:
        importlib.import_module("tests.support.sql_world")
    for line in sys.stdin:
        uri, name, *numbers = line.split()
        group_size, in_flight, kill_at = map(int, numbers)
        child = os.fork()
        if child == 0:
            apply_and_die(uri, name, group_size=group_size, in_flight=in_flight, kill_at=kill_at)
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
