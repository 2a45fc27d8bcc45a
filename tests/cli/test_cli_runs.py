"""The main job through the command line: worlds judged, corrected and taken back, and every way it can go wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from recon.api.choosing import Chosen, selection_of
from recon.cli import cli
from recon.cli.plan import plan as plan_command
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, plant_world, write_world
from recon.sources.recorded.store_file import payment_lines

if TYPE_CHECKING:
    from tests.support.servers import Mongod

Prepared = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)


@pytest.fixture
def planted(tmp_path: Path) -> Prepared:
    """Writes a world with the named situations and gives its configuration."""

    def prepare(*names: str, **changes: Any) -> Path:
        folder = tmp_path / "world"
        write_world(plant_world(*names), folder)
        for name, content in changes.items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return folder / "recon.toml"

    return prepare


SEED = 6
"""A world without Decimal128 amounts, which the embedded store refuses to change, whose drifted row is not released."""

SITUATIONS = ("webhook_lost", "hash_missing", "late", *["equal_amounts"] * 5)


@pytest.fixture(scope="module")
def reviewed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One world with its snapshot and plan; made once, because every plan costs seconds of a busy machine."""
    folder = tmp_path_factory.mktemp("once") / "world"
    write_world(plant_world(*SITUATIONS, seed=SEED), folder)
    run("snapshot", "--config", folder / "recon.toml", "--out", folder / "snapshot", code=0)
    taken = folder / "snapshot"
    run("plan", "--config", folder / "recon.toml", "--snapshot", taken, "--out", folder / "plan.json", code=1)
    return folder


@pytest.fixture
def reviewed(reviewed_once: Path, tmp_path: Path) -> Path:
    """A copy of that world for one test to change; gives its configuration."""
    shutil.copytree(reviewed_once, tmp_path / "reviewed")
    return tmp_path / "reviewed" / "recon.toml"


def digest_of(plan: Path) -> str:
    return str(json.loads(plan.read_text(encoding="utf-8"))["digest"])


def run(*arguments: object, code: int | None = None) -> Result:
    result = CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="recon")
    assert "Traceback" not in result.output
    if code is not None:
        assert result.exit_code == code, result.output
    return result


def planned(config: Path, *arguments: object, code: int = 1) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        run("plan", "--config", config, "--format", "json", *arguments, code=code).stdout
    )
    return content


def plan_file(config: Path) -> Path:
    return max((config.parent / "recon-out").glob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)


def payments_of(config: Path) -> bytes:
    return "\n".join(payment_lines(config.parent)).encode()


# ------------------------------------------------------------------------------------------------ plan


def test_a_plan_is_printed_saved_and_remembered_and_changes_nothing(planted: Prepared) -> None:
    config = planted("webhook_lost", "late", "equal_amounts")
    before = payments_of(config)
    plan = planned(config)
    assert plan["format"] == 1
    assert {
        "digest",
        "effects_digest",
        "target",
        "snapshot",
        "coverage",
        "summary",
        "findings",
        "changes",
    } <= plan.keys()
    assert plan["summary"]["verdicts"]["local_behind"] == 1
    assert plan["summary"]["verdicts"]["late_payment"] == 1
    assert plan_file(config).read_bytes() == run("show", plan_file(config), "--format", "json").stdout_bytes
    assert payments_of(config) == before
    entries = json.loads(run("history", "--config", config, "--format", "json").stdout)["history"]
    assert [entry["breaks"] for entry in entries] == ["2"]


def test_a_clean_week_has_no_break_and_ends_with_0(tmp_path: Path) -> None:
    write_world(generate_world(payments=25, seed=3, breaks="none"), tmp_path / "world")
    result = run("plan", "--config", tmp_path / "world" / "recon.toml", code=0)
    assert "no breaks" in result.stdout
    assert "this plan has nothing to do" in result.stdout


def test_a_snapshot_replays_offline_and_gives_the_same_plan_byte_for_byte(reviewed: Path) -> None:
    taken = reviewed.parent / "snapshot"
    (reviewed.parent / "payments.ndjson").write_text("", encoding="utf-8")
    again = run("plan", "--config", reviewed, "--snapshot", taken, "--engine", "polars", "--format", "json", code=1)
    assert again.stdout_bytes == (reviewed.parent / "plan.json").read_bytes()
    shown = run("show", taken, "--format", "json", code=0)
    assert json.loads(shown.stdout)["report"] == "snapshot"


