"""Payment reconciliation and rollback: which payments are truly paid, repaired exactly, and taken back if wrong."""

from recon.api import (
    apply,
    decode_transfer,
    inspect,
    load,
    plan,
    plot,
    snapshot,
    undo,
    verify_webhook,
)
from recon.core.ids import payment_reference, reference_topic
from recon.core.version import __version__

__all__ = [
    "__version__",
    "apply",
    "decode_transfer",
    "inspect",
    "load",
    "payment_reference",
    "plan",
    "plot",
    "reference_topic",
    "snapshot",
    "undo",
    "verify_webhook",
]
