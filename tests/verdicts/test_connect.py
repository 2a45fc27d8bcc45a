"""Spark Connect, without Java: Sail judges to the bytes of DuckDB, and what fails is one sentence and an exit code.

Runs in an environment of its own, ``.venv-connect``, because PySpark and its client are one package of two kinds:
``scripts/test-connect`` makes it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recon.simulation import generate_world, write_world
from tests.snapshots.test_shared import plan_from, taken
from tests.support.servers import LOOPBACK, STARTS_MAX, Server, ServerDiedError, free_port
from tests.test_house import ROOT

PROGRAMS = ROOT / ".venv-connect" / "bin"
pytestmark = pytest.mark.spark


@dataclass
class Sail(Server):
    """A Spark Connect server in one process."""

    def start(self) -> Sail:
        """Start it on a free port and wait until it listens."""
        for attempt in range(STARTS_MAX):
            self.port = free_port()
            command = [str(PROGRAMS / "sail"), "spark", "server", "--ip", LOOPBACK, "--port", str(self.port)]
            self.launch(command)
            try:
                self.wait_for(self._listens, what="listen")
                return self
            except ServerDiedError:
                self.end()
                if attempt == STARTS_MAX - 1:
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """Kill it, and its folder goes."""
        self.end(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


@pytest.fixture
def sail() -> Iterator[Sail]:
    """A server of this test alone."""
    server = Sail(program="sail", folder=Path(tempfile.mkdtemp(prefix="recon-sail-"))).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world and its snapshot."""
    folder = tmp_path_factory.mktemp("connect")
    write_world(generate_world(payments=300, seed=77), folder / "world")
    taken(folder, (folder / "shared").as_uri())
    return folder


def planned(world: Path, out: Path, port: int, *options: str, more: str = "") -> subprocess.Popen[str]:
    command = [
        str(PROGRAMS / "python"), "-m", "recon", "plan", "--config", str(world / "world" / "recon.toml"),
        "--snapshot", str(world / "snapshot"), "--out", str(out), "--format", "json",
        "--engine", "spark", "--spark-master", f"sc://{LOOPBACK}:{port}{more}", *options,
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=world)


def test_a_server_without_java_gives_the_plan_that_duckdb_gives(world: Path, sail: Sail, tmp_path: Path) -> None:
    expected = plan_from(world, world / "snapshot", engine="duckdb")
    ran = planned(world, tmp_path / "plan.json", sail.port, "--spark-scratch", str(tmp_path / "scratch"))
    _, told = ran.communicate(timeout=300)
    assert ran.returncode == 1, told
    assert (tmp_path / "plan.json").read_bytes() == expected
    assert list((tmp_path / "scratch").iterdir()) == [], "what was kept on the way is removed"


def test_a_server_whose_checkpoints_give_nothing_back_is_told_with_the_way_out(
    world: Path, sail: Sail, tmp_path: Path
) -> None:
    ran = planned(world, tmp_path / "plan.json", sail.port)
    _, told = ran.communicate(timeout=300)
    assert (ran.returncode, told.count("\n")) == (4, 1)
    assert "nothing was planned" in told
    assert "--spark-scratch" in told
    assert not (tmp_path / "plan.json").exists()


def test_a_server_that_dies_in_the_middle_is_one_sentence(world: Path, sail: Sail, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    ran = planned(world, tmp_path / "plan.json", sail.port, "--spark-scratch", str(scratch))
    until = time.monotonic() + 200
    while not (scratch.is_dir() and len(list(scratch.glob("*/*"))) > 2):
        assert time.monotonic() < until
        assert ran.poll() is None, "it ended before anything was kept"
        time.sleep(0.05)
    sail.end(kill=True)
    _, told = ran.communicate(timeout=300)
    assert (ran.returncode, told.count("\n")) == (4, 1), told
    assert "Spark stopped in the middle of the judgement" in told
    assert not (tmp_path / "plan.json").exists()


def test_no_server_is_one_sentence_without_what_the_address_holds(world: Path, tmp_path: Path) -> None:
    ran = planned(world, tmp_path / "plan.json", free_port(), more="/;token=planted-secret")
    _, told = ran.communicate(timeout=120)
    assert (ran.returncode, told.count("\n")) == (2, 1)
    assert "it said ConnectionRefusedError" in told
    assert "planted-secret" not in told


def test_a_server_that_never_says_a_word_is_given_up(world: Path, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen(5)
        ran = planned(world, tmp_path / "plan.json", silent.getsockname()[1])
        _, told = ran.communicate(timeout=300)
    assert (ran.returncode, told.count("\n")) == (2, 1), told
    assert "The engine spark cannot be started" in told
