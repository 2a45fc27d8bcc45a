"""How long the tool takes to say anything: help, and a plan of 10,000 findings."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Result, interleaved, run_part, run_process, say

HELP_AIM_S = 0.2
SHOW_AIM_S = 1.0
RECON = str(Path(sys.executable).parent / "recon")
_FINDINGS = 10_000


def measure_startup(*, rounds: int) -> list[Result]:
    """Time ``recon --help`` beside a Python that does nothing, and ``recon show`` of a plan."""
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        folder = Path(name)
        run_part("make", folder / "snapshot", _FINDINGS * 20)
        run_part("plan", folder / "snapshot", folder / "plan.json", "duckdb", 0)
        nothing, helped, shown, read = interleaved(
            rounds,
            partial(run_process, [sys.executable, "-c", "pass"]),
            partial(run_process, [RECON, "--help"]),
            partial(run_process, [RECON, "show", str(folder / "plan.json")]),
            partial(run_part, "read_json", folder / "plan.json"),
        )
    say(f"        python -c pass      {nothing.text()}")
    say(f"        recon --help        {helped.text()}   aim {HELP_AIM_S} s")
    say(f"        recon show          {shown.text()}   aim {SHOW_AIM_S} s, {_FINDINGS:,} findings")
    say(f"        json.load only      {read.text()}")
    return [
        Result("startup.help_cpu_s", helped.cpu_s, f"{helped.wall_s:.2f} s on the wall", HELP_AIM_S),
        Result("startup.show_cpu_s", shown.cpu_s, f"{shown.wall_s:.2f} s on the wall", SHOW_AIM_S),
    ]
