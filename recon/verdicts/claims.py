"""Payment rows and what their provider says of them, one row per payment. Pure and columnar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import narwhals as nw

from recon.core.model import HELD, Policy
from recon.core.registry.off_chain import OFF_CHAIN
from recon.sources.providers.installed import rails_that_pay_out
from recon.verdicts.engine import Engine
from recon.verdicts.links import ONE, Frame, claim_key, is_true, one_if

CARRIED: Final = (
    "payment_id", "provider", "direction", "status", "status_raw", "escrow_state", "disputed", "hold", "is_test",
    "covered_from_units", "overpaid_from_units", "token", "chain_id", "recipient", "sender", "tx_hash", "tx_hash_raw",
    "simulated", "confirmations", "safety_status", "aml_blocked", "created_at", "updated_at", "expires_at", "problem",
)  # fmt: skip
"""What every payment carries through the matching; what only a break needs is fetched for the breaks."""
_KEYS: Final = ("is_deposit", "reference_topic", "request_id", "external_id")
CLAIM_COUNTS: Final = (
    "found", "failed", "not_found", "paid", "partial", "unpaid", "refunded", "split", "unknown", "lifi", "kept",
)  # fmt: skip


WEIGHT: Final[Mapping[str, int]] = {
    "paid": 0, "overpaid": 0, "refunded": 1, "split": 2, "partial": 2, "processing": 3, "unpaid": 4, "cancelled": 5,
    "failed": 5, "held_review": 3, "held_service": 3, "held_billing": 3,
}  # fmt: skip
"""Of several objects of a payment, the one with the least weight is shown; one that was not found comes last."""

WEIGHT_MAX: Final = 9

EMPTY_STATES: Final = ("paid", "cancelled", "failed", *HELD)
"""States besides "unpaid" of an object in books to which no money stands: it was marked, given up, or is held."""


def shown_claims(claims: Frame) -> Frame:
    """One object for each ``claim_key``: the one that says most about money, of equals the last by its id.

    Gives what a person sees of it, its columns named ``claim_...``; an error of any of them is kept, with
    how many there are and what was paid for all.
    """
    weight: nw.Expr = nw.lit(WEIGHT_MAX)
    for state, known in WEIGHT.items():
        weight = nw.when(is_true(nw.col("state") == state)).then(nw.lit(known)).otherwise(weight)
    together = (
        claims.with_columns(one=ONE)
        .group_by("claim_key")
        .agg(
            nw.col("error").max().alias("claim_error"),
            nw.col("one").sum().alias("claims"),
            nw.col("paid_units").sum().alias("claims_paid"),
        )
    )
    best = (
        claims.with_columns(weight=weight.cast(nw.Int64), one=ONE, sought=nw.col("claim_id").fill_null(""))
        .with_columns(place=nw.col("one").cum_sum().over("claim_key", order_by=["weight", "sought", "outcome"]))
        .filter(nw.col("place") == 1)
        .select(
            "claim_key",
            "claim_id",
            claim_state=nw.col("state"),
            claim_state_raw=nw.col("state_raw"),
            claim_hashes=nw.col("tx_hashes"),
            claim_paid=nw.col("paid_units"),
            claim_balance=nw.col("balance_fiat"),
            claim_asked=nw.coalesce("asked_amount", nw.when(nw.col("fiat") == "USD").then(nw.col("amount_fiat"))),
        )
    )
    return best.join(together, on="claim_key", how="left")


def with_claims(tables: Mapping[str, Frame], *, policy: Policy, engine: Engine) -> Frame:
    """Payments of the window and their context, each with its mode and with counts of what its provider says."""
    rows = nw.concat(
        [
            tables["payments"].select(*CARRIED, *_KEYS, in_window=nw.lit(value=True)),
            tables["context"].select(*CARRIED, *_KEYS, in_window=nw.lit(value=False)),
        ],
        how="vertical",
    ).with_columns(
        disputed=is_true(nw.col("disputed")),
        hold=is_true(nw.col("hold")),
        is_test=is_true(nw.col("is_test")),
        is_deposit=is_true(nw.col("is_deposit")),
        simulated=is_true(nw.col("simulated")),
        aml_blocked=is_true(nw.col("aml_blocked")),
        direction=nw.col("direction").fill_null("in"),
        claim_key=claim_key(
            paid_out=nw.col("provider").is_in(rails_that_pay_out()) & (nw.col("direction").fill_null("in") != "in")
        ),
    )
    unkeyed = engine.keep_any(
        rows.filter(nw.col("claim_key").is_null() & ~nw.col("reference_topic").is_null()).select(
            "payment_id", claim_topic_key=nw.col("reference_topic")
        )
    )
    said = _claims_in_columns(tables["claims"])
    joined = rows.join(_claims_by_key(said), on="claim_key", how="left")
    places: tuple[str, ...] = ("c",)
    if unkeyed is not None:
        by_topic = _claims_by_topic(said, topics=unkeyed.select("claim_topic_key").unique())
        late = unkeyed.join(by_topic, on="claim_topic_key", how="inner")
        joined = joined.join(late.drop("claim_topic_key"), on="payment_id", how="left")
        places = ("c", "r")

    def told_as(name: str) -> nw.Expr:
        return nw.coalesce(*(f"{place}_{name}" for place in places))

    counts = {name: told_as(name).fill_null(0).cast(nw.Int64) for name in CLAIM_COUNTS}
    topic = nw.coalesce("reference_topic", "c_topic")
    mode = (
        nw.when(nw.col("is_deposit"))
        .then(nw.lit("deposit"))
        .when(~topic.is_null())
        .then(nw.lit("reference"))
        .otherwise(nw.lit("hash"))
    )
    told = {
        "topic": topic,
        "has_reference": ~nw.col("reference_topic").is_null(),
        "mode": mode,
        "claim_time": told_as("time"),
        "claim_topic": nw.when(nw.col("c_topic") != nw.col("reference_topic")).then(nw.col("c_topic")),
    }
    if policy.provider_proves:
        joined = joined.join(_words(rows, tables["claims"], policy=policy), on="payment_id", how="left")
    else:
        # A null of the type of a column that is there: engines spell decimals differently.
        joined = joined.with_columns(word_units=nw.when(nw.lit(value=False)).then(nw.col("covered_from_units")))
    return joined.select(*CARRIED, "in_window", "claim_key", "word_units", **told, **counts)


def _words(rows: Frame, claims: Frame, *, policy: Policy) -> Frame:
    """What the one clean claim of a payment says came, for rails whose word policy takes where no chain can be asked.

    A word counts only when nothing about it is odd: one object alone, no problem, and where money came, the row's own
    token, chain and address. "Unpaid" is the word for nothing at all. Books have no addresses, and what they say is a
    sum: of nothing where an object has another state and no money, or is not in them.
    """
    trusted = nw.lit(value=False)
    for rail in policy.provider_proves:
        provider, _, chain_id = rail.partition(":")
        trusted = trusted | ((nw.col("provider") == provider) & is_true(nw.col("chain_id") == int(chain_id)))
    mine = rows.filter(trusted & (nw.col("direction") == "in") & ~nw.col("claim_key").is_null()).select(
        "payment_id",
        "claim_key",
        w_token=nw.col("token"),
        w_chain=nw.col("chain_id"),
        w_recipient=nw.col("recipient"),
    )
    said = claims.select(
        "token",
        "chain_id",
        "recipient",
        "paid_units",
        "state",
        "outcome",
        claim_key=claim_key(paid_out=nw.col("object") == "payout"),
        is_clean=is_true(nw.col("outcome") == "found") & nw.col("problem").is_null(),
    )
    in_books = is_true(nw.col("w_chain") == OFF_CHAIN)
    same = (
        is_true(nw.col("token") == nw.col("w_token"))
        & is_true(nw.col("chain_id") == nw.col("w_chain"))
        & (is_true(nw.col("recipient") == nw.col("w_recipient")) | (in_books & nw.col("recipient").is_null()))
    )
    came = is_true(nw.col("paid_units") > 0)
    has_money = nw.col("is_clean") & same & came & is_true(nw.col("state").is_in(["paid", "overpaid", "partial"]))
    empty = nw.col("is_clean") & is_true(nw.col("paid_units") == 0) & is_true(nw.col("state").is_in(list(EMPTY_STATES)))
    has_none = (nw.col("is_clean") & ~came & is_true(nw.col("state") == "unpaid")) | (
        in_books & (empty | is_true(nw.col("outcome") == "not_found"))
    )
    return (
        mine.join(said, on="claim_key", how="inner")
        .with_columns(one=ONE, clear=one_if(has_money | has_none), units=nw.when(has_money).then(nw.col("paid_units")))
        .group_by("payment_id")
        .agg(nw.col("one").sum(), nw.col("clear").sum(), nw.col("units").max())
        .filter((nw.col("one") == 1) & (nw.col("clear") == 1))
        .select("payment_id", word_units=nw.col("units").fill_null(0))
    )


def _claims_in_columns(claims: Frame) -> Frame:
    """What claims say, each word a column of 1 or 0."""
    found = is_true(nw.col("outcome") == "found")
    state = nw.col("state").fill_null("unknown")
    flags = {
        "found": found,
        "failed": is_true(nw.col("outcome") == "failed"),
        "not_found": is_true(nw.col("outcome") == "not_found"),
        "paid": found & state.is_in(["paid", "overpaid"]),
        "partial": found & (state == "partial"),
        "unpaid": found & state.is_in(["unpaid", "processing", "failed", "cancelled", *HELD]),
        "refunded": found & (state == "refunded"),
        "split": found & (state == "split"),
        "unknown": found & (state == "unknown"),
        "lifi": found & is_true(nw.col("detection_source") == "lifi"),
        "kept": found & state.is_in(list(HELD)),
    }
    columns = {name: one_if(flag) for name, flag in flags.items()}
    return claims.select(
        "reference_topic",
        "created_at",
        claim_key=claim_key(paid_out=nw.col("object") == "payout"),
        **columns,
    )


def _claims_by_key(said: Frame) -> Frame:
    return (
        said.filter(~nw.col("claim_key").is_null())
        .group_by("claim_key")
        .agg(
            *[nw.col(name).sum().alias(f"c_{name}") for name in CLAIM_COUNTS],
            nw.col("reference_topic").max().alias("c_topic"),
            nw.col("created_at").max().alias("c_time"),
        )
    )


def _claims_by_topic(said: Frame, *, topics: Frame) -> Frame:
    return (
        said.filter(~nw.col("reference_topic").is_null())
        .with_columns(claim_topic_key=nw.col("reference_topic"))
        .join(topics, on="claim_topic_key", how="inner")
        .group_by("claim_topic_key")
        .agg(
            *[nw.col(name).sum().alias(f"r_{name}") for name in CLAIM_COUNTS],
            nw.col("created_at").max().alias("r_time"),
        )
    )
