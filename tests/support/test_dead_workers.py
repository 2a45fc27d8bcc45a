"""A worker that dies ends the whole run within seconds, and the test that it died of is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = "import pytest, time\n@pytest.mark.parametrize('n', range(100))\ndef test_waits(n): time.sleep(6)\n"
DYING = """\
import os, signal, time
def test_kills_its_worker():
    time.sleep(1)
{first}    os.kill(os.getpid(), signal.SIGKILL)
"""
HOLDING = "    if os.fork() == 0:\n        time.sleep(30)\n        os._exit(0)\n"
"""A child that was forked keeps the pipes of its worker open."""


@pytest.mark.parametrize(
    ("first", "said"),
    [("", "crashed while running 'test_dying.py::test_kills_its_worker'"), (HOLDING, "a child of it holds its pipes")],
    ids=["alone", "a child lives on"],
)
def test_a_worker_that_dies_fails_the_run_at_once(first: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "test_dying.py").write_text(DYING.format(first=first))
    (tmp_path / "test_long.py").write_text(LONG)
    options = "-c /dev/null -p no:cacheprovider -p tests.support.dead_workers --max-worker-restart 0 -n 2"
    # Into a file: the child that lives on holds a pipe of ours as well, and the end of that would be waited for.
    with (tmp_path / "said.txt").open("w") as out:
        command = [sys.executable, "-m", "pytest", *options.split(), "--dist=loadfile"]
        ran = subprocess.run(
            [*command, f"--rootdir={tmp_path}", str(tmp_path)],
            cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False, timeout=120,
        )  # fmt: skip
    printed = (tmp_path / "said.txt").read_text(encoding="utf-8")
    assert ran.returncode not in (0, 5), printed
    assert said in printed, printed


def test_the_script_watches_its_workers() -> None:
    script = (ROOT / "scripts" / "test").read_text(encoding="utf-8")
    assert "-p tests.support.dead_workers --max-worker-restart 0" in script
