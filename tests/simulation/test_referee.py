"""The referee: it shares nothing with the rules, agrees with what was declared, and the tool agrees with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recon.core.model import Verdict
from recon.simulation import PLANTS, World, generate_world, plant_world
from recon.simulation.catalogue import HEALTHY
from recon.simulation.referee import rule_on
from recon.simulation.refereed import contradictions, truths_of
from recon.simulation.scenarios import SCENARIOS, scenario_world
from recon.simulation.score import score
from tests.support.worlds import merged, plan_of, said

FORBIDDEN = ("recon.verdicts", "recon.plans", "recon.snapshots")
REFEREES = ("referee", "account", "ledger_truth", "refereed", "bundles", "invoice_world", "wallet_world")
"""Those who say what is true; the last three are each of one rail's own, beside its world."""
NAMES = [*(plant.name for plant in HEALTHY), *PLANTS]


def told(world: World) -> tuple[str, ...]:
    assert world.facts is not None
    return contradictions(world.truths, world.facts)


@pytest.mark.parametrize("module", REFEREES)
def test_the_referee_loads_none_of_the_rules(module: str) -> None:
    code = f"import sys, recon.simulation.{module}; print(*sorted(m for m in sys.modules if m.startswith('recon')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert f"recon.simulation.{module}" in loaded
    assert [name for name in loaded if name.startswith(FORBIDDEN)] == []


def test_the_referee_names_none_of_the_tables_of_the_rules() -> None:
    home = Path(__file__).parents[2] / "recon" / "simulation"
    for name in REFEREES:
        text = (home / f"{name}.py").read_text(encoding="utf-8")
        assert not [word for word in ("transitions", "recon.verdicts", "recon.plans", "Policy") if word in text]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_referee_finds_what_a_scenario_declares(name: str) -> None:
    assert told(scenario_world(name)) == ()


@pytest.mark.parametrize("seed", range(6))
def test_the_referee_finds_what_every_plant_declares_whatever_is_drawn(seed: int) -> None:
    assert told(plant_world(*NAMES, seed=seed)) == ()


@pytest.mark.parametrize("seed", range(40, 43))
def test_the_referee_agrees_in_mixed_worlds(seed: int) -> None:
    assert told(generate_world(payments=3_000, seed=seed)) == ()


def test_what_was_declared_wrongly_is_told() -> None:
    world = plant_world("webhook_lost", "completed", seed=3)
    assert world.facts is not None
    wrong = [replace(truth, verdict=Verdict.UNDERPAID, findings=(Verdict.UNDERPAID,)) for truth in world.truths]
    assert len(contradictions(wrong, world.facts)) == 2
    unwritten = [replace(truth, sets=None) for truth in world.truths]
    assert "would write" in contradictions(unwritten, world.facts)[0]
    more = [*world.truths, replace(world.truths[0], payment_id="nobody")]
    assert "knows nothing of it" in contradictions(more, world.facts)[0]


def test_the_tool_agrees_with_the_referee(tmp_path: Path) -> None:
    worlds = [plant_world(*NAMES, seed=11), generate_world(payments=600, seed=12)]
    truths = []
    for world in worlds:
        assert world.facts is not None
        truths += truths_of(world.facts, planted=world.truths)
    together = World(merged(world.recorded for world in worlds), tuple(truths))
    found = score(plan_of(together, tmp_path), truths)
    assert found.is_perfect, said(found)


def test_rulings_are_of_every_payment_and_do_not_depend_on_their_order() -> None:
    facts = generate_world(payments=400, seed=5).facts
    assert facts is not None
    rulings = rule_on(facts)
    assert {ruling.payment_id for ruling in rulings} >= {affair.payment_id for affair in facts.affairs}
    turned = replace(facts, affairs=facts.affairs[::-1], loose=facts.loose[::-1], objects=facts.objects[::-1])
    assert rule_on(turned) == rulings
