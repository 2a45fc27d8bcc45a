"""A command that is asked to end by a signal, or whose terminal hangs up, ends as by Ctrl-C: its journal is closed."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.simulation import plant_world, write_world

CHILD = """
import os, signal, sys, time
from pathlib import Path
from recon.runs.stores.embedded import EmbeddedStore

how, number, folder, seen = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), []
write = EmbeddedStore.write

def interrupted(self, update):
    seen.append(update)
    if len(seen) == 3 and how != "hangup":
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    if len(seen) == 3 and how == "hangup":
        (folder / "here").touch()
        while not (folder / "gone").exists():
            time.sleep(0.02)
    return write(self, update)

EmbeddedStore.write = interrupted
if how == "nohup":
    signal.signal(number, signal.SIG_IGN)
sys.argv = ["recon", *sys.argv[4:]]
from recon.cli import main
main()
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded world with a plan of four payments, made once."""
    folder = tmp_path_factory.mktemp("planned")
    write_world(plant_world(*["webhook_lost"] * 4, *["completed"] * 12, seed=2), folder / "world")
    line = ["plan", "--out", str(folder / "plan.json"), "--config", str(folder / "world" / "recon.toml")]
    made = CliRunner().invoke(cli, line)
    assert made.exit_code == 1, made.output
    return folder


@pytest.fixture
def line(planned: Path, tmp_path: Path) -> list[str]:
    """What applies that plan in a copy of its world."""
    shutil.copytree(planned, tmp_path, dirs_exist_ok=True)
    config, plan = ["--config", str(tmp_path / "world" / "recon.toml")], tmp_path / "plan.json"
    return ["apply", str(plan), "--digest", json.loads(plan.read_text())["digest"], "--in-flight", "1", *config]


def started(line: list[str], folder: Path, how: str, number: int, **given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, how, str(number), str(folder), *line]
    return subprocess.Popen(command, text=True, env={**os.environ, "RECON_OPERATOR": "ada"}, **given)


def stopped_and_finished(line: list[str], folder: Path) -> None:
    """The journal holds the run's end, and the run goes on where it was."""
    config = folder / "world" / "recon.toml"
    (run,) = recon.journal.runs(config)
    assert run.state == "stopped"
    assert run.counts.get("applied", 0) < 4
    resumed = CliRunner().invoke(cli, [*line[:2], "--resume", run.run, *line[-2:]])
    assert resumed.exit_code == 0, resumed.output
    assert recon.journal.runs(config)[0].counts["applied"] == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_run_and_its_journal(line: list[str], number: int, tmp_path: Path) -> None:
    child = started(line, tmp_path, "killed", number, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, said = child.communicate(timeout=60)
    assert child.returncode == 5, said
    assert "It was interrupted, so no further write was started" in said
    assert "recon apply" in out
    assert "--resume" in out
    stopped_and_finished(line, tmp_path)


def test_a_terminal_that_hangs_up_closes_the_run_too(line: list[str], tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["RECON_OPERATOR"] = "ada"
        os.execv(sys.executable, [sys.executable, "-c", CHILD, "hangup", "1", str(tmp_path), *line])
    until = time.monotonic() + 60
    while not (tmp_path / "here").exists():
        assert time.monotonic() < until, os.read(terminal, 10_000)
        time.sleep(0.02)
    os.close(terminal)
    (tmp_path / "gone").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    stopped_and_finished(line, tmp_path)


def test_a_signal_that_the_caller_ignores_is_not_heard(line: list[str], tmp_path: Path) -> None:
    child = started(line, tmp_path, "nohup", signal.SIGHUP, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    assert recon.journal.runs(tmp_path / "world" / "recon.toml")[0].counts["applied"] == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_another_command_leaves_with_the_code_of_the_signal(number: int, code: int, tmp_path: Path) -> None:
    program = (
        "import os, recon.setup.settings as held\n"
        f"held.load_settings = lambda *_: os.kill(os.getpid(), {number})\n"
        "import sys; sys.argv = ['recon', 'doctor']\n"
        "from recon.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert f"ended by {signal.Signals(number).name}; run the same command again." in done.stderr
