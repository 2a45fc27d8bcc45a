"""The wheel installed as people do, by each tool on each Python that is there, and one job of it run.

Every installation is into a folder of its own that goes afterwards. The job is the demo: its plan must be the same,
byte for byte, on all of them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from releasing.archives import build

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
TOOLS: Final = ("pip", "uv", "pipx")
DAY: Final = 1_767_225_600
"""A time for the files of the wheel, which no one keeps: seconds, 1 January 2026."""

_IS_WHOLE: Final = "import ensurepip, sys, venv; print(sys.executable)"
_OF_THE_TOOL: Final = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


class InstallError(Exception):
    """An installation, or the job that was run with it, failed; says which and how."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One installation that worked.

    Args:
        took_s: Seconds of the installation alone.
        megabytes: Size of the packages on disk, in millions of bytes, without those of the tool itself.
        plan: SHA-256 of the demo's plan.
    """

    version: str
    tool: str
    took_s: float
    megabytes: float
    plan: str

    def text(self) -> str:
        """The installation as a line."""
        cost = f"{self.took_s:6.1f} s {self.megabytes:6.0f} MB"
        return f"Python {self.version:5} {self.tool:5} {cost}   plan {self.plan[:12]}"


def python_of(version: str) -> Path | None:
    """A Python of that version that can make environments, on ``PATH`` or under pyenv; None where there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (f"python{version}", *map(str, sorted(root.glob(f"{version}.*/bin/python")))):
        try:
            asked = subprocess.run([candidate, "-c", _IS_WHOLE], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if asked.returncode == 0:
            return Path(asked.stdout.strip())
    return None


def install(tool: str, python: Path, wheel: Path, *, tools: Path, folder: Path) -> Path:
    """Install the wheel into an empty folder; the program that came.

    Args:
        tools: Folder with the programs ``uv`` and ``pipx``.

    Raises:
        InstallError: The tool failed.
    """
    if tool == "pip":
        _run([python, "-m", "venv", folder / "venv"])
        _run([folder / "venv/bin/python", "-m", "pip", "install", "-qq", "--no-input", wheel])
        return folder / "venv/bin/recon"
    if tool == "uv":
        choice = ("-q", "--no-python-downloads", "--python", python)
        _run([tools / "uv", "tool", "install", *choice, wheel], UV_TOOL_DIR=folder, UV_TOOL_BIN_DIR=folder / "bin")
    else:
        _run(
            [tools / "pipx", "install", "-q", "--python", python, wheel], PIPX_HOME=folder, PIPX_BIN_DIR=folder / "bin"
        )
    return folder / "bin/recon"


def try_all(scratch: Path) -> Iterator[Installed]:
    """Every installation, one after another.

    Raises:
        InstallError: One failed, or a plan differs from that of the first.
    """
    (scratch / "out").mkdir()
    _, wheel = build(scratch / "out", moment=DAY, scratch=scratch)
    _run([sys.executable, "-m", "venv", scratch / "tools"])
    _run([scratch / "tools/bin/python", "-m", "pip", "install", "-qq", "--no-input", "uv", "pipx"])
    first = ""
    for version in VERSIONS:
        python = python_of(version)
        if python is None:
            print(f"Python {version:5} is not on this machine: nothing was tried with it.", flush=True)
            continue
        for tool in TOOLS:
            with tempfile.TemporaryDirectory(dir=scratch) as name:
                one = _installed(version, tool, python, wheel, tools=scratch / "tools/bin", folder=Path(name))
            first = first or one.plan
            if one.plan != first:
                raise InstallError(f"{one.text()}: the plan of the demo differs from {first[:12]}, the first one's.")
            yield one


def _installed(version: str, tool: str, python: Path, wheel: Path, *, tools: Path, folder: Path) -> Installed:
    began = time.monotonic()
    program = install(tool, python, wheel, tools=tools, folder=folder)
    took = time.monotonic() - began
    packages = next(folder.rglob("site-packages/pyarrow")).parent
    sizes = [
        path.stat().st_size
        for path in packages.rglob("*")
        if path.is_file() and path.relative_to(packages).parts[0].split("-")[0] not in _OF_THE_TOOL
    ]
    _run([program, "demo", "--payments", "200", "--out", folder / "demo"], codes=(0, 1))
    plan = next((folder / "demo").glob("plan-*.json"))
    return Installed(version, tool, took, sum(sizes) / 1e6, hashlib.sha256(plan.read_bytes()).hexdigest())


def _run(command: list[str | Path], *, codes: tuple[int, ...] = (0,), **more: str | Path) -> None:
    said = [str(part) for part in command]
    left = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    env = left | {name: str(value) for name, value in more.items()}
    ran = subprocess.run(said, env=env, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    if ran.returncode not in codes:
        raise InstallError(f"{' '.join(said)} left with {ran.returncode}:\n{ran.stdout}{ran.stderr}")


def main() -> int:
    """Try them all and print each; 1 where one failed."""
    with tempfile.TemporaryDirectory(prefix="recon-install-") as name:
        try:
            for one in try_all(Path(name)):
                print(one.text(), flush=True)
        except InstallError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
