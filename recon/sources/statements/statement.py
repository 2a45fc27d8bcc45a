"""What a bank statement holds, whatever its form, and whether it adds up. Pure.

A statement proves by itself that it is whole: its opening balance and its booked entries give its closing balance. One
that does not add up has lost an entry, or holds one that is wrong; what stands in it is kept, and nothing that it does
not show is concluded from it.

>>> from datetime import date
>>> from decimal import Decimal
>>> opened, closed = (Balance(Decimal(text), "EUR", date(2026, 11, 20)) for text in ("100.00", "125.50"))
>>> paid = Entry(Decimal("25.50"), "EUR", is_credit=True)
>>> why_not_whole(BankStatement("7", "DE89", opened, closed, (paid,)))
>>> why_not_whole(BankStatement("7", "DE89", opened, closed, ()))
'statement 7 of account DE89 opens with 100.00 EUR, comes to 100.00 EUR with its 0 entries, and closes with 125.50 EUR'
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from itertools import pairwise
from typing import Final, Literal

from recon.core.text import clean_text, count_text

EntryState = Literal["booked", "pending", "information"]
_EXACT: Final = Context(prec=200)


@dataclass(frozen=True, slots=True)
class Balance:
    """What stood in the account on a day: negative where it was overdrawn."""

    amount: Decimal
    currency: str
    day: date


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of a statement, or one payment of a batch.

    Args:
        amount: What moved, never negative; ``is_credit`` says whether it came in.
        is_reversal: It takes an earlier movement back: a credit that is a reversal gives back what went out, a debit
            that is one takes away what came in.
        state: Only what is booked counts.
        booked_on, valued_on: The booking date, and the date from which it bears interest.
        bank_reference: The bank's own name for it.
        end_to_end_id: What the payer named it, through all banks.
        remittance: What the payer wrote.
        part: Of a batch, the number of the payment in it, from 1.
    """

    amount: Decimal
    currency: str
    is_credit: bool
    is_reversal: bool = False
    state: EntryState = "booked"
    booked_on: date | None = None
    valued_on: date | None = None
    bank_reference: str = ""
    entry_reference: str = ""
    end_to_end_id: str = ""
    transaction_id: str = ""
    remittance: str = ""
    counterparty: str = ""
    counterparty_account: str = ""
    code: str = ""
    part: int | None = None

    @property
    def signed(self) -> Decimal:
        """What it adds to the balance."""
        return self.amount if self.is_credit else self.amount.copy_negate()


