"""An audit lists what moved value between two times: by whom, against evidence, unusual first, with exact totals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.core.times import from_ms, to_ms
from recon.investigation.audit import Audit, AuditEvent, AuditSources, audit_events, audit_limits, row_state
from recon.rails.flags.journal import FlagEntry
from recon.setup.file import WindowError
from recon.simulation import generate_world, write_world

SINCE = datetime(2026, 11, 20, 2, tzinfo=UTC)
NIGHT = datetime(2026, 11, 20, 3, 17, tzinfo=UTC)


@dataclass(frozen=True)
class Incident:
    """A world in which somebody released a payment at night, and a run without approval corrected others."""

    config: Path
    audit: Audit
    released: str
    corrected: frozenset[str]

    def events(self, source: str) -> list[AuditEvent]:
        return [each for each in self.audit.events if each.source == source]


def released_at_night(path: Path) -> str:
    """Change one row behind recon's back; gives its id."""
    lines = path.read_text().splitlines()
    place, row = next(
        (place, found)
        for place, line in enumerate(lines)
        if (found := json.loads(line))["status"] == "completed"
        and found.get("escrowState") == "funded"
        and isinstance(found["_id"], dict)
    )
    row |= {"escrowState": "released", "updatedAt": {"$date": {"$numberLong": str(to_ms(NIGHT))}}}
    lines[place] = json.dumps(row, separators=(",", ":"))
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(row["_id"]["$oid"])


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Incident:
    folder = tmp_path_factory.mktemp("audit") / "world"
    write_world(generate_world(payments=70, seed=4), folder)
    config = folder / "recon.toml"
    recon.snapshot(config, out=folder / "recon-out" / "before")
    released = released_at_night(folder / "payments.ndjson")
    plan = recon.plan(config=config, out=folder / "plan.json")
    recon.apply(plan, digest=plan.digest, config=config, operator="mallory")
    found = recon.audit(SINCE, before=folder / "recon-out" / "before", config=config)
    corrected = frozenset(change.payment_id for change in plan.changes if change.tier == "auto")
    return Incident(config, found, released, corrected)


def test_what_was_changed_behind_recon_is_told_with_what_it_was_before(incident: Incident) -> None:
    [event] = [each for each in incident.events("row") if each.subject == incident.released]
    assert event.what == "in completed/funded -> in completed/released"
    assert (event.at_ms, event.who) == (to_ms(NIGHT), "not known")
    assert event in incident.audit.unusual


def test_a_row_whose_state_is_the_same_moved_no_value(incident: Incident) -> None:
    assert {each.subject for each in incident.events("row")} == {incident.released}


def test_what_recon_wrote_is_told_with_who_did_it_and_that_nobody_approved_it(incident: Incident) -> None:
    events = incident.events("journal")
    assert {each.subject for each in events} == incident.corrected != set()
    assert {(each.who, each.approvals) for each in events} == {("mallory", "none")}
    assert all("no approval of the run is recorded" in each.unusual for each in events)
    assert any("status pending -> completed" in each.what for each in events)


def test_an_hour_without_earlier_changes_is_unusual(incident: Incident) -> None:
    snapshot = recon.load(incident.config.parent / "recon-out" / "before")
    hours = Counter(at.hour for at in snapshot["payments"]["updated_at"].dropna())
    for event in incident.events("row"):
        assert event.at_ms is not None
        is_odd = not hours[from_ms(event.at_ms).hour]
        assert any(why.startswith("changed at") for why in event.unusual) == is_odd


def test_the_unusual_come_first(incident: Incident) -> None:
    counts = [len(each.unusual) for each in incident.audit.events]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0


