"""A SQL database as the store uses it: what its kinds have in common, and what each of them says for itself.

Connections are made by SQLAlchemy; statements are its expressions, so that no name or value is ever put into a text by
hand. A reading is one read-only transaction with one snapshot. What differs is in ``sqlite`` and ``postgres``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from recon.core.errors import SourceError
from recon.sources.interface import StoreIdentity
from recon.sources.payments.sql.kinds import Raw
from recon.sources.payments.sql.section import SqlSection
from recon.sources.payments.sql.trees import any_of_texts

if TYPE_CHECKING:
    from sqlalchemy import ColumnClause, ColumnElement, Connection, Engine, TableClause

Said = tuple[Literal["ok", "warning", "failed"], str]
"""Something that was checked: how it is, and one sentence."""

_OWN_COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "stamp": ((), ("of_table", "row_key", "stamp")),
    "lease": (("token", "expires_ms"), ("target", "holder")),
    "journal": (("seq",), ("run", "kind", "change", "payment", "hash", "text")),
    "decision": ((), ("name", "text")),
}
"""By table of the tool's own, its columns of numbers and of text."""


@dataclass(frozen=True, slots=True)
class Reached:
    """By which address a database is reached.

    Args:
        url: Secret.
        variable: What held it, for messages.
        home: Where a relative path of a file begins.
        may_write: Whether it is opened for a run; otherwise nothing can be written through it.
    """

    url: str = field(repr=False)
    variable: str
    home: Path
    may_write: bool = False


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column as the database declares it.

    Args:
        kind: What it holds by its type; see :mod:`recon.sources.payments.sql.kinds`.
        type: The type itself, for a cast.
        own: The column of the table, as an expression.
        is_zoneless: Whether it holds moments that name no zone.
        is_zoned: Whether each moment in it has its zone, so that none needs to be configured.
    """

    name: str
    kind: str
    type: str
    own: ColumnClause[Any]
    is_zoneless: bool = False
    is_zoned: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The table of the payments.

    Args:
        table: With its schema, as an expression.
        name: As people write it.
        indexed: The columns that an index begins with.
        uuid: What a copy of the table elsewhere does not share, or None.
    """

    table: TableClause
    name: str
    columns: Mapping[str, SqlColumn]
    indexed: frozenset[str]
    uuid: str | None


