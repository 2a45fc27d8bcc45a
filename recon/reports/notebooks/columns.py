"""What every column of every frame means: one meaning for a name, wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from recon.core.errors import UsageError
from recon.core.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

ColumnKind = Literal["text", "int", "bool", "units", "tokens", "time", "age", "list"]
ATTRS: Final = "recon"
"""Under this name ``frame.attrs`` says what the frame and its columns are; Parquet keeps it."""
TOKENS_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "payments": {"expected_units": "expected"},
    "context": {"expected_units": "expected"},
    "claims": {"paid_units": "paid"},
    "claim_txs": {"amount_units": "amount"},
    "transfers": {"amount_units": "amount", "fee_units": "fee"},
    "movements": {"amount_units": "amount", "fee_units": "fee"},
    "balances": {"opening_units": "opening", "closing_units": "closing"},
    "holdings": {"units": "held"},
    "ledger": {"units": "booked"},
}
"""Amounts in base units by table, and the column of whole tokens that stands before each."""
RENAMED: Final[Mapping[tuple[str, str], str]] = {
    ("orphans", "kind"): "found_as", ("keys", "value"): "key_value", ("gaps", "from_ms"): "from_at",
    ("gaps", "to_ms"): "to_at", ("ledger", "kind"): "entry_kind", ("ledger_known", "kind"): "looked_up",
    ("ledger_known", "key"): "looked_up_key",
}  # fmt: skip
"""Columns of a table whose name means something else, or no time, in another."""

COLUMNS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "findings": (
        "payment_id", "verdict", "tier", "severity", "value", "symbol", "difference", "age", "provider", "chain",
        "reason", "findings", "evidence", "chain_id", "token", "value_units", "difference_units",
    ),
    "fields": ("payment_id", "field", "our_record", "provider_says", "chain_says"),
    "changes": (
        "payment_id", "verdict", "tier", "value", "symbol", "age", "chain", "reason", "change", "side_effects",
        "evidence", "value_units",
    ),
    "sets": ("payment_id", "change", "path", "before", "after"),
    "left_alone": ("payment_id", "verdict", "reason"),
    "verdicts": ("verdict", "payments"),
    "by_provider": ("provider", "verdict", "payments"),
    "by_chain": ("chain", "verdict", "payments"),
    "open_by_age": ("age_band", "payments"),
    "money": ("chain", "symbol", "at_risk", "captured_not_credited", "token"),
    "timeline": ("at", "source", "says"),
    "causes": ("cause", "strength", "title", "next_step", "evidence_for", "evidence_against"),
    "plans": ("at", "target", "plan", "digest", "payments", "breaks", "complete", "healthy"),
    "entries": ("seq", "at", "run", "entry", "payment_id", "change", "body"),
    "plan_balances": (
        "chain_id", "wallet", "symbol", "token", "opening", "in", "out", "fees", "closing", "explained_in",
        "explained_out", "unexplained_in", "unexplained_out", "residual", "problems",
    ),
    "plan_movements": (
        "chain_id", "wallet", "symbol", "token", "side", "tx_hash", "log_index", "counterparty", "final", "amount",
    ),
}  # fmt: skip
"""The frames besides the tables of a snapshot, column by column."""


class ColumnMeaning(NamedTuple):
    """What a column holds and what it means."""

    kind: ColumnKind
    meaning: str


class UnknownFrameError(UsageError):
    """No frame is called so."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"There is no frame {name[:40]!r}; there are {', '.join(sorted({*COLUMNS_OF, *TABLES}))}.")


@cache
def meanings() -> Mapping[str, ColumnMeaning]:
    """Every column by its name."""
    text = (resources.files(__package__) / "columns.json").read_text(encoding="utf-8")
    return {name: ColumnMeaning(kind, meaning) for name, (kind, meaning) in json.loads(text).items()}


def column_names(frame: str) -> tuple[str, ...]:
    """The columns of a frame in their order.

    Raises:
        UnknownFrameError: No frame is called so.
    """
    if frame in COLUMNS_OF:
        return COLUMNS_OF[frame]
    if frame not in TABLES:
        raise UnknownFrameError(name=frame)
    names: list[str] = []
    for column in TABLES[frame]:
        whole = TOKENS_OF.get(frame, {}).get(column)
        names += [whole] if whole else []
        names.append(RENAMED.get((frame, column), column))
        names += ["chain"] if column == "chain_id" else []
    return tuple(names)


def columns(frame: str) -> pd.DataFrame:
    """What the columns of a frame are: ``column``, ``kind`` and ``meaning``, in their order; see ``recon.columns``.

    ``units`` are exact ints in base units, ``tokens`` exact Decimals in whole tokens, ``time`` is UTC, ``age`` a span
    of time, ``list`` several texts. What is missing is not known.

    Raises:
        UnknownFrameError: No frame is called so.
    """
    import pandas as pd

    known = meanings()
    rows = [(name, *known[name]) for name in column_names(frame)]
    return pd.DataFrame(rows, columns=["column", "kind", "meaning"], dtype="string")


def documented(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with the meanings of its columns in ``frame.attrs``."""
    known = meanings()
    told = {str(column): list(known[str(column)]) for column in frame.columns if str(column) in known}
    frame.attrs[ATTRS] = {"frame": name, "columns": told}
    return frame
