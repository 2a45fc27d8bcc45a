"""Exported files, CSV or Parquet, as sources: payments, what providers say, transfers, and what they do not cover."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.exports.claims import ExportedClaims
    from recon.sources.exports.mapping import FileMapping, load_mapping
    from recon.sources.exports.payments import ExportedPayments
    from recon.sources.exports.transfers import ExportedChain

__all__ = ["ExportedChain", "ExportedClaims", "ExportedPayments", "FileMapping", "load_mapping"]

__getattr__ = names_from(
    {
        "ExportedChain": "recon.sources.exports.transfers",
        "ExportedClaims": "recon.sources.exports.claims",
        "ExportedPayments": "recon.sources.exports.payments",
        "FileMapping": "recon.sources.exports.mapping",
        "load_mapping": "recon.sources.exports.mapping",
    }
)
