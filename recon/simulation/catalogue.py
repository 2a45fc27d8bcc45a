"""The catalogue: everything that can be planted, healthy and broken, as data.

Each row says what is planted, what is therefore true and what the right plan writes. Nothing here asks the rules: the
truth follows from what was done to the payment. ``rate`` is the share of all payments in the default mixture.
"""

from __future__ import annotations

from typing import Any, Final

from bson import Decimal128

from recon.core.model import Verdict
from recon.simulation.situation import GONE, PAID, RN, SK, Leg, Plant, Situation

V = Verdict
OPEN: Final = ("pending", "processing", "pending")
UNFUNDED: Final = (None, None, "partial")
SIMPLE: Final = (None,)
FULL: Final = Leg()
HALVES: Final = (Leg(of_due=(1, 2)), Leg(of_due=(1, 2)))
HALVES_AT_ONCE: Final = (Leg(of_due=(1, 2)), Leg(of_due=(1, 2), joined=True))
LATE: Final = (Leg(when="after_expiry"),)
CHANGED: Final = Leg(to="payer", fee="none")


def waiting(**given: Any) -> Situation:
    """An open incoming payment: no hash is recorded, nothing is funded."""
    settings: dict[str, Any] = {"statuses": OPEN, "escrows": UNFUNDED, "recorded": "none", "confirmations": "none"}
    return Situation(**(settings | given))


def outgoing(**given: Any) -> Situation:
    """A release under way."""
    settings: dict[str, Any] = {
        "direction": "out",
        "statuses": ("processing", "pending"),
        "escrows": ("releasing",),
        "recorded": "none",
        "confirmations": "none",
        "expiry": "none",
    }
    return Situation(**(settings | given))


HEALTHY: Final = (
    Plant("completed", V.IN_SYNC, rate=0.80),
    Plant("completed_in_parts", V.IN_SYNC, Situation(legs=HALVES), rate=0.02),
    Plant("refunded", V.IN_SYNC, Situation(
        statuses=("refunded",), escrows=("refunded",), legs=(FULL, CHANGED), says="refunded", rails=(RN,),
        recorded="last",
    ), rate=0.01),
    Plant("in_transit", V.IN_TRANSIT, waiting(legs=(), expiry="future"), rate=0.015),
    Plant("just_opened", V.IN_TRANSIT, waiting(legs=(), expiry="future", age="fresh"), rate=0.004),
    Plant("just_opened_unknown_yet", V.IN_TRANSIT, waiting(
        legs=(), expiry="future", age="fresh", says="not_found",
    ), rate=0.001, source="R17"),
    Plant("abandoned", V.ABANDONED, waiting(legs=(), expiry="past"), rate=0.025, source="R14"),
    Plant("cancelled_unpaid", V.IN_SYNC, waiting(
        legs=(), statuses=("cancelled", "failed"), escrows=SIMPLE, expiry="past",
    ), rate=0.012, source="R3"),
    Plant("released", V.IN_SYNC, outgoing(
        statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof",
    ), rate=0.04, source="ISSUE-066"),
    Plant("given_back", V.IN_SYNC, outgoing(
        direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof",
    ), rate=0.008),
    Plant("release_just_started", V.IN_TRANSIT, outgoing(legs=(), age="fresh"), rate=0.002),
)  # fmt: skip
"""What a quiet week is made of; rates are relative to one another."""


def _malformed(name: str, edits: dict[str, Any], **given: Any) -> Plant:
    situation = waiting(legs=(), edits=edits, plain=True, says="silent", rails=(RN,), **given)
    return Plant(f"malformed_{name}", V.MALFORMED_RECORD, situation, rate=0.0005)


