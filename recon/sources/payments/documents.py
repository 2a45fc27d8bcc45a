"""One Payment document read field by field: the clear, slow way from stored values to a row of the payments table.

Everything a database can hold is expected here: numbers as double, int32, int64, Decimal128 or text, dates as text or
past the year 9999, ``metadata`` that is null or an array. What cannot be read becomes a problem code on the row
(:data:`recon.core.model.PROBLEMS`), never an exception and never a guess. :mod:`recon.sources.payments.bson_walk`
reads the same values by columns; what it does not recognise comes here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from recon.core import ids
from recon.core.model import ESCROW_STATES, STATUSES, Policy
from recon.core.registry import Registry, Token
from recon.core.registry.fiat import is_other_money
from recon.core.registry.off_chain import OFF_CHAIN_NAME
from recon.core.stored_times import read_stored_time, time_mark
from recon.sources.payments.creation import creation_ms
from recon.sources.payments.fields import INDEXES_READ, FieldPaths, FieldPlace, array_in, stored_at
from recon.sources.payments.stored_amounts import exact_amount
from recon.sources.providers.installed import rails_with_books, rails_with_one_time_addresses

RAW_MAX: Final = 200
"""Longest piece of a stored word that is quoted on a row, in characters."""

DIRECTIONS: Final = ("in", "out", "refund")
_CAIP_19 = re.compile(r"(eip155:[0-9]{1,18})/erc20:(0x[0-9a-fA-F]{40})\Z")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_INT64 = 2**63
_NOT_HELD = frozenset({"", "none", "no", "false", "released", "cleared", "inactive", "off", "0"})
_BLOCKED = frozenset(
    {"blocked", "block", "rejected", "reject", "denied", "deny", "sanctioned", "failed", "fail", "hit", "high_risk"}
)
_BLOCK_FLAGS = ("blocked", "isBlocked", "sanctioned", "isSanctioned", "hit")
_BLOCK_WORDS = ("status", "result", "decision", "verdict", "outcome")
_MARK_WORDS = ("active", "enabled", "status")
DECIDING_KEYS: Final = frozenset((*_BLOCK_FLAGS, *_BLOCK_WORDS, *_MARK_WORDS))
"""What is looked at inside a hold or a screening answer that is an object."""

RESOLVED: Final = (
    "expires_at", "external_id", "network", "recipient", "reference", "request_id", "token", "tx_hash",
)  # fmt: skip


TIMES: Final = {"created_at": "createdAt", "updated_at": "updatedAt", "expires_at": "expiresAt"}
"""The times of a row, and how a person calls them."""


def codec() -> Any:
    """How documents are decoded: aware UTC dates, those past 9999 as milliseconds, broken text made readable."""
    from bson.codec_options import CodecOptions, DatetimeConversion

    return CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
    )


def plain_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document as plain dictionaries; a raw one is decoded."""
    raw = getattr(document, "raw", None)
    if not isinstance(raw, bytes):
        return document
    import bson

    decoded: Mapping[str, Any] = bson.decode(raw, codec_options=codec())
    return decoded


def document_text(document: Mapping[str, Any]) -> str:
    """Write a document as canonical Extended JSON v2, types kept, in the stored order of its fields."""
    from bson import json_util

    plain = plain_document(document)
    return json_util.dumps(plain, json_options=json_util.CANONICAL_JSON_OPTIONS)


def document_digest(document: Mapping[str, Any]) -> str:
    """The sha256 of a document's BSON; of its Extended JSON where BSON cannot hold it (text cut inside a letter)."""
    raw = getattr(document, "raw", None)
    if isinstance(raw, bytes):
        return hashlib.sha256(raw).hexdigest()
    import bson

    try:
        data = bson.encode(document)
    except (bson.errors.BSONError, OverflowError, UnicodeError, TypeError, ValueError):
        data = document_text(document).encode()
    return hashlib.sha256(data).hexdigest()


