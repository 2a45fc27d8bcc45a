"""What the rules rest on: every condition once, by name. Pure and columnar, like ``recon.verdicts.match``.

A condition is read off the evidence by a function, whose parameters are the names of what it needs, or it is said in
words over the names of others. Nothing here is in any particular order: :mod:`recon.verdicts.resolving` puts the
conditions in order when the rules are imported, and refuses a name that does not exist, stands twice or rests on
itself. A worked example, the condition of ``local_behind`` for an incoming payment::

    behind   (payable and incoming and open and unfunded) or out_due
    payable  covered and not aml_hold and not refund_shown
    covered  a column of the evidence: enough final money came
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from recon.core.model import CLOSED, COMPLETE, OPEN, Policy
from recon.core.registry.off_chain import OFF_CHAIN
from recon.sources.providers.installed import (
    rails_that_show_only_their_own,
    rails_with_books,
    rails_without_escrow,
)
from recon.verdicts.links import is_among, is_true
from recon.verdicts.reach import Horizon
from recon.verdicts.resolving import Condition
from recon.verdicts.sent import is_sent

HEAD_AGE_MAX_MS: Final = 30_000
"""A node whose newest block is older may not have seen yet what a row or a provider without a time of its own names."""


def _is_silence_known(*, provider: nw.Expr, created_at: nw.Expr, horizon: Horizon, policy: Policy) -> nw.Expr:
    """Whether the provider's complete bulk window would show this payment, so that its silence is an answer."""
    known = nw.lit(value=False)
    for name, until in sorted(horizon.provider_blind_until.items()):
        known = known | (is_true(provider == name) & is_true(created_at - policy.clock_skew_ms > until))
    return known


def _is_count_low(*, chain_id: nw.Expr, confirmations: nw.Expr, policy: Policy) -> nw.Expr:
    """Whether the row counts fewer confirmations than its chain's threshold."""
    threshold = nw.lit(policy.confirmations_min_default)
    for known, minimum in sorted(policy.confirmations_min.items()):
        threshold = nw.when(is_true(chain_id == known)).then(nw.lit(minimum)).otherwise(threshold)
    return is_true(confirmations < threshold)


def _is_fee_strange(*, proof_fee_recipient: nw.Expr, policy: Policy) -> nw.Expr:
    """Whether the fee went to an address that is none of ours, where policy knows ours."""
    ours = is_among(proof_fee_recipient, policy.fee_recipients)
    return ~proof_fee_recipient.is_null() & ~ours & nw.lit(value=bool(policy.fee_recipients))


def _is_in_books(*, provider: nw.Expr, chain_id: nw.Expr) -> nw.Expr:
    """Whether the payment's money is in books that its own provider keeps."""
    return is_true(chain_id == OFF_CHAIN) & is_among(provider, rails_with_books())


def _holds_escrow(*, provider: nw.Expr) -> nw.Expr:
    """Whether what came for the payment is held until it is released."""
    return ~is_among(provider, rails_without_escrow())


_SCOPE: Final = (
    Condition("known_provider", lambda provider, policy: is_true(provider.is_in(list(policy.providers)))),
    Condition("known_chain", lambda chain_id, policy: is_true(chain_id.is_in(list(policy.chain_ids)))),
    Condition("no_chain", lambda chain_id: chain_id.is_null()),
    Condition("is_foreign", "not known_provider or (not known_chain and not no_chain)"),
    Condition("has_problem", lambda problem: ~problem.is_null()),
    Condition("only_token_unknown", lambda problem: is_true(problem == "token_unknown")),
    Condition(
        "amount_asked",
        lambda problem, covered_from_units: is_true(problem == "amount_too_fine") & ~covered_from_units.is_null(),
    ),
    Condition("is_malformed", "has_problem and not amount_asked and not (is_foreign and only_token_unknown)"),
    Condition("incoming", lambda direction: direction == "in"),
    Condition("by_deposit", lambda mode: mode == "deposit"),
    Condition("by_hash", lambda mode: mode == "hash"),
)
"""What kind of payment it is, and whether it is ours to judge."""

