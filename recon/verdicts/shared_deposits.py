"""Whose money it is at a deposit address that several payments have. Pure and columnar.

A gateway may give a buyer one address for years, and a backend may give two payments the same. A worked example, three
rows of one address::

    p1  completed, records 0xa1.., which paid it in full    p2  completed, records 0xb2.., the same
    p3  pending                                             0xc3.. came since, and no row records it
    0xa1.. is p1's and 0xb2.. is p2's; p1 and p2 have theirs, so 0xc3.. may be p3's: a person has to pick it
    0xd4.. came before p3 was made: it is nobody's, and is told of the newest row that was there, p2
    p0  failed a year ago, records nothing                  it ended long before 0xc3.. came, which pays p3 exactly

A row has ended that was never paid and whose time was over, by a month and more, when the money came. It is out of the
question only where the money is just what another payment of the address still waits for; a person picks that one.
Two rows that have no transfer of their own contend for what no row records: it fits both, and proves neither.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.core.model import COMPLETE, Policy
from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, is_true, one_if

_LOG: Final = ("t_tx", "t_log")
_MARKS: Final = ("shared_deposit", "hash_settled", "others_settled")


def settled_deposits(
    payments: Frame, fits: Frame, *, told: Frame, policy: Policy, engine: Engine
) -> tuple[Frame, Frame | None]:
    """Settle whose transfer it is where several payments share a deposit address.

    Exactly one payment that records the hash, and whose provider object names it as well, has it, and it leaves the
    others' links. By the hash that it records alone it may have it, and another that has no transfer of its own there
    is not said to be unpaid. For what no payment alone records only those contend that are not paid in full by one
    that they alone record; it fits them all equally and proves none, unless only one is left. Gives the links that
    stay, and marks, if any: payments for which the question stays open (``shared_deposit``), those that have it by
    their hash alone (``hash_settled``), and those that have it because all others have theirs (``others_settled``; 2
    where some of them ended long before it came).

    Args:
        told: What :func:`recon.verdicts.links.told_hashes` gives.
        policy: How long a row that never expires is waited for, and a row that expired is thought of.
    """
    shared = engine.keep_any(_shared(payments, fits, told=told, policy=policy))
    if shared is None:
        return fits, None
    counted = shared.group_by(*_LOG).agg(nw.col("one").sum().alias("fitting"), nw.col("own").sum().alias("claiming"))
    told_of = shared.join(counted, on=list(_LOG), how="inner")
    contested = engine.keep_any(told_of.filter(nw.col("fitting") > 1))
    if contested is None:
        return fits, None
    own = told_of.filter((nw.col("own") == 1) & (nw.col("claiming") == 1))
    lost, left_open, by_hash = _claimed(contested, payments, own=own, told=told)
    paid = own.filter(nw.col("is_enough")).select("payment_id").unique()
    idle, alone, over, crowded = _unclaimed(contested.filter(nw.col("claiming") != 1), paid=paid)
    gone = nw.concat([lost.select("payment_id", *_LOG), idle.select("payment_id", *_LOG)], how="vertical")
    links = fits.join(gone, on=["payment_id", *_LOG], how="anti")
    marked = nw.concat(
        [
            _marked(crowded, "shared_deposit"),
            _marked(left_open, "shared_deposit"),
            _marked(by_hash, "hash_settled"),
            _marked(alone, "others_settled"),
            _marked(over, "others_settled", value=2),
        ],
        how="vertical",
    )
    return engine.keep(links), marked.group_by("payment_id").agg(*(nw.col(name).max() for name in _MARKS))


def _shared(payments: Frame, fits: Frame, *, told: Frame, policy: Policy) -> Frame:
    """What came to deposit addresses of several payments, once for each that it fits.

    A payment that was given back records the transaction in which it went back; its own is what its provider names.
    """
    deposits = payments.filter((nw.col("mode") == "deposit") & ~nw.col("is_test")).with_columns(one=ONE)
    crowded = (
        deposits.group_by("recipient")
        .agg(nw.col("one").sum().alias("rows"))
        .filter(nw.col("rows") > 1)
        .select("recipient")
    )
    members = deposits.join(crowded, on="recipient", how="inner")
    gave_back = is_true(nw.col("status") == "refunded") | is_true(nw.col("escrow_state") == "refunded")
    due = nw.coalesce("expires_at", nw.col("created_at") + policy.abandoned_after_ms)
    carried = members.select(
        "payment_id", "created_at", "covered_from_units", "overpaid_from_units", gave_back=gave_back,
        over_at=nw.when(~is_true(nw.col("status").is_in(list(COMPLETE)))).then(due + policy.abandoned_after_ms),
    )  # fmt: skip
    covers = nw.col("t_final") & is_true(nw.col("t_amount") >= nw.col("covered_from_units"))
    is_over = is_true(nw.col("over_at") < nw.col("t_time"))
    is_due = covers & is_true(nw.col("t_amount") < nw.col("overpaid_from_units")) & ~nw.col("gave_back") & ~is_over
    return (
        fits.filter(nw.col("is_valid"))
        .join(carried, on="payment_id", how="inner")
        .join(
            told.with_columns(is_told=ONE), left_on=["payment_id", "t_tx"], right_on=["payment_id", "named"], how="left"
        )
        .select(
            "payment_id",
            *_LOG,
            "created_at",
            one=ONE,
            own=one_if(nw.col("own_hash") | (nw.col("gave_back") & is_true(nw.col("is_told") > 0))),
            is_enough=covers,
            is_over=one_if(is_over),
            is_due=one_if(is_due),
        )
    )


def _marked(rows: Frame, mark: str, *, value: int = 1) -> Frame:
    """Payments with one of the marks."""
    zero, one = nw.lit(0).cast(nw.Int64), nw.lit(value).cast(nw.Int64)
    return rows.select("payment_id", **{name: one if name == mark else zero for name in _MARKS})


def _unclaimed(free: Frame, *, paid: Frame) -> tuple[Frame, Frame, Frame, Frame]:
    """Of transfers that not exactly one payment records: who has no part in them, who is left alone, and who contend.

    Who is left alone comes in two parts: the second are those that are alone because others ended long before.

    Payments that are paid in full by one transfer that they alone record (``paid``) have no part in what others record.
    Where all that it fits are paid it stays with the newest of them, of which it is told as money beyond its own.
    """
    log = list(_LOG)
    settled = free.filter(nw.col("own") == 0).join(paid, on="payment_id", how="semi")
    waiting = free.join(settled.select("payment_id", *log), on=["payment_id", *log], how="anti")
    counted = waiting.group_by(*log).agg(
        nw.col("one").sum().alias("waiting"),
        nw.col("is_over").sum().alias("ended"),
        nw.col("is_due").max().alias("owed"),
    )
    told = waiting.join(counted, on=log, how="inner")
    # What is just what another waits for is not for a row that ended long before it came.
    ended = told.filter((nw.col("is_over") == 1) & (nw.col("own") == 0) & (nw.col("owed") == 1))
    contending = told.join(ended.select("payment_id", *log), on=["payment_id", *log], how="anti").with_columns(
        waiting=nw.when(nw.col("owed") == 1).then(nw.col("waiting") - nw.col("ended")).otherwise(nw.col("waiting"))
    )
    only = contending.filter(nw.col("waiting") == 1)
    beyond = settled.join(counted, on=log, how="anti")
    newest = beyond.group_by(*log).agg(nw.col("created_at").max().alias("newest_at"))
    last = (
        beyond.join(newest, on=log, how="inner")
        .filter(nw.col("created_at") == nw.col("newest_at"))
        .group_by(*log)
        .agg(nw.col("payment_id").max())
    )
    idle = settled.join(last.select("payment_id", *log), on=["payment_id", *log], how="anti")
    gone = nw.concat([each.select("payment_id", *log) for each in (idle, ended)], how="vertical")
    by_age = (nw.col("owed") == 1) & (nw.col("ended") > 0)
    return gone, only.filter(~by_age), only.filter(by_age), contending.filter(nw.col("waiting") > 1)


def _claimed(contested: Frame, payments: Frame, *, own: Frame, told: Frame) -> tuple[Frame, Frame, Frame]:
    """Of transfers that one payment records: who lost them, for whom that is open, and who has them by hash alone.

    Args:
        own: Every transfer that one payment alone records, also what fits no other.
    """
    others = contested.filter((nw.col("claiming") == 1) & (nw.col("own") == 0))
    log = list(_LOG)
    mine = own.filter(nw.col("fitting") > 1)
    by_hash = mine.join(told, left_on=["payment_id", "t_tx"], right_on=["payment_id", "named"], how="anti")
    # One with a transfer of its own is paid by that; one whose provider gave no answer is not called unpaid anyway.
    has_answer = (nw.col("failed") == 0) | (nw.col("found") > 0)
    left_open = (
        others.join(own.select("payment_id").unique(), on="payment_id", how="anti")
        .join(by_hash.select(*log), on=log, how="semi")
        .join(payments.filter(has_answer).select("payment_id"), on="payment_id", how="semi")
    )
    lost = others.join(left_open.select("payment_id", *log), on=["payment_id", *log], how="anti")
    return lost, left_open, by_hash
