"""The proof of known wallets over a recorded world: to the unit, with every leak named and nothing invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.core.model import Plan, Verdict
from recon.core.registry import load_registry
from recon.plans.file import parse_plan, plan_bytes
from recon.plans.make import make_plan
from recon.reports import render_plan
from recon.setup.settings import load_settings
from recon.simulation import World, plant_world, write_world
from recon.snapshots.sealed import open_snapshot
from recon.sources.recorded.faults import FaultRule
from tests.support.judging import snapshot_of_directory
from tests.support.wallets import (
    ASTRAY_UNITS,
    CHAIN,
    FIRST_UNITS,
    LEAK_UNITS,
    STRANGER,
    SWEEP_UNITS,
    TREASURY,
    WalletWorld,
    pruned,
    wallet_world,
    with_balances,
)

RULE = f"""
[[balances.explained]]
address = "{TREASURY}"
token = "USDC"
direction = "out"
reason = "weekly sweep to the treasury"
"""


@pytest.fixture(scope="module")
def played() -> WalletWorld:
    return wallet_world()


def plan_for(world: World, folder: Path, *, config: str = "", engine: str = "polars") -> Plan:
    write_world(world, folder / "world")
    path = folder / "world" / "recon.toml"
    path.write_text(path.read_text() + config)
    settings = load_settings(path)
    snapshot = snapshot_of_directory(folder / "world", folder / "snapshot")
    return make_plan(snapshot, policy=settings.policy(), registry=settings.registry(), engine=engine)


def rows_of(plan: Plan) -> dict[tuple[int, str, str], Mapping[str, Any]]:
    assert plan.balances is not None
    return {(row["chain_id"], row["wallet"], row["token"]): row for row in plan.balances["rows"]}


def outflows_of(plan: Plan) -> set[int]:
    return {item.value_units for item in plan.findings if item.verdict is Verdict.UNEXPLAINED_OUTFLOW}


@pytest.fixture(scope="module")
def plan(played: WalletWorld, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_for(played.world, tmp_path_factory.mktemp("wallets"))


def test_every_balance_adds_up_to_the_unit_and_only_what_no_row_names_is_unexplained(
    played: WalletWorld, plan: Plan
) -> None:
    """The figures are those of the chain's own logs; what is explained follows from what was planted."""
    unexplained = {(CHAIN, played.hot, played.token): LEAK_UNITS,
                   (CHAIN, played.merchant, played.token): ASTRAY_UNITS + SWEEP_UNITS}  # fmt: skip
    rows = rows_of(plan)
    assert len(rows) == 3 * sum(chain in played.world.recorded.chains for chain, _ in load_registry().tokens)
    for place, row in rows.items():
        came, left = played.moved(place[1], chain_id=place[0], token=place[2])
        bare = unexplained.get(place, 0)
        told = [row[name] for name in ("opening", "in", "out", "closing", "explained_in", "explained_out")]
        assert told == [str(n) for n in (FIRST_UNITS, came, left, FIRST_UNITS + came - left, came, left - bare)], place
        assert (row["unexplained_in"], row["unexplained_out"], row["residual"]) == ("0", str(bare), "0"), place
        assert row["problems"] == [] and row["opening_block"] < row["closing_block"]
    assert sum(int(row["in"]) for row in rows.values()) > 0
    fees = sum(int(row["fees"]) for row in rows.values())
    assert 0 < fees < sum(int(row["out"]) for row in rows.values())


def test_each_leak_is_listed_with_its_transaction_amount_and_other_side(played: WalletWorld, plan: Plan) -> None:
    assert plan.balances is not None
    listed = {row["tx_hash"]: row for row in plan.balances["unexplained"]}
    assert set(listed) == {played.leak.tx_hash, played.astray.tx_hash, played.sweep.tx_hash}
    leak = listed[played.leak.tx_hash]
    assert (leak["wallet"], leak["counterparty"], leak["units"], leak["side"], leak["final"]) == (
        played.hot, STRANGER, str(LEAK_UNITS), "out", True,
    )  # fmt: skip
    assert outflows_of(plan) == {LEAK_UNITS, ASTRAY_UNITS, SWEEP_UNITS}, "also what left a recipient is a break"
    assert plan.summary["health"]["ok"] is True


