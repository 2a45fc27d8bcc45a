"""What happens at a marketplace, each in a world of its own: its verdict was written down before it was judged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import (
    HEAD,
    HOUR_MS,
    NOW_MS,
    PAYER,
    RECIPIENT,
    UNITS,
    Row,
    claim_row,
    claim_tx_row,
    deposit_address,
    one_payment,
    payment_id,
    payment_row,
    plain_transfer_row,
    transaction_row,
    transfer_row,
    tx_hash,
)
from tests.support.judging import together, verdicts
from tests.verdicts.test_deals import DEAL, SELLER
from tests.verdicts.test_match import deposit_row, open_row

Rows = dict[str, list[Row]]
DAY_MS = 24 * HOUR_MS
DONE: dict[str, Any] = {"status": "completed", "status_raw": "completed", "escrow_state": "funded"}
RELEASED: dict[str, Any] = {"escrow_state": "released"}
REFUNDED: dict[str, Any] = {"status": "refunded", "status_raw": "refunded", "escrow_state": "refunded"}
KEYLESS: dict[str, Any] = dict.fromkeys(("reference", "reference_topic", "request_id"))
STRANGER, WALLET = "0x" + "ab" * 20, "0x" + "0d" * 20
USDC_POLYGON, USDT_BSC = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359", "0x55d398326f99059ff775485246999027b3197955"
HALF, FEW = UNITS // 2, UNITS // 5
LATER = {"block": HEAD - 4000}


def at_gate(number: int = 1, **given: Any) -> Rows:
    """An open payment at a one-time address."""
    return {"payments": [deposit_row(number, **given)]}


def done_at_gate(number: int = 1, **given: Any) -> Rows:
    """A completed one, with the hash of its transfer."""
    return at_gate(number, **{**DONE, "tx_hash": tx_hash(number), **given})


def paid_out(number: int, **given: Any) -> Row:
    """A payout to the seller that is done by its row."""
    out = {"direction": "out", **RELEASED, "recipient": SELLER, "tx_hash": tx_hash(number), **KEYLESS}
    return payment_row(number, **{**out, **given})


def given_back(number: int, **given: Any) -> Row:
    """A refund row of the deal that is done by its row."""
    return paid_out(number, **{"direction": "refund", "escrow_state": "refunded", "recipient": PAYER, **DEAL, **given})


def moved(*transfers: Row) -> Rows:
    return {"transfers": list(transfers)}


def to_gate(number: int, **given: Any) -> Row:
    """A further transfer to the address of payment 1."""
    return plain_transfer_row(number, recipient=deposit_address(1), **given)


def said(number: int = 1, state: str = "unpaid", **given: Any) -> Rows:
    """What the gateway answers about the invoice of a payment."""
    paid = (
        {"paid_units": UNITS, "tx_hashes": tx_hash(number)}
        if state == "paid"
        else {"paid_units": None, "tx_hashes": None}
    )
    names = {"claim_id": payment_id(number), "external_id": payment_id(number), "object": "invoice", **KEYLESS}
    words = {"provider": "shkeeper", "state": state, "state_raw": state.upper()}
    return {"claims": [claim_row(number, **{**names, **words, **paid, **given})]}


def asked(number: int = 1, **given: Any) -> Rows:
    """An open request that its provider calls unpaid."""
    claim = claim_row(number, state="unpaid", state_raw="unpaid", paid_units=None, tx_hashes=None)
    return {"payments": [open_row(number, **given)], "claims": [claim]}


def unseen(number: int, outcome: str = "not_found") -> Rows:
    return {"transactions": [transaction_row(number, outcome=outcome)]}


def paid_by_buyer(**given: Any) -> Rows:
    """Payment 1, by the proxy; the token's own log names who paid."""
    return together(
        one_payment(1, **given), moved(plain_transfer_row(1, recipient=RECIPIENT, sender=PAYER, log_index=1))
    )


