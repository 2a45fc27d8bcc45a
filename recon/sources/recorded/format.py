"""What a recorded world is made of: its payments, what providers say, and its chains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from recon.sources.recorded.faults import FaultRule

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class RecordedChain:
    """One chain of a recorded world.

    Args:
        head: Number of the newest block; ``head_time_ms`` is its time, ``block_ms`` the time between blocks.
        finalized: What the ``finalized`` tag answers, or None where the node knows no such tag.
        logs: Raw ``eth_getLogs`` entries, sorted by block and log index.
        receipts: Raw receipts without their logs.
        balances: What wallets hold of tokens at the end of a block: ``wallet``, ``token``, ``block``, ``units`` (text).
            From there on the chain's own transfers move it, until the next row says otherwise; before the first row
            the node keeps no state.
    """

    chain_id: int
    head: int
    head_time_ms: int
    block_ms: int
    finalized: int | None = None
    logs: Sequence[Mapping[str, Any]] = ()
    receipts: Sequence[Mapping[str, Any]] = ()
    balances: Sequence[Mapping[str, Any]] = ()

    def time_ms(self, block: int) -> int:
        """When a block was made, UTC milliseconds."""
        return self.head_time_ms - (self.head - block) * self.block_ms

    def block_at(self, time_ms: int) -> int:
        """The newest block at or before a time."""
        return self.head + (time_ms - self.head_time_ms) // self.block_ms


@dataclass(frozen=True, slots=True)
class RecordedWorld:
    """Everything the sources of one moment would say.

    Args:
        wallets: Known wallets of which the chains hold balances.
        said: By provider, the lines from which its own folder answers.
        ledger: Entries of the backend's own ledger, to be written; they are read apart from the rest of a world.
    """

    now: datetime
    seed: int
    target_name: str = "demo"
    database: str = "marketplace"
    collection: str = "payments"
    collection_uuid: str | None = None
    merchant_recipients: tuple[str, ...] = ()
    fee_recipients: tuple[str, ...] = ()
    wallets: tuple[str, ...] = ()
    chains: Mapping[int, RecordedChain] = field(default_factory=dict)
    payments: Sequence[Mapping[str, Any]] = ()
    said: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    deliveries: Sequence[Mapping[str, Any]] = ()
    ledger: Sequence[Mapping[str, Any]] = ()
    faults: tuple[FaultRule, ...] = ()


def block_hash(chain_id: int, number: int) -> str:
    """The hash that a recorded chain's block has: derived, so that no block needs to be stored."""
    return "0x" + hashlib.sha256(f"recorded:{chain_id}:{number}".encode()).hexdigest()
