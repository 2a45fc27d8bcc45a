"""Payments with the claims and transfers that belong to them: one row of evidence per payment. Pure and columnar.

Everything here is a Narwhals expression over lazy frames, so the same text runs on DuckDB, Polars, pandas and Spark. No
rule is decided here; the columns only state what is so. A worked example, one payment of 5 USDC by reference::

    payments   p1  chain 8453  expected 5000000  topic 0xab..  recipient 0x11..
    transfers  8453 0xf1.. log 3  fee_proxy  topic 0xab..  to 0x11..  amount 2000000  final
               8453 0xf2.. log 0  fee_proxy  topic 0xab..  to 0x11..  amount 3000000  final
    evidence   p1  valid_count 2  received_final 5000000  proof_tx 0xf2.. (it completes the cover)  needed_count 2

Which transfers can belong to a payment depends on how the payment is found (``mode``): by *reference* (proxy logs whose
topic is the hash of its reference), by one-time *deposit* address (ERC-20 transfers to it since it was made), or, for
money going out, by the *hash* that the row or the provider names.

Columns have a prefix where a join could confuse them:

====== ================================================================================================
``t_`` a transfer's own
``b_`` a transfer's that came before, in the running sum of several transfers
``e_`` the first deposit into an escrow, after which money that leaves it is a release
``m_`` what is wrong with the transfers that come closest to a payment's, 1 or 0
``x_`` what the chains said of a transaction that the row or its provider names, 1 or 0
``c_`` what a provider says, found by its own key of the payment
``r_`` what a provider says, found by the payment's reference
``h_`` another row's that holds the same transfer
``d_`` a deal's: sums over the rows of one buyer, order and offer
====== ================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import narwhals as nw

from recon.core.model import Policy
from recon.verdicts.claims import CARRIED, CLAIM_COUNTS, with_claims
from recon.verdicts.deals import crowded_rows, deals_of, going_out, paid_sellers, refund_links, refund_sums
from recon.verdicts.keys import all_topics, further_topics, keyed, unanswered, with_all_keys, with_further
from recon.verdicts.links import (
    ONE,
    Frame,
    Keep,
    closest_wrong,
    completing_links,
    concat_links,
    indirect_marks,
    is_true,
    links_by_deposit,
    links_by_hash,
    links_by_reference,
    named_hashes,
    one_if,
    renamed_transfers,
    settled_deposits,
    shown_links,
    strayed_marks,
    suspect_links,
)
from recon.verdicts.rivals import RIVAL_MARKS, names_hash, real, shared_hashes, shared_payouts

FOREVER_MS: Final = 9_007_199_254_740_992
"""Until then a chain is blind that nobody can be asked about."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far absence can be proven.

    Args:
        blind_until: For (chain id, ``proxy`` or ``erc20``): nothing is proven absent for a payment made at or before
            this UTC millisecond. A pair that is not here was never read.
        provider_blind_until: The same for a provider's bulk window: a payment made later, of which a complete window
            shows nothing, is one of which the provider knows no money.
        head_ms: Time of the newest block seen, by chain: money that moved later cannot have been seen.
        now_ms: When the evidence was taken.
        outflow_spans: From and until when outgoing money was looked for, by chain, UTC ms.
    """

    blind_until: Mapping[tuple[int, str], int]
    provider_blind_until: Mapping[str, int]
    now_ms: int
    head_ms: Mapping[int, int] = field(default_factory=dict)
    outflow_spans: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Matched:
    """Payments, the money that came for them, and the links it was summed from.

    Args:
        payments: One row per payment of the window and its context, with what its provider says.
        money: One row per payment: what came in, whether it covers, and by which transfer.
        marks: One row per payment about which there is something unusual to say.
        pairs: Links of payments and transfers, without the columns that only a person needs.
        transfers: The transfers that the links point to.
        claims: What providers say, of whichever key of a payment.
        topics: References of payments besides their own.
    """

    payments: Frame
    money: Frame
    marks: Frame
    pairs: Frame
    transfers: Frame
    claims: Frame
    topics: Frame

    @property
    def evidence(self) -> Frame:
        """One row of evidence per payment."""
        return evidence_of(self, self.payments)

    @property
    def links(self) -> Frame:
        """Every link of a payment and a transfer, with all its columns."""
        return shown_links(self.pairs, self.transfers)


def evidence_of(matched: Matched, payments: Frame) -> Frame:
    """The evidence of some of the matched payments."""
    found = payments.join(matched.money, on="payment_id", how="left")
    return _closed(found.join(matched.marks, on="payment_id", how="left"))


def match_payments(tables: Mapping[str, Frame], *, horizon: Horizon, policy: Policy, keep: Keep) -> Matched:
    """Give the evidence for every payment of ``payments`` and ``context``, and all links to transfers.

    Args:
        tables: ``payments``, ``context``, ``claims``, ``claim_txs``, ``transfers``, ``transactions`` by
            ``recon.core.tables``, lazy, and ``keys`` where payments have several of one kind.
        horizon: How far absence can be proven.
        policy: Skew and rails on which a provider's word counts.
        keep: Called on frames that are used more than once.
    """
    further = keyed(tables, keep=keep)
    silent_keys = unanswered(tables, further)
    topics = further_topics(tables, further, keep=keep)
    tables = with_all_keys(tables, further)
    payments = keep(with_claims(tables, policy=policy).with_columns(**_reach(horizon, policy)))
    topics = keep(all_topics(payments, topics))
    transfers = renamed_transfers(tables["transfers"], policy=policy)
    deposits, shared_deposits = settled_deposits(
        payments,
        keep(concat_links(links_by_deposit(payments, transfers, policy=policy, claim_txs=tables["claim_txs"]))),
        keep=keep,
    )
    direct = keep(
        concat_links(
            links_by_reference(payments, transfers, further=topics),
            deposits,
            links_by_hash(payments, transfers, claim_txs=tables["claim_txs"]),
        )
    )
    money = keep(_money(payments, direct))
    outcome = money.select("payment_id", "covered", "covered_by_chain", "own_hash_valid")
    in_question = ~nw.col("covered_by_chain") | (~nw.col("own_hash_valid") & names_hash())
    unsettled = keep(payments.join(outcome, on="payment_id", how="inner").filter(in_question))
    suspects = keep(
        suspect_links(unsettled, direct, transfers=transfers, claim_txs=tables["claim_txs"], further=topics)
    )
    deals = deals_of(payments, tables, money=money, keep=keep)
    refunds, refund_rows = refund_links(deals, direct, keep=keep)
    sums = keep(refund_sums(payments, concat_links(direct, refunds), money=money, keep=keep))
    marks = _combined(
        closest_wrong(suspects),
        indirect_marks(direct),
        strayed_marks(direct, payments, transfers=tables["transfers"]),
        sums.drop("back"),
        refund_rows,
        _recorded_hash(unsettled, tables["transactions"], tables["claim_txs"]),
        _never_asked(unsettled, tables["transactions"], tables["claim_txs"]),
        shared_hashes(payments, unsettled=unsettled, direct=direct),
        shared_payouts(payments, direct),
        shared_deposits,
        silent_keys,
        _repeated(with_further(real(payments), further, name="claim_key"), "claim_key", name="key_rows"),
        _repeated(with_further(real(payments), topics, name="topic"), "topic", name="topic_rows"),
        crowded_rows(deals),
        paid_sellers(deals),
        going_out(payments, tables, deals=deals, money=money, keep=keep),
    ).join(sums.select("payment_id", "back"), on="payment_id", how="left")
    return Matched(
        payments,
        money,
        keep(marks),
        pairs=concat_links(direct, suspects, refunds),
        transfers=tables["transfers"],
        claims=tables["claims"],
        topics=topics,
    )


def _reach(horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """How far each payment's money could be seen, and whether only a provider's word is left."""
    return {
        "covered_by_scan": _covered_by_scan(horizon, policy),
        "chain_is_read": _chain_is_read(horizon),
        "blind_elsewhere": _blind_elsewhere(horizon, policy),
        "by_word": ~nw.col("word_units").is_null() & _has_no_endpoint(horizon),
        "head_time": _head_time(horizon),
    }


def _covered_by_scan(horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the scan that would show this payment's money has no hole since the payment was made."""
    since = nw.col("created_at") - policy.clock_skew_ms
    scope = nw.when(nw.col("mode") == "reference").then(nw.lit("proxy")).otherwise(nw.lit("erc20"))
    seen = nw.lit(value=False)
    for (chain_id, name), until in sorted(horizon.blind_until.items()):
        seen = seen | is_true((nw.col("chain_id") == chain_id) & (scope == name) & (since > until))
    return seen & (nw.col("mode") != "hash")