def test_every_format_of_a_plan_has_the_same_figures(reviewed: Path) -> None:
    arguments = ("show", reviewed.parent / "plan.json", "--format")
    plan = json.loads(run(*arguments, "json", code=0).stdout)
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "csv", "--part", "breaks", code=0).stdout)))
    facts = dict(csv.reader(io.StringIO(run(*arguments, "csv", "--part", "summary", code=0).stdout)))
    screen, page = run(*arguments, "table", code=0).stdout, run(*arguments, "md", code=0).stdout
    assert sorted(row["payment_id"] for row in rows) == sorted(item["payment_id"] for item in plan["findings"])
    assert facts["changes"] == str(len(plan["changes"]))
    assert facts["digest"] == plan["digest"]
    for part in facts["value_at_risk"].split(", "):
        assert part in screen.replace(",", "")
        assert part in page.replace(",", "").replace("\\", "")


def chosen(config: Path, *arguments: object) -> int:
    """How many payments the options of ``recon plan`` choose, without judging them."""
    settings = load_settings(config)
    context = plan_command.make_context("plan", [str(each) for each in arguments])
    with open_sources(settings) as sources:
        options = {name: context.params[name] for name in Chosen.__annotations__}
        selection = selection_of(settings, Chosen(**options))  # type: ignore[typeddict-item]
        return sum(len(batch) for batch in sources.store.scan(selection))


def test_windows_providers_statuses_and_ids_choose_payments(reviewed: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in payments_of(reviewed).splitlines()]
    findings = json.loads((reviewed.parent / "plan.json").read_text(encoding="utf-8"))["findings"]
    ids = [item["payment_id"] for item in findings]
    listed = tmp_path / "ids.txt"
    listed.write_text("\n".join(ids), encoding="utf-8")
    assert chosen(reviewed) == len(rows)
    assert chosen(reviewed, "--id", ids[0]) == 1
    assert chosen(reviewed, "--id-file", listed) == len(ids)
    assert chosen(reviewed, "--open-only") == sum(row["status"] in ("pending", "processing") for row in rows)
    assert chosen(reviewed, "--status", "completed") == sum(row["status"] == "completed" for row in rows)
    rails = chosen(reviewed, "--provider", "request-network") + chosen(reviewed, "--provider", "SHKeeper")
    assert rails == len(rows)
    assert chosen(reviewed, "--to", "2020-01-01") == 0
    assert chosen(reviewed, "--from", "60d", "--date", "updated") == len(rows)


def test_a_sick_source_leaves_a_gap_and_the_exit_code_says_so(planted: Prepared) -> None:
    rule = {"source": "chain:56", "match": "eth_getLogs", "status": 500, "text": "<html>out of order</html>"}
    config = planted("webhook_lost", "webhook_lost_before_expiry", "paid_in_parts", faults={"format": 1, "rules": []})
    healthy = planned(config)
    chains = {finding["chain_id"] for finding in healthy["findings"]}
    rules = [{**rule, "source": f"chain:{chain}"} for chain in chains]
    (config.parent / "faults.json").write_text(json.dumps({"format": 1, "rules": rules}), encoding="utf-8")
    sick = planned(config, code=4)
    assert {row["complete"] for row in sick["coverage"]} == {True, False}
    certain = {item["id"] for item in healthy["changes"]}
    assert {item["id"] for item in sick["changes"]} <= certain
    assert not set(sick["summary"]["verdicts"]) & {"abandoned", "in_transit", "provider_ahead", "local_ahead"}
    screen = run("plan", "--config", config, code=4)
    assert "INCOMPLETE" in screen.stdout
    assert "recon doctor" in screen.stdout


def test_a_nightly_job_counts_only_what_is_new_and_not_acknowledged(planted: Prepared) -> None:
    config = planted("webhook_lost", "underpaid_expired")
    planned(config, "--new-only", code=1)
    again = planned(config, "--new-only", code=0)
    planned(config, code=1)
    ids = [item["payment_id"] for item in again["findings"]]
    refused = run("ack", ids[0], "--config", config, "--reason", "known", "--until", "2020-01-01")
    assert refused.exit_code == 2
    run("ack", *ids, "--config", config, "--reason", "known", "--until", "2030-01-01", code=0)
    run("plan", "--config", config, code=0)
    assert run("ack", "nobody", "--config", config, "--reason", "x", "--until", "2030-01-01").exit_code == 2


