"""The columns of the evidence, and how what is known of a few payments is laid over all of them. Pure and columnar."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import narwhals as nw

from recon.verdicts.claims import CARRIED, CLAIM_COUNTS
from recon.verdicts.fates import FATES
from recon.verdicts.links import Frame
from recon.verdicts.rivals import RIVAL_MARKS
from recon.verdicts.sums import MONEY

_MARKS: Final = (
    "m_reference", "m_recipient", "m_token", "m_network", "m_indirect", "refund_count", "refund_rows", *FATES,
    *RIVAL_MARKS, "shared_deposit", "key_rows", "topic_rows",
    "moneyed_rows", "keys_open", "keys_failed", "all_back", "surplus_back", "refunds_elsewhere",
    "refunds_unread", "strayed", "early", "deal_whole", "holds_more", "was_emptied", "unheld",
    "other_coins", "half_landed", "named_on", "hash_settled", "others_settled",
)  # fmt: skip
_TEXT_MARKS: Final = (
    "refund_tx",
    "rival_id",
    "paid_out_by",
    "paying_out_by",
    "going_out_by",
    "misdirected",
    "paid_beside",
)
_UNIT_MARKS: Final = ("back", "deal_came", "held")
EVIDENCE: Final = (
    *CARRIED, *CLAIM_COUNTS, *MONEY, *_MARKS, *_TEXT_MARKS, *_UNIT_MARKS, "in_window", "claim_key", "topic",
    "has_reference", "mode", "by_word", "word_units", "claim_time", "covered_by_scan", "chain_is_read",
    "blind_elsewhere", "head_time", "reference_topic", "claim_topic",
)  # fmt: skip
"""Every column of the evidence: what rules and conditions may rest on."""


def combined_marks(*parts: Frame | None) -> tuple[Frame, frozenset[str]]:
    """Lay small tables about a few payments over each other, one row per payment; and say which marks they tell."""
    there = [(part, set(part.collect_schema().names())) for part in parts if part is not None]
    told = frozenset(name for _, has in there for name in has if name != "payment_id")
    counts, texts = ([name for name in names if name in told] for names in (_MARKS, _TEXT_MARKS))
    padded = [_padded(part, counts=counts, texts=texts, has=has) for part, has in there]
    together = nw.concat(padded, how="vertical").group_by("payment_id")
    return together.agg(nw.col(*counts, *texts).max()), told


def _padded(part: Frame, *, counts: Sequence[str], texts: Sequence[str], has: Collection[str]) -> Frame:
    """A small table with all of these marks; of those that it has not nothing is told."""
    zero, nothing = nw.lit(0).cast(nw.Int64), nw.lit(None).cast(nw.String)
    return part.with_columns(
        *[nw.col(name).cast(nw.Int64) if name in has else zero.alias(name) for name in counts],
        *[nothing.alias(name) for name in texts if name not in has],
    ).select("payment_id", *counts, *texts)


def closed_evidence(evidence: Frame, *, told: frozenset[str]) -> Frame:
    """Close every count with zero, so that no condition over it can be null; what nobody tells is nothing of any."""
    counts = (*(name for name in _MARKS if name in told), "valid_count", "big_count", "unread_count", "needed_count")
    nothing: dict[str, nw.Expr] = {name: nw.lit(0).cast(nw.Int64) for name in _MARKS if name not in told}
    nothing |= {name: nw.lit(None).cast(nw.String) for name in _TEXT_MARKS if name not in told}
    # A null of the type of a column that is there: engines spell decimals differently.
    no_units = nw.when(nw.lit(value=False)).then(nw.col("received"))
    nothing |= {name: no_units for name in _UNIT_MARKS if name not in told}
    return evidence.with_columns(
        nw.col(*counts).fill_null(0).cast(nw.Int64),
        reference_topic=nw.when(nw.col("has_reference")).then(nw.col("topic")),
        **nothing,
    )