ASIDE: Final = (
    Plant("test_provider", V.TEST_PAYMENT, waiting(
        edits={"provider": "test"}, legs=(), says="silent", plain=True,
    )),
    Plant("test_request_id", V.TEST_PAYMENT, waiting(
        edits={"requestId": "req_test_7d1c0b5e9f"}, legs=(), says="silent", plain=True, rails=(RN,),
    ), rate=0.0005),
    _malformed("amount_null", {"amount.amount": None}),
    _malformed("amount_missing", {"amount.amount": GONE}),
    _malformed("amount_text", {"amount.amount": "12,50"}),
    _malformed("amount_nan", {"amount.amount": float("nan")}),
    _malformed("amount_infinite", {"amount.amount": Decimal128("Infinity")}),
    _malformed("amount_zero", {"amount.amount": 0}),
    _malformed("amount_negative", {"amount.amount": -5.0}),
    _malformed("amount_too_fine", {"amount.amount": 1.00000012}, chains=(1, 137, 8453, 42161)),
    _malformed("amount_too_large", {"amount.amount": 1e40}),
    _malformed("currency", {"amount.currency": "DOGE"}),
    _malformed("network", {"blockchain.network": "atlantis"}),
    _malformed("network_missing", {"blockchain.network": GONE}),
    _malformed("status", {"status": "paid"}),
    _malformed("status_missing", {"status": GONE}),
    _malformed("direction", {"direction": "sideways"}),
    Plant("other_provider", V.OUT_OF_SCOPE, waiting(
        edits={"provider": "decentralized"}, legs=(), says="silent", plain=True,
    ), rate=0.002),
    Plant("scanner_provider", V.OUT_OF_SCOPE, Situation(
        edits={"provider": "amn.scanner"}, legs=(), says="silent", plain=True,
    )),
)  # fmt: skip

HELD: Final = (
    Plant("disputed_and_behind", V.DISPUTE_HOLD, waiting(marks=frozenset({"disputed"}))),
    Plant("dispute_id_and_behind", V.DISPUTE_HOLD, waiting(marks=frozenset({"dispute_id"})), rate=0.0005),
    Plant("on_hold_and_behind", V.DISPUTE_HOLD, waiting(marks=frozenset({"hold"})), rate=0.0005),
    Plant("disputed_and_escrow_unset", V.DISPUTE_HOLD, Situation(
        marks=frozenset({"disputed"}), escrows=SIMPLE,
    ), rate=0.0005),
    Plant("disputed_release", V.DISPUTE_HOLD, outgoing(
        marks=frozenset({"disputed"}), legs=(), age="normal",
    )),
    Plant("disputed_release_paid_out", V.DISPUTE_HOLD, outgoing(marks=frozenset({"dispute_id"})), rate=0.0005),
    Plant("simulated", V.SIMULATED_HASH, Situation(legs=(), recorded="simulated", says="unpaid")),
    Plant("simulated_but_paid", V.SIMULATED_HASH, Situation(recorded="simulated"), rate=0.0005),
    Plant("simulated_open", V.SIMULATED_HASH, waiting(recorded="simulated", legs=(), says="unpaid"), rate=0.0005),
    Plant("demo_payout", V.SIMULATED_HASH, outgoing(
        statuses=("completed",), escrows=("released",), legs=(), recorded="unknown", marks=frozenset({"demo"}),
        rails=(SK,), says="not_found",
    )),
    Plant("two_rails_paid", V.COMPETING_PAYMENT, craft="two_rails_paid", source="R2"),
    Plant("two_requests_paid", V.COMPETING_PAYMENT, craft="two_requests_paid"),
    Plant("one_request_two_rows", V.DUPLICATE_PROVIDER_KEY, craft="one_request_two_rows"),
    Plant("one_invoice_two_rows", V.DUPLICATE_PROVIDER_KEY, craft="one_invoice_two_rows"),
    Plant("one_transfer_two_rows", V.DUPLICATE_TX_HASH, craft="one_transfer_two_rows", source="R18"),
    Plant("two_invoices_one_address", V.AMBIGUOUS, craft="two_invoices_one_address"),
)  # fmt: skip

