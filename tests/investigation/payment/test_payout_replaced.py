"""A payout whose recorded transaction is gone: what may have replaced it, and what is advised."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recon.api.investigate import inspect
from recon.investigation.payment import Inspection

WORLD = Path(__file__).parents[2] / "cases" / "worlds" / "replaced-payout"
PAYOUT = "6afffe001b36819ee6bb8d56"
REPLACED_BY = "0xa9ddfd3085f410390f634fbb64243579121e07d5e97438cc1b91124387bb06c6"


def inspected(folder: Path, *, marks: dict[str, str] | None = None, **blockchain: Any) -> Inspection:
    shutil.copytree(WORLD, folder / "world")
    payments = folder / "world" / "payments.ndjson"
    row = json.loads(payments.read_text()) | (marks or {})
    row["blockchain"] |= blockchain
    payments.write_text(json.dumps(row) + "\n")
    return inspect(PAYOUT, config=folder / "world" / "recon.toml")


def test_the_transfer_that_may_have_replaced_a_payout_is_shown_and_it_is_not_sent_again(tmp_path: Path) -> None:
    found = inspected(tmp_path)
    assert [cause.name for cause in found.causes] == ["payout_sent_otherwise"]
    assert any("candidate" in text and REPLACED_BY in text for text in found.causes[0].evidence_for)
    assert "re-issue" not in found.causes[0].next_step


def test_a_wallet_that_the_row_does_not_name_may_have_sent_it(tmp_path: Path) -> None:
    assert inspected(tmp_path, sender=None).causes[0].name == "payout_sent_otherwise"


@pytest.mark.parametrize("sender", ["0x" + "77" * 20])
def test_another_wallets_transfer_is_no_candidate_and_the_buyer_is_not_asked(tmp_path: Path, sender: str) -> None:
    found = inspected(tmp_path, sender=sender)
    assert [cause.name for cause in found.causes] == ["payout_hash_gone", "release_stuck"]
    assert not any("buyer" in cause.next_step for cause in found.causes)


def test_of_a_payout_that_was_given_up_and_may_have_left_nothing_says_that_all_agree(tmp_path: Path) -> None:
    given_up = {"status": "failed", "escrowState": "releasable"}
    found = inspected(tmp_path, marks=given_up, transactionHash=None)
    assert [cause.name for cause in found.causes] == ["payout_sent_otherwise"]
