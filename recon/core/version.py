"""The version of the tool, as plans, snapshots and reports carry it."""

__version__ = "0.2.0"
