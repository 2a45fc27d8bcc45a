"""A bundle as Relayr tells it, as one claim and a row for each transaction that it names. Pure.

A transaction of a bundle names the call that it makes, so that nobody has to believe a hash: the chain is asked what
call that transaction made. A worked example, a bundle that did one of its two parts::

    Success   8453  0xf1..  call 0xaa..     claim  split
    Reverted    10  0xf2..  call 0xbb..     txs    8453 0xf1.. 0xaa..   10 0xf2.. 0xbb..
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recon.core.ids import call_digest, normalise_address, normalise_tx_hash
from recon.core.registry import Registry
from recon.sources.interface import ClaimKey
from recon.sources.providers.claims import (
    Row,
    Said,
    dicts_of,
    digest_of,
    int_or_none,
    parse_ms,
    problem_text,
    text_or_none,
)
from recon.sources.providers.relayr.words import DONE, OPEN, OVER

NAME: Final = "relayr"
PARTS_MAX: Final = 200
"""More transactions than any bundle has: an answer with more is none."""

_DOUBTS: Final = frozenset({"shared_tx", "unknown_word", "state_missing"})
"""With one of these nothing follows from what is told of the whole."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_DATA: Final = re.compile(r"0x([0-9a-f]{2}){0,131072}\Z")
_HASH_NAMES: Final = ("hash", "tx_hash", "txHash")


@dataclass(frozen=True, slots=True)
class Part:
    """One transaction of a bundle.

    Args:
        word: Its state as Relayr writes it, in lower case; None where none is told.
        call: The digest of the call that it makes; None where the answer does not tell all of it.
        problems: Codes of what cannot be read of it.
    """

    word: str | None
    chain_id: int | None
    tx_hash: str | None
    call: str | None
    problems: frozenset[str]


def bundle_id_of(text: str) -> str | None:
    """A bundle's id as Relayr writes it, in lower case; None for what can be none."""
    found = text.strip().lower()
    return found if _UUID.match(found) else None


def claim_of_bundle(body: Mapping[str, Any], *, key: ClaimKey, bundle_id: str, registry: Registry, at_ms: int) -> Said:
    """The claim of one bundle, from the answer to a question about it."""
    parts = [_part_of(each) for each in _once_each(dicts_of(body.get("transactions")))]
    alone = _alone(parts)
    codes = {code for part in parts for code in part.problems}
    codes |= {"shared_tx"} if len(alone) < len(parts) else set()
    state, more = _state_of(body, parts, at_ms=at_ms)
    if codes & _DOUBTS:
        state = "unknown"
    chains = {part.chain_id for part in parts}
    claim: Row = {
        "provider": NAME,
        "claim_id": bundle_id,
        "object": "bundle",
        "outcome": "found",
        "external_id": key.external_id,
        "state": state,
        "state_raw": _words(parts),
        "chain_id": chains.pop() if len(chains) == 1 else None,
        "tx_hashes": _hashes(parts),
        "looked_up_at": at_ms,
        "problem": problem_text({*codes, *more}),
        "digest": digest_of(_undated(body)),
    }
    return Said(claim, tuple(_tx_row(part, claim, key=key, registry=registry) for part in alone))