_TIMES: Final = (
    Condition("age_ms", lambda created_at, horizon: horizon.now_ms - created_at),
    Condition("expired", lambda expires_at, horizon: is_true(expires_at < horizon.now_ms)),
    Condition("never_expires", lambda expires_at: expires_at.is_null()),
    Condition("unpaid_too_long", lambda age_ms, policy: is_true(age_ms > policy.abandoned_after_ms)),
    Condition("past_due", "expired or (never_expires and unpaid_too_long)"),
    Condition("open_too_long", lambda age_ms, policy: is_true(age_ms > policy.stuck_after_ms)),
    Condition(
        "unchanged_too_long",
        lambda updated_at, created_at, horizon, policy: is_true(
            horizon.now_ms - nw.coalesce(updated_at, created_at) > policy.stuck_after_ms
        ),
    ),
    Condition(
        "held_too_long",
        lambda last_time, updated_at, created_at, horizon, policy: is_true(
            horizon.now_ms - nw.coalesce(last_time, updated_at, created_at) > policy.stuck_after_ms
        ),
    ),
    Condition("came_late", lambda proof_time, expires_at: is_true(proof_time > expires_at)),
)
"""How old things are; ``age_ms`` alone is a number, the age that is counted and shown."""

_WORDS: Final = (
    Condition("open", lambda status: is_true(status.is_in(list(OPEN)))),
    Condition("complete", lambda status: is_true(status.is_in(list(COMPLETE)))),
    Condition("closed", lambda status: is_true(status.is_in(list(CLOSED)))),
    Condition("gave_up", lambda status: is_true(status.is_in(["failed", "cancelled"]))),
    Condition("status_refunded", lambda status: is_true(status == "refunded")),
    Condition("escrow_refunded", lambda escrow_state: is_true(escrow_state == "refunded")),
    Condition("refunded_row", "status_refunded or escrow_refunded"),
    Condition("unfunded", lambda escrow_state: escrow_state.is_null() | is_true(escrow_state == "partial")),
    Condition("releasing", lambda escrow_state: is_true(escrow_state == "releasing")),
    Condition("released", lambda escrow_state: is_true(escrow_state == "released")),
    Condition("escrow_cancelled", lambda escrow_state: is_true(escrow_state == "cancelled")),
    Condition("is_held", "disputed or hold"),
    Condition("safety_waits", lambda safety_status: is_true(safety_status == "pending")),
    Condition(
        "confirmed_is_wrong",
        lambda status_raw, policy: is_true(status_raw == "confirmed") & nw.lit(value=policy.confirmed_means_completed),
    ),
    Condition("counts_any", lambda confirmations: is_true(confirmations > 0)),
    Condition("count_low", _is_count_low),
    Condition("has_hash", lambda tx_hash, tx_hash_raw: ~tx_hash.is_null() | ~tx_hash_raw.is_null()),
    Condition("is_refund_row", lambda direction: direction == "refund"),
    Condition("refund_done", "is_refund_row and refunded_row"),
    Condition("claims_out", "not incoming and (released or refunded_row)"),
    Condition("was_funded", lambda escrow_state: is_true(escrow_state.is_in(["funded", "releasable", "released"]))),
    Condition("claims_in", "incoming and was_funded"),
)
"""What the row says."""

_PROVIDER: Final = (
    Condition("has_claim_key", lambda claim_key: ~claim_key.is_null()),
    Condition("has_topic", lambda reference_topic: ~reference_topic.is_null()),
    Condition("no_recipient", lambda recipient: recipient.is_null()),
    Condition("is_named", "has_claim_key or has_topic"),
    Condition("has_key", "(is_named or by_deposit) and not (not by_hash and no_recipient)"),
    Condition("not_asked", lambda found, failed, not_found: found + failed + not_found == 0),
    Condition("only_failures", lambda found, failed: (found == 0) & (failed > 0)),
    Condition("bulk_would_show", _is_silence_known),
    Condition("known_silence", "incoming and bulk_would_show"),
    Condition("provider_paid", lambda paid: paid > 0),
    Condition(
        "says_no",
        lambda found, paid, refunded, unpaid, partial: (
            (found > 0) & (paid == 0) & (refunded == 0) & (unpaid + partial > 0)
        ),
    ),
    Condition("provider_denies", "says_no or (known_silence and not_asked and has_claim_key)"),
    Condition("key_unasked", lambda keys_open: keys_open > 0),
    Condition("key_unanswered", lambda keys_failed: keys_failed > 0),
    Condition("some_unasked", "(not_asked or key_unasked) and not known_silence"),
    Condition("must_be_shown", lambda provider: is_among(provider, rails_that_show_only_their_own())),
    Condition("unshown", lambda found: found == 0),
    Condition("hidden", "incoming and must_be_shown and unshown"),
    Condition("provider_silent", "hidden or (is_named and (some_unasked or only_failures or key_unanswered))"),
)
"""What the provider says."""

