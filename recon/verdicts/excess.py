"""Money beyond what was owed that is too little to matter. Pure and columnar."""

from __future__ import annotations

from decimal import Decimal

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, is_true


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
