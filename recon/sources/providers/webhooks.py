"""Whether a webhook delivery really comes from its provider. Pure but for the clock when no time is given.

Signatures are over the *raw* bytes: a body that was parsed and written again has other number or escape formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from recon.core.errors import UsageError
from recon.core.registry import load_registry
from recon.core.text import clean_text
from recon.sources.http import Secret
from recon.sources.providers.installed import provider_names, providers

HeaderSource = Mapping[Any, Any] | Iterable[Any] | None
"""Headers as frameworks hand them over: a mapping or pairs, text or bytes, variables of WSGI, a scope of ASGI."""

HEADERS_MAX = 1_000
"""Most headers that are looked at."""


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
        headers: Header names in any case, as a mapping or as pairs, in text or bytes, with values alone or in lists; a
            WSGI environment; an ASGI scope. A header that stands there twice with different values counts as missing.
            What is none of these has no headers, and so verifies nothing.
        body: The bytes as received; text is taken as its UTF-8. Anything else, such as a parsed body, verifies nothing.
        secret: Webhook secret (Request Network) or API key (SHKeeper); an empty one verifies nothing.
        now: Aware UTC time; the present when not given. Only SHKeeper needs it.

    Raises:
        UnknownWebhookProviderError: The provider is not installed, or signs nothing.
    """
    found = providers().get(load_registry().provider(provider)) if isinstance(provider, str) else None
    if found is None or found.webhooks.verify is None:
        raise UnknownWebhookProviderError(provider=str(provider))
    raw, key = _bytes(body), _bytes(secret.reveal() if isinstance(secret, Secret) else secret)
    if raw is None or not key:
        return False
    return found.webhooks.verify(_headers_of(headers), raw, key, now or datetime.now(UTC))


def _bytes(value: object) -> bytes | None:
    """Bytes, or text as its UTF-8; None for everything else: a number would become that many zeros."""
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None


def _headers_of(headers: HeaderSource) -> dict[str, str]:
    """Lower-case names and plain values; what is no text is left out, and so is what stands there twice otherwise."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for pair in islice(_pairs(headers), HEADERS_MAX):
        name, values = _text(pair[0]), pair[1] if isinstance(pair[1], list | tuple) else (pair[1],)
        for text in map(_text, values[:HEADERS_MAX]):
            if name is None or text is None:
                continue
            plain = _header_name(name)
            if found.setdefault(plain, text.strip()) != text.strip():
                twice.add(plain)
    return {name: value for name, value in found.items() if name not in twice}


def _pairs(headers: object) -> Iterator[tuple[Any, Any]]:
    """The pairs of a mapping, of an ASGI scope, of an object with items, or of a list."""
    if isinstance(headers, Mapping) and isinstance(headers.get("headers"), list | tuple):
        headers = headers["headers"]
    items = getattr(headers, "items", None)
    try:
        for each in items() if callable(items) else iter(headers):  # type: ignore[call-overload]
            if isinstance(each, list | tuple) and len(each) == 2:
                yield each[0], each[1]
    except TypeError:
        return


def _header_name(name: str) -> str:
    """The name on the wire: WSGI and CGI write ``HTTP_X_SIGNATURE`` for ``X-Signature``."""
    return (name[5:].replace("_", "-") if name.startswith("HTTP_") else name).strip().lower()


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else None
