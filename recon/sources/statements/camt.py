"""ISO 20022 camt.053 read into statements.

The XML comes from outside: a document type, and with it every entity, is refused before anything is read of it, and so
is a file that is too large or nested too deeply. Every version of camt.053 has the same places for what is needed
here. A reversal keeps the sign that its own mark gives it: a debit that is a reversal takes money away.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from recon.core.errors import UsageError
from recon.core.text import clean_text
from recon.sources.statements.statement import Balance, BankStatement, Entry, EntryState, total

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEPTH_MAX: Final = 40
PARTS_MAX: Final = 1_000_000
_STATEMENT: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.[0-9]{3}\.[0-9]{2}\Z")
_AMOUNT: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,10})?\Z")
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")
_STATES: Final[dict[str, EntryState]] = {"BOOK": "booked", "PDNG": "pending", "INFO": "information", "FUTR": "pending"}
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = "CLBD"


class StatementError(UsageError):
    """A bank statement cannot be read."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"it is no bank statement that can be read: {why}")


def parse_camt(content: bytes) -> list[BankStatement]:
    """Read the statements of a camt.053 message.

    Raises:
        StatementError: It is no such message, holds a document type, or an amount, a date or a mark cannot be read.
    """
    root = _root(content)
    space, _, name = root.tag.rpartition("}")
    if name != "Document" or not _STATEMENT.match(space.removeprefix("{")):
        raise StatementError(why=f"its first element is {clean_text(root.tag, limit=100)!r}, which is no camt.053")
    messages = _all(root, "BkToCstmrStmt")
    return [_statement(each) for message in messages for each in _all(message, "Stmt")]


def _root(content: bytes) -> Element:
    import io
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    depth, parts, first = 0, 0, None
    try:
        for event, element in iterparse(io.BytesIO(content), events=("start", "end"), forbid_dtd=True):
            first = element if first is None else first
            depth += 1 if event == "start" else -1
            parts += event == "start"
            if depth > DEPTH_MAX or parts > PARTS_MAX:
                raise StatementError(why="it is nested too deeply, or has too many parts")
    except DefusedXmlException as error:
        raise StatementError(why="it has a document type or entities, which no statement has") from error
    except (ParseError, LookupError, ValueError) as error:
        raise StatementError(why=f"it is no XML ({clean_text(error, limit=100)})") from error
    if first is None:
        raise StatementError(why="it is empty")
    found: Element = first
    return found


def _all(element: Element | None, *path: str) -> list[Element]:
    """The elements at a path of local names; namespaces were looked at once, in the root."""
    found = [] if element is None else [element]
    for name in path:
        found = [child for each in found for child in each if child.tag.rpartition("}")[2] == name]
    return found


def _one(element: Element | None, *path: str) -> Element | None:
    return next(iter(_all(element, *path)), None)


def _text(element: Element | None, *path: str) -> str:
    """The text at a path, of several the first that holds some; empty where there is none."""
    return next((text for each in _all(element, *path) if (text := (each.text or "").strip())), "")


def _statement(element: Element) -> BankStatement:
    account = _text(element, "Acct", "Id", "IBAN") or _text(element, "Acct", "Id", "Othr", "Id")
    name = _text(element, "Id")
    if not account or not name:
        raise StatementError(why="a statement names no account or has no id of its own")
    page = _text(element, "StmtPgntn", "PgNb")
    numbers = (_text(element, "LglSeqNb"), _text(element, "ElctrncSeqNb"), page)
    return BankStatement(
        name=f"{name}/{page}" if page else name,
        account=account,
        opening=_balance(element, *_OPENING),
        closing=_balance(element, _CLOSING),
        entries=tuple(entry for each in _all(element, "Ntry") for entry in _entries(each)),
        order=tuple(int(each) if each.isascii() and each.isdigit() and len(each) < 19 else 0 for each in numbers),
    )


def _balance(element: Element, *kinds: str) -> Balance | None:
    """The balance of the first kind that the statement has exactly once."""
    for kind in kinds:
        own = [each for each in _all(element, "Bal") if _text(each, "Tp", "CdOrPrtry", "Cd") == kind]
        if len(own) > 1:
            return None
        if own:
            amount, currency = _amount(_one(own[0], "Amt"))
            day = _day(_one(own[0], "Dt"))
            if day is None:
                raise StatementError(why="a balance has no date")
            return Balance(amount if _is_credit(own[0]) else amount.copy_negate(), currency, day)
    return None


