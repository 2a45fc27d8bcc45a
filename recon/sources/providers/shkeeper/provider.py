"""SHKeeper as the rest of recon knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import Flags, Headers, OpeningTerms, Payload, Provider, RailProbe, Webhooks
from recon.sources.providers.shkeeper.words import INVOICE_WORDS, PAYOUT_WORDS
from recon.sources.providers.signatures import is_signed

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "shkeeper"
SIGNATURE_AGE_MAX_S: Final = 300
_CRYPTO_PATH: Final = "/api/v1/crypto"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.shkeeper.settings import ShkeeperSection

    return ShkeeperSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.sources.providers.shkeeper.api import Shkeeper, ShkeeperSettings

    given = terms.section
    return Shkeeper(
        ShkeeperSettings(
            base_url=given.base_url,
            api_key=terms.secret(given.api_key_variable),
            health_path=given.health_path,
            coins={name: (coin.chain_id, coin.symbol) for name, coin in given.coins.items()},
            rate_per_s=terms.calls_per_s,
            timeout_s=given.timeout_s,
            retries_max=given.retries_max,
        ),
        registry=terms.registry,
        transport=terms.transport,
        clock=terms.clock,
    )


def _signed_at(headers: Headers) -> int | None:
    stamp = headers.get("x-shkeeper-timestamp", "")
    return int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 else None


def _verify(headers: Headers, body: bytes, key: bytes, now: datetime) -> bool:
    """It signs timestamp, a dot and the raw body with the API key; before May 2026 it signs nothing."""
    at_s = _signed_at(headers)
    if at_s is None or abs(now.timestamp() - at_s) > SIGNATURE_AGE_MAX_S:
        return False
    stamp = headers["x-shkeeper-timestamp"].encode()
    return is_signed(headers.get("x-shkeeper-signature"), key=key, message=stamp + b"." + body)


def _sent(headers: Headers, payload: Payload) -> bool:
    return any(name.startswith("x-shkeeper-") for name in headers) or "balance_crypto" in payload


def _told(payload: Payload) -> Payload:
    """The transaction that a callback is about."""
    listed = payload.get("transactions")
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    return next((row for row in rows if row.get("trigger") is True), payload if "txid" in payload else {})


def _read(headers: Headers, payload: Payload, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"event": "invoice" if payload else None, "tx_hash": _told(payload).get("txid")}


def _probe(section: Any, key: str | None) -> RailProbe:
    """The list of coins, or the health page of a fork; neither needs a key."""
    path = section.health_path
    expect = {"status": "success"} if path in (None, _CRYPTO_PATH) else {}
    return RailProbe(f"{section.base_url.rstrip('/')}{path or _CRYPTO_PATH}", expect=expect)


def _recorded(world: Any) -> Any:
    from recon.sources.providers.shkeeper.recorded import shkeeper_handler

    return shkeeper_handler(world)


_EXAMPLE: Final = """\
enabled = true
base_url = "https://shkeeper.example"
# health_path = "/healthz"               # where a fork says that it is up; otherwise /api/v1/crypto is asked
# coins = { "USDT" = { chain_id = 56, symbol = "USDT" } }     # a coin name of the gateway that is not a usual one
# api_key_variable = "RECON_SHKEEPER_API_KEY"
# account = "gateway-1"
"""
"""Its section of the configuration that ``recon init`` writes."""

PROVIDER: Final = Provider(
    name=NAME,
    title="SHKeeper",
    aliases=("sh-keeper", "shkeeper.io"),
    section=_section,
    open=_open,
    key="external_id",
    asked_by=frozenset({"external_id"}),
    pays_out=True,
    has_one_time_addresses=True,
    has_funds_accounts=True,
    tolerance_ppm=(50_000, 50_000),
    state_words={word.lower(): state for word, state in (*INVOICE_WORDS.items(), *PAYOUT_WORDS.items())},
    fields={
        "recipient": ("metadata.walletAddress", "metadata.shkeeper.walletAddress", "walletAddress"),
        "payout_recipient": ("metadata.walletAddress",),
        "external_id": (
            "metadata.externalId", "metadata.shkeeperExternalId", "metadata.shkeeper.externalId", "externalId",
            "providerPaymentId", "metadata.providerPaymentId", "_id",
        ),
    },
    webhooks=Webhooks(
        routes=("/api/payment/shkeeper/webhook", "/api/payment/shkeeper/callback"),
        accepted=(202,),
        secret_setting="api_key_variable",  # noqa: S106 - a setting's name
        verify=_verify,
        signed_at=_signed_at,
        sent=_sent,
        read=_read,
        told=_told,
        tells_coin=True,
        signature_header="x-shkeeper-signature",
    ),
    flags=Flags(secrets=("SHKEEPER_API_URL", "SHKEEPER_API_KEY", "SHKEEPER_WEBHOOK_SECRET")),
    probe=_probe,
    recorded=_recorded,
    secrets={"RECON_SHKEEPER_API_KEY": "the key of your gateway"},
    example=_EXAMPLE,
)  # fmt: skip
"""SHKeeper: the self-hosted gateway; each invoice has an address of its own."""