# ------------------------------------------------------------------------------------------------ apply and undo


def test_what_was_reviewed_is_applied_gone_and_taken_back(reviewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    start, plan = payments_of(reviewed), reviewed.parent / "plan.json"
    apply = ("apply", plan, "--digest", digest_of(plan), "--config", reviewed, "--format", "json")
    applied = run(*apply, code=0)
    facts = json.loads(applied.stdout)["facts"]
    assert facts["applied"] == "2"
    assert facts["not_picked"] == "1"
    assert "will not happen" in applied.stderr
    assert payments_of(reviewed) != start
    assert json.loads(run(*apply, code=0).stdout)["title"] == "Nothing was left to do"
    assert [item["verdict"] for item in planned(reviewed)["findings"]] == ["late_payment"]
    listed = json.loads(run("runs", "--config", reviewed, "--format", "json", code=0).stdout)["runs"]
    assert listed[0]["operator"] == "ada"
    assert len(json.loads(run("runs", facts["run"], "--config", reviewed, "--format", "json").stdout)["rows"]) == 2
    run("journal", "verify", "--config", reviewed, "--head", facts["head"], code=0)

    undo = reviewed.parent / "undo.json"
    shown = run("undo", facts["run"], "--config", reviewed, "--out", undo, code=0)
    assert "Nothing has changed. To do it: recon apply" in shown.stdout
    run("apply", undo, "--digest", digest_of(undo), "--config", reviewed)
    again = run("undo", facts["run"], "--config", reviewed, "--out", reviewed.parent / "again.json", code=0)
    assert f"Run {facts['run']} is taken back already (by run " in again.stderr
    assert (again.stdout, (reviewed.parent / "again.json").exists()) == ("", False)
    verdicts = [item["verdict"] for item in json.loads(plan.read_text(encoding="utf-8"))["findings"]]
    assert [item["verdict"] for item in planned(reviewed)["findings"]] == verdicts


def test_a_change_of_tier_review_is_written_once_it_is_picked(reviewed: Path, tmp_path: Path) -> None:
    plan = json.loads((reviewed.parent / "plan.json").read_text(encoding="utf-8"))
    late = next(item["payment_id"] for item in plan["changes"] if item["verdict"] == "late_payment")
    small = tmp_path / "small.json"
    run("select", reviewed.parent / "plan.json", "--payment", late, "--out", small, code=0)
    chosen = json.loads(small.read_text(encoding="utf-8"))
    assert chosen["parent"] == plan["digest"]
    assert [item["payment_id"] for item in chosen["changes"]] == [late]
    result = run("apply", small, "--digest", chosen["digest"], "--config", reviewed, "--format", "json", code=0)
    assert json.loads(result.stdout)["facts"]["applied"] == "1"


def test_a_selection_by_value_counts_whole_tokens(reviewed: Path, tmp_path: Path) -> None:
    select = ("select", reviewed.parent / "plan.json")
    nothing = run(*select, "--max-value", "USDC=0", "--max-value", "USDT=0", "--out", tmp_path / "s")
    assert nothing.exit_code == 2
    everything = ("--max-value", "USDC=99999999", "--max-value", "usdt=99999999")
    run(*select, *everything, "--out", tmp_path / "s.json", code=0)
    assert len(json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["changes"]) == 2
    assert run(*select, "--max-value", "USDC", "--out", tmp_path / "t").exit_code == 2
    assert run(*select, "--out", tmp_path / "s.json").exit_code == 3


def test_approvals_are_asked_for_and_recorded_once(reviewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass

    monkeypatch.setenv("RECON_APPROVALS__APPROVALS_MIN", "1")
    monkeypatch.setenv("RECON_APPROVALS__AUTHOR_MAY_APPROVE", "false")
    monkeypatch.setenv("RECON_OPERATOR", getpass.getuser())
    plan = reviewed.parent / "plan.json"
    apply = ("apply", plan, "--digest", digest_of(plan), "--config", reviewed)
    approve = ("approve", plan, "--config", reviewed, "--reason", "looked at it")
    assert run(*apply).exit_code == 3
    run(*approve, code=0)
    assert "its author" in run(*apply, code=3).stderr
    monkeypatch.setenv("RECON_OPERATOR", "bob")
    run(*approve, code=0)
    assert run(*approve).exit_code == 3
    run(*apply, code=0)


def test_whoever_makes_a_selection_or_an_undo_is_its_author(reviewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_APPROVALS__APPROVALS_MIN", "1")
    monkeypatch.setenv("RECON_APPROVALS__AUTHOR_MAY_APPROVE", "false")
    monkeypatch.setenv("RECON_OPERATOR", "ann")
    config, small, undo = ("--config", reviewed), reviewed.parent / "small.json", reviewed.parent / "undo.json"
    run("select", reviewed.parent / "plan.json", "--verdict", "missing_tx_hash", "--out", small, *config, code=0)

    def agreed(plan: Path) -> str:
        """Refused to the author, open once somebody else approved."""
        apply = ("apply", plan, "--digest", digest_of(plan), *config)
        monkeypatch.setenv("RECON_OPERATOR", "ann")
        run("approve", plan, *config, "--reason", "mine", code=0)
        assert "ann is its author" in run(*apply, code=3).stderr
        monkeypatch.setenv("RECON_OPERATOR", "bob")
        run("approve", plan, *config, "--reason", "seen", code=0)
        return str(json.loads(run(*apply, "--format", "json").stdout)["facts"]["run"])

    first = agreed(small)
    monkeypatch.setenv("RECON_OPERATOR", "ann")
    run("undo", first, *config, "--out", undo, code=0)
    agreed(undo)


def test_holds_are_guarded_where_the_configuration_of_the_snapshot_looked_for_them(planted: Prepared) -> None:
    config = planted("webhook_lost")
    config.write_text(config.read_text() + '\n[fields]\nhold = ["metadata.freeze"]\n', encoding="utf-8")
    (change,) = planned(config)["changes"]
    guard = {term["path"]: term["value"] for term in change["guard"]}
    assert guard["metadata.freeze"] == {"$recon": "missing"}
    assert "onHold" not in guard


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--digest", "0" * 64], 3, "digest"),
        ([], 2, "--digest"),
        (["--digest", "DIGEST", "--resume", "R"], 2, "--resume"),
        (["--resume", "no-such-run"], 2, "no-such-run"),
        (["--digest", "DIGEST", "--changes-max", "0"], 3, "--changes-max"),
        (["--digest", "DIGEST", "--value-max", "USDC=0", "--value-max", "USDT=0"], 3, "--value-max"),
        (["--digest", "DIGEST", "--value-max-per-payment", "USDX=1"], 2, "USDX"),
        (["--digest", "DIGEST", "--value-max", "junk"], 2, "junk"),
    ],
)
def test_an_apply_that_may_not_be_is_one_sentence_and_writes_nothing(
    reviewed: Path, arguments: list[str], code: int, word: str
) -> None:
    plan, before = reviewed.parent / "plan.json", payments_of(reviewed)
    given = [digest_of(plan) if each == "DIGEST" else each for each in arguments]
    result = run("apply", plan, "--config", reviewed, *given, code=code)
    assert word in result.stderr
    assert result.stdout == ""
    assert payments_of(reviewed) == before
    if word == "digest":
        assert len(result.stderr.splitlines()) == 1, "nothing is said of a plan that was not reviewed"


def test_a_plan_for_another_target_is_refused(reviewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = reviewed.parent / "plan.json"
    monkeypatch.setenv("RECON_TARGET__NAME", "copy")
    result = run("apply", plan, "--digest", digest_of(plan), "--config", reviewed, code=3)
    assert "copy" in result.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("PAYMENT_RECONCILIATION_ENABLED=true", "own reconciliation is switched on: it may write"),
        ("PAYMENT_RECONCILIATION_ENABLED=false", ""),
        (None, "Whether the backend reconciles by itself is not known"),
    ],
)
def test_an_apply_says_what_the_flags_and_the_ledger_say(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, said: str
) -> None:
    if flags is not None:
        (reviewed.parent / "backend.env").write_text(flags + "\n", encoding="utf-8")
    monkeypatch.setenv("RECON_FLAGS__FILE", "backend.env")
    monkeypatch.setenv("RECON_LEDGER__COLLECTION", "ledgerentries")
    plan = reviewed.parent / "plan.json"
    result = run("apply", plan, "--digest", digest_of(plan), "--config", reviewed, "--changes-max", "0", code=3)
    assert said in result.stderr
    assert bool(said) == ("reconcil" in result.stderr)
    assert "release will be refused is not known" in result.stderr


