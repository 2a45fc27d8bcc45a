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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from recon.core.errors import MoneyError
from recon.core.ids import (
    normalise_address,
    normalise_reference,
    normalise_request_id,
    normalise_tx_hash,
    reference_topic,
)
from recon.core.money import decimal_text, parse_units
from recon.core.registry import Registry, Token
from recon.sources.interface import ClaimKey
from recon.sources.providers.claims import Row, Said, digest_of, fits, parse_ms, problem_text, text_or_none
from recon.sources.providers.request_network.words import NEUTRAL_WORDS, STATE_WORDS

NAME: Final = "request_network"

T = TypeVar("T")
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


def the_one(values: Collection[T]) -> T | None:
    """The single value; None where there is none, or more than one."""
    return next(iter(values)) if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Payments:
    """The payments of one request together. A refund, and a payment that failed, is not among the counted ones."""

    pieces: Sequence[Piece]

    @property
    def counted(self) -> list[Piece]:
        """The payments whose money is summed up."""
        return [piece for piece in self.pieces if _is_counted(piece) and not piece.is_refund]

    @property
    def tokens(self) -> set[Token | None]:
        """In what the money came; None among them where a currency is unknown."""
        return {piece.token for piece in self.counted}

    @property
    def token(self) -> Token | None:
        """The one token of all the money."""
        return the_one(self.tokens)

    @property
    def chains(self) -> set[int | None]:
        """Where the money came in; None among them where a network is unknown."""
        return {piece.chain_id for piece in self.counted}

    @property
    def chain_id(self) -> int | None:
        """The one chain of all the money."""
        return the_one(self.chains)

    @property
    def total(self) -> int | None:
        """Base units of all the money; None where it is in several tokens, or one amount is unknown."""
        amounts = [piece.units for piece in self.counted if piece.units is not None]
        return sum(amounts) if self.token and len(amounts) == len(self.counted) else None

    @property
    def references(self) -> set[str]:
        """Every payment reference that was named."""
        return {piece.reference for piece in self.pieces if piece.reference}

    @property
    def reference(self) -> str | None:
        """The one payment reference."""
        return the_one(self.references)

    @property
    def hashes(self) -> set[str]:
        """Every transaction hash that was named, of failed payments too."""
        return {value for piece in self.pieces for value in piece.hashes}

    @property
    def detection(self) -> str | None:
        """How the payments were detected; one without a proxy log is enough to explain why the chain shows none."""
        found = {piece.detection for piece in self.pieces if piece.detection}
        return "lifi" if "lifi" in found else min(found, default=None)

    @property
    def first_at_ms(self) -> int | None:
        """When the first of them was made."""
        return min((piece.at_ms for piece in self.pieces if piece.at_ms is not None), default=None)

    @property
    def problems(self) -> set[str]:
        """The codes of the single payments, and of all of them together."""
        codes = {code for piece in self.pieces for code in piece.problems}
        if len(self.chains) > 1:
            codes.add("several_networks")
        elif len(self.tokens) > 1:
            codes.add("several_tokens")
        if len(self.references) > 1:
            codes.add("reference_conflict")
        if self.total is not None and not fits(self.total):
            codes.add("amount_too_large")
        return codes


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
    request_id, reference = _names_of(row, request)
    paid = request.get("hasBeenPaid")
    hashes = _hashes_of(row)
    is_refund = bool(_REFUND.search(text_or_none(row.get("note")) or ""))
    marks = {
        "hash_unreadable": hashes.has_unreadable,
        "refund_noted": is_refund,
        "request_missing": not request_id,
    }
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
        proof=hashes.proof,
        hashes=hashes.all,
        at_ms=parse_ms(row.get("timestamp")),
        is_refund=is_refund,
        detection=_detection(row.get("detectionSource")),
        problems=(*codes, *(code for code, applies in marks.items() if applies)),
        digest=digest_of(row),
    )


