"""What ``recon init`` finds out: the collection of payments, and the chains and rails of the newest ones."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from pymongo.database import Database

import recon
from recon.cli import cli
from recon.setup.example import example
from recon.setup.look_around import Surroundings
from recon.setup.settings import load_settings
from recon.setup.stores.store import FoundCollection
from tests.support.payment_documents import payment
from tests.support.servers import Mongod

SECRET = "hunter2"


@pytest.fixture
def shop(mongo_database: Database[dict[str, Any]], mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with payments on two chains, all of one rail, and other collections."""
    documents = [payment(_id=ObjectId()) for _ in range(3)]
    documents.append(payment(_id=ObjectId(), blockchain__network="polygon"))
    mongo_database["payments"].insert_many(documents)
    mongo_database["old_payments"].insert_one({"_id": 1})
    mongo_database["users"].insert_one({"_id": 1})
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    return mongo_database.name


def test_what_is_found_is_offered_and_what_is_taken_stands_in_the_file(shop: str, tmp_path: Path) -> None:
    asked: dict[str, Sequence[str]] = {}

    def choose(question: str, answers: Sequence[str]) -> Sequence[str]:
        asked[question] = answers
        return [f"{shop}.payments"] if question.startswith("The collection") else answers[:1]

    said: list[str] = []
    recon.init(tmp_path / "recon.toml", look=True, choose=choose, say=said.append)
    places = [place for place in asked["The collection of payments"] if place.startswith(shop)]
    assert places == [f"{shop}.payments", f"{shop}.old_payments"]
    assert (list(asked["The chains in scope"]), list(asked["The rails in scope"])) == (
        ["8453", "137"],
        ["request_network"],
    )
    settings = load_settings(tmp_path / "recon.toml")
    mongo = settings.values.mongo
    assert (mongo.database, mongo.collection) == (shop, "payments")
    assert (settings.chain_ids, settings.providers) == ((8453,), ("request_network",))
    assert said == [f"4 of the newest payments of {shop}.payments were looked at."]


def test_on_a_terminal_it_asks_and_asks_again_for_what_is_not_there(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recon.cli.start._is_terminal", lambda: True)
    lines = f"{shop}.payments\n56\n137, 8453\n\n"
    result = CliRunner().invoke(cli, ["init", "--out", str(tmp_path / "recon.toml")], input=lines)
    assert (result.exit_code, "Not found: 56" in result.stderr, result.stdout.strip()) == (0, True, "")
    assert load_settings(tmp_path / "recon.toml").chain_ids == (137, 8453)


def test_off_a_terminal_nothing_is_looked_at_without_yes(shop: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["init", "--out", str(tmp_path / "recon.toml")])
    assert (result.exit_code, (tmp_path / "recon.toml").read_text()) == (0, example())


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "No collection or table of payments was found; RECON_MONGO_URI or RECON_SQL_URL names the database"),
        (f"mongodb://reader:{SECRET}@127.0.0.1:9/?serverSelectionTimeoutMS=200", "The database was not looked at"),
        (SECRET, "The database was not looked at"),
    ],
)
def test_without_a_database_the_file_is_written_as_it_was_and_no_secret_is_told(
    address: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recon.setup.stores.mongo.look._TIMEOUT_MS", 200)
    monkeypatch.setenv("RECON_MONGO_URI", address)
    result = CliRunner().invoke(cli, ["init", "--yes", "--out", str(tmp_path / "recon.toml")])
    assert (result.exit_code, says in result.stderr, SECRET in result.output) == (0, True, False)
    assert (tmp_path / "recon.toml").read_text() == example()


@pytest.mark.parametrize("name", ["shop", 'odd "name', "back\\slash", "line\nbreak"])
def test_the_file_loads_whatever_the_database_is_called(name: str, tmp_path: Path) -> None:
    text = example(Surroundings(FoundCollection(name, name, 3), (137, 56), (), 3))
    content = tomllib.loads(text)
    assert (content["mongo"]["database"], content["mongo"]["collection"]) == (name, name)
    assert [chain["chain_id"] for chain in content["chains"]] == [137, 56]
    (tmp_path / "recon.toml").write_text(text)
    assert load_settings(tmp_path / "recon.toml").providers == ()
