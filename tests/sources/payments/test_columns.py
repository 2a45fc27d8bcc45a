"""A raw batch read by columns gives the rows that its documents give one by one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.core.registry import Token, extend_registry, load_registry
from recon.core.registry.off_chain import OFF_CHAIN, with_books
from recon.simulation import generate_world
from recon.sources.payments.bson_walk import RawBatch, RawDocument
from recon.sources.payments.columns import PaymentColumns
from recon.sources.payments.documents import DocumentReader, codec
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.read import COLUMNS_FROM, RowRules, payment_rows
from tests.support.fuzzing import BSON_HOSTILE, mangled
from tests.support.payment_documents import POLICY, WALLET, odd_document, payment, rows_of, rows_of_batch


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


def odd_of(raws: list[bytes]) -> list[bytes]:
    """The documents that are not read by columns."""
    fields = FieldPaths()
    reader = DocumentReader(fields=fields, registry=load_registry(), policy=POLICY)
    odd = PaymentColumns(RawBatch(b"".join(raws)), fields=fields, reader=reader).odd
    return [raw for raw, is_odd in zip(raws, odd, strict=True) if is_odd]


@cache
def simulated(breaks: Any, seed: int) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = generate_world(payments=2_000, seed=seed, breaks=breaks).recorded.payments
    return documents


@pytest.mark.parametrize("breaks", ["default", "none"])
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_the_simulator_plants_is_read_by_columns_and_gives_the_same_rows(breaks: str, seed: int) -> None:
    raws = [bson.encode(document) for document in simulated(breaks, seed)]
    assert not odd_of(raws)
    assert rows_of_batch(RawBatch(b"".join(raws))) == rows_of(*map(RawDocument, raws))


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        mangled(st.deferred(lambda: st.sampled_from(simulated("default", 1))), BSON_HOSTILE), min_size=1, max_size=8
    )
)
def test_spoiled_documents_among_sound_ones_give_the_same_rows(documents: list[Any]) -> None:
    raws = [bson.encode(document) for document in simulated("default", 1)[:40]]
    for document in documents:
        try:
            raws.insert(len(raws) // 2, bson.encode(document))
        except (bson.errors.BSONError, OverflowError, UnicodeError, TypeError, ValueError):
            continue
    assert_equal(rows_of_batch(RawBatch(b"".join(raws))), rows_of(*map(RawDocument, raws)))


def assert_equal(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one == other


AMOUNTS = (
    0, -0.0, 7, Int64(7), -7, Int64(2**40), Int64(-(2**63)), 10**12, 12.5, 0.1 + 0.2, 100 / 3, 57.0000001,
    1234567.8900000001, 19.989999999999998, sum([0.1] * 300), 1e17 / 3, 5e-324, 1e21, 4398046.511103, "12.50",
    "012.5", "12.", ".5",
    "0", "-1", "1e3", " 12.5 ", "12.5\n", "9999999.999999", "4398046.511104", "0.0000001", "1.2500000", "", "x",
    *map(Decimal128, ("12.50", "1.2500000", "0.000001", "0.0000001", "1E+3", "-1", "0", "NaN", "Infinity", "-0.00",
                      "4398046.511104", "9007199.254740993", "12345678901234567890.5", "1.0000000000000000001")),
)  # fmt: skip


@pytest.mark.parametrize("currency", ["USDC", "USDT", "NONE"])
def test_amounts_of_every_type_are_the_same_by_columns(currency: str) -> None:
    chain = {"network": "bsc"} if currency == "USDT" else {"network": "base"}
    documents = [payment(_id=str(n), amount={"amount": a, "currency": currency}, blockchain=chain)
                 for n, a in enumerate(AMOUNTS)]  # fmt: skip
    raws = [bson.encode(document) for document in documents]
    assert not odd_of(raws)
    assert rows_of_batch(RawBatch(b"".join(raws))) == rows_of(*map(RawDocument, raws))


@pytest.mark.parametrize("tolerances", TOLERANCES)
def test_doubles_that_were_computed_are_the_same_by_columns(tolerances: dict[str, tuple[int, int]]) -> None:
    chance = random.Random(22)
    made = [sum(round(chance.uniform(0, 10 ** (n % 9)), n % 7) for _ in range(1 + n % 4)) for n in range(300)]
    documents = [
        payment(_id=str(n), provider=("request.network", "shkeeper")[n % 2], amount={"amount": amount,
                "currency": "USDT"}, blockchain={"network": ("bsc", "polygon")[n // 2 % 2]})
        for n, amount in enumerate(made)
    ]  # fmt: skip
    raws = [bson.encode(document) for document in documents]
    policy = replace(POLICY, tolerance_ppm=tolerances)
    assert rows_of_batch(RawBatch(b"".join(raws)), policy) == rows_of(*map(RawDocument, raws), policy=policy)


COUNTS = (
    0, 12, Int64(2**40), 12.0, 12.5, -0.0, 2.0**63, -(2.0**63), 1e300, float("nan"), float("inf"), "12", True, None,
    *map(Decimal128, ("12", "12.0", "1.2E+1", "12.5", "NaN", "9223372036854775807", "9223372036854775808")),
)  # fmt: skip


def test_counts_of_every_type_are_the_same_by_columns() -> None:
    raws = [bson.encode(payment(_id=str(n), blockchain__confirmations=count)) for n, count in enumerate(COUNTS)]
    assert not odd_of(raws)
    rows = rows_of_batch(RawBatch(b"".join(raws)))
    assert rows == rows_of(*map(RawDocument, raws))
    assert [row["confirmations"] for row in rows[:6]] == [0, 12, 2**40, 12, None, 0]


SALTS = ("ea3bc7caf64110ca", " padded ", "", "ünïcode", 7, Int64(-7), 7.5, ObjectId("65a000000000000000000001"), True)


def test_references_are_derived_by_columns_as_one_by_one() -> None:
    documents = [
        payment(_id=f"{n}-{address}", metadata={"requestId": "01" + "ab" * 32}, salt=salt,
                derivedDestination={"address": address})
        for n, salt in enumerate(SALTS) for address in (WALLET, WALLET.upper(), "nothing")
    ]  # fmt: skip
    raws = [bson.encode(document) for document in documents]
    assert not odd_of(raws)
    rows = rows_of_batch(RawBatch(b"".join(raws)))
    assert rows == rows_of(*map(RawDocument, raws))
    assert sum(row["reference"] is not None for row in rows) == 2 * 6


def test_a_field_that_no_document_of_a_batch_has_gives_the_same_rows() -> None:
    for missing in payment(_id="p-1"):
        documents = [payment(_id=f"p-{number}") for number in range(3)]
        raws = [bson.encode({key: value for key, value in one.items() if key != missing}) for one in documents]
        assert rows_of_batch(RawBatch(b"".join(raws))) == rows_of(*map(RawDocument, raws)), missing


def test_fields_in_another_order_in_every_document_are_read_by_columns() -> None:
    chance = random.Random(1)
    documents = [payment(_id=f"p-{number}") for number in range(300)]
    raws = [bson.encode(dict(chance.sample(list(one.items()), len(one)))) for one in documents]
    assert len(odd_of(raws)) < 10
    assert rows_of_batch(RawBatch(b"".join(raws))) == rows_of(*map(RawDocument, raws))


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


def test_rows_without_a_network_are_in_the_books_of_their_provider_by_columns_too() -> None:
    rails = ("whmcs", "WHMCS", "shkeeper", "request.network")
    networks: tuple[dict[str, Any], ...] = ({}, {"network": "base"}, {"network": "off-chain"}, {"network": " "})
    documents = [
        payment(_id=f"{n}", provider=rails[n % 4], amount={"amount": "12.50", "currency": ("EUR", "USDC")[n % 2]},
                blockchain=networks[n // 4 % 4], metadata={"whmcs": {"invoiceId": n}})
        for n in range(64)
    ]  # fmt: skip
    raws = [bson.encode(document) for document in documents]
    rules: RowRules = {"fields": FieldPaths(), "registry": with_books(load_registry(), ("EUR",)), "policy": POLICY}
    found = payment_rows(RawBatch(b"".join(raws)), **rules).to_pylist()
    assert_equal(found, rows_of(*map(RawDocument, raws), registry=rules["registry"]))
    by_id = {row["payment_id"]: row for row in found}
    assert (by_id["0"]["chain_id"], int(by_id["0"]["expected_units"]), by_id["0"]["external_id"]) == (
        OFF_CHAIN,
        1250,
        "0",
    )
    assert by_id["2"]["problem"] == "network_missing", "a provider without books needs a network"
