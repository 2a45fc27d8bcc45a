"""``recon inspect``, ``case`` and ``triage`` as people call them, and verdicts that agree with the plan's."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.investigation.payment import inspect_payment
from recon.investigation.payment.outgoing import list_outgoing
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.simulation import generate_world, write_world
from recon.snapshots.take import open_snapshot, take_snapshot
from tests.support.inspecting import Scene, asking_of, scene, written
from tests.support.triage_logs import HOOK, START, nginx


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def config_of(made: Scene, folder: Path) -> str:
    written(made, folder)
    return str(folder / "world" / "recon.toml")


def test_inspect_prints_cause_first_and_leaves_with_1(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    result = run("inspect", made.payment_id, "--config", config_of(made, tmp_path), "--format", "json")
    assert result.exit_code == 1, result.output
    assert "delivery_unknown" in result.stdout
    assert isinstance(json.loads(result.stdout), dict)


def test_inspect_leaves_with_0_where_nothing_is_wrong(tmp_path: Path) -> None:
    made = scene("completed")
    assert run("inspect", made.payment_id, "--config", config_of(made, tmp_path)).exit_code == 0


def test_delivery_records_are_named_on_the_command_line(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    config = config_of(made, tmp_path)
    made.tell(404, 404)
    records = tmp_path / "kept.ndjson"
    records.write_text("".join(json.dumps(row) + "\n" for row in made.deliveries or ()))
    result = run("inspect", made.payment_id, "--config", config, "--deliveries", str(records), "--format", "md")
    assert "webhook\\_refused" in result.output


def test_a_case_goes_to_a_file_and_comes_back_offline(tmp_path: Path) -> None:
    made = scene("wrong_recipient")
    out = tmp_path / "case.json"
    assert run("case", made.payment_id, "--config", config_of(made, tmp_path), "--out", str(out)).exit_code == 0
    result = run("inspect", "--case", str(out), "--format", "md")
    assert result.exit_code == 1
    assert "paid\\_wrong\\_recipient" in result.output


def test_a_proof_is_answered_by_the_exit_code(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    config = config_of(made, tmp_path)
    tx_hash = next(log["transactionHash"] for logs in made.logs.values() for log in logs)
    assert run("inspect", made.payment_id, "--config", config, "--verify-proof", tx_hash).exit_code == 0
    assert run("inspect", made.payment_id, "--config", config, "--verify-proof", "0x" + "ab" * 32).exit_code == 1


def test_an_inspection_without_anything_to_inspect_is_a_usage_error() -> None:
    result = run("inspect")
    assert result.exit_code != 0
    assert "Say what to inspect" in str(result.exception) + result.output


def test_what_went_out_is_listed_unusual_first(tmp_path: Path) -> None:
    made = scene("released")
    result = run("inspect", "--outgoing", "--since", "8d", "--config", config_of(made, tmp_path), "--format", "csv")
    assert made.payment_id in result.output


def test_a_payout_to_a_new_place_far_above_the_usual_stands_out(tmp_path: Path) -> None:
    world = generate_world(payments=150, seed=3, breaks="none")
    write_world(world, tmp_path / "world")
    from recon.setup.settings import load_settings

    settings = load_settings(tmp_path / "world" / "recon.toml")
    with open_sources(settings) as sources:
        found = list_outgoing(
            sources, since=settings.now() - timedelta(days=2), asking=asking_of(settings, [])
        )  # fmt: skip
    assert found
    assert [len(each.unusual) for each in found] == sorted((len(each.unusual) for each in found), reverse=True)
    assert any("usual amount" in reason for each in found for reason in each.unusual)


def test_every_verdict_of_a_plan_is_the_same_when_the_payment_is_inspected_in_its_snapshot(tmp_path: Path) -> None:
    from recon.setup.settings import load_settings

    write_world(generate_world(payments=120, seed=11), tmp_path / "world")
    settings = load_settings(tmp_path / "world" / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    with open_sources(settings) as sources:
        snapshot = take_snapshot(
            sources, selection=settings.selection(), policy=policy, registry=registry, now=settings.now(),
            out=tmp_path / "snapshot",
        )  # fmt: skip
    plan = make_plan(snapshot, policy=policy, registry=registry, engine="polars")
    taken, asking = open_snapshot(tmp_path / "snapshot"), asking_of(settings, [])
    wrong = []
    for finding in plan.findings:
        if finding.payment_id.startswith(("chain:", "provider:")):
            continue
        found = inspect_payment(finding.payment_id, asking=asking, snapshot=taken)
        assert found.judged is not None
        if found.judged.finding.verdict is not finding.verdict:
            wrong.append((finding.payment_id, finding.verdict, found.judged.finding.verdict))
    assert len(plan.findings) > 5
    assert not wrong


def test_access_log_counts_and_leaves_by_what_it_found(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.log", tmp_path / "bad.log"
    good.write_bytes(nginx(START, HOOK, 200))
    bad.write_bytes(nginx(START, HOOK, 404))
    only = ("--route", f"request_network={HOOK}")
    assert run("triage", "access-log", str(good), *only).exit_code == 0
    result = run("triage", "access-log", str(bad), *only, "--format", "csv")
    assert result.exit_code == 1
    assert result.output.splitlines()[1:] == ["2026-11-20T08:00:00Z,request_network,404,1"]


def test_a_log_that_is_missing_leaves_with_4_and_one_sentence(tmp_path: Path) -> None:
    result = run("triage", "access-log", str(tmp_path / "none.log"))
    assert "cannot be read" in str(result.exception) or result.exit_code == 4


def test_deliveries_write_the_replay_list_and_send_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECON_CONFIG", raising=False)
    made = scene("webhook_lost", rail="request_network")
    made.tell(404, 404, 404, 404)
    (tmp_path / "kept.ndjson").write_text("".join(json.dumps(row) + "\n" for row in made.deliveries or ()))
    result = run("triage", "deliveries", "kept.ndjson", "--out", "replay.ndjson")
    assert result.exit_code == 1, result.output
    assert len((tmp_path / "replay.ndjson").read_text().splitlines()) == 1


def test_a_secret_never_shows_in_triage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECON_REQUEST_NETWORK_WEBHOOK_SECRET", "whsec-hush-hush")
    (tmp_path / "kept.ndjson").write_text(json.dumps({"requestId": "01" + "ab" * 32, "rawBody": "{}"}) + "\n")
    result = run("triage", "deliveries", "kept.ndjson")
    assert "hush" not in result.output
    assert not any("hush" in path.name for path in tmp_path.iterdir())


def test_the_first_page_names_what_nobody_looked_at(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    config = config_of(made, tmp_path)
    assert "Not looked at" in run("triage", "summary", "--config", config).output
    assert run("plan", "--config", config).exit_code == 1
    result = run("triage", "summary", "--config", config, "--format", "md")
    assert "failed webhook" in result.output
    assert "1 row behind the chain" in result.output
    assert "recon triage summary --ask" in result.output
    assert "in full" in result.output
    result = run("triage", "summary", "--config", config, "--ask", "--format", "md")
    assert "asked just now" in result.output
    assert "DOES NOT" not in result.output
    page = json.loads(run("triage", "summary", "--config", config, "--format", "json").stdout)
    assert {"measured", "guesses", "unknown"} <= page.keys()
    assert page["measured"][0]["question"].startswith("How many payments are pending")


def test_records_in_a_collection_of_a_real_server_are_read(tmp_path: Path, mongo_database) -> None:  # type: ignore[no-untyped-def]
    from recon.sources.deliveries.records import deliveries_of

    made = scene("webhook_lost", rail="request_network")
    made.tell(404)
    mongo_database["hooks"].insert_many([dict(row) for row in made.deliveries or ()])
    found = deliveries_of(mongo_database["hooks"].find({}).sort("_id", 1), place="hooks")
    assert [each.http_status for each in found.deliveries] == [404]
    assert found.unreadable == 0
