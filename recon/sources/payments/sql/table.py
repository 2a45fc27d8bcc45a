"""The table of the payments as it is asked: rows with their stamps, a page at a time, and which of them are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import OPEN
from recon.sources.interface import Selection
from recon.sources.payments.documents import milliseconds
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.filters import id_values
from recon.sources.payments.sql.database import Layout, SqlColumn, SqlDatabase
from recon.sources.payments.sql.kinds import Raw, UnfitValueError
from recon.sources.payments.sql.mapping import RowMap
from recon.sources.payments.sql.rows import row_map

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

PAGE_ROWS: Final = 2_000
"""Rows of one page."""

IDS_AT_ONCE: Final = 1_000
"""Ids or values that one question names."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as it was read.

    Args:
        images: The raw image of each column that was read.
        key: The text under which the tool's own tables name it.
        stamp: What stands for it in the table of stamps, or None.
    """

    images: Mapping[str, Raw]
    key: str
    stamp: str | None


@dataclass(frozen=True, slots=True)
class PaymentTable:
    """A table of payments in a database, with what is read of it."""

    database: SqlDatabase
    layout: Layout
    rows: RowMap
    has_stamps: bool

    @classmethod
    def found(cls, database: SqlDatabase, connection: Connection) -> PaymentTable:
        """The table that the configuration names.

        Raises:
            SqlMissingError: It is not there, or cannot be used.
            ConfigError: The configuration does not fit it.
        """
        layout = database.layout(connection)
        rows = row_map(layout, database.section)
        has_stamps = not rows.has_stamp and database.own_is_there(connection, "stamp")
        return cls(database, layout, rows, has_stamps)

    @property
    def id(self) -> SqlColumn:
        """The column of the ids."""
        return self.layout.columns[self.rows.id.name]

    def column(self, path: str) -> SqlColumn | None:
        """The column that is exactly the value at a path, or None."""
        place = self.rows.at(path)
        return None if place is None else self.layout.columns[place.name]

    def select(self, rows: RowMap) -> Select[Any]:
        """The columns of some rows, the key and the stamp."""
        import sqlalchemy as sa

        database = self.database
        chosen = [
            database.image(self.layout.columns[place.name]).label(f"c{n}") for n, place in enumerate(rows.columns)
        ]
        stamp: ColumnElement[Any] = sa.null()
        key = database.row_key(self.id)
        if self.has_stamps:
            kept = database.own("stamp")
            mine = sa.and_(kept.c.of_table == self.layout.name, kept.c.row_key == key)
            stamp = sa.select(kept.c.stamp).where(mine).correlate(self.layout.table).scalar_subquery()
        return sa.select(*chosen, key.label("row_key"), stamp.label("row_stamp")).select_from(self.layout.table)

    def stored(self, connection: Connection, asked: Select[Any], *, rows: RowMap) -> list[StoredRow]:
        """The rows that a question made by :meth:`select` finds."""
        names = [place.name for place in rows.columns]
        return [
            StoredRow(dict(zip(names, found, strict=False)), str(found.row_key), found.row_stamp)
            for found in connection.execute(asked)
        ]

    def pages(
        self, connection: Connection, rows: RowMap, *, conditions: Sequence[ColumnElement[bool]] = ()
    ) -> Iterator[list[StoredRow]]:
        """The rows that fit, in the order of their ids, by pages that begin where the one before ended."""
        last: Raw = None
        own = self.id.own
        while True:
            asked = self.select(rows).where(own.is_not(None), *conditions).order_by(own).limit(PAGE_ROWS)
            if last is not None:
                asked = asked.where(own > self.database.bound(self.id, last))
            page = self.stored(connection, asked, rows=rows)
            if page:
                yield page
                last = page[-1].images[self.rows.id.name]
            if len(page) < PAGE_ROWS:
                return

    def id_images(self, values: Iterable[Any]) -> list[Raw]:
        """The raw images of ids; a value that no row can have as its id is left out."""
        images = []
        for value in values:
            try:
                images.append(self.rows.id.kind.image(value, None, column=self.rows.id.name))
            except UnfitValueError:
                continue
        return list(dict.fromkeys(self.database.id_images(self.id, images)))

    def id_in(self, images: Sequence[Raw]) -> ColumnElement[bool]:
        """The condition that a row's id is one of some."""
        import sqlalchemy as sa

        if not images:
            return sa.false()
        return self.id.own.in_([self.database.bound(self.id, raw) for raw in images])

    def conditions(self, selection: Selection, fields: FieldPaths) -> tuple[list[ColumnElement[bool]], bool]:
        """What a database is asked for a selection, its ids apart, and whether that is the selection exactly.

        Where it is not, more rows fit than are meant, never fewer.
        """
        asked: list[ColumnElement[bool]] = []
        is_exact = not selection.providers
        words = [set(selection.statuses)] * bool(selection.statuses) + [set(OPEN)] * selection.open_only
        if words:
            status = self.column(fields.path("status"))
            is_exact = is_exact and status is not None
            if status is not None:
                own = [self.database.section.words.get(status.name, {})] * len(words)
                spelled = [_stored_words(each, meanings) for each, meanings in zip(words, own, strict=True)]
                asked += [self.database.text_of(status).in_(sorted(each)) for each in spelled]
        if selection.from_at is not None or selection.to_at is not None:
            path = fields.path("created_at" if selection.date_field == "created" else "updated_at")
            is_known, part = self._window(path, milliseconds(selection.from_at), milliseconds(selection.to_at))
            is_exact = is_exact and is_known
            asked += [] if part is None else [part]
        return asked, is_exact

    def _window(self, path: str, from_ms: int | None, to_ms: int | None) -> tuple[bool, ColumnElement[bool] | None]:
        """Whether SQL says it, and the condition; a path that no column holds has no date, and is in every window."""
        place = self.rows.at(path)
        if place is None:
            return not self.rows.touching([path]), None
        part = self.database.within(self.layout.columns[place.name], place.kind.name, from_ms=from_ms, to_ms=to_ms)
        return part is not None, part

    def id_chunks(self, texts: Sequence[str]) -> Iterator[ColumnElement[bool]]:
        """Conditions for the ids that people wrote, some at a time."""
        images = self.id_images(value for text in dict.fromkeys(texts) for value in id_values(text))
        for start in range(0, len(images), IDS_AT_ONCE):
            yield self.id_in(images[start : start + IDS_AT_ONCE])


def _stored_words(wanted: Iterable[str], meanings: Mapping[str, str]) -> set[str]:
    """The words that a column has for what is wanted, where it has words of its own.

    >>> sorted(_stored_words({"completed", "failed"}, {"confirmed": "completed"}))
    ['confirmed', 'failed']
    """
    return {word for word in wanted if word not in meanings} | {
        word for word, meaning in meanings.items() if meaning in set(wanted)
    }
