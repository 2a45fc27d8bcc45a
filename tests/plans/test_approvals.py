"""A yes belongs to certain effects, an accepted break to exactly that break; both are written once."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon.core.model import FieldView, Severity, Tier
from recon.core.people import Person
from recon.plans.approvals import (
    Approval,
    ApprovalPolicy,
    BrokenRecordError,
    DecisionRecords,
    MissingReasonError,
    NotApprovedError,
    RecordExistsError,
    check_approvals,
    target_digest,
)
from recon.plans.breaks import fingerprint
from recon.plans.file import seal_plan
from recon.plans.news import sort_breaks
from tests.support.plans import USDC_BSC, a_change, a_finding, a_plan

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TARGET = a_plan().target
ONE = ApprovalPolicy(approvals_min=1)


@pytest.fixture
def records(tmp_path: Path) -> DecisionRecords:
    return DecisionRecords(tmp_path / "decisions")


def test_none_is_needed_unless_policy_asks() -> None:
    assert check_approvals(a_plan(), (), policy=ApprovalPolicy(), author=(), now=NOW) == ()


def test_an_approval_records_who_when_why_and_the_digest_seen(records: DecisionRecords) -> None:
    plan = a_plan()
    given = records.approve(plan, who="Ann", at=NOW, reason="checked three by hand", ticket="OPS-7")
    assert records.approvals(plan, now=NOW) == (given,)
    assert given == Approval(
        "Ann", "2026-11-20T12:00:00.000Z", "checked three by hand", plan.digest, plan.effects_digest, "OPS-7",
        target_digest(plan.target), "2026-11-21T12:00:00.000Z",
    )  # fmt: skip
    assert check_approvals(plan, records.approvals(plan, now=NOW), policy=ONE, author=(Person("Ann"),), now=NOW) == (
        given,
    )


def test_an_approval_is_written_once(records: DecisionRecords, tmp_path: Path) -> None:
    plan = a_plan()
    records.approve(plan, who="Ann", at=NOW, reason="yes")
    with pytest.raises(RecordExistsError, match="Ann already recorded an approval of these effects; the first"):
        records.approve(plan, who="Ann", at=NOW, reason="changed my mind")
    assert [a.reason for a in records.approvals(plan, now=NOW)] == ["yes"]
    (path,) = (tmp_path / "decisions").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@pytest.mark.parametrize("edit", ["content", "cut", "json", "other"])
def test_an_edited_record_proves_nothing(records: DecisionRecords, tmp_path: Path, edit: str) -> None:
    plan = a_plan()
    records.approve(plan, who="Ann", at=NOW, reason="yes")
    (path,) = (tmp_path / "decisions").iterdir()
    path.chmod(0o644)
    data = path.read_bytes()
    edited = {
        "content": data.replace(b"Ann", b"Ben"),
        "cut": data[:80],
        "json": data[:65] + b"[]\n",
        "other": b"\xff" + data,
    }
    path.write_bytes(edited[edit])
    with pytest.raises(BrokenRecordError, match="nothing was written"):
        records.approvals(plan, now=NOW)


def test_an_approval_dies_with_the_effects_and_survives_a_new_plan_with_the_same_ones(records: DecisionRecords) -> None:
    plan = a_plan()
    records.approve(plan, who="Ann", at=NOW, reason="yes")
    same = seal_plan(replace(plan, created_at="2026-11-20T13:00:00Z", snapshot="t" * 64, findings=()))
    assert same.digest != plan.digest
    assert len(check_approvals(same, records.approvals(same, now=NOW), policy=ONE, author=(), now=NOW)) == 1
    other = seal_plan(replace(plan, changes=(a_change(payment_id="x", document_id="x"),)))
    elsewhere = seal_plan(replace(plan, target=replace(plan.target, name="live")))
    for moved in (other, elsewhere):
        assert records.approvals(moved, now=NOW) == ()
        with pytest.raises(NotApprovedError, match=r"nobody approved it \(Ann approved other effects\)"):
            check_approvals(moved, records.approvals(plan, now=NOW), policy=ONE, author=(), now=NOW)


def test_policy_may_ask_that_the_author_does_not_approve(records: DecisionRecords) -> None:
    plan = a_plan()
    policy = ApprovalPolicy(approvals_min=1, author_may_approve=False)
    records.note_author(plan, who="Ann", at=NOW)
    records.note_author(plan, who="Ben", at=NOW)
    assert records.author(plan, now=NOW) == (Person("Ann"),)
    records.approve(plan, who=" ann", at=NOW, reason="mine")
    with pytest.raises(NotApprovedError, match="ann is its author"):
        check_approvals(
            plan, records.approvals(plan, now=NOW), policy=policy, author=records.author(plan, now=NOW), now=NOW
        )
    with pytest.raises(NotApprovedError, match="its author is not known"):
        check_approvals(plan, records.approvals(plan, now=NOW), policy=policy, author=(), now=NOW)
    records.approve(plan, who="Ben", at=NOW, reason="seen")
    counted = check_approvals(plan, records.approvals(plan, now=NOW), policy=policy, author=(Person("Ann"),), now=NOW)
    assert [approval.who for approval in counted] == ["Ben"]


def test_two_people_are_two_people(records: DecisionRecords) -> None:
    plan, policy = a_plan(), ApprovalPolicy(approvals_min=2)
    records.approve(plan, who="Ann", at=NOW, reason="yes")
    with pytest.raises(RecordExistsError, match="ANN already recorded an approval of these effects"):
        records.approve(plan, who="ANN ", at=NOW, reason="yes again")
    twice = (*records.approvals(plan, now=NOW), replace(records.approvals(plan, now=NOW)[0], who="ANN"))
    with pytest.raises(NotApprovedError, match="needs 2 approvals because policy asks for it, and Ann approved it"):
        check_approvals(plan, twice, policy=policy, author=(), now=NOW)
    records.approve(plan, who="Ben", at=NOW, reason="yes")
    assert len(check_approvals(plan, records.approvals(plan, now=NOW), policy=policy, author=(), now=NOW)) == 2


@pytest.mark.parametrize("key", [f"56:{USDC_BSC}", USDC_BSC, "56:USDC", "USDC"])
def test_above_a_value_two_people_are_needed(key: str) -> None:
    plan = a_plan()
    value = plan.changes[0].value_units
    assert check_approvals(plan, (), policy=ApprovalPolicy(two_person_above={key: value}), author=(), now=NOW) == ()
    with pytest.raises(NotApprovedError, match="needs 2 approvals because it moves more USDC than one person may"):
        check_approvals(plan, (), policy=ApprovalPolicy(two_person_above={key: value - 1}), author=(), now=NOW)


def test_a_decision_needs_a_name_and_a_reason(records: DecisionRecords, tmp_path: Path) -> None:
    for who, reason in (("", "x"), ("Ann", "  "), ("Ann", "x" * 2001)):
        with pytest.raises(MissingReasonError, match="nothing was recorded"):
            records.approve(a_plan(), who=who, at=NOW, reason=reason)
    with pytest.raises(MissingReasonError, match="a date that is still to come"):
        records.acknowledge(a_finding(), who="Ann", at=NOW, reason="x", until=NOW, target=TARGET)
    assert not (tmp_path / "decisions").exists()


def test_an_acknowledged_break_is_no_news_until_its_date_or_until_it_changes(records: DecisionRecords) -> None:
    known, accepted, new = (a_finding(payment_id=name) for name in ("known", "accepted", "new"))
    records.acknowledge(
        accepted, who="Ann", at=NOW, reason="waits for the bank", until=NOW + timedelta(days=3), target=TARGET
    )
    marks = [fingerprint(known), fingerprint(accepted)]

    def sort(*breaks: object, days: int = 1) -> tuple[list[str], list[str], list[str]]:
        found = sort_breaks(breaks, acks=records.acks(TARGET, now=NOW), known=marks, now=NOW + timedelta(days=days))  # type: ignore[arg-type]
        return tuple([f.payment_id for f in part] for part in (found.new, found.known, found.acknowledged))  # type: ignore[return-value]

    assert sort(known, accepted, new) == (["new"], ["known"], ["accepted"])
    assert sort(known, accepted, new, days=3) == (["new"], ["known", "accepted"], [])
    older = replace(accepted, age_s=999_999, severity=Severity.CRITICAL, reason="said otherwise")
    assert sort(older)[2] == ["accepted"], "growing older is no change"
    for changed in (
        replace(accepted, difference_units=1),
        replace(accepted, fields=(FieldView("status", "pending", "paid", "reverted"),)),
        replace(accepted, evidence=()),
    ):
        assert sort(changed)[0] == ["accepted"]


def test_records_are_one_digest_and_one_line(records: DecisionRecords, tmp_path: Path) -> None:
    ack = records.acknowledge(
        a_finding(), who="Ann", at=NOW, reason="ünder way", until=NOW + timedelta(hours=1), target=TARGET
    )
    (path,) = (tmp_path / "decisions").iterdir()
    digest, text = path.read_text(encoding="utf-8").splitlines()
    assert len(digest) == 64
    assert json.loads(text)["reason"] == ack.reason


def test_only_what_would_be_written_counts_towards_the_value_that_needs_two_people() -> None:
    plan = a_plan()
    first = plan.changes[0]
    waiting = replace(first, id="c2", payment_id="other", document_id="other", tier=Tier.REVIEW)
    both = seal_plan(replace(plan, changes=(replace(first, tier=Tier.AUTO), waiting), picked=()))
    policy = ApprovalPolicy(two_person_above={"USDC": first.value_units})
    assert check_approvals(both, (), policy=policy, author=(), now=NOW) == ()
    with pytest.raises(NotApprovedError, match="needs 2 approvals"):
        check_approvals(seal_plan(replace(both, picked=("other",))), (), policy=policy, author=(), now=NOW)


def test_a_selection_that_nobody_claims_has_the_author_of_its_plan(records: DecisionRecords) -> None:
    plan = a_plan()
    smaller = seal_plan(replace(plan, parent=plan.digest))
    assert records.author(smaller, now=NOW) == ()
    records.note_author(plan, who="Ann", at=NOW)
    assert records.author(smaller, now=NOW) == (Person("Ann"),)
    assert records.author(seal_plan(replace(smaller, kind="undo")), now=NOW) == (), (
        "an undo names the plan it takes back"
    )
    records.note_author(smaller, who="Ben", at=NOW)
    assert records.author(smaller, now=NOW) == (Person("Ben"),)
