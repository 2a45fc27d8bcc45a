"""Conclusions of the gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from recon.rails.gates.judge import judge_enable, judge_rollback
from recon.reports.views.gates import render_gates
from tests.rails.gates.test_judge import RN, SET, WELL, ago, delivery, dry_run, health, run, watched
from tests.reports.conclusions.rows import NOW, Conclusion, Make, shown

# Gates


def enable_page(**changed: Any) -> Make:
    return lambda _: shown(render_gates(judge_enable(RN, replace(WELL, **changed), limits=SET, now=NOW)))


def rollback_page(**changed: Any) -> Make:
    return lambda _: shown(render_gates(judge_rollback(RN, replace(WELL, **changed), limits=SET, now=NOW)))


OLD = dry_run(at=ago(hours=9))
CUT_PLAN = dry_run(incomplete=("chain:56",))
NO_PLAN: dict[str, dict[str, Any]] = {
    "absent": {"dry_run": None}, "stale": {"dry_run": OLD}, "not read whole": {"dry_run": CUT_PLAN},
    "some payments": {"dry_run": dry_run(is_whole=False)},
    "another rail": {"dry_run": dry_run(providers=("shkeeper",))},
    "the journal": {"writes": None}, "from the future": {"dry_run": dry_run(at=ago(hours=-1))},
    "the rail was read since": {"runs": (run(ago(minutes=1)),)},
}  # fmt: skip
NO_RECORDS: dict[str, dict[str, Any]] = {
    "absent": {"deliveries": None},
    "begins later": {"deliveries": watched(from_at=ago(minutes=1))},
    "ends earlier": {"deliveries": watched(to_at=ago(hours=9))},
}
SILENT = {"deliveries": watched(delivery(ago(minutes=9), http_status=None, is_dead_letter=None, signature_valid=None))}
JUDGE = "rails/gates/judge.py"
ROLL = replace(WELL, dry_run=dry_run(at=ago(minutes=30)), runs=(run(ago(minutes=40)),))


def kept(make: Callable[..., Make], cases: Mapping[str, Mapping[str, Any]], **fixed: Any) -> dict[str, Make]:
    return {name: make(**{**fixed, **case}) for name, case in cases.items()}


GATES = (
    Conclusion(
        "gates enable", "may be enabled", "every gate passed", enable_page(),
        kept(enable_page, {**NO_PLAN, **NO_RECORDS, "silent": SILENT, "health": {"health": ()}, "runs": {"runs": ()},
                           "the sample": {"sample": None}}),
        ((JUDGE, "judge_enable", "every gate passed"),),
    ),
    Conclusion(
        "gates enable", "2 in a row were well", "two recent health checks", enable_page(),
        {"absent": enable_page(health=()),
         "stale": enable_page(health=(health(ago(hours=9)), health(ago(hours=8)))), },
        ((JUDGE, "judge_health_checks", " in a row were well"),),
    ),
    Conclusion(
        "gates enable", "none of 1 failed verification", "records over the whole time", enable_page(),
        kept(enable_page, {**NO_RECORDS, "silent": SILENT}),
        ((JUDGE, "judge_webhook_verification", "none of "), (JUDGE, "judge_webhook_verification", "0 failures in ")),
    ),
    Conclusion(
        "gates enable", "0 new, 0 in all", "records that say whether they became dead letters", enable_page(),
        kept(enable_page, {**NO_RECORDS, "silent": SILENT}),
        ((JUDGE, "judge_dead_letters", " in all"),),
    ),
    Conclusion(
        "gates enable", "0 of 2000 is below", "a fresh plan that read all of the rail", enable_page(),
        kept(enable_page, NO_PLAN),
    ),
    Conclusion(
        "gates enable", "2 operators found all 10 right", "a signed sample of the rail and target", enable_page(),
        {"absent": enable_page(sample=None),
         "another rail": lambda _: shown(render_gates(judge_enable("shkeeper", WELL, limits=SET, now=NOW)))},
        ((JUDGE, "judge_manual_sample", "all "),),
    ),
    Conclusion(
        "gates enable", "the last 2 windows were clean", "runs that read each day whole", enable_page(),
        kept(enable_page, {"absent": {"runs": ()}, "no list": {"runs": tuple(
            run(ago(hours=hours), breaks=None) for hours in (60, 49, 47, 25, 23, 1))},
            "half": {"runs": tuple(run(ago(hours=hours)) for hours in (23, 1))}}),
        ((JUDGE, "judge_clean_windows", " windows were clean"), (JUDGE, "_judge_window", "clean")),
    ),
    Conclusion(
        "gates enable", "it is healthy and complete", "a fresh plan of the whole rail", enable_page(),
        kept(enable_page, {name: case for name, case in NO_PLAN.items() if name != "not read whole"}),
        ((JUDGE, "judge_dry_run", "it is healthy and complete"),),
    ),
    Conclusion(
        "gates enable", "no run since then", "the journal of runs", enable_page(),
        {"unreadable": enable_page(writes=None)},
        ((JUDGE, "_since", "no run since then"),),
    ),
    Conclusion(
        "gates rollback", "no criterion is over its limit", "every criterion was measured", rollback_page(
            runs=ROLL.runs), kept(rollback_page, {**NO_PLAN, **NO_RECORDS, "runs": {"runs": ()}}, runs=ROLL.runs),
        ((JUDGE, "judge_rollback", "no criterion is over its limit"),),
    ),
    Conclusion(
        "gates rollback", "the last run met none of them", "a recent run that read every source",
        rollback_page(runs=ROLL.runs),
        {"absent": rollback_page(runs=()), "stale": rollback_page(runs=(run(ago(hours=9)),)),
         "not read whole": rollback_page(runs=(run(ago(minutes=40), is_complete=False),))},
        ((JUDGE, "judge_blocked", "the last run met none of them"), (JUDGE, "judge_blocked", "none in the last run"),),
    ),
    Conclusion(
        "gates rollback", "0 violations, 0 allowed", "a fresh plan that read all of the rail", rollback_page(
            runs=ROLL.runs), kept(rollback_page, NO_PLAN, runs=ROLL.runs),
    ),
    Conclusion(
        "gates rollback", "0 failures, 3 allowed", "records over the last minutes", rollback_page(runs=ROLL.runs),
        kept(rollback_page, NO_RECORDS, runs=ROLL.runs),
    ),
    Conclusion(
        "gates rollback", "0 of 2000 judged payments disagree", "a fresh plan that read all of the rail",
        rollback_page(runs=ROLL.runs), kept(rollback_page, NO_PLAN, runs=ROLL.runs),
    ),
)  # fmt: skip
