"""The command line as a process of its own without the time of importing: forked from one that has imported it all.

What a person's process has, each child has too: its own directory, environment, pipes, memory, and exit code. What it
lacks is a start from nothing; ``tests/cli/test_cli.py`` and the tests of the README start real ones.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OTHERS = (
    "duckdb", "httpx", "jinja2", "narwhals._polars.dataframe", "narwhals._polars.group_by", "numpy.random", "pandas",
    "polars", "pyarrow.compute", "pyarrow.dataset", "pyarrow.pandas_compat", "pyarrow.parquet", "pymongo",
    "rich.progress", "rich.table", "web3",
)  # fmt: skip
"""What commands import when they need it, beside the package itself."""


class Forker:
    """A process that has everything imported and forks a child for each command; the test run takes it along."""

    def __init__(self) -> None:
        tied = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked"],
            cwd=ROOT, env=tied, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        atexit.register(self.close)

    def close(self) -> None:
        """End it: it goes when its input does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def run(
        self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """``recon`` with these arguments in a directory; raises ``TimeoutExpired`` after it was killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as said, self._lock:
            order = {
                "arguments": list(arguments), "folder": str(folder), "environment": dict(environment), "said": said,
                "timeout_s": timeout_s,
            }  # fmt: skip
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            out, err = (Path(said, name).read_text(encoding="utf-8") for name in ("out", "err"))
        if code == -14:
            raise subprocess.TimeoutExpired(list(arguments), timeout_s, out, err)
        return subprocess.CompletedProcess(list(arguments), code, out, err)


@cache
def forker() -> Forker:
    """The one of this test process."""
    return Forker()


def _child(order: dict[str, object]) -> int:
    import signal

    signal.alarm(int(float(str(order["timeout_s"]))) + 1)
    os.chdir(str(order["folder"]))
    os.environ.clear()
    os.environ.update(dict(order["environment"]))  # type: ignore[call-overload]
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(str(order["said"]), name), os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    from recon.cli import cli

    try:
        cli.main(list(order["arguments"]), prog_name="recon")  # type: ignore[call-overload]
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Import what commands use, then fork a child for every line on stdin and print how it ended."""
    import importlib
    import pkgutil

    for package in ("api", "cli", "setup", "plans", "runs", "snapshots", "sources", "verdicts", "reports"):
        for module in pkgutil.walk_packages(importlib.import_module(f"recon.{package}").__path__, f"recon.{package}."):
            if "spark" not in module.name:
                importlib.import_module(module.name)
    for name in OTHERS:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _child(json.loads(line))
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
