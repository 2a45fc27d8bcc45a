"""One world in MongoDB, SQLite and PostgreSQL gives one plan, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128

from recon.core.model import Target
from recon.plans.file import plan_bytes
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.snapshots.take import take_snapshot
from recon.sources.interface import DocumentStore, StoreIdentity
from recon.sources.payments.mongo import MongoSettings, MongoStore
from recon.sources.payments.sql.section import SqlSection
from tests.support.applying import resealed
from tests.support.sql_stores import SqlPlace, sqlite_place

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.conftest import PlaceMaker
    from tests.support import servers

COLUMNS = {
    "amount.amount": "amount", "amount.currency": "currency", "blockchain.confirmations": "confirmations",
    "blockchain.network": "network", "blockchain.sender": "sender", "blockchain.tokenAddress": "token",
    "blockchain.transactionHash": "tx_hash", "buyerId": "buyer", "completedAt": "completed_at",
    "createdAt": "created_at", "derivedDestination": "destination", "direction": "direction", "disputed": "disputed",
    "escrowState": "escrow_state", "expiresAt": "expires_at", "metadata": "metadata",
    "paymentReference": "reference", "provider": "provider", "providerPaymentId": "provider_payment",
    "purchaseRequestId": "order_id", "requestId": "request_id", "requestIds": "request_ids", "salt": "salt",
    "sellerId": "seller", "sellerOfferId": "offer", "status": "status", "updatedAt": "updated_at", "__v": "version",
}  # fmt: skip
TYPES = {
    "amount": {"sqlite": "TEXT", "postgres": "numeric"}, "confirmations": {"sqlite": "INTEGER", "postgres": "bigint"},
    "version": {"sqlite": "INTEGER", "postgres": "smallint"}, "disputed": {"sqlite": "BOOLEAN", "postgres": "boolean"},
    "destination": {"sqlite": "TEXT", "postgres": "json"}, "metadata": {"sqlite": "TEXT", "postgres": "json"},
    "request_ids": {"sqlite": "JSON", "postgres": "json"},
}  # fmt: skip
KINDS: dict[str, Any] = {"amount": "decimal", "destination": "ejson", "metadata": "ejson"}
SAME = StoreIdentity(("one",), "marketplace", "payments", "same")


def plainly(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of the kinds that columns have: ids are text, amounts decimals, counts whole."""
    found = {**document, "_id": str(document["_id"])}
    for name in ("buyerId", "purchaseRequestId", "sellerId", "sellerOfferId"):
        if name in found:
            found[name] = str(found[name])
    chain = dict(found["blockchain"])
    if "confirmations" in chain:
        chain["confirmations"] = int(chain["confirmations"])
    amount = found["amount"]["amount"]
    amount = amount if isinstance(amount, Decimal128) else Decimal128(repr(amount))
    return {
        **found,
        "amount": {**found["amount"], "amount": amount},
        "blockchain": {**chain, "network": str(chain.get("network", "bsc"))},
    }


def section_and_columns(kind: str) -> tuple[SqlSection, str]:
    """The table that such documents fit into, in the words of one database."""
    time = {"sqlite": "TIMESTAMP", "postgres": "timestamp"}[kind]
    named = {
        column: TYPES.get(column, {}).get(kind, time if column.endswith("_at") else "text")
        for column in COLUMNS.values()
    }
    made = ", ".join(["id text PRIMARY KEY", *(f"{column} {declared}" for column, declared in named.items())])
    return SqlSection(table="payments", columns=COLUMNS, kinds=KINDS, time_zone="UTC"), made


def filled(place: SqlPlace, kind: str, documents: list[dict[str, Any]]) -> DocumentStore:
    place.make(section_and_columns(kind)[1])
    place.put(documents)
    return place.store()


@pytest.mark.postgres
def test_one_world_in_three_stores_gives_one_plan_byte_for_byte(
    tmp_path: Path, mongod: servers.Mongod, mongo_database: Database[dict[str, Any]], postgres_at: PlaceMaker
) -> None:
    world = generate_world(payments=60, seed=903)
    write_world(world, tmp_path / "world")
    documents = [plainly(document) for document in world.recorded.payments]
    mongo_database.payments.insert_many([dict(document) for document in documents])
    in_file = sqlite_place(tmp_path, SqlSection(table="payments"))
    in_file.section = section_and_columns("sqlite")[0]
    on_server = postgres_at(SqlSection(table="payments"))
    on_server.section = section_and_columns("postgres")[0]
    stores: dict[str, Any] = {
        "mongo": MongoStore(MongoSettings(mongod.uri, mongo_database.name)),
        "sqlite": filled(in_file, "sqlite", documents),
        "postgres": filled(on_server, "postgres", documents),
    }
    settings = load_settings(tmp_path / "world" / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    plans = {}
    for name, store in stores.items():
        with open_sources(settings) as sources:
            store.identity = lambda: SAME
            snapshot = take_snapshot(
                replace(sources, store=store),
                selection=settings.selection(),
                policy=policy,
                registry=registry,
                now=settings.now(),
                out=tmp_path / name,
            )
            plan = make_plan(snapshot, policy=policy, registry=registry, engine="polars")
        assert isinstance(plan.target, Target)
        assert {row["problem"] for row in plan.coverage if row["source"] == "payments"} == {None}, name
        # When it was read, and how the columns of a table are ordered, is each store's own.
        plans[name] = plan_bytes(resealed(plan, snapshot="s" * 64, coverage=()))
        store.close()
    in_file.close()
    assert len(plans["mongo"]) > 10_000
    assert plans["sqlite"] == plans["mongo"]
    assert plans["postgres"] == plans["mongo"]
