"""A real Prometheus on a free loopback port, which scrapes what it is told to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from tests.support.servers import LOOPBACK, MissingProgramError, Server, free_port

REMEDY = "apt-get install prometheus brings it with promtool; .ci/run does so."


def program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(program=name, remedy=REMEDY)
    return found


def run(*line: str, folder: Path) -> str:
    """Run a program to its end in a folder; gives what it said, and fails where it failed."""
    done = subprocess.run(
        [program(line[0]), *line[1:]], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Prometheus(Server):
    """A running one."""

    def ask(self, path: str) -> Any:
        """The data that a path of its API gives."""
        with urlopen(f"http://{LOOPBACK}:{self.port}/api/v1/{path}", timeout=10) as answer:
            body = json.loads(answer.read())
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[Any]:
        """What an expression gives now; an expression that is wrong fails."""
        found: list[Any] = self.ask(f"query?query={quote(expression)}")["result"]
        return found


@contextmanager
def prometheus(folder: Path, *, target: str, rules: Path) -> Iterator[Prometheus]:
    """Start one that scrapes a target every second, with rules."""
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs:\n"
        f"  - job_name: recon\n    static_configs: [{{targets: ['{target}']}}]\n",
        encoding="utf-8",
    )
    server = Prometheus(program="prometheus", folder=folder, port=free_port())
    server.launch([
        program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{server.port}", "--log.level=warn",
    ])  # fmt: skip
    try:
        server.wait_for(lambda: _answers(server), what="answer")
        yield server
    finally:
        server.end()


def _answers(server: Prometheus) -> bool:
    try:
        return bool(server.ask("status/runtimeinfo"))
    except OSError:
        return False
