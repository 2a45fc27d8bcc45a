"""Comparing signatures in constant time."""

from __future__ import annotations

import hashlib
import hmac


def is_signed(signature: str | None, *, key: bytes, message: bytes) -> bool:
    """Whether a hex signature is the HMAC-SHA256 of the message; an empty key or signature verifies nothing."""
    if not key or not signature:
        return False
    expected = hmac.new(key, message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace"))
