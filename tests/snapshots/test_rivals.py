"""A payment judged by itself: rows outside the window that contend for the same money are found all the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Plan, Verdict
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import PLANTS, plant_world, write_world
from recon.snapshots.take import take_snapshot
from recon.sources.interface import Selection
from recon.verdicts.rules import RULE, Tier

OF_SEVERAL_ROWS = sorted(name for name, plant in PLANTS.items() if plant.craft is not None)


def judged(home: Path, selection: Selection, *, name: str = "snapshot") -> Plan:
    """A world on disk judged over a selection of its payments."""
    settings = load_settings(home / "recon.toml")
    rules: dict[str, Any] = {"policy": settings.policy(), "registry": settings.registry()}
    with open_sources(settings) as sources:
        taken = take_snapshot(sources, selection=selection, now=settings.now(), out=home / name, **rules)
    return make_plan(taken, engine="polars", **rules)


@pytest.mark.parametrize("planted", OF_SEVERAL_ROWS)
def test_a_payment_judged_alone_is_never_corrected_against_the_truth(planted: str, tmp_path: Path) -> None:
    world = plant_world(planted, seed=3)
    write_world(world, tmp_path)
    truths = {truth.payment_id: truth for truth in world.truths}
    for number, document in enumerate(world.recorded.payments[:6]):
        payment_id = str(document["_id"])
        plan = judged(tmp_path, Selection(ids=(payment_id,)), name=f"alone-{number}")
        told = {item.payment_id: item.verdict for item in plan.findings}
        if payment_id in told and payment_id in truths:
            assert told[payment_id] is truths[payment_id].verdict
        for change in plan.changes:
            assert truths[change.payment_id].verdict is change.verdict
            assert RULE[change.verdict].tier in (Tier.AUTO, Tier.REVIEW)


@pytest.mark.parametrize("planted", ["two_rails_paid", "two_requests_paid"])
def test_money_on_two_rows_of_one_order_is_seen_when_only_the_open_row_is_in_the_window(
    planted: str, tmp_path: Path
) -> None:
    world = plant_world(planted, seed=3)
    write_world(world, tmp_path)
    competing = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.COMPETING_PAYMENT}
    unpaid = [
        str(document["_id"])
        for document in world.recorded.payments
        if str(document["_id"]) in competing and document["status"] in ("pending", "processing")
    ]
    assert unpaid
    for payment_id in unpaid:
        plan = judged(tmp_path, Selection(ids=(payment_id,)), name=payment_id)
        assert [item.verdict for item in plan.findings if item.payment_id == payment_id] == [Verdict.COMPETING_PAYMENT]
        assert plan.changes == ()


def test_a_window_without_rows_still_names_money_that_no_row_knows(tmp_path: Path) -> None:
    planted = next(name for name, plant in PLANTS.items() if plant.verdict is Verdict.MISSING_LOCAL)
    world = plant_world(planted, seed=3)
    write_world(world, tmp_path)
    settings = load_settings(tmp_path / "recon.toml")
    known = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.MISSING_LOCAL}
    assert known
    (tmp_path / "payments.ndjson").write_text("", encoding="utf-8")
    plan = judged(tmp_path, Selection(from_at=settings.now() - timedelta(days=30)))
    assert plan.summary["payments"] == 0
    assert known <= {item.payment_id for item in plan.findings}
    assert {item.verdict for item in plan.findings} == {Verdict.MISSING_LOCAL}


@pytest.mark.parametrize("seed", range(3))
def test_a_row_outside_the_window_explains_only_its_own_log_of_a_batch(seed: int, tmp_path: Path) -> None:
    world = plant_world("orphan_in_a_batch", seed=seed)
    write_world(world, tmp_path)
    missing = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.MISSING_LOCAL}
    created = world.recorded.payments[0]["createdAt"]
    plan = judged(tmp_path, Selection(from_at=created + timedelta(seconds=1)))
    assert plan.summary["payments"] == 0
    assert {item.payment_id for item in plan.findings} == missing
