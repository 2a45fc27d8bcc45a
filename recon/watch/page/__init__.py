"""The page that the watch serves: what is open, the history with its pictures, the newest report, measures, health."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.watch.page.serving import Served, serve

__all__ = ["Served", "serve"]

__getattr__ = names_from(dict.fromkeys(__all__, "recon.watch.page.serving"))
