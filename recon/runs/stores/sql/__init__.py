"""Where runs write in a SQL database: rows under guards, the journal, and the lease."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.runs.stores.sql.journal import SqlJournal
    from recon.runs.stores.sql.payments import SqlWriter

__all__ = [
    "SqlJournal",
    "SqlWriter",
]

__getattr__ = names_from(
    {
        "SqlJournal": "recon.runs.stores.sql.journal",
        "SqlWriter": "recon.runs.stores.sql.payments",
    }
)
