"""Which verdict may set what, from which status and escrow state: the whole table, as data.

A cell that is not in ``transitions.json`` writes nothing. The words on the right of ``sets`` are symbols: ``proof`` and
``refund`` are transaction hashes from the evidence, ``threshold`` is the backend's own confirmation threshold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

PATHS: Final[Mapping[str, str]] = {
    "status": "status",
    "escrow": "escrowState",
    "tx_hash": "blockchain.transactionHash",
    "confirmations": "blockchain.confirmations",
    "disputed": "disputed",
}
"""Where each symbol of the table is stored in a document."""


@cache
def _cells() -> dict[tuple[str, str, str, str | None], Mapping[str, Any]]:
    text = resources.files("recon.core.registry").joinpath("transitions.json").read_text(encoding="utf-8")
    return {
        (row["verdict"], direction, status, escrow): row["sets"]
        for row in json.loads(text)
        for direction in row["directions"]
        for status in row["status"]
        for escrow in row["escrow"]
    }


def allowed_sets(*, verdict: str, direction: str, status: str | None, escrow: str | None) -> Mapping[str, Any]:
    """What a verdict may set on a row in this state, by symbol; empty when the table has no such cell."""
    if status is None:
        return {}
    return _cells().get((verdict, direction, status, escrow), {})
