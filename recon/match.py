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
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import narwhals as nw

from recon.model import Policy

Frame = nw.LazyFrame[Any]
Keep = Callable[[Frame], Frame]
"""Materialises a frame that is used more than once; what an engine makes of it is its own business."""

DEPOSIT_KINDS: Final = "erc20"
PAYING_EMITTER: Final = "fee_proxy"

_PAYMENT: Final = (
    "payment_id", "provider", "direction", "status", "status_raw", "escrow_state", "disputed", "hold", "is_test",
    "expected_units", "covered_from_units", "overpaid_from_units", "token", "chain_id", "recipient", "sender",
    "is_deposit", "reference_topic", "request_id", "external_id", "tx_hash", "tx_hash_raw", "simulated",
    "confirmations", "safety_status", "aml_blocked", "buyer_id", "order_id", "offer_id", "created_at", "updated_at",
    "expires_at", "problem",
)  # fmt: skip
_LINK: Final = (
    "payment_id", "t_chain", "t_tx", "t_log", "t_block", "t_time", "t_final", "t_amount", "t_recipient", "t_token",
    "t_kind", "t_topic", "t_fee_recipient", "is_valid", "is_refund", "wrong_chain", "wrong_token", "wrong_recipient",
    "wrong_reference", "is_spam", "own_hash",
)  # fmt: skip
_TRANSFER: Final = (
    "chain_id", "tx_hash", "log_index", "block", "block_time", "final", "amount_units", "recipient", "fee_units",
    "fee_recipient", "token", "token_known", "kind", "reference_topic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far absence can be proven.

    Args:
        blind_until: For (chain id, ``proxy`` or ``erc20``): nothing is proven absent for a payment made at or before
            this UTC millisecond. A pair that is not here was never read.
        provider_blind_until: The same for a provider's bulk window: a payment made later, of which a complete window
            shows nothing, is one of which the provider knows no money.
        now_ms: When the evidence was taken.
    """

    blind_until: Mapping[tuple[int, str], int]
    provider_blind_until: Mapping[str, int]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Matched:
    """One row of evidence per payment, and the links to transfers that it was summed from."""

    evidence: Frame
    links: Frame


def match_payments(tables: Mapping[str, Frame], *, horizon: Horizon, policy: Policy, keep: Keep) -> Matched:
    """Give one row of evidence per payment of ``payments`` and ``context``, and all links to transfers.

    Args:
        tables: ``payments``, ``context``, ``claims``, ``claim_txs``, ``transfers``, ``transactions`` by
            ``recon.tables``, lazy.
        horizon: How far absence can be proven.
        policy: Skew and rails on which a provider's word counts.
        keep: Called on frames that are used more than once.
    """
    claimed = _with_claims(tables)
    payments = keep(claimed.with_columns(covered_by_scan=_covered_by_scan(horizon, policy)))
    transfers = _renamed_transfers(tables["transfers"])
    deposits, shared_deposits = _settled_deposits(
        payments, keep(_by_deposit(payments, transfers, policy=policy)), keep=keep
    )
    direct = keep(
        _concat(
            _by_reference(payments, transfers),
            deposits,
            _outgoing_by_hash(payments, transfers, tables["claim_txs"]),
        )
    )
    received = keep(_received(direct))
    proofs = _proofs(payments, direct, received)
    counted = keep(
        payments.join(received, on="payment_id", how="left")
        .join(proofs, on="payment_id", how="left")
        .with_columns(**_cover(policy))
    )
    suspects = keep(_suspects(counted, direct, transfers, tables["claim_txs"]))
    evidence = counted
    for part in (
        _closest_wrong(suspects),
        _refund_transfers(direct),
        _recorded_hash(counted, tables["transactions"]),
        _shared_hashes(counted, direct),
        shared_deposits,
    ):
        evidence = evidence.join(part, on="payment_id", how="left")
    evidence = keep(evidence)
    return Matched(_closed(_with_siblings(evidence)), _concat(direct, suspects))


def _concat(*frames: Frame) -> Frame:
    return nw.concat([frame.select(*_LINK) for frame in frames], how="vertical")


def _with_claims(tables: Mapping[str, Frame]) -> Frame:
    rows = nw.concat(
        [
            tables["payments"].select(*_PAYMENT, in_window=nw.lit(value=True)),
            tables["context"].select(*_PAYMENT, in_window=nw.lit(value=False)),
        ],
        how="vertical",
    ).with_columns(
        disputed=nw.col("disputed").fill_null(value=False),
        hold=nw.col("hold").fill_null(value=False),
        is_test=nw.col("is_test").fill_null(value=False),
        is_deposit=nw.col("is_deposit").fill_null(value=False),
        simulated=nw.col("simulated").fill_null(value=False),
        aml_blocked=nw.col("aml_blocked").fill_null(value=False),
        direction=nw.col("direction").fill_null("in"),
        claim_key=_payment_claim_key(),
    )
    by_key, by_topic = _claims_by_key(tables["claims"])
    joined = rows.join(by_key, on="claim_key", how="left")
    unkeyed = rows.filter(nw.col("claim_key").is_null() & ~nw.col("reference_topic").is_null())
    late = unkeyed.select("payment_id", claim_topic_key=nw.col("reference_topic")).join(
        by_topic, on="claim_topic_key", how="inner"
    )
    joined = joined.join(late.drop("claim_topic_key"), on="payment_id", how="left")
    columns = {name: nw.coalesce(f"c_{name}", f"r_{name}").fill_null(0).cast(nw.Int64) for name in _CLAIM_COUNTS}
    topic = nw.coalesce("reference_topic", "c_topic")
    return joined.with_columns(topic=topic, **columns).with_columns(
        mode=nw.when(nw.col("is_deposit"))
        .then(nw.lit("deposit"))
        .when(~nw.col("topic").is_null())
        .then(nw.lit("reference"))
        .otherwise(nw.lit("hash"))
    )


def _payment_claim_key() -> nw.Expr:
    paid_out = (nw.col("provider") == "shkeeper") & (nw.col("direction") != "in")
    prefix = nw.when(paid_out).then(nw.lit("payout|")).otherwise(nw.lit("pay|"))
    known = nw.when(nw.col("provider") == "shkeeper").then(nw.col("external_id")).otherwise(nw.col("request_id"))
    return nw.when(~known.is_null()).then(nw.concat_str([prefix, nw.col("provider"), nw.lit("|"), known]))


_CLAIM_COUNTS: Final = (
    "found", "failed", "not_found", "paid", "partial", "unpaid", "refunded", "unknown", "lifi",
)  # fmt: skip


def _claims_by_key(claims: Frame) -> tuple[Frame, Frame]:
    found = (nw.col("outcome") == "found").fill_null(value=False)
    state = nw.col("state").fill_null("unknown")
    prefix = nw.when(nw.col("object") == "payout").then(nw.lit("payout|")).otherwise(nw.lit("pay|"))
    known = nw.when(nw.col("provider") == "shkeeper").then(nw.col("external_id")).otherwise(nw.col("request_id"))
    flags = {
        "found": found,
        "failed": (nw.col("outcome") == "failed").fill_null(value=False),
        "not_found": (nw.col("outcome") == "not_found").fill_null(value=False),
        "paid": found & state.is_in(["paid", "overpaid"]),
        "partial": found & (state == "partial"),
        "unpaid": found & state.is_in(["unpaid", "processing", "failed", "cancelled"]),
        "refunded": found & (state == "refunded"),
        "unknown": found & (state == "unknown"),
        "lifi": found & (nw.col("detection_source") == "lifi").fill_null(value=False),
    }
    columns = {name: nw.when(flag).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64) for name, flag in flags.items()}
    rows = claims.select(
        "reference_topic",
        claim_key=nw.when(~known.is_null()).then(nw.concat_str([prefix, nw.col("provider"), nw.lit("|"), known])),
        **columns,
    )
    by_key = (
        rows.filter(~nw.col("claim_key").is_null())
        .group_by("claim_key")
        .agg(
            *[nw.col(name).sum().alias(f"c_{name}") for name in _CLAIM_COUNTS],
            nw.col("reference_topic").max().alias("c_topic"),
        )
    )
    by_topic = (
        rows.filter(~nw.col("reference_topic").is_null())
        .with_columns(claim_topic_key=nw.col("reference_topic"))
        .group_by("claim_topic_key")
        .agg(*[nw.col(name).sum().alias(f"r_{name}") for name in _CLAIM_COUNTS])
    )
    return by_key, by_topic


def _covered_by_scan(horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the scan that would show this payment's money has no hole since the payment was made."""
    since = nw.col("created_at") - policy.clock_skew_ms
    scope = nw.when(nw.col("mode") == "reference").then(nw.lit("proxy")).otherwise(nw.lit("erc20"))
    seen = nw.lit(value=False)
    for (chain_id, name), until in sorted(horizon.blind_until.items()):
        seen = seen | ((nw.col("chain_id") == chain_id) & (scope == name) & (since > until)).fill_null(value=False)
    return seen & (nw.col("mode") != "hash")


def _renamed_transfers(transfers: Frame) -> Frame:
    names = {
        "chain_id": "t_chain", "tx_hash": "t_tx", "log_index": "t_log", "block": "t_block", "block_time": "t_time",
        "final": "t_final", "amount_units": "t_amount", "recipient": "t_recipient", "fee_units": "t_fee",
        "fee_recipient": "t_fee_recipient", "token": "t_token", "token_known": "t_known", "kind": "t_kind",
        "reference_topic": "t_topic",
    }  # fmt: skip
    return transfers.select(*_TRANSFER).rename(names).with_columns(t_final=nw.col("t_final").fill_null(value=False))


_OWN: Final = (
    "payment_id", "direction", "mode", "topic", "chain_id", "token", "recipient", "sender", "tx_hash", "created_at",
)  # fmt: skip


def _judged(pairs: Frame, *, reference_right: nw.Expr, paying: nw.Expr, released: nw.Expr) -> Frame:
    """State field by field what is right and wrong about each pair of a payment and a transfer."""

    def is_true(condition: nw.Expr) -> nw.Expr:
        return condition.fill_null(value=False)

    same_chain = is_true(nw.col("t_chain") == nw.col("chain_id"))
    same_token = is_true(nw.col("t_token") == nw.col("token"))
    to_us = is_true(nw.col("t_recipient") == nw.col("recipient"))
    to_payer = is_true(nw.col("t_recipient") == nw.col("sender")) & ~to_us
    clean = paying & ~released
    return pairs.with_columns(
        is_valid=same_chain & same_token & to_us & reference_right & clean & is_true(nw.col("t_amount") > 0),
        is_refund=same_chain & same_token & to_payer & reference_right & paying,
        wrong_chain=~same_chain,
        wrong_token=same_chain & ~same_token,
        wrong_recipient=(same_chain & same_token & ~to_us & ~to_payer & ~nw.col("recipient").is_null()) | released,
        wrong_reference=same_chain & same_token & to_us & ~(reference_right & paying),
        is_spam=~is_true(nw.col("t_known")),
        own_hash=is_true(nw.col("tx_hash") == nw.col("t_tx")),
    )


def _by_reference(payments: Frame, transfers: Frame) -> Frame:
    logs = transfers.filter((nw.col("t_kind") != DEPOSIT_KINDS) & ~nw.col("t_topic").is_null()).with_columns(
        t_reference=nw.col("t_topic")
    )
    escrows = (
        logs.filter((nw.col("t_kind") == "escrow") & nw.col("t_known").fill_null(value=False))
        .select(
            e_topic=nw.col("t_topic"), e_chain=nw.col("t_chain"), e_token=nw.col("t_token"), e_block=nw.col("t_block")
        )
        .group_by("e_topic", "e_chain", "e_token")
        .agg(nw.col("e_block").min())
    )
    pairs = (
        payments.filter(nw.col("mode") == "reference")
        .select(*_OWN)
        .join(logs, left_on="topic", right_on="t_reference", how="inner")
        .join(escrows, left_on=["topic", "t_chain", "t_token"], right_on=["e_topic", "e_chain", "e_token"], how="left")
    )
    after_escrow = (nw.col("t_block") >= nw.col("e_block")).fill_null(value=False)
    paying = (nw.col("t_kind") == PAYING_EMITTER).fill_null(value=False)
    released = paying & after_escrow & nw.col("t_fee").is_null()
    return _judged(pairs, reference_right=nw.lit(value=True), paying=paying, released=released)


def _by_deposit(payments: Frame, transfers: Frame, *, policy: Policy) -> Frame:
    coins = transfers.filter(nw.col("t_kind") == DEPOSIT_KINDS).with_columns(t_to=nw.col("t_recipient"))
    since = nw.col("created_at") - policy.clock_skew_ms
    pairs = (
        payments.filter(nw.col("mode") == "deposit")
        .select(*_OWN)
        .join(coins, left_on="recipient", right_on="t_to", how="inner")
        .filter((nw.col("t_time") >= since).fill_null(value=False))
    )
    nothing = nw.lit(value=False)
    return _judged(pairs, reference_right=nw.lit(value=True), paying=nw.lit(value=True), released=nothing)


def _named_hashes(payments: Frame, claim_txs: Frame) -> Frame:
    """Every transaction that a row or its provider object names, once per payment."""
    recorded = payments.filter(~nw.col("tx_hash").is_null()).select("payment_id", named=nw.col("tx_hash"))
    known = nw.when(nw.col("provider") == "shkeeper").then(nw.col("external_id")).otherwise(nw.col("request_id"))
    owned = claim_txs.filter(~nw.col("tx_hash").is_null()).with_columns(known=known).filter(~nw.col("known").is_null())
    claimed = nw.concat(
        [
            owned.select(
                "tx_hash", claim_key=nw.concat_str([nw.lit(prefix), nw.col("provider"), nw.lit("|"), nw.col("known")])
            )
            for prefix in ("pay|", "payout|")
        ],
        how="vertical",
    )
    told = payments.select("payment_id", "claim_key").join(claimed, on="claim_key", how="inner")
    return nw.concat([recorded, told.select("payment_id", named=nw.col("tx_hash"))], how="vertical").unique(
        subset=["payment_id", "named"], keep="any"
    )


def _outgoing_by_hash(payments: Frame, transfers: Frame, claim_txs: Frame) -> Frame:
    outgoing = payments.filter((nw.col("direction") != "in") & (nw.col("mode") == "hash"))
    coins = transfers.filter(nw.col("t_kind") == DEPOSIT_KINDS)
    pairs = (
        outgoing.select(*_OWN)
        .join(_named_hashes(outgoing, claim_txs), on="payment_id", how="inner")
        .join(coins.with_columns(named=nw.col("t_tx")), on="named", how="inner")
    )
    nothing = nw.lit(value=False)
    return _judged(pairs, reference_right=nw.lit(value=True), paying=nw.lit(value=True), released=nothing)


def _one_if(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)


def _received(direct: Frame) -> Frame:
    """Sum what came in, per payment. Only valid transfers enter a sum, so a worthless token cannot overflow it."""
    final = nw.col("t_final")
    return (
        direct.filter(nw.col("is_valid"))
        .with_columns(
            one=nw.lit(1).cast(nw.Int64),
            final_one=_one_if(final),
            final_units=nw.when(final).then(nw.col("t_amount")),
            final_tx=nw.when(final).then(nw.col("t_tx")),
            final_log=nw.when(final).then(nw.col("t_log")),
            final_time=nw.when(final).then(nw.col("t_time")),
            final_fee_recipient=nw.when(final).then(nw.col("t_fee_recipient")),
            own=_one_if(nw.col("own_hash")),
        )
        .group_by("payment_id")
        .agg(
            nw.col("one").sum().alias("valid_count"),
            nw.col("final_one").sum().alias("final_count"),
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


def _proofs(payments: Frame, direct: Frame, received: Frame) -> Frame:
    """For payments with several final transfers: the one that completes the cover, and how many it took."""
    several = received.filter(nw.col("final_count") > 1).select("payment_id")
    parts = (
        direct.filter(nw.col("is_valid") & nw.col("t_final"))
        .join(several, on="payment_id", how="inner")
        .select("payment_id", "t_block", "t_log", "t_tx", "t_time", "t_amount", "t_fee_recipient")
    )
    earlier = parts.select("payment_id", b_block=nw.col("t_block"), b_log=nw.col("t_log"), b_amount=nw.col("t_amount"))
    not_later = (nw.col("b_block") < nw.col("t_block")) | (
        (nw.col("b_block") == nw.col("t_block")) & (nw.col("b_log") <= nw.col("t_log"))
    )
    keys = ["payment_id", "t_block", "t_log", "t_tx", "t_time", "t_fee_recipient"]
    running = (
        parts.with_columns(t_fee_recipient=nw.col("t_fee_recipient").fill_null(""))
        .join(earlier, on="payment_id", how="inner")
        .filter(not_later)
        .with_columns(one=nw.lit(1).cast(nw.Int64))
        .group_by(*keys)
        .agg(nw.col("b_amount").sum().alias("so_far"), nw.col("one").sum().alias("needed_many"))
    )
    wanted = payments.select("payment_id", "covered_from_units")
    return (
        running.join(wanted, on="payment_id", how="inner")
        .filter((nw.col("so_far") >= nw.col("covered_from_units")).fill_null(value=False))
        .with_columns(one=nw.lit(1).cast(nw.Int64))
        .with_columns(place=nw.col("one").cum_sum().over("payment_id", order_by=["t_block", "t_log"]))
        .filter(nw.col("place") == 1)
        .select(
            "payment_id",
            "needed_many",
            many_tx=nw.col("t_tx"),
            many_log=nw.col("t_log"),
            many_time=nw.col("t_time"),
            many_fee_recipient=nw.col("t_fee_recipient"),
        )
    )


def _cover(policy: Policy) -> dict[str, nw.Expr]:
    enough = (nw.col("received_final") >= nw.col("covered_from_units")).fill_null(value=False)
    by_chain = enough & (nw.col("final_count") > 0).fill_null(value=False)
    trusted = nw.lit(value=False)
    for rail in policy.provider_proves:
        provider, _, chain = rail.partition(":")
        here = (nw.col("provider") == provider) & (nw.col("chain_id") == int(chain)).fill_null(value=False)
        trusted = trusted | here
    one = by_chain & (nw.col("final_count") == 1)
    many = by_chain & (nw.col("final_count") > 1)

    def proof(name: str) -> nw.Expr:
        return nw.when(one).then(nw.col(f"single_{name}")).otherwise(nw.when(many).then(nw.col(f"many_{name}")))

    return {
        "covered_by_chain": by_chain,
        "covered": by_chain | (trusted & (nw.col("paid") > 0)),
        "seen_enough": (nw.col("received") >= nw.col("covered_from_units")).fill_null(value=False),
        "seen_any": (nw.col("valid_count") > 0).fill_null(value=False),
        "too_much": (nw.col("received") >= nw.col("overpaid_from_units")).fill_null(value=False),
        "needed_count": nw.when(one).then(nw.lit(1)).otherwise(nw.when(many).then(nw.col("needed_many"))),
        "proof_tx": proof("tx"),
        "proof_log": proof("log"),
        "proof_time": proof("time"),
        "proof_fee_recipient": proof("fee_recipient"),
        "own_hash_valid": (nw.col("own_valid") > 0).fill_null(value=False),
    }


def _suspects(counted: Frame, direct: Frame, transfers: Frame, claim_txs: Frame) -> Frame:
    """Transfers that lead from a payment's own hash or reference to money that is wrong in some way."""
    open_question = counted.filter(
        ~nw.col("covered_by_chain") | (~nw.col("own_hash_valid") & ~nw.col("tx_hash").is_null())
    )
    by_link = direct.filter(~nw.col("is_valid") & ~nw.col("is_refund") & ~nw.col("is_spam")).join(
        open_question.select("payment_id"), on="payment_id", how="inner"
    )
    logged = transfers.filter(nw.col("t_kind") != DEPOSIT_KINDS).select(logged_tx=nw.col("t_tx")).unique()
    named = _named_hashes(open_question, claim_txs)
    pairs = (
        open_question.select(*_OWN)
        .join(named, on="payment_id", how="inner")
        .join(transfers.with_columns(named=nw.col("t_tx")), on="named", how="inner")
        .join(logged.with_columns(is_logged=nw.lit(value=True)), left_on="named", right_on="logged_tx", how="left")
    )
    coin = nw.col("t_kind") == DEPOSIT_KINDS
    same_topic = (nw.col("t_topic") == nw.col("topic")).fill_null(value=False)
    by_reference = nw.col("mode") == "reference"
    echo = by_reference & coin & nw.col("is_logged").fill_null(value=False)
    known = nw.col("t_known").fill_null(value=False)
    wanted = ~echo & ~(by_reference & same_topic & known) & ~((nw.col("mode") == "deposit") & ~coin)
    early = (nw.col("mode") == "deposit") & (nw.col("t_recipient") == nw.col("recipient")).fill_null(value=False)
    by_hash = _judged(
        pairs.filter(wanted & ~early & ~((nw.col("mode") == "hash") & (nw.col("direction") == "in"))),
        reference_right=nw.col("mode") != "reference",
        paying=nw.lit(value=True),
        released=nw.lit(value=False),
    )
    return _concat(by_link, by_hash.filter(~nw.col("is_valid")))


def _closest_wrong(suspects: Frame) -> Frame:
    """Keep, per payment, only the suspects with the fewest wrong fields, and say what is wrong with them."""
    order = (
        nw.when(nw.col("wrong_reference"))
        .then(nw.lit(1))
        .when(nw.col("wrong_recipient"))
        .then(nw.lit(2))
        .when(nw.col("wrong_token"))
        .then(nw.lit(3))
        .otherwise(nw.lit(4))
    )
    ranked = suspects.with_columns(distance=order.cast(nw.Int64))
    best = ranked.group_by("payment_id").agg(nw.col("distance").min().alias("least"))
    return (
        ranked.join(best, on="payment_id", how="inner")
        .filter(nw.col("distance") == nw.col("least"))
        .with_columns(
            m_reference=_one_if(nw.col("wrong_reference")),
            m_recipient=_one_if(nw.col("wrong_recipient")),
            m_token=_one_if(nw.col("wrong_token")),
            m_network=_one_if(nw.col("wrong_chain")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in ("m_reference", "m_recipient", "m_token", "m_network")])
    )


def _refund_transfers(direct: Frame) -> Frame:
    return (
        direct.filter(nw.col("is_refund") & nw.col("t_final"))
        .with_columns(one=nw.lit(1).cast(nw.Int64))
        .group_by("payment_id")
        .agg(
            nw.col("one").sum().alias("refund_count"),
            nw.col("t_tx").max().alias("refund_log_tx"),
        )
    )


def _recorded_hash(counted: Frame, transactions: Frame) -> Frame:
    """What the chains say of the hash that the row records, where it is not among its valid transfers."""
    asked = counted.filter(~nw.col("tx_hash").is_null() & ~nw.col("own_hash_valid")).select(
        "payment_id", "chain_id", named=nw.col("tx_hash")
    )
    known = transactions.select("outcome", x_chain=nw.col("chain_id"), named=nw.col("tx_hash"))
    here = nw.col("x_chain") == nw.col("chain_id")
    return (
        asked.join(known, on="named", how="inner")
        .with_columns(
            x_success=_one_if(here & (nw.col("outcome") == "success")),
            x_reverted=_one_if(here & (nw.col("outcome") == "reverted")),
            x_pending=_one_if(here & (nw.col("outcome") == "pending")),
            x_not_found=_one_if(here & (nw.col("outcome") == "not_found")),
            x_failed=_one_if(here & (nw.col("outcome") == "failed")),
        )
        .group_by("payment_id")
        .agg(*[nw.col(name).max() for name in ("x_success", "x_reverted", "x_pending", "x_not_found", "x_failed")])
    )


def _shared_hashes(counted: Frame, direct: Frame) -> Frame:
    """Payments that record a hash another payment records or is paid by, unless each has its own log in it."""
    taken = counted.filter(~nw.col("tx_hash").is_null() & ~nw.col("is_test"))
    loose = taken.filter(~nw.col("own_hash_valid")).select(loose_id=nw.col("payment_id"), named=nw.col("tx_hash"))
    holders = nw.concat(
        [
            taken.select(holder_id=nw.col("payment_id"), named=nw.col("tx_hash")),
            direct.filter(nw.col("is_valid")).select(holder_id=nw.col("payment_id"), named=nw.col("t_tx")),
        ],
        how="vertical",
    )
    pairs = loose.join(holders, on="named", how="inner").filter(nw.col("loose_id") != nw.col("holder_id"))
    both = nw.concat(
        [pairs.select(payment_id=nw.col("loose_id")), pairs.select(payment_id=nw.col("holder_id"))], how="vertical"
    )
    return both.unique(subset=["payment_id"], keep="any").with_columns(shared_hash=nw.lit(1).cast(nw.Int64))


def _settled_deposits(payments: Frame, fits: Frame, *, keep: Keep) -> tuple[Frame, Frame]:
    """Settle whose transfer it is where several payments share a deposit address.

    Exactly one payment that records the hash has it, and it leaves the others' links; otherwise it fits them all
    equally and proves none. Gives the links that stay, and the payments for which the question stays open.
    """
    deposits = payments.filter((nw.col("mode") == "deposit") & ~nw.col("is_test")).with_columns(
        one=nw.lit(1).cast(nw.Int64)
    )
    crowded = (
        deposits.group_by("recipient")
        .agg(nw.col("one").sum().alias("rows"))
        .filter(nw.col("rows") > 1)
        .select("recipient")
    )
    members = deposits.select("payment_id", "recipient").join(crowded, on="recipient", how="inner")
    shared = keep(
        fits.filter(nw.col("is_valid"))
        .join(members.select("payment_id"), on="payment_id", how="inner")
        .select("payment_id", "t_tx", "t_log", one=nw.lit(1).cast(nw.Int64), own=_one_if(nw.col("own_hash")))
    )
    contested = (
        shared.group_by("t_tx", "t_log")
        .agg(nw.col("one").sum().alias("fitting"), nw.col("own").sum().alias("claiming"))
        .filter(nw.col("fitting") > 1)
    )
    settled = keep(shared.join(contested, on=["t_tx", "t_log"], how="inner"))
    lost = settled.filter((nw.col("claiming") == 1) & (nw.col("own") == 0))
    still_open = settled.filter(nw.col("claiming") != 1).select("payment_id").unique()
    links = fits.join(lost.select("payment_id", "t_tx", "t_log"), on=["payment_id", "t_tx", "t_log"], how="anti")
    return links, still_open.with_columns(shared_deposit=nw.lit(1).cast(nw.Int64))


def _with_siblings(evidence: Frame) -> Frame:
    """What other rows of the same buyer, order and offer, or with the same provider key, say about this one."""
    real = evidence.filter(~nw.col("is_test"))
    one = nw.lit(1).cast(nw.Int64)
    by_key = _repeated(real.filter(~nw.col("claim_key").is_null()), "claim_key", name="key_rows")
    by_topic = _repeated(real.filter(~nw.col("reference_topic").is_null()), "reference_topic", name="topic_rows")
    deal = ["buyer_id", "order_id", "offer_id"]
    whole = real.filter(~nw.col("buyer_id").is_null() & ~nw.col("order_id").is_null() & ~nw.col("offer_id").is_null())
    moneyed = whole.filter(
        (nw.col("seen_any") | (nw.col("paid") > 0)) & (nw.col("status").fill_null("") != "refunded")
    ).with_columns(one=one)
    rivals = (
        moneyed.group_by(*deal, "direction")
        .agg(nw.col("one").sum().alias("moneyed_rows"))
        .filter(nw.col("moneyed_rows") > 1)
    )
    refunds = (
        whole.filter((nw.col("direction") == "refund") & nw.col("covered_by_chain"))
        .group_by(*deal)
        .agg(nw.col("proof_tx").max().alias("refund_row_tx"))
        .with_columns(direction=nw.lit("in"))
    )
    return (
        evidence.join(by_key, on=["claim_key", "direction"], how="left")
        .join(by_topic, on=["reference_topic", "direction"], how="left")
        .join(rivals, on=[*deal, "direction"], how="left")
        .join(refunds, on=[*deal, "direction"], how="left")
    )


def _repeated(rows: Frame, key: str, *, name: str) -> Frame:
    return (
        rows.with_columns(one=nw.lit(1).cast(nw.Int64))
        .group_by(key, "direction")
        .agg(nw.col("one").sum().alias(name))
        .filter(nw.col(name) > 1)
    )


_COUNTS: Final = (
    "m_reference", "m_recipient", "m_token", "m_network", "refund_count", "x_success", "x_reverted", "x_pending",
    "x_not_found", "x_failed", "shared_hash", "shared_deposit", "key_rows", "topic_rows",
    "moneyed_rows", "valid_count", "final_count", "needed_count",
)  # fmt: skip


def _closed(evidence: Frame) -> Frame:
    """Close every count with zero, so that no condition over it can be null."""
    return evidence.with_columns(
        *[nw.col(name).fill_null(0).cast(nw.Int64).alias(name) for name in _COUNTS],
        refund_tx=nw.coalesce("refund_log_tx", "refund_row_tx"),
    )
