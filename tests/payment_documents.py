"""Payment documents for tests: a plain one, odd ones, and what becomes of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bson
from bson import Decimal128, Int64, ObjectId

from recon.model import Policy
from recon.registry import load_registry
from recon.sources.fields import FieldPaths
from recon.sources.interface import Reading, Selection
from recon.sources.payments import payment_rows, read_payments
from recon.sources.rawbson import RawBatch
from recon.tables import arrow_schema

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
