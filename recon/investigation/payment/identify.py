"""Read a pasted text as every id it could be: payment, request, reference, order, transaction or address. Pure.

People paste from chats, explorers and logs: with spaces, quotes and invisible marks, in any letter case, with or
without ``0x``, or in the middle of a sentence. Every reading that fits is kept, the most specific first; the
search shows which one is right.

>>> names_of(" 0X" + "AB" * 32 + " ")[0] == Name("tx_hash", "0x" + "ab" * 32)
True
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from recon.core.errors import UsageError
from recon.core.ids import normalise_address, normalise_reference, normalise_request_id, normalise_tx_hash
from recon.core.text import clean_text

NameKind = Literal["payment_id", "request_id", "reference", "external_id", "tx_hash", "address"]

TEXT_MAX: Final = 300
_OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")
_REQUEST_ID = re.compile(r"01[0-9a-f]{64}\Z")
_INSIDE: Final = re.compile(r"(?<![0-9a-z])(?:0x[0-9a-f]{64}|0x[0-9a-f]{40}|01[0-9a-f]{64})(?![0-9a-z])")
"""What can only be a hash, an address or a request id, wherever it stands in a sentence."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_QUOTES: Final = "\"'`<>()[]{},;\u201c\u201d\u2018\u2019"
_URL_END = re.compile(r"https?://\S*/(?P<last>[^/?#\s]+)(?:[?#]\S*)?\Z", re.IGNORECASE)


class NoIdError(UsageError):
    """A text names nothing that can be looked up."""

    def __init__(self, *, text: str) -> None:
        super().__init__(
            f"{clean_text(text, limit=60)!r} can be no id of anything: give a payment id, request id, payment "
            "reference, external id, transaction hash or address."
        )


@dataclass(frozen=True, slots=True)
class Name:
    """One reading of a pasted text: what kind of id, and the value as sources store it."""

    kind: NameKind
    value: str


def names_of(text: str) -> tuple[Name, ...]:
    """Every reading of a text, the most specific first.

    Raises:
        NoIdError: Nothing is left of it, or it is far too long.
    """
    bare = _stripped(text)
    if not bare or len(bare) > TEXT_MAX:
        raise NoIdError(text=text)
    joined = "".join(bare.split())
    lower = joined.lower()
    found = _chain_names(lower, joined)
    inside: list[str] = [] if found else _INSIDE.findall(bare.lower())
    if len(set(inside)) == 1:
        return tuple(dict.fromkeys((*names_of(inside[0]), Name("external_id", bare))))
    if _OBJECT_ID.match(lower):
        found += [Name("payment_id", lower), Name("payment_id", json.dumps(lower))]
    elif not found:
        found += [Name("payment_id", each) for each in dict.fromkeys((bare, joined, lower))]
    spellings = dict.fromkeys((bare, joined, lower, joined.upper(), lower.removeprefix("0x")))
    found += [Name("external_id", each) for each in spellings][:4]
    if lower.startswith("req_"):
        found.append(Name("request_id", joined))
    return tuple(dict.fromkeys(found))


def _chain_names(lower: str, as_given: str) -> list[Name]:
    """The readings of a text that its form alone tells: request id, hash, address and reference."""
    request = normalise_request_id(lower)
    readings: tuple[tuple[NameKind, str | None], ...] = (
        ("request_id", request if _REQUEST_ID.match(request) else None),
        ("tx_hash", normalise_tx_hash(lower)),
        ("address", normalise_address(as_given)),
        ("reference", normalise_reference(lower)),
    )
    return [Name(kind, value) for kind, value in readings if value]


def _stripped(text: str) -> str:
    """The text without invisible marks, quotes around it, and the beginning of an explorer's address."""
    plain = _COLOUR.sub(" ", text[: 4 * TEXT_MAX])
    visible = "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Cc", "Cs", "Co", "Cn")
                      or c in "\t\n\r ")  # fmt: skip
    bare = " ".join(visible.split()).strip(_QUOTES).strip()
    if found := _URL_END.match(bare):
        bare = found["last"].strip(_QUOTES)
    for prefix in ("external_id:", "payment_id:", "request:", "tx:", "order:"):
        if bare.lower().startswith(prefix):
            bare = bare[len(prefix) :].strip()
    return bare
