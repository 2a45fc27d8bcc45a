"""What past corrections rested on is asked for again: what holds, what is gone, what cannot be told, the way back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import recon
from recon.api.reverify import NothingToReverifyError
from recon.cli import cli
from recon.core.model import Plan, Verdict
from recon.runs.proof import ProofAnswer
from recon.runs.reverify import AskingAgain, LookedAgain, NoCorrectionRunError, reverify_runs, runs_to_reverify
from recon.setup.open_runs import open_ledger
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.world import plant_world

PLANTS = ("webhook_lost", "webhook_lost", "hash_missing", "completed")


@dataclass(frozen=True)
class Corrected:
    """A world in which a run corrected something."""

    folder: Path
    plan: Plan
    run: str

    @property
    def config(self) -> Path:
        return self.folder / "recon.toml"

    def rows(self, **given: Any) -> dict[str, LookedAgain]:
        found = recon.reverify(self.run if not given else None, config=self.config, **given)
        return {each.payment_id: each for each in found.rows}

    def command(self, *more: str) -> Result:
        line = ["reverify", self.run, "--config", str(self.config), *more]
        return CliRunner().invoke(cli, line, prog_name="recon")

    def rewrite(self, name: str, change: Callable[[str], str | None]) -> None:
        path = self.folder / name
        lines = [new for line in path.read_text().splitlines() if (new := change(line)) is not None]
        path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    folder = tmp_path_factory.mktemp("reverify") / "world"
    write_world(plant_world(*PLANTS, seed=3), folder)
    config = folder / "recon.toml"
    plan = recon.plan(config=config)
    ran = recon.apply(plan, digest=plan.digest, config=config, operator="ada")
    assert ran.run is not None
    return Corrected(folder, plan, ran.run)


@pytest.fixture
def world(made: Corrected, tmp_path: Path) -> Corrected:
    """A copy that may be changed."""
    shutil.copytree(made.folder, tmp_path / "world")
    history = tmp_path / "world" / "recon-out"
    for path in history.glob("history*"):
        path.write_text(path.read_text().replace(str(made.folder), str(tmp_path / "world")))
    return Corrected(tmp_path / "world", made.plan, made.run)


def proof_of(world: Corrected, payment: str) -> tuple[str, str]:
    """The file of the chain and the hash of a correction's proof."""
    change = next(each for each in world.plan.changes if each.payment_id == payment)
    return f"chain-{change.proof[0].chain_id}.ndjson", change.proof[0].tx_hash


def test_what_is_still_there_holds_and_the_command_leaves_with_0(made: Corrected) -> None:
    rows = made.rows()
    assert {each: row.state for each, row in rows.items()} == {
        change.payment_id: "holds" for change in made.plan.changes
    }
    assert len(rows) == 3
    assert made.rows(since=load_settings(made.config).now()) == rows
    assert made.command().exit_code == 0


def test_a_transaction_that_is_gone_is_told_with_the_command_of_the_way_back(world: Corrected) -> None:
    payment = world.plan.changes[0].payment_id
    name, tx_hash = proof_of(world, payment)
    world.rewrite(name, lambda line: None if tx_hash in line else line)
    states = {each: row.state for each, row in world.rows().items()}
    assert states == {each: "gone" if each == payment else "holds" for each in states}
    result = world.command("--format", "json")
    assert result.exit_code == 1
    [step] = json.loads(result.stdout)["next_steps"]
    command = step.partition("To plan the way back: recon ")[2]
    undo = CliRunner().invoke(cli, command.split(), prog_name="recon")
    assert undo.exit_code == 0, undo.output
    back = recon.show("undo-20261120T120000Z", config=world.config)
    assert [change.payment_id for change in back.changes] == [payment]  # type: ignore[union-attr]


