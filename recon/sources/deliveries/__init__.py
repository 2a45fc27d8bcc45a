"""Records of webhook deliveries, read from the files and collections that keep them."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.deliveries.kept import KeptDeliveries
    from recon.sources.deliveries.records import load_deliveries

__all__ = [
    "KeptDeliveries",
    "load_deliveries",
]

__getattr__ = names_from(
    {
        "KeptDeliveries": "recon.sources.deliveries.kept",
        "load_deliveries": "recon.sources.deliveries.records",
    }
)
