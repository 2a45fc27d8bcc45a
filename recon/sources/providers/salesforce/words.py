"""Words for the state of an order, in lower case: its own status, and that of the delivery of what was ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATUS_WORDS: Final[Mapping[str, str]] = {
    "draft": "unpaid",
    "pending review": "held_review",
    "approved": "held_service",
    "activated": "held_service",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "rejected": "cancelled",
    "expired": "cancelled",
}
"""What the status of an order means as long as nothing of it is delivered."""

DELIVERY_WORDS: Final[Mapping[str, str]] = {
    "not started": "held_service",
    "scheduled": "held_service",
    "activating": "held_service",
    "failed": "held_service",
    "paused": "held_billing",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "active": "paid",
    "activated": "paid",
    "completed": "paid",
}
"""What the status of the delivery means, once the order is approved."""

STATE_WORDS: Final[Mapping[str, str]] = {**DELIVERY_WORDS, **STATUS_WORDS}
MEANINGS: Final = ("unpaid", "held_review", "held_service", "held_billing", "paid", "cancelled")
"""What a word of an installation's own may mean."""
