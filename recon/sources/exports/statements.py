"""Bank statements as exported files: their entries as rows, what they prove by their balances, and claims from them.

A statement is whole only where it adds up, and where the next one opens as it closed. The window that the mapping calls
complete is cut to the days that the statements cover, and is none where anything is amiss; so a lost statement, page or
entry makes absence unproven and never a "no". What a statement shows is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from recon.core.registry.off_chain import OFF_CHAIN_NAME
from recon.core.text import clean_text, count_text
from recon.sources.exports.mapping import FileSection, MappingError, WholeWindow
from recon.sources.statements.camt import StatementError, parse_camt
from recon.sources.statements.mt940 import parse_mt940
from recon.sources.statements.statement import BankStatement, Entry, days_covered, doubts_of, told_twice

STATEMENT_MAX_BYTES: Final = 50_000_000
STATEMENTS_MAX: Final = 1_000
_READERS: Final = {"camt.053": parse_camt, "mt940": parse_mt940}


@dataclass(frozen=True, slots=True)
class KeptStatements:
    """The statements of one section, each once, with the file that it stands in first."""

    statements: tuple[tuple[str, BankStatement], ...]

    @property
    def plain(self) -> list[BankStatement]:
        """The statements alone."""
        return [statement for _, statement in self.statements]


def statements_of(section: FileSection, *, home: Path) -> KeptStatements:
    """Every statement of a section; the same one in two files, or twice in one, counts once.

    Raises:
        MappingError: A file cannot be read, a statement stands in two files with other contents, or the same entry in
            two statements.
    """
    kept: dict[tuple[str, str], tuple[str, BankStatement]] = {}
    for path in _files(section, home):
        for statement in _read(path, section.format):
            key = (statement.account, statement.name)
            name, first = kept.setdefault(key, (path.name, statement))
            if first.digest != statement.digest:
                why = f"{statement.title} stands in {clean_text(name, limit=80)} with other contents"
                raise MappingError(path=path.name, why=why)
    found = KeptStatements(tuple(kept.values()))
    if why_twice := told_twice(found.plain):
        why = f"{why_twice}; it would count twice. Leave one of the statements out"
        raise MappingError(path=section.file, why=why)
    return found


def _files(section: FileSection, home: Path) -> list[Path]:
    is_pattern = any(sign in section.file for sign in "*?[")
    try:
        found = sorted(home.glob(section.file)) if is_pattern else [home / section.file]
    except (ValueError, NotImplementedError, OSError) as error:
        raise MappingError(path=section.file, why="it is no pattern of files beside the mapping") from error
    if not found or len(found) > STATEMENTS_MAX:
        why = f"it stands for {count_text(len(found), 'file')}; 1 to {STATEMENTS_MAX} are read"
        raise MappingError(path=section.file, why=why)
    return found


def _read(path: Path, form: str) -> tuple[BankStatement, ...]:
    try:
        known = path.stat()
        if not path.is_file() or known.st_size > STATEMENT_MAX_BYTES:
            raise MappingError(path=path.name, why=f"it is no file of at most {STATEMENT_MAX_BYTES // 1_000_000} MB")
        return _parsed(path, form, known.st_mtime_ns, known.st_size)
    except OSError as error:
        raise MappingError(path=path.name, why=f"it cannot be read ({error.strerror})") from error
    except StatementError as error:
        raise MappingError(path=path.name, why=str(error)) from error
    except ImportError as error:
        raise MappingError(path=path.name, why=_NO_LIBRARY) from error


_NO_LIBRARY: Final = "bank statements need the extra 'bank'; install recon-toolkit[bank]"


@lru_cache(maxsize=STATEMENTS_MAX)
def _parsed(path: Path, form: str, changed_ns: int, size: int) -> tuple[BankStatement, ...]:
    """The statements of a file as it was at a time, so that rows and windows are of one reading."""
    return tuple(_READERS[form](path.read_bytes()))


def statement_cells(section: FileSection, *, home: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The place of each entry, and its cells by the columns of a statement.

    Raises:
        MappingError: As :func:`statements_of`.
    """
    for file, statement in statements_of(section, home=home).statements:
        for place, entry in enumerate(statement.entries):
            number = f"{place + 1}" if entry.part is None else f"{place + 1} (payment {entry.part} of a batch)"
            name = clean_text(statement.name, limit=60)
            yield f"{clean_text(file, limit=80)}, statement {name}, entry {number}", _cells(statement, place, entry)


