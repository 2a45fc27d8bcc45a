"""What happens seldom and was seen all the same: plants beside the mixture, each named by what happened.

They are no part of the default mixture; a breaks file, a scenario and ``scripts/prove`` plant them by name. What is
declared here is held against the referee, like every row of the catalogue.
"""

from __future__ import annotations

from typing import Final

from recon.core.model import Verdict
from recon.simulation.catalogue import FULL, SIMPLE, outgoing, waiting
from recon.simulation.situation import PAID, RN, SK, Leg, Plant, Situation

V = Verdict
DONE: Final = outgoing(rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="proof")

_TOKENS: Final = (
    Plant("fee_token_paid_short", V.UNDERPAID, waiting(
        rails=(RN,), legs=(Leg(keeps_ppm=10_000),), coin="USDT",
    ), source="T12"),
    Plant("fee_token_marked_paid", V.UNDERPAID, Situation(
        rails=(RN,), legs=(Leg(keeps_ppm=10_000),), recorded="leg", coin="USDT",
    ), source="T12"),
    Plant("fee_token_kept_all", V.PROVIDER_AHEAD, waiting(
        rails=(RN,), legs=(Leg(keeps_ppm=1_000_000),), coin="USDT",
    ), source="T12"),
    Plant("fee_token_within_tolerance", V.LOCAL_BEHIND, waiting(
        rails=(SK,), legs=(Leg(keeps_ppm=10_000),), coin="USDT",
    ),
          effect="credit"),
    Plant("bridged_token_at_deposit", V.TOKEN_MISMATCH, waiting(
        rails=(SK,), chains=(137,), legs=(Leg(token="bridged"),), says="unpaid",  # noqa: S106
    ), effect="dispute", source="T13"),
    Plant("bridged_token_by_reference", V.TOKEN_MISMATCH, waiting(
        rails=(RN,), chains=(137, 42161), legs=(Leg(token="bridged"),), says="unpaid",  # noqa: S106
    ), effect="dispute", source="T13"),
    Plant("unknown_token_at_deposit", V.TOKEN_MISMATCH, waiting(
        rails=(SK,), legs=(Leg(token="unknown"),), says="unpaid",  # noqa: S106
    ), effect="dispute", source="T13"),
    Plant("unknown_token_beside_money", V.IN_SYNC, Situation(rails=(SK,), legs=(FULL, Leg(token="unknown")))),  # noqa: S106
    Plant("paid_again_in_another_token", V.MULTIPLE_TRANSFERS, Situation(legs=(FULL, Leg(token="other")))),  # noqa: S106
    Plant("paid_again_on_another_chain", V.MULTIPLE_TRANSFERS, Situation(rails=(RN,), legs=(FULL, Leg(chain="other")))),
    Plant("open_and_paid_again_in_another_token", V.LOCAL_BEHIND, waiting(
        rails=(RN,), legs=(FULL, Leg(token="other")),  # noqa: S106
    ), (V.MULTIPLE_TRANSFERS,), "credit"),
    Plant("paid_by_conversion", V.LOCAL_BEHIND, waiting(rails=(RN,), legs=(Leg(via="conversion"),)), effect="credit",
          source="T3"),
    Plant("completed_by_conversion", V.IN_SYNC, Situation(rails=(RN,), legs=(Leg(via="conversion"),)), source="T3"),
    Plant("conversion_too_little", V.UNDERPAID, waiting(
        rails=(RN,), legs=(Leg(of_due=(3, 5), via="conversion"),),
    ), source="T3"),
)  # fmt: skip

_POISON: Final = (
    Plant("dust_at_deposit", V.ABANDONED, waiting(
        rails=(SK,), legs=(Leg(is_dust=True),), says="unpaid", expiry="past",
    ), source="T16"),
    Plant("dust_after_payment", V.IN_SYNC, Situation(rails=(SK,), legs=(FULL, Leg(is_dust=True))), source="T16"),
    Plant("payout_poisoned", V.IN_SYNC, DONE, craft="payout_poisoned", source="T16"),
)  # fmt: skip

