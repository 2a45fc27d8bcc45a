"""Payments in a SQL table with everything an apply needs, and the same children that die in the middle of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.core.ids import payment_id_text
from recon.runs.stores.sql.journal import SqlJournal
from recon.runs.stores.sql.payments import SqlWriter
from tests.support.applying import World, a_target
from tests.support.sql_stores import BY_COLUMNS, SqlPlace


@dataclass
class SqlWorld(World):
    """A table of payments; ``database`` is of no use here."""

    place: SqlPlace | None = None

    def documents(self) -> list[dict[str, Any]]:
        """Everything that is stored, in the order of the first documents."""
        assert self.place is not None
        found = SqlWriter(self.place.shared).read([document["_id"] for document in self.before])
        return [dict(found[payment_id_text(document["_id"])]) for document in self.before]

    def fresh(self) -> tuple[SqlWriter, SqlJournal]:
        """A writer and a journal as another process would have them."""
        assert self.place is not None
        database = self.place.database()
        return SqlWriter(database), SqlJournal(database)


def sql_world(place: SqlPlace, documents: Sequence[Mapping[str, Any]], *, is_there: bool = False) -> SqlWorld:
    """Store documents and connect everything to them; ``is_there`` when they are stored already."""
    before = [dict(document) for document in documents]
    writer = SqlWriter(place.shared) if is_there else place.open_writer(before)
    if not is_there:
        name = "recon_{}" if place.kind == "sqlite" else "recon.{}"
        for table in ("journal", "lease"):
            place.run(f"DELETE FROM {name.format(table)}")
    none: Any = None
    return SqlWorld(none, writer, SqlJournal(place.shared), a_target(writer), before, place)


def place_at(url: str) -> SqlPlace:
    """A table that is there already, by its address."""
    kind = "sqlite" if url.startswith("sqlite") else "postgres"
    return SqlPlace(kind, url, BY_COLUMNS, Path())
