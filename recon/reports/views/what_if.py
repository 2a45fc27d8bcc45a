"""What other rules would have changed: verdicts, writes and sums, by snapshot and together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from recon.core.text import count_text
from recon.plans.comparing import MovedWrite, PlanDifference, TokenSum
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, chain_text

_ROWS_SHOWN = 50


def render_what_if(
    rules: Iterable[str], tried: Iterable[tuple[str, str, int, PlanDifference | None, str]], *, sums: Iterable[TokenSum]
) -> Report:
    """The whole first, then each snapshot.

    Args:
        rules: The settings that are otherwise.
        tried: By snapshot its name, time, number of payments, what differs (None: could not be judged), and why not.
        sums: Those of all snapshots together.
    """
    held = list(tried)
    known = [(name, difference) for name, _, _, difference, _ in held if difference is not None]
    moved = {each.payment_id for _, difference in known for each in difference.verdicts}
    written = {each.payment_id for _, difference in known for each in difference.writes}
    facts = (
        Fact("rules", "other rules", ", ".join(rules)),
        Fact("snapshots", "snapshots", str(len(held)), "count"),
        Fact("verdicts", "payments judged otherwise", str(len(moved)), "count", alarm=bool(moved)),
        Fact("writes", "payments written otherwise", str(len(written)), "count", alarm=bool(written)),
        *(Fact("untold", "CANNOT TELL of", f"{name}: {why}", alarm=True) for name, _, _, d, why in held if d is None),
    )
    tables = (
        _snapshots(held),
        _counts(known),
        _sums("together", "Sums, all snapshots together", [("", each) for each in sums]),
        _sums("sums", "Sums by snapshot", [(name, each) for name, difference in known for each in difference.sums]),
        _verdicts(known),
        _writes(known),
        _said(known),
    )
    return Report("what-if", "What if", facts, tables, ("Nothing has changed: no plan was made and nothing is kept.",))


def _snapshots(held: Iterable[tuple[str, str, int, PlanDifference | None, str]]) -> Table:
    columns = (
        Column("snapshot", "snapshot", "id"), Column("taken_at", "taken", "time"),
        Column("payments", "payments", "count"), Column("verdicts", "judged otherwise", "count"),
        Column("writes", "written otherwise", "count"),
    )  # fmt: skip
    rows = tuple(
        (name, at, str(payments), *(("?", "?") if d is None else (str(len(d.verdicts)), str(len(d.writes)))))
        for name, at, payments, d, _ in held
    )
    return Table("snapshots", "Snapshots", columns, rows)


def _counts(known: Iterable[tuple[str, PlanDifference]]) -> Table:
    columns = (
        Column("verdict", "verdict", "verdict"), Column("before", "before", "count"), Column("after", "after", "count"),
    )  # fmt: skip
    before, after = Counter[str](), Counter[str]()
    for _, difference in known:
        for name, (old, new) in difference.counts.items():
            before[name] += old
            after[name] += new
    rows = tuple((name, str(before[name]), str(after[name])) for name in sorted(before.keys() | after.keys()))
    return Table("counts", "Verdicts whose number differs, all together", columns, rows, empty="none")


def _sums(name: str, title: str, sums: Iterable[tuple[str, TokenSum]]) -> Table:
    columns = (
        Column("snapshot", "snapshot", "id"), Column("kind", "what"), Column("chain", "chain"),
        Column("before", "before", "exact"), Column("after", "after", "exact"),
        Column("difference", "difference", "exact"),
    )  # fmt: skip
    rows = tuple((where, each.kind, chain_text(str(each.chain_id)), *_amounts(each)) for where, each in sums)
    return Table(name, title, columns, rows, empty="nothing is written and nothing is at risk")


def _amounts(each: TokenSum) -> tuple[str, str, str]:
    before, after, difference = (
        amount_text(units, decimals=each.decimals, symbol=each.symbol or each.token)
        for units in (each.before, each.after, each.after - each.before)
    )
    return before, after, difference


def _verdicts(known: Iterable[tuple[str, PlanDifference]]) -> Table:
    columns = (
        Column("snapshot", "snapshot", "id", wide=True), Column("payment_id", "payment", "id"),
        Column("before", "before", "verdict"), Column("after", "after", "verdict"),
        Column("tiers", "may be changed"), Column("reason", "because", "reason"),
    )  # fmt: skip
    rows = tuple(
        (name, each.payment_id, each.before, each.after, f"{each.tier_before or '-'} -> {each.tier_after or '-'}",
         each.reason)
        for name, difference in known
        for each in difference.verdicts
    )  # fmt: skip
    return Table("verdicts", "Payments judged otherwise", columns, rows, note=_note(len(rows)), shown=_ROWS_SHOWN)


def _writes(known: Iterable[tuple[str, PlanDifference]]) -> Table:
    columns = (
        Column("snapshot", "snapshot", "id", wide=True), Column("payment_id", "payment", "id"),
        Column("amount", "amount", "amount"), Column("before", "would have been written", "prose"),
        Column("after", "would be written", "prose"),
    )  # fmt: skip
    rows = tuple(
        (name, each.payment_id, _value(each), each.before, each.after)
        for name, difference in known
        for each in difference.writes
    )
    return Table("writes", "Payments written otherwise", columns, rows, note=_note(len(rows)), shown=_ROWS_SHOWN)


def _value(each: MovedWrite) -> str:
    return amount_text(each.units, decimals=each.decimals, symbol=each.symbol or each.token)


def _note(rows: int) -> str:
    return f"the first {_ROWS_SHOWN} of {count_text(rows, 'row')}" if rows > _ROWS_SHOWN else ""


def _said(known: Iterable[tuple[str, PlanDifference]]) -> Table:
    columns = (
        Column("snapshot", "snapshot", "id"), Column("what", "what"), Column("when", "by"),
        Column("says", "what is said", "prose"),
    )  # fmt: skip
    rows = tuple((name, *each) for name, difference in known for each in _limits_and_health(difference))
    return Table("limits", "Limits and health that differ", columns, rows, empty="none")


def _limits_and_health(difference: PlanDifference) -> Iterator[tuple[str, str, str]]:
    for what, (before, after) in (("limit", difference.limits), ("health", difference.health)):
        yield from ((what, "own rules", text) for text in before if text not in after)
        yield from ((what, "other rules", text) for text in after if text not in before)
