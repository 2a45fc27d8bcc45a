"""A table with a column for each field of simulated payments, and the documents of a world as they fit into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import Decimal128

from recon.sources.payments.sql.section import SqlSection

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
