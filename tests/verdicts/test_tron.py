"""Tron is asked as any other chain is; its addresses are written in base58, its hashes without 0x."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from recon.core.ids import written_address
from recon.core.model import Plan
from recon.core.registry import load_registry
from recon.simulation import World, plant_world
from recon.sources.recorded.format import RecordedWorld
from tests.support.worlds import plan_of

POLYGON, TRON = 137, 728126428
USDT = {chain: load_registry().token(chain, "USDT").address for chain in (POLYGON, TRON)}
SEEDS = 400


def on_polygon(plant: str) -> World:
    """The first world of a plant whose only payment is one of USDT on Polygon through the gateway."""
    for seed in range(SEEDS):
        world = plant_world(plant, seed=seed)
        (row, *others) = world.recorded.payments
        coin = str(row["amount"]["currency"]).rpartition("-")[2]
        network = str(row.get("blockchain", {}).get("network", "")).lower()
        if not others and (coin, network) == ("USDT", "polygon") and row["metadata"].get("walletAddress"):
            return world
    raise AssertionError(f"no seed below {SEEDS} plants {plant} there")


def on_tron(recorded: RecordedWorld) -> RecordedWorld:
    """The same happening on Tron, told in its words."""
    row = recorded.payments[0]
    wallet = row["metadata"]["walletAddress"]
    there = written_address(wallet.lower(), chain_id=TRON)
    chain = recorded.chains[POLYGON]
    logs = [{**log, "address": USDT[TRON] if log["address"] == USDT[POLYGON] else log["address"]} for log in chain.logs]
    moved = replace(chain, chain_id=TRON, logs=logs)
    said = json.loads(
        json.dumps(recorded.said["shkeeper"])
        .replace("POLYGON-USDT", "USDT")
        .replace(wallet, there)
        .replace(wallet.lower(), there)
        .replace('"txid": "0x', '"txid": "')
    )
    text = json_util.dumps({**row, "blockchain": {**row["blockchain"], "network": "tron"}})
    options = json_util.JSONOptions(tz_aware=True, document_class=dict)
    text = text.replace(wallet, there).replace("POLYGON-USDT", "USDT")
    told = json_util.loads(
        text.replace(USDT[POLYGON], written_address(USDT[TRON], chain_id=TRON)), json_options=options
    )
    chains = {number: each for number, each in recorded.chains.items() if number != POLYGON}
    return replace(recorded, payments=[told], chains={**chains, TRON: moved}, said={**recorded.said, "shkeeper": said})


def planned(recorded: RecordedWorld, folder: Path) -> Plan:
    folder.mkdir()
    return plan_of(World(recorded, ()), folder, engine="polars")


def bare(value: Any) -> Any:
    return value.removeprefix("0x") if isinstance(value, str) else value


def written(plan: Plan) -> list[str]:
    """The hashes that a plan writes."""
    return [item.after for change in plan.changes for item in change.sets if item.path.endswith("transactionHash")]


def said(plan: Plan) -> list[Any]:
    sets = {change.payment_id: [(item.path, bare(item.after)) for item in change.sets if item.path != "updatedAt"]
            for change in plan.changes}  # fmt: skip
    return [(finding.verdict, finding.tier, finding.reason, sets.get(finding.payment_id)) for finding in plan.findings]


@pytest.mark.parametrize("plant", ["webhook_lost", "open_and_overpaid", "hash_unknown"])
def test_what_happens_on_tron_is_judged_as_on_another_chain(plant: str, tmp_path: Path) -> None:
    recorded = on_polygon(plant).recorded
    before, after = planned(recorded, tmp_path / "polygon"), planned(on_tron(recorded), tmp_path / "tron")
    assert said(before)
    assert said(after) == said(before)
    assert [tx_hash.startswith("0x") for tx_hash in written(before) + written(after)] == [True, False]
