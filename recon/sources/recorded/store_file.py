"""The payments of a recorded world: as the world was written, or as runs left them in a file of SQLite beside it.

``payments.ndjson`` is never written again. The first run copies its lines to ``payments.db`` and writes there; from
then on that file counts, as long as it belongs to the lines it was made of.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

PAYMENTS_FILE: Final = "payments.ndjson"
STORE_FILE: Final = "payments.db"
_WAIT_S: Final = 10.0


class StoreFileOddError(ValueError):
    """The file of a recorded world's store cannot be used."""


def payment_lines(folder: Path) -> list[str]:
    """The payments of a world as they are now, a line of canonical Extended JSON each.

    Raises:
        OSError: A file cannot be read.
        StoreFileOddError: The store's file is none, or was made of other payments than the world has now.
    """
    data = (folder / PAYMENTS_FILE).read_bytes()
    found = _stored(folder, hashlib.sha256(data).hexdigest())
    return [line for line in data.decode().split("\n") if line.strip()] if found is None else found


def open_store_file(folder: Path) -> sqlite3.Connection:
    """A connection to the store's file, which has to be there; a write that was cut off is taken back first."""
    address = f"file:{quote(str((folder / STORE_FILE).resolve()))}?mode=rw"
    made = sqlite3.connect(address, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    made.execute("PRAGMA synchronous = FULL")
    return made


def is_filled(connection: sqlite3.Connection) -> bool:
    """Whether the payments were copied; a run that ended before that leaves an empty file."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'payment'").fetchone() is not None


def _stored(folder: Path, digest: str) -> list[str] | None:
    if not (folder / STORE_FILE).exists():
        return None
    try:
        with closing(open_store_file(folder)) as connection:
            if not is_filled(connection):
                return None
            (origin,) = connection.execute("SELECT digest FROM origin").fetchone()
            lines = [line for (line,) in connection.execute("SELECT line FROM payment ORDER BY place")]
    except (sqlite3.Error, TypeError) as error:
        raise StoreFileOddError(f"{STORE_FILE} is no file of this store ({type(error).__name__})") from error
    if origin != digest:
        raise StoreFileOddError(
            f"{STORE_FILE} holds what runs made of other payments than {PAYMENTS_FILE} has now; remove {STORE_FILE} to "
            "begin with these"
        )
    return lines
