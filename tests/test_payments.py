"""The payments source: documents of every shape become rows, and a real mongod is read without losing one."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from recon import ids
from recon.errors import ReconError, SourceError
from recon.model import PROBLEMS, Policy
from recon.registry import load_registry
from recon.sources.documents import document_text, milliseconds
from recon.sources.fields import FieldPaths
from recon.sources.interface import Reading, Selection
from recon.sources.mongo import (
    MongoSettings,
    MongoStore,
    StoreForbiddenError,
    StoreInterruptedError,
    StoreLoginError,
    StoreMissingError,
    StoreSlowError,
    StoreUnreachableError,
    StoreUriError,
    after_id,
    hosts_of,
)
from recon.sources.payments import ListStore, RowRules, payment_rows, read_payments
from recon.tables import PAYMENTS, arrow_schema
from tests import servers

if TYPE_CHECKING:
    import pyarrow as pa
    from pymongo.database import Database

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
REQUEST = "01" + "ab" * 32
HASH = "0x" + "cd" * 32
WALLET = "0x" + "1a" * 20
USDC_BASE = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
USDT_BSC = "0x55d398326f99059ff775485246999027b3197955"
POLICY = Policy()


def payment(**changes: Any) -> dict[str, Any]:
    """A pending Request Network payment of 12.5 USDC on Base; a key with ``__`` goes below."""
    document: dict[str, Any] = {
        "_id": ObjectId("65a000000000000000000001"),
        "purchaseRequestId": ObjectId("65a0000000000000000000aa"),
        "sellerOfferId": "offer-1",
        "buyerId": ObjectId("65a0000000000000000000bb"),
        "provider": "request.network",
        "direction": "in",
        "status": "pending",
        "amount": {"amount": 12.5, "currency": "USDC"},
        "blockchain": {"network": "base"},
        "metadata": {"requestId": REQUEST, "paymentReference": "0x" + "0A" * 8},
        "createdAt": NOW,
        "updatedAt": NOW,
        "__v": 0,
    }
    for name, value in changes.items():
        *parents, leaf = name.split("__") if name != "__v" else [name]
        node = document
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return document


def rows_of(*documents: Mapping[str, Any], **rules: Any) -> list[dict[str, Any]]:
    given = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY, **rules}
    rows: list[dict[str, Any]] = payment_rows(list(documents), **given).to_pylist()
    return rows


def row_of(**changes: Any) -> dict[str, Any]:
    return rows_of(payment(**changes))[0]


def read(store: Any, selection: Selection | None = None, **rules: Any) -> tuple[Reading, list[dict[str, Any]]]:
    given = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY, **rules}
    batches: list[pa.RecordBatch] = []
    reading = read_payments(store, selection=selection or Selection(), sink=batches.append, **given)
    return reading, [row for batch in batches for row in batch.to_pylist()]


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
        (Decimal128("-0.00"), "amount_not_positive"), (0.1 + 0.2, "amount_too_fine"),
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


@pytest.mark.parametrize("value", ["2026-11-20T12:00:00Z", 1700000000000, None, [NOW], {"$date": 1}])
def test_a_date_that_is_no_date_is_a_problem(value: Any) -> None:
    row = row_of(createdAt=value)
    assert (row["created_at"], row["problem"]) == (None, "date_unreadable")


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


# --- a real server ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[servers.Mongod]:
    """A mongod with authentication on, a replica set of one."""
    server = servers.start_mongod(auth=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def reader_uri(guarded: servers.Mongod) -> str:
    """A user who may only read the marketplace."""
    return guarded.create_user("reader", "p@ss:word/1", database="marketplace")


@pytest.fixture
def marketplace(guarded: servers.Mongod) -> Iterator[Database[dict[str, Any]]]:
    with guarded.client() as client:
        client.drop_database("marketplace")
        yield client["marketplace"]


def store_of(uri: str, **changes: Any) -> MongoStore:
    return MongoStore(MongoSettings(uri=uri, **{"timeout_ms": 5_000, **changes}), sleep=lambda _: None)


def odd_payments() -> list[dict[str, Any]]:
    """Documents whose ids are of every type and whose values are of every kind, none of them twice."""
    text = "65a000000000000000000001"
    hashes = {"blockchain__transactionHash": HASH}
    documents = [
        payment(), payment(_id=text, **hashes), payment(_id="zz", createdAt="2026-11-20"),
        payment(_id="", metadata=None),
        payment(_id=1, amount__amount=Decimal128("1.00")), payment(_id=Int64(2), amount__amount=Int64(5)),
        payment(_id=2.5, amount__amount=float("nan")), payment(_id=float("nan"), metadata="text"),
        payment(_id=Decimal128("2.75"), metadata=[]), payment(_id={"a": 1, "b": [1]}, blockchain=None),
        payment(_id=b"\x00\x01", amount=None), payment(_id=True, status="Pending"),
        payment(_id=NOW, provider="SHKeeper"),
        payment(_id=None, requestIds=[REQUEST], metadata={}), payment(_id=bson.Timestamp(1, 2), createdAt=None),
        payment(_id=ObjectId("ff" * 12), provider="shkeeper", metadata={"walletAddress": WALLET}),
    ]  # fmt: skip
    del documents[-2]["createdAt"]
    return documents


def insert(database: Database[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> None:
    database["payments"].insert_many(documents, ordered=False)


def names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(row["payment_id"]) for row in rows)


def test_a_reader_sees_every_id_type_once_and_each_row_is_that_of_its_document(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    documents = odd_payments()
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        reading, rows = read(store)
    assert names(rows) == names(rows_of(*documents))
    assert reading.gaps == ()
    (coverage,) = reading.coverage
    assert (coverage.source, coverage.scope, coverage.complete, coverage.items) == ("payments", "window", True, 16)
    assert coverage.wire_bytes > 1000
    plain = {row["payment_id"]: row for row in rows_of(*documents)}
    for row in rows:
        expected = plain[row["payment_id"]]
        same = {name for name in row if row[name] == expected[name]}
        # The server's projection drops a parent that is no object; everything but the digest is the same.
        assert set(row) - same <= {"digest"}


def test_a_scan_that_breaks_off_anywhere_is_taken_up_and_skips_none(
    marketplace: Database[dict[str, Any]], reader_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import CursorNotFound

    documents = odd_payments()
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        whole = [document["_id"] for batch in store.scan(Selection()) for document in batch]
        resumed: list[Any] = []
        original = store._raw_batches

        def one_at_a_time(condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
            for data in original(condition, last):
                length = int.from_bytes(data[:4], "little")
                yield data[:length]
                raise CursorNotFound("cursor id 7 not found")

        monkeypatch.setattr(store, "_raw_batches", one_at_a_time)
        resumed = [document["_id"] for batch in store.scan(Selection()) for document in batch]
    assert [repr(value) for value in resumed] == [repr(value) for value in whole]
    assert len(resumed) == len(documents)


def test_a_scan_that_cannot_be_taken_up_leaves_a_gap_and_says_so(
    marketplace: Database[dict[str, Any]], reader_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import AutoReconnect

    insert(marketplace, odd_payments())
    with store_of(reader_uri, retries_max=2) as store:
        original = store._raw_batches

        def dies(condition: dict[str, Any], last: list[Any]) -> Iterator[bytes]:
            if not last:
                data = next(original(condition, last))
                yield data[: int.from_bytes(data[:4], "little")]
            raise AutoReconnect("connection closed")

        monkeypatch.setattr(store, "_raw_batches", dies)
        window = Selection(from_at=NOW - dt.timedelta(days=1), to_at=NOW + dt.timedelta(days=1))
        reading, rows = read(store, window)
        with pytest.raises(StoreInterruptedError, match="broke off after 1 documents"):
            list(store.scan(window))
    assert len(rows) == 1
    assert not reading.coverage[0].complete
    assert "could not be taken up again" in str(reading.coverage[0].problem)
    (gap,) = reading.gaps
    assert (gap.from_ms, gap.to_ms) == (milliseconds(window.from_at), milliseconds(window.to_at))


def test_a_store_that_gives_less_than_it_counts_is_never_complete() -> None:
    class Forgetful(ListStore):
        def count(self, selection: Selection) -> int:
            return super().count(selection) + 1

    reading, rows = read(Forgetful([payment()]))
    assert len(rows) == 1
    assert "counts 2 payments in the window and gave 1" in str(reading.coverage[0].problem)
    assert reading.gaps


def test_a_window_takes_its_start_and_not_its_end_and_keeps_rows_without_a_date(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    hour = dt.timedelta(hours=1)
    insert(
        marketplace,
        [
            payment(_id="before", createdAt=NOW - hour), payment(_id="start", createdAt=NOW),
            payment(_id="inside", createdAt=NOW + hour / 2), payment(_id="end", createdAt=NOW + hour),
            payment(_id="text", createdAt="2026-11-20"), payment(_id="none", createdAt=None),
            payment(_id="far", createdAt=bson.datetime_ms.DatetimeMS(400_000_000_000_000)),
        ],
    )  # fmt: skip
    window = Selection(from_at=NOW, to_at=NOW + hour)
    with store_of(reader_uri) as store:
        _, rows = read(store, window)
        assert names(rows) == ["inside", "none", "start", "text"]
        assert store.count(window) == 4
        assert "far" in names(read(store, Selection(from_at=NOW))[1])
        updated = Selection(from_at=NOW, to_at=NOW + hour, date_field="updated")
        assert len(read(store, updated)[1]) == 7


SELECTIONS = {
    "all": Selection(),
    "from": Selection(from_at=NOW),
    "to": Selection(to_at=NOW),
    "updated": Selection(from_at=NOW, to_at=NOW + dt.timedelta(days=1), date_field="updated"),
    "provider": Selection(providers=("shkeeper",)),
    "providers": Selection(providers=("request_network", "shkeeper")),
    "unknown provider": Selection(providers=("paypal",)),
    "status": Selection(statuses=("pending", "completed")),
    "odd status": Selection(statuses=("Pending",)),
    "open": Selection(open_only=True, providers=("request_network",)),
    "ids": Selection(ids=("65a000000000000000000001", "zz", "1", "nowhere", "FF" * 12)),
    "quoted id": Selection(ids=('"65a000000000000000000001"', '{"$numberInt": "1"}')),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_list_selects_what_the_server_selects(
    name: str, marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    insert(marketplace, odd_payments())
    stored = list(marketplace["payments"].find())
    with store_of(reader_uri) as store:
        _, from_server = read(store, SELECTIONS[name])
        assert store.count(SELECTIONS[name]) == len(from_server)
    _, from_list = read(ListStore(stored), SELECTIONS[name])
    assert names(from_list) == names(from_server)


def test_an_id_given_as_text_is_looked_up_in_both_types(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, odd_payments())
    with store_of(reader_uri) as store:
        _, rows = read(store, Selection(ids=("65A000000000000000000001",)))
    assert {row["id_type"] for row in rows} == {"objectId"}
    with store_of(reader_uri) as store:
        _, rows = read(store, Selection(ids=("65a000000000000000000001",)))
    assert {row["id_type"] for row in rows} == {"objectId", "string"}


def test_fetch_reads_exactly_the_ids_from_the_primary_and_keeps_odd_parents(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    documents = [*odd_payments(), payment(_id="odd", metadata=None, blockchain=[1], secret="never read")]
    insert(marketplace, documents)
    with store_of(reader_uri) as store:
        found = list(store.fetch(["65a000000000000000000001", "odd", "nowhere"]))
    assert [ids.payment_id_text(document["_id"]) for document in found] == ["odd", "65a000000000000000000001"]
    assert found[0]["metadata"] is None
    assert found[0]["blockchain"] == [1]
    assert "secret" not in found[0]
    (listed,) = ListStore(documents).fetch(["odd"])
    assert document_text(listed) == document_text(found[0])


def test_claimants_are_found_in_every_path_and_spelling_whatever_their_date(
    marketplace: Database[dict[str, Any]], reader_uri: str
) -> None:
    old = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
    bare = HASH[2:]
    documents = [
        payment(_id="plain", createdAt=old, blockchain__transactionHash=HASH),
        payment(_id="upper", blockchain__transactionHash=bare.upper()),
        payment(_id="mixed", blockchain__transactionHash="0X" + "cD" * 32),
        payment(_id="below", metadata={"txHash": HASH}),
        payment(_id="other", blockchain__transactionHash="0x" + "ce" * 32),
        payment(_id="listed", metadata={}, requestIds=["x", "0x" + REQUEST.upper()]),
        payment(_id="shk", provider="SHKeeper", metadata={"externalId": "Ext-1"}),
        payment(_id="case", provider="shkeeper", metadata={"externalId": "ext-1"}),
        payment(_id=ObjectId("65a000000000000000000009"), provider="shkeeper", metadata={}),
    ]
    insert(marketplace, documents)

    def claims(store: Any, field: str, *values: str) -> list[tuple[str, str]]:
        found = store.find_claimants(field, values)
        return sorted((value, ids.payment_id_text(document["_id"])) for value, document in found)

    with store_of(reader_uri) as real:
        for store in (real, ListStore(documents)):
            assert claims(store, "tx_hash", HASH) == [(HASH, name) for name in ("below", "mixed", "plain", "upper")]
            assert (REQUEST, "listed") in claims(store, "request_id", REQUEST)
            assert len(claims(store, "reference", "0A" * 8, "ff" * 8)) == 4
            assert claims(store, "external_id", "Ext-1") == [("Ext-1", "shk")]
            assert claims(store, "external_id", "65a000000000000000000009") == [
                ("65a000000000000000000009", "65a000000000000000000009")
            ]
            assert claims(store, "tx_hash", "junk", "") == []


def test_the_identity_names_the_collection_by_its_uuid(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod
) -> None:
    insert(marketplace, [payment()])
    with store_of(reader_uri) as store:
        first = store.identity()
        marketplace["payments"].drop()
        insert(marketplace, [payment()])
        second = store.identity()
    assert first.replica_set == "rs0"
    assert first.hosts == (f"127.0.0.1:{guarded.port}",)
    assert (first.database, first.collection) == ("marketplace", "payments")
    assert first.collection_uuid is not None
    assert first.collection_uuid != second.collection_uuid


def test_check_says_what_is_there_and_what_will_be_slow(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, [payment()])
    with store_of(reader_uri) as store:
        said = store.check(now=dt.datetime.now(dt.UTC))
        assert "marketplace.payments" in said
        assert "no index begins with createdAt" in said
        assert "clock" not in said
        assert "clock" in store.check(now=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
        marketplace["payments"].create_index("createdAt")
        marketplace["payments"].create_index("updatedAt")
        assert "no index" not in store.check()


def test_a_wrong_password_a_dead_server_a_missing_collection_each_say_so_without_a_secret(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    insert(marketplace, [payment()])
    dead = f"mongodb://reader:hunter2@127.0.0.1:{servers.free_port()}/"
    wrong = guarded.uri_for("reader", "hunter2", auth_database="marketplace")
    nobody = f"mongodb://127.0.0.1:{guarded.port}/?replicaSet=rs0"
    cases: list[tuple[MongoStore, type[SourceError], str]] = [
        (store_of(dead, timeout_ms=300), StoreUnreachableError, "no usable server answered"),
        (store_of(wrong), StoreLoginError, "refuses the user or the password"),
        (store_of(nobody), StoreForbiddenError, "role 'read'"),
        (store_of(reader_uri, collection="paymnets"), StoreMissingError, "it holds|the database holds payments"),
        (store_of(reader_uri, database="markt"), StoreForbiddenError, "may not read markt.payments"),
        (store_of(reader_uri, database="a b"), StoreMissingError, "is no possible name"),
        (store_of(guarded.uri, database="markt"), StoreMissingError, "is not there"),
    ]
    for store, error, sentence in cases:
        with store:
            with pytest.raises(error, match=sentence) as caught:
                store.check()
            store.close()
            reading, rows = read(store)
            assert rows == [] or store.settings.collection == "payments"
        assert "hunter2" not in str(caught.value)
        assert "reader" not in str(caught.value)
        assert "p%40ss" not in repr(store.settings)
        assert not any("hunter2" in str(row.problem) for row in reading.coverage)
    assert "hunter2" not in caplog.text


def test_a_refused_login_is_still_called_that_the_second_time(guarded: servers.Mongod) -> None:
    with store_of(guarded.uri_for("reader", "wrong"), timeout_ms=700) as store:
        for _ in range(2):
            with pytest.raises(StoreLoginError):
                store.check()


def test_an_empty_collection_is_reported(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    marketplace.create_collection("payments")
    with store_of(reader_uri) as store, pytest.raises(StoreMissingError, match="is empty"):
        store.check()


@pytest.mark.parametrize("uri", ["", "postgres://u:hunter2@h/", "mongodb://u:hunter2@:x/", "mongodb://u:p:hunter2@h"])
def test_a_uri_that_cannot_be_read_is_not_quoted(uri: str) -> None:
    with pytest.raises(ReconError) as caught:
        store_of(uri, timeout_ms=100).check()
    assert isinstance(caught.value, StoreUriError)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://u:s%40t@db1:27017,db2:27018/x?replicaSet=rs", "db1:27017,db2:27018"),
        ("mongodb+srv://u:p@cluster0.example.net/", "cluster0.example.net"), ("mongodb://[::1]:27017", "[::1]:27017"),
        ("mongodb://u:p@s s/", "the given hosts"), ("", "the given hosts"),
    ],
)  # fmt: skip
def test_only_the_hosts_of_a_uri_are_named(uri: str, hosts: str) -> None:
    assert hosts_of(uri) == hosts


def test_a_query_that_takes_too_long_is_given_up(marketplace: Database[dict[str, Any]], reader_uri: str) -> None:
    insert(marketplace, [payment(_id=str(number)) for number in range(20_000)])
    with store_of(reader_uri, query_ms=1) as store:
        with pytest.raises(StoreSlowError, match="took longer than"):
            store.count(Selection(providers=("shkeeper",)))
        reading, _ = read(store, Selection(providers=("shkeeper",)))
    assert not reading.coverage[0].complete


def test_nothing_is_written_by_reading(
    marketplace: Database[dict[str, Any]], reader_uri: str, guarded: servers.Mongod
) -> None:
    insert(marketplace, odd_payments())
    with guarded.client() as client:
        before = client["marketplace"].command("dbHash")["collections"]
        with store_of(reader_uri) as store:
            read(store)
            list(store.fetch(["zz"]))
            list(store.find_claimants("tx_hash", [HASH]))
            store.identity()
        assert client["marketplace"].command("dbHash")["collections"] == before


def test_a_server_that_restarts_in_the_middle_is_read_to_the_end() -> None:
    server = servers.start_mongod(replica_set=False)
    try:
        with server.client() as client:
            client["marketplace"]["payments"].insert_many([payment(_id=f"{n:05}") for n in range(9_000)])
            client.admin.command("fsync")
        with store_of(server.uri) as store:
            scan = store.scan(Selection())
            seen = [document["_id"] for document in next(scan)]
            server.kill()
            server.start()
            seen += [document["_id"] for batch in scan for document in batch]
        assert seen == [f"{n:05}" for n in range(9_000)]
    finally:
        server.stop()


def test_the_order_of_input_does_not_change_a_row() -> None:
    documents = odd_payments()
    rows = {row["payment_id"]: row for row in rows_of(*documents)}
    random.Random(4).shuffle(documents)
    assert {row["payment_id"]: row for row in rows_of(*documents)} == rows


def test_resuming_after_an_id_names_the_types_behind_it() -> None:
    assert after_id(7)["$or"][1] == {
        "_id": {"$type": ["string", "object", "binData", "objectId", "bool", "date", "timestamp"]}
    }
    assert after_id("x")["$or"][0] == {"_id": {"$gt": "x"}}
    assert after_id(float("nan"))["$or"][0] == {"_id": {"$gte": float("-inf")}}
    assert after_id(bson.Timestamp(1, 1))["$or"] == [{"_id": {"$gt": bson.Timestamp(1, 1)}}]
