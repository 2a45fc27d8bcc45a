"""Money at a payment's own one-time address that is older than its row."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.model import Policy
from tests.support.builders import (
    HOUR_MS,
    NOW_MS,
    Row,
    claim_row,
    deposit_address,
    payment_id,
    plain_transfer_row,
    tx_hash,
)
from tests.support.judging import counts, judgement_of, together, verdicts
from tests.verdicts.test_deals import described
from tests.verdicts.test_match import ME, deposit_row

ENGINES = ["duckdb", "polars", "pandas"]
RESET = NOW_MS - HOUR_MS // 2
"""When an import made the row anew, after the money had come."""


def reset(**given: Any) -> dict[str, list[Row]]:
    return {"payments": [deposit_row(created_at=RESET, updated_at=RESET, **given)]}


def early(number: int = 7, **given: Any) -> dict[str, list[Row]]:
    moved = {"recipient": deposit_address(1), "block_time": RESET - 8 * HOUR_MS, **given}
    return {"transfers": [plain_transfer_row(number, **moved)]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
def test_money_older_than_the_row_at_its_own_address_is_not_nobodys(status: str, engine: str) -> None:
    past = NOW_MS - HOUR_MS // 4
    rows = together(reset(status=status, status_raw=status, expires_at=past), early())
    assert verdicts(rows, engine=engine) == {ME: "unproven"}


def test_the_sentence_names_the_transfer() -> None:
    finding, _ = described(judgement_of(together(reset(), early())))
    assert f"12.5 USDC came to its address in {tx_hash(7)} on 2026-11-20T03:30:00Z, before the row" in finding.reason
    assert any(tx_hash(7) in text for text in finding.evidence)


def test_where_the_provider_says_paid_it_is_looked_at_with_the_transfer_named() -> None:
    claim = claim_row(
        1, provider="shkeeper", claim_id=payment_id(1), request_id=None, reference=None, reference_topic=None,
        external_id=payment_id(1), object="invoice", tx_hashes=None,
    )  # fmt: skip
    rows = together(reset(), early(), {"claims": [claim]})
    finding, _ = described(judgement_of(rows))
    assert finding.verdict == "provider_ahead"
    assert tx_hash(7) in finding.reason


@pytest.mark.parametrize(
    "moved",
    [
        early(token_known=False),
        early(amount_units=0),
        early(amount_units=10**12),
        early(recipient=deposit_address(2)),
        together(early(), {"payments": [deposit_row(2, recipient=deposit_address(1), created_at=RESET - 9 * HOUR_MS)]}),
    ],
    ids=["fake", "nothing", "dust", "elsewhere", "of an older row"],
)
def test_what_is_nothing_or_another_payments_leaves_the_row_unpaid(moved: dict[str, list[Row]]) -> None:
    policy = Policy(dust_units={f"56:{deposit_row()['token']}": 10**16})
    assert ME not in verdicts(together(reset(), moved), policy=policy)


def test_money_that_comes_later_is_credited_as_ever() -> None:
    rows = together(reset(), early(), {"transfers": [plain_transfer_row(1, block_time=NOW_MS - HOUR_MS // 4)]})
    assert counts(rows) == {"local_behind": 1}
