"""Claim rows of both providers: one row for each object, sorted, with known problem codes."""

from __future__ import annotations

from typing import Any

import pytest

from recon.sources.interface import ClaimKey
from recon.sources.providers.claims import (
    CLAIM_PROBLEMS,
    Said,
    digest_of,
    failed_row,
    int_or_none,
    iso_of,
    not_found_row,
    parse_ms,
    problem_text,
    reading_of,
    text_or_none,
)

KEY = ClaimKey("p", request_id="01", reference="0xB3581F0B0F74CC61")


def failed(at_ms: int) -> Said:
    return Said(failed_row("request_network", KEY, claim_id="01", reason="no answer", at_ms=at_ms, kind="request"))


def found(at_ms: int, state: str) -> Said:
    row = {**not_found_row("request_network", KEY, claim_id="01", at_ms=at_ms, kind="request"), "outcome": "found"}
    return Said({**row, "state": state}, ({"claim_id": "01", "tx_hash": state},))


@pytest.mark.parametrize("order", [1, -1])
def test_what_was_found_beats_what_failed_later_and_the_later_reading_the_earlier(order: int) -> None:
    reading = reading_of([found(1, "unpaid"), found(2, "paid"), failed(3)][::order], coverage=())
    (row,) = reading.tables["claims"].to_pylist()
    assert (row["outcome"], row["state"]) == ("found", "paid")
    assert [tx["tx_hash"] for tx in reading.tables["claim_txs"].to_pylist()] == ["paid"]


def test_a_failed_row_can_be_found_by_its_reference() -> None:
    row = failed(1).claim
    assert (row["reference"], row["error"]) == ("b3581f0b0f74cc61", "no answer")
    assert str(row["reference_topic"]).startswith("0x05c8ee1c")


def test_no_rows_give_empty_tables() -> None:
    assert [table.num_rows for table in reading_of([], coverage=()).tables.values()] == [0, 0]


def test_problem_codes_are_sorted_and_said_once() -> None:
    assert problem_text(["magnitude", "float_noise", "magnitude"]) == "float_noise magnitude"
    assert problem_text([]) is None
    assert all(code.islower() and " " not in code for code in CLAIM_PROBLEMS)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:01.500Z", 1500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2024-01-15T10:30:00Z", 1_705_314_600_000),
        ("2024-01-15", None), ("2024-01-15T10:30:00", None), ("2024-13-15T10:30:00Z", None),
        ("0001-01-01T00:00:00+14:00", None), (None, None), (17, None), ("x" * 99, None),
    ],
)  # fmt: skip
def test_a_time_needs_its_zone(text: Any, at_ms: int | None) -> None:
    assert parse_ms(text) == at_ms


def test_a_written_time_reads_back() -> None:
    assert iso_of(1_705_314_600_123) == "2024-01-15T10:30:00.123Z"
    assert parse_ms(iso_of(1_705_314_600_123)) == 1_705_314_600_123


@pytest.mark.parametrize(
    ("value", "expected"), [(7, 7), ("7", 7), (-1, None), (True, None), ("x", None), (10**20, None)]
)
def test_a_count_is_a_whole_number(value: Any, expected: int | None) -> None:
    assert int_or_none(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (107, "107"), ("", None), (None, None), (True, None), ([], None)]
)
def test_an_id_is_text_or_nothing(value: Any, expected: str | None) -> None:
    assert text_or_none(value) == expected


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": "\ud800"}) == digest_of({"b": "\ud800", "a": 1})
