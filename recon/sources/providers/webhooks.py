"""Whether a webhook delivery really comes from its provider. Pure but for the clock when no time is given.

Signatures are over the *raw* bytes: a body that was parsed and written again has other number or escape formats.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from recon.core.errors import UsageError
from recon.core.registry import load_registry
from recon.core.text import clean_text
from recon.sources.http import Secret

SHKEEPER_WINDOW_S: Final = 300


class UnknownWebhookProviderError(UsageError):
    """Nobody knows how this provider signs."""

    def __init__(self, *, provider: str) -> None:
        super().__init__(
            f"Webhooks of {clean_text(provider, limit=60)!r} cannot be verified: the signature is known for "
            "request_network and shkeeper only."
        )


def verify_webhook(
    provider: str, headers: Mapping[str, str], body: bytes, secret: str | bytes | Secret, *, now: datetime | None = None
) -> bool:
    """Say whether a delivery carries its provider's signature, compared in constant time.

    Request Network signs the raw body and no time, so a replay verifies too: dedupe deliveries. SHKeeper signs
    timestamp, a dot and the raw body with the API key; the timestamp must be within 300 s of ``now``. A SHKeeper from
    before May 2026 signs nothing, and then nothing is verified.

    Args:
        provider: Any spelling that the registry knows.
        headers: Header names in any case.
        body: The bytes as received.
        secret: Webhook secret (Request Network) or API key (SHKeeper); an empty one verifies nothing.
        now: Aware UTC time; the present when not given. Only SHKeeper needs it.

    Raises:
        UnknownWebhookProviderError: The provider is neither of the two.
    """
    name = load_registry().provider(provider)
    lower = {key.lower(): value.strip() for key, value in headers.items()}
    key = secret.reveal() if isinstance(secret, Secret) else secret
    key = key.encode() if isinstance(key, str) else key
    if name == "request_network":
        return _is_signed(lower.get("x-request-network-signature"), key, body)
    if name == "shkeeper":
        stamp = lower.get("x-shkeeper-timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
            return False
        at_s = (now or datetime.now(UTC)).timestamp()
        if abs(at_s - int(stamp)) > SHKEEPER_WINDOW_S:
            return False
        return _is_signed(lower.get("x-shkeeper-signature"), key, stamp.encode() + b"." + body)
    raise UnknownWebhookProviderError(provider=provider)


def _is_signed(signature: str | None, key: bytes, message: bytes) -> bool:
    if not key or not signature:
        return False
    expected = hmac.new(key, message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace"))
