"""``scripts/benchmark-truth``: write worlds with the truth of the referee, score any answers, run matchers on them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from truth_bench.peers import PEERS, PeerError, answer
from truth_bench.scoring import AnswerError, Result, as_json, figures, scored
from truth_bench.writing import write_benchmark

FIGURES = (
    "true", "verdict_precision", "verdict_recall", "match_precision", "match_recall", "wrong_writes", "missed_writes",
    "unproven_share",
)  # fmt: skip


def table(result: Result) -> str:
    """The figures by kind, the whole first."""
    lines = [f"{'kind':28}" + "".join(f"{name.replace('_', ' '):>19}" for name in FIGURES)]
    for kind, tally in [("all", result.total), *sorted(result.kinds.items())]:
        shown = figures(tally)
        lines.append(f"{kind:28}" + "".join(f"{shown[name] if shown[name] != '' else '-':>19}" for name in FIGURES))
    return "\n".join(lines)


def _write(chosen: argparse.Namespace) -> int:
    if chosen.out.exists():
        print(f"{chosen.out} is there already; name another folder", file=sys.stderr)
        return 2
    world = write_benchmark(chosen.out, payments=chosen.payments, seed=chosen.seed)
    print(f"{chosen.out}: {len(world.recorded.payments):,} payments, seed {chosen.seed}")
    return 0


def _score(chosen: argparse.Namespace) -> int:
    try:
        result = scored(chosen.world / "truth.csv", chosen.answers)
    except AnswerError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(as_json(result), indent=1) if chosen.json else table(result))
    return 0


def _run(chosen: argparse.Namespace) -> int:
    names = [peer.name for peer in PEERS]
    if unknown := set(chosen.only or ()) - set(names):
        print(f"no matcher is called {min(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    with TemporaryDirectory(prefix="recon-truth-") as folder:
        home = Path(folder)
        write_benchmark(home / "data", payments=chosen.payments, seed=chosen.seed)
        truth = home / "truth.csv"
        (home / "data" / "truth.csv").rename(truth)  # no matcher finds it beside its inputs
        (home / "data" / "truth.parquet").unlink()
        for peer in PEERS:
            if chosen.only and peer.name not in chosen.only:
                continue
            out = home / f"{peer.name}.csv"
            try:
                seconds = answer(peer, home / "data", folder=home, out=out)
            except PeerError as error:
                failed += 1
                print(f"{peer.name} did not answer: {error}", flush=True)
                continue
            print(f"{peer.name}, {seconds:.1f} s\n{table(scored(truth, out))}\n", flush=True)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Parse, write, score or run."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark-truth", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    given: dict[str, Any] = {}
    for name, action in (("write", _write), ("score", _score), ("run", _run)):
        given[name] = commands.add_parser(name)
        given[name].set_defaults(action=action)
    given["write"].add_argument("out", type=Path, help="a new folder")
    for name in ("write", "run"):
        given[name].add_argument("--payments", type=int, default=20_000, help="how many payments")
        given[name].add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes")
    given["score"].add_argument("world", type=Path, help="a written folder, with its truth.csv")
    given["score"].add_argument("answers", type=Path, help="a CSV file, see docs/benchmark-truth.md")
    given["score"].add_argument("--json", action="store_true", help="print the score as JSON")
    given["run"].add_argument("--only", action="append", metavar="NAME", help="only this matcher; repeatable")
    chosen = parser.parse_args(arguments)
    return int(chosen.action(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
