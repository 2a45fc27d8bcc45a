"""A column's raw image and its value say the same, no digit lost; what is not of its kind is given as it stands."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.values import ABSENT, changed_document, same
from recon.sources.payments.sql.kinds import UnfitValueError, kind_named
from recon.sources.payments.sql.mapping import (
    ColumnClashError,
    ColumnPlace,
    RowMap,
)

ONE = dt.timezone(dt.timedelta(hours=1))


def at(*numbers: int) -> dt.datetime:
    return dt.datetime(*numbers, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


READ: list[tuple[str, dt.tzinfo | None, Any, Any]] = [
    ("whole", None, "12", 12),
    ("whole", None, "3000000000", Int64(3_000_000_000)),
    ("whole", None, "12.0", "12.0"),
    ("decimal", None, "12.50", Decimal128("12.50")),
    ("decimal", None, "0.000000000000000001", Decimal128("0.000000000000000001")),
    ("decimal", None, "1" * 34, Decimal128("1" * 34)),
    ("decimal", None, "1" * 78, "1" * 78),
    ("units_12", None, 1_500_000_000_000, Decimal128("1.500000000000")),
    ("units_12", None, str(2**64 - 1), Decimal128("18446744.073709551615")),
    ("units_6", None, 0, Decimal128("0.000000")),
    ("units_12", None, "1.5", "1.5"),
    ("units_12", None, -1, -1),
    ("units_12", None, 1.5, 1.5),
    ("units_18", None, "1" * 40, "1" * 40),
    ("decimal", None, "NaN", Decimal128("NaN")),
    ("decimal", None, 12.5, 12.5),
    ("double", None, "0.1", 0.1),
    ("bool", None, "true", True),
    ("bool", None, 0, False),
    ("bool", None, 2, 2),
    ("bytes", None, "\\x00ff", Binary(b"\x00\xff")),
    ("objectid", None, "0" * 24, ObjectId("0" * 24)),
    ("objectid", None, "paid-1", "paid-1"),
    ("text", None, "12.50", "12.50"),
    ("date", None, "2026-11-20 12:00:00.1234+00", at(2026, 11, 20, 12, 0, 0, 123000)),
    ("date", None, "2026-11-20T12:00:00Z", at(2026, 11, 20, 12)),
    ("date", None, "2026-11-20 12:00:00+05:30", at(2026, 11, 20, 6, 30)),
    ("date", dt.UTC, "2026-11-20 12:00:00", at(2026, 11, 20, 12)),
    ("date", ONE, "2026-11-20 12:00:00", at(2026, 11, 20, 11)),
    ("date", ONE, "2026-11-20 12:00:00+00", at(2026, 11, 20, 12)),
    ("date", None, "2026-11-20 12:00:00", "2026-11-20 12:00:00"),
    ("date", dt.UTC, "infinity", "infinity"),
    ("date", dt.UTC, "2026-02-30 12:00:00", "2026-02-30 12:00:00"),
    ("date", dt.UTC, 1763640000, 1763640000),
    ("unix_s", None, 1763640000, at(2025, 11, 20, 12)),
    ("unix_s", None, "1763640000", at(2025, 11, 20, 12)),
    ("unix_ms", None, 1763640000123, at(2025, 11, 20, 12, 0, 0, 123000)),
    ("unix_s", None, 10**15, 10**15),
    ("json", None, '{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
    ("json", None, '{"a": 12.50}', {"a": Decimal128("12.50")}),
    ("json", None, '{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
    ("json", None, '{"a": NaN}', '{"a": NaN}'),
    ("json", None, "no JSON", "no JSON"),
    ("ejson", None, '{"a": {"$numberLong": "1"}}', {"a": Int64(1)}),
    ("stored", None, 3, 3),
    ("stored", None, b"x", Binary(b"x")),
]


@pytest.mark.parametrize(("name", "zone", "raw", "value"), READ)
def test_a_raw_image_is_read_exactly_or_given_as_it_stands(
    name: str, zone: dt.tzinfo | None, raw: Any, value: Any
) -> None:
    found = kind_named(name, zone=zone).value(raw)
    assert same(found, value), (found, value)
    assert kind_named(name, zone=zone).value(None) is ABSENT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", "12"), ("whole", True), ("whole", 1.0), ("decimal", 12), ("decimal", 12.5), ("double", 12),
        ("double", float("nan")), ("bool", 1), ("text", 1), ("text", None), ("objectid", "0" * 24), ("date", "2026"),
        ("units_12", 1), ("units_12", Decimal128("1.5")), ("units_12", Decimal128("-1.000000000000")),
        ("json", at(2026, 11, 20)), ("json", ObjectId()), ("stored", True), ("stored", Decimal128("1")),
    ],
)  # fmt: skip
def test_a_value_that_a_column_cannot_hold_exactly_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UnfitValueError, match=f"column amount holds {name}"):
        kind_named(name, zone=dt.UTC).image(value, None, column="amount")


def test_units_are_written_as_the_ones_before_were_stored() -> None:
    kind, value = kind_named("units_12", zone=None), Decimal128("1.500000000000")
    assert kind.image(value, 7, column="c") == 1_500_000_000_000
    assert kind.image(value, "7", column="c") == "1500000000000"


def test_a_time_is_written_as_the_one_before_was_spelled() -> None:
    moment = at(2026, 11, 20, 12, 0, 0, 5000)
    for before, written in {
        "2026-01-01 00:00:00": "2026-11-20 13:00:00",
        "2026-01-01T00:00:00.5Z": "2026-11-20T12:00:00.005Z",
        "2026-01-01 00:00:00.123+02": "2026-11-20 14:00:00.005+02",
        None: "2026-11-20 13:00:00.005",
        "no time": "2026-11-20 13:00:00.005",
    }.items():
        assert kind_named("date", zone=ONE).image(moment, before, column="c") == written
    assert kind_named("date", zone=None).image(moment, None, column="c") == "2026-11-20 12:00:00.005+00"


def test_json_keeps_every_digit_the_blanks_and_what_no_number_holds() -> None:
    kind = kind_named("json", zone=None)
    for text in ('{"a":12.50,"b":[1]}', '{"a": 0.1, "ü": "ß"}', f'{{"wei": {"9" * 60}}}', '{"n": -0.0, "t": 1.0}',
                 '{"a":"\\u00fc"}'):  # fmt: skip
        assert kind.image(kind.value(text), text, column="c") == text
    assert kind.image(kind.value("[1e400]"), "[1e400]", column="c") == "[1E+400]"


words = st.text(st.characters(codec="utf-8"), max_size=5)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000)
doubles = st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | words | doubles | decimals.map(Decimal128)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)


@settings(max_examples=150, deadline=None)
@given(trees)
def test_what_json_gives_reads_back_the_same_text(tree: Any) -> None:
    kind = kind_named("json", zone=None)
    text = kind.write(tree, None)
    assert kind.write(kind.value(text), text) == text


@settings(max_examples=150, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=0, max_value=10**15))
def test_a_numeric_amount_goes_there_and_back(amount: Decimal) -> None:
    kind, text = kind_named("decimal", zone=None), format(amount, "f")
    assert kind.image(kind.value(text), None, column="amount") == text


# Rows as documents

TEXT = kind_named("text", zone=None)
JSON = kind_named("json", zone=None)
ROWS = RowMap(
    (
        ColumnPlace("id", "_id", TEXT),
        ColumnPlace("hash", "blockchain.transactionHash", TEXT),
        ColumnPlace("chain", "blockchain.network", TEXT),
        ColumnPlace("meta", "metadata", JSON),
    )
)
ROW = {"id": "p1", "hash": None, "chain": "bsc", "meta": '{"requestId": "r", "n": 12.50}'}


def test_null_is_a_field_that_is_not_there_and_the_stamp_is_shown_in_its_place() -> None:
    document = ROWS.document(ROW, stamp="run/c")
    assert document == {
        "_id": "p1",
        "blockchain": {"network": "bsc"},
        "metadata": {"requestId": "r", "n": Decimal128("12.50"), "recon": {"last": "run/c"}},
    }
    assert ROWS.document({**ROW, "meta": "[]"}, stamp="run/c")["metadata"] == [], "there is no place to show it"


def test_a_change_names_the_columns_and_what_they_hold_then() -> None:
    changed = changed_document(ROWS.plain(ROW), {"blockchain.transactionHash": "0xab", "metadata.m": "x"})
    images = ROWS.images(ROW, changed, touched=["blockchain.transactionHash", "metadata.m"])
    assert images == {"hash": "0xab", "meta": '{"requestId": "r", "n": 12.50, "m": "x"}'}
    back = changed_document(changed, {}, unsets=["blockchain", "metadata.m"])
    assert ROWS.images(ROW, back, touched=["blockchain", "metadata.m"]) == {
        "hash": None, "chain": None, "meta": ROW["meta"],
    }  # fmt: skip


def test_a_path_without_a_column_is_refused_by_name() -> None:
    with pytest.raises(UnfitValueError, match="column of escrowState is not there: name it under"):
        ROWS.images(ROW, {"escrowState": "funded"}, touched=["escrowState"])


def test_columns_in_one_place_are_refused() -> None:
    for paths in (("a", "a"), ("a", "a.b"), ("*", "a.b")):
        with pytest.raises(ColumnClashError):
            RowMap(tuple(ColumnPlace(str(number), path, TEXT) for number, path in enumerate(paths)))


def test_a_column_that_is_the_document_leaves_to_other_columns_what_is_theirs() -> None:
    rows = RowMap((ColumnPlace("id", "_id", TEXT), ColumnPlace("status", "status", TEXT), ColumnPlace("d", "*", JSON)))
    row = {"id": "p1", "status": "pending", "d": '{"_id": "old", "status": "gone", "a": 1}'}
    assert rows.plain(row) == {"_id": "p1", "status": "pending", "a": 1}
    changed = changed_document(rows.plain(row), {"a": 2, "b": "x"})
    assert rows.images(row, changed, touched=["a", "b"]) == {
        "d": '{"_id": "old", "status": "gone", "a": 2, "b": "x"}',
    }  # fmt: skip
