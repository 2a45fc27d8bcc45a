"""A plan as a report: the summary that a payments lead reads first, or one payment with all its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.model import TIER_TEXT, Change, Finding, LeftAlone, Plan, Severity, Tier
from recon.core.money import whole_tokens
from recon.core.registry.off_chain import number_text
from recon.core.text import count_text
from recon.plans.notes import NO_NOTES, PlanNotes
from recon.plans.picking import NoSuchPaymentError, named_payment
from recon.reports.model import Column, Fact, Report, RowsOf, Table
from recon.reports.text import age_text, amount_text, shell_word, value_text
from recon.reports.views.balances import balance_facts, balance_tables
from recon.reports.views.coverage import coverage_table
from recon.reports.views.ledger import ledger_facts, ledger_tables
from recon.reports.views.notes import note_tables
from recon.reports.views.totals import (
    BREAK_TIERS,
    SEVERITIES,
    breaks_label,
    breaks_of,
    dust_text,
    has_gaps,
    money_said,
    money_table,
    money_text,
    none_unless_open,
    open_table,
    share_facts,
    split_table,
    verdict_table,
)

if TYPE_CHECKING:
    from recon.plans.history import News

BREAKS_SHOWN: Final = 20

_REVIEW_FACTS: Final = ("health", "value_at_risk", "complete", "valid_until", "digest")
_SELECTION_FACTS: Final = ("health", "complete", "valid_until", "digest")
"""What was at risk in the plan that a selection was taken from is not at risk in the selection."""


class NotInPlanError(UsageError):
    """A payment that the plan says nothing about."""

    def __init__(self, *, payment: str, digest: str) -> None:
        super().__init__(
            f"The plan {digest[:12]} has neither a finding nor a change for payment {payment[:80]!r}: it was in sync, "
            'or outside the window. "recon show PLAN" lists what there is.'
        )


def render_plan(
    plan: Plan, *, path: str = "PLAN", config: str | None = None, full: bool = False, news: News | None = None
) -> Report:
    """The plan's summary, coverage and breaks; ``full`` adds the changes and what is left alone.

    Args:
        path: The plan file, for the commands to run next.
        config: The configuration that was named, which those commands need too.
        news: How many of the breaks are new, known and acknowledged.
    """
    return Report(
        name="plan",
        title=_title(plan),
        facts=(*_headline(plan), *_news(news)),
        tables=(
            verdict_table(plan),
            money_table(plan),
            open_table(plan),
            split_table(plan, "by_provider", label="provider"),
            split_table(plan, "by_chain", label="chain"),
            *balance_tables(plan),
            *ledger_tables(plan),
            _coverage(plan),
            break_table(plan),
            *((effect_table(plan), change_table(plan), _left_table(plan)) if full else ()),
        ),
        next_steps=_next_steps(plan, path=path, config=config),
    )


def render_review(
    plan: Plan, *, path: str = "PLAN", config: str | None = None, page: int = 1, page_rows: int = 50
) -> Report:
    """The plan as it is reviewed: its changes page by page, what is left alone, then coverage and breaks."""
    total = len(plan.changes)
    pages = max(1, -(-total // page_rows))
    first = (min(page, pages) - 1) * page_rows
    table = change_table(plan, shown=None, page=slice(first, first + page_rows))
    notes = [f"{first + 1} to {first + len(table.rows)} of {total}"] if pages > 1 else []
    if page < pages:
        notes.append(f"the next: recon show {path} --page {page + 1}")
    paged = replace(table, note="; ".join([*notes, table.note] if table.note else notes))
    names = _REVIEW_FACTS if plan.parent is None else _SELECTION_FACTS
    facts = tuple(fact for fact in _headline(plan) if fact.name in names)
    said = plan.summary.get("unfinished")
    unfinished = (Fact("unfinished", "UNFINISHED", str(said), alarm=True),) if said else ()
    return Report(
        name="review",
        title=_title(plan),
        facts=(*_to_be_changed(plan), *unfinished, *facts),
        tables=(paged, effect_table(plan), _left_table(plan), _coverage(plan), break_table(plan)),
        next_steps=_next_steps(plan, path=path, config=config),
    )


def _coverage(plan: Plan) -> Table:
    return coverage_table(plan.coverage, is_undo=plan.kind == "undo")


def _to_be_changed(plan: Plan) -> tuple[Fact, ...]:
    """How many payments are changed, and what they are worth; of a selection also which plan it was taken from."""
    worth = money_text((change.symbol, change.decimals, change.value_units) for change in plan.changes)
    facts = (
        Fact("changes", "changes", str(len(plan.changes)), "count"),
        Fact("changes_worth", "worth", worth, "amounts"),
    )
    if plan.kind == "undo":
        return (*facts, Fact("run", "takes back run", plan.run or "", "id"), *_parent(plan, "which applied plan"))
    return (*facts, *_parent(plan, "selected from plan"))


def _parent(plan: Plan, label: str) -> tuple[Fact, ...]:
    return () if plan.parent is None else (Fact("parent", label, plan.parent[:12], "id"),)


def render_payment(plan: Plan, payment: str, *, notes: PlanNotes = NO_NOTES) -> Report:
    """Everything the plan says about one payment.

    Args:
        notes: What was decided of payments in sheets.

    Raises:
        NotInPlanError: It says nothing of it.
    """
    said = _said_of(plan, payment)
    facts = [fact for item in said.findings for fact in _finding_facts(item)]
    facts += [Fact("left_alone", "left alone because", item.reason) for item in said.left]
    facts += [Fact("change", "change", f"{item.id} ({TIER_TEXT[item.tier]})", "id") for item in said.changes]
    tables = [_field_table(item) for item in said.findings if item.fields]
    tables += note_tables(notes, said.name)
    for change in said.changes:
        tables += [_set_table(change), _guard_table(change)]
    tables.append(_list_table("evidence", "Evidence", said.evidence(), empty="none was kept"))
    if effects := said.effects():
        tables.append(_list_table("side_effects", "What the change makes possible, and what will not happen", effects))
    facts += [Fact("notes_unread", "notes", text, alarm=True) for text in notes.unread]
    return Report(name="payment", title=f"Payment {said.name}", facts=tuple(facts), tables=tuple(tables))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a plan says of one payment, at least one thing."""

    findings: Sequence[Finding]
    changes: Sequence[Change]
    left: Sequence[LeftAlone]

    @property
    def name(self) -> str:
        """The payment's id as the plan spells it."""
        items: list[Finding | Change | LeftAlone] = [*self.findings, *self.changes, *self.left]
        return items[0].payment_id

    def evidence(self) -> list[str]:
        """Every piece of evidence once, that of the findings first."""
        items: list[Finding | Change] = [*self.findings, *self.changes]
        return list(dict.fromkeys(entry for item in items for entry in item.evidence))

    def effects(self) -> list[str]:
        """Every side effect of the changes once."""
        return list(dict.fromkeys(effect for change in self.changes for effect in change.side_effects))


