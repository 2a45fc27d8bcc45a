"""A signed statement says what was reconciled; anyone checks it with the public key, and a changed byte is found."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.api.attest import (
    NoAttestingKeyError,
    NobodyCountsError,
    NothingToAttestError,
    OtherArtefactError,
    PlanOfRunError,
)
from recon.cli import cli
from recon.core.canonical import canonical_json
from recon.core.model import Plan
from recon.plans.envelope import (
    PAYLOAD_TYPE,
    AttestationError,
    PublicKeyError,
    one_key,
    open_attestation,
    pre_authentication_text,
    seal_attestation,
)
from recon.plans.ssh_keys import APPROVES, ATTESTS, SigningKey
from recon.runs.apply import RunReport
from recon.simulation import generate_world, write_world
from tests.support.keys import Keys, ssh

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Signed:
    """A world with a plan, a run of it, a key, and a statement about the run."""

    config: Path
    keys: Keys
    key: Path
    plan: Plan
    ran: RunReport
    file: Path

    @property
    def public(self) -> Path:
        return self.key.with_name(f"{self.key.name}.pub")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("attest")
    write_world(generate_world(payments=60, seed=4), folder / "world")
    config, keys = folder / "world" / "recon.toml", Keys(folder)
    key = keys.make("ada")
    plan = recon.plan(config=config, out=folder / "plan.json")
    ran = recon.apply(plan, digest=plan.digest, config=config, operator="ada")
    made = recon.attest.make(ran.run, key=key, out=folder / "run.json", config=config, operator="ada")
    return Signed(config, keys, key, plan, ran, made.path)


def checked(signed: Signed, data: bytes) -> dict[str, Any]:
    with one_key(signed.public) as signers:
        return open_attestation(data, name="run.json", signers=signers, now=NOW)[0]


def test_a_statement_about_a_run_says_what_the_plan_and_the_journal_say(signed: Signed) -> None:
    found = recon.attest.verify(signed.file, public_key=signed.public)
    assert found.signer is not None
    assert found.signer.key == ssh("ssh-keygen", "-lf", signed.public).split()[1]
    said = found.statement["predicate"]
    digests = {each["name"]: each["digest"]["sha256"] for each in found.statement["subject"]}
    plan, head = signed.plan, recon.journal.head(signed.config, note=False)
    assert digests == {
        "plan": plan.digest,
        "plan effects": plan.effects_digest,
        "snapshot": plan.snapshot,
        "journal end": head.hash,
    }
    assert said["results"]["verdicts"] == plan.summary["verdicts"]
    assert said["coverage"]["read_whole"] == plan.is_read_whole
    assert len(said["coverage"]["sources"]) == len(plan.coverage)
    assert said["run"]["rows"]["applied"] == signed.ran.counts["applied"]  # type: ignore[index]
    written: Counter[str] = Counter()
    applied = {row.change for row in signed.ran.rows if row.result == "applied"}
    for change in plan.changes:
        if change.id in applied:
            written[f"{change.chain_id}:{change.token}"] += change.value_units
    assert {token: int(each["units"]) for token, each in said["run"]["written"].items()} == dict(written)
    assert not any(finding.payment_id in found.path.read_text() for finding in plan.findings)


def test_it_is_an_in_toto_statement_in_a_dsse_envelope_that_openssh_checks_alone(
    signed: Signed, tmp_path: Path
) -> None:
    envelope = json.loads(signed.file.read_text())
    payload = base64.b64decode(envelope["payload"]).decode()
    statement = json.loads(payload)
    assert envelope["payloadType"] == PAYLOAD_TYPE
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    blob = envelope["signatures"][0]["sig"]
    lines = [blob[start : start + 70] for start in range(0, len(blob), 70)]
    armour = "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])
    (tmp_path / "sig").write_text(armour)
    (tmp_path / "allowed").write_text(f"ada {signed.keys.public(signed.key)}\n")
    line = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        tmp_path / "allowed",
        "-I",
        "ada",
        "-n",
        ATTESTS,
        "-s",
        tmp_path / "sig",
    ]
    said = ssh(*line, text=f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload.encode())} {payload}")
    assert said.startswith("Good")


def test_a_changed_byte_anywhere_is_found(signed: Signed) -> None:
    data = signed.file.read_bytes()
    assert checked(signed, data)
    draw = random.Random(7)
    places = {0, 1, len(data) - 1, len(data) - 2, *(draw.randrange(len(data)) for _ in range(60))}
    places |= {data.index(b'"sig"') + 8 + draw.randrange(250) for _ in range(12)}
    for place in sorted(places):
        other = bytes([draw.choice([each for each in range(256) if each != data[place]])])
        with pytest.raises(AttestationError, match=r"run\.json"):
            checked(signed, data[:place] + other + data[place + 1 :])
    for cut in (data[:-1], data + b"\n", b"", data[1:]):
        with pytest.raises(AttestationError, match=r"run\.json"):
            checked(signed, cut)


def respelled(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def spell(data: bytes) -> bytes:
        envelope = json.loads(data)
        change(envelope)
        return f"{canonical_json(envelope)}\n".encode()

    return spell


def of_payload(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def within(envelope: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        envelope["payload"] = base64.b64encode(canonical_json(statement).encode()).decode()

    return respelled(within)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: b" " + data, "not spelled as it was written"),
        (respelled(lambda e: e.update(payloadType="text/plain")), "payload is called 'text/plain'"),
        (respelled(lambda e: e.update(signatures=[])), "exactly one signature"),
        (respelled(lambda e: e.update(signatures=e["signatures"] * 2)), "exactly one signature"),
        (respelled(lambda e: e["signatures"][0].update(keyid="SHA256:x")), "another key than it names"),
        (respelled(lambda e: e["signatures"][0].update(sig="AAAA")), "none of OpenSSH"),
        (respelled(lambda e: e.update(payload=e["payload"] + "=")), "payload"),
        (respelled(lambda e: e.update(more=1)), "no envelope"),
        (of_payload(lambda s: s["predicate"]["results"].update(payments=61)), "its signature does not hold"),
        (of_payload(lambda s: s["subject"].pop()), "its signature does not hold"),
        (of_payload(lambda s: s.update(predicateType="urn:other")), "something else than a reconciliation"),
        (of_payload(lambda s: s["predicate"].pop("made_at")), "does not say when"),
    ],
)
def test_what_was_changed_is_refused_with_what_is_wrong(
    signed: Signed, spoil: Callable[[bytes], bytes], why: str, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_bytes(spoil(signed.file.read_bytes()))
    line = ["attest", "verify", str(tmp_path / "run.json"), "--public-key", str(signed.public)]
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert result.exit_code == 3, result.output
    assert why in result.stderr
    assert "so it proves nothing" in result.stderr


def test_the_key_of_another_person_and_another_kind_of_signature_count_for_nothing(signed: Signed) -> None:
    other = signed.keys.make("ben")
    with pytest.raises(AttestationError, match="does not hold"):
        recon.attest.verify(signed.file, public_key=other.with_name("ben.pub"))
    statement = json.loads(base64.b64decode(json.loads(signed.file.read_text())["payload"]))
    sealed = json.loads(seal_attestation(statement, key=SigningKey(signed.key)))
    approval = SigningKey(signed.key).sign(pre_authentication_text(canonical_json(statement)), namespace=APPROVES)
    sealed["signatures"][0]["sig"] = base64.b64encode(base64.b64decode("".join(approval.splitlines()[1:-1]))).decode()
    with pytest.raises(AttestationError, match="does not hold"):
        checked(signed, f"{canonical_json(sealed)}\n".encode())


def test_whose_key_counts_is_what_a_file_of_signers_says(signed: Signed, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f'ada@example.org namespaces="{ATTESTS}" {signed.keys.public(signed.key)}\n')
    found = recon.attest.verify(signed.file, signers=allowed)
    assert found.signer is not None
    assert found.signer.principals == ("ada@example.org",)
    allowed.write_text(f'ada@example.org namespaces="{APPROVES}" {signed.keys.public(signed.key)}\n')
    with pytest.raises(AttestationError):
        recon.attest.verify(signed.file, signers=allowed)


def test_a_plan_and_a_snapshot_are_held_against_it(signed: Signed, tmp_path: Path) -> None:
    place = signed.file.with_name("plan.json")
    snapshot = min((signed.config.parent / "recon-out").glob("snapshot-*"))
    found = recon.attest.verify(signed.file, public_key=signed.public, plan=place, snapshot=snapshot)
    assert found.held == ("plan", "snapshot")
    recon.select(place, tiers=["auto"], out=tmp_path / "small.json", config=signed.config)
    with pytest.raises(OtherArtefactError, match="do not belong together"):
        recon.attest.verify(signed.file, public_key=signed.public, plan=tmp_path / "small.json")


def test_a_window_is_judged_and_stated(signed: Signed, tmp_path: Path) -> None:
    line = ["attest", "--from", "90d", "--key", str(signed.key), "--out", str(tmp_path / "window.json")]
    result = CliRunner().invoke(cli, [*line, "--config", str(signed.config)], prog_name="recon")
    assert result.exit_code == 0, result.output
    said = checked(signed, (tmp_path / "window.json").read_bytes())["predicate"]
    assert said["about"]["kind"] == "plan"
    assert said["about"]["window"]["from"] is not None


def test_what_cannot_be_stated_is_refused_and_nothing_is_written(signed: Signed, tmp_path: Path) -> None:
    refused: list[tuple[type[Exception], dict[str, Any]]] = [
        (NothingToAttestError, {}),
        (NothingToAttestError, {"subject": "latest", "from_at": NOW}),
        (PlanOfRunError, {"subject": signed.ran.run, "plan": _other_plan(signed, tmp_path)}),
    ]
    for error, given in refused:
        with pytest.raises(error):
            recon.attest.make(key=signed.key, out=tmp_path / "x.json", config=signed.config, **given)
    with pytest.raises(NoAttestingKeyError):
        recon.attest.make("latest", out=tmp_path / "x.json", config=signed.config)
    assert not (tmp_path / "x.json").exists()
    with pytest.raises(NobodyCountsError):
        recon.attest.verify(signed.file)
    for text in ("", "not a key", "-----BEGIN OPENSSH PRIVATE KEY-----"):
        (tmp_path / "odd.pub").write_text(text)
        with pytest.raises(PublicKeyError):
            recon.attest.verify(signed.file, public_key=tmp_path / "odd.pub")


def _other_plan(signed: Signed, folder: Path) -> Path:
    recon.select(signed.file.with_name("plan.json"), tiers=["auto"], out=folder / "other.json", config=signed.config)
    return folder / "other.json"
