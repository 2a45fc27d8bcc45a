"""``recon apply`` on a real server with a login: every refusal is one sentence that writes nothing, and goes away."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.core.ids import parse_payment_id
from recon.runs.guard import without_marks
from recon.simulation import plant_world
from tests.support import servers
from tests.support.living import moved, serving, write_live_config

DATABASE = "marketplace"
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Market:
    """A marketplace on a real server, its sources behind servers, and a plan made by somebody who may only read."""

    mongo: servers.Mongod
    folder: Path
    reader: str
    writer: str

    def hash(self) -> Any:
        """A hash over every collection: payments, journal and lease."""
        with self.mongo.client() as client:
            return client[DATABASE].command("dbHash", collections=["payments", "recon_journal"])["collections"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    server = servers.start_mongod(auth=True)
    try:
        situations = (*["webhook_lost"] * 8, "late", *["equal_amounts"] * 30)
        world = moved(plant_world(*situations, seed=2), dt.datetime.now(tz=dt.UTC))
        with server.client() as client:
            client[DATABASE]["payments"].insert_many([dict(document) for document in world.recorded.payments])
        reader = server.create_user("reader", "reader-pass", database=DATABASE, role="read")
        writer = server.create_user("writer", "writer-pass", database=DATABASE, role="readWrite")
        folder = tmp_path_factory.mktemp("market")
        with serving(world) as addresses:
            write_live_config(folder, world, addresses, database=DATABASE)
            made = Market(server, folder, reader, writer)
            with pytest.MonkeyPatch.context() as patch:
                give_secrets(made, patch)
                run("plan", "--config", folder / "recon.toml", "--out", folder / "plan.json", code=1)
            yield made
    finally:
        server.stop()


def give_secrets(market: Market, patch: pytest.MonkeyPatch) -> None:
    given = {
        "RECON_MONGO_URI": market.reader, "RECON_MONGO_WRITE_URI": market.writer, "RECON_OPERATOR": "ann",
        "RECON_REQUEST_NETWORK_API_KEY": "k", "RECON_SHKEEPER_API_KEY": "k",
    }  # fmt: skip
    for name, value in given.items():
        patch.setenv(name, value)


@pytest.fixture(autouse=True)
def secrets(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    give_secrets(market, monkeypatch)


def run(*arguments: object, code: int) -> Result:
    result = CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="recon")
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def apply(market: Market, *more: object, code: int, plan: Path | None = None) -> Result:
    """Apply with the digest of the plan that was reviewed, unless a run is resumed."""
    digest = json.loads((market.folder / "plan.json").read_text(encoding="utf-8"))["digest"]
    asked = () if "--resume" in more else ("--digest", digest)
    return run("apply", plan or market.folder / "plan.json", *asked, "--config", market.folder / "recon.toml", *more,
               code=code)  # fmt: skip


SPOILED: dict[str, tuple[Edit, str]] = {
    "one byte": (lambda data: data.replace(b"pending", b"pendinh", 1), "changed after it was made"),
    "cut": (lambda data: data[:3000], "the file was cut"),
    "newer format": (lambda data: data.replace(b'"format":1', b'"format":2', 1), "format 2 is not 1"),
    "unknown key": (lambda data: data.replace(b'"kind":', b'"colour":"red",\n"kind":', 1), "changed after it was made"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_plan_is_refused_before_anything_is_asked(market: Market, tmp_path: Path, how: str) -> None:
    edit, word = SPOILED[how]
    (tmp_path / "plan.json").write_bytes(edit((market.folder / "plan.json").read_bytes()))
    before = market.hash()
    refused = apply(market, plan=tmp_path / "plan.json", code=3)
    assert word in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert market.hash() == before


@pytest.mark.parametrize(
    ("variables", "options", "word"),
    [
        ({"RECON_MONGO_WRITE_URI": "READER"}, [], "the credential may not update records; nothing was written"),
        ({"RECON_TARGET__NAME": "clone"}, [], "The plan is for name 'live' and this target has 'clone'"),
        ({"RECON_APPROVALS__APPROVALS_MIN": "1"}, [], "needs 1 approval because policy asks for it"),
        ({}, ["--changes-max", "7"], "The limit on rows is 7 and this run has 8"),
        ({}, ["--share-max", "5"], "The limit on the share of compared rows is 5 %"),
        ({}, ["--plan-age-max", "0"], "the limit on plan age is 0 min"),
    ],
)
def test_what_may_not_be_applied_is_refused_and_writes_nothing(
    market: Market, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: list[str], word: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, market.reader if value == "READER" else value)
    before = market.hash()
    refused = apply(market, *options, code=3)
    assert word in refused.stderr
    assert refused.stdout == ""
    assert "reader-pass" not in refused.output
    assert market.hash() == before


def test_one_row_that_moved_refuses_the_whole_plan_where_that_was_asked_for(market: Market) -> None:
    changes = json.loads((market.folder / "plan.json").read_text(encoding="utf-8"))["changes"]
    moved = {"_id": parse_payment_id(next(each["payment_id"] for each in changes if each["tier"] == "auto"))}
    with market.mongo.client() as client:
        payments = client[DATABASE]["payments"]
        first = payments.find_one(moved)
        assert first is not None
        payments.update_one(moved, {"$set": {"disputed": True}})
        before = market.hash()
        assert "1 row is not as reviewed" in apply(market, "--all-or-nothing", code=3).stderr
        assert market.hash() == before
        payments.replace_one(moved, first)


def test_a_stopped_run_is_continued_by_the_line_it_prints_and_taken_back(market: Market, tmp_path: Path) -> None:
    stop, undo = tmp_path / "stop", tmp_path / "undo.json"
    stop.touch()
    with market.mongo.client() as client:
        start = list(client[DATABASE]["payments"].find().sort("_id", 1))
    stopped = apply(market, "--stop-file", stop, "--format", "json", code=5)
    facts = json.loads(stopped.stdout)["facts"]
    assert f'Continue with "recon apply PLAN --resume {facts["run"]}"' in stopped.stderr
    stop.unlink()
    resumed = apply(market, "--resume", facts["run"], "--stop-file", stop, "--format", "json", code=0)
    assert json.loads(resumed.stdout)["facts"]["applied"] == "8"
    again = apply(market, "--format", "json", code=0)
    assert json.loads(again.stdout)["title"] == "Nothing was left to do"
    config = ("--config", market.folder / "recon.toml")
    run("undo", facts["run"], *config, "--out", undo, code=0)
    run("apply", undo, "--digest", json.loads(undo.read_text(encoding="utf-8"))["digest"], *config, code=0)
    with market.mongo.client() as client:
        ended = list(client[DATABASE]["payments"].find().sort("_id", 1))
    has_metadata = ["metadata" in first for first in start]
    found = [without_marks(each, created_metadata=not had) for each, had in zip(ended, has_metadata, strict=True)]
    assert found == [without_marks(each, created_metadata=False) for each in start]
    run("journal", "verify", *config, code=0)
