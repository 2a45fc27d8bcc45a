"""Evidence to findings and a verdict: one row of a table per rule, and the first that applies names the verdict.

Pure and columnar, like ``recon.verdicts.match``. Every rule has a permanent number, its bit in the ``findings`` mask.
Adding a verdict is adding a row here and its scenarios in the tests. A worked example: a covered payment whose row is
still ``pending`` and to which a second transfer came has bits 9 (``local_behind``) and 18 (``multiple_transfers``);
the order makes ``local_behind`` its verdict, and the second transfer stays visible as a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import narwhals as nw

from recon.core.model import CLOSED, COMPLETE, OPEN, Policy, Tier, Verdict
from recon.verdicts.links import Frame
from recon.verdicts.match import Horizon


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its permanent number (bit), verdict, tier and the sentence a person reads."""

    number: int
    verdict: Verdict
    tier: Tier
    sentence: str


_V = Verdict
RULES: Final = (
    Rule(0, _V.TEST_PAYMENT, Tier.BENIGN, "This is a test row."),
    Rule(1, _V.MALFORMED_RECORD, Tier.NEVER, "The stored row cannot be read: {problem}."),
    Rule(2, _V.OUT_OF_SCOPE, Tier.BENIGN, "Nobody configured provider {provider} on network {network}."),
    Rule(3, _V.DISPUTE_HOLD, Tier.NEVER, "The payment is disputed or held; nothing may move it until that is decided."),
    Rule(4, _V.SIMULATED_HASH, Tier.NEVER, "The recorded hash is a simulation and proves nothing."),
    Rule(
        5, _V.COMPETING_PAYMENT, Tier.NEVER, "Money is on more than one payment of this buyer, order and offer."
    ),
    Rule(6, _V.DUPLICATE_PROVIDER_KEY, Tier.NEVER, "Another row claims the same provider object."),
    Rule(7, _V.DUPLICATE_TX_HASH, Tier.NEVER, "Another row claims the same transfer, so it proves neither."),
    Rule(8, _V.AMBIGUOUS, Tier.NEVER, "A transfer fits several payments equally well."),
    Rule(9, _V.LOCAL_BEHIND, Tier.AUTO, "The chain proves {received} of {expected} {symbol}, and the row is {status}."),
    Rule(10, _V.LATE_PAYMENT, Tier.REVIEW, "The money came after the payment expired, and the row is {status}."),
    Rule(
        11, _V.COORDINATOR_BLOCKED, Tier.REVIEW,
        "The money is there, but no allowed step leads from status {status} and escrow {escrow} to paid.",
    ),
    Rule(12, _V.REFUND_DRIFT, Tier.REVIEW, "Row and evidence disagree about a refund."),
    Rule(13, _V.TX_HASH_MISMATCH, Tier.AUTO, "The recorded hash is not the transfer that proves the payment."),
    Rule(14, _V.MISSING_TX_HASH, Tier.AUTO, "The payment is proven, and no hash is recorded."),
    Rule(15, _V.ESCROW_DRIFT, Tier.AUTO, "The payment is proven and complete, and escrowState is {escrow}."),
    Rule(16, _V.STATUS_DRIFT, Tier.AUTO, "The row says confirmed where the backend means completed."),
    Rule(
        17, _V.CONFIRMATIONS_STALE, Tier.AUTO,
        "The row counts {confirmations} confirmations, under the threshold the chain has passed.",
    ),
    Rule(18, _V.MULTIPLE_TRANSFERS, Tier.REVIEW, "More transfers came than the payment needed."),
    Rule(19, _V.OVERPAID, Tier.REVIEW, "More than the expected amount came."),
    Rule(20, _V.FEE_MISMATCH, Tier.REVIEW, "The fee went to an address that is none of ours."),
    Rule(21, _V.PROVIDER_BEHIND, Tier.NEVER, "The row is right and the provider says {provider_state}."),
    Rule(22, _V.IN_SYNC, Tier.BENIGN, "All sides agree."),
    Rule(
        23, _V.STUCK_PENDING, Tier.REVIEW,
        "{held_by} has kept this payment open for more than 30 minutes past its due time.",
    ),
    Rule(24, _V.INSUFFICIENT_CONFIRMATIONS, Tier.WAIT, "The money is seen and not final yet."),
    Rule(25, _V.AML_BLOCKED, Tier.WAIT, "Screening holds this payment."),
    Rule(26, _V.SAFETY_PENDING, Tier.WAIT, "The backend's safety check holds it and the evidence does not satisfy it."),
    Rule(27, _V.UNDERPAID, Tier.WAIT, "{received} of {expected} {symbol} came."),
    Rule(28, _V.NETWORK_MISMATCH, Tier.REVIEW, "The money is on another network."),
    Rule(29, _V.TOKEN_MISMATCH, Tier.REVIEW, "The money is in another token."),
    Rule(30, _V.RECIPIENT_MISMATCH, Tier.REVIEW, "The money went to another address."),
    Rule(31, _V.REFERENCE_MISMATCH, Tier.REVIEW, "The money carries another reference, or none."),
    Rule(32, _V.REORGED, Tier.NEVER, "The recorded proof was on the chain and is gone."),
    Rule(33, _V.TX_REVERTED, Tier.NEVER, "The recorded transaction failed on the chain."),
    Rule(34, _V.TX_NOT_FOUND, Tier.NEVER, "The recorded transaction is not on the chain."),
    Rule(35, _V.LOOKUP_FAILED, Tier.NEVER, "{who} gave no usable answer, and its answer could change the outcome."),
    Rule(36, _V.UNPROVEN, Tier.NEVER, "The scan has a gap where this payment's money could be."),
    Rule(37, _V.MISSING_REFERENCE, Tier.NEVER, "The row lacks what the payment must be looked up by: {missing}."),
    Rule(38, _V.PROVIDER_AHEAD, Tier.REVIEW, "The provider says paid, and the chain shows no money."),
    Rule(39, _V.LOCAL_AHEAD, Tier.NEVER, "Only the row says so: neither chain nor provider shows the money."),
    Rule(40, _V.STUCK_RELEASE, Tier.REVIEW, "A release or refund is under way without proof for {age}."),
    Rule(41, _V.IN_TRANSIT, Tier.BENIGN, "No money yet, and it is not overdue."),
    Rule(42, _V.ABANDONED, Tier.BENIGN, "No money came before the payment expired."),
    Rule(43, _V.MISSING_LOCAL, Tier.REVIEW, "No row of the whole collection knows this {what}."),
)  # fmt: skip
"""In the order in which verdicts are taken; ``missing_local`` is raised for what has no payment."""

