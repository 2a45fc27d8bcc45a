"""The mapping of exported files: which column holds which field, what words mean, and for which time a file is whole.

A file is believed to be whole only where the mapping says so: ``complete`` names the window in which nothing is
missing from it. Everything else that a file does not show may be elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recon.core.errors import UsageError
from recon.core.text import clean_text
from recon.core.times import parse_iso

MAPPING_MAX_BYTES: Final = 1_000_000
FILES_MAX: Final = 100

PAYMENT_FIELDS: Final = (
    "id", "provider", "status", "amount", "currency", "network", "created_at", "updated_at", "expires_at", "direction",
    "escrow_state", "token", "recipient", "sender", "reference", "request_id", "external_id", "tx_hash",
    "confirmations", "disputed", "hold", "test", "buyer_id", "order_id", "offer_id",
)  # fmt: skip
CLAIM_FIELDS: Final = (
    "id", "status", "request_id", "external_id", "reference", "amount", "asked_amount", "currency", "token", "network",
    "recipient", "tx_hash", "created_at",
)  # fmt: skip
TRANSFER_FIELDS: Final = (
    "tx_hash", "time", "token", "network", "amount", "recipient", "sender", "log_index", "block", "reference", "fee",
    "fee_recipient", "confirmations", "final",
)  # fmt: skip
_NEEDED: Final = {
    "payments": ("id", "provider", "status", "amount", "currency", "created_at"),
    "claims": ("status",),
    "transfers": ("tx_hash", "time", "token", "network", "amount", "recipient"),
}


STATEMENT_COLUMNS: Final = (
    "account", "account_address", "amount", "bank_reference", "booked", "booked_on", "code", "counterparty",
    "counterparty_account", "currency", "end_to_end_id", "entry_hash", "entry_reference", "network", "payee_address",
    "payer_address", "remittance", "reversal", "side", "state", "statement", "transaction_id", "valued_on",
)  # fmt: skip
"""The columns of a bank statement, whatever its form."""

_STATEMENT_COLUMNS: Final[dict[str, dict[str, str]]] = {
    "claims": {
        "id": "entry_hash", "status": "state", "amount": "amount", "currency": "currency", "network": "network",
    },
    "transfers": {
        "tx_hash": "entry_hash", "time": "booked_on", "token": "currency", "network": "network", "amount": "amount",
        "recipient": "payee_address", "sender": "payer_address", "final": "booked",
    },
}  # fmt: skip
"""Of claims and transfers from statements, the column of each field that the mapping does not name."""


class MappingError(UsageError):
    """A mapping cannot be used."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{clean_text(path)}: {why}; nothing was read. docs/from-csv.md shows a mapping.")