def _blind_elsewhere(horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the scan of another chain has a hole where money for this payment could lie: people mistake chains."""
    since = nw.col("created_at") - policy.clock_skew_ms
    scope = nw.when(nw.col("mode") == "reference").then(nw.lit("proxy")).otherwise(nw.lit("erc20"))
    blind = nw.lit(value=False)
    for (chain_id, name), until in sorted(horizon.blind_until.items()):
        other = is_true(nw.col("chain_id") != chain_id) & (scope == name)
        blind = blind | is_true(other & (since <= until))
    return blind & (nw.col("mode") != "hash")


def _chain_is_read(horizon: Horizon) -> nw.Expr:
    """Whether the payment's chain could be asked about single transactions."""
    read = sorted({chain_id for (chain_id, _), until in horizon.blind_until.items() if until < horizon.now_ms})
    return is_true(nw.col("chain_id").is_in([-1, *read]))


def _has_no_endpoint(horizon: Horizon) -> nw.Expr:
    """Whether nobody can be asked about the payment's chain, which is another thing than an endpoint that failed."""
    asked = sorted({chain_id for (chain_id, _), until in horizon.blind_until.items() if until < FOREVER_MS})
    return ~is_true(nw.col("chain_id").is_in([-1, *asked]))


def _head_time(horizon: Horizon) -> nw.Expr:
    """The time up to which the payment's chain was seen; a chain of which nothing is known was seen up to now."""
    until: nw.Expr = nw.lit(horizon.now_ms)
    for chain_id, head_ms in sorted(horizon.head_ms.items()):
        here = is_true(nw.col("chain_id") == chain_id)
        until = nw.when(here).then(nw.lit(min(head_ms, horizon.now_ms))).otherwise(until)
    return until.cast(nw.Int64)


def _money(payments: Frame, direct: Frame) -> Frame:
    """One row per payment: what came for it, and whether that is enough."""
    owed = payments.select("payment_id", "covered_from_units", "overpaid_from_units", "by_word", "word_units")
    told = nw.when(nw.col("by_word") & nw.col("valid_count").is_null()).then(nw.col("word_units"))
    return (
        owed.join(_received(direct), on="payment_id", how="left")
        .join(_proofs(payments, direct), on="payment_id", how="left")
        .with_columns(
            received=nw.coalesce(nw.col("received"), told), big_received=nw.coalesce(nw.col("big_received"), told)
        )
        .select("payment_id", *_SUMS, **_cover())
    )


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


def _proofs(payments: Frame, direct: Frame) -> Frame:
    """For payments with several final transfers: the one that completes the cover, and how many it took."""
    final = direct.filter(nw.col("is_valid") & nw.col("t_final"))
    several = (
        final.select("payment_id", one=ONE)
        .group_by("payment_id")
        .agg(nw.col("one").sum())
        .filter(nw.col("one") > 1)
        .select("payment_id")
    )
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


def _cover() -> dict[str, nw.Expr]:
    enough = is_true(nw.col("received_final") >= nw.col("covered_from_units"))
    by_chain = enough & is_true(nw.col("final_count") > 0)
    told = nw.col("by_word") & is_true(nw.col("word_units") > 0)
    told_enough = told & is_true(nw.col("word_units") >= nw.col("covered_from_units"))
    seen_enough = is_true(nw.col("received") >= nw.col("covered_from_units"))
    one = by_chain & (nw.col("final_count") == 1)
    many = by_chain & (nw.col("final_count") > 1)

    def proof(name: str) -> nw.Expr:
        return nw.when(one).then(nw.col(f"single_{name}")).otherwise(nw.when(many).then(nw.col(f"many_{name}")))

    return {
        "covered_by_chain": by_chain,
        "covered": by_chain | told_enough,
        "seen_enough": seen_enough,
        "seen_any": is_true(nw.col("big_count") > 0) | seen_enough | told,
        "too_much": is_true(nw.col("big_received") >= nw.col("overpaid_from_units")),
        "needed_count": nw.when(one).then(nw.lit(1)).otherwise(nw.when(many).then(nw.col("needed_many"))),
        "proof_tx": proof("tx"),
        "proof_log": proof("log"),
        "proof_time": proof("time"),
        "proof_fee_recipient": proof("fee_recipient"),
        "own_hash_valid": is_true(nw.col("own_valid") > 0),
    }


def _recorded_hash(unsettled: Frame, transactions: Frame, claim_txs: Frame) -> Frame:
    """What the chains say of the hash that the row records, where it is not among its valid transfers.

    A row of money going out is found by nothing but hashes, so those that its provider names are looked at as well. Of
    money coming in only that nobody answered about such a hash matters: it may be in a block past the end of the scan.
    """
    loose = unsettled.filter(~nw.col("own_hash_valid"))
    recorded = loose.filter(~nw.col("tx_hash").is_null()).select("payment_id", "chain_id", named=nw.col("tx_hash"))
    outgoing = loose.filter((nw.col("mode") == "hash") & (nw.col("direction") != "in"))
    claimed = outgoing.select("payment_id", "chain_id").join(
        named_hashes(outgoing, claim_txs), on="payment_id", how="inner"
    )
    known = transactions.select("outcome", x_chain=nw.col("chain_id"), named=nw.col("tx_hash"))
    unanswered = known.filter(nw.col("outcome") == "failed").select(tx_hash=nw.col("named")).unique()
    open_rows = loose.filter((nw.col("mode") != "hash") & ~nw.col("covered_by_chain"))
    named_in_vain = open_rows.select("payment_id", "chain_id").join(
        named_hashes(open_rows, claim_txs.join(unanswered, on="tx_hash", how="inner")), on="payment_id", how="inner"
    )
    # What a provider names for money coming in says nothing while it is answered; the money itself is in the scan.
    in_vain = named_in_vain.join(unanswered, left_on="named", right_on="tx_hash", how="inner")
    asked = nw.concat(
        [one.select("payment_id", "chain_id", "named") for one in (recorded, claimed, in_vain)], how="vertical"
    )
    here = nw.col("x_chain") == nw.col("chain_id")
    return (
        asked.join(known, on="named", how="inner")
        .with_columns(
            x_success=one_if(here & (nw.col("outcome") == "success")),
            x_reverted=one_if(here & (nw.col("outcome") == "reverted")),
            x_pending=one_if(here & (nw.col("outcome") == "pending")),
            x_not_found=one_if(here & (nw.col("outcome") == "not_found")),
            x_failed=one_if(here & (nw.col("outcome") == "failed")),
            x_elsewhere=one_if(is_true(nw.col("x_chain") != nw.col("chain_id")) & (nw.col("outcome") == "success")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in _FATES])
    )


def _never_asked(unsettled: Frame, transactions: Frame, claim_txs: Frame) -> Frame:
    """Outgoing payments with a named hash about which their chain, though it is read, said nothing at all."""
    outgoing = unsettled.filter(
        (nw.col("mode") == "hash")
        & (nw.col("direction") != "in")
        & nw.col("chain_is_read")
        & ~nw.col("covered_by_chain")
    )
    named = outgoing.select("payment_id", "chain_id").join(
        named_hashes(outgoing, claim_txs), on="payment_id", how="inner"
    )
    said = transactions.select("chain_id", named=nw.col("tx_hash"))
    return (
        named.join(said, on=["chain_id", "named"], how="anti").select("payment_id").unique().with_columns(x_failed=ONE)
    )


def _repeated(rows: Frame, *keys: str, name: str) -> Frame:
    """Payments that share a key with others of their direction, and how many they are."""
    by = [*keys, "direction"]
    narrow = rows.select("payment_id", *by, one=ONE)
    crowds = narrow.group_by(*by).agg(nw.col("one").sum().alias(name)).filter(nw.col(name) > 1)
    return narrow.join(crowds, on=by, how="inner").select("payment_id", name)


_FATES: Final = ("x_success", "x_reverted", "x_pending", "x_not_found", "x_failed", "x_elsewhere")
"""What the chains said of a recorded hash; ``x_elsewhere``: it succeeded on another chain than the payment's."""
_MARKS: Final = (
    "m_reference", "m_recipient", "m_token", "m_network", "m_indirect", "refund_count", "refund_rows", *_FATES,
    *RIVAL_MARKS, "shared_deposit", "key_rows", "topic_rows",
    "moneyed_rows", "keys_open", "keys_failed", "all_back", "surplus_back", "refunds_elsewhere",
    "refunds_unread", "strayed",
)  # fmt: skip
_TEXT_MARKS: Final = ("refund_tx", "rival_id", "paid_out_by", "paying_out_by", "going_out_by")
_SUMS: Final = ("received", "received_final", "valid_count", "big_count", "unread_count", "last_time")
_MONEY: Final = (
    *_SUMS, "covered_by_chain", "covered", "seen_enough", "seen_any",
    "too_much", "needed_count", "proof_tx", "proof_log", "proof_time", "proof_fee_recipient", "own_hash_valid",
)  # fmt: skip
EVIDENCE: Final = (
    *CARRIED, *CLAIM_COUNTS, *_MONEY, *_MARKS, *_TEXT_MARKS, "back", "in_window", "claim_key", "topic", "has_reference",
    "mode", "by_word", "word_units", "claim_time", "covered_by_scan", "chain_is_read", "blind_elsewhere",
    "head_time", "reference_topic",
)  # fmt: skip
"""Every column of the evidence: what rules and conditions may rest on."""


def _combined(*parts: Frame) -> Frame:
    """Lay small tables about a few payments over each other, one row per payment."""
    padded = []
    for part in parts:
        has = set(part.collect_schema().names())
        padded.append(
            part.select(
                "payment_id",
                *[(nw.col(name) if name in has else nw.lit(0)).cast(nw.Int64).alias(name) for name in _MARKS],
                *[nw.col(name) if name in has else nw.lit(None).cast(nw.String).alias(name) for name in _TEXT_MARKS],
            )
        )
    return (
        nw.concat(padded, how="vertical")
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in (*_MARKS, *_TEXT_MARKS)])
    )


def _closed(evidence: Frame) -> Frame:
    """Close every count with zero, so that no condition over it can be null."""
    counts = (*_MARKS, "valid_count", "big_count", "unread_count", "needed_count")
    return evidence.with_columns(
        *[nw.col(name).fill_null(0).cast(nw.Int64).alias(name) for name in counts],
        reference_topic=nw.when(nw.col("has_reference")).then(nw.col("topic")),
    )
