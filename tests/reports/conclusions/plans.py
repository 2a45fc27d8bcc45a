"""Conclusions of plans, snapshots, histories and runs, and of the commands that make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from recon.core.model import Plan
from recon.investigation.payment import Inspection
from recon.investigation.payment.dossier import Dossier
from recon.investigation.payment.outgoing import OutgoingList
from recon.plans.history import History
from recon.reports import render_plan
from recon.reports.pages.pictures import snapshot_charts
from recon.reports.pages.whole import Whole
from recon.reports.views.history import render_history
from recon.reports.views.inspection import render_inspection, render_outgoing
from recon.reports.views.run import render_run
from recon.reports.views.score import render_score
from recon.runs.apply import RunReport
from recon.simulation.score import Score
from tests.reports.conclusions.rows import Conclusion, Home, Make, Page, shown
from tests.support.plans import a_coverage, a_plan, with_summary
from tests.support.triage_logs import START

# Plans, snapshots, histories, runs

CALM = with_summary(
    a_plan(findings=(), changes=(), left_alone=()), value_at_risk={}, captured_not_credited={}, open_by_age={},
    verdicts={}, payments=0,
)  # fmt: skip
BLIND = (a_coverage(complete=False, problem="HTTP 503"),)
SICK = {"ok": False, "reasons": ["the rail knows none of 40"]}


def plan_page(plan: Plan) -> Make:
    return lambda _: shown(render_plan(plan))


PLAN_GONE: dict[str, Make] = {
    "absent": plan_page(replace(CALM, coverage=())), "unreadable": plan_page(replace(CALM, coverage=BLIND)),
    "not healthy": plan_page(with_summary(CALM, health=SICK)),
    "health absent": plan_page(with_summary(CALM, health={})),
}  # fmt: skip
SEEN = {name: PLAN_GONE[name] for name in ("absent", "unreadable")}
PLAN = "reports/views/plan.py"
TOTALS = "reports/views/totals.py"


def history_page(**given: Any) -> Make:
    return lambda _: shown(render_history(History((), **given)))


def balances(*rows: Mapping[str, Any], problem: str = "") -> Make:
    block = {"rows": list(rows), "unexplained": [], "unexplained_more": 0, "rules": [], "problem": problem,
             "left_out": ["other tokens"]}  # fmt: skip
    return lambda _: shown(render_plan(replace(CALM, balances=block)))


QUIET: dict[str, Any] = {
    "wallet": "0x1", "chain_id": 56, "token": "0x2", "symbol": "USDC", "decimals": 6, "opening": "0", "closing": "0",
    "residual": "0", "movements": 0, "in": "0", "out": "0", "fees": "0", "explained_in": "0", "explained_out": "0",
    "unexplained_in": "0", "unexplained_out": "0", "opening_block": 1, "closing_block": 2, "problems": [],
}  # fmt: skip
LOUD: dict[str, Any] = QUIET | {"residual": "5", "movements": 1}
UNTOLD: dict[str, Any] = QUIET | {"residual": None, "closing": None, "problems": ["cannot tell: no archive node"]}


def scored(judged: int) -> Make:
    return lambda _: shown(render_score(Score(judged, {}, (), (), (), 0)))


def ran(**given: Any) -> Make:
    return lambda _: shown(render_run(RunReport("r1", "p", "correction", _no_rows(), **given)))


def _no_rows() -> Any:
    class Rows(tuple):  # type: ignore[type-arg]
        def counts(self) -> Mapping[Any, int]:
            return {}

    return Rows()


def arrivals(*, short: int = 0, gaps: list[dict[str, Any]] | None = None) -> Make:
    import pyarrow as pa

    from recon.core.tables import table_of

    def make(_: Home) -> Page:
        payments = table_of("payments", [{"payment_id": "p", "created_at": 1_763_596_800_000}])
        empty = {name: table_of(name, []) for name in ("claims", "transfers", "deliveries")}
        links = pa.table({})
        whole = Whole(1_763_596_800_000, payments, {}, links, gaps=table_of("gaps", gaps or []), short=short, **empty)
        charts = snapshot_charts(whole, policy=None, registry=load_registry())
        return Page(" ".join(str(chart.note) for chart in charts))

    from recon.core.registry import load_registry

    return make


GAP = {"source": "chain:56", "scope": "logs", "from_ms": None, "to_ms": None, "reason": "no answer"}
LONG_AGO = timedelta(hours=1)


def outgoing(*unread: str) -> Make:
    return lambda _: shown(render_outgoing(OutgoingList((), unread), since=START))


def inspected(**given: Any) -> Make:
    return lambda _: shown(render_inspection(Inspection(_dossier(), None, **given)))


def _dossier() -> Dossier:
    import inspect as inspecting

    names = list(inspecting.signature(Dossier).parameters.values())
    filled = {each.name: None for each in names if each.default is inspecting.Parameter.empty}
    return Dossier(**filled | {"asked": "0x1", "found_by": ()})  # type: ignore[arg-type]


RUNS = (
    Conclusion(
        "plan", "no breaks.", "every source was read, and its answers are healthy",
        plan_page(CALM), PLAN_GONE, ((PLAN, "break_table", "no breaks"),),
    ),
    Conclusion(
        "plan", "no payment was in the window.", "the same", plan_page(CALM), PLAN_GONE,
        ((TOTALS, "verdict_table", "no payment was in the window"),),
    ),
    Conclusion(
        "plan", "no money is at risk.", "the same", plan_page(CALM), PLAN_GONE,
        ((TOTALS, "money_table", "no money is at risk"),),
    ),
    Conclusion(
        "plan", "no payment is open.", "the same", plan_page(CALM), PLAN_GONE,
        ((TOTALS, "open_table", "no payment is open"),),
    ),
    Conclusion("plan", "captured, not credited**: -", "the same", plan_page(CALM), PLAN_GONE),
    Conclusion("plan", "money at risk**: -", "the same", plan_page(CALM), PLAN_GONE),
    Conclusion(
        "plan", "coverage**: complete", "a reading of each source", plan_page(CALM), SEEN,
        ((PLAN, "_headline", "complete"),),
    ),
    Conclusion(
        "plan", "evidence**: complete", "a healthy summary", plan_page(CALM),
        {"absent": PLAN_GONE["health absent"], "sick": PLAN_GONE["not healthy"]},
    ),
    Conclusion(
        "plan", "Everything that was asked for was read", "a reading of each source", plan_page(
            replace(CALM, coverage=(a_coverage(),))), SEEN,
        (("reports/views/coverage.py", "coverage_table", "Everything that was asked for was read ("),),
    ),
    Conclusion(
        "plan", "1 of 1 add up to the unit", "both balances and every movement", balances(QUIET),
        {"unreadable": balances(UNTOLD)},
    ),
    Conclusion(
        "plan", "no known wallet holds anything or moved anything.", "the same", balances(QUIET),
        {"unreadable": balances(UNTOLD), "absent": balances(problem="cannot tell: no chain was read")},
        (("reports/views/balances.py", "_wallet_table", "no known wallet holds anything or moved anything"),),
    ),
    Conclusion(
        "plan", "explains\n\nnone.", "the same", balances(QUIET),
        {"unreadable": balances(UNTOLD), "absent": balances(problem="cannot tell: no chain was read")},
        (("reports/views/balances.py", "_movement_table", "none"),),
    ),
    Conclusion(
        "plan", "1 more hold nothing and moved nothing.", "the same", balances(QUIET, LOUD),
        {"unreadable": balances(UNTOLD, LOUD)},
        (("reports/views/balances.py", "_wallet_notes", " more hold nothing and moved nothing."),),
    ),
    Conclusion(
        "history", "no plan was made yet.", "a history whose lines can be read", history_page(),
        {"unreadable": history_page(unreadable=1), "changed": history_page(changed=1)},
        (("reports/views/history.py", "render_history", "no plan was made yet"),),
    ),
    Conclusion(
        "score", "everything is right", "something was judged", scored(3), {"absent": scored(0)},
        (("reports/views/score.py", "render_score", "everything is right"),),
    ),
    Conclusion(
        "run", "Breaks of these payments afterwards\n\nnone.", "they were judged again", ran(remaining=()),
        {"absent": ran()}, (("reports/views/run.py", "_remaining_table", "none"),),
        reason="they were not judged again",
    ),
    Conclusion(
        "page of a plan", "No stretch of time was left unread.", "every reading is whole", arrivals(),
        {"unreadable": arrivals(short=1), "without bounds": arrivals(gaps=[GAP])},
        (("reports/pages/pictures.py", "_unread_note", "No stretch of time was left unread."),),
    ),
    Conclusion(
        "inspect --outgoing", "Outgoing\n\nnothing.", "the payments and what moved were read whole", outgoing(),
        {"unreadable": outgoing("chain:56: HTTP 503")},
        (("reports/views/inspection.py", "render_outgoing", "nothing"),),
    ),
    Conclusion(
        "inspect", "no row of the whole collection knows it", "the whole collection and every source were asked",
        inspected(), {"unreadable": inspected(not_asked=("payments: the cursor was cut",))},
        (("reports/views/inspection.py", "render_inspection", "none: no row of the whole collection knows it"),),
    ),
    Conclusion(
        "inspect", "everything was asked", "the same", inspected(),
        {"unreadable": inspected(not_asked=("payments: not read",))},
        (("reports/views/inspection.py", "_gaps", "everything was asked"),),
    ),
)  # fmt: skip

# The commands, with the code they leave with


def snapped(home: Home, name: str) -> Page:
    taken = home.command(
        "snapshot", "--out", str(home.folder / f"snapshot-{len(list(home.folder.iterdir()))}"), world=name
    )
    return replace(home.command("show", taken.text.split()[0], world=name), code=taken.code)


def summed(home: Home, name: str) -> Page:
    home.command("plan", world=name)
    return home.command("triage", "summary", world=name)


COMMANDS = (
    Conclusion(
        "recon plan", "Everything that was asked for was read", "both rails answer", lambda home: home.command("plan"),
        {"refused": lambda home: home.command("plan", world="gone")}, codes=(4,),
    ),
    Conclusion(
        "recon snapshot", "Stretches that could not be read\nnone", "both rails answer",
        lambda home: snapped(home, "whole"), {"refused": lambda home: snapped(home, "gone")},
        (("reports/views/snapshot.py", "_gap_table", "none"),
         ("reports/views/snapshot.py", "render_snapshot", "complete")), codes=(4,),
    ),
    Conclusion(
        "recon triage summary", "everything that was looked at was read", "the plan was made with both rails",
        lambda home: summed(home, "whole"), {"refused": lambda home: summed(home, "gone")}, codes=(4,),
    ),
)  # fmt: skip
