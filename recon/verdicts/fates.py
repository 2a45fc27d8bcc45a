"""What the chains said of the transactions that payments and their providers name. Pure and columnar."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, is_true, named_hashes, one_if
from recon.verdicts.rivals import names_transaction

FATES: Final = ("x_success", "x_reverted", "x_pending", "x_not_found", "x_failed", "x_elsewhere")
"""What the chains said of a recorded hash; ``x_elsewhere``: it succeeded on another chain than the payment's."""


def recorded_fates(unsettled: Frame, transactions: Frame, *, told: Frame, paid_out: bool, engine: Engine) -> Frame:
    """What the chains say of the hash that the row records, where it is not among its valid transfers.

    A row of money going out is found by nothing but hashes, so those that its provider names are looked at as well. Of
    money coming in only that nobody answered about such a hash matters: it may be in a block past the end of the scan.
    """
    loose = unsettled.filter(~nw.col("own_hash_valid"))
    recorded = loose.filter(names_transaction()).select("payment_id", "chain_id", named=nw.col("tx_hash"))
    asked = [recorded]
    if paid_out:
        outgoing = loose.filter((nw.col("mode") == "hash") & (nw.col("direction") != "in"))
        asked.append(_all_named(outgoing, told))
    said = transactions.select("outcome", x_chain=nw.col("chain_id"), named=nw.col("tx_hash"))
    unanswered = engine.keep_any(said.filter(nw.col("outcome") == "failed").select("named").unique())
    if unanswered is not None:
        open_rows = loose.filter((nw.col("mode") != "hash") & ~nw.col("covered_by_chain"))
        # What a provider names for money coming in says nothing while it is answered; the money itself is in the scan.
        asked.append(_all_named(open_rows, told).join(unanswered, on="named", how="inner"))
    every = [one.select("payment_id", "chain_id", "named") for one in asked]
    here = nw.col("x_chain") == nw.col("chain_id")
    return (
        nw.concat(every, how="vertical")
        .join(said, on="named", how="inner")
        .with_columns(
            x_success=one_if(here & (nw.col("outcome") == "success")),
            x_reverted=one_if(here & (nw.col("outcome") == "reverted")),
            x_pending=one_if(here & (nw.col("outcome") == "pending")),
            x_not_found=one_if(here & (nw.col("outcome") == "not_found")),
            x_failed=one_if(here & (nw.col("outcome") == "failed")),
            x_elsewhere=one_if(is_true(nw.col("x_chain") != nw.col("chain_id")) & (nw.col("outcome") == "success")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in FATES])
    )


def _all_named(payments: Frame, told: Frame) -> Frame:
    """Every transaction that payments or their providers name, each with the payment's chain."""
    return payments.select("payment_id", "chain_id").join(named_hashes(payments, told), on="payment_id", how="inner")


def never_asked(unsettled: Frame, transactions: Frame, *, told: Frame) -> Frame:
    """Outgoing payments with a named hash about which their chain, though it is read, said nothing at all."""
    outgoing = unsettled.filter(
        (nw.col("mode") == "hash")
        & (nw.col("direction") != "in")
        & nw.col("chain_is_read")
        & ~nw.col("covered_by_chain")
    )
    named = _all_named(outgoing, told)
    said = transactions.select("chain_id", named=nw.col("tx_hash"))
    return (
        named.join(said, on=["chain_id", "named"], how="anti").select("payment_id").unique().with_columns(x_failed=ONE)
    )


def named_elsewhere(unsettled: Frame, claim_txs: Frame, *, told: Frame) -> Frame:
    """Incoming payments of which the provider names transactions of other chains alone: ``named_on``, one of those.

    Buyers take another coin than the one that a row was made for.
    """
    placed = claim_txs.filter(~nw.col("tx_hash").is_null() & ~nw.col("chain_id").is_null())
    by_money = (nw.col("direction") == "in") & (nw.col("mode") != "hash")
    waiting = unsettled.filter(by_money & ~nw.col("chain_id").is_null())
    pairs = (
        waiting.select("payment_id", "chain_id")
        .join(told, on="payment_id", how="inner")
        .join(placed.select(named=nw.col("tx_hash"), on_chain=nw.col("chain_id")).unique(), on="named", how="inner")
    )
    here = pairs.filter(nw.col("on_chain") == nw.col("chain_id")).select("payment_id").unique()
    others = pairs.join(here, on="payment_id", how="anti")
    return others.group_by("payment_id").agg(nw.col("on_chain").max().alias("named_on"))
