"""Request Network as the rest of recon knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.sources.providers.provider import Flags, Headers, OpeningTerms, Payload, Provider, RailProbe, Webhooks
from recon.sources.providers.request_network.words import STATE_WORDS
from recon.sources.providers.signatures import is_signed

if TYPE_CHECKING:
    from recon.sources.interface import ClaimSource
    from recon.sources.providers.sections import ProviderSection

NAME: Final = "request_network"


def _section() -> type[ProviderSection]:
    from recon.sources.providers.request_network.settings import RequestNetworkSection

    return RequestNetworkSection


def _open(terms: OpeningTerms) -> ClaimSource:
    from recon.sources.providers.request_network.api import RequestNetwork, RequestNetworkSettings

    given = terms.section
    return RequestNetwork(
        RequestNetworkSettings(
            api_key=terms.secret(given.api_key_variable),
            base_url=given.base_url,
            rate_per_s=terms.calls_per_s,
            timeout_s=given.timeout_s,
            retries_max=given.retries_max,
        ),
        registry=terms.registry,
        transport=terms.transport,
        clock=terms.clock,
    )


def _verify(headers: Headers, body: bytes, key: bytes, now: datetime) -> bool:
    """It signs the raw body and no time, so a replay verifies too: dedupe deliveries."""
    return is_signed(headers.get("x-request-network-signature"), key=key, message=body)


def _sent(headers: Headers, payload: Payload) -> bool:
    return any(name.startswith("x-request-network-") for name in headers) or "requestId" in payload


def _read(headers: Headers, payload: Payload, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    is_test = headers.get("x-request-network-test", "").lower() == "true"
    return {
        "delivery_id": headers.get("x-request-network-delivery"),
        "attempt": headers.get("x-request-network-retry-count"),
        "is_test": is_test or str(fields["request_id"] or "").startswith("req_test"),
    }


def _probe(section: Any, key: str | None) -> RailProbe:
    """A currency look-up, which wants the account's key."""
    url = f"{section.base_url.rstrip('/')}/v2/currencies?network=bsc"
    return RailProbe(url, headers={"x-api-key": key} if key else {})


def _recorded(world: Any) -> Any:
    from recon.sources.providers.request_network.recorded import request_network_handler

    return request_network_handler(world)


_EXAMPLE: Final = """\
enabled = true
base_url = "https://api.request.network"
calls_per_s = 5                          # your plan's limit; 5 is the usual one
# retries_max = 4                        # how often a call that failed is tried again; of the gateway too
# api_key_variable = "RECON_REQUEST_NETWORK_API_KEY"
# account = "shop-1"                     # a name for the account, part of a plan's identity
"""
"""Its section of the configuration that ``recon init`` writes."""

PROVIDER: Final = Provider(
    name=NAME,
    title="Request Network",
    aliases=("request.network", "request-network", "requestnetwork", "request network", "rn"),
    section=_section,
    open=_open,
    key="request_id",
    asked_by=frozenset({"request_id", "reference"}),
    state_words=STATE_WORDS,
    fields={
        "reference": ("providerReference", "metadata.providerReference"),
        "request_id": ("providerPaymentId?", "metadata.providerPaymentId?"),
    },
    webhooks=Webhooks(
        routes=("/api/payment/request-network/webhook",),
        secret_setting="webhook_secret_variable",  # noqa: S106 - a setting's name
        verify=_verify,
        sent=_sent,
        read=_read,
        signature_header="x-request-network-signature",
        gives_up_after=3,
    ),
    flags=Flags(
        switch="REQUEST_NETWORK_ENABLED",
        secrets=("REQUEST_NETWORK_API_KEY", "REQUEST_NETWORK_WEBHOOK_SECRET"),
    ),
    probe=_probe,
    recorded=_recorded,
    secrets={"RECON_REQUEST_NETWORK_API_KEY": "the key of your account"},
    example=_EXAMPLE,
)
"""Request Network: payments carry a payment reference and are known by their request."""