def test_a_transaction_in_another_block_holds_if_its_transfer_does(world: Corrected) -> None:
    payment = world.plan.changes[0].payment_id
    name, tx_hash = proof_of(world, payment)
    block = next(each for each in world.plan.changes if each.payment_id == payment).proof[0].block
    assert block is not None
    old, new = f'"{block:#x}"', f'"{block - 1:#x}"'
    world.rewrite(name, lambda line: line.replace(old, new) if tx_hash in line else line)
    row = world.rows()[payment]
    assert (row.state, row.why) == ("holds", "it is there, in another block, and final")


def test_what_only_its_own_tag_calls_final_cannot_be_told_yet(world: Corrected) -> None:
    change = next(each for each in world.plan.changes if each.proof[0].chain_id not in (56, 137))
    term, facts = change.proof[0], json.loads((world.folder / "world.json").read_text())
    assert term.block is not None
    facts["chains"][str(term.chain_id)] |= {"head": term.block + 30, "finalized": term.block + 1}
    (world.folder / "world.json").write_text(json.dumps(facts))
    assert recon.plan(config=world.config, out=world.folder / "again.json").changes == ()
    row = world.rows()[change.payment_id]
    assert row.state == "cannot tell"
    assert "ask again later" in row.why
    assert world.command().exit_code == 4


def test_a_chain_that_does_not_answer_leaves_the_others_told(world: Corrected) -> None:
    chain = world.plan.changes[0].proof[0].chain_id
    rules = [{"source": f"chain:{chain}", "match": "*", "status": 500}]
    (world.folder / "faults.json").write_text(json.dumps({"format": 1, "rules": rules}))
    states = {each.payment_id: each.proof[0].chain_id == chain for each in world.plan.changes}
    found = world.rows()
    assert {each: row.state for each, row in found.items()} == {
        each: "cannot tell" if is_away else "holds" for each, is_away in states.items()
    }
    assert world.command().exit_code == 4


def test_without_its_plan_the_hash_that_was_written_is_asked_for(world: Corrected) -> None:
    for path in (world.folder / "recon-out").glob("plan-*.json"):
        path.unlink()
    payment = world.plan.changes[0].payment_id
    name, tx_hash = proof_of(world, payment)
    world.rewrite(name, lambda line: None if tx_hash in line else line)
    assert {each: row.state for each, row in world.rows().items()}[payment] == "gone"


def test_what_is_taken_back_is_not_asked_for_again(world: Corrected) -> None:
    payment = world.plan.changes[0].payment_id
    back = recon.undo(world.run, payments=[payment], config=world.config, out=world.folder / "back.json")
    ran = recon.apply(back, digest=back.digest, config=world.config, operator="ada")
    assert world.rows()[payment].state == "taken back"
    with pytest.raises(NoCorrectionRunError, match="undo"):
        recon.reverify(ran.run, config=world.config)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (None, "holds"),
        (Verdict.LOCAL_AHEAD, "gone"),
        (Verdict.UNPROVEN, "cannot tell"),
        (Verdict.OVERPAID, "cannot tell"),
    ],
)
def test_a_providers_word_is_judged_again(made: Corrected, verdict: Verdict | None, state: str) -> None:
    bare = replace(made.plan, changes=tuple(replace(each, proof=(), evidence=()) for each in made.plan.changes))

    def judge(payments: Sequence[str]) -> Mapping[str, str]:
        return {} if verdict is None else dict.fromkeys(payments, str(verdict))

    asking = AskingAgain(plan_of=lambda _: bare, prove=lambda _: lambda _: ProofAnswer(), judge=judge)
    with open_ledger(load_settings(made.config)) as ledger:
        found = reverify_runs(ledger.journal, runs_to_reverify(ledger.journal, run=made.run, since=None), asking=asking)
    assert {row.state for row in found.rows} == {state}
    assert {row.proof for row in found.rows} == {("the provider's word",)}


def test_a_run_and_a_time_are_one_of_the_two(made: Corrected) -> None:
    for given in ({}, {"run": made.run, "since": load_settings(made.config).now()}):
        with pytest.raises(NothingToReverifyError):
            recon.reverify(config=made.config, **given)
