"""What every provider and every store promises, as checks that a plug-in's own tests can run."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.testing.contract import ContractError, UnheldDocumentError
    from recon.testing.providers import check_provider
    from recon.testing.shelves import check_decisions
    from recon.testing.writers import check_store

__all__ = [
    "ContractError",
    "UnheldDocumentError",
    "check_decisions",
    "check_provider",
    "check_store",
]

__getattr__ = names_from(
    {
        "ContractError": "recon.testing.contract",
        "UnheldDocumentError": "recon.testing.contract",
        "check_decisions": "recon.testing.shelves",
        "check_provider": "recon.testing.providers",
        "check_store": "recon.testing.writers",
    }
)
