"""The small marketplace of the documentation: one payment for each verdict, and what an operator has beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from recon.core.model import Plan, Verdict
from recon.simulation import write_world
from recon.simulation.world import plant_world

EXAMPLES: Final[Mapping[Verdict, str]] = {
    Verdict.TEST_PAYMENT: "test_provider",
    Verdict.MALFORMED_RECORD: "malformed_currency",
    Verdict.OUT_OF_SCOPE: "other_provider",
    Verdict.DISPUTE_HOLD: "disputed_and_behind",
    Verdict.SIMULATED_HASH: "simulated",
    Verdict.COMPETING_PAYMENT: "two_rails_paid",
    Verdict.DUPLICATE_PROVIDER_KEY: "one_request_two_rows",
    Verdict.DUPLICATE_TX_HASH: "one_transfer_two_rows",
    Verdict.AMBIGUOUS: "two_invoices_one_address",
    Verdict.LOCAL_BEHIND: "webhook_lost",
    Verdict.LATE_PAYMENT: "late",
    Verdict.COORDINATOR_BLOCKED: "failed_though_paid_in_time",
    Verdict.REFUND_DRIFT: "refund_on_chain",
    Verdict.TX_HASH_MISMATCH: "hash_of_another",
    Verdict.MISSING_TX_HASH: "hash_missing",
    Verdict.ESCROW_DRIFT: "escrow_unset",
    Verdict.STATUS_DRIFT: "confirmed",
    Verdict.CONFIRMATIONS_STALE: "few_confirmations",
    Verdict.MULTIPLE_TRANSFERS: "paid_twice",
    Verdict.OVERPAID: "overpaid",
    Verdict.FEE_MISMATCH: "fee_to_a_stranger",
    Verdict.PROVIDER_BEHIND: "gateway_lost_the_credit",
    Verdict.PARTLY_REFUNDED: "refunded_in_part",
    Verdict.IN_SYNC: "completed",
    Verdict.STUCK_PENDING: "screened_long_ago",
    Verdict.INSUFFICIENT_CONFIRMATIONS: "not_final_yet",
    Verdict.AML_BLOCKED: "screened_just_now",
    Verdict.SAFETY_PENDING: "safety_just_now",
    Verdict.UNDERPAID: "underpaid_expired",
    Verdict.NETWORK_MISMATCH: "wrong_network",
    Verdict.TOKEN_MISMATCH: "wrong_token",
    Verdict.RECIPIENT_MISMATCH: "wrong_recipient",
    Verdict.REFERENCE_MISMATCH: "wrong_reference",
    Verdict.REORGED: "reorganised_away",
    Verdict.TX_REVERTED: "reverted",
    Verdict.TX_NOT_FOUND: "hash_nowhere",
    Verdict.LOOKUP_FAILED: "provider_unreadable",
    Verdict.UNPROVEN: "only_in_escrow",
    Verdict.MISSING_REFERENCE: "nothing_to_look_up_by",
    Verdict.PROVIDER_AHEAD: "settled_by_bridge",
    Verdict.LOCAL_AHEAD: "only_the_row_says_so",
    Verdict.STUCK_RELEASE: "release_stuck",
    Verdict.IN_TRANSIT: "in_transit",
    Verdict.ABANDONED: "abandoned",
    Verdict.MISSING_LOCAL: "orphan_transfer",
    Verdict.UNEXPLAINED_OUTFLOW: "payout_sent_twice",
}
"""The row of the simulator's catalogue that shows a verdict."""

SEED: Final = 18
NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOOK: Final = "/api/payment/request-network/webhook"
_CONFIG: Final = """\
[target]
name = "demo"

[recorded]
path = "world"

[output]
dir = "recon-out"

[health]
unproven_share_max_percent = 20

[flags]
file = "backend.env"
restart = ["true"]
health.shkeeper = {{ url = "{health}", wants_json = false }}
health.request_network = {{ url = "{health}", wants_json = false }}
checkout.request_network = {{ url = "{backend}/checkout" }}
checkout.shkeeper = {{ url = "{backend}/checkout" }}
readback = [{{ url = "{backend}", values = {{ {read} }} }}]

[gates]
webhook_burst_failures_max = 20
chain_mismatch_percent_max = "1"
"""
_BACKEND: Final = """\
# the backend's own settings
REQUEST_NETWORK_ENABLED=true
PAYMENT_ENABLED_PROVIDERS=request.network,shkeeper
PAYMENT_DEFAULT_PROVIDER=request.network
PAYMENT_ROLLBACK_PROVIDER=shkeeper
PAYMENT_PROVIDER_MODE=live
PAYMENT_RECONCILIATION_ENABLED=false
REQUEST_NETWORK_API_KEY=example
REQUEST_NETWORK_WEBHOOK_SECRET=example
SHKEEPER_API_URL=https://shkeeper.example
SHKEEPER_API_KEY=example
SHKEEPER_WEBHOOK_SECRET=example
"""


def make_desk(folder: Path, *, server: str = "http://127.0.0.1:9") -> Plan:
    """Write the marketplace with its configuration, flags, access log and deliveries, and plan once.

    Args:
        folder: Empty.
        server: Where rails (``/health``) and the running backend (``/backend``) are asked.
    """
    from recon.api.reconcile import plan_and_save

    write_world(plant_world(*EXAMPLES.values(), seed=SEED), folder / "world")
    config = folder / "recon.toml"
    config.write_text(
        _CONFIG.format(health=f"{server}/health", backend=f"{server}/backend", read=_read_back()), encoding="utf-8"
    )
    (folder / "backend.env").write_text(_BACKEND, encoding="utf-8")
    (folder / "access.log").write_text("".join(_log()), encoding="utf-8")
    (folder / "deliveries.ndjson").write_text("".join(_deliveries()), encoding="utf-8")
    return plan_and_save(config=config, say=lambda said: None).plan


def flags_of(folder: Path) -> dict[str, str]:
    """What the backend's flag file says, as a backend that reads it on every request."""
    lines = (folder / "backend.env").read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines if line[:1].isalpha())}


def _read_back() -> str:
    names = [line.partition("=")[0] for line in _BACKEND.splitlines() if "KEY" not in line and "SHKEEPER_" not in line]
    return ", ".join(f'{name} = "{name}"' for name in names if name[:1].isalpha() and "SECRET" not in name)


def _log() -> list[str]:
    """Webhooks that were refused for a quarter of an hour, among good ones."""
    lines = []
    for minute in range(60):
        at = NOW - timedelta(minutes=60 - minute)
        status = 404 if 20 <= minute < 36 else 200
        lines.append(
            f'203.0.113.9 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "POST {HOOK} HTTP/1.1" {status} 17 "-" "hook/1.0"\n'
        )
    return lines


def _deliveries() -> list[str]:
    """One delivery every ten minutes; those of the bad quarter of an hour failed, one is a dead letter."""
    lines = []
    for number in range(6):
        at = NOW - timedelta(minutes=60 - 10 * number)
        failed = number in (2, 3)
        lines.append(
            json.dumps({
                "provider": "request_network", "delivery_id": f"01KD37C99611D775B7C69DD6{number:02d}",
                "received_at": int(at.timestamp() * 1000), "http_status": 404 if failed else 200,
                "signature_valid": True, "dead_letter": number == 3, "request_id": f"01request{number}",
                "event": "payment.confirmed",
            }) + "\n"
        )  # fmt: skip
    return lines