CREDIT: Final = (
    Plant("webhook_lost", V.LOCAL_BEHIND, waiting(), effect="credit", rate=0.008, source="R1 R7"),
    Plant("webhook_lost_before_expiry", V.LOCAL_BEHIND, waiting(expiry="future"), effect="credit"),
    Plant("paid_late_still_open", V.LOCAL_BEHIND, waiting(legs=LATE, expiry="past", age="late"), effect="credit",
          source="R6"),
    Plant("provider_lags", V.LOCAL_BEHIND, waiting(says="unpaid"), effect="credit", source="R11"),
    Plant("provider_fails_chain_proves", V.LOCAL_BEHIND, waiting(says="failed"), effect="credit"),
    Plant("provider_knows_nothing", V.LOCAL_BEHIND, waiting(says="not_found"), effect="credit", rate=0.0005),
    Plant("paid_in_parts", V.LOCAL_BEHIND, waiting(legs=HALVES), effect="credit"),
    Plant("paid_in_parts_at_once", V.LOCAL_BEHIND, waiting(legs=HALVES_AT_ONCE), effect="credit", source="R28"),
    Plant("old_polygon_proxy", V.LOCAL_BEHIND, waiting(
        rails=(RN,), chains=(137,), legs=(Leg(via="old_proxy"),),
    ), effect="credit", source="RN PR 556"),
    Plant("open_and_overpaid", V.LOCAL_BEHIND, waiting(legs=(Leg(of_amount_ppm=1_200_000),)), (V.OVERPAID,), "credit",
          source="R8"),
    Plant("open_and_paid_twice", V.LOCAL_BEHIND, waiting(legs=(FULL, FULL)), (V.MULTIPLE_TRANSFERS,), "credit",
          source="RN 1614"),
    Plant("exactly_95_percent", V.LOCAL_BEHIND, waiting(
        rails=(SK,), legs=(Leg(of_amount_ppm=950_000),),
    ), effect="credit", rate=0.0005, source="R29"),
    Plant("just_under_105_percent", V.LOCAL_BEHIND, waiting(
        rails=(SK,), legs=(Leg(of_amount_ppm=1_049_900),),
    ), effect="credit", rate=0.0005, source="R29"),
    Plant("exactly_105_percent", V.LOCAL_BEHIND, waiting(
        rails=(SK,), legs=(Leg(of_amount_ppm=1_050_000),),
    ), (V.OVERPAID,), "credit", rate=0.0005, source="R29"),
    Plant("paid_without_fee", V.LOCAL_BEHIND, waiting(
        rails=(SK,), legs=(Leg(of_amount_ppm=1_000_000),),
    ), effect="credit", rate=0.0005),
    Plant("safety_now_satisfied", V.LOCAL_BEHIND, waiting(
        recorded="proof", confirmations="few", safety="insufficient_confirmations",
    ), effect="credit"),
    Plant("safety_hash_now_known", V.LOCAL_BEHIND, waiting(safety="missing_tx_hash"), effect="credit"),
    Plant("hash_known_status_not", V.LOCAL_BEHIND, waiting(recorded="proof", confirmations="enough"), effect="credit"),
    Plant("spoofed_and_paid", V.LOCAL_BEHIND, waiting(
        rails=(RN,), legs=(Leg(token="fake"), FULL),  # noqa: S106
    ), effect="credit"),
    Plant("released_on_chain", V.LOCAL_BEHIND, outgoing(legs=PAID), effect="release", rate=0.002),
    Plant("given_back_on_chain", V.LOCAL_BEHIND, outgoing(direction="refund", legs=PAID), effect="give_back"),
    Plant("late", V.LATE_PAYMENT, waiting(
        statuses=("cancelled", "failed"), escrows=SIMPLE, legs=LATE, expiry="past", age="late",
    ), effect="credit", rate=0.002, source="R6"),
    Plant("late_and_over", V.LATE_PAYMENT, waiting(
        statuses=("cancelled",), escrows=SIMPLE, expiry="past", age="late",
        legs=(Leg(of_due=(2, 5)), Leg(of_due=(4, 5), when="after_expiry")),
    ), (V.OVERPAID,), "credit", source="R4"),
    Plant("failed_though_paid_in_time", V.COORDINATOR_BLOCKED, waiting(
        statuses=("failed", "cancelled"), escrows=SIMPLE, expiry="past",
    ), effect="credit", source="R5"),
    Plant("failed_though_paid", V.COORDINATOR_BLOCKED, waiting(
        statuses=("failed",), escrows=SIMPLE, expiry="none",
    ), effect="credit"),
)  # fmt: skip

