"""What the two logins may do in a SQL database, and what would make a run slow or doubtful there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from recon.core.errors import ReconError
from recon.setup.stores.sql.reached import database_for

if TYPE_CHECKING:
    from recon.setup.settings import Settings
    from recon.sources.payments.sql.database import SqlDatabase

State = Literal["ok", "warning", "failed"]


def audit_rights(settings: Settings) -> Iterator[tuple[State, str]]:
    """What there is to know about the rights of both logins, about the table, and about the tool's own tables."""
    from recon.runs.stores.sql.own_tables import OWN_TABLES

    try:
        reading = database_for(settings)
        writing = database_for(settings, may_write=True)
    except ReconError:
        return
    is_one_login = reading.reached.url == writing.reached.url
    yield from _asked(reading, is_run=False, is_one_login=is_one_login)
    more = ("decision",) if settings.values.approvals.kept_in == "database" else ()
    yield from _asked(writing, is_run=True, is_one_login=is_one_login, own_tables=(*OWN_TABLES, *more))


def _asked(database: SqlDatabase, **given: Any) -> Iterator[tuple[State, str]]:
    from recon.runs.stores.sql.rights import rights_of

    try:
        with database.asked_of(), database.reading() as connection:
            found = list(rights_of(database, connection, **given))
    except ReconError as error:
        yield "warning", f"What the logins may do could not be asked: {error}"
        return
    finally:
        database.close()
    yield from found
