"""PostgreSQL by psycopg 3: a reading is one REPEATABLE READ, READ ONLY transaction, and a standby must prove its age.

A column's raw image is the text that the server writes for it, in UTC and with every digit, so one comparison of texts
guards every type exactly: numeric 12.5 is not 12.50, and no text is ever compared as a number.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.sources.interface import StoreIdentity
from recon.sources.payments.sql.database import Layout, Said, SqlColumn, SqlDatabase, own_columns, triggers_say
from recon.sources.payments.sql.errors import (
    SqlAnswerError,
    SqlForbiddenError,
    SqlLoginError,
    SqlMissingError,
    SqlSlowError,
    SqlStaleError,
    SqlUnreachableError,
    SqlUrlError,
)
from recon.sources.payments.sql.kinds import Raw

if TYPE_CHECKING:
    from sqlalchemy import URL, ColumnElement, Connection, Engine, TableClause
    from sqlalchemy.types import TypeEngine

_READ_MS: Final = 600_000
_WRITE_MS: Final = 30_000
_LOCK_MS: Final = 10_000
_SKEW_MAX_S: Final = 30
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999
"""What is outside of these is no date of a calendar, and so is in every window."""
_OWN_SCHEMA: Final = "recon"
_PASSING: Final = frozenset({"40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03", "25006"})
"""Conflicts of transactions, locks waited for too long, no connection free, a server that goes down or is a standby."""
_LOGIN: Final = ("28", "3D")
_FORBIDDEN: Final = "42501"
_TURNED_AWAY: Final = ("authentication failed", "does not exist", "pg_hba.conf", "not permitted to log in")
_ROW_SAYS: Final = {
    "23505": "another record already holds a value that must be unique",
    "23503": "a foreign key of the table refuses the record as it would be",
    "23514": "a CHECK of the table refuses the record as it would be",
    "23502": "a column that may not be NULL would be",
    "23P01": "an exclusion constraint of the table refuses the record as it would be",
    "P0001": "a trigger of the table refuses the write",
    "44000": "the view's CHECK OPTION refuses the record as it would be",
    "428C9": "a generated column cannot be written to",
    "42804": "a column does not take a value of this type",
}
_KINDS: Final = {
    "int2": "whole", "int4": "whole", "int8": "whole", "numeric": "decimal", "float4": "double", "float8": "double",
    "bool": "bool", "timestamptz": "date", "timestamp": "date", "json": "json", "jsonb": "json", "bytea": "bytes",
}  # fmt: skip

_WIDTHS: Final = {"smallint": 16, "integer": 32, "bigint": 64}

_COLUMNS: Final = """
SELECT a.attname AS name, format_type(a.atttypid, -1) AS type, coalesce(b.typname, t.typname) AS base
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE a.attrelid = :table AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_INDEXES: Final = """
SELECT a.attname AS first, i.indnkeyatts = 1 AND i.indisunique AND i.indpred IS NULL AND i.indisvalid AS is_key
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = :table
"""
_TREES: Final = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = :table AND indisvalid AND indpred IS NULL
AND indexprs IS NOT NULL
"""
_WRITABLE: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
AND has_schema_privilege(n.oid, 'USAGE') AND (has_any_column_privilege(c.oid, 'INSERT, UPDATE')
  OR has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) ORDER BY 1
"""
_CALLED: Final = """
SELECT n.nspname || '.' || c.relname AS name, greatest(c.reltuples, 0)::bigint AS about FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname ILIKE '%' || :word || '%'
AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'recon') AND n.nspname NOT LIKE 'pg\\_%'
AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1
"""
_RUN: Final = """
SELECT pg_is_in_recovery() AS is_standby, c.relrowsecurity AS has_policies,
  NOT row_security_active(c.oid) AS is_owner FROM pg_class c WHERE c.oid = :table
"""
_KEPT: Final = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
_TRIGGERS: Final = "SELECT tgname FROM pg_trigger WHERE tgrelid = :table AND NOT tgisinternal ORDER BY tgname"
_OWN_NAMES: Final = ("recon.stamp", "recon.journal", "recon.lease", "recon.decision")
_STANDBY: Final = """
SELECT pg_is_in_recovery() AS is_standby, extract(epoch FROM clock_timestamp()) * 1000 AS now_ms,
  extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000 AS replayed_ms
"""
_RECEIVER: Final = """
SELECT extract(epoch FROM last_msg_send_time) * 1000 FROM pg_stat_wal_receiver
WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()
"""
"""When the primary last said where its log ends, if all of it is replayed; only for logins that may see it."""


