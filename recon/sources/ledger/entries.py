"""What one document of a ledger states, as a row of the table ``ledger``.

Amounts are exact: text, Decimal128, whole numbers, and doubles that mean a decimal. What cannot be read is named in
``problem`` and enters no sum; it is never dropped. A worked example, in single books of USDC with six decimals::

    {type: "gross_paid", amount: "12.5"}                    units 12500000   effect 12500000
    {type: "release", amount: "12", reverses: <another>}    units -12000000  effect 12000000: it takes a release back
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import MoneyError
from recon.core.ids import normalise_account, normalise_address, payment_id_text
from recon.core.money import UNITS_MAX, nearest_units, parse_units
from recon.core.times import epoch_ms, parse_iso_ms, to_ms
from recon.core.values import ABSENT, STAMP, value_at
from recon.sources.ledger.mapping import LedgerMapping
from recon.sources.payments.documents import plain_text, quoted
from recon.sources.payments.stored_amounts import amount_words

if TYPE_CHECKING:
    from recon.core.registry import Registry

_LIFTS: Final = frozenset({"gross"})
_LOWERS: Final = frozenset({"fee", "released", "refunded"})


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What an entry takes from its payment where it does not say it itself."""

    payment_id: str
    chain_id: int | None
    token: str | None
    decimals: int | None
    currency: str | None


def payment_spellings(value: object) -> tuple[str, ...]:
    """How the payments table may spell the id that an entry names: as it is stored, then as its text or ObjectId."""
    if value is None or value is ABSENT:
        return ()
    try:
        found = [str(payment_id_text(value))]
        plain = plain_text(value)
    except (TypeError, ValueError, OverflowError):
        return ()
    if plain is not None:
        found += [plain, str(payment_id_text(plain))]
    return tuple(dict.fromkeys(found))


def payment_named(document: Mapping[str, Any], mapping: LedgerMapping) -> tuple[str, ...]:
    """The spellings of the payment that an entry names; none where it names none."""
    return () if mapping.payment is None else payment_spellings(value_at(document, mapping.payment))


