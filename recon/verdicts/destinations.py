"""Money that went out to an address that its direction contradicts. Pure and columnar.

A payout is the seller's and a refund is the buyer's. Who the buyer is the pay-ins of the same deal say: the address
that their rows name as the payer's, and the one that the token's own log shows. A worked example::

    p1  in      paid from 0xb2..
    p2  out     its money went to 0xb2..   misdirected "buyer": the seller's money went to the buyer
    p3  refund  its money went to 0x0e..   misdirected "0xb2..": the buyer who paid is another
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.verdicts.deals import DEAL
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, ONE, Frame, is_true

TO_BUYER: Final = "buyer"
"""What ``misdirected`` says of a payout that went to an address from which its own deal was paid."""


def misdirected_rows(payments: Frame, deals: Frame, *, direct: Frame, transfers: Frame, engine: Engine) -> Frame | None:
    """Proven payouts to the buyer of their deal, and proven refunds to another than the buyer (``misdirected``).

    Of a refund the mark is the address that paid. Nothing is said where nobody knows who paid, or a bridge did. None
    without such rows.

    Args:
        deals: What :func:`recon.verdicts.deals.deals_of` gives.
        transfers: As the table has them.
    """
    outgoing = engine.keep_any(
        deals.filter(nw.col("direction").is_in(["out", "refund"]) & is_true(nw.col("covered_by_chain")))
        .select("payment_id", *DEAL, "direction", "chain_id")
        .join(payments.select("payment_id", "recipient"), on="payment_id", how="inner")
        .filter(~nw.col("recipient").is_null())
    )
    if outgoing is None:
        return None
    buyers = engine.keep_any(_buyers(payments, deals, direct=direct, transfers=transfers))
    if buyers is None:
        return None
    place = [*DEAL, "chain_id"]
    known = outgoing.join(buyers.group_by(*place).agg(nw.col("buyer").max()), on=place, how="inner")
    at_buyer = outgoing.join(
        buyers.with_columns(recipient=nw.col("buyer")), on=[*place, "recipient"], how="semi"
    ).select("payment_id", is_buyer=ONE)
    told = known.join(at_buyer, on="payment_id", how="left").with_columns(is_buyer=is_true(nw.col("is_buyer") > 0))
    is_out = nw.col("direction") == "out"
    return engine.keep_any(
        told.filter(is_out == nw.col("is_buyer")).select(
            "payment_id", misdirected=nw.when(is_out).then(nw.lit(TO_BUYER)).otherwise(nw.col("buyer"))
        )
    )


def _buyers(payments: Frame, deals: Frame, *, direct: Frame, transfers: Frame) -> Frame:
    """The addresses from which deals were paid, by chain: what rows say, and what the token's own logs show."""
    pay_ins = (
        deals.filter(nw.col("direction") == "in")
        .select("payment_id", *DEAL, "chain_id")
        .join(payments.select("payment_id", "sender", "recipient", "lifi"), on="payment_id", how="inner")
    )
    bridged = pay_ins.filter(nw.col("lifi") > 0).select(*DEAL).unique()
    asked = pay_ins.join(bridged, on=list(DEAL), how="anti")
    coins = transfers.filter((nw.col("kind") == DEPOSIT_KINDS) & ~nw.col("sender").is_null()).select(
        "recipient", t_chain=nw.col("chain_id"), t_tx=nw.col("tx_hash"), buyer=nw.col("sender")
    )
    shown = (
        asked.select("payment_id", *DEAL, "chain_id", "recipient")
        .join(
            direct.filter(nw.col("is_valid")).select("payment_id", "t_chain", "t_tx").unique(),
            on="payment_id",
            how="inner",
        )
        .join(coins, on=["t_chain", "t_tx", "recipient"], how="inner")
    )
    named = asked.filter(~nw.col("sender").is_null()).with_columns(buyer=nw.col("sender"))
    columns = (*DEAL, "chain_id", "buyer")
    both = [frame.select(*columns) for frame in (named, shown)]
    return nw.concat(both, how="vertical").filter(~nw.col("chain_id").is_null()).unique()
