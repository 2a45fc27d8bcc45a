"""Payments whose provider sends their transactions itself: what became of each part that it names. Pure and columnar.

Such a provider tells the very call that each of its transactions makes. A transaction is a payment's only where the
chain shows that it made that call; the hash alone says where to look. A worked example, one object in two parts::

    told    p1  8453 0xf1.. call 0xaa..     10 0xf2.. call 0xbb..
    chains      8453 0xf1.. success 0xaa..  10 0xf2.. reverted 0xbb..
    gives   p1  one part of two went through: half_landed 1

The money of such a payment may come on several chains, in its own coin on each; all of it counts.
"""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw

from recon.core.model import Policy
from recon.core.registry.known import TERMINAL
from recon.sources.providers.installed import rails_that_send
from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, claim_key, is_among, is_true, one_if

_PART: Final = ("payment_id", "n_chain", "n_tx", "n_call", "n_token")
_LINKED: Final = (
    "payment_id", "direction", "mode", "topic", "chain_id", "token", "recipient", "sender", "tx_hash", "created_at",
)  # fmt: skip


def is_sent(provider: nw.Expr) -> nw.Expr:
    """Whether a provider sends the transactions of its payments itself."""
    return is_among(provider, rails_that_send())


def parts_sent(
    payments: Frame, claim_txs: Frame, *, transactions: Frame, policy: Policy, engine: Engine
) -> Frame | None:
    """Each part that a provider tells of an incoming payment, and what its chain says of it; None without any.

    ``landed``: its transaction succeeded and made the call that was told. ``untold``: nobody can say what became of it.
    """
    if not set(rails_that_send()) & set(policy.providers):
        return None
    mine = payments.filter(is_sent(nw.col("provider")) & (nw.col("direction") == "in") & (nw.col("mode") == "hash"))
    listed = claim_txs.select(
        claim_key=claim_key(paid_out=nw.lit(value=False)),
        n_chain=nw.col("chain_id"),
        n_tx=nw.col("tx_hash"),
        n_call=nw.col("call"),
        n_token=nw.col("token"),
    ).filter(~nw.col("claim_key").is_null())
    told = engine.keep_any(mine.select("payment_id", "claim_key").join(listed, on="claim_key", how="inner"))
    if told is None:
        return None
    said = transactions.select(
        x_chain=nw.col("chain_id"), x_tx=nw.col("tx_hash"), x_outcome=nw.col("outcome"), x_call=nw.col("call")
    )
    parts = told.select(*_PART).join(said, left_on=["n_chain", "n_tx"], right_on=["x_chain", "x_tx"], how="left")
    succeeded = is_true(nw.col("x_outcome") == "success")
    named = ~nw.col("n_tx").is_null()
    unread = nw.col("x_outcome").is_null() | is_true(nw.col("x_outcome") == "failed")
    unknown = nw.col("x_call").is_null() | nw.col("n_call").is_null() | nw.col("n_token").is_null()
    return engine.keep(
        parts.with_columns(
            landed=succeeded & is_true(nw.col("x_call") == nw.col("n_call")) & ~nw.col("n_token").is_null(),
            untold=named & (unread | (succeeded & unknown)),
        ).select(*_PART, "landed", "untold")
    )


def pairs_by_call(payments: Frame, transfers: Frame, *, parts: Frame) -> Frame:
    """What terminals say came in the transactions that made a payment's own calls, in its coin on each chain.

    Where no part is on the payment's own chain, its money is on another one, and the pair keeps what the row says.
    """
    rows = payments.select(*_LINKED)
    at_home = (
        parts.join(rows.select("payment_id", own_chain=nw.col("chain_id")), on="payment_id", how="inner")
        .filter(is_true(nw.col("n_chain") == nw.col("own_chain")))
        .select("payment_id")
        .unique()
        .with_columns(is_home=ONE)
    )
    paid = transfers.filter(nw.col("t_kind") == TERMINAL)
    # A provider may name one transaction in two objects; within one it stands once.
    mine = parts.filter(nw.col("landed")).select("payment_id", "n_chain", "n_tx", "n_token").unique()
    pairs = (
        mine.join(rows, on="payment_id", how="inner")
        .join(at_home, on="payment_id", how="left")
        .join(paid.with_columns(n_chain=nw.col("t_chain"), n_tx=nw.col("t_tx")), on=["n_chain", "n_tx"], how="inner")
    )
    is_home = is_true(nw.col("is_home") > 0)
    return pairs.with_columns(
        chain_id=nw.when(is_home).then(nw.col("t_chain")).otherwise(nw.col("chain_id")),
        token=nw.when(is_home).then(nw.col("n_token")).otherwise(nw.col("token")),
        recipient=nw.col("t_recipient"),
        reference_right=nw.lit(value=True),
        paying=nw.lit(value=True),
        indirect=nw.lit(value=False),
    )


def part_marks(parts: Frame) -> Frame:
    """``half_landed``: a part went through and another did not, or not yet; ``x_failed``: of one nobody can tell."""
    counted = (
        parts.with_columns(one=ONE, went=one_if(nw.col("landed")), open_part=one_if(nw.col("untold")))
        .group_by("payment_id")
        .agg(nw.col("one").sum(), nw.col("went").sum(), nw.col("open_part").max())
    )
    return counted.select(
        "payment_id",
        half_landed=one_if((nw.col("went") > 0) & (nw.col("went") < nw.col("one"))),
        x_failed=nw.col("open_part"),
    )


def contested(parts: Frame, direct: Frame, *, engine: Engine) -> Frame | None:
    """Payments whose money is, by the same call, another payment's as well: it proves neither. None without any."""
    sent = parts.select("payment_id").unique()
    money = direct.filter(nw.col("is_valid")).join(sent, on="payment_id", how="semi")
    each = money.select("payment_id", "t_chain", "t_tx", "t_log", one=ONE)
    by = ["t_chain", "t_tx", "t_log"]
    crowded = each.group_by(*by).agg(nw.col("one").sum().alias("rows")).filter(nw.col("rows") > 1)
    found = each.join(crowded, on=by, how="inner").select("payment_id").unique()
    return engine.keep_any(found.with_columns(shared_deposit=ONE))


def with_home_proof(money: Frame, direct: Frame, *, payments: Frame, engine: Engine) -> Frame:
    """Of money on several chains, the proof is that on the payment's own: its row names one hash and one chain."""
    valid = direct.filter(nw.col("is_valid") & nw.col("t_final")).join(
        payments.select("payment_id", own_chain=nw.col("chain_id")), on="payment_id", how="inner"
    )
    abroad = valid.filter(nw.col("t_chain") != nw.col("own_chain")).select("payment_id").unique()
    home = valid.filter(nw.col("t_chain") == nw.col("own_chain")).join(abroad, on="payment_id", how="semi")
    chosen = engine.keep_any(
        home.group_by("payment_id").agg(nw.col("t_tx").max().alias("home_tx"), nw.col("t_log").max().alias("home_log"))
    )
    if chosen is None:
        return money
    columns: list[Any] = money.collect_schema().names()
    has_home = ~nw.col("home_tx").is_null() & ~nw.col("proof_tx").is_null()
    return (
        money.join(chosen, on="payment_id", how="left")
        .with_columns(
            proof_tx=nw.when(has_home).then(nw.col("home_tx")).otherwise(nw.col("proof_tx")),
            proof_log=nw.when(has_home).then(nw.col("home_log")).otherwise(nw.col("proof_log")),
        )
        .select(*columns)
    )