def _names_of(row: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The request id and the payment reference of a payment, from its request or from itself."""
    request_id = text_or_none(request.get("requestId") or row.get("requestId"))
    reference = text_or_none(request.get("paymentReference") or row.get("paymentReference"))
    return normalise_request_id(request_id) if request_id else None, normalise_reference(reference or "")


@dataclass(frozen=True, slots=True)
class _Hashes:
    """The transaction hashes of one payment; ``proof`` is the one on the destination network."""

    proof: str | None
    all: tuple[str, ...]
    has_unreadable: bool


def _hashes_of(row: Mapping[str, Any]) -> _Hashes:
    names = ("destinationTxHash", "sourceTxHash", "txHash")
    read = {name: _hash(row[name]) for name in names if row.get(name)}
    proof = read.get("destinationTxHash") or read.get("txHash")
    if not proof and _is_on_one_network(row):
        proof = read.get("sourceTxHash")
    usable = {value for value in read.values() if value}
    return _Hashes(proof=proof, all=tuple(sorted(usable)), has_unreadable=None in read.values())


def _is_on_one_network(row: Mapping[str, Any]) -> bool:
    """Whether the source hash is the payment itself; across networks only the destination proves it."""
    source, target = (text_or_none(row.get(name)) for name in ("sourceNetwork", "destinationNetwork"))
    return not source or not target or source.lower() == target.lower()


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
    whole = registry.token(chain_id, word)
    symbol, _, network = word.partition("-")
    if whole is not None or (network and registry.chain_id(network) != chain_id):
        return whole
    return registry.token(chain_id, symbol)


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
    if "." in str(text):
        return _fitting(units, None)
    whole = int(str(text))
    return _fitting(*_read_integer(whole, decimals=decimals, style=style, plausible_max=plausible_max))


def _fitting(units: int | None, code: str | None) -> tuple[int | None, str | None]:
    """What was read, or the problem code of an amount that does not fit a frame."""
    return (units, code) if units is None or fits(units) else (None, "amount_too_large")


def _read_integer(
    whole: int, *, decimals: int, style: Style | None, plausible_max: int
) -> tuple[int | None, str | None]:
    """Base units of an amount without a point, and ``magnitude`` where its reading is open to doubt."""
    as_tokens = whole * 10**decimals
    is_absurd = whole > plausible_max
    is_dust = whole < 10 ** max(decimals - 2, 0)
    if style == "base":
        return whole, "magnitude"
    if style == "whole":
        return as_tokens, "magnitude" if is_absurd else None
    if is_absurd:
        return whole, "magnitude"
    return (as_tokens, None) if is_dust else (None, "magnitude")


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

    An unknown word, and a word that contradicts ``hasBeenPaid``, make the state ``unknown``: neither is folded
    into a word we know.
    """
    meant = STATE_WORDS.get((word or "").lower().replace(" ", "_").replace("-", "_"))
    is_neutral = not word or word.lower() in NEUTRAL_WORDS
    if not meant and not is_neutral:
        return "unknown", ("unknown_word",)
    if has_been_paid is None:
        return (meant, ()) if meant and meant != "unpaid" else ("unknown", ("state_missing",))
    state = _state_if_paid(meant, is_excess) if has_been_paid else _state_if_open(meant, is_money_seen)
    return (state, ()) if state else ("unknown", ("state_conflict",))


def _state_if_paid(meant: str | None, is_excess: bool) -> str | None:
    """The state of a request that "has been paid"; None where the word contradicts that."""
    if meant in ("unpaid", "partial", "failed", "cancelled"):
        return None
    if meant == "refunded":
        return "refunded"
    return "overpaid" if is_excess or meant == "overpaid" else "paid"


def _state_if_open(meant: str | None, is_money_seen: bool) -> str | None:
    """The state of a request that "has not been paid"; None where the word, or money, contradicts that."""
    if meant in ("paid", "overpaid") or (meant == "unpaid" and is_money_seen):
        return None
    return meant or ("partial" if is_money_seen else "unpaid")


def claim_of_payments(pieces: Sequence[Piece], *, at_ms: int) -> Said:
    """One claim of all payments of one request, from the bulk reading."""
    first = pieces[0]
    flags = {piece.has_been_paid for piece in pieces} - {None}
    words = _words_of(pieces)
    # Pages are read one after the other: a request that was open on one and paid on a later one is paid.
    has_been_paid = True if True in flags else False if flags else None
    state, codes = decide_state(has_been_paid, _telling(words), is_money_seen=True, is_excess=False)
    state = "refunded" if any(piece.is_refund for piece in pieces) and state != "unknown" else state
    row = {
        **_money_of(Payments(pieces), codes),
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
        unread: The single payments were asked for and could not be read.
    """
    paid = body.get("hasBeenPaid")
    has_been_paid = paid if isinstance(paid, bool) else None
    words = _words_of(pieces, text_or_none(body.get("status"), limit=60))
    state, codes = decide_state(
        has_been_paid,
        _telling(words),
        is_money_seen=bool(pieces) or is_money_named(body),
        is_excess=_is_positive(body.get("excessAmount")),
    )
    payments = Payments(pieces)
    row = _money_of(payments, (*codes, "payments_unread") if unread else codes)
    own_reference = normalise_reference(text_or_none(body.get("paymentReference")) or "")
    reference = own_reference or payments.reference or key.reference
    row |= {
        "provider": NAME,
        "claim_id": key.request_id or f"reference:{key.reference}",
        "object": "request",
        "outcome": "found",
        "request_id": key.request_id,
        "reference": reference,
        "reference_topic": reference_topic(reference) if reference else None,
        "state": state,
        "state_raw": _raw(has_been_paid, words),
        "recipient": normalise_address(text_or_none(body.get("payee")) or ""),
        "asked_amount": _plain_amount(body.get("requestAmount")),
        "tx_hashes": _joined({*payments.hashes, _hash(body.get("txHash"))}),
        "detection_source": _detection(body.get("detectionSource")) or payments.detection,
        "looked_up_at": at_ms,
        "digest": digest_of([body, sorted(piece.digest for piece in pieces)]),
    }
    return Said(row, _txs_of(row, pieces))


def _plain_amount(value: object) -> str | None:
    """An amount as plain decimal text without trailing zeros; None for what is none."""
    try:
        return decimal_text(Decimal(value)) if isinstance(value, str) and parse_units(value, decimals=78) else None
    except (MoneyError, ArithmeticError):
        return None


def _words_of(pieces: Sequence[Piece], *more: str | None) -> list[str]:
    """Every status word that was said, once each, in alphabetical order."""
    return sorted({word for word in (*more, *(piece.word for piece in pieces)) if word})


def _joined(hashes: Iterable[str | None]) -> str | None:
    return " ".join(sorted({value for value in hashes if value})) or None


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


def _money_of(payments: Payments, codes: Sequence[str]) -> Row:
    """The columns that sum up payments: exact units, token, chain, hashes, reference, time and problems."""
    token, reference = payments.token, payments.reference
    total = payments.total
    return {
        "reference": reference,
        "reference_topic": reference_topic(reference) if reference else None,
        "paid_units": total if total is not None and fits(total) else None,
        "token": token.address if token else None,
        "chain_id": payments.chain_id,
        "tx_hashes": _joined(payments.hashes),
        "detection_source": payments.detection,
        "created_at": payments.first_at_ms,
        "problem": problem_text([*codes, *payments.problems]),
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
