"""What an entry states: exact amounts, ids of any type, and every word that is not known named and never dropped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId

from recon.core.ledger import LedgerRules
from recon.core.registry import load_registry
from recon.sources.ledger.entries import EntryReader, PaymentFacts, payment_spellings
from recon.sources.ledger.mapping import LedgerMapping
from recon.sources.ledger.source import ListEntries

USDC = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
HEX = "665f1c2e9b1d8a0012345678"
PAYMENT = PaymentFacts(HEX, 8453, USDC, 6, "USDC")
MAPPING = LedgerMapping(amount="amount", account="account", token="currency", reverses="reversalOf")


def read(document: dict[str, Any], mapping: LedgerMapping = MAPPING, payment: PaymentFacts | None = PAYMENT) -> Any:
    whole = {"_id": ObjectId(), "paymentId": ObjectId(HEX), "type": "gross_paid", **document}
    return EntryReader(mapping, load_registry()).row(whole, payment, reach="window")


@pytest.mark.parametrize(
    ("stored", "units"),
    [
        ("12.5", 12_500_000), (Decimal128("12.50"), 12_500_000), (12, 12_000_000), (Int64(12), 12_000_000),
        (0.1 + 0.2, 300_000), (12.34, 12_340_000), ("-3", -3_000_000),
        ("90000000000000000000000000.000001", 90_000_000_000_000_000_000_000_000_000_001),
    ],
)  # fmt: skip
def test_an_amount_is_read_to_the_unit(stored: Any, units: int) -> None:
    row = read({"amount": stored})
    assert (row["units"], row["effect_units"], row["problem"]) == (units, units, None)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"amount": "12,5"}, "amount_unreadable"),
        ({}, "amount_unreadable"),
        ({"amount": float("nan")}, "amount_unreadable"),
        ({"amount": True}, "amount_unreadable"),
        ({"amount": "0.0000001"}, "amount_too_fine"),
        ({"amount": "9" * 40}, "amount_too_large"),
        ({"amount": "1", "type": "bonus"}, "kind_unknown"),
        ({"amount": "1", "type": None}, "kind_unknown"),
        ({"amount": "1", "currency": "DOGE"}, "token_unknown"),
        ({"amount": "x", "type": "bonus"}, "amount_unreadable kind_unknown"),
    ],
)
def test_what_cannot_be_read_is_named_and_enters_no_sum(document: dict[str, Any], problem: str) -> None:
    row = read(document)
    assert row["problem"] == problem
    assert row.get("units") is row.get("effect_units") is None
    assert row["entry_id"] is not None


def test_the_sign_comes_from_the_kind_the_amount_or_the_side() -> None:
    assert read({"amount": "7", "type": "release"})["effect_units"] == -7_000_000
    assert read({"amount": "7", "type": "hold"})["effect_units"] == 0
    back = read({"amount": "7", "type": "release", "reversalOf": ObjectId(HEX)})
    assert (back["units"], back["effect_units"], back["undoes_units"]) == (-7_000_000, 7_000_000, 7_000_000)
    by_amount = replace(MAPPING, signs="amount")
    assert read({"amount": "-7", "type": "release"}, by_amount)["units"] == 7_000_000
    assert read({"amount": "7", "type": "release"}, by_amount)["units"] == -7_000_000
    double = replace(
        MAPPING, signs="side", side="side", group="batch", amount_in="base", rules=LedgerRules(is_double=True)
    )  # fmt: skip
    pay_in = read({"amount": "700", "side": "DEBIT", "batch": 4}, double)
    assert (pay_in["units"], pay_in["balance_units"], pay_in["effect_units"]) == (700, -700, 0)
    held = read({"amount": "700", "type": "hold", "side": "credit", "batch": 4}, double)
    assert (held["units"], held["balance_units"], held["effect_units"]) == (700, 700, 700)
    assert read({"amount": "7", "side": "left", "batch": 4}, double)["problem"] == "side_unknown"
    assert read({"amount": "7", "side": "debit"}, double)["problem"] == "group_missing"


def test_the_token_is_that_of_the_entry_and_else_that_of_its_payment() -> None:
    chained = replace(MAPPING, chain="network")
    assert read({"amount": "1"})["token"] == USDC
    usdt = read({"amount": "1", "currency": "USDT", "network": "bsc"}, chained)
    assert (usdt["chain_id"], usdt["decimals"], usdt["units"]) == (56, 18, 10**18)
    assert read({"amount": "1", "currency": USDC.upper().replace("0X", "0x")})["token"] == USDC
    stranger = read({"amount": "1"}, payment=None)
    assert (stranger["token"], stranger["problem"], stranger["amount_text"]) == (None, "token_unknown", "1")


def test_an_id_of_any_type_finds_its_payment() -> None:
    assert payment_spellings(ObjectId(HEX))[0] == HEX
    assert HEX in payment_spellings(HEX)
    assert payment_spellings("order-7") == ("order-7",)
    assert payment_spellings(7)[0] == '{"$numberInt": "7"}'
    assert payment_spellings(None) == ()


def test_a_scan_gives_what_was_made_since_and_what_does_not_say_when() -> None:
    dates = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 5)]
    documents = [{"_id": 1, "createdAt": dates[0]}, {"_id": 2, "createdAt": dates[1]}, {"_id": 3}]
    entries = ListEntries(documents, MAPPING)
    since = int(dates[1].timestamp() * 1000)
    assert [each["_id"] for batch in entries.scan(since) for each in batch] == [2, 3]
