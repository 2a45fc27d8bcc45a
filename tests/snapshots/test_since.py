"""Reading only what changed since a snapshot gives the plan that reading everything gives."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from recon.core.model import Plan
from recon.plans.make import make_plan
from recon.setup.open_sources import Sources, open_sources
from recon.setup.settings import load_settings
from recon.simulation import World, generate_world, write_world
from recon.simulation.stage import NOW
from recon.snapshots.sealed import Snapshot
from recon.snapshots.since import KEPT, SinceError
from recon.snapshots.take import take_snapshot
from recon.sources.interface import Selection
from recon.sources.recorded.format import RecordedWorld
from tests.support.earlier import Earlier


@pytest.fixture(autouse=True)
def many_objects_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small worlds would else be read whole, which is cheaper for them."""
    monkeypatch.setattr("recon.snapshots.since.claims.ASKED_MIN", 200)


def read(
    folder: Path, out: Path, *, since: Snapshot | None = None, selection: Selection | None = None, **broken: Any
) -> Snapshot:
    settings = load_settings(folder / "recon.toml")
    with open_sources(settings) as sources:
        for name, method in broken.items():
            setattr(sources.store, name, method)
        return _take(sources, settings, out, since=since, selection=selection)


def take(folder: Path, out: Path, **given: Any) -> tuple[Snapshot, Plan]:
    """What was read, and the plan made from it."""
    settings = load_settings(folder / "recon.toml")
    taken = read(folder, out, **given)
    return taken, make_plan(taken, policy=settings.policy(), registry=settings.registry(), engine="polars")


def _take(
    sources: Sources, settings: Any, out: Path, *, since: Snapshot | None, selection: Selection | None
) -> Snapshot:
    return take_snapshot(
        sources,
        selection=selection or settings.selection(),
        policy=settings.policy(),
        registry=settings.registry(),
        now=settings.now(),
        out=out,
        since=since,
    )


def write(recorded: RecordedWorld, folder: Path) -> Path:
    write_world(World(recorded, ()), folder)
    return folder


def said(plan: Plan) -> Any:
    """Everything that a plan says, but for what its readings cost."""
    costs = ("provider_calls", "chain_calls", "health")
    summary = {name: fact for name, fact in plan.summary.items() if name not in costs}
    return plan.findings, plan.changes, plan.left_alone, summary, plan.effects_digest


def assert_same(one: Plan, two: Plan) -> None:
    """The same plan, and when not, what differs by payment."""
    if said(one) == said(two):
        return
    by_id = [{item.payment_id: item for item in plan.findings} for plan in (one, two)]
    for name in sorted({*by_id[0], *by_id[1]}):
        assert by_id[0].get(name) == by_id[1].get(name), name
    assert said(one) == said(two)


def kept_rows(plan: Plan) -> dict[str, int]:
    return {row["source"]: row["items"] for row in plan.coverage if row["scope"] == KEPT}


CASES = [(12, 0.4, None), (13, 4.0, "broken"), (14, 1.3, "benign")]
"""Little and much that changed, and either kind of row that vanishes."""


@pytest.mark.parametrize(("seed", "days", "vanishing"), CASES)
def test_what_changed_since_gives_the_plan_of_a_whole_reading(
    seed: int, days: float, vanishing: str | None, tmp_path: Path
) -> None:
    whole = generate_world(payments=150, seed=seed).recorded
    earlier = Earlier(whole, NOW - timedelta(days=days), random.Random(seed), vanishing=vanishing).recorded()
    base = read(write(earlier, tmp_path / "earlier"), tmp_path / "base")
    now = write(whole, tmp_path / "now")
    everything, expected = take(now, tmp_path / "whole")
    changed, plan = take(now, tmp_path / "changed", since=base)
    assert_same(plan, expected)
    kept = kept_rows(plan)
    assert {"chain:1", "chain:56", "chain:137", "chain:8453", "chain:42161"} <= kept.keys()
    assert "request_network" in kept
    # Of a benign row that vanished only the count tells, so everything is read.
    assert ("payments" in kept) == (vanishing != "benign")
    assert changed.manifest["since"] == base.digest and "since" not in everything.manifest
    assert sum(row["items"] for row in plan.coverage if row["scope"] == "window") == len(whole.payments)


def test_a_chain_of_incremental_runs_stays_true(tmp_path: Path) -> None:
    whole = generate_world(payments=150, seed=21).recorded
    base: Snapshot | None = None
    for number, days in enumerate((5.5, 2.5, 0.8)):
        earlier = Earlier(whole, NOW - timedelta(days=days), random.Random(number)).recorded()
        base = read(write(earlier, tmp_path / f"world-{number}"), tmp_path / f"base-{number}", since=base)
    now = write(whole, tmp_path / "now")
    assert_same(take(now, tmp_path / "changed", since=base)[1], take(now, tmp_path / "whole")[1])


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedWorld, Path, Snapshot]:
    """A world, where it is now, and a snapshot of two days ago."""
    folder = tmp_path_factory.mktemp("two-days")
    whole = generate_world(payments=120, seed=31).recorded
    earlier = Earlier(whole, NOW - timedelta(days=2), random.Random(1)).recorded()
    base = read(write(earlier, folder / "earlier"), folder / "base")
    return whole, write(whole, folder / "now"), base


