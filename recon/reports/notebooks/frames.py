"""Artefacts as pandas frames, exact: amounts are objects (``Decimal``, ``int``), times are UTC, chains carry names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Plan
from recon.core.money import whole_tokens
from recon.core.registry import Registry
from recon.core.tables import TABLES
from recon.core.times import parse_iso_ms
from recon.reports.notebooks.columns import COLUMNS_OF, RENAMED, TOKENS_OF, column_names, documented, meanings
from recon.reports.text import value_text

if TYPE_CHECKING:
    import pandas as pd

    from recon.investigation.payment import Inspection
    from recon.runs.stores.journal import JournalEntry
    from recon.snapshots.sealed import Snapshot

Frames = dict[str, "pd.DataFrame"]


def snapshot_frames(snapshot: Snapshot, registry: Registry) -> Frames:
    """Every table of a snapshot as it stands after the second reading."""
    return {name: _table_frame(name, snapshot.table(name), registry) for name in TABLES}


def plan_frames(plan: Plan, registry: Registry) -> Frames:
    """Findings, changes, what is left alone and why, coverage, and the counters of the summary."""
    summary = plan.summary
    frames = {
        "findings": _frame("findings", _finding_rows(plan, registry)),
        "fields": _frame(
            "fields",
            (
                (item.payment_id, view.field, view.local, view.provider, view.chain)
                for item in plan.findings
                for view in item.fields
            ),
        ),
        "changes": _frame("changes", _change_rows(plan, registry)),
        "sets": _frame(
            "sets",
            (
                (item.payment_id, item.id, one.path, value_text(one.before), value_text(one.after))
                for item in plan.changes
                for one in item.sets
            ),
        ),
        "left_alone": _frame(
            "left_alone", ((item.payment_id, item.verdict.value, item.reason) for item in plan.left_alone)
        ),
        "verdicts": _frame("verdicts", (summary.get("verdicts") or {}).items()),
        "by_provider": _frame("by_provider", _split(summary.get("by_provider"))),
        "by_chain": _frame(
            "by_chain", ((_chain(chain, registry), *rest) for chain, *rest in _split(summary.get("by_chain")))
        ),
        "open_by_age": _frame("open_by_age", (summary.get("open_by_age") or {}).items()),
        "money": _frame("money", _money_rows(plan, registry)),
        "coverage": _coverage_frame(plan, registry),
    }
    if plan.balances is not None:
        frames["balances"] = _frame("plan_balances", _balance_rows(plan))
        frames["movements"] = _frame("plan_movements", _movement_rows(plan))
    return frames


def _coverage_frame(plan: Plan, registry: Registry) -> pd.DataFrame:
    """What was asked and answered; a plan keeps some of the columns of the snapshot's table."""
    from recon.core.tables import table_of

    known = TABLES["coverage"]
    rows = [{name: cell for name, cell in row.items() if name in known} for row in plan.coverage]
    return _table_frame("coverage", table_of("coverage", rows), registry)


def case_frames(found: Inspection, registry: Registry) -> Frames:
    """One payment: its timeline, the ranked causes, what each side says, and the rows of the evidence."""
    from recon.core.tables import table_of

    frames = {
        "timeline": _frame("timeline", ((each.at_ms, each.source, each.says) for each in found.timeline)),
        "causes": _frame(
            "causes",
            (
                (each.name, each.strength.name.lower(), each.title, each.next_step, each.evidence_for,
                 each.evidence_against)
                for each in found.causes
            ),
        ),
        "fields": _frame(
            "fields",
            (
                (found.dossier.payment_id, view.field, view.local, view.provider, view.chain)
                for view in (found.judged.finding.fields if found.judged else ())
            ),
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
    return _frame(
        "plans",
        (
            (_ms(entry.get("at")), entry.get("target"), entry.get("plan"), entry.get("digest"),
             _only(int, entry.get("payments")), _only(int, entry.get("break_count")),
             _only(bool, entry.get("complete")), _only(bool, (entry.get("health") or {}).get("ok")))
            for entry in entries
        ),
    )  # fmt: skip


def journal_frame(entries: Iterable[JournalEntry]) -> pd.DataFrame:
    """One row an entry, in the order of the journal; what an entry says stands in it as JSON."""
    return _frame(
        "entries",
        (
            (each.seq, _ms(each.note.at), each.note.run, each.note.kind, each.note.payment, each.note.change,
             json.dumps(dict(each.note.body), ensure_ascii=False, sort_keys=True, default=str))
            for each in entries
        ),
    )  # fmt: skip


def _only(kind: type, cell: Any) -> Any:
    """A cell if it is of that very type; an entry is a line of a file that anything may have written."""
    return cell if type(cell) is kind else None


def _ms(at: Any) -> int | None:
    return parse_iso_ms(at) if isinstance(at, str) else None


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
    for column in TABLES[name]:
        if column not in table.column_names:
            continue  # a snapshot of an earlier version has fewer columns
        cells = table[column].to_pylist()
        if column in TOKENS_OF.get(name, {}):
            units = [None if value is None else int(value) for value in cells]
            whole = TOKENS_OF[name][column]
            columns[whole] = column_of(whole, _whole(table, units, registry))
        called = RENAMED.get((name, column), column)
        columns[called] = column_of(called, cells)
        if column == "chain_id":
            columns["chain"] = column_of("chain", [_chain(value, registry) for value in cells])
    return documented(pd.DataFrame(columns), name)


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


def _frame(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Rows under the columns of a frame, each of the kind that its meaning says."""
    import pandas as pd

    names, listed = column_names(name), [tuple(row) for row in rows]
    found = {column: column_of(column, [row[place] for row in listed]) for place, column in enumerate(names)}
    return documented(pd.DataFrame(found, columns=list(names)), name)


def column_of(name: str, cells: Sequence[Any]) -> Any:
    """Cells as the column of that name, in the kind that its meaning says; None is what is not known.

    Times come as UTC milliseconds and ages as seconds.
    """
    import pandas as pd

    from recon.reports.notebooks.exact import ExactArray, ExactDtype

    kind = meanings()[name].kind
    if kind == "units":
        return ExactArray(cells, dtype=ExactDtype("units"))
    if kind == "tokens":
        return ExactArray(cells, dtype=ExactDtype("tokens"))
    if kind == "time":
        return _utc(pd.array(list(cells), dtype="Int64"))
    if kind == "age":
        return pd.to_timedelta(pd.array(list(cells), dtype="Int64"), unit="s")
    if kind == "list":
        return pd.Series([None if cell is None else tuple(cell) for cell in cells], dtype="object")
    dtypes = {"text": "string", "int": "Int64", "bool": "boolean"}
    return pd.array([_as_text(cell) if kind == "text" else cell for cell in cells], dtype=dtypes[kind])


def _as_text(cell: Any) -> str | None:
    return cell if cell is None or type(cell) is str else str(cell)


def _utc(values: Any) -> Any:
    """UTC milliseconds as times of that precision; what lies outside every calendar is missing."""
    import numpy as np
    import pandas as pd

    known = pd.array(values, dtype="Int64")
    whole = known.to_numpy(dtype="int64", na_value=np.iinfo("int64").min)
    return pd.DatetimeIndex(whole.astype("datetime64[ms]")).tz_localize("UTC")


_WALLET: Final = COLUMNS_OF["plan_balances"][:4]
_WALLET_SUMS: Final = COLUMNS_OF["plan_balances"][4:-1]
_MOVEMENT: Final = COLUMNS_OF["plan_movements"][4:-1]


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
