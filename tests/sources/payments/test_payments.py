"""Documents of every shape become rows of the payments table; what a store gives is counted."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from recon.core import ids
from recon.core.model import PROBLEMS
from recon.core.registry import load_registry
from recon.core.stored_times import HOW, told_mark
from recon.core.tables import PAYMENTS, arrow_schema
from recon.core.times import millisecond_text
from recon.plans.stored_words import problem_words, read_from
from recon.sources.interface import Selection
from recon.sources.payments.documents import document_text, milliseconds
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.read import COLUMNS_FROM, ListStore, RowRules, payment_rows

if TYPE_CHECKING:
    pass

from tests.support.payment_documents import (
    HASH,
    NOW,
    POLICY,
    REQUEST,
    USDC_BASE,
    USDT_BSC,
    WALLET,
    odd_payments,
    payment,
    read,
    row_of,
    rows_of,
)

USDC_POLYGON = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"
USDCE_POLYGON = "0x2791bca1f2de4661ed88a30c99a7a9449aa84174"

# --- one row ---------------------------------------------------------------------------------------------------------


def test_a_plain_payment_fills_the_row() -> None:
    row = row_of(blockchain__transactionHash=HASH.upper().replace("0X", "0x"), blockchain__confirmations=12)
    assert row == {
        **dict.fromkeys(PAYMENTS),
        "payment_id": "65a000000000000000000001",
        "id_type": "objectId",
        "provider": "request_network",
        "provider_raw": "request.network",
        "direction": "in",
        "status": "pending",
        "status_raw": "pending",
        "disputed": False,
        "hold": False,
        "is_test": False,
        "expected_units": Decimal(12_500_000),
        "covered_from_units": Decimal(12_500_000),
        "overpaid_from_units": Decimal(12_500_001),
        "amount_text": "12.5",
        "currency": "USDC",
        "token": USDC_BASE,
        "decimals": 6,
        "chain_id": 8453,
        "network_raw": "base",
        "is_deposit": False,
        "reference": "0a" * 8,
        "reference_topic": ids.reference_topic("0a" * 8),
        "request_id": REQUEST,
        "tx_hash": HASH,
        "simulated": False,
        "confirmations": 12,
        "aml_blocked": False,
        "buyer_id": "65a0000000000000000000bb",
        "order_id": "65a0000000000000000000aa",
        "offer_id": "offer-1",
        "created_at": milliseconds(NOW),
        "dated_at": milliseconds(NOW),
        "updated_at": milliseconds(NOW),
        "paths": "network=blockchain.network reference=metadata.paymentReference request_id=metadata.requestId "
        "token=amount.currency tx_hash=blockchain.transactionHash",
        "digest": row["digest"],
    }


def test_rows_come_in_the_schema_of_the_table_even_when_there_is_none() -> None:
    rules: RowRules = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY}
    assert payment_rows([], **rules).schema == arrow_schema("payments")
    assert payment_rows([payment()], **rules).schema == arrow_schema("payments")


@pytest.mark.parametrize("word", ["request.network", "request-network", "request_network", " Request.Network "])
def test_every_spelling_of_a_provider_is_one_provider(word: str) -> None:
    row = row_of(provider=word)
    assert (row["provider"], row["provider_raw"]) == ("request_network", word)


@pytest.mark.parametrize(
    ("word", "name"), [("decentralized", "decentralized"), ("Other", "other"), (None, ""), (7, "")]
)
def test_an_unknown_provider_keeps_its_word(word: Any, name: str) -> None:
    assert row_of(provider=word)["provider"] == name


@pytest.mark.parametrize(
    ("word", "problem"),
    [("Pending", "status_unknown"), ("released", "status_unknown"), (5, "status_unknown"), (None, "status_missing")],
)
def test_an_unknown_status_word_is_quoted_and_never_folded_into_a_known_one(word: Any, problem: str) -> None:
    row = row_of(status=word)
    assert row["status"] is None
    assert row["status_raw"] == (None if word is None else str(word))
    assert row["problem"] == problem


def test_direction_is_in_when_missing_and_any_other_word_is_kept() -> None:
    document = payment()
    del document["direction"]
    assert rows_of(document)[0]["direction"] == "in"
    assert row_of(direction="sideways")["direction"] == "sideways"
    assert row_of(direction="sideways")["problem"] == "direction_unknown"


def test_an_unknown_escrow_word_is_a_problem_and_an_unset_one_is_null() -> None:
    assert row_of(escrowState="held")["problem"] == "escrow_unknown"
    assert row_of(escrowState="held")["escrow_state"] == "held"
    assert row_of(escrowState=None)["escrow_state"] is None
    assert row_of(escrowState="funded")["problem"] is None


# --- ids -------------------------------------------------------------------------------------------------------------


def test_an_object_id_and_a_string_of_the_same_digits_are_two_payments() -> None:
    text = "65a000000000000000000001"
    first, second = rows_of(payment(), payment(_id=text))
    assert (first["payment_id"], first["id_type"]) == (text, "objectId")
    assert (second["payment_id"], second["id_type"]) == (f'"{text}"', "string")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, "int"), (2**40, "long"), (Int64(7), "long"), (7.5, "double"), (Decimal128("7.50"), "decimal"),
        ({"a": 1}, "object"), (True, "bool"), (NOW, "date"), (b"\x00\xff", "binData"), (None, "null"), ("x", "string"),
    ],
)  # fmt: skip
def test_ids_of_every_type_are_told_apart_and_read_back(value: Any, kind: str) -> None:
    row = row_of(_id=value)
    assert row["id_type"] == kind
    assert row["problem"] is None
    assert ids.payment_id_text(ids.parse_payment_id(row["payment_id"])) == row["payment_id"]


def test_mixed_links_compare_as_text() -> None:
    same = "65a0000000000000000000aa"
    assert row_of(purchaseRequestId=same)["order_id"] == row_of()["order_id"] == same
    assert row_of(purchaseRequestId="template-checkout-1")["order_id"] == "template-checkout-1"
    assert row_of(purchaseRequestId=None)["order_id"] is None


# --- amounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "text", "units"),
    [
        (12.5, "12.5", 12_500_000), (12, "12", 12_000_000), (Int64(12), "12", 12_000_000),
        ("12.50", "12.5", 12_500_000),
        (Decimal128("1.0"), "1", 1_000_000), (Decimal128("1.00"), "1", 1_000_000), (0.1, "0.1", 100_000),
        (1e-06, "0.000001", 1), (Decimal128("1E+3"), "1000", 10**9), (" 7 ", "7", 7_000_000),
        (9007199254740993, "9007199254740993", 9007199254740993 * 10**6),
    ],
)  # fmt: skip
def test_amounts_of_every_type_are_exact(amount: Any, text: str, units: int) -> None:
    row = row_of(amount__amount=amount)
    assert (row["amount_text"], row["expected_units"], row["problem"]) == (text, Decimal(units), None)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        (None, "amount_missing"), (float("nan"), "amount_unreadable"), (float("inf"), "amount_unreadable"),
        (Decimal128("NaN"), "amount_unreadable"), (Decimal128("sNaN"), "amount_unreadable"),
        (Decimal128("-Infinity"), "amount_unreadable"), ("12,50", "amount_unreadable"), ("1e3", "amount_unreadable"),
        ("", "amount_unreadable"), (True, "amount_unreadable"), ([12.5], "amount_unreadable"),
        ({"$numberDecimal": "1"}, "amount_unreadable"), (NOW, "amount_unreadable"), (0, "amount_not_positive"),
        (-0.0, "amount_not_positive"), (0.0, "amount_not_positive"), (-3, "amount_not_positive"),
        (Decimal128("-0.00"), "amount_not_positive"), (100 / 3, "amount_too_fine"), (57.0000001, "amount_too_fine"),
        ("0.30000000000000004", "amount_too_fine"),
        (Decimal128("0.0000001"), "amount_too_fine"), (1e31, "amount_too_large"), (1e300, "amount_too_large"),
        ("9" * 60, "amount_too_large"), (Decimal128("1E+6000"), "amount_too_large"), (5e-324, "amount_too_fine"),
    ],
)  # fmt: skip
def test_an_amount_that_cannot_be_exact_is_a_problem_and_no_number(amount: Any, problem: str) -> None:
    row = row_of(amount__amount=amount)
    assert row["problem"] == problem
    assert row["expected_units"] is row["covered_from_units"] is row["overpaid_from_units"] is None


def test_a_double_of_1e21_is_read_whole_where_it_fits() -> None:
    assert row_of(amount__amount=1e21)["expected_units"] == Decimal(10**27)
    assert row_of(amount__amount=1e21, blockchain__network="bsc")["problem"] == "amount_too_large"
    assert row_of(amount__amount=1e21)["amount_text"] == "1" + "0" * 21


def test_a_missing_amount_is_not_a_zero_and_a_null_amount_neither() -> None:
    document = payment()
    document["amount"] = None
    assert rows_of(document)[0]["problem"] == "amount_missing token_unknown"
    del document["amount"]
    assert rows_of(document)[0]["problem"] == "amount_missing token_unknown"


def test_decimals_belong_to_chain_and_token() -> None:
    assert row_of(blockchain__network="bsc")["expected_units"] == Decimal(125 * 10**17)
    assert row_of(blockchain__network="ethereum")["expected_units"] == Decimal(12_500_000)


@pytest.mark.parametrize(
    ("amount", "covered", "overpaid"), [(100, 95_000_000, 105_000_000), ("0.000001", 1, 2), ("0.00001", 10, 11)]
)
def test_shkeeper_covers_from_95_percent_and_is_overpaid_from_105(amount: Any, covered: int, overpaid: int) -> None:
    row = row_of(provider="shkeeper", amount__amount=amount)
    assert (row["covered_from_units"], row["overpaid_from_units"]) == (Decimal(covered), Decimal(overpaid))


@pytest.mark.parametrize("direction", ["out", "refund"])
@pytest.mark.parametrize("amount", [100, 33.25, "100", Decimal128("100.5"), 10**7])
def test_what_goes_out_is_owed_exactly_whatever_the_gateway_accepts_of_buyers(amount: Any, direction: str) -> None:
    listed = [payment(provider="shkeeper", direction=direction, amount__amount=amount)] * COLUMNS_FROM
    for rows in (rows_of(listed[0]), read(ListStore(listed))[1]):
        assert {row["covered_from_units"] - row["expected_units"] for row in rows} == {0}
        assert {row["overpaid_from_units"] - row["expected_units"] for row in rows} == {1}


def test_a_provider_without_a_tolerance_is_exact() -> None:
    row = row_of(provider="other")
    assert row["overpaid_from_units"] - row["covered_from_units"] == 1


# --- token, network, recipient ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["bsc", "BNB", " Bep20 ", 56, Int64(56), 56.0, Decimal128("56"), "56", "0x38"])
def test_every_way_to_write_a_network_is_one_chain(word: Any) -> None:
    assert row_of(blockchain__network=word)["chain_id"] == 56


def test_networks_unknown_and_missing_are_told_apart() -> None:
    assert row_of(blockchain__network="solana")["problem"] == "network_unknown"
    assert row_of(blockchain__network="solana")["network_raw"] == "solana"
    assert row_of(blockchain__network="  ")["problem"] == "network_missing"
    assert row_of(blockchain=None)["problem"] == "network_missing"


def test_a_coin_of_shkeeper_names_chain_and_token() -> None:
    row = row_of(provider="shkeeper", blockchain={}, amount__currency="BNB-USDT")
    assert (row["chain_id"], row["token"], row["problem"]) == (56, USDT_BSC, None)
    assert "network=amount.currency" in row["paths"]
    assert row_of(amount__currency="BNB-USDT")["problem"] == "token_unknown"


def test_a_token_address_beats_the_symbol_and_an_unknown_one_is_a_problem() -> None:
    assert row_of(blockchain__tokenAddress=USDC_BASE.upper().replace("0X", "0x"))["paths"].count("tokenAddress") == 1
    row = row_of(blockchain__tokenAddress="0x" + "99" * 20)
    assert (row["token"], row["decimals"], row["problem"]) == ("0x" + "99" * 20, None, "token_unknown")
    assert row["expected_units"] is None
    assert row_of(amount__currency="DOGE")["problem"] == "token_unknown"


@pytest.mark.parametrize("currency", ["EUR", "irr", "Toman", "JPY"])
def test_an_amount_in_the_money_of_a_state_is_none_in_a_token_that_does_not_stand_for_it(currency: str) -> None:
    row = row_of(amount__currency=currency, blockchain__tokenAddress=USDC_BASE)
    assert row["problem"] == "currency_differs"


@pytest.mark.parametrize("currency", ["USD", "usd", "USDC", "USDC-base", "DAI"])
def test_a_dollar_is_one_in_a_token_worth_a_dollar(currency: str) -> None:
    assert row_of(amount__currency=currency, blockchain__tokenAddress=USDC_BASE)["problem"] is None


def test_a_merchant_wallet_is_the_recipient_of_last_resort_for_request_network_only() -> None:
    policy = replace(POLICY, merchant_recipients=(WALLET,))
    row = rows_of(payment(), policy=policy)[0]
    assert (row["recipient"], row["is_deposit"]) == (WALLET, False)
    assert "recipient=policy" in row["paths"]
    assert rows_of(payment(provider="shkeeper"), policy=policy)[0]["recipient"] is None
    assert rows_of(payment(direction="out"), policy=policy)[0]["recipient"] is None
    several = replace(POLICY, merchant_recipients=(WALLET, "0x" + "2b" * 20))
    assert rows_of(payment(), policy=several)[0]["recipient"] is None


def test_a_wallet_of_shkeeper_is_a_deposit_address() -> None:
    row = row_of(provider="shkeeper", metadata__walletAddress=WALLET.upper().replace("0X", "0x"))
    assert (row["recipient"], row["is_deposit"]) == (WALLET, True)
    assert row_of(metadata__walletAddress=WALLET)["recipient"] is None
    out = row_of(provider="shkeeper", direction="out", metadata__walletAddress=WALLET)
    assert (out["recipient"], out["is_deposit"]) == (WALLET, False)


def test_a_derived_destination_comes_before_the_stored_receiver() -> None:
    row = row_of(derivedDestination={"address": WALLET, "chainId": 8453}, blockchain__receiver="0x" + "77" * 20)
    assert (row["recipient"], row["is_deposit"]) == (WALLET, False)
    assert row_of(blockchain__receiver="0x" + "77" * 20)["recipient"] == "0x" + "77" * 20


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_request_id_is_found_in_every_place_and_spelling() -> None:
    spelled = "0x" + REQUEST.upper()
    for changes in (
        {"metadata": {"requestNetwork": {"requestId": spelled}}}, {"metadata": {}, "requestId": spelled},
        {"metadata": {}, "requestIds": [spelled, "x"]}, {"metadata": {"requestId": spelled}},
        {"metadata": None, "providerPaymentId": spelled},
    ):  # fmt: skip
        assert row_of(**changes)["request_id"] == REQUEST


def test_a_provider_payment_id_counts_as_request_id_only_when_it_looks_like_one() -> None:
    assert row_of(metadata={}, providerPaymentId="pay_123")["request_id"] is None
    assert row_of(provider="shkeeper", metadata={}, providerPaymentId=REQUEST)["request_id"] is None


def test_the_external_id_of_a_shkeeper_row_is_its_own_id_when_nothing_else_is_stored() -> None:
    assert row_of(provider="shkeeper")["external_id"] == "65a000000000000000000001"
    assert row_of(provider="shkeeper", metadata__externalId="ext-1")["external_id"] == "ext-1"
    assert row_of(provider="shkeeper", metadata__externalId=107)["external_id"] == "107"
    assert row_of()["external_id"] is None


def test_a_reference_is_derived_where_only_its_parts_are_stored() -> None:
    parts = {"requestId": REQUEST, "salt": "ea3bc7caf64110ca"}
    row = row_of(metadata=parts, blockchain__receiver=WALLET)
    assert row["reference"] == ids.payment_reference(REQUEST, "ea3bc7caf64110ca", WALLET)
    assert "reference=derived" in row["paths"]
    assert row_of(metadata=parts)["reference"] is None


def test_a_reference_that_is_none_is_passed_over() -> None:
    row = row_of(paymentReference="0x" + "0b" * 8, metadata={"requestNetwork": {"paymentReference": "junk"}})
    assert row["reference"] == "0b" * 8


def test_a_simulated_hash_is_no_hash_and_junk_is_quoted() -> None:
    row = row_of(blockchain__transactionHash="SIM_1700000000")
    assert (row["tx_hash"], row["tx_hash_raw"], row["simulated"]) == (None, "SIM_1700000000", True)
    row = row_of(blockchain__transactionHash="x" * 5000)
    assert (row["tx_hash"], row["simulated"], len(row["tx_hash_raw"])) == (None, False, 200)
    assert row_of(blockchain__transactionHash=[HASH])["tx_hash_raw"] == json.dumps([HASH])
    assert row_of(blockchain__transactionHash="")["tx_hash_raw"] is None
    assert row_of(blockchain__transactionHash=HASH[2:].upper())["tx_hash"] == HASH


def test_a_demo_payout_is_simulated() -> None:
    assert row_of(direction="out", metadata__demo=True)["simulated"] is True
    assert row_of(direction="out", metadata__demo=False)["simulated"] is False


# --- marks, dates, shapes --------------------------------------------------------------------------------------------


def test_marks_are_on_unless_they_say_otherwise() -> None:
    assert row_of(disputed=True)["disputed"]
    assert row_of(disputed=False, disputeId=ObjectId())["disputed"]
    assert not row_of(disputed=False, disputeId=None)["disputed"]
    assert row_of(metadata__hold={"active": True})["hold"]
    assert row_of(metadata__manualHold="compliance")["hold"]
    assert not row_of(metadata__hold={"active": False})["hold"]
    assert not row_of(metadata__hold="released")["hold"]
    assert row_of(metadata__amlResult={"blocked": True})["aml_blocked"]
    assert row_of(metadata__amlResult={"status": "Rejected"})["aml_blocked"]
    assert not row_of(metadata__amlResult={"status": "clear", "blocked": False})["aml_blocked"]
    assert row_of(provider="test")["is_test"]
    assert row_of(metadata={"requestId": "req_test_1"})["is_test"]


def test_the_safety_check_is_read_from_its_place() -> None:
    check = {"lastCheck": {"status": "pending", "reason": "missing tx hash", "confirmations": 3}}
    row = row_of(metadata__transactionSafety=check)
    assert (row["safety_status"], row["safety_reason"], row["confirmations"]) == ("pending", "missing tx hash", 3)


@pytest.mark.parametrize("value", ["2026-11-20", "20.11.2026 12:00", 1_700_000, None, [NOW], {"$date": 1}, True])
def test_a_date_whose_meaning_is_not_certain_is_a_problem_that_quotes_it(value: Any) -> None:
    row = row_of(createdAt=value)
    assert (row["created_at"], row["problem"]) == (None, "date_unreadable")
    told = [found for word in row["paths"].split() if (found := told_mark(word)) is not None]
    assert [(name, is_read) for name, _, is_read in told] == ([] if value is None else [("createdAt", False)])
    shown = isinstance(value, str | int)
    assert not shown or f"holds {told[0][1]}, which is no certain date" in problem_words(row)
    assert not shown or repr(str(value)) in told[0][1]


@pytest.mark.parametrize(
    ("value", "how"),
    [
        ("2026-11-20T12:00:00Z", "text"), ("2026-11-20 13:00+01:00", "text"), ("2026-11-20T12:00:00.000", "text_utc"),
        (1_795_176_000, "seconds"), (1_795_176_000.0, "seconds"), (Int64(1_795_176_000_000), "milliseconds"),
        (Decimal128("1795176000000"), "milliseconds"), ("1795176000000", "milliseconds"),
        ({"$date": "2026-11-20T12:00:00Z"}, "exported"), ({"$date": {"$numberLong": "1795176000000"}}, "exported"),
        ({"$date": 1_795_176_000_000}, "exported"), ({"$numberLong": "1795176000000"}, "milliseconds"),
        (bson.Timestamp(1_795_176_000, 3), "timestamp"),
    ],
)  # fmt: skip
def test_a_time_that_is_certain_is_read_whatever_it_is_stored_as(value: Any, how: str) -> None:
    several = [payment(_id=f"p{number}", createdAt=value, expiresAt=value) for number in range(COLUMNS_FROM)]
    rules: RowRules = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY}
    for row in (row_of(_id="p", createdAt=value, expiresAt=value), payment_rows(several, **rules).to_pylist()[7]):
        assert (row["problem"], row["created_at"], row["expires_at"]) == (None, milliseconds(NOW), milliseconds(NOW))
        assert row["paths"].endswith(f" createdAt:{how} expiresAt:{how}")
        assert f"createdAt is stored as {HOW[how]}" in read_from(row["paths"])


@pytest.mark.parametrize("field", ["created", "updated"])
def test_a_window_holds_texts_as_it_holds_dates(field: Any) -> None:
    """A database finds no text by a date's range, so all of them are read: those outside are left out here."""
    path, hour = {"created": "createdAt", "updated": "updatedAt"}[field], timedelta(hours=1)
    times = {"inside": NOW, "before": NOW - hour, "at-its-end": NOW + hour}
    documents = [payment(_id=name, **{path: millisecond_text(at)}) for name, at in times.items()]
    documents += [payment(_id=f"{name}-date", **{path: at}) for name, at in times.items()]
    documents += [payment(_id="never", **{path: "soon"})]
    selection = Selection(from_at=NOW, to_at=NOW + hour, date_field=field)
    reading, rows = read(ListStore(documents), selection)
    assert {row["payment_id"] for row in rows} == {"inside", "inside-date", "never"}
    assert (reading.coverage[0].complete, reading.coverage[0].items) == (True, 3)


