"""The whole job on real parts: a reader of the database, a real chain with the real contract, provider servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import servers
from tests.support.builders import payment_id
from tests.support.onchain import Chain
from tests.support.rails import CHAIN_ID, Marketplace, recon, served, verdicts_of, write_config

DATABASE = "marketplace"
SECRETS = ("rn-test-key", "sh-test-key", "reader-pass", "admin")


@pytest.fixture(scope="module")
def mongo() -> Iterator[servers.Mongod]:
    server = servers.start_mongod(auth=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def market() -> Iterator[Marketplace]:
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
    with Chain(anvil, block_s=3) as chain:
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        yield Marketplace(chain).fill()
    anvil.stop()


@pytest.fixture(scope="module")
def uri(mongo: servers.Mongod, market: Marketplace) -> str:
    with mongo.client() as client:
        client[DATABASE]["payments"].insert_many(market.documents)
    return mongo.create_user("reader", "reader-pass", database=DATABASE, role="read")


@pytest.fixture
def folder(market: Marketplace, tmp_path: Path) -> Iterator[Path]:
    with served(market) as (request_network, shkeeper):
        write_config(
            tmp_path,
            chain_url=market.chain.url,
            request_network=request_network,
            shkeeper=shkeeper,
            database=DATABASE,
        )
        yield tmp_path


def database_hash(mongo: servers.Mongod) -> Any:
    with mongo.client() as client:
        return client[DATABASE].command("dbHash")["md5"]


def test_the_whole_job_runs_for_a_reader_and_changes_nothing(
    mongo: servers.Mongod, market: Marketplace, uri: str, folder: Path
) -> None:
    before = database_hash(mongo)
    ran = recon(["plan", "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == 1, ran.stderr
    assert verdicts_of(ran.stdout) == market.expected
    assert database_hash(mongo) == before
    plan = json.loads(ran.stdout)
    assert all(row["complete"] for row in plan["coverage"]), plan["coverage"]
    assert plan["summary"]["health"] == {"ok": True, "reasons": []}
    behind = {change["payment_id"]: change for change in plan["changes"]}
    assert set(behind) == {
        payment_id(2), "template-checkout-8", payment_id(5), payment_id(6),
    }  # fmt: skip
    assert [item["after"] for item in behind[payment_id(2)]["set"] if item["path"] == "status"] == ["completed"]
    assert behind["template-checkout-8"]["document_id"] == "template-checkout-8"


def test_no_secret_and_no_address_with_a_key_is_printed_or_written(uri: str, folder: Path) -> None:
    ran = recon(["plan"], folder=folder, uri=uri)
    written = "".join(
        path.read_text(encoding="utf-8", errors="replace") for path in (folder / "out").rglob("*") if path.is_file()
    )
    for secret in SECRETS[:3]:
        assert secret not in ran.stdout + ran.stderr + written


def test_the_doctor_finds_every_source_usable(uri: str, folder: Path) -> None:
    ran = recon(["doctor"], folder=folder, uri=uri)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("edit", "secrets", "code", "said"),
    [
        (("chain_id = 56", "chain_id = 8453"), {}, 3, "chain id"),
        ((DATABASE, "elsewhere"), {}, 4, "elsewhere"),
        (("", ""), {"RECON_MONGO_URI": "mongodb://127.0.0.1:1/"}, 4, "127.0.0.1:1"),
        (("[target]", "[tarjet]"), {}, 2, "target"),
        (("", ""), {"RECON_MONGO_URI": "http://nonsense"}, 2, "MongoDB URI cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_code(
    uri: str, folder: Path, edit: tuple[str, str], secrets: dict[str, str], code: int, said: str
) -> None:
    path = folder / "recon.toml"
    path.write_text(path.read_text().replace(*edit) if edit[0] else path.read_text())
    ran = recon(["plan", "--format", "json"], folder=folder, uri=uri, secrets=secrets)
    assert ran.returncode == code, (ran.stdout[-500:], ran.stderr)
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not any(secret in ran.stderr for secret in SECRETS[:3])


def test_a_wrong_password_is_called_that(mongo: servers.Mongod, uri: str, folder: Path) -> None:
    ran = recon(["plan"], folder=folder, uri=uri.replace("reader-pass", "wrong-pass"))
    assert ran.returncode == 4
    assert "wrong-pass" not in ran.stderr
    assert "password" in ran.stderr or "log in" in ran.stderr or "login" in ran.stderr


def test_a_dead_provider_makes_nothing_unpaid(market: Marketplace, uri: str, folder: Path) -> None:
    path = folder / "recon.toml"
    text = path.read_text()
    dead = text.replace(text.split('base_url = "')[1].split('"')[0], "http://127.0.0.1:9")
    # It is asked twice and then given up, so that the test need not wait out the usual four pauses of every call.
    path.write_text(dead.replace("[request_network]\n", "[request_network]\nretries_max = 1\n"))
    ran = recon(["plan", "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == 4, ran.stderr
    found = verdicts_of(ran.stdout)
    proven = {name: verdict for name, verdict in market.expected.items() if verdict != "local_ahead"}
    assert {name: found[name] for name in proven if name in (payment_id(2), "template-checkout-8")} == {
        payment_id(2): "local_behind",
        "template-checkout-8": "local_behind",
    }
    assert found[payment_id(3)] == found[payment_id(7)] == "lookup_failed"


def test_a_dead_chain_makes_nothing_unpaid(market: Marketplace, uri: str, folder: Path) -> None:
    path = folder / "recon.toml"
    path.write_text(path.read_text().replace(market.chain.url, "http://127.0.0.1:9"))
    ran = recon(["plan", "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == 4, ran.stderr
    found = verdicts_of(ran.stdout)
    assert set(found.values()) <= {"unproven", "lookup_failed"}
    assert json.loads(ran.stdout)["changes"] == []
