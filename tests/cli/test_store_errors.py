"""Whatever number the database answers with: one sentence, the code of what happened, never "a mistake in recon"."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.runs.stores import retry
from recon.simulation import plant_world
from tests.support import servers
from tests.support.living import moved, serving, write_live_config
from tests.support.thorough import LARGER

DATABASE = "marketplace"
CODES = (1, 8, 26, 96, 115, 133, 166, 211, 251, 303, 14031, 40415, 99999)
"""Errors of many kinds: internal, values, full disk, views, memory, transactions, plans, too large, unknown numbers."""

_TESTING = ("--setParameter", "enableTestCommands=1")
READS = (["find"], ["listCollections", "aggregate", "count"], ["hello"])


@dataclass(frozen=True)
class Sick:
    """A marketplace whose server answers with errors on demand."""

    folder: Path
    client: Any
    digest: str

    @contextmanager
    def failing(self, commands: list[str], code: int, *, skip: int = 0) -> Iterator[None]:
        mode: Any = "alwaysOn"
        if skip:
            mode = {"skip": skip}
        data = {"failCommands": commands, "errorCode": code, "appName": "recon", "errorLabels": []}
        self.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
        try:
            yield
        finally:
            self.client.admin.command("configureFailPoint", "failCommand", mode="off")

    def run(self, *arguments: object) -> Result:
        given = [*map(str, arguments), "--config", str(self.folder / "recon.toml")]
        return CliRunner().invoke(cli, given, prog_name="recon")

    def apply(self) -> Result:
        return self.run("apply", self.folder / "plan.json", "--digest", self.digest)

    def hash(self) -> Any:
        return self.client[DATABASE].command("dbHash", collections=["payments"])["collections"]


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sick]:
    with pytest.MonkeyPatch.context() as patch:
        command = servers.Mongod._command
        patch.setattr(
            servers.Mongod, "_command", lambda self: [*command(self), "--setParameter", "enableTestCommands=1"]
        )
        server = servers.start_mongod(journal_ms=10)
    try:
        world = moved(plant_world(*["webhook_lost"] * 3, *["equal_amounts"] * 20, seed=2), dt.datetime.now(tz=dt.UTC))
        folder = tmp_path_factory.mktemp("sick")
        with (
            server.client(appname="tests") as client,
            serving(world) as addresses,
            pytest.MonkeyPatch.context() as patch,
        ):
            client[DATABASE]["payments"].insert_many([dict(document) for document in world.recorded.payments])
            for name, value in {
                "RECON_MONGO_URI": server.uri, "RECON_REQUEST_NETWORK_API_KEY": "k", "RECON_SHKEEPER_API_KEY": "k",
                "RECON_OPERATOR": "ann",
            }.items():  # fmt: skip
                patch.setenv(name, value)
            patch.setattr(
                retry.Retry.__init__, "__kwdefaults__", {**retry.Retry.__init__.__kwdefaults__, "retry_s": 0.2}
            )
            write_live_config(folder, world, addresses, database=DATABASE)
            made = Sick(folder, client, "")
            assert made.run("plan", "--out", folder / "plan.json").exit_code == 1
            yield Sick(folder, client, json.loads((folder / "plan.json").read_text())["digest"])
    finally:
        server.stop()


def one_sentence(result: Result) -> None:
    assert "mistake in recon" not in result.stderr
    assert "Traceback" not in result.output
    assert len([line for line in result.stderr.splitlines() if line.startswith("recon: ")]) <= 1


@pytest.mark.parametrize("code", CODES)
def test_a_question_that_is_answered_with_an_error_leaves_with_4(sick: Sick, code: int) -> None:
    before = sick.hash()
    for commands in READS:
        with sick.failing(commands, code):
            for line in (["runs"], ["journal", "verify"], ["undo", "RUN"], ["doctor"]):
                result = sick.run(*line)
                one_sentence(result)
                can_do_without = commands != ["hello"] and "find" not in commands and line != ["doctor"]
                assert result.exit_code == 4 or can_do_without, (commands, line, result.output)
            result = sick.apply()
            one_sentence(result)
            assert result.exit_code == 4, (commands, result.stderr)
    assert sick.hash() == before


@pytest.mark.parametrize("code", CODES)
def test_a_run_that_cannot_begin_to_write_leaves_with_4_and_writes_nothing(sick: Sick, code: int) -> None:
    before = sick.hash()
    with sick.failing(["createIndexes", "findAndModify", "update"], code):
        result = sick.apply()
    one_sentence(result)
    assert result.exit_code == 4, result.stderr
    assert sick.hash() == before


@pytest.mark.parametrize("code", (13, 8000))
def test_a_login_that_may_not_write_is_refused_whatever_is_asked_first(sick: Sick, code: int) -> None:
    with sick.failing(["update"], code):
        result = sick.apply()
    assert (result.exit_code, "credential may not" in result.stderr) == (3, True)


# The code is quoted and nothing turns on it: one that the driver does not know stands for all.
@pytest.mark.parametrize("code", (8, 14031, 99999) if LARGER else (99999,))
def test_a_run_whose_journal_fails_midway_leaves_with_5_and_can_be_finished(sick: Sick, code: int) -> None:
    with sick.failing(["insert"], code, skip=2):
        stopped = sick.apply()
    one_sentence(stopped)
    assert stopped.exit_code == 5, stopped.output
    assert f"code {code}" in stopped.stderr or "99999" not in stopped.stderr
    runs = json.loads(sick.run("runs", "--format", "json").stdout)["runs"]
    resumed = sick.run("apply", sick.folder / "plan.json", "--resume", runs[0]["run"])
    assert resumed.exit_code == 0, resumed.output
    undo = sick.folder / f"undo-{code}.json"
    assert sick.run("undo", runs[0]["run"], "--out", undo).exit_code == 0
    assert sick.run("apply", undo, "--digest", json.loads(undo.read_text())["digest"]).exit_code == 0
    made = sick.run("plan", "--out", sick.folder / f"plan-{code}.json")
    assert made.exit_code == 1
    (sick.folder / f"plan-{code}.json").replace(sick.folder / "plan.json")
    object.__setattr__(sick, "digest", json.loads((sick.folder / "plan.json").read_text())["digest"])
