"""The servers that other tests stand on are real, behave as the facts say, and leave nothing behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128
from pymongo.errors import NotPrimaryError, OperationFailure, PyMongoError

from recon.core.ids import reference_topic
from tests.support import servers
from tests.support.onchain import Chain, RevertedError, RpcRefusedError, call_data, selector

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.conftest import AnvilStarter, ChainStarter, MongodStarter

TO = "0x" + "a1" * 20
FEE_TO = "0x" + "fe" * 20
USDC_BSC = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
REFERENCE = "86dfbccad783599a"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_mongod_takes_transactions_and_decimals(mongo_database: Database[dict[str, Any]]) -> None:
    rows = mongo_database["payments"]
    rows.insert_one({"_id": 1, "amount": Decimal128("12.50")})
    with mongo_database.client.start_session() as session, session.start_transaction():
        rows.insert_one({"_id": 2, "amount": 12.5}, session=session)
    assert rows.count_documents({"amount": 12.5}) == 2


def test_mongo_database_is_empty_at_the_start_of_each_test(mongo_database: Database[dict[str, Any]]) -> None:
    assert mongo_database.list_collection_names() == []


def test_mongod_survives_a_kill_with_its_data(start_mongod: MongodStarter) -> None:
    server = start_mongod()
    with server.client() as client:
        client["marketplace"]["payments"].with_options().insert_one({"_id": 1})
    pid = server.pid
    server.kill()
    assert not is_alive(pid)
    server.start()
    with server.client() as client:
        assert client["marketplace"]["payments"].count_documents({}) == 1


def test_mongod_steps_down_and_comes_back(start_mongod: MongodStarter) -> None:
    server = start_mongod()
    server.step_down(1)
    with server.client(server._direct(), directConnection=True) as client, pytest.raises(NotPrimaryError):
        client["marketplace"]["payments"].insert_one({"_id": 1})
    server.wait_writable()
    with server.client() as client:
        client["marketplace"]["payments"].insert_one({"_id": 1})


@pytest.mark.parametrize("replica_set", [True, False])
def test_a_reader_reads_and_cannot_write(start_mongod: MongodStarter, replica_set: bool) -> None:
    server = start_mongod(auth=True, replica_set=replica_set)
    with server.client() as client:
        client["marketplace"]["payments"].insert_one({"_id": 1})
    uri = server.create_user("reader", "p@ss/word", database="marketplace")
    with server.client(uri) as client:
        assert client["marketplace"]["payments"].find_one() == {"_id": 1}
        with pytest.raises(OperationFailure, match="not authorized"):
            client["marketplace"]["payments"].insert_one({"_id": 2})
        with pytest.raises(OperationFailure, match="not authorized"):
            client["elsewhere"]["payments"].find_one()


def test_a_mongod_with_authentication_tells_a_stranger_nothing(start_mongod: MongodStarter) -> None:
    server = start_mongod(auth=True, replica_set=False)
    with server.client(server._direct(login=False)) as client, pytest.raises(OperationFailure, match="authentication"):
        client["marketplace"]["payments"].find_one()
    with server.client(server.uri_for("nobody", "wrong")) as client, pytest.raises(PyMongoError, match="failed"):
        client["marketplace"]["payments"].find_one()


def test_stopping_ends_the_process_and_removes_the_folder() -> None:
    server = servers.start_anvil(56)
    pid, folder = server.pid, server.folder
    assert is_alive(pid)
    server.stop()
    assert not is_alive(pid)
    assert not folder.exists()


def test_a_missing_program_fails_and_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_TEST_ANVIL", "/nowhere/anvil")
    with pytest.raises(servers.MissingProgramError, match="npm ci"):
        servers.start_anvil()
    monkeypatch.setenv("RECON_TEST_MONGOD", "/nowhere/mongod")
    with pytest.raises(servers.MissingProgramError, match="RECON_TEST_MONGOD"):
        servers.start_mongod()


def test_a_server_that_cannot_start_fails_with_its_log() -> None:
    with pytest.raises(servers.ServerDiedError, match="unexpected argument"):
        servers.start_anvil(options=["--no-such-option"])


def test_anvil_starts_where_it_is_told(start_anvil: AnvilStarter) -> None:
    with Chain(start_anvil(1, number=10_774_766, timestamp=1_598_800_000), block_s=12) as chain:
        assert (chain.head(), chain.block_time()) == (10_774_766, 1_598_800_000)
        assert chain.mine(20) == 10_774_786
        assert chain.block_time() == 1_598_800_000 + 20 * 12
        assert (chain.head("safe"), chain.head("finalized")) == (10_774_782, 10_774_778)


def test_a_payment_moves_money_and_leaves_three_logs(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    tx_hash = chain.pay(USDC_BSC, TO, 125 * 10**16, reference=REFERENCE, fee_units=10**16, fee_to=FEE_TO)
    assert (chain.balance(USDC_BSC, TO), chain.balance(USDC_BSC, FEE_TO)) == (125 * 10**16, 10**16)
    receipt = chain.receipt(tx_hash)
    assert receipt is not None
    assert [log["address"] for log in receipt["logs"]] == [USDC_BSC, USDC_BSC, chain.proxy]
    [log] = chain.proxy_logs()
    assert log["topics"][1] == reference_topic(REFERENCE)
    assert len(bytes.fromhex(log["data"][2:])) == 160


def test_every_known_chain_carries_its_proxies_and_tokens(start_chain: ChainStarter) -> None:
    for chain_id, proxies in ((1, 1), (56, 1), (137, 2), (8453, 1), (42161, 1)):
        chain = start_chain(chain_id)
        assert len(chain.proxies) == proxies
        assert all(len(chain.rpc("eth_getCode", proxy, "latest")) > 4000 for proxy in chain.proxies)


def test_token_decimals_are_those_of_the_chain(start_chain: ChainStarter) -> None:
    assert int(start_chain(56).call(USDC_BSC, selector("decimals()")), 16) == 18


def test_a_fee_to_nobody_is_in_the_log_and_was_not_paid(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    receipt = chain.receipt(chain.pay(USDC_BSC, TO, 10, reference=REFERENCE, fee_units=5))
    assert receipt is not None
    assert len(receipt["logs"]) == 2
    assert int(receipt["logs"][1]["data"][2 + 64 * 3 : 2 + 64 * 4], 16) == 5


def test_an_unapproved_payment_reverts_without_a_log(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    tx_hash = chain.pay(USDC_BSC, TO, 10, reference=REFERENCE, approve=False, check=False)
    receipt = chain.receipt(tx_hash)
    assert receipt is not None
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    with pytest.raises(RevertedError):
        chain.transfer(USDC_BSC, TO, 1, payer=chain.accounts[1])


def test_a_fake_token_carries_any_amount_and_no_transfer(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    fake = chain.deploy_fake_token("0x" + "fa" * 20)
    receipt = chain.receipt(chain.pay(fake, TO, 2**256 - 1, reference=REFERENCE, approve=False))
    assert receipt is not None
    assert [log["address"] for log in receipt["logs"]] == [chain.proxy]


def test_references_of_any_length_are_taken(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    for reference in ("", "ab" * 100):
        chain.pay(USDC_BSC, TO, 1, reference=reference)
    assert [log["topics"][1] for log in chain.proxy_logs()] == [reference_topic(""), reference_topic("ab" * 100)]


def test_several_payments_wait_and_share_a_block(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    chain.approve(USDC_BSC, chain.proxy)
    data = [chain.payment_data(USDC_BSC, TO, n, reference=f"{n:016x}") for n in range(1, 101)]
    hashes = [chain.send(chain.proxy, each, mine=False) for each in data]
    assert chain.receipt(hashes[0]) is None
    chain.mine()
    logs = chain.proxy_logs()
    assert [log["transactionHash"] for log in logs] == hashes
    assert len({log["blockNumber"] for log in logs}) == 1


def test_one_transaction_carries_many_payments(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    hashes = chain.pay_many(USDC_BSC, TO, [(f"{n:016x}", n) for n in range(400)])
    logs = chain.proxy_logs()
    assert (len(hashes), len(logs)) == (3, 400)
    assert chain.balance(USDC_BSC, TO) == sum(range(400))


def test_a_reorg_takes_a_payment_away(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    chain.approve(USDC_BSC, chain.proxy)
    tx_hash = chain.pay(USDC_BSC, TO, 10, reference=REFERENCE, approve=False)
    head = chain.head()
    chain.reorg(1)
    assert chain.head() == head
    assert chain.receipt(tx_hash) is None
    assert chain.proxy_logs() == []


def test_a_snapshot_brings_the_state_back(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    before = chain.snapshot()
    chain.pay(USDC_BSC, TO, 10, reference=REFERENCE)
    chain.revert(before)
    assert chain.balance(USDC_BSC, TO) == 0
    chain.pay(USDC_BSC, TO, 10, reference=REFERENCE)
    assert chain.balance(USDC_BSC, TO) == 10


def test_anyone_can_be_the_payer(start_chain: ChainStarter) -> None:
    chain = start_chain(56)
    payer = chain.impersonate("0x" + "77" * 20)
    chain.mint(USDC_BSC, payer, 10)
    chain.pay(USDC_BSC, TO, 10, reference=REFERENCE, payer=payer)
    assert chain.balance(USDC_BSC, TO) == 10


def test_the_node_refuses_what_it_does_not_know(start_anvil: AnvilStarter) -> None:
    with Chain(start_anvil(56)) as chain, pytest.raises(RpcRefusedError, match="eth_nothing"):
        chain.rpc("eth_nothing")


def test_call_data_is_abi_encoded() -> None:
    assert selector("transfer(address,uint256)") == "0xa9059cbb"
    encoded = call_data("f(uint256,bytes[])", 1, [b"ab", b""])
    words = [encoded[10:][at : at + 64] for at in range(0, len(encoded) - 10, 64)]
    assert [int(word, 16) for word in words[:5]] == [1, 64, 2, 64, 128]
    assert words[6].startswith("6162")