_CHAIN: Final = (
    Condition("undecided", "not covered"),
    Condition(
        "any_wrong",
        lambda m_network, m_token, m_recipient, m_reference: (m_network + m_token + m_recipient + m_reference) > 0,
    ),
    Condition("other_network", lambda m_network: m_network > 0),
    Condition("other_token", lambda m_token: m_token > 0),
    Condition("other_recipient", lambda m_recipient: m_recipient > 0),
    Condition("other_reference", lambda m_reference: m_reference > 0),
    Condition("suspicious", "any_wrong and not covered"),
    Condition("more_than_needed", lambda big_count, needed_count: big_count > needed_count),
    Condition("several_paid", lambda paid: paid > 1),
    Condition("in_another_coin", lambda other_coins: other_coins > 0),
    Condition("again", "(more_than_needed or several_paid) and not settled_back"),
    Condition("further", "covered_by_chain and (again or in_another_coin)"),
    Condition("over", "too_much and not settled_back"),
    Condition("fee_strange", _is_fee_strange),
    Condition("refund_claimed", lambda refunded: refunded > 0),
    Condition(
        "refund_shown",
        lambda refunded, refund_count, refund_rows: (refunded > 0) | (refund_count > 0) | (refund_rows > 0),
    ),
    Condition("surplus_returned", lambda surplus_back: surplus_back > 0),
    Condition("settled_back", "surplus_returned or whole_back"),
    Condition("only_surplus_back", "surplus_returned and not refund_claimed and not back_elsewhere"),
    Condition("went_elsewhere", lambda strayed: strayed > 0),
    Condition("maybe_back", "(refund_shown and not only_surplus_back) or went_elsewhere"),
    Condition("whole_back", lambda all_back: all_back > 0),
    Condition("back_for_good", lambda all_back: all_back > 1),
    Condition("part_back", lambda refund_count, all_back: (refund_count > 0) & (all_back == 0)),
    Condition("back_elsewhere", lambda refunds_elsewhere: refunds_elsewhere > 0),
    Condition("refund_proven", "whole_back or (refund_claimed and not part_back)"),
    Condition("refund_unread", lambda refunds_unread: refunds_unread > 0),
    Condition("hash_failed", lambda x_failed: x_failed > 0),
    Condition("hash_reverted", lambda x_reverted: x_reverted > 0),
    Condition("hash_not_found", lambda x_not_found: x_not_found > 0),
    Condition("hash_elsewhere", lambda x_elsewhere: x_elsewhere > 0),
    Condition("hash_unknown", "covered_by_chain and complete and has_hash and not own_hash_valid and hash_failed"),
)
"""What the chain shows."""

_SHARED: Final = (
    Condition("several_moneyed", lambda moneyed_rows: moneyed_rows > 0),
    Condition("key_shared", lambda key_rows, topic_rows: (key_rows > 1) | (topic_rows > 1)),
    Condition("hash_shared", lambda shared_hash: shared_hash > 0),
    Condition("deposit_shared", lambda shared_deposit: shared_deposit > 0),
    Condition("landed_in_part", lambda half_landed, split: (half_landed > 0) | (split > 0)),
)
"""What other payments contend for."""

_DEAL: Final = (
    Condition("seller_paid", lambda paid_out_by: ~paid_out_by.is_null()),
    Condition("seller_may_be_paid", lambda paying_out_by: ~paying_out_by.is_null()),
    Condition("misled", lambda misdirected: ~misdirected.is_null()),
    Condition("may_go_out", lambda going_out_by: ~going_out_by.is_null()),
    Condition("deal_paid_out", "seller_paid or seller_may_be_paid or may_go_out"),
)
"""What the other rows of the same deal say."""

