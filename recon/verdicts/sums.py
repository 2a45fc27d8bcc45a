"""What came for each payment, added up: how much, whether it is enough, and by which transfer. Pure and columnar.

Only valid transfers enter a sum. Of several final ones the first at which the sum reaches what is owed is the proof.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.engine import Engine
from recon.verdicts.excess import slight_excess
from recon.verdicts.links import ONE, Frame, completing_links, is_true, one_if

SUMS: Final = ("received", "received_final", "valid_count", "big_count", "unread_count", "last_time")
MONEY: Final = (
    *SUMS, "covered_by_chain", "covered", "seen_enough", "seen_any",
    "too_much", "needed_count", "proof_tx", "proof_log", "proof_time", "proof_fee_recipient", "own_hash_valid",
)  # fmt: skip


def money_of(payments: Frame, direct: Frame, *, policy: Policy, engine: Engine) -> Frame:
    """One row per payment: what came for it, and whether that is enough."""
    owed = payments.select(
        "payment_id", "chain_id", "token", "covered_from_units", "overpaid_from_units", "by_word", "word_units"
    )
    told = nw.when(nw.col("by_word") & nw.col("valid_count").is_null()).then(nw.col("word_units"))
    sums = {name: nw.coalesce(nw.col(name), told) for name in ("received", "big_received")}
    came = owed.join(_received(direct), on="payment_id", how="left").with_columns(**sums)
    slight = slight_excess(came, policy=policy, engine=engine)
    if slight is None:
        came = came.with_columns(is_slight=nw.lit(0).cast(nw.Int64))
    else:
        came = came.join(slight, on="payment_id", how="left").with_columns(is_slight=nw.col("is_slight").fill_null(0))
    several = engine.keep_any(_several_final(direct))
    if several is None:
        return came.select("payment_id", *SUMS, **_cover(has_several=False))
    proofs = _proofs(payments, direct, several=several)
    return came.join(proofs, on="payment_id", how="left").select("payment_id", *SUMS, **_cover(has_several=True))


def _received(direct: Frame) -> Frame:
    """Sum what came in, per payment. Only valid transfers enter a sum, so a worthless token cannot overflow it."""
    final = nw.col("t_final")
    return (
        direct.filter(nw.col("is_valid"))
        .with_columns(
            one=ONE,
            final_one=one_if(final),
            final_units=nw.when(final).then(nw.col("t_amount")),
            final_tx=nw.when(final).then(nw.col("t_tx")),
            final_log=nw.when(final).then(nw.col("t_log")),
            final_time=nw.when(final).then(nw.col("t_time")),
            final_fee_recipient=nw.when(final).then(nw.col("t_fee_recipient")),
            own=one_if(nw.col("own_hash")),
            unread=one_if(nw.col("t_unread")),
            big=one_if(~nw.col("t_dust")),
            big_units=nw.when(~nw.col("t_dust")).then(nw.col("t_amount")),
        )
        .group_by("payment_id")
        .agg(
            nw.col("one").sum().alias("valid_count"),
            nw.col("final_one").sum().alias("final_count"),
            nw.col("unread").sum().alias("unread_count"),
            nw.col("big").sum().alias("big_count"),
            nw.col("big_units").sum().alias("big_received"),
            nw.col("t_amount").sum().alias("received"),
            nw.col("final_units").sum().alias("received_final"),
            nw.col("own").max().alias("own_valid"),
            nw.col("t_time").max().alias("last_time"),
            nw.col("final_tx").max().alias("single_tx"),
            nw.col("final_log").max().alias("single_log"),
            nw.col("final_time").max().alias("single_time"),
            nw.col("final_fee_recipient").max().alias("single_fee_recipient"),
        )
    )


def _several_final(direct: Frame) -> Frame:
    """The payments for which several final transfers came."""
    counted = direct.filter(nw.col("is_valid") & nw.col("t_final")).select("payment_id", one=ONE).group_by("payment_id")
    return counted.agg(nw.col("one").sum()).filter(nw.col("one") > 1).select("payment_id")


def _proofs(payments: Frame, direct: Frame, *, several: Frame) -> Frame:
    """For payments with several final transfers: the one that completes the cover, and how many it took."""
    final = direct.filter(nw.col("is_valid") & nw.col("t_final"))
    parts = final.join(several, on="payment_id", how="inner").with_columns(
        t_fee_recipient=nw.col("t_fee_recipient").fill_null("")
    )
    goals = payments.select("payment_id", goal=nw.col("covered_from_units"))
    found = completing_links(parts, goals, carried=("t_tx", "t_time", "t_fee_recipient"))
    return found.select(
        "payment_id",
        needed_many=nw.col("needed_count"),
        many_tx=nw.col("t_tx"),
        many_log=nw.col("t_log"),
        many_time=nw.col("t_time"),
        many_fee_recipient=nw.col("t_fee_recipient"),
    )


def _cover(*, has_several: bool) -> dict[str, nw.Expr]:
    """Whether the money is enough, and by which transfer.

    Args:
        has_several: Whether several final transfers came for any payment, so that there is a transfer that completes
            a sum (``many_...``).
    """
    enough = is_true(nw.col("received_final") >= nw.col("covered_from_units"))
    by_chain = enough & is_true(nw.col("final_count") > 0)
    told = nw.col("by_word") & is_true(nw.col("word_units") > 0)
    told_enough = told & is_true(nw.col("word_units") >= nw.col("covered_from_units"))
    seen_enough = is_true(nw.col("received") >= nw.col("covered_from_units"))
    one = by_chain & (nw.col("final_count") == 1)
    many = by_chain & (nw.col("final_count") > 1)

    def proof(name: str) -> nw.Expr:
        return first(nw.col(f"single_{name}"), f"many_{name}")

    def first(single: nw.Expr, of_many: str) -> nw.Expr:
        if not has_several:
            return nw.when(one).then(single)
        return nw.when(one).then(single).otherwise(nw.when(many).then(nw.col(of_many)))

    return {
        "covered_by_chain": by_chain,
        "covered": by_chain | told_enough,
        "seen_enough": seen_enough,
        "seen_any": is_true(nw.col("big_count") > 0) | seen_enough | told,
        "too_much": is_true(nw.col("big_received") >= nw.col("overpaid_from_units")) & (nw.col("is_slight") == 0),
        "needed_count": first(nw.lit(1), "needed_many"),
        "proof_tx": proof("tx"),
        "proof_log": proof("log"),
        "proof_time": proof("time"),
        "proof_fee_recipient": proof("fee_recipient"),
        "own_hash_valid": is_true(nw.col("own_valid") > 0),
    }
