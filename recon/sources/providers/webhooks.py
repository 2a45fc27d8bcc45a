"""Whether a webhook delivery really comes from its provider. Pure but for the clock when no time is given.

Signatures are over the *raw* bytes: a body that was parsed and written again has other number or escape formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from recon.core.errors import UsageError
from recon.core.registry import load_registry
from recon.core.text import clean_text
from recon.sources.http import Secret
from recon.sources.providers.installed import provider_names, providers

HeaderSource = Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None
"""Headers as frameworks hand them over: a mapping or pairs, text or bytes, also the variables of WSGI."""


class UnknownWebhookProviderError(UsageError):
    """It is unknown how this provider signs."""

    def __init__(self, *, provider: str) -> None:
        super().__init__(
            f"Webhooks of {clean_text(provider, limit=60)!r} cannot be verified: the signature is known for "
            f"{provider_names()} only."
        )


def verify_webhook(
    provider: str, headers: HeaderSource, body: bytes | bytearray | memoryview | str, secret: str | bytes | Secret,
    *, now: datetime | None = None,
) -> bool:  # fmt: skip
    """Say whether a delivery carries its provider's signature, compared in constant time.

    Request Network signs the raw body and no time, so a replay verifies too: dedupe deliveries. SHKeeper signs
    timestamp, a dot and the raw body with the API key; the timestamp must be within 300 s of ``now``. A SHKeeper from
    before May 2026 signs nothing, and then nothing is verified.

    Args:
        provider: Any spelling that the registry knows.
        headers: Header names in any case, as a mapping or as pairs, in text or bytes, or a WSGI environment; None has
            none. A header that stands there twice with different values counts as missing.
        body: The bytes as received; text is taken as its UTF-8.
        secret: Webhook secret (Request Network) or API key (SHKeeper); an empty one verifies nothing.
        now: Aware UTC time; the present when not given. Only SHKeeper needs it.

    Raises:
        UnknownWebhookProviderError: The provider is not installed, or signs nothing.
    """
    found = providers().get(load_registry().provider(provider))
    if found is None or found.webhooks.verify is None:
        raise UnknownWebhookProviderError(provider=provider)
    key = secret.reveal() if isinstance(secret, Secret) else secret
    key = key.encode() if isinstance(key, str) else key
    raw = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else bytes(body)
    return found.webhooks.verify(_headers_of(headers), raw, key, now or datetime.now(UTC))


def _headers_of(headers: HeaderSource) -> dict[str, str]:
    """Lower-case names and plain values; what is no text is left out, and so is what stands there twice otherwise."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    found: dict[str, str] = {}
    twice: set[str] = set()
    for pair in pairs:
        name, value = _text(pair[0]), _text(pair[1])
        if name is None or value is None:
            continue
        name = _header_name(name)
        if found.setdefault(name, value.strip()) != value.strip():
            twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


def _header_name(name: str) -> str:
    """The name on the wire: WSGI and CGI write ``HTTP_X_SIGNATURE`` for ``X-Signature``."""
    return (name[5:].replace("_", "-") if name.startswith("HTTP_") else name).strip().lower()


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else None
