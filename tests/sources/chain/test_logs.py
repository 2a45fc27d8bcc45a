"""Logs into columns: exact amounts, odd logs, and what is never believed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.money import UNITS_MAX
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE
from recon.sources.chain.logs import (
    INT64_MAX,
    LOGS_ANSWER,
    PIECE,
    Expectation,
    LogPage,
    RawLog,
    TransferLogError,
    decode_page,
    decode_transfer,
    parse_quantity,
)
from recon.sources.chain.rpc import Envelope
from tests.support.vendor_faults import FakeNode, address, digest, word

PROXY, CONVERSION, TOKEN = address(0x51), address(0x52), address(0x70)
KINDS = {PROXY: "fee_proxy", CONVERSION: "conversion_proxy"}
ZERO = address(0)


def expectation(**given: Any) -> Expectation:
    return Expectation(
        **{
            "erc20": False, "kinds": KINDS, "known_tokens": frozenset({TOKEN}), "from_block": 0, "to_block": INT64_MAX,
            **given,
        }
    )  # fmt: skip


ERC20 = expectation(erc20=True)


def raw(logs: list[dict[str, Any]]) -> list[RawLog]:
    found = LOGS_ANSWER.decode(json.dumps({"id": 1, "result": logs}).encode()).result
    assert isinstance(found, list)
    return found


def page_of(*logs: dict[str, Any], expect: Expectation | None = None) -> LogPage:
    return decode_page(raw(list(logs)), expect or expectation())


def row_of(log: dict[str, Any], *, expect: Expectation | None = None) -> dict[str, Any]:
    page = page_of(log, expect=expect)
    assert not page.rejects
    (row,) = page.table.to_pylist()
    return dict(row)


def payment(**values: Any) -> dict[str, Any]:
    given = {"emitter": PROXY, "block": 10, "tx": 1, **values}
    return FakeNode(head=100).pay(**given)


def transfer(**values: Any) -> dict[str, Any]:
    given = {"token": TOKEN, "to": address(0x20), "amount": 5, "block": 10, "tx": 1, **values}
    return FakeNode(head=100).transfer(**given)


def test_a_proxy_log_becomes_one_exact_row() -> None:
    log = payment(amount=1_250_000, fee=12_500, fee_to=address(0xFE), index=3, reference="0x" + "ab" * 32)
    row = row_of(log)
    assert row == {
        "tx_hash": log["transactionHash"], "log_index": 3, "block": 10, "block_hash": log["blockHash"],
        "block_time": int(log["blockTimestamp"], 16) * 1_000, "emitter": PROXY, "kind": "fee_proxy", "token": TOKEN,
        "token_known": True, "sender": None, "recipient": address(0x20), "amount_units": 1_250_000,
        "amount_text": None, "fee_units": 12_500, "fee_recipient": address(0xFE), "reference_topic": "0x" + "ab" * 32,
    }  # fmt: skip


def test_an_erc20_transfer_becomes_one_exact_row() -> None:
    row = row_of(transfer(amount=7), expect=ERC20)
    assert (row["kind"], row["token"], row["emitter"]) == ("erc20", TOKEN, TOKEN)
    assert (row["sender"], row["recipient"], row["amount_units"]) == (address(0x33), address(0x20), 7)
    assert (row["reference_topic"], row["fee_units"], row["fee_recipient"]) == (None, None, None)


def test_the_four_emitters_are_told_apart_by_address() -> None:
    assert row_of(payment(emitter=CONVERSION))["kind"] == "conversion_proxy"


def test_an_unknown_emitter_in_a_receipt_is_kept_as_unknown() -> None:
    assert row_of(payment(emitter=address(9)), expect=expectation(any_emitter=True))["kind"] == "unknown"


def test_an_unknown_token_is_marked() -> None:
    assert row_of(payment(token=address(0xBAD)))["token_known"] is False


def test_a_fee_to_the_zero_address_was_paid_to_nobody() -> None:
    row = row_of(payment(fee=5, fee_to=ZERO))
    assert (row["fee_units"], row["fee_recipient"]) == (None, None)


def test_a_fee_of_nothing_is_no_fee() -> None:
    row = row_of(payment(fee=0, fee_to=address(0xFE)))
    assert (row["fee_units"], row["fee_recipient"]) == (None, None)


def test_an_amount_of_nothing_is_a_row_like_any_other() -> None:
    assert row_of(payment(amount=0))["amount_units"] == 0


@pytest.mark.parametrize("amount", [UNITS_MAX, UNITS_MAX - 1, 2**64, 2**64 - 1, 2**63, 10**36])
def test_amounts_up_to_37_digits_are_units(amount: int) -> None:
    row = row_of(payment(amount=amount))
    assert (row["amount_units"], row["amount_text"]) == (amount, None)


@pytest.mark.parametrize("amount", [UNITS_MAX + 1, 2**123, 2**127, 2**128, 2**192, 2**256 - 1])
def test_amounts_over_37_digits_are_text_and_enter_no_sum(amount: int) -> None:
    for row in (row_of(payment(amount=amount)), row_of(transfer(amount=amount), expect=ERC20)):
        assert (row["amount_units"], row["amount_text"]) == (None, str(amount))


def test_one_huge_amount_does_not_spoil_its_neighbours() -> None:
    table = page_of(payment(amount=1), payment(amount=2**256 - 1, index=1), payment(amount=3, index=2)).table
    assert table["amount_units"].to_pylist() == [1, None, 3]
    assert table["amount_text"].to_pylist() == [None, str(2**256 - 1), None]


def test_a_huge_fee_is_not_a_number_either() -> None:
    row = row_of(payment(fee=2**256 - 1, fee_to=address(0xFE)))
    assert (row["fee_units"], row["fee_recipient"]) == (None, address(0xFE))


def test_removed_logs_are_dropped_and_counted() -> None:
    page = page_of(payment(), {**payment(tx=2, index=1), "removed": True})
    assert (page.table.num_rows, page.removed, page.rejects) == (1, 1, [])


def test_identical_repetitions_are_dropped_and_counted() -> None:
    page = page_of(payment(), payment(), payment(), payment(tx=2, index=1))
    assert (page.table.num_rows, page.duplicates, page.rejects) == (2, 2, [])


def test_one_key_with_two_contents_is_not_believed() -> None:
    page = page_of(payment(amount=1), payment(amount=2), payment(tx=2, block=11))
    assert page.table["block"].to_pylist() == [11]
    assert page.rejects == ["block 10 comes in two versions"]


def test_one_height_with_two_hashes_is_not_believed() -> None:
    page = page_of(payment(), {**payment(tx=2, index=1), "blockHash": digest(7)})
    assert page.table.num_rows == 0 and page.rejects == ["block 10 comes in two versions"]


def test_logs_in_any_order_give_the_same_table() -> None:
    logs = [payment(tx=n, block=50 - n // 2, index=n % 2) for n in range(20)]
    assert page_of(*logs).table.equals(page_of(*logs[::-1]).table)


SPOILED: list[tuple[str, Any]] = [
    ("blockHash", None),
    ("blockNumber", None),
    ("logIndex", None),
    ("transactionHash", None),
    ("blockHash", "0x12"),
    ("blockHash", "0x" + "zz" * 32),
    ("blockHash", "é" * 66),
    ("blockNumber", "pending"),
    ("blockNumber", "0x"),
    ("blockNumber", "-0x5"),
    ("blockNumber", hex(2**70)),
    ("logIndex", "0x_1"),
    ("address", address(0x99)),
    ("address", ""),
    ("topics", []),
    ("topics", [TRANSFER_WITH_REFERENCE_AND_FEE]),
    ("topics", [ERC20_TRANSFER, digest(1)]),
    ("topics", [TRANSFER_WITH_REFERENCE_AND_FEE, digest(1), digest(2)]),
    ("topics", [TRANSFER_WITH_REFERENCE_AND_FEE, "0x12"]),
    ("data", "0x"),
    ("data", "0x" + "00" * 159),
    ("data", "0x" + "00" * 161),
    ("data", "0x" + "zz" * 160),
    ("blockNumber", "0x9"),
    ("blockNumber", "0x65"),
]


@pytest.mark.parametrize(("name", "value"), SPOILED)
def test_a_log_that_cannot_be_right_is_rejected_and_the_others_stay(name: str, value: Any) -> None:
    good = [payment(tx=n, index=n, block=20) for n in range(5)]
    page = page_of(*good, {**payment(tx=9, index=9), name: value}, expect=expectation(from_block=10, to_block=100))
    assert page.table.num_rows == 5 and len(page.rejects) == 1


@pytest.mark.parametrize("place", [0, 32, 128])
def test_dirty_bytes_before_an_address_are_rejected(place: int) -> None:
    log = payment()
    data = bytearray.fromhex(log["data"][2:])
    data[place] = 1
    page = page_of({**log, "data": "0x" + data.hex()})
    assert page.table.num_rows == 0 and "in front of the address" in page.rejects[0]


def test_a_transfer_to_somebody_who_was_not_asked_for_is_rejected() -> None:
    expect = expectation(erc20=True, recipients=frozenset({address(0x21)}))
    assert page_of(transfer(), expect=expect).rejects == ["a log has a recipient that was not asked for"]


def test_a_transfer_of_a_token_that_was_not_asked_for_is_rejected() -> None:
    expect = expectation(erc20=True, tokens=frozenset({address(0x71)}))
    assert page_of(transfer(), expect=expect).rejects == ["a log comes from a token that was not asked for"]


def test_a_strangers_event_of_another_shape_blocks_nobody() -> None:
    nft = transfer(token=address(0x721), tx=2, index=1)
    nft = {**nft, "topics": [*nft["topics"], digest(5)], "data": "0x"}
    page = page_of(transfer(), nft, expect=ERC20)
    assert (page.table.num_rows, page.foreign, page.rejects) == (1, 1, [])


def test_a_known_tokens_event_of_another_shape_is_not_believed() -> None:
    assert page_of({**transfer(), "data": "0x"}, expect=ERC20).rejects


def test_hex_in_any_case_and_with_leading_zeros_or_decimal_is_read() -> None:
    log = payment(token=address(0xABCDEF), to=address(0xABCDEF), amount=0xABCDEF, reference="0x" + "ab" * 32)
    shouted = {
        name: value.upper().replace("0X", "0x") if isinstance(value, str) else value for name, value in log.items()
    }
    shouted["topics"] = [topic.upper().replace("0X", "0x") for topic in log["topics"]]
    assert row_of({**shouted, "blockNumber": "0x000a", "logIndex": 0}) == row_of(log)
    assert row_of({**log, "blockNumber": 10, "logIndex": "0"}) == row_of(log)


def test_numbers_of_different_widths_are_read() -> None:
    logs = [payment(tx=n, block=block) for n, block in enumerate((0, 9, 15, 16, 4_095, 4_096, 2**40, 2**62))]
    assert page_of(*logs).table["block"].to_pylist() == [0, 9, 15, 16, 4_095, 4_096, 2**40, 2**62]


def test_a_missing_time_is_null_and_no_reason_to_reject() -> None:
    log = payment()
    del log["blockTimestamp"]
    assert row_of(log)["block_time"] is None
    assert row_of({**log, "blockTimestamp": "soon"})["block_time"] is None
    assert row_of({**log, "blockTimestamp": hex(2**62)})["block_time"] is None


def test_more_than_one_piece_is_one_table() -> None:
    logs = [payment(tx=n, block=n // 3, index=n % 3, amount=n) for n in range(2 * PIECE + 5)]
    table = page_of(*logs).table
    assert table["amount_units"].to_pylist() == list(range(2 * PIECE + 5))


def test_the_columns_are_those_of_the_transfers_table() -> None:
    from recon.core.tables import TRANSFERS, arrow_schema

    table = page_of(payment()).table
    of_the_reading = {
        "chain_id",
        "confirmations",
        "final",
        "moved_units",
        "stated_only",
        "token_symbol",
        "token_decimals",
    }
    assert set(TRANSFERS) - set(table.column_names) == of_the_reading
    for field in table.schema:
        assert field.type == arrow_schema("transfers").field(field.name).type
    table.validate(full=True)


# The exact function for one log


def test_decode_transfer_reads_a_proxy_log() -> None:
    found = decode_transfer(payment(amount=2**256 - 1, fee=3, fee_to=address(0xFE)))
    assert (found.amount_units, found.fee_units, found.fee_recipient) == (2**256 - 1, 3, address(0xFE))
    assert (found.token, found.recipient, found.sender) == (TOKEN, address(0x20), None)


def test_decode_transfer_reads_what_web3_gives() -> None:
    log = transfer(amount=9)
    formatted = {
        **log,
        "topics": [bytes.fromhex(topic[2:]) for topic in log["topics"]],
        "data": bytes.fromhex(log["data"][2:]),
        "transactionHash": bytes.fromhex(log["transactionHash"][2:]),
        "blockNumber": 10,
        "logIndex": 0,
    }
    assert decode_transfer(formatted) == decode_transfer(log)
    assert decode_transfer(log).amount_units == 9


# It does not look at the block hash or at a range, and every well-formed emitter will do.
REFUSED = [(name, value) for name, value in SPOILED[:-2] if name != "blockHash" and value != address(0x99)]


@pytest.mark.parametrize(("name", "value"), [*REFUSED, ("removed", True)])
def test_decode_transfer_refuses_what_is_no_transfer(name: str, value: Any) -> None:
    with pytest.raises(TransferLogError, match="cannot be read as a transfer"):
        decode_transfer({**payment(), name: value})


@pytest.mark.parametrize("value", [None, True, "", "0x", "x", "0x1g", " 1", "1_0", -1, 2**63, "0x" + "f" * 70, 1.5, []])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(TransferLogError):
        parse_quantity(value)


UINT = st.one_of(st.integers(0, 2**64), st.integers(0, 2**256 - 1), st.integers(UNITS_MAX - 2, UNITS_MAX + 2))
ADDRESS = st.one_of(st.just(ZERO), st.integers(0, 2**160 - 1).map(address))


@settings(deadline=None)
@given(st.lists(st.tuples(ADDRESS, ADDRESS, UINT, UINT, ADDRESS), min_size=1, max_size=20))
def test_columns_and_the_exact_function_agree(values: list[tuple[str, str, int, int, str]]) -> None:
    logs = [
        payment(tx=n, block=n, token=token, to=to, amount=amount, fee=fee, fee_to=fee_to)
        for n, (token, to, amount, fee, fee_to) in enumerate(values)
    ]
    for log, row in zip(logs, page_of(*logs).table.to_pylist(), strict=True):
        exact = decode_transfer(log)
        amount = row["amount_units"] if row["amount_text"] is None else int(row["amount_text"])
        fee = exact.fee_units if exact.fee_units is None or exact.fee_units <= UNITS_MAX else None
        assert (row["token"], row["recipient"], amount) == (exact.token, exact.recipient, exact.amount_units)
        assert (row["fee_units"], row["fee_recipient"]) == (fee, exact.fee_recipient)
        assert row["reference_topic"] == exact.reference_topic


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.text(max_size=70), st.just("0x10")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
FIELDS = ["address", "topics", "data", "blockNumber", "blockHash", "transactionHash", "logIndex", "removed"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "blockTimestamp"]), JSON, max_size=4))
def test_no_answer_makes_a_foreign_error(changes: dict[str, Any]) -> None:
    body = json.dumps({"id": 1, "result": [{**payment(), **changes}]}).encode()
    try:
        answer: Envelope[list[RawLog]] = LOGS_ANSWER.decode(body)
    except msgspec.ValidationError:
        return
    assert isinstance(answer.result, list)
    page = decode_page(answer.result, expectation())
    assert page.table.num_rows + len(page.rejects) + page.removed == 1
    assert isinstance(page.table, pa.Table)


def test_word_and_address_helpers_fit_each_other() -> None:
    assert word(address(5)) == word(5)