def test_a_named_rule_explains_in_the_table_and_in_the_breaks(played: WalletWorld, tmp_path: Path) -> None:
    plan = plan_for(played.world, tmp_path, config=RULE)
    row = rows_of(plan)[CHAIN, played.merchant, played.token]
    assert (row["unexplained_out"], row["residual"]) == (str(ASTRAY_UNITS), "0")
    assert plan.balances is not None
    [named] = plan.balances["rules"]
    assert (named["reason"], named["units"], named["movements"], named["side"]) == (
        "weekly sweep to the treasury", str(SWEEP_UNITS), 1, "out",
    )  # fmt: skip
    assert outflows_of(plan) == {LEAK_UNITS, ASTRAY_UNITS}


def test_a_snapshot_gives_the_same_bytes_offline_on_every_engine(played: WalletWorld, tmp_path: Path) -> None:
    first = plan_for(played.world, tmp_path)
    snapshot = open_snapshot(tmp_path / "snapshot")
    settings = load_settings(tmp_path / "world" / "recon.toml")
    for engine in ("duckdb", "polars"):
        again = make_plan(snapshot, policy=settings.policy(), registry=settings.registry(), engine=engine)
        assert plan_bytes(again) == plan_bytes(first)
    assert parse_plan(plan_bytes(first)) == first


def test_without_known_wallets_nothing_changes(tmp_path: Path) -> None:
    plan = plan_for(plant_world("completed", "released"), tmp_path)
    assert plan.balances is None and b'"balances"' not in plan_bytes(plan)
    assert not {"balances", "movements"} & set(open_snapshot(tmp_path / "snapshot").manifest["tables"])
    assert all(row["scope"] != "balances" for row in plan.coverage)
    assert "known wallets" not in str(render_plan(plan, full=True))


def test_it_can_be_switched_off(played: WalletWorld, tmp_path: Path) -> None:
    assert plan_for(played.world, tmp_path, config="\n[balances]\nenabled = false\n").balances is None


def test_a_balance_that_changes_without_a_transfer_is_a_residual_named_in_plain_words(
    played: WalletWorld, tmp_path: Path
) -> None:
    chain = played.world.recorded.chains[CHAIN]
    came, left = played.moved(played.hot)
    jump = {
        "wallet": played.hot,
        "token": played.token,
        "block": chain.head - 50,
        "units": str(FIRST_UNITS + came - left + 7),
    }
    world = with_balances(played.world, played.world.recorded.wallets, {CHAIN: [jump]})
    plan = plan_for(world, tmp_path)
    assert rows_of(plan)[CHAIN, played.hot, played.token]["residual"] == "7"
    [said] = [text for text in plan.summary["health"]["reasons"] if played.hot in text]
    assert "holds 0.000000000000000007 USDC more" in said and "rebases or takes a fee" in said
    assert plan.summary["health"]["ok"] is False
    [row] = [row for row in plan.coverage if row["scope"] == "balances" and not row["complete"]]
    assert played.hot in row["problem"]
    ran = CliRunner().invoke(cli, ["plan", "--config", str(tmp_path / "world" / "recon.toml")], prog_name="recon")
    assert ran.exit_code == 4, ran.output
    assert "1 DO NOT ADD UP" in ran.output


