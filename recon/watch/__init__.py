"""The watch judges payments on a schedule, keeps what it sees as situations, and writes no business record."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.watch.once import acknowledge_situation, watch_on, watch_once, watch_state

__all__ = ["acknowledge_situation", "watch_on", "watch_once", "watch_state"]

__getattr__ = names_from(dict.fromkeys(__all__, "recon.watch.once"))
