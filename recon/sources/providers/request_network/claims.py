"""What an answer of Request Network says about one request, as a claim row. Pure: no I/O, no clock.

Amounts are documented as whole tokens, yet the vendor's own samples hold base units. A text with a point is whole
tokens. An integer is whole tokens if as base units it would be dust, base units if as tokens it would be absurd
(problem ``magnitude``), and in between what the other amounts of the same reading show; otherwise it stays unknown.

>>> read_amount("12.50", decimals=6, style=None, plausible_max=1_000_000)
(12500000, None)
>>> read_amount("50000000", decimals=6, style=None, plausible_max=1_000_000)
(50000000, 'magnitude')
>>> read_amount("50000", decimals=6, style=None, plausible_max=1_000_000)
(None, 'magnitude')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from recon.core.errors import MoneyError
from recon.core.ids import (
    normalise_address,
    normalise_reference,
    normalise_request_id,
    normalise_tx_hash,
    reference_topic,
)
from recon.core.money import parse_units
from recon.core.registry import Registry, Token
from recon.sources.interface import ClaimKey
from recon.sources.providers.claims import Row, Said, digest_of, fits, parse_ms, problem_text, text_or_none
from recon.sources.providers.request_network.words import NEUTRAL_WORDS, STATE_WORDS

NAME: Final = "request_network"

TOKEN_ALIASES: Final[Mapping[tuple[int, str], str]] = {
    (10, "USDT0"): "USDT",
    (137, "USDT0"): "USDT",
    (42161, "USDT0"): "USDT",
}
"""Other names that the provider gives a token on a chain."""

Style = Literal["whole", "base"]
_TEST = re.compile(
    r"sepolia|goerli|rinkeby|mumbai|amoy|alfajores|holesky|hoodi|testnet|bsctest|ropsten|kovan|\bnile\b", re.IGNORECASE
)
_REFUND = re.compile(r"\brefund(ed)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """One payment of a request as far as a claim needs it. ``proof`` is its hash on the destination network."""

    group: str
    request_id: str | None
    reference: str | None
    has_been_paid: bool | None
    word: str | None
    chain_id: int | None
    token: Token | None
    units: int | None
    proof: str | None
    hashes: tuple[str, ...]
    at_ms: int | None
    is_refund: bool
    detection: str | None
    problems: tuple[str, ...]
    digest: str


def read_pieces(
    rows: Mapping[str, Mapping[str, Any]],
    *,
    registry: Registry,
    plausible_max: int,
    changed: frozenset[str] = frozenset(),
) -> list[Piece]:
    """Read rows of ``GET /v2/payments`` by payment id; sorted by id, so that pages may come in any order."""
    placed = {key: _place(row, registry) for key, row in rows.items()}
    style = _style([(rows[key].get("amount"), token) for key, (_, token, _) in placed.items()], plausible_max)
    pieces = []
    for key in sorted(rows):
        chain_id, token, codes = placed[key]
        units: int | None = None
        if token:
            units, code = read_amount(
                rows[key].get("amount"), decimals=token.decimals, style=style, plausible_max=plausible_max
            )
            codes = (*codes, code) if code else codes
        if key in changed:
            codes = (*codes, "changed_while_reading")
        pieces.append(_piece(key, rows[key], (chain_id, token, units), codes))
    return pieces


def _piece(
    key: str, row: Mapping[str, Any], money: tuple[int | None, Token | None, int | None], codes: tuple[str, ...]
) -> Piece:
    request = row.get("request")
    request = request if isinstance(request, dict) else {}
    request_id = text_or_none(request.get("requestId") or row.get("requestId"))
    request_id = normalise_request_id(request_id) if request_id else None
    reference = normalise_reference(text_or_none(request.get("paymentReference") or row.get("paymentReference")) or "")
    paid = request.get("hasBeenPaid")
    source, target = (text_or_none(row.get(name)) for name in ("sourceNetwork", "destinationNetwork"))
    hashes = {name: _hash(row.get(name)) for name in ("destinationTxHash", "sourceTxHash", "txHash")}
    # On one network the source hash is the payment itself; across networks only the destination proves it.
    proof = hashes["destinationTxHash"] or hashes["txHash"]
    if not proof and (not source or not target or source.lower() == target.lower()):
        proof = hashes["sourceTxHash"]
    given = [row.get(name) for name in hashes if row.get(name)]
    if any(_hash(value) is None for value in given):
        codes = (*codes, "hash_unreadable")
    is_refund = bool(_REFUND.search(text_or_none(row.get("note")) or ""))
    codes = (*codes, "refund_noted") if is_refund else codes
    codes = codes if request_id else (*codes, "request_missing")
    fallback = f"reference:{reference}" if reference else f"payment:{key}"
    return Piece(
        group=request_id or fallback,
        request_id=request_id,
        reference=reference,
        has_been_paid=paid if isinstance(paid, bool) else None,
        word=text_or_none(row.get("status") or request.get("status"), limit=60),
        chain_id=money[0],
        token=money[1],
        units=money[2],
        proof=proof,
        hashes=tuple(sorted({value for value in hashes.values() if value})),
        at_ms=parse_ms(row.get("timestamp")),
        is_refund=is_refund,
        detection=_detection(row.get("detectionSource")),
        problems=codes,
        digest=digest_of(row),
    )


def _place(row: Mapping[str, Any], registry: Registry) -> tuple[int | None, Token | None, tuple[str, ...]]:
    """Chain and token that a payment arrived in, by the destination network and the payment currency."""
    network = text_or_none(row.get("destinationNetwork") or row.get("network") or row.get("sourceNetwork"), limit=60)
    chain_id = registry.chain_id(network)
    if chain_id is None:
        return None, None, ("network_unknown",)
    word = text_or_none(row.get("paymentCurrency") or row.get("currency"), limit=80)
    token = token_of(registry, chain_id=chain_id, word=word)
    return chain_id, token, () if token else ("token_unknown",)


def test_networks_only(rows: Iterable[Mapping[str, Any]], registry: Registry) -> str | None:
    """The network word, if every payment is on a test network that the registry does not know; None otherwise.

    A key of a test environment answers as politely as the live one, and all of it would read as "not paid".
    """
    words = [text_or_none(row.get("destinationNetwork") or row.get("sourceNetwork"), limit=60) for row in rows]
    is_test = [bool(word and _TEST.search(word)) and registry.chain_id(word) is None for word in words]
    return min(word for word in words if word) if words and all(is_test) else None


def token_of(registry: Registry, *, chain_id: int, word: str | None) -> Token | None:
    """The token a currency means on a chain: a symbol, an id such as ``USDC-base``, an alias or an address."""
    if not word:
        return None
    address = normalise_address(word)
    if address:
        return registry.tokens.get((chain_id, address))
    symbol, _, network = word.partition("-")
    if network and registry.chain_id(network) != chain_id:
        return None
    return registry.token(chain_id, TOKEN_ALIASES.get((chain_id, symbol.upper()), symbol))


def read_amount(
    value: object, *, decimals: int, style: Style | None, plausible_max: int
) -> tuple[int | None, str | None]:
    """Base units of an amount and the problem code, if any; see the module for which reading an integer gets."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        units = parse_units(text, decimals=decimals)  # type: ignore[arg-type]
    except MoneyError:
        return None, "amount_unreadable"
    if units < 0:
        return None, "amount_unreadable"
    code: str | None = None
    if "." not in str(text):
        whole = int(str(text))
        if style == "base" or (style is None and whole > plausible_max):
            units, code = whole, "magnitude"
        elif whole > plausible_max:
            code = "magnitude"
        elif style is None and whole >= 10 ** max(decimals - 2, 0):
            return None, "magnitude"
    return (units, code) if fits(units) else (None, "amount_too_large")