def _said_of(plan: Plan, payment: str) -> _Said:
    rows: list[Finding | Change | LeftAlone] = [*plan.findings, *plan.changes, *plan.left_alone]
    try:
        name = named_payment(payment, {item.payment_id for item in rows}, plan=f"plan {plan.digest[:12]}")
    except NoSuchPaymentError as error:
        if error.is_many:
            raise
        raise NotInPlanError(payment=payment, digest=plan.digest) from None
    return _Said(
        findings=[item for item in plan.findings if item.payment_id == name],
        changes=[item for item in plan.changes if item.payment_id == name],
        left=[item for item in plan.left_alone if item.payment_id == name],
    )


def _title(plan: Plan) -> str:
    return f"{plan.kind.capitalize()} plan {plan.digest[:12]} for {plan.target.name or 'an unnamed target'}"


def _oldest(item: Change) -> tuple[int, Decimal, str]:
    return -(item.age_s or 0), -whole_tokens(item.value_units, decimals=item.decimals), item.payment_id


def _headline(plan: Plan) -> tuple[Fact, ...]:
    summary, breaks = plan.summary, breaks_of(plan)
    tiers = Counter(item.tier for item in plan.findings)
    health = summary.get("health") or {}
    reasons = "; ".join(map(str, health.get("reasons", ())))
    healthy = bool(health.get("ok", False))
    oldest = max(breaks, key=lambda item: (item.age_s or 0, item.payment_id), default=None)
    facts = [
        Fact("payments", "payments looked at", str(summary.get("payments", "?")), "count"),
        Fact("breaks", breaks_label(plan), str(len(breaks)), "count", alarm=bool(breaks)),
        *(
            Fact(f"breaks_{tier.value}", f"  {tier.value}: {TIER_TEXT[tier]}", str(tiers[tier]), "count")
            for tier in BREAK_TIERS
        ),
        Fact("wait", f"waiting: {TIER_TEXT[Tier.WAIT]}, no break", str(tiers[Tier.WAIT]), "count"),
        Fact("health", "evidence", "complete" if healthy else f"INCOMPLETE: {reasons or 'no reason given'}",
             alarm=not healthy),
        Fact("value_at_risk", "money at risk", money_said(plan, "value_at_risk"), "amounts"),
        Fact("captured_not_credited", "captured, not credited", money_said(plan, "captured_not_credited"), "amounts"),
        Fact("oldest_break", "oldest break", f"{age_text(oldest.age_s)} ({oldest.payment_id}, {oldest.verdict})"
             if oldest and oldest.age_s is not None else "-"),
    ]  # fmt: skip
    if dust := dust_text(plan):
        facts.append(Fact("dust", "dust, no break", dust))
    facts += (*balance_facts(plan), *ledger_facts(plan))
    facts += share_facts(summary)
    if limits := summary.get("limits_hit"):
        facts.append(Fact("limits_hit", "an apply would stop at", " ".join(map(str, limits)), alarm=True))
    facts.append(Fact("window", "window", window_text(plan.window), "text"))
    facts.append(Fact("complete", "coverage", "complete" if not has_gaps(plan) else
                      "INCOMPLETE: see what was not checked", alarm=has_gaps(plan)))  # fmt: skip
    facts.append(Fact("valid_until", "plan valid until", plan.expires_at, "time"))
    facts.append(Fact("digest", "digest", plan.digest, "id"))
    return tuple(facts)


