"""The endpoints of one chain, in order: who is asked, what each knows of its head, and when to move on.

Nothing is believed before an endpoint has named the right chain id, at the start of each reading and after each
switch. A head belongs to the endpoint that gave it: what is asked of one never goes beyond its own head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from recon.core.errors import AwayError, WrongSourceError
from recon.core.registry import ChainFacts
from recon.sources.chain.logs import BLOCK_ANSWER, TEXT_ANSWER, RawBlock, TransferLogError, parse_quantity
from recon.sources.chain.rpc import Complaint, Fault, RpcClient, RpcError
from recon.sources.http import Clock, Meter

T = TypeVar("T")

FINALIZED_LAG_MAX_MS: Final = 6 * 3_600_000
"""A ``finalized`` block further behind than this says more about the node than about the chain."""

HEAD_TRIES: Final = 3


class EndpointsDownError(AwayError):
    """No endpoint of a chain answers any more."""

    def __init__(self, *, source: str, last: str) -> None:
        super().__init__(f"{source}: no RPC endpoint can be used. Last: {last}")


@dataclass(frozen=True, slots=True)
class Block:
    """A block as one endpoint describes it; ``time_ms`` is UTC."""

    number: int
    hash: str
    time_ms: int
    bloom: str | None = None


@dataclass(frozen=True, slots=True)
class Finality:
    """Up to which block one head counts as final, and by which rule."""

    block: int
    rule: str


@dataclass(slots=True)
class Live:
    """What is known of one endpoint. The range limits outlive a reading, the rest is asked anew each time."""

    client: RpcClient
    size: int
    cap: int | None = None  # most blocks it takes, by its own words
    ceiling: int | None = None  # a size that was too much a while ago
    ceiling_wait: int = 8  # successes before the ceiling is tried again
    successes: int = 0
    list_max: int = 1_000
    block_receipts: bool = True
    transactions: bool = True  # answers eth_getTransactionByHash
    verified: bool = False
    usable: bool = True
    head: Block | None = None
    finalized: int | None = None

    @property
    def host(self) -> str:
        """The part of the URL that may be shown."""
        return self.client.host


def parse_block(raw: RawBlock) -> Block:
    """Read a block header.

    Raises:
        TransferLogError: Number, time or hash are missing or malformed; also for a pending block.
    """
    digest = (raw.hash or "").lower()
    if len(digest) != 66 or not digest.startswith("0x"):
        raise TransferLogError(what=f"a block hash is {digest[:80]!r}")
    seconds = parse_quantity(raw.timestamp, what="a block time")
    if seconds >= 1 << 40:
        raise TransferLogError(what=f"a block time is {seconds}")
    return Block(parse_quantity(raw.number, what="a block number"), digest, seconds * 1_000, raw.logs_bloom)


def finality_of(facts: ChainFacts, *, head: int, finalized: int | None, fell: bool = False) -> Finality:
    """Which block is final: the ``finalized`` tag where it is sane and trusted, else a depth, or the lower of both.

    Args:
        head: The head that ``finalized`` was read with.
        finalized: What the tag says; None when the endpoint does not offer it.
        fell: The tag was higher before, so it is not to be trusted alone.
    """
    deep = max(-1, head - facts.final_depth)
    by_depth = Finality(deep, f"depth:{facts.final_depth}")
    if finalized is None or not 0 <= finalized <= head:
        return by_depth
    if (head - finalized) * facts.block_ms > max(FINALIZED_LAG_MAX_MS, 4 * facts.final_depth * facts.block_ms):
        return by_depth
    if facts.trusts_finalized_tag and not fell:
        return Finality(finalized, "finalized")
    return Finality(min(finalized, deep), f"min(finalized,depth:{facts.final_depth})")


class Pool:
    """The endpoints of one chain with failover. One reading at a time."""

    def __init__(self, clients: Sequence[RpcClient], *, facts: ChainFacts, source: str, clock: Clock) -> None:
        self.facts, self.source, self.clock = facts, source, clock
        self.lives = [Live(client, size=facts.range_blocks) for client in clients]
        self.deadline = float("inf")
        self.used: list[Live] = []
        self._index = 0
        self._finalized_max: int | None = None
        self._last = "none is configured"

    def begin(self, deadline_s: float) -> None:
        """Start a reading that may take ``deadline_s`` seconds; those that are not down are checked anew."""
        self.deadline = self.clock.monotonic() + deadline_s
        self._index, self.used = 0, []
        for live in self.lives:
            live.client.deadline = self.deadline
            live.verified, live.head, live.finalized = False, None, None
            live.usable = not live.client.liveness.is_mute

    @property
    def is_late(self) -> bool:
        """Whether the time for this reading has run out."""
        return self.clock.monotonic() >= self.deadline

    def meter(self) -> Meter:
        """Requests and bytes of all endpoints so far."""
        return Meter(
            sum(live.client.meter.calls for live in self.lives),
            sum(live.client.meter.wire_bytes for live in self.lives),
        )

    def current(self) -> Live:
        """The endpoint to ask now, its chain id checked and its head known.

        Raises:
            NoEndpointError: None is left.
            WrongSourceError: An endpoint serves another chain.
        """
        while True:
            live = next((one for one in self._in_order() if one.usable), None)
            if live is None or self.is_late:
                raise EndpointsDownError(
                    source=self.source, last=self._last if live is None else "the time allowed has run out"
                )
            self._index = self.lives.index(live)
            if self.ready(live):
                if live not in self.used:
                    self.used.append(live)
                return live

    def ready(self, live: Live) -> bool:
        """Check chain id and head of an endpoint where that is due; one that fails is dropped."""
        if live.verified and live.head is not None:
            return True
        try:
            self._verify(live)
            self.refresh(live)
        except RpcError as error:
            self.drop(live, error.complaint)
            return False
        return True

    def _in_order(self) -> list[Live]:
        return self.lives[self._index :] + self.lives[: self._index]

    def others(self, live: Live) -> list[Live]:
        """The endpoints that may still be asked besides ``live``, in order."""
        return [one for one in self._in_order() if one.usable and one is not live]

    def switch(self, live: Live, why: Complaint | str) -> bool:
        """Move on to the next usable endpoint; False when there is no other."""
        self._last = f"{live.host}: {why if isinstance(why, str) else why.text}"
        others = self.others(live)
        if others:
            self._index = self.lives.index(others[0])
            others[0].verified = False
        return bool(others)

    def drop(self, live: Live, why: Complaint | str) -> None:
        """Ask this endpoint no more in this reading."""
        self.switch(live, why)
        live.usable = False

    def ask(self, question: Callable[[Live], T]) -> T:
        """Put a question to the current endpoint, and on failure to each other one once.

        Raises:
            NoEndpointError: None answered.
        """
        for _ in range(len(self.lives)):
            live = self.current()
            try:
                return question(live)
            except RpcError as error:
                if error.complaint.fault in (Fault.QUOTA, Fault.DOWN):
                    self.drop(live, error.complaint)
                elif not self.switch(live, error.complaint):
                    break
        raise EndpointsDownError(source=self.source, last=self._last)

    def _verify(self, live: Live) -> None:
        answer = live.client.call("eth_chainId", [], decoder=TEXT_ANSWER)
        try:
            found = parse_quantity(answer, what="the chain id")
        except TransferLogError as error:
            raise self._unreadable(live, "eth_chainId", "the chain id is not a number") from error
        if found != self.facts.chain_id:
            raise WrongSourceError(
                source=self.source,
                what=f"the chain id of {live.host}",
                expected=f"{self.facts.chain_id} ({self.facts.name})",
                found=str(found),
                remedy=f"Correct the RPC endpoints of chain {self.facts.chain_id} in the configuration.",
            )
        live.verified = True

    def refresh(self, live: Live) -> None:
        """Resolve head and finalized block of one endpoint; raises RpcError when it cannot give its own head."""
        complaint = Complaint(Fault.LAG, "it announces a head block that it does not have")
        for tried in range(HEAD_TRIES):
            answer = live.client.call("eth_blockNumber", [], decoder=TEXT_ANSWER)
            try:
                number = parse_quantity(answer, what="the head")
            except TransferLogError as error:
                raise self._unreadable(live, "eth_blockNumber", "the head is not a number") from error
            if head := self.block_at(live, number):
                live.head, live.finalized = head, self._finalized(live)
                return
            # A load balancer may announce a block of one backend and ask another for it.
            self.clock.sleep(0.2 * (tried + 1))
        raise RpcError(host=live.host, method="eth_blockNumber", complaint=complaint, tries=HEAD_TRIES)

    def _finalized(self, live: Live) -> int | None:
        try:
            raw = live.client.call("eth_getBlockByNumber", ["finalized", False], decoder=BLOCK_ANSWER, tries=2)
            return parse_block(raw).number if raw else None
        except (RpcError, TransferLogError):
            return None

    def block_at(self, live: Live, number: int) -> Block | None:
        """The block at a height by one endpoint, or None when it has none; a wrong height is an RpcError."""
        raw = live.client.call("eth_getBlockByNumber", [hex(number), False], decoder=BLOCK_ANSWER)
        if raw is None:
            return None
        try:
            block = parse_block(raw)
        except TransferLogError as error:
            raise self._unreadable(live, "eth_getBlockByNumber", str(error)) from error
        if block.number != number:
            raise self._unreadable(live, "eth_getBlockByNumber", f"asked for block {number}, given {block.number}")
        return block

    def finality(self) -> Finality:
        """The most careful finality of all endpoints used in this reading."""
        found = []
        for live in self.used:
            if live.head is not None:
                fell = live.finalized is not None and live.finalized < (self._finalized_max or 0)
                found.append(finality_of(self.facts, head=live.head.number, finalized=live.finalized, fell=fell))
                if live.finalized is not None and live.finalized <= live.head.number:
                    self._finalized_max = max(self._finalized_max or 0, live.finalized)
        return min(found, key=lambda one: one.block, default=Finality(-1, f"depth:{self.facts.final_depth}"))

    def _unreadable(self, live: Live, method: str, text: str) -> RpcError:
        return RpcError(host=live.host, method=method, complaint=Complaint(Fault.TRANSPORT, text))
