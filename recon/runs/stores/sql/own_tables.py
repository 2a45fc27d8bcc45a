"""The tables of the tool itself: made by the first run where its login may, by the file of the migration where not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from recon.core.errors import RefusedError
from recon.runs.stores.retry import ReadOnlyCredentialError, Retry, StoreGoneError, StoreSaysError
from recon.sources.payments.fields import WRITTEN
from recon.sources.payments.sql.database import SqlDatabase

Answer = TypeVar("Answer")

OWN_TABLES: Final = ("stamp", "journal", "lease")
RUN_PATHS: Final = tuple(path for path in WRITTEN if path not in ("__v", "metadata.recon"))
"""What a run may set; the version is only guarded, and the stamp has a place of its own."""


class OwnTablesMissingError(RefusedError):
    """The tool's own tables are not there, and the login may not make them."""

    def __init__(self, *, place: str, file: str) -> None:
        super().__init__(
            f"{place} has no tables of recon's own, and the login may not make them; nothing was written. Have an "
            f"owner of the database run {file}, which also says what to grant."
        )


def migration_file(database: SqlDatabase) -> Path:
    """The statements that make the tables, as an owner of the database may run them."""
    return Path(__file__).parent / database.migration


def make_own_tables(database: SqlDatabase) -> None:
    """Make the tables that are not there.

    Raises:
        OwnTablesMissingError: The login may not.
        StoreSaysError: The database answers with another error.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with database.reading() as connection:
            if all(database.own_is_there(connection, name) for name in OWN_TABLES):
                return
        with database.writing() as connection:
            for statement in statements(migration_file(database).read_text(encoding="utf-8")):
                connection.exec_driver_sql(statement)
    except SQLAlchemyError as error:
        if database.is_forbidden(error):
            raise OwnTablesMissingError(place=database.place, file=str(migration_file(database))) from error
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
