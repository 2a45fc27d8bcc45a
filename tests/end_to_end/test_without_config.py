"""A snapshot and a plan are enough: what reads nothing else needs no configuration, and gives the same without one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import ExplainedMovement, Policy
from recon.core.registry import extend_registry, load_registry
from recon.core.registry.known import ChainFacts, Emitter, Token
from recon.plans.file import load_plan, plan_bytes
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.snapshots.rules import RULES, RulesError, rules_json, rules_of
from recon.snapshots.sealed import MANIFEST, Snapshot
from recon.snapshots.take import open_snapshot

CONFIG = """\
[recorded]
path = "world"
[policy]
stuck_after_min = 3
abandoned_after_days = 2
[limits]
value_max = { USDC = "123456789.5" }
[[tokens]]
chain_id = 1
address = "0x1111111111111111111111111111111111111111"
symbol = "OUR"
decimals = 6
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with a configuration of its own policy and token, a snapshot and a plan of it."""
    folder = tmp_path_factory.mktemp("made")
    write_world(generate_world(payments=80, seed=3), folder / "world")
    (folder / "recon.toml").write_text(CONFIG, encoding="utf-8")
    recon.snapshot(folder / "recon.toml", out=folder / "taken")
    recon.plan(folder / "taken", config=folder / "recon.toml", out=folder / "plan.json", operator="ada")
    return folder


@pytest.fixture
def elsewhere(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine: a snapshot, a plan and a truth file, and no configuration."""
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "taken", tmp_path / "taken")
    shutil.copy(made / "plan.json", tmp_path / "plan.json")
    shutil.copy(made / "world" / "truth.ndjson", tmp_path / "truth.ndjson")
    return tmp_path


def run(*line: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, list(line), prog_name="recon")
    return result.exit_code, result.stdout, result.stderr


def test_a_snapshot_alone_gives_the_plan_of_its_configuration(made: Path, elsewhere: Path) -> None:
    code, stdout, stderr = run("plan", "--snapshot", "taken", "--out", "again.json", "--format", "json")
    assert (code, json.loads(stdout)["digest"]) == (1, load_plan(made / "plan.json").digest), stderr
    assert (elsewhere / "again.json").read_bytes() == (made / "plan.json").read_bytes()
    assert [path.name for path in (elsewhere / "recon-out").iterdir()] == ["history.ndjson"]
    assert run("show", "latest", "--format", "json")[1] == stdout


def test_the_usual_place_of_a_plan_without_a_configuration_is_the_usual_folder(elsewhere: Path) -> None:
    code, _, stderr = run("plan", "--snapshot", "taken")
    assert (code, "Plan:     recon-out/plan-" in stderr) == (1, True), stderr
    assert len(list((elsewhere / "recon-out").glob("plan-*.json"))) == 1


def test_score_and_show_need_no_configuration(made: Path, elsewhere: Path) -> None:
    config = str(made / "recon.toml")
    for line in (
        ("score", "taken", "--truth", "truth.ndjson", "--format", "json"),
        ("score", "plan.json", "--truth", "truth.ndjson", "--format", "json"),
        ("show", "taken", "--format", "json"),
        ("show", "plan.json", "--format", "json"),
    ):
        assert run(*line) == run(*line, "--config", config), line


@pytest.mark.parametrize("artefact", ["taken", "plan.json"])
def test_a_page_needs_no_configuration(made: Path, elsewhere: Path, artefact: str) -> None:
    config = str(made / "recon.toml")
    code, _, stderr = run("report", artefact, "--html", "bare.html")
    assert (code, "onfiguration" in stderr) == (0, False), stderr
    run("report", artefact, "--html", "told.html", "--config", config)
    bare, told = ((elsewhere / f"{kind}.html").read_text() for kind in ("bare", "told"))
    assert bare == told.replace(f" --config {config}", "")


def test_a_payment_is_inspected_in_a_snapshot_without_a_configuration(made: Path, elsewhere: Path) -> None:
    config = str(made / "recon.toml")
    finding = load_plan(elsewhere / "plan.json").findings[0]
    line = ("inspect", finding.payment_id, "--snapshot", "taken", "--format", "json")
    (code, bare, stderr), (told_code, told, _) = run(*line), run(*line, "--config", config)
    assert code == told_code, stderr
    assert bare == told
    assert str(finding.verdict) in bare
    code, _, stderr = run("case", finding.payment_id, "--snapshot", "taken", "--out", "case.json")
    assert (code, (elsewhere / "case.json").is_file()) == (0, True), stderr