def _news(news: News | None) -> tuple[Fact, ...]:
    if news is None:
        return ()
    return (
        Fact("new", "new since the plan before", str(news.new), "count", alarm=bool(news.new)),
        Fact("known", "known from it", str(news.known), "count"),
        Fact("acknowledged", "acknowledged", str(news.acknowledged), "count"),
    )


def window_text(window: Mapping[str, Any]) -> str:
    """A selection in words."""
    parts = []
    if window.get("from") or window.get("to"):
        parts.append(f"{window.get('date', 'created')} {window.get('from') or '...'} to {window.get('to') or '...'}")
    for name in ("providers", "statuses"):
        if window.get(name):
            parts.append(f"{name} {' '.join(map(str, window[name]))}")
    if window.get("ids"):
        parts.append(f"{count_text(len(window['ids']), 'payment')} by id")
    if window.get("open_only"):
        parts.append("open only")
    return ", ".join(parts) or "every payment"


BREAK_COLUMNS: Final = (
    Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"), Column("tier", "tier", "tier"),
    Column("severity", "severity", "severity"), Column("value", "value", "amount"),
    Column("difference", "difference", "amount", wide=True), Column("age_s", "age", "age"),
    Column("provider", "provider", wide=True), Column("chain_id", "chain", wide=True),
    Column("findings", "all findings"), Column("reason", "reason", "reason"),
)  # fmt: skip


