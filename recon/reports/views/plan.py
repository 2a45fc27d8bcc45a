"""A plan as a report: the summary that a payments lead reads first, or one payment with all its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.model import OPEN_AGES, TIER_TEXT, Change, Finding, LeftAlone, Plan, Severity, Tier, Verdict
from recon.core.money import decimal_amount, sum_by_name, whole_tokens
from recon.core.text import count_text
from recon.plans.notes import NO_NOTES, PlanNotes
from recon.plans.picking import NoSuchPaymentError, named_payment
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import age_text, amount_text, chain_text, shell_word, value_text
from recon.reports.views.balances import balance_facts, balance_tables
from recon.reports.views.coverage import CANNOT_TELL, NOT_ASKED, coverage_table
from recon.reports.views.notes import note_tables

if TYPE_CHECKING:
    from recon.plans.history import News

BREAKS_SHOWN: Final = 20
BREAK_TIERS: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)
"""Findings of these tiers are breaks and need a person. What waits or is benign is only counted."""

_REVIEW_FACTS: Final = ("health", "value_at_risk", "complete", "valid_until", "digest")
_SELECTION_FACTS: Final = ("health", "complete", "valid_until", "digest")
"""What was at risk in the plan that a selection was taken from is not at risk in the selection."""
_SEVERITIES: Final = list(Severity)
_VERDICTS: Final = {verdict: number for number, verdict in enumerate(Verdict)}
_TIERS: Final = list(Tier)


class NotInPlanError(UsageError):
    """A payment that the plan says nothing about."""

    def __init__(self, *, payment: str, digest: str) -> None:
        super().__init__(
            f"The plan {digest[:12]} has neither a finding nor a change for payment {payment[:80]!r}: it was in sync, "
            'or outside the window. "recon show PLAN" lists what there is.'
        )


def breaks_of(plan: Plan) -> tuple[Finding, ...]:
    """The findings that need a person: severity, then value, then age, then id; what nobody can decide now is last."""
    return tuple(sorted((item for item in plan.findings if item.tier in BREAK_TIERS), key=_worst))


def has_gaps(plan: Plan) -> bool:
    """Whether any source gave less than was asked of it, or a plan that judges does not say what was read for it."""
    return not plan.is_read_whole


def none_unless_open(plan: Plan, said: str) -> str:
    """What an empty table says: that there is nothing, or that nobody can tell because not everything was read.

    An undo asks no source, so neither can be said of it.
    """
    if plan.kind == "undo":
        return NOT_ASKED
    is_open = has_gaps(plan) or not (plan.summary.get("health") or {}).get("ok", False)
    return f"{CANNOT_TELL}: the evidence is incomplete" if is_open else said


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
            _verdict_table(plan),
            _money_table(plan),
            _open_table(plan),
            _split_table(plan, "by_provider", "provider"),
            _split_table(plan, "by_chain", "chain"),
            *balance_tables(plan),
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


def money_text(amounts: Iterable[tuple[str | None, int | None, int]]) -> str:
    """Sums per token symbol, exact, as ``12.5 USDC, 3 USDT``; ``-`` when there is nothing.

    Args:
        amounts: (symbol, decimals, base units). Units of an unknown token are summed by themselves.
    """
    named = (
        (
            f"base units of {symbol or 'an unknown token'}" if decimals is None else symbol or "?",
            whole_tokens(units, decimals=decimals),
        )
        for symbol, decimals, units in amounts
    )
    return ", ".join(f"{decimal_amount(value)} {name}" for name, value in sum_by_name(named)) or NO_MONEY


def _title(plan: Plan) -> str:
    return f"{plan.kind.capitalize()} plan {plan.digest[:12]} for {plan.target.name or 'an unnamed target'}"


NO_MONEY: Final = "-"
_HELD: Final = (Verdict.DISPUTE_HOLD, Verdict.LOOKUP_FAILED, Verdict.UNPROVEN)
"""What waits for the decision of a dispute, or for the answer of a source."""


def _worst(item: Finding) -> tuple[bool, int, Decimal, int, str]:
    return (
        item.verdict in _HELD,
        -_SEVERITIES.index(item.severity),
        -whole_tokens(item.value_units, decimals=item.decimals),
        -(item.age_s or 0),
        item.payment_id,
    )


def _oldest(item: Change) -> tuple[int, Decimal, str]:
    return -(item.age_s or 0), -whole_tokens(item.value_units, decimals=item.decimals), item.payment_id


def _percent(value: Any) -> str:
    """A share (0 to 1, or already text) as percent with two digits; text is kept."""
    try:
        return f"{Decimal(str(value)) * 100:.2f} %"
    except (ArithmeticError, ValueError):
        return str(value)


def _headline(plan: Plan) -> tuple[Fact, ...]:
    summary, breaks = plan.summary, breaks_of(plan)
    tiers = Counter(item.tier for item in plan.findings)
    health = summary.get("health") or {}
    reasons = "; ".join(map(str, health.get("reasons", ())))
    healthy = bool(health.get("ok", False))
    oldest = max(breaks, key=lambda item: (item.age_s or 0, item.payment_id), default=None)
    facts = [
        Fact("payments", "payments looked at", str(summary.get("payments", "?")), "count"),
        Fact("breaks", "breaks", str(len(breaks)), "count", alarm=bool(breaks)),
        *(
            Fact(f"breaks_{tier.value}", f"  {tier.value}: {TIER_TEXT[tier]}", str(tiers[tier]), "count")
            for tier in BREAK_TIERS
        ),
        Fact("wait", f"waiting: {TIER_TEXT[Tier.WAIT]}, no break", str(tiers[Tier.WAIT]), "count"),
        Fact("health", "evidence", "complete" if healthy else f"INCOMPLETE: {reasons or 'no reason given'}",
             alarm=not healthy),
        Fact("value_at_risk", "money at risk", _money(plan, "value_at_risk"), "amounts"),
        Fact("captured_not_credited", "captured, not credited", _money(plan, "captured_not_credited"), "amounts"),
        Fact("oldest_break", "oldest break", f"{age_text(oldest.age_s)} ({oldest.payment_id}, {oldest.verdict})"
             if oldest and oldest.age_s is not None else "-"),
    ]  # fmt: skip
    if dust := _dust(plan):
        facts.append(Fact("dust", "dust, no break", dust))
    facts += balance_facts(plan)
    facts += _shares(summary)
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


def _shares(summary: Mapping[str, Any]) -> list[Fact]:
    """Rates with what they are rates of, the open payments that the runbooks ask for, and what was asked of others."""
    facts = []
    for name, label, of in (
        ("auto_match_rate", "matched automatically", "payments_compared"),
        ("unproven_share", "unproven", "payments_in_scope"),
    ):
        if name in summary:
            whole = f" of {summary[of]} {of.replace('payments_', '').replace('_', ' ')}" if of in summary else ""
            facts.append(Fact(name, label, f"{_percent(summary[name])}{whole}"))
    over = (summary.get("open_by_age") or {}).get("over 30 min")
    if over is not None:
        facts.append(Fact("open_over_30_min", "open for over 30 min", str(over), "count"))
    for name in ("provider_calls", "chain_calls"):
        if name in summary:
            facts.append(Fact(name, f"{name.replace('_', ' ')} made", str(summary[name]), "count"))
    return facts


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


def _assets(plan: Plan) -> dict[str, tuple[str, int]]:
    """Symbol and decimals by every key under which a summary may name a token."""
    from recon.core.registry import load_registry

    known: dict[str, tuple[str, int]] = {}
    for token in load_registry().tokens.values():
        known[f"{token.chain_id}:{token.address}"] = (token.symbol, token.decimals)
    items: list[Finding | Change] = [*plan.findings, *plan.changes]
    for item in items:
        if item.token and item.decimals is not None:
            known[f"{item.chain_id}:{item.token}"] = (item.symbol or item.token, item.decimals)
    return known


def _money_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Per token as the summary names it: token, money at risk, captured and not credited."""
    known = _assets(plan)
    rows: list[tuple[str, ...]] = []
    risk, captured = (plan.summary.get(name) or {} for name in ("value_at_risk", "captured_not_credited"))
    for key in sorted({*risk, *captured}):
        symbol, decimals = known.get(key, (key, None))
        cells = [amount_text(int(part.get(key, 0)), decimals=decimals, symbol=symbol) for part in (risk, captured)]
        rows.append((chain_text(str(key).partition(":")[0]), cells[0], cells[1], str(key)))
    return rows