_ANSWERS: Final = (
    Condition("head_lags", lambda head_time, horizon: head_time < horizon.now_ms - HEAD_AGE_MAX_MS),
    Condition(
        "claim_too_new",
        lambda claim_time, head_time, head_lags: is_true(claim_time > head_time) | (claim_time.is_null() & head_lags),
    ),
    Condition("unseen", "provider_paid and claim_too_new"),
    Condition(
        "row_too_new",
        lambda updated_at, created_at, head_time: is_true(nw.coalesce(updated_at, created_at) > head_time),
    ),
    Condition("hash_too_new", "has_hash and row_too_new and head_lags"),
    Condition("outgoing_answered", "by_hash and not incoming and chain_is_read and not hash_failed"),
    Condition("sent_by_provider", is_sent),
    Condition("was_told", lambda found: found > 0),
    Condition("parts_answered", "by_hash and incoming and sent_by_provider and was_told and not hash_failed"),
    Condition("in_books", _is_in_books),
    Condition("books_are_silent", "in_books and known_silence and not_asked and has_claim_key"),
    Condition("was_searched", "covered_by_scan or outgoing_answered or parts_answered or by_word or books_are_silent"),
    Condition("can_be_found", "covered_by_scan or by_hash or by_word"),
    Condition(
        "may_lie_elsewhere",
        "incoming and open and blind_elsewhere and not seen_any and not by_word and (past_due or provider_paid)",
    ),
    Condition(
        "chain_blind",
        "undecided and has_key and (not was_searched or unseen or hash_too_new or may_lie_elsewhere)",
    ),
    Condition("hash_unanswered", "(undecided or hash_unknown) and hash_failed"),
    Condition(
        "absent",
        "undecided and not seen_any and not unseen and not hash_too_new and (has_key or not incoming) and was_searched"
        " and not may_lie_elsewhere and not older",
    ),
    Condition(
        "lay_there_before",
        lambda early, holds_more, was_emptied, unheld: early + holds_more + was_emptied + unheld > 0,
    ),
    Condition("older", "lay_there_before and not provider_paid"),
    Condition("unasked", "undecided and provider_silent"),
    Condition("at_contract", lambda m_indirect, covered: (m_indirect > 0) & ~covered),
)
"""Which missing answers could still change the outcome: only those about money that has not been proven."""

_HOLDS: Final = (
    Condition("only_stated", lambda unread_count: unread_count > 0),
    Condition("unmeasured", "undecided and seen_enough and only_stated"),
    Condition("unfinal", "undecided and seen_enough and not only_stated"),
    Condition("aml_hold", "aml_blocked and open and (seen_any or provider_paid)"),
    Condition("safety_hold", "safety_waits and open and undecided and (seen_enough or (provider_paid and absent))"),
    Condition("is_kept", lambda kept: kept > 0),
    Condition("kept_waiting", "incoming and open and absent and in_books and is_kept"),
    Condition("on_hold", "unfinal or aml_hold or safety_hold or kept_waiting"),
)
"""The holds on money that has been seen, and on what waits for a step of the provider's own."""