@dataclass(frozen=True, slots=True)
class BankStatement:
    """One statement of one account.

    Args:
        name: Its number or id, with the page where it has several; unique for the account.
        account: The IBAN or number of the account.
        opening, closing: Its balances; None where it has none, or not exactly one.
        entries: In their order; the payments of a batch stand for it where they add up to it.
        order: Its number and page, by which the statements of one day follow each other.
    """

    name: str
    account: str
    opening: Balance | None
    closing: Balance | None
    entries: tuple[Entry, ...]
    order: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Sha256 of all it says."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def title(self) -> str:
        """How a sentence names it."""
        return f"statement {clean_text(self.name, limit=60)} of account {clean_text(self.account, limit=40)}"

    def entry_hash(self, place: int) -> str:
        """A name for the entry at a place, in the form of a transaction hash: the same wherever the statement lies."""
        said = [self.account, self.name, place, json.dumps(asdict(self.entries[place]), sort_keys=True, default=str)]
        return "0x" + hashlib.sha256(json.dumps(said).encode()).hexdigest()


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum; the usual context would round to 28 digits."""
    found = Decimal(0)
    for each in amounts:
        found = _EXACT.add(found, each)
    return found


def why_not_whole(statement: BankStatement) -> str | None:
    """Why a statement does not prove by its balances that it is whole, as part of a sentence; None where it does."""
    opening, closing = statement.opening, statement.closing
    if opening is None or closing is None:
        return f"{statement.title} has no {'opening' if opening is None else 'closing'} balance that is booked"
    booked = [entry for entry in statement.entries if entry.state == "booked"]
    if odd := sorted({closing.currency, *(entry.currency for entry in booked)} - {opening.currency}):
        return f"{statement.title} is in {opening.currency} and holds an amount in {clean_text(odd[0], limit=10)}"
    given = total([opening.amount, *(entry.signed for entry in booked)])
    if given == closing.amount:
        return None
    return (
        f"{statement.title} opens with {_shown(opening.amount, opening)}, comes to {_shown(given, opening)} with its "
        f"{count_text(len(booked), 'entry', many='entries')}, and closes with {_shown(closing.amount, closing)}"
    )


def _shown(amount: Decimal, balance: Balance) -> str:
    return f"{format(amount, 'f')} {balance.currency}"


def doubts_of(statements: Sequence[BankStatement]) -> tuple[str, ...]:
    """Why statements are not whole: each by itself, and one after the other where one closes as the next one opens."""
    found = [why for each in statements if (why := why_not_whole(each)) is not None]
    for own in _by_account(statements):
        for before, after in pairwise(own):
            if before.closing and after.opening and before.closing.amount != after.opening.amount:
                found.append(
                    f"{before.title} closes with {_shown(before.closing.amount, before.closing)}, and the next one, "
                    f"{clean_text(after.name, limit=60)}, opens with {_shown(after.opening.amount, after.opening)}"
                )
    return tuple(found)


def days_covered(statements: Sequence[BankStatement]) -> tuple[date, date] | None:
    """The first and the last day that the statements of every account cover; None where there is no such day.

    An opening balance is that of a day's evening, or of a morning where entries were booked on that very day.
    """
    firsts, lasts = [], []
    for own in _by_account(statements):
        if own[0].opening is None or own[-1].closing is None:
            return None
        firsts.append(_first_day(own[0].opening, own))
        lasts.append(own[-1].closing.day)
    return (max(firsts), min(lasts)) if firsts and max(firsts) <= min(lasts) else None


def _first_day(opening: Balance, statements: Sequence[BankStatement]) -> date:
    booked = [entry.booked_on for each in statements for entry in each.entries if entry.state == "booked"]
    is_morning = any(day is not None and day <= opening.day for day in booked)
    return opening.day if is_morning else opening.day + timedelta(days=1)


def _by_account(statements: Sequence[BankStatement]) -> Iterator[list[BankStatement]]:
    """The statements of each account and currency, one after the other."""
    accounts: dict[tuple[str, str], list[BankStatement]] = defaultdict(list)
    for each in statements:
        told = each.opening or each.closing
        accounts[each.account, told.currency if told else ""].append(each)
    for _, own in sorted(accounts.items()):
        yield sorted(own, key=_order)


def _order(statement: BankStatement) -> tuple[str, str, tuple[int, ...], str]:
    opened, closed = statement.opening, statement.closing
    return str(closed.day if closed else ""), str(opened.day if opened else ""), statement.order, statement.name


def told_twice(statements: Sequence[BankStatement]) -> str | None:
    """Why the same money may stand in two statements, as part of a sentence; None where it stands in one only.

    Two entries of one account that are the same in every word are two movements only inside one statement.
    """
    seen: dict[tuple[str, str], BankStatement] = {}
    for statement in statements:
        for entry in statement.entries:
            said = asdict(entry)
            if entry.bank_reference:
                names = ("amount", "currency", "is_credit", "booked_on", "bank_reference", "part")
                said = {name: said[name] for name in names}
            key = (statement.account, json.dumps(said, sort_keys=True, default=str))
            if (other := seen.setdefault(key, statement)) is not statement:
                amount = f"{format(entry.amount, 'f')} {entry.currency}"
                return (
                    f"the same entry of {amount} stands in {other.title} and in {clean_text(statement.name, limit=60)}"
                )
    return None
