"""Identifiers: each kind normalised in exactly one place, and the references that Request Network derives.

Hashes and addresses are lower case with ``0x``. A payment id keeps its BSON type, because a collection may hold
an ObjectId and a string of the same 24 digits: an ObjectId is written as its bare hex, a string that could be
taken for one (or for a quoted one) is written in JSON quotes, everything else as canonical Extended JSON.

>>> payment_reference("01" + "ab" * 32, "ea3bc7caf64110ca", "0x627306090abaB3A6e1400e9345bC60c78a8BEf57")
'949784f72de93d81'
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import NewType

from recon.core.errors import IdError
from recon.core.installed import CHAINS, installed

Address = NewType("Address", str)
TxHash = NewType("TxHash", str)
Reference = NewType("Reference", str)
PaymentId = NewType("PaymentId", str)

TRON_CHAINS = frozenset({728126428, 3448148188})
"""Tron and its test chain Nile, whose addresses are the 20 bytes of other chains behind ``41``, written in base58."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TRON = re.compile(r"T[1-9A-HJ-NP-Za-km-z]{33}\Z")
_TRON_HEX = re.compile(r"(?:0x)?41[0-9a-fA-F]{40}\Z")
_HEX = re.compile(r"(?:0x)?([0-9a-f]+)\Z")
_EXPLORER = re.compile(r"https?://[^\s/?#]+/(?:[^\s?#]*/)?tx/(0x[0-9a-f]{64})(?:[/?#]\S*)?\Z")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")
_REQUEST_ID = re.compile(r"01[0-9a-f]{64}\Z")
_JSON_WORDS = ("true", "false", "null")


def normalise_hex(text: str, *, size: int) -> str | None:
    """Give ``0x`` and the lower-case digits of a value of ``size`` bytes, or None when it is not one."""
    found = _HEX.match(text.strip().lower())
    return f"0x{found[1]}" if found and len(found[1]) == 2 * size else None


def normalise_address(text: str) -> Address | None:
    """Lower-case 20-byte address with ``0x``, or None; Tron's own spellings of one are read as well.

    An address of a chain of another kind (``recon.chains``) is what that kind makes of it.

    >>> normalise_address("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")
    '0xa614f803b6fd780986a42c78ec9c7f77e6ded13c'
    """
    value = normalise_account(text) or _of_other_kind(text.strip())
    return Address(value) if value else None


def normalise_account(text: str) -> Address | None:
    """The address of an account on EVM chains and Tron: 20 bytes, lower case with ``0x``, or None for any other."""
    value = normalise_hex(text, size=20) or _tron_hex(text.strip())
    return Address(value) if value else None


def is_address_on(chain_id: int, address: str) -> bool:
    """Whether an address is of the kind that a chain has: what another kind's address holds is never on it.

    >>> is_address_on(56, "0x" + "ab" * 20)
    True
    """
    kinds = (each.thing for each in installed(CHAINS).values())
    kind = next((kind for kind in kinds if chain_id in {chain.chain_id for chain in kind.chains}), None)
    return (normalise_account(address) if kind is None else kind.read_address(address)) is not None


def _of_other_kind(text: str) -> str | None:
    """An address of a chain of another kind than EVM, as its kind writes it."""
    read = (each.thing.read_address(text) for each in installed(CHAINS).values())
    return next((str(address) for address in read if address), None)


def _tron_hex(text: str) -> str | None:
    """The 20 bytes of a Tron address in base58 with its checksum, or in hex with its prefix ``41``."""
    if _TRON_HEX.match(text):
        return f"0x{text[-40:].lower()}"
    if not _TRON.match(text):
        return None
    number = 0
    for sign in text:
        number = number * 58 + _BASE58.index(sign)
    whole = number.to_bytes(25, "big") if number < 1 << 200 else b""
    is_right = whole[:1] == b"\x41" and _checksum(whole[:21]) == whole[21:]
    return f"0x{whole[1:21].hex()}" if is_right else None


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]


def written_address(address: str, *, chain_id: int | None) -> str:
    """An address as people of its chain write it: base58 on Tron, else as it is.

    >>> written_address("0xa614f803b6fd780986a42c78ec9c7f77e6ded13c", chain_id=728126428)
    'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t'
    """
    value = normalise_hex(address, size=20)
    if chain_id not in TRON_CHAINS or value is None:
        return address
    data = b"\x41" + bytes.fromhex(value[2:])
    number, text = int.from_bytes(data + _checksum(data), "big"), ""
    while number:
        number, place = divmod(number, 58)
        text = _BASE58[place] + text
    return text


def normalise_tx_hash(text: str) -> TxHash | None:
    """Lower-case 32-byte transaction hash with ``0x``, or None; the address of its page at an explorer is read, too.

    >>> normalise_tx_hash("https://Polygonscan.com/tx/0x" + "AB" * 32 + "#eventlog") == "0x" + "ab" * 32
    True
    """
    page = _EXPLORER.match(text.strip().lower())
    value = page[1] if page else normalise_hex(text, size=32)
    return TxHash(value) if value else None


