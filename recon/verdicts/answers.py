"""How much of what we asked the providers they knew: counts by provider. Pure and columnar, like ``match``.

A provider that answers every question with "no such payment" is reached and says nothing false, and yet nothing may be
concluded from it: it may be another account, or have lost its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import narwhals as nw

from recon.core.tables import Schema
from recon.verdicts.links import ONE, is_true

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.verdicts.engine import Engine, Frame

ANSWERS: Final[Schema] = {"provider": "text", "what": "text", "rows": "int"}
"""``what`` is payments, known, found, not_found or failed."""

_KEYS: Final = ("request_id", "external_id", "reference")


def provider_answers(tables: Mapping[str, Frame], engine: Engine) -> pa.Table:
    """Count, by provider, incoming payments that it could know, those it knows, and what look-ups came to.

    Test rows do not count, nor rows without a key by which a provider could know them.
    """
    named = ~nw.col("request_id").is_null() | ~nw.col("external_id").is_null() | ~nw.col("reference").is_null()
    ours = tables["payments"].filter((nw.col("direction") == "in") & ~is_true(nw.col("is_test")) & named)
    found = tables["claims"].filter(nw.col("outcome") == "found")
    known = [
        ours.join(
            found.filter(~nw.col(key).is_null()).select("provider", key).unique(), on=["provider", key], how="semi"
        ).select("payment_id", "provider")
        for key in _KEYS
    ]
    counted = [
        ours.select("provider", what=nw.lit("payments"), rows=ONE),
        nw.concat(known, how="vertical").unique().select("provider", what=nw.lit("known"), rows=ONE),
        tables["claims"].select("provider", what=nw.col("outcome"), rows=ONE),
    ]
    sums = nw.concat(counted, how="vertical").group_by("provider", "what").agg(nw.col("rows").sum())
    return engine.collect(sums, ANSWERS, order=["provider", "what"])
