"""How a token of Salesforce is asked for: by the client's own secret, by a signed assertion, or by a refresh token.

What is secret in a form is given apart from the rest, so that it is stripped from every message. A login with the
user's password is not there: Salesforce itself advises against it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from recon.core.errors import ConfigError
from recon.core.extras import check_extra
from recon.sources.http import Secret

Flow = Literal["client_credentials", "jwt", "refresh_token"]
LASTS_S: Final = 180
"""How long an assertion holds: Salesforce takes none that holds for more than a few minutes."""

KEY_BITS_MIN: Final = 2048
_GRANTS: Final[Mapping[Flow, str]] = {
    "client_credentials": "client_credentials",
    "jwt": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "refresh_token": "refresh_token",
}
_REMEDIES: Final[Mapping[Flow, str]] = {
    "client_credentials": "check the client id, its secret and the user it runs as",
    "jwt": "check the client id, the certificate of the app, username, audience, that the user is allowed beforehand, "
    "and this machine's clock",
    "refresh_token": "check the client id and the refresh token, which a rotation makes void",
}


class SigningKeyError(ConfigError):
    """The private key cannot be used."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"salesforce: the private key of the login {why}. Its variable holds the whole PEM text of an RSA key of "
            f"{KEY_BITS_MIN} bits or more without a passphrase; line ends may be written as \\n."
        )


@dataclass(frozen=True, slots=True)
class LoginTerms:
    """What a token is asked for with.

    Args:
        client_secret: Of the client; with a refresh token it may be missing.
        key: With ``jwt``: the private key as PEM.
        username: With ``jwt``: whose rights the token has.
        audience: With ``jwt``: who the assertion is for, the login server of production or of sandboxes.
        refresh: With ``refresh_token``: that token.
    """

    client_id: Secret
    client_secret: Secret | None = None
    flow: Flow = "client_credentials"
    key: Secret | None = None
    username: str = ""
    audience: str = "https://login.salesforce.com"
    refresh: Secret | None = None

    @property
    def grant(self) -> str:
        """What is asked for, in the words of OAuth."""
        return _GRANTS[self.flow]

    @property
    def remedy(self) -> str:
        """What to check where it is refused."""
        return _REMEDIES[self.flow]

    def secrets(self, *, now_ms: int) -> dict[str, str]:
        """The secret fields of the form.

        Raises:
            SigningKeyError: The key cannot be used.
            MissingExtraError: What signs is not installed.
        """
        if self.flow == "jwt":
            return {"assertion": self._assertion(now_ms // 1000)}
        held = {"client_id": self.client_id, "client_secret": self.client_secret, "refresh_token": self.refresh}
        return {name: secret.reveal() for name, secret in held.items() if secret is not None}

    def _assertion(self, now_s: int) -> str:
        claims = {
            "iss": self.client_id.reveal(), "sub": self.username, "aud": self.audience, "exp": now_s + LASTS_S,
        }  # fmt: skip
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        key = "" if self.key is None else self.key.reveal()
        return f"{signed}.{_text(_signature(signed.encode(), key))}"


def _signature(data: bytes, key: str) -> bytes:
    check_extra("A login to Salesforce with a key", package="Crypto", extra="salesforce")
    from Crypto.Hash import SHA256
    from Crypto.PublicKey import RSA
    from Crypto.Signature import pkcs1_15

    try:
        own = RSA.import_key(key.replace("\\n", "\n").strip())
    except (ValueError, IndexError, TypeError):
        # What it says of the key may quote the key.
        raise SigningKeyError(why="cannot be read") from None
    if not own.has_private():
        raise SigningKeyError(why="is a public one")
    if own.size_in_bits() < KEY_BITS_MIN:
        raise SigningKeyError(why=f"has {own.size_in_bits()} bits")
    return pkcs1_15.new(own).sign(SHA256.new(data))


def _part(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
