"""What can be wrong with a SQL database that is read, a class and a sentence each; no address is ever in one."""

from __future__ import annotations

from recon.core.errors import ConfigError, DatabaseAwayError, SourceError
from recon.core.text import count_text


class SqlUrlError(ConfigError):
    """The address of a SQL database cannot be used. It may hold a password and is therefore not quoted."""

    def __init__(self, *, variable: str) -> None:
        super().__init__(
            f"{variable} holds no address that can be used (it is not shown, for it may hold a password). Write "
            "postgresql://user:password@host:5432/database, with special characters in the password as %XX, or "
            "sqlite:///folder/file.db with a fourth slash for a path from the root."
        )


class SqlUnreachableError(DatabaseAwayError):
    """No server answers, or the file cannot be opened."""

    def __init__(self, *, place: str, why: str) -> None:
        super().__init__(
            f"{place} cannot be reached ({why}). Check that it is there and runs, and that this machine may reach it."
        )


class SqlLoginError(SourceError):
    """The server refuses the user, the password or the database."""

    def __init__(self, *, place: str) -> None:
        super().__init__(
            f"{place} refuses the user, the password or the database. Check all three, and the server's pg_hba.conf."
        )


class SqlForbiddenError(SourceError):
    """The login may not read what is needed."""

    def __init__(self, *, place: str, table: str) -> None:
        super().__init__(
            f"{place}: the login may not read {table}. Grant it SELECT on that table and on recon.stamp, and USAGE on "
            "both schemas; more is not needed."
        )


class SqlMissingError(SourceError):
    """The table or a column is not there, or cannot be used."""

    def __init__(self, *, place: str, table: str, what: str) -> None:
        super().__init__(f"{place}: {table} {what}. Check [sql] in the configuration.")


class SqlInterruptedError(SourceError):
    """A reading broke off; a window must be one moment, so it is not taken up again."""

    def __init__(self, *, place: str, documents: int, why: str) -> None:
        super().__init__(
            f"{place}: reading broke off after {count_text(documents, 'payment')} ({why}). The rest of the "
            "window was not read, and a later moment would not fit to what was; run the command again."
        )


class SqlAnswerError(SourceError):
    """The database answered with an error that has no class of its own."""

    def __init__(self, *, place: str, why: str) -> None:
        super().__init__(f"{place}: it answered with an error ({why}). Nothing was changed; try again.")


class SqlSlowError(SourceError):
    """A question ran into its time limit."""

    def __init__(self, *, place: str) -> None:
        super().__init__(
            f"{place}: a question took too long and was given up. Narrow the window, or add an index on its date."
        )


class SqlStaleError(SourceError):
    """A standby shows an old state of the payments."""

    def __init__(self, *, place: str, behind_s: float | None, max_s: float) -> None:
        behind = "how far it is behind is not known" if behind_s is None else f"it is {behind_s:.0f} s behind"
        super().__init__(
            f"{place} is a standby, and {behind}; more than {max_s:g} s is not believed. Read the primary, or wait "
            "until the standby has caught up."
        )


class SqlZoneError(ConfigError):
    """A column holds times without a zone."""

    def __init__(self, *, column: str) -> None:
        super().__init__(
            f'The column {column} holds times without a zone; say which one is meant with time_zone = "UTC" (or '
            "another fixed distance such as +01:00) under [sql]."
        )
