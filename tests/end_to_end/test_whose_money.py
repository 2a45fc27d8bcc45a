"""Recorded worlds made after public reports: whose a transfer is, and how much it brought."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recon.core.model import Finding, Plan, Tier
from recon.plans.make import make_plan
from recon.setup.settings import load_settings
from recon.snapshots.sealed import Snapshot
from tests.support.worlds import plan_of_directory

CASES = Path(__file__).parents[1] / "cases"
HONEST, BORROWER = "6afffbe45e3b5f0fd22896f6", "6b000c10837680526186cb92"
KEPT_A_PART, SENT_NOTHING = "6afffcd49077d3c37f362d76", "6afffcd460cc9ba03d4293a6"
NEW_COLUMNS = ("moved_units", "stated_only", "token_symbol", "token_decimals")


def planned(
    name: str, folder: Path, *, change: Callable[[Path], None] = lambda world: None, engine: str = "polars"
) -> Plan:
    shutil.copytree(CASES / name, folder / "world")
    change(folder / "world")
    return plan_of_directory(folder / "world", folder, engine=engine)


def by_payment(plan: Plan) -> dict[str, Finding]:
    return {finding.payment_id: finding for finding in plan.findings}


def picked(plan: Plan) -> list[tuple[str, str]]:
    return [(change.payment_id, change.tier) for change in plan.changes]


def test_a_borrowed_hash_blocks_the_borrower_alone_and_names_whose_it_is(tmp_path: Path) -> None:
    plan = planned("hash-borrowed", tmp_path)
    found = by_payment(plan)
    assert (found[HONEST].verdict, found[BORROWER].verdict) == ("local_behind", "duplicate_tx_hash")
    assert HONEST in found[BORROWER].reason
    assert picked(plan) == [(HONEST, Tier.AUTO)]


def test_a_borrowed_hash_is_no_more_believed_where_the_chain_shows_nothing(tmp_path: Path) -> None:
    plan = planned("hash-borrowed", tmp_path, change=lambda world: (world / "chain-8453.ndjson").write_text(""))
    assert [change for change in plan.changes if change.tier is Tier.AUTO] == []


def test_what_a_token_kept_is_not_credited_and_both_numbers_are_shown(tmp_path: Path) -> None:
    plan = planned("fee-on-transfer", tmp_path)
    found = by_payment(plan)
    assert found[KEPT_A_PART].verdict == "underpaid"
    assert "99 of 100 USDT" in found[KEPT_A_PART].reason
    assert "states 100, and the token's own log shows that 99 came" in found[KEPT_A_PART].reason
    assert found[SENT_NOTHING].verdict == "provider_ahead"
    assert "states 55, and the token's own log shows that 0 came" in found[SENT_NOTHING].reason
    assert picked(plan) == []


def completed(world: Path) -> None:
    rows = (world / "payments.ndjson").read_text(encoding="utf-8").replace('"status":"pending"', '"status":"completed"')
    (world / "payments.ndjson").write_text(rows, encoding="utf-8")


def test_a_completed_row_is_not_in_sync_with_what_a_proxy_only_states(tmp_path: Path) -> None:
    found = by_payment(planned("fee-on-transfer", tmp_path, change=completed))
    assert {found[KEPT_A_PART].verdict, found[SENT_NOTHING].verdict} == {"underpaid", "provider_ahead"}


def test_bridged_money_is_told_with_its_own_name_and_amount(tmp_path: Path) -> None:
    plan = planned("usdce-arbitrum", tmp_path)
    reasons = sorted(finding.reason for finding in plan.findings)
    assert {finding.verdict for finding in plan.findings} == {"token_mismatch"}
    assert [reason.rpartition(": ")[2] for reason in reasons] == ["120 USDC.e.", "33 USDC.e.", "81.6 USDC.e."]


def of_an_unknown_token(world: Path) -> None:
    chain = world / "chain-42161.ndjson"
    known = "ff970a61a04b1ca14834a43f5de4533ebddb5cc8"
    chain.write_text(chain.read_text(encoding="utf-8").replace(known, "5a" * 20), encoding="utf-8")


def test_a_token_that_nobody_knows_at_the_payments_own_address_is_told_in_base_units(tmp_path: Path) -> None:
    plan = planned("usdce-arbitrum", tmp_path, change=of_an_unknown_token)
    assert {finding.verdict for finding in plan.findings} == {"token_mismatch"}
    assert any("81600000 base units of a token that no registry knows, 0x5a5a" in f.reason for f in plan.findings)


def test_dust_and_false_tokens_are_no_breaks_and_are_counted(tmp_path: Path) -> None:
    plan = planned("dust", tmp_path)
    assert (plan.findings, plan.changes) == ((), ())
    assert plan.summary["verdicts"] == {"abandoned": 1, "in_sync": 4}
    assert [part["transfers"] for part in plan.summary["dust"].values()] == [3]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_a_snapshot_of_before_still_opens(tmp_path: Path, engine: str) -> None:
    planned("hash-borrowed", tmp_path)
    for name in ("transfers", "again/transfers"):
        file = tmp_path / "snapshot" / f"{name}.parquet"
        pq.write_table(pq.read_table(file).drop_columns(list(NEW_COLUMNS)), file)
    manifest = json.loads((tmp_path / "snapshot" / "manifest.json").read_text(encoding="utf-8"))
    settings = load_settings(tmp_path / "world" / "recon.toml")
    old = Snapshot(tmp_path / "snapshot", manifest.pop("digest"), manifest)
    plan = make_plan(old, policy=settings.policy(), registry=settings.registry(), engine=engine)
    assert by_payment(plan)[HONEST].verdict == "local_behind"
