"""Artefacts as pandas frames, exact: amounts are objects (``Decimal``, ``int``), times are UTC, chains carry names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Plan
from recon.core.money import whole_tokens
from recon.core.registry import Registry
from recon.core.tables import TABLES
from recon.reports.text import value_text

if TYPE_CHECKING:
    import pandas as pd

    from recon.investigation.payment import Inspection
    from recon.runs.stores.journal import JournalEntry
    from recon.snapshots.sealed import Snapshot

Frames = dict[str, "pd.DataFrame"]

_MONEY: Final[Mapping[str, Mapping[str, str]]] = {
    "payments": {"expected_units": "expected"},
    "context": {"expected_units": "expected"},
    "claims": {"paid_units": "paid"},
    "claim_txs": {"amount_units": "amount"},
    "transfers": {"amount_units": "amount", "fee_units": "fee"},
    "movements": {"amount_units": "amount", "fee_units": "fee"},
    "balances": {"opening_units": "opening", "closing_units": "closing"},
}
"""Amounts in base units by table, and the column of whole tokens that stands before each."""

_TIMES: Final = ("created_at", "updated_at", "expires_at", "looked_up_at", "block_time", "received_at", "read_at")


def snapshot_frames(snapshot: Snapshot, registry: Registry) -> Frames:
    """Every table of a snapshot as it stands after the second reading."""
    return {name: _table_frame(name, snapshot.table(name), registry) for name in TABLES}


def plan_frames(plan: Plan, registry: Registry) -> Frames:
    """Findings, changes, what is left alone and why, coverage, and the counters of the summary."""
    import pandas as pd

    summary = plan.summary
    frames = {
        "findings": _frame(_finding_rows(plan, registry), _FINDINGS),
        "fields": _frame(
            (
                (item.payment_id, view.field, view.local, view.provider, view.chain)
                for item in plan.findings
                for view in item.fields
            ),
            ("payment_id", "field", "local", "provider", "chain"),
        ),
        "changes": _frame(_change_rows(plan, registry), _CHANGES),
        "sets": _frame(
            (
                (item.payment_id, item.id, one.path, value_text(one.before), value_text(one.after))
                for item in plan.changes
                for one in item.sets
            ),
            ("payment_id", "change", "path", "before", "after"),
        ),
        "left_alone": _frame(
            ((item.payment_id, item.verdict.value, item.reason) for item in plan.left_alone),
            ("payment_id", "verdict", "reason"),
        ),
        "verdicts": _frame((summary.get("verdicts") or {}).items(), ("verdict", "payments")),
        "by_provider": _frame(_split(summary.get("by_provider")), ("provider", "verdict", "payments")),
        "by_chain": _frame(
            ((_chain(chain, registry), *rest) for chain, *rest in _split(summary.get("by_chain"))),
            ("chain", "verdict", "payments"),
        ),
        "open_by_age": _frame((summary.get("open_by_age") or {}).items(), ("age", "payments")),
        "money": _frame(_money_rows(plan, registry), ("chain", "symbol", "at_risk", "captured_not_credited", "token")),
        "coverage": pd.DataFrame([dict(row) for row in plan.coverage]).convert_dtypes(),
    }
    if plan.balances is not None:
        frames["balances"] = _frame(_balance_rows(plan), (*_WALLET, *_WALLET_SUMS, "problems"))
        frames["movements"] = _frame(_movement_rows(plan), (*_WALLET, *_MOVEMENT, "amount"))
    for name in ("findings", "changes"):
        frames[name]["age"] = pd.to_timedelta(frames[name]["age"].astype("Int64"), unit="s")
    return frames


def case_frames(found: Inspection, registry: Registry) -> Frames:
    """One payment: its timeline, the ranked causes, what each side says, and the rows of the evidence."""
    from recon.core.tables import table_of

    timeline = _frame(((each.at_ms, each.source, each.says) for each in found.timeline), ("at", "source", "says"))
    timeline["at"] = _utc(timeline["at"])
    frames = {
        "timeline": timeline,
        "causes": _frame(
            (
                (each.name, each.strength.name.lower(), each.title, each.next_step, each.evidence_for,
                 each.evidence_against)
                for each in found.causes
            ),
            ("cause", "strength", "title", "next_step", "evidence_for", "evidence_against"),
        ),
        "fields": _frame(
            (
                (view.field, view.local, view.provider, view.chain)
                for view in (found.judged.finding.fields if found.judged else ())
            ),
            ("field", "local", "provider", "chain"),
        ),
    }  # fmt: skip
    for name in TABLES:
        rows = [dict(row) for row in found.dossier.rows(name)]
        if rows:
            frames[name] = _table_frame(name, table_of(name, rows), registry)
    return frames


def delivery_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Notifications as they were kept, one row each."""
    from recon.core.registry import load_registry
    from recon.core.tables import table_of

    return _table_frame("deliveries", table_of("deliveries", [dict(row) for row in rows]), load_registry())