def test_a_date_past_the_year_9999_is_read_to_the_millisecond() -> None:
    options: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
    document = bson.decode(bson.encode(payment()), codec_options=options)
    document["createdAt"] = bson.datetime_ms.DatetimeMS(400_000_000_000_123)
    assert rows_of(document)[0]["created_at"] == 400_000_000_000_123


@pytest.mark.parametrize("metadata", [None, "text", [], [{"requestId": REQUEST}], 5, {}])
def test_metadata_of_any_type_is_survived(metadata: Any) -> None:
    row = row_of(metadata=metadata)
    assert (row["request_id"], row["reference"], row["problem"]) == (None, None, None)


def test_a_document_with_nothing_in_it_is_a_row_full_of_problems() -> None:
    row = rows_of({})[0]
    assert row["problem"] == "amount_missing date_unreadable network_missing status_missing"
    assert set(str(row["problem"]).split()) <= set(PROBLEMS)


def test_text_cut_inside_a_letter_does_not_stop_the_batch() -> None:
    cut = json.loads('"x\\ud800"')
    names = ("status", "provider", "direction", "escrowState", "purchaseRequestId", "requestId", "providerPaymentId")
    row = rows_of({"_id": "a", "amount": {"currency": cut, "amount": cut}, **dict.fromkeys(names, cut)})[0]
    assert {row[name] for name in ("status_raw", "currency", "provider", "order_id", "request_id")} == {"x?"}
    assert len(row["digest"]) == 64
    assert rows_of({"_id": cut})[0]["problem"].startswith("amount_missing date_unreadable id_unreadable")


