"""The journal and the lease in the tool's own tables, in the database that they are about.

The number of an entry is the primary key, so two writers can never append at the same place. The lease's time is the
server's own; every call on it is one statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.files import GENESIS
from recon.runs.stores.journal import (
    JournalEntry,
    JournalFailedError,
    JournalTakenError,
    Note,
    chained_entries,
    checked_entry,
)
from recon.runs.stores.lease import Holder, LeaseHeldError, LeaseStore, is_dead, read_holder
from recon.runs.stores.retry import Retry, StoreGoneError
from recon.runs.stores.sql.own_tables import database_answer, refused
from recon.sources.payments.sql.database import SqlDatabase

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_PAGE: Final = 1000
_JOURNAL: Final = "recon.journal"


class SqlJournal:
    """A :class:`~recon.runs.stores.journal.Journal` in the table of the same name."""

    def __init__(self, database: SqlDatabase, *, retry: Retry | None = None) -> None:
        self._database = database
        self._retry = retry or Retry(passes=database.is_passing)
        self._head: tuple[int, str] | None = None
        self.leases: LeaseStore = SqlLeases(database, retry=self._retry)

    def refresh(self) -> int:
        """See :meth:`Journal.refresh`."""
        import sqlalchemy as sa

        own = self._database.own("journal")
        last = self._read(sa.select(own.c.seq, own.c.hash).order_by(own.c.seq.desc()).limit(1))
        self._head = (int(last[0].seq), str(last[0].hash)) if last else (0, GENESIS)
        return self._head[0]

    def end(self) -> tuple[int, str]:
        """The number of the last entry and its hash, read anew."""
        self.refresh()
        assert self._head is not None
        return self._head

    def append(self, notes: Sequence[Note]) -> tuple[JournalEntry, ...]:
        """See :meth:`Journal.append`: one transaction, so that all of them are there or none.

        Raises:
            JournalTakenError: Another writer has appended since.
            JournalFailedError: The database refuses the entries.
            StoreGoneError: The database does not answer.
        """
        from sqlalchemy.exc import SQLAlchemyError

        if self._head is None:
            try:
                self.refresh()
            except SourceError as error:
                raise JournalFailedError(why=str(error)) from error
        assert self._head is not None
        made = chained_entries(notes, seq=self._head[0], prev=self._head[1])
        rows = [
            {"seq": e.seq, "run": e.note.run, "kind": e.note.kind, "change": e.note.change,
             "payment": e.note.payment, "hash": e.hash, "text": e.text}
            for e in made
        ]  # fmt: skip
        if not rows:
            return made
        try:
            before = self._head
            self._retry.run(lambda: self._insert(rows, after=before), what="the journal")
        except SQLAlchemyError as error:
            self._head = None
            if self._database.is_forbidden(error):
                raise refused(error, database=self._database, table=_JOURNAL, what="write the journal") from error
            raise JournalFailedError(why=self._database.error_word(error)) from error
        self._head = (made[-1].seq, made[-1].hash)
        return made

    def _insert(self, rows: list[dict[str, Any]], *, after: tuple[int, str]) -> None:
        """Insert them all behind the entry that they name; after a lost answer the next try finds its own entries.

        Raises:
            JournalFailedError: That entry is gone: a standby took over that had not received it.
        """
        import sqlalchemy as sa
        from sqlalchemy.exc import IntegrityError

        own = self._database.own("journal")
        try:
            with self._database.writing() as connection:
                if after[0]:
                    last = connection.execute(sa.select(own.c.hash).where(own.c.seq == after[0])).scalar()
                    if last != after[1]:
                        raise JournalFailedError(why=f"its entry {after[0]} is gone or another, as after a failover")
                connection.execute(sa.insert(own), rows)
            return
        except IntegrityError:
            asked = sa.select(own.c.seq, own.c.hash).where(own.c.seq.between(rows[0]["seq"], rows[-1]["seq"]))
            with self._database.reading() as connection:
                there = {int(row.seq): str(row.hash) for row in connection.execute(asked)}
            for row in rows:
                if there.get(row["seq"]) != row["hash"]:
                    if not there:
                        raise
                    raise JournalTakenError(seq=int(row["seq"])) from None

    def entries(self, *, run: str | None = None, kinds: Sequence[str] = ()) -> Iterator[JournalEntry]:
        """See :meth:`Journal.entries`."""
        own = self._database.own("journal")
        conditions = [] if run is None else [own.c.run == run]
        if kinds:
            conditions.append(own.c.kind.in_(list(kinds)))
        for row in self._pages(conditions):
            yield checked_entry(str(row.text), seq=int(row.seq), stored_hash=str(row.hash))

    def lines(self) -> Iterator[tuple[int, str, str, Mapping[str, Any]]]:
        """See :meth:`Journal.lines`."""
        for row in self._pages([]):
            beside = {"run": row.run, "kind": row.kind, "change": row.change, "payment": row.payment}
            yield int(row.seq), str(row.text), str(row.hash), beside

    def _pages(self, conditions: Sequence[ColumnElement[bool]]) -> Iterator[Any]:
        import sqlalchemy as sa

        own = self._database.own("journal")
        after = -1
        while True:
            asked = sa.select(*own.c).where(own.c.seq > after, *conditions).order_by(own.c.seq).limit(_PAGE)
            page = self._read(asked)
            yield from page
            if len(page) < _PAGE:
                return
            after = int(page[-1].seq)

    def _read(self, asked: Any) -> Sequence[Any]:
        def read() -> Sequence[Any]:
            with self._database.reading() as connection:
                if not self._database.own_is_there(connection, "journal"):
                    return []
                return connection.execute(asked).all()

        return database_answer(
            read, retry=self._retry, database=self._database, table=_JOURNAL, what="read the journal"
        )


class SqlLeases:
    """Leases in a table, one row a target."""

    def __init__(self, database: SqlDatabase, *, retry: Retry | None = None) -> None:
        self._database = database
        self._retry = retry or Retry(passes=database.is_passing)

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        """See :meth:`LeaseStore.acquire`."""
        return database_answer(
            lambda: self._acquire(target, holder=holder, lease_ms=lease_ms),
            retry=self._retry,
            database=self._database,
            table=_JOURNAL,
            what="take the lease",
        )

    def _acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        from sqlalchemy.exc import IntegrityError

        try:
            return self._taken(target, holder=holder, lease_ms=lease_ms)
        except IntegrityError:
            # Another run made the row of this target at the same moment; now it is there.
            return self._taken(target, holder=holder, lease_ms=lease_ms)

    def _taken(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        """In one transaction that holds the row: nobody else takes it meanwhile."""
        import sqlalchemy as sa

        own, now = self._database.own("lease"), self._database.now_ms()
        with self._database.writing() as connection:
            self._ensure(connection, target)
            locked = sa.update(own).where(own.c.target == target).values(token=own.c.token)
            connection.execute(locked)
            asked = sa.select(own.c.token, own.c.holder, (own.c.expires_ms - now).label("left_ms"))
            seen = connection.execute(asked.where(own.c.target == target)).one()
            held = _told(seen.holder)
            if held is not None and read_holder(held) == holder:
                return int(seen.token)  # ours already: the answer to the first try was lost
            if seen.left_ms > 0 and not is_dead(held):
                raise LeaseHeldError(target=target, holder=str(read_holder(held)), seconds=float(seen.left_ms) / 1000)
            taken = {"token": own.c.token + 1, "expires_ms": now + lease_ms, "holder": json.dumps(asdict(holder))}
            connection.execute(sa.update(own).where(own.c.target == target).values(taken))
            return int(seen.token) + 1

    def _ensure(self, connection: Connection, target: str) -> None:
        import sqlalchemy as sa

        own = self._database.own("lease")
        first = sa.select(
            sa.literal(target, sa.Text()), sa.literal(0, sa.BigInteger()), sa.literal(0, sa.BigInteger())
        ).where(~sa.exists().where(own.c.target == target))
        connection.execute(sa.insert(own).from_select(["target", "token", "expires_ms"], first))

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        """See :meth:`LeaseStore.renew`."""
        return self._change(target, token, {"expires_ms": self._database.now_ms() + lease_ms}) == 1

    def release(self, target: str, *, token: int) -> None:
        """See :meth:`LeaseStore.release`.

        Raises:
            StoreGoneError: The database does not take it back; it runs out by itself.
        """
        from sqlalchemy.exc import SQLAlchemyError

        what = "the lease's return"
        given = {"expires_ms": self._database.now_ms(), "holder": None}
        try:
            self._retry.run(lambda: self._change(target, token, given), what=what)
        except SQLAlchemyError as error:
            raise StoreGoneError(what=what, tried_s=0, cause=type(error).__name__) from error

    def _change(self, target: str, token: int, values: Mapping[str, Any]) -> int:
        import sqlalchemy as sa

        own = self._database.own("lease")
        mine = (own.c.target == target, own.c.token == token)
        with self._database.writing() as connection:
            return connection.execute(sa.update(own).where(*mine).values(dict(values))).rowcount


def _told(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
