"""Two people and a job, each with a real key: a plan on a real server, signed, approved and applied by commands."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import recon
from recon.cli import cli
from recon.rails.flags.plan import load_flag_plan, save_flag_plan, seal_flag_plan
from recon.simulation import generate_world, plant_world, write_world
from tests.support import servers
from tests.support.keys import Keys, agent_with
from tests.support.living import moved, serving, write_live_config

if TYPE_CHECKING:
    from pymongo.database import Database

POLICY = '[approvals]\napprovals_min = 2\nauthor_may_approve = false\nallowed_signers = "keys/allowed_signers"\n'


@dataclass(frozen=True)
class Office:
    """A marketplace, its configuration, and the keys of the people who look after it."""

    folder: Path
    keys: Keys

    def run(self, *arguments: object, code: int) -> Result:
        given = [*map(str, arguments), "--config", str(self.folder / "recon.toml")]
        result = CliRunner().invoke(cli, given, prog_name="recon")
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        return result


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mongod: servers.Mongod,
    mongo_database: Database[dict[str, Any]],
) -> Iterator[Office]:
    world = moved(plant_world(*["webhook_lost"] * 3, *["equal_amounts"] * 20, seed=2), dt.datetime.now(tz=dt.UTC))
    mongo_database["payments"].insert_many([dict(document) for document in world.recorded.payments])
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    for name in ("RECON_REQUEST_NETWORK_API_KEY", "RECON_SHKEEPER_API_KEY"):
        monkeypatch.setenv(name, "k")
    monkeypatch.setenv("RECON_OPERATOR", "The Same Login")
    with serving(world) as addresses:
        path = write_live_config(tmp_path, world, addresses, database=mongo_database.name)
        (tmp_path / "keys").mkdir()
        keys = Keys(tmp_path / "keys")
        for name in ("job", "ada", "ben", "left"):
            keys.person(name)
        keys.revoke(keys.folder / "left")
        path.write_text(path.read_text() + POLICY + 'revoked_signers = "keys/revoked"\n')
        yield Office(tmp_path, keys)


def test_a_plan_is_applied_once_two_people_have_signed_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, keys, plan = office.folder, office.keys.folder, office.folder / "plan.json"
    with monkeypatch.context() as patch:
        patch.setenv("RECON_APPROVALS__SIGNING_KEY", str(keys / "job"))
        office.run("plan", "--out", plan, code=1)
    digest = ("--digest", json.loads(plan.read_text())["digest"])
    assert "needs 2 approvals" in office.run("apply", plan, *digest, code=3).stderr
    # The author, a person who left and no key at all are of no use; one person is one, under any name.
    office.run("approve", plan, "--reason", "mine", "--key", keys / "job", code=0)
    assert "takes back" in office.run("approve", plan, "--reason", "x", "--key", keys / "left", code=3).stderr
    assert "no key is named" in office.run("approve", plan, "--reason", "x", code=3).stderr
    said = office.run("approve", plan, "--reason", "looked", "--key", keys / "ada", code=0).stderr
    assert "ada@example.org (key SHA256:" in said
    assert "claims" not in said
    with monkeypatch.context() as patch:
        patch.setenv("RECON_OPERATOR", "Grace Hopper")
        assert "already recorded" in office.run("approve", plan, "--reason", "x", "--key", keys / "ada", code=3).stderr
    refused = office.run("apply", plan, *digest, code=3).stderr
    assert "ada@example.org" in refused
    assert "job@example.org" in refused
    assert "is its author" in refused
    with agent_with(keys / "ben"):
        office.run("approve", plan, "--reason", "looked", "--key", keys / "ben.pub", code=0)
    facts = json.loads(office.run("apply", plan, *digest, "--format", "json", code=0).stdout)["facts"]
    assert facts["applied"] == "3"
    shown = office.run("apply", plan, *digest, code=0).stdout
    for name in ("ada@example.org", "ben@example.org", "job@example.org"):
        assert name in " ".join(shown.split())
    # The approvals of the one plan are none of its undo, which changes the same rows back.
    undo = folder / "undo.json"
    office.run("undo", facts["run"], "--out", undo, code=0)
    refused = office.run("apply", undo, "--digest", json.loads(undo.read_text())["digest"], code=3).stderr
    assert "nobody approved it" in refused


def test_doctor_checks_keys_agent_and_files(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = office.keys

    def decisions(code: int = 0) -> list[tuple[str, str]]:
        rows = json.loads(office.run("doctor", "--format", "json", code=code).stdout)["checks"]
        return [(row["state"], row["says"]) for row in rows if row["check"] == "decisions"]

    assert any("names 4 signers" in says for _, says in decisions())
    monkeypatch.setenv("RECON_APPROVALS__SIGNING_KEY", str(keys.folder / "ada"))
    assert any(state == "ok" and "signs as ada@example.org" in says for state, says in decisions())
    monkeypatch.setenv("RECON_APPROVALS__SIGNING_KEY", str(keys.folder / "left"))
    assert any(state == "failed" and "takes back" in says for state, says in decisions(2))
    (keys.folder / "ada").rename(keys.folder / "away")
    monkeypatch.setenv("RECON_APPROVALS__SIGNING_KEY", str(keys.folder / "ada.pub"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert any(state == "failed" and "no agent runs" in says for state, says in decisions(2))
    with agent_with(keys.folder / "ben"):
        assert any("the agent does not hold it" in says for _, says in decisions(2))
    with agent_with(keys.folder / "away"):
        assert any("signs as ada@example.org" in says for _, says in decisions())
    keys.allowed.chmod(0o666)
    assert any(state == "warning" and "written by others" in says for state, says in decisions(2))
    keys.allow("*@example.org", keys.make("odd"), options="")
    said = " ".join(says for _, says in decisions(2))
    assert "No namespaces=" in said
    assert "is a pattern" in said
    keys.allowed.unlink()
    assert any(state == "failed" and "cannot be read" in says for state, says in decisions(2))


@pytest.fixture
def rails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A recorded world with flags, of which a sample can be drawn."""
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    write_world(generate_world(payments=150, seed=3), tmp_path / "world")
    keys = Keys(tmp_path / "keys")
    keys.folder.mkdir()
    for name in ("ada", "ben"):
        keys.person(name)
    (tmp_path / ".env").write_text("REQUEST_NETWORK_ENABLED=false\nPAYMENT_ENABLED_PROVIDERS='shkeeper'\n")
    (tmp_path / "recon.toml").write_text('[recorded]\npath = "world"\n[flags]\nfile = ".env"\n')
    return Office(tmp_path, keys)


