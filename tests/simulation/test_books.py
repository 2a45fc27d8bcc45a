"""Simulated worlds with a ledger: books that are right are never flagged, and each planted flaw is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.simulation.books import FLAWS, Books, BooksWorld, world_with_books
from recon.sources.interface import Selection
from tests.support.worlds import plan_of


def unnamed(world: BooksWorld, block: Mapping[str, Any]) -> list[str]:
    """The planted flaws that no finding names as they must be called."""
    told = {
        (each["verdict"], each["reason"], place)
        for each in block["findings"]
        for place in (each["payment_id"], each["deal"])
    }
    return [
        f"{each.name} at {each.where}" for each in world.flaws if (each.verdict, each.reason, each.where) not in told
    ]


def where_flawed(world: BooksWorld) -> set[str]:
    return {each.where for each in world.flaws}


def ledger_of(world: BooksWorld, folder: Path, **how: Any) -> Mapping[str, Any]:
    block = plan_of(world.world, folder, **how).ledger
    assert block is not None
    assert block["problem"] is None
    return block


def sums_told(block: Mapping[str, Any]) -> dict[tuple[int, str], dict[str, int]]:
    kinds = ("gross", "fee", "released", "refunded", "adjustment")
    return {
        (row["chain_id"], row["token"]): {kind: abs(int(row[kind])) for kind in kinds if int(row[kind])}
        for row in block["totals"]
    }


@pytest.mark.parametrize("books", ["single", "double"])
def test_right_books_of_a_week_with_every_break_balance_to_the_last_unit(books: Books, tmp_path: Path) -> None:
    world = world_with_books(payments=800, seed=31, books=books, breaks="default")
    block = ledger_of(world, tmp_path, engine="polars")
    assert block["findings"] == []
    assert {row["residual"] for row in block["totals"]} == {"0"}
    assert {row["unexplained"] for row in block["totals"]} == {"0"}
    assert {row["left_after_end"] for row in block["totals"]} == {"0"}
    assert sums_told(block) == {place: sums for place, sums in world.meant.items() if sums}
    assert sum(int(row["left_held"]) for row in block["totals"]) > 0
    assert block["untold"] > 0
    for row in block["totals"]:
        gone = sum(int(row[kind]) for kind in ("fee", "released", "refunded"))
        held = sum(int(row[name]) for name in ("left_held", "left_after_end", "left_overdrawn"))
        sign = 1 if books == "single" else -1
        assert int(row["gross"]) + sign * int(row["adjustment"]) - gone == held


@pytest.mark.parametrize("books", ["single", "double"])
def test_each_planted_flaw_is_named_and_nothing_else_is_flagged(books: Books, tmp_path: Path) -> None:
    world = world_with_books(payments=500, seed=32, books=books, flaws=dict.fromkeys(FLAWS, 1))
    engine = "polars" if books == "single" else "duckdb"
    block = ledger_of(world, tmp_path, engine=engine)
    assert unnamed(world, block) == []
    flawed = where_flawed(world)
    deals = {each["deal"] for each in block["findings"] if flawed & {each["payment_id"], each["deal"]}}
    assert {each["deal"] for each in block["findings"]} == deals
    assert {row["residual"] for row in block["totals"]} == {"0"}
    assert sum(int(row["unexplained"]) != 0 for row in block["totals"]) > 0


def test_a_narrow_window_says_nothing_of_deals_that_reach_out_of_it(tmp_path: Path) -> None:
    world = world_with_books(payments=500, seed=33, breaks="default")
    now = world.world.recorded.now
    choice = Selection(from_at=now - timedelta(days=4), to_at=now - timedelta(days=2))
    block = ledger_of(world, tmp_path, engine="polars", choice=choice)
    assert block["findings"] == []
    assert any(int(row["gross"]) for row in block["totals"])


def test_a_week_without_a_ledger_has_no_word_of_it(tmp_path: Path) -> None:
    world = world_with_books(payments=60, seed=34)
    whole = plan_of(world.world, tmp_path / "with", engine="polars")
    bare = replace(world.world, config="", recorded=replace(world.world.recorded, ledger=()))
    without = plan_of(bare, tmp_path / "without", engine="polars")
    assert without.ledger is None
    assert b'"ledger"' not in json.dumps(list(without.coverage)).encode()
    assert without.effects_digest == whole.effects_digest
    assert without.findings == whole.findings
    assert without.summary == whole.summary
    assert not (tmp_path / "without" / "snapshot" / "ledger.parquet").exists()
