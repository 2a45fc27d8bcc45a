"""Money beyond what was owed: too little to matter, or in another coin than the payment's. Pure and columnar."""

from __future__ import annotations

from decimal import Decimal

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, ONE, PAYING_EMITTER, Frame, is_true


def slight_excess(came: Frame, *, policy: Policy, engine: Engine) -> Frame | None:
    """Payments for which less than the least amount that matters came too much (``is_slight``); None without any.

    Args:
        came: ``payment_id``, ``chain_id``, ``token``, what covers it (``covered_from_units``), what is too much
            (``overpaid_from_units``) and what came (``big_received``).
    """
    over = engine.keep_any(
        came.filter(is_true(nw.col("big_received") >= nw.col("overpaid_from_units"))).select(
            "payment_id", "chain_id", "token", "covered_from_units", "big_received"
        )
    )
    limits = sorted(policy.dust_units.items())
    if over is None or not limits:
        return None
    # No engine adds two columns like another, and all sum alike; a constant takes the type of a column that is there.
    nothing = nw.when(nw.lit(value=False)).then(nw.col("covered_from_units"))
    place = nw.concat_str([nw.col("chain_id").cast(nw.String), nw.lit(":"), nw.col("token")])
    parts = [over.select("payment_id", most=nw.col("covered_from_units"))]
    for units in sorted({each for _, each in limits}):
        named = over.filter(is_true(place.is_in([key for key, each in limits if each == units])))
        parts.append(named.select("payment_id", most=nothing.fill_null(Decimal(units))))
    most = nw.concat(parts, how="vertical").group_by("payment_id").agg(nw.col("most").sum())
    slight = over.join(most, on="payment_id", how="inner").filter(is_true(nw.col("big_received") < nw.col("most")))
    return engine.keep_any(slight.select("payment_id", is_slight=ONE))


def other_coins(payments: Frame, direct: Frame, *, moved: Frame, engine: Engine) -> Frame | None:
    """Payments for which more came in another token or on another chain, and how often (``other_coins``), if any.

    By its own reference or to its own one-time address it came to the payment's own recipient, so it is money that the
    house holds; no sum of the payment knows it. What is another payment's by that one's own mark is not counted.

    Args:
        moved: Transfers as :func:`recon.verdicts.links.renamed_transfers` gives them.
    """
    log = ["t_chain", "t_tx", "t_log"]
    is_money = is_true(nw.col("t_amount") > 0) & ~nw.col("t_dust") & ~nw.col("is_spam") & ~nw.col("is_indirect")
    pays = nw.col("t_kind").is_in([DEPOSIT_KINDS, PAYING_EMITTER])
    other = engine.keep_any(
        direct.filter((nw.col("wrong_chain") | nw.col("wrong_token")) & is_money & pays).select("payment_id", *log)
    )
    if other is None:
        return None
    theirs = direct.filter(nw.col("is_valid")).select(*log).unique()
    own = payments.filter((nw.col("direction") == "in") & ~nw.col("is_test")).select("payment_id", "recipient")
    came = (
        other.join(theirs, on=log, how="anti")
        .join(own, on="payment_id", how="inner")
        .join(moved.select(*log, came_to=nw.col("t_recipient")), on=log, how="inner")
        .filter(is_true(nw.col("came_to") == nw.col("recipient")))
        .select("payment_id", *log, one=ONE)
        .unique()
    )
    return engine.keep_any(came.group_by("payment_id").agg(nw.col("one").sum().alias("other_coins")))