HEAD_AGE_MAX_MS: Final = 30_000
"""A node whose newest block is older may not have seen yet what a row or a provider without a time of its own names."""

RULE: Final[Mapping[Verdict, Rule]] = {rule.verdict: rule for rule in RULES}


def classify(evidence: Frame, *, horizon: Horizon, policy: Policy) -> Frame:
    """Add ``verdict`` and the ``findings`` mask (bit = rule number) to evidence rows.

    The order is total: a row to which no rule applies is ``unproven``, which no caller can mistake for paid or unpaid.
    """
    staged = evidence
    for group in ((_scope, _words, _money), (_answers, _due, _alarms, _settled)):
        made: dict[str, nw.Expr] = {}
        for stage in group:
            made |= stage(_Names(made), horizon=horizon, policy=policy)
        staged = staged.with_columns(**made)
    flags = _flags(policy)
    judged = [rule for rule in RULES if rule.verdict is not _V.MISSING_LOCAL]
    mask = nw.lit(0).cast(nw.Int64)
    verdict: Any = nw.lit(str(_V.UNPROVEN))
    for rule in judged:
        bit = nw.when(flags[rule.verdict]).then(nw.lit(1 << rule.number)).otherwise(nw.lit(0)).cast(nw.Int64)
        mask = mask + bit
    for rule in reversed(judged):
        verdict = nw.when(flags[rule.verdict]).then(nw.lit(str(rule.verdict))).otherwise(verdict)
    return staged.with_columns(verdict=verdict, findings=mask)


