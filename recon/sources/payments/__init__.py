"""Payment documents, read from MongoDB into rows of the payments table."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.payments.fields import FieldPaths
    from recon.sources.payments.mongo import MongoStore
    from recon.sources.payments.read import ListStore

__all__ = [
    "FieldPaths",
    "ListStore",
    "MongoStore",
]

__getattr__ = names_from(
    {
        "FieldPaths": "recon.sources.payments.fields",
        "ListStore": "recon.sources.payments.read",
        "MongoStore": "recon.sources.payments.mongo",
    }
)
