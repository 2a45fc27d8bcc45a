"""Every rule over a played history: what it says at which minute, what it does not say, and what it cannot say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from recon.cli import cli
from recon.core.model import Finding, Severity, Tier, Verdict
from recon.core.times import EPOCH
from recon.plans.history import History, break_key, history_entry
from recon.rails.gates.evidence import dry_run_of, run_records
from recon.rails.gates.records import Deliveries, DeliveryRecord, GateEvidence
from recon.runs.states import RunSummary
from recon.setup.watch_section import WatchSection
from recon.watch.facts import (
    EndpointLook,
    FlagLook,
    RailCount,
    RoundFacts,
    WaitingPayments,
    WalletLook,
    WatchTimes,
)
from recon.watch.own_rules import days_left
from recon.watch.rules import RULES, seen_by
from recon.watch.situations import Sighting, Turn, Urgency, judged
from tests.support.plans import a_change, a_coverage, a_finding, a_plan

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LIMITS = WatchSection()


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def times(now: datetime = NOON, **given: Any) -> WatchTimes:
    return WatchTimes(**{"due": now, "began": now, "ended": now, "apart_s": 300, **given})


def facts(now: datetime = NOON, *, findings: Iterable[Finding] = (), **given: Any) -> RoundFacts:
    if "plan" not in given:
        summary = {
            "payments": 1000,
            "verdicts": {"in_sync": 1000},
            "health": {"ok": True, "reasons": []},
            "by_provider": {},
        }
        summary |= given.pop("summary", {})
        plan = a_plan(
            created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"), findings=tuple(findings), changes=given.pop("changes", ()),
            coverage=given.pop("coverage", (a_coverage(),)), summary=summary,
        )  # fmt: skip
        given["plan"] = plan
    return RoundFacts(now, times(now), chain_names={56: "BNB Chain"}, **{"plan_name": "plan-1", **given})


def seen(rule: str, known: RoundFacts, limits: WatchSection = LIMITS) -> list[Sighting]:
    found, _ = seen_by(known, limits, only=[rule])
    return found


def an_entry(
    now: datetime, *findings: Finding, verdicts: Mapping[str, int] | None = None, payments: int = 1000
) -> dict[str, Any]:
    summary = {"payments": payments, "verdicts": dict(verdicts or {}), "health": {"ok": True, "reasons": []}}
    plan = a_plan(findings=findings, summary=summary, changes=(), created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    window = {"from": (now - timedelta(hours=25)).isoformat(), "to": None, "providers": []}
    return {
        **history_entry(plan, at=now.strftime("%Y-%m-%dT%H:%M:%SZ"), path="plan-watch-main-x.json"),
        "window": window,
    }


def test_money_captured_and_not_credited_speaks_from_its_minute_on_and_is_critical_after_a_day() -> None:
    waiting = a_finding(age_s=30 * 60, value_units=331_210_000_000_000_000_000)
    assert seen("captured_not_credited", facts(findings=[waiting])) == []
    [one] = seen("captured_not_credited", facts(findings=[replace(waiting, age_s=30 * 60 + 1)]))
    assert (one.key, one.urgency, one.count) == ("captured_not_credited:request_network", Urgency.WARNING, 1)
    assert one.money == (("USDC on BNB Chain", "331.21"),)
    assert one.payments == (waiting.payment_id,)
    [old] = seen("captured_not_credited", facts(findings=[replace(waiting, age_s=86_401)]))
    assert old.urgency is Urgency.CRITICAL
    other = [replace(waiting, verdict=Verdict.TX_HASH_MISMATCH, age_s=86_401)]
    assert seen("captured_not_credited", facts(findings=other)) == []


def test_a_thousand_breaks_at_once_are_one_situation_that_names_twenty() -> None:
    many = [a_finding(payment_id=f"{number:024x}", age_s=4000 + number) for number in range(1000)]
    [one] = seen("captured_not_credited", facts(findings=many))
    assert (one.count, len(one.payments), one.payments[0]) == (1000, 20, f"{999:024x}")
    assert len(one.title) < 300
    [new] = seen("new_breaks", facts(findings=many, past=[an_entry(at(-90))]))
    assert (new.count, len(new.payments)) == (1000, 20)


def test_new_breaks_are_those_that_no_round_knew_an_hour_ago() -> None:
    old, new = a_finding(payment_id="0" * 24), a_finding(payment_id="1" * 24, severity=Severity.MEDIUM)
    past = [an_entry(at(-70), old), an_entry(at(-65), old), an_entry(at(-5), old, new)]
    [one] = seen("new_breaks", facts(findings=[old, new], past=past))
    assert (one.count, one.payments, one.urgency) == (1, ("1" * 24,), Urgency.WARNING)
    assert "in the last 1 h 5 min: 1 local_behind" in one.title
    assert seen("new_breaks", facts(findings=[old], past=past)) == []
    assert seen("new_breaks", facts(findings=[old, new], past=[])) == [], "the first round knows of nothing before"
    benign = replace(new, tier=Tier.BENIGN)
    assert seen("new_breaks", facts(findings=[old, benign], past=past)) == []
    outage = [past[0], {**an_entry(at(-61)), "complete": False}]
    assert seen("new_breaks", facts(findings=[old], past=outage)) == [], "the end of an outage brings no news"
    blind = replace(new, findings=(Verdict.LOCAL_BEHIND, Verdict.LOOKUP_FAILED))
    assert seen("new_breaks", facts(findings=[old, blind], past=past)) == [], "and neither does an outage"
    unlisted = [{**past[1], "breaks": None}]
    assert seen("new_breaks", facts(findings=[old, new], past=unlisted)) == []
    assert break_key(old) in past[0]["breaks"]


def test_the_stuck_share_speaks_above_its_line_and_when_it_rises_round_by_round() -> None:
    def share(stuck: int, before: list[int]) -> list[Sighting]:
        past = [
            an_entry(at(-5 * (len(before) - place)), verdicts={"stuck_pending": count})
            for place, count in enumerate(before)
        ]
        summary = {"payments": 1000, "verdicts": {"stuck_pending": stuck}}
        return seen("stuck_share", facts(summary=summary, past=past))

    assert share(50, [50] * 9) == []
    [much] = share(51, [51] * 9)
    assert (much.urgency, much.count) == (Urgency.WARNING, 51)
    [rising] = share(6, [1, 2, 3, 4, 5])
    assert "more in each of the last 6 rounds" in rising.title
    assert share(6, [2, 2, 3, 4, 5]) == [], "it stood still once"
    assert share(5, [1, 2, 3, 4]) == [], "too short a history"
    [both] = share(60, [10, 20, 30, 40, 50])
    assert both.urgency is Urgency.CRITICAL
    assert share(0, []) == []


@pytest.mark.parametrize(
    ("count", "urgency"),
    [
        (RailCount(20, 2, 100, 1), None),  # 10 % is not above 10 %
        (RailCount(20, 3, 100, 1), Urgency.WARNING),  # 15 %, 1 % before
        (RailCount(20, 3, 100, 5), None),  # no more than three times its usual share
        (RailCount(2, 2, 100, 0), None),  # too few
        (RailCount(4, 3, 0, 0), Urgency.CRITICAL),  # nothing to compare with
        (RailCount(0, 0, 0, 0), None),
    ],
)
def test_failures_are_held_against_the_rail_s_own_share(count: RailCount, urgency: Urgency | None) -> None:
    found = seen("failure_rate", facts(rails={"shkeeper": count}))
    assert [each.urgency for each in found] == ([] if urgency is None else [urgency])


def delivered(minutes: float, status: int | None = 200, provider: str = "request_network") -> DeliveryRecord:
    return DeliveryRecord(f"d{minutes}", provider, at(minutes), status, True, False)


def test_silence_needs_payments_and_records_that_reach_back() -> None:
    def made(*minutes: float) -> dict[str, RailCount]:
        return {
            "request_network": RailCount(5, 0, 90, 0, tuple(round(at(each).timestamp() * 1000) for each in minutes))
        }

    def silent(*records: DeliveryRecord, since: float = -600, **given: Any) -> list[Sighting]:
        held = Deliveries(records, at(since), NOON)
        usual = {"deliveries": held, "rails": made(-1, -61, -62, -63), "webhook_rails": ("request_network",)}
        return seen("webhook_silence", facts(**{**usual, **given}))

    [one] = silent(delivered(-64), delivered(-3, provider="shkeeper"))
    assert "the last came 1 h 4 min ago), while 3 payments were made" in one.title
    assert [each.about for each in silent()] == ["request_network"], "none at all"
    assert silent(delivered(-1)) == []
    assert silent(delivered(-62.5)) == [], "too few since the last one"
    assert silent(rails=made(-1, -2, -3, -4)) == [], "nobody had the time to pay"
    assert silent(rails={}) == []
    assert silent(since=-30) == [], "records of half an hour tell nothing of an hour"
    assert silent(deliveries=None) == []


def test_a_burst_of_failed_webhooks() -> None:
    def burst(records: Iterable[DeliveryRecord]) -> list[Sighting]:
        return seen("webhook_burst", facts(deliveries=Deliveries(tuple(records), at(-600), NOON)))

    failed = [delivered(-number / 2, 500) for number in range(11)]
    assert burst(failed[:10]) == []
    [one] = burst(failed)
    assert (one.urgency, one.count) == (Urgency.CRITICAL, 11)
    assert burst([replace(each, at=each.at - timedelta(minutes=10)) for each in failed]) == [], (
        "spread over 15 min and more"
    )
    assert burst([replace(each, http_status=200) for each in failed]) == []


def test_a_source_that_is_down_is_critical_after_some_rounds() -> None:
    away = a_coverage(source="chain:56", complete=False, problem="no RPC endpoint can be used")
    [one] = seen("source_down", facts(coverage=(a_coverage(), away), incomplete={"chain:56": 2}))
    assert (one.key, one.urgency) == ("source_down:chain:56", Urgency.WARNING)
    assert "no RPC endpoint" in one.title
    [long] = seen("source_down", facts(coverage=(away,), incomplete={"chain:56": 3}))
    assert long.urgency is Urgency.CRITICAL
    [none] = seen("source_down", facts(plan=None, failure="The database is away.", failed_source="payments"))
    assert none.key == "source_down:payments"
    assert seen("source_down", facts()) == []


def test_a_chain_that_lags() -> None:
    head = a_coverage(source="chain:56", chain_id=56, head_time=int(at(-16).timestamp() * 1000))
    [one] = seen("source_lag", facts(coverage=(head,)))
    assert "16 min old" in one.title
    assert seen("source_lag", facts(coverage=({**head, "head_time": int(at(-15).timestamp() * 1000)},))) == []


def test_failover_in_use_and_none_left() -> None:
    looks = (
        EndpointLook(56, ("b.example",), ("a.example",)),
        EndpointLook(1, ("c.example",), ()),
        EndpointLook(8453, (), ("d.example", "e.example")),
    )
    found = seen("rpc_failover", facts(endpoints=looks))
    assert [(each.about, each.urgency) for each in found] == [("56", Urgency.WARNING), ("8453", Urgency.CRITICAL)]
    assert "a.example cannot be used; b.example is asked instead" in found[0].title


def test_outcomes_that_block_for_more_than_ten_minutes_escalate() -> None:
    lost = a_finding(verdict=Verdict.LOOKUP_FAILED, tier=Tier.NEVER)

    def blocked(*minutes: float) -> list[Sighting]:
        runs = run_records(History(tuple(an_entry(at(each), lost) for each in minutes)))
        return seen("blocked_outcomes", facts(findings=[lost], gates=GateEvidence(runs=runs)))

    assert blocked(-10, -5, 0) == []
    [one] = blocked(-11, -5, 0)
    assert (one.urgency, one.count) == (Urgency.CRITICAL, 1)
    assert one.title.startswith("Escalate: lookup_failed has blocked reconciliation for 11.0 min")


def test_gates_are_told_until_the_watch_s_own_history_opens_them() -> None:
    limits = WatchSection(gates_of=("request_network",))
    sound = {"payments": 1500, "verdicts": {"in_sync": 1500}, "by_provider": {"request_network": {"in_sync": 1500}}}

    def shut(hours: int) -> list[Sighting]:
        entries = [an_entry(at(-60 * hours + 30 * number), payments=1500) for number in range(2 * hours + 1)]
        known = facts(summary=sound)
        assert known.plan is not None
        runs = run_records(History(tuple(entries)))
        evidence = GateEvidence(
            runs=runs, dry_run=replace(dry_run_of(known.plan), digest=runs[-1].digest, at=runs[-1].at), writes=()
        )
        return seen("gates_shut", replace(known, gates=evidence), limits)

    [early] = shut(30)
    assert early.urgency is Urgency.INFO
    assert "clean_windows 1 in a row" in early.title
    assert shut(60) == []
    assert seen("gates_shut", facts()) == [], "of no rail that nobody waits for"


def wallet(held: int | None, past: Iterable[int] = (), *, hours: int = 12) -> WalletLook:
    looks = [*past] if held is None else [*past, held]
    moments = tuple((at(-60 * hours * (len(looks) - 1 - place)), units) for place, units in enumerate(looks))
    return WalletLook("56:0xa", "The wallet 0xa on BNB Chain", "BNB", 3, 300, 30, held, past=moments)


def test_a_wallet_below_its_lines_or_with_few_days_left() -> None:
    assert seen("wallet_low", facts(wallets=(wallet(300),))) == []
    [low] = seen("wallet_low", facts(wallets=(wallet(299),)))
    assert (low.urgency, low.money) == (Urgency.WARNING, (("BNB", "0.299"),))
    [empty] = seen("wallet_low", facts(wallets=(wallet(29),)))
    assert empty.urgency is Urgency.CRITICAL
    [short] = seen("wallet_low", facts(wallets=(wallet(400, [800, 600]),)))
    assert "it lasts 1 day" in short.title
    assert days_left(wallet(4000, [5000, 4500])) == 4
    assert days_left(wallet(5000, [5000, 4500])) == 10, "a refill hides nothing of what is spent"
    assert days_left(wallet(4000, [4000])) is None
    assert days_left(wallet(4000)) is None
    assert seen("wallet_low", facts(wallets=(wallet(None, [10]),))) == []


def test_a_flag_that_recon_did_not_write() -> None:
    look = FlagLook({"A": "shkeeper", "B": None}, {"A": "request_network", "B": None}, {"A": at(-5)})
    [one] = seen("flags_changed", facts(flags=look))
    assert (one.about, one.oldest) == ("A", at(-5))
    assert "was 'shkeeper' and is 'request_network'" in one.title
    assert seen("flags_changed", facts(flags=replace(look, now=look.before))) == []
    assert seen("flags_changed", facts()) == []


def test_changes_that_nobody_decides_about() -> None:
    waits = a_finding(age_s=4 * 3600 + 1)
    [one] = seen("undecided", facts(findings=[waits], changes=(a_change(),), needed=2, approved=1))
    assert one.title.endswith("It has 1 of 2 approvals.")
    assert seen("undecided", facts(findings=[replace(waits, age_s=4 * 3600)], changes=(a_change(),))) == []
    assert seen("undecided", facts(findings=[waits])) == [], "nothing is proposed"


def a_run(**given: Any) -> RunSummary:
    values: dict[str, Any] = {
        "run": "run-1", "kind": "correction", "plan": "p", "effects": "e", "started_at": "2026-12-01T10:00:00.000Z",
        "ended_at": "2026-12-01T10:05:00.000Z", "state": "done", "counts": {}, "unsettled": 0, "operator": "ada",
        "undoes": None, "compared": 0,
    }  # fmt: skip
    return RunSummary(**{**values, **given})


def test_rows_that_a_run_left_open() -> None:
    [one] = seen("unsettled", facts(unsettled=(a_run(unsettled=2),)))
    assert (one.key, one.count, one.urgency) == ("unsettled:run-1", 2, Urgency.CRITICAL)
    [open_] = seen("unsettled", facts(unsettled=(a_run(ended_at=None, unsettled=None),)))
    assert "was interrupted" in open_.title
    young = a_run(ended_at=None, unsettled=None, started_at="2026-12-01T11:30:00.000Z")
    assert seen("unsettled", facts(unsettled=(young, a_run()))) == []


def test_payments_that_wait_are_told_by_rail() -> None:
    waiting = WaitingPayments(3, at(-45), ("a", "b", "c"), (("USDC on Base", "12.50"),))
    [one] = seen("overdue", facts(waiting={"shkeeper": waiting}))
    assert one.title == "shkeeper: open for over 30 min: 3 payments (12.50 USDC on Base), the oldest for 45 min."
    [old] = seen("overdue", facts(waiting={"shkeeper": replace(waiting, oldest=None)}))
    assert old.urgency is Urgency.CRITICAL, "one that does not say how old it is may be of any age"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"due": at(-11)}, "began 11 min later"),
        ({"began": at(-11)}, "took 11 min"),
        ({"last_good": at(-26)}, "no round read everything since 2026-12-01T11:34:00Z"),
        ({"whole_due": at(-11)}, "a whole round was due"),
        ({"asleep_since": at(-60 * 24 * 7)}, "asleep since 2026-11-24T12:00:00Z"),
        ({"due": at(-10), "last_good": at(-25), "whole_due": at(-10)}, None),
    ],
)
def test_the_watch_tells_its_own_lateness(given: dict[str, Any], said: str | None) -> None:
    found = seen("own_lateness", replace(facts(), times=times(**given)))
    assert [said in each.title for each in found if said] == ([] if said is None else [True])
    assert bool(found) is (said is not None)


def test_what_could_not_be_read_keeps_its_rules_from_ending_anything() -> None:
    waiting = a_finding(age_s=4000)
    found, unread = seen_by(facts(findings=[waiting]), LIMITS)
    kept, _ = judged((), found, unreadable=unread, now=NOON)
    assert [each.key for each in kept] == ["captured_not_credited:request_network"]
    away = facts(at(5), plan=None, failure="The database is away.", failed_source="payments",
                 unread=dict.fromkeys(("plan", "whole", "rails", "deliveries", "waiting"), "away"))  # fmt: skip
    found, unread = seen_by(away, LIMITS)
    kept, turns = judged(kept, found, unreadable=unread, now=at(5))
    assert [each.key for each in kept] == ["captured_not_credited:request_network", "source_down:payments"]
    assert [(turn, each.key) for turn, each in turns] == [
        (Turn.UPDATED, "captured_not_credited:request_network"),
        (Turn.OPENED, "source_down:payments"),
    ]
    found, unread = seen_by(facts(at(10)), LIMITS)
    kept, turns = judged(kept, found, unreadable=unread, now=at(10))
    assert kept == ()
    assert {turn for turn, _ in turns} == {Turn.RESOLVED}


def test_every_part_that_a_rule_needs_is_one_that_is_gathered() -> None:
    parts = {
        "plan",
        "whole",
        "rails",
        "deliveries",
        "gates",
        "approvals",
        "waiting",
        "sources",
        "endpoints",
        "wallets",
        "flags",
        "runs",
    }
    assert {part for rule in RULES for part in rule.needs} <= parts
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_every_command_that_a_sighting_names_can_be_typed() -> None:
    waiting = a_finding(age_s=90_000)
    away = a_coverage(source="chain:56", chain_id=56, complete=False, head_time=1)
    failed = tuple(delivered(-number / 2, 500) for number in range(11))
    everything = facts(
        findings=[waiting], changes=(a_change(),), coverage=(away,), past=[an_entry(at(-90))], config="a b.toml",
        summary={"payments": 10, "verdicts": {"stuck_pending": 9}},
        rails={"request_network": RailCount(5, 5, 0, 0, (1, 2, 3))},
        deliveries=Deliveries(failed, at(-600), NOON), webhook_rails=("request_network",), wallets=(wallet(1),),
        endpoints=(EndpointLook(56, (), ("a",)),), flags=FlagLook({"A": "1"}, {"A": "2"}),
        unsettled=(a_run(unsettled=1),),
        waiting={"shkeeper": WaitingPayments(1, at(-60), ("a",), ())},
    )  # fmt: skip
    late = replace(everything, times=times(due=at(-30)))
    found, _ = seen_by(late, WatchSection(gates_of=("request_network",)))
    blocked = run_records(
        History(
            (
                an_entry(at(-30), a_finding(verdict=Verdict.LOOKUP_FAILED)),
                an_entry(at(0), a_finding(verdict=Verdict.LOOKUP_FAILED)),
            )
        )
    )
    found += seen("blocked_outcomes", replace(late, gates=GateEvidence(runs=blocked)))
    silent = replace(late, deliveries=Deliveries((), EPOCH, NOON))
    found += seen("webhook_silence", silent)
    assert {each.rule for each in found} == {rule.name for rule in RULES}
    for each in found:
        words = shlex.split(each.command)
        assert words[0] == "recon"
        command: click.Command = cli
        rest = words[1:]
        while isinstance(command, click.Group) and rest and rest[0] in command.list_commands(click.Context(command)):
            chosen = command.get_command(click.Context(command), rest[0])
            assert chosen is not None
            command, rest = chosen, rest[1:]
        command.make_context(words[1], rest, resilient_parsing=False).close()
