"""Which provider takes new payments, and whether it may be switched."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.rails.drain import watch_drain

__all__ = [
    "watch_drain",
]

__getattr__ = names_from(
    {
        "watch_drain": "recon.rails.drain",
    }
)
