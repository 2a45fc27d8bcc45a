"""Money that may have gone back to the buyer although no refund of the payment says so. Pure and columnar.

A proxy's log does not say who paid, and a refund need not carry the payment's reference: the one that is derived for a
refund is another, and people send back what came as a payment of its own. What looks like that proves no refund, and
keeps a payment from being credited, or called in sync, without a look.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

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
)

_PAID: Final = (
    "payment_id", "direction", "mode", "topic", "chain_id", "token", "recipient", "sender", "tx_hash", "created_at",
)  # fmt: skip


def with_strayed(
    payments: Frame,
    direct: Frame,
    *,
    transfers: Frame,
    moved: Frame,
    topics: Frame | None,
    engine: Engine,
) -> tuple[Frame | None, Frame | None]:
    """How many logs say of a payment that its money may have gone back (``strayed``), and links to the strange ones.

    Args:
        payments: With what came of each (``received_final``).
        transfers: As the table has them.
        moved: The same as :func:`recon.verdicts.links.renamed_transfers` gives them.
        topics: References of payments besides their own, where there are any.
    """
    own = strayed_marks(direct, payments, transfers=transfers, engine=engine)
    strange = _by_strange_reference(payments, direct, moved=moved, topics=topics, engine=engine)
    return with_likely(own, None, likely=strange)


def with_likely(marks: Frame | None, links: Frame | None, *, likely: Frame | None) -> tuple[Frame | None, Frame | None]:
    """Marks and links of :func:`with_strayed` with those of further links to what may have gone back."""
    if likely is None:
        return marks, links
    counted = likely.select("payment_id", strayed=ONE)
    both = counted if marks is None else nw.concat([marks.select("payment_id", "strayed"), counted], how="vertical")
    return both.group_by("payment_id").agg(nw.col("strayed").sum()), concat_links(links, likely)


def _by_strange_reference(
    payments: Frame, direct: Frame, *, moved: Frame, topics: Frame | None, engine: Engine
) -> Frame | None:
    """Links to what a proxy moved to the address that paid, later, all that came, by a reference that no row knows."""
    paid = payments.filter(
        (nw.col("direction") == "in") & ~nw.col("is_test") & is_true(nw.col("sender") != nw.col("recipient"))
    ).select(*_PAID, "received_final")
    known = payments.filter(~nw.col("topic").is_null()).select(known=nw.col("topic"))
    if topics is not None:
        known = nw.concat([known, topics.select(known=nw.col("topic"))], how="vertical")
    logs = moved.filter(
        (nw.col("t_kind") == PAYING_EMITTER)
        & nw.col("t_final")
        & is_true(nw.col("t_known"))
        & is_true(nw.col("t_amount") > 0)
        & ~nw.col("t_dust")
        & ~nw.col("t_topic").is_null()
    ).with_columns(t_to=nw.col("t_recipient"), t_reference=nw.col("t_topic"))
    came = direct.filter(nw.col("is_valid")).group_by("payment_id").agg(nw.col("t_block").min().alias("first_block"))
    pairs = (
        paid.join(logs, left_on="sender", right_on="t_to", how="inner")
        .join(known.unique(), left_on="t_reference", right_on="known", how="anti")
        .join(came, on="payment_id", how="inner")
        .filter(
            is_true(nw.col("t_chain") == nw.col("chain_id"))
            & is_true(nw.col("t_token") == nw.col("token"))
            & is_true(nw.col("t_block") > nw.col("first_block"))
            & is_true(nw.col("t_amount") == nw.col("received_final"))
        )
        .with_columns(reference_right=nw.lit(value=False), paying=nw.lit(value=True), indirect=nw.lit(value=False))
    )
    found = engine.keep_any(pairs)
    return None if found is None else judged_pairs(found).select(*LINK)


def strayed_marks(direct: Frame, payments: Frame, *, transfers: Frame, engine: Engine) -> Frame | None:
    """Payments whose money may have gone back to an address that their rows do not name: how many logs say so.

    After the money came, a proxy moved its token by the payment's own reference to another address than the payee's. A
    proxy's log does not say who paid: a row that names no payer, or the relayer of a smart wallet, hides a refund.
    Where the token's own logs, which are read of every break, show that the payer sent both, nothing went back.
    """
    key = ["payment_id", "t_chain", "t_tx"]
    came = direct.filter(nw.col("is_valid"))
    first = came.group_by("payment_id").agg(nw.col("t_block").min().alias("first_block"))
    moved = is_true(nw.col("t_amount") > 0) & ~nw.col("t_dust") & ~nw.col("is_spam") & nw.col("t_final")
    gone = engine.keep_any(
        direct.filter(nw.col("wrong_recipient") & (nw.col("t_kind") == PAYING_EMITTER) & moved)
        .join(first, on="payment_id", how="inner")
        .filter(is_true(nw.col("t_block") >= nw.col("first_block")))
        # One transaction may pay several, each by the same reference: a batch, with a fee to the house.
        .join(came.select(*key).unique(), on=key, how="anti")
        .select(*key)
    )
    if gone is None:
        return None
    coins = transfers.filter((nw.col("kind") == DEPOSIT_KINDS) & ~nw.col("sender").is_null()).select(
        "recipient", t_chain=nw.col("chain_id"), t_tx=nw.col("tx_hash"), payer=nw.col("sender")
    )
    payers = (
        came.join(gone.select("payment_id").unique(), on="payment_id", how="semi")
        .join(payments.select("payment_id", "recipient"), on="payment_id", how="inner")
        .join(coins, on=["t_chain", "t_tx", "recipient"], how="inner")
        .select("payment_id", "payer")
        .unique()
    )
    by_payer = gone.join(coins, on=["t_chain", "t_tx"], how="inner").join(
        payers, on=["payment_id", "payer"], how="semi"
    )
    left = gone.join(by_payer.select(*key).unique(), on=key, how="anti").with_columns(one=ONE)
    return left.group_by("payment_id").agg(nw.col("one").sum().alias("strayed"))
