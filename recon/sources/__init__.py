"""The world as tables, read only, each with an account of what was missed."""

from recon.sources.interface import (
    ChainSource,
    ClaimSource,
    Coverage,
    DeliverySource,
    DocumentStore,
    Gap,
    Progress,
    Reading,
    Selection,
    StoreIdentity,
)

__all__ = [
    "ChainSource",
    "ClaimSource",
    "Coverage",
    "DeliverySource",
    "DocumentStore",
    "Gap",
    "Progress",
    "Reading",
    "Selection",
    "StoreIdentity",
]
