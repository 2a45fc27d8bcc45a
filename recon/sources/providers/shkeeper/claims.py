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

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from recon.core.errors import MoneyError
from recon.core.ids import TxHash, normalise_address, normalise_tx_hash
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
} | {"USDT": (728126428, "USDT")}
"""Coin name to (chain id, token symbol). ``USDT`` alone is Tron's."""

FLOAT_DIGITS: Final = 15
"""Decimal digits that every double carries exactly."""
TEXT_DECIMALS: Final = 10
NOISE: Final = Decimal("1e-10")
NOISE_RELATIVE: Final = Decimal("1e-15")
LOWER_PERCENT: Final = 95
UPPER_PERCENT: Final = 105
_STATE_CODES: Final = {"unknown": "unknown_word", "processing": "in_progress_may_be_stale"}
"""The problem code that the state of a payout brings along."""


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


@dataclass(frozen=True, slots=True)
class _Invoice:
    """An invoice as it was told, with its transactions read; ``digest`` does not depend on their order."""

    row: Mapping[str, Any]
    digest: str
    external_id: str | None
    txs: tuple[_Tx, ...]

    @property
    def name(self) -> str:
        return self.external_id or f"nameless:{self.digest[:16]}"

    @property
    def word(self) -> str:
        return _word(self.row.get("status"))

    @property
    def state(self) -> str:
        return INVOICE_WORDS.get(self.word, "unknown")

    @property
    def confirmed(self) -> tuple[_Tx, ...]:
        return tuple(tx for tx in self.txs if tx.is_confirmed)

    @property
    def tx_names(self) -> set[tuple[str, str]]:
        """Coin and hash of each transaction, as they were written."""
        return {(tx.coin, tx.raw_hash) for tx in self.txs}

    @property
    def places(self) -> set[tuple[int | None, Token | None]]:
        """Chain and token of the money that came in; of the announced money where none is confirmed."""
        return {(tx.chain_id, tx.token) for tx in (self.confirmed or self.txs)}

    @property
    def place(self) -> tuple[int | None, Token | None]:
        """The one chain and token, or neither."""
        return next(iter(self.places)) if len(self.places) == 1 else (None, None)


def claims_of_invoices(rows: Sequence[Mapping[str, Any]], *, coins: Mapping[str, Coin], at_ms: int) -> list[Said]:
    """One claim for each invoice. Several with one external id are told apart by ``#1``, ``#2`` in a stable order.

    A list that shifts while it is read gives an invoice twice: what is equal in every field is one.
    """
    read = (_invoice(row, coins) for row in rows)
    invoices = list({(invoice.name, invoice.digest): invoice for invoice in read}.values())
    holders = Counter(name for invoice in invoices for name in invoice.tx_names)
    shared = {name for name, count in holders.items() if count > 1}
    groups: dict[str, list[_Invoice]] = {}
    for invoice in invoices:
        groups.setdefault(invoice.name, []).append(invoice)
    said = []
    for name in sorted(groups):
        mine = sorted(groups[name], key=lambda invoice: invoice.digest)
        extra = ["several_invoices"] if len(mine) > 1 else []
        for claim_id, invoice in zip(_claim_ids(name, count=len(mine), taken=groups), mine, strict=True):
            problems = [*extra, *_problems_of(invoice, shared)]
            claim = _row_of(invoice, claim_id=claim_id, problem=problem_text(problems), at_ms=at_ms)
            said.append(Said(claim, _tx_rows(invoice.txs, claim)))
    return said


def _invoice(row: Mapping[str, Any], coins: Mapping[str, Coin]) -> _Invoice:
    return _Invoice(
        row=row,
        digest=digest_of(_ordered(row)),
        external_id=text_or_none(row.get("external_id")),
        txs=tuple(_tx(tx, coins) for tx in dicts_of(row.get("txs"))),
    )


def _ordered(row: Mapping[str, Any]) -> dict[str, Any]:
    txs = row.get("txs")
    return {**row, "txs": sorted(txs, key=digest_of) if isinstance(txs, list) else txs}


