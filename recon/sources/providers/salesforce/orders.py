"""One order as one claim: was it approved, is what was ordered delivered, and for how much. Pure.

An order holds no money. What it proves is its own state and sum: an order that is delivered counts with its whole
sum, any other with nothing. A worked example::

    Approved   Activating  100.00   held_service  0
    Approved   Active      100.00   paid          10000
    Pending Review  Active 100.00   paid          10000, and state_conflict: it was delivered though nobody approved it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from recon.core.errors import MoneyError
from recon.core.money import UNITS_MAX, format_units, parse_units
from recon.core.registry import Registry, Token
from recon.core.registry.off_chain import OFF_CHAIN
from recon.sources.providers.claims import Row, Said, digest_of, parse_ms, problem_text, text_or_none
from recon.sources.providers.salesforce.words import DELIVERY_WORDS, STATUS_WORDS

NAME: Final = "salesforce"
DELETED: Final = "Deleted"
_ID: Final = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?\Z")
_ENDINGS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_NUMBER: Final = re.compile(r"-?[0-9]{1,24}(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?\Z")
_DIGITS_MAX: Final = 15
"""So many digits of a number come through a double as they were; a longer one may have been another."""


def whole_id(text: object) -> str | None:
    """An id with its 18 characters; None for what is none, and where the ending does not fit the case of the rest.

    >>> whole_id("8015g00000A1b2C")
    '8015g00000A1b2CAAR'
    >>> whole_id("8015g00000a1b2cAAR") is None
    True
    """
    if not isinstance(text, str) or not _ID.match(text):
        return None
    ending = ""
    for begin in (0, 5, 10):
        part = text[begin : begin + 5]
        ending += _ENDINGS[sum(1 << place for place, letter in enumerate(part) if letter.isupper())]
    return text[:15] + ending if text[15:] in ("", ending) else None


@dataclass(frozen=True, slots=True)
class OrderFields:
    """Where an installation keeps what is read of an order; an empty name is not asked for."""

    object_name: str = "Order"
    status: str = "Status"
    amount: str = "TotalAmount"
    delivery: str = "Activation_Status__c"
    scheduled: str = "Activation_Scheduled_At__c"
    error: str = ""
    billing: str = ""

    def asked(self, *, with_currency: bool) -> tuple[str, ...]:
        """The fields of a query, each once."""
        own = (self.status, self.amount, self.delivery, self.scheduled, self.error, self.billing)
        code = ("CurrencyIsoCode",) if with_currency else ()
        return tuple(dict.fromkeys(name for name in ("Id", "IsDeleted", "CreatedDate", *own, *code) if name))


@dataclass(frozen=True, slots=True)
class OrderReader:
    """What orders are read with.

    Args:
        currencies: Those that the settings name; with one alone every order is in it.
        words: Further words, lower case, and their meaning.
        billing_errors: Codes in the error field that say that it cannot be billed.
    """

    registry: Registry
    currencies: tuple[str, ...]
    fields: OrderFields = OrderFields()
    words: Mapping[str, str] = field(default_factory=dict)
    billing_errors: tuple[str, ...] = ()

    def token(self, order: Mapping[str, Any]) -> Token | None:
        """The currency of an order; None where it is not known."""
        code = self.currencies[0] if len(self.currencies) == 1 else text_or_none(order.get("CurrencyIsoCode"))
        return None if code is None else self.registry.token(OFF_CHAIN, code)

    def claim(self, order: Mapping[str, Any], *, external_id: str, at_ms: int) -> Said:
        """The claim of one order, under the id by which it was asked for."""
        problems: set[str] = set()
        token = self.token(order)
        total = _units(order.get(self.fields.amount), token=token, problems=problems)
        state = self._state(order, problems=problems, at_ms=at_ms)
        if state == "paid" and self._is_unbilled(order):
            problems.add("billing_missing")
        claim: Row = {
            "provider": NAME,
            "claim_id": external_id,
            "object": "order",
            "outcome": "found",
            "external_id": external_id,
            "state": state,
            "state_raw": self._said(order),
            "asked_amount": None if total is None or token is None else format_units(total, decimals=token.decimals),
            "paid_units": None if total is None else total if state == "paid" else 0,
            "token": None if token is None else token.address,
            "chain_id": None if token is None else OFF_CHAIN,
            "created_at": parse_ms(order.get("CreatedDate")),
            "looked_up_at": at_ms,
            "problem": problem_text(problems),
            "digest": digest_of({name: value for name, value in order.items() if name != "attributes"}),
        }
        return Said(claim)

    def _is_unbilled(self, order: Mapping[str, Any]) -> bool:
        return bool(self.fields.billing) and not text_or_none(order.get(self.fields.billing))

    def _said(self, order: Mapping[str, Any]) -> str:
        """Its own words, all of them: status, delivery and error."""
        if order.get("IsDeleted") is True:
            return DELETED
        names = (self.fields.status, self.fields.delivery, self.fields.error)
        words = [text_or_none(order.get(name), limit=60) for name in names if name]
        return ", ".join(word for word in words if word) or "no status"

    def _state(self, order: Mapping[str, Any], *, problems: set[str], at_ms: int) -> str:
        is_deleted = order.get("IsDeleted") is True
        status = "cancelled" if is_deleted else self._meaning(order.get(self.fields.status), STATUS_WORDS)
        delivery = self._delivery(order)
        if "unknown" in (status, delivery):
            problems.add("unknown_word" if order.get(self.fields.status) else "state_missing")
            return "unknown"
        if status != "held_service":
            if delivery == "paid":
                problems.add("state_conflict")
            return status if delivery != "paid" else "paid"
        if delivery == "held_service" and self._has_billing_error(order):
            return "held_billing"
        is_due_later = delivery == "held_service" and (self._scheduled_ms(order) or 0) > at_ms
        return "unpaid" if is_due_later else delivery

    def _delivery(self, order: Mapping[str, Any]) -> str:
        """What the delivery says; where no field tells, an order that is activated is delivered."""
        if not self.fields.delivery:
            is_active = (text_or_none(order.get(self.fields.status)) or "").lower() == "activated"
            return "paid" if is_active else "held_service"
        word = order.get(self.fields.delivery)
        return "held_service" if word in (None, "") else self._meaning(word, DELIVERY_WORDS)

    def _meaning(self, word: object, known: Mapping[str, str]) -> str:
        text = (text_or_none(word) or "").lower()
        return self.words.get(text) or known.get(text, "unknown")

    def _has_billing_error(self, order: Mapping[str, Any]) -> bool:
        return bool(self.fields.error) and order.get(self.fields.error) in self.billing_errors

    def _scheduled_ms(self, order: Mapping[str, Any]) -> int | None:
        return parse_ms(order.get(self.fields.scheduled)) if self.fields.scheduled else None


def _units(value: object, *, token: Token | None, problems: set[str]) -> int | None:
    """The sum of an order in base units; numbers come as text, and large ones with an exponent."""
    if token is None:
        problems.add("token_unknown")
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _NUMBER.match(text):
        problems.add("amount_unreadable")
        return None
    number = Decimal(text)
    if len(number.normalize().as_tuple().digits) > _DIGITS_MAX:
        problems.add("float_noise")
        return None
    try:
        units = parse_units(format(number, "f"), decimals=token.decimals)
    except MoneyError:
        units = -1
    if not 0 <= units <= UNITS_MAX:
        problems.add("amount_unreadable")
        return None
    return units