def id_type(value: object) -> str:
    """The BSON type name of an ``_id``, as ``$type`` calls it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "long" if type(value).__name__ == "Int64" or not -(2**31) <= value < 2**31 else "int"
    names = {
        "ObjectId": "objectId", "str": "string", "float": "double", "Decimal128": "decimal", "dict": "object",
        "SON": "object", "RawBSONDocument": "object", "datetime": "date", "DatetimeMS": "date", "UUID": "binData",
        "bytes": "binData", "Binary": "binData", "NoneType": "null", "Timestamp": "timestamp", "Regex": "regex",
        "MinKey": "minKey", "MaxKey": "maxKey", "list": "array",
    }  # fmt: skip
    return names.get(type(value).__name__, type(value).__name__.lower())


def whole_text(text: str) -> str:
    """A text that UTF-8 can hold: halves of a surrogate pair, which JSON can smuggle in, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def plain_text(value: object) -> str | None:
    """The text of an id-like value (text, ObjectId, whole number), stripped; None when there is none."""
    if type(value) is str:
        return whole_text(value).strip() or None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(int(value))
    return str(value) if type(value).__name__ in ("ObjectId", "UUID") else None


def quoted(value: object) -> str | None:
    """A stored value as short text for a person: text as it is, anything else as JSON, cut at :data:`RAW_MAX`."""
    if value is None:
        return None
    if type(value) is str:
        text = value
    elif isinstance(value, int | float) or type(value).__name__ in ("ObjectId", "Decimal128"):
        text = str(value)
    else:
        try:
            from bson import json_util

            text = json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS)
        except (TypeError, ValueError, OverflowError):
            text = repr(value)
    text = whole_text(text)
    return text if len(text) <= RAW_MAX else text[: RAW_MAX - 1] + "…"


def milliseconds(value: object) -> int | None:
    """A stored date as UTC milliseconds, also past the year 9999; None for anything that is no date."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return (aware - _EPOCH) // _MILLISECOND
    if type(value).__name__ == "DatetimeMS":
        return int(value)  # type: ignore[call-overload, no-any-return]
    return None


def moment_ms(value: object) -> int | None:
    """A stored time as UTC milliseconds: a date, or what means one for certain in another form."""
    at = milliseconds(value)
    if at is not None:
        return at
    read = read_stored_time(value)
    return None if read is None else read.ms


def whole_number(value: object) -> int | None:
    """A stored number as an int when it is whole and fits 64 bits, whatever numeric type holds it."""
    if isinstance(value, bool) or value is None:
        return None
    number: object = value.to_decimal() if type(value).__name__ == "Decimal128" else value  # type: ignore[attr-defined]
    if isinstance(number, float):
        number = Decimal(number)
    if isinstance(number, Decimal):
        if not number.is_finite() or number.adjusted() > 19 or number % 1:
            return None
        number = int(number)
    return int(number) if isinstance(number, int) and -_INT64 <= number < _INT64 else None


def is_set(value: object) -> bool:
    """Whether a mark (hold, test, demo, dispute) is on: true, a non-zero number, a word that does not deny it."""
    if type(value) is str:
        return value.strip().lower() not in _NOT_HELD
    if isinstance(value, Mapping):
        for key in _MARK_WORDS:
            if key in value:
                return is_set(value[key])
        return bool(value)
    return bool(value)


def is_blocked(value: object) -> bool:
    """Whether a stored screening answer says that the money is blocked."""
    if type(value) is str:
        return value.strip().lower() in _BLOCKED
    if isinstance(value, Mapping):
        if any(value.get(key) is True for key in _BLOCK_FLAGS):
            return True
        return any(type(value.get(key)) is str and is_blocked(value[key]) for key in _BLOCK_WORDS)
    return False


ASSET_PROBLEMS: Final = ("network_missing", "network_unknown", "token_unknown", "currency_differs")
"""What can be the matter with a row's network, currency and token together."""


@dataclass(frozen=True, slots=True)
class RowAsset:
    """What a row is about: chain, token contract and decimals, as far as they are known, and what is the matter."""

    chain_id: int | None = None
    token: str | None = None
    decimals: int | None = None
    problem: str | None = None
    chain_from_coin: bool = False
    by_symbol: bool = False


