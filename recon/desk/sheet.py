"""One payment as lines of text: the sides with their differences, the evidence, the change with all that it guards.

A line has a look and no markup: what comes from outside is cleaned here and reaches the screen as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from recon.core.model import COMPLETE, MISSING, OPEN, TIER_TEXT, Change, FieldView, Finding, ProofTerm
from recon.core.registry import Registry
from recon.core.registry.off_chain import OFF_CHAIN, number_text
from recon.core.text import count_text, group_digits
from recon.desk.marks import Mark
from recon.desk.rows import STANDING_TEXT, DeskRow
from recon.plans.notes import PlanNotes
from recon.reports.explorer import explorer_pages
from recon.reports.text import age_text, amount_text, display_text, shell_word, value_text
from recon.reports.views.notes import note_line

TITLE: Final = "title"
HEAD: Final = "head"
PLAIN: Final = "plain"
ALARM: Final = "alarm"
DIFFERS: Final = "differs"
COMMAND: Final = "command"

_PAID_SIDE: Final = {"paid, final": True, "no money": False, "hash not found": False}
_PREMISES: Final = ("no money that fits:", "read from ", "provider error:")
_WORD: Final = re.compile(r"[^\s,;()]+")


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One line: how it looks, what it says, and how far lines that continue it are moved in."""

    look: str
    text: str
    hang: int = 2


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What a sheet needs to know besides its row.

    Args:
        plan_path, config: As they stand in commands.
        registry: Knows the explorers of the chains; without it a sheet names no page.
        payments: Every payment that the plan names, so that a row's neighbours are found in its evidence.
        notes: What was decided of payments in sheets.
    """

    plan_path: str = "PLAN"
    config: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    registry: Registry | None = None
    payments: frozenset[str] = frozenset()
    notes: PlanNotes = field(default_factory=PlanNotes)


def sheet_facts(*, plan_path: str, config: str, registry: Registry, rows: Iterable[DeskRow]) -> SheetFacts:
    """What sheets of a plan need to know, with the chains that the registry knows."""
    return SheetFacts(
        plan_path=plan_path,
        config=config,
        names={chain: facts.name for chain, facts in registry.chains.items() if chain != OFF_CHAIN},
        registry=registry,
        payments=frozenset(row.payment_id for row in rows),
    )


def sheet_lines(row: DeskRow, facts: SheetFacts, *, mark: Mark | None = None) -> tuple[SheetLine, ...]:
    """Everything that the plan says of one payment, in reading order."""
    parts: Sequence[Iterable[SheetLine]] = (
        _headline(row, facts, mark),
        _notes(row, facts),
        _sides(row.finding),
        _change_lines(row.change, row),
        _effects(row.change),
        _evidence(row, facts),
        _guards(row.change),
        _links(row, facts),
        _commands(row, facts),
    )
    return tuple(line for part in parts for line in part)


def _headline(row: DeskRow, facts: SheetFacts, mark: Mark | None) -> Iterator[SheetLine]:
    said = row.said
    yield SheetLine(TITLE, f"Payment {_clean(row.payment_id)}")
    yield SheetLine(PLAIN, f"{row.verdict} - {STANDING_TEXT[row.standing]} ({row.tier}: {TIER_TEXT[row.tier]})")
    yield SheetLine(PLAIN, _clean(said.reason))
    if row.left:
        yield SheetLine(ALARM, f"Left alone: {_clean(row.left)}.")
    if mark is not None:
        until = f" until {_clean(mark.until)}: {_clean(mark.reason)}" if mark.until else ""
        yield SheetLine(ALARM, f"Marked for {mark.kind}{until}")
    yield SheetLine(HEAD, "Facts")
    yield from (_pair(name, text) for name, text in _facts(row, facts) if text)


def _notes(row: DeskRow, facts: SheetFacts) -> Iterator[SheetLine]:
    if held := facts.notes.of(row.payment_id):
        yield SheetLine(HEAD, "Decided in a sheet (names are claims)")
    yield from (SheetLine(PLAIN, f"  - {_clean(note_line(each))}", 4) for each in held)
    yield from (SheetLine(ALARM, f"Notes: {_clean(text)}.") for text in facts.notes.unread)


def _facts(row: DeskRow, facts: SheetFacts) -> Iterator[tuple[str, str]]:
    said, finding = row.said, row.finding

    def money(units: int | None) -> str:
        amount = amount_text(units or 0, decimals=said.decimals, symbol=said.symbol)
        return group_digits(amount) if units else ""

    yield "value", money(said.value_units)
    yield "difference", money(finding.difference_units if finding else None)
    yield "age", age_text(said.age_s)
    yield "rail", row.rail
    yield (
        "chain",
        "" if row.chain_id is None else f"{number_text(row.chain_id)} {facts.names.get(row.chain_id, '')}".strip(),
    )
    yield "token", said.token or ""
    yield "severity", row.severity.value
    yield "all findings", " ".join(finding.findings) if finding and len(finding.findings) > 1 else ""


def _sides(finding: Finding | None) -> Iterator[SheetLine]:
    if finding is None or not finding.fields:
        return
    yield SheetLine(HEAD, "What each side says (!= where they differ)")
    yield from (line for view in finding.fields for line in _side(view))


def _side(view: FieldView) -> Iterator[SheetLine]:
    named = (("ours", view.local), ("provider", view.provider), ("chain", view.chain))
    said = [(name, side) for name, side in named if side is not None]
    if len(said) > 1 and len({side for _, side in said}) == 1:
        yield SheetLine(PLAIN, f"   {_clean(view.field)} ({', '.join(name for name, _ in said)})")
        yield SheetLine(PLAIN, f"     {_clean(said[0][1])}", 14)
        return
    differs = sides_differ(view)
    yield SheetLine(DIFFERS if differs else PLAIN, f"{'!=' if differs else '  '} {_clean(view.field)}")
    yield from (SheetLine(PLAIN, f"     {name:<9}{_clean(side)}", 14) for name, side in said)


def sides_differ(view: FieldView) -> bool:
    """Whether the sides that say something of a field contradict each other.

    Of a status only our own word and the chain are held against each other: whether it counts as paid there and here.
    """
    if view.field == "status":
        ours = True if view.local in COMPLETE else False if view.local in (*OPEN, "failed", "cancelled") else None
        chain = _PAID_SIDE.get(view.chain or "")
        return ours is not None and chain is not None and ours is not chain
    said = [side for side in (view.local, view.provider, view.chain) if side]
    return len({side.split(" ")[0] if view.field == "amount" else side for side in said}) > 1


def _change_lines(change: Change | None, row: DeskRow) -> Iterator[SheetLine]:
    if change is None:
        return
    yield SheetLine(HEAD, f"The change {change.id}")
    for item in change.sets:
        yield SheetLine(PLAIN, f"  {_clean(item.path)}")
        yield SheetLine(PLAIN, f"     before   {_value(item.before)}", 14)
        yield SheetLine(DIFFERS, f"     after    {_value(item.after)}", 14)


def _effects(change: Change | None) -> Iterator[SheetLine]:
    if change is None or not change.side_effects:
        return
    yield SheetLine(HEAD, "What becomes possible, and what will not happen")
    for effect in change.side_effects:
        yield SheetLine(PLAIN, f"  - {_clean(effect)}", 4)


def _evidence(row: DeskRow, facts: SheetFacts) -> Iterator[SheetLine]:
    groups: dict[str, list[str]] = {"Deal: other payments": [], "Evidence": [], "It rests on": []}
    for entry in _entries(row):
        title = "It rests on" if entry.startswith(_PREMISES) else "Evidence"
        groups["Deal: other payments" if _neighbours(entry, row, facts) else title].append(entry)
    for title, held in groups.items():
        if held:
            yield SheetLine(HEAD, title)
        yield from (SheetLine(PLAIN, f"  - {_clean(entry)}", 4) for entry in held)


def _entries(row: DeskRow) -> tuple[str, ...]:
    """Every piece of evidence once, that of the finding first."""
    held = [said.evidence for said in (row.finding, row.change) if said is not None]
    return tuple(dict.fromkeys(entry for entries in held for entry in entries))


def _neighbours(entry: str, row: DeskRow, facts: SheetFacts) -> bool:
    """Whether a piece of evidence names another payment."""
    return any(word in facts.payments and word != row.payment_id for word in _WORD.findall(entry)) or (
        " payment " in entry and not entry.startswith(_PREMISES)
    )


def _guards(change: Change | None) -> Iterator[SheetLine]:
    if change is None:
        return
    yield SheetLine(HEAD, f"Written only if all of this still holds ({count_text(len(change.guard), 'value')})")
    for text in (*_guard_texts(change), *map(_proof_text, change.proof)):
        yield SheetLine(PLAIN, f"  {text}", 4)


def _guard_texts(change: Change) -> Iterator[str]:
    """Values that are there first, then what must not be there."""
    for is_absent in (False, True):
        for term in change.guard:
            if (term.value == MISSING) is is_absent:
                yield (
                    f"{_clean(term.path)} is not there" if is_absent else f"{_clean(term.path)} = {_value(term.value)}"
                )
    if change.parents:
        yield f"objects, or not there: {_clean(', '.join(change.parents))}"
    yield f"the stamp of recon: {_value(change.stamp_before)}"


def _proof_text(term: ProofTerm) -> str:
    place = f"log {term.log_index}" if term.log_index is not None else "the transaction"
    final = "final" if term.is_final else "not final"
    text = f"{place} of {_clean(term.tx_hash)} on chain {term.chain_id} still there, {final}"
    return f"{text}, in block {term.block}" if term.block is not None else text


def _links(row: DeskRow, facts: SheetFacts) -> Iterator[SheetLine]:
    pages = explorer_pages(row.finding, row.change, registry=facts.registry) if facts.registry is not None else ()
    if pages:
        yield SheetLine(HEAD, "At the explorer")
        yield from (SheetLine(COMMAND, f"  {page}", 4) for _, page in pages)


def _commands(row: DeskRow, facts: SheetFacts) -> Iterator[SheetLine]:
    yield SheetLine(HEAD, "Commands")
    yield from (SheetLine(COMMAND, f"  {command}", 4) for command in row_commands(row, facts))


def row_commands(row: DeskRow, facts: SheetFacts) -> tuple[str, ...]:
    """The commands about one row, whole, as a person can paste them."""
    payment, plan = shell_word(row.payment_id), shell_word(facts.plan_path)
    config = f" --config {shell_word(facts.config)}" if facts.config else ""
    commands = [f"recon show {plan} --payment {payment}"]
    if ":" not in row.payment_id:
        commands.append(f"recon inspect {payment}{config}")
        commands.append(f"recon case {payment} --out case.json{config}")
    if row.change is not None:
        commands.append(f"recon select {plan} --payment {payment} --out picked.json{config}")
    return tuple(commands)


def _pair(name: str, text: str) -> SheetLine:
    return SheetLine(PLAIN, f"  {name:<13}{_clean(text)}", 15)


def _value(value: object) -> str:
    return _clean(value_text(value))


def _clean(text: str) -> str:
    return display_text(text)
