"""The hash repair of the runbook: it shows, waits for the digest to be typed back, and repairs hashes alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recon.simulation import plant_world, write_world
from recon.sources.recorded.store_file import payment_lines

SCRIPT = Path(__file__).parents[2] / "scripts" / "fix-transaction-hashes"
SEED = 2
HASH = "blockchain.transactionHash"
QUESTION = "type its digest"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A world with a missing hash, a wrong hash, a late payment and a payment that is behind."""
    situations = ("hash_missing", "hash_unknown", "webhook_lost", "late", *["equal_amounts"] * 8)
    write_world(plant_world(*situations, seed=SEED), tmp_path / "world")
    return tmp_path / "world" / "recon.toml"


def repair(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECON_")}
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        input=typed, env=kept, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


def plan_of(config: Path) -> dict[str, Any]:
    newest = max((config.parent / "recon-out").glob("hashes-*"), key=lambda path: path.stat().st_mtime_ns)
    content: dict[str, Any] = json.loads((newest / "plan.json").read_text(encoding="utf-8"))
    return content


def documents(config: Path) -> dict[str, Any]:
    return {json.dumps(row["_id"]): row for row in map(json.loads, payment_lines(config.parent))}


def test_without_consent_it_shows_the_hashes_and_writes_nothing(config: Path) -> None:
    before = documents(config)
    ran = repair("--config", config)
    assert ran.returncode == 1, ran.stderr
    assert QUESTION in ran.stdout
    assert "Nothing was written. Later: recon apply" in ran.stdout
    plan = plan_of(config)
    assert plan["digest"] in ran.stdout
    assert {change["verdict"] for change in plan["changes"]} == {"missing_tx_hash", "tx_hash_mismatch"}
    assert documents(config) == before


def test_the_digest_typed_back_repairs_the_hashes_and_nothing_else(config: Path) -> None:
    before = documents(config)
    command = [sys.executable, str(SCRIPT), "--config", str(config)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECON_")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=kept, text=True
    ) as asked:
        assert asked.stdout is not None
        seen = ""
        while not seen.endswith("as it is): "):
            piece = asked.stdout.read(1)
            assert piece, seen
            seen += piece
        assert documents(config) == before, "nothing is written before the consent"
        typed = re.findall(r"(?m)^  digest +([0-9a-f]{64})$", seen)
        out, error = asked.communicate(f"{typed[0]}\n", timeout=120)
    assert asked.returncode == 0, error
    plan = plan_of(config)
    assert typed == [plan["digest"]]
    wanted = {change["payment_id"]: change for change in plan["changes"]}
    assert len(wanted) == 2
    assert re.search(r"(?m)^  applied +2$", out)
    after = documents(config)
    changed = [row for key, row in after.items() if row != before[key]]
    assert len(changed) == len(wanted)
    for row in changed:
        change = wanted[row["_id"]["$oid"] if isinstance(row["_id"], dict) else row["_id"]]
        hashes = [field["after"] for field in change["set"] if field["path"] == HASH]
        assert [row["blockchain"]["transactionHash"]] == hashes


def test_it_can_be_asked_again_at_the_same_moment(config: Path) -> None:
    assert [repair("--config", config).returncode for _ in range(2)] == [1, 1]
    folders = sorted((config.parent / "recon-out").glob("hashes-*"))
    assert len(folders) == 2


def test_another_digest_is_refused_and_writes_nothing(config: Path) -> None:
    before = documents(config)
    ran = repair("--config", config, typed="0" * 64 + "\n")
    assert ran.returncode == 3
    assert "nothing was written" in ran.stderr
    assert documents(config) == before


def test_help_says_what_it_does_and_asks_nothing() -> None:
    ran = repair("--help")
    assert ran.returncode == 0
    words = " ".join(ran.stdout.split())
    assert "Repairs missing and wrong transaction hashes" in words
    assert "The recon.toml to use." in words
    assert "How far back to look, in hours" in words
    assert QUESTION not in words


def test_a_configuration_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    ran = repair("--config", tmp_path / "none.toml")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