_CHANGES: Final = (
    Condition("payable", "covered and not aml_hold and (not maybe_back or partly_back)"),
    Condition("settled", "covered and complete and not misled"),
    Condition("out_due", "not incoming and covered_by_chain and (releasing or open) and not done_out and not misled"),
    Condition("behind", "(payable and incoming and open and unfunded and not deal_paid_out) or out_due"),
    Condition("late", "payable and incoming and gave_up and came_late and not deal_paid_out"),
    Condition(
        "no_step_in",
        "(gave_up and not came_late) or (open and not unfunded) or (complete and escrow_cancelled) or funds_again",
    ),
    Condition("funds_again", "deal_paid_out and unfunded and (open or gave_up or complete)"),
    Condition(
        "no_step_out",
        "not incoming and covered_by_chain and closed and not released and not releasing and not refund_done"
        " and not misled",
    ),
    Condition("blocked", "(payable and incoming and no_step_in) or no_step_out"),
    Condition(
        "hash_wrong",
        "settled and covered_by_chain and has_hash and not own_hash_valid and not hash_unknown and not refund_agrees",
    ),
    Condition("hash_missing", "settled and covered_by_chain and not has_hash"),
    Condition("holds_escrow", _holds_escrow),
    Condition("escrow_wrong", "settled and incoming and unfunded and holds_escrow and not deal_paid_out"),
    Condition("word_wrong", "settled and confirmed_is_wrong"),
    Condition("count_wrong", "settled and covered_by_chain and count_low"),
    Condition(
        "partly_back",
        "complete and part_back and not surplus_returned and not refund_claimed and not back_elsewhere "
        "and not went_elsewhere and not at_contract",
    ),
    Condition(
        "unwanted_back",
        "incoming and gave_up and back_for_good and not claims_in and not refunded_row and not back_elsewhere"
        " and not went_elsewhere and not at_contract and not rest_unseen",
    ),
    Condition(
        "refund_untold",
        "maybe_back and not refunded_row and not partly_back and not unwanted_back and (covered or complete)",
    ),
    Condition("refund_unasked", "incoming and refunded_row and not refund_proven and covered and provider_silent"),
    Condition("refund_may_lie", "(covered or absent) and not unasked and not refund_unasked"),
    Condition("refund_open", "refunded_row and not refund_proven and refund_may_lie"),
    Condition("rest_unseen", "((part_back or refunded_row) and not was_searched) or refund_unread"),
    Condition("refund_unproven", "refund_open and not rest_unseen"),
    Condition("refund_wrong", "incoming and (refund_untold or refund_unproven)"),
    Condition("drifts", "hash_wrong or hash_missing or escrow_wrong or word_wrong or count_wrong"),
    Condition("change_due", "behind or late or blocked or refund_wrong or drifts"),
    Condition("moves", "releasing or (not incoming and open)"),
    Condition(
        "stuck_out",
        "undecided and not incoming and not released and (open or releasing) and open_too_long",
    ),
    Condition("stuck_in", "incoming and releasing and unchanged_too_long"),
)
"""Changes that would be due, before anyone asks whether the payment is held."""

_OUTCOMES: Final = (
    Condition("refund_agrees", "incoming and refunded_row and refund_proven"),
    Condition("undone", "undecided and not refund_agrees and not unwanted_back"),
    Condition("quiet", "not change_due and not aml_hold and not hash_unknown and not stuck_in"),
    Condition("done_out", "not incoming and (released or refund_done)"),
    Condition("proven", "covered and (complete or done_out) and not misled"),
    Condition("refunded_in_part", "incoming and settled and quiet and partly_back and not rest_unseen"),
    Condition("part_unseen", "incoming and settled and quiet and partly_back and rest_unseen"),
    Condition("refund_unseen", "part_unseen or (incoming and refund_open and rest_unseen)"),
    Condition(
        "claims_nothing",
        "(incoming and not was_funded) or (not incoming and not released and not releasing and not refunded_row)",
    ),
    Condition(
        "nothing_owed",
        "gave_up and absent and not suspicious and not at_contract and not provider_paid and not unasked "
        "and claims_nothing",
    ),
    Condition("equal", "quiet and not part_unseen and (proven or refund_agrees or unwanted_back or nothing_owed)"),
    Condition("short", "undone and seen_any and not seen_enough"),
    Condition("astray", "undone and suspicious and not seen_any and can_be_found and not (incoming and refunded_row)"),
    Condition("recorded", "undone and not seen_any and can_be_found and not gave_up and not hash_too_new"),
    Condition("vanished", "recorded and hash_not_found and not (hash_elsewhere and provider_paid)"),
    Condition("was_there", "counts_any and not hash_elsewhere"),
    Condition("nothing", "undone and absent and not suspicious and not provider_paid"),
    Condition("idle", "nothing and incoming and open and not claims_in"),
    Condition(
        "young_out",
        "nothing and not incoming and not stuck_out and not complete and not gave_up and not claims_out",
    ),
)
"""What is left to say once it is known what came and what is due."""

CONDITIONS: Final = (
    *_SCOPE, *_TIMES, *_WORDS, *_PROVIDER, *_CHAIN, *_SHARED, *_DEAL, *_ANSWERS, *_HOLDS, *_CHANGES, *_OUTCOMES,
)  # fmt: skip
