"""Reading only what can have changed since an earlier snapshot, so that a daily run costs what the day costs."""

from recon.snapshots.since.base import Base, SinceError
from recon.snapshots.since.tables import KEPT

__all__ = ["KEPT", "Base", "SinceError"]
