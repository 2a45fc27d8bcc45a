"""Payment documents for tests: a plain one, odd ones, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bson
from bson import Decimal128, Int64, ObjectId

from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.core.tables import arrow_schema
from recon.sources.interface import Reading, Selection
from recon.sources.payments.bson_walk import RawBatch
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.read import payment_rows, read_payments

if TYPE_CHECKING:
    import pyarrow as pa

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
REQUEST = "01" + "ab" * 32
HASH = "0x" + "cd" * 32
WALLET = "0x" + "1a" * 20
USDC_BASE = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
USDT_BSC = "0x55d398326f99059ff775485246999027b3197955"
POLICY = Policy()


def payment(**changes: Any) -> dict[str, Any]:
    """A pending Request Network payment of 12.5 USDC on Base; a key with ``__`` goes below."""
    document: dict[str, Any] = {
        "_id": ObjectId("65a000000000000000000001"),
        "purchaseRequestId": ObjectId("65a0000000000000000000aa"),
        "sellerOfferId": "offer-1",
        "buyerId": ObjectId("65a0000000000000000000bb"),
        "provider": "request.network",
        "direction": "in",
        "status": "pending",
        "amount": {"amount": 12.5, "currency": "USDC"},
        "blockchain": {"network": "base"},
        "metadata": {"requestId": REQUEST, "paymentReference": "0x" + "0A" * 8},
        "createdAt": NOW,
        "updatedAt": NOW,
        "__v": 0,
    }
    for name, value in changes.items():
        *parents, leaf = name.split("__") if name != "__v" else [name]
        node = document
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return document


def rows_of(*documents: Mapping[str, Any], **rules: Any) -> list[dict[str, Any]]:
    """The rows of some documents, each read by itself: so few at once are never read by columns."""
    given = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY, **rules}
    parts = [documents[start : start + 20] for start in range(0, len(documents), 20)]
    return [row for part in parts for row in payment_rows(part, **given).to_pylist()]


def row_of(**changes: Any) -> dict[str, Any]:
    return rows_of(payment(**changes))[0]


def read(store: Any, selection: Selection | None = None, **rules: Any) -> tuple[Reading, list[dict[str, Any]]]:
    given = {"fields": FieldPaths(), "registry": load_registry(), "policy": POLICY, **rules}
    batches: list[pa.RecordBatch] = []
    reading = read_payments(store, selection=selection or Selection(), sink=batches.append, **given)
    return reading, [row for batch in batches for row in batch.to_pylist()]


def odd_payments() -> list[dict[str, Any]]:
    """Documents whose ids are of every type and whose values are of every kind, none of them twice."""
    text = "65a000000000000000000001"
    hashes = {"blockchain__transactionHash": HASH}
    documents = [
        payment(), payment(_id=text, **hashes), payment(_id="zz", createdAt="2026-11-20"),
        payment(_id="", metadata=None),
        payment(_id=1, amount__amount=Decimal128("1.00")), payment(_id=Int64(2), amount__amount=Int64(5)),
        payment(_id=2.5, amount__amount=float("nan")), payment(_id=float("nan"), metadata="text"),
        payment(_id=Decimal128("2.75"), metadata=[]), payment(_id={"a": 1, "b": [1]}, blockchain=None),
        payment(_id=b"\x00\x01", amount=None), payment(_id=True, status="Pending"),
        payment(_id=NOW, provider="SHKeeper"),
        payment(_id=None, requestIds=[REQUEST], metadata={}), payment(_id=bson.Timestamp(1, 2), createdAt=None),
        payment(_id=ObjectId("ff" * 12), provider="shkeeper", metadata={"walletAddress": WALLET}),
    ]  # fmt: skip
    del documents[-2]["createdAt"]
    return documents


def names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(row["payment_id"]) for row in rows)


def rows_of_batch(batch: RawBatch, policy: Policy = POLICY) -> list[dict[str, Any]]:
    rows = payment_rows(batch, fields=FieldPaths(), registry=load_registry(), policy=policy)
    assert rows.schema == arrow_schema("payments")
    rows.validate(full=True)
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


ODD_VALUES: tuple[Any, ...] = (
    None, "", " ", "text", "released", "false", True, False, 0, 1, 56, -5, 2**31, Int64(56), Int64(2**40), 0.0, -0.0,
    12.5, 0.1 + 0.2, 1e-6, 1e-7, 1e21, 1e22, 1e300, 4398046.511104, 4398046.511103, 4398046511104.0, 8453.0,
    float("nan"), float("-inf"), Decimal128("1.00"), Decimal128("0.0000001"), Decimal128("NaN"), "12.50", "9" * 40,
    "1e3", NOW, bson.datetime_ms.DatetimeMS(400_000_000_000_123), ObjectId("65a000000000000000000001"), b"\x00\x01", [],
    [1], ["0x" + REQUEST.upper()], {}, {"active": False}, {"blocked": True}, {"status": "Rejected"}, {"0": REQUEST},
    REQUEST, "0X" + REQUEST.upper(), HASH, HASH.upper(), HASH[2:], "0x" + "0A" * 8, "0b" * 8, WALLET, WALLET.upper(),
    WALLET[2:], "SIM_1", " sim_2 ", "bsc", "BNB ", "0x38", "solana", "BNB-USDT", "ETH-USDC", "USDT", "usdc", "pending",
    "Pending", "out", "refund", "funded", "request-network", " SHKeeper ", "test", "req_test_1", "ünïcode", "x" * 300,
    "2026-11-20T08:30:00.250Z", "2026-11-20 08:30", 1_763_640_000, Int64(1_763_640_000_123), 1_763_640_000.25,
    bson.Regex("a"), bson.Timestamp(1, 2), bson.MinKey(), bson.Code("x"), USDC_BASE, "65a000000000000000000001", "null",
)  # fmt: skip

USUAL_VALUES = tuple(
    value for value in ODD_VALUES if value is None or type(value) in (str, bool, dt.datetime, ObjectId)
)
IDS: tuple[Any, ...] = ("", "null", '"', "{", "65a000000000000000000001", "ünïcode", " x ", 7, Int64(7), 7.5, {"a": 1})


def odd_document(chance: random.Random, paths: Sequence[str]) -> dict[str, Any]:
    """A payment with some of its candidate paths set to anything, some taken away, in any order of fields."""
    document = payment(
        _id=ObjectId(chance.randbytes(12)) if chance.random() < 0.7 else chance.choice([*IDS, f"p-{chance.random()}"]),
        provider=chance.choice(["request.network", "shkeeper", "other"]),
        amount={"amount": chance.choice([round(chance.uniform(0, 9999), 2), 7, 0.000001]), "currency": "USDT"},
        blockchain={"network": chance.choice(["bsc", "base", "polygon"])},
    )
    usual = chance.random() < 0.8
    for path in chance.sample(paths, chance.choice([0, 1, 1, 2, 4, 15])):
        *parents, leaf = path.split(".")
        node: Any = document
        for parent in parents:
            below = node.setdefault(parent, {}) if isinstance(node, dict) else None
            node = below if isinstance(below, dict) else {}
        node[leaf] = chance.choice(USUAL_VALUES if usual else ODD_VALUES)
    for name in chance.sample(list(document), chance.choice([0, 0, 1, 3])):
        document[name] = document[name] if usual else chance.choice(ODD_VALUES)
        if chance.random() < 0.7:
            del document[name]
    items = list(document.items())
    if chance.random() < 0.3:
        chance.shuffle(items)
    return dict(items)
