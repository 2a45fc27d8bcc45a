"""The findings of a plan as a sheet to decide in, and what was decided in one that came back.

Each row has a name, made from all that it shows and from the plan. What comes back is held against the plan, cell by
cell: the person who decided saw this plan's evidence, beside the right payment, or nothing of it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from recon.core.canonical import sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import Change, FieldChange, FieldView, Finding, Plan, Severity, Tier
from recon.core.money import decimal_amount, whole_tokens
from recon.core.text import count_text
from recon.plans.approvals import TEXT_MAX
from recon.plans.breaks import fingerprint
from recon.reports.sheets.cells import is_same_cell, until_of_cell
from recon.reports.sheets.model import GivenLine, GivenSheet, SheetColumn, SheetError
from recon.reports.text import csv_cell, value_text

SHEET_NAME: Final = "decisions"
_TOLD_MAX: Final = 5
_BREAK_TIERS: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)
_CELL_LETTERS_MAX: Final = 16_000
"""Half of what a spreadsheet takes, for it counts a rare letter as two."""


class DecisionWord(StrEnum):
    """What may be decided of a row."""

    APPLY = "apply"
    ACK = "ack"
    INSPECT = "inspect"
    NOTE = "note"


COLUMNS: Final = (
    SheetColumn("row", 8),
    SheetColumn("decision", 10, tuple(DecisionWord), is_filled_in=True),
    SheetColumn("until", 12, is_filled_in=True, is_number=True),
    SheetColumn("reason", 30, is_filled_in=True),
    SheetColumn("payment", 27),
    SheetColumn("verdict", 20),
    SheetColumn("tier", 8),
    SheetColumn("possible", 22),
    SheetColumn("severity", 9),
    SheetColumn("rail", 17),
    SheetColumn("chain", 9, is_number=True),
    SheetColumn("amount", 16, is_number=True),
    SheetColumn("token", 8),
    SheetColumn("age_h", 8, is_number=True),
    SheetColumn("why", 60),
    SheetColumn("differs", 50),
    SheetColumn("change", 50),
    SheetColumn("makes_possible", 30),
    SheetColumn("left_alone", 30),
    SheetColumn("evidence", 50),
    SheetColumn("plan", 12),
)
"""What a person fills in stands first, evidence beside it."""
_FILLED_IN: Final = tuple(column.name for column in COLUMNS if column.is_filled_in)
_EVIDENCE: Final = tuple(column.name for column in COLUMNS if not column.is_filled_in)


class DecisionsRefusedError(RefusedError):
    """Rows of a sheet of decisions cannot be taken as they stand."""

    def __init__(self, *, path: str, problems: Sequence[tuple[int | None, str]]) -> None:
        shown = [f"line {line}, {why}" if line is not None else why for line, why in problems[:_TOLD_MAX]]
        more = f"; and {len(problems) - _TOLD_MAX} more" if len(problems) > _TOLD_MAX else ""
        super().__init__(f"{path}: {'; '.join(shown)}{more}. Nothing of the file was taken, and nothing was written.")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class RowDecision:
    """What was decided of one row.

    Args:
        finding: None for a change that no finding stands for.
        until: Of an acknowledgement only.
    """

    payment_id: str
    verdict: str
    word: DecisionWord
    reason: str
    finding: Finding | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the sheet: the payment's finding and change, and the cells of its evidence by column."""

    said: Finding | Change
    change: Change | None
    possible: tuple[DecisionWord, ...]
    cells: Mapping[str, str]

    @property
    def finding(self) -> Finding | None:
        return self.said if isinstance(self.said, Finding) else None


def decision_sheet(plan: Plan) -> list[list[str]]:
    """The rows of the sheet of a plan: a finding each, and a change each that no finding stands for.

    What can be changed stands first; among equals the more severe, the larger, the older.
    """
    return [[row.cells.get(column.name, "") for column in COLUMNS] for row in _rows(plan)]


def decisions_of(plan: Plan, sheet: GivenSheet, *, now: datetime) -> tuple[RowDecision, ...]:
    """What was decided in a sheet, in the order of the payments.

    A row without a decision and without a reason decides nothing; one with a reason only is a note.

    Raises:
        SheetError: A column is missing, or is none of the sheet's.
        DecisionsRefusedError: A row is unknown, changed, missing, there twice, of another plan, or decides what cannot
            be. Each is named by its line.
    """
    _check_columns(sheet)
    rows = {row.cells["row"]: row for row in _rows(plan)}
    problems: list[tuple[int | None, str]] = []
    seen: dict[str, int] = {}
    found = []
    for line in sheet.lines:
        try:
            row = _row_of(line, rows, plan)
            _check_unchanged(line, row)
            if (first := seen.setdefault(row.cells["row"], line.number)) != line.number:
                raise _LineError(f"payment {row.said.payment_id}: the row stands in line {first} as well")
            if (decided := _decided(line, row, now)) is not None:
                found.append(decided)
        except _LineError as error:
            problems.append((line.number, str(error)))
    if not problems and (missing := [row for key, row in rows.items() if key not in seen]):
        problems.append((None, _missing(missing, plan)))
    if problems:
        raise DecisionsRefusedError(path=sheet.name, problems=problems)
    return tuple(sorted(found, key=lambda each: (each.payment_id, each.verdict)))


