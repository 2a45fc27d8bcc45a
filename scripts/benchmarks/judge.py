"""From snapshot directory to plan file, beside the bare DuckDB join of the same three tables."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Result, interleaved, run_part, run_process, say

AIM = 3.0
ROWS_LARGE = 1_000_000
MEMORY_LEAST_MB, MEMORY_MOST_MB = 1_000, 2_000
"""What a plan takes when nobody sets a limit."""
BARE_MB = 4_000
"""The bare join runs out of memory under the limits of a plan, so it is given more."""


def measure_judge(sizes: list[int], *, rounds: int, engine: str = "duckdb") -> list[Result]:
    """Judge a synthetic snapshot of each size; give the ratio of seconds to the bare join and the growth per step."""
    results: list[Result] = []
    before: float | None = None
    for rows in sizes:
        memory_mb = max(MEMORY_LEAST_MB, min(MEMORY_MOST_MB, rows // 4_000))
        with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
            folder = Path(name)
            taken, plan = folder / "snapshot", folder / "plan.json"
            run_part("make", taken, rows)
            ours, bare = interleaved(
                1 if rows > ROWS_LARGE else rounds,
                partial(run_part, "plan", taken, plan, engine, memory_mb),
                partial(run_part, "bare", taken, folder / "bare.parquet", BARE_MB),
            )
            found = json.loads(plan.read_text())["summary"]["verdicts"]
            size_mb = plan.stat().st_size / 1e6
        ratio = ours.cpu_s / bare.cpu_s
        breaks = rows - sum(found[name] for name in ("in_sync", "in_transit"))
        growth = "" if before is None else f"   {ours.wall_s / before:.1f} x the step before"
        say(f"{rows:>12,} payments, {breaks:,} breaks, plan file {size_mb:.0f} MB")
        say(f"        ours {ours.text()}{growth}")
        say(f"        bare {bare.text()}   ratio of cpu {ratio:.2f}, of wall {ours.wall_s / bare.wall_s:.2f}")
        before = ours.wall_s
        said = f"{ours.wall_s:.1f} s, {ours.peak_mb:.0f} MB; bare join {bare.wall_s:.1f} s"
        results.append(Result(f"judge.{rows}", ratio, said, AIM if rows >= ROWS_LARGE else None))
    return results


def measure_peers(*, rows: int, rounds: int, python: str | None) -> list[Result]:
    """The whole judgement beside what others do with the same tables; datacompy needs a Python of its own."""
    with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
        folder = Path(name)
        taken = folder / "snapshot"
        run_part("make", taken, rows)
        ours, merged = interleaved(
            rounds,
            partial(run_part, "plan", taken, folder / "plan.json", "duckdb", MEMORY_LEAST_MB),
            partial(run_part, "merge", taken, folder / "merged.parquet"),
        )
        say(f"        recon plan         {ours.text()}   {rows:,} payments, whole judgement")
        say(f"        pandas merge       {merged.text()}   the join only")
        if python:
            compared = run_process([python, "-m", "benchmarks.parts", "compare", str(taken)])
            say(f"        datacompy          {compared.text()}   payments with claims only")
        else:
            say("        datacompy          not measured: it needs an older pandas; RECON_BENCH_PEERS names its python")
    return [Result("peers.by_pandas_merge", ours.cpu_s / merged.cpu_s, f"{ours.wall_s:.1f} s")]
