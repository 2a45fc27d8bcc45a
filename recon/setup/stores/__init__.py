"""Where payment documents are kept, one folder for each kind of store."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.setup.stores.store import Ledger, Store, StoreTerms

__all__ = [
    "Ledger",
    "Store",
    "StoreTerms",
]

__getattr__ = names_from(
    {
        "Ledger": "recon.setup.stores.store",
        "Store": "recon.setup.stores.store",
        "StoreTerms": "recon.setup.stores.store",
    }
)
