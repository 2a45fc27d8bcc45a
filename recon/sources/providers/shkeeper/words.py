"""SHKeeper's words for the state of an invoice and of a payout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INVOICE_WORDS: Final[Mapping[str, str]] = {
    "UNPAID": "unpaid",
    "PARTIAL": "partial",
    "PAID": "paid",
    "OVERPAID": "overpaid",
    "CANCELLED": "cancelled",
    "REFUNDED": "refunded",
}
PAYOUT_WORDS: Final[Mapping[str, str]] = {"SUCCESS": "paid", "IN_PROGRESS": "processing", "FAIL": "failed"}
