"""Money going out that has a reference and was sent past the proxy: it is found by its hash. Pure and columnar.

A payout or a refund is sent by us. Where its row, or its provider, names a transaction that is a plain transfer of its
token to its own address, and no contract logged its reference anywhere, it was sent without one. A worked example::

    r1  refund, reference 0xab.., records 0x71..   0x71.. payee -> its address, 12.5, no contract's log in it
        no log anywhere carries 0xab..: r1 is judged as if it had no reference, by the transaction that it names
"""

from __future__ import annotations

import narwhals as nw

from recon.verdicts.engine import Engine
from recon.verdicts.links import DEPOSIT_KINDS, ONE, Frame, is_true, named_hashes, with_logs


def found_by_hash(
    payments: Frame, moved: Frame, *, told: Frame, topics: Frame | None, engine: Engine
) -> tuple[Frame, frozenset[tuple[str, ...]]]:
    """Payments, those that were sent past the proxy now of the mode ``hash``; and the modes and directions of these.

    Args:
        payments: With how far each could be seen (:func:`recon.verdicts.reach.reach`).
        moved: What :func:`recon.verdicts.links.renamed_transfers` gives.
        told: What :func:`recon.verdicts.links.told_hashes` gives.
        topics: References of payments besides their own, where there are any.
    """
    outgoing = payments.filter(
        (nw.col("mode") == "reference")
        & (nw.col("direction") != "in")
        & ~nw.col("is_test")
        & ~nw.col("recipient").is_null()
    ).select("payment_id", "direction", "topic", "tx_hash", "chain_id", "token", "recipient")
    own = [outgoing.select("payment_id", "topic")]
    if topics is not None:
        own.append(topics.select("payment_id", "topic"))
    logged = moved.filter((nw.col("t_kind") != DEPOSIT_KINDS) & ~nw.col("t_topic").is_null())
    by_reference = nw.concat(own, how="vertical").join(logged, left_on="topic", right_on="t_topic", how="semi")
    coins = moved.filter(
        (nw.col("t_kind") == DEPOSIT_KINDS) & is_true(nw.col("t_known")) & is_true(nw.col("t_amount") > 0)
    ).join(with_logs(moved), left_on="t_tx", right_on="logged_tx", how="anti")
    sent = engine.keep_any(
        outgoing.join(named_hashes(outgoing, told), on="payment_id", how="inner")
        .join(coins, left_on="named", right_on="t_tx", how="inner")
        .filter(
            is_true(nw.col("t_chain") == nw.col("chain_id"))
            & is_true(nw.col("t_token") == nw.col("token"))
            & is_true(nw.col("t_recipient") == nw.col("recipient"))
        )
        .join(by_reference, on="payment_id", how="anti")
        .select("payment_id", "direction", is_plain=ONE)
        .unique()
    )
    if sent is None:
        return payments, frozenset()
    is_plain = is_true(nw.col("is_plain") > 0)
    found = payments.join(sent.select("payment_id", "is_plain"), on="payment_id", how="left").with_columns(
        mode=nw.when(is_plain).then(nw.lit("hash")).otherwise(nw.col("mode")),
        covered_by_scan=nw.col("covered_by_scan") & ~is_plain,
        blind_elsewhere=nw.col("blind_elsewhere") & ~is_plain,
    )
    return engine.keep(found.drop("is_plain")), frozenset({("hash", "out"), ("hash", "refund")})
