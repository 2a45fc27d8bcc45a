"""Payments that name a transfer which is another payment's, and who that other payment is. Pure and columnar.

A hash in a row says where to look, never whose money it is. A log that carries a payment's own reference, or that
went to its own one-time address, marks the transfer as that payment's, also where other rows name its hash. A worked
example::

    p1  records 0xf1..  no log of its own in it      shared_hash 1  borrowed_hash 1  rival_id p2
    p2  records 0xf1..  its reference is in the log  nothing: the transfer is its own

Without such a mark a transfer that two payments claim proves neither.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.verdicts.links import ONE, PLACEHOLDER, Frame, is_true, one_if

RIVAL_MARKS: Final = ("shared_hash", "borrowed_hash")
"""1 or 0: the row names a transfer that another row claims; that other row's own mark is on it."""


def names_hash() -> nw.Expr:
    """Whether a row records a hash."""
    return ~nw.col("tx_hash").is_null()


def names_transaction() -> nw.Expr:
    """Whether the hash that a row records can be one: backends write zeros before they know it."""
    return names_hash() & is_true(nw.col("tx_hash") != PLACEHOLDER)


def real(payments: Frame) -> Frame:
    """Payments that are no test rows."""
    return payments.filter(~nw.col("is_test"))


def shared_hashes(
    payments: Frame, *, unsettled: Frame, direct: Frame, refunds: Frame | None, releases: Frame | None
) -> Frame:
    """Payments that record a hash which another payment records or is paid by, without a log of their own in it.

    A pay-in that was given back, or given up and paid all the same, records the transaction in which it went back, as
    the refund row of its deal does (``refunds``, links of such rows' transfers); it shares it with nobody else. So it
    is with one that was released and records the payout of its deal (``releases``, ``payment_id`` and ``named``).

    The other payment is in it too, unless the transfer bears its own mark. That a payment has no log of its own in the
    transaction is only known where its chain was searched, or where its money is proven to have come otherwise. A
    transfer that is claimed by its hash alone is shared with every row that records it, searched or not.
    """
    searched = nw.col("covered_by_scan") | ((nw.col("mode") == "hash") & nw.col("chain_is_read"))
    loose = (
        real(unsettled)
        .filter(names_transaction() & ~nw.col("own_hash_valid"))
        .select(
            loose_id=nw.col("payment_id"),
            named=nw.col("tx_hash"),
            is_certain=one_if(searched | nw.col("covered_by_chain")),
        )
    )
    if refunds is not None:
        says_so = nw.col("status").fill_null("").is_in(["refunded", "failed", "cancelled"]) | is_true(
            nw.col("escrow_state") == "refunded"
        )
        given_back = refunds.join(unsettled.filter(says_so).select("payment_id"), on="payment_id", how="semi")
        back = given_back.select(loose_id=nw.col("payment_id"), named=nw.col("t_tx")).unique()
        loose = loose.join(back, on=["loose_id", "named"], how="anti")
    if releases is not None:
        given = releases.select("named", loose_id=nw.col("payment_id"))
        loose = loose.join(given, on=["loose_id", "named"], how="anti")
    pairs = loose.join(_holders(payments, direct), on="named", how="inner").filter(
        nw.col("loose_id") != nw.col("holder_id")
    )
    takers = pairs.filter(nw.col("is_certain") == 1).select(
        payment_id=nw.col("loose_id"),
        borrowed_hash=nw.col("marked"),
        owner_id=nw.when(nw.col("marked") == 1).then(nw.col("holder_id")),
        other_id=nw.col("holder_id"),
    )
    unmarked = pairs.filter((nw.col("marked") == 0) & ((nw.col("is_certain") == 1) | (nw.col("moneyed") == 1)))
    others = unmarked.select(
        payment_id=nw.col("holder_id"),
        borrowed_hash=nw.lit(0).cast(nw.Int64),
        owner_id=nw.lit(None).cast(nw.String),
        other_id=nw.col("loose_id"),
    )
    return (
        nw.concat([takers, others], how="vertical")
        .group_by("payment_id")
        .agg(nw.col("borrowed_hash").max(), nw.col("owner_id").max(), nw.col("other_id").max())
        .select("payment_id", "borrowed_hash", shared_hash=ONE, rival_id=nw.coalesce("owner_id", "other_id"))
    )


def _holders(payments: Frame, direct: Frame) -> Frame:
    """Who records or is paid by which transaction: ``marked`` where a log in it bears the payment's own mark."""
    rows = real(payments)
    paid = direct.filter(nw.col("is_valid")).select("payment_id", named=nw.col("t_tx")).unique()
    moneyed = (
        rows.select("payment_id", "mode")
        .join(paid, on="payment_id", how="inner")
        .select(
            holder_id=nw.col("payment_id"),
            named=nw.col("named"),
            marked=one_if(nw.col("mode") != "hash"),
            moneyed=ONE,
        )
    )
    recorders = rows.filter(names_transaction()).select(holder_id=nw.col("payment_id"), named=nw.col("tx_hash"))
    nothing = nw.lit(0).cast(nw.Int64)
    only_recorded = recorders.join(
        moneyed.select("holder_id", "named"), on=["holder_id", "named"], how="anti"
    ).with_columns(marked=nothing, moneyed=nothing)
    columns = ("holder_id", "named", "marked", "moneyed")
    return nw.concat([moneyed.select(*columns), only_recorded.select(*columns)], how="vertical")


def shared_payouts(payments: Frame, direct: Frame) -> Frame:
    """Outgoing payments found by nothing but a hash whose transfer is another payment's too.

    Two logs of one batch are two transfers; a proxy's own log is another than that of the token that it moved.
    """
    rows = real(payments)
    by_hash = rows.filter((nw.col("mode") == "hash") & (nw.col("direction") != "in"))
    money = direct.filter(nw.col("is_valid")).select("payment_id", "t_chain", "t_tx", "t_log")
    paid_out = by_hash.select("payment_id", "token", "recipient").join(money, on="payment_id", how="inner")
    others = rows.select(
        holder_id=nw.col("payment_id"),
        h_token=nw.col("token"),
        h_recipient=nw.col("recipient"),
        borrowed_hash=one_if(nw.col("mode") != "hash"),
    )
    pairs = (
        paid_out.join(
            money.select("t_chain", "t_tx", holder_id=nw.col("payment_id"), h_log=nw.col("t_log")),
            on=["t_chain", "t_tx"],
            how="inner",
        )
        .filter(nw.col("payment_id") != nw.col("holder_id"))
        .join(others, on="holder_id", how="inner")
        .filter((nw.col("h_token") == nw.col("token")) & (nw.col("h_recipient") == nw.col("recipient")))
        .filter((nw.col("h_log") == nw.col("t_log")) | (nw.col("borrowed_hash") == 1))
    )
    return (
        pairs.group_by("payment_id")
        .agg(nw.col("borrowed_hash").max(), nw.col("holder_id").max())
        .select("payment_id", "borrowed_hash", shared_hash=ONE, rival_id=nw.col("holder_id"))
    )
