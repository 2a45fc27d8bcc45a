"""What one-time addresses hold beside what was seen to come: money older than every scan. Pure and columnar.

A balance is what came less what left. A worked example, three rows that nobody is seen to have paid::

    p1  holds 12.5, and 0 came in the scan   holds_more 1   12.5 came before it
    p2  holds 0, and sent 2 transactions     was_emptied 2  what lay there before is not known
    p3  holds 0, and never sent any          nothing: nobody ever paid there
"""

from __future__ import annotations

from collections.abc import Mapping

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, Frame, dust_below, is_true, one_if


def held_marks(payments: Frame, tables: Mapping[str, Frame], *, policy: Policy, engine: Engine) -> Frame | None:
    """What the addresses of payments hold (``held``), and what follows of it; None where none was asked.

    ``holds_more``: more than came there. ``was_emptied``: it holds nothing, nothing that was read came there, and it
    has sent so many transactions. ``unheld``: nobody could tell, of a row that looks imported.
    """
    if "holdings" not in tables:
        return None
    waiting = payments.filter((nw.col("mode") == "deposit") & ~nw.col("is_test")).select(
        "payment_id", "chain_id", "token", address=nw.col("recipient")
    )
    place = ["chain_id", "address", "token"]
    asked = engine.keep_any(waiting.join(tables["holdings"], on=place, how="inner"))
    if asked is None:
        return None
    came = (
        tables["transfers"]
        .filter((nw.col("kind") == DEPOSIT_KINDS) & ~is_true(nw.col("sender") == nw.col("recipient")))
        .select("chain_id", "token", "amount_units", address=nw.col("recipient"))
        .join(asked.select(*place).unique(), on=place, how="semi")
        .group_by(*place)
        .agg(nw.col("amount_units").sum().alias("came"))
    )
    matters = is_true(nw.col("units") > 0) & ~is_true(nw.col("units") < dust_below(policy, "chain_id", "token"))
    some_came = is_true(nw.col("came") > 0)
    told = asked.join(came, on=place, how="left").with_columns(
        holds_more=one_if(matters & ~is_true(nw.col("came") >= nw.col("units"))),
        was_emptied=nw.when(~some_came & is_true(nw.col("sent") > 0)).then(nw.col("sent")).otherwise(nw.lit(0)),
        unheld=one_if(~nw.col("problem").is_null()),
        held=nw.col("units"),
    )
    columns = ("holds_more", "was_emptied", "unheld")
    return engine.keep(told.select("payment_id", "held", *[nw.col(name).cast(nw.Int64) for name in columns]))
