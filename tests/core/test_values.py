"""Stored values: what stands at a path, and what two values being the same means."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.values import ABSENT, same, value_along, value_at

DOCUMENT: dict[str, Any] = {
    "status": "pending",
    "nothing": None,
    "blockchain": {"confirmations": 3},
    "requestIds": ["first", {"id": "second"}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "pending"),
        ("nothing", None),
        ("blockchain.confirmations", 3),
        ("requestIds", DOCUMENT["requestIds"]),
        ("missing", ABSENT),
        ("blockchain.missing", ABSENT),
        ("status.inside", ABSENT),
        ("nothing.inside", ABSENT),
        ("requestIds.0", ABSENT),
    ],
)
def test_a_path_leads_through_objects_only_and_null_is_not_absent(path: str, value: object) -> None:
    assert value_at(DOCUMENT, path) is value or value_at(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("requestIds.0", "first"),
        ("requestIds.1.id", "second"),
        ("requestIds.2", ABSENT),
        ("requestIds.id", ABSENT),
        ("blockchain.0", ABSENT),
        ("nothing", None),
    ],
)
def test_with_indexes_a_number_leads_into_an_array(path: str, value: object) -> None:
    assert value_along(DOCUMENT, path.split("."), is_indexed=True) == value


def test_nothing_stands_in_what_is_no_document() -> None:
    assert value_at(None, "status") is ABSENT
    assert value_at("text", "status") is ABSENT


def test_values_of_different_types_are_never_the_same() -> None:
    assert same(1, 1)
    assert not same(1, 1.0)
    assert not same(1, True)
    assert not same(None, ABSENT)
    assert same({"a": 1}, {"a": 1})
    assert not same({"a": 1}, {"a": 1.0})
