"""What happens to whole sources: the tool says of it what the referee says, who is told only what is left to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recon.core.model import Verdict
from recon.simulation import PLANTS, World, generate_world, plant_world
from recon.simulation.catalogue import HEALTHY
from recon.simulation.ledger_truth import is_final_block
from recon.simulation.refereed import truths_of
from recon.simulation.score import Score, score
from recon.simulation.weather import forgotten, gone, halted, weathered
from tests.support.thorough import LARGER
from tests.support.worlds import plan_of, said

NAMES = [*(plant.name for plant in HEALTHY), *PLANTS]
ONLY_THE_PROVIDER_KNOWS = {
    "second_attempt_paid", "second_attempt_completed", "second_attempt_of_failed", "both_attempts_paid",
    "no_attempt_paid", "payout_replaced", "released_on_chain", "rest_not_final", "not_final_yet", "given_back_on_chain",
}  # fmt: skip
"""Whose money is found only by what the provider says: when it is gone there is less to see than the facts hold."""

WEATHERS: dict[str, Callable[[World], World]] = {
    "halted": lambda world: halted(world, chain_id=56, hours=3),
    "halted_for_days": lambda world: halted(world, chain_id=137, hours=60),
    "forgotten": lambda world: forgotten(world, chain_id=56),
    "forgotten_elsewhere": lambda world: forgotten(world, chain_id=8453),
}


def judged(world: World, folder: Path) -> Score:
    assert world.facts is not None
    plan = plan_of(world, folder)
    found = {finding.payment_id: finding.verdict for finding in plan.findings}
    return score(plan, truths_of(world.facts, found=found, planted=world.truths))


@pytest.mark.parametrize("weather", sorted(WEATHERS))
@pytest.mark.parametrize("seed", [1, 2] if LARGER else [1])
def test_what_may_lie_unread_is_never_denied(weather: str, seed: int, tmp_path: Path) -> None:
    world = WEATHERS[weather](plant_world(*NAMES, seed=seed))
    found = judged(world, tmp_path)
    assert not found.misjudged and not found.wrong_writes, said(found)


@pytest.mark.parametrize("provider", ["request_network", "shkeeper"])
def test_a_provider_that_is_gone_denies_nothing(provider: str, tmp_path: Path) -> None:
    names = [name for name in NAMES if name not in ONLY_THE_PROVIDER_KNOWS]
    found = judged(gone(plant_world(*names, seed=4), provider=provider), tmp_path)
    assert not found.misjudged and not found.wrong_writes, said(found)


def verdict_of(world: World, folder: Path) -> Verdict:
    [finding] = plan_of(world, folder).findings
    return finding.verdict


@pytest.mark.parametrize("seed", range(3 if LARGER else 1))
def test_a_refund_that_may_lie_unread_is_not_denied(seed: int, tmp_path: Path) -> None:
    world = plant_world("refund_in_row_only", seed=seed)
    assert world.facts is not None
    chain_id, rail = world.facts.affairs[0].chain_id, world.facts.affairs[0].rail
    assert verdict_of(world, tmp_path / "whole") is Verdict.REFUND_DRIFT
    assert verdict_of(halted(world, chain_id=chain_id, hours=2), tmp_path / "halted") is Verdict.UNPROVEN
    assert verdict_of(gone(world, provider=rail), tmp_path / "gone") is Verdict.LOOKUP_FAILED


def test_a_part_refund_of_which_the_rest_may_lie_unread_is_no_agreement(tmp_path: Path) -> None:
    world = plant_world("refunded_in_part", seed=2)
    assert world.facts is not None
    chain_id = world.facts.affairs[0].chain_id
    assert verdict_of(halted(world, chain_id=chain_id, hours=2), tmp_path) is Verdict.UNPROVEN


def test_a_world_under_weather_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    world = generate_world(payments=60, seed=8)
    assert weathered(world, seed=8) == weathered(world, seed=8)
    assert weathered(world, seed=4).recorded != weathered(world, seed=8).recorded


@pytest.mark.parametrize(
    ("chain_id", "block", "final"), [(137, 500, True), (137, 501, False), (8453, 940, True), (8453, 941, False)]
)
def test_a_block_is_final_by_its_depth_too_on_a_chain_that_broke_its_tag(
    chain_id: int, block: int, final: bool
) -> None:
    assert is_final_block(block, chain_id=chain_id, head=1_000, finalized=940) is final
