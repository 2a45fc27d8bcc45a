"""Everything that was read for one run, sealed under one digest."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.snapshots.address import opened
    from recon.snapshots.sealed import Snapshot
    from recon.snapshots.take import SourceSet, take_snapshot

__all__ = [
    "Snapshot",
    "SourceSet",
    "opened",
    "take_snapshot",
]

__getattr__ = names_from(
    {
        "Snapshot": "recon.snapshots.sealed",
        "SourceSet": "recon.snapshots.take",
        "opened": "recon.snapshots.address",
        "take_snapshot": "recon.snapshots.take",
    }
)
