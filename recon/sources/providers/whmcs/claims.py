"""Invoices of WHMCS as claims. The word of an invoice and its money are two things, and both are told.

What came for an invoice is the sum of its transactions, in less out, and the credit that was applied to it. An invoice
that others are paid by (mass payment) holds the money; the others are settled by credit, so each counts once. One that
was marked as paid holds none. WHMCS's ``total`` is what is left after credit: what was asked is subtotal and taxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from recon.core.money import format_units
from recon.core.registry import Registry, Token
from recon.core.registry.off_chain import OFF_CHAIN
from recon.sources.providers.claims import Row as ClaimRow
from recon.sources.providers.claims import Said, digest_of, fits, problem_text, text_or_none
from recon.sources.providers.whmcs.answers import Row, moment_of, number_of, units_of
from recon.sources.providers.whmcs.words import INVOICE_WORDS

NAME: Final = "whmcs"
_STATES: Final = {word.lower(): state for word, state in INVOICE_WORDS.items()}


@dataclass(frozen=True, slots=True)
class Reader:
    """What invoices are read with.

    Args:
        zone: The zone of the installation.
        currencies: Those that the settings name; with one alone an invoice that names none is in it.
    """

    registry: Registry
    zone: tzinfo
    currencies: tuple[str, ...]

    def token(self, row: Row) -> Token | None:
        """The currency of an invoice; None where it is not known."""
        code = text_or_none(row.get("currencycode"))
        if code is None and len(self.currencies) == 1:
            code = self.currencies[0]
        return None if code is None else self.registry.token(OFF_CHAIN, code)


@dataclass(frozen=True, slots=True)
class InvoiceMoney:
    """What an invoice asks and what came for it, base units; None where a part of it cannot be read."""

    asked: int | None
    came_in: int
    went_out: int
    credit: int

    @property
    def held(self) -> int:
        """What stands to it."""
        return self.came_in - self.went_out + self.credit


def claim_of(row: Row, transactions: Sequence[Row] | None, *, reader: Reader, at_ms: int) -> Said:
    """The claim of one invoice; ``transactions`` are its own ones, None where they could not be read."""
    invoice_id = number_of(row.get("id", row.get("invoiceid")))
    token = reader.token(row)
    problems = set() if token is not None else {"token_unknown"}
    money = None if token is None else _money(row, transactions, token=token, problems=problems)
    word = text_or_none(row.get("status"))
    state = _state(word, money, problems=problems)
    asked = None if money is None or token is None else money.asked
    created = moment_of(row.get("created_at"), zone=reader.zone) or moment_of(row.get("date"), zone=reader.zone)
    claim: ClaimRow = {
        "provider": NAME,
        "claim_id": str(invoice_id),
        "object": "invoice",
        "outcome": "found",
        "external_id": str(invoice_id),
        "state": state,
        "state_raw": word,
        "asked_amount": None if asked is None or token is None else format_units(asked, decimals=token.decimals),
        "paid_units": max(money.held, 0) if money is not None and fits(money.held) else None,
        "token": None if token is None else token.address,
        "chain_id": None if token is None else OFF_CHAIN,
        "created_at": created,
        "looked_up_at": at_ms,
        "problem": problem_text(problems),
        "digest": digest_of({"invoice": row, "transactions": transactions}),
    }
    return Said(claim)


def _money(row: Row, transactions: Sequence[Row] | None, *, token: Token, problems: set[str]) -> InvoiceMoney | None:
    """What an invoice asks and what came; None where the money could not be read whole."""
    if transactions is None:
        problems.add("payments_unread")
        return None
    if len({number_of(each.get("currency")) for each in transactions} - {0, None}) > 1:
        problems.add("several_tokens")
        return None
    came_in, went_out = (_summed(transactions, name, decimals=token.decimals) for name in ("amountin", "amountout"))
    credit = units_of(row.get("credit", "0"), decimals=token.decimals)
    if came_in is None or went_out is None or credit is None:
        problems.add("amount_unreadable")
        return None
    asked = _asked(row, credit, decimals=token.decimals)
    money = InvoiceMoney(asked, came_in, went_out, credit)
    if asked is None:
        problems.add("amount_unreadable")
    elif not _adds_up(row, money, decimals=token.decimals):
        problems.add("sum_disagrees")
    return money


def _summed(transactions: Sequence[Row], name: str, *, decimals: int) -> int | None:
    """The sum of one amount of all transactions; None where one cannot be read, or is negative."""
    amounts = [units_of(each.get(name, "0"), decimals=decimals) for each in transactions]
    known = [amount for amount in amounts if amount is not None and amount >= 0]
    return sum(known) if len(known) == len(amounts) else None


def _asked(row: Row, credit: int, *, decimals: int) -> int | None:
    """Subtotal and taxes; where they are not told, the total before credit."""
    parts = [units_of(row.get(name, "0"), decimals=decimals) for name in ("tax", "tax2")]
    subtotal = units_of(row.get("subtotal"), decimals=decimals)
    if subtotal is None:
        total = units_of(row.get("total"), decimals=decimals)
        return None if total is None else total + credit
    return None if None in parts else subtotal + sum(part or 0 for part in parts)


def _adds_up(row: Row, money: InvoiceMoney, *, decimals: int) -> bool:
    """Whether total and balance, where they are told, follow from what was asked and came."""
    total, balance = (units_of(row.get(name), decimals=decimals) for name in ("total", "balance"))
    asked = money.asked or 0
    fits_total = total is None or total in (asked, asked - money.credit)
    return fits_total and (balance is None or balance == asked - money.held)


def _state(word: str | None, money: InvoiceMoney | None, *, problems: set[str]) -> str:
    """The state of a claim, from the word and from the money; where they contradict each other, that is told."""
    state = _STATES.get((word or "").lower())
    if state is None:
        problems.add("unknown_word" if word else "state_missing")
        return "unknown"
    if money is None:
        return state
    return _by_money(state, money, problems=problems)


def _by_money(state: str, money: InvoiceMoney, *, problems: set[str]) -> str:
    if money.went_out and state in ("paid", "unpaid", "refunded"):
        state = _after_refund(state, money)
    if state == "unpaid":
        return _unpaid(money, problems=problems)
    if state == "cancelled" and money.held:
        problems.add("state_conflict")
    if state == "paid" and money.asked is not None and money.held > money.asked:
        return "overpaid"
    return state


def _after_refund(state: str, money: InvoiceMoney) -> str:
    """The state of an invoice from which money went back: all of it, a part, or only what was too much."""
    if money.held <= 0:
        return "refunded"
    is_short = money.asked is None or money.held < money.asked
    return "partial" if is_short else "paid" if state == "refunded" else state


def _unpaid(money: InvoiceMoney, *, problems: set[str]) -> str:
    """An invoice that is not paid yet: a part may have come; with all of it there, the word is wrong."""
    if money.held <= 0:
        return "unpaid"
    if money.asked is not None and money.held < money.asked:
        return "partial"
    problems.add("state_conflict")
    return "unpaid"


def by_invoice(transactions: Sequence[Row]) -> Mapping[int, list[Row]]:
    """The transactions of each invoice; those without one are credit of a client and stand under 0."""
    found: dict[int, list[Row]] = {}
    for each in transactions:
        found.setdefault(number_of(each.get("invoiceid")) or 0, []).append(each)
    return found