def _claim_ids(name: str, *, count: int, taken: Container[str]) -> list[str]:
    """The claim ids of the invoices that share a name; none of them is the name of another invoice."""
    if count == 1:
        return [name]
    claim_ids = []
    for number in range(1, count + 1):
        claim_id = f"{name}#{number}"
        while claim_id in taken:
            claim_id += "#"
        claim_ids.append(claim_id)
    return claim_ids


def _problems_of(invoice: _Invoice, shared: set[tuple[str, str]]) -> set[str]:
    """The codes of an invoice by itself, and ``shared_tx`` where another one has the same transaction."""
    problems = {code for tx in invoice.txs for code in tx.problems} | set(_money_codes(invoice))
    if invoice.state == "unknown":
        problems.add("unknown_word" if invoice.word else "state_missing")
    if invoice.external_id is None:
        problems.add("external_id_missing")
    if invoice.tx_names & shared:
        problems.add("shared_tx")
    if 0 < len(invoice.confirmed) < len(invoice.txs):
        problems.add("stale_unconfirmed")
    if len(invoice.places) > 1:
        chains = {chain_id for chain_id, _ in invoice.places}
        problems.add("several_networks" if len(chains) > 1 else "several_tokens")
    return problems


def _row_of(invoice: _Invoice, *, claim_id: str, problem: str | None, at_ms: int) -> Row:
    row = invoice.row
    chain_id, token = invoice.place
    return {
        "provider": NAME,
        "claim_id": claim_id,
        "object": "invoice",
        "outcome": "found",
        "external_id": invoice.external_id,
        "state": invoice.state,
        "state_raw": text_or_none(row.get("status"), limit=60),
        "paid_units": _sum_of(invoice.confirmed) if token else None,
        "token": token.address if token else None,
        "chain_id": chain_id,
        "recipient": _recipient_of(invoice.txs),
        "fiat": text_or_none(row.get("fiat"), limit=12),
        "amount_fiat": text_or_none(row.get("amount_fiat"), limit=60),
        "balance_fiat": text_or_none(row.get("balance_fiat"), limit=60),
        "tx_hashes": " ".join(sorted({tx.tx_hash for tx in invoice.txs if tx.tx_hash})) or None,
        "looked_up_at": at_ms,
        "problem": problem,
        "digest": invoice.digest,
    }


def _sum_of(txs: Sequence[_Tx]) -> int | None:
    """Base units of all together; None where one of them is unknown, or the sum does not fit a frame."""
    amounts = [tx.units for tx in txs if tx.units is not None]
    if len(amounts) < len(txs):
        return None
    total = sum(amounts)
    return total if fits(total) else None


def _recipient_of(txs: Sequence[_Tx]) -> str | None:
    """The first recipient in alphabetical order, so that the order of the transactions does not matter."""
    return min((tx.recipient for tx in txs if tx.recipient), default=None)


def _money_codes(invoice: _Invoice) -> list[str]:
    """What the fiat amounts of an invoice show beside its state; they are compared and never become units."""
    amount, balance = (_fiat(invoice.row.get(name)) for name in ("amount_fiat", "balance_fiat"))
    if amount is None or balance is None:
        return ["amount_unreadable"]
    codes = []
    has_money = any(not tx.is_zero for tx in invoice.confirmed)
    if has_money and (invoice.state == "unpaid" or balance == 0):
        codes.append("credit_lost")
    if _disagrees(invoice.state, amount=amount, balance=balance):
        codes.append("state_disagrees")
    return codes


def _disagrees(state: str, *, amount: Decimal, balance: Decimal) -> bool:
    """Whether a state does not follow from what was asked and what came.

    The limits are 95 and 105 unless the wallet says otherwise, so this is a hint and changes no state.
    """
    is_short = balance * 100 < amount * LOWER_PERCENT - NOISE
    is_over = balance * 100 > amount * UPPER_PERCENT + NOISE
    if state == "paid":
        return is_short or is_over
    if state == "overpaid":
        return is_short
    return state == "unpaid" and balance > 0


def _fiat(value: object) -> Decimal | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        parse_units(text, decimals=78)
    except MoneyError:
        return None
    return Decimal(text)