def _style(amounts: Sequence[tuple[object, Token | None]], plausible_max: int) -> Style | None:
    """Whether this reading's amounts are whole tokens or base units; None where nothing, or both, shows."""
    texts = [str(value) for value, token in amounts if token and isinstance(value, str | int)]
    has_point = any("." in text for text in texts)
    is_absurd = any(text.isdigit() and len(text) < 80 and int(text) > plausible_max for text in texts)
    if has_point == is_absurd:
        return None
    return "whole" if has_point else "base"


def _hash(value: object) -> str | None:
    text = text_or_none(value, limit=100)
    return normalise_tx_hash(text) if text else None


def _detection(value: object) -> str | None:
    text = text_or_none(value, limit=40)
    return text.lower() if text else None


def decide_state(
    has_been_paid: bool | None, word: str | None, *, is_money_seen: bool, is_excess: bool
) -> tuple[str, tuple[str, ...]]:
    """The state that ``hasBeenPaid`` and the free status word mean together, and problem codes.

    A word nobody knows, and a word that contradicts ``hasBeenPaid``, make the state ``unknown``: neither is folded
    into a word we know.
    """
    meant = STATE_WORDS.get((word or "").lower().replace(" ", "_").replace("-", "_"))
    is_neutral = not word or word.lower() in NEUTRAL_WORDS
    if not meant and not is_neutral:
        return "unknown", ("unknown_word",)
    if has_been_paid is None:
        return (meant, ()) if meant and meant != "unpaid" else ("unknown", ("state_missing",))
    if has_been_paid:
        if meant in ("unpaid", "partial", "failed", "cancelled"):
            return "unknown", ("state_conflict",)
        return ("refunded" if meant == "refunded" else "overpaid" if is_excess or meant == "overpaid" else "paid"), ()
    if meant in ("paid", "overpaid") or (meant == "unpaid" and is_money_seen):
        return "unknown", ("state_conflict",)
    return meant or ("partial" if is_money_seen else "unpaid"), ()


