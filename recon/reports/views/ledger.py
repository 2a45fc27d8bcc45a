"""The backend's ledger in a plan: what is the matter with it, where every unit is, and what could not be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Plan
from recon.core.text import count_text
from recon.reports.model import Column, Fact, Report, RowsOf, Table
from recon.reports.text import amount_text
from recon.reports.views.coverage import CANNOT_TELL

if TYPE_CHECKING:
    from recon.repairs.plan import LeftOut

FINDINGS_SHOWN: Final = 20
ACCOUNTS_SHOWN: Final = 20

Row = Mapping[str, Any]
_SUMS: Final = (
    ("came", "came in, proven"), ("booked", "booked of it"), ("unexplained", "not booked"),
    ("went", "went out, proven"), ("back", "went back, proven"), ("gross", "gross"), ("fee", "fee"),
    ("released", "released"), ("refunded", "refunded"), ("adjustment", "adjusted"), ("left_held", "held"),
    ("left_after_end", "left after the end"),
    ("left_overdrawn", "overdrawn"), ("left_out_of_window", "in deals beyond the window"),
    ("elsewhere", "of no deal of the window"), ("residual", "residual"),
)  # fmt: skip
_NARROW: Final = frozenset(
    {"came", "booked", "unexplained", "left_held", "left_after_end", "left_overdrawn", "residual"}
)


def render_ledger(plan: Plan, *, path: str = "PLAN") -> Report:
    """What a plan says of the ledger."""
    assert plan.ledger is not None, "the command refuses a plan without a ledger"
    return Report(
        name="ledger",
        title="The ledger beside the evidence",
        facts=ledger_facts(plan),
        tables=ledger_tables(plan),
        next_steps=(
            "Nothing has changed. A payment from every side: recon inspect ID",
            f"To propose entries that put it right, each with its counter-entry: recon ledger repair --plan {path}",
        ),
    )


def render_left_out(left: Sequence[LeftOut]) -> Report:
    """Why no entry can be proposed."""
    columns = (Column("about", "what it is about", "id"), Column("why", "why", "prose"))
    rows = tuple((each.about, each.why) for each in left)
    table = Table("left_out", "Left out", columns, rows)
    return Report("ledger_repair", "Entries that put the ledger right: none can be proposed", (), (table,))


def ledger_facts(plan: Plan) -> tuple[Fact, ...]:
    """The headline of the ledger; none where no ledger was read."""
    block = plan.ledger
    if block is None:
        return ()
    if block["problem"] is not None:
        return (Fact("ledger", "ledger", f"{CANNOT_TELL}: {block['problem']}", alarm=True),)
    counts = block["counts"]
    odd = sum(counts.values())
    read = sum(row["entries"] for row in block["totals"])
    said = [f"{count_text(read, 'entry', many='entries')} in {block['books']} books"]
    said += [f"{count} {verdict}" for verdict, count in counts.items()]
    untold = _untold(block)
    return (
        Fact("ledger", "ledger", "; ".join(said if odd else [*said, _even(untold)]), alarm=bool(odd or untold)),
        *(Fact("ledger_untold", "CANNOT TELL of the ledger", text, alarm=True) for text in untold),
    )


def _even(untold: tuple[str, ...]) -> str:
    """What is said where no finding is."""
    return "what could be told agrees" if untold else "all of it agrees with the evidence and adds up"


def _untold(block: Row) -> tuple[str, ...]:
    """What was not judged, and why."""
    found = [
        f"{count_text(row['entries'], 'entry', many='entries')} of kind {row['kind'] or 'unset'} ({row['reason']}), "
        f"for one {row['entry_id']}"
        for row in block["unread"]
    ]
    if block["untold"]:
        found.append(f"{count_text(block['untold'], 'payment')} whose money cannot be told, or not yet")
    return tuple(found)


def ledger_tables(plan: Plan) -> tuple[Table, ...]:
    """The findings, the sums by token and by account; none where no ledger was read."""
    block = plan.ledger
    if block is None:
        return ()
    return (_finding_table(block), _total_table(block), *_account_tables(block))


def _unless_untold(block: Row, said: str) -> str:
    return f"{CANNOT_TELL}: see above" if block["problem"] is not None or not block["totals"] else said


def _finding_table(block: Row) -> Table:
    columns = (
        Column("verdict", "verdict"), Column("payment", "payment", "id"), Column("deal", "deal", "id", wide=True),
        Column("difference", "booked over proven", "exact"), Column("why", "why", "reason"),
        Column("entry", "an entry of it", "id", wide=True), Column("reason", "reason", wide=True),
    )  # fmt: skip
    more = block["findings_more"]
    note = f"{count_text(more, 'finding')} more, in no list" if more else ""
    empty = "nothing that could be told is the matter with it"
    rows = RowsOf(block["findings"], _finding_row)
    return Table(
        "ledger", "What is the matter with the ledger", columns, rows,
        note=note, empty=_unless_untold(block, empty), shown=FINDINGS_SHOWN,
    )  # fmt: skip


def _finding_row(row: Row) -> tuple[str, ...]:
    return (
        row["verdict"], row["payment_id"] or "", row["deal"] or "", _amount(row, row["difference"]), row["sentence"],
        row["entry_id"] or "", row["reason"],
    )  # fmt: skip


def _total_table(block: Row) -> Table:
    columns = (
        Column("chain_id", "chain"), Column("token", "token", "id", wide=True),
        *(Column(name, label, "exact", wide=name not in _NARROW) for name, label in _SUMS),
    )  # fmt: skip
    rows = tuple(
        (str(row["chain_id"]), row["token"] or "", *(_amount(row, row[name]) for name, _ in _SUMS))
        for row in block["totals"]
    )
    title = "Where every unit is: gross + adjusted - fee - released - refunded = held + left after the end + overdrawn"
    return Table("ledger_totals", title, columns, rows, empty=_unless_untold(block, "the ledger has no entry"))


def _account_tables(block: Row) -> tuple[Table, ...]:
    if not block["accounts"]:
        return ()
    columns = (
        Column("account", "account"), Column("chain_id", "chain"), Column("kind", "kind"),
        Column("entries", "entries", "count"), Column("units", "sum", "exact"),
        Column("balance", "credit less debit", "exact"),
    )  # fmt: skip
    rows = tuple(
        (
            row["account"], str(row["chain_id"]), row["kind"], str(row["entries"]), _amount(row, row["units"]),
            _amount(row, row["balance"]),
        )
        for row in block["accounts"]
    )  # fmt: skip
    more = block["accounts_more"]
    note = f"{count_text(more, 'sum')} more, in no list" if more else ""
    return (Table("ledger_accounts", "Sums by account", columns, rows, note=note, shown=ACCOUNTS_SHOWN),)


def _amount(row: Row, units: str | None) -> str:
    return "" if units is None else amount_text(int(units), decimals=row["decimals"], symbol=row["symbol"])
