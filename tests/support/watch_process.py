"""A real ``recon watch`` as a process: it is killed at drawn moments, started again, and asked for its measures."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from recon.watch.state import WatchLog
from tests.support.servers import free_port
from tests.support.watching import ROOT

WAIT_S = 240.0
POLL_S = 0.2


class NeverSoError(AssertionError):
    """What a test waited for did not come."""


@dataclass
class WatchProcess:
    """``recon watch`` as a process that is started again whenever it was killed.

    Args:
        pick: Draws the moments at which it is killed.
        tick: Called while something is waited for: the world goes on.
    """

    folder: Path
    environment: dict[str, str]
    pick: random.Random
    tick: Callable[[], None] = lambda: None
    kills: int = 0
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> WatchLog:
        return WatchLog(self.folder / "out")

    @property
    def said(self) -> str:
        """What it wrote on stderr, over all its lives."""
        return (self.folder / "watch.said").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, on the same port as before."""
        command = [sys.executable, "-m", "recon", "watch", "--config", "recon.toml", "--listen", str(self.port)]
        with (self.folder / "watch.said").open("ab") as said:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def kill(self) -> None:
        """End it as a crash of the machine would, and start it again."""
        assert self.process is not None
        assert self.process.poll() is None, self.said[-2000:]
        self.process.kill()
        self.process.wait(10)
        self.kills += 1
        self.start()

    def end(self) -> int:
        """Ask it to end; gives what it left with."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process = None
        return code

    def wait_for(self, is_so: Callable[[], bool], *, what: str, kills: int = 0) -> None:
        """Let the world go on until something is so; meanwhile it is killed so many times, at drawn moments."""
        began = time.monotonic()
        moments = sorted(self.pick.uniform(0.2, 9.0) for _ in range(kills))
        while moments or not is_so():
            passed = time.monotonic() - began
            if moments and passed > moments[0]:
                del moments[0]
                self.kill()
            if passed > WAIT_S:
                raise NeverSoError(f"{what}: open are {self.open()}\n{self.said[-3000:]}")
            self.tick()
            time.sleep(POLL_S)

    def wait_open(self, *keys: str, kills: int = 0) -> None:
        """Wait until exactly these situations are open."""
        self.wait_for(lambda: self.open() == sorted(keys), what=f"open should be {sorted(keys)}", kills=kills)

    def wait_rounds(self, count: int, *, kills: int = 0) -> None:
        """Wait for so many further rounds that were written down."""
        before = self.rounds()
        self.wait_for(lambda: self.rounds() >= before + count, what=f"{count} rounds", kills=kills)

    def open(self) -> list[str]:
        return sorted(each.key for each in self.log.state().open)

    def rounds(self) -> int:
        return sum(line.kind == "round" for line in self.log.lines())

    def turns(self) -> list[tuple[str, str]]:
        """Everything that opened, escalated, was updated or ended, in order."""
        return [(turn.value, each.key) for line in self.log.lines() for turn, each in line.turns]

    def ask(self, path: str) -> httpx.Response:
        """Ask its page, waiting for it to listen."""
        until = time.monotonic() + 30
        while True:
            try:
                return httpx.get(f"http://127.0.0.1:{self.port}/{path}", timeout=10, trust_env=False)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL_S)


@contextmanager
def watch_process(
    folder: Path, secrets: dict[str, str], *, seed: int, tick: Callable[[], None]
) -> Iterator[WatchProcess]:
    """A watch that runs until the end of the block."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **secrets}
    watch = WatchProcess(folder, environment, random.Random(seed), tick)
    watch.start()
    try:
        yield watch
    finally:
        if watch.process is not None:
            watch.process.kill()
            watch.process.wait(10)


def minutes_ago(minutes: float) -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=minutes)
