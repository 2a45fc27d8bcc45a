"""What a node says of balances: many words for having no state, odd answers, other endpoints, chains that turn."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.registry import ERC20_TRANSFER
from recon.sources.chain.rpc import Fault, classify_error
from recon.sources.interface import BalanceQuestion, BalanceSource, Reading
from tests.support import vendor_faults as vendor
from tests.support.chain_reading import DAY_MS, HEAD, NOW_MS, US, USDC, USDT, FakeTime, chain_of
from tests.support.vendor_faults import FakeNode, RpcFaultError, address, handler_of, word

OPENING = 1_000
OTHER = address(0x98)
STRANGER = address(0x33)
NO_STATE = (
    "missing trie node c6ebfa185e24077a555f06caaf4b78d9 (path ) state 0xc6eb is not available, not found",
    "missing trie node d67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3 (path )",
    "required historical state unavailable (reexec=128)",
    "historical state 0xabc is not available",
    "No state available for block 0xd7b2a1",
    "state at block #14135201 is pruned",
    "header not found",
    "World state unavailable",
    "This request is not supported because your node is running with state pruning. Run with --pruning=archive.",
    "old data not available due to pruning",
    "state already discarded",
    "project ID does not have access to archive state",
)


def sent(node: FakeNode, sender: str, to: str, amount: int, *, block: int, tx: int, token: str = USDT) -> None:
    topics = [ERC20_TRANSFER, "0x" + word(sender), "0x" + word(to)]
    node.add(topics, "0x" + word(amount), emitter=token, block=block, tx=tx, index=0)


def node_of(**values: Any) -> FakeNode:
    """A wallet that gets 40 and sends 15 a while ago, sends 2 to itself; more moves before and after."""
    node = FakeNode(finalized=HEAD - 3, **values)
    sent(node, STRANGER, US, 40, block=HEAD - 900, tx=1)
    sent(node, US, STRANGER, 15, block=HEAD - 800, tx=2)
    sent(node, US, US, 2, block=HEAD - 700, tx=3)
    sent(node, US, STRANGER, 7, block=HEAD, tx=4)
    sent(node, US, STRANGER, 9, block=HEAD - 200_000, tx=5)
    sent(node, STRANGER, US, 5, block=HEAD - 600, tx=6, token=address(0x71))
    return node


def stateful(node: FakeNode, *, oldest: int = 0, refusal: str = NO_STATE[0]) -> Any:
    """The node with balances: 1,000 USDT at first, moved by its own logs; states older than a block are gone."""

    def answer(call: dict[str, Any]) -> Any:
        if call["method"] != "eth_call":
            return node.answer(call)
        question, block = call["params"][0], int(call["params"][1], 16)
        if block < oldest:
            raise RpcFaultError(refusal)
        wallet, token = "0x" + question["data"][-40:], question["to"]
        units = OPENING if (wallet, token) == (US, USDT) else 0
        for log in node.logs:
            if log["address"] == token and HEAD - 100_000 < int(log["blockNumber"], 16) <= block:
                mine = "0x" + word(wallet)
                units += int(log["data"], 16) * ((log["topics"][2] == mine) - (log["topics"][1] == mine))
        return "0x" + word(units)

    return answer


def read(*answers: Any, wallets: tuple[str, ...] = (US,), to_ms: int | None = None, **settings: Any) -> Reading:
    chain = chain_of(*(handler_of(answer) for answer in answers), time=FakeTime(), **settings)
    assert isinstance(chain, BalanceSource)
    return chain.read_balances(BalanceQuestion(NOW_MS - DAY_MS // 50, wallets, to_ms), progress=lambda *_: None)


def row_of(reading: Reading, wallet: str = US, token: str = USDT) -> dict[str, Any]:
    rows = reading.tables["balances"].to_pylist()
    return next(row for row in rows if (row["wallet"], row["token"]) == (wallet, token))


def test_balances_and_the_movements_between_them_are_read_each_once() -> None:
    node = node_of()
    reading = read(stateful(node))
    row = row_of(reading)
    assert (row["opening_units"], row["closing_units"]) == (OPENING, OPENING + 25)
    assert row["closing_block"] == HEAD - 1 and row["opening_block"] < HEAD - 900
    moved = reading.tables["movements"].to_pylist()
    assert [int(each["amount_units"]) for each in moved] == [40, 15, 2], "no more"
    assert row["opening_units"] + 40 - 15 == row["closing_units"]
    assert row_of(reading, token=USDC)["closing_units"] == 0, "a node that answers 0 is believed"
    [coverage] = reading.coverage
    assert (coverage.scope, coverage.complete, coverage.problem) == ("balances", True, None)
    assert (coverage.asked_from, coverage.asked_to) == (row["opening_block"], row["closing_block"])


def test_balances_are_asked_for_before_anything_is_scanned() -> None:
    """A node without an archive forgets the newest state while a long stretch is scanned."""
    methods: list[str] = []
    answer = stateful(node_of())

    def noted(call: dict[str, Any]) -> Any:
        methods.append(call["method"])
        return answer(call)

    reading = read(noted, wallets=(US, OTHER))
    calls = [number for number, method in enumerate(methods) if method == "eth_call"]
    assert len(calls) == 2 * len(reading.tables["balances"])
    assert max(calls) < methods.index("eth_getLogs")


def test_a_window_that_ends_earlier_closes_there() -> None:
    reading = read(stateful(node_of()), to_ms=int(NOW_MS - 850 * 750))
    row = row_of(reading)
    assert HEAD - 950 < row["closing_block"] < HEAD - 850
    assert row["closing_units"] == OPENING + (40 if row["closing_block"] >= HEAD - 900 else 0)


@pytest.mark.parametrize("text", NO_STATE)
def test_no_state_in_any_words_is_cannot_tell_and_is_not_asked_again_and_again(text: str) -> None:
    assert classify_error(text, code=-32000).fault in (Fault.STATE, Fault.LAG)
    node, asked = node_of(), []
    answer = stateful(node, oldest=HEAD - 100, refusal=text)

    def counted(call: dict[str, Any]) -> Any:
        asked.extend([call["params"][1]] if call["method"] == "eth_call" else [])
        return answer(call)

    reading = read(counted)
    row = row_of(reading)
    assert (row["opening_units"], row["closing_units"]) == (None, OPENING + 25)
    assert row["opening_problem"] == f"The node keeps no state of block {row['opening_block']}."
    assert all(each["opening_units"] is None for each in reading.tables["balances"].to_pylist())
    assert len(asked) <= 3 + len(reading.tables["balances"]), "one question tells that the state is gone"
    assert reading.coverage[0].complete, "the node answered"


def test_another_endpoint_with_the_state_is_asked() -> None:
    reading = read(stateful(node_of(), oldest=HEAD - 100), stateful(node_of()))
    assert (row_of(reading)["opening_units"], row_of(reading)["opening_problem"]) == (OPENING, None)


@pytest.mark.parametrize("answer", ["0x", "0x0", "0x" + "00" * 31, "0x" + "00" * 64, "0x" + "zz" * 32, None, ""])
def test_an_answer_that_is_no_word_of_32_bytes_is_never_a_balance(answer: Any) -> None:
    node = node_of()
    row = row_of(read(vendor.change_method(stateful(node), "eth_call", lambda _: answer)))
    assert row["opening_units"] is None and row["closing_units"] is None
    assert row["closing_problem"].startswith("No contract answers balanceOf")


def test_a_balance_too_long_to_be_summed_is_said_so() -> None:
    huge = vendor.change_method(stateful(node_of()), "eth_call", lambda _: "0x" + "ff" * 32)
    row = row_of(read(huge))
    assert row["closing_units"] is None and "more than 37 digits" in row["closing_problem"]


def test_a_call_that_fails_is_a_gap() -> None:
    def refuse(call: dict[str, Any]) -> Any:
        raise RpcFaultError("internal server error", -32603)

    reading = read(vendor.change_method(stateful(node_of()), "eth_call", refuse))
    assert row_of(reading)["opening_units"] is None
    assert not reading.coverage[0].complete and "internal server error" in (reading.coverage[0].problem or "")


def test_a_chain_that_nobody_gives_says_so_for_every_wallet() -> None:
    def dead(call: dict[str, Any]) -> Any:
        raise RpcFaultError("internal server error", -32603)

    reading = read(dead, wallets=(US, OTHER))
    rows = reading.tables["balances"].to_pylist()
    assert {row["wallet"] for row in rows} == {US, OTHER}
    assert all(row["closing_units"] is None and row["closing_problem"] for row in rows)
    assert not reading.coverage[0].complete


def test_a_block_that_is_replaced_meanwhile_closes_nothing() -> None:
    node = node_of()
    answer = stateful(node)

    def turning(call: dict[str, Any]) -> Any:
        found = answer(call)
        if call["method"] == "eth_getLogs":
            node.block_hash = lambda number: vendor.digest(number, kind=0xB10D)  # type: ignore[method-assign]
        return found

    reading = read(turning)
    row = row_of(reading)
    assert row["closing_units"] is None and "was replaced while the chain was read" in row["closing_problem"]
    assert row["opening_units"] == OPENING


def test_logs_that_cannot_be_read_leave_the_balances_and_name_the_movements() -> None:
    def refuse(call: dict[str, Any]) -> Any:
        raise RpcFaultError("internal server error", -32603)

    reading = read(vendor.change_method(stateful(node_of()), "eth_getLogs", refuse))
    row = row_of(reading)
    assert (row["opening_units"], row["closing_units"]) == (OPENING, OPENING + 25)
    assert "could not be read" in row["movements_problem"] and not reading.coverage[0].complete