def claim_of_payments(pieces: Sequence[Piece], *, at_ms: int) -> Said:
    """One claim of all payments of one request, from the bulk reading."""
    first = pieces[0]
    flags = {piece.has_been_paid for piece in pieces} - {None}
    words = sorted({piece.word for piece in pieces if piece.word})
    # Pages are read one after the other: a request that was open on one and paid on a later one is paid.
    has_been_paid = True if True in flags else False if flags else None
    state, codes = decide_state(has_been_paid, _telling(words), is_money_seen=True, is_excess=False)
    state = "refunded" if any(piece.is_refund for piece in pieces) and state != "unknown" else state
    row = {
        **_money_of(pieces, codes),
        "provider": NAME,
        "claim_id": first.group,
        "object": "request",
        "outcome": "found",
        "request_id": first.request_id,
        "state": state,
        "state_raw": _raw(has_been_paid, words),
        "looked_up_at": at_ms,
        "digest": digest_of(sorted(piece.digest for piece in pieces)),
    }
    return Said(row, _txs_of(row, pieces))


def claim_of_request(
    body: Mapping[str, Any], pieces: Sequence[Piece], *, key: ClaimKey, at_ms: int, unread: bool
) -> Said:
    """One claim from a look-up by request id or reference, with the payments that were read for it.

    Args:
        unread: The single payments were wanted and could not be had.
    """
    paid = body.get("hasBeenPaid")
    word = text_or_none(body.get("status"), limit=60)
    words = sorted({piece.word for piece in pieces if piece.word} | ({word} if word else set()))
    state, codes = decide_state(
        paid if isinstance(paid, bool) else None,
        _telling(words),
        is_money_seen=bool(pieces) or is_money_named(body),
        is_excess=_is_positive(body.get("excessAmount")),
    )
    codes = (*codes, "payments_unread") if unread else codes
    row = _money_of(pieces, codes)
    own = _hash(body.get("txHash"))
    hashes = {*str(row.get("tx_hashes") or "").split(), *((own,) if own else ())}
    reference = (
        normalise_reference(text_or_none(body.get("paymentReference")) or "") or row["reference"] or key.reference
    )
    request_id = key.request_id
    row |= {
        "provider": NAME,
        "claim_id": request_id or f"reference:{key.reference}",
        "object": "request",
        "outcome": "found",
        "request_id": request_id,
        "reference": reference,
        "reference_topic": reference_topic(str(reference)) if reference else None,
        "state": state,
        "state_raw": _raw(paid if isinstance(paid, bool) else None, words),
        "recipient": normalise_address(text_or_none(body.get("payee")) or ""),
        "tx_hashes": " ".join(sorted(hashes)) or None,
        "detection_source": _detection(body.get("detectionSource")) or row["detection_source"],
        "looked_up_at": at_ms,
        "digest": digest_of([body, sorted(piece.digest for piece in pieces)]),
    }
    return Said(row, _txs_of(row, pieces))


