"""The commands of flags, gates, sample, preflight and drain: streams, exit codes, and what they leave behind."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.rails.flags.journal import FILE_NAME, FlagJournal
from recon.rails.flags.plan import load_flag_plan
from recon.simulation import generate_world, write_world
from tests.support.flagworld import ENV, json_reply, serve

SECRETS = "REQUEST_NETWORK_API_KEY=k3y-rn\nREQUEST_NETWORK_WEBHOOK_SECRET=k3y-wh\nSHKEEPER_API_URL=http://sk\n"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RECON_OPERATOR", "ada")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(generate_world(payments=150, seed=3), folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, world: Path) -> Path:
    configured(tmp_path, world)
    (tmp_path / ".env").write_text(ENV + SECRETS)
    return tmp_path


def configured(home: Path, world: Path, flags: str = 'file = ".env"', more: str = "") -> None:
    (home / "recon.toml").write_text(f'[recorded]\npath = "{world}"\n[flags]\n{flags}\n{more}')


def run(home: Path, *arguments: str, code: int | None = 0) -> Result:
    given = [*arguments, "--config", str(home / "recon.toml")]
    result = CliRunner().invoke(cli, given, prog_name="recon")
    assert "Traceback" not in result.output
    assert "pa55" not in result.output
    assert "k3y" not in result.output
    assert code is None or result.exit_code == code, result.output
    return result


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_status_says_what_is_set_and_leaves_with_1_on_a_contradiction(home: Path) -> None:
    assert "New payments go to request_network and shkeeper" in run(home, "flags", "status").stdout
    (home / ".env").write_text(ENV.replace("ENABLED=true", "ENABLED=false") + "PAYMENT_PROVIDER_MODE=live\n")
    result = run(home, "flags", "status", code=1)
    assert "REQUEST_NETWORK_ENABLED switches it off" in result.stdout
    assert "PAYMENT_PROVIDER_MODE is set 2 times, on lines 6, 9" in result.stdout


def test_without_a_flag_file_one_sentence_says_where_to_name_it(home: Path, world: Path) -> None:
    configured(home, world, flags="")
    assert "[flags] file is not set" in run(home, "flags", "status", code=2).stderr


def test_a_rollback_is_planned_applied_and_taken_back(home: Path) -> None:
    before = (home / ".env").read_bytes()
    planned = run(home, "flags", "rollback", "--recipe", "incident", "--out", str(home / "rb.json"))
    plan = load_flag_plan(home / "rb.json")
    assert (
        f"Nothing has changed. To do it: recon flags apply {home / 'rb.json'} --digest {plan.digest}" in planned.stdout
    )
    assert "Blast radius on request_network" in planned.stdout
    assert (home / ".env").read_bytes() == before
    refused = run(home, "flags", "apply", str(home / "rb.json"), "--digest", "0" * 64, code=3)
    assert "not the one given" in refused.stderr
    applied = run(home, "flags", "apply", str(home / "rb.json"), "--digest", plan.digest, code=1)
    assert "no probe of the running backend is configured" in applied.stdout
    assert b"REQUEST_NETWORK_ENABLED=false # since May" in (home / ".env").read_bytes()
    journal = FlagJournal(home / "recon-out" / FILE_NAME)
    assert journal.read()[0].body["by"] == "ada"
    name = journal.read()[0].run
    assert name in run(home, "flags", "status").stdout
    undone = run(home, "flags", "undo", name, "--out", str(home / "undo.json"))
    assert "Nothing has changed. To do it:" in undone.stdout
    run(home, "flags", "apply", str(home / "undo.json"), "--digest", load_flag_plan(home / "undo.json").digest, code=1)
    assert (home / ".env").read_bytes() == before


def test_a_plan_as_json_is_the_plan_file(home: Path) -> None:
    result = run(
        home, "flags", "rollback", "--recipe", "cutoff", "--no-blast", "--out", str(home / "p"), "--format", "json"
    )
    assert result.stdout == (home / "p").read_text()
    assert as_json(result)["blast"] is None


def test_a_backend_that_shows_the_new_flags_ends_with_0(home: Path, world: Path) -> None:
    shown = {
        "rn": "false",
        "list": "shkeeper",
        "rollback": "shkeeper",
        "default": "shkeeper",
        "reconciles": "false",
        "mode": "live",
    }
    with serve({"/config": json_reply(shown)}) as rails:
        flags = f"""file = ".env"
