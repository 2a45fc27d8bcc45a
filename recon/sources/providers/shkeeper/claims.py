"""What SHKeeper's answers say about invoices and payouts, as claim rows. Pure: no I/O, no clock.

Amounts are decimal texts that were cut to ten decimals *through a float*. For a token of up to ten decimals the amount
is what the text rounds to, as long as it has at most 15 digits, which a float carries. For a token of 18 decimals the
amount is the text only where a trailing zero was cut (nine decimals or fewer): a text of ten decimals may be a longer
number cut short. What cannot be restored stays unknown (problem ``float_noise``), since a claim proves nothing anyway.

>>> restore_units("99.9900000001", decimals=6)
(99990000, None)
>>> restore_units("99999999999.9900054932", decimals=6)
(None, 'float_noise')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from recon.core.errors import MoneyError
from recon.core.ids import normalise_address, normalise_tx_hash
from recon.core.money import parse_units
from recon.core.registry import Registry, Token
from recon.core.text import clean_text
from recon.sources.interface import ClaimKey
from recon.sources.providers.claims import Row, Said, dicts_of, digest_of, fits, problem_text, text_or_none
from recon.sources.providers.shkeeper.words import INVOICE_WORDS, PAYOUT_WORDS

NAME: Final = "shkeeper"

_PREFIXES: Final = {"ETH": 1, "BNB": 56, "POLYGON": 137, "MATIC": 137, "BASE": 8453, "ARB": 42161, "ARBITRUM": 42161}
COINS: Final[Mapping[str, tuple[int, str]]] = {
    f"{prefix}-{symbol}": (chain_id, symbol) for prefix, chain_id in _PREFIXES.items() for symbol in ("USDC", "USDT")
}
"""Coin name to (chain id, token symbol). ``USDT`` alone is TRC-20 and not among them."""

FLOAT_DIGITS: Final = 15
"""Decimal digits that every double carries exactly."""
TEXT_DECIMALS: Final = 10
NOISE: Final = Decimal("1e-10")
NOISE_RELATIVE: Final = Decimal("1e-15")
LOWER_PERCENT: Final = 95
UPPER_PERCENT: Final = 105


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin name with the token it means; None where the chain or the symbol is unknown."""

    name: str
    chain_id: int
    token: Token | None


def coins_of(table: Mapping[str, tuple[int, str]], registry: Registry) -> dict[str, Coin]:
    """Coin names resolved through the registry."""
    return {name: Coin(name, chain_id, registry.token(chain_id, symbol)) for name, (chain_id, symbol) in table.items()}


def coin_of(coins: Mapping[str, Coin], *, chain_id: int | None, token: str | None) -> str | None:
    """The name of the coin of a token contract; the first in the table where several names mean it."""
    wanted = normalise_address(token or "")
    named = (c.name for c in coins.values() if c.token and c.chain_id == chain_id and c.token.address == wanted)
    return next(named, None) if wanted else None


def restore_units(text: object, *, decimals: int) -> tuple[int | None, str | None]:
    """Base units of an amount that went through a float, and the problem code where they cannot be known."""
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    try:
        # Checked as plain decimal text first: Decimal alone would take "NaN", "1e9" and underscores.
        parse_units(text, decimals=78)  # type: ignore[arg-type]
        value = Decimal(str(text))
    except MoneyError:
        return None, "amount_unreadable"
    if value < 0:
        return None, "amount_unreadable"
    fraction = str(text).partition(".")[2].rstrip("0")
    if decimals > TEXT_DECIMALS:
        if len(fraction) >= TEXT_DECIMALS or _digits(value) > FLOAT_DIGITS:
            return None, "float_noise"
        rounded = value
    else:
        if value.adjusted() + decimals >= 27:
            return None, "float_noise"
        rounded = value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
        is_noise = abs(value - rounded) <= max(NOISE, abs(value) * NOISE_RELATIVE)
        if not is_noise or _digits(rounded) > FLOAT_DIGITS:
            return None, "float_noise"
    units = parse_units(format(rounded, "f"), decimals=decimals)
    return (units, None) if fits(units) else (None, "amount_too_large")


def _digits(value: Decimal) -> int:
    """Significant digits, trailing zeros not counted."""
    return len(value.normalize().as_tuple().digits)


@dataclass(frozen=True, slots=True)
class _Tx:
    coin: str
    chain_id: int | None
    token: Token | None
    tx_hash: str | None
    raw_hash: str
    recipient: str | None
    units: int | None
    is_confirmed: bool
    is_zero: bool
    problems: tuple[str, ...]