def test_payments_whose_release_will_be_refused_are_listed_before_consent(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "recon.setup.stores.recorded.store._no_entries", lambda payments: dict.fromkeys(payments, False)
    )
    monkeypatch.setenv("RECON_LEDGER__COLLECTION", "ledgerentries")
    plan = reviewed.parent / "plan.json"
    result = run("apply", plan, "--digest", digest_of(plan), "--config", reviewed, "--changes-max", "0", code=3)
    funded = [
        item["payment_id"]
        for item in json.loads(plan.read_text(encoding="utf-8"))["changes"]
        if item["tier"] == "auto" and any(field["path"] == "escrowState" for field in item["set"])
    ]
    assert funded
    for payment in funded:
        assert f"{payment}: release will be refused, because its ledger lacks the pay-in" in result.stderr


def test_a_broken_journal_is_named_by_its_entry(reviewed: Path) -> None:
    plan = reviewed.parent / "plan.json"
    run("apply", plan, "--digest", digest_of(plan), "--config", reviewed, code=0)
    path = reviewed.parent / "journal.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"c", b"d", 1), *lines[2:]]))
    result = run("journal", "verify", "--config", reviewed, "--format", "json", code=3)
    assert json.loads(result.stdout)["facts"]["broken_entry"] == "2"


# ------------------------------------------------------------------------------------------------ demo, simulate, score


