"""Blocks by number and by time: the first block of a window, and the exact times of the blocks of a scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recon.core.errors import SourceError
from recon.core.ids import keccak256
from recon.sources.chain.endpoints import Block, EndpointsDownError, Live, Pool, parse_block
from recon.sources.chain.logs import BLOCK_ANSWER, TransferLogError
from recon.sources.chain.rpc import Fault, RpcError

PROBES_MAX: Final = 64
NEAR_ENOUGH: Final = 64
"""The search stops this many blocks short: reading them costs less than finding out."""

ROUNDS_MAX: Final = 3


class StartBlockError(SourceError):
    """The block at a given time cannot be found, because block times make no sense."""

    def __init__(self, *, source: str, from_ms: int) -> None:
        super().__init__(f"{source}: no block was found for the time {from_ms} (UTC ms) in {PROBES_MAX} probes.")


def start_block(pool: Pool, *, from_ms: int, floor: int) -> Block:
    """A block just before a time, never more than :data:`NEAR_ENOUGH` blocks earlier than need be.

    The search interpolates from the head with the usual block time, then between what it found, and halves when
    that does not converge. A height that the endpoint does not have counts as before its first block.

    Args:
        from_ms: UTC ms. The block given is older than that, or is the first one at or after ``floor``.
        floor: No block below this one is of interest.

    Raises:
        NoEndpointError: Nobody answers.
        StartBlockError: Times do not lead anywhere.
    """
    return pool.ask(lambda live: _search(pool, live, from_ms, floor))


@dataclass(slots=True)
class _Between:
    """Where the wanted block is: above ``lo``, which is older than the time, and at or below ``hi``, which is not.

    Args:
        lo: None while no older block has been seen.
        low: The endpoint has no block of interest below this height.
        block_ms: Time between blocks, as far as it is known by now.
    """

    hi: Block
    low: int
    block_ms: float
    lo: Block | None = None

    @property
    def bottom(self) -> int:
        """The highest block that is known to be too low."""
        return self.lo.number if self.lo else self.low - 1

    @property
    def is_narrow(self) -> bool:
        """Whether reading what is left costs less than searching on."""
        return self.hi.number - self.bottom <= (NEAR_ENOUGH if self.lo else 1)

    def aim(self, from_ms: int, *, halve: bool) -> int:
        """The height to look at next."""
        if self.lo and self.hi.time_ms > self.lo.time_ms:
            self.block_ms = (self.hi.time_ms - self.lo.time_ms) / (self.hi.number - self.lo.number)
        # Aim a little below the time, and once there is a block below, a little above: the two close in on it.
        aside = NEAR_ENOUGH // 3 if self.lo else -(NEAR_ENOUGH // 3)
        guess = self.hi.number - int((self.hi.time_ms - from_ms) / self.block_ms) + aside
        if halve:
            guess = (self.bottom + self.hi.number) // 2
        return min(max(guess, self.bottom + 1), self.hi.number - 1)

    def narrow(self, height: int, block: Block | None, *, from_ms: int) -> None:
        """Take in what was found at a height."""
        if block is None:
            self.low, self.lo = height + 1, None
        elif block.time_ms < from_ms:
            self.lo = block
        else:
            self.hi = block


def _search(pool: Pool, live: Live, from_ms: int, floor: int) -> Block:
    assert live.head is not None
    between = _Between(live.head, low=min(floor, live.head.number), block_ms=float(pool.facts.block_ms))
    if live.head.time_ms < from_ms or live.head.number <= between.low:
        return live.head
    for probe in range(PROBES_MAX):
        if between.is_narrow:
            return between.lo or between.hi
        height = between.aim(from_ms, halve=probe % 3 == 2)
        between.narrow(height, pool.block_at(live, height), from_ms=from_ms)
    raise StartBlockError(source=pool.source, from_ms=from_ms)


def fetch_blocks(pool: Pool, numbers: Iterable[int], *, batch_max: int) -> dict[int, Block]:
    """Blocks by height, in batches; what no endpoint gives is left out.

    Raises:
        NoEndpointError: Nobody answers at all.
    """
    found: dict[int, Block] = {}
    left = sorted(set(numbers))
    for _ in range(ROUNDS_MAX):
        for start in range(0, len(left), batch_max):
            chunk = left[start : start + batch_max]
            found.update(pool.ask(lambda live, chunk=chunk: _batch(live, chunk)))  # type: ignore[misc]
        left = [number for number in left if number not in found]
        if not left:
            break
        # Some providers announce a block and then answer null for it: ask another one.
        pool.switch(pool.current(), f"it does not have block {left[0]}")
    return found


def _batch(live: Live, numbers: list[int]) -> dict[int, Block]:
    answers = live.client.batch(
        "eth_getBlockByNumber", [[hex(number), False] for number in numbers], decoder=BLOCK_ANSWER
    )
    found: dict[int, Block] = {}
    for number, raw in zip(numbers, answers, strict=True):
        if isinstance(raw, RpcError) and raw.complaint.fault is not Fault.LAG and len(numbers) == 1:
            raise raw
        if raw is None or isinstance(raw, RpcError):
            continue
        try:
            block = parse_block(raw)
        except TransferLogError:
            continue
        if block.number == number:
            found[number] = block
    return found


def try_blocks(pool: Pool, numbers: Iterable[int], *, batch_max: int) -> dict[int, Block]:
    """As :func:`fetch_blocks`, but nothing where nobody answers."""
    try:
        return fetch_blocks(pool, numbers, batch_max=batch_max)
    except EndpointsDownError:
        return {}


def bloom_may_hold(bloom: str | None, *items: str) -> bool:
    """Whether a block's bloom filter may hold all of some addresses and topics; a filter nobody gave says no.

    Args:
        bloom: 256 bytes as hex with ``0x``.
        items: Addresses and topics, hex with ``0x``.
    """
    if bloom is None or len(bloom) != 514:
        return False
    try:
        bits = int(bloom, 16)
    except ValueError:
        return False
    for item in items:
        digest = keccak256(bytes.fromhex(item[2:]))
        for start in (0, 2, 4):
            if not bits >> (int.from_bytes(digest[start : start + 2], "big") & 2047) & 1:
                return False
    return True
