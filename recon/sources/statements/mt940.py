"""MT940 read into statements, by the library ``mt-940``, which is held to the text that it was given.

The library forgives much. Nothing is forgiven here: a statement whose lines it does not give one for one is refused,
and a text is never taken for the name of a file. RC, the reversal of a credit, takes money away; RD gives it back.
"""

from __future__ import annotations

import logging
import re
from datetime import date
from decimal import Decimal
from typing import Any, Final

from recon.core.text import clean_text
from recon.sources.statements.camt import StatementError
from recon.sources.statements.statement import Balance, BankStatement, Entry

_BLOCK: Final = re.compile(r"(?m)^(?=:20:)")
_LINE: Final = re.compile(r"(?m)^:61:")
_BALANCES: Final = re.compile(r"(?m)^:(60|62)[FM]?:")
_MARK: Final = re.compile(r"(?m)^:61:[0-9]{6}(?:[0-9]{4}| {4})?(R?[DC])[A-Z]?[0-9]{1,12},[0-9]{0,6}(?![0-9,])")
_STRUCTURED: Final = re.compile(r"\?(?:2[0-9]|6[0-3])([^?]*)")
_OPENING: Final = ("final_opening_balance", "intermediate_opening_balance", "opening_balance")
_CLOSING: Final = ("final_closing_balance", "intermediate_closing_balance", "closing_balance")


def parse_mt940(content: bytes) -> list[BankStatement]:
    """Read the statements of an MT940 file.

    Raises:
        StatementError: It is no such file, or a line of it cannot be read exactly.
    """
    logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)  # it would log what a statement holds
    text = _decoded(content)
    head, *blocks = _BLOCK.split(text)
    if not blocks:
        raise StatementError(why="it has no line :20:, with which every MT940 begins")
    if _LINE.search(head):
        raise StatementError(why="a line :61: stands before the first :20:")
    return [_statement(block) for block in blocks]


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _statement(block: str) -> BankStatement:
    marks = [found[1] for found in _MARK.finditer(block)]
    lines = len(_LINE.findall(block))
    if len(marks) != lines:
        raise StatementError(why=f"lines :61: without a plain date, mark and amount: {lines - len(marks)} of {lines}")
    data, read = _read(block)
    if len(read) != lines:
        raise StatementError(why=f"lines :61: that could be told apart: {len(read)} of {lines}")
    account = str(data.get("account_identification") or "").strip()
    if not account:
        raise StatementError(why="a statement names no account (:25:)")
    opening, closing = _balances(block, data)
    known = opening or closing
    number, page = (str(data.get(name) or "0") for name in ("statement_number", "sequence_number"))
    day = f"{closing.day.isoformat()} " if closing else ""
    pairs = zip(read, marks, strict=True)
    return BankStatement(
        name=f"{day}{number}/{page}",
        account=account,
        opening=opening,
        closing=closing,
        entries=tuple(_entry(each, mark=mark, currency=known.currency if known else "") for each, mark in pairs),
        order=(int(number), int(page)),
    )


def _read(block: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the library makes of one statement: what it says of itself, and of each of its lines."""
    from mt940 import Options
    from mt940.models import Transactions

    plain: dict[str, list[Any]] = {"post_transaction_details": [], "post_statement": []}
    found = Transactions(processors=plain, options=Options.all())
    try:
        found.parse(block)
    except Exception as error:  # a library that reads text from outside, and anything may come out of it
        raise StatementError(why=f"a line of it is of another form ({type(error).__name__})") from error
    return found.data, [each.data for each in found.transactions]


def _balances(block: str, data: dict[str, Any]) -> tuple[Balance | None, Balance | None]:
    """Its opening and closing balance; a statement that has more than these two has none that counts."""
    if len(_BALANCES.findall(block)) != 2:
        return None, None
    return _balance(data, _OPENING), _balance(data, _CLOSING)


def _balance(data: dict[str, Any], names: tuple[str, ...]) -> Balance | None:
    found = next((data[name] for name in names if data.get(name) is not None), None)
    if found is None:
        return None
    day = found.date
    return Balance(found.amount.amount, str(found.amount.currency).upper(), date(day.year, day.month, day.day))


def _entry(data: dict[str, Any], *, mark: str, currency: str) -> Entry:
    amount: Decimal = data["amount"].amount
    valued, booked = data["date"], data.get("entry_date") or data["date"]
    details = str(data.get("transaction_details") or "")
    reference = str(data.get("customer_reference") or "").strip()
    return Entry(
        abs(amount),
        currency,
        is_credit=mark in ("C", "RD"),
        is_reversal=mark in ("RC", "RD"),
        booked_on=date(booked.year, booked.month, booked.day),
        valued_on=date(valued.year, valued.month, valued.day),
        bank_reference=str(data.get("bank_reference") or "").strip(),
        end_to_end_id=_keyword(details, "EREF") or ("" if reference == "NONREF" else reference),
        remittance=_remittance(details),
        counterparty=" ".join(part for key in ("32", "33") if (part := _subfield(details, key))),
        counterparty_account=_subfield(details, "31"),
        code=str(data.get("id") or "").strip(),
    )


def _subfield(details: str, key: str) -> str:
    found = re.search(rf"\?{key}([^?]*)", details.replace("\n", ""))
    return found[1].strip() if found else ""


def _remittance(details: str) -> str:
    """What the payer wrote: the purpose of a structured field :86:, else the field as it stands, lines joined."""
    joined = details.replace("\n", "")
    if re.match(r"[0-9]{3}\?", joined):
        purpose = "".join(found[1] for found in _STRUCTURED.finditer(joined))
        free = re.search(r"SVWZ\+(.*?)(?=[A-Z]{4}\+|\Z)", purpose)
        return clean_text((free[1] if free else purpose).strip(), limit=1_000)
    return clean_text(details.replace("\n", " ").strip(), limit=1_000)


def _keyword(details: str, word: str) -> str:
    """What a purpose says after ``EREF+`` or in ``/EREF/…/``."""
    purpose = "".join(found[1] for found in _STRUCTURED.finditer(details.replace("\n", "")))
    plain = re.search(rf"{word}\+(.*?)(?=[A-Z]{{4}}\+|\Z)", purpose)
    slashed = re.search(rf"/{word}/([^/\n]*)", details)
    found = plain or slashed
    value = found[1].strip() if found else ""
    return "" if value == "NOTPROVIDED" else value