def test_the_demo_leaves_everything_and_names_the_next_command(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = run("demo", "--out", out, "--payments", "300", code=0)
    assert (out / "recon.toml").exists()
    assert list(out.glob("snapshot-*/manifest.json"))
    assert list(out.glob("report-*.md"))
    [page] = out.glob("report-*.html")
    assert "Verdicts by provider" in page.read_text(encoding="utf-8")
    (plan,) = out.glob("plan-*.json")
    digest = json.loads(plan.read_text(encoding="utf-8"))["digest"]
    assert f"--digest {digest} --config {out / 'recon.toml'}" in result.stdout
    run("demo", "--out", out, code=0)
    assert len(list(out.glob("plan-*.json"))) == 2


def test_the_demo_leaves_a_directory_of_somebody_else_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    assert run("demo", "--out", tmp_path).exit_code == 3


def test_a_simulated_world_is_scored(tmp_path: Path) -> None:
    world = tmp_path / "world"
    run("simulate", "--payments", "20", "--seed", "5", "--breaks", "none", "--out", world, code=0)
    assert run("simulate", "--out", world).exit_code == 3
    planned(world / "recon.toml", code=0)
    result = run("score", plan_file(world / "recon.toml"), "--truth", world / "truth.ndjson", code=0)
    assert "everything is right" in result.stdout
    lines = (world / "truth.ndjson").read_text(encoding="utf-8").splitlines()
    wrong = json.loads(lines[0]) | {"verdict": "underpaid"}
    (tmp_path / "other.ndjson").write_text(json.dumps(wrong) + "\n", encoding="utf-8")
    scored = run(
        "score", plan_file(world / "recon.toml"), "--truth", tmp_path / "other.ndjson", "--format", "json", code=1
    )
    assert json.loads(scored.stdout)["perfect"] is False
    assert run("simulate", "--breaks", tmp_path / "none.toml", "--out", tmp_path / "w2").exit_code == 2


def test_a_scenario_is_written_by_its_name(tmp_path: Path) -> None:
    world, other = tmp_path / "world", tmp_path / "other"
    run("simulate", "--scenario", "webhook_lost", "--out", world, code=0)
    planned(world / "recon.toml", code=1)
    run("score", plan_file(world / "recon.toml"), "--truth", world / "truth.ndjson", code=0)
    assert "did you mean webhook_lost" in run("simulate", "--scenario", "webhok_lost", "--out", other, code=2).stderr
    assert "in the catalogue" in run("simulate", "--scenario", "zzzz", "--out", other, code=2).stderr
    both = run("simulate", "--scenario", "late", "--seed", "3", "--payments", "9", "--out", other, code=2)
    assert "cannot be given with --payments or --seed" in both.stderr
    assert not other.exists()


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--from", "2026-11-20", "--to", "2026-11-19"], 2, "backwards"),
        (["--from", "tomorrow"], 2, "tomorrow"),
        (["--id", "two words"], 2, "two words"),
        (["--id-file", "missing.txt"], 2, "missing.txt"),
        (["--engine", "abacus"], 2, "abacus"),
        (["--snapshot", "nowhere"], 2, "no snapshot 'nowhere'"),
        (["--snapshot", "nowhere/at-all"], 3, "manifest.json"),
        (["--snapshot", "nowhere", "--open-only"], 2, "--snapshot"),
    ],
)
def test_bad_arguments_are_one_sentence_before_anything_is_read(
    planted: Prepared, arguments: list[str], code: int, word: str
) -> None:
    config = planted("webhook_lost")
    result = run("plan", "--config", config, *arguments, code=code)
    assert word in result.stderr
    assert result.stdout == ""
    assert not (config.parent / "recon-out").exists()


