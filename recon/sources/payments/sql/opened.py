"""The database of an address: by its scheme, with the sentence that names the extra where something is missing."""

from __future__ import annotations

from recon.core.extras import check_extra
from recon.sources.payments.sql.database import Reached, SqlDatabase
from recon.sources.payments.sql.errors import SqlUrlError
from recon.sources.payments.sql.section import SqlSection


def database_of(reached: Reached, section: SqlSection) -> SqlDatabase:
    """The database of an address; nothing is asked of it yet.

    Raises:
        SqlUrlError: It is no address of a kind that is known.
        MissingExtraError: What it needs is not installed.
    """
    check_extra("A SQL database", package="sqlalchemy", extra="sql")
    scheme = reached.url.partition("://")[0].partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        check_extra("PostgreSQL", package="psycopg", extra="sql")
        from recon.sources.payments.sql.postgres import PostgresDatabase

        return PostgresDatabase(reached, section)
    if scheme == "sqlite":
        from recon.sources.payments.sql.sqlite import SqliteDatabase

        return SqliteDatabase(reached, section)
    raise SqlUrlError(variable=reached.variable)