class PostgresDatabase(SqlDatabase):
    """A database of PostgreSQL, version 12 or newer."""

    title = "PostgreSQL"
    migration = "postgres-{}.sql"
    has_clock = True
    in_flight_max = 8

    @cached_property
    def _url(self) -> URL:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            found = make_url(self.reached.url)
        except (ArgumentError, ValueError):
            raise SqlUrlError(variable=self.reached.variable) from None
        if not found.database:
            raise SqlUrlError(variable=self.reached.variable)
        return found.set(drivername="postgresql+psycopg")

    @property
    def place(self) -> str:
        """See :attr:`SqlDatabase.place`."""
        listed = self._url.host or self._url.query.get("host") or "this machine"
        host = listed if isinstance(listed, str) else ", ".join(listed)
        port = f":{self._url.port}" if self._url.port else ""
        return f"PostgreSQL: {self._url.database} at {host}{port}"

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine

        connecting = {
            "connect_timeout": max(1, int(self.section.timeout_s)),
            "application_name": "recon",
            "prepare_threshold": None,  # a pooler between may give each transaction another connection
        }
        return create_engine(
            self._url,
            connect_args=connecting,
            pool_size=self.in_flight_max + 2,
            max_overflow=8,
            pool_pre_ping=not self.reached.may_write,
            hide_parameters=True,
        )

    def begin(self, connection: Connection, *, is_run: bool) -> None:
        """See :meth:`SqlDatabase.begin`."""
        import sqlalchemy as sa

        if is_run:
            connection.execution_options(isolation_level="READ COMMITTED")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        settings = {
            "TimeZone": "UTC", "DateStyle": "ISO, YMD", "extra_float_digits": "1", "bytea_output": "hex",
            "statement_timeout": str(_WRITE_MS if is_run else _READ_MS), "lock_timeout": str(_LOCK_MS),
        }  # fmt: skip
        chosen = [sa.func.set_config(name, value, True) for name, value in settings.items()]
        if is_run:
            now = sa.func.current_setting("synchronous_commit")
            sure = sa.case((now.in_(("off", "local")), "on"), else_=now)
            chosen.append(sa.func.set_config("synchronous_commit", sure, True))
        # The snapshot begins with this first statement.
        connection.execute(sa.select(*chosen))

    def layout(self, connection: Connection) -> Layout:
        """See :meth:`SqlDatabase.layout`."""
        import sqlalchemy as sa

        parts = self.section.table.split(".")
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
        found = connection.execute(
            sa.text(
                "SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(:name)"
            ),
            {"name": quoted},
        ).first()
        if found is None:
            raise self._missing("is not there, or the login may not see its schema")
        if str(found.kind) not in ("r", "p"):
            raise self._missing("is no table; name the table behind it")
        columns = {
            row.name: SqlColumn(
                row.name,
                _KINDS.get(row.base, "text"),
                row.type,
                sa.column(row.name),
                is_zoneless=row.base == "timestamp",
                is_zoned=row.base == "timestamptz",
            )
            for row in connection.execute(sa.text(_COLUMNS), {"table": found.oid})
        }
        indexes = connection.execute(sa.text(_INDEXES), {"table": found.oid}).all()
        if self.section.id not in columns:
            raise self._missing(f"has no column {self.section.id}; name the one of its ids with id")
        if not any(row.is_key and row.first == self.section.id for row in indexes):
            raise self._missing(f"may hold one {self.section.id} twice: it needs a unique index")
        table = sa.table(found.name, *(each.own for each in columns.values()), schema=found.schema)
        leading = frozenset(row.first for row in indexes)
        return Layout(table, f"{found.schema}.{found.name}", columns, leading, str(found.oid))

    def tables_called(self, connection: Connection, word: str) -> list[tuple[str, int]]:
        """See :meth:`SqlDatabase.tables_called`: those that the login may read, by the server's own estimate."""
        import sqlalchemy as sa

        return [(str(row.name), int(row.about)) for row in connection.execute(sa.text(_CALLED), {"word": word})]

    def _missing(self, what: str) -> SqlMissingError:
        return SqlMissingError(place=self.place, table=self.section.table, what=what)

    def image(self, column: SqlColumn) -> ColumnElement[Any]:
        """See :meth:`SqlDatabase.image`: the server's own text."""
        import sqlalchemy as sa

        return sa.cast(column.own, sa.Text)

    def holds(self, column: SqlColumn, raw: Raw) -> ColumnElement[bool]:
        """See :meth:`SqlDatabase.holds`: the same text, byte by byte, whatever the column's collation."""
        import sqlalchemy as sa

        return sa.collate(self.image(column), "C").is_not_distinct_from(sa.literal(raw, sa.Text()))

    def bound(self, column: SqlColumn, raw: Raw) -> ColumnElement[Any]:
        """See :meth:`SqlDatabase.bound`: the text, read as the column's type without its length or scale."""
        import sqlalchemy as sa

        if raw is None:
            return sa.null()
        text = {True: "true", False: "false"}[raw] if isinstance(raw, bool) else str(raw)
        return sa.cast(sa.literal(text, sa.Text()), _type_named(column.type))

    def within(
        self, column: SqlColumn, kind: str, *, from_ms: int | None, to_ms: int | None
    ) -> ColumnElement[bool] | None:
        """See :meth:`SqlDatabase.within`."""
        import sqlalchemy as sa

        own = column.own
        if kind == "date" and column.type.startswith("timestamp"):
            low, high = (None if ms is None else self._moment(column, ms) for ms in (from_ms, to_ms))
            is_none = sa.or_(own.is_(None), sa.not_(sa.func.isfinite(own)))
        elif kind in ("unix_s", "unix_ms") and column.kind == "whole":
            per = 1000 if kind == "unix_s" else 1
            low, high = (None if ms is None else sa.literal(-(-ms // per), sa.BigInteger()) for ms in (from_ms, to_ms))
            is_none = sa.or_(own.is_(None), sa.not_(own.between(_FIRST_MS // per, _LAST_MS // per)))
        else:
            return None
        bounds = [*([own >= low] if low is not None else ()), *([own < high] if high is not None else ())]
        return sa.or_(is_none, sa.and_(sa.true(), *bounds))

    def _moment(self, column: SqlColumn, ms: int) -> ColumnElement[Any]:
        from recon.sources.payments.sql.rows import zone_of

        zone = zone_of(self.section) if column.is_zoneless else UTC
        at = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000).astimezone(zone or UTC)
        return self.bound(column, f"{at:%Y-%m-%d %H:%M:%S.%f}" + ("" if column.is_zoneless else "+00"))

    def id_images(self, column: SqlColumn, images: Iterable[Raw]) -> list[Raw]:
        """See :meth:`SqlDatabase.id_images`."""
        return [raw for each in images if (raw := _id_image(column.type, each)) is not None]

    def row_key(self, column: SqlColumn) -> ColumnElement[str]:
        """See :meth:`SqlDatabase.row_key`."""
        return self.text_of(column)

    def text_of(self, column: SqlColumn) -> ColumnElement[str]:
        """See :meth:`SqlDatabase.text_of`."""
        import sqlalchemy as sa

        return sa.cast(column.own, sa.Text)

    def unindexed_trees(
        self, connection: Connection, *, layout: Layout, columns: Sequence[SqlColumn]
    ) -> dict[str, str | None]:
        """See :meth:`SqlDatabase.unindexed_trees`: by the extension pg_trgm, over the lowered text."""
        import sqlalchemy as sa

        found = [str(each) for each in connection.execute(sa.text(_TREES), {"table": int(layout.uuid or 0)}).scalars()]
        table = ".".join(_quoted(part) for part in layout.name.split(".", 1))
        lacking: dict[str, str | None] = {}
        for column in columns:
            own = _quoted(column.name)
            held = {f"lower({name}{cast})" for name in (own, column.name) for cast in ("", "::text")}
            held |= {f"lower(({name})::text)" for name in (own, column.name)}
            if not any(f"({each} gin_trgm_ops)" in definition for each in held for definition in found):
                lacking[column.name] = (
                    "the owner makes one by: CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX CONCURRENTLY ON "
                    f"{table} USING gin (lower(({own})::text) gin_trgm_ops)"
                )
        return lacking

    def own_table(self, name: str) -> TableClause:
        """See :meth:`SqlDatabase.own_table`."""
        import sqlalchemy as sa

        return sa.table(name, *own_columns(name), schema=_OWN_SCHEMA)

    def own_is_there(self, connection: Connection, name: str) -> bool:
        """See :meth:`SqlDatabase.own_is_there`; asked of the catalogue, which every login may read."""
        import sqlalchemy as sa

        asked = sa.text(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND c.relname = :name"
        )
        return connection.execute(asked, {"schema": _OWN_SCHEMA, "name": name}).first() is not None

    def identity(self, connection: Connection, layout: Layout) -> StoreIdentity:
        """See :meth:`SqlDatabase.identity`: the cluster's own number, which a primary and its standbys share."""
        import sqlalchemy as sa

        asked = sa.text("SELECT system_identifier::text, current_database() FROM pg_control_system()")
        cluster, database = connection.execute(asked).one()
        return StoreIdentity((f"postgresql cluster {cluster}",), str(database), layout.name, layout.uuid)

    def as_of_ms(self, connection: Connection) -> int | None:
        """See :meth:`SqlDatabase.as_of_ms`.

        A primary shows all that was committed before its snapshot. A standby shows what it has replayed: all of what
        the primary says its log holds, or what was committed until the last transaction that it replayed.
        """
        import sqlalchemy as sa

        said = connection.execute(sa.text(_STANDBY)).one()
        now_ms = int(said.now_ms)
        if not said.is_standby:
            return now_ms
        received = connection.execute(sa.text(_RECEIVER)).scalar()
        known = [int(each) for each in (said.replayed_ms, received) if each is not None]
        lag_max_ms = self.section.lag_max_s * 1000
        if not known or now_ms - max(known) > lag_max_ms:
            behind = (now_ms - max(known)) / 1000 if known else None
            raise SqlStaleError(place=self.place, behind_s=behind, max_s=self.section.lag_max_s)
        return max(known)

    def server_time(self, connection: Connection) -> datetime | None:
        """See :meth:`SqlDatabase.server_time`."""
        import sqlalchemy as sa

        found = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        return found.astimezone(UTC)  # type: ignore[no-any-return]

    def now_ms(self) -> ColumnElement[int]:
        """See :meth:`SqlDatabase.now_ms`."""
        import sqlalchemy as sa

        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1000, sa.BigInteger)

    def says(self, connection: Connection, now: datetime | None) -> tuple[str, list[str]]:
        """See :meth:`SqlDatabase.says`."""
        import sqlalchemy as sa

        version = str(connection.execute(sa.text("SHOW server_version")).scalar()).split(" ")[0]
        is_standby = bool(connection.execute(sa.text("SELECT pg_is_in_recovery()")).scalar())
        notes = ["it is a standby, so that a run needs another address to write to"] if is_standby else []
        kept = connection.execute(sa.text(_KEPT)).one()
        if tuple(kept) != ("repeatable read", "on"):
            notes.append("it does not keep a reading in one read-only moment, so a window may be torn: see its pooler")
        local = self.server_time(connection)
        if now is not None and local is not None and abs((local - now).total_seconds()) > _SKEW_MAX_S:
            skew = abs((local - now).total_seconds())
            notes.append(f"its clock is {skew:.0f} s off this machine's: set one of them right")
        return f"{version}, {'standby' if is_standby else 'primary'}", notes

    def writable(self, connection: Connection, layout: Layout) -> tuple[str, ...]:
        """See :meth:`SqlDatabase.writable`: every table of the database that is not the server's own."""
        import sqlalchemy as sa

        return tuple(str(each) for each in connection.execute(sa.text(_WRITABLE)).scalars())

    def run_says(self, connection: Connection, layout: Layout, *, written: Sequence[str]) -> Iterator[Said]:
        """See :meth:`SqlDatabase.run_says`."""
        import sqlalchemy as sa

        table = {"table": int(layout.uuid or 0)}
        said = connection.execute(sa.text(_RUN), table).one()
        if said.is_standby:
            yield (
                "failed",
                "The address for writing is that of a standby, so no run can write; name the primary.",
            )
        yield self._update_says(connection, layout, written)
        others = [each for each in self.writable(connection, layout) if each not in {layout.name, *_OWN_NAMES}]
        if others:
            yield (
                "warning",
                f"The login that writes may write to {_few(others)} as well; a run needs {layout.name} alone.",
            )
        if said.has_policies and not said.is_owner:
            yield (
                "warning",
                f"{layout.name} has row policies: what they hide from a login is not there for it. Give both logins a "
                "policy for all rows, or BYPASSRLS to the one that reads.",
            )
        triggers = [str(each) for each in connection.execute(sa.text(_TRIGGERS), table).scalars()]
        if triggers:
            yield "warning", triggers_say(triggers)

    def _update_says(self, connection: Connection, layout: Layout, written: Sequence[str]) -> Said:
        import sqlalchemy as sa

        may = sa.text("SELECT has_column_privilege(CAST(:table AS oid), CAST(:column AS text), 'UPDATE')")
        table = int(layout.uuid or 0)
        lacking = [each for each in written if not connection.execute(may, {"table": table, "column": each}).scalar()]
        if lacking:
            return "warning", f"The login that writes lacks UPDATE on {_few(lacking)} of {layout.name}."
        return "ok", f"The login that writes may update the columns of {layout.name} that a run sets."

    def translated(self, error: Exception) -> SourceError:
        """See :meth:`SqlDatabase.translated`."""
        state = _state(error)
        if state[:2] in _LOGIN or _is_turned_away(error):
            return SqlLoginError(place=self.place)
        if state == _FORBIDDEN:
            return SqlForbiddenError(place=self.place, table=self.section.table)
        if state == "57014":
            return SqlSlowError(place=self.place)
        if not state or state[:2] == "08" or state in _PASSING:
            return SqlUnreachableError(place=self.place, why=self.error_word(error))
        return SqlAnswerError(place=self.place, why=self.error_word(error))

    def is_passing(self, error: Exception) -> bool:
        """See :meth:`SqlDatabase.is_passing`."""
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

        if not isinstance(error, DBAPIError) or _is_turned_away(error):
            return False
        state = _state(error)
        if not state:
            return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return state in _PASSING or state[:2] == "08"

    def is_forbidden(self, error: Exception) -> bool:
        """See :meth:`SqlDatabase.is_forbidden`."""
        return _state(error) == _FORBIDDEN

    def row_refusal(self, error: Exception) -> tuple[int, str] | None:
        """See :meth:`SqlDatabase.row_refusal`; what a value of the wrong form or size is refused with, too."""
        state = _state(error)
        said = _ROW_SAYS.get(state)
        if said is None and state[:2] == "22":
            said = "a column does not take a value of this form or size"
        return None if said is None else (int(state) if state.isdigit() else int(state, 36), said)

    def error_word(self, error: Exception) -> str:
        """See :meth:`SqlDatabase.error_word`."""
        cause = getattr(error, "orig", None) or error
        state = _state(error)
        return f"{type(cause).__name__}{f', {state}' if state else ''}"


def _id_image(declared: str, raw: Raw) -> Raw:
    """The image of an id as the server itself writes it; None for one that no row can have."""
    if declared == "uuid":
        try:
            return str(uuid.UUID(str(raw)))
        except ValueError:
            return None
    bits = _WIDTHS.get(declared)
    return None if bits is not None and not -(2 ** (bits - 1)) <= int(str(raw)) < 2 ** (bits - 1) else raw


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _state(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def _is_turned_away(error: Exception) -> bool:
    """Whether the server let nobody in: while connecting, the driver gives its words and no number."""
    said = str(getattr(error, "orig", ""))
    return not _state(error) and any(words in said for words in _TURNED_AWAY)


@cache
def _type_named(name: str) -> TypeEngine[Any]:
    """A type of the database by the name that the database itself gives it."""
    from sqlalchemy.types import UserDefinedType

    class Named(UserDefinedType[Any]):
        cache_ok = True

        def get_col_spec(self, **given: Any) -> str:
            return name

    return Named()
