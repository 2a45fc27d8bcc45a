"""Rows that a backend closed although money moved, and money that went out once more: a recorded world."""

from __future__ import annotations

from pathlib import Path

from recon.core.model import Verdict
from tests.support.worlds import plan_of_directory

WORLD = Path(__file__).parents[1] / "cases" / "worlds" / "closed-rows"
ON_ANOTHER_CHAIN, FAILED_PAYOUT = "6affeff0d625367ae7875dd5", "6affeff0d238792e672473ce"
SHORT_PAYOUT = "6affeff078524a588f219d3f"
REFUNDED = "0xbca350262ed24e2c5be28d617c95aac17a4c2248"


def test_closed_rows_are_looked_for_where_money_may_have_moved(tmp_path: Path) -> None:
    plan = plan_of_directory(WORLD, tmp_path, engine="polars")
    found = {finding.payment_id: finding for finding in plan.findings}
    assert found[ON_ANOTHER_CHAIN].verdict is Verdict.NETWORK_MISMATCH
    assert found[SHORT_PAYOUT].reason == "96 of 100 USDT went out."
    first, second = sorted(each.reason for each in plan.findings if each.verdict is Verdict.UNEXPLAINED_OUTFLOW)
    assert first.startswith(f"40 USDT more went to {REFUNDED} than any row explains")
    assert f"Payment {FAILED_PAYOUT} was to send this amount there and was given up" in second
    assert plan.changes == ()
