"""Plain transfers by which money went back to the address that paid it, past the proxy. Pure and columnar.

A refund need not go through a proxy, and the buyer need not be named in the row. What left the payee or a wallet of
ours for the address that paid, in the token that was paid and after it came, is a return of it. A worked example::

    p1  12.5 came from 0xb2..   0x71.. payee -> 0xb2.. 5    the row records 0x71..: 5 of 12.5 went back
    p2  12.5 came from 0xb3..   0x72.. payee -> 0xb3.. 12.5 no row records 0x72..: p2's money may have gone back

Where the row itself records the transaction it is the row's refund. Else no log says whose it is, so it proves no
refund, and keeps the payment from being credited, or called in sync, without a look. A refund row that names neither
order nor offer records it for nobody. What two payments may have
got back is told of those that it fits to the unit, and otherwise of none: the wallet's own list tells of it then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.buyers import payers
from recon.verdicts.engine import Engine
from recon.verdicts.links import (
    DEPOSIT_KINDS,
    LINK,
    ONE,
    PAYING_EMITTER,
    Frame,
    concat_links,
    is_true,
    judged_pairs,
    one_if,
)

_LOG: Final = ("t_chain", "t_tx", "t_log")
_PAID: Final = (
    "payment_id", "direction", "mode", "topic", "chain_id", "token", "recipient", "sender", "tx_hash", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Returned:
    """Money that went back to buyers, as links.

    Args:
        by_reference: Logs with the payment's own reference by which money went to the address that paid.
        proven: Plain transfers that the row of the payment records.
        likely: Plain transfers that no row records.
        unknown: Plain transfers that no row records, from a wallet that nothing shows to be ours, to the buyers of
            payments that say they were refunded. They are shown, and nothing rests on them.
    """

    by_reference: Frame | None = None
    proven: Frame | None = None
    likely: Frame | None = None
    unknown: Frame | None = None


def plain_returns(
    payments: Frame, direct: Frame, *, transfers: Frame, moved: Frame, policy: Policy, engine: Engine
) -> Returned:
    """What went back to the address that paid, later, without a contract's log of it.

    Args:
        payments: With what came of each (``received_final``), and, where there are any, a mark on refund rows that
            name no order and no offer (``is_loose``). Whose money these gave back no row says: it may be any buyer's.
        transfers: As the table has them.
        moved: The same as :func:`recon.verdicts.links.renamed_transfers` gives them.
    """
    coins = _coins(moved, transfers=transfers)
    buyers = engine.keep_any(_buyers(payments, direct, transfers=transfers))
    if buyers is None:
        return Returned()
    by_reference = engine.keep_any(_by_reference(buyers, direct, moved=moved))
    marked, rows, loose_rows = direct, payments, _loose_rows(payments)
    if loose_rows is not None:
        marked, rows = _without(direct, loose_rows), _without(payments, loose_rows)
    back = engine.keep_any(_back(buyers, coins, direct=marked))
    if back is None:
        return Returned(by_reference)
    says_so = is_true(nw.col("status") == "refunded") | is_true(nw.col("escrow_state") == "refunded")
    wallets = (*policy.merchant_recipients, *policy.payout_wallets, "")
    is_ours = is_true(nw.col("t_sender") == nw.col("recipient")) | nw.col("t_sender").is_in(list(wallets))
    if loose_rows is not None:
        back = _given(back, direct, refunds=loose_rows)
        is_ours = is_ours | is_true(nw.col("given") > 0)
    told = back.with_columns(is_ours=is_ours, is_own=is_true(nw.col("tx_hash") == nw.col("t_tx")))
    named = rows.filter(~nw.col("tx_hash").is_null() & ~nw.col("is_test")).with_columns(one=ONE)
    recorded = named.group_by("tx_hash").agg(nw.col("one").sum().alias("rows")).select("rows", t_tx=nw.col("tx_hash"))
    # What two rows record proves neither.
    alone = told.filter(nw.col("is_own") & (nw.col("is_ours") | says_so)).join(
        recorded.filter(nw.col("rows") == 1), on="t_tx", how="semi"
    )
    proven = engine.keep_any(alone)
    nobodys = told.filter(~nw.col("is_own") & (nw.col("is_ours") | says_so)).join(recorded, on="t_tx", how="anti")
    loose = nobodys.filter(nw.col("is_ours")).join(_waited_for(payments, direct), on=["t_chain", "t_to"], how="anti")
    likely = engine.keep_any(_settled(loose))
    unknown = engine.keep_any(nobodys.filter(~nw.col("is_ours")))
    return Returned(
        by_reference,
        _as_links(proven, is_refund=True),
        _as_links(likely, is_refund=False),
        _as_links(unknown, is_refund=False),
    )


def _loose_rows(payments: Frame) -> Frame | None:
    """Refund rows that name no order and no offer; None without any."""
    if "is_loose" not in payments.collect_schema().names():
        return None
    return payments.filter(is_true(nw.col("is_loose") > 0)).select("payment_id")


def _given(back: Frame, direct: Frame, *, refunds: Frame) -> Frame:
    """What went back, with ``given`` 1 where it is the transfer of a refund row: we sent it, from whatever wallet."""
    sent = direct.filter(nw.col("is_valid")).join(refunds, on="payment_id", how="semi").select(*_LOG).unique()
    return back.join(sent.with_columns(given=ONE), on=list(_LOG), how="left")


def _without(frame: Frame, rows: Frame) -> Frame:
    """A frame without what is of some payments."""
    return frame.join(rows, on="payment_id", how="anti")


def _coins(moved: Frame, *, transfers: Frame) -> Frame:
    """Final plain transfers of known tokens that no contract tells of, each with who sent it (``t_sender``)."""
    logged = moved.filter(nw.col("t_kind") != DEPOSIT_KINDS).select("t_chain", "t_tx").unique()
    sent = transfers.filter((nw.col("kind") == DEPOSIT_KINDS) & ~nw.col("sender").is_null()).select(
        t_chain=nw.col("chain_id"), t_tx=nw.col("tx_hash"), t_log=nw.col("log_index"), t_sender=nw.col("sender")
    )
    plain = moved.filter(
        (nw.col("t_kind") == DEPOSIT_KINDS)
        & is_true(nw.col("t_known"))
        & is_true(nw.col("t_amount") > 0)
        & ~nw.col("t_dust")
    )
    return (
        plain.join(sent, on=list(_LOG), how="inner")
        .join(logged.with_columns(is_logged=ONE), on=["t_chain", "t_tx"], how="left")
        .with_columns(is_logged=is_true(nw.col("is_logged") > 0), t_to=nw.col("t_recipient"))
    )


def _buyers(payments: Frame, direct: Frame, *, transfers: Frame) -> Frame:
    """Paid pay-ins with each address from which they were paid (``buyer``), and the block in which they first were."""
    came = direct.filter(nw.col("is_valid") & nw.col("t_final"))
    first = came.group_by("payment_id").agg(nw.col("t_block").min().alias("first_block"))
    paid = (
        payments.filter((nw.col("direction") == "in") & ~nw.col("is_test") & ~nw.col("recipient").is_null())
        .select(*_PAID, "status", "escrow_state", "received_final")
        .join(first, on="payment_id", how="inner")
    )
    told = payers(paid, came, transfers=transfers).select("payment_id", "buyer")
    return paid.join(told, on="payment_id", how="inner").filter(is_true(nw.col("buyer") != nw.col("recipient")))


def _by_reference(buyers: Frame, direct: Frame, *, moved: Frame) -> Frame:
    """What a proxy moved by the payment's own reference to the address that paid, later: a refund of it.

    The row may name no payer; the token's own log of the money that came does.
    """
    places = moved.select(*_LOG, went_to=nw.col("t_recipient"))
    gone = direct.filter(
        nw.col("wrong_recipient")
        & (nw.col("t_kind") == PAYING_EMITTER)
        & nw.col("t_final")
        & is_true(nw.col("t_amount") > 0)
        & ~nw.col("is_spam")
    )
    known = buyers.select("payment_id", "first_block", went_to=nw.col("buyer"))
    found = (
        gone.join(places, on=list(_LOG), how="inner")
        .join(known, on=["payment_id", "went_to"], how="inner")
        .filter(is_true(nw.col("t_block") > nw.col("first_block")))
    )
    return found.with_columns(is_refund=nw.lit(value=True), wrong_recipient=nw.lit(value=False)).select(*LINK)


def _back(buyers: Frame, coins: Frame, *, direct: Frame) -> Frame:
    """Pairs of a payment and what went to its buyer later, less what is another payment's by its own mark."""
    ours = direct.filter(nw.col("is_valid") | nw.col("is_refund")).select(*_LOG).unique()
    return (
        buyers.join(coins.filter(~nw.col("is_logged")), left_on="buyer", right_on="t_to", how="inner")
        .filter(
            is_true(nw.col("t_chain") == nw.col("chain_id"))
            & is_true(nw.col("t_token") == nw.col("token"))
            & is_true(nw.col("t_block") > nw.col("first_block"))
            & is_true(nw.col("t_amount") <= nw.col("received_final"))
            & nw.col("t_final")
        )
        .with_columns(t_to=nw.col("buyer"))
        .join(ours, on=list(_LOG), how="anti")
    )


