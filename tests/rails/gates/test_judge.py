"""Each gate is judged on both sides of the edge of its threshold, and says what it could not measure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recon.core.model import Severity, Tier, Verdict
from recon.core.people import Person
from recon.rails.gates.judge import (
    ENABLE_GATES,
    Gate,
    GateReport,
    judge_enable,
    judge_rollback,
)
from recon.rails.gates.records import (
    Deliveries,
    DeliveryRecord,
    DryRun,
    GateEvidence,
    GateFinding,
    GateLimits,
    HealthRecord,
    RunRecord,
    SignedSample,
    WrittenRun,
)
from recon.rails.gates.sample import CheckedSign, SampleCandidate, make_sample, sign_sample
from tests.support.plans import a_plan

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RN = "request_network"
SET = GateLimits(webhook_burst_failures_max=3, chain_mismatch_ppm_max=5000)
TICK = timedelta(milliseconds=1)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def delivery(at: datetime, number: int = 0, **given: Any) -> DeliveryRecord:
    facts: dict[str, Any] = {"http_status": 202, "signature_valid": True, "is_dead_letter": False, "provider": RN}
    facts |= given
    return DeliveryRecord(delivery_id=f"d{number}", at=at, **facts)


def watched(*records: DeliveryRecord, from_at: datetime | None = None, to_at: datetime = NOW) -> Deliveries:
    return Deliveries(records, from_at or ago(hours=24), to_at)


def finding(number: int, verdict: Verdict = Verdict.LOCAL_BEHIND, **given: Any) -> GateFinding:
    facts: dict[str, Any] = {"provider": RN, "tier": Tier.AUTO, "severity": Severity.HIGH} | given
    return GateFinding(payment_id=f"p{number}", verdict=verdict, **facts)


def dry_run(judged: dict[str, int] | None = None, *found: GateFinding, **given: Any) -> DryRun:
    facts: dict[str, Any] = {
        "digest": "d" * 64, "at": ago(minutes=30), "is_healthy": True, "health_reasons": (), "incomplete": (),
    }  # fmt: skip
    return DryRun(judged={RN: judged or {"in_sync": 2000}}, findings=found, **(facts | given))


def run(at: datetime, number: int = 0, **given: Any) -> RunRecord:
    facts: dict[str, Any] = {
        "covers_from": at - timedelta(hours=24), "covers_to": at, "providers": (), "is_whole": True,
        "is_complete": True, "is_healthy": True, "blocking": {}, "breaks": frozenset({"a"}),
    }  # fmt: skip
    return RunRecord(at=at, digest=f"{number:064d}", **(facts | given))


def health(at: datetime, *, is_ok: bool = True) -> HealthRecord:
    return HealthRecord(at, RN, is_ok, "HTTP 200" if is_ok else "HTTP 503")


def signed(*operators: str, size: int = 10, wrong: str = "", drawn_at: datetime | None = None) -> SignedSample:
    rows = [SampleCandidate(f"p{n}", "in_sync", value_units=n, decimals=0) for n in range(50)]
    sample = make_sample(rows, provider=RN, size=size, seed=1, plan=a_plan(), now=drawn_at or ago(hours=1))
    signs: list[CheckedSign] = []
    for operator in operators:
        said = {row.payment_id: "wrong" if operator == wrong else "right" for row in sample.rows}
        sign = sign_sample(sample, signs, operator=operator, findings=said, notes={}, now=NOW)
        signs.append(CheckedSign(sign, Person(operator)))
    return SignedSample(sample, tuple(signs))


WELL = GateEvidence(
    runs=tuple(run(ago(hours=hours), hours) for hours in (60, 49, 47, 25, 23, 1)),
    dry_run=dry_run(),
    deliveries=watched(delivery(ago(hours=3)), from_at=ago(hours=24)),
    health=(health(ago(minutes=5)), health(ago(minutes=1))),
    sample=signed("Ada", "Grace"),
)


def enable(limits: GateLimits = SET, **changed: Any) -> GateReport:
    return judge_enable(RN, replace(WELL, **changed), limits=limits, now=NOW)


def gate(name: str, limits: GateLimits = SET, **changed: Any) -> Gate:
    return next(gate for gate in enable(limits, **changed).gates if gate.name == name)


def rollback(limits: GateLimits = SET, **changed: Any) -> GateReport:
    # The plan of the last run is the one to judge by.
    latest = max((run.at for run in changed.get("runs", ())), default=WELL.dry_run.at if WELL.dry_run else NOW)
    changed.setdefault("dry_run", dry_run(at=max(latest, ago(minutes=30))))
    return judge_rollback(RN, replace(WELL, **changed), limits=limits, now=NOW)


def criterion(name: str, limits: GateLimits = SET, **changed: Any) -> Gate:
    return next(gate for gate in rollback(limits, **changed).gates if gate.name == name)


def test_a_rail_that_has_earned_it_may_be_enabled() -> None:
    report = enable()
    assert {gate.name: gate.outcome for gate in report.gates} == {gate.name: "pass" for gate in report.gates}
    assert (report.decision, report.blocking) == ("enable", ())
    assert len(report.gates) == len(ENABLE_GATES) == 7


def test_without_evidence_nothing_passes_and_every_gate_says_what_is_missing() -> None:
    report = judge_enable(RN, GateEvidence(), limits=GateLimits(), now=NOW)
    assert {gate.outcome for gate in report.gates} == {"not_measurable"}
    assert report.decision == "refuse"
    assert all(gate.why and gate.asked and gate.limit for gate in report.gates)


def test_evidence_of_the_other_rail_is_none() -> None:
    report = judge_enable("shkeeper", WELL, limits=SET, now=NOW)
    outcomes = {gate.name: gate.outcome for gate in report.gates}
    assert outcomes["health_checks"] == "not_measurable"
    assert outcomes["manual_sample"] == "not_measurable"
    assert outcomes["mismatch_rate"] == "fail"


# Health checks


def test_two_health_checks_in_a_row_pass_and_one_does_not() -> None:
    assert gate("health_checks", health=(health(ago(minutes=1)),)).outcome == "fail"
    assert gate("health_checks", health=(health(ago(minutes=5)), health(ago(minutes=1)))).outcome == "pass"


def test_a_bad_check_between_breaks_the_row_and_a_bad_last_one_fails() -> None:
    row = (health(ago(minutes=9)), health(ago(minutes=5), is_ok=False), health(ago(minutes=1)))
    assert gate("health_checks", health=row).measured.startswith("1 in a row")
    assert gate("health_checks", health=row[:2]).why == "the last check was not well: HTTP 503"
    untold = HealthRecord(ago(minutes=1), RN, is_ok=False, why="no probe", is_told=False)
    found = gate("health_checks", health=(health(ago(minutes=5)), untold))
    assert (found.outcome, found.why) == ("not_measurable", "the last check cannot tell: no probe")


@pytest.mark.parametrize(("apart_s", "outcome"), [(60, "pass"), (59.999, "fail")])
def test_two_checks_closer_than_a_minute_count_as_one(apart_s: float, outcome: str) -> None:
    row = (health(ago(seconds=30 + apart_s)), health(ago(seconds=30)))
    assert gate("health_checks", health=row).outcome == outcome


@pytest.mark.parametrize(
    ("age", "outcome"), [(timedelta(hours=1), "pass"), (timedelta(hours=1) + TICK, "not_measurable")]
)
def test_old_health_checks_tell_nothing(age: timedelta, outcome: str) -> None:
    row = (health(NOW - age - timedelta(minutes=5)), health(NOW - age))
    assert gate("health_checks", health=row).outcome == outcome


def test_a_check_from_the_future_does_not_count() -> None:
    assert gate("health_checks", health=(health(ago(minutes=5)), health(NOW + TICK))).outcome == "fail"


# Webhooks


@pytest.mark.parametrize(("age", "outcome"), [(timedelta(hours=24), "pass"), (timedelta(hours=24) - TICK, "fail")])
def test_one_failed_verification_within_a_day_fails(age: timedelta, outcome: str) -> None:
    bad = delivery(NOW - age, signature_valid=False)
    assert gate("webhook_verification", deliveries=watched(bad)).outcome == outcome


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"signature_valid": None, "http_status": 401}, "fail"),
        ({"signature_valid": None, "http_status": 403}, "fail"),
        ({"signature_valid": None, "http_status": 404}, "pass"),
        ({"signature_valid": True, "http_status": 401}, "pass"),
        ({"signature_valid": False, "provider": "shkeeper"}, "pass"),
    ],
)
def test_what_counts_as_a_failed_verification(given: dict[str, Any], outcome: str) -> None:
    assert gate("webhook_verification", deliveries=watched(delivery(ago(hours=1), **given))).outcome == outcome


@pytest.mark.parametrize(("from_at", "outcome"), [(ago(hours=24), "pass"), (ago(hours=24) + TICK, "not_measurable")])
def test_records_must_cover_the_whole_day(from_at: datetime, outcome: str) -> None:
    assert gate("webhook_verification", deliveries=watched(from_at=from_at)).outcome == outcome


@pytest.mark.parametrize(("to_at", "outcome"), [(ago(minutes=15), "pass"), (ago(minutes=15) - TICK, "not_measurable")])
def test_records_that_end_early_do_not_cover_the_day(to_at: datetime, outcome: str) -> None:
    assert gate("webhook_verification", deliveries=watched(to_at=to_at)).outcome == outcome


def test_a_failure_counts_even_where_the_records_are_not_whole() -> None:
    bad = delivery(ago(hours=1), signature_valid=False)
    assert gate("webhook_verification", deliveries=watched(bad, from_at=ago(hours=2))).outcome == "fail"


@pytest.mark.parametrize(("age", "outcome"), [(timedelta(hours=2), "pass"), (timedelta(hours=2) - TICK, "fail")])
def test_a_new_dead_letter_within_two_hours_is_not_stable(age: timedelta, outcome: str) -> None:
    letters = watched(delivery(NOW - age, is_dead_letter=True), delivery(ago(hours=9), is_dead_letter=True))
    assert gate("dead_letters", deliveries=letters).outcome == outcome


def test_records_that_never_say_whether_they_became_dead_letters_prove_no_growth() -> None:
    silent = [delivery(ago(minutes=age), age, is_dead_letter=None) for age in (5, 200)]
    told = gate("dead_letters", deliveries=watched(*silent))
    assert (told.outcome, told.why) == (
        "not_measurable",
        "cannot tell: none of 2 records says whether it became a dead letter",
    )
    assert (
        gate("dead_letters", deliveries=watched(*silent, delivery(ago(hours=9), is_dead_letter=False))).outcome
        == "pass"
    )


@pytest.mark.parametrize(("count", "outcome"), [(2, "pass"), (3, "fail")])
def test_the_growth_of_dead_letters_that_is_allowed_is_a_setting(count: int, outcome: str) -> None:
    letters = watched(*(delivery(ago(minutes=5), n, is_dead_letter=True) for n in range(count)))
    assert gate("dead_letters", replace(SET, dead_letter_growth_max=2), deliveries=letters).outcome == outcome


# Mismatch rate


@pytest.mark.parametrize(
    ("broken", "samples", "outcome"),
    [(4, 1000, "pass"), (5, 1000, "fail"), (4, 999, "fail"), (0, 999, "fail"), (0, 1000, "pass"), (9, 2000, "pass"),
     (10, 2000, "fail"), (0, 0, "fail")],
)  # fmt: skip
def test_the_mismatch_rate_must_be_strictly_below_half_a_percent_over_a_thousand(
    broken: int, samples: int, outcome: str
) -> None:
    found = [finding(number) for number in range(broken)]
    judged = {"in_sync": samples - broken, "local_behind": broken}
    assert gate("mismatch_rate", dry_run=dry_run(judged, *found)).outcome == outcome


def test_benign_and_waiting_payments_are_samples_and_no_mismatches() -> None:
    found = [finding(1, Verdict.UNDERPAID, tier=Tier.WAIT), finding(2, Verdict.IN_TRANSIT, tier=Tier.BENIGN)]
    judged = {"in_sync": 998, "underpaid": 1, "in_transit": 1}
    assert gate("mismatch_rate", dry_run=dry_run(judged, *found)).measured.startswith("0 of 1000")


def test_what_was_not_judged_with_full_coverage_is_no_sample() -> None:
    found = [finding(n, Verdict.UNPROVEN, tier=Tier.NEVER) for n in range(500)]
    judged = {"in_sync": 999, "unproven": 500, "lookup_failed": 3, "test_payment": 7}
    measured = gate("mismatch_rate", dry_run=dry_run(judged, *found))
    assert (measured.measured[:8], measured.outcome) == ("0 of 999", "fail")


def test_money_that_no_row_knows_is_a_mismatch_of_its_rail() -> None:
    found = [finding(n, Verdict.MISSING_LOCAL, tier=Tier.REVIEW) for n in range(6)]
    assert gate("mismatch_rate", dry_run=dry_run({"in_sync": 1000}, *found)).measured.startswith("6 of 1006")


def test_mismatches_of_the_other_rail_do_not_count() -> None:
    found = [finding(n, provider="shkeeper") for n in range(50)]
    assert gate("mismatch_rate", dry_run=dry_run({"in_sync": 1000}, *found)).outcome == "pass"


# Manual sample


@pytest.mark.parametrize(
    ("sample", "outcome", "says"),
    [
        (signed("Ada", "Grace", size=10), "pass", "all 10 right"),
        (signed("Ada", "Grace", size=9), "fail", "9 rows are fewer than 10"),
        (signed("Ada"), "fail", "1 of 2 different operators"),
        (signed("Ada", "Grace", wrong="Grace"), "fail", "10 rows were found wrong"),
        (signed("Ada", "Grace", drawn_at=ago(hours=168)), "pass", "2 operators"),
        (signed("Ada", "Grace", drawn_at=ago(hours=168) - TICK), "fail", "drawn over 168 h ago"),
        (None, "not_measurable", "no sample was drawn"),
    ],
)
def test_the_manual_sample(sample: SignedSample | None, outcome: str, says: str) -> None:
    found = gate("manual_sample", sample=sample)
    assert (found.outcome, says in found.why) == (outcome, True), found.why


def test_sign_offs_of_another_sample_do_not_count() -> None:
    held = signed("Ada", "Grace")
    assert gate("manual_sample", sample=replace(held, sample=signed(size=11).sample)).outcome == "fail"


# Clean windows


@pytest.mark.parametrize(
    ("changed", "outcome", "says"),
    [
        ({}, "pass", "2 windows were clean"),
        ({"is_complete": False}, "fail", "was not complete"),
        ({"is_healthy": False}, "fail", "was not healthy"),
        ({"breaks": frozenset({"a", "b"})}, "fail", "found 1 new break"),
        ({"breaks": frozenset()}, "pass", "clean"),
        ({"breaks": None}, "not_measurable", "no list of its breaks"),
    ],
)
def test_each_run_of_a_window_must_be_complete_healthy_and_without_a_new_break(
    changed: dict[str, Any], outcome: str, says: str
) -> None:
    runs = tuple(replace(each, **changed) if each.at == ago(hours=1) else each for each in WELL.runs)
    found = gate("clean_windows", runs=runs)
    assert (found.outcome, says in found.why) == (outcome, True), found.why


@pytest.mark.parametrize(
    ("bad_at", "outcome"),
    [(ago(hours=48), "pass"), (ago(hours=48) + TICK, "fail"), (ago(hours=24), "fail"), (NOW, "fail")],
)
def test_only_the_last_two_windows_count(bad_at: datetime, outcome: str) -> None:
    bad = run(bad_at, 99, is_healthy=False)
    assert gate("clean_windows", runs=(*WELL.runs, bad)).outcome == outcome


def test_a_window_without_a_run_and_a_first_run_are_not_measurable() -> None:
    assert "no run was made" in gate("clean_windows", runs=WELL.runs[:3]).why
    assert "is the first one" in gate("clean_windows", runs=(run(ago(hours=1)),)).why


def test_runs_that_did_not_look_at_all_payments_of_a_window_do_not_make_it_clean() -> None:
    short = tuple(replace(each, covers_from=each.at - timedelta(hours=1)) for each in WELL.runs)
    found = gate("clean_windows", runs=short)
    assert (found.outcome, "no run has read the payments" in found.why) == ("not_measurable", True)
    some = tuple(replace(each, is_whole=False) for each in WELL.runs)
    assert "no run was made" in gate("clean_windows", runs=some).why
    other = tuple(replace(each, providers=("shkeeper",)) for each in WELL.runs)
    assert "no run was made" in gate("clean_windows", runs=other).why
    mine = tuple(replace(each, providers=(RN,), covers_from=None) for each in WELL.runs)
    assert gate("clean_windows", runs=mine).outcome == "pass"


def test_how_many_clean_windows_is_a_setting() -> None:
    three = replace(SET, clean_windows_min=3)
    assert gate("clean_windows", three).outcome == "not_measurable"
    assert gate("clean_windows", three, runs=(run(ago(hours=74)), run(ago(hours=72)), *WELL.runs)).outcome == "pass"


# Dry run


@pytest.mark.parametrize(
    ("changed", "outcome", "says"),
    [
        ({}, "pass", "healthy and complete"),
        ({"at": ago(hours=4)}, "pass", "healthy"),
        ({"at": ago(hours=4) - TICK}, "not_measurable", "over 4 h old"),
        ({"at": NOW + TICK}, "not_measurable", "future"),
        ({"is_healthy": False, "health_reasons": ("30 of 100 payments are unproven",)}, "fail", "30 of 100"),
        ({"incomplete": ("chain:56",)}, "fail", "chain:56"),
        ({"is_whole": False}, "not_measurable", "only at some payments"),
        ({"providers": ("shkeeper",)}, "not_measurable", "did not look at request_network"),
        ({"providers": (RN,)}, "pass", "healthy"),
    ],
)
def test_the_dry_run(changed: dict[str, Any], outcome: str, says: str) -> None:
    found = gate("dry_run", dry_run=dry_run(None, **changed), runs=())
    assert (found.outcome, says in found.why) == (outcome, True), found.why


def test_evidence_that_is_older_than_the_last_run_is_called_stale_and_the_runs_are_named() -> None:
    old = dry_run(at=ago(hours=2))
    for name in ("dry_run", "mismatch_rate"):
        found = gate(name, dry_run=old)
        assert found.outcome == "not_measurable"
        assert "is stale: since then run 000000000000 read it at 2026-11-20T11:00:00Z" in found.why
    assert criterion("invariants", dry_run=old).outcome == "not_measurable"
    assert enable(dry_run=old).decision == "refuse"
    same = replace(WELL.runs[-1], digest=old.digest)
    assert gate("dry_run", dry_run=old, runs=(same,)).outcome == "pass"
    other = replace(WELL.runs[-1], providers=("shkeeper",))
    assert gate("dry_run", dry_run=old, runs=(other,)).outcome == "pass"


def test_a_run_that_wrote_since_the_plan_makes_it_stale_and_an_unread_journal_is_said() -> None:
    wrote = WrittenRun("apply-7", ago(minutes=10))
    assert "run apply-7 wrote at 2026-11-20T11:50:00Z" in gate("dry_run", writes=(wrote,)).why
    assert gate("dry_run", writes=(WrittenRun("apply-6", ago(hours=3)),)).outcome == "pass"
    assert gate("dry_run").evidence[-1] == "no run since then"
    assert "not known" in gate("dry_run", writes=None).evidence[-1]
    many = tuple(WrittenRun(f"apply-{n}", ago(minutes=n)) for n in range(1, 7))
    assert gate("dry_run", writes=many).why.count("wrote at") == 3
    assert "and 3 before them" in gate("dry_run", writes=many).why


# Rollback


def test_a_rail_in_order_stays() -> None:
    assert rollback().decision == "stay"


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (finding(1, Verdict.DUPLICATE_TX_HASH), 1),
        (finding(1, Verdict.SIMULATED_HASH), 1),
        (finding(1, Verdict.DUPLICATE_PROVIDER_KEY, provider=None), 1),
        (finding(1, Verdict.DISPUTE_HOLD, severity=Severity.CRITICAL), 1),
        (finding(1, Verdict.DISPUTE_HOLD, severity=Severity.HIGH), 0),
        (finding(1, Verdict.LOCAL_BEHIND, severity=Severity.CRITICAL), 0),
        (finding(1, Verdict.DUPLICATE_TX_HASH, provider="shkeeper"), 0),
    ],
)
def test_one_violated_invariant_rolls_back(found: GateFinding, count: int) -> None:
    report = rollback(dry_run=dry_run(None, found))
    assert report.decision == ("roll_back" if count else "stay")
    assert criterion("invariants", dry_run=dry_run(None, found)).measured.startswith(str(count))
    assert rollback(replace(SET, invariant_violations_max=1), dry_run=dry_run(None, found)).decision == "stay"


@pytest.mark.parametrize(("count", "decision"), [(3, "stay"), (4, "roll_back")])
def test_a_burst_of_failed_webhooks_rolls_back(count: int, decision: str) -> None:
    failed = [delivery(ago(minutes=10), n, http_status=500) for n in range(count)]
    assert rollback(deliveries=watched(*failed)).decision == decision


@pytest.mark.parametrize(("age", "outcome"), [(timedelta(minutes=15), "pass"), (timedelta(minutes=15) - TICK, "fail")])
def test_only_failures_within_the_last_minutes_are_a_burst(age: timedelta, outcome: str) -> None:
    failed = [delivery(NOW - age, n, http_status=404) for n in range(4)]
    assert criterion("webhook_burst", deliveries=watched(*failed)).outcome == outcome


@pytest.mark.parametrize(
    ("given", "is_failed"),
    [
        ({"http_status": 200}, False), ({"http_status": 299}, False), ({"http_status": 300}, True),
        ({"http_status": 200, "provider": "shkeeper"}, True), ({"http_status": 202, "provider": "shkeeper"}, False),
        ({"http_status": None}, True), ({"signature_valid": False}, True), ({"is_dead_letter": True}, True),
        ({"signature_valid": None}, False),
    ],
)  # fmt: skip
def test_what_a_failed_delivery_is(given: dict[str, Any], is_failed: bool) -> None:
    assert delivery(NOW, **given).is_failed is is_failed


@pytest.mark.parametrize(("wrong", "outcome"), [(5, "pass"), (6, "fail")])
def test_chain_mismatches_over_the_limit_roll_back(wrong: int, outcome: str) -> None:
    judged = {"in_sync": 1000 - wrong, "recipient_mismatch": wrong, "unproven": 50}
    assert criterion("chain_mismatch", dry_run=dry_run(judged)).outcome == outcome


def test_limits_that_the_runbooks_leave_open_must_be_set() -> None:
    report = rollback(GateLimits())
    outcomes = {gate.name: gate.outcome for gate in report.gates}
    assert outcomes["webhook_burst"] == outcomes["chain_mismatch"] == "not_measurable"
    assert report.decision == "unknown"
    assert "set [gates] webhook_burst_failures_max" in next(g.why for g in report.gates if g.name == "webhook_burst")
    found = finding(1, Verdict.DUPLICATE_TX_HASH)
    assert rollback(GateLimits(), dry_run=dry_run(None, found)).decision == "roll_back"


def test_no_judged_payment_is_no_chain_mismatch_rate() -> None:
    assert criterion("chain_mismatch", dry_run=dry_run({"unproven": 9})).outcome == "not_measurable"


# Escalation


def blocked(*minutes_ago: float, outcome: str = "lookup_failed", **given: Any) -> tuple[RunRecord, ...]:
    return tuple(run(ago(minutes=m), n, blocking={outcome: 2}, **given) for n, m in enumerate(minutes_ago))


@pytest.mark.parametrize("outcome", ["lookup_failed", "missing_reference", "coordinator_blocked"])
def test_an_outcome_that_blocks_for_over_ten_minutes_escalates(outcome: str) -> None:
    report = rollback(runs=blocked(11, 6, 0, outcome=outcome))
    assert report.decision == "escalate"
    assert f"{outcome} has blocked reconciliation for 11.0 min" in report.because


@pytest.mark.parametrize(
    ("first", "decision"),
    [(timedelta(minutes=10), "stay"), (timedelta(minutes=10) + TICK, "escalate")],
)
def test_exactly_ten_minutes_are_not_over_ten_minutes(first: timedelta, decision: str) -> None:
    runs = (run(NOW - first, 1, blocking={"lookup_failed": 1}), run(NOW, 2, blocking={"lookup_failed": 9}))
    assert rollback(runs=runs).decision == decision


def test_escalation_goes_before_rolling_back_and_names_both() -> None:
    failed = [delivery(ago(minutes=1), n, http_status=500) for n in range(4)]
    report = rollback(runs=blocked(11, 0), deliveries=watched(*failed))
    assert report.decision == "escalate"
    assert "webhook_burst" in report.because


def test_a_run_without_the_outcome_ends_the_stretch() -> None:
    runs = (*blocked(30, 20), run(ago(minutes=9), 7), *blocked(5, 0))
    assert rollback(runs=runs).decision == "stay"
    assert rollback(runs=(*blocked(30, 20), run(NOW, 7))).decision == "stay"


def test_different_outcomes_do_not_add_up() -> None:
    runs = (*blocked(11, outcome="missing_reference"), *blocked(5, 0, outcome="lookup_failed"))
    assert rollback(runs=runs).decision == "stay"


@pytest.mark.parametrize(("gap", "decision"), [(60, "escalate"), (61, "stay")])
def test_runs_far_apart_are_no_unbroken_stretch(gap: float, decision: str) -> None:
    assert rollback(runs=blocked(gap + 5, 5, 0)).decision == decision


def test_a_last_run_that_is_too_old_tells_nothing() -> None:
    assert criterion("blocked_reconciliation", runs=blocked(90, 61)).outcome == "not_measurable"
    assert criterion("blocked_reconciliation", runs=()).outcome == "not_measurable"
    one_more = criterion("blocked_reconciliation", runs=blocked(15))
    assert (one_more.outcome, "one more" in one_more.why) == ("not_measurable", True)
    assert criterion("blocked_reconciliation", runs=blocked(10)).outcome == "pass"


def test_long_evidence_is_cut_and_says_so() -> None:
    found = [finding(n, Verdict.DUPLICATE_TX_HASH) for n in range(30)]
    evidence = criterion("invariants", dry_run=dry_run(None, *found)).evidence
    assert (len(evidence), evidence[-1]) == (21, "and 10 more")
