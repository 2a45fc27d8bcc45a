"""A child that applies a plan of repairs and kills itself at one step, forked from a warm process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pymongo import MongoClient

from recon.repairs.plan import load_repair_plan
from tests.support.crashing import Steps
from tests.support.repairing import Repairs


def apply_and_die(uri: str, name: str, plan: str, *, kill_at: int) -> None:
    """What the child does."""
    with MongoClient[dict[str, object]](uri, tz_aware=True) as client:
        Repairs(client[name]).apply(load_repair_plan(Path(plan)), step=Steps(kill_at))


class RepairNursery:
    """Forks a child for each case; closed by the test that opened it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.repair_crashing"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, uri: str, name: str, plan: Path, *, kill_at: int) -> int:
        """Run one child and give its exit code; negative is the signal that killed it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{uri} {name} {plan} {kill_at}\n")
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
    for line in sys.stdin:
        uri, name, plan, kill_at = line.split()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                apply_and_die(uri, name, plan, kill_at=int(kill_at))
                code = 0
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
