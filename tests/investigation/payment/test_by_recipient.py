"""A transaction leads to its row by the one-time address that it paid, however old the row is."""

from __future__ import annotations

import shutil
from pathlib import Path

import recon

CASE = Path(__file__).parents[2] / "cases" / "old-deposit-address"
NEWER = "6b00088ccd71bdaa9c341adc"
OLDER = "6ae5d5e8fe02ea2fec008d2f"
PAID_TODAY = "0x251babb3ebfa35853c6d5ea6df1523de4f41adae665ef1f1adaf0b913a2d8a84"


def test_a_transaction_that_no_row_records_leads_to_the_row_whose_address_it_paid(tmp_path: Path) -> None:
    shutil.copytree(CASE, tmp_path / "world")
    found = recon.inspect(PAID_TODAY, config=tmp_path / "world" / "recon.toml")
    assert found.dossier.payment_id == OLDER
    assert any(f"paid the one-time address of payment {OLDER}" in text for text in found.dossier.found_by)
    assert found.judged is not None
    assert found.judged.finding.verdict == "multiple_transfers"


def world_of(folder: Path, *replaced: tuple[str, str]) -> Path:
    """The case, with texts of its payments replaced by others; gives the configuration."""
    shutil.copytree(CASE, folder / "world")
    payments = folder / "world" / "payments.ndjson"
    text = payments.read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    payments.write_text(text)
    return folder / "world" / "recon.toml"


def test_the_inspection_of_the_unpaid_payment_names_the_money_at_the_buyers_earlier_address(tmp_path: Path) -> None:
    found = recon.inspect(NEWER, config=world_of(tmp_path))
    first, *others = found.causes
    assert (first.name, first.strength.name) == ("paid_to_earlier_address", "LIKELY")
    assert any(PAID_TODAY in said and OLDER in said for said in first.evidence_for)
    assert first.next_step.startswith("Do not ask the buyer to pay again.")
    (never,) = [cause for cause in others if cause.name == "never_paid"]
    assert never.strength.name == "POSSIBLE", "nobody can be sure that nobody has paid"


def test_a_snapshot_that_holds_the_earlier_payment_names_its_money_too(tmp_path: Path) -> None:
    config = world_of(tmp_path)
    taken = recon.snapshot(config=config, out=tmp_path / "snapshot")
    found = recon.inspect(NEWER, config=config, snapshot=taken)
    assert found.causes[0].name == "paid_to_earlier_address"


def test_money_that_came_before_the_payment_was_made_is_not_taken_for_it(tmp_path: Path) -> None:
    # The transfer is of 09:00; the row and its id are now of 09:45.
    later = "6b00169c" + NEWER[8:]
    config = world_of(tmp_path, (NEWER, later), ("1795164300000", "1795167900000"))
    assert "paid_to_earlier_address" not in [cause.name for cause in recon.inspect(later, config=config).causes]


def test_the_money_of_another_buyer_is_not_taken_for_it(tmp_path: Path) -> None:
    buyer, seller = "6ae5d5e8718530ecd6f7b9d9", "6ae5d5e87c5aa4fae7bf98b0"
    between = '"},"sellerId":{"$oid":"'
    config = world_of(tmp_path, (buyer + between + seller, buyer[:-1] + "8" + between + seller))
    found = recon.inspect(NEWER, config=config)
    assert [cause.name for cause in found.causes] == ["never_paid"]
    assert found.causes[0].strength.name == "PROVEN"
