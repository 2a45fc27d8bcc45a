"""``scripts/bench``: which measures to take, and how large."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks.kept import tell_ratios
from benchmarks.measure import Result, say


def main(arguments: list[str]) -> int:
    """Take the measures that are asked for; a missed aim is said, it is no failure."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures recon beside its peers.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", *MEASURES])
    parser.add_argument("--small", action="store_true", help="small sizes, for a run in CI")
    parser.add_argument("--large", action="store_true", help="also 10 million payments")
    parser.add_argument("--engine", default="duckdb", choices=["duckdb", "polars"])
    parser.add_argument("--rounds", type=int, default=0, help="how often each is measured; the median counts")
    parser.add_argument("--keep", action="store_true", help="keep these ratios as those to compare with")
    chosen = parser.parse_args(arguments)
    results: list[Result] = []
    for name in MEASURES if chosen.what == "all" else [chosen.what]:
        say(f"== {name}")
        results += MEASURES[name](chosen)
    say("== ratios")
    tell_ratios(results, keep=chosen.keep)
    return 0


def _judge(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.judge import measure_judge

    sizes = [10_000] if chosen.small else [10_000, 100_000, 1_000_000]
    if chosen.large:
        sizes.append(10_000_000)
    return measure_judge(sizes, rounds=chosen.rounds or (1 if chosen.small else 3), engine=chosen.engine)


def _startup(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.startup import measure_startup

    return measure_startup(rounds=chosen.rounds or (1 if chosen.small else 11))


def _desk(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.desk import measure_desk

    return measure_desk(rounds=chosen.rounds or (1 if chosen.small else 7))


def _apply(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.apply import measure_apply

    rows = 500 if chosen.small else 2_000
    return measure_apply(rows, rounds=chosen.rounds or (1 if chosen.small else 5), with_memory=not chosen.small)


def _peers(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.judge import measure_peers

    rows = 10_000 if chosen.small else 100_000
    return measure_peers(rows=rows, rounds=chosen.rounds or 1, python=os.environ.get("RECON_BENCH_PEERS"))


def _logs(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.sources import measure_logs

    return measure_logs(pages=5 if chosen.small else 20, rounds=chosen.rounds or (1 if chosen.small else 3))


def _payments(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.sources import measure_payments

    return measure_payments(
        rows=10_000 if chosen.small else 100_000, rounds=chosen.rounds or (1 if chosen.small else 3)
    )


def _scan(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.sources import measure_scan

    return measure_scan(payments=2_000 if chosen.small else 20_000, rounds=chosen.rounds or (1 if chosen.small else 3))


def _calls(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.sources import measure_calls

    return measure_calls([2_000] if chosen.small else [1_000, 10_000, 100_000])


def _since(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.since import measure_since

    return measure_since(2_000 if chosen.small else 40_000)


def _triage(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.triage import measure_triage

    return measure_triage(100 if chosen.small else 1_000, rounds=chosen.rounds or (1 if chosen.small else 3))


def _report(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.report import measure_report

    return measure_report(10_000 if chosen.small else 100_000, rounds=chosen.rounds or (1 if chosen.small else 5))


def _watch(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.watch import measure_watch

    return measure_watch(rounds=12 if chosen.small else 1_000, minutes=0.5 if chosen.small else 10)


MEASURES = {
    "judge": _judge,
    "peers": _peers,
    "startup": _startup,
    "desk": _desk,
    "logs": _logs,
    "payments": _payments,
    "scan": _scan,
    "calls": _calls,
    "since": _since,
    "apply": _apply,
    "triage": _triage,
    "report": _report,
    "watch": _watch,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
