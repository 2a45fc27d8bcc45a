"""What a configuration says, opened as live objects."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.setup.open_runs import open_ledger
    from recon.setup.open_sources import open_sources
    from recon.setup.settings import Settings, load_settings

__all__ = [
    "Settings",
    "load_settings",
    "open_ledger",
    "open_sources",
]

__getattr__ = names_from(
    {
        "Settings": "recon.setup.settings",
        "load_settings": "recon.setup.settings",
        "open_ledger": "recon.setup.open_runs",
        "open_sources": "recon.setup.open_sources",
    }
)
