"""``scripts/bench``: which measures to take, and how large."""

from __future__ import annotations

import argparse
import sys

from benchmarks.measure import Result, say


def main(arguments: list[str]) -> int:
    """Take the measures that are asked for; a missed aim is said, it is no failure."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures recon beside its peers.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", *MEASURES])
    parser.add_argument("--small", action="store_true", help="small sizes, for a run in CI")
    parser.add_argument("--large", action="store_true", help="also 10 million payments")
    parser.add_argument("--engine", default="duckdb", choices=["duckdb", "polars"])
    parser.add_argument("--rounds", type=int, default=0, help="how often each is measured; the median counts")
    chosen = parser.parse_args(arguments)
    results: list[Result] = []
    for name in MEASURES if chosen.what == "all" else [chosen.what]:
        say(f"== {name}")
        results += MEASURES[name](chosen)
    return 0


def _judge(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.judge import measure_judge

    sizes = [10_000, 100_000] if chosen.small else [10_000, 100_000, 1_000_000]
    if chosen.large:
        sizes.append(10_000_000)
    return measure_judge(sizes, rounds=chosen.rounds or (1 if chosen.small else 3), engine=chosen.engine)


def _startup(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.startup import measure_startup

    return measure_startup(rounds=chosen.rounds or (3 if chosen.small else 11))


def _apply(chosen: argparse.Namespace) -> list[Result]:
    from benchmarks.apply import measure_apply

    rows = 500 if chosen.small else 2_000
    return measure_apply(rows, rounds=chosen.rounds or (1 if chosen.small else 5), with_memory=not chosen.small)


MEASURES = {"judge": _judge, "startup": _startup, "apply": _apply}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
