"""Rows whose stored amount is no whole number of base units, resolved by what the provider says it asked for.

A third of a hundred cannot be paid, and a double cannot say which of the two amounts beside it was asked. The provider
can: what it asks for is taken where it is one of the two. The row keeps its problem and the path ``amount=provider``,
so that everybody sees on what the amount rests; without the provider's word it stays a row that cannot be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import MoneyError
from recon.core.money import parse_units
from recon.core.tables import table_of
from recon.sources.payments.stored_amounts import between_units

if TYPE_CHECKING:
    import pyarrow as pa

PROBLEM: Final = "amount_too_fine"
MARK: Final = "amount=provider"
"""Among the paths of a row: its amount is the one that the provider asked for."""

_KEYS: Final = ("request_id", "external_id", "reference")


def with_asked_amounts(payments: pa.Table, claims: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows, with the amounts that can be resolved.

    Args:
        claims: Rows of claims, each with the ``asked_amount`` where its provider says one.
    """
    if PROBLEM not in (payments["problem"].to_pylist() if payments.num_rows else ()):
        return payments
    asked: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for claim in claims:
        for name in _KEYS:
            if claim.get("asked_amount") and claim[name]:
                asked[claim["provider"], name, claim[name]].add(claim["asked_amount"])
    return table_of("payments", [_resolved(row, asked) for row in payments.to_pylist()])


def _resolved(row: dict[str, Any], asked: Mapping[tuple[str, str, str], set[str]]) -> dict[str, Any]:
    if row["problem"] != PROBLEM or row["decimals"] is None:
        return row
    said = set().union(*(asked.get((row["provider"], name, row[name] or ""), ()) for name in _KEYS))
    beside = between_units(row["amount_text"], decimals=row["decimals"])
    fitting = {units for text in said if (units := _units(text, row["decimals"])) in beside and units}
    if len(fitting) != 1:
        return row
    units = fitting.pop()
    paths = " ".join([*(row["paths"] or "").split(), MARK])
    # The provider asked for exactly this, so its tolerance is counted from it and nothing else may be off.
    return {
        **row,
        "expected_units": units,
        "covered_from_units": units,
        "overpaid_from_units": units + 1,
        "paths": paths,
    }


def _units(text: str, decimals: int) -> int | None:
    try:
        return parse_units(text, decimals=decimals)
    except MoneyError:
        return None
