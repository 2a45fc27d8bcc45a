"""The page of causes: what ``recon inspect`` can name as the reason why a payment is as it is, and what to do next."""

from __future__ import annotations

from docs_pages.words import code, made, table
from recon.investigation.payment.causes import CAUSES


def causes_page() -> str:
    """Every cause in the order in which they are weighed."""
    rows = [
        (code(each.name), each.title, each.next_step if isinstance(each.next_step, str) else "as it fits the payment")
        for each in CAUSES
    ]
    return made(
        "Causes",
        f"What `recon inspect` names as the reason why a payment is as it is: {len(CAUSES)} causes, each *proven*, "
        "*likely* or *possible*, with what speaks for it and against it. How to use it: "
        "[Why is this payment stuck](../how-to/stuck-payment.md).",
        table(("cause", "means", "next step"), rows),
    )
