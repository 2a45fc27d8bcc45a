"""The example provider, installed as a distribution without a network: its modules and its metadata in one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "example_provider"


def install_example(folder: Path) -> Path:
    """Put modules and ``dist-info`` where an installer would; the folder then goes on the path of a child process."""
    project = tomllib.loads((SOURCES / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for module in sorted(path for path in SOURCES.iterdir() if path.is_dir() and (path / "__init__.py").exists()):
        shutil.copytree(module, folder / module.name, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return folder


def run_installed(
    arguments: list[str], *, site: Path, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``recon`` in a process that has the example installed."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RECON_")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]), "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, "-m", "recon", *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


def json_of(ran: subprocess.CompletedProcess[str]) -> Any:
    """The result that a command printed with ``--format json``."""
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout)
