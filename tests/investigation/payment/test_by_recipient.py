"""A transaction leads to its row by the one-time address that it paid, however old the row is."""

from __future__ import annotations

import shutil
from pathlib import Path

import recon

CASE = Path(__file__).parents[2] / "cases" / "old-deposit-address"
OLDER = "6ae5d5e8fe02ea2fec008d2f"
PAID_TODAY = "0x251babb3ebfa35853c6d5ea6df1523de4f41adae665ef1f1adaf0b913a2d8a84"


def test_a_transaction_that_no_row_records_leads_to_the_row_whose_address_it_paid(tmp_path: Path) -> None:
    shutil.copytree(CASE, tmp_path / "world")
    found = recon.inspect(PAID_TODAY, config=tmp_path / "world" / "recon.toml")
    assert found.dossier.payment_id == OLDER
    assert any(f"paid the one-time address of payment {OLDER}" in text for text in found.dossier.found_by)
    assert found.judged is not None
    assert found.judged.finding.verdict == "multiple_transfers"
