"""Payment reconciliation and rollback: which payments are truly paid, repaired exactly, and taken back if wrong."""

from recon.api import backfill, flags, gates, journal, report, sample, triage
from recon.api.artefacts import decode_transfer, load, plot, verify_webhook
from recon.api.investigate import case, inspect, outgoing, proof, replay_case
from recon.api.prove import score, simulate
from recon.api.reconcile import history, plan, snapshot
from recon.api.review import ack, approve, select, show
from recon.api.rollout import drain, preflight
from recon.api.runs import apply, undo
from recon.api.start import demo, doctor, init
from recon.core.ids import payment_reference, reference_topic
from recon.core.version import __version__

__all__ = [
    "__version__",
    "ack",
    "apply",
    "approve",
    "backfill",
    "case",
    "decode_transfer",
    "demo",
    "doctor",
    "drain",
    "flags",
    "gates",
    "history",
    "init",
    "inspect",
    "journal",
    "load",
    "outgoing",
    "payment_reference",
    "plan",
    "plot",
    "preflight",
    "proof",
    "reference_topic",
    "replay_case",
    "report",
    "sample",
    "score",
    "select",
    "show",
    "simulate",
    "snapshot",
    "triage",
    "undo",
    "verify_webhook",
]
