"""What the tests of the chain source share: a chain over handlers in process, a node with payments, a question."""

from __future__ import annotations

from typing import Any

from recon.core.registry import load_registry
from recon.sources.chain.evm import ChainSettings, Endpoint, EvmChain
from recon.sources.http import Clock
from recon.sources.interface import ChainQuestion, Coverage, Reading
from tests.support import vendor_faults as vendor
from tests.support.vendor_faults import NOW_S, FakeNode, address, by_host

REGISTRY = load_registry()
PROXY = "0x0dfbee143b42b41efc5a6f87bfd1ffc78c2f0ac9"
USDT = "0x55d398326f99059ff775485246999027b3197955"
USDC = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
US = address(0x99)
DAY_MS = 86_400_000
NOW_MS = NOW_S * 1_000
HEAD = 20_000_000
SECRET = "k3yk3yk3yk3yk3yk3yk3y"


class FakeTime:
    """A clock whose sleeps pass at once."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep, now_ms=lambda: NOW_MS)


def chain_of(*handlers: vendor.Handler, chain_id: int = 56, time: FakeTime | None = None, **settings: Any) -> EvmChain:
    endpoints = tuple(Endpoint(f"https://node{n}.example/{SECRET}") for n in range(len(handlers)))
    given = {"rate_per_s": None, "tries_max": 2, "confirmations_min": 12, **settings}
    return EvmChain(
        ChainSettings(chain_id, endpoints, **given),
        registry=REGISTRY,
        transport=by_host({f"node{n}.example": handler for n, handler in enumerate(handlers)}),
        clock=(time or FakeTime()).clock(),
    )


def ask(chain: EvmChain, *, days: float = 0.2, **question: Any) -> Reading:
    return chain.read(ChainQuestion(from_ms=int(NOW_MS - days * DAY_MS), **question))


def node_with(payments: int = 30, *, spread: int = 500, **values: Any) -> FakeNode:
    """A node with one payment every ``spread`` blocks, the last one 100 blocks below the head."""
    node = FakeNode(finalized=HEAD - 3, **values)
    for n in range(payments):
        node.pay(emitter=PROXY, block=HEAD - 100 - n * spread, tx=n, token=USDT, amount=n + 1)
    return node


def amounts(reading: Reading) -> list[int]:
    return sorted(int(value) for value in reading.tables["transfers"]["amount_units"].to_pylist())


def row_of(reading: Reading, scope: str) -> Coverage:
    return next(row for row in reading.coverage if row.scope == scope)


def assert_whole(reading: Reading, payments: int) -> None:
    assert amounts(reading) == list(range(1, payments + 1))
    assert reading.gaps == ()
    assert all(row.complete and row.problem is None for row in reading.coverage)


def outcomes(reading: Reading) -> dict[str, str]:
    """Outcome by transaction hash."""
    table = reading.tables["transactions"]
    return dict(zip(table["tx_hash"].to_pylist(), table["outcome"].to_pylist(), strict=True))