_AGES: Final = (
    Plant("paid_weeks_ago", V.IN_SYNC, Situation(age="weeks")),
    Plant("paid_months_ago", V.IN_SYNC, Situation(age="months")),
    Plant("webhook_lost_weeks_ago", V.LOCAL_BEHIND, waiting(age="weeks"), effect="credit"),
    Plant("webhook_lost_months_ago", V.LOCAL_BEHIND, waiting(age="months"), effect="credit"),
    Plant("open_for_weeks", V.IN_TRANSIT, waiting(age="weeks", legs=(), expiry="none")),
    Plant("open_for_months", V.ABANDONED, waiting(age="months", legs=(), expiry="none")),
    Plant("release_stuck_for_weeks", V.STUCK_RELEASE, outgoing(age="weeks", legs=())),
    Plant("imported_again_open", V.LOCAL_BEHIND, waiting(age="day", expiry="none"), effect="credit",
          craft="imported_again", source="T7"),
    Plant("imported_again_completed", V.IN_SYNC, Situation(age="day", expiry="none"), craft="imported_again",
          source="T7"),
    Plant("old_address_paid_again", V.MULTIPLE_TRANSFERS, Situation(rails=(SK,), age="weeks"),
          craft="old_address_paid_again", source="T14"),
)  # fmt: skip

_ATTEMPTS: Final = (
    Plant("second_attempt_paid", V.LOCAL_BEHIND, waiting(rails=(RN,)), effect="credit", craft="second_attempt_paid",
          source="T6"),
    Plant("second_attempt_completed", V.IN_SYNC, Situation(rails=(RN,)), craft="second_attempt_paid", source="T6"),
    Plant("second_attempt_of_failed", V.COORDINATOR_BLOCKED, waiting(
        rails=(RN,), statuses=("failed",), escrows=SIMPLE, expiry="none",
    ), effect="credit", craft="second_attempt_paid", source="T6"),
    Plant("no_attempt_paid", V.ABANDONED, waiting(rails=(RN,), legs=(), expiry="past"), craft="second_attempt_paid"),
    Plant("both_attempts_paid", V.MULTIPLE_TRANSFERS, Situation(rails=(RN,), legs=(FULL, FULL)),
          craft="second_attempt_paid", source="T6"),
    Plant("cart_half_paid", V.IN_SYNC, craft="cart_half_paid"),
    Plant("split_over_two_rows", V.UNDERPAID, waiting(legs=(Leg(of_due=(1, 2)),)), craft="split_over_two_rows"),
)  # fmt: skip

_PAST: Final = (
    Plant("paid_past_the_proxy", V.REFERENCE_MISMATCH, waiting(
        rails=(RN,), legs=(Leg(via="plain"),), says="unpaid", expiry="past",
    ), effect="dispute", craft="own_address"),
    Plant("failed_and_paid_past_the_proxy", V.REFERENCE_MISMATCH, waiting(
        rails=(RN,), statuses=("failed", "cancelled"), legs=(Leg(via="plain"),), says="unpaid", expiry="past",
    ), craft="own_address"),
)  # fmt: skip

_OUT: Final = (
    Plant("payout_replaced", V.TX_HASH_MISMATCH, outgoing(
        rails=(SK,), statuses=("completed",), escrows=("released",), legs=PAID, recorded="unknown",
    ), effect="hash"),
    Plant("payout_replaced_unnamed", V.TX_NOT_FOUND, outgoing(
        rails=(SK,), legs=PAID, recorded="unknown", says="unpaid",
    ), source="A20"),
    Plant("refund_rows_give_all", V.REFUND_DRIFT, craft="refund_rows_give_all", effect="refund", source="T10"),
    Plant("refund_rows_as_said", V.IN_SYNC, craft="refund_rows_as_said", source="T10"),
    Plant("refund_rows_too_little", V.REFUND_DRIFT, craft="refund_rows_too_little", source="T10"),
    Plant("refund_rows_too_much", V.COMPETING_PAYMENT, craft="refund_rows_too_much", source="T10"),
    Plant("refund_to_a_stranger", V.RECIPIENT_MISMATCH, craft="refund_to_a_stranger"),
    Plant("payout_to_the_buyer", V.RECIPIENT_MISMATCH, craft="payout_to_the_buyer"),
)  # fmt: skip

