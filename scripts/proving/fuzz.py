"""``scripts/fuzz``: the properties of ``tests/support/fuzzing.py`` for as long as told, the seed counting up."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from hypothesis import HealthCheck, given, seed, settings

from tests.support.fuzzing import PROPERTIES, names

EXAMPLES = 200
"""Examples of one property before the next one's turn."""


def main(arguments: list[str]) -> int:
    """Run every property in turn until the time is over; 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description="Feeds hostile text to everything that takes any."
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, in minutes")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round; the next round's is one higher")
    parser.add_argument("--only", action="append", choices=names(), help="only this property; repeatable")
    chosen = parser.parse_args(arguments)
    end, number, failed, rounds = time.monotonic() + 60 * chosen.minutes, chosen.seed, set[str](), 0
    while time.monotonic() < end:
        for name in chosen.only or names():
            if time.monotonic() >= end or name in failed:
                continue
            known = PROPERTIES[name]
            limits = settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
            )
            try:
                seed(number)(limits(given(known.drawn)(known.check)))()
            except Exception:  # whatever it is, it is what this is for
                failed.add(name)
                print(f"{name} failed with seed {number}:", flush=True)
                traceback.print_exc()
        rounds, number = rounds + 1, number + 1
        print(
            f"{rounds} rounds of {EXAMPLES} examples, {len(failed)} of {len(PROPERTIES)} properties failed", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
