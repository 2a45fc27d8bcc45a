"""Telling people: one message for each situation to each channel that is to hear of it, kept until it has arrived."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.watch.telling.courier import Courier
    from recon.watch.telling.open_telling import open_courier, try_channels

__all__ = ["Courier", "open_courier", "try_channels"]

__getattr__ = names_from(
    {
        "Courier": "recon.watch.telling.courier",
        "open_courier": "recon.watch.telling.open_telling",
        "try_channels": "recon.watch.telling.open_telling",
    }
)
