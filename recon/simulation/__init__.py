"""Worlds with known truth, and the score of what the tool says of them.

Nothing that judges imports it. What is planted is known, so what is true is known; the rules are never asked. What a
plant declares is held against the referee (:mod:`recon.simulation.referee`), who draws verdict and write from money and
intent. Where the rules of evidence leave a choice, the truth is the reading that is safest for money:

====================================================== =============================================================
planted                                                truth, and why
====================================================== =============================================================
proven, final money that screening blocks              ``aml_blocked`` (later ``stuck_pending``), no write: a
                                                       screening is not overruled by a transfer
failed or cancelled, nothing paid, nothing claimed     ``in_sync``: all three sides agree
release begun less than 30 minutes ago                 ``in_transit``: due, and no alarm yet
complete row without a stored count                    no ``confirmations_stale``: older releases stored none
several automatic findings on one row                  first one is the verdict; their writes are united, because each
                                                       is allowed by its own line of the table
several transfers that add up, first one is recorded   ``in_sync``: the hash is money of this payment
open, covered, and ``escrowState`` has moved on        ``coordinator_blocked``, no write: the table has no such cell
covered, but ``metadata`` is null, text or an array    ``local_behind``, no write: the stamp has nowhere to go
money of an outgoing payment to a wrong address        ``recipient_mismatch``, no write: it has left already
wrong money of a closed row                            the mismatch, no write: captured money is never silent
escrow deposit (``to`` is the escrow)                  no payment; alone it is ``recipient_mismatch``
other coin at a deposit address                        ``token_mismatch``: a one-time address leads to a payment as a
                                                       reference does
unknown token, and the row's own hash leads there      ``token_mismatch``: the row points to it, so it is no spam
transfer of zero units to one of our addresses         nothing: no money moved
complete, proof not final                              ``insufficient_confirmations``
hash gone from the chain, stored count above zero      ``reorged``; without a count ``tx_not_found``
transfer at a shared deposit address that another      the other row's money; a row that waits there has none
row recorded
deposit row without its address                        ``unproven``: nobody can look
refunded row, no refund anywhere                       ``refund_drift``, paid or not
====================================================== =============================================================
"""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.simulation.score import score
    from recon.simulation.situation import Truth
    from recon.simulation.world import PLANTS, World, generate_world, load_breaks, load_truth, plant_world, write_world

__all__ = [
    "PLANTS",
    "Truth",
    "World",
    "generate_world",
    "load_breaks",
    "load_truth",
    "plant_world",
    "score",
    "write_world",
]

__getattr__ = names_from(
    {
        "PLANTS": "recon.simulation.world",
        "Truth": "recon.simulation.situation",
        "World": "recon.simulation.world",
        "generate_world": "recon.simulation.world",
        "load_breaks": "recon.simulation.world",
        "load_truth": "recon.simulation.world",
        "plant_world": "recon.simulation.world",
        "score": "recon.simulation.score",
        "write_world": "recon.simulation.world",
    }
)
