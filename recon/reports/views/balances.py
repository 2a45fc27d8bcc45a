"""Known wallets of a plan: what each held, what moved and why, what it holds, and what does not add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from recon.core.model import Plan
from recon.core.text import count_text
from recon.reports.model import Column, Fact, Table
from recon.reports.text import amount_text
from recon.reports.views.coverage import CANNOT_TELL, moment_text

WALLETS_SHOWN: Final = 20
MOVEMENTS_SHOWN: Final = 20
_REASONS_SHOWN: Final = 3

Row = Mapping[str, Any]


def balance_facts(plan: Plan) -> tuple[Fact, ...]:
    """One line of the headline: how many balances are proven, and what is left of them; none without known wallets."""
    if plan.balances is None:
        return ()
    rows = plan.balances["rows"]
    untold = sum(row["residual"] is None for row in rows)
    odd = sum(row["residual"] not in (None, "0") for row in rows)
    bare = len(plan.balances["unexplained"]) + int(plan.balances["unexplained_more"])
    parts = [f"{len(rows) - untold - odd} of {len(rows)} add up to the unit"]
    parts += [f"{odd} DO NOT ADD UP"] if odd else []
    parts += [f"{untold} cannot be told"] if untold else []
    parts += [f"{count_text(bare, 'movement')} unexplained"] if bare else []
    return (Fact("balances", "balances of known wallets", "; ".join(parts), alarm=bool(odd or bare or untold)),)


def balance_tables(plan: Plan) -> tuple[Table, ...]:
    """The wallets, what named rules explain, and what nothing explains; none without known wallets."""
    block = plan.balances
    if block is None:
        return ()
    tables = [_wallet_table(block), _movement_table(block)]
    return (*tables, _rule_table(block)) if block["rules"] else tuple(tables)


def _wallet_table(block: Row) -> Table:
    columns = (
        Column("wallet", "wallet", "id"), Column("chain_id", "chain"), Column("opening", "opening", "exact"),
        Column("in", "in", "exact", wide=True), Column("out", "out", "exact", wide=True),
        Column("fees", "fees in out", "exact", wide=True), Column("closing", "closing", "exact"),
        Column("explained", "explained", "exact", wide=True), Column("unexplained", "unexplained", "exact"),
        Column("residual", "residual", "exact"), Column("blocks", "blocks", wide=True),
        Column("why", "why it cannot be told", wide=True), Column("token", "token", "id", wide=True),
    )  # fmt: skip
    shown = sorted((row for row in block["rows"] if not _is_quiet(row)), key=_oddest)
    return Table(
        "balances",
        "Balances of known wallets: opening + in - out + residual = closing",
        columns,
        tuple(_wallet_row(row) for row in shown),
        note=" ".join(_wallet_notes(block, quiet=len(block["rows"]) - len(shown))),
        empty=_none_unless_open(block, "no known wallet holds anything or moved anything"),
        shown=WALLETS_SHOWN,
    )


def _none_unless_open(block: Row, said: str) -> str:
    """What an empty table says, unless a wallet could not be told or nothing was read."""
    is_open = block["problem"] or not block["rows"] or any(row["residual"] is None for row in block["rows"])
    return f"{CANNOT_TELL}: see why above" if is_open else said


def _is_quiet(row: Row) -> bool:
    """Whether a wallet held nothing, holds nothing, and nothing moved."""
    return not row["movements"] and row["residual"] == row["opening"] == row["closing"] == "0"


def _oddest(row: Row) -> tuple[bool, ...]:
    """What does not add up comes first, then what nothing explains, what cannot be told, and what moved."""
    bare = int(row["unexplained_in"]) + int(row["unexplained_out"])
    return row["residual"] in (None, "0"), not bare, row["residual"] is not None, not row["movements"]


def _wallet_notes(block: Row, *, quiet: int) -> Iterator[str]:
    loud = len(block["rows"]) - quiet
    if loud > WALLETS_SHOWN:
        yield f"The first {WALLETS_SHOWN} of {loud}."
    reasons = list(dict.fromkeys(text for row in block["rows"] for text in row["problems"]))
    yield from reasons[:_REASONS_SHOWN]
    if len(reasons) > _REASONS_SHOWN:
        yield f"{count_text(len(reasons) - _REASONS_SHOWN, 'more reason is', many='more reasons are')} in the plan."
    if block["problem"]:
        yield block["problem"]
    if quiet:
        yield f"{quiet} more hold nothing and moved nothing."
    yield f"Not proven here: {'; '.join(block['left_out'])}."


def _wallet_row(row: Row) -> tuple[str, ...]:
    told = {name: _amount(row, row[name]) for name in ("opening", "in", "out", "fees", "closing", "residual")}
    explained = None
    if row["explained_in"] is not None:
        explained = str(int(row["explained_in"]) - int(row["explained_out"]))
    first, last = row["opening_block"], row["closing_block"]
    return (
        row["wallet"],
        str(row["chain_id"]),
        told["opening"],
        told["in"],
        told["out"],
        told["fees"],
        told["closing"],
        _amount(row, explained),
        _unexplained(row),
        told["residual"],
        "" if first is None else f"{first}..{last}",
        " ".join(row["problems"]),
        row["token"],
    )


def _unexplained(row: Row) -> str:
    """What nothing explains: what came with ``+``, what left with ``-``."""
    came, left = int(row["unexplained_in"]), int(row["unexplained_out"])
    parts = [_amount(row, str(-left))] if left else []
    parts += [f"+{_amount(row, str(came))}"] if came else []
    if parts:
        return ", ".join(parts)
    return _amount(row, "0" if row["in"] is not None else None)


def _movement_table(block: Row) -> Table:
    columns = (
        Column("amount", "amount", "exact"), Column("side", "side"), Column("counterparty", "other side", "id"),
        Column("tx_hash", "transaction", "id"), Column("block_time", "time", "time"), Column("chain_id", "chain"),
        Column("wallet", "wallet", "id", wide=True), Column("log_index", "log", "count", wide=True),
        Column("state", "state"),
    )  # fmt: skip
    rows = tuple(_movement_row(row) for row in block["unexplained"])
    total = len(rows) + int(block["unexplained_more"])
    note = f"the first {min(MOVEMENTS_SHOWN, len(rows))} of {total}" if total > MOVEMENTS_SHOWN else ""
    return Table(
        "unexplained_movements",
        "Movements of known wallets that no row, fee or rule explains",
        columns,
        rows,
        note=note,
        empty=_none_unless_open(block, "none"),
        shown=MOVEMENTS_SHOWN,
    )


def _movement_row(row: Row) -> tuple[str, ...]:
    return (
        _amount(row, row["units"]),
        row["side"],
        row["counterparty"],
        row["tx_hash"],
        moment_text(row["block_time"]),
        str(row["chain_id"]),
        row["wallet"],
        str(row["log_index"]),
        "final" if row["final"] else "not final yet",
    )


def _rule_table(block: Row) -> Table:
    columns = (Column("reason", "rule"), Column("amount", "amount", "exact"), Column("side", "side"),
               Column("movements", "movements", "count"), Column("wallet", "wallet", "id"),
               Column("address", "other side", "id", wide=True), Column("chain_id", "chain", wide=True))  # fmt: skip
    rows: Sequence[Row] = block["rules"]
    told = tuple(
        (
            row["reason"],
            _amount(row, row["units"]),
            row["side"],
            str(row["movements"]),
            row["wallet"],
            row["address"],
            str(row["chain_id"]),
        )
        for row in rows
    )
    return Table("named_rules", "Movements that a named rule explains", columns, told)


def _amount(row: Row, units: str | None) -> str:
    """An amount of a row's token, exact; what nobody can tell is said so and never 0."""
    if units is None:
        return CANNOT_TELL
    return amount_text(int(units), decimals=row["decimals"], symbol=row["symbol"])
