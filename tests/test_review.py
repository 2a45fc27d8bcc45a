"""What an adversarial reading of the judging core turned up: money counted twice, given back, or never looked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    PAYER,
    RECIPIENT,
    Row,
    claim_row,
    payment_id,
    plain_transfer_row,
    reference,
    request_id,
    transfer_row,
    tx_hash,
)
from tests.judging import verdicts
from tests.test_match import open_row

ME = payment_id(1)
OTHER = payment_id(2)
ENGINES = ("polars", "duckdb", "pandas")
UNPAID: dict[str, Any] = {"state": "unpaid", "state_raw": "unpaid", "tx_hashes": None}


def payout_row(number: int = 1, **given: Any) -> Row:
    """A release under way that only its recorded hash can prove."""
    values: dict[str, Any] = {
        "direction": "out", "provider": "shkeeper", "escrow_state": "releasing", "reference": None,
        "request_id": None, "external_id": payment_id(number), "recipient": PAYER, "tx_hash": tx_hash(1),
    }  # fmt: skip
    return open_row(number, **{**values, **given})


def payout_claim(number: int = 1, **given: Any) -> Row:
    """What the gateway says of that release: paid."""
    own = payment_id(number)
    values: dict[str, Any] = {
        "provider": "shkeeper", "object": "payout", "claim_id": own, "external_id": own, "request_id": None,
        "reference": None, "reference_topic": None,
    }  # fmt: skip
    return claim_row(number, **{**values, **given})


@pytest.mark.parametrize("engine", ENGINES)
def test_one_outgoing_transfer_proves_no_two_releases(engine: str) -> None:
    rows: dict[str, Any] = {
        "payments": [payout_row(1), payout_row(2)],
        "claims": [payout_claim(1), payout_claim(2)],
        "transfers": [plain_transfer_row(recipient=PAYER, sender=RECIPIENT)],
    }
    assert verdicts(rows, engine=engine) == {ME: "duplicate_tx_hash", OTHER: "duplicate_tx_hash"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_known_to_one_row_by_reference_and_to_another_by_id_is_one_provider_object(engine: str) -> None:
    rows: dict[str, Any] = {
        "payments": [open_row(1, request_id=None), open_row(2, request_id=request_id(1), reference=None)],
        "claims": [claim_row(1)],
        "transfers": [transfer_row(1)],
    }
    assert rows["payments"][0]["reference"] == reference(1)
    assert verdicts(rows, engine=engine) == {ME: "duplicate_provider_key", OTHER: "duplicate_provider_key"}
