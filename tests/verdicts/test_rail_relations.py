"""Relations that hold in every world of a rail of its own; ``scripts/prove --rail NAME`` holds many more payments."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import pytest

from recon.core.model import Plan
from recon.simulation.rail_worlds import RAIL_WORLDS, rail_world
from recon.simulation.score import score
from recon.sources.recorded.format import RecordedWorld
from tests.support.rail_relations import WEATHER, relations_of
from tests.support.relations import differences, judged
from tests.support.thorough import LARGER
from tests.support.worlds import said

PAYMENTS = 1_000 if LARGER else 200
"""Every case of a rail occurs from 100 payments on, or nearly: what more there is, is in sync."""
SEED = 311
RAILS = tuple(sorted(RAIL_WORLDS))
BAD_DAYS = {"monero": "cut", "relayr": "said-twice", "salesforce": "truncated", "whmcs": "shifted"}
"""Of a rail's bad days the one that is held each time; all of them at night, since each asks everything again."""


@lru_cache
def world(rail: str) -> RecordedWorld:
    return rail_world(rail, PAYMENTS, seed=SEED).recorded


@lru_cache
def plan(rail: str) -> Plan:
    return judged(world(rail))


@pytest.mark.parametrize(
    ("rail", "name"),
    [
        (rail, name)
        for rail in RAILS
        for name in relations_of(rail)
        if name != "undone" and (LARGER or name not in WEATHER or name == BAD_DAYS[rail])
    ],
)
def test_it_holds(rail: str, name: str) -> None:
    found = differences(relations_of(rail)[name], world(rail), seed=SEED, before=plan(rail))
    assert not found, f"{found}\n(scripts/prove --rail {rail} --relations {name} shows the fewest payments)"


@pytest.mark.parametrize("rail", RAILS)
def test_every_verdict_and_every_write_is_right(rail: str) -> None:
    """By the referee of the rail, who asks what money came and what was meant; 20,000 payments of each at night."""
    made = rail_world(rail, 20_000 if LARGER else PAYMENTS, seed=SEED)
    found = score(judged(made.recorded) if LARGER else plan(rail), made.truths)
    assert found.is_perfect, said(found)


@pytest.mark.parametrize("rail", sorted(RAILS, reverse=True))
def test_everything_written_is_taken_back(rail: str) -> None:
    """Two runs of the command, about 5 s of a processor; the first rail is held each time, all of them at night."""
    assert not differences(relations_of(rail)["undone"], world(rail), seed=SEED, before=plan(rail))
    assert len(plan(rail).changes) > 8


@pytest.mark.parametrize("rail", RAILS)
def test_less_evidence_does_take_writes_away(rail: str) -> None:
    """A relation that nothing can break would prove nothing: some of the evidence is what the writes rest on."""
    lost = {"monero": "no-daemon", "relayr": "no-logs", "salesforce": "away", "whmcs": "away"}[rail]
    pair = relations_of(rail)[lost].pair(world(rail), Random(SEED))
    assert not judged(pair.after).changes