def _waited_for(payments: Frame, direct: Frame) -> Frame:
    """Where money going out is waited for, by rows that no chain shows: what goes there is a candidate of theirs."""
    given_up = nw.col("status").fill_null("").is_in(["failed", "cancelled"])
    paid = direct.filter(nw.col("is_valid")).select("payment_id").unique()
    outgoing = (nw.col("direction") != "in") & ~nw.col("is_test") & ~nw.col("recipient").is_null()
    waiting = payments.filter(outgoing & ~given_up)
    return (
        waiting.join(paid, on="payment_id", how="anti")
        .filter(~nw.col("chain_id").is_null())
        .select(t_chain=nw.col("chain_id"), t_to=nw.col("recipient"))
        .unique()
    )


def _settled(loose: Frame) -> Frame:
    """Of each transfer the payments that it fits to the unit; else the only one that it can be a part of."""
    told = loose.with_columns(one=ONE, exact=one_if(nw.col("t_amount") == nw.col("received_final")))
    counted = told.group_by(*_LOG).agg(
        nw.col("one").sum().alias("candidates"), nw.col("exact").sum().alias("exact_ones")
    )
    return told.join(counted, on=list(_LOG), how="inner").filter(
        (nw.col("exact") == 1) | ((nw.col("exact_ones") == 0) & (nw.col("candidates") == 1))
    )


def with_refunds(direct: Frame, refunds: Frame | None) -> Frame:
    """Links of which some are known to be refunds."""
    if refunds is None:
        return direct
    key = ["payment_id", *_LOG, "t_kind"]
    return concat_links(direct.join(refunds.select(*key), on=key, how="anti"), refunds)


def _as_links(pairs: Frame | None, *, is_refund: bool) -> Frame | None:
    """Pairs as links, with nothing wrong about them; each proves a refund or proves nothing."""
    if pairs is None:
        return None
    no = nw.lit(value=False)
    judged = judged_pairs(pairs.with_columns(reference_right=no, paying=~no, indirect=no))
    nothing_wrong = ("is_valid", "wrong_chain", "wrong_token", "wrong_recipient", "wrong_reference")
    plain = {name: no for name in nothing_wrong}  # noqa: C420 - columnar files call what every engine has, only
    return judged.with_columns(is_refund=nw.lit(value=is_refund), **plain).select(*LINK).unique(
        subset=["payment_id", *_LOG], keep="any"
    )  # fmt: skip
