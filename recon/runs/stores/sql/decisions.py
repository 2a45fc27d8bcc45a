"""What people decided, in a table of the tool's own beside the payments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from recon.plans.shelf import ShelfError, author_stem, free_names
from recon.runs.stores.retry import ReadOnlyCredentialError
from recon.runs.stores.sql.own_tables import make_own_tables
from recon.sources.payments.sql.database import SqlDatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLE: Final = "decision"
_TRIES: Final = 5


class SqlShelf:
    """A :class:`~recon.plans.shelf.Shelf` in a table: one row a record, only ever inserted."""

    def __init__(self, open_database: Callable[[], SqlDatabase]) -> None:
        """
        Args:
            open_database: Gives the database for writing; closed after each question.
        """
        self._open = open_database

    def add(self, records: Sequence[tuple[str, bytes]]) -> list[str]:
        """See :meth:`Shelf.add`: one transaction, so that all of them are there or none."""
        from sqlalchemy.exc import IntegrityError

        with self._asked(is_read=False) as database:
            make_own_tables(database, names=(_TABLE,))
            for again in range(_TRIES, 0, -1):
                try:
                    with database.writing() as connection:
                        return [self._added(database, connection, stem, data) for stem, data in records]
                except IntegrityError:
                    # Another took one of the names at the same moment; now it is seen to be taken.
                    if again == 1:
                        raise
        raise AssertionError("the last try returns or raises")

    def _added(self, database: SqlDatabase, connection: Connection, stem: str, data: bytes) -> str:
        import sqlalchemy as sa

        own = database.own(_TABLE)
        for name in free_names(stem):
            if connection.execute(sa.select(sa.literal(1)).where(own.c.name == name)).first() is None:
                connection.execute(sa.insert(own).values(name=name, text=data.decode()))
                return name
        raise AssertionError("names end with an error")

    def records(self, stem: str) -> Iterator[tuple[str, bytes]]:
        """See :meth:`Shelf.records`."""
        import sqlalchemy as sa

        with self._asked(is_read=True) as database, database.reading() as connection:
            if not database.own_is_there(connection, _TABLE):
                return
            own = database.own(_TABLE)
            asked = sa.select(own.c.name, own.c.text).where(own.c.name.startswith(stem, autoescape=True))
            found = sorted((str(row.name), str(row.text)) for row in connection.execute(asked))
        # LIKE of SQLite takes capitals for small letters.
        yield from ((name, text.encode()) for name, text in found if name.startswith(stem))

    def drop_author(self, digest: str) -> None:
        """See :meth:`Shelf.drop_author`."""
        import sqlalchemy as sa

        with self._asked(is_read=False) as database:
            with database.reading() as connection:
                if not database.own_is_there(connection, _TABLE):
                    return
            own = database.own(_TABLE)
            with database.writing() as connection:
                stem = author_stem(digest)
                connection.execute(sa.delete(own).where(own.c.name.startswith(stem, autoescape=True)))

    @contextmanager
    def _asked(self, *, is_read: bool) -> Iterator[SqlDatabase]:
        """The database for one question; closed afterwards, its errors as one sentence."""
        from sqlalchemy.exc import SQLAlchemyError

        database = self._open()
        try:
            yield database
        except SQLAlchemyError as error:
            place = database.place.rstrip(",")
            if database.is_forbidden(error):
                what = "read decisions" if is_read else "record decisions"
                raise ReadOnlyCredentialError(collection=f"recon.{_TABLE}", what=what) from error
            raise ShelfError(place=place, is_read=is_read, why=database.error_word(error)) from error
        finally:
            database.close()
