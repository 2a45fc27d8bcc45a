"""The filter line: what each word shows, and what is refused with the nearest name."""

from __future__ import annotations

from typing import Any

import pytest

from recon.core.errors import UsageError
from recon.core.model import FieldView, Severity, Tier, Verdict
from recon.core.registry import load_registry
from recon.desk.query import facet_counts, known_names, nearest, parse_query, toggled
from recon.desk.rows import DeskRow, desk_rows
from tests.support.plans import a_change, a_finding, a_plan

OTHER = "template-checkout-1"


def rows_and_known() -> tuple[tuple[DeskRow, ...], Any]:
    plan = a_plan(
        findings=(
            a_finding(value_units=250 * 10**18, age_s=4 * 86400),
            a_finding(
                payment_id=OTHER,
                verdict=Verdict.LATE_PAYMENT,
                tier=Tier.REVIEW,
                severity=Severity.CRITICAL,
                provider="shkeeper",
                chain_id=137,
                symbol="USDT",
                decimals=6,
                value_units=1_500_000,
                age_s=3600,
                reason="The money came [bold]after[/] the payment expired.",
                fields=(FieldView("tx_hash", None, "0xabc", None),),
            ),
            a_finding(payment_id="c" * 24, verdict=Verdict.DISPUTE_HOLD, tier=Tier.NEVER, value_units=0, age_s=None),
        ),
        changes=(a_change(),),
    )
    rows = desk_rows(plan)
    return rows, known_names(plan, rows, registry=load_registry())


def shown(line: str, marks: dict[str, str] | None = None) -> list[str]:
    rows, known = rows_and_known()
    query = parse_query(line, known=known)
    return [row.verdict.value for row in rows if query.shows(row, mark=(marks or {}).get(row.payment_id, ""))]


ALL = ["local_behind", "late_payment", "dispute_hold"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ALL),
        ("verdict:late_payment", ["late_payment"]),
        ("VERDICT:Late_Payment", ["late_payment"]),
        ("verdict:late_payment,local_behind", ALL[:2]),
        ("-verdict:late_payment", ["local_behind", "dispute_hold"]),
        ("tier:review", ["late_payment"]),
        ("rail:shkeeper", ["late_payment"]),
        ("rail:shkeeper:137", ["late_payment"]),
        ("rail:shkeeper:56", []),
        ("rail:shkeeper:polygon", ["late_payment"]),
        ("chain:137", ["late_payment"]),
        ("chain:polygon", ["late_payment"]),
        ("token:usdt", ["late_payment"]),
        ("severity:critical", ["late_payment"]),
        ("amount>100", ["local_behind"]),
        ("amount<=1.5 -amount=0", ["late_payment"]),
        ("amount:>=1.5", ALL[:2]),
        ("age>3d", ["local_behind"]),
        ("age<90min", ["late_payment"]),
        ("change:yes", ["local_behind"]),
        ("change:no", ALL[1:]),
        ("standing:undecided", ["dispute_hold"]),
        ("expired", ["late_payment"]),
        ('"payment expired"', ["late_payment"]),
        ("[bold]after[/]", ["late_payment"]),
        ("text:0xabc", ["late_payment"]),
        (OTHER, ["late_payment"]),
        ("escrowState", ["local_behind"]),
        ("-expired amount>0", ["local_behind"]),
        ('"not closed', []),
        ("nothing-of-the-kind", []),
        ("mark:none", ALL),
        ("mark:any", []),
    ],
)
def test_each_word_narrows_what_is_shown(line: str, expected: list[str]) -> None:
    assert shown(line) == expected


def test_marks_can_be_filtered() -> None:
    assert shown("mark:apply", {OTHER: "apply"}) == ["late_payment"]
    assert shown("mark:any", {OTHER: "ack"}) == ["late_payment"]
    assert shown("mark:none", {OTHER: "ack"}) == ["local_behind", "dispute_hold"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("verdct:late_payment", "did you mean verdict?"),
        ("verdict:late_paymnt", "did you mean late_payment?"),
        ("verdict:", "known are"),
        ("tier:revew", "did you mean review?"),
        ("rail:shkeper", "did you mean shkeeper?"),
        ("rail:shkeeper:9999999", "is no chain"),
        ("chain:polygn", "did you mean polygon?"),
        ("token:usdcc", "did you mean USDC?"),
        ("change:zzz", "known are yes, no"),
        ("amout>5", "did you mean amount?"),
        ("verdict>5", "known are amount, age"),
        ("amount>many", "write for example amount>100"),
        ("amount>1e9", "write for example amount>100"),
        ("amount>-5", "write for example amount>100"),
        ("amount:5", "write for example amount>100"),
        ("age>3", "write for example age>3d"),
        ("mark:aply", "did you mean apply?"),
        ("\x1b[2Jx:y", "is no"),
    ],
)
def test_an_unknown_word_is_refused_with_the_nearest(line: str, said: str) -> None:
    _, known = rows_and_known()
    if line.startswith("\x1b"):
        assert shown(line) == []  # no key at all: it is looked for as text
        return
    with pytest.raises(UsageError) as refused:
        parse_query(line, known=known)
    assert said in str(refused.value)


def test_nothing_near_is_nothing() -> None:
    assert nearest("zzzz", ("apply", "ack")) is None
    assert nearest("insp", ("apply", "ack", "inspect")) == "inspect"


@pytest.mark.parametrize(
    ("line", "key", "value", "expected"),
    [
        ("", "verdict", "late_payment", "verdict:late_payment"),
        ("amount>5", "verdict", "late_payment", "amount>5 verdict:late_payment"),
        ("verdict:late_payment x", "verdict", "local_behind", "verdict:late_payment,local_behind x"),
        ("verdict:late_payment,local_behind", "verdict", "late_payment", "verdict:local_behind"),
        ("verdict:late_payment", "verdict", "late_payment", ""),
        ("-verdict:late_payment", "verdict", "late_payment", "-verdict:late_payment verdict:late_payment"),
        ('token:"A B",C', "token", "A B", "token:C"),
        ("", "token", "A B", 'token:"A B"'),
    ],
)
def test_a_facet_is_a_word_of_the_line(line: str, key: str, value: str, expected: str) -> None:
    assert toggled(line, key, value=value) == expected


def test_facets_count_what_each_value_would_show() -> None:
    rows, known = rows_and_known()
    query = parse_query("verdict:late_payment", known=known)
    counts = facet_counts(rows, query, marks={OTHER: "ack"})
    assert dict(counts["verdict"]) == {"local_behind": 1, "late_payment": 1, "dispute_hold": 1}
    assert dict(counts["tier"]) == {"review": 1}
    assert dict(counts["mark"]) == {"ack": 1}
    assert dict(counts["chain"]) == {"137": 1}
