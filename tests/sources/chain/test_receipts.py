"""Single transactions: what became of them, and the transfers in their receipts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import vendor_faults as vendor
from tests.support.chain_reading import (
    HEAD,
    PROXY,
    USDT,
    amounts,
    ask,
    assert_whole,
    chain_of,
    node_with,
    outcomes,
    row_of,
)
from tests.support.vendor_faults import address, digest, handler_of

# Receipts


def test_every_hash_gets_its_outcome() -> None:
    node = node_with(3)
    old = node.receipt(50, block=HEAD - 1_000_000)
    bad = node.receipt(51, block=HEAD - 500, status=0)
    waits, unknown = digest(52), digest(53)
    node.mempool.add(waits)
    reading = ask(chain_of(handler_of(node.answer)), tx_hashes=(digest(0, kind=0x7A), old, bad, waits, unknown, "junk"))
    assert outcomes(reading) == {
        digest(0, kind=0x7A): "success", old: "success", bad: "reverted", waits: "pending", unknown: "not_found",
    }  # fmt: skip
    rows = {row["tx_hash"]: row for row in reading.tables["transactions"].to_pylist()}
    assert rows[old]["block_time"] == node.time_s(HEAD - 1_000_000) * 1_000
    assert rows[bad]["sender"] == address(0xF0) and rows[bad]["final"] is True and rows[bad]["confirmations"] == 501
    assert rows[unknown]["final"] is None and rows[unknown]["block"] is None


def test_hashes_the_scan_showed_need_no_receipt() -> None:
    node = node_with(30)
    ask(chain_of(handler_of(node.answer)), tx_hashes=tuple(digest(n, kind=0x7A) for n in range(30)))
    assert node.count("eth_getTransactionReceipt") == 0


def test_the_transfers_in_a_receipt_join_the_scan_without_repeating_it() -> None:
    node = node_with(3)
    old = digest(60, kind=0x7A)
    node.pay(emitter=PROXY, block=HEAD - 900_000, tx=60, index=2, amount=77)
    node.transfer(token=USDT, to=address(1), amount=78, block=HEAD - 900_000, tx=60, index=1)
    node.pay(emitter=address(0xFA), block=HEAD - 900_000, tx=60, index=3, amount=79)
    reading = ask(chain_of(handler_of(node.answer)), tx_hashes=(old, digest(0, kind=0x7A)))
    assert amounts(reading) == [1, 2, 3, 77, 78, 79]
    kinds = dict(zip(*(reading.tables["transfers"][c].to_pylist() for c in ("amount_units", "kind")), strict=True))
    assert {int(amount): kind for amount, kind in kinds.items()} == {
        1: "fee_proxy", 2: "fee_proxy", 3: "fee_proxy", 77: "fee_proxy", 78: "erc20", 79: "unknown",
    }  # fmt: skip


def test_a_receipt_with_a_log_that_the_scan_left_out_makes_the_scan_be_read_again() -> None:
    node = node_with(6)
    hidden = digest(2, kind=0x7A)
    hide = [3]

    def answer(call: dict[str, Any]) -> Any:
        found = node.answer(call)
        if call["method"] == "eth_getLogs" and hide[0] and any(log["transactionHash"] == hidden for log in found):
            hide[0] -= 1
            return [log for log in found if log["transactionHash"] != hidden]
        return found

    hide[0] = 1
    assert_whole(ask(chain_of(handler_of(answer)), tx_hashes=(hidden,)), 6)


def test_a_scan_that_keeps_hiding_what_a_receipt_shows_is_a_gap() -> None:
    node = node_with(6)
    hidden = digest(2, kind=0x7A)
    answer = vendor.change_logs(node.answer, lambda logs: [log for log in logs if log["transactionHash"] != hidden])
    reading = ask(chain_of(handler_of(answer)), tx_hashes=(hidden,))
    assert amounts(reading) == [1, 2, 3, 4, 5, 6]
    (gap,) = reading.gaps
    assert gap.scope == "proxy" and (gap.from_block or 0) <= HEAD - 1_100 <= (gap.to_block or 0)


def test_endpoints_that_do_not_batch_are_asked_singly() -> None:
    node = node_with(3)
    hashes = [node.receipt(100 + n, block=HEAD - 900_000) for n in range(5)]

    def no_batches(body: bytes) -> vendor.Reply:
        if body[:1] == b"[":
            return vendor.Reply(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}')
        return handler_of(node.answer)(body)

    assert set(outcomes(ask(chain_of(no_batches), tx_hashes=tuple(hashes))).values()) == {"success"}


def test_what_one_endpoint_does_not_know_another_is_asked() -> None:
    pruned, archive = node_with(3), node_with(3)
    old = archive.receipt(70, block=HEAD - 5_000_000)
    reading = ask(chain_of(handler_of(pruned.answer), handler_of(archive.answer)), tx_hashes=(old, digest(71)))
    assert outcomes(reading) == {old: "success", digest(71): "not_found"}


def test_not_found_is_only_believed_of_an_endpoint_that_reached_the_window() -> None:
    from recon.sources.chain.receipts import ReceiptReader

    node = node_with(0)
    chain = chain_of(handler_of(node.answer))
    chain._pool.begin(100)
    reader = ReceiptReader(chain._pool, kinds={}, known_tokens=frozenset(), from_block=HEAD + 1, batch_max=10)
    answer = reader.read([digest(1)]).transactions[digest(1)]
    assert answer.outcome == "failed" and "may not have this transaction yet" in (answer.error or "")


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": digest(1)},
        {"status": None},
        {"status": "0x7"},
        {"blockNumber": "soon"},
        {"logs": [{"transactionHash": digest(1)}]},
    ],
)
def test_a_receipt_that_cannot_be_right_is_a_failed_look_up(change: dict[str, Any]) -> None:
    node = node_with(0)
    bad = node.receipt(80, block=HEAD - 10_000_000)
    answer = vendor.change_method(
        node.answer, "eth_getTransactionReceipt", lambda call: {**node.answer(call), **change}
    )
    reading = ask(chain_of(handler_of(answer)), tx_hashes=(bad,))
    assert outcomes(reading) == {bad: "failed"}
    assert not row_of(reading, "receipts").complete


def test_a_receipt_without_a_block_is_pending() -> None:
    node = node_with(0)
    waits = node.receipt(81, block=HEAD - 10_000_000)
    node.receipts[waits] |= {"blockNumber": None, "blockHash": None}
    assert outcomes(ask(chain_of(handler_of(node.answer)), tx_hashes=(waits,))) == {waits: "pending"}


def test_failing_receipts_fail_their_hashes_and_nothing_else() -> None:
    def broken(call: dict[str, Any]) -> Any:
        raise vendor.RpcFaultError("internal error", -32603)

    node = node_with(4)
    answer = vendor.change_method(node.answer, "eth_getTransactionReceipt", broken)
    reading = ask(chain_of(handler_of(answer)), tx_hashes=(digest(90),))
    assert outcomes(reading) == {digest(90): "failed"}
    assert amounts(reading) == [1, 2, 3, 4] and reading.gaps == ()
    assert row_of(reading, "proxy").complete and not row_of(reading, "receipts").complete
