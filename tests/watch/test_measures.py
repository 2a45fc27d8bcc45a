"""What is measured keeps to Prometheus' conventions, names no payment, and stays bounded whatever comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recon.core.registry import load_registry
from recon.sources.http import Clock, Exchange, HttpClient, listen_to_exchanges
from recon.watch.facts import WatchTimes
from recon.watch.measures import SERIES_MAX, Measures
from recon.watch.rounds import RoundDone
from recon.watch.situations import KeptSituation, Sighting, Urgency
from recon.watch.state import WatchState
from tests.support.inbox import inbox
from tests.support.plans import a_coverage, a_finding, a_plan
from tests.watch.test_rules import a_run

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
USDC = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"


def a_round(**given: object) -> RoundDone:
    plan = a_plan(
        findings=(a_finding(),), coverage=(a_coverage(source="payments", calls=3, wire_bytes=900),),
    )  # fmt: skip
    summary = {
        "payments": 9,
        "by_provider": {"one_rail": {"in_sync": 7, "local_behind": 2}},
        "value_at_risk": {f"8453:{USDC}": "12500000", "8453:0xnobody": "1"},
        "captured_not_credited": {f"8453:{USDC}": "2500000"},
    }
    seen = Sighting("overdue", "one_rail", Urgency.WARNING, "665f1c2e9b1d8a0012345678 waits.")
    return RoundDone(**{  # type: ignore[arg-type]
        "kind": "round", "window": "main", "plan": replace(plan, summary=summary),
        "times": WatchTimes(NOON, NOON + timedelta(seconds=7), NOON + timedelta(seconds=12), 300),
        "state": WatchState(open=(KeptSituation(seen, opened_at=NOON, changed_at=NOON),)), "turns": (), **given,
    })  # fmt: skip


def samples(measures: Measures) -> dict[str, float]:
    """Every sample by its name and labels."""
    return {
        f"{each.name}{sorted(each.labels.items()) or ''}": each.value
        for family in text_string_to_metric_families(measures.text().decode())
        for each in family.samples
    }


def test_a_round_leaves_what_it_found() -> None:
    measures = Measures(load_registry())
    measures.note_round(a_round())
    found = samples(measures)
    main = "('window', 'main')"
    assert found[f"recon_watch_rounds_total[('outcome', 'good'), {main}]"] == 1
    assert found[f"recon_watch_round_duration_seconds_sum[{main}]"] == 5
    assert found[f"recon_watch_round_lag_seconds[{main}]"] == 7
    assert found[f"recon_watch_last_good_round_timestamp_seconds[{main}]"] == NOON.timestamp() + 12
    assert found[f"recon_payments[('rail', 'one_rail'), ('verdict', 'local_behind'), {main}]"] == 2
    assert found[f"recon_money_at_risk_tokens[('chain', 'base'), ('token', 'USDC'), {main}]"] == 12.5
    assert found[f"recon_money_not_credited_tokens[('chain', 'base'), ('token', 'USDC'), {main}]"] == 2.5
    assert found[f"recon_breaks[{main}]"] == 1
    assert found["recon_source_calls_total[('source', 'payments')]"] == 3
    assert found["recon_source_received_bytes_total[('source', 'payments')]"] == 900
    assert found["recon_watch_situations[('rule', 'overdue'), ('urgency', 'warning')]"] == 1
    assert "665f1c2e" not in measures.text().decode()


def test_a_verdict_that_is_gone_is_no_longer_told_and_a_failed_round_keeps_what_was_known() -> None:
    measures = Measures(load_registry())
    measures.note_round(a_round())
    measures.note_round(a_round(plan=None, failure="The database is away.", state=WatchState()))
    kept = samples(measures)
    assert any("local_behind" in name for name in kept)
    assert kept["recon_watch_rounds_total[('outcome', 'failed'), ('window', 'main')]"] == 1
    assert kept["recon_watch_last_good_round_timestamp_seconds[('window', 'main')]"] == NOON.timestamp() + 12
    plan = replace(a_plan(), summary={"by_provider": {"one_rail": {"in_sync": 9}}})
    measures.note_round(a_round(plan=plan))
    assert not any("local_behind" in name for name in samples(measures))


def test_labels_stay_bounded_and_clean() -> None:
    measures = Measures(load_registry())
    many = {f'rail\n"{number}\x1b{"x" * 500}': {"in_sync": 1} for number in range(SERIES_MAX + 50)}
    measures.note_round(a_round(plan=replace(a_plan(), summary={"by_provider": many})))
    for number in range(300):
        measures.note_exchange(Exchange(f"host{number}", "answered", 0.1, 5))
    found = samples(measures)
    rails = [value for name, value in found.items() if name.startswith("recon_payments[")]
    assert len(rails) == SERIES_MAX + 1
    assert sum(rails) == SERIES_MAX + 50
    assert len([name for name in found if name.startswith("recon_http_received_bytes_total")]) <= SERIES_MAX // 10 + 1
    assert all(len(name) < 300 for name in found)


def test_the_journal_tells_of_applies_and_when_it_last_heard_of_one() -> None:
    measures = Measures(load_registry())
    measures.note_runs([a_run(counts={"applied": 3, "moved": 1}), a_run(counts={"applied": 2})])
    found = samples(measures)
    assert found["recon_apply_rows_total[('result', 'applied')]"] == 5
    assert found["recon_apply_rows_total[('result', 'moved')]"] == 1
    assert found["recon_journal_head_timestamp_seconds"] > 0


def test_every_http_exchange_is_measured_by_host_and_nothing_else_of_the_address() -> None:
    measures = Measures(load_registry())
    end = listen_to_exchanges(measures.note_exchange)
    try:
        with inbox() as service:
            client = HttpClient(clock=Clock(), timeout_s=5)
            service.answers += [200, 500]
            for _ in range(2):
                client.post(f"{service.url}/a-secret-key?token=hush", b"{}", ends_at=Clock().monotonic() + 5)
            client.close()
    finally:
        end()
    found = samples(measures)
    for outcome in ("answered", "refused"):
        assert found[f"recon_http_exchange_seconds_count[('host', '127.0.0.1'), ('outcome', '{outcome}')]"] == 1
    assert "hush" not in measures.text().decode()


def test_a_textfile_is_whole_readable_by_others_and_counted_on_from(tmp_path: Path) -> None:
    path = tmp_path / "recon.prom"
    for _ in range(2):
        measures = Measures(load_registry())
        measures.take_up(path)
        measures.note_round(a_round())
        measures.write_textfile(path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["recon.prom"]
    assert samples(measures)["recon_watch_rounds_total[('outcome', 'good'), ('window', 'main')]"] == 2
    path.write_bytes(b"\xff not a textfile {")
    Measures(load_registry()).take_up(path)


def test_names_and_units_keep_to_the_conventions() -> None:
    measures = Measures(load_registry())
    measures.note_round(a_round())
    measures.note_runs([a_run(counts={"applied": 1})])
    for family in text_string_to_metric_families(measures.text().decode()):
        assert family.documentation, family.name
        if family.type == "counter":
            assert all(each.name.endswith(("_total", "_created")) for each in family.samples)
        for unit in ("milliseconds", "minutes", "hours", "kilobytes", "percent"):
            assert unit not in family.name


@pytest.mark.parametrize("name", ["payment_id", "tx_hash", "buyer"])
def test_no_label_names_a_single_thing(name: str) -> None:
    measures = Measures(load_registry())
    measures.note_round(a_round())
    labels = {
        label
        for family in text_string_to_metric_families(measures.text().decode())
        for each in family.samples
        for label in each.labels
    }
    assert name not in labels