def claims_of_invoices(rows: Sequence[Mapping[str, Any]], *, coins: Mapping[str, Coin], at_ms: int) -> list[Said]:
    """One claim for each invoice. Several with one external id are told apart by ``#1``, ``#2`` in a stable order."""
    groups: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    holders: dict[tuple[str, str], int] = {}
    for row in rows:
        external_id = text_or_none(row.get("external_id"))
        digest = digest_of(_ordered(row))
        groups.setdefault(external_id or f"nameless:{digest[:16]}", []).append((digest, row))
        for pair in {(_word(tx.get("crypto")), str(tx.get("txid"))) for tx in dicts_of(row.get("txs"))}:
            holders[pair] = holders.get(pair, 0) + 1
    shared = {pair for pair, count in holders.items() if count > 1}
    said = []
    for name in sorted(groups):
        mine = sorted(groups[name], key=lambda entry: entry[0])
        for number, (digest, row) in enumerate(mine, start=1):
            claim_id = name if len(mine) == 1 else f"{name}#{number}"
            while len(mine) > 1 and claim_id in groups:
                claim_id += "#"
            extra = ("several_invoices",) if len(mine) > 1 else ()
            said.append(_invoice(row, claim_id, (digest, at_ms), coins=coins, shared=shared, extra=extra))
    return said


def _ordered(row: Mapping[str, Any]) -> dict[str, Any]:
    txs = row.get("txs")
    return {**row, "txs": sorted(txs, key=digest_of) if isinstance(txs, list) else txs}


def _invoice(
    row: Mapping[str, Any],
    claim_id: str,
    stamp: tuple[str, int],
    *,
    coins: Mapping[str, Coin],
    shared: set[tuple[str, str]],
    extra: tuple[str, ...],
) -> Said:
    external_id = text_or_none(row.get("external_id"))
    txs = [_tx(tx, coins) for tx in dicts_of(row.get("txs"))]
    word = _word(row.get("status"))
    state = INVOICE_WORDS.get(word, "unknown")
    confirmed = [tx for tx in txs if tx.is_confirmed]
    problems = {*extra, *(code for tx in txs for code in tx.problems), *_money_codes(row, state, confirmed)}
    if state == "unknown":
        problems.add("unknown_word" if word else "state_missing")
    if external_id is None:
        problems.add("external_id_missing")
    if any((tx.coin, tx.raw_hash) in shared for tx in txs):
        problems.add("shared_tx")
    if confirmed and len(confirmed) < len(txs):
        problems.add("stale_unconfirmed")
    places = {(tx.chain_id, tx.token) for tx in (confirmed or txs)}
    if len(places) > 1:
        problems.add("several_networks" if len({chain for chain, _ in places}) > 1 else "several_tokens")
    chain_id, token = next(iter(places)) if len(places) == 1 else (None, None)
    units = None
    if token and all(tx.units is not None for tx in confirmed):
        units = sum(tx.units or 0 for tx in confirmed)
    claim: Row = {
        "provider": NAME,
        "claim_id": claim_id,
        "object": "invoice",
        "outcome": "found",
        "external_id": external_id,
        "state": state,
        "state_raw": text_or_none(row.get("status"), limit=60),
        "paid_units": units if units is None or fits(units) else None,
        "token": token.address if token else None,
        "chain_id": chain_id,
        "recipient": min((tx.recipient for tx in txs if tx.recipient), default=None),
        "fiat": text_or_none(row.get("fiat"), limit=12),
        "amount_fiat": text_or_none(row.get("amount_fiat"), limit=60),
        "balance_fiat": text_or_none(row.get("balance_fiat"), limit=60),
        "tx_hashes": " ".join(sorted({tx.tx_hash for tx in txs if tx.tx_hash})) or None,
        "looked_up_at": stamp[1],
        "problem": problem_text(problems),
        "digest": stamp[0],
    }
    return Said(claim, tuple(_tx_row(tx, claim) for tx in txs if tx.tx_hash))


def _money_codes(row: Mapping[str, Any], state: str, confirmed: Sequence[_Tx]) -> list[str]:
    """What the fiat amounts of an invoice show beside its state; they are compared and never become units."""
    amount, balance = (_fiat(row.get(name)) for name in ("amount_fiat", "balance_fiat"))
    if amount is None or balance is None:
        return ["amount_unreadable"]
    codes = []
    if any(not tx.is_zero for tx in confirmed) and (state == "unpaid" or balance == 0):
        codes.append("credit_lost")
    short = balance * 100 < amount * LOWER_PERCENT - NOISE
    over = balance * 100 > amount * UPPER_PERCENT + NOISE
    # The limits are 95 and 105 unless the wallet says otherwise, so this is a hint and changes no state.
    if (state == "paid" and (short or over)) or (state == "overpaid" and short) or (state == "unpaid" and balance > 0):
        codes.append("state_disagrees")
    return codes


def _fiat(value: object) -> Decimal | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        parse_units(text, decimals=78)
    except MoneyError:
        return None
    return Decimal(text)