def _moment(value: object) -> datetime:
    """A time with its zone, as TOML or as text."""
    found = value if isinstance(value, datetime) else parse_iso(value, zone=None) if isinstance(value, str) else None
    if found is None or found.tzinfo is None:
        raise ValueError("write a time with its zone, such as 2026-11-20T12:00:00Z")
    return found.astimezone(UTC)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no such zone; write UTC or a name such as Europe/Berlin") from error
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError("it is no regular expression") from error
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]
Mapped = TypeVar("Mapped", bound="_Part")
Words = dict[str, dict[str, str]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WholeWindow(_Part):
    """In this window nothing is missing from a file; ``to`` is the moment of the export where it is not given."""

    from_at: Moment = Field(alias="from")
    to_at: Moment | None = Field(default=None, alias="to")


class FileSection(_Part):
    """One file and how it is read.

    Args:
        file: Beside the mapping, or a whole path.
        columns: By field, the name of the column.
        fixed: By field, one value for every row.
        words: By field, what the words of the file mean.
        separator: Between the cells of a CSV; found out where it is not given.
        decimal: The sign before the fraction of an amount; ``thousands`` the one that may group its digits.
        zone: The zone of times that name none; without it such a time is refused.
        time_format: How times are written, as ``strptime`` has it, ``unix`` or ``unix_ms``; ISO 8601 otherwise.
        format: A table (CSV or Parquet), or bank statements: ``camt.053`` or ``mt940``. Of statements ``file`` may be a
            pattern such as ``bank/*.xml``.
        find: By field, the part of the text that counts, as a regular expression: its first group, or all of it.
    """

    file: str = Field(min_length=1, max_length=1000)
    columns: dict[str, str] = Field(default_factory=dict)
    fixed: dict[str, str] = Field(default_factory=dict)
    words: Words = Field(default_factory=dict)
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    time_format: str | None = Field(default=None, max_length=100)
    format: Literal["table", "camt.053", "mt940"] = "table"
    find: dict[str, Annotated[str, AfterValidator(_pattern)]] = Field(default_factory=dict)

    @property
    def tz(self) -> tzinfo | None:
        """The zone of times that name none; None refuses them."""
        return None if self.zone is None else ZoneInfo(self.zone)


class PaymentsSection(FileSection):
    """The payments; ``complete`` says that no payment of ours is missing, of any time."""

    complete: bool = False


class ClaimsSection(FileSection):
    """What one provider says of its objects."""

    provider: str = Field(min_length=1, max_length=60)
    complete: WholeWindow | None = None


class TransfersSection(FileSection):
    """Transfers on chains.

    Args:
        complete: In this window no transfer to any of our addresses is missing, on the chains that the file holds.
        amounts: Whether amounts are in whole tokens or in base units.
        final_before: Transfers before this time are final; a column ``final`` or ``confirmations`` says it by itself.
    """

    complete: WholeWindow | None = None
    amounts: Literal["whole", "base"] = "whole"
    final_before: Moment | None = None


class FileMapping(_Part):
    """A whole mapping.

    Args:
        taken_at: When the files were exported; ages count from here, and nothing is known of later.
    """

    name: str = Field(default="import", min_length=1, max_length=100)
    taken_at: Moment
    payments: PaymentsSection
    claims: list[ClaimsSection] = Field(default_factory=list, max_length=FILES_MAX)
    transfers: list[TransfersSection] = Field(default_factory=list, max_length=FILES_MAX)


class ClaimsMapping(_Part):
    """A mapping of files that stand in for providers, beside a live store."""

    claims: list[ClaimsSection] = Field(min_length=1, max_length=FILES_MAX)


def load_mapping(path: Path) -> FileMapping:
    """Read a mapping.

    Raises:
        MappingError: It cannot be read, a key is unknown or of a wrong type, or a field that is needed has no column.
    """
    mapping = _loaded(path, FileMapping)
    for why in _faults(mapping):
        raise MappingError(path=path.name, why=why)
    return mapping


def load_claims_mapping(path: Path) -> list[ClaimsSection]:
    """Read the ``[[claims]]`` of a mapping that holds nothing else.

    Raises:
        MappingError: As :func:`load_mapping`.
    """
    sections = _loaded(path, ClaimsMapping).claims
    for each in sections:
        for why in _claims_amiss(each):
            raise MappingError(path=path.name, why=why)
    return sections


def _loaded(path: Path, model: type[Mapped]) -> Mapped:
    try:
        if path.stat().st_size > MAPPING_MAX_BYTES:
            raise MappingError(path=path.name, why="it is far too large for a mapping")
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(path=path.name, why=f"it cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MappingError(path=path.name, why=f"it is no TOML ({clean_text(error, limit=100)})") from error
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = f"{clean_text(place, limit=80)}: {clean_text(first['msg'], limit=160)}"
        raise MappingError(path=path.name, why=said) from error


def _faults(mapping: FileMapping) -> Iterator[str]:
    """What a mapping lacks or has too much of."""
    yield from _columns_amiss("payments", mapping.payments, PAYMENT_FIELDS)
    for claims in mapping.claims:
        yield from _claims_amiss(claims)
    for transfers in mapping.transfers:
        yield from _columns_amiss("transfers", transfers, TRANSFER_FIELDS)
        told = {"final", "confirmations"} & {
            *transfers.columns, *transfers.fixed, *usual_columns("transfers", transfers)
        }  # fmt: skip
        if transfers.final_before is None and not told:
            yield (
                "transfers: nothing says which transfers are final; give a column 'final' or 'confirmations', or "
                "final_before"
            )
    yield from _late(mapping)


def _claims_amiss(claims: ClaimsSection) -> Iterator[str]:
    yield from _columns_amiss("claims", claims, CLAIM_FIELDS)
    if not {"request_id", "external_id", "reference"} & {*claims.columns}:
        yield "claims: 'request_id', 'external_id' or 'reference' needs a column, by which they meet payments"


def _columns_amiss(kind: str, section: FileSection, known: tuple[str, ...]) -> Iterator[str]:
    if section.format != "table":
        yield from _statement_amiss(kind, section)
    given = {*section.columns, *section.fixed, *usual_columns(kind, section)}
    for name in sorted({*given, *section.words, *section.find} - {*known}):
        yield f"{kind}: there is no field {clean_text(name, limit=40)!r}; there are {', '.join(known)}"
    for name in sorted(section.columns.keys() & section.fixed.keys()):
        yield f"{kind}: {name} has both a column and a fixed value"
    for name in _NEEDED[kind]:
        if name not in given and not _stands_for(name, given):
            yield f"{kind}: the field {name!r} has no column and no fixed value"


def _statement_amiss(kind: str, section: FileSection) -> Iterator[str]:
    """What a mapping of bank statements names that no statement has."""
    if kind not in _STATEMENT_COLUMNS:
        yield f"{kind}: a bank statement holds claims or transfers"
    if section.zone is None:
        yield f'{kind}: the days of a bank statement need a zone, such as zone = "UTC"'
    for column in sorted({*section.columns.values()} - {*STATEMENT_COLUMNS}):
        known = ", ".join(STATEMENT_COLUMNS)
        yield f"{kind}: a bank statement has no column {clean_text(column, limit=40)!r}; there are {known}"


def usual_columns(kind: str, section: FileSection) -> dict[str, str]:
    """By field, the column of a bank statement that is meant where the mapping names none."""
    if section.format == "table":
        return {}
    own = {*section.columns, *section.fixed}
    return {name: column for name, column in _STATEMENT_COLUMNS.get(kind, {}).items() if name not in own}


def _stands_for(name: str, given: set[str]) -> bool:
    return name == "currency" and "token" in given


def _late(mapping: FileMapping) -> Iterator[str]:
    """Windows that end before they begin, or after the export."""
    for kind, window in (
        *(("claims", each.complete) for each in mapping.claims),
        *(("transfers", each.complete) for each in mapping.transfers),
    ):
        if window is not None and not window.from_at < (window.to_at or mapping.taken_at) <= mapping.taken_at:
            yield f"{kind}: complete must begin before it ends, and end at taken_at at the latest"
