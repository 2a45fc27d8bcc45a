"""Logical fields: where they are looked for, how that is configured, and what is asked of the server for it."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.errors import ConfigError, ReconError
from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.plans.changes import places_of
from recon.sources.payments.fields import (
    DEFAULT_CANDIDATES,
    SINGLE,
    WRITTEN,
    FieldPathError,
    FieldPaths,
    FieldPlace,
    default_texts,
    project,
    stored_at,
    stored_path,
)
from recon.sources.payments.read import payment_rows
from tests.support.builders import payment_document


def test_every_default_candidate_is_written_as_the_configuration_would_write_it() -> None:
    assert FieldPaths.with_overrides({name: c for name, c in default_texts().items() if name != "id"}) == FieldPaths()


def test_a_candidate_names_path_provider_and_shape() -> None:
    assert FieldPlace.parse("metadata.requestId") == FieldPlace("metadata.requestId")
    assert FieldPlace.parse("shkeeper:_id") == FieldPlace("_id", provider="shkeeper")
    assert FieldPlace.parse("a.b?") == FieldPlace("a.b", shaped=True)
    assert FieldPlace.parse("requestIds.0").parts == ("requestIds", "0")


@pytest.mark.parametrize("text", ["", "?", ":a", "a b", "$where", "a..b", "a.$x", "0.a", "x:y:z", "a" * 400, "a\nb", 5])
def test_a_candidate_that_is_no_path_is_refused_by_name(text: Any) -> None:
    with pytest.raises(FieldPathError, match=r"fields\.request_id") as caught:
        FieldPaths.with_overrides({"request_id": [text]})
    assert isinstance(caught.value, ConfigError)


@pytest.mark.parametrize(
    "overrides",
    [{"nonsense": ["a"]}, {"id": ["a"]}, {"status": ["a", "b"]}, {"created_at": []}, {"reference": ["a"] * 99}],
)
def test_unknown_fields_and_impossible_lists_are_refused(overrides: dict[str, list[str]]) -> None:
    with pytest.raises(ReconError):
        FieldPaths.with_overrides(overrides)


def test_an_override_replaces_the_list_of_one_field_only() -> None:
    fields = FieldPaths.with_overrides({"request_id": ["rn.id"], "created_at": "born"})
    assert [c.path for c in fields.of("request_id")] == ["rn.id"]
    assert fields.path("created_at") == "born"
    assert fields.of("reference") == FieldPaths().of("reference")
    assert {"rn.id", "born"} <= fields.projection().keys()
    assert "createdAt" not in fields.projection()


def test_the_projection_names_no_path_inside_another_and_everything_a_plan_may_write() -> None:
    paths = list(FieldPaths().projection())
    assert paths == sorted(paths)
    assert not [(a, b) for a in paths for b in paths if b.startswith(a + ".")]
    assert set(WRITTEN) <= set(paths)
    wide = FieldPaths.with_overrides({"aml": ["metadata"]}).projection()
    assert [path for path in wide if path.startswith("metadata")] == ["metadata"]


def test_an_index_into_an_array_is_cut_off_before_the_server_sees_it() -> None:
    assert stored_path("requestIds.0") == "requestIds"
    assert stored_path("a.0.b") == "a"
    assert stored_path("a.b") == "a.b"
    assert not [path for path in FieldPaths().projection() if path.endswith(".0")]


def test_windows_and_writes_have_one_path_each() -> None:
    assert all(len(DEFAULT_CANDIDATES[name]) == 1 for name in SINGLE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1),
        ("list.0", "x"),
        ("list.1.c", 2),
        ("list.5", None),
        ("a.b.c", None),
        ("none.x", None),
        ("text.0", None),
    ],
)
def test_values_are_found_below_objects_and_arrays(path: str, value: Any) -> None:
    document = {"a": {"b": 1}, "list": ["x", {"c": 2}], "none": None, "t": "abc"}
    assert stored_at(document, path.split(".")) == value


def test_a_projected_document_keeps_order_and_parents_that_are_no_objects() -> None:
    document = {"z": 1, "b": {"y": 1, "x": 2}, "a": None, "c": [1], "d": "t", "e": {}}
    assert list(project(document, ["c.x", "b.x", "z", "a.x", "d.q", "e.q"]).items()) == [
        ("z", 1), ("b", {"x": 2}), ("a", None), ("c", [1]), ("d", "t"), ("e", {}),
    ]  # fmt: skip


def test_the_paths_are_told_as_the_configuration_writes_them_and_read_back() -> None:
    fields = FieldPaths.with_overrides({"hold": ["shkeeper:metadata.freeze?", "stops.0.kind"]})
    assert fields.texts()["hold"] == ["shkeeper:metadata.freeze?", "stops.0.kind"]
    assert FieldPaths.with_overrides(fields.texts()) == fields


def test_a_backend_without_an_escrow_says_so_with_an_empty_list() -> None:
    fields = FieldPaths.with_overrides({"escrow_state": [], "confirmations": []})
    assert FieldPaths.with_overrides(fields.texts()) == fields
    documents = [
        payment_document(n, {"status": status, "direction": direction, "escrowState": "partial"})
        for n, (status, direction) in enumerate(
            [("completed", "in"), ("confirmed", "out"), ("pending", "in"), ("refunded", "in"), ("failed", "out")]
        )
    ]
    for many in (documents, documents * 20):
        rows = payment_rows(many, fields=fields, registry=load_registry(), policy=Policy())
        assert rows["escrow_state"].to_pylist()[:5] == ["funded", "released", None, "refunded", None]
        assert rows["confirmations"].to_pylist()[:5] == [None] * 5
    places = places_of(fields)
    assert places.kept({"status": "completed", "escrow": "funded", "confirmations": 12}) == {"status": "completed"}


@pytest.mark.parametrize("name", ["status", "created_at", "amount", "provider"])
def test_what_every_backend_has_cannot_be_left_out(name: str) -> None:
    with pytest.raises(FieldPathError):
        FieldPaths.with_overrides({name: []})