def test_the_digest_is_that_of_the_bytes_and_the_same_for_both_forms() -> None:
    raw = bson.encode(payment())
    rows = rows_of(payment(), RawBSONDocument(raw))
    assert rows[0] == rows[1]
    assert rows[0]["digest"] == hashlib.sha256(raw).hexdigest()
    assert row_of(amount__amount=Decimal128("1.0"))["digest"] != row_of(amount__amount=Decimal128("1.00"))["digest"]


def test_document_text_keeps_types_and_the_order_of_fields() -> None:
    document = {
        "b": Int64(1),
        "a": 1.0,
        "n": None,
        "d": Decimal128("1.00"),
        "_id": ObjectId("65a000000000000000000001"),
    }
    assert document_text(document) == (
        '{"b": {"$numberLong": "1"}, "a": {"$numberDouble": "1.0"}, "n": null, "d": {"$numberDecimal": "1.00"}, '
        '"_id": {"$oid": "65a000000000000000000001"}}'
    )
    assert document_text(RawBSONDocument(bson.encode(document))) == document_text(bson.decode(bson.encode(document)))


def test_a_store_that_gives_less_than_it_counts_is_never_complete() -> None:
    class Forgetful(ListStore):
        def count(self, selection: Selection) -> int:
            return super().count(selection) + 1

    reading, rows = read(Forgetful([payment()]))
    assert len(rows) == 1
    assert "counts 2 payments in the window and gave 1" in str(reading.coverage[0].problem)
    assert reading.gaps