class DocumentReader:
    """Turns documents into rows for one set of field paths, registry and policy; remembers repeated words."""

    def __init__(self, *, fields: FieldPaths, registry: Registry, policy: Policy) -> None:
        self._candidates = {
            name: [(candidate, candidate.parts) for candidate in several] for name, several in fields.candidates.items()
        }
        self._registry = registry
        self._policy = policy
        self._tokens: dict[tuple[int, str], Token | None] = {}
        self._chains: dict[str | int, int | None] = {}
        merchants = {address for text in policy.merchant_recipients if (address := ids.normalise_address(text))}
        self.merchant = merchants.pop() if len(merchants) == 1 else None

    def row(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """One row of :data:`recon.core.tables.PAYMENTS`; what could not be read stands in its ``problem``."""
        digest = document_digest(document)
        document = plain_document(document)
        paths: dict[str, str] = {}
        problems: set[str] = set()
        find = partial(self._find, document)
        provider_raw = find("provider")[0]
        provider = self.provider_of(provider_raw)
        row: dict[str, Any] = {"provider": provider, "provider_raw": quoted(provider_raw)}
        self._read_identity(document, row, problems)
        self._read_words(document, row, problems)
        self._read_keys(document, row, paths)
        self._read_asset(document, row, paths, problems)
        self._read_recipient(document, row, paths)
        self._derive_reference(document, row, paths)
        self._read_money(document, row, problems)
        self._read_marks(document, row)
        self._read_times(document, row, paths, problems)
        row["problem"] = " ".join(sorted(problems)) or None
        resolved = [f"{name}={paths[name]}" for name in RESOLVED if name in paths]
        row["paths"] = " ".join([*resolved, *(paths[name] for name in TIMES.values() if name in paths)]) or None
        row["digest"] = digest
        return row

    def provider_of(self, word: object) -> str:
        """The normalised name of a stored provider word; empty when none is stored."""
        return self._registry.provider(whole_text(word) if type(word) is str else None)

    def token_of(self, chain_id: int, word: str) -> Token | None:
        """The token that a symbol or a contract address means on a chain, remembered."""
        key = (chain_id, word)
        if key not in self._tokens:
            address = ids.normalise_address(word)
            known = self._registry.tokens.get((chain_id, address)) if address else None
            self._tokens[key] = known if address else self._registry.token(chain_id, word)
        return self._tokens[key]

    def chain_of(self, value: object) -> int | None:
        """The chain id that a stored network means: a word, a number of any type, or a coin such as BNB-USDT."""
        number = whole_number(value)
        word: str | int | None = number if number is not None else value if type(value) is str else None
        if word is None:
            return None
        if word not in self._chains:
            self._chains[word] = self._registry.chain_id(word)
        return self._chains[word]

    def _token_word(self, chain_id: int, whole: str, symbol: str | None) -> str:
        """What names the token: a whole word that is known, such as a configured alias, before the symbol in it."""
        return whole if symbol is None or self.token_of(chain_id, whole) is not None else symbol

    def _coin(self, currency: str) -> tuple[str | None, str]:
        """Chain and symbol of a coin: ``BNB-USDT``, ``USDC-base`` or ``eip155:56/erc20:0x...``."""
        caip = _CAIP_19.match(currency.strip())
        if caip:
            return caip[1], caip[2].lower()
        chain, symbol = split_coin(currency)
        if chain is not None and self.chain_of(chain) is None and self.chain_of(symbol) is not None:
            return symbol, chain
        return chain, symbol

    def tolerance(self, provider: str, *, incoming: bool) -> tuple[int, int]:
        """Parts per million below and above the expected amount that a provider accepts.

        What it accepts is what buyers send; a payee of ours is owed exactly the amount.
        """
        return self._policy.tolerance_ppm.get(provider, (0, 0)) if incoming else (0, 0)

    def _find(
        self,
        document: Mapping[str, Any],
        name: str,
        provider: str | None = None,
        read: Callable[[Any], Any] | None = None,
        shape: Callable[[Any], bool] | None = None,
    ) -> tuple[Any, str | None]:
        """The first usable value of a field and its path; ``read`` gives None for a value that is of no use."""
        for candidate, parts in self._candidates[name]:
            if candidate.provider is not None and candidate.provider != provider:
                continue
            value = stored_at(document, parts)
            if value is not None and read is not None:
                value = read(value)
            if value is not None and (not candidate.shaped or shape is None or shape(value)):
                return value, candidate.path
        return None, None

    def _all(
        self,
        document: Mapping[str, Any],
        name: str,
        provider: str | None,
        read: Callable[[Any], Any],
        shape: Callable[[Any], bool] | None,
    ) -> dict[str, str]:
        """Every usable value of a key, in the order of the candidates, with the path where it stands first."""
        found: dict[str, str] = {}
        for candidate, _ in self._candidates[name]:
            if candidate.provider not in (None, provider) or (found and candidate.path == "_id"):
                continue
            for place in _places_in(document, candidate):
                stored = stored_at(document, place.parts)
                value = None if stored is None else read(stored)
                if value is not None and (not candidate.shaped or shape is None or shape(value)):
                    found.setdefault(value, place.path)
        return found

    def _any(self, document: Mapping[str, Any], name: str, test: Callable[[Any], bool]) -> bool:
        return any(test(stored_at(document, parts)) for _, parts in self._candidates[name])

    def _read_identity(self, document: Mapping[str, Any], row: dict[str, Any], problems: set[str]) -> None:
        value = document.get("_id")
        row["id_type"] = id_type(value)
        try:
            row["payment_id"] = ids.payment_id_text(value)
            row["payment_id"].encode()
        except (TypeError, ValueError, OverflowError):
            row["payment_id"] = json.dumps(repr(value)[:RAW_MAX])
            problems.add("id_unreadable")
        for column in ("buyer_id", "order_id", "offer_id"):
            row[column] = self._find(document, column, read=plain_text)[0]

    def _read_words(self, document: Mapping[str, Any], row: dict[str, Any], problems: set[str]) -> None:
        status = self._find(document, "status")[0]
        row["status"] = status if type(status) is str and status in STATUSES else None
        row["status_raw"] = quoted(status)
        if row["status"] is None:
            problems.add("status_missing" if status is None else "status_unknown")
        direction = self._find(document, "direction")[0]
        row["direction"] = "in" if direction is None else quoted(direction)
        if row["direction"] not in DIRECTIONS:
            problems.add("direction_unknown")
        escrow = self._find(document, "escrow_state")[0]
        row["escrow_state"] = quoted(escrow)
        if escrow is not None and escrow not in ESCROW_STATES:
            problems.add("escrow_unknown")
        for column in ("safety_status", "safety_reason"):
            row[column] = quoted(self._find(document, column)[0])
        row["confirmations"] = self._find(document, "confirmations", read=whole_number)[0]

    def _read_keys(self, document: Mapping[str, Any], row: dict[str, Any], paths: dict[str, str]) -> None:
        provider = row["provider"]
        further: list[list[str]] = []
        for name, read, shape in (
            ("request_id", request_id_of, is_request_id),
            ("reference", reference_of, None),
            ("external_id", plain_text, None),
        ):
            found = self._all(document, name, provider, read, shape)
            row[name] = next(iter(found), None)
            if found:
                paths[name] = found[row[name]]
            further += [[name, value] for value in found if value != row[name]]
        forwarder = self._find(document, "forwarder", provider, address_of)[0]
        further += [["forwarder", forwarder]] if forwarder is not None else []
        row["further_keys"] = further_text(further)
        recorded, path = self._find(document, "tx_hash", read=stored_value)
        row["tx_hash"] = ids.normalise_tx_hash(recorded) if type(recorded) is str else None
        row["tx_hash_raw"] = None if row["tx_hash"] else quoted(recorded)
        if path:
            paths["tx_hash"] = path

    def asset(self, currency: object, *, network: object, address: str | None) -> RowAsset:
        """What a stored currency, network and token address mean together."""
        chain_id = self.chain_of(network)
        coin_chain, symbol = self._coin(currency) if type(currency) is str else (None, None)
        from_coin = network is None and coin_chain is not None
        if from_coin:
            chain_id = self.chain_of(coin_chain)
        if chain_id is None:
            return RowAsset(token=address, problem="network_missing" if network is None else "network_unknown")
        word = address
        if address is None and symbol is not None:
            is_here = coin_chain is None or self.chain_of(coin_chain) == chain_id
            word = self._token_word(chain_id, str(currency).strip(), symbol if is_here else None)
        token = self.token_of(chain_id, word) if word else None
        if token is None:
            return RowAsset(chain_id, token=address_of(word), problem="token_unknown", chain_from_coin=from_coin)
        return RowAsset(
            chain_id,
            token.address,
            token.decimals,
            problem=_of_other_money(symbol, token, address=address),
            chain_from_coin=from_coin,
            by_symbol=address is None,
        )

    def _read_asset(
        self, document: Mapping[str, Any], row: dict[str, Any], paths: dict[str, str], problems: set[str]
    ) -> None:
        currency = self._find(document, "currency")[0]
        network, network_path = self._find(document, "network", read=stored_value)
        is_in_books = network is None and row["provider"] in rails_with_books()
        address, address_path = self._find(document, "token", read=address_of)
        asset = self.asset(currency, network=OFF_CHAIN_NAME if is_in_books else network, address=address)
        coin_path = self._candidates["currency"][0][0].path
        row["currency"], row["network_raw"] = quoted(currency), quoted(network)
        row["chain_id"], row["token"], row["decimals"] = asset.chain_id, asset.token, asset.decimals
        if asset.problem:
            problems.add(asset.problem)
        if asset.chain_id is not None and not is_in_books:
            paths["network"] = coin_path if asset.chain_from_coin else str(network_path)
        if asset.decimals is not None:
            paths["token"] = coin_path if asset.by_symbol else str(address_path)

    def _read_recipient(self, document: Mapping[str, Any], row: dict[str, Any], paths: dict[str, str]) -> None:
        incoming = row["direction"] == "in"
        field = "recipient" if incoming else "payout_recipient"
        recipient, path = self._find(document, field, row["provider"], address_of)
        deposits = incoming and row["provider"] in rails_with_one_time_addresses()
        row["is_deposit"] = deposits and recipient is not None
        if recipient is None and incoming and not deposits and self.merchant:
            recipient, path = self.merchant, "policy"
        row["recipient"] = recipient
        row["sender"] = self._find(document, "sender", read=address_of)[0]
        if path:
            paths["recipient"] = path

    def _derive_reference(self, document: Mapping[str, Any], row: dict[str, Any], paths: dict[str, str]) -> None:
        """Fill the reference's topic, and the reference itself from request id, salt and address if it is missing."""
        if row["reference"] is None and row["request_id"] and row["recipient"]:
            salt = self._find(document, "salt", read=plain_text)[0]
            if salt:
                row["reference"] = reference_for(
                    row["request_id"], salt, recipient=row["recipient"], chain_id=row["chain_id"]
                )
                paths["reference"] = "derived"
        row["reference_topic"] = ids.reference_topic(row["reference"]) if row["reference"] else None

    def _read_money(self, document: Mapping[str, Any], row: dict[str, Any], problems: set[str]) -> None:
        stored = self._find(document, "amount")[0]
        tolerance = self.tolerance(row["provider"], incoming=row["direction"] == "in")
        row["amount_text"], problem, units = exact_amount(stored, decimals=row["decimals"], tolerance=tolerance)
        row["expected_units"], row["covered_from_units"], row["overpaid_from_units"] = units or (None, None, None)
        if problem:
            problems.add(problem)

    def _read_marks(self, document: Mapping[str, Any], row: dict[str, Any]) -> None:
        row["disputed"] = self._any(document, "disputed", is_set) or self._any(document, "dispute_id", is_set)
        row["hold"] = self._any(document, "hold", is_set)
        row["aml_blocked"] = self._any(document, "aml", is_blocked)
        request_id = row["request_id"]
        row["is_test"] = (
            row["provider"] == "test"
            or bool(request_id and request_id.startswith("req_test"))
            or self._any(document, "test", is_set)
        )
        raw = row["tx_hash_raw"]
        row["simulated"] = bool(raw and ids.is_simulated(raw)) or self._any(document, "demo", is_set)

    def _read_times(
        self, document: Mapping[str, Any], row: dict[str, Any], paths: dict[str, str], problems: set[str]
    ) -> None:
        for column, called in TIMES.items():
            row[column], path = self._find(document, column, read=moment_ms)
            if path and column == "expires_at":
                paths["expires_at"] = path
            stored = stored_at(document, path.split(".")) if path else self._find(document, column)[0]
            if milliseconds(stored) is None and (mark := time_mark(called, stored)):
                paths[called] = mark
        if row["created_at"] is None:
            problems.add("date_unreadable")
        row["dated_at"] = row["created_at"]
        row["created_at"] = creation_ms(row["payment_id"], id_type=row["id_type"], dated_at=row["dated_at"])


def _places_in(document: Mapping[str, Any], candidate: FieldPlace) -> tuple[FieldPlace, ...]:
    """A place at every element of the array that a document holds there."""
    head, index, _ = array_in(candidate.parts)
    listed = None if index is None else stored_at(document, head)
    return candidate.at_each(max(len(listed), 1) if isinstance(listed, list) else INDEXES_READ)


def split_coin(currency: str) -> tuple[str | None, str]:
    """SHKeeper names a coin by chain and symbol; a bare symbol has no chain.

    >>> split_coin("BNB-USDT"), split_coin("USDC")
    (('BNB', 'USDT'), (None, 'USDC'))
    """
    chain, dash, symbol = currency.strip().partition("-")
    return (chain, symbol) if dash and chain and symbol else (None, currency.strip())


def is_request_id(value: object) -> bool:
    """Whether a text is a Request Network request id by its shape alone."""
    return type(value) is str and len(value) == 66 and value.startswith("01") and value.isalnum()


def candidate_values(document: Mapping[str, Any], candidate: FieldPlace) -> list[Any]:
    """Everything a document holds at a candidate path; an index into an array means any of its elements."""
    parts = candidate.parts
    for index, part in enumerate(parts):
        if part.isdigit():
            listed = stored_at(document, parts[:index])
            rest = parts[index + 1 :]
            return [stored_at(item, rest) for item in listed] if isinstance(listed, list) else []
    return [stored_at(document, parts)]


def _of_other_money(symbol: str | None, token: Token, *, address: str | None) -> str | None:
    """The problem of an amount in the money of a state that the token, which stands there by address, is not of."""
    if address is None or symbol is None or not is_other_money(symbol, token.symbol):
        return None
    return "currency_differs"


def further_text(keys: Sequence[Sequence[str]] | None) -> str | None:
    """Keys besides a row's first ones as :data:`recon.core.tables.PAYMENTS` holds them; None where there are none."""
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":")) if keys else None


def request_id_of(value: object) -> str | None:
    """A stored request id, normalised; None for what is no text, ObjectId or number."""
    text = plain_text(value)
    return ids.normalise_request_id(text) if text else None


def reference_for(request_id: str, salt: str, *, recipient: str, chain_id: int | None) -> str:
    """The reference of a request, from its recipient as its chain writes it."""
    return ids.payment_reference(request_id, salt, ids.written_address(recipient, chain_id=chain_id))


def reference_of(value: object) -> str | None:
    """A stored payment reference as 16 bare hex digits, or None."""
    return ids.normalise_reference(value) if type(value) is str else None


def address_of(value: object) -> str | None:
    """A stored address in lower case, or None."""
    return ids.normalise_address(value) if type(value) is str else None


def stored_value(value: object) -> object | None:
    """Any stored value; blank text counts as nothing."""
    return None if type(value) is str and not value.strip() else value
