"""The world of invoices is judged as its money says, and planned as is right."""

from __future__ import annotations

from pathlib import Path

from recon.api.start import demo
from recon.core.model import Verdict
from recon.simulation import load_truth
from recon.simulation.invoice_world import INVOICE_CASES, InvoiceCase, invoice_world, true_of_invoice
from recon.simulation.score import score


def test_every_order_of_the_demo_is_judged_as_its_money_says(tmp_path: Path) -> None:
    made = demo(tmp_path / "demo", payments=400, seed=3, rail="whmcs", say=lambda text: None)
    truths = load_truth(tmp_path / "demo" / "world" / "truth.ndjson")
    found = score(made.plan, truths)
    assert not [(each.planted, each.expected, each.found, each.missing) for each in found.misjudged]
    assert found.is_perfect
    assert {truth.planted for truth in truths} == {affair.name for affair in INVOICE_CASES}
    assert {change.tier for change in made.plan.changes} == {"review"}, "the word of books alone is never written"
    assert all(row["complete"] for row in made.plan.coverage)


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    one, same, other = (invoice_world(40, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.recorded.payments != other.recorded.payments


def test_money_and_intent_say_what_is_true() -> None:
    """Where the referee could be wrong by its own order of questions."""
    right = {
        InvoiceCase("", "pending", "Paid", (60,), credit=40): Verdict.LOCAL_BEHIND,
        InvoiceCase("", "pending", "Paid", (60,), credit=39): Verdict.UNDERPAID,
        InvoiceCase("", "refunded", "Refunded", (100, -100)): Verdict.IN_SYNC,
        InvoiceCase("", "completed", "Refunded", (100, -100)): Verdict.REFUND_DRIFT,
        InvoiceCase("", "completed", "Paid", (100, 100, -100)): Verdict.IN_SYNC,
        InvoiceCase("", "completed", "Paid", (100, 100)): Verdict.OVERPAID,
    }
    assert {affair: true_of_invoice(affair) for affair in right} == right
