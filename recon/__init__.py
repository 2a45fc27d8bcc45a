"""Payment reconciliation and rollback: which payments are truly paid, repaired exactly, and taken back if wrong."""

from typing import TYPE_CHECKING

from recon.core.door import names_from
from recon.core.version import __version__

if TYPE_CHECKING:
    from recon.api import (
        attest,
        backfill,
        decide,
        flags,
        gates,
        hold,
        journal,
        ledger,
        repair,
        report,
        restore,
        sample,
        triage,
    )
    from recon.api.artefacts import columns, decode_transfer, histogram, load, plot, verify_webhook
    from recon.api.audit import audit
    from recon.api.importing import import_files
    from recon.api.investigate import case, inspect, outgoing, proof, replay_case
    from recon.api.prove import score, simulate
    from recon.api.reconcile import history, plan, snapshot
    from recon.api.reverify import reverify
    from recon.api.review import ack, approve, select, show
    from recon.api.rollout import drain, preflight
    from recon.api.runs import apply, undo
    from recon.api.search import search
    from recon.api.start import demo, doctor, init
    from recon.api.what_if import what_if
    from recon.core.ids import payment_reference, reference_topic

__all__ = [
    "__version__",
    "ack",
    "apply",
    "approve",
    "attest",
    "audit",
    "backfill",
    "case",
    "columns",
    "decide",
    "decode_transfer",
    "demo",
    "doctor",
    "drain",
    "flags",
    "gates",
    "histogram",
    "history",
    "hold",
    "import_files",
    "init",
    "inspect",
    "journal",
    "ledger",
    "load",
    "outgoing",
    "payment_reference",
    "plan",
    "plot",
    "preflight",
    "proof",
    "reference_topic",
    "repair",
    "replay_case",
    "report",
    "restore",
    "reverify",
    "sample",
    "score",
    "search",
    "select",
    "show",
    "simulate",
    "snapshot",
    "triage",
    "undo",
    "verify_webhook",
    "what_if",
]

__getattr__ = names_from(
    {
        "ack": "recon.api.review",
        "apply": "recon.api.runs",
        "approve": "recon.api.review",
        "attest": "recon.api",
        "audit": "recon.api.audit",
        "backfill": "recon.api",
        "case": "recon.api.investigate",
        "columns": "recon.api.artefacts",
        "decide": "recon.api",
        "decode_transfer": "recon.api.artefacts",
        "demo": "recon.api.start",
        "doctor": "recon.api.start",
        "drain": "recon.api.rollout",
        "flags": "recon.api",
        "gates": "recon.api",
        "histogram": "recon.api.artefacts",
        "history": "recon.api.reconcile",
        "hold": "recon.api",
        "import_files": "recon.api.importing",
        "init": "recon.api.start",
        "inspect": "recon.api.investigate",
        "journal": "recon.api",
        "ledger": "recon.api",
        "load": "recon.api.artefacts",
        "outgoing": "recon.api.investigate",
        "payment_reference": "recon.core.ids",
        "plan": "recon.api.reconcile",
        "plot": "recon.api.artefacts",
        "preflight": "recon.api.rollout",
        "proof": "recon.api.investigate",
        "reference_topic": "recon.core.ids",
        "repair": "recon.api",
        "replay_case": "recon.api.investigate",
        "report": "recon.api",
        "restore": "recon.api",
        "reverify": "recon.api.reverify",
        "sample": "recon.api",
        "score": "recon.api.prove",
        "search": "recon.api.search",
        "select": "recon.api.review",
        "show": "recon.api.review",
        "simulate": "recon.api.prove",
        "snapshot": "recon.api.reconcile",
        "triage": "recon.api",
        "undo": "recon.api.runs",
        "verify_webhook": "recon.api.artefacts",
        "what_if": "recon.api.what_if",
    }
)


def __dir__() -> list[str]:
    """The public names, whether they have been used yet or not."""
    return __all__
