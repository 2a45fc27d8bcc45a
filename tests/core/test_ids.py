"""Identifiers are normalised once, keep their type, and match what Request Network derives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import example, given
from hypothesis import strategies as st

from recon.core.errors import IdError
from recon.core.ids import (
    is_simulated,
    keccak256,
    normalise_address,
    normalise_hex,
    normalise_reference,
    normalise_request_id,
    normalise_tx_hash,
    parse_payment_id,
    payment_id_text,
    payment_reference,
    reference_topic,
)
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE

ADDRESS = "0x627306090abaB3A6e1400e9345bC60c78a8BEf57"
object_ids = st.binary(min_size=12, max_size=12).map(ObjectId)
scalars = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.booleans(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20).map(Decimal128),
    st.integers(0, 2**42).map(lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)),
    st.none(),
)
payment_ids = st.one_of(
    object_ids,
    st.text().filter(lambda text: "\x00" not in text),
    st.sampled_from(("true", "false", "null", "", "{", "[", '"')),
    object_ids.map(str),
    object_ids.map(lambda value: f'"{value}"'),
    scalars,
    st.dictionaries(st.text("abc", min_size=1, max_size=3), scalars, max_size=3),
)


@given(payment_ids)
def test_a_payment_id_keeps_its_value_and_its_type(value: Any) -> None:
    read = parse_payment_id(payment_id_text(value))
    assert read == value
    assert type(read) is type(value) or {type(read), type(value)} == {int, Int64}


@given(st.lists(payment_ids, min_size=2, max_size=2))
def test_different_ids_have_different_texts(pair: list[Any]) -> None:
    first, second = pair
    if type(first) is not type(second) or first != second:
        assert payment_id_text(first) != payment_id_text(second)


def test_an_objectid_and_a_string_of_the_same_digits_are_two_payments() -> None:
    digits = "65f1a2b3c4d5e6f708192a3b"
    assert payment_id_text(ObjectId(digits)) == digits
    assert payment_id_text(digits) == f'"{digits}"'
    assert parse_payment_id(f'"{digits}"') == digits
    assert parse_payment_id(digits) == ObjectId(digits)


def test_an_upper_case_string_is_no_objectid() -> None:
    digits = "65F1A2B3C4D5E6F708192A3B"
    assert parse_payment_id(payment_id_text(digits)) == digits


@pytest.mark.parametrize(
    "text", ["", '"', "{", '{"$oid": "zz"}', '{"$date": "never"}', '{"$numberLong": "x"}', '"a', "{]"]
)
def test_broken_payment_ids_are_refused_by_name(text: str) -> None:
    with pytest.raises(IdError, match="payment id"):
        parse_payment_id(text)


@given(st.one_of(st.text(max_size=60), st.text('{}[]":,$oidatebinryE0123456789.-', max_size=60)))
@example("{" * 100_000)
@example('{"a":' * 100_000)
@example('{"$numberDecimal": "x"}')
@example('{"$binary": {"base64": "!", "subType": "zz"}}')
@example('{"$date": {"$numberLong": "99999999999999999999"}}')
def test_any_text_is_a_payment_id_or_refused(text: str) -> None:
    try:
        parse_payment_id(text)
    except IdError as error:
        assert len(str(error)) < 500


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing(text: str) -> None:
    for normalise in (normalise_address, normalise_tx_hash, normalise_reference):
        once = normalise(text)
        assert once is None or normalise(once) == once


@given(st.binary(min_size=32, max_size=32), st.booleans(), st.booleans())
def test_every_spelling_of_a_hash_is_one_hash(value: bytes, upper: bool, prefixed: bool) -> None:
    digits = value.hex().upper() if upper else value.hex()
    assert normalise_tx_hash(f" {'0x' if prefixed else ''}{digits}\n") == "0x" + value.hex()


@pytest.mark.parametrize("page", [
    "https://basescan.org/tx/{}", "HTTP://etherscan.io/tx/{}#eventlog", "https://blockscout.com/xdai/mainnet/tx/{}/logs",
    " https://arbiscan.io/tx/{}?chain=42161\n",
])  # fmt: skip
def test_the_page_of_a_transaction_at_an_explorer_names_its_hash(page: str) -> None:
    assert normalise_tx_hash(page.format("0x" + "AB" * 32)) == "0x" + "ab" * 32


@pytest.mark.parametrize("page", [
    "https://basescan.org/address/0x" + "ab" * 32, "https://basescan.org/tx/0x" + "ab" * 33,
    "basescan.org/tx/0x" + "ab" * 32,
    "https://basescan.org/tx/0x" + "ab" * 32 + " 0x" + "cd" * 32, "https://x/?tx/0x" + "ab" * 32,
])  # fmt: skip
def test_another_page_names_none(page: str) -> None:
    assert normalise_tx_hash(page) is None


@pytest.mark.parametrize(
    "text", ["", "0x", "0x12", "0x" + "g" * 64, "0x" + "a" * 63, "0x" + "a" * 66, "SIM_" + "a" * 60, "0x0x" + "a" * 62]
)
def test_what_is_no_hash_has_no_hash(text: str) -> None:
    assert normalise_tx_hash(text) is None


def test_a_reference_loses_its_prefix_and_an_address_keeps_it() -> None:
    assert normalise_reference("0x86DFBCCAD783599A") == "86dfbccad783599a"
    assert normalise_address(ADDRESS) == ADDRESS.lower()
    assert normalise_hex("ABCD", size=2) == "0xabcd"


def test_a_request_id_is_bare_lower_case_hex_or_left_alone() -> None:
    request_id = "01" + "AB" * 32
    assert normalise_request_id(f" 0x{request_id} ") == request_id.lower()
    assert normalise_request_id("req_test_5") == "req_test_5"
    assert normalise_request_id("Req-ABC") == "Req-ABC"


def test_the_payment_reference_is_the_one_request_network_derives() -> None:
    request_id = "01" + "ab" * 32
    assert payment_reference(request_id, "ea3bc7caf64110ca", ADDRESS) == "949784f72de93d81"
    assert payment_reference(request_id.upper(), "EA3BC7CAF64110CA", ADDRESS.lower()) == "949784f72de93d81"


@pytest.mark.parametrize("parts", [("", "a", "b"), ("a", "", "b"), ("a", "b", "")])
def test_a_reference_needs_all_three_parts(parts: tuple[str, str, str]) -> None:
    with pytest.raises(IdError):
        payment_reference(*parts)


def test_keccak_is_the_one_of_ethereum() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert "0x" + keccak256(b"Transfer(address,address,uint256)").hex() == ERC20_TRANSFER
    event = b"TransferWithReferenceAndFee(address,address,uint256,bytes,uint256,address)"
    assert "0x" + keccak256(event).hex() == TRANSFER_WITH_REFERENCE_AND_FEE


def test_the_topic_is_the_hash_of_the_bytes_and_not_of_the_text() -> None:
    expected = "0x" + keccak256(bytes.fromhex("86dfbccad783599a")).hex()
    assert reference_topic("86dfbccad783599a") == reference_topic(" 0x86DFBCCAD783599A ") == expected


@pytest.mark.parametrize("text", ["xyz", "abc", "0xzz"])
def test_a_reference_that_is_not_hex_has_no_topic(text: str) -> None:
    with pytest.raises(IdError, match="hex digits"):
        reference_topic(text)


def test_simulated_hashes_are_known_in_any_case() -> None:
    assert is_simulated("SIM_0xabc")
    assert is_simulated(" sim_1")
    assert not is_simulated("0x" + "a" * 64)


def test_binary_ids_have_a_text_too() -> None:
    value = Binary(b"\x01" * 16, 4)
    assert parse_payment_id(payment_id_text(value)) is not None
