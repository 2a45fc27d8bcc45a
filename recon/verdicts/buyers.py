"""Who paid for a pay-in: the address that its row names, and those that the token's own logs show. Pure and columnar.

A proxy is called from the buyer's own wallet; a one-time address is often paid by an exchange, whose address is the
buyer's only where the row says so (``is_own``). A worked example::

    p1  by reference, names 0xb2..   in its transaction 0xb3.. sent to the payee   0xb2.. own   0xb3.. own
    p2  by one-time address          0xe1.. sent to it                             0xe1.. not own
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.verdicts.links import DEPOSIT_KINDS, ONE, Frame, is_true, one_if

ZERO_ADDRESS: Final = "0x" + "0" * 40
"""From where coins are minted, and to where they are burned."""


def payers(pay_ins: Frame, paid: Frame, *, transfers: Frame) -> Frame:
    """The addresses from which payments were paid: ``payment_id``, ``buyer`` and ``is_own``, 1 or 0.

    What a token that nobody knows logs in the transaction, or a log of nothing, says nothing of the payer. Coins that a
    bridge mints come from nobody, and what is burned later went back to nobody.

    Args:
        pay_ins: ``payment_id``, ``recipient``, ``sender`` and ``mode``.
        paid: Links to the money that came for them.
        transfers: As the table has them.
    """
    sent = transfers.filter(
        (nw.col("kind") == DEPOSIT_KINDS)
        & ~nw.col("sender").is_null()
        & is_true(nw.col("token_known"))
        & is_true(nw.col("amount_units") > 0)
    ).select("recipient", t_chain=nw.col("chain_id"), t_tx=nw.col("tx_hash"), buyer=nw.col("sender"))
    shown = (
        pay_ins.select("payment_id", "recipient", is_own=one_if(nw.col("mode") == "reference"))
        .join(paid.select("payment_id", "t_chain", "t_tx").unique(), on="payment_id", how="inner")
        .join(sent, on=["t_chain", "t_tx", "recipient"], how="inner")
        .select("payment_id", "buyer", "is_own")
    )
    named = pay_ins.filter(~nw.col("sender").is_null()).select("payment_id", buyer=nw.col("sender"), is_own=ONE)
    both = nw.concat([named, shown], how="vertical")
    both = both.filter(nw.col("buyer") != ZERO_ADDRESS)
    return both.group_by("payment_id", "buyer").agg(nw.col("is_own").max())