def test_a_snapshot_with_a_changed_byte_is_refused(reviewed: Path) -> None:
    config, taken = reviewed, reviewed.parent / "snapshot"
    for name in ("payments.parquet", "manifest.json"):
        path = taken / name
        data = path.read_bytes()
        path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
        result = run("plan", "--config", config, "--snapshot", taken, code=3)
        assert result.stderr.count("\n") == 1
        path.write_bytes(data)


class Node(BaseHTTPRequestHandler):
    """A node that answers whatever its server says: HTML, half a body, or the chain id of another chain."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body: bytes = self.server.answer  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("answer", "code", "word"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":"0x1"}', 3, "chain"),
        (b"<html>please log in</html>", 4, "chain"),
        (b'{"jsonrpc":"2.0","id":1,"resu', 4, "chain"),
    ],
)
def test_a_wrong_or_sick_node_is_told_apart_and_its_key_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int, word: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Node)
    server.answer = answer  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("RECON_MONGO_URI", "mongodb://127.0.0.1:9/")
    config = tmp_path / "recon.toml"
    endpoint = f"http://127.0.0.1:{server.server_port}/topsecret"
    config.write_text(
        f'[mongo]\ntimeout_s = 0.2\n[[chains]]\nchain_id = 56\nendpoints = ["{endpoint}"]\n', encoding="utf-8"
    )
    try:
        result = run("doctor", "--config", config, "--format", "json", code=4)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    (check,) = [row for row in json.loads(result.stdout)["checks"] if row["check"] == "chain 56"]
    assert check["state"] == "failed"
    assert word in check["says"]
    assert ("should be" in check["says"]) == (code == 3), check["says"]
    assert "topsecret" not in result.output


@pytest.mark.parametrize("name", ["payments.ndjson", "world.json", "request_network.ndjson"])
def test_a_recorded_world_that_is_broken_is_one_sentence(planted: Prepared, name: str) -> None:
    config = planted("webhook_lost")
    (config.parent / name).write_bytes(b'{"a":')
    result = run("plan", "--config", config, code=2)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("variables", "code", "word"),
    [
        ({"RECON_MONGO_URI": ""}, 2, "RECON_MONGO_URI"),
        ({"RECON_MONGO_URI": "topsecret"}, 2, "URI"),
        ({"RECON_MONGO_URI": "https://u:topsecret@h/"}, 2, "URI"),
        ({"RECON_MONGO_URI": "mongodb://u:topsecret@127.0.0.1:9/"}, 4, "127.0.0.1:9"),
        ({"RECON_MONGO_URI": "mongodb://u:top:secret@h:1:2/"}, 2, "URI"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_sentence_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int, word: str
) -> None:
    config = tmp_path / "recon.toml"
    config.write_text("[mongo]\ntimeout_s = 0.3\n", encoding="utf-8")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = run("plan", "--config", config, code=code)
    assert word in result.stderr
    assert "topsecret" not in result.output
    assert "top:secret" not in result.output
    assert result.stdout == ""


def test_a_wrong_password_is_named_and_not_shown(
    start_mongod: Callable[..., Mongod], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_mongod(auth=True, replica_set=False)
    config = tmp_path / "recon.toml"
    config.write_text("[mongo]\ntimeout_s = 5\n", encoding="utf-8")
    monkeypatch.setenv("RECON_MONGO_URI", server.uri_for("reader", "topsecret"))
    for command in ("plan", "doctor", "runs"):
        result = run(command, "--config", config, code=4)
        assert "password" in result.output
        assert "topsecret" not in result.output