def _cells(statement: BankStatement, place: int, entry: Entry) -> dict[str, str]:
    own, other = account_address(statement.account), account_address(entry.counterparty_account)
    return {
        "account": statement.account,
        "account_address": own,
        "amount": format(entry.amount, "f"),
        "bank_reference": entry.bank_reference,
        "booked": "true" if entry.state == "booked" else "false",
        "booked_on": entry.booked_on.isoformat() if entry.booked_on else "",
        "code": entry.code,
        "counterparty": entry.counterparty,
        "counterparty_account": entry.counterparty_account,
        "currency": entry.currency,
        "end_to_end_id": entry.end_to_end_id,
        "entry_hash": statement.entry_hash(place),
        "entry_reference": entry.entry_reference,
        "network": OFF_CHAIN_NAME,
        "payee_address": own if entry.is_credit else other,
        "payer_address": other if entry.is_credit else own,
        "remittance": entry.remittance,
        "reversal": "true" if entry.is_reversal else "false",
        "side": "credit" if entry.is_credit else "debit",
        "state": entry.state,
        "statement": statement.name,
        "transaction_id": entry.transaction_id,
        "valued_on": entry.valued_on.isoformat() if entry.valued_on else "",
    }


def account_address(account: str) -> str:
    """An account in the form of an address: the first 20 bytes of the sha256 of its letters and digits.

    >>> account_address("DE89 3704") == account_address("de893704"), account_address("")
    (True, '0x0000000000000000000000000000000000000000')
    """
    plain = "".join(sign for sign in account.upper() if sign.isalnum())
    return "0x" + (hashlib.sha256(plain.encode()).hexdigest()[:40] if plain else "0" * 40)


@dataclass(frozen=True, slots=True)
class ProvenWindow:
    """For which time statements are whole, and why they are not for more of the time that the mapping names."""

    windows: tuple[WholeWindow, ...] = ()
    doubts: tuple[str, ...] = field(default=())


def proven_window(
    section: FileSection, complete: WholeWindow | None, *, home: Path, taken_at: datetime
) -> ProvenWindow:
    """What of a window the mapping's word and the statements' own balances prove together."""
    if complete is None or section.format == "table":
        return ProvenWindow(() if complete is None else (complete,))
    kept = statements_of(section, home=home).plain
    doubts, days = doubts_of(kept), days_covered(kept)
    if doubts or days is None:
        return ProvenWindow(doubts=doubts or ("the statements have no balances from which their days follow",))
    wanted = (complete.from_at, complete.to_at or taken_at)
    begins, ends = (datetime.combine(day, time(), tzinfo=section.tz) for day in (days[0], days[1] + timedelta(days=1)))
    from_at, to_at = max(wanted[0], begins), min(wanted[1], ends)
    doubt = (
        () if (from_at, to_at) == wanted else (f"the statements cover {days[0].isoformat()} to {days[1].isoformat()}",)
    )
    whole = (WholeWindow.model_validate({"from": from_at, "to": to_at}),) if from_at < to_at else ()
    return ProvenWindow(whole, doubt)


# ------------------------------------------------------------------------------------------------------ sums by name


@dataclass(frozen=True, slots=True)
class NamedSum:
    """What the entries that name one payment come to, in base units of one currency.

    Args:
        net: What came in, less what was taken back or given back.
        credited: What came in, before anything went back.
        is_pending: An entry is announced and not booked.
        is_shared: An entry names other payments as well, and nothing tells how much is for each.
        is_mixed: Entries are in several currencies, so there is no sum.
    """

    net: int
    credited: int
    is_pending: bool
    is_shared: bool
    is_mixed: bool

    @property
    def state(self) -> str:
        """The state of a claim."""
        if self.is_shared or self.is_mixed:
            return "unknown"
        if self.credited == 0:
            return "processing" if self.is_pending else "unknown"
        if self.net <= 0:
            return "refunded"
        return "paid" if self.net >= self.credited else "partial"

    @property
    def problem(self) -> str | None:
        """The code of what keeps it from being the word on a payment."""
        return "shared_entry" if self.is_shared else "several_tokens" if self.is_mixed else None


@dataclass(frozen=True, slots=True)
class NamedEntry:
    """An entry that names a payment."""

    cells: Mapping[str, str]
    units: int
    is_shared: bool

    @property
    def is_booked(self) -> bool:
        """Whether it counts."""
        return self.cells["booked"] == "true"

    @property
    def is_credit(self) -> bool:
        """Whether it came in."""
        return self.cells["side"] == "credit"

    @property
    def is_first(self) -> bool:
        """Whether it came in and takes nothing back."""
        return self.is_credit and self.cells["reversal"] == "false"


def sum_of(entries: Sequence[NamedEntry]) -> NamedSum | None:
    """What the entries that name one payment come to; None where money of that name only went out."""
    if not any(entry.is_credit for entry in entries):
        return None
    booked = [entry for entry in entries if entry.is_booked]
    return NamedSum(
        net=sum(entry.units if entry.is_credit else -entry.units for entry in booked),
        credited=sum(entry.units for entry in booked if entry.is_first),
        is_pending=len(booked) < len(entries),
        is_shared=any(entry.is_shared for entry in entries),
        is_mixed=len({entry.cells["currency"] for entry in entries}) > 1,
    )
