"""The list: money that can be put right first, what nobody can decide last; sorts and groups."""

from __future__ import annotations

from dataclasses import replace

from recon.core.model import LeftAlone, Severity, Tier, Verdict
from recon.desk.rows import GROUPS, SORTS, BreakStanding, GroupHead, desk_rows, group_rows, sort_rows
from recon.plans.file import seal_plan
from tests.support.plans import a_change, a_finding, a_plan


def test_money_that_can_be_put_right_stands_first_and_what_nobody_can_decide_last() -> None:
    ids = [f"{number:024x}" for number in range(6)]
    plan = a_plan(
        findings=(
            a_finding(payment_id=ids[0], verdict=Verdict.DISPUTE_HOLD, tier=Tier.NEVER, severity=Severity.CRITICAL),
            a_finding(payment_id=ids[1], verdict=Verdict.UNDERPAID, tier=Tier.REVIEW),
            a_finding(payment_id=ids[2], verdict=Verdict.LATE_PAYMENT, tier=Tier.REVIEW),
            a_finding(payment_id=ids[3], value_units=1),
            a_finding(payment_id=ids[4], value_units=2),
            a_finding(payment_id=ids[5], verdict=Verdict.INSUFFICIENT_CONFIRMATIONS, tier=Tier.WAIT),
        ),
        changes=(
            a_change(payment_id=ids[2], verdict=Verdict.LATE_PAYMENT, tier=Tier.REVIEW),
            a_change(payment_id=ids[3]),
            a_change(payment_id=ids[4]),
        ),
        left_alone=(LeftAlone(ids[1], Verdict.UNDERPAID, "no cell"),),
    )
    rows = desk_rows(plan)
    assert [row.payment_id for row in rows] == [ids[4], ids[3], ids[2], ids[1], ids[0], ids[5]]
    words = [row.standing.name for row in rows]
    assert words == ["READY", "READY", "IF_PICKED", "BY_HAND", "UNDECIDED", "NOT_DUE"]
    assert rows[3].left == "no cell"
    picked = seal_plan(replace(plan, picked=(ids[2],)))
    assert desk_rows(picked)[2].standing is BreakStanding.READY


def test_the_order_does_not_depend_on_the_order_of_the_plan() -> None:
    findings = tuple(a_finding(payment_id=f"{number:024x}", value_units=number % 3) for number in range(20))
    plan = a_plan(findings=findings, changes=())
    turned = replace(plan, findings=findings[::-1])
    assert [row.payment_id for row in desk_rows(plan)] == [row.payment_id for row in desk_rows(turned)]


def test_benign_findings_are_left_out_and_what_an_undo_writes_or_leaves_is_there() -> None:
    plan = a_plan(
        findings=(a_finding(payment_id="a" * 24, verdict=Verdict.ABANDONED, tier=Tier.BENIGN),),
        changes=(a_change(payment_id="b" * 24),),
        kind="undo",
    )
    row, left = desk_rows(plan)
    assert (row.payment_id, row.finding, row.standing) == ("b" * 24, None, BreakStanding.READY)
    assert (left.payment_id, left.left) == ("other", "the chain was not read to its end")
    assert left.standing is BreakStanding.UNDECIDED


def test_every_sort_and_group_keeps_every_row() -> None:
    findings = tuple(
        a_finding(payment_id=f"{number:024x}", value_units=number, age_s=100 - number, chain_id=(1, 56)[number % 2])
        for number in range(10)
    )
    rows = desk_rows(a_plan(findings=findings, changes=()))
    for sort in SORTS:
        assert sorted(row.payment_id for row in sort_rows(rows, sort)) == sorted(row.payment_id for row in rows)
    assert next(row.amount for row in sort_rows(rows, "amount")) == max(row.amount for row in rows)
    assert sort_rows(rows, "age", backwards=True)[0].age_s == 91
    for group in GROUPS:
        lines = group_rows(rows, group, money=lambda held: str(len(list(held))))
        heads = [line for line in lines if isinstance(line, GroupHead)]
        assert sum(head.rows for head in heads) == (0 if group == "none" else 10)
        assert len(lines) - len(heads) == 10
    assert [head.name for head in group_rows(rows, "chain", money=lambda _: "") if isinstance(head, GroupHead)] == [
        "chain 56", "chain 1",
    ]  # fmt: skip
