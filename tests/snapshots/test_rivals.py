"""A payment judged by itself: rows outside the window that contend for the same money are found all the same."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recon.core.ids import payment_id_text
from recon.core.model import Plan, Verdict
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import PLANTS, World, generate_world, plant_world, write_world
from recon.snapshots.orders import find_orders
from recon.snapshots.take import take_snapshot
from recon.sources.interface import Selection
from recon.verdicts.rules import RULE, Tier
from tests.support.worlds import merged

OF_SEVERAL_ROWS = sorted(name for name, plant in PLANTS.items() if plant.craft is not None)


BY_NEIGHBOURS = {
    "yearly_address": "the rows of an address for years are settled by their own transfers, months before the window",
    "refund_of_no_order": "a refund row that names no order is found by its buyer's address in the window only",
    "payout_to_the_buyer": "that an address is the buyer's is seen by the transfer of his pay-in, outside the window",
}
"""What is not always told of a payment judged alone, and why. It is never corrected for that."""


def judged(home: Path, selection: Selection, *, out: Path) -> Plan:
    """A world on disk judged over a selection of its payments."""
    settings = load_settings(home / "recon.toml")
    rules: dict[str, Any] = {"policy": settings.policy(), "registry": settings.registry()}
    with open_sources(settings) as sources:
        taken = take_snapshot(sources, selection=selection, now=settings.now(), out=out, **rules)
    return make_plan(taken, engine="polars", **rules)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[World], Path]:
    """Every situation of several rows, and the directory of a world that holds them all."""
    folder = tmp_path_factory.mktemp("several")
    worlds = [plant_world(name, seed=seed) for seed, name in enumerate(OF_SEVERAL_ROWS, start=3)]
    write_world(World(merged(world.recorded for world in worlds), ()), folder)
    return worlds, folder


@pytest.mark.parametrize("number", range(5))
def test_a_payment_judged_alone_is_never_corrected_against_the_truth(
    number: int, several: tuple[list[World], Path], tmp_path: Path
) -> None:
    """Of each situation one row is asked for, so that all its rivals are outside the window."""
    worlds, folder = several
    rows = [[payment_id_text(document["_id"]) for document in world.recorded.payments] for world in worlds]
    assert max(map(len, rows)) == 5
    truths = {truth.payment_id: truth for world in worlds for truth in world.truths}
    chosen = {ids[number] for ids in rows if len(ids) > number}
    plan = judged(folder, Selection(ids=tuple(chosen)), out=tmp_path / "alone")
    found = {item.payment_id: item.verdict for item in plan.findings}
    for payment_id in chosen:
        truth = truths[payment_id].verdict
        if truths[payment_id].planted in BY_NEIGHBOURS and found.get(payment_id) in (None, Verdict.AMBIGUOUS):
            continue
        assert found.get(payment_id, truth) is truth
        assert payment_id in found or RULE[truth].tier in (Tier.BENIGN, Tier.WAIT), truth
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
        plan = judged(tmp_path, Selection(ids=(payment_id,)), out=tmp_path / payment_id)
        assert [item.verdict for item in plan.findings if item.payment_id == payment_id] == [Verdict.COMPETING_PAYMENT]
        assert plan.changes == ()


@pytest.mark.parametrize("planted", ["two_rails_paid", "two_requests_paid"])
@pytest.mark.parametrize(("later", "quiet_max"), [(True, 1_000), (False, 1_000), (False, 0)])
def test_an_order_that_was_paid_again_outside_the_window_is_no_payment_in_sync(
    planted: str, later: bool, quiet_max: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where more were paid again than are read a second time."""
    monkeypatch.setattr("recon.snapshots.second_reading.QUIET_MAX", quiet_max)
    made = (plant_world(planted, seed=seed) for seed in range(3, 60))
    world = next(each for each in made if {row["status"] for row in each.recorded.payments} == {"completed"})
    first, second = sorted(world.recorded.payments, key=lambda each: each["createdAt"])
    write_world(world, tmp_path)
    edge = second["createdAt"] - timedelta(seconds=1)
    window = Selection(from_at=edge) if later else Selection(to_at=edge)
    plan = judged(tmp_path, window, out=tmp_path / "snapshot")
    mine = payment_id_text((second if later else first)["_id"])
    assert plan.summary["payments"] == 1
    assert [item.verdict for item in plan.findings if item.payment_id == mine] == [Verdict.COMPETING_PAYMENT]


def test_a_window_without_rows_still_names_money_that_no_row_knows(tmp_path: Path) -> None:
    planted = next(name for name, plant in PLANTS.items() if plant.verdict is Verdict.MISSING_LOCAL)
    world = plant_world(planted, seed=3)
    write_world(world, tmp_path)
    settings = load_settings(tmp_path / "recon.toml")
    known = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.MISSING_LOCAL}
    assert known
    (tmp_path / "payments.ndjson").write_text("", encoding="utf-8")
    plan = judged(tmp_path, Selection(from_at=settings.now() - timedelta(days=30)), out=tmp_path / "snapshot")
    assert plan.summary["payments"] == 0
    assert known <= {item.payment_id for item in plan.findings}
    assert {item.verdict for item in plan.findings} == {Verdict.MISSING_LOCAL}


@pytest.mark.parametrize("seed", range(3))
def test_a_row_outside_the_window_explains_only_its_own_log_of_a_batch(seed: int, tmp_path: Path) -> None:
    world = plant_world("orphan_in_a_batch", seed=seed)
    write_world(world, tmp_path)
    missing = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.MISSING_LOCAL}
    created = world.recorded.payments[0]["createdAt"]
    plan = judged(tmp_path, Selection(from_at=created + timedelta(seconds=1)), out=tmp_path / "snapshot")
    assert plan.summary["payments"] == 0
    assert {item.payment_id for item in plan.findings} == missing


def test_of_more_orders_than_are_looked_up_it_is_said_which_nobody_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = generate_world(payments=40, seed=5)
    write_world(world, tmp_path)
    window = Selection(from_at=min(row["createdAt"] for row in world.recorded.payments))
    monkeypatch.setattr("recon.snapshots.second_reading.find_orders", partial(find_orders, orders_max=4))
    (row,) = [row for row in judged(tmp_path, window, out=tmp_path / "few").coverage if row["scope"] == "orders"]
    assert (row["items"], row["complete"]) == (4, True)
    assert "the 4 nearest to the ends of the window were looked up" in str(row["problem"])
    monkeypatch.undo()
    whole = judged(tmp_path, window, out=tmp_path / "all").coverage
    assert not [row for row in whole if row["scope"] == "orders"]


@pytest.mark.parametrize("planted", ["refund_to_a_stranger", "payout_to_the_buyer"])
def test_who_paid_is_known_of_a_row_outside_the_window(planted: str, tmp_path: Path) -> None:
    made = (plant_world(planted, seed=seed) for seed in range(3, 60))
    world = next(each for each in made if "sender" in each.recorded.payments[0]["blockchain"])
    first, second = world.recorded.payments
    write_world(world, tmp_path)
    plan = judged(tmp_path, Selection(from_at=first["createdAt"] + timedelta(seconds=1)), out=tmp_path / "snapshot")
    assert plan.summary["payments"] == 1
    told = {item.payment_id: item.verdict for item in plan.findings}
    assert told == {payment_id_text(second["_id"]): Verdict.RECIPIENT_MISMATCH}
