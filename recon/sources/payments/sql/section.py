"""The part of a configuration that says where payments stand in a SQL database."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recon.sources.providers.sections import Seconds, Section

ColumnKind = Literal[
    "text", "objectid", "decimal", "units_6", "units_8", "units_12", "units_18", "bool", "date", "unix_s", "unix_ms",
    "json", "ejson",
]  # fmt: skip
"""What a column holds where its declared type does not say it; see :mod:`recon.sources.payments.sql.kinds`."""

Word = Annotated[str, Field(min_length=1, max_length=200)]

_NAME = re.compile(r"[^\0]{1,120}\Z")
_TABLE = re.compile(r"[^\0.]{1,120}(\.[^\0.]{1,120})?\Z")
_PATH = re.compile(r"(\*|[A-Za-z_][\w-]{0,63}(\.[A-Za-z_][\w-]{0,63}){0,7})\Z")
_ZONE = re.compile(r"(UTC|[+-](0\d|1[0-4]):[0-5]\d)\Z")


def _table(value: str) -> str:
    if value and not _TABLE.match(value):
        raise ValueError(f"{value[:60]!r} is no name of a table; write table or schema.table")
    return value


def _zone(value: str) -> str:
    if value and not _ZONE.match(value):
        raise ValueError(
            f'{value[:40]!r} is no fixed distance from UTC; write "UTC" or, for example, "+01:00": in a zone with '
            "summer time one hour of the year has two meanings"
        )
    return value


def _columns(value: dict[str, str]) -> dict[str, str]:
    for path, column in value.items():
        if not _PATH.match(path):
            raise ValueError(f"{path[:60]!r} is no path of fields, such as blockchain.transactionHash")
        if not _NAME.match(column):
            raise ValueError(f"{column[:60]!r} is no name of a column")
    if len(set(value.values())) != len(value):
        raise ValueError("a column is named twice")
    return value


def _constants(value: dict[str, str]) -> dict[str, str]:
    for path in value:
        if path == "*" or not _PATH.match(path):
            raise ValueError(f"{path[:60]!r} is no path of fields, such as amount.currency")
    return value


class SqlSection(Section):
    """``[sql]``: payments in a table of PostgreSQL or SQLite instead of MongoDB; the address itself is a secret.

    ``columns`` says under which path of a payment a column stands; one that is not named stands under its own name, and
    ``id`` under ``_id``. ``kinds`` says what a column holds where its type does not, ``words`` what the
    backend's own words in a column mean, and ``constants`` what is so of every row and stands in no column.
    """

    table: Annotated[str, AfterValidator(_table)] = ""
    id: str = Field(default="id", min_length=1, max_length=120)
    columns: Annotated[dict[str, str], AfterValidator(_columns)] = Field(default_factory=dict, max_length=200)
    kinds: dict[str, ColumnKind] = Field(default_factory=dict, max_length=200)
    words: dict[str, Annotated[dict[str, Word], Field(min_length=1, max_length=60)]] = Field(
        default_factory=dict, max_length=20
    )
    constants: Annotated[dict[str, Word], AfterValidator(_constants)] = Field(default_factory=dict, max_length=40)
    time_zone: Annotated[str, AfterValidator(_zone)] = ""
    url_variable: str = "RECON_SQL_URL"
    write_url_variable: str = "RECON_SQL_WRITE_URL"
    timeout_s: Seconds = 10.0
    lag_max_s: Seconds = 90.0
