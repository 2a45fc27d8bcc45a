"""Where runs write: payments under guards, the journal, and the lease."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.runs.stores.journal import Journal
    from recon.runs.stores.lease import Lease
    from recon.runs.stores.payments import PaymentWriter

__all__ = [
    "Journal",
    "Lease",
    "PaymentWriter",
]

__getattr__ = names_from(
    {
        "Journal": "recon.runs.stores.journal",
        "Lease": "recon.runs.stores.lease",
        "PaymentWriter": "recon.runs.stores.payments",
    }
)
