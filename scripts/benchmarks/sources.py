"""Reading: logs, payments, a chain and the calls to providers, each beside its peer."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks.measure import ROOT, Result, ask_part, say

LOGS_AIM = 200.0
PAYMENTS_AIM = 1.0
SCAN_AIM = 0.7
CALLS_AIM = 250.0


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


def measure_calls(*, payments: int) -> list[Result]:
    """Calls to providers per 10,000 payments of a healthy week."""
    told = ask_part("calls", payments)
    per_10k = told["provider_calls"] * 10_000 / told["payments"]
    say(f"        {told['provider_calls']} provider calls for {told['payments']:,} payments, {per_10k:.0f} per 10,000")
    return [Result("calls.per_10k", per_10k, "", CALLS_AIM)]


def _seconds(told: dict[str, Any]) -> str:
    return f"{told['wall_s']:7.2f} s   {told['cpu_s']:7.2f} cpu s"
