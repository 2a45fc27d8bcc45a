"""Everything that moved value between two times, unusual first, with totals before and after by token."""

from __future__ import annotations

from recon.core.times import ms_text
from recon.investigation.audit import Audit, AuditEvent
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, chain_text
from recon.reports.views.balances import balance_tables

_ROWS_SHOWN = 50


def render_audit(found: Audit) -> Report:
    """The events, the totals, the balances of known wallets, and what the data cannot say."""
    odd = len(found.unusual)
    facts = (
        Fact("window", "between", f"{ms_text(found.from_ms)} and {ms_text(found.to_ms)}"),
        Fact("events", "events", str(len(found.events)), "count"),
        Fact("unusual", "unusual", str(odd), "count", alarm=bool(odd)),
        Fact("before", "what was before", found.before or "not known: no snapshot of before is there"),
        *(Fact("unread", "CANNOT TELL of all", text, alarm=True) for text in found.unread),
    )
    tables = (
        _events(found),
        _totals(found),
        *balance_tables(found.plan),
        Table("unsaid", "What the data cannot say", (Column("line", "", "prose"),), tuple((t,) for t in found.unsaid)),
    )
    steps = (
        "Nothing has changed. To see one payment from every side: recon inspect ID",
        "What recon wrote is taken back by a plan (recon undo RUN); what others wrote, the backend takes back.",
    )
    return Report("audit", "What moved value", facts, tables, steps)


def _events(found: Audit) -> Table:
    columns = (
        Column("at", "UTC", "time"), Column("source", "told by"), Column("subject", "what it is about", "id"),
        Column("amount", "amount", "amount"), Column("what", "what happened", "prose"), Column("who", "by"),
        Column("approvals", "approved by"), Column("destination", "destination", "id", wide=True),
        Column("evidence", "evidence", "reason"), Column("unusual", "unusual because", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            ms_text(each.at_ms),
            each.source,
            each.subject,
            _amount(each),
            each.what,
            each.who,
            each.approvals,
            each.destination,
            each.evidence,
            "; ".join(each.unusual),
        )
        for each in found.events
    )
    note = f"the first {_ROWS_SHOWN} of {len(rows)}" if len(rows) > _ROWS_SHOWN else ""
    empty = "cannot tell: not everything could be read" if found.unread else "nothing moved value"
    return Table("events", "Events, unusual first", columns, rows, note=note, empty=empty, shown=_ROWS_SHOWN)


def _amount(each: AuditEvent) -> str:
    return "" if each.units is None else amount_text(each.units, decimals=each.decimals, symbol=each.symbol)


def _totals(found: Audit) -> Table:
    columns = (
        Column("chain", "chain"), Column("token", "token", "id", wide=True), Column("state", "state"),
        Column("before", "before", "exact"), Column("after", "after", "exact"),
        Column("difference", "difference", "exact"),
    )  # fmt: skip
    rows = tuple(
        (
            chain_text(str(each.chain_id)),
            each.token or "",
            each.state,
            *(
                amount_text(units, decimals=each.decimals, symbol=each.symbol)
                for units in (each.before, each.after, each.after - each.before)
            ),
        )
        for each in found.totals
    )
    return Table(
        "totals",
        "Changed rows by token and state, before and after",
        columns,
        rows,
        empty="cannot tell: not everything could be read" if found.unread else "no row was changed",
    )
