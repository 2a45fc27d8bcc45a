"""The tool against worlds whose truth is known: many seeds, parts of a week, sources that are sick."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from recon.core.errors import UsageError, WrongSourceError
from recon.core.ids import payment_id_text
from recon.core.model import Plan, Verdict
from recon.simulation import PLANTS, World, generate_world, plant_world
from recon.simulation.score import BENIGN, NOT_PROVEN, Misjudged, Score, score
from recon.simulation.stage import NOW
from recon.sources.interface import Selection
from tests.support.sick_worlds import PASSING, make_sick
from tests.support.thorough import LARGER
from tests.support.worlds import merged, plan_of, said

SEEDS = 10
"""In every other world each row of the catalogue occurs once; ``scripts/prove`` judges a million payments."""

AT_ONCE = 5
"""So many worlds are judged as one: the same payments in a fifth of the time, among more that they must not touch."""
PAYMENTS = 400 if LARGER else 260
"""Every row of the catalogue once, and payments in sync about it."""
OF_TWO_ROWS = (Verdict.COMPETING_PAYMENT, Verdict.DUPLICATE_PROVIDER_KEY, Verdict.DUPLICATE_TX_HASH)
"""The whole collection is asked where a change is proposed; a row in sync does not show that another one claims it."""


@pytest.mark.parametrize("first", range(100, 100 + SEEDS, AT_ONCE))
def test_every_verdict_and_every_write_is_right(first: int, tmp_path: Path) -> None:
    once = dict.fromkeys(PLANTS, 1 / PAYMENTS)
    worlds = [
        generate_world(payments=PAYMENTS, seed=seed, breaks=once if seed % 2 else "default")
        for seed in range(first, first + AT_ONCE)
    ]
    truths = tuple(truth for world in worlds for truth in world.truths)
    world = World(merged(world.recorded for world in worlds), truths)
    found = score(plan_of(world, tmp_path), world.truths)
    assert found.is_perfect, said(found)


def made_before(world: World, start: datetime) -> set[str]:
    """Money inside a window may be of a row before it, which is judged then, too."""
    return {payment_id_text(row["_id"]) for row in world.recorded.payments if row["createdAt"] < start}


def selected(world: World, choice: Selection) -> set[str]:
    assert choice.from_at is not None and choice.to_at is not None
    return {
        payment_id_text(document["_id"])
        for document in world.recorded.payments
        if choice.from_at <= document["createdAt"] < choice.to_at
    }


def has_woken(plan: Plan) -> bool:
    return any(row["scope"] == "woken" for row in plan.coverage)


@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_a_week_is_judged_as_in_the_whole(seed: int, tmp_path: Path) -> None:
    world = generate_world(payments=500, seed=200 + seed)
    rng = Random(seed)
    start = NOW - timedelta(days=7) + timedelta(minutes=rng.randrange(5 * 1440))
    choice = Selection(from_at=start, to_at=start + timedelta(minutes=rng.randrange(600, 2 * 1440)))
    inside = selected(world, choice)
    items = {truth.payment_id for truth in world.truths if truth.verdict is Verdict.MISSING_LOCAL}
    plan = plan_of(world, tmp_path, choice=choice)
    seen = {finding.payment_id for finding in plan.findings}
    before = made_before(world, start)
    assert {change.payment_id for change in plan.changes} <= inside | before
    found = score(plan, [truth for truth in world.truths if truth.payment_id in inside | ((items | before) & seen)])
    unseen = tuple(
        row
        for row in found.misjudged
        if (row.expected in OF_TWO_ROWS and row.found is None) or (row.payment_id in before and row.found in NOT_PROVEN)
    )
    found = replace(
        found,
        misjudged=tuple(row for row in found.misjudged if row not in unseen),
        miscounted={} if unseen or has_woken(plan) else found.miscounted,
    )
    assert found.is_perfect, said(found)


# ------------------------------------------------------------------------------------------------------- sick sources

TOLD_BY_ONE = (Verdict.MISSING_LOCAL, Verdict.PROVIDER_BEHIND)
"""Verdicts about what only one source shows: nothing can be said of them while it is silent."""

WAITING = (Verdict.INSUFFICIENT_CONFIRMATIONS, Verdict.SAFETY_PENDING, Verdict.UNDERPAID, None)
"""What may be said of money of the last minutes by a node that has not seen it yet; None is "not listed"."""


def is_fresh(planted: str) -> bool:
    plant = PLANTS.get(planted)
    return plant is not None and any(leg.when == "fresh" for leg in plant.situation.legs)


def is_excused(row: Misjudged) -> bool:
    """Whether a wrong verdict is all that can be said while a source is sick: honest, and no false break."""
    if row.found in NOT_PROVEN:
        return True
    if row.expected is Verdict.NETWORK_MISMATCH and row.found is Verdict.TX_NOT_FOUND:
        return True  # it is not on its own chain, and the other one is silent
    if row.found is None and row.expected in TOLD_BY_ONE:
        return True
    return is_fresh(row.planted) and row.found in WAITING


def false_breaks(found: Score) -> list[Misjudged]:
    return [row for row in found.misjudged if not is_excused(row)]


def check_sick(world: World, plan: Plan) -> Score:
    found = score(plan, world.truths)
    wrong = false_breaks(found)
    assert not wrong, said(replace(found, misjudged=tuple(wrong), incomplete=(), wrong_writes=(), miscounted={}))
    written = tuple(row for row in found.wrong_writes if row.kind != "missing")
    assert not written, said(replace(found, misjudged=(), incomplete=(), wrong_writes=written, miscounted={}))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_passing_sickness_costs_little_and_never_a_false_break(seed: int, tmp_path: Path) -> None:
    world = make_sick(generate_world(payments=250, seed=300 + seed), seed=seed, kinds=PASSING)
    found = check_sick(world, plan_of(world, tmp_path))
    assert found.not_proven_share < Fraction(1, 5)


@pytest.mark.parametrize(
    ("seed", "kind"), [*enumerate(["lagging", "falling_head", "dies", "down", "lagging", "falling_head"])]
)
def test_lasting_sickness_leaves_payments_unproven_and_never_a_false_break(
    kind: str, seed: int, tmp_path: Path
) -> None:
    world = make_sick(generate_world(payments=250, seed=400 + seed), seed=seed, kinds=(kind,))
    check_sick(world, plan_of(world, tmp_path))


@pytest.mark.parametrize("source", ["request_network", "shkeeper", "chain:56", "chain:8453"])
def test_one_silent_source_is_named_in_the_coverage_and_the_rest_goes_on(source: str, tmp_path: Path) -> None:
    world = generate_world(payments=250, seed=500)
    sick = make_sick(world, seed=1, kinds=("down",), sources=(source,))
    plan = plan_of(sick, tmp_path)
    assert {row["source"] for row in plan.coverage if not row["complete"]} - {"request_network"} == {source} - {
        "request_network"
    }
    found = check_sick(sick, plan)
    assert found.not_proven_share < Fraction(3, 4)


def test_a_quiet_week_with_silent_sources_raises_no_alarm_but_unproven(tmp_path: Path) -> None:
    world = make_sick(generate_world(payments=200, seed=6, breaks="none"), seed=2, kinds=("down",))
    plan = plan_of(world, tmp_path)
    assert {finding.verdict for finding in plan.findings} <= NOT_PROVEN | BENIGN
    assert plan.changes == ()


def test_a_node_of_another_chain_stops_the_run(tmp_path: Path) -> None:
    world = make_sick(plant_world("completed"), seed=1, kinds=("other_chain",), sources=("chain:56",))
    with pytest.raises(WrongSourceError, match="chain:56"):
        plan_of(world, tmp_path)


def test_an_unknown_kind_of_fault_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="haunted"):
        make_sick(plant_world("completed"), seed=1, kinds=("haunted",))