DRIFT: Final = (
    Plant("refund_on_chain", V.REFUND_DRIFT, Situation(
        legs=(FULL, CHANGED), says="refunded", rails=(RN,), escrows=("funded", "releasable"),
    ), effect="refund"),
    Plant("refund_at_provider_only", V.REFUND_DRIFT, Situation(says="refunded", rails=(SK,)), rate=0.0005),
    Plant("refund_in_row_only", V.REFUND_DRIFT, Situation(statuses=("refunded",), escrows=("refunded",))),
    Plant("hash_unknown", V.TX_HASH_MISMATCH, Situation(recorded="unknown"), effect="hash"),
    Plant("hash_reverted", V.TX_HASH_MISMATCH, Situation(
        legs=(Leg(fate="reverted"), FULL), recorded="leg",
    ), effect="hash"),
    Plant("hash_of_another", V.TX_HASH_MISMATCH, Situation(recorded="foreign"), effect="hash"),
    Plant("hash_missing", V.MISSING_TX_HASH, Situation(recorded="none", confirmations="none"), effect="hash",
          rate=0.003),
    Plant("escrow_unset", V.ESCROW_DRIFT, Situation(escrows=SIMPLE), effect="escrow", rate=0.002),
    Plant("escrow_partial", V.ESCROW_DRIFT, Situation(escrows=("partial",)), effect="escrow"),
    Plant("confirmed", V.STATUS_DRIFT, Situation(statuses=("confirmed",)), effect="status", rate=0.002),
    Plant("few_confirmations", V.CONFIRMATIONS_STALE, Situation(confirmations="few"), effect="confirmations",
          rate=0.002),
    Plant("paid_twice", V.MULTIPLE_TRANSFERS, Situation(legs=(FULL, FULL)), source="RN 1614"),
    Plant("paid_twice_at_once", V.MULTIPLE_TRANSFERS, Situation(
        rails=(RN,), legs=(FULL, Leg(joined=True)),
    ), rate=0.0005),
    Plant("overpaid", V.OVERPAID, Situation(legs=(Leg(of_amount_ppm=1_200_000),))),
    Plant("overpaid_by_one_unit", V.IN_SYNC, Situation(rails=(RN,), legs=(Leg(plus_units=1),)), rate=0.0005),
    Plant("overpaid_at_the_edge", V.OVERPAID, Situation(
        rails=(SK,), legs=(Leg(of_amount_ppm=1_050_000),),
    ), rate=0.0005, source="R29"),
    Plant("fee_to_a_stranger", V.FEE_MISMATCH, Situation(rails=(RN,), legs=(Leg(fee="wrong"),)), source="R10"),
    Plant("indexer_behind", V.PROVIDER_BEHIND, Situation(says="unpaid"), source="R11"),
)  # fmt: skip

WAITING: Final = (
    Plant("screened_long_ago", V.STUCK_PENDING, waiting(marks=frozenset({"aml"}), recorded="proof"),
          (V.AML_BLOCKED,)),
    Plant("safety_without_hash", V.STUCK_PENDING, waiting(legs=(), says="paid", rails=(RN,), safety="missing_tx_hash"),
          (V.SAFETY_PENDING,)),
    Plant("safety_for_days", V.STUCK_PENDING, waiting(
        legs=(), says="paid", rails=(RN,), safety="missing_tx_hash", age="day",
    ), (V.SAFETY_PENDING,), rate=0.0005),
    Plant("not_final_yet", V.INSUFFICIENT_CONFIRMATIONS, waiting(
        legs=(Leg(when="fresh"),), age="fresh", expiry="future",
    ), rate=0.003),
    Plant("not_final_yet_recorded", V.INSUFFICIENT_CONFIRMATIONS, waiting(
        legs=(Leg(when="fresh"),), age="fresh", expiry="future", recorded="leg", confirmations="few",
        safety="insufficient_confirmations",
    )),
    Plant("screened_just_now", V.AML_BLOCKED, waiting(
        marks=frozenset({"aml"}), age="bsc_fresh", chains=(56,), recorded="proof", expiry="future",
    )),
    Plant("safety_just_now", V.SAFETY_PENDING, waiting(
        legs=(), says="paid", rails=(RN,), safety="missing_tx_hash", age="fresh", expiry="future",
    )),
    Plant("underpaid_open", V.UNDERPAID, waiting(legs=(Leg(of_due=(3, 5)),), expiry="future")),
    Plant("underpaid_expired", V.UNDERPAID, waiting(legs=(Leg(of_due=(3, 5)),), expiry="past")),
    Plant("underpaid_marked_paid", V.UNDERPAID, Situation(legs=(Leg(of_due=(3, 5)),), recorded="leg"), source="R9"),
    Plant("short_by_one_unit", V.UNDERPAID, waiting(rails=(RN,), legs=(Leg(plus_units=-1),)), rate=0.0005),
    Plant("just_under_95_percent", V.UNDERPAID, waiting(
        rails=(SK,), legs=(Leg(of_amount_ppm=949_900),),
    ), rate=0.0005, source="R29"),
)  # fmt: skip

