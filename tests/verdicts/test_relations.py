"""Relations that hold in every world; ``scripts/prove --relations`` holds many more worlds against them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from recon.core.ids import payment_id_text
from recon.core.model import Plan
from recon.simulation import generate_world
from recon.simulation.oddities import ODDITIES
from recon.simulation.world import MIXED
from recon.sources.recorded.format import RecordedWorld
from recon.sources.recorded.world import load_world
from tests.support.relations import BY_NAME, CASES, Pair, Relation, differences, judged, smallest, told
from tests.support.thorough import LARGER

PAYMENTS = 2_000 if LARGER else 500
"""Each break and each oddity occurs once whatever the size: what the larger world has more is payments in sync."""
SEEDS = (311,)
FEW = 250
"""Payments for a relation that writes every correction, which takes long on the embedded store."""


ONLY_AMONG_NEIGHBOURS = ("yearly_address",)
"""Whose proof needs the money of rows of months ago, which is not read again for a few rows: apply refuses them."""


@lru_cache
def world(seed: int, payments: int) -> RecordedWorld:
    names = [name for name in (*MIXED, *ODDITIES) if payments != FEW or name not in ONLY_AMONG_NEIGHBOURS]
    return generate_world(payments=payments, seed=seed, breaks=dict.fromkeys(names, 1 / payments)).recorded


@lru_cache
def plan(seed: int, payments: int) -> Plan:
    return judged(world(seed, payments))


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("seed", SEEDS)
def test_it_holds(name: str, seed: int) -> None:
    payments = FEW if name == "undone" else PAYMENTS
    found = differences(BY_NAME[name], world(seed, payments), seed=seed, before=plan(seed, payments))
    assert not found, f"{found}\n(scripts/prove --relations {name} shows the fewest payments)"


def test_a_relation_that_does_not_hold_is_shown_by_the_fewest_payments() -> None:
    """The two plans are said to differ by one payment; the world is cut down to it."""
    few = replace(world(311, FEW), payments=world(311, FEW).payments[:4])
    chosen = sorted(told(judged(few)))[0]
    relation = Relation(
        "one payment",
        lambda recorded, rng: Pair(recorded, recorded),
        lambda before, after: dict.fromkeys(told(after).keys() & {chosen}, ("here", "gone")),
    )
    assert [payment_id_text(row["_id"]) for row in smallest(relation, few, seed=1).payments] == [chosen]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_some_hold_in_a_recorded_world(case: Path) -> None:
    """scripts/prove --relations holds all of them against it."""
    recorded = load_world(case)
    before = judged(recorded)
    broken = {name: differences(BY_NAME[name], recorded, seed=5, before=before) for name in ("redated", "undone")}
    assert not any(broken.values()), broken
