"""Evidence to findings and a verdict, by a book of rules. Pure and columnar, like ``recon.verdicts.match``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

import narwhals as nw

from recon.core.model import Policy, Verdict
from recon.verdicts.links import Frame
from recon.verdicts.reach import Horizon
from recon.verdicts.resolving import Condition, expression_of
from recon.verdicts.rules import RULE_BOOK, RuleBook

STEPS_AT_ONCE: Final = 3
"""So many steps of conditions are computed in one pass: fewer passes plan faster, and longer expressions slower. Polars
takes a pass for next to nothing, so there each step is one."""


def classify(evidence: Frame, *, horizon: Horizon, policy: Policy, rules: RuleBook = RULE_BOOK) -> Frame:
    """Add every condition, ``verdict`` and the ``findings`` mask (bit = rule number) to evidence rows.

    The order is total: a row to which no rule applies is ``unproven``, which no caller can mistake for paid or unpaid.
    """
    staged = evidence
    at_once = 1 if evidence.implementation.is_polars() else STEPS_AT_ONCE
    for start in range(0, len(rules.steps), at_once):
        steps = rules.steps[start : start + at_once]
        staged = staged.with_columns(**_put_together(chain(*steps), horizon=horizon, policy=policy))
    judged = [(rule, expression_of(when, nw.col)) for rule, when in rules.judged]
    bits = [applies.cast(nw.Int64) * (1 << rule.number) for rule, applies in judged]
    verdicts = [nw.when(applies).then(nw.lit(str(rule.verdict))) for rule, applies in judged]
    first = nw.coalesce(*verdicts, nw.lit(str(Verdict.UNPROVEN)))
    return staged.with_columns(verdict=first, findings=nw.sum_horizontal(*bits))


def _put_together(conditions: Iterable[Condition], *, horizon: Horizon, policy: Policy) -> dict[str, nw.Expr]:
    """Conditions over columns that are there, those made earlier in the same pass put into the later ones."""
    made: dict[str, nw.Expr] = {}

    def column(name: str) -> nw.Expr:
        return made[name] if name in made else nw.col(name)

    for condition in conditions:
        made[condition.name] = expression_of(condition.says, column, horizon=horizon, policy=policy)
    return made
