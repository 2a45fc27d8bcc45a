"""The builders fit the tables, and what they call one payment is one."""

from __future__ import annotations

from datetime import UTC, datetime

import bson
import pytest

from recon.core.money import decimal_text, parse_units
from recon.core.registry import load_registry
from recon.core.tables import TABLES, arrow_schema
from tests.support import builders


def test_the_default_payment_is_the_same_in_document_and_row() -> None:
    document, row = builders.payment_document(7), builders.payment_row(7)
    token = load_registry().token(builders.CHAIN, document["amount"]["currency"])
    assert token is not None
    assert (token.address, token.decimals) == (row["token"], row["decimals"])
    assert parse_units(decimal_text(document["amount"]["amount"]), decimals=token.decimals) == row["expected_units"]
    assert str(document["_id"]) == row["payment_id"]
    assert document["blockchain"]["transactionHash"] == row["tx_hash"]


def test_claim_and_transfer_of_one_number_belong_to_its_payment() -> None:
    rows = builders.one_payment(7)
    [payment], [claim], [transfer] = rows["payments"], rows["claims"], rows["transfers"]
    assert payment["request_id"] == claim["request_id"]
    assert payment["reference_topic"] == claim["reference_topic"] == transfer["reference_topic"]
    assert payment["tx_hash"] == claim["tx_hashes"] == transfer["tx_hash"]
    assert payment["expected_units"] == claim["paid_units"] == transfer["amount_units"]


def test_two_numbers_share_nothing() -> None:
    first, second = builders.payment_row(1), builders.payment_row(2)
    for column in ("payment_id", "request_id", "reference", "tx_hash", "order_id", "buyer_id", "digest"):
        assert first[column] != second[column]


def test_a_document_is_what_mongodb_can_hold() -> None:
    for document in (builders.payment_document(1), builders.shkeeper_document(1)):
        assert bson.decode(bson.encode(document), codec_options=bson.CodecOptions(tz_aware=True)) == document
    assert datetime.fromtimestamp(builders.NOW_MS / 1000, UTC).isoformat() == "2026-11-20T12:00:00+00:00"


def test_changes_reach_into_a_document_and_take_fields_away() -> None:
    document = builders.payment_document(1, {"blockchain.transactionHash": builders.GONE, "metadata.hold": True})
    assert "transactionHash" not in document["blockchain"]
    assert document["metadata"]["hold"] is True


def test_a_mistyped_column_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="txhash"):
        builders.payment_row(1, txhash="0x")


def test_tables_are_all_there() -> None:
    tables = builders.tables(**builders.one_payment(1), gaps=[builders.gap_row()], deliveries=[builders.delivery_row()])
    assert set(tables) == set(TABLES)
    assert all(table.schema == arrow_schema(name) for name, table in tables.items())
    assert tables["payments"].num_rows == 1
