"""A raw batch read by columns gives the rows that its documents give one by one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bson
import pytest

from recon.registry import Token, extend_registry, load_registry
from recon.sources.documents import codec
from recon.sources.fields import FieldPaths
from recon.sources.payments import COLUMNS_FROM, RowRules, payment_rows
from recon.sources.rawbson import RawBatch, RawDocument

if TYPE_CHECKING:
    pass

from tests.payment_documents import POLICY, WALLET, odd_document, payment, rows_of, rows_of_batch


@pytest.mark.parametrize("seed", range(12))
def test_columns_and_single_documents_give_the_same_rows(seed: int) -> None:
    chance = random.Random(seed)
    fields = FieldPaths()
    paths = sorted({c.path for several in fields.candidates.values() for c in several if c.path != "_id"})
    policy = replace(POLICY, merchant_recipients=(WALLET,) if seed % 2 else (), tolerance_ppm=TOLERANCES[seed % 3])
    raws = [bson.encode(odd_document(chance, paths)) for _ in range(400)]
    by_column = rows_of_batch(RawBatch(b"".join(raws)), policy)
    one_by_one = rows_of(*map(RawDocument, raws), policy=policy)
    for found, expected, raw in zip(by_column, one_by_one, raws, strict=True):
        assert found == expected, bson.decode(raw, codec_options=codec())


TOLERANCES: tuple[dict[str, tuple[int, int]], ...] = (
    {"request_network": (0, 0), "shkeeper": (50_000, 50_000)}, {"request_network": (1, 1)}, {"shkeeper": (0, 50_000)},
)  # fmt: skip


def test_many_decoded_documents_take_the_same_way_and_one_that_bson_cannot_hold_does_not_stop_them() -> None:
    documents = [payment(_id=f"p-{number}", amount__amount=number + 0.5) for number in range(COLUMNS_FROM)]
    expected = [row for document in documents for row in rows_of(document)]
    rules: RowRules = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY}
    assert payment_rows(documents, **rules).to_pylist() == expected
    documents[7]["status"] = json.loads('"\\ud800"')
    found = payment_rows(documents, **rules).to_pylist()
    assert found[7]["status_raw"] == "?"
    assert found[8:] == expected[8:]


def test_text_that_is_no_utf8_is_read_with_its_bad_bytes_marked() -> None:
    good = bson.encode(payment(_id="good"))
    bad = bson.encode(payment(_id="bad", status="xxxx")).replace(b"xxxx", b"x\xff\xfex")
    rows = rows_of_batch(RawBatch(good + bad))
    assert [row["payment_id"] for row in rows] == ["good", "bad"]
    assert rows[1]["status_raw"] == "x\ufffd\ufffdx"


def test_more_shapes_and_fields_than_the_walk_takes_are_read_one_by_one() -> None:
    shapes = [{f"f{number}": 1, **payment(_id=f"s-{number}")} for number in range(200)]
    wide = {"_id": "wide", **{f"f{number}": 1 for number in range(5_000)}, "status": "pending"}
    documents = [*shapes, wide]
    expected = rows_of(*[RawDocument(bson.encode(document)) for document in documents])
    assert rows_of_batch(RawBatch(b"".join(map(bson.encode, documents)))) == expected


def amount(value: float) -> dict[str, Any]:
    return {"amount": value, "currency": "ODD"}


@pytest.mark.parametrize("decimals", [0, 2, 6, 7, 8, 11, 12, 18, 24, 30])
def test_units_are_exact_for_every_number_of_decimals(decimals: int) -> None:
    token = Token(8453, "0x" + "55" * 20, "ODD", decimals)
    registry = extend_registry(load_registry(), tokens=(token,))
    chance = random.Random(decimals)
    amounts = [round(chance.uniform(0, 10 ** chance.randrange(8)), chance.randrange(9)) for _ in range(500)]
    documents = [
        payment(_id=str(n), provider=chance.choice(["shkeeper", "request.network"]), amount=amount(a))
        for n, a in enumerate(amounts)
    ]
    raws = [bson.encode(document) for document in documents]
    rules: RowRules = {"fields": FieldPaths(), "registry": registry, "policy": POLICY}
    by_column = payment_rows(RawBatch(b"".join(raws)), **rules).to_pylist()
    assert by_column == [row for raw in raws for row in payment_rows([RawDocument(raw)], **rules).to_pylist()]
    assert any(row["expected_units"] for row in by_column)