WRONG: Final = (
    Plant("wrong_network", V.NETWORK_MISMATCH, waiting(rails=(RN,), legs=(Leg(chain="other"),)), effect="dispute"),
    Plant("wrong_token", V.TOKEN_MISMATCH, waiting(rails=(RN,), legs=(Leg(token="other"),)), effect="dispute"),  # noqa: S106
    Plant("wrong_token_recorded", V.TOKEN_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(token="fake"),), recorded="leg",  # noqa: S106
    ), effect="dispute", rate=0.0005),
    Plant("wrong_recipient", V.RECIPIENT_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(to="stranger"),),
    ), effect="dispute"),
    Plant("only_in_escrow", V.UNPROVEN, waiting(
        rails=(RN,), chains=(1, 137), legs=(Leg(via="escrow", to="escrow"),), says="unpaid",
    ), rate=0.0005),
    Plant("wrong_recipient_completed", V.RECIPIENT_MISMATCH, Situation(
        legs=(Leg(to="stranger"),), recorded="leg", says="unpaid",
    )),
    Plant("wrong_reference", V.REFERENCE_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(reference="other"),), recorded="leg",
    ), effect="dispute", source="R12"),
    Plant("reorganised_away", V.REORGED, Situation(
        legs=(Leg(fate="vanished"),), recorded="leg", confirmations="enough", says="unpaid",
    )),
    Plant("reverted", V.TX_REVERTED, waiting(legs=(Leg(fate="reverted"),), recorded="leg")),
    Plant("reverted_completed", V.TX_REVERTED, Situation(
        legs=(Leg(fate="reverted"),), recorded="leg", confirmations="none",
    )),
    Plant("hash_nowhere", V.TX_NOT_FOUND, waiting(legs=(), recorded="unknown")),
    Plant("hash_nowhere_completed", V.TX_NOT_FOUND, Situation(
        legs=(), recorded="unknown", confirmations="none", says="unpaid",
    )),
    Plant("provider_unreadable", V.LOOKUP_FAILED, Situation(
        legs=(), recorded="none", confirmations="none", says="failed", rails=(RN,),
    ), source="R13"),
    Plant("no_address_to_look_at", V.UNPROVEN, waiting(
        legs=(), rails=(SK,), says="unpaid", expiry="past", edits={"metadata.walletAddress": GONE},
    )),
    Plant("nothing_to_look_up_by", V.MISSING_REFERENCE, waiting(
        legs=(), rails=(RN,), says="silent", plain=True, expiry="past",
    )),
    Plant("settled_by_bridge", V.PROVIDER_AHEAD, waiting(legs=(), says="lifi", rails=(RN,)), source="lifi"),
    Plant("marked_paid_at_gateway", V.PROVIDER_AHEAD, waiting(legs=(), says="paid", rails=(SK,)), source="SK 227 123"),
    Plant("only_the_row_says_so", V.LOCAL_AHEAD, Situation(
        legs=(), recorded="none", confirmations="none", says="unpaid",
    ), source="R15"),
    Plant("release_stuck", V.STUCK_RELEASE, outgoing(legs=())),
    Plant("refund_stuck", V.STUCK_RELEASE, outgoing(direction="refund", legs=()), rate=0.0005),
    Plant("release_stuck_for_days", V.STUCK_RELEASE, outgoing(legs=(), age="day"), rate=0.0005),
    Plant("orphan_transfer", V.MISSING_LOCAL, craft="orphan_transfer"),
    Plant("orphan_proxy_payment", V.MISSING_LOCAL, craft="orphan_proxy_payment", source="RN 1380"),
    Plant("orphan_in_a_batch", V.MISSING_LOCAL, craft="orphan_in_a_batch"),
    Plant("orphan_request", V.MISSING_LOCAL, craft="orphan_request"),
    Plant("orphan_invoice", V.MISSING_LOCAL, craft="orphan_invoice"),
    Plant("twin_request_paid", V.MISSING_LOCAL, craft="twin_request_paid", source="RN 1145"),
)  # fmt: skip

