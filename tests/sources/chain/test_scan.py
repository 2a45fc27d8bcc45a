"""Walking a chain for logs: ranges, failing endpoints, and answers that must not be believed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from recon.core.errors import WrongSourceError
from recon.core.ids import keccak256
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE
from recon.sources.chain.blocks import bloom_may_hold
from recon.sources.chain.evm import ChainSettings, Endpoint, EvmChain
from recon.sources.chain.logs import empty_columns
from recon.sources.chain.reading import replace_range
from recon.sources.chain.scan import Hole, Scan
from recon.sources.http import Clock
from recon.sources.interface import Reading
from tests.support import vendor_faults as vendor
from tests.support.chain_reading import (
    DAY_MS,
    HEAD,
    NOW_MS,
    PROXY,
    REGISTRY,
    SECRET,
    US,
    USDT,
    FakeTime,
    amounts,
    ask,
    assert_whole,
    chain_of,
    node_with,
    row_of,
)
from tests.support.vendor_faults import NOW_S, FakeNode, address, digest, handler_of, word

# Ranges (facts C2)

LIMITS = [
    ("query exceeds max block range {n}", -32602),
    ("Log response size exceeded. this block range should work: [{lo}, {hi}]", -32602),
    ("this block range should work: [{hi}, {lo}]", -32602),
    ("this block range should work: [0x1, 0x2]", -32602),
    ("retry with the range {dlo}-{dhi}", -32602),
    ("Block range limit exceeded.", -32000),
    ("no backend is currently healthy to serve traffic", -32011),
]


@pytest.mark.parametrize(("text", "code"), LIMITS)
def test_a_limit_on_blocks_is_learnt_and_nothing_is_missed(text: str, code: int) -> None:
    node = node_with()
    answer = vendor.limit_blocks(node.answer, 700, text, code=code)
    time = FakeTime()
    assert_whole(ask(chain_of(handler_of(answer), time=time)), 30)
    assert time.slept == ([2.0] if "healthy" in text else [])


def test_a_learnt_limit_is_remembered_and_not_tried_again() -> None:
    node = node_with()
    chain = chain_of(handler_of(vendor.limit_blocks(node.answer, 700, "exceed maximum block range: {n}")))
    ask(chain)
    before = len(node.calls)
    reading = ask(chain)
    sizes = [
        int(p[0]["toBlock"], 16) - int(p[0]["fromBlock"], 16) + 1 for m, p in node.calls[before:] if m == "eth_getLogs"
    ]
    assert max(sizes) == 700
    assert_whole(reading, 30)


def test_a_text_that_may_be_an_outage_is_one_when_asking_for_less_does_not_help() -> None:
    def down(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("no backend is currently healthy to serve traffic", -32011)

    sick = vendor.change_method(node_with().answer, "eth_getLogs", down)
    assert_whole(ask(chain_of(handler_of(sick), handler_of(node_with().answer))), 30)


def test_a_block_too_big_for_one_endpoint_is_asked_of_the_next() -> None:
    small, large = node_with(0), node_with(0)
    for node in (small, large):
        for n in range(40):
            node.pay(emitter=PROXY, block=HEAD - 500, tx=n, index=n, amount=n + 1)

    def refuse(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("the method does not exist", -32601)

    limited = vendor.limit_results(small.answer, 30, "Response is too big")
    limited = vendor.change_method(limited, "eth_getBlockReceipts", refuse)
    assert_whole(ask(chain_of(handler_of(limited), handler_of(large.answer))), 40)


def test_a_spare_that_is_far_behind_takes_nothing_from_the_head() -> None:
    spare = node_with(30)
    spare.head -= 50_000
    reading = ask(chain_of(handler_of(node_with().answer), handler_of(spare.answer)))
    assert row_of(reading, "proxy").head == HEAD


def test_a_limit_on_results_splits_until_it_fits() -> None:
    node = node_with(3_000, spread=5)
    text = "query returned more than 100 results. Try with this block range [{lo}, {hi}]."
    assert_whole(ask(chain_of(handler_of(vendor.limit_results(node.answer, 100, text)))), 3_000)


def test_a_silent_cut_at_a_round_number_is_found() -> None:
    node = node_with(2_500, spread=2)
    assert_whole(ask(chain_of(handler_of(vendor.cut_silently(node.answer, 1_000)))), 2_500)


def test_a_block_too_big_for_getlogs_is_read_from_its_receipts() -> None:
    node = node_with(0)
    for n in range(40):
        node.pay(emitter=PROXY, block=HEAD - 500, tx=n, index=n, amount=n + 1)
    answer = vendor.limit_results(node.answer, 30, "Response is too big")
    assert_whole(ask(chain_of(handler_of(answer))), 40)


def test_a_block_too_big_without_receipts_is_a_gap_of_that_block() -> None:
    node = node_with(5)
    for n in range(40):
        node.pay(emitter=PROXY, block=HEAD - 500, tx=100 + n, index=n, amount=1_000)

    def refuse(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("the method does not exist", -32601)

    answer = vendor.limit_results(node.answer, 30, "Response is too big")
    reading = ask(chain_of(handler_of(vendor.change_method(answer, "eth_getBlockReceipts", refuse))))
    assert [(gap.from_block, gap.to_block) for gap in reading.gaps] == [(HEAD - 500, HEAD - 500)]
    assert amounts(reading) == [1, 2, 3, 4, 5]
    gap = reading.gaps[0]
    assert gap.from_ms == gap.to_ms == node.time_s(HEAD - 500) * 1_000
    assert not row_of(reading, "proxy").complete


def test_a_range_limit_of_the_user_is_kept() -> None:
    node = node_with(3)
    ask(chain_of(handler_of(node.answer), range_blocks_max=250), days=0.02)
    sizes = [int(p[0]["toBlock"], 16) - int(p[0]["fromBlock"], 16) + 1 for m, p in node.calls if m == "eth_getLogs"]
    assert max(sizes) == 250


def test_ranges_grow_where_answers_are_small() -> None:
    node = node_with(0)
    ask(chain_of(handler_of(node.answer)), days=7)
    assert node.count("eth_getLogs") < 25


def test_the_ranges_done_tile_the_stretch_or_it_is_a_bug() -> None:
    Scan(1, 10, done=[(1, 4), (7, 10)], holes=[Hole(5, 6, "x")]).assert_tiles()
    for done in ([(1, 4), (6, 10)], [(1, 5), (5, 10)], [(1, 9)], [(2, 10)], [(1, 11)]):
        with pytest.raises(AssertionError):
            Scan(1, 10, done=done).assert_tiles()


def test_a_second_walk_replaces_exactly_its_blocks() -> None:
    scan = Scan(1, 10, done=[(1, 5), (8, 10)], tables=[empty_columns()] * 2, holes=[Hole(6, 7, "x")])
    replace_range(scan, Scan(4, 6, done=[(4, 6)], tables=[empty_columns()]))
    assert sorted(scan.done) == [(1, 3), (4, 6), (8, 10)]
    assert scan.holes == [Hole(7, 7, "x")]


# Failing endpoints (facts C3)


def test_the_next_endpoint_takes_over_and_its_chain_id_is_checked() -> None:
    node, spare = node_with(), node_with()
    dying = vendor.spoil(handler_of(node.answer), lambda body: vendor.Reply(b"", 503), method="eth_getLogs")
    reading = ask(chain_of(dying, handler_of(spare.answer)))
    assert_whole(reading, 30)
    assert spare.calls[0][0] == "eth_chainId"


def test_a_wrong_chain_id_stops_the_run() -> None:
    with pytest.raises(WrongSourceError, match=r"the chain id of node0.example should be 56 \(bsc\) and is 97"):
        ask(chain_of(handler_of(FakeNode(chain_id=97).answer)))


def test_a_wrong_chain_id_behind_a_switch_stops_the_run_too() -> None:
    dying = vendor.spoil(handler_of(node_with().answer), lambda body: vendor.Reply(b"", 503), method="eth_getLogs")
    with pytest.raises(WrongSourceError):
        ask(chain_of(dying, handler_of(FakeNode(chain_id=1).answer)))


Spoiled = Callable[[vendor.Handler], Callable[[bytes], vendor.Reply]]


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda handler: vendor.web_page(),
        vendor.cut_off,
        lambda handler: vendor.rate_limited("3"),
        lambda handler: vendor.rate_limited_inside,
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":1,"result":"soon"}'),
        lambda handler: lambda body: vendor.Reply(b'{"jsonrpc":"2.0","id":1,"result":{}}'),
    ],
)
def test_an_endpoint_that_is_sick_for_a_moment_costs_nothing(spoiled: Spoiled) -> None:
    good = handler_of(node_with().answer)
    assert_whole(ask(chain_of(vendor.spoil(good, spoiled(good), times=1, method="eth_getLogs"))), 30)


def test_a_null_list_of_logs_is_never_an_empty_one() -> None:
    good = node_with()
    once = vendor.change_method(good.answer, "eth_getLogs", lambda call: None, times=1)
    assert_whole(ask(chain_of(handler_of(once))), 30)
    always = vendor.change_method(good.answer, "eth_getLogs", lambda call: None)
    never = ask(chain_of(handler_of(always)), days=0.001)
    assert never.gaps and not row_of(never, "proxy").complete


def test_a_dead_chain_is_gaps_over_the_whole_window_and_failed_hashes() -> None:
    chain = chain_of(lambda body: vendor.Reply(b"", 503), vendor.web_page())
    reading = ask(chain, recipients=(US,), tx_hashes=(digest(1),))
    assert {(gap.scope, gap.from_ms, gap.to_ms) for gap in reading.gaps} == {
        (scope, int(NOW_MS - 0.2 * DAY_MS), NOW_MS) for scope in ("proxy", "erc20", "receipts")
    }
    assert reading.tables["transactions"]["outcome"].to_pylist() == ["failed"]
    assert reading.tables["transfers"].num_rows == 0
    assert all(not row.complete and row.problem for row in reading.coverage)
    assert SECRET not in str(reading)


def test_an_endpoint_without_getlogs_is_a_gap_and_not_an_empty_chain() -> None:
    def refuse(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("the method eth_getLogs does not exist", -32601)

    node = node_with()
    reading = ask(chain_of(handler_of(vendor.change_method(node.answer, "eth_getLogs", refuse))))
    (gap,) = {(gap.from_block, gap.to_block) for gap in reading.gaps[-1:]}
    assert gap[1] == HEAD - 1 and amounts(reading) == []
    covered = sorted((gap.from_block or 0, gap.to_block or 0) for gap in reading.gaps)
    assert covered[0][0] == row_of(reading, "proxy").asked_from
    assert reading.gaps[-1].to_ms == NOW_MS


def test_a_month_used_up_drops_the_endpoint_for_the_run() -> None:
    def used_up(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("Monthly capacity limit exceeded", 429)

    spent = node_with()
    answer = vendor.change_method(spent.answer, "eth_getLogs", used_up)
    assert_whole(ask(chain_of(handler_of(answer), handler_of(node_with().answer))), 30)
    asked = [0]

    def counted(body: bytes) -> vendor.Reply:
        asked[0] += b"eth_getLogs" in body
        return handler_of(answer)(body)

    ask(chain_of(counted, handler_of(node_with().answer)))
    assert asked[0] == 1


def test_the_deadline_turns_what_is_open_into_a_gap() -> None:
    time = FakeTime()
    node = node_with()

    def slow(call: dict[str, Any]) -> Any:
        time.now += 10.0
        return node.answer(call)

    reading = ask(chain_of(handler_of(slow), time=time, deadline_s=100.0, range_blocks_max=500), days=1)
    row = row_of(reading, "proxy")
    assert not row.complete and row.problem and "run out" in row.problem
    assert reading.gaps[0].to_block == HEAD - 1
    assert time.now < 200


def late_for(time: FakeTime, *, blocks_max: int) -> tuple[vendor.Answerer, list[int]]:
    """A node whose logs of more than ``blocks_max`` blocks take longer than any answer may; the ranges that did."""
    node, late = node_with(), list[int]()

    def answer(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_getLogs":
            lo, hi = vendor.blocks_of(call)
            if hi - lo + 1 > blocks_max:
                late.append(hi - lo + 1)
                time.now += 130.0
        return node.answer(call)

    return answer, late


def test_an_answer_that_never_ends_is_asked_for_in_smaller_ranges() -> None:
    time = FakeTime()
    answer, late = late_for(time, blocks_max=1_500)
    assert_whole(ask(chain_of(handler_of(answer), time=time)), 30)
    assert late[0] == 2_000 and len(late) <= 3, "less was asked at once"


def test_a_node_that_drips_is_left_for_the_next_one() -> None:
    time = FakeTime()
    answer, late = late_for(time, blocks_max=0)
    assert_whole(ask(chain_of(handler_of(answer), handler_of(node_with().answer), time=time)), 30)
    assert len(late) == 1 and time.now < 300


# Answers that must not be believed (facts C6)


def test_the_scan_stays_below_the_head_of_the_endpoint_that_answers() -> None:
    reading = ask(chain_of(handler_of(node_with().answer)))
    assert row_of(reading, "proxy").asked_to == HEAD - 1


def test_an_empty_answer_near_the_head_is_asked_again() -> None:
    node = node_with(0)
    node.pay(emitter=PROXY, block=HEAD - 5, tx=1, amount=1)
    calls = [0]

    def answer(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_getLogs" and vendor.blocks_of(call)[1] >= HEAD - 5:
            calls[0] += 1
            if calls[0] == 1:
                return []
        return node.answer(call)

    assert_whole(ask(chain_of(handler_of(answer))), 1)


def test_newest_blocks_left_out_of_a_long_answer_are_noticed() -> None:
    node = node_with(5)
    node.pay(emitter=PROXY, block=HEAD - 3, tx=99, amount=6)
    behind = [1]

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        if call["method"] == "eth_getLogs" and behind[0] and vendor.blocks_of(call)[1] == HEAD - 1:
            behind[0] -= 1
            return [log for log in found if int(log["blockNumber"], 16) < HEAD - 10]
        return found

    assert_whole(ask(chain_of(handler_of(answer))), 6)


def test_a_backend_that_lacks_the_announced_block_is_waited_for() -> None:
    node = node_with(3)
    missing = [3]

    def answer(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == hex(HEAD) and missing[0]:
            missing[0] -= 1
            return None
        return node.answer(call)

    assert_whole(ask(chain_of(handler_of(answer), handler_of(node_with(3).answer))), 3)


def test_a_second_endpoint_finds_what_the_first_left_out_of_old_blocks() -> None:
    node, honest = node_with(), node_with()
    forgetful = vendor.change_method(node.answer, "eth_getLogs", lambda call: [])
    reading = ask(chain_of(handler_of(forgetful), handler_of(honest.answer)), days=0.1)
    assert amounts(reading)
    assert row_of(reading, "proxy").items > 0


def test_a_bloom_filter_makes_an_empty_answer_suspicious() -> None:
    bits = 0
    for item in (PROXY, TRANSFER_WITH_REFERENCE_AND_FEE):
        for start in (0, 2, 4):
            bits |= 1 << (int.from_bytes(keccak256(bytes.fromhex(item[2:]))[start : start + 2], "big") & 2047)
    bloom = f"0x{bits:0512x}"
    assert bloom_may_hold(bloom, PROXY, TRANSFER_WITH_REFERENCE_AND_FEE)
    assert not bloom_may_hold(bloom, USDT, ERC20_TRANSFER)
    assert not bloom_may_hold(None, PROXY) and not bloom_may_hold("0x" + "z" * 512, PROXY)
    node = node_with(0)
    node.pay(emitter=PROXY, block=HEAD - 1, tx=1, amount=1)
    full = node.answer
    empty_answers = [2]

    def answer(call: dict[str, Any]) -> Any:
        found = full(call)
        if call["method"] == "eth_getBlockByNumber" and found:
            found = {**found, "logsBloom": bloom}
        if call["method"] == "eth_getLogs" and found and empty_answers[0]:
            empty_answers[0] -= 1
            return []
        return found

    assert amounts(ask(chain_of(handler_of(answer)), days=0.01)) == [1]


def test_duplicate_and_removed_logs_are_dropped() -> None:
    node = node_with(5)
    ghost = {**node.logs[0], "removed": True, "blockHash": digest(9), "logIndex": "0x5"}
    answer = vendor.change_logs(node.answer, lambda logs: [*logs, *logs, ghost])
    assert_whole(ask(chain_of(handler_of(answer))), 5)


Change = Callable[[list[dict[str, Any]]], Any]
SPOILED_ONCE: list[Change] = [
    lambda logs: [{**logs[0], "blockHash": None}, *logs[1:]],
    lambda logs: [{**logs[0], "blockNumber": None}, *logs[1:]],
    lambda logs: [{**logs[0], "logIndex": None}, *logs[1:]],
    lambda logs: [{**logs[0], "transactionHash": None}, *logs[1:]],
    lambda logs: [{**logs[0], "blockNumber": hex(HEAD + 5)}, *logs[1:]],
    lambda logs: [{**logs[0], "blockNumber": "0x1"}, *logs[1:]],
    lambda logs: [{**logs[0], "address": address(0xBAD)}, *logs[1:]],
    lambda logs: [{**logs[0], "topics": [ERC20_TRANSFER, digest(1)]}, *logs[1:]],
    lambda logs: [*logs, {**logs[0], "data": "0x" + word(1) * 5}],
    lambda logs: [*logs, {**logs[0], "blockHash": digest(1), "logIndex": "0x9"}],
    lambda logs: [{**logs[0], "data": "0x01" + logs[0]["data"][4:]}, *logs[1:]],
    lambda logs: [{**logs[0], "topics": None}, *logs[1:]],
]


@pytest.mark.parametrize("change", SPOILED_ONCE)
def test_an_answer_that_contradicts_the_question_is_asked_again(change: Change) -> None:
    node = node_with(5)
    assert_whole(ask(chain_of(handler_of(vendor.change_logs(node.answer, change, times=1)))), 5)


@pytest.mark.parametrize("change", SPOILED_ONCE[:9])
def test_an_answer_that_stays_wrong_is_a_small_gap_and_never_a_row(change: Change) -> None:
    node = node_with(5)

    def spoil_the_first(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        bad = [log for log in logs if log["blockNumber"] == hex(HEAD - 100)]
        return [log for log in logs if log not in bad] + (change(bad) if bad else [])

    reading = ask(chain_of(handler_of(vendor.change_logs(node.answer, spoil_the_first))))
    assert amounts(reading) == [2, 3, 4, 5]
    assert [(gap.from_block, gap.to_block) for gap in reading.gaps] == [(HEAD - 100, HEAD - 100)]
    assert not row_of(reading, "proxy").complete


def test_two_versions_of_a_block_between_two_scans_are_read_again() -> None:
    node = node_with(0)
    node.pay(emitter=PROXY, block=HEAD - 50, tx=1, amount=1)
    node.transfer(token=USDT, to=US, amount=2, block=HEAD - 50, tx=2, index=1)
    first = [1]

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        if call["method"] == "eth_getLogs" and found and first[0]:
            first[0] -= 1
            return [{**log, "blockHash": digest(0xDEAD)} for log in found]
        return found

    assert_whole(ask(chain_of(handler_of(answer)), recipients=(US,)), 2)


def test_two_versions_that_stay_are_a_gap_and_no_row() -> None:
    node = node_with(0)
    node.pay(emitter=PROXY, block=HEAD - 50, tx=1, amount=1)
    node.transfer(token=USDT, to=US, amount=2, block=HEAD - 50, tx=2, index=1)

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        if call["method"] == "eth_getLogs" and call["params"][0]["topics"][0] == ERC20_TRANSFER:
            return [{**log, "blockHash": digest(0xDEAD)} for log in found]
        return found

    reading = ask(chain_of(handler_of(answer)), recipients=(US,))
    assert reading.tables["transfers"].num_rows == 0
    assert {(gap.scope, gap.from_block, gap.to_block) for gap in reading.gaps} == {
        ("proxy", HEAD - 50, HEAD - 50), ("erc20", HEAD - 50, HEAD - 50),
    }  # fmt: skip


def _told_twice(*, receipt: bool) -> Reading:
    """A node that still tells of a transaction in the block of a fork, ten blocks before its own."""
    node = node_with(0)
    node.pay(emitter=PROXY, block=HEAD - 60, tx=1, amount=1)
    node.pay(emitter=PROXY, block=HEAD - 50, tx=1, amount=1)
    node.receipt(1, block=HEAD - 50)

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        if call["method"] != "eth_getTransactionReceipt" or found is None:
            return found
        return (
            None
            if not receipt
            else {**found, "logs": [log for log in found["logs"] if log["blockNumber"] == hex(HEAD - 50)]}
        )

    return ask(chain_of(handler_of(answer)))


def test_a_transaction_told_in_two_blocks_is_in_the_one_that_its_receipt_names() -> None:
    reading = _told_twice(receipt=True)
    assert reading.tables["transfers"]["block"].to_pylist() == [HEAD - 50]
    assert not reading.gaps


def test_a_transaction_told_in_two_blocks_that_no_receipt_settles_counts_in_neither() -> None:
    reading = _told_twice(receipt=False)
    assert reading.tables["transfers"].num_rows == 0
    assert {gap.from_block for gap in reading.gaps} == {HEAD - 60, HEAD - 50}


def test_a_head_long_past_proves_nothing_about_the_present() -> None:
    node = node_with(5, now_s=NOW_S - 7_200)
    reading = ask(chain_of(handler_of(node.answer)))
    (gap,) = reading.gaps
    assert (gap.scope, gap.from_ms, gap.to_ms) == ("proxy", (NOW_S - 7_200) * 1_000, NOW_MS)
    assert not row_of(reading, "proxy").complete


def test_headers_with_more_extra_data_than_ethereum_allows_are_read() -> None:
    node = node_with(3, states_times=False)

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        return {**found, "extraData": "0x" + "ab" * 280} if call["method"] == "eth_getBlockByNumber" else found

    reading = ask(chain_of(handler_of(answer)))
    assert_whole(reading, 3)
    assert reading.tables["transfers"]["block_time"].null_count == 0


def test_chains_are_read_in_threads_at_the_same_time() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with vendor.serve(handler_of(node_with().answer)) as url, ThreadPoolExecutor(4) as threads:

        def read(_: int) -> Reading:
            settings = ChainSettings(56, (Endpoint(url),), rate_per_s=None)
            chain = EvmChain(settings, registry=REGISTRY, clock=Clock(now_ms=lambda: NOW_MS))
            return ask(chain)

        for reading in threads.map(read, range(4)):
            assert_whole(reading, 30)


# Fetching ahead


@cache
def dense_node(payments: int = 6_300) -> FakeNode:
    """About 900 logs in 1,800 blocks, so that answers are worth decoding aside."""
    return node_with(payments, spread=2)


def seen_by(answer: vendor.Answerer) -> tuple[vendor.Answerer, list[tuple[int, int]], list[str]]:
    """The same answers; which ranges were asked in which order, and on which thread. Two at once is an error."""
    ranges, threads, busy = list[tuple[int, int]](), list[str](), threading.Lock()

    def watched(call: dict[str, Any]) -> Any:
        assert busy.acquire(blocking=False), "an endpoint is asked one thing at a time"
        try:
            if call["method"] == "eth_getLogs":
                ranges.append(vendor.blocks_of(call))
                threads.append(threading.current_thread().name)
            return answer(call)
        finally:
            busy.release()

    return watched, ranges, threads


def test_the_next_range_is_fetched_while_a_full_answer_is_decoded() -> None:
    answer, ranges, threads = seen_by(
        vendor.limit_blocks(dense_node().answer, 1_800, "exceed maximum block range: {n}")
    )
    assert_whole(ask(chain_of(handler_of(answer)), days=0.12), 6_300)
    assert sum(name.startswith("ahead") for name in threads) >= 4
    again, same, _ = seen_by(vendor.limit_blocks(dense_node().answer, 1_800, "exceed maximum block range: {n}"))
    ask(chain_of(handler_of(again)), days=0.12)
    assert same == ranges
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("number", range(2, 8))
@pytest.mark.parametrize("fault", ["smaller", "fatal", "null", "outside", "busy"])
def test_a_fault_in_what_was_fetched_ahead_loses_and_doubles_nothing(fault: str, number: int) -> None:
    node, asked = dense_node(), [0]

    def sick(call: dict[str, Any]) -> Any:
        if call["method"] != "eth_getLogs":
            return node.answer(call)
        asked[0] += 1
        hi = vendor.blocks_of(call)[1]
        if asked[0] == number and fault in ("smaller", "fatal", "busy"):
            text = {"smaller": "block range is too large", "fatal": "no", "busy": "too many requests"}[fault]
            raise vendor.RpcFaultError(text, {"smaller": -32000, "fatal": -32700, "busy": 429}[fault])
        found = node.answer(call)
        if asked[0] == number and fault == "null":
            return None
        if asked[0] == number and fault == "outside" and found:
            return [*found, {**found[0], "blockNumber": hex(hi + 1)}]
        return found

    answer, ranges, _ = seen_by(vendor.limit_blocks(sick, 1_800, "exceed maximum block range: {n}"))
    reading = ask(chain_of(handler_of(answer), handler_of(dense_node().answer)), days=0.12)
    assert_whole(reading, 6_300)
    assert len(ranges) <= 14
