"""Chains that turn between plan and apply: two real nodes whose newest blocks are rolled back, a real mongod."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recon.core.ids import payment_id_text
from recon.core.registry import load_registry
from recon.plans.file import load_plan
from tests.support import servers
from tests.support.builders import GONE, RECIPIENT, payment_document, payment_id, reference, request_id
from tests.support.onchain import Chain
from tests.support.provider_servers import rn_request
from tests.support.rails import Marketplace, recon, served, write_config

DATABASE = "marketplace"
CHAINS = {56: "bsc", 8453: "base"}
EACH = 5
DEPTH = 20


@dataclass
class Turning:
    """Ten payments that are final on two chains and open in the database, and the plan that would credit them.

    Args:
        newest: The last payment on each chain, by chain.
    """

    folder: Path
    uri: str
    mongo: servers.Mongod
    chains: dict[int, Chain]
    newest: dict[int, str] = field(default_factory=dict)

    def run(self, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
        """The command line as a process of its own."""
        ran = recon(list(arguments), folder=self.folder, uri=self.uri)
        assert ran.returncode == code, ran.stdout[-3_000:] + ran.stderr[-3_000:]
        return ran

    def apply(self, *more: str, code: int) -> subprocess.CompletedProcess[str]:
        """Apply the plan that was made."""
        digest = load_plan(self.folder / "plan.json").digest
        return self.run("apply", "plan.json", "--digest", digest, "--share-max", "100", *more, code=code)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every payment as it is now."""
        with self.mongo.client() as client:
            return {payment_id_text(row["_id"]): row for row in client[DATABASE]["payments"].find()}

    def completed(self) -> set[str]:
        """The payments that are completed."""
        return {name for name, row in self.documents().items() if row["status"] == "completed"}


def catch_up(chain: Chain, blocks: int) -> None:
    """Mine blocks, the last of them at about now."""
    chain.mine(blocks - 1)
    chain.set_next_time(max(int(time.time()) - 2, chain.block_time() + 1))
    chain.mine()


def pay(market: Marketplace, chain: Chain, numbers: range) -> None:
    """Open payments, each paid in a block of its own; the provider has not seen them."""
    token = load_registry().token(chain.chain_id, "USDC")
    assert token is not None
    made = datetime.fromtimestamp(int(time.time()) - 3_000, tz=UTC)
    for number in numbers:
        units = 125 * 10 ** (token.decimals - 1)
        chain.pay(token.address, RECIPIENT, units, reference=reference(number))
        changes = {
            "status": "pending", "escrowState": GONE, "blockchain.transactionHash": GONE, "createdAt": made,
            "blockchain.confirmations": GONE, "blockchain.network": CHAINS[chain.chain_id], "updatedAt": made,
        }  # fmt: skip
        market.documents.append(payment_document(number, changes))
        facts = {"requestId": request_id(number), "paymentReference": "0x" + reference(number)}
        market.request_network.requests[request_id(number)] = rn_request(number, **facts)
    catch_up(chain, DEPTH)


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[Turning]:
    with ExitStack() as stack:
        mongo = servers.start_mongod(auth=True)
        stack.callback(mongo.stop)
        chains: dict[int, Chain] = {}
        for chain_id in CHAINS:
            anvil = servers.start_anvil(chain_id, number=70_000_000, timestamp=int(time.time()) - 2_000)
            stack.callback(anvil.stop)
            chains[chain_id] = stack.enter_context(Chain(anvil, block_s=3))
            chains[chain_id].deploy_proxy()
            chains[chain_id].deploy_known_tokens()
        market = Marketplace(chains[56])
        for place, chain in enumerate(chains.values()):
            pay(market, chain, range(1 + place * EACH, 1 + (place + 1) * EACH))
        with mongo.client() as client:
            client[DATABASE]["payments"].insert_many(market.documents)
        uri = mongo.create_user("keeper", "keeper-pass", database=DATABASE, role="readWrite")
        request_network, shkeeper = stack.enter_context(served(market))
        path = write_config(
            tmp_path, chain_url=chains[56].url, request_network=request_network, shkeeper=shkeeper, database=DATABASE
        )
        path.write_text(f'{path.read_text()}\n[[chains]]\nchain_id = 8453\nendpoints = ["{chains[8453].url}"]\n')
        newest = {56: payment_id(EACH), 8453: payment_id(2 * EACH)}
        made = Turning(tmp_path, uri, mongo, chains, newest)
        made.run("plan", "--out", "plan.json", code=1)
        assert len(load_plan(tmp_path / "plan.json").changes) == 2 * EACH
        yield made


def test_payments_whose_blocks_were_rolled_back_are_not_written_and_all_others_are(turning: Turning) -> None:
    before = turning.documents()
    for chain in turning.chains.values():
        chain.reorg(DEPTH + 1)
        catch_up(chain, DEPTH)
    ran = turning.apply("--format", "json", code=1)
    lost = set(turning.newest.values())
    assert turning.completed() == set(before) - lost
    after = turning.documents()
    assert {name: after[name] for name in lost} == {name: before[name] for name in lost}
    told = {row["payment_id"]: row for row in json.loads(ran.stdout)["rows"]}
    for name in before:
        assert told[name]["result"] == ("unproven" if name in lost else "applied"), told[name]
    for name in lost:
        assert "is no longer proven, left alone: transaction 0x" in told[name]["reason"]


def test_a_payment_that_lies_in_another_block_by_now_is_not_written(turning: Turning) -> None:
    chain = turning.chains[56]
    head = chain.head()
    block = chain.rpc("eth_getBlockByNumber", hex(head - DEPTH), True)
    (sent,) = block["transactions"]
    again = {key: sent[key] for key in ("from", "to", "gas", "nonce")} | {"data": sent["input"]}
    chain.reorg(DEPTH + 1, [(again, 0)])
    catch_up(chain, DEPTH)
    turning.apply(code=1)
    assert turning.newest[56] not in turning.completed()
    assert len(turning.completed()) == 2 * EACH - 1


def test_a_chain_that_does_not_answer_lets_nothing_be_written(turning: Turning) -> None:
    before = turning.documents()
    turning.chains[8453].anvil.stop()
    ran = turning.apply(code=4)
    assert "chain:8453 could not be asked whether the money that the changes rest on is still there" in ran.stderr
    assert "nothing that rests on it was written" in ran.stderr
    assert turning.documents() == before
    assert json.loads(turning.run("runs", "--format", "json", code=0).stdout)["runs"] == []
