"""The store of a recorded world: one file of SQLite beside it, written under the same guard as a real database.

Each payment is a line of canonical Extended JSON. A write is held against the guard value by value, types included,
and then goes to its row only if that still holds the same line; what was written since the last flush is committed at
once, and a crash before that leaves the file as it was. It is for one machine, and proves nothing of a real database.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError, StoppedError
from recon.core.ids import payment_id_text
from recon.core.values import STAMP, ValueTextError, changed_document, json_options, value_at
from recon.runs.guard import GuardedUpdate, still_fits
from recon.runs.stores.payments import CANNOT, WriteResult
from recon.runs.stores.retry import ReadOnlyCredentialError
from recon.sources.interface import StoreIdentity
from recon.sources.recorded.store_file import (
    PAYMENTS_FILE,
    STORE_FILE,
    StoreFileOddError,
    is_filled,
    open_store_file,
    payment_lines,
)

_TABLES: Final = (
    "CREATE TABLE payment (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, line TEXT NOT NULL)",
    "CREATE TABLE origin (digest TEXT NOT NULL)",
)
"""A line of canonical Extended JSON for each payment, in the order of the world; the sha256 of what it was made of."""

_FILE_MODE: Final = 0o600
_CANNOT_EXACTLY: Final = "the embedded store cannot do this write exactly as a server would"


class EmbeddedStoreError(RefusedError):
    """The directory of the embedded store holds something other than payment documents."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f'{path}: {why}; nothing was written. Make the world again with "recon simulate".')


