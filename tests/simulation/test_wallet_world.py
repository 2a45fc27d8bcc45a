"""The world of a rail of its own is judged as its money says, and its demo is a demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from recon.api.start import demo
from recon.cli import cli
from recon.core.errors import UsageError
from recon.simulation import load_truth, write_world
from recon.simulation.rail_worlds import RAIL_WORLDS, rail_world
from recon.simulation.score import score


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_world(rail_world("monero", 40, seed=seed), tmp_path / name)
    texts = {name: (tmp_path / name / "monero.ndjson").read_bytes() for name in "abc"}
    assert texts["a"] == texts["b"] != texts["c"]


def test_every_order_of_the_demo_is_judged_as_its_money_says(tmp_path: Path) -> None:
    made = demo(tmp_path / "demo", payments=400, seed=3, rail="monero", say=lambda text: None)
    found = score(made.plan, load_truth(tmp_path / "demo" / "world" / "truth.ndjson"))
    assert found.is_perfect
    assert len({truth.verdict for truth in rail_world("monero", 400, seed=3).truths}) >= 11
    locked = next(
        truth for truth in rail_world("monero", 400, seed=3).truths if truth.planted == "locked by the sender"
    )
    said = CliRunner().invoke(cli, ["inspect", locked.payment_id, "--config", str(tmp_path / "demo" / "recon.toml")])
    assert "cannot be spent yet: its sender may have locked it" in " ".join(said.output.split())
    assert "left" not in said.output.partition("Evidence for and against each")[2].partition("Timeline")[0]
    ends = {truth.verdict for truth in rail_world("monero", 400, seed=3).truths if truth.payment_id.endswith("-end")}
    assert len(ends) >= 4, "escrows end in several ways"
    (chain,) = (row for row in made.plan.coverage if row["scope"] == "erc20")
    assert (chain["complete"], chain["calls"]) == (True, 50)


def test_a_rail_without_a_world_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is one of " + ", ".join(sorted(RAIL_WORLDS))):
        demo(tmp_path / "demo", rail="acmepay", say=lambda text: None)
    assert not (tmp_path / "demo").exists()
