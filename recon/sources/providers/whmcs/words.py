"""WHMCS's words for the state of an invoice. ``Overdue`` is a filter of its lists and never the word of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INVOICE_WORDS: Final[Mapping[str, str]] = {
    "Draft": "unpaid",
    "Unpaid": "unpaid",
    "Payment Pending": "processing",
    "Paid": "paid",
    "Cancelled": "cancelled",
    "Refunded": "refunded",
    "Collections": "unpaid",
}