def test_gates_and_flags_say_who_stands_behind_a_sample(rails: Office) -> None:
    drawn, config = rails.folder / "sample.json", rails.folder / "recon.toml"
    CliRunner().invoke(cli, ["plan", "--config", str(config)], prog_name="recon")
    rails.run("sample", "--provider", "rn", "--size", "10", "--out", drawn, code=0)

    def gate(code: int = 3) -> dict[str, str]:
        rows = json.loads(rails.run("gates", "enable", "rn", "--sample", drawn, "--format", "json", code=code).stdout)
        found: dict[str, str] = next(row for row in rows["gates"] if row["gate"] == "manual_sample")
        return found

    shown = rails.run("sample", "sign", drawn, "--right", "all", "--by", "Ada", code=0).stdout
    assert "Names are claims" in shown
    rails.run("sample", "sign", drawn, "--right", "all", "--by", "Ben", code=0)
    assert gate()["outcome"] == "pass"
    assert "a name is a claim" in gate()["evidence"]
    config.write_text(config.read_text() + '[approvals]\nallowed_signers = "keys/allowed_signers"\n')
    assert gate()["outcome"] == "FAIL"
    assert "it is not signed" in gate()["evidence"]
    for name, by in (("ada", "Ada"), ("ben", "Ada")):
        key = rails.keys.folder / name
        rails.run("sample", "sign", drawn, "--right", "all", "--by", by, "--key", key, code=0)
        assert "signed this sample already" in rails.run(
            "sample", "sign", drawn, "--right", "all", "--by", "Cora", "--key", key, code=3
        ).stderr  # fmt: skip
    assert gate()["outcome"] == "pass"
    assert "ada@example.org" in gate()["evidence"]
    enable = ("flags", "enable", "rn", "--sample", drawn, "--key", rails.keys.folder / "ben", "--out")
    out = rails.folder / "enable.json"
    rails.run(*enable, out, code=3)
    plan = load_flag_plan(out)
    consent = ("--digest", plan.digest, "--override", plan.phrase, "--reason", "agreed")
    # Without a key that counts nobody applies, and nothing is written.
    flags = rails.folder / ".env"
    before = flags.read_bytes()
    assert "no key is named" in rails.run("flags", "apply", out, *consent, code=3).stderr
    stranger = rails.keys.make("stranger")
    assert "gives to nobody" in rails.run("flags", "apply", out, *consent, "--key", stranger, code=3).stderr
    assert flags.read_bytes() == before
    ada = ("--key", rails.keys.folder / "ada")
    applied = " ".join(rails.run("flags", "apply", out, *consent, *ada, code=1).stdout.split())
    assert "made by ben@example.org" in applied
    assert "ben@example.org (key SHA256:" in applied
    assert "applied by ada@example.org" in applied
    assert "claim" not in applied.partition("Read back")[0]
    (intent,) = [entry.body for entry in recon.flags.status(config).entries if entry.kind == "intent"]
    assert intent["consent"]["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    assert (intent["consent"]["plan"], intent["consent"]["override"]) == (plan.digest, plan.phrase)


def test_the_sample_behind_a_flag_plan_is_judged_again(rails: Office) -> None:
    drawn, config = rails.folder / "sample.json", rails.folder / "recon.toml"
    config.write_text(config.read_text() + '[approvals]\nallowed_signers = "keys/allowed_signers"\n')
    CliRunner().invoke(cli, ["plan", "--config", str(config)], prog_name="recon")
    rails.run("sample", "--provider", "rn", "--size", "10", "--out", drawn, code=0)
    for name in ("ada", "ben"):
        key = rails.keys.folder / name
        rails.run("sample", "sign", drawn, "--right", "all", "--by", name, "--key", key, code=0)
    out, before = rails.folder / "enable.json", (rails.folder / ".env").read_bytes()
    rails.run("flags", "enable", "rn", "--sample", drawn, "--key", rails.keys.folder / "ada", "--out", out, code=3)
    plan = load_flag_plan(out)
    assert "manual_sample" not in plan.blocked_by

    def refused(says: str) -> None:
        consent = ("--digest", plan.digest, "--override", plan.phrase, "--reason", "agreed")
        said = rails.run("flags", "apply", out, *consent, "--key", rails.keys.folder / "ada", code=3).stderr
        assert "no longer holds" in said
        assert says in said
        assert (rails.folder / ".env").read_bytes() == before

    kept = config.read_text()
    rails.keys.revoke(rails.keys.folder / "ben")
    config.write_text(kept + 'revoked_signers = "keys/revoked"\n')
    refused("1 of 2 different operators have signed")
    config.write_text(kept)
    (sign,) = [path for path in rails.folder.glob("sample.signed-*") if '"ben"' in path.read_text()]
    text = sign.read_text()
    sign.write_text(text.replace('"right"', '"wrong"', 1))
    refused("changed after it was signed")
    sign.unlink()
    refused("1 of 2 different operators have signed")
    sign.write_text(text)
    sample = drawn.read_text()
    drawn.unlink()
    refused("cannot be looked at")
    rails.run("sample", "--provider", "rn", "--size", "10", "--seed", "2", "--out", drawn, code=0)
    refused("another sample")
    drawn.write_text(sample)
    for gates in ([], [gate for gate in plan.gates if gate["name"] != "manual_sample"]):
        forged = seal_flag_plan(replace(plan, gates=tuple(gates), sample=None, sample_digest=None))
        save_flag_plan(forged, place := rails.folder / f"forged-{len(gates)}.json")
        consent = ("--digest", forged.digest, "--override", forged.phrase, "--reason", "agreed")
        said = rails.run("flags", "apply", place, *consent, "--key", rails.keys.folder / "ada", code=3).stderr
        assert "does not say which file" in said
    consent = ("--digest", plan.digest, "--override", plan.phrase, "--reason", "agreed")
    rails.run("flags", "apply", out, *consent, "--key", rails.keys.folder / "ada", code=1)


def test_a_flag_plan_is_approved_by_people_who_sign(rails: Office) -> None:
    config, out = rails.folder / "recon.toml", rails.folder / "back.json"
    policy = '[approvals]\nflags_min = 1\nauthor_may_approve = false\nallowed_signers = "keys/allowed_signers"\n'
    config.write_text(config.read_text() + policy)
    ada, ben = (("--key", rails.keys.folder / name) for name in ("ada", "ben"))
    rollback = ("flags", "rollback", "--recipe", "read-only", "--no-blast")
    rails.run(*rollback, *ada, "--out", out, code=0)
    apply = ("flags", "apply", out, "--digest", load_flag_plan(out).digest, *ada)
    assert "needs 1 approval" in rails.run(*apply, code=3).stderr
    rails.run("approve", out, "--reason", "mine", *ada, code=0)
    assert "is its author" in rails.run(*apply, code=3).stderr
    assert load_flag_plan(out).digest in rails.run("show", out, code=0).stdout
    rails.run("approve", out, "--reason", "looked", *ben, code=0)
    other = rails.folder / "other.json"
    rails.run(*rollback, "--sick", "shkeeper", *ada, "--out", other, code=0)
    said = rails.run("flags", "apply", other, "--digest", load_flag_plan(other).digest, *ada, code=3).stderr
    assert "needs 1 approval" in said
    applied = " ".join(rails.run(*apply, code=1).stdout.split())
    assert "approved by ben@example.org" in applied
    run = recon.flags.status(config).entries[-1].run
    undo = rails.folder / "undo.json"
    rails.run("flags", "undo", run, *ben, "--out", undo, code=0)
    digest = load_flag_plan(undo).digest
    rails.run("approve", undo, "--reason", "looked", *ada, code=0)
    rails.run("flags", "apply", undo, "--digest", digest, *ben, code=1)


def test_a_name_that_looks_like_another_is_taken_nowhere(rails: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, config = rails.folder / "plan.json", ["--config", str(rails.folder / "recon.toml")]
    CliRunner().invoke(cli, ["plan", "--out", str(plan), *config], prog_name="recon")
    rails.run("sample", "--provider", "rn", "--size", "3", "--out", rails.folder / "sample.json", code=0)
    digest = json.loads(plan.read_text())["digest"]
    before = sorted(path for path in rails.folder.rglob("*") if path.is_file())
    signs = ("sample", "sign", rails.folder / "sample.json", "--right", "all")
    for name in ("\u0430da", "a\u200bda", "ad\u0430", "Ada\ufe0f", "\U0001d41ada", "ada\u00a0b"):
        monkeypatch.setenv("RECON_OPERATOR", "ada")
        rails.run(*signs, "--by", name, code=2)
        monkeypatch.setenv("RECON_OPERATOR", name)
        for line in (
            signs,
            ("approve", plan, "--reason", "x"),
            ("apply", plan, "--digest", digest),
            ("ack", json.loads(plan.read_text())["findings"][0]["payment_id"], "--plan", plan, "--reason", "x",
             "--until", "2099-01-01"),
            ("journal", "settle", "RUN", "--payment", "x", "--written-by", "run", "--reason", "x"),
            ("flags", "rollback", "--recipe", "read-only", "--no-blast"),
        ):  # fmt: skip
            assert "may look like another person's" in rails.run(*line, code=2).stderr, (name, line)
    assert [path for path in rails.folder.rglob("*") if path.is_file() and path not in before] == []