def _once_each(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of a list, each once: one that comes again with its own id and the same content is no other part."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(entries):
        found.setdefault(digest_of(entry) if entry.get("tx_uuid") else f"nameless {number}", entry)
    return list(found.values())


def _words(parts: Sequence[Part]) -> str | None:
    return text_or_none(" ".join(sorted({part.word or "?" for part in parts})), limit=60)


def _hashes(parts: Sequence[Part]) -> str | None:
    return " ".join(sorted({part.tx_hash for part in parts if part.tx_hash})) or None


def _alone(parts: Sequence[Part]) -> list[Part]:
    """The parts whose transaction no other part names; one that has none yet is alone."""
    named = Counter((part.chain_id, part.tx_hash) for part in parts)
    return [part for part in parts if part.tx_hash is None or named[part.chain_id, part.tx_hash] == 1]


def _state_of(body: Mapping[str, Any], parts: Sequence[Part], *, at_ms: int) -> tuple[str, set[str]]:
    """What the parts come to together, and codes for what is odd about it.

    The list may be shorter than the bundle for a while, and empty: nothing follows from what it lacks.
    """
    words = [part.word for part in parts]
    done, over, is_open = _any(words, DONE), _any(words, OVER), _any(words, OPEN)
    is_unpaid = body.get("payment_received") is False
    if done and is_unpaid and not over:
        return "unknown", {"state_conflict"}
    if done or over:
        return _state_told(done=done, over=over, is_open=is_open), set()
    if not is_unpaid:
        return "processing", set()
    expires_at = parse_ms(body.get("expires_at"))
    is_ended = expires_at is not None and expires_at < at_ms
    return ("failed", {"ended_unpaid"}) if is_ended else ("unpaid", set())


def _state_told(*, done: bool, over: bool, is_open: bool) -> str:
    """What parts of which some are done or over come to."""
    if done and over:
        return "split"
    if is_open:
        return "processing"
    return "paid" if done else "failed"


def _any(words: Iterable[str | None], known: frozenset[str]) -> bool:
    return any(word in known for word in words)


def _part_of(entry: Mapping[str, Any]) -> Part:
    """One entry; its state is an object, and plain text where an older server writes it so."""
    status = entry.get("status")
    said = status.get("state") if isinstance(status, Mapping) else status
    word = text_or_none(said, limit=60)
    word = None if word is None else word.lower()
    asked = entry.get("request")
    request = asked if isinstance(asked, Mapping) else {}
    chain_id = int_or_none(request.get("chain"))
    tx_hash, hash_problem = _hash_of(entry, status if isinstance(status, Mapping) else {})
    problems = {
        "state_missing": word is None,
        "unknown_word": word is not None and word not in DONE | OVER | OPEN,
        "network_unknown": chain_id is None,
        hash_problem: hash_problem != "",
    }
    return Part(
        word,
        chain_id,
        tx_hash if chain_id is not None else None,
        _call_of(request),
        frozenset(code for code, is_so in problems.items() if is_so),
    )


def _hash_of(entry: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[str | None, str]:
    """The hash of a transaction wherever it stands, and the code of what is wrong with it."""
    places: list[Mapping[str, Any]] = [entry]
    if isinstance(data := status.get("data"), Mapping):
        places.append(data)
        if isinstance(inner := data.get("transaction"), Mapping):
            places.append(inner)
    stored = [place[name] for place in places for name in _HASH_NAMES if place.get(name)]
    found = {normalise_tx_hash(each) if isinstance(each, str) else None for each in stored}
    if None in found:
        return None, "hash_unreadable"
    if len(found) > 1:
        return None, "state_conflict"
    return next(iter(found), None), ""


def _call_of(request: Mapping[str, Any]) -> str | None:
    """The digest of the call that a request asks for; the gas is the server's own and is no part of it."""
    target = request.get("target")
    to = normalise_address(target) if isinstance(target, str) else None
    data = request.get("data", "0x")
    data = data.lower() if isinstance(data, str) else ""
    value = _wei(request.get("value", 0))
    if to is None or value is None or not _DATA.match(data):
        return None
    return call_digest(to, data, value_wei=value)


def _wei(value: object) -> int | None:
    """An amount of wei, written as a number, as digits or in hex."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 2**256 else None
    text = value.strip().lower() if isinstance(value, str) else ""
    base, digits = (16, text[2:]) if text.startswith("0x") else (10, text)
    if not digits or len(digits) > 78 or digits.strip("0123456789abcdef"[:base]):
        return None
    found = int(digits, base)
    return found if found < 2**256 else None


def _tx_row(part: Part, claim: Row, *, key: ClaimKey, registry: Registry) -> Row:
    return {
        "provider": NAME,
        "claim_id": claim["claim_id"],
        "external_id": key.external_id,
        "chain_id": part.chain_id,
        "tx_hash": part.tx_hash,
        "confirmed": part.word in DONE,
        "call": part.call,
        "token": _token_on(part.chain_id, key=key, registry=registry),
    }


def _token_on(chain_id: int | None, *, key: ClaimKey, registry: Registry) -> str | None:
    """The coin of a payment on a chain: its own token there, or that of the same symbol and decimals elsewhere."""
    if chain_id is None or key.chain_id is None or key.token is None:
        return None
    if chain_id == key.chain_id:
        return key.token
    own = registry.tokens.get((key.chain_id, key.token))
    there = None if own is None else registry.token(chain_id, own.symbol)
    is_same = own is not None and there is not None and there.decimals == own.decimals
    return there.address if there is not None and is_same else None


def _undated(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as its digest counts it: the order of its transactions is no news, nor that one comes again."""
    listed = body.get("transactions")
    ordered = sorted(_once_each(dicts_of(listed)), key=digest_of) if isinstance(listed, list) else listed
    return {**body, "transactions": ordered}
