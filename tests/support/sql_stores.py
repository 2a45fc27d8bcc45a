"""Tables of payments in SQLite and PostgreSQL, filled with documents: a column for each field, or one for them all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bson import json_util

from recon.core.ids import payment_id_text
from recon.core.registry import load_registry
from recon.core.values import json_options
from recon.runs.stores.sql.journal import SqlJournal
from recon.runs.stores.sql.own_tables import make_own_tables
from recon.runs.stores.sql.payments import SqlWriter
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.sql.database import Reached, SqlDatabase
from recon.sources.payments.sql.mapping import ID
from recon.sources.payments.sql.opened import database_of
from recon.sources.payments.sql.rows import row_map
from recon.sources.payments.sql.section import SqlSection
from recon.sources.payments.sql.store import SqlStore
from recon.testing.contract import UnheldDocumentError
from tests.support.postgres import Postgres

PATHS = {
    "amount.amount": "amount",
    "amount.currency": "currency",
    "escrowState": "escrow_state",
    "blockchain.network": "network",
    "blockchain.confirmations": "confirmations",
    "blockchain.transactionHash": "tx_hash",
    "metadata.requestId": "request_id",
    "fresh.leaf": "leaf",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "__v": "version",
    "purchaseRequestId": "order_id",
    "buyerId": "buyer_id",
}
_COLUMNS = """
  id {text} PRIMARY KEY, order_id {text}, buyer_id {text}, amount {double}, currency {text}, provider {text},
  direction {text}, status {text}, escrow_state {text}, disputed {bool}, network {text}, confirmations {int},
  tx_hash {text}, request_id {text}, leaf {text}, created_at {time}, updated_at {time}, version {int}
"""
_TYPES = {
    "sqlite": {"text": "TEXT", "double": "REAL", "bool": "BOOLEAN", "int": "INTEGER", "time": "TIMESTAMP"},
    "postgres": {
        "text": "text", "double": "double precision", "bool": "boolean", "int": "integer", "time": "timestamptz",
    },
}  # fmt: skip
BY_COLUMNS = SqlSection(
    table="payments", columns=PATHS, kinds={"id": "objectid", "buyer_id": "objectid"}, time_zone="UTC"
)
AS_DOCUMENT = SqlSection(table="payments", columns={"*": "document"}, kinds={"id": "objectid", "document": "ejson"})


@dataclass
class SqlPlace:
    """One table of payments in a database of its own."""

    kind: str
    url: str
    section: SqlSection
    home: Path = field(default_factory=Path)
    opened: list[SqlDatabase] = field(default_factory=list)
    stores: list[SqlStore] = field(default_factory=list)

    def database(
        self, *, may_write: bool = True, url: str | None = None, section: SqlSection | None = None
    ) -> SqlDatabase:
        """The database as recon opens it; closed with the place."""
        reached = Reached(url or self.url, "RECON_SQL_URL", self.home, may_write=may_write)
        made = database_of(reached, section or self.section)
        self.opened.append(made)
        return made

    def store(self, *, fields: FieldPaths | None = None, **given: Any) -> SqlStore:
        database = self.database(may_write=False, **given)
        self.stores.append(SqlStore(database, fields=fields or FieldPaths(), registry=load_registry()))
        return self.stores[-1]

    def writer(self, **given: Any) -> SqlWriter:
        return SqlWriter(self.database(**given))

    def journal(self) -> SqlJournal:
        return SqlJournal(self.database())

    def run(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> list[Any]:
        """A statement of the backend's, with ``?`` for values; committed."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.url.partition("///")[2], timeout=20)) as connection, connection:
                if rows:
                    connection.executemany(statement, rows)
                    return []
                return connection.execute(statement).fetchall()
        cursor = self._backend.cursor()
        if rows:
            cursor.executemany(statement.replace("?", "%s"), rows)
            return []
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []

    @cached_property
    def _backend(self) -> Any:
        import psycopg

        return psycopg.connect(self.url, options="-c DateStyle=ISO", autocommit=True)

    @cached_property
    def shared(self) -> SqlDatabase:
        """One database for what need not have its own."""
        return self.database()

    def make(self, columns: str | None = None) -> None:
        """Make the table of the section anew, empty."""
        if columns is None and "*" in self.section.columns:
            columns = "id {text} PRIMARY KEY, document json NOT NULL"
        self.run(f"DROP TABLE IF EXISTS {self.section.table}")
        types = _TYPES[self.kind]
        made = _COLUMNS.format(**types) if columns is None else columns.replace("{text}", types["text"])
        self.run(f"CREATE TABLE {self.section.table} ({made})")

    def put(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Insert documents; UnheldDocumentError for one that the columns have no room for."""
        with self.shared.reading() as connection:
            layout = self.shared.layout(connection)
        rows = row_map(layout, self.section)
        names = [place.name for place in rows.columns]
        table = []
        for document in documents:
            try:
                touched = [ID, *(name for name in document if name != ID)]
                images = rows.images(dict.fromkeys(names), document, touched=touched)
            except Exception as error:
                raise UnheldDocumentError(str(error)) from error
            full = {name: images.get(name) for name in names}
            if not _is_same(rows.plain(full), document):
                raise UnheldDocumentError("it would not come back as it is")
            table.append([full[name] for name in names])
        marks = ", ".join(["?"] * len(names))
        quoted = ", ".join(f'"{name}"' for name in names)
        self.run(f"INSERT INTO {self.section.table} ({quoted}) VALUES ({marks})", table)
        self._check(documents)

    def _check(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """What a column made of a value, such as 12.0 of 12, is no longer the document."""
        writer = SqlWriter(self.shared)
        stored = writer.read([document["_id"] for document in documents])
        for document in documents:
            if not _is_same(stored[payment_id_text(document["_id"])], document):
                found = stored[payment_id_text(document["_id"])]
                raise UnheldDocumentError(f"a column made another value of it: {dict(found)} of {dict(document)}")

    def open_writer(self, documents: Sequence[Mapping[str, Any]]) -> SqlWriter:
        """A writer over exactly these documents, as the contract wants it."""
        make_own_tables(self.shared)
        self.run(f"DELETE FROM {self.section.table}")
        self.run("DELETE FROM recon_stamp" if self.kind == "sqlite" else "DELETE FROM recon.stamp")
        self.put(documents)
        return SqlWriter(self.shared)

    def close(self) -> None:
        for each in (*self.stores, *self.opened):
            each.close()
        if backend := self.__dict__.pop("_backend", None):
            backend.close()


def _is_same(found: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """By value and type; the order of fields is that of the columns."""
    return extended(found) == extended(document)


def sqlite_place(folder: Path, section: SqlSection = BY_COLUMNS) -> SqlPlace:
    """A file of SQLite in WAL mode, with the table."""
    path = folder / "payments.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    place = SqlPlace("sqlite", f"sqlite:///{path}", section, folder)
    place.make()
    return place


def postgres_place(server: Postgres, name: str, section: SqlSection = BY_COLUMNS) -> SqlPlace:
    """A database on a server, with the table."""
    with server.connected() as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    place = SqlPlace("postgres", server.url(name), section)
    place.make()
    return place


def extended(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as canonical Extended JSON."""
    found: dict[str, Any] = json.loads(json_util.dumps(document, json_options=json_options()))
    return found