class _LineError(Exception):
    """What is the matter with a row."""


def _check_columns(sheet: GivenSheet) -> None:
    wanted, given = {column.name for column in COLUMNS}, {word for word in sheet.columns if word}
    if not wanted & given:
        raise SheetError(path=sheet.name, why='it is no sheet of decisions as "recon decide export" writes it')
    if missing := [column.name for column in COLUMNS if column.name not in given]:
        raise SheetError(path=sheet.name, why=f"the column {missing[0]!r} is missing; leave the sheet's columns in it")
    if other := [word for word in sheet.columns if word and word not in wanted]:
        why = f"the column {other[0][:60]!r} is none of the sheet's; what you have to say belongs into 'reason'"
        raise SheetError(path=sheet.name, why=why)


def _row_of(line: GivenLine, rows: Mapping[str, _Row], plan: Plan) -> _Row:
    """The row of the plan that a line is."""
    made_from = line.cells["plan"].strip()
    payment = line.cells["payment"].strip()[:80]
    if made_from != plan.digest:
        raise _LineError(
            f"payment {payment}: the row is of plan {made_from[:12] or '(none)'} and not of {plan.digest[:12]}"
        )
    row = rows.get(line.cells["row"].strip())
    if row is None:
        raise _LineError(f"payment {payment}: the plan has no row {line.cells['row'].strip()[:30]!r}")
    return row


def _check_unchanged(line: GivenLine, row: _Row) -> None:
    payment = row.said.payment_id
    if line.formulas:
        named = line.formulas[0] or "no column of the sheet"
        raise _LineError(f"payment {payment}: a formula stands in {named!r}; write its value")
    if line.more:
        raise _LineError(f"payment {payment}: {line.more[:40]!r} stands beyond the columns of the sheet")
    for name in _EVIDENCE:
        if not is_same_cell(line.cells[name], csv_cell(row.cells.get(name, ""))):
            held, wanted = line.cells[name].strip()[:40], row.cells.get(name, "")[:40]
            raise _LineError(f"payment {payment}: {name!r} was changed, it is {held!r} and was {wanted!r}")


def _decided(line: GivenLine, row: _Row, now: datetime) -> RowDecision | None:
    word, until, reason = (" ".join(line.cells[name].split()) for name in _FILLED_IN)
    payment = row.said.payment_id
    if not (word or until or reason):
        return None
    if word.lower() not in ("", *DecisionWord):
        raise _LineError(f"payment {payment}: {word[:30]!r} is no decision; there are {', '.join(DecisionWord)}")
    decision = DecisionWord(word.lower() or DecisionWord.NOTE)
    if why := _hindrance(row, decision):
        raise _LineError(f"payment {payment}: {decision} is not possible, {why}")
    if until and decision is not DecisionWord.ACK:
        raise _LineError(f"payment {payment}: 'until' is for ack only, and the decision is {word or 'empty'}")
    _check_reason(reason, payment, decision)
    moment = _until(until, payment, now) if decision is DecisionWord.ACK else None
    return RowDecision(payment, str(row.said.verdict), decision, reason, row.finding, moment)


def _check_reason(reason: str, payment: str, decision: DecisionWord) -> None:
    if len(reason) > TEXT_MAX:
        raise _LineError(f"payment {payment}: the reason has more than {TEXT_MAX} characters")
    if not reason and decision in (DecisionWord.ACK, DecisionWord.NOTE):
        raise _LineError(f"payment {payment}: {decision} needs a reason")


def _until(text: str, payment: str, now: datetime) -> datetime:
    if not text:
        raise _LineError(f"payment {payment}: ack needs a date in 'until'")
    moment = until_of_cell(text)
    try:
        moment = now + moment if isinstance(moment, timedelta) else moment
    except OverflowError:
        moment = None
    if moment is None:
        raise _LineError(f"payment {payment}: {text[:30]!r} is no time, or may be two; write 2026-12-31")
    if moment <= now:
        raise _LineError(f"payment {payment}: 'until' is {moment:%Y-%m-%d %H:%M} UTC, which is not to come")
    return moment


