"""Forwarders: addresses that Request Network makes to pass money on for one reference.

A factory makes a forwarder and logs it with the hash of the reference. What a payer sends there lies without any
payment log until the forwarder is triggered, so neither a scan of proxies nor the provider tells of it. Asked for
one payment at a time, this finds the address by the reference alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from recon.core.errors import SourceError
from recon.core.ids import normalise_address
from recon.core.registry import FORWARDER_CREATED
from recon.sources.chain.blocks import start_block
from recon.sources.chain.endpoints import Live, Pool
from recon.sources.chain.logs import LOGS_ANSWER, RawLog
from recon.sources.chain.rpc import Fault, RpcError

CALLS_MAX: Final = 2_000
"""Most questions about one payment; at a node's usual limit of 2,000 blocks that is some weeks of a fast chain."""


class ForwardersUnreadError(SourceError):
    """The logs of a forwarder factory could not be read to the end."""

    def __init__(self, *, source: str, block: int, why: str) -> None:
        super().__init__(f"{source}: forwarders made from block {block} on are not known: {why}")


@dataclass(frozen=True, slots=True)
class Forwarder:
    """One forwarder: its address, the hash of the reference that it passes on, and where that was logged."""

    chain_id: int
    address: str
    reference_topic: str
    tx_hash: str


@runtime_checkable
class FindsForwarders(Protocol):
    """A chain that can be asked for forwarders."""

    def find_forwarders(self, topics: Sequence[str], *, from_ms: int) -> tuple[Forwarder, ...]:
        """The forwarders made for these references since a time (UTC ms)."""
        ...


def read_forwarders(
    pool: Pool, *, factories: Sequence[tuple[str, int]], topics: Sequence[str], from_ms: int
) -> tuple[Forwarder, ...]:
    """Ask the factories of a chain for the forwarders of some references, sorted by address.

    Args:
        factories: Address and creation block of each; none on a chain that has none.
        topics: keccak of the reference bytes, ``0x`` and 64 digits.
        from_ms: UTC ms; forwarders are made with the request or after it.

    Raises:
        NoEndpointError: Nobody answers. StartBlockError: block times make no sense.
        ForwardersUnreadError: A stretch cannot be read.
    """
    if not factories or not topics:
        return ()
    head = pool.current().head
    assert head is not None
    made_at = min(block for _, block in factories)
    # A head below the factory's creation is a test chain, which the registry does not describe.
    lo = start_block(pool, from_ms=from_ms, floor=made_at if made_at <= head.number else 0).number
    question: dict[str, object] = {
        "address": [address for address, _ in factories],
        "topics": [FORWARDER_CREATED, list(topics)],
    }
    made = (_forwarder(log, pool.facts.chain_id, topics) for log in _logs(pool, question, lo, head.number))
    found = {one.address: one for one in made if one is not None}
    return tuple(found[address] for address in sorted(found))


def _logs(pool: Pool, question: dict[str, object], lo: int, last: int) -> Iterator[RawLog]:
    """The logs of all blocks up to ``last``, asked for in stretches that the endpoints take."""
    size = pool.facts.range_blocks
    for _ in range(CALLS_MAX):
        hi = min(lo + size - 1, last)
        logs = _ask(pool, question, lo, hi)
        if logs is None and hi > lo:
            size = max(1, (hi - lo + 1) // 2)
            continue
        if logs is None:
            raise ForwardersUnreadError(source=pool.source, block=lo, why="one block is too much for its endpoints")
        yield from logs
        lo = hi + 1
        if lo > last:
            return
    raise ForwardersUnreadError(source=pool.source, block=lo, why=f"{CALLS_MAX} questions did not reach the head")


def _ask(pool: Pool, question: dict[str, object], lo: int, hi: int) -> list[RawLog] | None:
    """The logs of a stretch, or None where the endpoint finds it too long."""
    params = [{**question, "fromBlock": hex(lo), "toBlock": hex(hi)}]

    def attempt(live: Live) -> list[RawLog] | None:
        try:
            return live.client.call("eth_getLogs", params, decoder=LOGS_ANSWER) or []
        except RpcError as error:
            if error.complaint.fault is Fault.SIZE:
                return None
            raise

    return pool.ask(attempt)


def _forwarder(log: RawLog, chain_id: int, topics: Sequence[str]) -> Forwarder | None:
    """The forwarder that a log tells of; None where it is not one that was asked for."""
    named = [topic.lower() for topic in log.topics]
    word = log.data.removeprefix("0x")[:64]
    address = normalise_address("0x" + word[24:]) if len(word) == 64 and not log.removed else None
    if address is None or len(named) != 2 or named[0] != FORWARDER_CREATED or named[1] not in topics:
        return None
    return Forwarder(chain_id, address, named[1], (log.transaction_hash or "").lower())
