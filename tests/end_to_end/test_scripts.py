"""The scripts say in one sentence what a machine lacks, and change nothing outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")
NONE = "exit 1"
WITHOUT_VENV = 'case "$*" in *ensurepip*) exit 1 ;; esac'

Runner = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Runs a script of a copy of the repository in which some programs are replaced by the given shell code."""

    def run(script: str, replaced: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
        copy, programs = tmp_path / "copy", tmp_path / "bin"
        shutil.copytree(ROOT / "scripts", copy / "scripts")
        programs.mkdir()
        for name, code in replaced.items():
            (programs / name).write_text(f"#!/bin/bash\n{code}\n")
            (programs / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RECON_")}
        path = f"{programs}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(copy / "scripts" / script)],
            env={**kept, "PATH": path, **environment}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("script", ["demo", "test", "lock"])
def test_a_machine_without_python_is_told_which_one_is_needed(run: Runner, script: str) -> None:
    ran = run(script, dict.fromkeys(PYTHONS, NONE))
    assert ran.returncode == 2
    assert ran.stderr == "Python 3.11 or newer was not found on PATH; install it and run this again.\n"


def test_a_python_that_cannot_make_environments_names_the_package(run: Runner) -> None:
    ran = run("demo", dict.fromkeys(PYTHONS, WITHOUT_VENV))
    assert ran.returncode == 2
    assert "apt-get install python3-venv" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_another_system_is_told_how_to_run_the_tests_all_the_same(run: Runner, system: str) -> None:
    name, machine = system.split()
    replaced = {"uname": f'[ "$1" = -s ] && echo {name} || echo {machine}', **dict.fromkeys(PYTHONS, NONE)}
    ran = run("test", replaced)
    assert ran.returncode == 2
    assert ran.stderr.startswith("scripts/test is for x86-64 Debian or Ubuntu; elsewhere set RECON_TEST_MONGOD")


def test_naming_a_mongod_lets_another_system_go_on(run: Runner) -> None:
    replaced = {"uname": "echo Other", **dict.fromkeys(PYTHONS, NONE)}
    assert run("test", replaced, RECON_TEST_MONGOD="/bin/true").stderr.startswith("Python 3.11 or newer")


@pytest.mark.parametrize("path", ["scripts/demo", "scripts/test", "scripts/lock", "scripts/site", ".ci/run"])
def test_every_script_is_executable_and_reads_as_bash(path: str) -> None:
    script = ROOT / path
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", str(script)], check=True)