def test_a_configuration_counts_before_the_rules_of_the_snapshot(elsewhere: Path, made: Path) -> None:
    (elsewhere / "recon.toml").write_text(CONFIG.replace("stuck_after_min = 3", "stuck_after_min = 300"))
    shutil.copytree(made / "world", elsewhere / "world")
    plan = recon.plan("taken", out="other.json", operator="ada")
    assert plan.policy_digest != load_plan(made / "plan.json").policy_digest


def test_a_configuration_that_is_named_and_is_not_there_is_an_error(elsewhere: Path) -> None:
    code, _, stderr = run("plan", "--snapshot", "taken", "--config", "none.toml")
    assert (code, "none.toml" in stderr) == (2, True)
    assert run("plan", "--from", "24h")[0] == 2


def test_the_rules_come_back_as_they_were(made: Path) -> None:
    settings = load_settings(made / "recon.toml")
    found = rules_of(open_snapshot(made / "taken"))
    assert found == (settings.policy(), settings.registry())
    assert (1, "0x" + "11" * 20) in found[1].tokens


def test_every_field_of_a_policy_and_of_what_is_added_comes_back(made: Path) -> None:
    policy = Policy(
        confirmations_min={1: 3}, value_max_units={"1:0xab": 10**37}, dust_units={"1:0xab": 2},
        side_effects={"x": ("y",)},
        explained=(ExplainedMovement("0x" + "22" * 20, "rent", ("1:0xab",), direction="in"),), fee_recipients=("0x1",),
    )  # fmt: skip
    added: dict[str, Any] = {
        "chains": (
            ChainFacts(**{**vars_of(load_registry().chains[1]), "chain_id": 777, "name": "ours", "aliases": ()}),
        ),
        "tokens": (Token(777, "0x" + "11" * 20, "OUR", 6, ("our",), may_take_fee=False),),
        "emitters": (Emitter(**{**vars_of(next(iter(load_registry().emitters.values()))), "chain_id": 777}),),
    }
    registry = extend_registry(load_registry(), **added)
    stored = json.loads(canonical_json(rules_json(policy, registry=registry)))
    assert stored["policy"]["value_max_units"] == {"1:0xab": str(10**37)}
    assert rules_of(Snapshot(made, "d", {RULES: stored})) == (policy, registry)
    assert rules_json(policy, registry=load_registry())["registry"] == {}


def vars_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rules: rules["policy"].update(unheard_of=1),
        lambda rules: rules["policy"].update(stuck_after_ms="soon"),
        lambda rules: rules.pop("registry"),
        lambda rules: rules.update(policy=[]),
        lambda rules: rules.update(registry={"tokens": [{"chain_id": 1}]}),
        lambda rules: rules.update(more={}),
    ],
)
def test_rules_of_another_version_are_refused(made: Path, spoil: Any) -> None:
    rules = json.loads(canonical_json(rules_json(Policy(), registry=load_registry())))
    spoil(rules)
    with pytest.raises(RulesError, match="of another version of recon"):
        rules_of(Snapshot(made, "d", {RULES: rules}))


def resealed(folder: Path, manifest: Mapping[str, Any]) -> None:
    bare = {name: fact for name, fact in manifest.items() if name != "digest"}
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).write_text(canonical_json({**bare, "digest": sha256_hex(canonical_json(bare))}))


def test_a_snapshot_of_before_needs_a_configuration_and_changed_rules_are_noticed(made: Path, elsewhere: Path) -> None:
    manifest = json.loads((elsewhere / "taken" / MANIFEST).read_text())
    manifest["rules"]["policy"]["stuck_after_ms"] = 1
    (elsewhere / "taken" / MANIFEST).unlink()
    (elsewhere / "taken" / MANIFEST).write_text(canonical_json(manifest))
    with pytest.raises(RefusedError, match="nothing was judged"):
        recon.plan("taken", out="x.json", operator="ada")
    del manifest["rules"]
    resealed(elsewhere / "taken", manifest)
    code, _, stderr = run("plan", "--snapshot", "taken", "--out", "x.json")
    assert (code, "recon.toml" in stderr) == (2, True)
    config = made / "recon.toml"
    older = recon.plan("taken", config=config, out="older.json", operator="ada")
    assert older.policy_digest == load_plan(made / "plan.json").policy_digest
    code, _, stderr = run("report", "taken", "--html", "older.html")
    assert (code, "without its rules" in stderr) == (0, True)
    assert plan_bytes(older) != plan_bytes(load_plan(made / "plan.json"))  # It names the other snapshot.
