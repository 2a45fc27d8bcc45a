"""What is said beside the money that came short, so that nobody is asked to pay the rest twice."""

from __future__ import annotations

import pytest

from tests.support.builders import UNITS, Row, claim_row, claim_tx_row, transfer_row, tx_hash
from tests.support.judging import together
from tests.verdicts.test_match import open_row
from tests.verdicts.test_unseen import told

HALF = UNITS // 2
USDC_POLYGON = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"
USDT_BNB = "0x55d398326f99059ff775485246999027b3197955"


def half(*others: Row) -> dict[str, list[Row]]:
    return {"payments": [open_row(1)], "transfers": [transfer_row(1, amount_units=HALF), *others]}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            {"chain_id": 137, "token": USDC_POLYGON, "amount_units": 6_250_000},
            "6.25 USDC more came for it on chain 137",
        ),
        ({"token": USDT_BNB, "amount_units": HALF}, "6.25 USDT more came for it on chain 56"),
    ],
)
def test_the_rest_that_lies_elsewhere_is_named(other: Row, said: str) -> None:
    verdict, _, reason = told(half(transfer_row(1, **{"tx_hash": tx_hash(7), **other})))
    assert verdict == "underpaid"
    assert f"{said.format('more came for it on')}, in {tx_hash(7)}: it may be the rest." in reason


@pytest.mark.parametrize(
    "other", [{"token": USDT_BNB, "amount_units": 0}, {"token": "0x" + "0e" * 20, "token_known": False}]
)
def test_nothing_and_unknown_tokens_are_not(other: Row) -> None:
    assert "may be the rest" not in told(half(transfer_row(1, **{"tx_hash": tx_hash(7), **other})))[2]


def asked(amount: str) -> dict[str, list[Row]]:
    claim = claim_row(1, asked_amount=amount, paid_units=HALF)
    return together(half(), {"claims": [claim], "claim_txs": [claim_tx_row(1, amount_units=HALF)]})


def test_what_came_is_what_the_provider_asked_for() -> None:
    said = "That is what the provider asked for, 6.25: the amount in the row is another."
    assert said in told(asked("6.25"))[2]
    assert said not in told(asked("12.5"))[2]