class SqlDatabase(ABC):
    """One database; safe to use from threads."""

    title: ClassVar[str]
    migration: ClassVar[str]
    has_clock: ClassVar[bool]
    in_flight_max: ClassVar[int]

    def __init__(self, reached: Reached, section: SqlSection) -> None:
        self.reached, self.section = reached, section
        self._owned: dict[str, TableClause] = {}

    def close(self) -> None:
        """Give the connections back; they are opened anew when the database is used again."""
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.dispose()

    @cached_property
    def engine(self) -> Engine:
        """The connections."""
        return self._engine()

    @property
    @abstractmethod
    def place(self) -> str:
        """Which database it is, as messages name it: no user, no password."""

    @abstractmethod
    def _engine(self) -> Engine: ...

    @abstractmethod
    def layout(self, connection: Connection) -> Layout:
        """The table of the payments; raises SqlMissingError where it cannot be used."""

    @abstractmethod
    def begin(self, connection: Connection, *, is_run: bool) -> None:
        """The first statements of a transaction: a snapshot that writes nothing, or one write of a run."""

    @abstractmethod
    def tables_called(self, connection: Connection, word: str) -> list[tuple[str, int]]:
        """The tables whose names hold a word, as a configuration names them, and about how many rows each has."""

    @abstractmethod
    def image(self, column: SqlColumn) -> ColumnElement[Any]:
        """What is selected of a column: its raw image."""

    @abstractmethod
    def holds(self, column: SqlColumn, raw: Raw) -> ColumnElement[bool]:
        """The condition that a column still holds exactly this raw image, NULL included."""

    @abstractmethod
    def bound(self, column: SqlColumn, raw: Raw) -> ColumnElement[Any]:
        """A raw image as a value of the column's type."""

    @abstractmethod
    def within(
        self, column: SqlColumn, kind: str, *, from_ms: int | None, to_ms: int | None
    ) -> ColumnElement[bool] | None:
        """The condition that a moment is in a window, UTC ms, or is none; None where SQL cannot say it exactly."""

    def id_images(self, column: SqlColumn, images: Iterable[Raw]) -> list[Raw]:
        """Of raw images of ids, those that a row of the table can have at all."""
        return list(images)

    @abstractmethod
    def row_key(self, column: SqlColumn) -> ColumnElement[str]:
        """The id as the text under which the tool's own tables name a row."""

    @abstractmethod
    def text_of(self, column: SqlColumn) -> ColumnElement[str]:
        """A column as text, to be compared with words."""

    def holds_text(self, column: SqlColumn, keys: Sequence[str]) -> ColumnElement[bool]:
        """The condition that the text of a column of JSON may hold one of the keys, in any case of letters."""
        return any_of_texts(self.text_of(column), keys)

    def unindexed_trees(
        self, connection: Connection, *, layout: Layout, columns: Sequence[SqlColumn]
    ) -> dict[str, str | None]:
        """The columns of JSON of which no index tells what their text holds, with what an owner does to make one.

        None stands where this database has no such index.
        """
        return dict.fromkeys((column.name for column in columns), None)

    def own(self, name: str) -> TableClause:
        """A table of the tool's own, such as ``journal``; the same expression each time."""
        return self._owned.setdefault(name, self.own_table(name))

    @abstractmethod
    def own_table(self, name: str) -> TableClause:
        """A new expression for a table of the tool's own."""

    @abstractmethod
    def own_is_there(self, connection: Connection, name: str) -> bool:
        """Whether a table of the tool's own is there."""

    @abstractmethod
    def identity(self, connection: Connection, layout: Layout) -> StoreIdentity:
        """Which table of which database this is."""

    @abstractmethod
    def as_of_ms(self, connection: Connection) -> int | None:
        """Until when the snapshot shows everything, UTC ms; None where nothing can lag.

        Raises:
            SqlStaleError: A standby is too far behind, or does not say how far.
        """

    @abstractmethod
    def server_time(self, connection: Connection) -> datetime | None:
        """The server's own time, aware UTC; None where there is no server."""

    @abstractmethod
    def now_ms(self) -> ColumnElement[int]:
        """The server's own time in UTC milliseconds, as an expression."""

    @abstractmethod
    def says(self, connection: Connection, now: datetime | None) -> tuple[str, list[str]]:
        """What it is, and what makes it slow or doubtful."""

    @abstractmethod
    def writable(self, connection: Connection, layout: Layout) -> tuple[str, ...]:
        """Where this login may write, as people name it."""

    @abstractmethod
    def run_says(self, connection: Connection, layout: Layout, *, written: Sequence[str]) -> Iterator[Said]:
        """What a run that writes these columns has to know: missing rights, triggers, row policies, isolation."""

    @abstractmethod
    def translated(self, error: Exception) -> SourceError:
        """A driver's error as one of ours."""

    @abstractmethod
    def is_passing(self, error: Exception) -> bool:
        """Whether a failure says nothing about the request itself, so that asking again may succeed."""

    @abstractmethod
    def is_forbidden(self, error: Exception) -> bool:
        """Whether the login may not do what was asked."""

    @abstractmethod
    def row_refusal(self, error: Exception) -> tuple[int, str] | None:
        """The number and the sentence of an error that is about one row and nothing else, or None."""

    @abstractmethod
    def error_word(self, error: Exception) -> str:
        """The database's own name of an error, and nothing that it quotes of rows."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that shows one moment and can write nothing."""
        with self._transaction(is_run=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction of a run; it is committed unless something is raised."""
        with self._transaction(is_run=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, is_run: bool) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            self.begin(connection, is_run=is_run)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            if is_run:
                connection.commit()
            else:
                connection.rollback()

    @contextmanager
    def asked_of(self) -> Iterator[None]:
        """Turn every error of the driver into one of ours."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise self.translated(error) from error


def own_columns(name: str) -> list[ColumnClause[Any]]:
    """The columns of a table of the tool's own; the migrations make the same."""
    import sqlalchemy as sa

    numbers, texts = _OWN_COLUMNS[name]
    return [
        *(sa.column(each, sa.BigInteger()) for each in numbers),
        *(sa.column(each, sa.Text()) for each in texts),
    ]


def triggers_say(names: Sequence[str]) -> str:
    """What triggers mean for a run."""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return (
        f"The table has triggers ({shown}): a write that one of them changes or refuses is taken back and reported at "
        "its row; what else they do, such as mails and entries elsewhere, happens at a correction too."
    )