def _hindrance(row: _Row, decision: DecisionWord) -> str:
    """Why a decision is not possible for a row; empty when it is."""
    if decision in row.possible:
        return ""
    if decision is DecisionWord.APPLY:
        left = row.cells.get("left_alone", "")
        return "the plan changes nothing of it" + (f" ({left[:120]})" if left else "")
    return f"it is no break (tier {row.said.tier})" if row.finding is not None else "the plan holds no finding of it"


def _missing(rows: Sequence[_Row], plan: Plan) -> str:
    first = rows[0].said.payment_id
    return (
        f"{count_text(len(rows), 'row')} of plan {plan.digest[:12]} missing, the first is payment {first}; leave "
        "every row in, its decision empty where there is none"
    )


_SEVERITIES: Final = {severity: number for number, severity in enumerate(Severity)}


def _rows(plan: Plan) -> Iterator[_Row]:
    changes: dict[str, Change] = {change.payment_id: change for change in plan.changes}
    left = {item.payment_id: item.reason for item in plan.left_alone}
    found = {item.payment_id for item in plan.findings}
    said: list[Finding | Change] = [
        *plan.findings,
        *(change for change in plan.changes if change.payment_id not in found),
    ]
    for item in sorted(said, key=lambda each: _order(each, each.payment_id in changes)):
        change = changes.get(item.payment_id)
        yield _row(plan, item, change, "" if change is not None else left.get(item.payment_id, ""))


def _order(said: Finding | Change, is_changed: bool) -> tuple[bool, int, Decimal, int, str, str]:
    severity = _SEVERITIES[said.severity] if isinstance(said, Finding) else 0
    worth = whole_tokens(said.value_units, decimals=said.decimals)
    return not is_changed, -severity, -worth, -(said.age_s or 0), said.payment_id, said.verdict


def _row(plan: Plan, said: Finding | Change, change: Change | None, left: str) -> _Row:
    finding = said if isinstance(said, Finding) else None
    possible = [DecisionWord.APPLY] if change is not None else []
    if finding is not None and finding.tier in _BREAK_TIERS:
        possible.append(DecisionWord.ACK)
    possible += [DecisionWord.INSPECT, DecisionWord.NOTE]
    shown = "" if finding is None else fingerprint(finding)
    name = sha256_hex("\n".join((plan.digest, said.payment_id, said.verdict, shown, change.id if change else "")))
    cells = {
        "row": f"r-{name[:20]}",
        "possible": " ".join(possible),
        "left_alone": left,
        "plan": plan.digest,
        **_what_is_said(said),
        **({} if finding is None else _what_is_found(finding)),
        **({} if change is None else _what_is_changed(change)),
    }
    return _Row(said, change, tuple(possible), {key: _whole_or_said(str(value)) for key, value in cells.items()})


def _whole_or_said(text: str) -> str:
    """A text that fits into a cell; of a longer one its beginning, with how much is left out and where all of it is."""
    if len(text) <= _CELL_LETTERS_MAX:
        return text
    left = len(text) - _CELL_LETTERS_MAX
    return (
        f'{text[:_CELL_LETTERS_MAX]} ... ({count_text(left, "more character")}: "recon show PLAN --payment ID" has all)'
    )


def _what_is_said(said: Finding | Change) -> dict[str, str]:
    return {
        "payment": said.payment_id,
        "verdict": said.verdict,
        "tier": said.tier,
        "chain": "" if said.chain_id is None else str(said.chain_id),
        "amount": decimal_amount(whole_tokens(said.value_units, decimals=said.decimals)),
        "token": said.symbol or ("base units" if said.decimals is None else ""),
        "age_h": "" if said.age_s is None else decimal_amount(Decimal(said.age_s * 10 // 3600).scaleb(-1)),
        "why": said.reason,
        "evidence": _listed(said.evidence),
    }


def _what_is_found(finding: Finding) -> dict[str, str]:
    differs = _listed(map(_differing, finding.fields))
    return {"severity": finding.severity, "rail": finding.provider or "", "differs": differs}


def _what_is_changed(change: Change) -> dict[str, str]:
    return {"change": _listed(map(_set, change.sets)), "makes_possible": _listed(change.side_effects)}


def _differing(view: FieldView) -> str:
    sides = (("ours", view.local), ("provider", view.provider), ("chain", view.chain))
    return f"{view.field}: " + ", ".join(f"{side} {value}" for side, value in sides if value is not None)


def _set(item: FieldChange) -> str:
    return f"{item.path}: {value_text(item.before)} -> {value_text(item.after)}"


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(texts)