def test_a_row_that_comes_late_with_old_dates_is_found_by_the_count(two_days: Any, tmp_path: Path) -> None:
    whole, _, base = two_days
    old = next(d for d in whole.payments if isinstance(d["_id"], ObjectId) and d["createdAt"] < NOW - timedelta(days=4))
    late = {**old, "_id": ObjectId("0123456789abcdef01234567")}
    now = write(replace(whole, payments=[*whole.payments, late]), tmp_path / "now")
    plan = take(now, tmp_path / "changed", since=base)[1]
    assert "payments" not in kept_rows(plan)
    assert_same(plan, take(now, tmp_path / "whole")[1])


def test_a_chain_that_forgets_a_final_block_is_read_whole(two_days: Any, tmp_path: Path) -> None:
    whole, _, base = two_days
    last = max(
        (row for row in base.table("transfers").to_pylist() if row["chain_id"] == 56 and row["final"]),
        key=lambda row: (row["block"], row["log_index"]),
    )
    chain = whole.chains[56]
    moved = replace(
        chain,
        logs=[log for log in chain.logs if str(log["transactionHash"]).lower() != last["tx_hash"]],
        receipts=[row for row in chain.receipts if str(row["transactionHash"]).lower() != last["tx_hash"]],
    )
    now = write(replace(whole, chains={**whole.chains, 56: moved}), tmp_path / "now")
    plan = take(now, tmp_path / "changed", since=base)[1]
    assert "chain:56" not in kept_rows(plan) and "chain:8453" in kept_rows(plan)
    assert_same(plan, take(now, tmp_path / "whole")[1])


@pytest.mark.parametrize("hours", [30, 100])
def test_a_window_that_slides_along_leaves_out_what_fell_behind(hours: int, two_days: Any, tmp_path: Path) -> None:
    _, now, base = two_days
    window = Selection(from_at=NOW - timedelta(hours=hours))
    plan = take(now, tmp_path / "changed", since=base, selection=window)[1]
    assert "payments" in kept_rows(plan)
    assert_same(plan, take(now, tmp_path / "whole", selection=window)[1])


@pytest.mark.parametrize("choice", [{"open_only": True}, {"providers": ("shkeeper",)}, {"date_field": "updated"}])
def test_a_choice_that_rows_can_leave_is_read_whole(choice: dict[str, Any], two_days: Any, tmp_path: Path) -> None:
    _, now, base = two_days
    selection = Selection(from_at=NOW - timedelta(days=6), **choice)
    plan = take(now, tmp_path / "changed", since=base, selection=selection)[1]
    assert "payments" not in kept_rows(plan)
    assert_same(plan, take(now, tmp_path / "whole", selection=selection)[1])


def test_a_base_with_a_gap_is_not_believed_where_the_gap_is(two_days: Any, tmp_path: Path) -> None:
    from recon.core.errors import SourceError

    whole, now, _ = two_days
    earlier = Earlier(whole, NOW - timedelta(days=2), random.Random(1)).recorded()

    def cut(selection: Selection) -> Any:
        raise SourceError("it broke off")

    base = read(write(earlier, tmp_path / "earlier"), tmp_path / "base", count=cut)
    plan = take(now, tmp_path / "changed", since=base)[1]
    assert "payments" not in kept_rows(plan)
    assert_same(plan, take(now, tmp_path / "whole")[1])


def test_a_snapshot_of_something_else_is_no_base(two_days: Any, tmp_path: Path) -> None:
    whole, now, base = two_days
    settings = load_settings(now / "recon.toml")
    with open_sources(settings) as sources:
        asked: dict[str, Any] = {"selection": Selection(), "registry": settings.registry(), "now": settings.now()}
        other = replace(settings.policy(), clock_skew_ms=1)
        with pytest.raises(SinceError, match="under another configuration"):
            take_snapshot(sources, **asked, policy=other, out=tmp_path / "a", since=base)
        asked["now"] = NOW - timedelta(days=3)
        with pytest.raises(SinceError, match="newer than this run"):
            take_snapshot(sources, **asked, policy=settings.policy(), out=tmp_path / "b", since=base)
    elsewhere = write(replace(whole, collection_uuid="0" * 32), tmp_path / "elsewhere")
    with pytest.raises(SinceError, match="another target"):
        take(elsewhere, tmp_path / "c", since=base)


def test_the_command_builds_upon_a_snapshot(two_days: Any, tmp_path: Path) -> None:
    import json

    from click.testing import CliRunner

    from recon.cli import cli

    _, now, base = two_days
    arguments = ["plan", "--config", str(now / "recon.toml"), "--since", str(base.path), "--format", "json"]
    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "plan.json")], prog_name="recon")
    assert result.exit_code == 1, result.output
    plan = json.loads(result.stdout)
    assert {row["source"] for row in plan["coverage"] if row["scope"] == KEPT} >= {"payments", "chain:56"}
