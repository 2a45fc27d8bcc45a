"""Payment reconciliation and rollback: which payments are truly paid, repaired exactly, and taken back if wrong."""

__version__ = "0.1.0"
