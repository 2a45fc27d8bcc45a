"""The tables have one schema, and nothing inexact gets into a cell of money."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.core.money import UNITS_MAX
from recon.core.tables import TABLES, arrow_schema, schema_of, table_of


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_without_rows_has_its_whole_schema(name: str) -> None:
    table = table_of(name, [])
    assert table.schema == arrow_schema(name)
    assert table.num_rows == 0


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_missing_key_is_null(name: str) -> None:
    assert table_of(name, [{}]).to_pylist() == [dict.fromkeys(TABLES[name])]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_kind_has_one_arrow_type(name: str) -> None:
    types = {"text": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "units": pa.decimal128(38, 0)}
    assert [field.type for field in arrow_schema(name)] == [types[kind] for kind in TABLES[name].values()]


@given(st.lists(st.one_of(st.none(), st.integers(-UNITS_MAX, UNITS_MAX)), max_size=20))
def test_units_come_back_as_they_went_in(units: list[int | None]) -> None:
    table = table_of("transfers", [{"amount_units": value} for value in units])
    assert table["amount_units"].to_pylist() == [None if value is None else Decimal(value) for value in units]


def test_a_whole_decimal_of_any_size_is_an_amount() -> None:
    whole = Decimal(UNITS_MAX)
    assert table_of("transfers", [{"amount_units": whole}])["amount_units"].to_pylist() == [whole]


def test_two_large_amounts_do_not_overflow() -> None:
    table = table_of("transfers", [{"amount_units": 9 * 10**18}, {"amount_units": 9 * 10**18}])
    assert sum(table["amount_units"].to_pylist()) == 18 * 10**18


@pytest.mark.parametrize("value", [1.5, 1.0, "1", True, Decimal("1.5"), Decimal("NaN")])
def test_what_is_no_whole_number_is_no_amount(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        table_of("transfers", [{"amount_units": value}])


def test_an_amount_over_38_digits_is_refused_and_never_wraps() -> None:
    with pytest.raises(pa.ArrowInvalid):
        table_of("transfers", [{"amount_units": 10**38}])


def test_a_column_that_no_table_has_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="amonut_units"):
        table_of("transfers", [{"amonut_units": 1}])


def test_the_columns_of_any_schema_keep_their_order() -> None:
    assert schema_of({"b": "text", "a": "units"}).names == ["b", "a"]
