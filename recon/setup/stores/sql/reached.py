"""The SQL database of a configuration, for reading or for a run; the addresses are secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.setup.file import MissingSecretError

if TYPE_CHECKING:
    from recon.setup.settings import Settings
    from recon.sources.payments.sql.database import SqlDatabase


def database_for(settings: Settings, *, may_write: bool = False) -> SqlDatabase:
    """The database of a configuration; nothing is asked of it yet.

    Args:
        may_write: For a run, by the address for writing where there is one.

    Raises:
        MissingSecretError: The address is set nowhere.
        ConfigError: It cannot be used, or something is not installed.
    """
    from recon.sources.payments.sql.database import Reached
    from recon.sources.payments.sql.opened import database_of

    section = settings.values.sql
    variable = section.url_variable
    url = None
    if may_write:
        try:
            url = settings.secret(section.write_url_variable, purpose="writing")
            variable = section.write_url_variable
        except MissingSecretError:
            url = None
    secret = url or settings.secret(variable, purpose="the database")
    reached = Reached(secret.get_secret_value(), variable, settings.home, may_write=may_write)
    return database_of(reached, section)
