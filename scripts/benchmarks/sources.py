"""Reading: logs, payments, a chain and the calls to providers, each beside its peer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Cost, Result, ask_part, run_process, say

LOGS_AIM = 200.0
PAYMENTS_AIM = 1.0
SCAN_AIM = 0.7
CALLS_AIM = 250.0
CALLS_FROM = 10_000
"""A small week still needs a first page of everything."""


def measure_logs(*, pages: int, rounds: int) -> list[Result]:
    """Logs per second of processor from response bytes to columns, beside web3.py."""
    told = ask_part("logs", pages, rounds)
    ours = told["ours_rows"] / told["ours"]["cpu_s"]
    theirs = told["theirs_rows"] / told["theirs"]["cpu_s"]
    say(f"        recon {ours:12,.0f} logs/s    web3.py get_logs and process_log {theirs:10,.0f} logs/s")
    return [Result("logs.times_web3", ours / theirs, f"{ours:,.0f} logs/s", LOGS_AIM, better="more")]


def measure_payments(*, rows: int, rounds: int) -> list[Result]:
    """Seconds from a real mongod to Parquet, beside a bare find into pandas."""
    told = ask_part("payments", rows, rounds)
    ours, theirs = told["ours"], told["theirs"]
    say(f"        recon to Parquet   {_seconds(ours)}   {rows / ours['wall_s']:,.0f} payments/s")
    say(f"        find into pandas   {_seconds(theirs)}   {rows / theirs['wall_s']:,.0f} payments/s")
    ratio = ours["cpu_s"] / theirs["cpu_s"]
    return [Result("payments.by_find", ratio, f"{rows / ours['wall_s']:,.0f} payments/s", PAYMENTS_AIM)]


def measure_scan(*, payments: int, rounds: int) -> list[Result]:
    """How much of what an endpoint gives a bare client a chain scan gets through."""
    node = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.parts", "node", str(payments)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    try:
        assert node.stdout is not None
        told = ask_part("scan", node.stdout.readline().strip(), payments * 20 * 0.75 / 86_400 + 0.1, rounds)
    finally:
        node.terminate()
        node.wait()
    ours, theirs = told["ours"], told["theirs"]
    say(f"        recon scan         {_seconds(ours)}   {told['rows']:,} transfers in {told['calls']} requests")
    say(f"        bare client        {_seconds(theirs)}   the same requests, answers read as JSON")
    return [Result("scan.of_bare_client", theirs["cpu_s"] / ours["cpu_s"], "", SCAN_AIM, better="more")]


def measure_calls(sizes: list[int]) -> list[Result]:
    """What a whole ``recon plan`` over a healthy week costs and asks for, and how that grows with the payments.

    The database is a real mongod, providers and chains are served over loopback by another process. Bytes are those of
    bodies, questions and answers, before any compression.
    """
    results: list[Result] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="recon-bench-") as name:
            cost, asked = _whole_run(Path(name), rows)
        per_10k = asked["provider_calls"] * 10_000 / rows
        mb = {name: asked[f"{name}_bytes"] / 1e6 for name in ("provider", "chain")}
        say(f"{rows:>12,} payments   {cost.text()}")
        say(
            f"             calls: {asked['provider_calls']:,} to providers ({mb['provider']:.1f} MB, {per_10k:.0f} per "
            f"10,000 payments), {asked['chain_calls']:,} to chains ({mb['chain']:.1f} MB)"
        )
        results.append(Result(f"calls.per_10k.{rows}", per_10k, "", CALLS_AIM if rows >= CALLS_FROM else None))
    return results


def _whole_run(folder: Path, rows: int) -> tuple[Cost, dict[str, int]]:
    played = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.parts", "play", str(folder), str(rows)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    assert played.stdin is not None
    assert played.stdout is not None
    try:
        env = {
            "RECON_MONGO_URI": played.stdout.readline().strip(),
            "RECON_REQUEST_NETWORK_API_KEY": "any",
            "RECON_SHKEEPER_API_KEY": "any",
        }
        command = [sys.executable, "-m", "recon", "plan", "--config", str(folder / "recon.toml"), "--format", "json"]
        cost = run_process(command, codes=(0, 1), env=env)
        told, _ = played.communicate("enough\n", timeout=60)
        return cost, json.loads(told)
    finally:
        played.kill()
        played.wait()


def _seconds(told: dict[str, Any]) -> str:
    return f"{told['wall_s']:7.2f} s   {told['cpu_s']:7.2f} cpu s"
