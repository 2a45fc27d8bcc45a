"""``recon inspect`` on real parts: a reader of the database, a real chain with the real contract, provider servers."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.registry import load_registry
from tests.support import servers
from tests.support.builders import RECIPIENT, deposit_address, payment_id, reference, request_id
from tests.support.onchain import Chain
from tests.support.rails import CHAIN_ID, UNITS, Marketplace, recon, served, write_config

DATABASE = "marketplace"
SHALLOW = 10
"""The payment that is paid in the newest block."""
FORWARDED = 11
"""The payment whose money lies at its forwarder, which no row and no provider names."""


@pytest.fixture(scope="module")
def market() -> Iterator[Marketplace]:
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
    with Chain(anvil, block_s=3) as chain:
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        made = Marketplace(chain).fill()
        usdc = load_registry().token(CHAIN_ID, "USDC")
        assert usdc is not None
        chain.deploy_factory()
        forwarder = chain.make_forwarder(usdc.address, RECIPIENT, reference=reference(FORWARDED))
        chain.transfer(usdc.address, forwarder, UNITS)
        made._request(FORWARDED, None, opened=True)
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
    from recon.core.ids import reference_topic

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


def test_money_at_a_forwarder_that_only_the_factory_knows_is_found(market: Marketplace, folder: Path, uri: str) -> None:
    found = inspected(payment_id(FORWARDED), folder=folder, uri=uri, code=0)
    assert first_cause(found) == "forwarder_holds_it"
    said = [row["says"] for row in found["cause_evidence"] if row["cause"] == "forwarder_holds_it"]
    assert said[0].startswith("at the forwarder: 12.5 USDC")
    assert "factory made that address for this payment's reference" in said[1]


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


def kept_deliveries(number: int, *answers: int) -> list[dict[str, Any]]:
    """Documents as a durable ingress keeps them: the raw body as text, the answer of the backend beside it."""
    body = json.dumps({"event": "payment.confirmed", "requestId": request_id(number), "amount": "12.5"})
    return [
        {
            "deliveryId": f"01LIVE{number:02d}{attempt}",
            "provider": "request.network",
            "receivedAt": datetime.now(tz=UTC) - timedelta(minutes=5 - attempt),
            "retryCount": attempt,
            "responseStatus": answer,
            "rawBody": body,
        }
        for attempt, answer in enumerate(answers)
    ]


@pytest.fixture
def hooks(mongo: servers.Mongod, folder: Path) -> Iterator[str]:
    """A collection of deliveries that the configuration names."""
    with mongo.client() as client:
        collection = client[DATABASE]["hooks"]
        collection.insert_many(kept_deliveries(2, 404, 404, 404, 404))
        path = folder / "recon.toml"
        path.write_text(path.read_text() + '[deliveries]\ncollection = "hooks"\n')
        yield "hooks"
        collection.drop()


def test_deliveries_of_a_collection_are_triaged_and_the_list_is_written(hooks: str, folder: Path, uri: str) -> None:
    for number, named in enumerate(((), ("--collection", hooks))):
        ran = recon(["triage", "deliveries", *named, "--out", f"replay-{number}.ndjson"], folder=folder, uri=uri)
        assert ran.returncode == 1, ran.stderr
        assert "4" in ran.stdout
        (line,) = (folder / f"replay-{number}.ndjson").read_text().splitlines()
        assert json.loads(line)["delivery_id"] == "01LIVE020"


def test_configured_deliveries_are_in_the_inspection_the_snapshot_and_the_report(
    hooks: str, folder: Path, uri: str
) -> None:
    found = inspected(payment_id(2), folder=folder, uri=uri, code=1)
    assert first_cause(found) == "webhook_refused"
    assert found["facts"]["complete"] == "complete"
    assert sum(event["source"] == "delivery" for event in found["timeline"]) == 4

    assert recon(["plan", "--out", "plan.json"], folder=folder, uri=uri).returncode == 1
    (taken,) = (folder / "out").glob("snapshot-*")
    found = inspected(payment_id(2), "--snapshot", str(taken), folder=folder, uri="mongodb://127.0.0.1:1/", code=1)
    assert first_cause(found) == "webhook_refused"
    found = inspected(payment_id(3), "--snapshot", str(taken), folder=folder, uri="mongodb://127.0.0.1:1/", code=0)
    assert first_cause(found) == "never_paid"
    assert any(row["speaks"] == "against" and "only asked for afresh" in row["says"] for row in found["cause_evidence"])

    ran = recon(["report", "plan.json", "--html", "report.html"], folder=folder, uri=uri)
    assert ran.returncode == 0, ran.stderr
    page = (folder / "report.html").read_text(encoding="utf-8")
    packed = re.search(r'id="more"[^>]*>([^<]+)<', page)
    assert packed
    events = json.loads(gzip.decompress(base64.b64decode(packed[1])))["events"]
    assert "notification" in json.dumps(events["side"])
    assert "404" in json.dumps(events["text"])


def test_a_collection_that_may_not_be_read_is_said_and_concludes_nothing(
    mongo: servers.Mongod, hooks: str, folder: Path
) -> None:
    with mongo.client() as client:
        client[DATABASE].command(
            "createRole", "payments_only", roles=[],
            privileges=[{"resource": {"db": DATABASE, "collection": "payments"}, "actions": ["find", "collStats"]},
                        {"resource": {"db": DATABASE, "collection": ""}, "actions": ["listCollections"]}],
        )  # fmt: skip
    narrow = mongo.create_user("narrow", "reader-pass", database=DATABASE, role="payments_only")
    ran = recon(["inspect", payment_id(2), "--format", "json"], folder=folder, uri=narrow, secrets={"RECON_DEBUG": "1"})
    assert ran.returncode == 4, (ran.stdout[-500:], ran.stderr)
    found = json.loads(ran.stdout)
    assert first_cause(found) == "delivery_unknown"
    assert any("hooks" in row["line"] for row in found["not_asked"])


def test_a_provider_that_is_away_is_a_fact_of_the_first_page(folder: Path, uri: str) -> None:
    path = folder / "recon.toml"
    path.write_text(re.sub(r'base_url = "http://127[^"]*"', 'base_url = "http://127.0.0.1:1"', path.read_text()))
    ran = recon(["triage", "summary", "--ask", "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)
    said = next(row["answer"] for row in found["measured"] if "answer now" in row["question"])
    assert "shkeeper DOES NOT" in said
    assert "database" in said.rpartition(";")[2]
    assert found["guesses"][0]["scenario"] == "provider outage"


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
