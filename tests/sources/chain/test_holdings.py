"""What addresses hold, and whether anything left them: each answer, each silence, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from recon.sources.interface import HoldingSource, Reading
from tests.support.chain_reading import HEAD, USDT, FakeTime, chain_of
from tests.support.monero_world import a_subaddress
from tests.support.vendor_faults import FakeNode, RpcFaultError, address, handler_of, word

HELD = {address(1): 40, address(2): 0, address(3): 0}
SENT = {address(2): 0, address(3): 7}


def node(**odd: Any) -> Any:
    """Answers for three addresses: one holds 40, one was never used, one was emptied. ``odd`` answers by method."""
    fake = FakeNode(finalized=HEAD - 3)

    def answer(call: dict[str, Any]) -> Any:
        method = call["method"]
        if method in odd:
            if isinstance(odd[method], Exception):
                raise odd[method]
            return odd[method]
        if method == "eth_call":
            assert int(call["params"][1], 16) == HEAD - 1
            return "0x" + word(HELD.get("0x" + call["params"][0]["data"][-40:], 0))
        if method == "eth_getTransactionCount":
            return hex(SENT.get(call["params"][0], 0))
        return fake.answer(call)

    return answer


def read(answer: Any, count: int = 3, **settings: Any) -> Reading:
    chain = chain_of(handler_of(answer), time=FakeTime(), **settings)
    assert isinstance(chain, HoldingSource)
    return chain.read_holdings([(address(n), USDT) for n in range(1, count + 1)], progress=lambda *_: None)


def told(reading: Reading) -> dict[str, tuple[int, int | None]]:
    return {row["address"]: (int(row["units"]), row["sent"]) for row in reading.tables["holdings"].to_pylist()}


def test_what_is_held_and_what_was_sent_by_those_that_hold_nothing() -> None:
    reading = read(node())
    assert told(reading) == {address(1): (40, None), address(2): (0, 0), address(3): (0, 7)}
    [coverage] = reading.coverage
    assert (coverage.scope, coverage.complete, coverage.items, coverage.problem) == ("holdings", True, 3, None)


def test_an_address_of_another_kind_of_chain_is_not_asked_about_and_spoils_no_batch() -> None:
    """A row may hold what it likes; a node would refuse the whole batch for it."""

    def strict(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_call" and len(call["params"][0]["data"]) != 2 + 8 + 64:
            raise RpcFaultError("invalid params")
        return node()(call)

    chain = chain_of(handler_of(strict), time=FakeTime())
    reading = chain.read_holdings([(address(1), USDT), (a_subaddress("an order"), USDT)], progress=lambda *_: None)
    assert told(reading) == {address(1): (40, None)}
    assert reading.coverage[0].problem is None


@pytest.mark.parametrize(
    "odd",
    [
        {"eth_call": "0x"},
        {"eth_call": RpcFaultError("missing trie node")},
        {"eth_call": RpcFaultError("execution reverted")},
    ],
)
def test_a_node_that_cannot_tell_is_not_taken_for_none_and_not_asked_on(odd: dict[str, Any]) -> None:
    reading = read(node(**odd), count=9, batch_max=2)
    assert told(reading) == {}
    [coverage] = reading.coverage
    assert coverage.problem is not None
    assert coverage.problem.startswith("what 9 of 9 one-time addresses hold could not be told")
    assert coverage.calls < 2 * 9, "one batch, and perhaps once more"


@pytest.mark.parametrize("count", ["0x", "", "many", "0x" + "f" * 20, RpcFaultError("method not found")])
def test_without_a_count_of_what_it_sent_an_empty_address_says_nothing(count: Any) -> None:
    assert told(read(node(eth_getTransactionCount=count))) == {address(1): (40, None)}


def test_many_addresses_take_two_requests_for_each_hundred() -> None:
    requests = read(node(), count=250).coverage[0].calls
    assert requests <= 6 + 4, "three batches of each kind, and the head"
