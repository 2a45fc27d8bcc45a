"""A provider that answers from an old copy: what it says not to know since then is no "no"."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from recon.plans.file import Plan
from recon.simulation import generate_world, write_world
from tests.support.worlds import plan_of_directory

PROVIDERS = ("request_network", "shkeeper")


@cache
def quiet() -> Path:
    folder = Path(mkdtemp(prefix="recon-standing-"))
    write_world(generate_world(payments=300, seed=71, breaks="none"), folder)
    return folder


def keys_of(document: Any) -> set[str]:
    """Every text in a document: a provider's object of this payment holds one of them."""
    if isinstance(document, dict):
        return set().union(*(keys_of(value) for value in document.values()), set())
    if isinstance(document, list):
        return set().union(*(keys_of(value) for value in document), set())
    return {document} if isinstance(document, str) and len(document) >= 20 else set()


def newest(folder: Path, provider: str, count: int) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "payments.ndjson").read_text().splitlines()]
    mine = [row for row in rows if re.sub(r"[.-]", "_", row.get("provider", "").lower()) == provider]
    return sorted(mine, key=lambda row: int(row["createdAt"]["$date"]["$numberLong"]))[-count:]


def with_old_copy(folder: Path, provider: str, *, unknown: int) -> None:
    """Take the newest payments out of what a provider knows."""
    keys = set().union(*(keys_of(row) for row in newest(folder, provider, unknown)))
    file = folder / f"{provider}.ndjson"
    lines = file.read_text().splitlines()
    file.write_text("".join(f"{line}\n" for line in lines if not keys & keys_of(json.loads(line))))


def planned(folder: Path) -> Plan:
    return plan_of_directory(folder, Path(mkdtemp(prefix="recon-standing-")) / "out", engine="polars")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_stands_still_is_told_and_not_believed(provider: str, tmp_path: Path) -> None:
    world = Path(shutil.copytree(quiet(), tmp_path / "world"))
    with_old_copy(world, provider, unknown=12)
    plan = planned(world)
    (row,) = (row for row in plan.coverage if row["scope"] == "fresh")
    assert (row["source"], row["complete"]) == (provider, False)
    assert any("stands still" in reason for reason in plan.summary["health"]["reasons"])
    assert plan.changes == ()


def test_sound_providers_are_fresh() -> None:
    plan = planned(quiet())
    assert not [row for row in plan.coverage if row["scope"] == "fresh"]


def test_two_unknown_payments_tell_nothing(tmp_path: Path) -> None:
    world = Path(shutil.copytree(quiet(), tmp_path / "world"))
    with_old_copy(world, "shkeeper", unknown=2)
    assert not [row for row in planned(world).coverage if row["scope"] == "fresh"]