BUMPED = together(
    {
        "payments": [
            paid_out(1, tx_hash=tx_hash(5), provider="shkeeper", provider_raw="shkeeper", external_id=payment_id(1))
        ]
    },
    moved(plain_transfer_row(1, recipient=SELLER, sender=WALLET)),
    {"transactions": [transaction_row(5, outcome="not_found"), transaction_row(1)]},
    said(1, "paid", object="payout", state_raw="SUCCESS"),
    {
        "claim_txs": [
            claim_tx_row(1, provider="shkeeper", claim_id=payment_id(1), external_id=payment_id(1), request_id=None)
        ]
    },
)
FAKE = {"token": STRANGER, "token_known": False, "token_symbol": "USDC"}
OTHER_CHAIN = {"chain_id": 137, "token": USDC_POLYGON, "amount_units": 12_500_000}
HAND_OVER = plain_transfer_row(8, recipient=SELLER, sender=RECIPIENT, **LATER)

WORLDS: dict[str, tuple[Rows, dict[int, str]]] = {
    "an exchange pays many people in one transaction": (
        together(
            at_gate(),
            moved(plain_transfer_row(1), plain_transfer_row(1, recipient=STRANGER, log_index=9)),
            said(1, "paid"),
        ),
        {1: "local_behind"},
    ),
    "two logs of one transaction add up": (
        together(
            at_gate(),
            moved(to_gate(1, amount_units=HALF), to_gate(1, amount_units=UNITS - HALF, log_index=9)),
            said(1, "paid"),
        ),
        {1: "local_behind"},
    ),
    "the gateway sweeps the address": (
        together(
            at_gate(),
            moved(to_gate(1), plain_transfer_row(7, recipient=WALLET, sender=deposit_address(1), **LATER)),
            said(1, "paid"),
        ),
        {1: "local_behind"},
    ),
    "a token of the same symbol is no money": (
        together(at_gate(), moved(to_gate(1, **FAKE)), said()),
        {1: "token_mismatch"},
    ),
    "a token of the same symbol beside the money": (
        together(done_at_gate(), moved(to_gate(1), to_gate(7, **FAKE)), said(1, "paid")),
        {},
    ),
    "a transfer of nothing": (together(at_gate(), moved(to_gate(1, amount_units=0)), said()), {}),
    "dust, then the money": (
        together(at_gate(), moved(to_gate(7, amount_units=10**12), to_gate(1)), said(1, "paid")),
        {1: "local_behind"},
    ),
    "the right sum in six decimals on the other chain": (
        together(at_gate(), moved(to_gate(1, **OTHER_CHAIN)), said()),
        {1: "network_mismatch"},
    ),
    "a sped-up transaction, open": (
        together(at_gate(tx_hash=tx_hash(5)), moved(to_gate(1)), unseen(5), said(1, "paid")),
        {1: "local_behind"},
    ),
    "a sped-up transaction, complete": (
        together(done_at_gate(tx_hash=tx_hash(5)), moved(to_gate(1)), unseen(5), said(1, "paid")),
        {1: "tx_hash_mismatch"},
    ),
    "failed on chain, then paid": (
        together(at_gate(tx_hash=tx_hash(5)), moved(to_gate(1)), unseen(5, "reverted"), said(1, "paid")),
        {1: "local_behind"},
    ),
    "money three minutes before the row": (
        together(at_gate(created_at=NOW_MS - HOUR_MS + 180_000), moved(to_gate(1)), said(1, "paid")),
        {1: "local_behind"},
    ),
    "money hours before the row, as by a clock of another zone": (
        together(at_gate(created_at=NOW_MS - HOUR_MS // 2), moved(to_gate(1)), said()),
        {1: "unproven"},
    ),
    "another matter pays an old invoice's address": (
        together(
            done_at_gate(created_at=NOW_MS - 60 * DAY_MS),
            said(1, "paid"),
            moved(to_gate(1, block_time=NOW_MS - 60 * DAY_MS + HOUR_MS, block=HEAD - 900_000), to_gate(7)),
        ),
        {1: "multiple_transfers"},
    ),
    "both attempts of one order were paid": (
        together(
            at_gate(1, status="failed", status_raw="failed", **DEAL),
            done_at_gate(2, **DEAL),
            said(),
            said(2, "paid"),
            moved(plain_transfer_row(1), plain_transfer_row(2)),
        ),
        {1: "competing_payment", 2: "competing_payment"},
    ),
    "a buyer clicks twice": (
        together(one_payment(1), moved(transfer_row(1, tx_hash=tx_hash(7), block=HEAD - 4700))),
        {1: "multiple_transfers"},
    ),
    "one transaction pays two requests": (
        together(
            one_payment(1),
            {"payments": [payment_row(2, tx_hash=tx_hash(1))], "claims": [claim_row(2, tx_hashes=tx_hash(1))]},
            moved(transfer_row(2, tx_hash=tx_hash(1), log_index=7)),
        ),
        {},
    ),
    "the merchant's other wallet": (
        together(asked(), moved(transfer_row(1, recipient=STRANGER))),
        {1: "recipient_mismatch"},
    ),
    "failed, and paid on another chain": (
        together(asked(status="failed", status_raw="failed"), moved(transfer_row(1, chain_id=137))),
        {1: "network_mismatch"},
    ),
    "completed by hand": ({**asked(), "payments": [payment_row(1, tx_hash=None)]}, {1: "local_ahead"}),
    "the hash of an approval": (
        together(one_payment(1, tx_hash=tx_hash(5)), unseen(5, "success")),
        {1: "tx_hash_mismatch"},
    ),
    "a payout by a smart wallet": (
        {"payments": [paid_out(1)], **moved(plain_transfer_row(1, recipient=SELLER, sender=STRANGER, log_index=14))},
        {},
    ),
    "a batch to two sellers": (
        {
            "payments": [paid_out(1), paid_out(2, tx_hash=tx_hash(1), recipient=STRANGER)],
            **moved(plain_transfer_row(1, recipient=SELLER), plain_transfer_row(1, recipient=STRANGER, log_index=9)),
        },
        {},
    ),
    "a payout in another token": (
        {"payments": [paid_out(1)], **moved(plain_transfer_row(1, recipient=SELLER, token=USDT_BSC))},
        {1: "token_mismatch"},
    ),
    "a payout less a fee": (
        {"payments": [paid_out(1)], **moved(plain_transfer_row(1, recipient=SELLER, amount_units=UNITS - 10**18))},
        {1: "underpaid"},
    ),
    "a payout with a raised fee": (BUMPED, {1: "tx_hash_mismatch"}),
    "a payout that records the pay-in": (
        together(one_payment(1, **DEAL), {"payments": [paid_out(8, tx_hash=tx_hash(1), **DEAL)]}),
        {8: "duplicate_tx_hash"},
    ),
    "two payouts of one deal, half each": (
        together(
            one_payment(1, **RELEASED, **DEAL),
            {"payments": [paid_out(number, expected_units=HALF, **DEAL) for number in (8, 9)]},
            moved(
                *(plain_transfer_row(n, recipient=SELLER, sender=RECIPIENT, amount_units=HALF, **LATER) for n in (8, 9))
            ),
        ),
        {},
    ),
    "a payout to the exchange from which the buyer paid": (
        together(
            paid_by_buyer(),
            {"payments": [paid_out(8, recipient=PAYER)]},
            moved(plain_transfer_row(8, recipient=PAYER, sender=RECIPIENT, **LATER)),
        ),
        {},
    ),
    "the buyer got it back after the seller was paid": (
        together(
            paid_by_buyer(**RELEASED, **DEAL),
            {"payments": [paid_out(8, **DEAL), given_back(9)]},
            moved(HAND_OVER, plain_transfer_row(9, recipient=PAYER, sender=RECIPIENT, block=HEAD - 3900)),
        ),
        {1: "refund_drift"},
    ),
    "a refund of twice the sum": (
        together(
            paid_by_buyer(**REFUNDED, **DEAL),
            {"payments": [given_back(9, expected_units=2 * UNITS)]},
            moved(plain_transfer_row(9, recipient=PAYER, sender=RECIPIENT, amount_units=2 * UNITS, **LATER)),
        ),
        {9: "competing_payment"},
    ),
    "a refund that failed on chain": (
        together(paid_by_buyer(**REFUNDED, tx_hash=tx_hash(8)), unseen(8, "reverted")),
        {1: "refund_drift"},
    ),
    "a part was given back": (
        together(
            paid_by_buyer(**DEAL),
            {"payments": [given_back(9, expected_units=FEW)]},
            moved(plain_transfer_row(9, recipient=PAYER, sender=RECIPIENT, amount_units=FEW, **LATER)),
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_judged_as_it_was_written_down(name: str) -> None:
    rows, expected = WORLDS[name]
    assert verdicts(rows) == {payment_id(number): verdict for number, verdict in expected.items()}