def reversed_entry(document: Mapping[str, Any], mapping: LedgerMapping) -> str | None:
    """The id of the entry that this one takes back, as the table spells ids."""
    value = None if mapping.reverses is None else value_at(document, mapping.reverses)
    found = payment_spellings(value)
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _Asset:
    """The token of an entry, as far as it is known."""

    chain_id: int | None
    token: str | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads documents as rows of the table ``ledger``."""

    mapping: LedgerMapping
    registry: Registry

    def row(self, document: Mapping[str, Any], payment: PaymentFacts | None, *, reach: str) -> dict[str, Any]:
        """One entry.

        Args:
            payment: What is known of its payment; None where it was not read.
            reach: As in the table.
        """
        mapping = self.mapping
        spelled = payment_named(document, mapping)
        kind_raw = quoted(_at(document, mapping.kind))
        kind = mapping.kind_of.get(kind_raw or "")
        asset = self._asset(document, payment)
        row: dict[str, Any] = {
            "entry_id": payment_id_text(document["_id"]),
            "payment_id": payment.payment_id if payment is not None else (spelled[0] if spelled else None),
            "deal_id": plain_text(_at(document, mapping.deal)),
            "kind": kind,
            "kind_raw": kind_raw,
            "account": plain_text(_at(document, mapping.account)),
            "chain_id": asset.chain_id,
            "token": asset.token,
            "decimals": asset.decimals,
            "at": _time_ms(_at(document, mapping.time)),
            "reverses": reversed_entry(document, mapping),
            "is_ours": _at(document, STAMP) is not None,
            "group_id": plain_text(_at(document, mapping.group)),
            "reach": reach if spelled or reach == "old" else "none",
        }
        return row | self._stated(document, row)

    def _stated(self, document: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        """The amount of an entry, or why it has none that can be summed."""
        stated, amount_text, problem = self._amount(document, row["decimals"])
        problems = [*([problem] if problem else []), *self._problems(row)]
        side = self._side(document)
        if self.mapping.signs == "side" and side is None:
            problems.append("side_unknown")
        told = {"amount_text": amount_text, "problem": " ".join(sorted(problems)) or None}
        return told if problems or stated is None else told | self._signed(row, stated, side)

    def _problems(self, row: Mapping[str, Any]) -> list[str]:
        found = []
        if row["kind"] is None:
            found.append("kind_unknown")
        if row["token"] is None:
            found.append("token_unknown")
        if self.mapping.rules.is_double and row["group_id"] is None:
            found.append("group_missing")
        return found

    def _asset(self, document: Mapping[str, Any], payment: PaymentFacts | None) -> _Asset:
        """The token of an entry: as it says, and as its payment says where it does not."""
        said_chain = plain_text(_at(document, self.mapping.chain))
        chain_id = self.registry.chain_id(said_chain)
        if said_chain is None and payment is not None:
            chain_id = payment.chain_id
        said = plain_text(_at(document, self.mapping.token))
        own = None if payment is None or payment.chain_id != chain_id else payment
        if said is None:
            return _Asset(chain_id) if own is None else _Asset(chain_id, own.token, own.decimals)
        return _Asset(None) if chain_id is None else self._token(said, chain_id, own)

    def _token(self, said: str, chain_id: int, own: PaymentFacts | None) -> _Asset:
        """A token by its contract or its symbol, of which its payment may know more than the registry."""
        address = normalise_address(said) or normalise_account(said)
        known = (
            self.registry.token(chain_id, said) if address is None else self.registry.tokens.get((chain_id, address))
        )
        if known is not None:
            return _Asset(chain_id, known.address, known.decimals)
        is_own = own is not None and (own.token == address or said.upper() == (own.currency or "").upper())
        if is_own and own is not None:
            return _Asset(chain_id, own.token, own.decimals)
        return _Asset(chain_id, address)

    def _amount(self, document: Mapping[str, Any], decimals: int | None) -> tuple[int | None, str | None, str | None]:
        """The stated base units, the amount as text, and the problem code if there is one."""
        stored = _at(document, self.mapping.amount)
        text, problem = amount_words(stored)
        if text is None:
            return None, quoted(stored), "amount_too_large" if problem == "amount_too_large" else "amount_unreadable"
        places = 0 if self.mapping.amount_in == "base" else decimals
        if places is None:
            return None, text, None
        try:
            units: int | None = parse_units(text, decimals=places)
        except MoneyError:
            units = nearest_units(text, decimals=places) if isinstance(stored, float) else None
        if units is None:
            return None, text, "amount_too_fine"
        return (None, text, "amount_too_large") if abs(units) > UNITS_MAX else (units, text, None)

    def _side(self, document: Mapping[str, Any]) -> int | None:
        """1 for a credit, -1 for a debit."""
        word = (plain_text(_at(document, self.mapping.side)) or "").lower()
        return 1 if word in self.mapping.credit else -1 if word in self.mapping.debit else None

    def _signed(self, row: Mapping[str, Any], stated: int, side: int | None) -> dict[str, Any]:
        """The amount in the words of its kind, what it does to what is held, and to its group."""
        kind, takes_back = row["kind"], row["reverses"] is not None
        is_double = self.mapping.rules.is_double
        turns = -1 if kind in (_LIFTS if is_double else _LOWERS) else 1
        if self.mapping.signs == "kind":
            units = -abs(stated) if takes_back else stated
            balance = turns * units
        else:
            balance = stated if side is None or self.mapping.signs == "amount" else side * stated
            units = turns * balance
        counts = (kind == "held") == is_double
        return {
            "units": units,
            "effect_units": balance if counts else 0,
            "balance_units": balance if is_double else None,
            "undoes_units": -units if takes_back else None,
        }


def text_at(document: Mapping[str, Any], path: str | None) -> str | None:
    """The text of what an entry says at a path; None where it says nothing there."""
    return plain_text(_at(document, path))


def _at(document: Mapping[str, Any], path: str | None) -> Any:
    if path is None:
        return None
    value = value_at(document, path)
    return None if value is ABSENT else value


def _time_ms(value: object) -> int | None:
    """When an entry was made, UTC milliseconds: a date, an ISO text, or a UNIX time."""
    if isinstance(value, datetime):
        return to_ms(value)
    if type(value).__name__ == "DatetimeMS":
        return int(value)  # type: ignore[call-overload,no-any-return]
    if isinstance(value, str):
        return parse_iso_ms(value)
    return epoch_ms(int(value)) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def spelled_once(documents: Sequence[Mapping[str, Any]], mapping: LedgerMapping) -> set[str]:
    """Every spelling of every payment that the documents name."""
    return {spelled for document in documents for spelled in payment_named(document, mapping)}
