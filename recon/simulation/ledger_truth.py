"""What happened in a simulated world, as a bookkeeper would be told it: money, what it was meant for, what rows say.

These are facts and no judgements: the referee (:mod:`recon.simulation.referee`) draws them together. Every planted case
leaves its intent (which transfer was meant for which row, and what for), so that nobody has to guess it from keys. The
module imports no rule of the tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from recon.core.registry import load_registry

Purpose = Literal["pay", "give_back", "pretend", "another"]
"""What a transfer is to a row: its payment, its money given back, a forgery, or the money of another there."""

ToldBy = Literal["token", "fee_proxy", "indirect", "stranger"]
"""Which contract tells of a transfer; an ``indirect`` one is official, and does not say that the payee got it."""


def is_final_block(block: int, *, chain_id: int, head: int, finalized: int | None) -> bool:
    """Whether a block is final: by the ``finalized`` tag, and by its depth where a chain has broken that tag before."""
    facts = load_registry().chains[chain_id]
    is_deep = facts.trusts_finalized_tag or block <= head - facts.final_depth
    return finalized is None or (block <= finalized and is_deep)


@dataclass(frozen=True, slots=True)
class MovedMoney:
    """One transfer of a simulated chain.

    Args:
        units: What the token itself moved to the recipient; less than ``stated_units`` where it takes a fee.
        stated_units: What the contract that tells of it says.
        fate: ``reverted`` and ``vanished`` moved nothing that lasts.
        depth: Blocks on top of it, its own counted.
        is_final: Whether its chain calls it final.
    """

    chain_id: int
    tx_hash: str
    log_index: int
    block: int
    at_ms: int
    token: str
    units: int
    stated_units: int
    sender: str
    recipient: str
    told_by: ToldBy
    reference: str | None
    fee_recipient: str | None
    fate: str
    depth: int
    is_final: bool

    @property
    def key(self) -> str:
        """How money without a payment is named."""
        return f"chain:{self.chain_id}:{self.tx_hash}:{self.log_index}"

    @property
    def stands(self) -> bool:
        """Whether it happened and still stands on its chain."""
        return self.fate == "ok"


@dataclass(frozen=True, slots=True)
class ProviderWord:
    """What the provider of a payment would say of it.

    Args:
        answers: False where the single look-up gives no usable answer.
        objects: The state of each object that it has of it: paid, partly, unpaid or refunded.
        tx_hashes: Transactions that it names.
    """

    answers: bool = True
    objects: tuple[str, ...] = ()
    tx_hashes: tuple[str, ...] = ()

    @property
    def says_paid(self) -> bool:
        """Whether any object of it is paid."""
        return "paid" in self.objects

    @property
    def says_refunded(self) -> bool:
        """Whether any object of it was refunded."""
        return "refunded" in self.objects


@dataclass(frozen=True, slots=True)
class Affair:
    """One payment with everything that is true of it.

    Args:
        document: The row, as it is stored.
        owed_units: What was agreed, in base units of the token.
        money: Every transfer that is something to it, and what.
        created_ms: When it was really made, whatever the row says of it.
    """

    payment_id: str
    rail: str
    direction: str
    document: Mapping[str, Any]
    owed_units: int
    decimals: int
    chain_id: int
    token: str
    recipient: str
    references: tuple[str, ...]
    request_ids: tuple[str, ...]
    external_id: str | None
    created_ms: int
    expires_ms: int | None
    money: tuple[tuple[Purpose, MovedMoney], ...]
    word: ProviderWord = field(default_factory=ProviderWord)


@dataclass(frozen=True, slots=True)
class PaidObject:
    """A provider's object that it calls paid."""

    key: str
    rail: str
    identity: str


@dataclass(frozen=True, slots=True)
class UnreadBlocks:
    """Blocks of a chain that nobody could read, ends included; ``until_ms`` is the time of the last."""

    chain_id: int
    first: int
    last: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class WorldFacts:
    """Everything the referee is told of a world.

    Args:
        tokens: Decimals of the tokens that are known, by chain and address.
        heads: The newest block of each chain, and its time.
        ours: Addresses of ours that serve many payments.
        our_fees: Addresses that our requests name for fees.
        loose: Transfers that no row was meant to get.
        objects: What providers call paid.
        unread: Blocks that could not be read.
    """

    now_ms: int
    affairs: tuple[Affair, ...]
    tokens: Mapping[tuple[int, str], int]
    heads: Mapping[int, tuple[int, int]]
    ours: frozenset[str]
    our_fees: frozenset[str]
    loose: tuple[MovedMoney, ...]
    objects: tuple[PaidObject, ...]
    unread: tuple[UnreadBlocks, ...] = ()