FURTHER: Final = (
    Plant("wrong_coin_at_deposit", V.TOKEN_MISMATCH, waiting(rails=(SK,), legs=(Leg(token="other"),)),  # noqa: S106
          effect="dispute", craft="wrong_coin", source="SK 2.4.6"),
    Plant("wrong_network_recorded", V.NETWORK_MISMATCH, waiting(
        legs=(Leg(chain="other"),), recorded="leg", says="unpaid",
    ), effect="dispute"),
    Plant("wrong_token_cancelled", V.TOKEN_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(token="other"),), statuses=("cancelled", "failed"), escrows=SIMPLE,  # noqa: S106
    )),
    Plant("rest_not_final", V.INSUFFICIENT_CONFIRMATIONS, waiting(
        legs=(Leg(of_due=(1, 2)), Leg(of_due=(1, 2), when="fresh")), age="bsc_fresh", chains=(56,), expiry="future",
    )),
    Plant("completed_too_early", V.INSUFFICIENT_CONFIRMATIONS, Situation(
        legs=(Leg(when="fresh"),), recorded="leg", age="fresh", confirmations="few", escrows=("funded",),
    )),
    Plant("underpaid_and_cancelled", V.UNDERPAID, waiting(
        legs=(Leg(of_due=(3, 5)),), statuses=("cancelled", "failed"), escrows=SIMPLE, expiry="past",
    )),
    Plant("underpaid_and_spoofed", V.UNDERPAID, waiting(
        rails=(RN,), legs=(Leg(of_due=(3, 5)), Leg(token="fake_max")),  # noqa: S106
    )),
    Plant("refunded_and_never_paid", V.REFUND_DRIFT, Situation(
        statuses=("refunded",), escrows=("refunded",), legs=(), recorded="none", confirmations="none", says="unpaid",
    )),
    Plant("released_too_little", V.UNDERPAID, outgoing(legs=(Leg(of_due=(3, 5)),))),
    Plant("released_to_a_stranger", V.RECIPIENT_MISMATCH, outgoing(rails=(RN,), legs=(Leg(to="stranger"),))),
    Plant("disputed_and_late", V.DISPUTE_HOLD, waiting(
        statuses=("cancelled",), escrows=SIMPLE, legs=LATE, expiry="past", age="late", marks=frozenset({"disputed"}),
    ), rate=0.0005),
    Plant("open_but_escrow_moved_on", V.COORDINATOR_BLOCKED, waiting(
        escrows=("funded", "releasable", "releasing", "released", "refunded", "failed", "cancelled"),
    )),
    *(
        Plant(f"metadata_is_{name}", V.LOCAL_BEHIND, waiting(rails=(RN,), flat=True, edits={"metadata": value}),
              rate=0.0005, source="mongodb")
        for name, value in (("null", None), ("text", "none"), ("array", []))
    ),
    Plant("address_used_twice", V.IN_SYNC, craft="address_used_twice", source="SK 124"),
    Plant("address_paid_for_another", V.IN_SYNC, craft="address_paid_for_another", source="SK 124"),
    Plant("spoofed_reference_of_paid", V.IN_SYNC, Situation(
        rails=(RN,), legs=(FULL, Leg(token="fake", to="stranger")),  # noqa: S106
    )),
    Plant("reference_paid_to_thief", V.RECIPIENT_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(of_due=(1, 1_000), to="stranger"),),
    ), effect="dispute"),
    Plant("phantom_fee_open", V.LOCAL_BEHIND, waiting(rails=(RN,), legs=(Leg(fee="zero_address"),)), effect="credit"),
    Plant("paid_in_parts_recorded_first", V.IN_SYNC, Situation(legs=HALVES, recorded="leg")),
    Plant("overpaid_in_parts", V.OVERPAID, Situation(
        legs=(Leg(of_due=(1, 2)), Leg(of_due=(9, 10))),
    )),
)  # fmt: skip

