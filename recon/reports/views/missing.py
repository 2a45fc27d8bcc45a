"""What is not there, what is held, and what a restore did: lists to choose from."""

from __future__ import annotations

from collections.abc import Iterator

from recon.core.text import count_text
from recon.core.times import second_text
from recon.repairs.holds import HoldList
from recon.repairs.missing import MissingEvidence, MissingFound, MissingRows
from recon.repairs.restores import STATE_TEXT, STATES, Restored
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, shell_word

_ROWS_SHOWN = 50
_STANDS = {True: "supported", False: "nothing speaks for it", None: "cannot tell"}


def render_missing(made: MissingRows, *, config: str | None = None) -> Report:
    """Everything that no row knows: what can be put in, and why the rest cannot."""
    columns = (
        Column("name", "what", "id"), Column("amount", "amount", "amount"), Column("stands", "evidence", "severity"),
        Column("why", "because", "prose"), Column("evidence", "rests on", "id", wide=True),
    )  # fmt: skip
    left = {each.about: each.why for each in made.left_out}
    rows = tuple(_missing_row(each, left.get(each.name)) for each in made.found)
    facts = (
        Fact("missing", "no row knows", str(len(rows)), "count", alarm=bool(rows)),
        *(Fact("unread", "not read whole", each, alarm=True) for each in made.unread),
    )
    own = f" --config {shell_word(config)}" if config else ""
    whole = [each.name for each in made.found if isinstance(each.evidence, MissingEvidence)]
    steps = (f"To plan a row: recon repair missing {shell_word(whole[0])} --reason TEXT{own}",) if whole else ()
    table = Table("rows", "Money that no row knows", columns, rows, empty=_none_missing(made), shown=_ROWS_SHOWN)
    return Report("missing", "Missing rows", facts, (table,), steps)


def _none_missing(made: MissingRows) -> str:
    """What an empty list means: none only where everything was read."""
    if made.unread:
        return f"cannot tell: {', '.join(made.unread)} was not read whole"
    return "the snapshot shows none"


def _missing_row(found: MissingFound, why: str | None) -> tuple[str, str, str, str, str]:
    evidence = found.evidence
    if isinstance(evidence, str):
        return found.name, "", "not whole", evidence, ""
    amount = amount_text(evidence.value_units, decimals=evidence.decimals, symbol=evidence.symbol)
    return found.name, amount, "whole", why or "one final transfer to us", evidence.transfer


def render_holds(found: HoldList, *, config: str | None = None) -> Report:
    """Every hold and how it stands with it, those first that nothing speaks for."""
    columns = (
        Column("about", "row", "id"), Column("stands", "the hold", "severity"), Column("why", "because", "prose"),
        Column("said", "it says", "prose"),
    )  # fmt: skip
    rows = tuple((row.about, _STANDS[row.is_supported], row.why, row.since) for row in found.rows)
    facts = [Fact("held", "rows held", str(len(rows)), "count")]
    if not found.is_judged:
        facts.append(Fact("not_judged", "not judged", found.why_not or "the evidence was not asked", alarm=True))
    own = f" --config {shell_word(config)}" if config else ""
    loose = [row.about for row in found.rows if row.is_supported is False]
    steps = [f"To lift one: recon hold lift --payment {shell_word(loose[0])} --reason TEXT{own}"] if loose else []
    table = Table("rows", "Holds", columns, rows, empty="no row says true there", shown=_ROWS_SHOWN)
    return Report("holds", "Holds", tuple(facts), (table,), tuple(steps))


def render_restored(found: Restored, *, config: str | None = None) -> Report:
    """What a restore did: rows first, then runs, webhooks and flags, and in which order to put it right."""
    facts = [Fact("dump_time", "dump taken", _dump_text(found))]
    facts += [
        Fact(state.replace(" ", "_"), state, str(found.counts[state]), "count", alarm=state in STATES[:4])
        for state in STATES
        if found.counts[state]
    ]
    if found.journal_gap:
        facts.append(Fact("journal", "journal", f"not whole: {found.journal_gap}", alarm=True))
    for run, count in sorted(found.unknown_stamps.items()):
        facts.append(
            Fact("unknown", "journal is older than the data", f"{run}: {count_text(count, 'row')}", alarm=True)
        )
    facts += [Fact("flags", "flags", text, alarm=True) for text in found.flags]
    facts += [Fact("unread", "could not be read", text, alarm=True) for text in found.unread]
    return Report(
        "restored", "After a restore", tuple(facts), (_restored_rows(found), _deliveries(found)),
        tuple(_order(found, config)),
    )  # fmt: skip


def _dump_text(found: Restored) -> str:
    if found.dump_time is not None:
        return f"{second_text(found.dump_time)}, as it was given"
    kept = found.kept_until
    first = "cannot tell since when" if kept is None else f"after {second_text(kept)}"
    if found.lost_from is None:
        is_unknown = found.is_behind or found.counts["cannot tell"]
        last = "and cannot tell until when" if is_unknown else "and no write that the journal knows is missing"
    else:
        last = f"and before {second_text(found.lost_from)}"
    return f"{first}, {last}"


def _restored_rows(found: Restored) -> Table:
    columns = (
        Column("payment_id", "payment", "id"), Column("state", "state", "severity"), Column("run", "written by", "id"),
        Column("at", "at", "time"), Column("verdict", "as", "verdict"), Column("why", "because", "prose"),
    )  # fmt: skip
    ordered = sorted(found.rows, key=lambda row: (STATES.index(row.state), row.payment_id))
    rows = tuple(
        (row.payment_id, row.state, row.run, second_text(row.at), row.verdict, STATE_TEXT[row.state]) for row in ordered
    )
    return Table("rows", "What runs wrote", columns, rows, empty="the journal knows no write", shown=_ROWS_SHOWN)


def _deliveries(found: Restored) -> Table:
    columns = (
        Column("delivery_id", "delivery", "id"), Column("provider", "from"), Column("at", "came", "time"),
        Column("key", "about", "id"), Column("replay", "replay"), Column("why", "because", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            each.delivery_id,
            each.provider,
            "" if each.at is None else second_text(each.at),
            each.key,
            "after the corrections" if each.is_to_replay else "no",
            each.why,
        )
        for each in found.deliveries
    )
    empty = "no delivery that came since was read"
    return Table("deliveries", "Webhooks since", columns, rows, empty=empty, shown=_ROWS_SHOWN)


def _order(found: Restored, config: str | None) -> Iterator[str]:
    """What to do, in an order in which nothing is credited twice."""
    own = f" --config {shell_word(config)}" if config else ""
    since = f" --from {second_text(found.since)}" if found.since else ""
    yield f"1. Keep webhooks and the backend's own reconciliation off until the last step: recon flags status{own}"
    if found.is_behind:
        yield "2. The journal is older than the data or cut: bring it back from a copy first. No undo is planned by it."
    yield f"3. Judge everything anew, by the evidence and not by the journal: recon plan{since}{own}"
    yield f"4. Review and apply that plan; then put in rows that vanished: recon repair missing{own}"
    yield "5. Replay only the deliveries above that say so: what a plan credits must not be replayed."
