"""What can happen to the sources of a whole world: a chain halts, a node forgets, a provider is gone.

Each gives the same world as it would then be read, and tells the referee what nobody could read. The truth of what
happened stays; what can be known of it is less, and the referee is told only what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from recon.simulation.account import named_by
from recon.simulation.ledger_truth import Affair, MovedMoney, UnreadBlocks, WorldFacts, is_final_block
from recon.simulation.stage import NOW_MS
from recon.simulation.world import World
from recon.sources.recorded.faults import FaultRule

HOUR_MS: Final = 3_600_000


def halted(world: World, *, chain_id: int, hours: int) -> World:
    """A chain (or the only node of it) that has stood still for so many hours: what came later is not there."""
    recorded = world.recorded
    chain = recorded.chains[chain_id]
    back = hours * HOUR_MS // chain.block_ms
    head = chain.head - back
    still = replace(
        chain,
        head=head,
        head_time_ms=chain.time_ms(head),
        finalized=None if chain.finalized is None else chain.finalized - back,
        logs=[log for log in chain.logs if int(log["blockNumber"], 16) <= head],
        receipts=[row for row in chain.receipts if int(row["blockNumber"], 16) <= head],
    )

    def seen(moved: MovedMoney) -> MovedMoney | None:
        if moved.chain_id != chain_id:
            return moved
        is_final = is_final_block(moved.block, chain_id=chain_id, head=head, finalized=still.finalized)
        return replace(moved, depth=moved.depth - back, is_final=is_final) if moved.block <= head else None

    facts = _less(
        world,
        seen,
        unread=(UnreadBlocks(chain_id, head + 1, chain.head, NOW_MS),),
        heads={**world.facts.heads, chain_id: (head, still.head_time_ms)} if world.facts else {},
    )
    return World(replace(recorded, chains={**recorded.chains, chain_id: still}), world.truths, facts)


def forgotten(world: World, *, chain_id: int) -> World:
    """A node that has thrown away its logs: it still answers for a transaction that somewhere has a name."""
    assert world.facts is not None
    error = {"code": -32000, "message": "history has been pruned for this block"}
    rule = FaultRule(f"chain:{chain_id}", "eth_getLogs", body=error)
    named = {tx_hash for affair in world.facts.affairs for tx_hash in named_by(affair)}
    listed = (line["transaction"] for line in world.recorded.said["shkeeper"] if "transaction" in line)
    named |= {str(row["txid"]) for row in listed}

    def seen(moved: MovedMoney) -> MovedMoney | None:
        return moved if moved.chain_id != chain_id or moved.tx_hash in named else None

    head = world.recorded.chains[chain_id].head
    facts = _less(world, seen, unread=(UnreadBlocks(chain_id, 0, head, NOW_MS),))
    return World(replace(world.recorded, faults=(*world.recorded.faults, rule)), world.truths, facts)


def gone(world: World, *, provider: str) -> World:
    """A provider that answers every question with an error."""
    assert world.facts is not None
    rule = FaultRule(provider, "*", status=503, text="no backend is available")
    recorded = replace(world.recorded, faults=(*world.recorded.faults, rule))
    objects = tuple(item for item in world.facts.objects if item.rail != provider)
    affairs = tuple(
        replace(affair, word=replace(affair.word, answers=False, objects=(), tx_hashes=()))
        if affair.rail == provider
        else affair
        for affair in world.facts.affairs
    )
    facts = replace(world.facts, affairs=affairs, objects=objects)
    return World(recorded, world.truths, facts)


def weathered(world: World, *, seed: int) -> World:
    """The same world with one of its chains halted or its node forgetful, by the seed."""
    chains = sorted(world.recorded.chains)
    chain_id = chains[seed // 2 % len(chains)]
    return forgotten(world, chain_id=chain_id) if seed % 8 else halted(world, chain_id=chain_id, hours=3)


def _less(world: World, seen: Callable[[MovedMoney], MovedMoney | None], **changed: Any) -> WorldFacts:
    """The facts of a world, less the money that nobody could see."""
    assert world.facts is not None
    facts = world.facts
    return replace(
        facts,
        affairs=tuple(_affair(affair, seen) for affair in facts.affairs),
        loose=tuple(one for one in map(seen, facts.loose) if one is not None),
        **changed,
    )


def _affair(affair: Affair, seen: Callable[[MovedMoney], MovedMoney | None]) -> Affair:
    money: list[Any] = []
    for purpose, moved in affair.money:
        if (left := seen(moved)) is not None:
            money.append((purpose, left))
    return replace(affair, money=tuple(money))
