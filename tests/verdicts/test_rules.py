"""What evidence amounts to: order, coverage, holds, ages, and both sides of every threshold."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy, Tier, Verdict
from recon.verdicts.rules import RULES, findings_of, tier_of
from tests.support.builders import (
    HOUR_MS,
    NOW_MS,
    claim_row,
    claim_tx_row,
    full_coverage,
    gap_row,
    one_payment,
    payment_id,
    payment_row,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import counts, findings, judgement_of, verdicts
from tests.verdicts.test_match import deposit_row, open_row

ME = payment_id(1)
MINUTE_MS = 60_000
ADDRESS = str(deposit_row()["recipient"])
UNPAID: dict[str, Any] = {"state": "unpaid", "state_raw": "unpaid", "tx_hashes": None}


def test_every_verdict_has_one_rule_and_every_rule_its_own_bit() -> None:
    assert [rule.verdict for rule in RULES] == list(Verdict)
    assert sorted(rule.number for rule in RULES) == list(range(len(Verdict)))
    assert len(RULES) <= 62


def test_findings_are_read_back_from_their_mask_in_order() -> None:
    assert findings_of(1 << 9 | 1 << 18) == (Verdict.LOCAL_BEHIND, Verdict.MULTIPLE_TRANSFERS)


def test_the_verdict_is_the_first_finding() -> None:
    rows = {"payments": [open_row()], "transfers": [transfer_row(), transfer_row(tx_hash=tx_hash(4), block=9**8)]}
    assert verdicts(rows) == {ME: "local_behind"}
    assert findings(rows, ME) == (Verdict.LOCAL_BEHIND, Verdict.MULTIPLE_TRANSFERS, Verdict.PROVIDER_BEHIND)


def test_outgoing_corrections_wait_to_be_picked_and_an_underpaid_row_to_be_due() -> None:
    assert tier_of(Verdict.LOCAL_BEHIND, direction="in", is_due=False) is Tier.AUTO
    assert tier_of(Verdict.LOCAL_BEHIND, direction="out", is_due=False) is Tier.REVIEW
    assert tier_of(Verdict.UNDERPAID, direction="in", is_due=False) is Tier.WAIT
    assert tier_of(Verdict.UNDERPAID, direction="in", is_due=True) is Tier.REVIEW


def test_a_provider_that_could_not_be_asked_is_not_a_no() -> None:
    rows = {"payments": [open_row()], "claims": [claim_row(outcome="failed", state=None, error="timed out")]}
    assert verdicts(rows) == {ME: "lookup_failed"}


def test_a_failed_look_up_does_not_matter_once_the_chain_proves_the_money() -> None:
    rows = {
        "payments": [open_row()],
        "transfers": [transfer_row()],
        "claims": [claim_row(outcome="failed", state=None, error="timed out")],
    }
    assert verdicts(rows) == {ME: "local_behind"}


@pytest.mark.parametrize(
    ("transfers", "verdict"),
    [
        ([], "unproven"),
        ([transfer_row(amount_units=5)], "unproven"),
        ([transfer_row(token="0x55d398326f99059ff775485246999027b3197955")], "unproven"),
        ([transfer_row()], "local_behind"),
    ],
)
def test_absence_counts_only_with_coverage_and_presence_needs_none(transfers: list[Any], verdict: str) -> None:
    gap = gap_row(from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS - HOUR_MS // 2)
    rows = {"payments": [open_row()], "transfers": transfers, "claims": [claim_row(**UNPAID)]}
    assert verdicts(rows, gaps=[gap]) == {ME: verdict}


def test_a_gap_concerns_only_payments_made_before_it_ended() -> None:
    created = NOW_MS - HOUR_MS
    rows = {"payments": [open_row(created_at=created)], "claims": [claim_row(**UNPAID)]}
    skew = Policy().clock_skew_ms
    before = gap_row(from_ms=created - HOUR_MS, to_ms=created - skew - 1)
    touching = gap_row(from_ms=created - HOUR_MS, to_ms=created - skew)
    assert counts(rows, gaps=[before]) == {"in_transit": 1}
    assert verdicts(rows, gaps=[touching]) == {ME: "unproven"}


def test_a_chain_that_nobody_read_proves_nothing_absent() -> None:
    rows = {"payments": [open_row()], "claims": [claim_row(**UNPAID)], "coverage": []}
    assert verdicts(rows) == {ME: "unproven"}


def test_a_complete_bulk_window_that_shows_nothing_is_an_answer() -> None:
    assert counts({"payments": [open_row()]}) == {"in_transit": 1}


def test_money_before_finality_waits_and_is_stuck_after_thirty_minutes() -> None:
    def at_age(age_ms: int) -> dict[str, str]:
        seen = transfer_row(final=False, confirmations=3, block_time=NOW_MS - age_ms)
        return verdicts({"payments": [open_row()], "transfers": [seen]})

    assert at_age(30 * MINUTE_MS) == {ME: "insufficient_confirmations"}
    assert at_age(30 * MINUTE_MS + 1) == {ME: "stuck_pending"}


def test_a_screened_payment_is_not_credited() -> None:
    rows = {"payments": [open_row(aml_blocked=True)], "transfers": [transfer_row(block_time=NOW_MS - MINUTE_MS)]}
    assert verdicts(rows) == {ME: "aml_blocked"}


def test_a_safety_check_that_the_evidence_satisfies_holds_nothing() -> None:
    rows = {"payments": [open_row(safety_status="pending")], "transfers": [transfer_row()]}
    assert verdicts(rows) == {ME: "local_behind"}


@pytest.mark.parametrize("mark", ["disputed", "hold"])
def test_nothing_moves_a_disputed_or_held_payment(mark: str) -> None:
    rows = {"payments": [open_row(**{mark: True})], "transfers": [transfer_row()]}
    assert verdicts(rows) == {ME: "dispute_hold"}


def test_a_dispute_on_a_payment_with_nothing_due_is_no_alarm() -> None:
    assert counts(dict(one_payment(disputed=True))) == {"in_sync": 1}


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"status": "failed", "expires_at": NOW_MS - HOUR_MS - 1}, "late_payment"),
        ({"status": "failed", "expires_at": NOW_MS - HOUR_MS}, "coordinator_blocked"),
        ({"status": "cancelled", "expires_at": None}, "coordinator_blocked"),
        ({"status": "pending", "escrow_state": "released"}, "coordinator_blocked"),
        ({"status": "refunded", "escrow_state": "refunded"}, "refund_drift"),
    ],
)
def test_money_on_a_closed_row_is_late_or_blocked(given: dict[str, Any], verdict: str) -> None:
    row = open_row(**{**given, "status_raw": given["status"]})
    assert verdicts({"payments": [row], "transfers": [transfer_row()], "claims": [claim_row()]}) == {ME: verdict}


@pytest.mark.parametrize(("count", "stale"), [(11, True), (12, False), (None, False)])
def test_a_stored_count_is_stale_only_under_the_threshold(count: int | None, stale: bool) -> None:
    found = verdicts(dict(one_payment(confirmations=count)))
    assert found == ({ME: "confirmations_stale"} if stale else {})


def test_the_threshold_is_the_chains_own_where_it_is_set() -> None:
    policy = Policy(confirmations_min={56: 20})
    assert verdicts(dict(one_payment(confirmations=12)), policy=policy) == {ME: "confirmations_stale"}


def test_several_automatic_repairs_of_one_row_are_all_found() -> None:
    rows = dict(one_payment(tx_hash=None, escrow_state=None, status_raw="confirmed", confirmations=3))
    assert findings(rows, ME) == (
        Verdict.MISSING_TX_HASH,
        Verdict.ESCROW_DRIFT,
        Verdict.STATUS_DRIFT,
        Verdict.CONFIRMATIONS_STALE,
    )


def test_an_escrow_state_past_funding_is_never_drift() -> None:
    for state in ("releasable", "releasing", "released", "failed"):
        assert Verdict.ESCROW_DRIFT not in verdicts(dict(one_payment(escrow_state=state))).values()


@pytest.mark.parametrize(
    ("outcome", "confirmations", "verdict"),
    [
        ("reverted", None, "tx_reverted"),
        ("not_found", None, "tx_not_found"),
        ("not_found", 4, "reorged"),
        ("failed", None, "lookup_failed"),
    ],
)
def test_a_recorded_hash_without_money_says_what_became_of_it(
    outcome: str, confirmations: int | None, verdict: str
) -> None:
    rows = {
        "payments": [open_row(tx_hash=tx_hash(1), confirmations=confirmations)],
        "transactions": [transaction_row(outcome=outcome)],
        "claims": [claim_row(**UNPAID)],
    }
    assert verdicts(rows) == {ME: verdict}


def test_paid_without_money_is_the_providers_word_and_the_rows_word_alone_is_weaker() -> None:
    assert verdicts({"payments": [open_row()], "claims": [claim_row()]}) == {ME: "provider_ahead"}
    alone = payment_row(tx_hash=None, confirmations=None)
    assert verdicts({"payments": [alone], "claims": [claim_row(**UNPAID)]}) == {ME: "local_ahead"}


def test_a_providers_word_completes_a_payment_only_on_a_rail_that_policy_names() -> None:
    rows = {"payments": [deposit_row()], "claims": [invoice_row()]}
    blind = rows | {"coverage": full_coverage(1, 137, 8453, 42161)}
    mine, other = Policy(provider_proves=("shkeeper:56",)), Policy(provider_proves=("shkeeper:137",))
    assert verdicts(blind, policy=mine) == {ME: "local_behind"}
    assert verdicts(blind, policy=other) == {ME: "unproven"}
    assert verdicts(rows, policy=mine) == {ME: "provider_ahead"}, "a chain that was read beats the word"


@pytest.mark.parametrize(("age_ms", "stuck"), [(30 * MINUTE_MS, False), (30 * MINUTE_MS + 1, True)])
def test_a_release_without_proof_is_stuck_after_thirty_minutes(age_ms: int, stuck: bool) -> None:
    row = open_row(direction="out", escrow_state="releasing", reference=None, created_at=NOW_MS - age_ms)
    rows = {"payments": [row], "claims": [claim_row(**UNPAID)]}
    assert counts(rows) == ({"stuck_release": 1} if stuck else {"in_transit": 1})


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"expires_at": NOW_MS}, "in_transit"),
        ({"expires_at": NOW_MS - 1}, "abandoned"),
        ({"created_at": NOW_MS - 30 * 24 * HOUR_MS}, "in_transit"),
        ({"created_at": NOW_MS - 30 * 24 * HOUR_MS - 1}, "abandoned"),
    ],
)
def test_an_unpaid_payment_is_abandoned_once_it_expired_or_after_thirty_days(
    given: dict[str, Any], verdict: str
) -> None:
    assert counts({"payments": [open_row(**given)], "claims": [claim_row(**UNPAID)]}) == {verdict: 1}


def test_a_fee_to_a_stranger_shows_only_where_policy_knows_our_fee_addresses() -> None:
    rows = dict(one_payment())
    rows["transfers"] = [transfer_row(fee_units=5, fee_recipient="0x" + "ab" * 20)]
    assert counts(rows) == {"in_sync": 1}
    assert verdicts(rows, policy=Policy(fee_recipients=("0x" + "fe" * 20,))) == {ME: "fee_mismatch"}


def test_open_payments_are_counted_by_age_at_the_edge_of_thirty_minutes() -> None:
    rows = {
        "payments": [
            open_row(1, created_at=NOW_MS - 30 * MINUTE_MS + 1),
            open_row(2, created_at=NOW_MS - 30 * MINUTE_MS),
        ]
    }
    ages = judgement_of(rows).open_by_age
    assert (ages["under 30 min"], ages["over 30 min"]) == (1, 1)


def test_captured_and_not_credited_counts_only_proven_money_of_open_and_closed_rows() -> None:
    rows = {
        "payments": [open_row(1), open_row(2, status="failed", status_raw="failed"), payment_row(3)],
        "transfers": [transfer_row(number) for number in (1, 2, 3)],
    }
    captured = judgement_of(rows).captured.to_pylist()
    assert [(row["rows"], int(row["units"])) for row in captured] == [(2, 2 * 125 * 10**17)]


def test_rows_of_unknown_rails_are_counted_and_never_judged() -> None:
    assert counts({"payments": [open_row(provider="amn.scanner")], "transfers": [transfer_row()]}) == {
        "out_of_scope": 1
    }


def test_a_release_is_not_judged_on_a_chain_that_nobody_read() -> None:
    row = open_row(direction="out", escrow_state="releasing", reference=None, created_at=NOW_MS - HOUR_MS)
    assert verdicts({"payments": [row], "claims": [claim_row()], "coverage": []}) == {ME: "unproven"}


def test_a_payout_hash_that_could_not_be_asked_about_is_not_a_stuck_release() -> None:
    row = open_row(direction="out", escrow_state="releasing", reference=None, tx_hash=tx_hash(1))
    rows = {"payments": [row], "claims": [claim_row()], "transactions": [transaction_row(outcome="failed")]}
    assert verdicts(rows) == {ME: "lookup_failed"}


def test_a_claim_newer_than_the_newest_block_is_not_held_against_the_chain() -> None:
    seen_until = NOW_MS - 2 * MINUTE_MS
    coverage = [{**row, "head_time": seen_until} for row in full_coverage()]

    def paid_at(time_ms: int) -> dict[str, str]:
        rows = {"payments": [open_row()], "claims": [claim_row(created_at=time_ms)], "coverage": coverage}
        return verdicts(rows)

    assert paid_at(seen_until) == {ME: "provider_ahead"}
    assert paid_at(seen_until + 1) == {ME: "unproven"}


def test_a_hash_recorded_after_the_newest_block_of_a_lagging_node_is_not_called_missing() -> None:
    coverage = [{**row, "head_time": NOW_MS - 10 * MINUTE_MS} for row in full_coverage()]
    rows = {
        "payments": [open_row(tx_hash=tx_hash(1), confirmations=1, updated_at=NOW_MS - MINUTE_MS)],
        "transactions": [transaction_row(outcome="not_found")],
        "claims": [claim_row(**UNPAID)],
        "coverage": coverage,
    }
    assert verdicts(rows) == {ME: "unproven"}


def test_wrong_money_on_a_cancelled_row_is_still_told() -> None:
    row = open_row(status="cancelled", status_raw="cancelled")
    rows = {"payments": [row], "transfers": [transfer_row(token="0x55d398326f99059ff775485246999027b3197955")]}
    assert verdicts(rows) == {ME: "token_mismatch"}


def test_a_shared_hash_is_not_held_against_rows_whose_chain_was_not_searched() -> None:
    gap = gap_row(from_ms=NOW_MS - 3 * HOUR_MS, to_ms=NOW_MS)
    rows = {"payments": [payment_row(1), payment_row(2, tx_hash=tx_hash(1))], "claims": [claim_row(1), claim_row(2)]}
    assert set(verdicts(rows, gaps=[gap]).values()) == {"unproven"}


def test_a_hash_that_the_provider_names_and_nobody_answered_about_leaves_the_question_open() -> None:
    rows = {
        "payments": [open_row()],
        "claims": [claim_row()],
        "claim_txs": [claim_tx_row(tx_hash=tx_hash(9))],
        "transactions": [transaction_row(tx_hash=tx_hash(9), outcome="failed")],
    }
    assert verdicts(rows) == {ME: "lookup_failed"}


def test_a_provider_without_a_time_is_not_called_ahead_of_a_node_that_is_a_minute_old() -> None:
    coverage = [{**row, "head_time": NOW_MS - MINUTE_MS} for row in full_coverage()]
    rows = {"payments": [open_row()], "claims": [claim_row(created_at=None)], "coverage": coverage}
    assert verdicts(rows) == {ME: "unproven"}


# A provider's word where the chain has no endpoint

WORD = Policy(provider_proves=("shkeeper:56",))


def invoice_row(number: int = 1, **given: Any) -> dict[str, Any]:
    own = payment_id(number)
    told: dict[str, Any] = {
        "provider": "shkeeper", "object": "invoice", "claim_id": own, "external_id": own, "request_id": None,
        "reference": None, "reference_topic": None, "recipient": deposit_row()["recipient"],
    }  # fmt: skip
    return claim_row(number, **told | given)


def by_word(*claims: dict[str, Any], coverage: Any = None, **row: Any) -> dict[str, Any]:
    seen = full_coverage(1, 137, 8453, 42161) if coverage is None else coverage
    return {"payments": [deposit_row(**row)], "claims": list(claims), "coverage": seen}


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({}, "local_behind"),
        ({"paid_units": 5}, "underpaid"),
        ({"token": "0x" + "d" * 40}, "unproven"),
        ({"chain_id": 137}, "unproven"),
        ({"recipient": "0x" + "e" * 40}, "unproven"),
        ({"recipient": None}, "unproven"),
        ({"paid_units": None}, "unproven"),
        ({"problem": "several_invoices"}, "unproven"),
        ({"state": "partial", "state_raw": "PARTIAL", "paid_units": 5}, "underpaid"),
        ({"state": "overpaid", "state_raw": "OVERPAID", "paid_units": 10**30}, "local_behind"),
        ({"state": "unpaid", "state_raw": "UNPAID", "paid_units": None, "problem": "credit_lost"}, "unproven"),
    ],
)
def test_a_word_counts_only_when_everything_about_it_fits(told: dict[str, Any], verdict: str) -> None:
    assert verdicts(by_word(invoice_row(**told)), policy=WORD) == {ME: verdict}


def test_the_word_unpaid_is_an_answer_on_a_rail_that_policy_names() -> None:
    rows = by_word(invoice_row(state="unpaid", state_raw="UNPAID", paid_units=None))
    assert counts(rows, policy=WORD) == {"in_transit": 1}
    assert verdicts(rows) == {ME: "unproven"}


def test_a_word_is_more_than_enough_and_says_so() -> None:
    rows = by_word(invoice_row(state="overpaid", paid_units=10**30))
    assert Verdict.OVERPAID in findings(rows, ME, policy=WORD)


def test_two_invoices_of_one_payment_prove_nothing_by_their_word() -> None:
    rows = by_word(invoice_row(), invoice_row(claim_id="b"))
    assert verdicts(rows, policy=WORD) == {ME: "unproven"}


def test_an_endpoint_that_failed_is_not_made_up_for_by_a_word() -> None:
    gaps = [gap_row("chain:56", scope, chain_id=56, to_ms=NOW_MS) for scope in ("proxy", "erc20")]
    dark = by_word(invoice_row(), coverage=full_coverage(1, 56, 137, 8453, 42161))
    assert verdicts(dark, policy=WORD, gaps=gaps) == {ME: "unproven"}


def test_what_rests_on_a_word_is_never_automatic() -> None:
    assert tier_of(Verdict.LOCAL_BEHIND, direction="in", is_due=False, needs_picking=True) is Tier.REVIEW
    assert tier_of(Verdict.ESCROW_DRIFT, direction="in", is_due=False, needs_picking=True) is Tier.REVIEW
    assert tier_of(Verdict.LOCAL_BEHIND, direction="in", is_due=False) is Tier.AUTO


# Several objects of a provider that belong to one payment


def test_a_second_paid_invoice_is_a_finding_and_one_invoice_is_shown() -> None:
    first = invoice_row(claim_id="a", state="paid", state_raw="PAID", paid_units=7)
    second = invoice_row(claim_id="b", state="overpaid", state_raw="OVERPAID", paid_units=9)
    unpaid = invoice_row(claim_id="0", state="unpaid", state_raw="UNPAID", paid_units=None, tx_hashes="0x" + "f" * 64)
    rows = {
        "payments": [deposit_row()],
        "claims": [first, second, unpaid],
        "transfers": [transfer_row(kind="erc20", reference_topic=None, recipient=deposit_row()["recipient"])],
    }
    assert findings(rows, ME) == (Verdict.LOCAL_BEHIND, Verdict.MULTIPLE_TRANSFERS)
    [row] = judgement_of(rows).breaks.to_pylist()
    assert (row["claim_id"], row["claim_state_raw"], row["claim_paid"]) == ("a", "PAID", 7)
    assert (row["claims"], row["claims_paid"]) == (3, 16)


# Absence and its premises


def test_an_open_payment_is_not_called_unpaid_while_another_chain_is_blind() -> None:
    """People mistake the network; a one-time address is the same on every chain."""
    waiting = {"payments": [deposit_row()], "claims": [claim_row(provider="x")]}
    gaps = [gap_row("chain:137", "erc20", chain_id=137, to_ms=NOW_MS)]
    assert counts(waiting, gaps=gaps) == {"in_transit": 1}, "nothing is concluded of what is not due yet"
    rows = {"payments": [deposit_row(expires_at=NOW_MS - 1)], "claims": [claim_row(provider="x")]}
    assert counts(rows) == {"abandoned": 1}
    assert verdicts(rows, gaps=gaps) == {ME: "unproven"}
    paid = rows | {"transfers": [transfer_row(kind="erc20", reference_topic=None, recipient=ADDRESS)]}
    assert verdicts(paid, gaps=gaps) == {ME: "local_behind"}, "money that covers needs no proof of absence"
    closed = {"payments": [deposit_row(status="failed", status_raw="failed")]}
    assert counts(closed, gaps=gaps) == {"in_sync": 1}


def test_money_older_than_its_row_counts_where_row_and_provider_name_its_transaction() -> None:
    """An import resets createdAt."""
    early = transfer_row(
        kind="erc20", reference_topic=None, recipient=ADDRESS, block_time=NOW_MS - 9 * HOUR_MS, tx_hash=tx_hash(5)
    )
    named = claim_tx_row(provider="shkeeper", external_id=ME, request_id=None, tx_hash=tx_hash(5))
    row = deposit_row(created_at=NOW_MS - HOUR_MS, status="completed", status_raw="completed", escrow_state="funded",
                      tx_hash=tx_hash(5), confirmations=12)  # fmt: skip
    both = {"payments": [row], "claims": [invoice_row()], "transfers": [early], "claim_txs": [named]}
    assert counts(both) == {"in_sync": 1}
    assert verdicts(both | {"claim_txs": []}) == {ME: "provider_ahead"}
    assert verdicts(both | {"payments": [row | {"tx_hash": None}]}) == {ME: "provider_ahead"}