def _tx(row: Mapping[str, Any], coins: Mapping[str, Coin]) -> _Tx:
    name = text_or_none(row.get("crypto"), limit=40) or ""
    coin = coins.get(name)
    raw = clean_text(row.get("txid") or "", limit=120)
    tx_hash = normalise_tx_hash(raw) if coin and raw else None
    problems: list[str] = []
    units, code = None, None
    if coin and coin.token:
        units, code = restore_units(row.get("amount"), decimals=coin.token.decimals)
    else:
        problems.append("coin_out_of_scope" if coin is None else "token_unknown")
    if coin and tx_hash is None:
        problems.append("hash_unreadable")
    value = _fiat(row.get("amount"))
    return _Tx(
        coin=_word(row.get("crypto")),
        chain_id=coin.chain_id if coin else None,
        token=coin.token if coin else None,
        tx_hash=tx_hash,
        raw_hash=str(row.get("txid")),
        recipient=normalise_address(text_or_none(row.get("addr")) or ""),
        units=units,
        is_confirmed=_word(row.get("status")) == "CONFIRMED",
        is_zero=value is not None and value == 0,
        problems=(*problems, code) if code else tuple(problems),
    )


def _tx_row(tx: _Tx, claim: Row) -> Row:
    return {
        "provider": NAME,
        "claim_id": claim["claim_id"],
        "external_id": claim["external_id"],
        "chain_id": tx.chain_id,
        "tx_hash": tx.tx_hash,
        "recipient": tx.recipient,
        "amount_units": tx.units,
        "confirmed": tx.is_confirmed,
    }


def claims_of_outgoing(
    transactions: Sequence[Mapping[str, Any]],
    invoices: Sequence[Mapping[str, Any]],
    *,
    coins: Mapping[str, Coin],
    at_ms: int,
) -> list[Said]:
    """Transactions that stand in no invoice went out: ``/transactions`` mixes both and says so nowhere else."""
    received = {_identity(tx) for invoice in invoices for tx in dicts_of(invoice.get("txs"))}
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in transactions:
        if _identity(row) not in received:
            groups.setdefault(_identity(row), []).append(row)
    said = []
    for (coin, txid), rows in sorted(groups.items()):
        txs = [_tx(row, coins) for row in rows]
        first = txs[0]
        units = sum(tx.units or 0 for tx in txs) if all(tx.units is not None for tx in txs) else None
        claim: Row = {
            "provider": NAME,
            "claim_id": clean_text(f"outgoing:{coin}:{txid}"),
            "object": "payout",
            "outcome": "found",
            "external_id": None,
            "state": "paid" if all(tx.is_confirmed for tx in txs) else "processing",
            "state_raw": text_or_none(rows[0].get("status"), limit=60),
            "paid_units": units if units is None or fits(units) else None,
            "token": first.token.address if first.token else None,
            "chain_id": first.chain_id,
            "recipient": min((tx.recipient for tx in txs if tx.recipient), default=None),
            "tx_hashes": first.tx_hash,
            "looked_up_at": at_ms,
            "problem": problem_text(["outgoing", *(code for tx in txs for code in tx.problems)]),
            "digest": digest_of(sorted(digest_of(row) for row in rows)),
        }
        said.append(Said(claim, tuple(_tx_row(tx, claim) for tx in txs if tx.tx_hash)))
    return said


def _identity(row: Mapping[str, Any]) -> tuple[str, str]:
    return _word(row.get("crypto")), str(row.get("txid")).strip().lower().removeprefix("0x")


def payout_claim(body: Mapping[str, Any], *, key: ClaimKey, coin: str, coins: Mapping[str, Coin], at_ms: int) -> Said:
    """A claim from ``payout/status``.

    An unfinished payout is marked: the answer has no age, and SHKeeper itself stops looking after a day.
    """
    known = coins[coin]
    word = _word(body.get("status"))
    state = PAYOUT_WORDS.get(word, "unknown")
    problems = {"unknown_word"} if state == "unknown" else set()
    if state == "processing":
        problems.add("in_progress_may_be_stale")
    units, code = (None, None)
    if known.token:
        units, code = restore_units(body.get("amount"), decimals=known.token.decimals)
    problems |= {code} if code else set()
    texts = (text_or_none(body.get("txid"), limit=2000) or "").replace(",", " ").split()
    hashes = [normalise_tx_hash(text) for text in texts]
    if not all(hashes):
        problems.add("hash_unreadable")
    found = sorted({value for value in hashes if value})
    claim: Row = {
        "provider": NAME,
        "claim_id": f"{coin}:{key.external_id}",
        "object": "payout",
        "outcome": "found",
        "external_id": key.external_id,
        "state": state,
        "state_raw": text_or_none(body.get("status"), limit=60),
        "paid_units": units if state == "paid" else None,
        "token": known.token.address if known.token else None,
        "chain_id": known.chain_id,
        "recipient": normalise_address(text_or_none(body.get("destination")) or ""),
        "tx_hashes": " ".join(found) or None,
        "looked_up_at": at_ms,
        "problem": problem_text(problems),
        "digest": digest_of(body),
    }
    txs: list[Row] = [
        {
            "provider": NAME,
            "claim_id": claim["claim_id"],
            "external_id": key.external_id,
            "chain_id": known.chain_id,
            "tx_hash": tx_hash,
            "recipient": claim["recipient"],
            "amount_units": units if len(found) == 1 else None,
            "confirmed": state == "paid",
        }
        for tx_hash in found
    ]
    return Said(claim, tuple(txs))


def _word(value: object) -> str:
    return (text_or_none(value, limit=60) or "").upper()
