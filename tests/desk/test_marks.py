"""Marks, their undoing, their totals beside the limits, and the file that keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recon.core.errors import UsageError
from recon.core.model import LeftAlone, Tier, Verdict
from recon.desk.draft import Draft, DraftError, DraftMovedError, draft_path, open_draft
from recon.desk.marks import Mark, MarkKind, Marks, NothingToMarkError, check_markable, marked_totals
from recon.desk.rows import desk_rows
from recon.plans.file import save_plan
from recon.plans.limits import Limits
from recon.plans.picking import Pick, select_changes
from tests.support.plans import USDC_BSC, USDC_ETH, a_change, a_finding, a_plan

IDS = [f"{number:024x}" for number in range(5)]
APPLY = Mark(MarkKind.APPLY)


def test_marks_are_undone_and_redone_step_by_step() -> None:
    marks = Marks()
    marks.put(IDS[:2], APPLY, said="two")
    marks.put(IDS[1:3], Mark(MarkKind.ACK, "2026-12-01T00:00:00.000Z", "agreed"), said="over one of them")
    assert marks.kinds() == {IDS[0]: "apply", IDS[1]: "ack", IDS[2]: "ack"}
    assert marks.put(IDS[:1], APPLY, said="nothing new") is None
    step = marks.undo()
    assert step is not None and step.said == "over one of them"
    assert marks.kinds() == {IDS[0]: "apply", IDS[1]: "apply"}
    marks.redo()
    assert marks.kinds()[IDS[1]] == "ack"
    marks.undo()
    marks.put(IDS[4:], APPLY, said="another way")
    assert marks.redo() is None, "what was undone is gone once something else is done"
    while marks.undo():
        pass
    assert marks.by_payment == {} and marks.undo() is None


def test_only_what_can_be_done_is_marked() -> None:
    plan = a_plan(
        findings=(
            a_finding(payment_id=IDS[0]),
            a_finding(payment_id=IDS[1], verdict=Verdict.UNDERPAID, tier=Tier.REVIEW),
            a_finding(payment_id=IDS[2], verdict=Verdict.SAFETY_PENDING, tier=Tier.WAIT),
        ),
        changes=(a_change(payment_id=IDS[0]), a_change(payment_id=IDS[3])),
        left_alone=(LeftAlone(IDS[1], Verdict.UNDERPAID, "no cell"),),
    )
    rows = desk_rows(plan)
    assert check_markable(rows, MarkKind.APPLY) == (IDS[0], IDS[3])
    assert set(check_markable(rows, MarkKind.ACK)) == {IDS[0], IDS[1]}
    assert len(check_markable(rows, MarkKind.INSPECT)) == 4
    with pytest.raises(NothingToMarkError, match=r"the plan changes nothing of it \(no cell\); nothing was marked"):
        check_markable([row for row in rows if row.payment_id == IDS[1]], MarkKind.APPLY)


def test_totals_are_added_exactly_and_held_against_the_limits() -> None:
    plan = a_plan(
        findings=(),
        summary={"payments": 20},
        changes=(
            a_change(payment_id=IDS[0], value_units=10**18 + 1),
            a_change(payment_id=IDS[1], value_units=2 * 10**18, tier=Tier.REVIEW),
            a_change(payment_id=IDS[2], chain_id=1, token=USDC_ETH, decimals=6, value_units=1_500_000),
            a_change(payment_id=IDS[3], symbol=None, decimals=None, token=None, value_units=7),
        ),
    )
    marks = Marks()
    marks.put(IDS[:4], APPLY, said="all")
    marks.put(IDS[4:], Mark(MarkKind.INSPECT), said="one more")
    limits = Limits(value_max_units={f"56:{USDC_BSC}": 2 * 10**18}, changes_max=3)
    totals = marked_totals(plan, marks, limits=limits)
    assert (totals.rows, totals.rows_max, totals.review, totals.inspects) == (4, 3, 1, 1)
    assert totals.money == (
        "4.50 USDC (3.00 of 2.00 on chain 56)",
        "7 base units of an unknown token",
    )
    assert any("limit on rows is 3" in hit for hit in totals.hits)
    assert any("value per run" in hit and "3.000000000000000001 USDC" in hit for hit in totals.hits)
    assert marked_totals(plan, Marks(), limits=limits).hits == ()


def test_a_review_is_kept_beside_the_plan_and_comes_back_whole(tmp_path: Path) -> None:
    plan, path = a_plan(), tmp_path / "plan.json"
    save_plan(plan, path)
    draft = open_draft(plan, path)
    draft.marks.put([IDS[0]], APPLY, said="one")
    draft.marks.put([IDS[1]], Mark(MarkKind.ACK, "2026-12-01T00:00:00.000Z", "agreed [x]"), said="two")
    draft.query, draft.sort, draft.group, draft.cursor = "tier:auto", "age", "chain", IDS[1]
    draft.save()
    assert draft_path(path).stat().st_mode & 0o777 == 0o600
    again = open_draft(plan, path)
    assert (again.marks.by_payment, again.query, again.sort, again.group) == (
        draft.marks.by_payment, "tier:auto", "age", "chain",
    )  # fmt: skip
    again.marks.undo()
    assert again.marks.kinds() == {IDS[0]: "apply"}, "steps of before can be undone"
    again.save()
    with pytest.raises(DraftMovedError, match="another review of the same plan"):
        draft.marks.put([IDS[2]], APPLY, said="three")
        draft.save()
    assert open_draft(plan, path).marks.kinds() == {IDS[0]: "apply"}


def test_two_reviews_that_begin_at_once_do_not_overwrite_each_other(tmp_path: Path) -> None:
    plan = a_plan()
    first, second = open_draft(plan, tmp_path / "plan.json"), open_draft(plan, tmp_path / "plan.json")
    first.marks.put([IDS[0]], APPLY, said="one")
    first.save()
    second.marks.put([IDS[1]], APPLY, said="one")
    with pytest.raises(DraftMovedError):
        second.save()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"format":1}',
        b'{"format":2,"plan":"x","marks":{},"steps":[],"recorded":{},"query":"","sort":"usual","backwards":false,'
        b'"group":"none","cursor":""}',
        b'{"format":1,"plan":"x","marks":{"a":{"kind":"sell"}},"steps":[],"recorded":{},"query":"","sort":"usual",'
        b'"backwards":false,"group":"none","cursor":""}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_saved_review_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    draft_path(tmp_path / "plan.json").write_bytes(data)
    with pytest.raises(DraftError, match=r"plan\.json\.review: it is no saved review"):
        open_draft(a_plan(), tmp_path / "plan.json")


def test_the_review_of_another_plan_is_refused(tmp_path: Path) -> None:
    first = a_plan()
    draft = open_draft(first, tmp_path / "plan.json")
    draft.marks.put([IDS[0]], APPLY, said="one")
    draft.save()
    other = replace(first, digest="f" * 64)
    with pytest.raises(DraftError, match="the review of another plan"):
        open_draft(other, tmp_path / "plan.json")


def test_a_saved_review_holds_few_steps_however_many_there_were(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "d.json", "p")
    for number in range(300):
        draft.marks.put([IDS[0]], APPLY if number % 2 == 0 else None, said=str(number))
    draft.save()
    assert len(json.loads((tmp_path / "d.json").read_bytes())["steps"]) == 100


def test_marks_name_the_payments_that_select_takes() -> None:
    plan = a_plan(
        findings=(), changes=tuple(a_change(payment_id=each, tier=Tier.REVIEW) for each in IDS[:3])
    )  # fmt: skip
    marks = Marks()
    marks.put([IDS[2], IDS[0]], APPLY, said="two")
    chosen = select_changes(plan, Pick(payments=tuple(marks.marked(MarkKind.APPLY))))
    assert chosen.digest == select_changes(plan, Pick(payments=(IDS[2], IDS[0]))).digest
    with pytest.raises(UsageError):
        select_changes(plan, Pick(payments=("not there",)))
