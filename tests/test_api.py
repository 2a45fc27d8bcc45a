"""The commands as functions: the same plan, run and way back as the command line, and names that load when used."""

from __future__ import annotations

from pathlib import Path

import pytest

import recon
from recon.core.errors import ConfigError
from recon.plans.make import load_plan, plan_bytes
from recon.runs.apply import WrongDigestError
from recon.runs.states import Result
from recon.simulation import generate_world, write_world
from recon.sources.interface import Selection


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a small recorded world."""
    write_world(generate_world(payments=60, seed=4), tmp_path / "world")
    return tmp_path / "world" / "recon.toml"


def test_snapshot_then_plan_then_apply_then_undo(config: Path, tmp_path: Path) -> None:
    taken = recon.snapshot(config, out=tmp_path / "snapshot")
    plan = recon.plan(taken, config=config, out=tmp_path / "plan.json")
    assert plan_bytes(load_plan(tmp_path / "plan.json")) == plan_bytes(plan)
    assert plan_bytes(recon.plan(tmp_path / "snapshot", config=config, engine="polars")) == plan_bytes(plan)
    with pytest.raises(WrongDigestError):
        recon.apply(plan, digest="0" * 64, config=config)
    ran = recon.apply(plan, digest=plan.digest, config=config, operator="somebody")
    assert ran.run is not None
    assert ran.counts[Result.APPLIED] > 0
    after = recon.plan(config=config)
    assert len(after.findings) < len(plan.findings)
    back = recon.undo(ran.run, config=config)
    assert len(back.changes) == ran.counts[Result.APPLIED]
    taken_back = recon.apply(back, digest=back.digest, config=config, operator="somebody")
    assert taken_back.counts[Result.APPLIED] == len(back.changes)
    assert {item.payment_id for item in recon.plan(config=config).findings} == {
        item.payment_id for item in plan.findings
    }


def test_a_selection_narrows_what_is_read(config: Path) -> None:
    plan = recon.plan(config=config, selection=Selection(providers=("shkeeper",)))
    assert set(plan.summary["by_provider"]) == {"shkeeper"}


def test_inspect_asks_the_sources_or_a_snapshot(config: Path, tmp_path: Path) -> None:
    taken = recon.snapshot(config, out=tmp_path / "snapshot")
    payment = recon.plan(taken, config=config).findings[0].payment_id
    afresh, offline = recon.inspect(payment, config=config), recon.inspect(payment, config=config, snapshot=taken)
    assert afresh.judged is not None
    assert offline.judged is not None
    assert afresh.judged.finding.verdict == offline.judged.finding.verdict


def test_a_missing_configuration_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        recon.plan(config=tmp_path / "none.toml")


@pytest.mark.parametrize("name", sorted(set(recon.__all__) - {"__version__"}))
def test_every_name_the_design_promises_is_there_and_callable(name: str) -> None:
    found = getattr(recon, name)
    assert callable(found) or found.__name__ == f"recon.api.{name}", "a function, or a group of them"
    assert name in dir(recon)


def test_a_name_nobody_promised_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        _ = recon.nothing_of_the_kind