def _amount(element: Element | None) -> tuple[Decimal, str]:
    text = "" if element is None else (element.text or "").strip()
    currency = "" if element is None else element.get("Ccy", "")
    if not _AMOUNT.match(text) or not _CURRENCY.match(currency):
        shown = clean_text(f"{text} {currency}", limit=60)
        raise StatementError(why=f"{shown!r} is no amount with its currency")
    try:
        return Decimal(text), currency
    except InvalidOperation as error:  # pragma: no cover - the pattern lets nothing through that is none
        raise StatementError(why=f"{clean_text(text, limit=40)!r} is no amount") from error


def _is_credit(element: Element) -> bool:
    mark = _text(element, "CdtDbtInd")
    if mark not in ("CRDT", "DBIT"):
        raise StatementError(why=f"the mark {clean_text(mark, limit=20)!r} is neither CRDT nor DBIT")
    return mark == "CRDT"


def _day(element: Element | None) -> date | None:
    """A date, or the day of a time as the bank wrote it."""
    text = _text(element, "Dt") or _text(element, "DtTm")
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise StatementError(why=f"{clean_text(text, limit=40)!r} is no date") from error


def _flag(element: Element, name: str) -> bool:
    text = _text(element, name)
    if text not in ("", "true", "false", "1", "0"):
        raise StatementError(why=f"{name} is {clean_text(text, limit=20)!r}, which is neither true nor false")
    return text in ("true", "1")


def _entries(element: Element) -> tuple[Entry, ...]:
    """An entry, or the payments of its batch where each has an amount and they add up to it."""
    whole = _entry(element)
    details = _all(element, "NtryDtls", "TxDtls")
    if len(details) <= 1:
        return tuple(_part(each, whole) for each in details) or (whole,)
    parts = tuple(_of_batch(each, whole, number) for number, each in enumerate(details, start=1))
    told = [part for part in parts if part is not None and part.currency == whole.currency]
    return (
        tuple(told) if len(told) == len(details) and total(each.signed for each in told) == whole.signed else (whole,)
    )


def _entry(element: Element) -> Entry:
    """An entry as a whole, without what its details say."""
    amount, currency = _amount(_one(element, "Amt"))
    word = _text(element, "Sts", "Cd") or _text(element, "Sts")
    state = _STATES.get(word)
    if state is None:
        raise StatementError(why=f"the state {clean_text(word, limit=20)!r} of an entry is not known")
    return Entry(
        amount,
        currency,
        is_credit=_is_credit(element),
        is_reversal=_flag(element, "RvslInd"),
        state=state,
        booked_on=_day(_one(element, "BookgDt")),
        valued_on=_day(_one(element, "ValDt")),
        bank_reference=_text(element, "AcctSvcrRef"),
        entry_reference=_text(element, "NtryRef"),
        code=_code(element),
    )


def _code(element: Element) -> str:
    domain = _one(element, "BkTxCd", "Domn")
    parts = (_text(domain, "Cd"), _text(domain, "Fmly", "Cd"), _text(domain, "Fmly", "SubFmlyCd"))
    return "/".join(part for part in parts if part) or _text(element, "BkTxCd", "Prtry", "Cd")


def _of_batch(details: Element, whole: Entry, number: int) -> Entry | None:
    """One payment of a batch with an amount of its own; None where it names none."""
    place = _one(details, "Amt")
    if place is None:
        place = _one(details, "AmtDtls", "TxAmt", "Amt")
    if place is None:
        return None
    amount, currency = _amount(place)
    has_mark = _one(details, "CdtDbtInd") is not None
    is_credit = _is_credit(details) if has_mark else whole.is_credit
    return replace(_part(details, whole), amount=amount, currency=currency, is_credit=is_credit, part=number)


def _part(details: Element, whole: Entry) -> Entry:
    """An entry with what its details say of it; its amount stays the entry's."""
    # Of a reversal the parties stand as they stood in the movement that it takes back.
    other = "Dbtr" if whole.is_credit is not whole.is_reversal else "Cdtr"
    parties = _one(details, "RltdPties")
    held = _one(parties, f"{other}Acct", "Id")
    free = (each.text or "" for each in _all(details, "RmtInf", "Ustrd"))
    texts = (*free, _text(details, "RmtInf", "Strd", "CdtrRefInf", "Ref"))
    end_to_end = _text(details, "Refs", "EndToEndId")
    return replace(
        whole,
        bank_reference=_text(details, "Refs", "AcctSvcrRef") or whole.bank_reference,
        end_to_end_id="" if end_to_end == "NOTPROVIDED" else end_to_end,
        transaction_id=_text(details, "Refs", "TxId"),
        remittance=" ".join(text.strip() for text in texts if text.strip()),
        counterparty=_text(parties, other, "Nm") or _text(parties, other, "Pty", "Nm"),
        counterparty_account=_text(held, "IBAN") or _text(held, "Othr", "Id"),
    )
