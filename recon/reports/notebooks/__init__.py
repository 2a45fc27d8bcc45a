"""Any artefact as exact pandas frames and pictures for a notebook."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.reports.notebooks.load import Loaded, load
    from recon.reports.notebooks.place import find_artefacts
    from recon.reports.notebooks.plot import plot

__all__ = [
    "Loaded",
    "find_artefacts",
    "load",
    "plot",
]

__getattr__ = names_from(
    {
        "Loaded": "recon.reports.notebooks.load",
        "find_artefacts": "recon.reports.notebooks.place",
        "load": "recon.reports.notebooks.load",
        "plot": "recon.reports.notebooks.plot",
    }
)
