"""Explain why the paid reference is not the expected one, by recomputing it from other parts. Pure.

A reference is the end of a hash over request id, salt and address in lower case, so a wrong one says nothing by itself.
Recomputed with every request id, salt, address and spelling that the payment's records hold, the paid reference shows
which part was wrong.

>>> parts = Parts("01" + "ab" * 32, "ea3bc7caf64110ca", "0x627306090abab3a6e1400e9345bc60c78a8bef57")
>>> other = "0x" + "22" * 20
>>> explain_reference(payment_reference(parts.request_id, parts.salt, other), parts, addresses=[other])
('address', 'it was computed with address 0x2222222222222222222222222222222222222222')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from recon.core.ids import keccak256, payment_reference, reference_topic

Part = Literal["request id", "salt", "address", "letter case", "request id and address", "salt and address", "hash"]

TRIES_MAX: Final = 4_000
"""Most combinations that are computed; each costs two hashes."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reference is made of, as the payment's row stores it; text that is missing is empty."""

    request_id: str
    salt: str
    address: str


def explain_reference(
    seen: str,
    parts: Parts,
    *,
    request_ids: Iterable[str] = (),
    salts: Iterable[str] = (),
    addresses: Iterable[str] = (),
) -> tuple[Part, str] | None:
    """Name the part that explains a seen reference (16 hex digits) or topic (0x and 64), or None.

    Args:
        request_ids, salts, addresses: Other values to try, from the document, the provider and the chain.
    """
    wanted = _matcher(seen)
    own = (parts.request_id, parts.salt, parts.address)
    pools = [
        list(dict.fromkeys([first, *others]))
        for first, others in zip(own, (request_ids, salts, addresses), strict=True)
    ]
    for tried, combination in enumerate(sorted(product(*pools), key=lambda each: _distance(each, own))):
        if tried >= TRIES_MAX:
            return None
        if not all(combination):
            continue
        for spelling, reference in _spellings(*combination):
            if wanted(reference):
                return _said(combination, own, spelling)
    if wanted_text := _text_topic(seen, own):
        return "hash", wanted_text
    return None


def own_reference(parts: Parts) -> str | None:
    """The reference that the row's own parts give, or None when one of them is not stored."""
    if not (parts.request_id and parts.salt and parts.address):
        return None
    return payment_reference(parts.request_id, parts.salt, parts.address)


def checksummed(address: str) -> str:
    """The mixed-case spelling of an address (EIP-55).

    >>> checksummed("0x627306090abab3a6e1400e9345bc60c78a8bef57")
    '0x627306090abaB3A6e1400e9345bC60c78a8BEf57'
    """
    bare = address.lower().removeprefix("0x")
    digest = keccak256(bare.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) > 7 else c for c, d in zip(bare, digest, strict=False))


def _matcher(seen: str) -> Callable[[str], bool]:
    bare = seen.lower().removeprefix("0x")
    if len(bare) == 16:
        return lambda reference: reference == bare
    return lambda reference: reference_topic(reference) == "0x" + bare


def _distance(combination: tuple[str, ...], own: tuple[str, ...]) -> int:
    return sum(one != other for one, other in zip(combination, own, strict=True))


def _spellings(request_id: str, salt: str, address: str) -> Iterator[tuple[str, str]]:
    """The reference as it should be computed, and as it comes out when the letters were not lowered."""
    yield "", payment_reference(request_id, salt, address)
    mixed = checksummed(address) if len(address) == 42 else address
    for spelling, text in (
        ("the address in mixed case", request_id + salt + mixed),
        ("the address in capitals", request_id + salt + "0x" + address.removeprefix("0x").upper()),
        ("the address without 0x", request_id + salt + address.removeprefix("0x")),
        ("0x before the request id", "0x" + request_id + salt + address),
        ("capital letters throughout", (request_id + salt + address).upper()),
    ):
        yield spelling, keccak256(text.encode()).hex()[-16:]


def _said(combination: tuple[str, ...], own: tuple[str, ...], spelling: str) -> tuple[Part, str]:
    names = ("request id", "salt", "address")
    other = [(name, value) for name, value, mine in zip(names, combination, own, strict=True) if value != mine]
    if not other:
        return "letter case", f"it was computed with {spelling or 'the right parts'}"
    text = " and ".join(f"{name} {value}" for name, value in other)
    if spelling:
        text += f", and with {spelling}"
    part = " and ".join(name for name, _ in other)
    return (part if part in ("request id", "salt", "address", "request id and address", "salt and address")
            else "request id"), f"it was computed with {text}"  # type: ignore[return-value]  # fmt: skip


def _text_topic(seen: str, own: tuple[str, ...]) -> str | None:
    """A topic over the reference's letters instead of its bytes."""
    if len(seen.removeprefix("0x")) != 64 or not all(own):
        return None
    reference = payment_reference(*own)
    for text in (reference, "0x" + reference):
        if "0x" + keccak256(text.encode()).hex() == seen.lower():
            return "the reference was sent as text instead of as 8 bytes"
    return None
