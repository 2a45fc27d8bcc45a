"""What could not be read stays unknown: whatever evidence is taken away, no page concludes from it that all is well."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.investigation.incident.access_log import triage_access_log
from recon.investigation.incident.account import FOR_OUTSIDE, KINDS, Incident
from recon.investigation.incident.bounds import Bounds
from recon.investigation.incident.first_page import FirstPage, IncidentEvidence, first_page
from recon.investigation.incident.replay import triage_deliveries
from recon.investigation.incident.write_up import render_incident
from recon.simulation import plant_world, write_world
from recon.sources.deliveries.records import load_deliveries
from recon.sources.http import Secret
from tests.sources.deliveries.exports import AT, HEADERS, KEY, RECORD, TEXT
from tests.support.triage_logs import HOOK, START, nginx

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HALF = f"[20/Nov/2026:08:00:01 +0000] POST {HOOK} and no more\n".encode()
SHKEEPER_HALF = b"[20/Nov/2026:08:00:01 +0000] POST /api/payment/shkeeper/webhook and no more\n"


def logs_of(folder: Path, content: bytes) -> Any:
    (folder / "access.log").write_bytes(content)
    return triage_access_log([folder / "access.log"])


def deliveries_of_file(folder: Path, *rows: Any) -> Any:
    path = folder / "kept.ndjson"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    found = load_deliveries(path)
    return triage_deliveries(found.deliveries, secrets={"request_network": (Secret(KEY),)}, problems=found.shortfalls)


def page_of(**given: Any) -> FirstPage:
    return first_page(IncidentEvidence(now=NOW, **given))


STATUSES = (200, 202, 204, 301, 304, 401, 404, 499, 500)


@pytest.mark.parametrize("status", [*STATUSES, None])
def test_no_conclusion_of_a_log_stands_beside_a_line_that_was_not_read(status: int | None, tmp_path: Path) -> None:
    lines = nginx(START, "/other", 200) + (b"" if status is None else nginx(START, HOOK, status))
    whole, short = logs_of(tmp_path, lines), logs_of(tmp_path, lines + HALF + SHKEEPER_HALF)
    assert whole.is_complete
    assert not short.is_complete
    for route in short.routes:
        assert route.rule.startswith("cannot tell: 1 line names its route")
        assert route.unread_lines == 1
    assert [r.rule for r in whole.routes] != [r.rule for r in short.routes]


@pytest.mark.parametrize("content", [b"", b"no log at all\n" * 9, b"\x00\xff" * 5000])
def test_a_log_that_holds_no_request_concludes_nothing(content: bytes, tmp_path: Path) -> None:
    for route in logs_of(tmp_path, content).routes:
        assert route.rule.startswith("cannot tell")


ACCEPTED = RECORD | {"httpStatus": 200, "rawBody": TEXT}
TAKEN_AWAY: dict[str, Callable[[], tuple[Any, ...]]] = {
    "a record that is none": lambda: (ACCEPTED, "{half a record"),
    "a record of unknown fields": lambda: (ACCEPTED, {"was": 1}),
    "a body in a form that is not read": lambda: (ACCEPTED, RECORD | {"rawBody": "v1:AES:77/1"}),
    "a body that was written again": lambda: (ACCEPTED, RECORD | {"payload": dict(reversed(json.loads(TEXT).items()))}),
}


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_no_conclusion_of_deliveries_stands_beside_what_was_not_read(name: str, tmp_path: Path) -> None:
    assert deliveries_of_file(tmp_path, ACCEPTED).is_complete
    short = deliveries_of_file(tmp_path, *TAKEN_AWAY[name]())
    assert not short.is_complete
    page = page_of(deliveries=short)
    assert not page.is_complete
    assert any("CANNOT TELL of all" in (line.answer or "") for line in page.facts)


def test_of_records_that_name_no_provider_nothing_is_concluded(tmp_path: Path) -> None:
    other = {
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
        "payload": {"was": 1},
        "receivedAt": "2026-11-20T10:00:00Z",
    }
    assert not deliveries_of_file(tmp_path, other).is_complete
    assert deliveries_of_file(tmp_path, other, ACCEPTED).is_complete


@pytest.mark.parametrize(
    "given",
    [{"unread": ("the flags could not be read: no",)}, {"coverage_problems": ("chain:56: refused",), "summary": {}},
     {"logs": HALF}, {"logs": b"nothing\n"}, {"deliveries": "{half"}],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_says_what_was_not_read(given: dict[str, Any], kind: str, tmp_path: Path) -> None:
    if "logs" in given:
        given = {"logs": logs_of(tmp_path, given["logs"])}
    if "deliveries" in given:
        given = {"deliveries": deliveries_of_file(tmp_path, given["deliveries"])}
    page = page_of(**given)
    text = render_incident(kind, Incident(title="x", bounds=Bounds(now=NOW), page=page))
    assert page.unread
    assert text.unread == page.unread
    for words in ("Could not be read", "Cannot tell whether these figures are whole"):
        assert (words in text) is (kind not in FOR_OUTSIDE)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECON_REQUEST_NETWORK_WEBHOOK_SECRET", KEY)
    write_world(plant_world("completed"), tmp_path / "world")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_access_log_summary_and_incident_leave_with_4_alike(home: Path) -> None:
    config = ("--config", str(home / "world" / "recon.toml"))
    assert run("plan", *config).exit_code in (0, 1)
    (home / "short.log").write_bytes(nginx(START, HOOK, 200) + HALF)
    (home / "whole.log").write_bytes(nginx(START, HOOK, 200))
    for words in (("triage", "summary", *config), ("report", "incident", "update", "--title", "x", *config)):
        assert run(*words, "--access-log", "whole.log").exit_code in (0, 1)
        told = run(*words, "--access-log", "short.log")
        assert told.exit_code == 4, told.output
        assert "1 log line for the route of request" in told.output
    told = run("triage", "access-log", "short.log")
    assert told.exit_code == 4
    assert "cannot tell: 1 line names its route and could not be read; of the others 1 of 1 accepted" in told.output
    given = ("--log-format", "[$time_local] $request_method $uri and $status more")
    assert run("triage", "access-log", "short.log", *given).exit_code == 4


def test_a_plan_that_is_gone_and_flags_that_cannot_be_read_are_told(home: Path) -> None:
    config = home / "world" / "recon.toml"
    words = ("triage", "summary", "--config", str(config))
    assert run("plan", "--config", str(config)).exit_code in (0, 1)
    assert run(*words).exit_code in (0, 1)
    [plan] = [
        path for path in (home / "world").rglob("*.json") if "plan" in path.name and "changes" in path.read_text()
    ]
    plan.rename(home / "elsewhere.json")
    told = run(*words)
    assert told.exit_code == 4
    assert "the latest plan of the history" in told.output


def test_deliveries_that_say_too_little_leave_with_4(home: Path) -> None:
    (home / "kept.ndjson").write_text(json.dumps(RECORD | {"rawBody": "v1:AES:77/1"}) + "\n", encoding="utf-8")
    told = run("triage", "deliveries", "kept.ndjson", "--out", "replay.ndjson")
    assert told.exit_code == 4
    assert "CANNOT TELL" in told.output
    assert json.loads((home / "replay.ndjson").read_text())["delivery_id"] == HEADERS["X-Request-Network-Delivery"]
    (home / "good.ndjson").write_text(json.dumps(RECORD | {"rawBody": TEXT, "receivedAt": AT}) + "\n", encoding="utf-8")
    assert run("triage", "deliveries", "good.ndjson").exit_code == 1
