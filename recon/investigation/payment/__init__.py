"""One payment from every side: what each source says, a timeline, ranked causes and a case file."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.investigation.payment.inspect import Inspection, inspect_dossier, inspect_payment

__all__ = [
    "Inspection",
    "inspect_dossier",
    "inspect_payment",
]

__getattr__ = names_from(
    {
        "Inspection": "recon.investigation.payment.inspect",
        "inspect_dossier": "recon.investigation.payment.inspect",
        "inspect_payment": "recon.investigation.payment.inspect",
    }
)
