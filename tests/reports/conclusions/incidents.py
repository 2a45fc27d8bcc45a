"""Conclusions of access logs, deliveries, the first page and the texts of an incident."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from recon.cli import cli
from recon.investigation.incident.access_log import triage_access_log
from recon.investigation.incident.account import Incident
from recon.investigation.incident.bounds import Bounds
from recon.investigation.incident.first_page import FirstPage, Health, IncidentEvidence, first_page
from recon.investigation.incident.impact import Fallen, Impact
from recon.investigation.incident.replay import triage_deliveries
from recon.investigation.incident.write_up import render_incident
from recon.reports.views.triage import render_delivery_triage, render_log_triage, render_page
from recon.sources.deliveries.records import load_deliveries
from recon.sources.http import Secret
from tests.rails.gates.test_judge import RN
from tests.reports.conclusions.rows import NOW, Conclusion, Home, Make, Page, shown
from tests.sources.deliveries.exports import KEY, RECORD, TEXT
from tests.support.triage_logs import HOOK, START, nginx

# Access logs

OTHER = nginx(START, "/other", 200)
HALF = f"[20/Nov/2026:08:00:01 +0000] POST {HOOK} and no more\n".encode()
SHKEEPER_HALF = b"[20/Nov/2026:08:00:01 +0000] POST /api/payment/shkeeper/webhook and no more\n"
GOOD = nginx(START, HOOK, 200) + nginx(START, "/api/payment/shkeeper/webhook", 202)


def logs_of(home: Home, content: bytes, **given: Any) -> Any:
    return triage_access_log([Path(home.file("some.log", content))], **given)


def log_page(content: bytes, **given: Any) -> Make:
    return lambda home: shown(render_log_triage(logs_of(home, content, **given)))


def log_command(content: bytes, *words: str) -> Make:
    def make(home: Home) -> Page:
        ran = CliRunner().invoke(cli, ["triage", "access-log", home.file("some.log", content), *words])
        return Page(ran.output, ran.exit_code)

    return make


NO_LOG = {
    "absent": b"", "unreadable": b"\x00\xff" * 5000, "no log": b"no log at all\n" * 9,
    "truncated": OTHER + HALF + SHKEEPER_HALF,
}  # fmt: skip
LATER, EARLIER = START + timedelta(days=1), START - timedelta(days=1)
LOG_GONE: dict[str, Make] = {
    **{name: log_command(content) for name, content in NO_LOG.items()},
    "stale": log_command(OTHER, "--since", LATER.isoformat()),
    "begins later": log_command(OTHER, "--since", EARLIER.isoformat()),
    "ends earlier": log_command(OTHER, "--until", LATER.isoformat()),
    "written otherwise": log_command(
        OTHER + nginx(START, HOOK.upper(), 200) + nginx(START, "/v2/api/payment/shkeeper/webhook", 202)
    ),
}
SILENCE = "nothing came: a fault on the way to the server"
LOG = "reports/views/triage.py"
LOGS = (
    Conclusion(
        "triage access-log", SILENCE, "a whole log that reaches over the time", log_command(OTHER),
        LOG_GONE,
        (("investigation/incident/access_log.py", "_rule_of", SILENCE),
         ("investigation/incident/access_log.py", "_rule_of",
          "No delivery reached the server on this route. Check that it is the backend's (--route names another), the "
          "provider's webhook settings, the network path and the ingress; payments that were missed are found by "
          "recon plan."),),
    ),
    Conclusion(
        "triage access-log", "No delivery reached the server", "the same", log_command(OTHER), LOG_GONE,
    ),
    Conclusion(
        "triage access-log", "no delivery reached the server.", "the same", log_page(OTHER),
        {name: log_page(content) for name, content in NO_LOG.items()},
        ((LOG, "_log_tables", "no delivery reached the server"),),
    ),
    Conclusion(
        "triage access-log", "Bursts of failures\n\nnone.", "the same", log_page(GOOD),
        {name: log_page(content) for name, content in NO_LOG.items()}
        | {"half read": log_page(GOOD + HALF + SHKEEPER_HALF)},
        ((LOG, "_log_tables", "none"),),
    ),
    Conclusion(
        "triage access-log", "the safety check holds them", "every line of a route was read",
        log_page(GOOD), {name: log_page(content) for name, content in NO_LOG.items()},
    ),
)  # fmt: skip

# Deliveries

ACCEPTED = RECORD | {"httpStatus": 200, "rawBody": TEXT}
SHORT_RECORDS: dict[str, tuple[Any, ...]] = {
    "half a record": (ACCEPTED, "{half"),
    "unknown fields": (ACCEPTED, {"was": 1}),
    "a body that is not read": (ACCEPTED, RECORD | {"rawBody": "v1:AES:77/1"}),
    "a body written again": (ACCEPTED, RECORD | {"payload": dict(reversed(json.loads(TEXT).items()))}),
}


def records_of(home: Home, *rows: Any) -> Any:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    found = load_deliveries(Path(home.file("kept.ndjson", text)))
    secrets = {"request_network": (Secret(KEY),)}
    return triage_deliveries(found.deliveries, secrets=secrets, problems=found.shortfalls)


def records_page(*rows: Any) -> Make:
    return lambda home: shown(render_delivery_triage(records_of(home, *rows)))


REFUSED = RECORD | {"httpStatus": 404, "rawBody": TEXT}
RECORDS_GONE = {name: records_page(*rows) for name, rows in SHORT_RECORDS.items()} | {"no record": records_page()}
UNREAD_RECORDS = {
    "no record": records_page(),
    "half a record": records_page("{half"),
    "unknown fields": records_page({"was": 1}),
}
DELIVERIES = (
    Conclusion(
        "triage deliveries", "Replay list, oldest first\n\nnothing.", "every record was read, and what it tells",
        records_page(ACCEPTED), {name: RECORDS_GONE[name] for name in ("half a record", "no record")},
        ((LOG, "_replay_table", "nothing"),),
    ),
    Conclusion(
        "triage deliveries", "Out of order\n\nnone.", "the same", records_page(ACCEPTED), RECORDS_GONE,
        ((LOG, "render_delivery_triage", "none"),),
    ),
    Conclusion(
        "triage deliveries", "Delivery ids that came more than once\n\nnone.", "the same", records_page(ACCEPTED),
        {name: each for name, each in RECORDS_GONE.items() if not name.startswith("a body")},
    ),
    Conclusion(
        "triage deliveries", "Left alone\n\nnone.", "the same", records_page(REFUSED), UNREAD_RECORDS,
        ((LOG, "_left_table", "none"),),
    ),
)  # fmt: skip

# The first page and the texts of an incident

SUMMARY = {"verdicts": {}, "open_by_age": {"over 30 min": 0}, "captured_not_credited": {}}
READ = {"readings": {"chain:56": "in full"}, "summary": SUMMARY, "plan_at": "x"}
SHORT_PLAN = {**READ, "coverage_problems": ("chain:56: refused",)}
UNREAD = {"unread": ("the flags could not be read: no",)}
UP, DOWN, SKIPPED = (Health("chain 56", is_up, "says so") for is_up in (True, False, None))


def first(home: Home, *, logs: bytes | None = None, records: tuple[Any, ...] | None = None, **given: Any) -> FirstPage:
    if logs is not None:
        given["logs"] = logs_of(home, logs)
    if records is not None:
        given["deliveries"] = records_of(home, *records)
    return first_page(IncidentEvidence(now=NOW, **given))


def summary(**given: Any) -> Make:
    return lambda home: shown(render_page(first(home, **given)))


def text(kind: str, *, impact: Impact | None = None, running: tuple[str, ...] | None = None, **given: Any) -> Make:
    def make(home: Home) -> Page:
        bounds = Bounds(now=NOW, rails=(RN,), began_at=START)
        page = first(home, **given)
        return Page(render_incident(kind, Incident("x", bounds, page=page, impact=impact or Impact(), running=running)))

    return make


NOTHING_FELL = Fallen((), 0, {}, frozenset(), 0)
SAME_PLAN = Impact(now=NOTHING_FELL, earlier=NOTHING_FELL)
FIRST = "investigation/incident/first_page.py"
LOGS_GONE = {name: summary(logs=content) for name, content in NO_LOG.items()}
PAGES = (
    Conclusion(
        "triage summary", "none in these logs", "logs that were read whole", summary(logs=OTHER), LOGS_GONE,
        ((FIRST, "_webhooks", "none in these logs"),),
    ),
    Conclusion(
        "triage summary", "last good never in these logs", "the same", summary(logs=OTHER), LOGS_GONE,
        ((FIRST, "_last_good", "never "),),
    ),
    Conclusion(
        "triage summary", "captured and not credited? | none |", "a plan that was made with every source",
        summary(**READ), {"unreadable": summary(**SHORT_PLAN), "absent": summary(**UNREAD)},
        ((FIRST, "token_sums_text", "none"),),
    ),
    Conclusion(
        "triage summary", "coordinator-blocked? | lookup_failed 0, missing_reference 0, coordinator_blocked 0 |",
        "the same", summary(**READ), {"unreadable": summary(**SHORT_PLAN), "absent": summary(**UNREAD)},
    ),
    Conclusion(
        "triage summary", "safety-pending (captured, not credited)? | 0 |", "the same", summary(**READ),
        {"unreadable": summary(**SHORT_PLAN), "absent": summary(**UNREAD)},
    ),
    Conclusion(
        "triage summary", "pending for over 30 minutes? | 0 () |", "the same", summary(**READ),
        {"unreadable": summary(**SHORT_PLAN), "absent": summary(**UNREAD)},
    ),
    Conclusion(
        "triage summary", "chain 56 answer |", "it was asked just now", summary(health=(UP,)),
        {"not asked": summary(health=(SKIPPED,)), "nothing to ask": summary(health=(), **UNREAD)},
    ),
    Conclusion(
        "triage summary", "not confirmed\n\nnone.", "everything that was looked at was read", summary(**READ),
        {"a source": summary(**SHORT_PLAN), "flags": summary(**READ, **UNREAD), "not asked": summary(health=(SKIPPED,)),
         "no reading": summary(**READ | {"readings": {}}), "log": summary(logs=HALF)},
        ((LOG, "render_page", "none"),),
    ),
    Conclusion(
        "triage summary", "everything that was looked at was read", "the same", summary(**READ),
        {"a source": summary(**SHORT_PLAN), "flags": summary(**READ, **UNREAD), "not asked": summary(health=(SKIPPED,)),
         "no reading": summary(**READ | {"readings": {}}), "log": summary(logs=HALF),
         "deliveries": summary(records=("{half",))},
        ((LOG, "render_page", "everything that was looked at was read"),),
    ),
    Conclusion(
        "triage summary", "everything was looked at", "every question was asked",
        summary(**READ, flags={"A": "b"}, health=(UP,), logs=OTHER, records=(ACCEPTED,)),
        {"one is not": summary(**READ, flags={"A": "b"}, health=(UP,), logs=OTHER, **UNREAD)},
        ((LOG, "render_page", "everything was looked at"),),
    ),
    Conclusion(
        "report incident", "Guesses (not confirmed)\n\n- none", "everything that was looked at was read",
        text("update", **READ),
        {"a source": text("update", **SHORT_PLAN), "flags": text("update", **READ, **UNREAD),
         "nothing": text("update"), "log": text("update", logs=HALF)},
        (("investigation/incident/sections.py", "guesses", "none"),),
    ),
    Conclusion(
        "report incident", "no count has changed", "both plans were made with every source",
        text("update", **READ, impact=SAME_PLAN),
        {"a source": text("update", **SHORT_PLAN, impact=SAME_PLAN),
         "what fell": text("update", **READ, impact=replace(SAME_PLAN, short=("the plan did not look at it",)))},
        (("investigation/incident/sections.py", "change", "- no count has changed"),),
    ),
    Conclusion(
        "report incident", "Payments affected: 0", "a plan of that rail and that time",
        text("update", **READ, impact=replace(SAME_PLAN, earlier=None)),
        {"absent": text("update", **READ)},
    ),
    Conclusion(
        "report incident", "Money at risk: none", "the same", text("update", **READ, impact=SAME_PLAN),
        {"absent": text("update", **READ)},
    ),
    Conclusion(
        "report incident", "Under way\n\n- nothing", "the journals of runs and of flags",
        text("hand-over", **READ, running=()),
        {"absent": text("hand-over", **READ), "unreadable": text("hand-over", **READ, **UNREAD, running=())},
        (("investigation/incident/write_up.py", "_hand_over", "nothing"),),
    ),
    Conclusion(
        "report incident", SILENCE, "a whole log of that time", text("update", logs=OTHER),
        {name: text("update", logs=content) for name, content in NO_LOG.items()},
    ),
)  # fmt: skip
