"""Payments from a SQL database, read only: a window as one moment, single rows, and who claims a key.

A window is read in one transaction that can write nothing, page by page in the order of ids, and counted in the same
one: it is one moment, whatever the backend does meanwhile. A reading that breaks off is therefore not taken up again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recon.core import ids
from recon.core.registry import Registry
from recon.sources.interface import Selection, StoreIdentity
from recon.sources.payments.fields import FieldPaths, project, stored_path
from recon.sources.payments.filters import EXACT_CLAIM_FIELDS, claim_keys, stored_claim_key
from recon.sources.payments.selecting import selected_by
from recon.sources.payments.sql.database import SqlColumn, SqlDatabase
from recon.sources.payments.sql.errors import SqlInterruptedError
from recon.sources.payments.sql.kinds import Raw
from recon.sources.payments.sql.mapping import RowMap
from recon.sources.payments.sql.rows import check_zones
from recon.sources.payments.sql.table import IDS_AT_ONCE, PaymentTable, StoredRow
from recon.sources.payments.sql.trees import KEYS_IN_TREES, TOLD_FIELDS, is_told_by_text

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


class SqlStore:
    """A :class:`~recon.sources.interface.DocumentStore` over one table; safe to use from threads."""

    def __init__(self, database: SqlDatabase, *, fields: FieldPaths, registry: Registry) -> None:
        self._database, self._fields, self._registry = database, fields, registry
        self._paths = tuple(fields.projection())
        self._lock = threading.RLock()
        self._found: PaymentTable | None = None
        self._moment: tuple[ExitStack, Connection] | None = None
        self._left: set[str] = set()

    def close(self) -> None:
        """End the moment that is being read and give the connections back."""
        self._end_moment()
        self._database.close()

    def __enter__(self) -> SqlStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def identity(self) -> StoreIdentity:
        """Name the table that is read.

        Raises:
            SourceError: The database cannot be reached or refuses, or the table is not there.
        """
        with self._asked() as connection:
            return self._database.identity(connection, self._table(connection).layout)

    def check(self, *, now: datetime | None = None) -> str:
        """Say in one sentence that the payments can be read, and what would make it slow or doubtful.

        Raises:
            SourceError: Unreachable, refused, too old, or the table cannot be used.
        """
        with self._asked() as connection:
            table = self._table(connection)
            check_zones(table.rows.only(self._paths), layout=table.layout, section=self._database.section)
            kind, notes = self._database.says(connection, now)
            self._database.as_of_ms(connection)
            notes += [
                f"no index begins with {column.name}, so a window over it reads the whole table"
                for field in ("created_at", "updated_at")
                if (column := table.column(self._fields.path(field))) is not None
                and column.name not in table.layout.indexed
            ]
            notes += self._tree_notes(connection, table)
            notes += [
                f'{held.name} holds no times by its type; where it does, say so: [sql.kinds] {held.name} = "date"'
                for field in ("created_at", "updated_at")
                if (held := table.rows.at(self._fields.path(field))) is not None and not held.kind.is_time
            ]
            notes += [
                f"no column stands under {self._fields.path(field)}, which is where {field} is looked for"
                for field in ("status", "created_at", "amount", "currency")
                if not table.rows.has(self._fields.path(field))
            ]
        place = self._database.place.rstrip(",")
        return "; ".join([f"{place}: {table.layout.name} can be read ({kind})", *notes]) + "."

    def _tree_notes(self, connection: Connection, table: PaymentTable) -> list[str]:
        """Columns of JSON in which keys are looked for without an index, with the statements that make one."""
        paths = [stored_path(place.path) for field in sorted(TOLD_FIELDS) for place in self._fields.of(field)]
        held = [each for each in table.rows.touching(paths) if each.kind.is_json]
        trees = [table.layout.columns[each.name] for each in held]
        lacking = self._database.unindexed_trees(connection, layout=table.layout, columns=trees)
        return [
            f"no index tells which rows hold a hash or an id inside {name}, so that many at once are looked for in the "
            f"whole table; {remedy}"
            for name, remedy in lacking.items()
            if remedy is not None
        ]

    def as_of_ms(self) -> int | None:
        """Begin the moment of a window, and say until when it shows everything, UTC ms.

        The next scan and the next count are of this moment. None where one file stands alone: it cannot lag.

        Raises:
            SourceError: The database cannot be reached, or a standby is too far behind.
        """
        with self._lock:
            self._end_moment()
            connection = self._begin_moment(["scan", "count"])
            try:
                with self._database.asked_of():
                    return self._database.as_of_ms(connection)
            except BaseException:
                self._end_moment()
                raise

    def count(self, selection: Selection) -> int:
        """How many rows the database has for a selection, in the moment of the window."""
        try:
            with self._database.asked_of(), self._in_moment() as connection:
                with self._lock:
                    table = self._table(connection)
                    asked, is_exact = table.conditions(selection, self._fields)
                    if is_exact:
                        return self._counted(connection, table, selection, asked)
                return sum(len(batch) for batch in self._selected(connection, selection))
        finally:
            self._read("count")

    def _counted(
        self, connection: Connection, table: PaymentTable, selection: Selection, asked: Sequence[ColumnElement[bool]]
    ) -> int:
        import sqlalchemy as sa

        chunks = list(table.id_chunks(selection.ids)) if selection.ids else [sa.true()]
        counted = sa.select(sa.func.count()).select_from(table.layout.table)
        return sum(int(connection.execute(counted.where(chunk, *asked)).scalar_one()) for chunk in chunks)

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the projected documents of a selection in the order of ids, all of one moment.

        Raises:
            SqlInterruptedError: The reading broke off; the batches before it are good.
            SourceError: The database cannot be reached, refuses or takes too long.
        """
        yield from self._scanned(selection, is_whole=False)

    def _scanned(self, selection: Selection, *, is_whole: bool) -> Iterator[Sequence[Mapping[str, Any]]]:
        from sqlalchemy.exc import SQLAlchemyError

        done = 0
        with self._lock:
            if self._moment is None:
                self._begin_moment(["scan"])
        try:
            with self._in_moment() as connection:
                for batch in self._selected(connection, selection, is_whole=is_whole):
                    done += len(batch)
                    yield batch
        except SQLAlchemyError as error:
            if not done or not self._database.is_passing(error):
                raise self._database.translated(error) from error
            why = self._database.error_word(error)
            raise SqlInterruptedError(place=self._database.place, documents=done, why=why) from error
        finally:
            self._read("scan")

    def _selected(
        self, connection: Connection, selection: Selection, *, is_whole: bool = False
    ) -> Iterator[list[Mapping[str, Any]]]:
        import sqlalchemy as sa

        is_selected = selected_by(selection, fields=self._fields, registry=self._registry)
        with self._lock:
            table = self._table(connection)
        check_zones(table.rows.only(self._paths), layout=table.layout, section=self._database.section)
        rows = table.rows if is_whole else table.rows.only(self._paths)
        asked, _ = table.conditions(selection, self._fields)
        for chunk in table.id_chunks(selection.ids) if selection.ids else [sa.true()]:
            for page in self._pages(table.pages(connection, rows, conditions=[chunk, *asked])):
                read = (self._document(rows, row, is_whole=is_whole) for row in page)
                batch = [document for document in read if is_selected(document)]
                if batch:
                    yield batch

    def _pages(self, pages: Iterator[list[StoredRow]]) -> Iterator[list[StoredRow]]:
        """The pages; between two of them the one connection of a moment is free for the count."""
        while True:
            with self._lock:
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _document(self, rows: RowMap, row: StoredRow, *, is_whole: bool = False) -> Mapping[str, Any]:
        document = rows.document(row.images, stamp=row.stamp)
        return project(document, self._paths) if rows.has_tree and not is_whole else document

    def whole_documents(self, selection: Selection) -> tuple[int, Iterator[Mapping[str, Any]]]:
        """How many documents there are of a selection, and each of them with every column, all of one moment.

        Raises:
            SourceError: As :meth:`scan`, and where a standby is too far behind.
        """
        self.as_of_ms()
        return self.count(selection), (row for batch in self._scanned(selection, is_whole=True) for row in batch)

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        """The newest documents by id, whole, at most so many."""
        with self._asked() as connection:
            table = self._table(connection)
            asked = table.select(table.rows).order_by(table.id.own.desc()).limit(count)
            found = table.stored(connection, asked, rows=table.rows)
            return [table.rows.document(row.images, stamp=row.stamp) for row in found]

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Yield documents by id as they are now, cut to the projection; unknown ids are left out.

        Raises:
            SqlStaleError: A standby is too far behind to say how they are now.
        """
        wanted = [ids.parse_payment_id(text) for text in payment_ids]
        with self._asked() as connection:
            table = self._table(connection)
            self._database.as_of_ms(connection)
            found = list(self._by_id(connection, table, table.id_images(wanted)))
        yield from found

    def _by_id(self, connection: Connection, table: PaymentTable, images: Sequence[Raw]) -> Iterator[Mapping[str, Any]]:
        rows = table.rows.only(self._paths)
        for start in range(0, len(images), IDS_AT_ONCE):
            chunk = table.id_in(images[start : start + IDS_AT_ONCE])
            for row in table.stored(connection, table.select(rows).where(chunk).order_by(table.id.own), rows=rows):
                yield self._document(rows, row)

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield ``(value, document)`` for every row of the whole table that carries one of the values.

        Columns are asked for the values in any case. Of what stands inside JSON the database is asked whether its text
        holds one; many at once are looked for row by row unless an index tells that. What is found is judged by the
        same normalisation as the payments table.
        """
        wanted = {key: value for value in sorted(set(values)) if (key := stored_claim_key(field, value)) is not None}
        if not wanted:
            return
        with self._asked() as connection:
            table = self._table(connection)
            self._database.as_of_ms(connection)
            claimants = self._claimants(connection, table, field, list(wanted))
            documents = list(self._by_id(connection, table, claimants))
        for document in documents:
            for key in sorted(self._keys(document, field)):
                if key in wanted:
                    yield wanted[key], document

    def _claimants(self, connection: Connection, table: PaymentTable, field: str, keys: Sequence[str]) -> list[Raw]:
        """The ids of the rows that carry one of the keys."""
        paths = [stored_path(place.path) for place in self._fields.of(field)]
        words = [stored_path(place.path) for place in self._fields.of("provider")]
        columns = table.rows.touching(paths)
        rows = table.rows.only([*paths, *words])
        known = set(keys)
        found: dict[Raw, None] = {}
        for asked in self._carrying(connection, table, [column.path for column in columns], field=field, keys=keys):
            for page in table.pages(connection, rows, conditions=[asked]):
                for row in page:
                    if not known.isdisjoint(self._keys(rows.document(row.images), field)):
                        found[row.images[table.rows.id.name]] = None
        return list(found)

    def _carrying(
        self, connection: Connection, table: PaymentTable, paths: Sequence[str], *, field: str, keys: Sequence[str]
    ) -> Iterator[ColumnElement[bool]]:
        """Conditions that every row with one of the keys fits; the whole table where no text tells which those are."""
        import sqlalchemy as sa

        held = table.rows.touching(paths)
        trees = [table.layout.columns[each.name] for each in held if each.kind.is_json]
        if not held:
            return
        if trees and not self._is_asked_of_trees(connection, table, trees, field=field, keys=keys):
            yield sa.true()
            return
        texts = [self._database.text_of(table.layout.columns[each.name]) for each in held if not each.kind.is_json]
        at_once = KEYS_IN_TREES if trees else IDS_AT_ONCE
        for start in range(0, len(keys), at_once):
            part = keys[start : start + at_once]
            told = [self._database.holds_text(tree, part) for tree in trees]
            yield sa.or_(*_in_texts(texts, part, is_exact=field in EXACT_CLAIM_FIELDS), *told)

    def _is_asked_of_trees(
        self,
        connection: Connection,
        table: PaymentTable,
        trees: Sequence[SqlColumn],
        *,
        field: str,
        keys: Sequence[str],
    ) -> bool:
        """Whether the database looks for keys inside columns of JSON; otherwise the table is read whole."""
        if not is_told_by_text(field, keys):
            return False
        if len(keys) <= KEYS_IN_TREES:
            return True
        return not self._database.unindexed_trees(connection, layout=table.layout, columns=trees)

    def _keys(self, document: Mapping[str, Any], field: str) -> set[str]:
        return claim_keys(document, field, fields=self._fields, registry=self._registry)

    def _table(self, connection: Connection) -> PaymentTable:
        if self._found is None:
            self._found = PaymentTable.found(self._database, connection)
        return self._found

    @contextmanager
    def _asked(self) -> Iterator[Connection]:
        """A moment of its own, for what must be as it is now."""
        with self._database.asked_of(), self._database.reading() as connection:
            yield connection

    @contextmanager
    def _in_moment(self) -> Iterator[Connection]:
        """The moment of the window, whose connection is used under the lock; one of its own where none has begun."""
        moment = self._moment
        if moment is not None:
            yield moment[1]
            return
        with self._database.reading() as connection:
            yield connection

    def _begin_moment(self, parts: Iterable[str]) -> Connection:
        with self._database.asked_of(), ExitStack() as stack:
            connection = stack.enter_context(self._database.reading())
            self._moment, self._left = (stack.pop_all(), connection), set(parts)
            return connection
        raise AssertionError("an exit stack lets no exception pass")

    def _end_moment(self) -> None:
        with self._lock:
            moment, self._moment = self._moment, None
        if moment is not None:
            moment[0].close()

    def _read(self, part: str) -> None:
        """One part of the window was read; after the last one the server need not keep its moment."""
        with self._lock:
            self._left.discard(part)
            if not self._left:
                self._end_moment()


def _in_texts(texts: Sequence[ColumnElement[str]], keys: Sequence[str], *, is_exact: bool) -> list[ColumnElement[bool]]:
    """The condition of each column that it holds one of the keys; hex is asked for lowered, with 0x and without."""
    import sqlalchemy as sa

    if is_exact:
        return [text.in_(list(keys)) for text in texts]
    spelled = [each for key in keys for bare in [key.removeprefix("0x").lower()] for each in (bare, f"0x{bare}")]
    return [sa.func.lower(text).in_(spelled) for text in texts]
