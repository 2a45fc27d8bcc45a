"""What is asked before something is recorded or written, with what a person must have read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.core.model import Plan
from recon.core.text import count_text
from recon.desk.choices import choice_names, parse_choices
from recon.desk.desk import DIGITS_TYPED, Desk, ack_mark
from recon.desk.dialogs import Field, FormDialog
from recon.desk.marks import Mark, MarkKind, Marks, marked_totals
from recon.desk.sheet import ALARM, COMMAND, HEAD, PLAIN, SheetLine
from recon.plans.file import is_picked
from recon.reports.text import display_text
from recon.reports.views.plan import effect_table
from recon.reports.views.totals import has_gaps

if TYPE_CHECKING:
    from recon.setup.settings import Settings

_ACK_DAYS = 7


def ask_ack(desk: Desk, rows: int) -> FormDialog:
    """Until when the rows are accepted, and why; gives the mark."""
    now = desk.settings.now() if desk.settings is not None else None
    until = f"{now + timedelta(days=_ACK_DAYS):%Y-%m-%d}" if now is not None else ""
    text = "An accepted break counts for no exit code until the time, or until it changes in any way."
    return FormDialog(
        f"Accept {count_text(rows, 'break')}",
        lines=[SheetLine(PLAIN, f"{text} It is only marked here; w records it.")],
        fields=[
            Field("until", "Until (UTC)", until, "for example 2026-12-01"),
            Field("reason", "Why it may stay", "", "for example: refund agreed"),
        ],
        accept=lambda given: ack_mark(given["until"], given["reason"]),
        does="mark",
    )


def ask_write(desk: Desk) -> FormDialog:
    """Where the selection goes, and what is recorded; gives the path, or an empty text without a selection."""
    totals, acks = desk.totals(), desk.acks_open()
    lines = [SheetLine(PLAIN, total_text(desk))]
    lines += [SheetLine(ALARM, f"An apply would stop: {hit}") for hit in map(display_text, totals.hits)]
    if totals.rows:
        lines.append(SheetLine(PLAIN, f"Of tier review, and picked by you with this: {totals.review}."))
    if acks:
        lines.append(SheetLine(PLAIN, f"{count_text(acks, 'acceptance')} will be recorded; a record is never edited."))
    inspects = desk.draft.marks.marked(MarkKind.INSPECT)
    config = f" --config {desk.facts.config}" if desk.facts.config else ""
    lines += [SheetLine(COMMAND, f"  recon inspect {display_text(payment)}{config}") for payment in inspects]
    fields = [Field("out", "Plan file to write", str(desk.selection_path()))] if totals.rows else []
    return FormDialog(
        "Write what is marked",
        lines=lines,
        fields=fields,
        accept=_out_of,
        does="write",
    )


def _out_of(given: dict[str, str]) -> str:
    return given.get("out", "").strip()


def ask_approve(desk: Desk) -> FormDialog:
    """Why the plan may be applied; gives the fields."""
    signing = desk.settings.values.approvals.signing_key if desk.settings is not None else None
    lines = [
        *_plan_lines(desk.plan),
        SheetLine(PLAIN, f"The approval names the effects {desk.plan.effects_digest[:12]} and holds for no others."),
        SheetLine(
            PLAIN, f"It is signed with {display_text(signing)}." if signing else "It is not signed without a key."
        ),
    ]
    return FormDialog(
        f"Approve plan {desk.plan.digest[:12]}",
        lines=lines,
        fields=[
            Field("ticket", "Ticket (may be empty)", "", "for example INC-12"),
            Field("key", "SSH key (may be empty)", "", "empty: the one of the configuration"),
            Field("reason", "Why the plan may be applied", "", "for example: checked ten by hand"),
        ],
        accept=dict,
        does="approve",
    )


def ask_apply(desk: Desk) -> FormDialog:
    """Consent to exactly this plan; gives the options of the apply."""
    plan = desk.plan
    written = [change for change in plan.changes if is_picked(plan, change)]
    marks = Marks()
    marks.put([change.payment_id for change in written], Mark(MarkKind.APPLY), said="all")
    totals = marked_totals(plan, marks, limits=desk.limits)
    rows = f"{count_text(totals.rows, 'row')} of {totals.rows_max} allowed"
    lines = [
        SheetLine(PLAIN, f"digest {plan.digest}"),
        *_plan_lines(plan),
        SheetLine(
            PLAIN,
            f"{rows}: {', '.join(totals.money) or 'no money'}",
        ),
        *(SheetLine(ALARM, f"It will be refused: {hit}") for hit in map(display_text, totals.hits)),
        *_effect_lines(replace(plan, changes=tuple(written))),
        SheetLine(PLAIN, f"Options: {' '.join(choice_names())}"),
    ]
    return FormDialog(
        f"Apply {plan.kind} plan {plan.digest[:12]}",
        lines=lines,
        fields=[
            Field("options", "Options (may be empty)", "", 'for example --changes-max 800 --accept-unhealthy "why"'),
            Field("digest", f"The first {DIGITS_TYPED} digits of the digest", "", "as you read them above"),
        ],
        accept=lambda given: _consent(desk, given),
        does="apply",
    )


def _consent(desk: Desk, given: dict[str, str]) -> dict[str, Any]:
    choices = parse_choices(given["options"])
    if "resume" not in choices:
        desk.check_typed(given["digest"])
    return choices


def _effect_lines(plan: Plan) -> list[SheetLine]:
    effects = effect_table(plan).rows
    head = [SheetLine(HEAD, "Before you agree")] if effects else []
    texts = [f"  {verdict} ({count}): {display_text(effect)}" for verdict, count, effect in effects]
    return [*head, *(SheetLine(PLAIN, text, 4) for text in texts)]


def _plan_lines(plan: Plan) -> Sequence[SheetLine]:
    health = plan.summary.get("health") or {}
    reasons = "; ".join(map(str, health.get("reasons", ())))
    lines = [SheetLine(PLAIN, f"Target {display_text(plan.target.name)}, valid until {display_text(plan.expires_at)}")]
    if not health.get("ok", False) and plan.kind == "correction":
        lines.append(SheetLine(ALARM, f"The evidence is incomplete: {display_text(reasons or 'no reason given')}"))
    if has_gaps(plan):
        lines.append(SheetLine(ALARM, "Not all that was asked for was read; recon show lists what was not."))
    if unfinished := plan.summary.get("unfinished"):
        lines.append(SheetLine(ALARM, f"UNFINISHED: {display_text(unfinished)}"))
    lines += [
        SheetLine(ALARM, f"Cannot be undone: {display_text(text)}") for text in plan.summary.get("cannot_be_undone", ())
    ]
    return lines


def total_text(desk: Desk) -> str:
    """What is marked, in one line."""
    totals = desk.totals()
    money = ", ".join(totals.money) or "no money"
    text = f"To apply: {count_text(totals.rows, 'row')} (limit {totals.rows_max:,}), {money}"
    text += f"; accept {totals.acks}" if totals.acks else ""
    return text + (f"; inspect {totals.inspects}" if totals.inspects else "")


def going_on_text(desk: Desk) -> str:
    """What a review goes on with that was left, by a key or by a connection that was lost; empty when it is new."""
    marks = desk.draft.marks
    held = [
        f"{count_text(len(rows), 'row')} {word}"
        for rows, word in ((marks.by_payment, "marked"), (marks.picked, "picked"))
        if rows
    ]
    return f"Going on where this review was left: {', '.join(held)}; u undoes the latest step." if held else ""


def needs_terminal(settings: Settings | None, key: Path | None) -> bool:
    """Whether a signature may ask for a passphrase, so that the terminal must be free for it."""
    return key is not None or (settings is not None and settings.values.approvals.signing_key is not None)
