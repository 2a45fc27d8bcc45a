"""The tables of the tool itself: made by the first run where its login may, by the file of the migration where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from recon.core.errors import RefusedError
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError, StoreSaysError
from recon.sources.payments.fields import WRITTEN
from recon.sources.payments.sql.database import SqlDatabase

Answer = TypeVar("Answer")

OWN_TABLES: Final = ("stamp", "journal", "lease")
"""What a run needs."""

_PARTS: Final = {"stamp": 1, "journal": 1, "lease": 1, "decision": 2}
"""The number of the migration that makes each table."""

RUN_PATHS: Final = tuple(path for path in WRITTEN if path not in ("__v", "metadata.recon"))
"""What a run may set; the version is only guarded, and the stamp has a place of its own."""


class OwnTablesMissingError(RefusedError):
    """The tool's own tables are not there, and the login may not make them."""

    def __init__(self, *, place: str, file: str) -> None:
        super().__init__(
            f"{place} has no tables of recon's own, and the login may not make them; nothing was written. Have an "
            f"owner of the database run {file}, which also says what to grant."
        )


def migration_file(database: SqlDatabase, *, table: str = "journal") -> Path:
    """The statements that make a table and those beside it, as an owner of the database may run them."""
    return Path(__file__).parent / database.migration.format(_PARTS[table])


def make_own_tables(database: SqlDatabase, *, names: Sequence[str] = OWN_TABLES) -> None:
    """Make the tables that are not there.

    Args:
        names: Those that are needed; usually what a run needs.

    Raises:
        OwnTablesMissingError: The login may not.
        StoreSaysError: The database answers with another error.
    """
    from sqlalchemy.exc import SQLAlchemyError

    file = migration_file(database, table=names[0])
    try:
        with database.reading() as connection:
            missing = [name for name in names if not database.own_is_there(connection, name)]
        if not missing:
            return
        file = migration_file(database, table=missing[0])
        with database.writing() as connection:
            for part in dict.fromkeys(migration_file(database, table=name) for name in missing):
                for statement in statements(part.read_text(encoding="utf-8")):
                    connection.exec_driver_sql(statement)
    except SQLAlchemyError as error:
        if database.is_forbidden(error):
            raise OwnTablesMissingError(place=database.place, file=str(file)) from error
        raise StoreSaysError(what="the wish to make the tool's own tables", why=database.error_word(error)) from error


def statements(text: str) -> list[str]:
    """The statements of a migration, without its remarks."""
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def refused(error: Exception, *, database: SqlDatabase, table: str, what: str) -> Exception:
    """What an error of the database is to a run: the login may not, or the database says something else."""
    if database.is_forbidden(error):
        return ReadOnlyCredentialError(collection=table, what=what)
    return StoreSaysError(what=f"the wish to {what}", why=database.error_word(error))


def database_answer(
    call: Callable[[], Answer], *, retry: Retry, database: SqlDatabase, table: str, what: str
) -> Answer:
    """The answer to a question that writes no business record, or one clear sentence.

    Raises:
        ReadOnlyCredentialError: The login may not do that.
        StoreSaysError: The database answers with another error, or not at all.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return retry.run(call, what=f"the wish to {what}")
    except SQLAlchemyError as error:
        raise refused(error, database=database, table=table, what=what) from error
    except StoreGoneError as error:
        cause = type(error.__cause__ or error).__name__
        raise StoreSaysError(what=f"the wish to {what}", why=f"it is away: {cause}") from error
