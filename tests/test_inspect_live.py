"""``recon inspect`` on real parts: a reader of the database, a real chain with the real contract, provider servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recon.registry import load_registry
from tests import servers
from tests.builders import RECIPIENT, deposit_address, payment_id, reference, request_id
from tests.onchain import Chain
from tests.rails import CHAIN_ID, UNITS, Marketplace, recon, served, write_config

DATABASE = "marketplace"
SHALLOW = 10
"""The payment that is paid in the newest block."""


@pytest.fixture(scope="module")
def market() -> Iterator[Marketplace]:
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
    with Chain(anvil, block_s=3) as chain:
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        made = Marketplace(chain).fill()
        usdc = load_registry().token(CHAIN_ID, "USDC")
        assert usdc is not None
        shallow = chain.pay(usdc.address, RECIPIENT, UNITS, reference=reference(SHALLOW))
        made._request(SHALLOW, shallow, opened=True)
        yield made
    anvil.stop()


@pytest.fixture(scope="module")
def mongo(market: Marketplace) -> Iterator[servers.Mongod]:
    server = servers.start_mongod(auth=True)
    with server.client() as client:
        client[DATABASE]["payments"].insert_many(market.documents)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def uri(mongo: servers.Mongod) -> str:
    return mongo.create_user("reader", "reader-pass", database=DATABASE, role="read")


@pytest.fixture
def folder(market: Marketplace, tmp_path: Path) -> Iterator[Path]:
    with served(market) as (request_network, shkeeper):
        write_config(
            tmp_path, chain_url=market.chain.url, request_network=request_network, shkeeper=shkeeper, database=DATABASE
        )
        yield tmp_path


def tx_of(market: Marketplace, number: int) -> str:
    """The transaction that paid a payment through the proxy."""
    from recon.ids import reference_topic

    wanted = reference_topic(reference(number))
    found: str = next(log["transactionHash"] for log in market.chain.proxy_logs() if log["topics"][1] == wanted)
    return found


def inspected(text: str, *more: str, folder: Path, uri: str, code: int) -> dict[str, Any]:
    ran = recon(["inspect", text, *more, "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == code, (ran.stdout[-2_000:], ran.stderr)
    assert "Traceback" not in ran.stderr
    for secret in ("rn-test-key", "sh-test-key", "reader-pass"):
        assert secret not in ran.stdout + ran.stderr
    made: dict[str, Any] = json.loads(ran.stdout)
    return made


def first_cause(found: dict[str, Any]) -> str:
    return str(found["causes"][0]["cause"])


def test_a_payment_is_found_by_everything_that_names_it(market: Marketplace, folder: Path, uri: str) -> None:
    for text in (payment_id(2), request_id(2).upper(), f"0x{reference(2)}", tx_of(market, 2)):
        found = inspected(text, folder=folder, uri=uri, code=1)
        assert found["facts"]["payment"] == payment_id(2), text
        assert found["facts"]["verdict"] == "local_behind"
        assert first_cause(found) == "delivery_unknown"
    for text in (deposit_address(8), "order-8"):
        found = inspected(text, folder=folder, uri=uri, code=1)
        assert found["facts"]["payment"] == "template-checkout-8", text
        assert found["facts"]["verdict"] == "local_behind"


def test_money_of_other_buyers_at_the_same_wallet_is_no_cause(folder: Path, uri: str) -> None:
    found = inspected(payment_id(3), folder=folder, uri=uri, code=0)
    assert [cause["cause"] for cause in found["causes"]] == ["never_paid"]
    assert not any("unexplained money" in event["says"] for event in found["timeline"])
    found = inspected(payment_id(5), folder=folder, uri=uri, code=1)
    assert [cause["cause"] for cause in found["causes"]] == ["paid_wrong_recipient"]


def test_money_in_the_newest_block_waits_and_says_how_long(folder: Path, uri: str) -> None:
    found = inspected(payment_id(SHALLOW), folder=folder, uri=uri, code=0)
    assert first_cause(found) == "too_few_confirmations"
    assert any("left" in row["says"] for row in found["cause_evidence"])


def test_a_proof_is_accepted_waits_or_is_suspicious(market: Marketplace, folder: Path, uri: str) -> None:
    def proven(number: int, tx: str, code: int) -> tuple[str, dict[str, str]]:
        found = inspected(payment_id(number), "--verify-proof", tx, folder=folder, uri=uri, code=code)
        return found["facts"]["answer"].lower(), {check["check"]: check["state"] for check in found["checks"]}

    answer, checks = proven(2, tx_of(market, 2), 0)
    assert answer == "accept"
    assert set(checks.values()) == {"right"}
    answer, checks = proven(SHALLOW, tx_of(market, SHALLOW), 1)
    assert (answer, checks["depth"]) == ("wait", "open")
    answer, checks = proven(2, tx_of(market, 1), 1)
    assert answer == "suspicious"
    assert (checks["reference"], checks["unused"]) == ("wrong", "wrong")


def test_what_nobody_knows_is_one_sentence_with_its_code(folder: Path, uri: str) -> None:
    ran = recon(["inspect", "0x" + "ab" * 32], folder=folder, uri=uri)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "chain:56" in ran.stderr


def test_inspecting_writes_nothing(mongo: servers.Mongod, folder: Path, uri: str) -> None:
    with mongo.client() as client:
        before = client[DATABASE].command("dbHash")["md5"]
        inspected(payment_id(2), folder=folder, uri=uri, code=1)
        assert client[DATABASE].command("dbHash")["md5"] == before
    assert not (folder / "out").exists()
