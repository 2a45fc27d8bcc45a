"""Conclusions of preflight, backfill and doctor."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from recon.plans.backfill import Completeness
from recon.rails.gates.records import Deliveries
from recon.rails.preflight import Looked, judge_preflight
from recon.reports.views.checks import render_checks
from recon.reports.views.operations import render_backfill, render_preflight
from recon.setup.doctor import Check
from tests.rails.gates.test_judge import ago, delivery, watched
from tests.rails.test_preflight import counted
from tests.reports.conclusions.rows import NOW, Conclusion, Home, Make, Page, shown
from tests.support.plans import a_plan

# Preflight, backfill, drain, doctor

LOOKED = Looked(
    secrets={"A": True}, flags={"SHKEEPER_FORCE_PAYOUT_DEMO": "false"}, counts=counted(),
    deliveries=Deliveries((), ago(hours=24), NOW), indexes=[], problems={},
)  # fmt: skip
HALF_READ = {"problems": {"payments": "the cursor was cut"}}


def preflight(**changed: Any) -> Make:
    def make(_: Home) -> Page:
        looked = replace(LOOKED, **changed)
        return shown(render_preflight(judge_preflight(looked, now=NOW, stuck_after=timedelta(minutes=30))))

    return make


FLIGHT = "rails/preflight.py"
DATA = {"absent": preflight(counts=None), "truncated": preflight(**HALF_READ)}
RECORDS = {"absent": preflight(deliveries=None), "stale": preflight(deliveries=watched(to_at=ago(hours=3))),
           "begins later": preflight(deliveries=watched(from_at=ago(hours=3)))}  # fmt: skip
DONE_ROWS = Completeness(rows=2, mapped=2, planned=0, left={}, tests=0, read_wholly=True)


def backfill(found: Completeness) -> Make:
    plan = a_plan(kind="backfill", changes=(), findings=(), left_alone=())
    return lambda _: shown(render_backfill(plan, found, path="p.json", config=None))


def doctor(*checks: Check) -> Make:
    return lambda _: shown(render_checks(checks))


OK_CHECK, WARNED = (
    Check("chain 56", "ok", "It can be used."),
    Check("chain 56", "warning", "No endpoint is configured."),
)
OPERATIONS = (
    Conclusion(
        "preflight", "All 1 credentials and webhook secrets are set.", "the flag file", preflight(),
        {"absent": preflight(secrets=None)}, ((FLIGHT, "_secrets_item", "All "),),
    ),
    Conclusion(
        "preflight", "FORCE_PAYOUT_DEMO is off", "its value", preflight(),
        {"not set here": preflight(flags={}), "doubtful": preflight(flags={"SHKEEPER_FORCE_PAYOUT_DEMO": None}),
         "unreadable": preflight(flags=None)},
    ),
    Conclusion(
        "preflight", "0 payments by stored provider word: none.\n".strip(), "every payment", preflight(),
        {"absent": DATA["absent"]}, ((FLIGHT, "_count_items", "none"),),
    ),
    Conclusion(
        "preflight", "Payments by stored provider word\n\nnothing.", "every payment", preflight(), DATA,
        (("reports/views/operations.py", "_table", "nothing"),),
    ),
    Conclusion("preflight", "Provider keys carried by several payments\n\nnothing.", "the same", preflight(), DATA),
    Conclusion("preflight", "Pending and processing for too long\n\nnothing.", "the same", preflight(), DATA),
    Conclusion("preflight", "0 provider keys are carried by more than one payment.", "the same", preflight(), DATA),
    Conclusion("preflight", "0 payments are pending or processing for longer.", "the same", preflight(), DATA),
    Conclusion(
        "preflight", "0 payments carry a simulated hash, which proves nothing.", "the same", preflight(), DATA,
        ((FLIGHT, "_count_items", " a simulated hash, which proves nothing"),),
    ),
    Conclusion(
        "preflight", "| webhooks of the last 24 h | ok | none. |", "records over the last day", preflight(), RECORDS,
        ((FLIGHT, "_webhook_item", "none"),),
    ),
    Conclusion("preflight", "Webhooks of the last 24 h\n\nnothing.", "the same", preflight(), RECORDS),
    Conclusion(
        "preflight", "| ok | request_network: 1 well, 0 failed. |", "the same",
        preflight(deliveries=watched(delivery(ago(hours=1)))),
        {"stale": preflight(deliveries=watched(delivery(ago(hours=9)), to_at=ago(hours=3)))},
        ((FLIGHT, "_webhook_item", " well, "),),
    ),
    Conclusion(
        "preflight", "No unique index names a field that a correction sets.", "the list of indexes", preflight(),
        {"absent": preflight(indexes=None)},
        ((FLIGHT, "_index_item", "No unique index names a field that a correction sets."),),
    ),
    Conclusion(
        "preflight", "Unique indexes that a correction may hit\n\nnothing.", "the same", preflight(),
        {"absent": preflight(indexes=None)},
    ),
    Conclusion(
        "backfill", "Complete: 2 payments have their reference", "every row", backfill(DONE_ROWS),
        {"truncated": backfill(replace(DONE_ROWS, read_wholly=False))},
    ),
    Conclusion(
        "backfill", "nothing is left to insert", "every row", backfill(DONE_ROWS),
        {"truncated": backfill(replace(DONE_ROWS, read_wholly=False))},
        (("reports/views/operations.py", "render_backfill", "Nothing has changed, and nothing is left to insert."),),
    ),
    Conclusion(
        "doctor", "verdict**: everything can be used", "every check was made and none warns", doctor(OK_CHECK),
        {"not asked": doctor(OK_CHECK, WARNED), "absent": doctor()},
        (("reports/views/checks.py", "render_checks", "everything can be used"),),
        reason="cannot tell whether everything can be used",
    ),
)  # fmt: skip
