"""SQLite: one file. A reading is one transaction over it; nothing can be written through a connection that reads."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from recon.core.errors import SourceError
from recon.core.values import ABSENT
from recon.sources.interface import StoreIdentity
from recon.sources.payments.sql.database import Layout, Said, SqlColumn, SqlDatabase, own_columns, triggers_say
from recon.sources.payments.sql.errors import (
    SqlAnswerError,
    SqlForbiddenError,
    SqlMissingError,
    SqlUnreachableError,
    SqlUrlError,
)
from recon.sources.payments.sql.kinds import Raw, kind_named

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, TableClause

_MOMENTS: Final = ("date", "unix_s", "unix_ms")
_TYPES: Final = {str: "text", int: "integer", bool: "integer", float: "real", bytes: "blob", type(None): "null"}
_EPOCH_DAY: Final = 2440587.5
_ROW_SAYS: Final = {
    "SQLITE_CONSTRAINT_UNIQUE": "another record already holds a value that must be unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "another record already holds a value that must be unique",
    "SQLITE_CONSTRAINT_CHECK": "a CHECK of the table refuses the record as it would be",
    "SQLITE_CONSTRAINT_NOTNULL": "a column that may not be NULL would be",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "a foreign key of the table refuses the record as it would be",
    "SQLITE_CONSTRAINT_TRIGGER": "a trigger of the table refuses the write",
    "SQLITE_CONSTRAINT_DATATYPE": "a column does not take a value of this type",
    "SQLITE_MISMATCH": "a column does not take a value of this type",
}


class SqliteDatabase(SqlDatabase):
    """A file of SQLite."""

    title = "SQLite"
    migration = "sqlite-{}.sql"
    has_clock = False
    in_flight_max = 1

    @cached_property
    def _path(self) -> Path:
        address = self.reached.url.partition("://")[2].partition("?")[0]
        if not address.startswith("/") or len(address) < 2:
            raise SqlUrlError(variable=self.reached.variable)
        return self.reached.home / Path(address[1:])

    @property
    def place(self) -> str:
        """See :attr:`SqlDatabase.place`."""
        return f"SQLite, {self._path.name},"

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import QueuePool

        return create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=2, max_overflow=30, hide_parameters=True
        )

    def _connect(self) -> sqlite3.Connection:
        mode = "rw" if self.reached.may_write else "ro"
        address = f"file:{quote(str(self._path.resolve()))}?mode={mode}"
        made = sqlite3.connect(
            address, uri=True, timeout=self.section.timeout_s, isolation_level=None, check_same_thread=False
        )
        made.text_factory = lambda data: data.decode("utf-8", "replace")
        made.execute("PRAGMA synchronous = FULL" if self.reached.may_write else "PRAGMA query_only = ON")
        for name in _MOMENTS:
            made.create_function(f"recon_{name}", 1, self._milliseconds_of(name), deterministic=True)
        return made

    def _milliseconds_of(self, name: str) -> Any:
        from recon.sources.payments.documents import milliseconds
        from recon.sources.payments.sql.rows import zone_of

        kind = kind_named(name, zone=zone_of(self.section))

        def milliseconds_of(raw: Raw) -> int | None:
            value = kind.value(raw)
            return None if value is ABSENT else milliseconds(value)

        return milliseconds_of

    def layout(self, connection: Connection) -> Layout:
        """See :meth:`SqlDatabase.layout`."""
        import sqlalchemy as sa

        name = self.section.table
        found = connection.execute(
            sa.text("SELECT name, type FROM sqlite_master WHERE name = :name AND type IN ('table', 'view')"),
            {"name": name},
        ).first()
        if found is None:
            names = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"))
            raise self._missing(f"is not there; there are {', '.join(str(row[0]) for row in names.fetchmany(6))}")
        if found.type == "view":
            raise self._missing("is a view; name the table behind it")
        columns = {column.name: column for column in self._columns(connection, name)}
        indexed = self._indexed(connection, columns)
        table = sa.table(name, *(each.own for each in columns.values()))
        return Layout(table, name, columns, indexed, f"file {self._path.stat().st_ino:x}")

    def tables_called(self, connection: Connection, word: str) -> list[tuple[str, int]]:
        """See :meth:`SqlDatabase.tables_called`."""
        import sqlalchemy as sa

        asked = sa.text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        names = [name for name in map(str, connection.execute(asked).scalars()) if word in name.lower()]
        counted = [sa.select(sa.func.count()).select_from(sa.table(name)) for name in names]
        return [(name, int(connection.execute(each).scalar_one())) for name, each in zip(names, counted, strict=True)]

    def _indexed(self, connection: Connection, columns: Collection[str]) -> frozenset[str]:
        """The columns that an index begins with; the ids must be unique by one."""
        import sqlalchemy as sa

        name, key = self.section.table, self.section.id
        indexes = self._indexes(connection, name)
        primary = connection.execute(
            sa.text("SELECT name FROM pragma_table_info(:name) WHERE pk > 0 ORDER BY pk"), {"name": name}
        ).scalars()
        unique = [parts for parts, is_unique in indexes if is_unique] + [tuple(map(str, primary))]
        if key not in columns:
            raise self._missing(f"has no column {key}; name the one of its ids with id")
        if (key,) not in unique:
            raise self._missing(f"may hold one {key} twice: it needs a unique index")
        return frozenset(parts[0] for parts in (*unique, *(parts for parts, _ in indexes)) if parts)

    def _missing(self, what: str) -> SqlMissingError:
        return SqlMissingError(place=self.place, table=self.section.table, what=what)

    def _columns(self, connection: Connection, name: str) -> Iterator[SqlColumn]:
        import sqlalchemy as sa

        listed = connection.execute(sa.text("SELECT name, type FROM pragma_table_xinfo(:name)"), {"name": name})
        for column, declared in listed:
            kind = _kind_of(str(declared).upper())
            yield SqlColumn(column, kind, str(declared), sa.column(column), is_zoneless=kind == "date")

    def _indexes(self, connection: Connection, name: str) -> list[tuple[tuple[str, ...], bool]]:
        """The columns of every index that covers all rows, and whether it is unique."""
        import sqlalchemy as sa

        listed = connection.execute(
            sa.text('SELECT name, "unique" FROM pragma_index_list(:name) WHERE partial = 0'), {"name": name}
        ).all()
        of = sa.text("SELECT name FROM pragma_index_info(:index) ORDER BY seqno")
        return [
            (tuple(str(part) for part in connection.execute(of, {"index": index}).scalars()), bool(is_unique))
            for index, is_unique in listed
        ]

    def begin(self, connection: Connection, *, is_run: bool) -> None:
        """See :meth:`SqlDatabase.begin`."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_run else "BEGIN")
        if not is_run:
            # The snapshot begins with the first look at the file.
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").all()

    def image(self, column: SqlColumn) -> ColumnElement[Any]:
        """See :meth:`SqlDatabase.image`: the value as it is stored."""
        return column.own

    def holds(self, column: SqlColumn, raw: Raw) -> ColumnElement[bool]:
        """See :meth:`SqlDatabase.holds`: the same type of SQLite, and the same value by its bytes."""
        import sqlalchemy as sa

        own = column.own
        is_type: ColumnElement[bool] = sa.func.typeof(own) == _TYPES[type(raw)]
        return sa.and_(is_type, sa.collate(own, "BINARY").is_not_distinct_from(self.bound(column, raw)))

    def bound(self, column: SqlColumn, raw: Raw) -> ColumnElement[Any]:
        """See :meth:`SqlDatabase.bound`."""
        import sqlalchemy as sa

        return sa.literal(raw, sa.types.NullType()) if raw is not None else sa.null()

    def within(
        self, column: SqlColumn, kind: str, *, from_ms: int | None, to_ms: int | None
    ) -> ColumnElement[bool] | None:
        """See :meth:`SqlDatabase.within`: every stored spelling is read as documents read it."""
        import sqlalchemy as sa

        if kind not in _MOMENTS:
            return None
        at = getattr(sa.func, f"recon_{kind}")(column.own)
        bounds = [*([at >= from_ms] if from_ms is not None else ()), *([at < to_ms] if to_ms is not None else ())]
        return sa.or_(at.is_(None), sa.and_(sa.true(), *bounds))

    def row_key(self, column: SqlColumn) -> ColumnElement[str]:
        """See :meth:`SqlDatabase.row_key`: as a literal of SQL, in which 1 and '1' differ."""
        import sqlalchemy as sa

        return sa.func.quote(column.own)

    def text_of(self, column: SqlColumn) -> ColumnElement[str]:
        """See :meth:`SqlDatabase.text_of`."""
        import sqlalchemy as sa

        return sa.cast(column.own, sa.Text)

    def own_table(self, name: str) -> TableClause:
        """See :meth:`SqlDatabase.own_table`."""
        import sqlalchemy as sa

        return sa.table(f"recon_{name}", *own_columns(name))

    def own_is_there(self, connection: Connection, name: str) -> bool:
        """See :meth:`SqlDatabase.own_is_there`."""
        import sqlalchemy as sa

        asked = sa.text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
        return connection.execute(asked, {"name": f"recon_{name}"}).first() is not None

    def identity(self, connection: Connection, layout: Layout) -> StoreIdentity:
        """See :meth:`SqlDatabase.identity`: the path of the file, and its number on the disk, which no copy has."""
        return StoreIdentity(("sqlite",), str(self._path.resolve()), layout.name, layout.uuid)

    def as_of_ms(self, connection: Connection) -> int | None:
        """See :meth:`SqlDatabase.as_of_ms`: a file cannot lag."""
        return None

    def server_time(self, connection: Connection) -> datetime | None:
        """See :meth:`SqlDatabase.server_time`: this machine's own clock counts."""
        return None

    def now_ms(self) -> ColumnElement[int]:
        """See :meth:`SqlDatabase.now_ms`."""
        import sqlalchemy as sa

        days = sa.func.julianday("now") - _EPOCH_DAY
        return sa.cast(days * sa.literal(86_400_000.0), sa.Integer)

    def says(self, connection: Connection, now: datetime | None) -> tuple[str, list[str]]:
        """See :meth:`SqlDatabase.says`."""
        mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        notes = []
        if mode != "wal":
            notes.append(
                f"its journal mode is {mode}, so the backend cannot write while payments are read: "
                "PRAGMA journal_mode = WAL"
            )
        return f"SQLite {sqlite3.sqlite_version}, a file", notes

    def writable(self, connection: Connection, layout: Layout) -> tuple[str, ...]:
        """See :meth:`SqlDatabase.writable`: a file is opened for reading alone, whatever the user of the system may."""
        is_closed = bool(connection.exec_driver_sql("PRAGMA query_only").scalar())
        return () if is_closed else (layout.name,)

    def run_says(self, connection: Connection, layout: Layout, *, written: Sequence[str]) -> Iterator[Said]:
        """See :meth:`SqlDatabase.run_says`."""
        import sqlalchemy as sa

        if not os.access(self._path, os.W_OK) or not os.access(self._path.parent, os.W_OK):
            yield (
                "warning",
                f"This user may not write to {self._path.name} and its folder, so no run can write.",
            )
        asked = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY name")
        triggers = [str(each) for each in connection.execute(asked, {"name": layout.name}).scalars()]
        if triggers:
            yield "warning", triggers_say(triggers)

    def translated(self, error: Exception) -> SourceError:
        """See :meth:`SqlDatabase.translated`."""
        name = self.error_word(error)
        if name in ("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT") or name.startswith("SQLITE_IOERR"):
            return SqlUnreachableError(place=self.place, why=name)
        if name in ("SQLITE_PERM", "SQLITE_AUTH", "SQLITE_READONLY"):
            return SqlForbiddenError(place=self.place, table=self.section.table)
        return SqlAnswerError(place=self.place, why=name)

    def is_passing(self, error: Exception) -> bool:
        """See :meth:`SqlDatabase.is_passing`."""
        return self.error_word(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))

    def is_forbidden(self, error: Exception) -> bool:
        """See :meth:`SqlDatabase.is_forbidden`."""
        return self.error_word(error).startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"))

    def row_refusal(self, error: Exception) -> tuple[int, str] | None:
        """See :meth:`SqlDatabase.row_refusal`."""
        said = _ROW_SAYS.get(self.error_word(error))
        return None if said is None else (int(getattr(_cause(error), "sqlite_errorcode", 0)), said)

    def error_word(self, error: Exception) -> str:
        """See :meth:`SqlDatabase.error_word`."""
        return str(getattr(_cause(error), "sqlite_errorname", None) or type(error).__name__)


def _cause(error: Exception) -> BaseException:
    return getattr(error, "orig", None) or error


def _kind_of(declared: str) -> str:
    if "BOOL" in declared:
        return "bool"
    if "JSON" in declared:
        return "json"
    return "date" if "DATETIME" in declared or "TIMESTAMP" in declared else "stored"
