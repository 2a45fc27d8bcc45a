"""Payments that stand in the rows of a SQL database, read only."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.payments.sql.section import SqlSection
    from recon.sources.payments.sql.store import SqlStore

__all__ = [
    "SqlSection",
    "SqlStore",
]

__getattr__ = names_from(
    {
        "SqlSection": "recon.sources.payments.sql.section",
        "SqlStore": "recon.sources.payments.sql.store",
    }
)
