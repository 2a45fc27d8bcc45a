"""The tables of a database that may hold payments, by their names, and under which paths their columns may stand."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.setup.file import SQL_URL_VARIABLE
from recon.setup.stores.store import FoundCollection

if TYPE_CHECKING:
    from recon.sources.payments.sql.database import SqlDatabase
    from recon.sources.payments.sql.section import SqlSection

_FOUND_MAX: Final = 20
_IDS: Final = ("id", "payment_id", "_id", "uuid")
_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "amount.amount": ("amount",),
    "amount.currency": ("currency", "asset", "token_symbol"),
    "blockchain.network": ("network", "chain_id", "chain"),
    "blockchain.tokenAddress": ("token_address", "token"),
    "blockchain.transactionHash": ("transaction_hash", "tx_hash", "tx_id"),
    "blockchain.confirmations": ("confirmations",),
    "blockchain.sender": ("sender", "payer_address"),
    "derivedDestination.address": ("deposit_address", "destination_address", "recipient_address", "recipient"),
    "escrowState": ("escrow_state",),
    "paymentReference": ("payment_reference", "reference"),
    "requestId": ("request_id",),
    "purchaseRequestId": ("purchase_request_id", "order_id"),
    "sellerOfferId": ("seller_offer_id", "offer_id"),
    "buyerId": ("buyer_id", "buyer"),
    "sellerId": ("seller_id", "seller"),
    "createdAt": ("created_at", "inserted_at"),
    "updatedAt": ("updated_at", "modified_at"),
    "expiresAt": ("expires_at",),
    "__v": ("version", "row_version"),
}
"""What columns of payments are often called, the likeliest first."""


def payment_tables() -> list[FoundCollection]:
    """The tables whose names speak of payments, with about how many rows each has and what would mean it.

    The address is taken from the usual variable; without it nothing is asked and nothing found. A table without a
    column of unique ids is left out.

    Raises:
        SourceError: The database does not answer or refuses the login.
        ConfigError: The address is none, or something is not installed.
    """
    from recon.sources.payments.sql.section import SqlSection

    url = os.environ.get(SQL_URL_VARIABLE, "")
    if not url:
        return []
    with _opened(url, SqlSection(table="payments")) as (database, connection):
        named = database.tables_called(connection, "payment")[:_FOUND_MAX]
    found = []
    for table, rows in named:
        section = _section(url, table)
        if section is not None:
            place, _, name = table.rpartition(".")
            found.append(FoundCollection(place or "main", name, rows, {"sql": section}))
    return found


def _section(url: str, table: str) -> Mapping[str, Any] | None:
    """The section that means a table; None where no column of it can be that of the ids."""
    from recon.sources.payments.sql.errors import SqlMissingError
    from recon.sources.payments.sql.section import SqlSection

    for key in _IDS:
        try:
            with _opened(url, SqlSection(table=table, id=key)) as (database, connection):
                columns = database.layout(connection).columns
        except (SqlMissingError, ValueError):
            continue
        return {"table": table, "id": key, "columns": guessed_paths(columns, but=key)}
    return None


def guessed_paths(columns: Collection[str], *, but: str = "id") -> dict[str, str]:
    """Under which path of a payment each column may stand; one that is called like its path needs no word.

    >>> guessed_paths(["id", "status", "amount", "txHash", "tx_hash", "created_at"])
    {'amount.amount': 'amount', 'blockchain.transactionHash': 'txHash', 'createdAt': 'created_at'}

    Args:
        but: The column of the ids, which stands under ``_id``.
    """
    called: dict[str, str] = {}
    for column in columns:
        called.setdefault(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower(), column)
    found = ((path, next((called[name] for name in names if name in called), None)) for path, names in _PATHS.items())
    return {path: column for path, column in found if column is not None and column not in (path, but)}


@contextmanager
def _opened(url: str, section: SqlSection) -> Iterator[tuple[SqlDatabase, Any]]:
    """A database and a connection that reads it, closed afterwards; errors of the driver become sentences."""
    from recon.sources.payments.sql.database import Reached
    from recon.sources.payments.sql.opened import database_of

    database = database_of(Reached(url, SQL_URL_VARIABLE, Path()), section)
    try:
        with database.asked_of(), database.reading() as connection:
            yield database, connection
    finally:
        database.close()
