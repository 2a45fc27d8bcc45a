"""Known wallets on a real chain: what they held, what moved through the real proxy, and one leak, to the unit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recon.core.registry import load_registry
from tests.support import servers
from tests.support import vendor_faults as vendor
from tests.support.builders import PAYER, RECIPIENT, payment_document, reference, request_id
from tests.support.onchain import Chain
from tests.support.provider_servers import rn_request
from tests.support.rails import CHAIN_ID, UNITS, Marketplace, recon, served, write_config

DATABASE = "marketplace"
HOT = "0x" + "40" * 20
SELLER = "0x" + "5e" * 20
STRANGER = "0x" + "66" * 20
FEES = "0x" + "fe" * 20
OPENING = 1_000 * 10**18
FEE = 7 * 10**16
LEAK = 3 * 10**18 + 1
SETTLED_BLOCKS = 80
"""A scan may begin that many blocks before the window: the wallet is filled before them."""


@dataclass
class Wallets:
    """A marketplace whose payouts leave from a known wallet, which leaks once."""

    chain: Chain
    token: str
    market: Marketplace
    hashes: dict[str, str] = field(default_factory=dict)


def made_at() -> datetime:
    return datetime.fromtimestamp(int(time.time()) - 3_600, tz=UTC)


def add(wallets: Wallets, number: int, tx_hash: str, **changes: Any) -> None:
    document = payment_document(number, {"blockchain.transactionHash": tx_hash, **changes})
    wallets.market.documents.append({**document, "createdAt": made_at(), "updatedAt": made_at()})
    facts = {"requestId": request_id(number), "paymentReference": "0x" + reference(number)}
    paid = {"hasBeenPaid": True, "txHash": tx_hash}
    wallets.market.request_network.requests[request_id(number)] = rn_request(number, **facts, **paid)


@pytest.fixture(scope="module")
def wallets() -> Iterator[Wallets]:
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 7_200)
    token = load_registry().token(CHAIN_ID, "USDC")
    assert token is not None
    with Chain(anvil, block_s=3) as chain:
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        chain.mint(token.address, chain.impersonate(HOT), OPENING)
        chain.approve(token.address, chain.proxy, payer=HOT)
        chain.mine(SETTLED_BLOCKS)
        chain.set_next_time(int(time.time()) - 2_400)
        chain.mine()
        played = Wallets(chain, token.address, Marketplace(chain))
        for number in (1, 2):
            paid = chain.pay(token.address, RECIPIENT, UNITS, reference=reference(number), fee_units=FEE, fee_to=FEES)
            add(played, number, paid)
        sent = chain.pay(token.address, SELLER, UNITS, reference=reference(3), fee_units=FEE, fee_to=FEES, payer=HOT,
                         approve=False)  # fmt: skip
        add(played, 3, sent, direction="out", escrowState="released", **{"blockchain.receiver": SELLER})
        played.hashes["leak"] = chain.transfer(token.address, STRANGER, LEAK, payer=HOT)
        chain.transfer(token.address, HOT, 5, payer=HOT)
        chain.mine(60)
        chain.set_next_time(int(time.time()) - 2)
        chain.mine()
        yield played
    anvil.stop()


@pytest.fixture(scope="module")
def uri(wallets: Wallets) -> Iterator[str]:
    mongo = servers.start_mongod(auth=True)
    with mongo.client() as client:
        client[DATABASE]["payments"].insert_many(wallets.market.documents)
    yield mongo.create_user("reader", "reader-pass", database=DATABASE, role="read")
    mongo.stop()


def planned(wallets: Wallets, uri: str, folder: Path, *urls: str, code: int) -> dict[str, Any]:
    with served(wallets.market) as (request_network, shkeeper):
        path = write_config(
            folder, chain_url='", "'.join(urls), request_network=request_network, shkeeper=shkeeper, database=DATABASE
        )
        path.write_text(path.read_text().replace("[merchant]\n", f'[merchant]\npayout_wallets = ["{HOT}"]\n'))
        ran = recon(["plan", "--format", "json"], folder=folder, uri=uri)
    assert ran.returncode == code, ran.stdout[-3_000:] + ran.stderr[-3_000:]
    return dict(json.loads(ran.stdout))


def row_of(plan: dict[str, Any], wallets: Wallets, wallet: str) -> dict[str, Any]:
    [row] = [row for row in plan["balances"]["rows"] if (row["wallet"], row["token"]) == (wallet, wallets.token)]
    return dict(row)


def figures(row: dict[str, Any], *names: str) -> list[int | None]:
    return [None if row[name] is None else int(row[name]) for name in names]


NAMES = ("opening", "in", "out", "fees", "closing", "explained_in", "explained_out", "unexplained_out", "residual")


def test_the_wallets_of_a_real_chain_add_up_to_the_unit_but_for_the_leak(
    wallets: Wallets, uri: str, tmp_path: Path
) -> None:
    plan = planned(wallets, uri, tmp_path, wallets.chain.url, code=1)
    left = UNITS + FEE + LEAK + 5
    hot = row_of(plan, wallets, HOT)
    assert figures(hot, *NAMES) == [
        OPENING, 5, left, FEE, OPENING - left + 5, 5, left - LEAK, LEAK, 0,
    ]  # fmt: skip
    assert int(hot["closing"]) == wallets.chain.balance(wallets.token, HOT), "the chain says the same"
    assert figures(row_of(plan, wallets, RECIPIENT), *NAMES) == [
        0, 2 * UNITS, 0, 0, 2 * UNITS, 2 * UNITS, 0, 0, 0,
    ]  # fmt: skip
    [listed] = plan["balances"]["unexplained"]
    assert (listed["tx_hash"], listed["units"], listed["counterparty"], listed["wallet"]) == (
        wallets.hashes["leak"], str(LEAK), STRANGER, HOT,
    )  # fmt: skip
    assert [item["verdict"] for item in plan["findings"]] == ["unexplained_outflow"]
    assert plan["summary"]["health"]["ok"] is True
    assert PAYER not in json.dumps(plan["balances"])


def without_old_state(wallets: Wallets) -> vendor.Handler:
    """The same chain behind a node that forgets what is older than 60 blocks, in geth's words."""
    forward = vendor.forward_to(wallets.chain.url)

    def answer(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_call" and int(call["params"][1], 16) < wallets.chain.head() - 60:
            raise vendor.RpcFaultError(f"missing trie node {'ab' * 32} (path ) state 0x{'cd' * 32} is not available")
        return forward(call)

    return vendor.handler_of(answer)


def test_a_node_that_answers_missing_trie_node_makes_cannot_tell_and_no_zero(
    wallets: Wallets, uri: str, tmp_path: Path
) -> None:
    with vendor.serve(without_old_state(wallets)) as url:
        plan = planned(wallets, uri, tmp_path, url, code=1)
    hot = row_of(plan, wallets, HOT)
    left = UNITS + FEE + LEAK + 5
    assert figures(hot, *NAMES) == [None, 5, left, FEE, OPENING - left + 5, 5, left - LEAK, LEAK, None]
    assert hot["problems"] == [f"The node keeps no state of block {hot['opening_block']}."]
    assert [item["verdict"] for item in plan["findings"]] == ["unexplained_outflow"]


def test_an_archive_behind_the_first_endpoint_is_asked_for_what_that_one_forgot(
    wallets: Wallets, uri: str, tmp_path: Path
) -> None:
    with vendor.serve(without_old_state(wallets)) as url:
        plan = planned(wallets, uri, tmp_path, url, wallets.chain.url, code=1)
    assert figures(row_of(plan, wallets, HOT), "opening", "residual") == [OPENING, 0]


def test_a_balance_set_without_a_transfer_is_a_residual_and_the_evidence_incomplete(
    wallets: Wallets, uri: str, tmp_path: Path
) -> None:
    """As a token that rebases does it: the balance is another one, and no log tells of it."""
    chain, before = wallets.chain, wallets.chain.snapshot()
    try:
        held = chain.balance(wallets.token, HOT)
        chain.rpc("anvil_dealERC20", HOT, wallets.token, hex(held - 11))
        chain.mine(2)
        assert chain.balance(wallets.token, HOT) == held - 11
        plan = planned(wallets, uri, tmp_path, chain.url, code=4)
    finally:
        chain.revert(before)
    assert figures(row_of(plan, wallets, HOT), "closing", "unexplained_out", "residual") == [held - 11, LEAK, -11]
    [reason] = plan["summary"]["health"]["reasons"]
    assert reason.startswith(f"{HOT} holds 0.000000000000000011 USDC less")
    assert figures(row_of(plan, wallets, RECIPIENT), "residual") == [0]