TRAPS: Final = (
    Plant("spoofed_token", V.TOKEN_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(token="fake"),), says="unpaid", expiry="past",  # noqa: S106
    ), effect="dispute"),
    Plant("spoofed_uint256", V.ABANDONED, waiting(
        rails=(RN,), legs=(Leg(token="fake_max"),), says="unpaid", expiry="past",  # noqa: S106
    )),
    Plant("spoofed_emitter", V.ABANDONED, waiting(
        rails=(RN,), legs=(Leg(via="stranger_contract"),), says="unpaid", expiry="past",
    )),
    Plant("spoofed_but_in_sync", V.IN_SYNC, Situation(rails=(RN,), legs=(FULL, Leg(token="fake_max")))),  # noqa: S106
    Plant("also_sent_elsewhere", V.IN_SYNC, Situation(rails=(RN,), legs=(FULL, Leg(to="stranger")))),
    Plant("first_try_reverted", V.IN_SYNC, Situation(legs=(Leg(fate="reverted"), FULL))),
    Plant("halves_at_once", V.IN_SYNC, Situation(legs=HALVES_AT_ONCE), source="RN subgraph"),
    Plant("old_proxy_unseen", V.PROVIDER_BEHIND, Situation(
        rails=(RN,), chains=(137,), legs=(Leg(via="old_proxy"),),
    ), source="RN PR 556"),
    Plant("escrow_deposit_besides", V.IN_SYNC, Situation(
        rails=(RN,), chains=(1, 137), legs=(FULL, Leg(via="escrow", to="escrow")),
    )),
    Plant("phantom_fee", V.IN_SYNC, Situation(rails=(RN,), legs=(Leg(fee="zero_address"),)), rate=0.002),
    Plant("within_tolerance", V.IN_SYNC, Situation(rails=(SK,), legs=(Leg(of_amount_ppm=950_000),)), rate=0.002),
    Plant("within_tolerance_above", V.IN_SYNC, Situation(rails=(SK,), legs=(Leg(of_amount_ppm=1_049_900),)),
          rate=0.002),
    Plant("provider_down_chain_proves", V.IN_SYNC, Situation(says="failed")),
    Plant("disputed_nothing_due", V.IN_SYNC, Situation(marks=frozenset({"disputed"}), escrows=("funded",)),
          rate=0.003),
    Plant("paid_before_the_row", V.UNPROVEN, waiting(
        rails=(SK,), legs=(Leg(when="before_creation"),), says="unpaid", expiry="past",
    )),
    Plant("batch_payment", V.IN_SYNC, craft="batch_payment", rate=0.002),
    Plant("batch_payment_open", V.LOCAL_BEHIND, effect="credit", craft="batch_payment"),
    Plant("equal_amounts", V.IN_SYNC, craft="equal_amounts", source="bitcart 605"),
    Plant("unpaid_twin", V.IN_SYNC, craft="unpaid_twin"),
    Plant("cart", V.IN_SYNC, craft="cart", rate=0.005),
    Plant("several_invoices", V.IN_SYNC, Situation(rails=(SK,)), craft="several_invoices"),
    Plant("raised_invoice", V.IN_SYNC, Situation(rails=(SK,)), craft="raised_invoice", source="R27"),
    Plant("float_noise", V.IN_SYNC, Situation(rails=(SK,)), craft="float_noise", source="R32"),
    Plant("stale_unconfirmed", V.IN_SYNC, Situation(rails=(SK,)), craft="stale_unconfirmed"),
    Plant("gateway_lost_the_credit", V.PROVIDER_BEHIND, Situation(rails=(SK,)), craft="lost_credit"),
    Plant("second_of_one_transaction", V.PROVIDER_BEHIND, Situation(rails=(SK,), legs=(
        Leg(of_due=(3, 5)), Leg(of_due=(2, 5), joined=True),
    )), craft="second_dropped", source="R28"),
)  # fmt: skip

DEALS: Final = (
    Plant("refunded_in_part", V.PARTLY_REFUNDED, Situation(
        rails=(RN,), legs=(FULL, Leg(of_due=(2, 5), to="payer", fee="none")),
    ), rate=0, source="T10"),
    Plant("refunded_less_than_said", V.REFUND_DRIFT, Situation(
        rails=(RN,), statuses=("refunded",), escrows=("refunded",),
        legs=(FULL, Leg(of_due=(2, 5), to="payer", fee="none")),
    ), rate=0, source="T10"),
    Plant("refunds_of_one_order", V.PARTLY_REFUNDED, craft="refunds_of_one_order", rate=0, source="T10"),
    Plant("payout_sent_twice", V.UNEXPLAINED_OUTFLOW, outgoing(
        rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof",
    ), craft="payout_sent_twice", rate=0, source="T9"),
    Plant("payout_in_two_rows", V.COMPETING_PAYMENT, craft="payout_in_two_rows", rate=0, source="T9"),
    Plant("pending_though_paid_out", V.COORDINATOR_BLOCKED, craft="pending_though_paid_out", rate=0, source="T8"),
)  # fmt: skip
"""What the rows of one deal say together. They are no part of the mixture but where it holds every row."""

_ALL: Final = (*ASIDE, *HELD, *CREDIT, *DRIFT, *WAITING, *WRONG, *FURTHER, *TRAPS, *DEALS)
BREAKS: Final = {plant.name: plant for plant in _ALL}
"""Everything that is planted at a rate, by name; pairs are added by :mod:`recon.simulation.pairs`."""
