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
}
"""Words of the free ``status`` text that say something about money, and the state they mean."""

NEUTRAL_WORDS: Final = frozenset({"pending", "created", "accepted", "open", "listening", "active", "waiting"})
"""Words about the life of the request, not about money: ``hasBeenPaid`` decides."""