def history_frame(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a plan: when, what it found, and how much of it was new."""
    import pandas as pd

    columns = ("at", "target", "plan", "digest", "payments", "breaks", "complete", "healthy")
    frame = _frame(
        (
            (entry.get("at"), entry.get("target"), entry.get("plan"), entry.get("digest"), entry.get("payments"),
             entry.get("break_count"), entry.get("complete"), (entry.get("health") or {}).get("ok"))
            for entry in entries
        ),
        columns,
    )  # fmt: skip
    frame["at"] = pd.to_datetime(frame["at"], utc=True, errors="coerce")
    return frame


def journal_frame(entries: Iterable[JournalEntry]) -> pd.DataFrame:
    """One row an entry, in the order of the journal."""
    import pandas as pd

    columns = ("seq", "at", "run", "kind", "payment_id", "change", "body")
    frame = _frame(
        (
            (each.seq, each.note.at, each.note.run, each.note.kind, each.note.payment, each.note.change,
             dict(each.note.body))
            for each in entries
        ),
        columns,
    )  # fmt: skip
    frame["at"] = pd.to_datetime(frame["at"], utc=True, errors="coerce")
    return frame


_FINDINGS: Final = (
    "payment_id", "verdict", "tier", "severity", "value", "symbol", "difference", "age", "provider", "chain", "reason",
    "findings", "evidence", "chain_id", "token", "value_units", "difference_units",
)  # fmt: skip
_CHANGES: Final = (
    "payment_id", "verdict", "tier", "value", "symbol", "age", "chain", "reason", "change", "side_effects", "evidence",
    "value_units",
)  # fmt: skip


def _finding_rows(plan: Plan, registry: Registry) -> Iterator[tuple[Any, ...]]:
    for item in plan.findings:
        yield (
            item.payment_id, item.verdict.value, item.tier.value, item.severity.value,
            _tokens(item.value_units, item.decimals), item.symbol, _tokens(item.difference_units, item.decimals),
            item.age_s, item.provider, _chain(item.chain_id, registry), item.reason,
            tuple(each.value for each in item.findings), item.evidence, item.chain_id, item.token, item.value_units,
            item.difference_units,
        )  # fmt: skip


def _change_rows(plan: Plan, registry: Registry) -> Iterator[tuple[Any, ...]]:
    for item in plan.changes:
        yield (
            item.payment_id, item.verdict.value, item.tier.value, _tokens(item.value_units, item.decimals), item.symbol,
            item.age_s, _chain(item.chain_id, registry), item.reason, item.id, item.side_effects, item.evidence,
            item.value_units,
        )  # fmt: skip


def _split(parts: Mapping[str, Mapping[str, Any]] | None) -> Iterator[tuple[str, str, int]]:
    for part, counts in (parts or {}).items():
        for verdict, count in counts.items():
            yield part, verdict, int(count)


def _money_rows(plan: Plan, registry: Registry) -> Iterator[tuple[Any, ...]]:
    known = {f"{item.chain_id}:{item.token}": (item.symbol, item.decimals) for item in plan.findings if item.token}
    risk, captured = (plan.summary.get(name) or {} for name in ("value_at_risk", "captured_not_credited"))
    for key in sorted({*risk, *captured}):
        chain, _, token = str(key).partition(":")
        facts = registry.tokens.get((int(chain), token)) if chain.isdecimal() and len(chain) < 20 else None
        symbol, decimals = (facts.symbol, facts.decimals) if facts else known.get(key, (None, None))
        amounts = (_tokens(int(part.get(key, 0)), decimals) for part in (risk, captured))
        yield (_chain(chain, registry), symbol, *amounts, token)


def _table_frame(name: str, table: Any, registry: Registry) -> pd.DataFrame:
    """One Arrow table with readable columns; what was not known stays missing."""
    import pandas as pd

    columns: dict[str, Any] = {}
    kinds = TABLES[name]
    for column, kind in kinds.items():
        if column not in table.column_names:
            continue  # a snapshot of an earlier version has fewer columns
        if kind == "units":
            units = [None if value is None else int(value) for value in table[column].to_pylist()]
            if column in _MONEY.get(name, {}):
                columns[_MONEY[name][column]] = _objects(_whole(table, units, registry))
            columns[column] = _objects(units)
        elif column in _TIMES:
            columns[column] = _utc(pd.array(table[column].to_pylist(), dtype="Int64"))
        else:
            dtype = {"text": "string", "int": "Int64", "bool": "boolean"}[kind]
            columns[column] = pd.array(table[column].to_pylist(), dtype=dtype)
        if column == "chain_id":
            names = [_chain(value, registry) for value in table[column].to_pylist()]
            columns["chain"] = pd.array(names, dtype="string")
    return pd.DataFrame(columns)


def _whole(table: Any, units: Sequence[int | None], registry: Registry) -> list[Decimal | None]:
    """Base units in whole tokens by the decimals of the row, or of its token; None where those are not known."""
    if "decimals" in table.column_names:
        places: list[int | None] = table["decimals"].to_pylist()
    elif "token" in table.column_names:
        tokens = zip(table["chain_id"].to_pylist(), table["token"].to_pylist(), strict=True)
        facts = [registry.tokens.get((chain, token or "")) for chain, token in tokens]
        places = [fact.decimals if fact else None for fact in facts]
    else:
        places = [None] * len(units)
    return [_tokens(value, decimals) for value, decimals in zip(units, places, strict=True)]


def _tokens(units: int | None, decimals: int | None) -> Decimal | None:
    return None if units is None or decimals is None else whole_tokens(units, decimals=decimals)


def _chain(chain_id: Any, registry: Registry) -> str | None:
    if chain_id is None:
        return None
    text = str(chain_id)
    facts = registry.chains.get(int(text)) if text.isdecimal() and len(text) < 20 else None
    return facts.name if facts else text


def _frame(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows under columns, each cell as the very object it is."""
    import pandas as pd

    listed = [tuple(row) for row in rows]
    found = {column: _column(column, [row[number] for row in listed]) for number, column in enumerate(columns)}
    return pd.DataFrame(found, columns=list(columns))


def _column(name: str, values: Sequence[Any]) -> Any:
    """One column in the narrowest kind that keeps every value; an empty one is text."""
    import pandas as pd

    if _are_all(values, str):
        return pd.array(list(values), dtype="string")
    if name in _COUNTS and _are_all(values, int):
        return pd.array(list(values), dtype="Int64")
    if all(isinstance(value, bool) for value in values):
        return pd.array(list(values), dtype="boolean")
    return _objects(values)


def _are_all(values: Sequence[Any], kind: type) -> bool:
    """Whether each is of a kind or missing."""
    return all(value is None or isinstance(value, kind) for value in values)


_COUNTS: Final = ("payments", "breaks", "seq", "chain_id", "age", "at")
"""Whole numbers that are small by nature. Every other number stays the object it is."""


def _objects(values: Sequence[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(list(values), dtype="object")


def _utc(values: Any) -> Any:
    """UTC milliseconds as times of that precision; what lies outside every calendar is missing."""
    import numpy as np
    import pandas as pd

    known = pd.array(values, dtype="Int64")
    whole = known.to_numpy(dtype="int64", na_value=np.iinfo("int64").min)
    return pd.DatetimeIndex(whole.astype("datetime64[ms]")).tz_localize("UTC")


_WALLET: Final = ("chain_id", "wallet", "symbol", "token")
_WALLET_SUMS: Final = (
    "opening", "in", "out", "fees", "closing", "explained_in", "explained_out", "unexplained_in", "unexplained_out",
    "residual",
)  # fmt: skip
_MOVEMENT: Final = ("side", "tx_hash", "log_index", "counterparty", "final")


def _balance_rows(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Known wallets with exact amounts in whole tokens; None is "cannot tell"."""
    for row in (plan.balances or {}).get("rows", ()):
        sums = (_told_amount(row[name], row["decimals"]) for name in _WALLET_SUMS)
        yield (*(row[name] for name in _WALLET), *sums, " ".join(row["problems"]))


def _movement_rows(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """The movements that nothing explains."""
    for row in (plan.balances or {}).get("unexplained", ()):
        amount = _told_amount(row["units"], row["decimals"])
        yield (*(row[name] for name in _WALLET), *(row[name] for name in _MOVEMENT), amount)


def _told_amount(units: str | None, decimals: int | None) -> Decimal | None:
    return None if units is None else whole_tokens(int(units), decimals=decimals)