def test_the_order_of_input_does_not_change_a_row() -> None:
    documents = odd_payments()
    rows = {row["payment_id"]: row for row in rows_of(*documents)}
    random.Random(4).shuffle(documents)
    assert {row["payment_id"]: row for row in rows_of(*documents)} == rows


@pytest.mark.parametrize(
    ("currency", "network", "chain_id", "token"),
    [
        ("USDC", "eip155:8453", 8453, USDC_BASE), ("USDC-base", "base", 8453, USDC_BASE),
        ("USDC-base", None, 8453, USDC_BASE), ("USDCn-matic", "polygon-mainnet", 137, USDC_POLYGON),
        ("USDCn-matic", None, 137, USDC_POLYGON), ("USDC-matic", None, 137, USDCE_POLYGON),
        ("USDC-optimism", None, 10, "0x7f5c764cbc14f9669b88837ca1490cca17c31607"),
        ("USDT-bsc", "eip155:56", 56, USDT_BSC),
        (f"eip155:56/erc20:{USDT_BSC}", None, 56, USDT_BSC), ("USDC-base", "bsc", 56, None),
        ("USDT0-arbitrum-one", None, 42161, "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9"),
    ],
)  # fmt: skip
def test_names_of_other_registries_are_understood(
    currency: str, network: str | None, chain_id: int, token: str | None
) -> None:
    blockchain = {} if network is None else {"network": network}
    row = row_of(amount__currency=currency, blockchain=blockchain)
    assert (row["chain_id"], row["token"]) == (chain_id, token)
    assert row["problem"] == (None if token else "token_unknown")