def is_money_named(body: Mapping[str, Any]) -> bool:
    """Whether an answer about a request names money that came in: a hash, an amount, a telling word or payments."""
    breakdown = body.get("conversionBreakdown")
    amounts = [body.get(name) for name in ("paidAmount", "receivedAmount", "excessAmount")]
    amounts.append(breakdown.get("paidAmount") if isinstance(breakdown, dict) else None)
    listed = body.get("payments")
    has_list = isinstance(listed, list) and any(isinstance(item, dict) for item in listed)
    return bool(text_or_none(body.get("txHash"))) or any(_is_positive(amount) for amount in amounts) or has_list


def _is_positive(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and any(c in "123456789" for c in str(value))


def _telling(words: Sequence[str]) -> str | None:
    """The word that decides: an unknown one first, then one about money; several different ones decide nothing."""
    loud = [word for word in words if word.lower() not in NEUTRAL_WORDS]
    return None if not loud else loud[0] if len(loud) == 1 else " / ".join(loud)[:120]


def _raw(has_been_paid: bool | None, words: Sequence[str]) -> str | None:
    """What the provider said, word for word: ``hasBeenPaid=true`` and every status word."""
    flag = [] if has_been_paid is None else [f"hasBeenPaid={'true' if has_been_paid else 'false'}"]
    return " ".join([*flag, *words]) or None


def _money_of(pieces: Sequence[Piece], codes: Sequence[str]) -> Row:
    """The columns that sum up payments: exact units, token, chain, hashes, reference, time and problems."""
    problems = {*codes, *(code for piece in pieces for code in piece.problems)}
    counted = [piece for piece in pieces if _is_counted(piece) and not piece.is_refund]
    tokens = {piece.token for piece in counted}
    chains = {piece.chain_id for piece in counted}
    references = sorted({piece.reference for piece in pieces if piece.reference})
    if len(chains) > 1:
        problems.add("several_networks")
    elif len(tokens) > 1:
        problems.add("several_tokens")
    if len(references) > 1:
        problems.add("reference_conflict")
    token = next(iter(tokens)) if len(tokens) == 1 else None
    units: int | None = None
    if token and all(piece.units is not None for piece in counted):
        units = sum(piece.units or 0 for piece in counted)
        if not fits(units):
            units = None
            problems.add("amount_too_large")
    detections = sorted({piece.detection for piece in pieces if piece.detection})
    reference = references[0] if len(references) == 1 else None
    return {
        "reference": reference,
        "reference_topic": reference_topic(reference) if reference else None,
        "paid_units": units,
        "token": token.address if token else None,
        "chain_id": next(iter(chains)) if len(chains) == 1 else None,
        "tx_hashes": " ".join(sorted({value for piece in pieces for value in piece.hashes})) or None,
        # One payment without a proxy log is enough to explain why the chain shows none.
        "detection_source": "lifi" if "lifi" in detections else (detections[0] if detections else None),
        "created_at": min((piece.at_ms for piece in pieces if piece.at_ms is not None), default=None),
        "problem": problem_text(problems),
    }


def _txs_of(row: Row, pieces: Sequence[Piece]) -> tuple[Row, ...]:
    return tuple(
        {
            "provider": NAME,
            "claim_id": row["claim_id"],
            "request_id": row["request_id"],
            "chain_id": piece.chain_id,
            "tx_hash": piece.proof,
            "recipient": row.get("recipient"),
            "amount_units": piece.units,
            "confirmed": True,
        }
        for piece in pieces
        if piece.proof and _is_counted(piece)
    )


def _is_counted(piece: Piece) -> bool:
    return STATE_WORDS.get((piece.word or "").lower()) not in ("failed", "cancelled")