def break_table(plan: Plan, *, shown: int | None = BREAKS_SHOWN) -> Table:
    """The breaks, worst first; outputs for people print the first ``shown``."""
    rows = RowsOf(breaks_of(plan), finding_row)
    note = f"the first {shown} of {len(rows)}" if shown is not None and len(rows) > shown else ""
    title, empty = "Breaks, worst first, held ones last", none_unless_open(plan, "no breaks")
    return Table("breaks", title, BREAK_COLUMNS, rows, note=note, empty=empty, shown=shown)


def finding_row(item: Finding) -> tuple[str, ...]:
    """One finding under :data:`BREAK_COLUMNS`."""
    difference = item.difference_units
    return (
        item.payment_id,
        item.verdict.value,
        item.tier.value,
        item.severity.value,
        amount_text(item.value_units, decimals=item.decimals, symbol=item.symbol) if item.value_units else "",
        "" if difference is None else amount_text(difference, decimals=item.decimals, symbol=item.symbol),
        "" if item.age_s is None else str(item.age_s),
        item.provider or "",
        "" if item.chain_id is None else number_text(item.chain_id),
        " ".join(finding.value for finding in item.findings),
        item.reason,
    )


def change_table(plan: Plan, *, shown: int | None = BREAKS_SHOWN, page: slice = slice(None)) -> Table:
    """The changes, oldest and largest first; ``page`` are those that are in the table at all."""
    columns = (Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
               Column("tier", "tier", "tier"), Column("set", "before -> after", "prose"),
               Column("value", "value", "amount"), Column("age_s", "age", "age"), Column("reason", "reason", "reason"),
               Column("change_id", "change", "id", wide=True))  # fmt: skip
    rows = tuple(_change_row(item) for item in sorted(plan.changes, key=_oldest)[page])
    review = sum(item.tier is Tier.REVIEW and item.payment_id not in plan.picked for item in plan.changes)
    notes = [f"the first {shown} of {len(rows)}"] if shown is not None and len(rows) > shown else []
    notes += [f"{review} of tier review are written only if picked by payment"] if review else []
    return Table(
        "changes", "Changes, oldest and largest first", columns, rows,
        note="; ".join(notes), empty="the plan changes nothing", shown=shown,
    )  # fmt: skip


def _change_row(item: Change) -> tuple[str, ...]:
    return (
        item.payment_id,
        item.verdict.value,
        item.tier.value,
        "; ".join(f"{s.path}: {value_text(s.before)} -> {value_text(s.after)}" for s in item.sets),
        amount_text(item.value_units, decimals=item.decimals, symbol=item.symbol) if item.value_units else "",
        "" if item.age_s is None else str(item.age_s),
        item.reason,
        item.id,
    )


def effect_table(plan: Plan) -> Table:
    """What the changes make possible, and what will not happen because they go past the backend."""
    counts = Counter((item.verdict.value, effect) for item in plan.changes for effect in item.side_effects)
    rows = tuple((verdict, str(count), effect) for (verdict, effect), count in sorted(counts.items()))
    columns = (Column("verdict", "verdict", "verdict"), Column("changes", "changes", "count"),
               Column("effect", "what becomes possible, or will not happen"))  # fmt: skip
    return Table("side_effects", "Before you agree", columns, rows, empty="no side effect is foreseen")


def _left_table(plan: Plan) -> Table:
    columns = (Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"),
               Column("reason", "why"))  # fmt: skip
    rows = tuple((item.payment_id, item.verdict.value, item.reason) for item in plan.left_alone)
    note = f"the first {BREAKS_SHOWN} of {len(rows)}" if len(rows) > BREAKS_SHOWN else ""
    return Table("left_alone", "Left alone, and why", columns, rows, note=note, shown=BREAKS_SHOWN)


