"""A signed statement as a file: a DSSE envelope around an in-toto statement, signed with an SSH key.

What is signed is the envelope's pre-authentication text, so that neither the statement nor its type can be exchanged.
The signature is that of ``ssh-keygen -Y sign``, without its armour. The file has one spelling: a changed byte anywhere
is found, in what is signed by the signature, elsewhere because the spelling is another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.canonical import canonical_json
from recon.core.errors import RefusedError, UsageError
from recon.core.people import Signer
from recon.core.times import parse_iso
from recon.files import save_new
from recon.plans.ssh_keys import ATTESTS, Signers, SigningKey, WorthlessSignatureError

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:recon:reconciliation:v1"
STATEMENT_MAX_BYTES: Final = 8_000_000

_MAGIC: Final = b"SSHSIG"
_ARMOUR: Final = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
_LINE: Final = 70
_PUBLIC: Final = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]{3,60}) ([A-Za-z0-9+/]{20,8000}={0,2})( .*)?\Z")


class AttestationError(RefusedError):
    """A file is no statement that can be believed; ``why`` says what is wrong with it."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}, so it proves nothing. Ask for the file again from where it was made.")


class PublicKeyError(UsageError):
    """A file to check a statement with holds no public key."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path}: it is no public SSH key (one line: type, key, comment), so nothing was checked. Name the file "
            "that ends in .pub."
        )


def pre_authentication_text(payload: str) -> str:
    """What is signed of a payload: its type and itself, each with its length in bytes."""
    size = len(payload.encode())
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {size} {payload}"


def seal_attestation(statement: Mapping[str, Any], *, key: SigningKey) -> bytes:
    """Sign a statement; gives the file.

    Raises:
        NotSignedError: There is no such key, or its holder did not agree.
        NoSshKeygenError: OpenSSH is not there.
    """
    payload = canonical_json(statement)
    armoured = key.sign(pre_authentication_text(payload), namespace=ATTESTS)
    blob = base64.b64decode("".join(armoured.splitlines()[1:-1]))
    signature = {"keyid": _fingerprint(_fields(blob)[0]), "sig": base64.b64encode(blob).decode()}
    return _spelled({"payload": _base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


def open_attestation(data: bytes, *, name: str, signers: Signers, now: datetime) -> tuple[dict[str, Any], Signer]:
    """The statement in a file, and who signed it.

    Args:
        name: Of the file, for messages.
        signers: Whose keys count, at the time that the statement names and now.

    Raises:
        AttestationError: It is none, was changed, or nobody who counts signed it.
        SignersFileError, NoSshKeygenError: Nobody can tell.
    """
    payload, signature = _opened(data, name)
    statement = _statement(payload, name)
    made = parse_iso(str(statement["predicate"].get("made_at")), zone=None)
    if made is None:
        raise AttestationError(path=name, why="its statement does not say when it was made")
    blob = _decoded(signature["sig"], what="signature", name=name)
    key, reserved = _fields_of(blob, name)
    if reserved or signature["keyid"] != _fingerprint(key):
        raise AttestationError(path=name, why="its signature is of another key than it names")
    try:
        signer = signers.check(
            pre_authentication_text(payload), signature=_armoured(blob), namespace=ATTESTS, times=(made, now)
        )
    except WorthlessSignatureError as error:
        raise AttestationError(path=name, why=f"its signature does not hold: the statement {error.why}") from error
    if signer.key != signature["keyid"]:
        raise AttestationError(path=name, why="its signature is of another key than it names")
    return statement, signer


@contextmanager
def one_key(path: Path) -> Iterator[Signers]:
    """The holder of one public key, as those whose signature counts.

    Raises:
        PublicKeyError: The file holds none.
    """
    try:
        found = _PUBLIC.match(path.read_bytes()[:20_000].decode("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise PublicKeyError(path=str(path)) from error
    if found is None:
        raise PublicKeyError(path=str(path))
    with tempfile.TemporaryDirectory(prefix="recon-key-") as folder:
        allowed = Path(folder) / path.name
        save_new(allowed, f'{path.stem} namespaces="{ATTESTS}" {found[1]} {found[2]}\n'.encode())
        yield Signers(allowed)


# The one spelling


def _spelled(envelope: Mapping[str, Any]) -> bytes:
    return f"{canonical_json(envelope)}\n".encode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _opened(data: bytes, name: str) -> tuple[str, Mapping[str, str]]:
    """The payload and the signature of an envelope in its one spelling."""
    if len(data) > STATEMENT_MAX_BYTES:
        raise AttestationError(path=name, why="it is larger than any statement")
    try:
        envelope = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AttestationError(path=name, why="it is no envelope of a statement") from error
    if not isinstance(envelope, dict) or envelope.keys() != {"payload", "payloadType", "signatures"}:
        raise AttestationError(path=name, why="it is no envelope of a statement")
    if _spelled(envelope) != data:
        raise AttestationError(path=name, why="its envelope is not spelled as it was written")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise AttestationError(path=name, why=f"its payload is called {str(envelope['payloadType'])[:60]!r}")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1 or not _is_signature(signatures[0]):
        raise AttestationError(path=name, why="it has not exactly one signature")
    try:
        return _decoded(envelope["payload"], what="payload", name=name).decode(), signatures[0]
    except UnicodeDecodeError as error:
        raise AttestationError(path=name, why="its payload is no text") from error


def _is_signature(value: Any) -> bool:
    is_one = isinstance(value, dict) and value.keys() == {"keyid", "sig"}
    return is_one and all(isinstance(each, str) for each in value.values())


def _decoded(text: Any, *, what: str, name: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise AttestationError(path=name, why=f"its {what} is no base64") from error
    if base64.b64encode(data).decode() != text:
        raise AttestationError(path=name, why=f"its {what} is not spelled as it was written")
    return data


def _statement(payload: str, name: str) -> dict[str, Any]:
    try:
        statement = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise AttestationError(path=name, why="its payload is no statement") from error
    if not isinstance(statement, dict) or canonical_json(statement) != payload:
        raise AttestationError(path=name, why="its payload is not spelled as it was written")
    if (statement.get("_type"), statement.get("predicateType")) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise AttestationError(path=name, why="it states something else than a reconciliation")
    if not isinstance(statement.get("predicate"), dict) or not isinstance(statement.get("subject"), list):
        raise AttestationError(path=name, why="its statement lacks what it is about")
    return statement


# The signature of OpenSSH


def _armoured(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((_ARMOUR[0], *lines, _ARMOUR[1]))


def _fields_of(blob: bytes, name: str) -> tuple[bytes, bytes]:
    try:
        return _fields(blob)
    except ValueError as error:
        raise AttestationError(path=name, why="its signature is none of OpenSSH") from error


def _fields(blob: bytes) -> tuple[bytes, bytes]:
    """The public key of a signature, and its field for later use, which is empty. ValueError where it is none."""
    if blob[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no signature")
    at, parts = len(_MAGIC) + 4, []
    for _ in range(5):
        size = int.from_bytes(blob[at : at + 4], "big")
        parts.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(blob):
        raise ValueError("bytes are missing or left over")
    return parts[0], parts[2]


def _fingerprint(key: bytes) -> str:
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def subject_digest(statement: Mapping[str, Any], name: str) -> str | None:
    """The sha256 of one thing that a statement is about, by its name; None where it is about no such thing."""
    subjects: Sequence[Any] = statement["subject"]
    for each in subjects:
        if isinstance(each, dict) and each.get("name") == name and isinstance(each.get("digest"), dict):
            return str(each["digest"].get("sha256"))
    return None
