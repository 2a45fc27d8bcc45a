"""Hex texts as columns: exact, or refused as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.core.money import UNITS_MAX
from recon.sources.chain.hex_columns import (
    OddError,
    address_array,
    amount_arrays,
    hex_bytes,
    hex_matrix,
    text_array,
    unit_array,
)

WORDS = st.lists(st.one_of(st.integers(0, 2**256 - 1), st.integers(0, 2**64)), min_size=1, max_size=300)


@settings(deadline=None)
@given(WORDS)
def test_amounts_are_exact_in_exactly_one_of_two_columns(values: list[int]) -> None:
    units, texts = amount_arrays(hex_bytes([f"0x{value:064x}" for value in values], 66, what="x"), 0)
    told = texts.to_pylist() if texts is not None else [None] * len(values)
    for value, unit, text in zip(values, units.to_pylist(), told, strict=True):
        assert (unit, text) == ((value, None) if value <= UNITS_MAX else (None, str(value)))


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=300))
def test_texts_come_back_in_lower_case(values: list[int]) -> None:
    texts = [f"0x{value:064X}" for value in values]
    column = text_array(hex_matrix(texts, 66, what="x"))
    column.validate(full=True)
    assert column.to_pylist() == [text.lower() for text in texts]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**160 - 1), min_size=1, max_size=300))
def test_addresses_are_the_last_twenty_bytes(values: list[int]) -> None:
    column = address_array(hex_bytes([f"0x{value:064X}" for value in values], 66, what="x"), 0, what="x")
    column.validate(full=True)
    assert column.to_pylist() == [f"0x{value:040x}" for value in values]


def test_rows_that_are_not_kept_are_null() -> None:
    import numpy as np

    raw = hex_bytes([f"0x{n:064x}" for n in (1, 2, 2**255)], 66, what="x")
    keep = np.array([True, False, True])
    assert unit_array(raw, 0, keep=keep)[0].to_pylist() == [1, None, None]
    assert text_array(hex_matrix(["0xab", "0xcd", "0xef"], 4, what="x"), keep=keep).to_pylist() == [
        "0xab",
        None,
        "0xef",
    ]


@pytest.mark.parametrize(
    "texts", [["0xab", None], ["0xab", "0xabc"], ["0xab", "ab00"], ["0xab", "0xag"], ["0xab", "0xé"]]
)
def test_one_odd_text_refuses_the_column(texts: list[str | None]) -> None:
    for read in (hex_matrix, hex_bytes):
        with pytest.raises(OddError):
            read(texts, 4, what="x")


def test_texts_that_are_longer_and_shorter_by_turns_are_refused() -> None:
    with pytest.raises(OddError):
        hex_matrix(["0xabc", "0xa"], 4, what="x")