def _tx(row: Mapping[str, Any], coins: Mapping[str, Coin]) -> _Tx:
    coin = coins.get(text_or_none(row.get("crypto"), limit=40) or "")
    chain_id, token = (coin.chain_id, coin.token) if coin else (None, None)
    tx_hash, hash_code = _tx_hash(row.get("txid"), coin)
    units, amount_code = _units(row.get("amount"), coin)
    value = _fiat(row.get("amount"))
    return _Tx(
        coin=_word(row.get("crypto")),
        chain_id=chain_id,
        token=token,
        tx_hash=tx_hash,
        raw_hash=str(row.get("txid")),
        recipient=normalise_address(text_or_none(row.get("addr")) or ""),
        units=units,
        is_confirmed=_word(row.get("status")) == "CONFIRMED",
        is_zero=value is not None and value == 0,
        problems=tuple(code for code in (hash_code, amount_code) if code),
    )


def _tx_hash(value: object, coin: Coin | None) -> tuple[str | None, str | None]:
    """The hash of a transaction in a coin of ours, and the problem code where it is none; other chains have others."""
    if coin is None:
        return None, None
    raw = clean_text(value or "", limit=120)
    tx_hash = normalise_tx_hash(raw) if raw else None
    return tx_hash, None if tx_hash else "hash_unreadable"


def _units(amount: object, coin: Coin | None) -> tuple[int | None, str | None]:
    """Base units of an amount of a coin, and the problem code where they cannot be known."""
    if coin is None:
        return None, "coin_out_of_scope"
    if coin.token is None:
        return None, "token_unknown"
    return restore_units(amount, decimals=coin.token.decimals)


def _tx_rows(txs: Sequence[_Tx], claim: Row) -> tuple[Row, ...]:
    return tuple(_tx_row(tx, claim) for tx in txs if tx.tx_hash)


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
    return [
        _outgoing(rows, f"outgoing:{coin}:{txid}", coins=coins, at_ms=at_ms)
        for (coin, txid), rows in sorted(groups.items())
    ]


def _outgoing(rows: Sequence[Mapping[str, Any]], claim_id: str, *, coins: Mapping[str, Coin], at_ms: int) -> Said:
    """One claim of the rows of one transaction that went out."""
    txs = [_tx(row, coins) for row in rows]
    first = txs[0]
    claim: Row = {
        "provider": NAME,
        "claim_id": clean_text(claim_id),
        "object": "payout",
        "outcome": "found",
        "external_id": None,
        "state": "paid" if all(tx.is_confirmed for tx in txs) else "processing",
        "state_raw": text_or_none(rows[0].get("status"), limit=60),
        "paid_units": _sum_of(txs),
        "token": first.token.address if first.token else None,
        "chain_id": first.chain_id,
        "recipient": _recipient_of(txs),
        "tx_hashes": first.tx_hash,
        "looked_up_at": at_ms,
        "problem": problem_text(["outgoing", *(code for tx in txs for code in tx.problems)]),
        "digest": digest_of(sorted(digest_of(row) for row in rows)),
    }
    return Said(claim, _tx_rows(txs, claim))


def _identity(row: Mapping[str, Any]) -> tuple[str, str]:
    return _word(row.get("crypto")), str(row.get("txid")).strip().lower().removeprefix("0x")


def payout_claim(body: Mapping[str, Any], *, key: ClaimKey, coin: str, coins: Mapping[str, Coin], at_ms: int) -> Said:
    """A claim from ``payout/status``.

    An unfinished payout is marked: the answer has no age, and SHKeeper itself stops looking after a day.
    """
    known = coins[coin]
    state = PAYOUT_WORDS.get(_word(body.get("status")), "unknown")
    units, amount_code = _units(body.get("amount"), known) if known.token else (None, None)
    found, hash_code = _payout_hashes(body.get("txid"))
    codes = (_STATE_CODES.get(state), amount_code, hash_code)
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
        "problem": problem_text(code for code in codes if code),
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


def _payout_hashes(value: object) -> tuple[list[TxHash], str | None]:
    """The hashes that a payout names, sorted, and the problem code where one of them is none."""
    texts = (text_or_none(value, limit=2000) or "").replace(",", " ").split()
    hashes = [normalise_tx_hash(text) for text in texts]
    found = sorted({tx_hash for tx_hash in hashes if tx_hash})
    return found, None if all(hashes) else "hash_unreadable"


def _word(value: object) -> str:
    return (text_or_none(value, limit=60) or "").upper()