def _dust(plan: Plan) -> str:
    """How many transfers were too small to matter, and below which amount."""
    known, told = _assets(plan), []
    for key, found in (plan.summary.get("dust") or {}).items():
        symbol, decimals = known.get(key, (key, None))
        below = amount_text(int(found["below"]), decimals=decimals, symbol=symbol)
        told.append(f"{found['transfers']} below {below}")
    return ", ".join(told)


def _money(plan: Plan, name: str) -> str:
    known = _assets(plan)
    amounts = ((known.get(key, (key, None)), int(units)) for key, units in (plan.summary.get(name) or {}).items())
    said = money_text((symbol, decimals, units) for (symbol, decimals), units in amounts)
    return none_unless_open(plan, said) if said == NO_MONEY else said


def _verdict_table(plan: Plan) -> Table:
    counts = plan.summary.get("verdicts") or Counter(item.verdict for item in plan.findings)
    tiers: dict[str, set[Tier]] = {}
    for item in plan.findings:
        tiers.setdefault(item.verdict, set()).add(item.tier)
    benign = {Tier.BENIGN}
    rows = [
        (str(name), ", ".join(t.value for t in _TIERS if t in tiers.get(name, benign)), str(count))
        for name, count in sorted(counts.items(), key=lambda pair: (_VERDICTS.get(pair[0], 99), pair[0]))
        if count
    ]
    columns = (Column("verdict", "verdict", "verdict"), Column("tier", "tier", "tier"),
               Column("payments", "payments", "count"))  # fmt: skip
    return Table(
        "verdicts", "Verdicts", columns, tuple(rows), empty=none_unless_open(plan, "no payment was in the window")
    )