def written_tx_hash(tx_hash: str, *, chain_id: int | None) -> str:
    """A hash as backends of its chain store it: without ``0x`` on Tron and where the chain's kind writes it so.

    >>> written_tx_hash("0xab", chain_id=728126428), written_tx_hash("0xab", chain_id=56)
    ('ab', '0xab')
    """
    kinds = (each.thing for each in installed(CHAINS).values())
    is_bare = any(kind.has_bare_hashes and chain_id in {chain.chain_id for chain in kind.chains} for kind in kinds)
    return tx_hash.removeprefix("0x") if is_bare or chain_id in TRON_CHAINS else tx_hash


def normalise_reference(text: str) -> Reference | None:
    """The 16 bare hex digits of an 8-byte payment reference, or None. Both ``0x`` spellings are read."""
    value = normalise_hex(text, size=8)
    return Reference(value[2:]) if value else None


def normalise_request_id(text: str) -> str:
    """A Request Network request id: lower case without ``0x`` when it is hex, otherwise stripped text."""
    value = text.strip()
    bare = value.lower().removeprefix("0x")
    return bare if _REQUEST_ID.match(bare) else value


def keccak256(data: bytes) -> bytes:
    """Keccak-256 (not SHA3-256) of ``data``."""
    import sha3

    return bytes(sha3.keccak_256(data).digest())


def call_digest(to: str, data: str, *, value_wei: int) -> str:
    """The keccak256 of one call: 20 bytes of its address, 32 of its value, and its data.

    >>> call_digest("0x" + "11" * 20, "0x", value_wei=0)[:18]
    '0x7b7d1a62b9a0fe29'

    Args:
        to: A normalised address.
        data: Hex digits with ``0x``, lower case, whole bytes.
        value_wei: What it sends along, at most 32 bytes.
    """
    return "0x" + keccak256(bytes.fromhex(to[2:]) + value_wei.to_bytes(32, "big") + bytes.fromhex(data[2:])).hex()


def payment_reference(request_id: str, salt: str, address: str) -> str:
    """Derive the payment reference of a Request Network request: 16 bare hex digits.

    The last 8 bytes of keccak256 over the lower-cased *text* ``request_id + salt + address``
    (RequestNetwork/requestNetwork, ``payment-detection`` 0.59.0). The address keeps its ``0x``; on Tron it is the
    base58 text.

    Raises:
        IdError: One of the three is empty, or no text that can be encoded.
    """
    if not (request_id and salt and address):
        raise IdError("A payment reference needs a request id, a salt and an address; one of them is empty.")
    try:
        raw = (request_id + salt + address).lower().encode()
    except UnicodeEncodeError:
        raise IdError("A payment reference is made of plain text; one of its three parts is broken text.") from None
    return keccak256(raw).hex()[-16:]


def reference_topic(reference: str) -> str:
    """The value of ``topics[1]`` for a reference: keccak256 of its raw bytes, ``0x`` and 64 digits.

    Raises:
        IdError: The reference is not an even number of hex digits.
    """
    bare = reference.strip().lower().removeprefix("0x")
    try:
        raw = bytes.fromhex(bare)
    except ValueError:
        raise IdError(f"{reference!r} is not a payment reference: it must be hex digits.") from None
    return "0x" + keccak256(raw).hex()


def is_simulated(tx_hash: str) -> bool:
    """Whether a recorded hash is one of the backend's simulations, which prove nothing."""
    return tx_hash.strip().upper().startswith("SIM_")


def payment_id_text(value: object) -> PaymentId:
    """Write a document's ``_id`` as text that keeps its BSON type and reads back the same."""
    if type(value).__name__ == "ObjectId":
        return PaymentId(str(value))
    if isinstance(value, str):
        is_taken = _OBJECT_ID.match(value) or value[:1] in ('"', "{", "") or value in _JSON_WORDS
        return PaymentId(json.dumps(value) if is_taken else value)
    from bson import json_util

    return PaymentId(json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS, sort_keys=True))


def parse_payment_id(text: str) -> object:
    """Read back what :func:`payment_id_text` wrote, as the value to look up in the database.

    Raises:
        IdError: The text is empty, or is broken JSON.
    """
    if not text:
        raise IdError("An empty text is no payment id.")
    if _OBJECT_ID.match(text):
        from bson import ObjectId

        return ObjectId(text)
    if text[:1] not in ('"', "{") and text not in _JSON_WORDS:
        return text
    from bson import json_util
    from bson.errors import BSONError

    try:
        return json_util.loads(text, json_options=json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True))
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError, BSONError) as error:
        raise IdError(f"{text[:100]!r} is not a payment id: {str(error)[:200]}") from error
