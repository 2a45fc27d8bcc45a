"""A recorded world answers as the real services do, the awkward ways included."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.core.registry import TRANSFER_WITH_REFERENCE_AND_FEE, load_registry
from recon.simulation import World, generate_world, plant_world, write_world
from recon.sources.providers.request_network import recorded as request_network
from recon.sources.providers.shkeeper import recorded as shkeeper
from recon.sources.recorded.format import RecordedChain, RecordedWorld, block_hash
from recon.sources.recorded.world import (
    FaultRule,
    RecordedWorldError,
    load_world,
    rpc_handler,
)

Ask = Callable[..., Any]
KEY = {"X-Shkeeper-Api-Key": "recorded"}


@pytest.fixture(scope="module")
def world() -> World:
    return generate_world(payments=150, seed=3)


def get(handler: Any, path: str, headers: dict[str, str] | None = None, **params: str) -> httpx.Response:
    with httpx.Client(transport=httpx.MockTransport(handler), base_url="http://recorded.invalid") as client:
        return client.get(path, params=params, headers=headers)


def rpc(handler: Any, method: str, *params: Any) -> Any:
    with httpx.Client(transport=httpx.MockTransport(handler)) as client:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        answer = client.post("http://recorded.invalid", json=body).json()
    assert answer["id"] == 7
    return answer.get("result", answer.get("error"))


def requests_of(world: World) -> list[dict[str, Any]]:
    return [line["request"] for line in world.recorded.said["request_network"] if "request" in line]


def payments_of(world: World) -> list[dict[str, Any]]:
    return [line["payment"] for line in world.recorded.said["request_network"] if "payment" in line]


# ------------------------------------------------------------------------------------------------------ the directory


def test_what_is_written_is_read_back(world: World, tmp_path: Path) -> None:
    write_world(world, tmp_path)
    read = load_world(tmp_path)
    assert [dict(d) for d in read.payments] == [dict(d) for d in world.recorded.payments]
    assert read.now == world.recorded.now and read.faults == world.recorded.faults
    assert {name: list(said) for name, said in read.said.items() if list(said)} == {
        name: list(said) for name, said in world.recorded.said.items()
    }, "a provider that is not in the world has said nothing"
    assert list(read.deliveries) == list(world.recorded.deliveries)
    assert read.merchant_recipients == world.recorded.merchant_recipients
    for chain_id, chain in world.recorded.chains.items():
        assert read.chains[chain_id] == replace(chain, logs=list(chain.logs), receipts=list(chain.receipts))


def test_dates_past_the_year_9999_and_aware_times_are_read(tmp_path: Path) -> None:
    write_world(plant_world("completed"), tmp_path)
    line = json.loads((tmp_path / "payments.ndjson").read_text())
    line["expiresAt"] = {"$date": {"$numberLong": "253402300800000"}}
    (tmp_path / "payments.ndjson").write_text(json.dumps(line) + "\n")
    document = load_world(tmp_path).payments[0]
    assert document["createdAt"].tzinfo is not None
    assert int(document["expiresAt"]) == 253402300800000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("world.json", "", "the file is not JSON"),
        ("world.json", "[]", "not of format 1"),
        ("world.json", '{"format": 2}', "not of format 1"),
        ("world.json", '{"format": 1, "now": "yesterday"}', "not a recorded world"),
        ("payments.ndjson", '{"_id": {"$oid": "zz"}}\n', "line 1 is not canonical Extended JSON"),
        ("payments.ndjson", "{\n", "line 1 is not canonical Extended JSON"),
        ("shkeeper.ndjson", "[1]\n", "a line is not a JSON object"),
        ("chain-56.ndjson", '{"log": \n', "a line is not a JSON object"),
        ("faults.json", '{"rules": [{"who": 1}]}', "not a recorded world"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, name: str, content: str, said: str) -> None:
    write_world(plant_world("completed"), tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(RecordedWorldError, match=said) as caught:
        load_world(tmp_path)
    assert "recon simulate" in str(caught.value)


@pytest.mark.parametrize("name", ["world.json", "payments.ndjson"])
def test_a_missing_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    write_world(plant_world("completed"), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(RecordedWorldError, match=name):
        load_world(tmp_path)


def test_blocks_and_times_belong_together() -> None:
    chain = RecordedChain(chain_id=56, head=1_000, head_time_ms=10_000_000, block_ms=750)
    assert chain.time_ms(1_000) == 10_000_000
    assert chain.block_at(10_000_000) == 1_000
    assert chain.block_at(10_000_000 - 1) == 999
    assert chain.block_at(10_000_000 - 750) == 999
    assert chain.time_ms(chain.block_at(9_999_300)) <= 9_999_300


# ---------------------------------------------------------------------------------------------------- Request Network


def test_payments_are_paged_without_a_gap_or_a_repeat(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    seen: list[str] = []
    offset = 0
    while True:
        page = get(handler, "/v2/payments", type="direct", limit="17", offset=str(offset)).json()
        seen += [row["id"] for row in page["payments"]]
        if not page["pagination"]["hasMore"]:
            break
        offset += 17
    expected = [row["id"] for row in payments_of(world) if row["type"] == "direct"]
    assert len(seen) == page["pagination"]["total"] == len(expected)
    assert set(seen) == set(expected)


def test_the_page_size_has_a_default_and_a_maximum(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    assert get(handler, "/v2/payments", type="direct").json()["pagination"]["limit"] == 20
    assert get(handler, "/v2/payments", type="direct", limit="5000").json()["pagination"]["limit"] == 100


def test_payments_want_a_filter_and_whole_numbers(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    refused = get(handler, "/v2/payments", limit="10")
    assert refused.status_code == 400 and refused.json()["errors"][0]["field"]
    assert get(handler, "/v2/payments", type="direct", limit="ten").status_code == 400


def test_payments_are_filtered_by_what_the_api_knows(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    row = next(row for row in payments_of(world) if row["sourceTxHash"])
    request_id = row["request"]["requestId"]
    by_id = get(handler, "/v2/payments", requestId=request_id).json()["payments"]
    by_reference = get(handler, "/v2/payments", paymentReference=row["request"]["paymentReference"].upper()).json()
    by_hash = get(handler, "/v2/payments", txHash=row["sourceTxHash"]).json()["payments"]
    assert row in by_id and row in by_reference["payments"] and row in by_hash
    assert all(found["request"]["requestId"] == request_id for found in by_id)
    nothing = get(handler, "/v2/payments", requestId=request_id, type="recurring").json()
    assert nothing["payments"] == [] and nothing["pagination"]["total"] == 0


def test_payments_are_found_by_the_wallet_that_was_paid() -> None:
    world = plant_world("webhook_lost", "webhook_lost", "webhook_lost", seed=4)
    handler = request_network.request_network_handler(world.recorded)
    row = next(row for row in payments_of(world))
    hashes = {log["transactionHash"]: log for chain in world.recorded.chains.values() for log in chain.logs}
    payee = (
        "0x" + hashes[row["sourceTxHash"]]["topics"][2][-40:]
        if len(hashes[row["sourceTxHash"]]["topics"]) == 3
        else "0x" + hashes[row["sourceTxHash"]]["data"][90:130]
    )
    found = get(handler, "/v2/payments", walletAddress=payee).json()["payments"]
    assert row in found
    assert get(handler, "/v2/payments", walletAddress="0x" + "9" * 40).json()["payments"] == []


def test_the_window_of_payments_includes_both_its_ends(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    row = payments_of(world)[0]
    at = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00"))
    later = (at + timedelta(milliseconds=1)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    inside = get(
        handler, "/v2/payments", type=row["type"], fromDate=row["timestamp"], toDate=row["timestamp"], limit="100"
    ).json()["payments"]
    outside = get(handler, "/v2/payments", type=row["type"], fromDate=later, limit="100").json()["payments"]
    assert row in inside and row not in outside


def test_a_request_is_found_by_id_and_in_the_older_api_by_reference(world: World) -> None:
    handler = request_network.request_network_handler(world.recorded)
    body = requests_of(world)[0]
    assert get(handler, f"/v2/request/{body['requestId']}").json() == body
    older = get(handler, f"/v1/request/{body['paymentReference'].removeprefix('0x')}").json()
    assert older == {
        name: body[name] for name in ("hasBeenPaid", "paymentReference", "requestId", "isListening", "txHash")
    }
    missing = get(handler, "/v2/request/01" + "0" * 64)
    assert missing.status_code == 404 and missing.json()["statusCode"] == 404
    assert get(handler, "/v2/nowhere").status_code == 404


# ----------------------------------------------------------------------------------------------------------- SHKeeper


def test_the_gateway_answers_whole_tables_and_errors_with_200(world: World) -> None:
    handler = shkeeper.shkeeper_handler(world.recorded)
    invoices = [line["invoice"] for line in world.recorded.said["shkeeper"] if "invoice" in line]
    assert get(handler, "/api/v1/invoices", KEY, page="2", limit="1").json()["invoices"] == invoices
    assert "BNB-USDT" in get(handler, "/api/v1/crypto").json()["crypto"]
    refused = get(handler, "/api/v1/invoices")
    assert refused.status_code == 200 and refused.json() == {"status": "error", "message": "No API key"}
    assert get(handler, "/api/v1/healthcheck", KEY).json() == {"code": 404, "status": "Not Found"}


def test_an_unknown_order_number_is_an_empty_list_and_a_shared_one_several_invoices() -> None:
    world = plant_world("several_invoices", seed=2)
    handler = shkeeper.shkeeper_handler(world.recorded)
    external_id = next(line["invoice"]["external_id"] for line in world.recorded.said["shkeeper"] if "invoice" in line)
    assert len(get(handler, f"/api/v1/invoices/{external_id}", KEY).json()["invoices"]) == 2
    unknown = get(handler, "/api/v1/invoices/nobody", KEY)
    assert unknown.status_code == 200 and unknown.json() == {"status": "success", "invoices": []}


def test_the_gateway_compares_addresses_by_letter_case(world: World) -> None:
    handler = shkeeper.shkeeper_handler(world.recorded)
    tx = next(line["transaction"] for line in world.recorded.said["shkeeper"] if "transaction" in line)
    path = "/api/v1/transactions/{}/{}"
    assert tx in get(handler, path.format(tx["crypto"], tx["addr"]), KEY).json()["transactions"]
    other_case = "0x" + tx["addr"][2:].upper()
    assert get(handler, path.format(tx["crypto"], other_case), KEY).json()["transactions"] == []
    assert tx in get(handler, "/api/v1/transactions", KEY).json()["transactions"]


def test_a_payout_has_real_status_codes(world: World) -> None:
    handler = shkeeper.shkeeper_handler(world.recorded)
    payout = next(line["payout"] for line in world.recorded.said["shkeeper"] if "payout" in line)
    path = f"/api/v1/{payout['crypto']}/payout/status"
    assert get(handler, path, KEY, external_id=payout["external_id"]).json() == payout
    assert get(handler, path, KEY, external_id="nobody").status_code == 404
    assert get(handler, path, KEY).status_code == 400


def test_the_amount_of_a_transaction_is_told_by_order_number(world: World) -> None:
    handler = shkeeper.shkeeper_handler(world.recorded)
    invoice = next(line["invoice"] for line in world.recorded.said["shkeeper"] if line.get("invoice", {}).get("txs"))
    tx = invoice["txs"][0]
    info = get(handler, f"/api/v1/tx-info/{tx['txid']}/{invoice['external_id']}", KEY).json()["info"]
    assert info == {"crypto": tx["crypto"], "amount": tx["amount"], "addr": tx["addr"]}
    assert get(handler, f"/api/v1/tx-info/0x00/{invoice['external_id']}", KEY).json()["info"] == {}


# ------------------------------------------------------------------------------------------------------------- chains


def test_a_node_names_its_chain_and_its_heads(world: World) -> None:
    handler = rpc_handler(world.recorded, 8453)
    chain = world.recorded.chains[8453]
    assert rpc(handler, "eth_chainId") == hex(8453)
    assert rpc(handler, "eth_blockNumber") == hex(chain.head)
    assert rpc(handler, "eth_getBlockByNumber", "finalized", False)["number"] == hex(chain.finalized or 0)
    block = rpc(handler, "eth_getBlockByNumber", hex(chain.head - 5), False)
    child = rpc(handler, "eth_getBlockByNumber", hex(chain.head - 4), False)
    assert child["parentHash"] == block["hash"] == block_hash(8453, chain.head - 5)
    assert int(block["timestamp"], 16) == chain.time_ms(chain.head - 5) // 1000
    assert rpc(handler, "eth_getBlockByNumber", hex(chain.head + 1), False) is None


def test_a_node_without_the_finalized_tag_refuses_it() -> None:
    chain = RecordedChain(chain_id=137, head=100, head_time_ms=0, block_ms=2_000)
    world = RecordedWorld(now=datetime(2026, 1, 1, tzinfo=UTC), seed=0, chains={137: chain})
    assert rpc(rpc_handler(world, 137), "eth_getBlockByNumber", "finalized", False)["code"] == -32602


def test_logs_are_filtered_by_range_address_and_topics(world: World) -> None:
    chain = world.recorded.chains[56]
    handler = rpc_handler(world.recorded, 56)
    proxy = load_registry().emitters_of(56, kind="fee_proxy")[0].address
    low = int(chain.logs[0]["blockNumber"], 16)
    whole = {"fromBlock": hex(low), "toBlock": hex(chain.head), "address": proxy.upper().replace("0X", "0x")}
    proxied = rpc(handler, "eth_getLogs", {**whole, "topics": [TRANSFER_WITH_REFERENCE_AND_FEE]})
    expected = [log for log in chain.logs if log["address"] == proxy]
    assert len(proxied) == len(expected) > 10
    topic = expected[0]["topics"][1]
    one = rpc(handler, "eth_getLogs", {**whole, "topics": [None, [topic, "0x" + "0" * 64]]})
    assert {log["topics"][1] for log in one} == {topic}
    middle = int(expected[4]["blockNumber"], 16)
    before = rpc(handler, "eth_getLogs", {**whole, "toBlock": hex(middle - 1)})
    after = rpc(handler, "eth_getLogs", {**whole, "fromBlock": hex(middle)})
    assert len(before) + len(after) == len(rpc(handler, "eth_getLogs", whole))


def test_a_receipt_holds_the_logs_of_its_transaction(world: World) -> None:
    chain = world.recorded.chains[56]
    handler = rpc_handler(world.recorded, 56)
    tx_hash = chain.logs[0]["transactionHash"]
    receipt = rpc(handler, "eth_getTransactionReceipt", tx_hash.upper().replace("0X", "0x"))
    assert [log["logIndex"] for log in receipt["logs"]] == [
        log["logIndex"] for log in chain.logs if log["transactionHash"] == tx_hash
    ]
    assert receipt["status"] == "0x1"
    assert rpc(handler, "eth_getTransactionReceipt", "0x" + "1" * 64) is None
    assert rpc(handler, "eth_getTransactionByHash", "0x" + "1" * 64) is None
    assert rpc(handler, "eth_getTransactionByHash", tx_hash)["blockNumber"] == receipt["blockNumber"]


def test_a_reverted_transaction_has_a_receipt_and_no_logs() -> None:
    world = plant_world("reverted", seed=5)
    ((chain_id, chain),) = [(key, chain) for key, chain in world.recorded.chains.items() if chain.receipts]
    receipt = rpc(
        rpc_handler(world.recorded, chain_id), "eth_getTransactionReceipt", chain.receipts[0]["transactionHash"]
    )
    assert receipt["status"] == "0x0" and receipt["logs"] == []


def test_a_vanished_transaction_leaves_a_removed_log_and_no_receipt() -> None:
    world = plant_world("reorganised_away", seed=5)
    ((chain_id, chain),) = [(key, chain) for key, chain in world.recorded.chains.items() if chain.logs]
    assert chain.logs[0]["removed"] and not chain.receipts
    handler = rpc_handler(world.recorded, chain_id)
    assert rpc(handler, "eth_getTransactionReceipt", chain.logs[0]["transactionHash"]) is None


def test_a_batch_is_answered_in_order_and_bad_input_by_an_error(world: World) -> None:
    handler = rpc_handler(world.recorded, 1)
    with httpx.Client(transport=httpx.MockTransport(handler)) as client:
        calls = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId"} for n in (3, 1, 2)]
        answers = client.post("http://recorded.invalid", json=calls).json()
        assert [answer["id"] for answer in answers] == [3, 1, 2]
        assert client.post("http://recorded.invalid", content=b"{").json()["error"]["code"] == -32700
        assert client.post("http://recorded.invalid", json=5).json()["error"]["code"] == -32600
    assert rpc(handler, "eth_coinbase")["code"] == -32601
    assert rpc(handler, "eth_getLogs", {"fromBlock": "soon"})["code"] == -32602
    assert rpc(handler, "eth_getTransactionReceipt")["code"] == -32602
    with pytest.raises(RecordedWorldError, match="no chain 10"):
        rpc_handler(world.recorded, 10)


def test_a_token_tells_its_decimals_and_a_stranger_nothing(world: World) -> None:
    handler = rpc_handler(world.recorded, 56)
    token = load_registry().token(56, "USDC")
    assert token is not None
    call = {"to": token.address, "data": "0x313ce567"}
    assert int(rpc(handler, "eth_call", call, "latest"), 16) == 18
    symbol = rpc(handler, "eth_call", {"to": token.address, "data": "0x95d89b41"}, "latest")
    assert bytes.fromhex(symbol[2:])[64:68] == b"USDC"
    assert rpc(handler, "eth_call", {"to": "0x" + "1" * 40, "data": "0x313ce567"}, "latest") == "0x"
    assert rpc(handler, "eth_getCode", token.address, "latest") != "0x"
    assert rpc(handler, "eth_getCode", "0x" + "1" * 40, "latest") == "0x"


# ------------------------------------------------------------------------------------------------------------- faults


def test_a_rule_spoils_the_calls_it_names_and_no_others(world: World) -> None:
    body = requests_of(world)[0]
    path = f"/v2/request/{body['requestId']}"
    rules = (
        FaultRule("request_network", path, 503, {"message": "later"}, calls=(0, 2)),
        FaultRule("shkeeper", "/api/v1/invoices", 200, text="<html>login</html>"),
    )
    recorded = replace(world.recorded, faults=rules)
    handler = request_network.request_network_handler(recorded)
    assert [get(handler, path).status_code for _ in range(3)] == [503, 503, 200]
    assert get(shkeeper.shkeeper_handler(recorded), "/api/v1/invoices", KEY).text == "<html>login</html>"
    assert get(shkeeper.shkeeper_handler(recorded), "/api/v1/crypto").json()["status"] == "success"


def test_a_rule_spoils_a_range_of_blocks_on_one_chain(world: World) -> None:
    error = {"code": -32000, "message": "missing trie node"}
    rule = FaultRule("chain:56", "eth_getLogs", body=error, from_block=100, to_block=200)
    recorded = replace(world.recorded, faults=(rule,))
    handler = rpc_handler(recorded, 56)
    assert rpc(handler, "eth_getLogs", {"fromBlock": hex(150), "toBlock": hex(160)}) == error
    assert rpc(handler, "eth_getLogs", {"fromBlock": hex(200), "toBlock": hex(300)}) == error
    assert rpc(handler, "eth_getLogs", {"fromBlock": hex(201), "toBlock": hex(300)}) == []
    assert rpc(rpc_handler(recorded, 1), "eth_getLogs", {"fromBlock": hex(150), "toBlock": hex(160)}) == []


def test_a_rule_may_cut_a_whole_answer_of_a_node(world: World) -> None:
    rule = FaultRule("chain:1", "eth_blockNumber", 502, text="Bad Gateway")
    handler = rpc_handler(replace(world.recorded, faults=(rule,)), 1)
    with httpx.Client(transport=httpx.MockTransport(handler)) as client:
        answer = client.post("http://recorded.invalid", json={"id": 1, "method": "eth_blockNumber"})
    assert answer.status_code == 502 and answer.text == "Bad Gateway"


# -------------------------------------------------------------------------------------------------------- hostile text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
METHODS = ("eth_getLogs", "eth_getBlockByNumber", "eth_getTransactionReceipt", "eth_call", "eth_getCode", "eth_nothing")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["world.json", "payments.ndjson", "shkeeper.ndjson", "chain-56.ndjson", "faults.json"]),
    content=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_no_content_of_a_file_gets_past_the_loader_as_another_error(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    write_world(plant_world("completed"), folder)
    (folder / name).write_bytes(content)
    with contextlib.suppress(RecordedWorldError):
        load_world(folder)


@settings(max_examples=150, deadline=None)
@given(method=st.sampled_from(METHODS), params=JSON)
def test_a_node_answers_every_question_with_json(method: str, params: Any) -> None:
    chain = RecordedChain(chain_id=56, head=100, head_time_ms=10**12, block_ms=750)
    world = RecordedWorld(now=datetime(2026, 1, 1, tzinfo=UTC), seed=0, chains={56: chain})
    with httpx.Client(transport=httpx.MockTransport(rpc_handler(world, 56))) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = client.post("http://recorded.invalid", json=body).json()
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})


# ------------------------------------------------------------------------------------------------------ kinds of fault


def provider(action: str, **given: Any) -> Any:
    world = plant_world("webhook_lost", "webhook_lost", "webhook_lost", "webhook_lost", seed=4)
    rule = FaultRule("request_network", "*", action=action, **given)  # type: ignore[arg-type]
    return request_network.request_network_handler(replace(world.recorded, faults=(rule,)))


def test_a_connection_is_cut_or_stays_silent() -> None:
    with pytest.raises(httpx.ReadError):
        get(provider("cut"), "/v2/payments", type="direct")
    with pytest.raises(httpx.ReadTimeout):
        get(provider("slow"), "/v2/payments", type="direct")


def test_an_answer_is_truncated_emptied_or_repeated() -> None:
    whole = get(provider("answer", calls=(0, 0)), "/v2/payments", type="direct")
    assert get(provider("truncate"), "/v2/payments", type="direct").content == whole.content[: len(whole.content) // 2]
    assert get(provider("empty"), "/v2/payments", type="direct").content == b""
    rows = whole.json()["payments"]
    assert get(provider("repeat"), "/v2/payments", type="direct").json()["payments"] == [*rows, *rows[:3]]


def test_a_page_that_shifted_begins_one_row_early() -> None:
    straight = provider("answer", calls=(0, 0))
    first = get(straight, "/v2/payments", type="direct", limit="1").json()["payments"]
    assert get(provider("shift"), "/v2/payments", type="direct", limit="1", offset="1").json()["payments"] == first


def test_chance_is_replayed_from_its_seed() -> None:
    rule = FaultRule("shkeeper", "*", chance_ppm=300_000, seed=5)
    first, second = [[rule.hits(number) for number in range(200)] for _ in range(2)]
    assert first == second and 30 < sum(first) < 90
    assert first != [replace(rule, seed=6).hits(number) for number in range(200)]


def test_a_node_that_lags_hides_its_newest_blocks(world: World) -> None:
    chain = world.recorded.chains[56]
    newest = chain.logs[-1]
    depth = chain.head - int(newest["blockNumber"], 16) + 1
    handler = rpc_handler(replace(world.recorded, faults=(FaultRule("chain:56", "*", action="lag", depth=depth),)), 56)
    seen = chain.head - depth
    assert rpc(handler, "eth_blockNumber") == hex(seen)
    assert rpc(handler, "eth_getBlockByNumber", "latest", False)["number"] == hex(seen)
    assert rpc(handler, "eth_getBlockByNumber", hex(chain.head), False) is None
    assert rpc(handler, "eth_getTransactionReceipt", newest["transactionHash"]) is None
    logs = rpc(handler, "eth_getLogs", {"fromBlock": "0x1", "toBlock": hex(chain.head)})
    assert logs and all(int(log["blockNumber"], 16) <= seen for log in logs)


def test_a_node_repeats_logs_and_names_another_chain(world: World) -> None:
    chain = world.recorded.chains[56]
    question = {"fromBlock": "0x1", "toBlock": hex(chain.head)}
    repeats = rpc_handler(replace(world.recorded, faults=(FaultRule("chain:56", "eth_getLogs", action="repeat"),)), 56)
    assert len(rpc(repeats, "eth_getLogs", question)) == len(chain.logs) + 3
    other = rpc_handler(replace(world.recorded, faults=(FaultRule("chain:56", "eth_chainId", action="chain"),)), 56)
    assert rpc(other, "eth_chainId") == "0x1e240"


def test_a_fault_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="haunt"):
        FaultRule("shkeeper", "*", action="haunt")  # type: ignore[arg-type]
