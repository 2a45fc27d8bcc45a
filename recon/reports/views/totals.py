"""What a plan sums up: its breaks, its money, and its tables by verdict, age, provider and chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from recon.core.model import OPEN_AGES, Change, Finding, Plan, Severity, Tier, Verdict
from recon.core.money import decimal_amount, sum_by_name, whole_tokens
from recon.reports.model import Column, Fact, Table
from recon.reports.text import amount_text, chain_text
from recon.reports.views.coverage import CANNOT_TELL, NOT_ASKED

BREAK_TIERS: Final = (Tier.AUTO, Tier.REVIEW, Tier.NEVER)
"""Findings of these tiers are breaks and need a person. What waits or is benign is only counted."""
NO_MONEY: Final = "-"
_HELD: Final = (Verdict.DISPUTE_HOLD, Verdict.LOOKUP_FAILED, Verdict.UNPROVEN)
"""What waits for the decision of a dispute, or for the answer of a source."""
SEVERITIES: Final = list(Severity)
_VERDICTS: Final = {verdict: number for number, verdict in enumerate(Verdict)}
_TIERS: Final = list(Tier)


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


def breaks_label(plan: Plan) -> str:
    """What the number of breaks is a number of."""
    return "breaks, of what could be read" if has_gaps(plan) else "breaks"


def breaks_of(plan: Plan) -> tuple[Finding, ...]:
    """The findings that need a person: severity, then value, then age, then id; what nobody can decide now is last."""
    return tuple(sorted((item for item in plan.findings if item.tier in BREAK_TIERS), key=_worst))


def _worst(item: Finding) -> tuple[bool, int, Decimal, int, str]:
    return (
        item.verdict in _HELD,
        -SEVERITIES.index(item.severity),
        -whole_tokens(item.value_units, decimals=item.decimals),
        -(item.age_s or 0),
        item.payment_id,
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


def share_facts(summary: Mapping[str, Any]) -> list[Fact]:
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


def _percent(value: Any) -> str:
    """A share (0 to 1, or already text) as percent with two digits; text is kept."""
    try:
        return f"{Decimal(str(value)) * 100:.2f} %"
    except (ArithmeticError, ValueError):
        return str(value)


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


def dust_text(plan: Plan) -> str:
    """How many transfers were too small to matter, and below which amount."""
    known, told = _assets(plan), []
    for key, found in (plan.summary.get("dust") or {}).items():
        symbol, decimals = known.get(key, (key, None))
        below = amount_text(int(found["below"]), decimals=decimals, symbol=symbol)
        told.append(f"{found['transfers']} below {below}")
    return ", ".join(told)


def money_said(plan: Plan, name: str) -> str:
    """The sums of one part of a summary; that nobody can tell, where there is none and not everything was read."""
    known = _assets(plan)
    amounts = ((known.get(key, (key, None)), int(units)) for key, units in (plan.summary.get(name) or {}).items())
    said = money_text((symbol, decimals, units) for (symbol, decimals), units in amounts)
    return none_unless_open(plan, said) if said == NO_MONEY else said


def verdict_table(plan: Plan) -> Table:
    """How many payments have each verdict."""
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


def money_table(plan: Plan) -> Table:
    """Money at risk, and captured and not credited, by token."""
    columns = (Column("chain", "chain"), Column("value_at_risk", "at risk", "amount"),
               Column("captured_not_credited", "captured, not credited", "amount"),
               Column("token", "token", "id", wide=True))  # fmt: skip
    empty = none_unless_open(plan, "no money is at risk")
    return Table("money", "Money by token", columns, tuple(_money_rows(plan)), empty=empty)


def open_table(plan: Plan) -> Table:
    """How many payments are open, by age."""
    buckets = plan.summary.get("open_by_age") or {}
    order = [name for name, _ in OPEN_AGES]  # a plan file keeps its keys by the alphabet
    known = sorted(buckets, key=lambda name: order.index(name) if name in order else len(order))
    rows = tuple((_label(name), str(buckets[name])) for name in known)
    columns = (Column("age", "age"), Column("payments", "payments", "count"))
    return Table(
        "open_by_age", "Open payments by age", columns, rows, empty=none_unless_open(plan, "no payment is open")
    )


def split_table(plan: Plan, name: str, *, label: str) -> Table:
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
