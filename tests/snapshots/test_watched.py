"""A window is of money as well as of rows: what came inside it for a row before it is judged with it."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Plan
from recon.simulation import World, plant_world
from recon.snapshots import unnamed
from recon.snapshots import watched as rooms
from recon.sources.interface import Selection
from tests.support.worlds import plan_of, plan_of_directory

CASE = Path(__file__).parents[1] / "cases" / "old-deposit-address"
OLDER, NEWER = "6ae5d5e8fe02ea2fec008d2f", "6b00088ccd71bdaa9c341adc"
DAY = Selection(from_at=datetime(2026, 11, 19, 12, tzinfo=UTC))
PAID_LATER = (
    "webhook_lost", "late", "failed_though_paid", "hash_known_status_not", "hash_missing+paid_twice",
    "open_and_overpaid", "wrong_token", "paid_in_parts", "second_attempt_paid", "second_attempt_of_failed",
    "paid_past_the_proxy",
)  # fmt: skip
"""Situations of one row made before the money came for it."""


def verdicts(plan: Plan) -> dict[str, str]:
    return {finding.payment_id: str(finding.verdict) for finding in plan.findings}


def scopes(plan: Plan) -> dict[str, Any]:
    return {row["scope"]: row for row in plan.coverage if row["source"] == "payments"}


def judged(folder: Path, choice: Selection | None) -> Plan:
    shutil.copytree(CASE, folder / "world")
    return plan_of_directory(folder / "world", folder, engine="polars", choice=choice)


def test_money_at_the_address_of_an_order_long_done_is_seen_by_the_nightly_run(tmp_path: Path) -> None:
    nightly = judged(tmp_path / "nightly", DAY)
    assert verdicts(nightly) == {OLDER: "multiple_transfers"}
    assert verdicts(judged(tmp_path / "whole", None)) == verdicts(nightly)
    assert (scopes(nightly)["watched"]["items"], scopes(nightly)["woken"]["items"]) == (1, 1)
    assert nightly.summary["health"]["ok"]


def test_money_before_the_window_wakes_nobody(tmp_path: Path) -> None:
    last_hour = judged(tmp_path, Selection(from_at=datetime(2026, 11, 20, 11, 59, tzinfo=UTC)))
    assert verdicts(last_hour) == {}
    assert "woken" not in scopes(last_hour)


def test_payments_that_are_asked_for_by_id_wake_no_others(tmp_path: Path) -> None:
    assert "watched" not in scopes(judged(tmp_path, Selection(ids=(NEWER,))))


def test_what_is_too_many_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "WOKEN_MAX", 0)
    plan = judged(tmp_path, DAY)
    assert "money came for 1 row before the window; of them were judged: 0" in str(scopes(plan)["woken"]["problem"])
    assert not plan.summary["health"]["ok"]


def made_before(world: World) -> Selection:
    """A window that begins just after the last row of a world was made."""
    made = max(row["createdAt"] for row in world.recorded.payments)
    return Selection(from_at=(made if made.tzinfo else made.replace(tzinfo=UTC)) + timedelta(milliseconds=1))


@pytest.mark.parametrize("name", PAID_LATER)
def test_a_row_made_before_the_window_and_paid_in_it_is_judged_as_by_the_whole(name: str, tmp_path: Path) -> None:
    world = plant_world(name, seed=9)
    whole = plan_of(world, tmp_path / "whole", engine="polars")
    narrow = plan_of(world, tmp_path / "narrow", engine="polars", choice=made_before(world))
    assert verdicts(narrow) == verdicts(whole) != {}
    assert [change.sets for change in narrow.changes] == [change.sets for change in whole.changes]


def without_references(world: World) -> World:
    """The same rows, of which none holds more of its request than the id."""
    rows = []
    for row in deepcopy(world.recorded.payments):
        for holder in (row, row.get("metadata", {})):
            for name in ("paymentReference", "requestNetwork", "salt"):
                holder.pop(name, None)
        rows.append(row)
    return replace(world, recorded=replace(world.recorded, payments=rows))


def test_a_row_that_holds_no_reference_is_found_by_what_its_provider_says_of_it(tmp_path: Path) -> None:
    world = without_references(plant_world("webhook_lost", seed=1))
    narrow = plan_of(world, tmp_path, engine="polars", choice=made_before(world))
    assert set(verdicts(narrow).values()) == {"local_behind"}
    assert scopes(narrow)["references"]["items"] == 1


def test_rows_that_were_not_asked_about_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unnamed, "ASKED_MAX", 0)
    world = without_references(plant_world("webhook_lost", seed=1))
    narrow = plan_of(world, tmp_path, engine="polars", choice=made_before(world))
    assert scopes(narrow)["references"]["problem"].startswith("1 row holds no reference and was not asked about")
    assert not narrow.summary["health"]["ok"]


@pytest.mark.parametrize("name", ["completed", "abandoned", "released"])
def test_a_row_before_the_window_for_which_nothing_new_came_is_left_alone(name: str, tmp_path: Path) -> None:
    world = plant_world(name, seed=9)
    narrow = plan_of(world, tmp_path, engine="polars", choice=made_before(world))
    assert (narrow.summary["payments"], verdicts(narrow)) == (0, {})
