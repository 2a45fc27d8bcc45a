"""Conditions by name: what they need, in which order they are made, and every mistake that is found at import."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
import pytest

from recon.core.model import Tier, Verdict
from recon.verdicts.conditions import CONDITIONS
from recon.verdicts.evidence import EVIDENCE
from recon.verdicts.resolving import (
    Condition,
    ConditionRingError,
    DuplicateNameError,
    UnknownNameError,
    UnreadableConditionError,
    expression_of,
    in_steps,
    names_in,
)
from recon.verdicts.rules import RULE_BOOK, RULES, Rule, RuleBook
from tests.support.builders import one_payment
from tests.support.judging import judgement_of


def steps(*conditions: Condition) -> list[list[str]]:
    return [[each.name for each in step] for step in in_steps(conditions, given=("x", "y"))]


def test_a_condition_is_made_after_what_it_needs_wherever_it_stands() -> None:
    listed = (Condition("late", "early or x"), Condition("early", "first"), Condition("first", lambda x, y: x & y))
    assert steps(*listed) == steps(*reversed(listed)) == [["first"], ["early"], ["late"]]


def test_what_a_function_needs_are_its_parameters_without_the_settings() -> None:
    assert Condition("a", lambda x, y, horizon, policy: x > y).needs == ("x", "y")


@pytest.mark.parametrize(
    ("conditions", "error", "said"),
    [
        ([Condition("a", "x and unheard")], UnknownNameError, "condition 'a' needs 'unheard'"),
        ([Condition("a", lambda unheard: unheard)], UnknownNameError, "condition 'a' needs 'unheard'"),
        ([Condition("a", "a")], ConditionRingError, "themselves: a."),
        ([Condition("a", "b"), Condition("b", "not a"), Condition("c", "a")], ConditionRingError, "themselves: a, b."),
        ([Condition("a", "x"), Condition("a", "y")], DuplicateNameError, "'a'"),
        ([Condition("x", "y")], DuplicateNameError, "'x'"),
    ],
)
def test_unknown_names_rings_and_names_that_stand_twice_are_refused(
    conditions: list[Condition], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        steps(*conditions)


@pytest.mark.parametrize("words", ["", "x and", "x > 1", "x or f(y)", "x & y", "x.y", "x if y else x", "1", "x is y"])
def test_words_hold_names_and_or_not_and_brackets_only(words: str) -> None:
    with pytest.raises(UnreadableConditionError, match="cannot be read"):
        Condition("a", words)


@pytest.mark.parametrize("native", [pl.DataFrame, pd.DataFrame])
def test_words_mean_what_they_mean_in_python(native: Any) -> None:
    values = [(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False)]
    frame = nw.from_native(native({name: [row[i] for row in values] for i, name in enumerate("abc")})).lazy()
    for words in ("a or b and not c", "not (a or b) and c", "not a and not b or c", "a", "(a or b) and (b or c)"):
        found = frame.select(r=expression_of(words, nw.col)).collect()["r"].to_list()
        assert found == [eval(words, {}, dict(zip("abc", row, strict=True))) for row in values], words
    assert names_in("a or b and not (a or c)") == ("a", "b", "c")


def test_a_rule_with_a_name_that_does_not_exist_is_refused_when_the_book_is_made() -> None:
    odd = Rule(0, Verdict.IN_SYNC, Tier.BENIGN, when="covered and not unheard", sentence="")
    with pytest.raises(UnknownNameError, match="rule in_sync needs 'unheard'"):
        RuleBook((odd,))


@pytest.mark.parametrize(("number", "verdict"), [(9, Verdict.UNPROVEN), (8, Verdict.LOCAL_BEHIND)])
def test_a_number_or_a_verdict_that_stands_twice_is_refused(number: int, verdict: Verdict) -> None:
    rules = (
        Rule(9, Verdict.LOCAL_BEHIND, Tier.AUTO, when="covered", sentence=""),
        Rule(number, verdict, Tier.AUTO, when="covered", sentence=""),
    )
    with pytest.raises(DuplicateNameError):
        RuleBook(rules)


def test_every_condition_is_used_and_every_rule_but_those_without_a_payment_says_when() -> None:
    used = {name for each in CONDITIONS for name in each.needs}
    used |= {name for _, when in RULE_BOOK.judged for name in names_in(when)}
    assert [each.name for each in CONDITIONS if each.name not in used | {"age_ms"}] == []
    assert [rule.verdict for rule in RULES if rule.when is None] == [
        Verdict.MISSING_LOCAL,
        Verdict.UNEXPLAINED_OUTFLOW,
    ]


def test_the_named_columns_of_the_evidence_are_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from recon.verdicts import judge

    seen: list[list[str]] = []
    whole = judge.classify

    def watched(evidence: Any, **given: Any) -> Any:
        seen.append(evidence.collect_schema().names())
        return whole(evidence, **given)

    monkeypatch.setattr(judge, "classify", watched)
    judgement_of(dict(one_payment()))
    assert sorted(seen[0]) == sorted(EVIDENCE)


def test_a_mistake_in_the_table_shows_at_import() -> None:
    code = (
        "from recon.verdicts import conditions\nfrom recon.verdicts.resolving import Condition\n"
        "conditions.CONDITIONS = (*conditions.CONDITIONS, Condition('odd', 'unheard'))\nimport recon.verdicts.rules"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "UnknownNameError: The condition 'odd' needs 'unheard'" in ran.stderr
