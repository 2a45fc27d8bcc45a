"""Guarded writes to a row of a SQL table: one transaction, one UPDATE, the run's stamp with it.

A row is read and held against the guard value by value, types included, as a document. Then one statement writes to it
``WHERE id = ... AND every reviewed column IS NOT DISTINCT FROM`` the raw image that was just read, so that nothing can
come between. The stamp stands in the same transaction, in a column of its own or in ``recon.stamp``, and is guarded by
the stamp from before. Before the commit the row is read once more: what a trigger or a rounding column made of the
write is seen, and then none of it stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.values import ABSENT, STAMP, UPDATED_AT, changed_document, same, value_at
from recon.runs.guard import GuardedUpdate, still_fits
from recon.runs.stores.payments import CANNOT, UnknownCollectionError, WriteResult
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError, StoreSaysError
from recon.runs.stores.sql.own_tables import RUN_PATHS, Answer, database_answer, make_own_tables
from recon.sources.interface import StoreIdentity
from recon.sources.payments.sql.database import SqlDatabase
from recon.sources.payments.sql.errors import SqlMissingError
from recon.sources.payments.sql.kinds import Raw, UnfitValueError
from recon.sources.payments.sql.table import IDS_AT_ONCE, PaymentTable, StoredRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEPT: Final = -2
"""The code of a write that the database neither carried out nor refused."""

CHANGED: Final = -3
"""The code of a write that the database made something else of."""

_TRIES: Final = 3
_KEPT_SAYS: Final = "a trigger or a row policy of the table keeps this row from being written"
_CHANGED_SAYS: Final = "a trigger or a rounding column of the table made {found} of {path}; the write was taken back"
_POLICY_SAYS: Final = "a row policy of the table refuses the record as it would be"
_SEVERAL_SAYS: Final = "several rows have this id; none was written"


class _Undone(Exception):  # noqa: N818 - it ends a transaction, and is no failure by itself
    """Leaves a transaction with nothing of it kept."""

    def __init__(self, result: WriteResult | None) -> None:
        super().__init__()
        self.result = result


def _set_elsewhere(table: PaymentTable) -> set[str]:
    """Paths that are no column's: a stamp beside the row, and a time inside JSON, which has none of its own."""
    has_no_time = any(place.kind.name == "json" for place in table.rows.touching([UPDATED_AT]))
    return {*([] if table.rows.has_stamp else [STAMP]), *([UPDATED_AT] if has_no_time else [])}