class StoreFileError(StoppedError):
    """The embedded store's file could not be written."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(
            f"{path}: it could not be written ({why}), so the file is the one from before, and the journal knows what "
            'was announced. Remove the cause and continue with "recon apply --resume".'
        )


class EmbeddedStore:
    """A :class:`~recon.runs.stores.payments.PaymentWriter` over the folder of a recorded world."""

    in_flight_max = 1
    is_buffered = True
    go_on: Callable[[], None] | None = None

    def __init__(self, directory: Path) -> None:
        self._folder = directory
        self._world = _world(directory)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._first: dict[str, str] = {}
        for number, line in enumerate(self._lines(), start=1):
            key = _key_of(line, number)
            if key in self._first:
                raise EmbeddedStoreError(path=PAYMENTS_FILE, why=f"line {number} repeats the _id {key}")
            self._first[key] = line

    def close(self) -> None:
        """Forget what was not flushed and let go of the file."""
        with self._lock:
            self._end()

    def identity(self) -> StoreIdentity:
        """The names that the world gives itself; its one host is called ``embedded``."""
        return StoreIdentity(
            hosts=("embedded",),
            database=str(self._world.get("database", "marketplace")),
            collection=str(self._world.get("collection", "payments")),
            collection_uuid=str(self._world["collection_uuid"]) if self._world.get("collection_uuid") else None,
        )

    def check_writable(self) -> None:
        """Refuse a directory in which no file can be made."""
        if not os.access(self._folder, os.W_OK):
            raise ReadOnlyCredentialError(collection=STORE_FILE, what="be written to in its directory")

    def read(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """See :meth:`PaymentWriter.read`."""
        wanted = list(map(payment_id_text, document_ids))
        with self._lock, self._disk():
            if self._connection is not None:
                found = _found(self._connection, wanted)
            elif (self._folder / STORE_FILE).exists():
                with closing(open_store_file(self._folder)) as connection:
                    found = _found(connection, wanted) if is_filled(connection) else self._first
            else:
                found = self._first
            return {key: _parse(found[key]) for key in wanted if key in found}

    def stamps(self, run: str | None) -> Iterator[tuple[str, str]]:
        """See :meth:`MongoWriter.stamps`."""
        for number, line in enumerate(self._lines(), start=1):
            stamp = value_at(_parse(line), STAMP) if STAMP.rpartition(".")[2] in line else None
            if isinstance(stamp, str) and (run is None or stamp.startswith(f"{run}/")):
                yield _key_of(line, number), stamp

    def write(self, update: GuardedUpdate) -> WriteResult:
        """See :meth:`PaymentWriter.write`; it lasts once :meth:`flush` returned.

        Raises:
            StoreFileError: The file cannot be written; what was written since the last flush is forgotten again.
        """
        with self._lock, self._disk():
            connection = self._begun()
            key = payment_id_text(update.document_id)
            line = _line_of(connection, key)
            if line is None or not still_fits(document := _parse(line), update):
                return WriteResult(0)
            try:
                changed = changed_document(document, update.sets, unsets=update.unsets)
            except ValueTextError:
                return WriteResult(0, CANNOT, _CANNOT_EXACTLY)
            guarded = "UPDATE payment SET line = ? WHERE id = ? AND line IS ?"
            return WriteResult(connection.execute(guarded, (_text(changed), key, line)).rowcount)

    def flush(self) -> None:
        """Commit what was written since the last time, all of it or nothing.

        Raises:
            StoreFileError: It cannot be written; what was written since the last time is forgotten again.
        """
        with self._lock:
            if self._connection is not None:
                with self._disk():
                    _commit(self._connection)
                self._end()

    def _begun(self) -> sqlite3.Connection:
        """The transaction of this group; the first one copies the payments of the world."""
        if self._connection is None:
            (self._folder / STORE_FILE).touch(mode=_FILE_MODE)
            self._connection = open_store_file(self._folder)
            self._connection.execute("BEGIN IMMEDIATE")
            if not is_filled(self._connection):
                self._copy(self._connection)
        return self._connection

    def _copy(self, connection: sqlite3.Connection) -> None:
        data = (self._folder / PAYMENTS_FILE).read_bytes()
        lines = [line for line in data.decode().split("\n") if line.strip()]
        for statement in _TABLES:
            connection.execute(statement)
        rows = [(number, _key_of(line, number), line) for number, line in enumerate(lines, start=1)]
        connection.executemany("INSERT INTO payment VALUES (?, ?, ?)", rows)
        connection.execute("INSERT INTO origin VALUES (?)", (hashlib.sha256(data).hexdigest(),))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._end()
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            raise StoreFileError(path=STORE_FILE, why=why) from error

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.rollback()
            connection.close()

    def _lines(self) -> list[str]:
        try:
            return payment_lines(self._folder)
        except (OSError, UnicodeDecodeError) as error:
            raise EmbeddedStoreError(path=PAYMENTS_FILE, why=f"it cannot be read ({type(error).__name__})") from error
        except StoreFileOddError as error:
            raise EmbeddedStoreError(path=STORE_FILE, why=str(error)) from error


def _commit(connection: sqlite3.Connection) -> None:
    connection.commit()


def _line_of(connection: sqlite3.Connection, key: str) -> str | None:
    found = connection.execute("SELECT line FROM payment WHERE id = ?", (key,)).fetchone()
    return None if found is None else str(found[0])


def _found(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    lines = {key: _line_of(connection, key) for key in keys}
    return {key: line for key, line in lines.items() if line is not None}


def _key_of(line: str, number: int) -> str:
    try:
        return payment_id_text(_parse(line)["_id"])
    except Exception as error:  # bson raises whatever its converters raise on hostile text
        raise EmbeddedStoreError(path=PAYMENTS_FILE, why=f"line {number} is no document") from error


def _world(directory: Path) -> dict[str, Any]:
    path = directory / "world.json"
    try:
        world = json.loads(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise EmbeddedStoreError(path=path.name, why="this is not whole JSON") from error
    return world if isinstance(world, dict) else {}


def _parse(line: str) -> dict[str, Any]:
    from bson import json_util

    document = json_util.loads(line, json_options=json_options())
    if not isinstance(document, dict):
        raise TypeError("not a document")
    return document


def _text(document: Mapping[str, Any]) -> str:
    from bson import json_util

    return str(json_util.dumps(document, json_options=json_options()))
