"""The evidence counts as complete only where sources that answered also knew something of our payments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.simulation import World, plant_world, write_world
from recon.sources.recorded.faults import FaultRule
from tests.support.worlds import plan_of

PAID = (*["webhook_lost"] * 12, *["completed"] * 12)


def world_without(provider: str) -> tuple[World, int]:
    """A world whose provider answers and has lost all of its objects, and how many payments of ours are on it."""
    world = plant_world(*PAID, seed=5)
    kept = [line for line in world.recorded.said[provider] if "crypto" in line and "txs" not in line]
    said = {**world.recorded.said, provider: kept}
    words = {"request_network": "request.network", "shkeeper": "shkeeper"}[provider]
    mine = [row for row in world.recorded.payments if str(row["provider"]).replace("-", ".").replace("_", ".") == words]
    return replace(world, recorded=replace(world.recorded, said=said)), len(mine)


@pytest.mark.parametrize("provider", ["request_network", "shkeeper"])
def test_a_provider_that_knows_none_of_our_payments_is_named(provider: str, tmp_path: Path) -> None:
    world, count = world_without(provider)
    assert count >= 3
    health = plan_of(world, tmp_path).summary["health"]
    assert health["ok"] is False
    assert any(f"{provider} knows none of our {count} payments" in reason for reason in health["reasons"]), health


def test_a_provider_that_knows_some_is_not(tmp_path: Path) -> None:
    assert plan_of(plant_world(*PAID, seed=5), tmp_path).summary["health"] == {"ok": True, "reasons": []}


def test_two_unknown_payments_say_nothing_of_a_provider(tmp_path: Path) -> None:
    world = plant_world("provider_knows_nothing", "provider_knows_nothing", seed=3)
    assert plan_of(world, tmp_path).summary["health"]["ok"] is True


def test_a_high_share_of_failed_look_ups_is_named_with_its_numbers(tmp_path: Path) -> None:
    world = plant_world(*PAID, seed=5)
    fault = FaultRule("request_network", "/v2/*", status=500, body={})
    health = plan_of(replace(world, recorded=replace(world.recorded, faults=(fault,))), tmp_path).summary["health"]
    assert health["ok"] is False
    assert any("look-ups at request_network failed, over 20 %" in reason for reason in health["reasons"]), health


def test_doctor_tells_what_the_latest_plan_found_of_its_evidence(tmp_path: Path) -> None:
    world, count = world_without("shkeeper")
    write_world(world, tmp_path)
    recon.plan(config=tmp_path / "recon.toml")
    told = CliRunner().invoke(cli, ["doctor", "--config", str(tmp_path / "recon.toml")], prog_name="recon")
    assert f"shkeeper knows none of our {count} payments" in " ".join(told.output.split())