class SqlWriter:
    """A :class:`~recon.runs.stores.payments.PaymentWriter` over one table; repeated while the database is away."""

    is_buffered = False

    def __init__(self, database: SqlDatabase, *, retry: Retry | None = None) -> None:
        self._database = database
        self._retry = retry or Retry(passes=database.is_passing)
        self._found: PaymentTable | None = None
        self._has_own_tables = False
        self._lock = threading.Lock()
        self.in_flight_max = database.in_flight_max
        self.go_on: Callable[[], None] | None = None

    @property
    def _name(self) -> str:
        return self._database.section.table

    def identity(self) -> StoreIdentity:
        """Name the table that is written to.

        Raises:
            UnknownCollectionError: There is no such table.
            StoreSaysError: The database does not answer.
        """
        return self._asked(self._identity, what="say who it is")

    def _identity(self) -> StoreIdentity:
        with self._database.reading() as connection:
            try:
                table = self._table(connection)
            except SqlMissingError as error:
                raise UnknownCollectionError(collection=self._name) from error
            return self._database.identity(connection, table.layout)

    def server_time(self) -> datetime:
        """The server's own time, aware UTC.

        Raises:
            StoreSaysError: It does not say it.
        """
        found = self._asked(self._server_time, what="tell the time")
        if not isinstance(found, datetime):
            raise StoreSaysError(what="the wish to tell the time", why="it has no clock of its own")
        return found

    def _server_time(self) -> datetime | None:
        with self._database.reading() as connection:
            return self._database.server_time(connection)

    def check_writable(self) -> None:
        """Make the tool's own tables, and ask for updates that match nothing: rights are checked before rows.

        Raises:
            ReadOnlyCredentialError: The login may not write.
            OwnTablesMissingError: The tool's own tables are not there, and the login may not make them.
        """
        self._prepare()
        self._asked(self._probe, what="update records")

    def _prepare(self) -> None:
        with self._lock:
            if not self._has_own_tables:
                make_own_tables(self._database)
                self._found, self._has_own_tables = None, True

    def _probe(self) -> None:
        import sqlalchemy as sa

        try:
            with self._database.writing() as connection:
                table = self._table(connection)
                payments, stamps = table.layout.table, self._database.own("stamp")
                for place in table.rows.touching([*RUN_PATHS, STAMP]):
                    never = sa.update(payments).where(sa.false())
                    connection.execute(never.values({place.name: payments.c[place.name]}))
                if table.has_stamps:
                    connection.execute(sa.update(stamps).where(sa.false()).values(stamp=stamps.c.stamp))
                raise _Undone(None)
        except _Undone:
            return

    def read(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """See :meth:`PaymentWriter.read`: whole rows as documents.

        Raises:
            StoreGoneError: The database does not answer.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return self._retry.run(lambda: self._read(document_ids), what="a re-read")
        except SQLAlchemyError as error:
            raise StoreGoneError(what="a re-read", tried_s=0, cause=self._database.error_word(error)) from error

    def _read(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        with self._database.reading() as connection:
            table = self._table(connection)
            images = table.id_images(document_ids)
            for start in range(0, len(images), IDS_AT_ONCE):
                for row in self._rows(connection, table, images[start : start + IDS_AT_ONCE]):
                    document = table.rows.document(row.images, stamp=row.stamp)
                    found[payment_id_text(document["_id"])] = document
        return found

    def stamps(self, run: str | None) -> Iterator[tuple[str, str]]:
        """Every row that carries a stamp of a run, or of any, with the stamp.

        Raises:
            StoreSaysError: The database does not answer.
        """
        for payment, stamp in self._asked(self._stamped, what="look for stamps"):
            if run is None or stamp.startswith(f"{run}/"):
                yield payment, stamp

    def _stamped(self) -> list[tuple[str, str]]:
        with self._database.reading() as connection:
            table = self._table(connection)
            rows = table.rows.only([STAMP])
            found: list[tuple[str, str]] = []
            for page in table.pages(connection, rows):
                for row in page:
                    document = rows.document(row.images, stamp=row.stamp)
                    stamp = value_at(document, STAMP)
                    if isinstance(stamp, str):
                        found.append((payment_id_text(document["_id"]), stamp))
            return found

    def write(self, update: GuardedUpdate) -> WriteResult:
        """See :meth:`PaymentWriter.write`. Asking twice is safe: the guard names the stamp from before."""
        from sqlalchemy.exc import SQLAlchemyError

        asked_times = 0

        def once() -> WriteResult:
            nonlocal asked_times
            asked_times += 1
            self._prepare()
            return self._write(update)

        try:
            result = self._retry.run(once, what="a guarded write", go_on=self.go_on)
        except UnfitValueError as error:
            return WriteResult(0, CANNOT, error.said, asked_times > 1)
        except SQLAlchemyError as error:
            result = self._refusal(error)
        return WriteResult(result.matched, result.code, result.message, asked_times > 1)

    def _refusal(self, error: Exception) -> WriteResult:
        """What an error says of the one row; a login that lost its right stops the run.

        Raises:
            ReadOnlyCredentialError: The login may not write.
        """
        if self._database.is_forbidden(error):
            try:
                self._probe()
            except Exception as again:
                raise ReadOnlyCredentialError(collection=self._name, what="update records") from again
            return WriteResult(0, KEPT, _POLICY_SAYS)
        said = self._database.row_refusal(error)
        if said is not None:
            return WriteResult(0, *said)
        return WriteResult(0, 0, f"it answered {self._database.error_word(error)}")

    def _write(self, update: GuardedUpdate) -> WriteResult:
        result: WriteResult | None = None
        for _ in range(_TRIES):
            try:
                with self._database.writing() as connection:
                    self._write_in(connection, update)
                return WriteResult(1)
            except _Undone as undone:
                result = undone.result
            if result is not None:
                return result
        return WriteResult(0)

    def _write_in(self, connection: Connection, update: GuardedUpdate) -> None:
        """Write in a transaction; raises _Undone when nothing of it may stay, without a result to try once more."""
        table = self._table(connection)
        row = self._row(connection, table, update.document_id)
        if row is None or not still_fits(table.rows.document(row.images, stamp=row.stamp), update):
            raise _Undone(WriteResult(0))
        stamp_is_beside = not table.rows.has_stamp
        sets = {path: value for path, value in update.sets.items() if path not in _set_elsewhere(table)}
        changed = changed_document(table.rows.plain(row.images), sets, unsets=update.unsets)
        images = table.rows.images(row.images, changed, touched=[*sets, *update.unsets])
        if not self._update(connection, table, row, update=update, images=images):
            again = self._row(connection, table, update.document_id)
            is_kept = again is not None and again.images == row.images
            raise _Undone(WriteResult(0, KEPT, _KEPT_SAYS) if is_kept else None)
        if stamp_is_beside and not self._swap_stamp(connection, table, row, stamp=str(update.sets[STAMP])):
            raise _Undone(None)
        self._check_written(connection, table, update)

    def _update(
        self,
        connection: Connection,
        table: PaymentTable,
        row: StoredRow,
        *,
        update: GuardedUpdate,
        images: Mapping[str, Raw],
    ) -> bool:
        """The one statement, guarded by every column of which the guard names something."""
        import sqlalchemy as sa

        database, columns = self._database, table.layout.columns
        guarded = dict.fromkeys((*(p.name for p in table.rows.touching(update.filter)), *images))
        conditions = [database.holds(columns[name], row.images[name]) for name in guarded if name != table.rows.id.name]
        values = {name: database.bound(columns[name], raw) for name, raw in images.items()}
        statement = sa.update(table.layout.table).where(table.id_in([row.images[table.rows.id.name]]), *conditions)
        count = connection.execute(statement.values(values)).rowcount
        if count > 1:
            raise _Undone(WriteResult(0, CANNOT, _SEVERAL_SAYS))
        return count == 1

    def _swap_stamp(self, connection: Connection, table: PaymentTable, row: StoredRow, *, stamp: str) -> bool:
        """Put the stamp where the one from before stands, or where none does; False where another came first."""
        import sqlalchemy as sa

        kept = self._database.own("stamp")
        if row.stamp is None:
            new = {"of_table": table.layout.name, "row_key": row.key, "stamp": stamp}
            there = sa.select(sa.literal(1)).where(kept.c.of_table == table.layout.name, kept.c.row_key == row.key)
            if connection.execute(there).first() is not None:
                return False
            connection.execute(sa.insert(kept).values(new))
            return True
        mine = (kept.c.of_table == table.layout.name, kept.c.row_key == row.key, kept.c.stamp == row.stamp)
        return connection.execute(sa.update(kept).where(*mine).values(stamp=stamp)).rowcount == 1

    def _check_written(self, connection: Connection, table: PaymentTable, update: GuardedUpdate) -> None:
        """Look at what the row holds now; a time of change that the database sets by itself is its own affair."""
        row = self._row(connection, table, update.document_id)
        document: Mapping[str, Any] = {} if row is None else table.rows.document(row.images, stamp=row.stamp)
        wanted = {**dict.fromkeys(update.unsets, ABSENT), **update.sets}
        for path, value in wanted.items():
            found = value_at(document, path)
            if path != UPDATED_AT and not same(found, value):
                shown = "nothing" if found is ABSENT else type(found).__name__
                raise _Undone(WriteResult(0, CHANGED, _CHANGED_SAYS.format(path=path, found=shown)))

    def flush(self) -> None:
        """Every write was committed already."""

    def _row(self, connection: Connection, table: PaymentTable, document_id: Any) -> StoredRow | None:
        found = self._rows(connection, table, table.id_images([document_id]))
        return found[0] if found else None

    def _rows(self, connection: Connection, table: PaymentTable, images: Sequence[Raw]) -> list[StoredRow]:
        return table.stored(connection, table.select(table.rows).where(table.id_in(images)), rows=table.rows)

    def _table(self, connection: Connection) -> PaymentTable:
        with self._lock:
            if self._found is None:
                self._found = PaymentTable.found(self._database, connection)
            return self._found

    def _asked(self, call: Callable[[], Answer], *, what: str) -> Answer:
        return database_answer(call, retry=self._retry, database=self._database, table=self._name, what=what)
