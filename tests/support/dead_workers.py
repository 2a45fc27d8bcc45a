"""A pytest plugin (``-p tests.support.dead_workers``): when a worker of the run dies, the run ends and names it.

Without it the other workers go on with what they were given, for minutes; and where a child of the dead one still holds
its pipes, the run waits for ever. The others are interrupted, so that they stop the servers they started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

UNNOTICED_S = 5.0
GRACE_S = 20.0
DIED = 3


class DeadWorkers:
    """The workers of the run that still live, with the processes they are."""

    def __init__(self) -> None:
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def pytest_testnodeready(self, node: Any) -> None:
        """A worker has started."""
        if not self.workers:
            threading.Thread(target=self._watch, daemon=True).start()
        self.workers[node.gateway.id] = node.gateway._io.popen  # execnet shows the process nowhere else

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended; with an error the others end as well."""
        self.workers.pop(node.gateway.id, None)
        if error and error != "keyboard-interrupt":
            self._signal(signal.SIGINT)
            late = threading.Timer(GRACE_S, self._signal, [signal.SIGKILL])
            late.daemon = True
            late.start()

    def _signal(self, number: int) -> None:
        for process in list(self.workers.values()):
            process.send_signal(number)  # does nothing to a process that has ended

    def _watch(self) -> None:
        """End the run where a worker is gone and xdist was not told: a child of it holds its pipes."""
        gone: dict[str, float] = {}
        while True:
            time.sleep(0.5)
            for name, process in list(self.workers.items()):
                if process.poll() is None:
                    continue
                since = gone.setdefault(name, time.monotonic())
                if name in self.workers and time.monotonic() - since > UNNOTICED_S:
                    self._end(name)

    def _end(self, name: str) -> None:
        os.write(2, f"\nworker {name} died and a child of it holds its pipes: the run ends here.\n".encode())
        del self.workers[name]
        self._signal(signal.SIGINT)
        time.sleep(1)
        os._exit(DIED)


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that starts the workers watches them."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(DeadWorkers(), "recon-dead-workers")