def test_a_node_without_the_old_state_makes_cannot_tell_and_never_zero(played: WalletWorld, tmp_path: Path) -> None:
    plan = plan_for(pruned(played.world, since=100), tmp_path)
    whole = {place: played.moved(place[1], chain_id=place[0], token=place[2]) for place in rows_of(plan)}
    for place, row in rows_of(plan).items():
        assert row["opening"] is None and row["residual"] is None
        assert (row["in"], row["out"]) == tuple(map(str, whole[place])), "movements are known all the same"
        assert row["closing"] == str(FIRST_UNITS + whole[place][0] - whole[place][1])
        assert row["problems"] == [f"The node keeps no state of block {row['opening_block']}."]
    assert outflows_of(plan) == {LEAK_UNITS, ASTRAY_UNITS, SWEEP_UNITS}
    assert all(row["complete"] for row in plan.coverage if row["scope"] == "balances"), "the node answered"
    table = render_plan(plan).table("balances")
    place = [column.name for column in table.columns].index("opening")
    assert {row[place] for row in table.rows} == {"cannot tell"}
    assert "The node keeps no state of block" in table.note


@pytest.mark.parametrize("method", ["eth_call", "eth_getLogs"])
def test_a_node_that_breaks_off_is_a_gap_and_nothing_is_made_of_it(
    played: WalletWorld, tmp_path: Path, method: str
) -> None:
    dead = FaultRule(source=f"chain:{CHAIN}", match=method, action="cut")
    plan = plan_for(replace(played.world, recorded=replace(played.world.recorded, faults=(dead,))), tmp_path)
    rows = [row for place, row in rows_of(plan).items() if place[0] == CHAIN]
    assert rows and all(row["residual"] is None and row["problems"] for row in rows)
    [said] = [row for row in plan.coverage if (row["scope"], row["chain_id"]) == ("balances", CHAIN)]
    assert said["complete"] is False and said["problem"]
    if method == "eth_getLogs":
        assert all(row["in"] is row["out"] is row["explained_out"] is None for row in rows)
        assert {row["opening"] for row in rows} == {str(FIRST_UNITS)}


def test_the_page_and_the_terminal_show_the_table(played: WalletWorld, plan: Plan) -> None:
    from recon.reports.pages.html import plan_page, render_html

    report = render_plan(plan)
    assert report.table("balances").title.endswith("opening + in - out + residual = closing")
    table = report.table("balances")
    names = [column.name for column in table.columns]
    [row] = [dict(zip(names, row, strict=True)) for row in table.rows
             if row[0] == played.hot and row[names.index("token")] == played.token]  # fmt: skip
    assert row["unexplained"] == "-0.00000000000000005 USDC" and row["residual"] == "0 USDC"
    assert "one-time deposit addresses" in table.note
    assert "3 movements unexplained" in str([fact for fact in report.facts if fact.name == "balances"])
    page = render_html(plan_page(plan))
    assert "Balances of known wallets" in page and played.leak.tx_hash in page


def test_a_notebook_gets_the_wallets_and_the_movements_exactly(played: WalletWorld, plan: Plan) -> None:
    from decimal import Decimal

    from recon.reports.notebooks.frames import plan_frames

    frames = plan_frames(plan, load_registry())
    held, moved = frames["balances"], frames["movements"]
    assert len(held) == len(rows_of(plan)) and set(moved["tx_hash"]) == set(_listed(plan))
    leak = moved[moved["tx_hash"] == played.leak.tx_hash].iloc[0]
    assert leak["amount"] == Decimal(LEAK_UNITS).scaleb(-18)
    assert set(held["residual"]) == {Decimal(0)}


def _listed(plan: Plan) -> list[str]:
    assert plan.balances is not None
    return [row["tx_hash"] for row in plan.balances["unexplained"]]


def test_recorded_balances_are_written_and_read_back(played: WalletWorld, tmp_path: Path) -> None:
    from recon.sources.recorded.world import load_world

    write_world(played.world, tmp_path)
    read = load_world(tmp_path)
    assert read.wallets == played.world.recorded.wallets
    assert read.chains[CHAIN].balances == played.world.recorded.chains[CHAIN].balances
    assert "wallets" not in json.loads(_meta_of(plant_world("completed"), tmp_path / "other"))


def _meta_of(world: World, folder: Path) -> str:
    write_world(world, folder)
    return (folder / "world.json").read_text()
