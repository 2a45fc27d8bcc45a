"""What else is on the chains: other merchants' payments, other contracts with the same event, and spam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.simulation.ledger import HEADS, Movement

if TYPE_CHECKING:
    from recon.simulation.stage import Stage

_DAY_MS = 86_400_000


def add_noise(stage: Stage, payments: int, *, hostile: bool) -> None:
    """Add what must not change any judgement: a third as many foreign payments, and spam where ``hostile``."""
    from recon.simulation.stage import NOW_MS

    rng = stage.rng
    for _ in range(payments // 3):
        stage.foreign_payment(stage.draw_chain(), NOW_MS - rng.randrange(60_000, 7 * _DAY_MS))
    others = [
        emitter
        for chain_id in HEADS
        for kind in ("conversion_proxy", "escrow", "receivable")
        for emitter in stage.ledger.registry.emitters_of(chain_id, kind=kind)
    ]
    for _ in range(payments // 100):
        emitter = rng.choice(others)
        time_ms = NOW_MS - rng.randrange(60_000, 7 * _DAY_MS)
        stage.foreign_payment(emitter.chain_id, time_ms, emitter=emitter.address)
    if hostile:
        for _ in range(payments // 100):
            _spam(stage, NOW_MS - rng.randrange(3_600_000, 6 * _DAY_MS))


def _spam(stage: Stage, time_ms: int) -> None:
    """A worthless token, or nothing at all of a good one, sent to one of our addresses."""
    rng = stage.rng
    chain_id = stage.draw_chain()
    good = stage.ledger.registry.token(chain_id, "USDT")
    assert good is not None
    is_dust = rng.random() < 0.3
    movement = Movement(
        token=good.address if is_dust else stage.address(),
        sender=stage.address(),
        recipient=rng.choice(stage.merchants),
        units=0 if is_dust else rng.randrange(1, 2**100),
    )
    stage.ledger.write(chain_id, stage.ledger.block_at(chain_id, time_ms), movements=(movement,))
