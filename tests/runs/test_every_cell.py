"""Every cell of the table of writes: planned, applied under a canary that holds them all, judged again, taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import bson
import pytest

import recon
from recon.core.ids import payment_id_text
from recon.core.model import Change, Finding, Tier, Verdict
from recon.core.registry.transitions import PATHS, allowed_sets
from recon.core.values import to_extended, value_at
from recon.plans.picking import Pick, select_changes
from recon.runs.apply import RunReport
from recon.runs.guard import without_marks
from recon.runs.states import Result
from recon.setup.open_sources import Opening
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.catalogue import BREAKS, outgoing
from recon.simulation.situation import PAID, Plant, Situation
from recon.simulation.stage import Stage
from recon.simulation.world import world_of

Cell = tuple[Verdict, str, str, str | None]
V = Verdict

PLANTED: Mapping[str, str] = {
    V.LOCAL_BEHIND: "webhook_lost", V.LATE_PAYMENT: "late", V.COORDINATOR_BLOCKED: "failed_though_paid",
    V.REFUND_DRIFT: "refund_on_chain", V.TX_HASH_MISMATCH: "hash_unknown", V.MISSING_TX_HASH: "hash_missing",
    V.ESCROW_DRIFT: "escrow_unset", V.STATUS_DRIFT: "confirmed", V.CONFIRMATIONS_STALE: "few_confirmations",
    V.NETWORK_MISMATCH: "wrong_network", V.TOKEN_MISMATCH: "wrong_token", V.RECIPIENT_MISMATCH: "wrong_recipient",
    V.REFERENCE_MISMATCH: "wrong_reference",
}  # fmt: skip
"""What the simulator plants for the incoming cells of a verdict."""
MISMATCHES = (V.NETWORK_MISMATCH, V.TOKEN_MISMATCH, V.RECIPIENT_MISMATCH, V.REFERENCE_MISMATCH)


def cells() -> list[Cell]:
    text = resources.files("recon.core.registry").joinpath("transitions.json").read_text(encoding="utf-8")
    return [
        (Verdict(row["verdict"]), direction, status, escrow)
        for row in json.loads(text)
        for direction in row["directions"]
        for status in row["status"]
        for escrow in row["escrow"]
    ]


def situation_of(cell: Cell) -> Situation:
    verdict, direction, status, escrow = cell
    planted = BREAKS[PLANTED[verdict]].situation
    if direction != "in" and verdict is V.LOCAL_BEHIND:
        planted = BREAKS["released_on_chain" if direction == "out" else "given_back_on_chain"].situation
    elif direction != "in":
        planted = outgoing(
            direction=direction, legs=PAID, recorded=planted.recorded, confirmations=planted.confirmations
        )
    return replace(planted, statuses=(status,), escrows=(escrow,))


def says_otherwise(cell: Cell) -> Verdict | None:
    """What is the matter first with a row in this state, and lets nothing of the cell be written; None: nothing is."""
    verdict, direction, _, escrow = cell
    if direction != "in":
        return None
    if escrow == "refunded":
        return V.REFUND_DRIFT if verdict is not V.REFUND_DRIFT else V.IN_SYNC
    if escrow == "cancelled" and verdict not in (*MISMATCHES, V.REFUND_DRIFT):
        return V.COORDINATOR_BLOCKED
    return None


@dataclass(frozen=True)
class Played:
    """The world of all cells, before and after."""

    ids: Mapping[Cell, str]
    findings: Mapping[str, Finding]
    changes: Mapping[str, Change]
    again: Mapping[str, Change]
    report: RunReport
    documents: tuple[Mapping[str, Mapping[str, Any]], ...]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    stage, ids = Stage(11), {}
    for cell in cells():
        case = stage.plant(Plant("cell", cell[0], situation_of(cell)))
        ids[cell] = payment_id_text(case.document["_id"])
    config = tmp_path_factory.mktemp("cells") / "recon.toml"
    write_world(world_of(stage, seed=11), config.parent)
    before = stored(config)
    plan = recon.plan(config=config)
    picked = select_changes(plan, Pick(payments=tuple(change.payment_id for change in plan.changes)))
    report = applied(picked, config)
    after = stored(config)
    again = recon.plan(config=config)
    applied(recon.undo(str(report.run), config=config, say=lambda _: None), config)
    return Played(
        ids,
        {each.payment_id: each for each in plan.findings},
        {each.payment_id: each for each in plan.changes},
        {each.payment_id: each for each in again.changes},
        report,
        (before, after, stored(config)),
    )


def applied(plan: Any, config: Path) -> RunReport:
    report = recon.apply(
        plan, digest=plan.digest, config=config, canary=1_000, changes_max=1_000, share_max=100,
        accept_unhealthy="every cell there is", say=lambda _: None,
    )  # fmt: skip
    assert report.counts == {Result.APPLIED: len(plan.changes)}
    return report


def stored(config: Path) -> dict[str, dict[str, Any]]:
    world = Opening(load_settings(config)).world
    assert world is not None
    return {payment_id_text(each["_id"]): dict(each) for each in world.payments}


def test_a_refund_that_is_written_is_done_whatever_its_status(played: Played) -> None:
    for status in ("pending", "processing"):
        name = played.ids[V.LOCAL_BEHIND, "refund", status, "releasing"]
        assert {each.payment_id: each.verdict for each in played.report.remaining or ()}.get(name) is None


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: "-".join(str(part) for part in cell))
def test_every_cell_is_written_does_what_it_is_meant_to_do_and_is_taken_back(played: Played, cell: Cell) -> None:
    verdict, direction, status, escrow = cell
    name = played.ids[cell]
    change, finding = played.changes.get(name), played.findings.get(name)
    before, after, restored = (documents[name] for documents in played.documents)
    if (otherwise := says_otherwise(cell)) is not None:
        told = V.IN_SYNC if finding is None else finding.verdict
        assert told is otherwise or (told is V.STATUS_DRIFT and status == "confirmed")
        assert change is None or V(told) is V.STATUS_DRIFT
    else:
        assert finding is not None
        assert change is not None
        assert verdict in finding.findings
        if change.verdict is verdict or change.tier is Tier.AUTO:
            wanted = allowed_sets(verdict=verdict, direction=direction, status=status, escrow=escrow)
            written = {item.path: item.after for item in change.sets}
            assert {PATHS[symbol] for symbol in wanted} <= {*written, PATHS["confirmations"]}
            for symbol, value in wanted.items():
                if PATHS[symbol] in written and value not in ("proof", "refund", "threshold"):
                    assert written[PATHS[symbol]] == value
    if change is None:
        assert bson.encode(after) == bson.encode(before)
        return
    for item in change.sets:
        assert to_extended(value_at(after, item.path)) == item.after
    assert name not in played.again or played.again[name].id != change.id
    remaining = {each.payment_id: each for each in played.report.remaining or ()}
    if verdict in MISMATCHES:
        assert remaining[name].verdict == (V.DISPUTE_HOLD if escrow == "releasing" else verdict)
    assert name not in remaining or remaining[name].explained_by
    created = "metadata" not in before
    assert bson.encode(without_marks(restored, created_metadata=created)) == bson.encode(
        without_marks(before, created_metadata=created)
    )
