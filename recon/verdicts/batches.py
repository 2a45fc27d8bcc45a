"""Which transfer is whose where one transaction sent several to one address. Pure and columnar.

A batch pays a seller for several sales at once, or a buyer two refunds, and every row of them records its one hash. A
worked example::

    p1  out, 25 USDT, records 0xb1..     p2  out, 40 USDT, records 0xb1..
    0xb1..  log 3: 40 USDT to their address     log 4: 25 USDT to it
    log 4 is p1's and log 3 is p2's

Only where there are as many transfers as payments, and each payment finds its own amount, is it known. Otherwise every
one of the transfers may be any payment's, and proves none.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, is_true, one_if

_BATCH: Final = ("t_chain", "t_tx", "token", "recipient")


def settled_batches(payments: Frame, links: Frame, *, engine: Engine) -> Frame:
    """Links of which each payment of a batch keeps the one that is its own, where that is known."""
    rows = payments.filter((nw.col("mode") == "hash") & (nw.col("direction") != "in") & ~nw.col("is_test")).select(
        "payment_id", "token", "recipient", "covered_from_units", "overpaid_from_units"
    )
    money = links.filter(nw.col("is_valid")).select("payment_id", "t_chain", "t_tx", "t_log", "t_amount")
    paid = money.join(rows, on="payment_id", how="inner")
    of_rows = paid.select("payment_id", *_BATCH, "covered_from_units", "overpaid_from_units", one=ONE).unique()
    counted = of_rows.group_by(*_BATCH).agg(nw.col("one").sum().alias("rows")).filter(nw.col("rows") > 1)
    in_batch = engine.keep_any(paid.join(counted, on=list(_BATCH), how="inner"))
    if in_batch is None:
        return links
    logs = in_batch.select(*_BATCH, "t_log", "t_amount", "rows", one=ONE).unique()
    placed_logs = logs.with_columns(place=nw.col("one").cum_sum().over(*_BATCH, order_by=["t_amount", "t_log"]))
    placed_rows = of_rows.with_columns(
        place=nw.col("one").cum_sum().over(*_BATCH, order_by=["covered_from_units", "payment_id"])
    ).drop("one")
    pairs = placed_logs.join(placed_rows, on=[*_BATCH, "place"], how="left").with_columns(
        fits=one_if(
            is_true(nw.col("t_amount") >= nw.col("covered_from_units"))
            & is_true(nw.col("t_amount") < nw.col("overpaid_from_units"))
        )
    )
    whole = (
        pairs.group_by(*_BATCH)
        .agg(nw.col("one").sum().alias("logs"), nw.col("fits").sum(), nw.col("rows").max())
        .filter((nw.col("logs") == nw.col("rows")) & (nw.col("fits") == nw.col("rows")))
        .select(*_BATCH)
    )
    key = ["payment_id", "t_chain", "t_tx", "t_log"]
    kept = pairs.join(whole, on=list(_BATCH), how="inner").select(*key)
    settled = in_batch.join(whole, on=list(_BATCH), how="inner").select(*key)
    return engine.keep(links.join(settled.join(kept, on=key, how="anti"), on=key, how="anti"))
