"""The world of orders is judged as what was done says, and planned as is right."""

from __future__ import annotations

from pathlib import Path

from recon.api.start import demo
from recon.core.model import Verdict
from recon.simulation import load_truth
from recon.simulation.order_world import ORDER_CASES, OrderCase, order_world, true_of_order
from recon.simulation.score import score


def test_every_order_of_the_demo_is_judged_as_what_was_done_says(tmp_path: Path) -> None:
    made = demo(tmp_path / "demo", payments=200, seed=3, rail="salesforce", say=lambda text: None)
    truths = load_truth(tmp_path / "demo" / "world" / "truth.ndjson")
    found = score(made.plan, truths)
    assert not [(each.planted, each.expected, each.found, each.missing) for each in found.misjudged]
    assert found.is_perfect
    assert {truth.planted for truth in truths} == {affair.name for affair in ORDER_CASES}
    assert {change.tier for change in made.plan.changes} == {"review"}, "the word of books alone is never written"
    assert all(row["complete"] for row in made.plan.coverage)
    reasons = {each.verdict: each.reason for each in made.plan.findings}
    assert "hold no money" in reasons[Verdict.LOCAL_BEHIND] and "was delivered" in reasons[Verdict.LOCAL_BEHIND]
    assert "Provider salesforce (" in reasons[Verdict.STUCK_PENDING]


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    one, same, other = (order_world(40, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.recorded.payments != other.recorded.payments


def test_what_was_done_says_what_is_true() -> None:
    """Where the referee could be wrong by its own order of questions."""
    right = {
        OrderCase("", "pending", "Pending Review", "Active"): Verdict.UNPROVEN,
        OrderCase("", "pending", "Approved", "Active", share=99): Verdict.UNDERPAID,
        OrderCase("", "pending", "Approved", is_young=True): Verdict.IN_TRANSIT,
        OrderCase("", "pending", "Approved"): Verdict.STUCK_PENDING,
        OrderCase("", "completed", "Draft"): Verdict.LOCAL_AHEAD,
    }
    assert {affair: true_of_order(affair) for affair in right} == right