def test_the_totals_before_and_after_are_those_of_the_changed_rows(incident: Incident) -> None:
    before = recon.load(incident.config.parent / "recon-out" / "before")["payments"]
    changed = {each.subject for each in incident.audit.events if each.source in ("row", "journal")}
    expected: Counter[tuple[int, str]] = Counter()
    for _, row in before.iterrows():
        if row["payment_id"] in changed:
            expected[int(row["chain_id"]), str(row["token"])] += int(row["expected_units"])
    for side in ("before", "after"):
        told: Counter[tuple[int, str]] = Counter()
        for each in incident.audit.totals:
            told[each.chain_id or 0, each.token or ""] += getattr(each, side)
        assert all(told[token] >= units for token, units in expected.items())
    by_token: Counter[tuple[int | None, str | None]] = Counter()
    for each in incident.audit.totals:
        by_token[each.chain_id, each.token] += each.after - each.before
    assert not any(by_token.values()), "what a row held before it holds after, in another state"
    states = {each.state for each in incident.audit.totals if each.before != each.after}
    assert {"in completed/funded", "in completed/released"} <= states


def test_what_the_data_cannot_say_is_said(incident: Incident) -> None:
    said = " ".join(incident.audit.unsaid)
    assert "who wrote a row is known where recon did" in said
    assert "no ledger is configured" in said
    bare = recon.audit(SINCE, config=incident.config)
    assert bare.before == ""
    assert "there is no snapshot of before" in " ".join(bare.unsaid)
    [event] = [each for each in bare.events if each.subject == incident.released and each.source == "row"]
    assert event.what == "is in completed/released; what it was before is not known"


def test_rows_that_were_changed_after_the_end_are_counted(incident: Incident) -> None:
    found = recon.audit(datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC), config=incident.config)
    later = [each for each in found.unsaid if "changed after the end" in each]
    assert later
    assert incident.released not in {each.subject for each in found.events}


def test_a_source_that_does_not_answer_makes_the_list_not_whole(incident: Incident) -> None:
    place = incident.config.with_name("faults.json")
    rules = [{"source": f"chain:{chain}", "match": "*", "status": 500} for chain in (1, 56, 137, 8453, 42161)]
    place.write_text(json.dumps({"format": 1, "rules": rules}))
    try:
        line = ["audit", "--from", "10h", "--config", str(incident.config)]
        result = CliRunner().invoke(cli, line, prog_name="recon")
    finally:
        place.unlink()
    assert result.exit_code == 4
    assert "CANNOT TELL" in result.stdout


def test_a_window_that_runs_backwards_is_refused(incident: Incident) -> None:
    with pytest.raises(WindowError):
        recon.audit(SINCE, datetime(2026, 11, 1, tzinfo=UTC), config=incident.config)


def test_a_change_of_flags_is_told_with_who_did_it(incident: Incident) -> None:
    body: dict[str, Any] = {"plan": "ab" * 32, "by": "mallory", "behind": [], "edits": [{"flag": "PAYMENT_MODE"}]}
    flags = (
        FlagEntry(1, "2026-11-20T03:00:00.000Z", "r1", "intent", body, ""),
        FlagEntry(2, "2026-11-20T03:00:01.000Z", "r1", "outcome", {"outcome": "changed"}, ""),
        FlagEntry(3, "2026-11-19T03:00:00.000Z", "r0", "intent", body | {"behind": ["ada"]}, ""),
    )
    sources = AuditSources((), (), (), (), flags, incident.audit.plan)
    terms = {"from_ms": to_ms(SINCE), "to_ms": to_ms(NIGHT)}
    [event] = [each for each in audit_events(sources, **terms) if each.source == "flags"]
    assert (event.who, event.approvals) == ("mallory", "none")
    assert event.what == "provider flags PAYMENT_MODE: changed"
    assert event.unusual == ("no approval of the change is recorded",)
    assert any(
        "entries are not read" in each for each in audit_limits(sources, before="", window=(0, 1), ledger="unmapped")
    )


def test_the_state_of_a_row_names_what_holds_it() -> None:
    row = {"direction": None, "status_raw": "pending", "escrow_state": None, "disputed": True, "hold": True}
    assert row_state(row) == "in pending/unset disputed on hold"
