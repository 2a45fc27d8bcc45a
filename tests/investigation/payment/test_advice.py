"""Advice fits the payment: its direction, its state, and whether a plan would change it at all."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recon.core.model import Plan, Verdict
from recon.core.registry import load_registry
from recon.investigation.payment.causes import CAUSES
from recon.investigation.payment.gather import Asking
from recon.investigation.payment.inspect import Inspection, inspect_payment
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.catalogue import BREAKS, HEALTHY, outgoing
from recon.simulation.situation import Leg, Plant, Situation
from recon.simulation.stage import Stage
from recon.simulation.world import world_of
from recon.snapshots.take import take_snapshot
from tests.support.inspecting import looked_at, scene
from tests.support.thorough import LARGER

DUST = Leg(of_amount_ppm=1)
FURTHER = (
    Plant("payout_half_out", Verdict.UNDERPAID, outgoing(legs=(Leg(of_due=(1, 2)),), recorded="leg", age="normal")),
    Plant("payout_twice", Verdict.MULTIPLE_TRANSFERS, outgoing(
        statuses=("completed",), escrows=("released",), legs=(Leg(), Leg()), recorded="leg",
    )),
    Plant("payout_reverted", Verdict.TX_REVERTED, outgoing(
        legs=(Leg(fate="reverted"),), recorded="leg", age="normal",
    )),
    Plant("payout_hash_gone", Verdict.TX_NOT_FOUND, outgoing(legs=(), recorded="unknown", age="normal")),
    Plant("payout_nothing_out", Verdict.STUCK_RELEASE, outgoing(legs=(), says="unpaid", age="normal")),
    Plant("poisoned_after_payment", Verdict.MULTIPLE_TRANSFERS, Situation(legs=(Leg(), DUST))),
    Plant("poisoned_before_payment", Verdict.UNDERPAID, replace(
        BREAKS["underpaid_expired"].situation, legs=(DUST,),
    )),
    Plant("closed_and_escrow_moved_on", Verdict.COORDINATOR_BLOCKED, replace(
        BREAKS["failed_though_paid"].situation, escrows=("released",),
    )),
    Plant("open_and_escrow_moved_on", Verdict.COORDINATOR_BLOCKED, replace(
        BREAKS["webhook_lost"].situation, escrows=("funded",),
    )),
)  # fmt: skip
"""States that the catalogue does not have and in which advice went wrong."""

NAMED = (
    "completed", "completed_in_parts", "released", "underpaid_open", "hash_missing", "escrow_unset", "late",
    "released_on_chain", "failed_though_paid", "wrong_token_recorded",
)  # fmt: skip
"""States of which a test says something by name; of the others every third is looked at, and all at night."""


@dataclass(frozen=True)
class Looked:
    """Every payment of one world, inspected, with the plan of the same snapshot."""

    found: dict[str, list[Inspection]]
    plan: Plan

    @property
    def changed(self) -> set[str]:
        return {change.payment_id for change in self.plan.changes}

    def everything(self) -> list[Inspection]:
        return [each for several in self.found.values() for each in several]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    stage = Stage(zlib.crc32(b"advice"))
    for plant in (*HEALTHY, *BREAKS.values(), *FURTHER):
        if plant.craft is None:
            stage.plant(plant)
    folder = tmp_path_factory.mktemp("advice")
    world = world_of(stage, seed=3)
    write_world(world, folder / "world")
    settings = load_settings(folder / "world" / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    with open_sources(settings) as sources:
        snapshot = take_snapshot(
            sources, selection=settings.selection(), policy=policy, registry=registry, now=settings.now(),
            out=folder / "snapshot",
        )  # fmt: skip
    found: dict[str, list[Inspection]] = {}
    names = {*NAMED, *(plant.name for plant in FURTHER), *sorted(BREAKS)[::3]}
    for truth in world.truths:
        if not LARGER and truth.planted not in names:
            continue
        asking = Asking(policy=policy, registry=registry, now=settings.now())
        found.setdefault(truth.planted, []).append(inspect_payment(truth.payment_id, asking=asking, snapshot=snapshot))
    return Looked(found, make_plan(snapshot, policy=policy, registry=registry))


def is_outgoing(found: Inspection) -> bool:
    assert found.judged is not None
    return bool(found.judged.row["direction"] != "in")


def steps(looked: Looked, planted: str) -> str:
    return " | ".join(cause.next_step for each in looked.found[planted] for cause in each.causes)


def test_a_plan_is_only_named_where_it_would_change_the_payment(looked: Looked) -> None:
    wrong = [
        (found.dossier.payment_id, cause.name, cause.next_step)
        for found in looked.everything()
        for cause in found.causes
        if found.dossier.payment_id not in looked.changed
        and any(words in cause.next_step for words in ("recon plan --id", "in a plan", "recon select"))
    ]
    assert wrong == []


def test_what_a_plan_would_change_is_told_so(looked: Looked) -> None:
    for planted in ("hash_missing", "escrow_unset", "late", "released_on_chain", "failed_though_paid"):
        assert "recon plan --id" in steps(looked, planted), planted


def test_nobody_is_asked_about_money_that_we_were_to_send(looked: Looked) -> None:
    outgoing_ones = [found for found in looked.everything() if is_outgoing(found)]
    assert len(outgoing_ones) >= 8
    for found in outgoing_ones:
        for cause in found.causes:
            assert "buyer" not in cause.next_step, (found.dossier.payment_id, cause.name, cause.next_step)


@pytest.mark.parametrize("planted", ["poisoned_after_payment", "poisoned_before_payment"])
def test_dust_is_never_given_back(looked: Looked, planted: str) -> None:
    told = steps(looked, planted)
    assert "refund" not in told
    assert "agree with the buyer" not in told
    assert "give back" not in told.lower().replace("give nothing back", "")


def test_a_worthless_token_is_never_given_back(looked: Looked) -> None:
    told = steps(looked, "wrong_token_recorded")
    assert "Give nothing back" in told
    assert "refund" not in told


def test_a_payout_is_only_sent_again_where_nothing_could_be_it(looked: Looked) -> None:
    assert "re-issue" in steps(looked, "payout_nothing_out")
    for planted in ("payout_half_out", "payout_twice", "released_on_chain"):
        assert "re-issue" not in steps(looked, planted), planted


def test_a_payout_is_not_sent_again_while_a_transfer_of_its_size_lies_at_its_payee(tmp_path: Path) -> None:
    made = scene("release_stuck", rail="request_network")
    assert "re-issue" in " ".join(cause.next_step for cause in looked_at(made, tmp_path / "before").causes)
    row = looked_at(made, tmp_path / "row").dossier.payment
    assert row is not None
    made.add_coin(row["chain_id"], token=row["token"], recipient=row["recipient"], units=int(row["expected_units"]))
    told = {cause.name: cause.next_step for cause in looked_at(made, tmp_path / "after").causes}
    assert "Do not send it again" in told["release_stuck"]
    assert "re-issue" not in " ".join(told.values())


NEVER = {
    "in": ("release_unrecorded", "not_due_yet", "payout_to_the_wrong_side"),
    "out": ("never_paid", "paid_late", "closed_though_paid", "accepted_not_applied", "webhook_never_delivered",
            "delivery_unknown", "lifi_settlement", "older_than_the_row"),
}  # fmt: skip


@pytest.mark.parametrize("name", [cause.name for cause in CAUSES])
def test_every_cause_is_kept_from_payments_that_it_does_not_fit(looked: Looked, name: str) -> None:
    healthy = [each for planted in ("completed", "completed_in_parts", "released") for each in looked.found[planted]]
    broken = [each for planted in ("underpaid_open", "hash_missing") for each in looked.found[planted]]
    for found in broken if name == "nothing_wrong" else healthy:
        assert name not in {cause.name for cause in found.causes}, found.dossier.payment_id
    for found in looked.everything():
        if name in NEVER["out" if is_outgoing(found) else "in"]:
            assert name not in {cause.name for cause in found.causes}, found.dossier.payment_id


def test_nobody_is_asked_for_a_rest_that_lies_there_in_another_token(tmp_path: Path) -> None:
    made = scene("underpaid_open", rail="shkeeper")
    registry = load_registry()
    chain_id = registry.chain_id(made.document["blockchain"]["network"])
    assert chain_id is not None
    symbol = {"USDC": "USDT", "USDT": "USDC"}[made.document["amount"]["currency"]]
    other = registry.token(chain_id, symbol)
    assert other is not None
    address = made.document["metadata"]["walletAddress"]
    made.add_coin(chain_id, token=other.address, recipient=address, units=10**other.decimals)
    found = looked_at(made, tmp_path)
    assert found.causes[0].next_step.startswith(f"Ask the buyer for nothing yet. 1 {symbol} more came for it on chain")


def test_where_a_cause_stands_is_a_runbook_or_said_in_words() -> None:
    in_words = r"(the (provider|gateway)'s documentation|seen at (provider|gateway)s): [^§]+"
    assert [
        cause.name
        for cause in CAUSES
        if not re.fullmatch(rf"runbook: [A-Za-z ]+|what the states of a payment mean|{in_words}", cause.source)
    ] == []
