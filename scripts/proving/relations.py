"""Hold simulated worlds against the relations that must hold in every one; print the smallest that breaks one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from recon.simulation import generate_world, write_world
from recon.simulation.rail_worlds import rail_world
from recon.sources.recorded.format import RecordedWorld
from recon.sources.recorded.world import load_world
from tests.support.rail_relations import relations_of
from tests.support.relations import BY_NAME, CASES, Relation, differences, judged, smallest, with_config

WORLD = 2_000
"""Payments of one world at most: each relation judges it once more."""


def hold(names: Sequence[str], *, payments: int, world: int, seed: int, rail: str | None = None) -> int:
    """Hold every relation against the recorded worlds, then against so many simulated payments; 1 where one fails.

    Those of a ``rail`` of its own are held against worlds of that rail alone.
    """
    known = BY_NAME if rail is None else relations_of(rail)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no relation is called {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [known[name] for name in names or known]
    done, broken = 0, 0
    for case in CASES if rail is None else ():
        broken += _held(chosen, load_world(case), name=case.name, seed=seed)
    while done < payments:
        size = min(world, payments - done)
        made = generate_world(payments=size, seed=seed) if rail is None else rail_world(rail, size, seed=seed)
        recorded = made.recorded
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
        _show(one, recorded, seed=seed)
    return len(wrong)


def _show(relation: Relation, recorded: RecordedWorld, *, seed: int) -> None:
    """Write the smallest pair of worlds that shows it, and say where and what differs."""
    small = smallest(relation, recorded, seed=seed)
    pair = relation.pair(small, Random(seed))
    folder = Path(mkdtemp(prefix=f"recon-{relation.name}-"))
    for name, one in (("before", pair.before), ("after", pair.after)):
        write_world(with_config(one), folder / name)
    print(f"  {relation.name}: {len(small.payments)} payment(s), {folder}/before and {folder}/after")
    for key, (first, other) in list(differences(relation, small, seed=seed).items())[:10]:
        print(f"    {key}: {first} against {other}", flush=True)
