"""Payments with several keys of one kind: what is said of any of them is said of the payment. Pure and columnar.

A buyer tried twice, and the row keeps both request ids. What a provider says of the second object is laid under the
payment's first key as well, so everything that joins by that key finds it, and the references of all of a payment's
objects lead to its money. A worked example::

    payments   p1  request_id 01aa..          keys   p1  request_id 01bb..
    claims     01aa..  unpaid                 gives  01aa..  unpaid
               01bb..  paid, reference R             01bb..  paid     01aa..  paid
                                              and the topic of R to p1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import narwhals as nw

from recon.sources.providers.installed import rails_that_pay_out
from recon.verdicts.engine import Engine
from recon.verdicts.links import Frame, claim_key, is_true, one_if

_OWN: Final = ("provider", "direction", "request_id", "external_id", "reference_topic")
_SAID: Final = ("claims", "claim_txs")
_PLACES: Final = ("request_id", "external_id")


def further_keys(tables: Mapping[str, Frame], *, engine: Engine) -> Frame | None:
    """The table of further keys, where any payment has one; an older snapshot has no such table."""
    return engine.keep_any(tables["keys"]) if "keys" in tables else None


def keyed(tables: Mapping[str, Frame], held: Frame, *, engine: Engine) -> Frame | None:
    """Each further key by which a provider knows an object: ``payment_id``, its ``claim_key`` and the row's first.

    Args:
        held: What :func:`further_keys` gives.
    """
    rows = nw.concat([tables[name].select("payment_id", *_OWN) for name in ("payments", "context")], how="vertical")
    further = held.filter(nw.col("field").is_in(list(_PLACES)))
    own = rows.join(further.select("payment_id").unique(), on="payment_id", how="semi").with_columns(
        paid_out=nw.col("provider").is_in(rails_that_pay_out()) & (nw.col("direction").fill_null("in") != "in")
    )
    first = own.with_columns(first_key=claim_key(paid_out=nw.col("paid_out")))
    named = (
        first.drop(*_PLACES)
        .join(further.select("payment_id", "field", "value"), on="payment_id", how="inner")
        .with_columns(
            **{name: nw.when(nw.col("field") == name).then(nw.col("value")) for name in _PLACES},
        )
        .with_columns(claim_key=claim_key(paid_out=nw.col("paid_out")))
    )
    wanted = named.filter(~nw.col("claim_key").is_null() & ~nw.col("first_key").is_null())
    firsts = first.select("payment_id", first_request=nw.col("request_id"), first_external=nw.col("external_id"))
    return engine.keep_any(
        wanted.select("payment_id", "claim_key", "direction", "first_key")
        .unique()
        .join(firsts, on="payment_id", how="inner")
    )


def with_all_keys(tables: Mapping[str, Frame], further: Frame) -> dict[str, Frame]:
    """The tables, what providers say of a further key also laid under the first key of its payment."""
    return {**tables, **{name: _laid_under_first(tables[name], further, name=name) for name in _SAID}}


def _laid_under_first(said: Frame, further: Frame, *, name: str) -> Frame:
    columns = said.collect_schema().names()
    out = nw.col("object") == "payout" if name == "claims" else nw.lit(value=False)
    under = further.select("claim_key", "first_request", "first_external").unique()
    more = (
        said.with_columns(claim_key=claim_key(paid_out=out))
        .join(under, on="claim_key", how="inner")
        .with_columns(request_id=nw.col("first_request"), external_id=nw.col("first_external"))
    )
    return nw.concat([said, more.select(*columns)], how="vertical")


def further_topics(tables: Mapping[str, Frame], held: Frame, *, further: Frame | None, engine: Engine) -> Frame | None:
    """The references by which a payment's money may come besides its own: ``payment_id`` and ``topic``.

    Those that the row holds itself, those of its further objects, and that of its first object where it is another.
    """
    parts = [held.filter(~nw.col("reference_topic").is_null())]
    if further is not None:
        parts.append(_topics_told(tables, further))
    both = [part.select("payment_id", topic=nw.col("reference_topic")) for part in parts]
    return engine.keep_any(nw.concat(both, how="vertical").unique())


def _topics_told(tables: Mapping[str, Frame], further: Frame) -> Frame:
    """The references that a provider says of each object of payments with further keys."""
    told = tables["claims"].with_columns(claim_key=claim_key(paid_out=nw.col("object") == "payout"))
    told = told.filter(~nw.col("reference_topic").is_null() & ~nw.col("claim_key").is_null())
    named = nw.concat(
        [
            further.select("payment_id", "claim_key"),
            further.select("payment_id", claim_key=nw.col("first_key")),
        ],
        how="vertical",
    ).unique()
    return named.join(told.select("claim_key", "reference_topic"), on="claim_key", how="inner")


def all_topics(payments: Frame, topics: Frame | None, *, engine: Engine) -> Frame | None:
    """Further references, and the one that a payment's own object has at its provider where the row holds another.

    A request that was made anew has a new reference, and a row may keep the old one beside the new request's id.
    """
    told = engine.keep_any(payments.filter(~nw.col("claim_topic").is_null()).select("payment_id", topic="claim_topic"))
    if told is None or topics is None:
        return topics if told is None else told
    return engine.keep(nw.concat([topics, told], how="vertical").unique())


def unanswered(tables: Mapping[str, Frame], further: Frame) -> Frame:
    """Payments of which a further key was not asked about (``keys_open``), or in vain (``keys_failed``)."""
    said = tables["claims"].select(
        claim_key=claim_key(paid_out=nw.col("object") == "payout"),
        answers=one_if(is_true(nw.col("outcome") != "failed")),
        failures=one_if(is_true(nw.col("outcome") == "failed")),
    )
    counted = said.filter(~nw.col("claim_key").is_null()).group_by("claim_key").agg(
        nw.col("answers").sum(), nw.col("failures").sum()
    )  # fmt: skip
    each = further.select("payment_id", "claim_key").join(counted, on="claim_key", how="left")
    silent = each.filter(nw.col("answers").fill_null(0) == 0)
    tried = nw.col("failures").fill_null(0) > 0
    return (
        silent.with_columns(keys_open=one_if(~tried), keys_failed=one_if(tried))
        .group_by("payment_id")
        .agg(nw.col("keys_open").max(), nw.col("keys_failed").max())
    )


def with_further(payments: Frame, further: Frame | None, *, name: str) -> Frame:
    """Payments by one of their keys, with a row for every further one; what several rows hold is then seen."""
    columns = ("payment_id", "direction", name)
    own = payments.select(*columns)
    if further is None:
        return own.filter(~nw.col(name).is_null())
    more = (
        own.rename({name: "own_key"})
        .join(further.select("payment_id", name).unique(), on="payment_id", how="inner")
        .filter(nw.col(name) != nw.col("own_key").fill_null(""))
    )
    return nw.concat([own, more.select(*columns)], how="vertical").filter(~nw.col(name).is_null())
