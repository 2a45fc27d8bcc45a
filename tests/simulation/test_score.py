"""A score counts every mistake, and only mistakes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from recon.core.model import Change, FieldChange, Finding, Plan, Severity, Target, Tier, Verdict
from recon.simulation import Truth
from recon.simulation.score import score, score_json


def truth(payment_id: str, verdict: Verdict, *also: Verdict, sets: dict[str, Any] | None = None) -> Truth:
    return Truth(payment_id, verdict, (verdict, *also), sets, planted=f"planted-{payment_id}")


def finding(payment_id: str, verdict: Verdict, *also: Verdict) -> Finding:
    return Finding(payment_id, verdict, (verdict, *also), Tier.REVIEW, Severity.LOW, "Because.")


def change(payment_id: str, *sets: FieldChange) -> Change:
    return Change(f"c-{payment_id}", payment_id, payment_id, Verdict.LOCAL_BEHIND, Tier.AUTO, sets, ())


def plan(findings: list[Finding], changes: list[Change]) -> Plan:
    target = Target("t", (), "d", "c", None, (), (), ())
    return Plan(
        "correction", "0", "", "", target, "", "", {}, (), {}, findings=tuple(findings), changes=tuple(changes),
        left_alone=(),
    )  # fmt: skip


def test_all_right_is_perfect() -> None:
    found = score(
        plan([finding("a", Verdict.LOCAL_BEHIND)], [change("a", FieldChange("status", "pending", "completed"))]),
        [truth("a", Verdict.LOCAL_BEHIND, sets={"status": "completed"}), truth("b", Verdict.IN_SYNC)],
    )
    assert found.is_perfect and found.judged == 2 and found.not_proven_share == 0
    assert found.recall(Verdict.LOCAL_BEHIND) == found.precision(Verdict.LOCAL_BEHIND) == 1
    assert found.recall(Verdict.OVERPAID) is None and found.precision(Verdict.OVERPAID) is None


def test_what_is_not_listed_was_judged_benign() -> None:
    benign = [Verdict.IN_SYNC, Verdict.IN_TRANSIT, Verdict.ABANDONED, Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE]
    assert score([], [truth(str(n), verdict) for n, verdict in enumerate(benign)]).is_perfect
    missed = score([], [truth("a", Verdict.UNDERPAID)])
    assert not missed.is_perfect
    assert missed.misjudged[0].expected is Verdict.UNDERPAID and missed.misjudged[0].found is None
    assert missed.recall(Verdict.UNDERPAID) == 0


def test_a_finding_about_nothing_is_a_false_alarm() -> None:
    found = score([finding("chain:56:0x1:2", Verdict.MISSING_LOCAL)], [])
    assert found.misjudged[0].expected is None and found.judged == 1
    assert found.precision(Verdict.MISSING_LOCAL) == 0


def test_an_alarm_on_a_healthy_payment_lowers_precision() -> None:
    found = score(
        [finding("a", Verdict.OVERPAID), finding("b", Verdict.OVERPAID)],
        [truth("a", Verdict.OVERPAID), truth("b", Verdict.IN_SYNC)],
    )
    assert found.precision(Verdict.OVERPAID) == Fraction(1, 2) and found.recall(Verdict.OVERPAID) == 1
    assert found.confusion[Verdict.IN_SYNC, Verdict.OVERPAID] == 1
    assert [row.payment_id for row in found.misjudged] == ["b"]


def test_a_right_verdict_that_lacks_a_finding_is_incomplete() -> None:
    truths = [truth("a", Verdict.LOCAL_BEHIND, Verdict.OVERPAID)]
    assert score([finding("a", Verdict.LOCAL_BEHIND, Verdict.OVERPAID, Verdict.IN_TRANSIT)], truths).is_perfect
    found = score([finding("a", Verdict.LOCAL_BEHIND)], truths)
    assert not found.misjudged and found.incomplete[0].missing == (Verdict.OVERPAID,) and not found.is_perfect


def test_writes_that_are_wrong_extra_or_missing_are_told_apart() -> None:
    truths = [
        truth("extra", Verdict.OVERPAID),
        truth("other", Verdict.LOCAL_BEHIND, sets={"status": "completed"}),
        truth("none", Verdict.LOCAL_BEHIND, sets={"status": "completed"}),
    ]
    findings = [finding(row.payment_id, row.verdict) for row in truths]
    changes = [
        change("extra", FieldChange("status", "pending", "completed")),
        change("other", FieldChange("status", "pending", "refunded")),
        change("unknown", FieldChange("status", "pending", "completed")),
    ]
    found = score(plan(findings, changes), truths)
    assert {row.payment_id: row.kind for row in found.wrong_writes} == {
        "extra": "unexpected", "none": "missing", "other": "other_values", "unknown": "unexpected",
    }  # fmt: skip
    assert not found.misjudged and not found.is_perfect


def test_a_number_of_another_type_is_another_value() -> None:
    truths = [truth("a", Verdict.CONFIRMATIONS_STALE, sets={"blockchain.confirmations": {"$numberInt": "12"}})]
    sets = FieldChange("blockchain.confirmations", {"$numberInt": "3"}, {"$numberDouble": "12.0"})
    found = score(plan([finding("a", Verdict.CONFIRMATIONS_STALE)], [change("a", sets)]), truths)
    assert found.wrong_writes[0].kind == "other_values"


def test_what_is_already_so_and_what_every_write_carries_is_no_effect() -> None:
    truths = [truth("a", Verdict.LOCAL_BEHIND, sets={"status": "completed"}), truth("b", Verdict.OVERPAID)]
    made = plan(
        [finding("a", Verdict.LOCAL_BEHIND), finding("b", Verdict.OVERPAID)],
        [
            change(
                "a",
                FieldChange("status", "pending", "completed"),
                FieldChange("blockchain.confirmations", {"$numberInt": "12"}, {"$numberInt": "12"}),
                FieldChange("updatedAt", 1, 2),
                FieldChange("metadata.recon.last", {"$recon": "missing"}, "run/1"),
            ),
            change("b", FieldChange("updatedAt", 1, 2)),
        ],
    )
    assert score(made, truths).is_perfect


def test_a_benign_verdict_taken_for_another_shows_in_the_counts() -> None:
    truths = [truth("a", Verdict.IN_TRANSIT), truth("b", Verdict.ABANDONED)]
    right = replace(plan([], []), summary={"verdicts": {"in_transit": 1, "abandoned": 1}})
    wrong = replace(plan([], []), summary={"verdicts": {"in_transit": 2}})
    assert score(right, truths).is_perfect
    found = score(wrong, truths)
    assert not found.is_perfect
    assert found.miscounted == {Verdict.IN_TRANSIT: (1, 2), Verdict.ABANDONED: (1, 0)}
    assert score_json(found)["miscounted"]["abandoned"] == {"true": 1, "counted": 0}


def test_findings_alone_are_scored_without_their_writes() -> None:
    truths = [truth("a", Verdict.LOCAL_BEHIND, sets={"status": "completed"})]
    assert score([finding("a", Verdict.LOCAL_BEHIND)], truths).is_perfect


def test_what_was_left_unproven_is_a_share_of_everything() -> None:
    found = score(
        [finding("a", Verdict.UNPROVEN), finding("b", Verdict.LOOKUP_FAILED)],
        [truth(name, Verdict.IN_SYNC) for name in "abcd"],
    )
    assert found.not_proven == 2 and found.not_proven_share == Fraction(1, 2)


def test_json_never_rounds_a_mistake_away_and_is_ordered() -> None:
    truths = [truth(f"{n:07}", Verdict.OVERPAID) for n in range(10**4)]
    findings = [finding(row.payment_id, Verdict.OVERPAID) for row in truths]
    found = score_json(score([*findings[1:], replace(findings[0], verdict=Verdict.UNDERPAID)], truths))
    assert found["verdicts"]["overpaid"] == {
        "true": 10_000,
        "found": 9_999,
        "recall": "0.999900",
        "precision": "1.000000",
    }
    assert found["perfect"] is False and found["judged"] == 10_000
    assert [row["payment_id"] for row in found["misjudged"]] == ["0000000"]
    assert found["misjudged"][0]["true"] == "overpaid" and found["misjudged"][0]["found"] == "underpaid"
    shuffled = score_json(
        score(list(reversed([*findings[1:], replace(findings[0], verdict=Verdict.UNDERPAID)])), truths)
    )
    assert shuffled == found
