"""The chains of a simulated world: blocks, transactions, and logs as a node would give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from recon.core.ids import reference_topic
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE, Registry, load_registry
from recon.sources.recorded.format import RecordedChain, block_hash

ZERO: Final = "0x" + "0" * 40
FINAL_AFTER_MS: Final = 45 * 60_000
"""Whatever is older than this is final on every simulated chain, by tag and by depth."""

HEADS: Final[Mapping[int, tuple[int, int, int]]] = {
    1: (23_900_000, 80, 4_000),
    56: (69_000_000, 3, 300),
    137: (79_000_000, 60, 1_000),
    8453: (38_500_000, 700, 1_000),
    42161: (401_000_000, 5_000, 200),
}
"""Per chain: head, how far ``finalized`` is behind it in blocks, age of the head in milliseconds."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One transfer to be written: the token moves, and if it has a reference a proxy logs it.

    ``arrives`` is what a token that takes a fee lets through of the units.
    """

    token: str
    sender: str
    recipient: str
    units: int
    emitter: str | None = None
    reference: str | None = None
    fee_units: int = 0
    fee_recipient: str = ZERO
    moves_token: bool = True
    arrives: int | None = None


@dataclass(slots=True)
class _Chain:
    clock: RecordedChain
    logs: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    next_log: dict[int, int] = field(default_factory=dict)
    next_tx: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a movement landed: the log that shows the money, which is the proxy's where there is one."""

    chain_id: int
    tx_hash: str
    log_index: int
    block: int
    time_ms: int


class ChainLedger:
    """Collects the transactions of all chains; :meth:`chains` gives them as a recorded world holds them."""

    def __init__(self, rng: Random, now_ms: int) -> None:
        self.registry: Registry = load_registry()
        self._rng = rng
        self._chains: dict[int, _Chain] = {}
        self.moves: list[tuple[Movement, Written, str]] = []
        for chain_id, (head, lag, age_ms) in HEADS.items():
            clock = RecordedChain(
                chain_id=chain_id,
                head=head,
                head_time_ms=now_ms - age_ms,
                block_ms=self.registry.chains[chain_id].block_ms,
                finalized=head - lag,
            )
            self._chains[chain_id] = _Chain(clock)
        self.proxies = {
            chain_id: [emitter.address for emitter in self.registry.emitters_of(chain_id, kind="fee_proxy")]
            for chain_id in HEADS
        }

    @property
    def clocks(self) -> dict[int, RecordedChain]:
        """The chains without what happened on them."""
        return {chain_id: chain.clock for chain_id, chain in self._chains.items()}

    def proxy(self, chain_id: int, *, old: bool = False) -> str:
        """The fee proxy of a chain, or the older one where a chain has two."""
        return self.proxies[chain_id][0 if old else -1]

    def block_at(self, chain_id: int, time_ms: int) -> int:
        """The block that a transaction of that time is in."""
        clock = self._chains[chain_id].clock
        return min(clock.head, clock.block_at(time_ms))

    def head(self, chain_id: int) -> int:
        """The newest block of a chain."""
        return self._chains[chain_id].clock.head

    def write(
        self, chain_id: int, block: int, *, movements: tuple[Movement, ...], fate: str = "ok"
    ) -> tuple[Written, ...]:
        """Write one transaction with its movements; ``fate`` as in :class:`recon.simulation.situation.Leg`."""
        chain = self._chains[chain_id]
        tx_hash = f"0x{self._rng.getrandbits(256):064x}"
        tx_index = chain.next_tx.get(block, self._rng.randrange(40))
        chain.next_tx[block] = tx_index + 1
        place = {
            "blockNumber": hex(block),
            "blockHash": block_hash(chain_id, block),
            "transactionHash": tx_hash,
            "transactionIndex": hex(tx_index),
        }
        if fate == "vanished":
            place["blockHash"] = block_hash(chain_id, -block)
        else:
            ends = {"from": movements[0].sender, "to": movements[0].emitter or movements[0].token}
            chain.receipts.append({**place, "status": "0x0" if fate == "reverted" else "0x1", **ends})
        landed = []
        for movement in movements:
            index = -1 if fate == "reverted" else self._log(chain, block, place, movement, fate == "vanished")
            landed.append(Written(chain_id, tx_hash, index, block, chain.clock.time_ms(block)))
            self.moves.append((movement, landed[-1], fate))
        return tuple(landed)

    def _log(self, chain: _Chain, block: int, place: dict[str, str], movement: Movement, removed: bool) -> int:
        index = chain.next_log.get(block, self._rng.randrange(200))
        arrived = movement.units if movement.arrives is None else movement.arrives
        shown = [_erc20(movement, movement.recipient, arrived)] if movement.moves_token else []
        if movement.reference is not None and movement.emitter is not None:
            if movement.moves_token and movement.fee_units and movement.fee_recipient != ZERO:
                shown.append(_erc20(movement, movement.fee_recipient, movement.fee_units))
            shown.append(_proxied(movement))
        for offset, log in enumerate(shown):
            chain.logs.append({**log, **place, "logIndex": hex(index + offset), "removed": removed})
        chain.next_log[block] = index + len(shown)
        return index + len(shown) - 1

    def chains(self) -> dict[int, RecordedChain]:
        """All chains, their lines sorted as a node would give them."""
        return {
            chain_id: RecordedChain(
                chain_id=chain_id,
                head=chain.clock.head,
                head_time_ms=chain.clock.head_time_ms,
                block_ms=chain.clock.block_ms,
                finalized=chain.clock.finalized,
                logs=sorted(chain.logs, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16))),
                receipts=sorted(
                    chain.receipts, key=lambda row: (int(row["blockNumber"], 16), int(row["transactionIndex"], 16))
                ),
            )
            for chain_id, chain in self._chains.items()
        }


def _word(value: str | int) -> str:
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


def _erc20(movement: Movement, recipient: str, units: int) -> dict[str, Any]:
    topics = [ERC20_TRANSFER, "0x" + _word(movement.sender), "0x" + _word(recipient)]
    return {"address": movement.token, "topics": topics, "data": "0x" + _word(units)}


def _proxied(movement: Movement) -> dict[str, Any]:
    words: tuple[str | int, ...] = (
        movement.token,
        movement.recipient,
        movement.units,
        movement.fee_units,
        movement.fee_recipient,
    )
    topics = [TRANSFER_WITH_REFERENCE_AND_FEE, reference_topic(str(movement.reference))]
    return {"address": movement.emitter, "topics": topics, "data": "0x" + "".join(map(_word, words))}
