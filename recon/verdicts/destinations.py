"""Money that went out to an address that its direction contradicts. Pure and columnar.

A payout is the seller's and a refund is the buyer's. Who the buyer is the pay-ins of the same deal say: the address
that their rows name as the payer's, and the one that the token's own log shows. A worked example::

    p1  in      paid from 0xb2..
    p2  out     its money went to 0xb2..   misdirected "buyer": the seller's money went to the buyer
    p3  refund  its money went to 0x0e..   misdirected "0xb2..": the buyer who paid is another
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import narwhals as nw

from recon.verdicts.buyers import payers
from recon.verdicts.deals import DEAL
from recon.verdicts.engine import Engine
from recon.verdicts.links import Frame, is_true

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
    at_buyer = outgoing.join(
        buyers.with_columns(recipient=nw.col("buyer")), on=[*place, "recipient"], how="semi"
    ).with_columns(misdirected=nw.lit(TO_BUYER))
    elsewhere = (
        outgoing.join(_told_of(buyers, place), on=place, how="inner")
        .join(at_buyer.select("payment_id"), on="payment_id", how="anti")
        .with_columns(misdirected=nw.col("buyer"))
    )
    wrong = [at_buyer.filter(nw.col("direction") == "out"), elsewhere.filter(nw.col("direction") == "refund")]
    return engine.keep_any(nw.concat([frame.select("payment_id", "misdirected") for frame in wrong], how="vertical"))


def _told_of(buyers: Frame, place: Sequence[str]) -> Frame:
    """Deals whose every known payer is the buyer's own address, with one of them (``buyer``)."""
    told = buyers.group_by(*place, "buyer").agg(nw.col("is_own").max())
    every = told.group_by(*place).agg(nw.col("buyer").max(), nw.col("is_own").min())
    return every.filter(nw.col("is_own") == 1).select(*place, "buyer")


def _buyers(payments: Frame, deals: Frame, *, direct: Frame, transfers: Frame) -> Frame:
    """The addresses from which deals were paid, by chain; of a deal that a bridge paid nobody knows them."""
    pay_ins = (
        deals.filter(nw.col("direction") == "in")
        .select("payment_id", *DEAL, "chain_id")
        .join(payments.select("payment_id", "sender", "recipient", "lifi", "mode"), on="payment_id", how="inner")
    )
    bridged = pay_ins.filter(nw.col("lifi") > 0).select(*DEAL).unique()
    asked = pay_ins.join(bridged, on=list(DEAL), how="anti").filter(~nw.col("chain_id").is_null())
    told = payers(asked, direct.filter(nw.col("is_valid")), transfers=transfers)
    named = asked.select("payment_id", *DEAL, "chain_id").join(told, on="payment_id", how="inner")
    return named.select(*DEAL, "chain_id", "buyer", "is_own").unique()
