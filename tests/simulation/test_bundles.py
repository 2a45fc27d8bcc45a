"""Worlds of bundles: every way in which one goes wrong is judged as money and intent say, and planned as is right."""

from __future__ import annotations

from pathlib import Path

from recon.core.model import Verdict
from recon.plans.make import make_plan
from recon.setup.settings import load_settings
from recon.simulation import load_truth, write_world
from recon.simulation.bundles import BUNDLE_CASES, bundle_world, true_verdict
from recon.simulation.score import score
from tests.support.judging import snapshot_of_directory


def test_a_world_of_bundles_is_judged_without_a_mistake(tmp_path: Path) -> None:
    world = bundle_world(300, seed=5)
    write_world(world, tmp_path / "world")
    snapshot = snapshot_of_directory(tmp_path / "world", tmp_path / "snapshot")
    settings = load_settings(tmp_path / "world" / "recon.toml")
    plan = make_plan(snapshot, policy=settings.policy(), registry=settings.registry(), engine="polars")
    truths = load_truth(tmp_path / "world" / "truth.ndjson")
    assert truths == world.truths
    assert {truth.planted for truth in truths} == {affair.name for affair in BUNDLE_CASES}
    found = score(plan, truths)
    assert not [(each.planted, each.expected, each.found, each.missing) for each in found.misjudged]
    assert not [(each.planted, each.kind, each.expected, each.found) for each in found.wrong_writes]


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    one, same, other = (bundle_world(40, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.recorded.payments != other.recorded.payments


def test_nothing_that_landed_in_part_is_ever_true_to_be_written() -> None:
    for affair in BUNDLE_CASES:
        fates = {fate for _, fate in affair.parts}
        assert (true_verdict(affair) is Verdict.AMBIGUOUS) == ("landed" in fates and len(fates) > 1)
