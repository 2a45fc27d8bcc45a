"""Evidence is read as it is: what cannot be read never lets a gate pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Verdict
from recon.plans.history import History, append_history, history_entry, load_history
from recon.rails.flags.plan import FlagSetup
from recon.rails.flags.probes import HttpProber, Probe
from recon.rails.gates.evidence import (
    HEALTH_FILE,
    EvidenceFileError,
    append_health,
    check_health,
    delivery_evidence_of,
    dry_run_of,
    load_health,
    run_records,
)
from recon.rails.gates.records import HealthRecord
from recon.setup.open_gates import read_deliveries
from tests.support.flagworld import HEALTHY, json_reply, serve
from tests.support.plans import a_finding, a_plan

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def entry(**given: Any) -> dict[str, Any]:
    facts = {
        "format": 1, "at": "2026-11-20T11:00:00.000Z", "kind": "correction", "digest": "d", "complete": True,
        "window": {"from": "2026-11-19T11:00:00+00:00", "to": None, "providers": [], "statuses": [], "ids": []},
        "health": {"ok": True, "reasons": []}, "blocking": {"lookup_failed": 2}, "breaks": ["a"],
    }  # fmt: skip
    return facts | given


def test_a_plan_in_the_real_history_becomes_a_run(tmp_path: Path) -> None:
    plan = a_plan()
    append_history(tmp_path, history_entry(plan, at="2026-11-20T11:00:00.000Z", path="plan.json"))
    [record] = run_records(load_history(tmp_path))
    assert record.digest == plan.digest
    assert record.breaks is not None
    assert set(record.blocking) == {"lookup_failed", "missing_reference", "coordinator_blocked"}


def test_every_part_of_a_line_is_read() -> None:
    [record] = run_records(History((entry(),)))
    assert record.at == NOW - timedelta(hours=1)
    assert (record.covers_from, record.covers_to) == (NOW - timedelta(hours=25), NOW - timedelta(hours=1))
    assert (record.is_whole, record.is_complete, record.is_healthy) == (True, True, True)
    assert record.breaks == frozenset({"a"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"window": {"ids": ["x"]}}, {"is_whole": False}),
        ({"window": {"statuses": ["pending"]}}, {"is_whole": False}),
        ({"window": {"open_only": True}}, {"is_whole": False}),
        ({"window": {"to": "2030-01-01T00:00:00+00:00"}}, {"covers_to": NOW - timedelta(hours=1)}),
        ({"window": {"providers": ["shkeeper"]}}, {"providers": ("shkeeper",)}),
        ({"complete": "yes"}, {"is_complete": False}),
        ({"health": None}, {"is_healthy": False}),
        ({"health": {"ok": 1}}, {"is_healthy": False}),
        ({"breaks": None}, {"breaks": None}),
        ({"blocking": {"lookup_failed": "many"}}, {"blocking": {}}),
    ],
)
def test_odd_lines_make_a_gate_stricter(given: dict[str, Any], expected: dict[str, Any]) -> None:
    [record] = run_records(History((entry(**given),)))
    assert {name: getattr(record, name) for name in expected} == expected


def test_undo_and_backfill_plans_are_no_dry_runs() -> None:
    assert run_records(History((entry(kind="undo"), entry(kind="backfill")))) == ()


def test_a_line_without_a_time_stands_as_a_bad_run_after_the_one_before_it() -> None:
    good, lost = run_records(History((entry(), entry(at="yesterday"))))
    assert (good.is_complete, lost.is_complete, lost.is_healthy) == (True, False, False)
    assert lost.at - good.at == timedelta(milliseconds=1)


@pytest.mark.parametrize("damage", ["half a line", "a line changed", "a line taken out"])
def test_a_damaged_history_breaks_the_row_of_clean_runs_of_every_rail(tmp_path: Path, damage: str) -> None:
    for hour in (8, 9, 10, 11):
        append_history(tmp_path, entry(at=f"2026-11-20T{hour:02}:00:00.000Z"))
    path = tmp_path / "history.ndjson"
    written = path.read_text().splitlines(keepends=True)
    if damage == "half a line":
        written[2] = written[2][:40] + "\n"
    elif damage == "a line changed":
        written[1] = written[1].replace('"d"', '"e"')
    else:
        del written[1:3]
    path.write_text("".join(written))
    records = run_records(load_history(tmp_path))
    assert [record.at for record in records] == sorted(record.at for record in records)
    lost = [record for record in records if not record.is_complete]
    assert lost
    for record in lost:
        assert (record.is_whole, record.is_healthy, record.providers, record.breaks) == (True, False, (), None)
        assert record.blocking == {"lookup_failed": 2}, "what blocked before it may go on blocking"
        assert NOW - timedelta(hours=4) < record.at < NOW - timedelta(hours=1)


def test_a_plan_becomes_a_dry_run() -> None:
    plan = a_plan(findings=[a_finding(verdict=Verdict.LOCAL_BEHIND)])
    found = dry_run_of(plan)
    assert (found.digest, found.findings[0].verdict) == (plan.digest, Verdict.LOCAL_BEHIND)
    assert found.is_healthy is (plan.summary["health"]["ok"] is True)


def lines(path: Path, *items: object) -> Path:
    path.write_text("".join(f"{item if isinstance(item, str) else json.dumps(item)}\n" for item in items))
    return path


ROW = {"provider": "request.network", "received_at": NOW_MS - 1000, "http_status": 202, "signature_valid": True}


def test_delivery_records_are_read_bare_and_as_a_recorded_world_holds_them(tmp_path: Path) -> None:
    found = read_deliveries(lines(tmp_path / "d", {"delivery": ROW}, ROW | {"received_at": NOW_MS - 9000}, ""), now=NOW)
    assert [record.provider for record in found.records] == ["request_network"] * 2
    assert (found.from_at, found.to_at) == (NOW - timedelta(seconds=9), NOW)


def test_a_first_line_says_what_the_records_cover(tmp_path: Path) -> None:
    path = lines(tmp_path / "d", {"coverage": {"from": NOW_MS - 86_400_000, "to": NOW_MS + 5}})
    found = read_deliveries(path, now=NOW)
    assert (found.records, found.from_at, found.to_at) == ((), NOW - timedelta(days=1), NOW)


def test_an_empty_file_covers_nothing(tmp_path: Path) -> None:
    assert read_deliveries(lines(tmp_path / "d"), now=NOW).from_at == NOW


@pytest.mark.parametrize(
    "bad", ["junk", "[1]", {"provider": "x"}, {"received_at": 1}, {"delivery": 3}, ROW | {"received_at": "now"}]
)
def test_a_line_that_is_no_delivery_stops_because_it_could_be_the_failure(tmp_path: Path, bad: object) -> None:
    with pytest.raises(EvidenceFileError, match="d:2: "):
        read_deliveries(lines(tmp_path / "d", ROW, bad), now=NOW)


def test_coverage_without_times_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceFileError, match="in milliseconds or as times"):
        read_deliveries(lines(tmp_path / "d", {"coverage": {"from": "x"}}), now=NOW)
    with pytest.raises(EvidenceFileError, match="cannot be read"):
        read_deliveries(tmp_path / "none", now=NOW)


def test_a_row_without_a_time_counts_as_from_right_now() -> None:
    found = delivery_evidence_of([{"provider": "rn", "http_status": True}], from_at=NOW, to_at=NOW, source="log")
    assert (found.records[0].at, found.records[0].http_status) == (NOW, None)


def test_health_checks_are_kept_and_read_back(tmp_path: Path) -> None:
    first = HealthRecord(NOW, "shkeeper", True, "HTTP 200")
    second = HealthRecord(NOW + timedelta(minutes=2), "shkeeper", False, "HTTP 503")
    append_health(tmp_path, first)
    append_health(tmp_path, second)
    assert load_health(tmp_path) == (first, second)
    assert load_health(tmp_path / "none") == ()


def test_an_unreadable_line_breaks_the_row_of_good_checks(tmp_path: Path) -> None:
    append_health(tmp_path, HealthRecord(NOW, "shkeeper", True, "fine"))
    with (tmp_path / HEALTH_FILE).open("a") as stream:
        stream.write('{"format": 1, "at"')
    append_health(tmp_path, HealthRecord(NOW + timedelta(minutes=2), "shkeeper", True, "fine"))
    assert [record.is_ok for record in load_health(tmp_path)] == [True, False, True]


def test_a_health_check_asks_the_rail_and_the_backend(tmp_path: Path) -> None:
    with serve({"/crypto": HEALTHY, "/health": json_reply({"status": "ok"})}) as rails:
        setup = FlagSetup(health={"shkeeper": Probe("shkeeper", f"{rails.url}/crypto")})
        backend = (Probe("backend", f"{rails.url}/health"),)
        good = check_health("shkeeper", setup=setup, prober=HttpProber(), backend=backend, now=NOW)
        assert good.is_ok
        assert rails.asked == ["/crypto", "/health"]
        rails.routes["/health"] = (500, "text/plain", "")
        bad = check_health("shkeeper", setup=setup, prober=HttpProber(), backend=backend, now=NOW)
        assert (bad.is_ok, "backend: " in bad.why, "HTTP 500" in bad.why) == (False, True, True)
        assert (bad.is_told, bad.outcome) == (True, "NOT WELL")
        alone = check_health("request_network", setup=setup, prober=HttpProber(), backend=backend, now=NOW)
        assert alone.outcome == "NOT WELL", "what was bad is told, whatever else could not be asked"
        rails.routes["/health"] = json_reply({"status": "ok"})
        for rail, probes in (("shkeeper", ()), ("request_network", backend)):
            found = check_health(rail, setup=setup, prober=HttpProber(), backend=probes, now=NOW)
            assert (found.is_ok, found.outcome) == (False, "CANNOT TELL")
            append_health(tmp_path, found)
            assert load_health(tmp_path)[-1] == found


def test_a_log_of_which_no_line_can_be_read_is_refused(tmp_path: Path) -> None:
    append_health(tmp_path, HealthRecord(NOW, "shkeeper", True, "fine"))
    path = next(tmp_path.glob("*.ndjson"))
    path.write_bytes(path.read_bytes().replace(b"\n", b"*"))
    with pytest.raises(EvidenceFileError, match="none of its lines can be read"):
        load_health(tmp_path)
