"""Forwarders by reference: found in any range, through limits; what cannot be read to the end is an error."""

from __future__ import annotations

import pytest

from recon.core.errors import SourceError
from recon.core.registry import FORWARDER_CREATED, forwarder_factories
from recon.sources.chain import forwarders
from recon.sources.chain.evm import EvmChain
from recon.sources.chain.forwarders import Forwarder, ForwardersUnreadError
from tests.support import vendor_faults as vendor
from tests.support.chain_reading import DAY_MS, HEAD, NOW_MS, USDC, chain_of
from tests.support.vendor_faults import Answerer, FakeNode, address, digest, handler_of, word

TOPIC = digest(7, kind=0x4EF)
MADE = address(0xF0)
((FACTORY, _),) = forwarder_factories(56)


def node() -> FakeNode:
    made = FakeNode(finalized=HEAD - 3)
    for number, (topics, data, emitter) in enumerate(
        (
            ([FORWARDER_CREATED, TOPIC], "0x" + word(MADE) + word(USDC) * 5, FACTORY),
            ([FORWARDER_CREATED, digest(8, kind=0x4EF)], "0x" + word(address(0xF1)) + word(USDC) * 5, FACTORY),
            ([FORWARDER_CREATED, TOPIC], "0x" + word(address(0xF2)) + word(USDC) * 5, address(0xBAD)),
            ([FORWARDER_CREATED, TOPIC], "0x" + "zz" * 32, FACTORY),
            ([FORWARDER_CREATED, TOPIC], "0x", FACTORY),
        )
    ):
        made.add(topics, data, emitter=emitter, block=HEAD - 9_000 + number, tx=number, index=0)
    return made


def asked(answer: Answerer, *, days: float = 0.3) -> tuple[Forwarder, ...]:
    chain: EvmChain = chain_of(handler_of(answer))
    return chain.find_forwarders([TOPIC], from_ms=int(NOW_MS - days * DAY_MS))


def test_the_forwarder_of_a_reference_is_found_and_nothing_else() -> None:
    assert [(each.address, each.reference_topic, each.chain_id) for each in asked(node().answer)] == [(MADE, TOPIC, 56)]


def test_one_made_before_the_payment_is_not_its_own() -> None:
    assert asked(node().answer, days=0.001) == ()


def test_a_limit_on_blocks_is_met_by_asking_for_less() -> None:
    limited = vendor.limit_blocks(node().answer, 300, "exceed maximum block range: {n}")
    assert [each.address for each in asked(limited)] == [MADE]


def test_a_node_that_gives_no_logs_is_an_error_and_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(call: dict[str, object]) -> object:
        raise vendor.RpcFaultError("internal error", -32603)

    with pytest.raises(SourceError):
        asked(vendor.change_method(node().answer, "eth_getLogs", refuse))
    monkeypatch.setattr(forwarders, "CALLS_MAX", 3)
    with pytest.raises(ForwardersUnreadError, match="did not reach the head"):
        asked(vendor.limit_blocks(node().answer, 300, "exceed maximum block range: {n}"))