class _Names:
    """Looks a name up among the expressions made in the same step, else as a column that is there already."""

    def __init__(self, made: Mapping[str, nw.Expr]) -> None:
        self._made = made

    def __call__(self, name: str) -> nw.Expr:
        return self._made[name] if name in self._made else nw.col(name)


def findings_of(mask: int) -> tuple[Verdict, ...]:
    """The findings a mask stands for, in the order of the rules."""
    return tuple(rule.verdict for rule in RULES if mask >> rule.number & 1)


def tier_of(verdict: Verdict, *, direction: str, is_due: bool) -> Tier:
    """The tier of a verdict where it depends on the row.

    Outgoing rows are never corrected without being picked; an underpaid row waits until it is due.
    """
    if verdict is _V.LOCAL_BEHIND and direction != "in":
        return Tier.REVIEW
    if verdict is _V.UNDERPAID and is_due:
        return Tier.REVIEW
    return RULE[verdict].tier


def _true(condition: nw.Expr) -> nw.Expr:
    return condition.fill_null(value=False)


def _scope(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    known_provider = _true(c("provider").is_in(list(policy.providers)))
    known_chain = _true(c("chain_id").is_in(list(policy.chain_ids)))
    no_chain = c("chain_id").is_null()
    foreign = ~known_provider | (~known_chain & ~no_chain)
    only_token = _true(c("problem") == "token_unknown")
    return {
        "is_foreign": foreign,
        "is_malformed": ~c("problem").is_null() & ~(foreign & only_token),
        "incoming": c("direction") == "in",
        "expired": _true(c("expires_at") < horizon.now_ms),
        "age_ms": horizon.now_ms - c("created_at"),
        "quiet_ms": horizon.now_ms - nw.coalesce("updated_at", "created_at"),
        "held_ms": horizon.now_ms - nw.coalesce("last_time", "updated_at", "created_at"),
    }


def _words(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    del horizon, policy
    escrow = c("escrow_state")
    return {
        "open": _true(c("status").is_in(list(OPEN))),
        "complete": _true(c("status").is_in(list(COMPLETE))),
        "closed": _true(c("status").is_in(list(CLOSED))),
        "gave_up": _true(c("status").is_in(["failed", "cancelled"])),
        "refunded_row": _true(c("status") == "refunded") | _true(escrow == "refunded"),
        "unfunded": escrow.is_null() | _true(escrow == "partial"),
        "releasing": _true(escrow == "releasing"),
        "released": _true(escrow == "released"),
        "is_held": c("disputed") | c("hold"),
        "refund_shown": (c("refunded") > 0) | (c("refund_count") > 0) | (c("refund_rows") > 0),
        "refund_proven": (c("refunded") > 0) | ~c("refund_tx").is_null() | (c("refund_rows") > 0),
        "has_hash": ~c("tx_hash").is_null() | ~c("tx_hash_raw").is_null(),
    }


def _money(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    known_silence = nw.lit(value=False)
    for provider, until in sorted(horizon.provider_blind_until.items()):
        after = _true(c("created_at") - policy.clock_skew_ms > until)
        known_silence = known_silence | (_true(c("provider") == provider) & c("incoming") & after)
    late = _true(c("proof_time") > c("expires_at"))
    suspicious = (c("m_network") + c("m_token") + c("m_recipient") + c("m_reference")) > 0
    asked = c("found") + c("failed") + c("not_found")
    has_key = ~c("claim_key").is_null() | ~c("reference_topic").is_null()
    return {
        "came_late": late,
        "suspicious": suspicious & ~c("covered"),
        "provider_paid": c("paid") > 0,
        "provider_partial": (c("partial") > 0) & (c("paid") == 0),
        "provider_denies": ((c("found") > 0) & (c("paid") == 0) & (c("refunded") == 0)
                            & (c("unpaid") + c("partial") > 0))
        | (known_silence & (asked == 0) & ~c("claim_key").is_null()),
        "provider_silent": has_key
        & (((asked == 0) & ~known_silence) | ((c("found") == 0) & (c("failed") > 0))),
        "further": c("covered_by_chain") & (c("valid_count") > c("needed_count")),
        "has_key": (has_key | (c("mode") == "deposit"))
        & ~((c("mode") != "hash") & c("recipient").is_null()),
        "trusted_rail": c("covered") & ~c("covered_by_chain"),
        "hash_unknown": c("covered_by_chain") & c("complete") & c("has_hash") & ~c("own_hash_valid")
        & (c("x_failed") > 0),
        "fee_strange": ~c("proof_fee_recipient").is_null()
        & ~_true(c("proof_fee_recipient").is_in(["", *policy.fee_recipients]))
        & nw.lit(value=bool(policy.fee_recipients)),
    }  # fmt: skip


def _answers(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """Which missing answers could still change the outcome: only those about money that has not been proven."""
    del policy
    undecided = ~c("covered")
    lags = c("head_time") < horizon.now_ms - HEAD_AGE_MAX_MS
    too_new = _true(c("claim_time") > c("head_time")) | (c("claim_time").is_null() & lags)
    unseen = c("provider_paid") & too_new
    hash_too_new = c("has_hash") & _true(nw.coalesce("updated_at", "created_at") > c("head_time")) & lags
    by_hash = c("mode") == "hash"
    outgoing_answered = by_hash & ~c("incoming") & c("chain_is_read") & (c("x_failed") == 0)
    return {
        "chain_blind": undecided
        & c("has_key")
        & ((~c("covered_by_scan") & ~outgoing_answered) | unseen | hash_too_new),
        "hash_unanswered": (undecided | c("hash_unknown")) & (c("x_failed") > 0),
        "absent": undecided
        & ~c("seen_any")
        & ~unseen
        & ~hash_too_new
        & (c("has_key") | ~c("incoming"))
        & (c("covered_by_scan") | outgoing_answered),
        "hash_settled": ~hash_too_new,
        "unasked": undecided & c("provider_silent"),
    }


def _due(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """The holds on money that has been seen, and when they are overdue."""
    del horizon
    waiting = ~c("covered") & c("seen_enough")
    aml = c("aml_blocked") & c("open") & (c("seen_any") | c("provider_paid"))
    safety = (
        _true(c("safety_status") == "pending")
        & c("open")
        & ~c("covered")
        & (c("seen_enough") | (c("provider_paid") & c("absent")))
    )
    overdue = c("held_ms") > policy.stuck_after_ms
    return {"unfinal": waiting, "aml_hold": aml, "safety_hold": safety, "overdue": _true(overdue)}


def _alarms(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """Changes that would be due, before anybody asks whether the payment is held."""
    del horizon
    covered, incoming, escrow = c("covered"), c("incoming"), c("escrow_state")
    proven = c("covered_by_chain")
    payable = covered & ~c("aml_hold") & ~c("refund_shown")
    settled = covered & c("complete")
    out_due = ~incoming & proven & (c("releasing") | c("open")) & ~c("released")
    threshold = nw.lit(policy.confirmations_min_default)
    for chain_id, minimum in sorted(policy.confirmations_min.items()):
        threshold = nw.when(_true(c("chain_id") == chain_id)).then(nw.lit(minimum)).otherwise(threshold)
    return {
        "behind": (payable & incoming & c("open") & c("unfunded")) | out_due,
        "late": payable & incoming & c("gave_up") & c("came_late"),
        "blocked": payable & incoming & ((c("gave_up") & ~c("came_late"))
                                         | (c("open") & ~c("unfunded"))
                                         | (c("complete") & _true(escrow == "cancelled")))
        | (~incoming & proven & c("closed") & ~c("released") & ~c("releasing")
           & ~((c("direction") == "refund") & c("refunded_row"))),
        "hash_wrong": settled & proven & c("has_hash") & ~c("own_hash_valid") & ~c("hash_unknown"),
        "hash_missing": settled & proven & ~c("has_hash"),
        "escrow_wrong": settled & incoming & c("unfunded"),
        "word_wrong": settled & _true(c("status_raw") == "confirmed")
        & nw.lit(value=policy.confirmed_means_completed),
        "count_wrong": settled & proven & _true(c("confirmations") < threshold),
        "refund_wrong": incoming & (
            (c("refund_shown") & ~c("refunded_row") & (covered | c("complete")))
            | (c("refunded_row") & ~c("refund_proven") & (covered | c("absent")) & ~c("unasked"))
        ),
        "moves": c("releasing") | (~incoming & c("open")),
        "stuck_out": ~covered & ~incoming & ~c("released") & (c("open") | c("releasing"))
        & _true(c("age_ms") > policy.stuck_after_ms),
        "stuck_in": incoming & c("releasing") & _true(c("quiet_ms") > policy.stuck_after_ms),
    }  # fmt: skip


def _settled(c: _Names, *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """Payments on which nothing is left to say."""
    del horizon, policy
    incoming, covered = c("incoming"), c("covered")
    drifts = ("hash_wrong", "hash_missing", "escrow_wrong", "word_wrong", "count_wrong")
    quiet = ~c("behind") & ~c("blocked") & ~c("late") & ~c("refund_wrong") & ~c("aml_hold")
    for name in drifts:
        quiet = quiet & ~c(name)
    quiet = quiet & ~c("hash_unknown")
    done = ~incoming & (c("released") | ((c("direction") == "refund") & c("refunded_row")))
    proven = covered & (c("complete") | done)
    refunded = c("refunded_row") & c("refund_proven")
    claims_nothing = incoming | (~c("released") & ~c("releasing") & ~c("refunded_row"))
    nothing_owed = c("gave_up") & c("absent") & ~c("suspicious") & ~c("provider_paid") & ~c("unasked") & claims_nothing
    equal = quiet & ~c("stuck_in") & (proven | (incoming & refunded) | nothing_owed)
    return {"equal": equal, "undone": ~covered & ~(incoming & refunded)}


def _any_change() -> nw.Expr:
    names = ("behind", "late", "blocked", "refund_wrong", "hash_wrong", "hash_missing", "escrow_wrong", "word_wrong")
    due = nw.col("count_wrong")
    for name in names:
        due = due | nw.col(name)
    return due


def _flags(policy: Policy) -> dict[Verdict, nw.Expr]:
    undone, incoming, absent = nw.col("undone"), nw.col("incoming"), nw.col("absent")
    holds = nw.col("unfinal") | nw.col("aml_hold") | nw.col("safety_hold")
    short = undone & nw.col("seen_any") & ~nw.col("seen_enough")
    seen_by_scan = nw.col("covered_by_scan") | (nw.col("mode") == "hash")
    wrong = undone & nw.col("suspicious") & ~nw.col("seen_any") & seen_by_scan & ~(incoming & nw.col("refunded_row"))
    recorded = undone & ~nw.col("seen_any") & seen_by_scan & ~nw.col("gave_up") & nw.col("hash_settled")
    vanished = recorded & (nw.col("x_not_found") > 0)
    was_there = _true(nw.col("confirmations") > 0)
    nothing = undone & absent & ~nw.col("suspicious") & ~nw.col("provider_paid")
    overdue = nw.col("expired") | (nw.col("expires_at").is_null() & _true(nw.col("age_ms") > policy.abandoned_after_ms))
    idle = nothing & incoming & nw.col("open")
    claims_out = ~incoming & (nw.col("released") | nw.col("refunded_row"))
    young = nothing & ~incoming & ~nw.col("stuck_out") & ~nw.col("complete") & ~nw.col("gave_up") & ~claims_out
    return {
        _V.TEST_PAYMENT: nw.col("is_test"),
        _V.MALFORMED_RECORD: nw.col("is_malformed"),
        _V.OUT_OF_SCOPE: nw.col("is_foreign"),
        _V.DISPUTE_HOLD: nw.col("is_held") & (nw.col("moves") | _any_change()),
        _V.SIMULATED_HASH: nw.col("simulated"),
        _V.COMPETING_PAYMENT: (nw.col("moneyed_rows") > 1) & (nw.col("seen_any") | nw.col("provider_paid"))
        & ~_true(nw.col("status") == "refunded"),
        _V.DUPLICATE_PROVIDER_KEY: (nw.col("key_rows") > 1) | (nw.col("topic_rows") > 1),
        _V.DUPLICATE_TX_HASH: nw.col("shared_hash") > 0,
        _V.AMBIGUOUS: nw.col("shared_deposit") > 0,
        _V.LOCAL_BEHIND: nw.col("behind"),
        _V.LATE_PAYMENT: nw.col("late"),
        _V.COORDINATOR_BLOCKED: nw.col("blocked"),
        _V.REFUND_DRIFT: nw.col("refund_wrong"),
        _V.TX_HASH_MISMATCH: nw.col("hash_wrong"),
        _V.MISSING_TX_HASH: nw.col("hash_missing"),
        _V.ESCROW_DRIFT: nw.col("escrow_wrong"),
        _V.STATUS_DRIFT: nw.col("word_wrong"),
        _V.CONFIRMATIONS_STALE: nw.col("count_wrong"),
        _V.MULTIPLE_TRANSFERS: nw.col("covered") & nw.col("further"),
        _V.OVERPAID: nw.col("covered") & nw.col("too_much") & ~nw.col("further"),
        _V.FEE_MISMATCH: nw.col("covered") & nw.col("fee_strange"),
        _V.PROVIDER_BEHIND: nw.col("covered") & nw.col("complete") & nw.col("provider_denies"),
        _V.IN_SYNC: nw.col("equal"),
        _V.STUCK_PENDING: holds & nw.col("overdue") & nw.col("open"),
        _V.INSUFFICIENT_CONFIRMATIONS: nw.col("unfinal"),
        _V.AML_BLOCKED: nw.col("aml_hold"),
        _V.SAFETY_PENDING: nw.col("safety_hold"),
        _V.UNDERPAID: short & seen_by_scan,
        _V.NETWORK_MISMATCH: wrong & (nw.col("m_network") > 0),
        _V.TOKEN_MISMATCH: wrong & (nw.col("m_token") > 0),
        _V.RECIPIENT_MISMATCH: wrong & (nw.col("m_recipient") > 0),
        _V.REFERENCE_MISMATCH: wrong & (nw.col("m_reference") > 0),
        _V.REORGED: vanished & was_there,
        _V.TX_REVERTED: recorded & (nw.col("x_reverted") > 0),
        _V.TX_NOT_FOUND: vanished & ~was_there,
        _V.LOOKUP_FAILED: (undone & (nw.col("unasked") | nw.col("hash_unanswered")) & ~nw.col("unfinal"))
        | nw.col("hash_unknown"),
        _V.UNPROVEN: undone & nw.col("chain_blind") & ~nw.col("unfinal"),
        _V.MISSING_REFERENCE: undone & incoming & ~nw.col("has_key"),
        _V.PROVIDER_AHEAD: undone & absent & nw.col("provider_paid"),
        _V.LOCAL_AHEAD: nothing & (nw.col("complete") | claims_out),
        _V.STUCK_RELEASE: nw.col("stuck_out") | nw.col("stuck_in"),
        _V.IN_TRANSIT: (idle & ~overdue) | young,
        _V.ABANDONED: idle & overdue,
    }  # fmt: skip