def test_every_key_of_a_row_is_kept() -> None:
    first, second, third = (f"01{n:064x}" for n in range(3))
    many = [f"01{n:064x}" for n in range(3, 9)]
    metadata = {"requestIds": [None, second, first], "attempts": [{"requestId": third}]}
    metadata["paymentReference"] = "0x" + "0A" * 8
    row = row_of(requestId=first, metadata=metadata, paymentReferences=["0b" * 8, "0a" * 8])
    assert row["request_id"] == first
    assert json.loads(row["further_keys"]) == [
        ["request_id", second], ["request_id", third], ["reference", "0b" * 8],
    ]  # fmt: skip
    long = row_of(metadata={}, requestIds=many)
    assert [value for _, value in json.loads(long["further_keys"])] == many[1:]
    assert row_of(requestId=first, requestIds=[first], metadata={})["further_keys"] is None


@pytest.mark.parametrize(
    ("older", "creation"),
    [
        (timedelta(hours=9), timedelta(hours=9)),
        (timedelta(days=89), timedelta(days=89)),
        (timedelta(days=91), timedelta()),  # made for something else
        (timedelta(), timedelta()),
        (timedelta(days=-1), timedelta()),  # a copy with an id of its own
    ],
)
def test_an_object_id_tells_when_a_payment_was_made_whose_date_was_reset(older: timedelta, creation: timedelta) -> None:
    made = ObjectId.from_datetime(NOW - older)
    documents = [payment(_id=made)] * COLUMNS_FROM
    for rows in (rows_of(documents[0]), read(ListStore(documents))[1]):
        assert {row["created_at"] for row in rows} == {milliseconds(NOW - creation)}
        assert {row["dated_at"] for row in rows} == {milliseconds(NOW)}
    assert rows_of(payment(_id=str(made)))[0]["created_at"] == milliseconds(NOW), "a text tells nothing"
