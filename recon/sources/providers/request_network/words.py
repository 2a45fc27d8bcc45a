"""Request Network's words for the state of a payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATE_WORDS: Final[Mapping[str, str]] = {
    "paid": "paid",
    "fully_paid": "paid",
    "completed": "paid",
    "complete": "paid",
    "confirmed": "paid",
    "payment.confirmed": "paid",
    "overpaid": "overpaid",
    "partial": "partial",
    "partially_paid": "partial",
    "payment.partial": "partial",
    "processing": "processing",
    "payment.processing": "processing",
    "unpaid": "unpaid",
    "not_paid": "unpaid",
    "failed": "failed",
    "payment.failed": "failed",
    "refunded": "refunded",
    "payment.refunded": "refunded",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    # Secure payments: the link's own state.
    "expired": "cancelled",
    "invalidated": "cancelled",
    "compliance_failed": "failed",
    "partially_settled": "partial",
    # Commerce payments: authorised money is in escrow, captured money is the merchant's.
    "authorized": "processing",
    "captured": "paid",
    "charged": "paid",
    "partially_captured": "partial",
    "voided": "cancelled",
    "reclaimed": "cancelled",
    # Off-ramp: the crypto came, and the way of the fiat is told by its sub-status.
    "initiated": "processing",
    "pending_internal_assessment": "processing",
    "ongoing_checks": "processing",
    "sending_fiat": "processing",
    "retry_required": "processing",
    "fiat_sent": "paid",
    "bounced": "failed",
}
"""Words of the free ``status`` text that say something about money, and the state they mean."""

NEUTRAL_WORDS: Final = frozenset({"pending", "created", "accepted", "open", "listening", "active", "waiting", "paused"})
"""Words about the life of the request, not about money: ``hasBeenPaid`` decides."""
