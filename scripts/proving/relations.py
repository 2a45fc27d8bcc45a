"""Hold simulated worlds against the relations that must hold in every one; print the smallest that breaks one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from recon.simulation import World, generate_world, write_world
from recon.sources.recorded.format import RecordedWorld
from recon.sources.recorded.world import load_world
from tests.support.relations import BY_NAME, CASES, Relation, differences, judged, smallest

WORLD = 2_000
"""Payments of one world at most: each relation judges it once more."""


def hold(names: Sequence[str], *, payments: int, world: int, seed: int) -> int:
    """Hold every relation against the recorded worlds, then against so many simulated payments; 1 where one fails."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        print(f"no relation is called {unknown[0]}; there are {', '.join(BY_NAME)}", file=sys.stderr)
        return 2
    chosen = [BY_NAME[name] for name in names or BY_NAME]
    done, broken = 0, 0
    for case in CASES:
        broken += _held(chosen, load_world(case), name=case.name, seed=seed)
    while done < payments:
        recorded = generate_world(payments=min(world, payments - done), seed=seed).recorded
        done += len(recorded.payments)
        broken += _held(chosen, recorded, name=f"seed {seed}, {done:,} payments so far", seed=seed)
        seed += 1
    return 1 if broken else 0


def _held(chosen: Sequence[Relation], recorded: RecordedWorld, *, name: str, seed: int) -> int:
    """How many of the relations one world breaks; each is shown."""
    before = judged(recorded)
    wrong = [one for one in chosen if differences(one, recorded, seed=seed, before=before)]
    state = f"BROKEN: {', '.join(one.name for one in wrong)}" if wrong else f"{len(chosen)} relations hold"
    print(f"{name}: {state}", flush=True)
    for one in wrong:
        _show(one, World(recorded, ()), seed=seed)
    return len(wrong)


def _show(relation: Relation, world: World, *, seed: int) -> None:
    """Write the smallest pair of worlds that shows it, and say where and what differs."""
    small = smallest(relation, world.recorded, seed=seed)
    pair = relation.pair(small, Random(seed))
    folder = Path(mkdtemp(prefix=f"recon-{relation.name}-"))
    for name, recorded in (("before", pair.before), ("after", pair.after)):
        write_world(World(recorded, ()), folder / name)
    print(f"  {relation.name}: {len(small.payments)} payment(s), {folder}/before and {folder}/after")
    for key, (one, other) in list(differences(relation, small, seed=seed).items())[:10]:
        print(f"    {key}: {one} against {other}", flush=True)