_FORGOTTEN: Final = (
    Plant("provider_forgot_paid", V.IN_SYNC, Situation(says="not_found")),
    Plant("provider_forgot_unpaid", V.ABANDONED, waiting(legs=(), says="not_found", expiry="past")),
    Plant("provider_forgot_and_only_row", V.LOCAL_AHEAD, Situation(
        legs=(), recorded="none", confirmations="none", says="not_found",
    )),
)  # fmt: skip

_GIVEN: Final = outgoing(
    rails=(SK,), direction="refund", statuses=("completed",), escrows=("refunded",), legs=PAID, recorded="proof"
)
_ELSEWHERE: Final = waiting(
    statuses=("failed", "cancelled"), escrows=SIMPLE, legs=(Leg(chain="other"),), says="unpaid", expiry="past"
)
_SHARED: Final = (
    Plant("yearly_address", V.LOCAL_BEHIND, waiting(rails=(SK,), expiry="none"), effect="credit",
          craft="yearly_address"),
    Plant("yearly_address_two_wait", V.AMBIGUOUS, waiting(rails=(SK,), says="unpaid", expiry="none"),
          craft="yearly_address_two_wait"),
    Plant("ended_at_the_address", V.LOCAL_BEHIND, waiting(rails=(SK,), expiry="none"), effect="credit",
          craft="ended_at_the_address"),
    Plant("batch_to_one_address", V.IN_SYNC, DONE, craft="batch_to_one_address"),
    Plant("sent_by_another_wallet", V.IN_SYNC, DONE, craft="sent_by_another_wallet"),
    Plant("refund_sent_twice", V.UNEXPLAINED_OUTFLOW, _GIVEN, craft="payout_sent_twice"),
    Plant("refund_of_no_order", V.REFUND_DRIFT, Situation(rails=(SK,), age="late"), craft="refund_of_no_order"),
    Plant("refund_in_another_token", V.REFUND_DRIFT, Situation(
        age="late", statuses=("refunded",), escrows=("refunded",),
    ), craft="refund_in_another_token"),
    Plant("late_and_given_back", V.IN_SYNC, waiting(
        statuses=("cancelled", "failed"), escrows=SIMPLE, legs=(Leg(when="after_expiry"),), expiry="past", age="late",
    ), craft="late_and_given_back"),
    Plant("hash_of_the_payout", V.TX_HASH_MISMATCH, Situation(age="late", escrows=("released",)), effect="hash",
          craft="hash_of_the_payout"),
    Plant("zeros_completed", V.TX_HASH_MISMATCH, Situation(), effect="hash", craft="zeros_recorded"),
    Plant("zeros_open_and_paid", V.LOCAL_BEHIND, waiting(), effect="credit", craft="zeros_recorded"),
    Plant("zeros_open_and_unpaid", V.ABANDONED, waiting(legs=(), says="unpaid", expiry="past"), craft="zeros_recorded"),
    Plant("failed_and_paid_elsewhere", V.NETWORK_MISMATCH, _ELSEWHERE),
    Plant("dates_as_text", V.IN_SYNC, Situation(), craft="dates_as_text"),
    Plant("dates_as_text_open", V.LOCAL_BEHIND, waiting(), effect="credit", craft="dates_as_text"),
    Plant("dates_as_text_unpaid", V.ABANDONED, waiting(legs=(), says="unpaid", expiry="past"), craft="dates_as_text"),
    Plant("date_unsure", V.MALFORMED_RECORD, waiting(), craft="date_unsure"),
)  # fmt: skip

ODDITIES: Final = {
    plant.name: plant for plant in (*_TOKENS, *_POISON, *_AGES, *_ATTEMPTS, *_PAST, *_OUT, *_FORGOTTEN, *_SHARED)
}
"""All of them by name."""
