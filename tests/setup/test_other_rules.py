"""What-if: past snapshots judged by other rules give what a configuration with these rules gives, and no more."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

import recon
from recon.api.what_if import WhatIf
from recon.cli import cli
from recon.core.model import Plan, Policy
from recon.core.registry import load_registry
from recon.plans.comparing import NO_BREAK, compare_plans
from recon.setup.file import ConfigFileError, UnknownSettingError, WrongSettingError
from recon.setup.other_rules import JUDGING, NoOtherRulesError, NotJudgingError, load_rules_file
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.world import plant_world

OTHER = """\
[policy]
confirmed_means_completed = false
stuck_after_min = 100000
abandoned_after_days = 300
dust = { USDC = "1000000" }
[limits]
changes_max = 0
value_max = { USDC = "1" }
[health]
unproven_share_max_percent = 0
[merchant]
fee_recipients = ["0x00000000000000000000000000000000000000fe"]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with two snapshots; gives its configuration."""
    folder = tmp_path_factory.mktemp("rules") / "world"
    plants = (
        "confirmed",
        "confirmed",
        "webhook_lost",
        "abandoned",
        "screened_long_ago",
        "fee_to_a_stranger",
        "completed",
    )
    write_world(plant_world(*plants, seed=11), folder)
    config = folder / "recon.toml"
    recon.snapshot(config, out=folder / "recon-out" / "snapshot-1")
    recon.snapshot(config, out=folder / "recon-out" / "snapshot-2", providers=["shkeeper"])
    return config


def rules(folder: Path, text: str) -> Path:
    path = folder / "other.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tried(world: Path, tmp_path_factory: pytest.TempPathFactory) -> WhatIf:
    return recon.what_if(rules(tmp_path_factory.mktemp("other"), OTHER), snapshots=["all"], config=world)


def plans(world: Path, folder: Path, snapshot: str) -> tuple[Plan, Plan]:
    """The plans by the configuration, and by one with the other rules in it."""
    other = folder / "both.toml"
    text = world.read_text(encoding="utf-8").replace('path = "."', f'path = "{world.parent}"')
    other.write_text(f"{text}\n{OTHER}", encoding="utf-8")
    place = world.parent / "recon-out" / snapshot
    return recon.plan(place, config=world, out=folder / "a.json"), recon.plan(
        place, config=other, out=folder / "b.json"
    )


def test_other_rules_give_what_a_configuration_with_them_gives(world: Path, tried: WhatIf, tmp_path: Path) -> None:
    before, after = plans(world, tmp_path, "snapshot-1")
    [first] = [each.difference for each in tried.tried if each.place.endswith("snapshot-1")]
    assert first == compare_plans(before, after)
    assert first is not None
    old, new = ({each.payment_id: each.verdict.value for each in plan.findings} for plan in (before, after))
    moved = {each: (old.get(each, NO_BREAK), new.get(each, NO_BREAK)) for each in old.keys() | new.keys()}
    assert {each.payment_id: (each.before, each.after) for each in first.verdicts} == {
        each: pair for each, pair in moved.items() if pair[0] != pair[1]
    }
    assert first.verdicts
    assert first.limits[0] != first.limits[1]


def test_the_sums_are_those_of_the_plans_to_the_last_unit(world: Path, tried: WhatIf, tmp_path: Path) -> None:
    before, after = (Counter[tuple[int | None, str | None]](), Counter[tuple[int | None, str | None]]())
    for snapshot in ("snapshot-1", "snapshot-2"):
        folder = tmp_path / snapshot
        folder.mkdir()
        for plan, counter in zip(plans(world, folder, snapshot), (before, after), strict=True):
            for change in plan.changes:
                counter[change.chain_id, change.token] += change.value_units
    written = [each for each in tried.sums if each.kind.startswith("written")]
    told = (Counter[tuple[int | None, str | None]](), Counter[tuple[int | None, str | None]]())
    for each in written:
        told[0][each.chain_id, each.token] += each.before
        told[1][each.chain_id, each.token] += each.after
    assert (+told[0], +told[1]) == (+before, +after)
    assert told[0] != told[1]


def test_the_same_rules_change_nothing(world: Path, tmp_path: Path) -> None:
    line = ["what-if", "--policy", str(rules(tmp_path, "[policy]\nstuck_after_min = 30\n")), "--config", str(world)]
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert result.exit_code == 0, result.output


def test_a_snapshot_that_was_changed_is_told_and_the_others_are_judged(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world.parent, tmp_path / "world")
    spoiled = tmp_path / "world" / "recon-out" / "snapshot-2" / "claims.parquet"
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    config = tmp_path / "world" / "recon.toml"
    line = ["what-if", "--policy", str(rules(tmp_path, OTHER)), "--snapshots", "all", "--config", str(config)]
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert result.exit_code == 4
    assert "claims.parquet was changed after the snapshot was sealed" in result.stdout
    assert "snapshot-1" in result.stdout


@pytest.mark.parametrize(
    ("text", "error", "named"),
    [
        ("[target]\nname = 'x'", NotJudgingError, "target.name"),
        ("[policy.tolerance_ppm]\nshkeeper = [1, 1]", NotJudgingError, "policy.tolerance_ppm"),
        ("[policy]\nprovider_proves = []", NotJudgingError, "policy.provider_proves"),
        ("[policy]\nconfirmations_min_default = 1", NotJudgingError, "policy.confirmations_min_default"),
        ("[policy]\nside_effects = {}", NotJudgingError, "policy.side_effects"),
        ("[limits]\nrefusals_max = 1", NotJudgingError, "limits.refusals_max"),
        ("[merchant]\nrecipients = []", NotJudgingError, "merchant.recipients"),
        ("[[chains]]\nchain_id = 1", NotJudgingError, "chains"),
        ("secrets_file = 'x'", NotJudgingError, "secrets_file"),
        ("[nonsense]\nx = 1", NotJudgingError, "nonsense.x"),
        ("[policy]\nstuck_after_mins = 1", UnknownSettingError, "policy.stuck_after_mins"),
        ("[policy]\nstuck_after_min = -1", WrongSettingError, "policy.stuck_after_min"),
        ("[limits]\nvalue_max = { USDC = 1.5 }", WrongSettingError, "limits.value_max"),
        ("", NoOtherRulesError, "names no setting"),
        ("[policy", ConfigFileError, "not TOML"),
    ],
)
def test_a_setting_that_does_not_judge_is_refused_by_name(
    text: str, error: type[Exception], named: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=named):
        load_rules_file(rules(tmp_path, text))


def test_an_amount_of_a_token_that_nobody_has_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongSettingError, match=r"policy\.dust\.USDX"):
        recon.what_if(rules(tmp_path, '[policy]\ndust = { USDX = "1" }'), config=world)


def test_every_setting_that_judges_reads_as_the_configuration_reads_it(world: Path, tmp_path: Path) -> None:
    explained = '[[balances.explained]]\naddress = "0x00000000000000000000000000000000000000fe"\nreason = "ours"\n'
    text = OTHER + explained + "[extra]\n"
    said = load_rules_file(rules(tmp_path, text.removesuffix("[extra]\n")))
    base = load_settings(world)
    config = tmp_path / "whole.toml"
    own = world.read_text(encoding="utf-8").replace('path = "."', f'path = "{world.parent}"')
    config.write_text(f"{own}\n{OTHER}{explained}", encoding="utf-8")
    assert said.over(base.policy(), registry=base.registry()) == load_settings(config).policy()
    assert set(said.named) <= set(JUDGING)
    nothing = load_rules_file(rules(tmp_path, "[policy]\nurgent_after_h = 24\n"))
    assert nothing.over(Policy(), registry=load_registry()) == Policy()
