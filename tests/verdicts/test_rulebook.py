"""Adding a verdict is adding a row: one more rule and condition, without a change in the package."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

import pytest

from recon.core.model import Policy, Tier, Verdict
from recon.core.registry import load_registry
from recon.plans.findings import Describer
from recon.verdicts.conditions import CONDITIONS
from recon.verdicts.judge import Judgement
from recon.verdicts.resolving import Condition
from recon.verdicts.rules import RULE_BOOK, RULES, Rule, RuleBook, findings_of
from tests.support.builders import NOW_MS, claim_row, payment_id, payment_row, transfer_row
from tests.support.judging import judgement_of
from tests.verdicts.test_match import open_row


class _Added(StrEnum):
    """In the package the new word would stand in ``Verdict``."""

    TWICE_SCREENED = "twice_screened"


TWICE_SCREENED = cast("Verdict", _Added.TWICE_SCREENED)
ROW = Rule(
    60, TWICE_SCREENED, Tier.REVIEW, when="asks_twice and not gave_up",
    sentence="Screening asked twice about {expected} {symbol}.",
)  # fmt: skip
ASKS_TWICE = Condition("asks_twice", lambda safety_status: (safety_status == "again").fill_null(value=False))
PLANTED = {
    "payments": [
        payment_row(1, safety_status="again"),
        payment_row(2),
        open_row(3, safety_status="again", status="failed", status_raw="failed", expires_at=NOW_MS - 1),
    ],
    "transfers": [transfer_row(number) for number in (1, 2)],
    "claims": [claim_row(number) for number in (1, 2)],
}


def book_with(row: Rule, *, before: Verdict) -> RuleBook:
    place = [rule.verdict for rule in RULES].index(before)
    return RuleBook((*RULES[:place], row, *RULES[place:]), (*CONDITIONS, ASKS_TWICE))


def verdicts_of(judgement: Judgement) -> dict[str, str]:
    rows = judgement.breaks.to_pylist()
    return {row["payment_id"]: row["verdict"] for row in rows}


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_a_row_and_its_condition_give_a_planted_payment_their_verdict_tier_and_sentence(engine: str) -> None:
    book = book_with(ROW, before=Verdict.IN_SYNC)
    judgement = judgement_of(PLANTED, engine=engine, rules=book)
    assert verdicts_of(judgement) == {payment_id(1): "twice_screened"}
    [row] = judgement.breaks.to_pylist()
    assert findings_of(row["findings"], rules=book) == (TWICE_SCREENED, Verdict.IN_SYNC)
    describer = Describer(registry=load_registry(), policy=Policy(), links={}, now_ms=NOW_MS, rules=book)
    finding = describer.finding(row)
    assert (finding.verdict, finding.findings) == (TWICE_SCREENED, (TWICE_SCREENED,))
    assert finding.tier is Tier.REVIEW
    assert finding.reason == "Screening asked twice about 12.5 USDC."


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_without_the_row_nothing_is_said_and_below_another_rule_it_is_a_finding(engine: str) -> None:
    assert verdicts_of(judgement_of(PLANTED, engine=engine)) == {}
    last = book_with(ROW, before=Verdict.MISSING_LOCAL)
    judgement = judgement_of(PLANTED, engine=engine, rules=last)
    assert verdicts_of(judgement) == {}
    assert [(row["verdict"], row["rows"]) for row in judgement.counts.to_pylist()] == [("in_sync", 3)]


def test_the_books_own_rules_stay_as_they_are() -> None:
    book = book_with(ROW, before=Verdict.IN_SYNC)
    assert TWICE_SCREENED not in RULE_BOOK.by_verdict
    assert [rule for rule in book.rules if rule is not ROW] == list(RULES)