def _finding_facts(item: Finding) -> list[Fact]:
    row = dict(zip((column.name for column in BREAK_COLUMNS), finding_row(item), strict=True))
    facts = [
        Fact("verdict", "verdict", f"{item.verdict.value} ({TIER_TEXT[item.tier]})"),
        Fact("reason", "reason", item.reason),
        Fact(
            "severity",
            "severity",
            item.severity.value,
            "severity",
            alarm=SEVERITIES.index(item.severity) >= SEVERITIES.index(Severity.HIGH),
        ),
        Fact("findings", "all findings", row["findings"]),
        Fact("value", "value", row["value"] or "-", "exact"),
        Fact("difference", "difference", row["difference"] or "-", "exact"),
        Fact("age_s", "age", row["age_s"], "age"),
        Fact("provider", "provider", row["provider"] or "-"),
        Fact("chain_id", "chain", row["chain_id"] or "-"),
    ]
    if item.token:
        facts.append(Fact("token", "token", item.token, "id"))
    return facts


def _field_table(item: Finding) -> Table:
    columns = (Column("field", "field"), Column("local", "our record"), Column("provider", "provider"),
               Column("chain", "chain"))  # fmt: skip
    rows = tuple((view.field, view.local or "", view.provider or "", view.chain or "") for view in item.fields)
    return Table("fields", "What each side says", columns, rows)


def _set_table(change: Change) -> Table:
    columns = (Column("path", "path"), Column("before", "before"), Column("after", "after"))
    rows = tuple((item.path, value_text(item.before), value_text(item.after)) for item in change.sets)
    return Table("set", f"Change {change.id}", columns, rows)


def _guard_table(change: Change) -> Table:
    columns = (Column("path", "path"), Column("value", "must still be"))
    rows = tuple((term.path, value_text(term.value)) for term in change.guard)
    return Table("guard", "Written only if", columns, rows)


def _list_table(name: str, title: str, entries: Iterable[str], *, empty: str = "nothing") -> Table:
    return Table(name, title, (Column(name, title),), tuple((entry,) for entry in entries), empty=empty)


def _how_to_apply(plan: Plan, file: str, settings: str) -> str:
    """The command that writes the plan; of one that would be refused as it is, the one that makes it fit."""
    if plan.summary.get("limits_hit"):
        verdict, count = Counter(str(item.verdict) for item in plan.changes).most_common()[-1]
        return (
            "Nothing has changed. An apply of all of it would be refused by a limit; take a part, for example the "
            f"{count} of {verdict}: recon select {file} --tier auto --tier review --verdict {verdict}"
        )
    healthy = bool((plan.summary.get("health") or {}).get("ok", plan.kind != "correction"))
    accepted = "" if healthy else " --accept-unhealthy 'why it may be applied all the same'"
    return f"Nothing has changed. To do it: recon apply {file} --digest {plan.digest}{accepted}{settings}"


def _next_steps(plan: Plan, *, path: str, config: str | None) -> tuple[str, ...]:
    steps = []
    breaks = breaks_of(plan)
    file, settings = shell_word(path), f" --config {shell_word(config)}" if config else ""
    if breaks:
        steps.append(
            f"One payment with all its evidence: recon show {file} --payment {shell_word(breaks[0].payment_id)}"
        )
    if has_gaps(plan):
        steps.append(f"What was not read, and why: recon doctor{settings}")
    writes = [item for item in plan.changes if item.tier is not Tier.REVIEW or item.payment_id in plan.picked]
    if writes or (plan.kind != "correction" and plan.changes):
        steps.append(_how_to_apply(plan, file, settings))
    elif plan.changes:
        picked = shell_word(min(plan.changes, key=_oldest).payment_id)
        steps.append(f"Nothing has changed. To do it: recon select {file} --payment {picked} --out picked.json")
    else:
        steps.append("Nothing has changed, and this plan has nothing to do.")
    return tuple(steps)