restart = ["true"]
[[flags.readback]]
url = "{rails.url}/config"
[flags.readback.values]
REQUEST_NETWORK_ENABLED = "rn"
PAYMENT_ENABLED_PROVIDERS = "list"
PAYMENT_ROLLBACK_PROVIDER = "rollback"
PAYMENT_DEFAULT_PROVIDER = "default"
PAYMENT_RECONCILIATION_ENABLED = "reconciles"
PAYMENT_PROVIDER_MODE = "mode"
[flags.checkout.request_network]
url = "{rails.url}/api/payment/request-network/intents"
"""
        configured(home, world, flags=flags)
        run(home, "flags", "rollback", "--recipe", "incident", "--no-blast", "--out", str(home / "rb.json"))
        digest = load_flag_plan(home / "rb.json").digest
        result = run(home, "flags", "apply", str(home / "rb.json"), "--digest", digest, "--restart")
    assert "the command ended well" in result.stdout
    assert "unconfirmed" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("flags", "rollback", "--recipe", "panic"), 2, "known are incident"),
        (("flags", "rollback", "--recipe", "incident", "--sick", "paypal"), 2, "no rail that is known"),
        (("flags", "undo", "flags-nothing"), 2, "No run 'flags-nothing'"),
        (("gates", "enable", "paypal"), 2, "no rail that is known"),
        (("sample", "--provider", "shkeeper"), 2, "There is no plan to draw from"),
        (("sample",), 2, "Name the rail with --provider"),
        (("drain", "--provider", "paypal"), 2, "no rail that is known"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(home: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = run(home, *arguments, code=code)
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_rail_that_is_down_refuses_the_plan(home: Path, world: Path) -> None:
    with serve({"/": (200, "text/html", "<html>login</html>")}) as rails:
        configured(home, world, flags=f'file = ".env"\n[flags.health.shkeeper]\nurl = "{rails.url}/"\n')
        result = run(home, "flags", "rollback", "--recipe", "incident", "--no-blast", code=3)
    assert "HTTP 200 with HTML" in result.stderr
    assert "nothing was changed" in result.stderr
    assert not (home / "recon-out").exists()


COMPOSE = "services:\n  backend:\n    environment:\n      REQUEST_NETWORK_ENABLED: 'true'\n"


def test_a_compose_file_gives_a_patch_and_is_never_written(home: Path, world: Path) -> None:
    (home / "compose.yaml").write_text(COMPOSE)
    configured(home, world, flags='kind = "compose"\nfile = "compose.yaml"')
    result = run(home, "flags", "rollback", "--recipe", "incident")
    assert "-      REQUEST_NETWORK_ENABLED: 'true'\n+      REQUEST_NETWORK_ENABLED: 'false'\n" in result.stdout
    assert "Nothing has changed. To do it: apply the patch" in result.stderr
    assert (home / "compose.yaml").read_text() == COMPOSE
    run(home, "flags", "status", code=4)
    assert "never writes" in run(home, "flags", "undo", "x", code=2).stderr


def test_a_configmap_gives_a_patch(home: Path, world: Path) -> None:
    text = "kind: ConfigMap\nmetadata:\n  name: payments\ndata:\n  PAYMENT_PROVIDER_MODE: live\n"
    (home / "map.yaml").write_text(text)
    configured(home, world, flags='kind = "configmap"\nfile = "map.yaml"')
    result = run(home, "flags", "rollback", "--recipe", "read-only")
    assert "+  PAYMENT_PROVIDER_MODE: read-only" in result.stdout
    assert (home / "map.yaml").read_text() == text


def test_gates_and_the_sample_of_a_recorded_world(home: Path) -> None:
    run(home, "plan", code=None)
    rollback = run(home, "gates", "rollback", "--format", "json", code=4)
    assert "decision" in rollback.stdout
    drawn = home / "sample.json"
    run(home, "sample", "--provider", "rn", "--size", "10", "--seed", "7", "--out", str(drawn))
    for name in ("Ada", "Grace"):
        run(home, "sample", "sign", str(drawn), "--right", "all", "--by", name)
    assert (
        "must be another person"
        in run(home, "sample", "sign", str(drawn), "--right", "all", "--by", "ADA", code=3).stderr
    )
    judged = run(home, "gates", "enable", "rn", "--sample", str(drawn), "--format", "csv", code=3)
    rows = {line.split(",")[0]: line.split(",")[1] for line in judged.stdout.splitlines()[1:]}
    assert rows["manual_sample"] == "pass"
    assert rows["health_checks"] == "NOT MEASURABLE"


def test_enable_plans_and_refuses_until_its_phrase_is_typed(home: Path) -> None:
    (home / ".env").write_text(ENV.replace("ENABLED=true", "ENABLED=false").replace("request.network,", ""))
    out = home / "enable.json"
    refused = run(home, "flags", "enable", "request_network", "--out", str(out), code=3)
    plan = load_flag_plan(out)
    assert f'--override "{plan.phrase}"' in refused.stderr
    digest = ("--digest", plan.digest)
    run(home, "flags", "apply", str(out), *digest, code=3)
    run(home, "flags", "apply", str(out), *digest, "--override", plan.phrase, code=3)
    run(home, "flags", "apply", str(out), *digest, "--override", plan.phrase, "--reason", "agreed", code=1)
    assert "ENABLED_PROVIDERS='shkeeper,request.network'" in (home / ".env").read_text()


def test_a_health_check_is_recorded(home: Path, world: Path) -> None:
    assert (
        "CANNOT TELL, backend: no probe of the running backend"
        in run(home, "gates", "check", "shkeeper", code=4).stderr
    )
    with serve({"/health": json_reply({"status": "ok"})}) as rails:
        configured(home, world, flags=f'file = ".env"\n[[flags.readback]]\nurl = "{rails.url}/health"\n')
        assert "shkeeper: well" in run(home, "gates", "check", "shkeeper").stderr


def test_preflight_says_what_is_missing_and_leaves_with_4_while_something_is_not_measured(home: Path) -> None:
    result = run(home, "preflight", code=4)
    assert "SHKEEPER_API_KEY, SHKEEPER_WEBHOOK_SECRET not set" in result.stdout
    assert "a recorded world has none" in result.stdout
    (home / ".env").write_text("SHKEEPER_FORCE_PAYOUT_DEMO=true\n")
    assert "NO PAYOUT IS REAL" in run(home, "preflight", code=4).stdout


def test_delivery_records_are_read_in_whatever_form_they_were_kept_if_whole(home: Path) -> None:
    path = home / "kept.jsonl"
    good = {"webhookId": "w1", "source": "request-network", "receivedAt": "2026-11-18T12:00:00Z", "statusCode": 200}
    path.write_text(json.dumps(good | {"requestId": "01" + "ab" * 32, "signatureValid": True}) + "\n")
    rows = run(home, "gates", "enable", "rn", "--deliveries", str(path), "--format", "csv", code=4).stdout.splitlines()
    assert any(row.startswith("webhook_verification,pass") for row in rows)
    path.write_text(path.read_text() + json.dumps({"requestId": "01" + "cd" * 32}) + "\n")
    assert "no time or no provider" in run(home, "gates", "enable", "rn", "--deliveries", str(path), code=3).stderr


def test_drain_counts_once_in_a_world_where_time_stands_still(home: Path) -> None:
    result = run(home, "drain", "--provider", "shkeeper", code=1)
    assert "time is over" in result.stdout
    assert "stuck" in result.stderr


def test_the_database_may_be_down_when_a_rail_is_rolled_back(home: Path) -> None:
    (home / "recon.toml").write_text('[flags]\nfile = ".env"\n')
    result = run(home, "flags", "rollback", "--recipe", "read-only")
    assert "The blast radius was not measured: RECON_MONGO_URI is not set" in result.stderr
    assert "not measured" in result.stdout


BACKTICKS = """\
NODE_ENV=production
BANNER=`first
"second" it's
third`
REQUEST_NETWORK_ENABLED=true
PAYMENT_ENABLED_PROVIDERS=request_network,shkeeper
PAYMENT_PROVIDER_MODE=live
"""
COLON = "NODE_ENV=production\nREQUEST_NETWORK_ENABLED: true\nPAYMENT_ENABLED_PROVIDERS: request_network,shkeeper\n"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("NODE_ENV=production\n", 4, "PAYMENT_ENABLED_PROVIDERS is not set here"),
        (COLON, 4, "npm-dotenv and compose read 'request_network,shkeeper', python-dotenv has no value"),
        ("PAYMENT_ENABLED_PROVIDERS=shkeeper\0\n", 4, "it holds NUL bytes"),
        ("PAYMENT_ENABLED_PROVIDERS=request_network\n", 4, "its REQUEST_NETWORK_ENABLED is not set here"),
        (BACKTICKS, 0, "New payments go to request_network and shkeeper"),
    ],
)
def test_what_cannot_be_told_is_never_no_rail(home: Path, text: str, code: int, says: str) -> None:
    (home / ".env").write_text(text)
    result = run(home, "flags", "status", code=code)
    assert says in " ".join(result.stdout.split())
    assert "No rail takes new payments" not in result.stdout
    if code:
        assert f"looked at {home / '.env'}" in " ".join(result.stdout.split())
        facts = as_json(run(home, "flags", "status", "--format", "json", code=4))["facts"]
        assert facts["rails"] == "cannot tell"


def test_the_named_reader_settles_it_and_the_difference_is_named(home: Path, world: Path) -> None:
    (home / ".env").write_text(COLON)
    configured(home, world, flags='file = ".env"\nreader = "npm-dotenv"')
    said = " ".join(run(home, "flags", "status").stdout.split())
    assert "New payments go to request_network and shkeeper" in said
    assert "REQUEST_NETWORK_ENABLED is read as npm-dotenv reads it; python-dotenv has no value." in said


def test_backticks_over_lines_hinder_no_rollback_and_nothing_stays_beside_the_file(home: Path) -> None:
    (home / "flags").mkdir()
    place = home / "flags" / "backend.env"
    place.write_text(BACKTICKS)
    place.chmod(0o640)
    (home / "recon.toml").write_text((home / "recon.toml").read_text().replace('".env"', '"flags/backend.env"'))
    run(home, "flags", "rollback", "--recipe", "incident", "--no-blast", "--out", str(home / "rb.json"))
    digest = load_flag_plan(home / "rb.json").digest
    run(home, "flags", "apply", str(home / "rb.json"), "--digest", digest, code=1)
    assert "REQUEST_NETWORK_ENABLED=false\n" in place.read_text()
    assert place.read_text().startswith(BACKTICKS.split("REQUEST", maxsplit=1)[0])
    assert place.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in place.parent.iterdir()] == ["backend.env"]
    name = FlagJournal(home / "recon-out" / FILE_NAME).read()[0].run
    run(home, "flags", "undo", name, "--out", str(home / "undo.json"))
    run(home, "flags", "apply", str(home / "undo.json"), "--digest", load_flag_plan(home / "undo.json").digest, code=1)
    assert place.read_text() == BACKTICKS
    assert [each.name for each in place.parent.iterdir()] == ["backend.env"]


def test_what_a_restart_prints_leaves_the_result_whole_and_its_secrets_unkept(home: Path, world: Path) -> None:
    noise = (
        f"import sys; print('{{noise'); print(chr(27) + open('{home / '.env'}').read(), file=sys.stderr); sys.exit(3)"
    )
    configured(home, world, flags=f'file = ".env"\nrestart = ["{sys.executable}", "-c", "{noise}"]')
    run(home, "flags", "rollback", "--recipe", "read-only", "--no-blast", "--out", str(home / "rb.json"))
    plan = load_flag_plan(home / "rb.json")
    arguments = ("flags", "apply", str(home / "rb.json"), "--digest", plan.digest, "--restart", "--format", "json")
    result = as_json(run(home, *arguments, code=1))
    assert result["facts"]["restart"].startswith("the command ended with 3 after")
    body = next(e.body for e in FlagJournal(home / "recon-out" / FILE_NAME).read() if e.kind == "restart")
    assert body["exit_code"] == 3
    assert "{noise" in body["output"]
    assert "REQUEST_NETWORK_API_KEY=(hidden)" in body["output"]
    kept = (home / "recon-out" / FILE_NAME).read_text()
    assert "k3y" not in kept
    assert "pa55" not in kept


@pytest.mark.parametrize("restart", ["", 'restart = ["no-such-program-here"]'])
def test_a_restart_that_cannot_be_run_changes_nothing(home: Path, world: Path, restart: str) -> None:
    before = (home / ".env").read_bytes()
    configured(home, world, flags=f'file = ".env"\n{restart}')
    run(home, "flags", "rollback", "--recipe", "read-only", "--no-blast", "--out", str(home / "rb.json"))
    plan = load_flag_plan(home / "rb.json")
    arguments = ("flags", "apply", str(home / "rb.json"), "--digest", plan.digest, "--restart")
    assert "nothing was changed" in run(home, *arguments, code=3 if restart else 2).stderr
    assert (home / ".env").read_bytes() == before


SEALED = (
    "REQUEST_NETWORK_ENABLED=ENC[AES256_GCM,data:AAAA,type:str]\nsops_mac=ENC[AES256_GCM,data:x]\nsops_version=3.9.0\n"
)


def test_a_file_sealed_by_sops_is_refused_by_name_and_stays(home: Path) -> None:
    (home / ".env").write_text(SEALED)
    assert "it is sealed by SOPS" in " ".join(run(home, "flags", "status", code=4).stdout.split())
    said = run(home, "flags", "rollback", "--recipe", "incident", "--no-blast", code=3).stderr
    assert "the file is sealed by SOPS" in said
    assert "sops set " in said
    assert (home / ".env").read_text() == SEALED