def _money_table(plan: Plan) -> Table:
    columns = (Column("chain", "chain"), Column("value_at_risk", "at risk", "amount"),
               Column("captured_not_credited", "captured, not credited", "amount"),
               Column("token", "token", "id", wide=True))  # fmt: skip
    empty = none_unless_open(plan, "no money is at risk")
    return Table("money", "Money by token", columns, tuple(_money_rows(plan)), empty=empty)


def _open_table(plan: Plan) -> Table:
    buckets = plan.summary.get("open_by_age") or {}
    order = [name for name, _ in OPEN_AGES]  # a plan file keeps its keys by the alphabet
    known = sorted(buckets, key=lambda name: order.index(name) if name in order else len(order))
    rows = tuple((_label(name), str(buckets[name])) for name in known)
    columns = (Column("age", "age"), Column("payments", "payments", "count"))
    return Table(
        "open_by_age", "Open payments by age", columns, rows, empty=none_unless_open(plan, "no payment is open")
    )


def _split_table(plan: Plan, name: str, label: str) -> Table:
    """Payments, those in sync, breaks and those that could not be judged, per provider or chain."""
    breaks = Counter(
        (item.provider or "none") if label == "provider" else str(item.chain_id or "none") for item in breaks_of(plan)
    )
    rows = []
    for part, split in sorted((plan.summary.get(name) or {}).items()):
        unproven = sum(int(split.get(verdict, 0)) for verdict in (Verdict.UNPROVEN, Verdict.LOOKUP_FAILED))
        matched = sum(int(split.get(verdict, 0)) for verdict in (Verdict.IN_SYNC, Verdict.PARTLY_REFUNDED))
        counts = (sum(map(int, split.values())), matched, breaks[part], unproven)
        rows.append((part if label == "provider" else chain_text(part), *map(str, counts)))
    columns = (Column(label, label), Column("payments", "payments", "count"), Column("in_sync", "in sync", "count"),
               Column("breaks", "breaks", "count"), Column("unproven", "not provable", "count"))  # fmt: skip
    return Table(name, f"By {label}", columns, tuple(rows))


def _label(name: object) -> str:
    return str(name).replace("_", " ")


BREAK_COLUMNS: Final = (
    Column("payment_id", "payment", "id"), Column("verdict", "verdict", "verdict"), Column("tier", "tier", "tier"),
    Column("severity", "severity", "severity"), Column("value", "value", "amount"),
    Column("difference", "difference", "amount", wide=True), Column("age_s", "age", "age"),
    Column("provider", "provider", wide=True), Column("chain_id", "chain", wide=True),
    Column("findings", "all findings"), Column("reason", "reason", "reason"),
)  # fmt: skip


def break_table(plan: Plan, *, shown: int | None = BREAKS_SHOWN) -> Table:
    """The breaks, worst first; outputs for people print the first ``shown``."""
    rows = tuple(finding_row(item) for item in breaks_of(plan))
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
        "" if item.chain_id is None else str(item.chain_id),
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
            alarm=_SEVERITIES.index(item.severity) >= _SEVERITIES.index(Severity.HIGH),
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
