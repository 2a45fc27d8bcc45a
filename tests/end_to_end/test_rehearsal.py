"""The whole incident on real parts: mongod, a real chain, provider servers, a backend process that reads the flags.

An outage begins; the gates say roll back; rollback, drain, reconcile, apply; then the gates of the way back fail one by
one until each is satisfied, and the rail is enabled again. Everything goes through the command line. Time passes by
making what is on file older, which is what waiting does to it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.core.registry import load_registry
from recon.files import ChainedLog
from recon.plans.file import load_plan
from recon.rails.flags.plan import load_flag_plan
from tests.support import backend_process, servers
from tests.support.builders import PAYER, RECIPIENT, payment_id, reference
from tests.support.onchain import Chain
from tests.support.rails import CHAIN_ID, UNITS, Marketplace, served, write_config

ENV = """\
# the backend's own settings
SHKEEPER_API_KEY=k3y-of-the-gateway
REQUEST_NETWORK_ENABLED=true # since the migration
PAYMENT_ENABLED_PROVIDERS='request.network,shkeeper'
PAYMENT_DEFAULT_PROVIDER=request.network
PAYMENT_ROLLBACK_PROVIDER=shkeeper
PAYMENT_PROVIDER_MODE=live
PAYMENT_RECONCILIATION_ENABLED=false
"""
FLAGS = [line.split("=")[0] for line in ENV.splitlines() if line.startswith(("PAYMENT_", "REQUEST_NETWORK_"))]
SECRETS = {"RECON_REQUEST_NETWORK_API_KEY": "rn-test-key", "RECON_SHKEEPER_API_KEY": "sh-test-key"}
PAID, LOST = range(1, 9), range(9, 12)
DAY = timedelta(days=1)


class Outage(Marketplace):
    """Payments that all were paid; the webhooks of the last ones never arrived."""

    def fill(self) -> Outage:
        usdc = load_registry().token(CHAIN_ID, "USDC")
        assert usdc is not None
        for number in (*PAID, *LOST):
            fee = {"fee_units": 5, "fee_to": PAYER}
            paid = self.chain.pay(usdc.address, RECIPIENT, UNITS, reference=reference(number), **fee)
            self._request(number, paid, opened=number in LOST)
        self.chain.mine(40)
        self.chain.set_next_time(max(int(time.time()) - 2, self.chain.block_time() + 1))
        self.chain.mine()
        return self


@dataclass
class Incident:
    """One rehearsal: its folder, and the command line as somebody on call uses it (in this process, for speed)."""

    folder: Path

    def run(self, *arguments: str, code: int = 0, by: str = "ada") -> Result:
        ran = CliRunner().invoke(cli, list(arguments), prog_name="recon", env={"RECON_OPERATOR": by})
        assert ran.exit_code == code, f"{arguments}: {ran.exit_code}\n{ran.stdout}\n{ran.stderr}"
        assert "k3y-of" not in ran.stdout + ran.stderr
        return ran

    @property
    def env(self) -> str:
        return (self.folder / ".env").read_text()

    def deliver(self, *, failed: int, dead: int) -> None:
        """Write what the web server's log and the dead letters say of the last hours."""
        now = int(time.time() * 1000)
        rows = [{"received_at": now - minutes * 60_000} for minutes in range(30, 3000, 30)]
        rows += [
            {"received_at": now - 60_000 * n, "http_status": 401, "signature_valid": False}
            for n in range(1, failed + 1)
        ]
        rows += [{"received_at": now - 3_600_000, "dead_letter": True} for _ in range(dead)]
        usual = {"provider": "request.network", "http_status": 202, "signature_valid": True, "dead_letter": False}
        lines = [{"coverage": {"from": now - 3 * 86_400_000, "to": now}}]
        lines += [{"delivery_id": f"d{number}", **usual, **row} for number, row in enumerate(rows)]
        (self.folder / "deliveries.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def wait(self, span: timedelta) -> None:
        """Let time pass: everything that is on file becomes older."""
        for name in ("history.ndjson", "health-checks.ndjson"):
            path = self.folder / "out" / name
            if path.exists():
                older = re.sub(
                    r'"(at|from|to)": ?"([^"]+)"', lambda m: f'"{m[1]}":"{_older(m[2], span)}"', path.read_text()
                )
                path.unlink()
                for line in older.splitlines():  # each names the one before it, as it is now
                    ChainedLog(path).add(
                        {name: value for name, value in json.loads(line).items() if name not in ("prev", "seal")}
                    )
        path = self.folder / "deliveries.ndjson"
        earlier = int(span / timedelta(milliseconds=1))
        now = int(time.time() * 1000)
        text = re.sub(r'"(received_at|from)": (\d+)', lambda m: f'"{m[1]}": {int(m[2]) - earlier}', path.read_text())
        path.write_text(re.sub(r'"to": \d+', f'"to": {now}', text))

    def blocking(self, *more: str, code: int = 3) -> set[str]:
        """Which gates do not pass; where none of them fails, and some could not be measured, ``code`` is 4."""
        given = ("gates", "enable", "request_network", "--deliveries", "deliveries.ndjson", *more, "--format", "csv")
        rows = [line.split(",") for line in self.run(*given, code=code).stdout.splitlines()[1:]]
        return {row[0] for row in rows if row[1] != "pass"}

    def plan(self, *, code: int) -> Path:
        """A dry run of everything; gives the plan file."""
        self.run("plan", code=code)
        return max((self.folder / "out").glob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)


def _older(text: str, span: timedelta) -> str:
    return (datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) - span).isoformat()


def configuration(*, network: str, shkeeper: str, backend: str, restart: list[str]) -> str:
    values = ", ".join(f'{flag} = "flags.{flag}"' for flag in FLAGS)
    return f"""
[flags]
file = ".env"
restart = {json.dumps(restart)}
readback = [{{ url = "{backend}/health", name = "health" }}, {{ url = "{backend}/config", values = {{ {values} }} }}]
checkout = {{ request_network = {{ url = "{backend}{backend_process.CHECKOUT}" }} }}
[flags.health.request_network]
url = "{network}/v2/payments?walletAddress={RECIPIENT}&limit=1"
headers = {{ x-api-key = "${{RECON_REQUEST_NETWORK_API_KEY}}" }}
[flags.health.shkeeper]
url = "{shkeeper}/api/v1/invoices"
headers = {{ x-shkeeper-api-key = "${{RECON_SHKEEPER_API_KEY}}" }}
expect = {{ status = "success" }}
[gates]
webhook_burst_failures_max = 3
chain_mismatch_percent_max = "1"
samples_min = 10
health_check_gap_s = 0
"""


@pytest.fixture
def market() -> Iterator[Outage]:
    anvil = servers.start_anvil(CHAIN_ID, number=70_000_000, timestamp=int(time.time()) - 3_000)
    with Chain(anvil, block_s=3) as chain:
        chain.deploy_proxy()
        chain.deploy_known_tokens()
        yield Outage(chain).fill()
    anvil.stop()


@pytest.fixture
def incident(
    market: Outage, mongod: servers.Mongod, mongo_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Incident]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECON_MONGO_URI", mongod.uri)
    monkeypatch.chdir(tmp_path)
    mongo_database.payments.insert_many(market.documents)
    port, pid_file = servers.free_port(), tmp_path / "backend.pid"
    (tmp_path / ".env").write_text(ENV)
    restart = [
        sys.executable,
        str(Path(backend_process.__file__)),
        "restart",
        str(tmp_path / ".env"),
        str(port),
        str(pid_file),
    ]
    with served(market) as (network, shkeeper):
        config = write_config(
            tmp_path,
            chain_url=market.chain.url,
            request_network=network,
            shkeeper=shkeeper,
            database=mongo_database.name,
        )
        backend = f"http://127.0.0.1:{port}"
        config.write_text(
            config.read_text() + configuration(network=network, shkeeper=shkeeper, backend=backend, restart=restart)
        )
        subprocess.run(restart, check=True, timeout=60)
        try:
            yield Incident(tmp_path)
        finally:
            backend_process.stop(pid_file)


def test_an_outage_from_the_first_failure_to_the_rail_enabled_again(incident: Incident, market: Outage) -> None:
    run, deliveries = incident.run, ("--deliveries", "deliveries.ndjson")
    assert "New payments go to request_network and shkeeper" in run("flags", "status").stdout

    # The outage begins: webhooks fail in a burst, and payments that were made stay pending.
    incident.deliver(failed=6, dead=2)
    incident.plan(code=1)
    judged = run("gates", "rollback", "request_network", *deliveries, code=3)
    assert "ROLL BACK" in judged.stdout
    assert "webhook_burst over the limit" in judged.stdout

    # The first notification, with what was lost since and nothing else.
    texts = ("report", "incident", "--title", "webhooks refused", "--began", "24h", *deliveries)
    for rail, lost, said in (("request.network", 3, "2;"), ("shkeeper", 0, "cannot tell: no record of a delivery")):
        told = run(*texts[:2], "notification", *texts[2:], "--rail", rail, code=4).stdout
        assert f"- Payments affected: {lost} (" in told
        assert f"Which captured deliveries are to be replayed? {said}" in told
    assert "of them outside this incident 3 (3 on another rail)" in told

    # Roll back. While SHKeeper is down itself nothing may be switched to it.
    rollback = ("flags", "rollback", "--recipe", "merged", "--out", "rollback.json")
    market.shkeeper.login_redirect = True
    assert "as to a login page" in run(*rollback, code=3).stderr
    market.shkeeper.login_redirect = False
    planned = run(*rollback)
    assert "Blast radius on request_network" in planned.stdout
    assert re.search(r"in flight, pending +30 min to 24 h +3 ", planned.stdout)
    assert incident.env == ENV
    digest = load_flag_plan(incident.folder / "rollback.json").digest
    applied = run("flags", "apply", "rollback.json", "--digest", digest, "--restart")
    assert "request_network gone from the checkout path" in applied.stdout
    assert "unconfirmed" not in applied.stdout
    assert "contradicted" not in applied.stdout
    assert "New payments go to shkeeper;" in run("flags", "status").stdout

    # The backlog is seen, reconciled dry, applied after review, and gone.
    backlog = ("drain", "--provider", "request_network", "--at-most", "0")
    assert "stuck 3, open 3" in run(*backlog, code=1).stderr
    plan = incident.plan(code=1)
    assert {change.payment_id for change in load_plan(plan).changes} == {payment_id(number) for number in LOST}
    share = ("--share-max", "100")
    run("apply", str(plan), "--digest", load_plan(plan).digest, *share)
    assert "the backlog is empty" in run(*backlog).stdout

    # The way back is shut, and opens gate by gate.
    enable = ("flags", "enable", "request_network", "--out")
    assert "request_network may not be enabled" in run(*enable, "too-early.json", *deliveries, code=3).stderr
    every = {"health_checks", "webhook_verification", "dead_letters", "mismatch_rate", "manual_sample", "clean_windows"}
    # The plan was applied since it was made, so it is no evidence any more.
    assert incident.blocking() == every | {"dry_run"}
    incident.plan(code=0)
    assert incident.blocking() == every - {"mismatch_rate"}

    # What was lost stays lost in the texts after the repair, and the timeline knows the flags and the run.
    told = run(*texts[:2], "post-mortem", *texts[2:], "--rail", "request_network", code=4).stdout
    assert "- Payments affected: 3 (3 before the repair, 0 now;" in told
    timeline = told.split("## Timeline (UTC)")[1].split("##")[0]
    for words in ("flags are to be changed (rollback by recipe merged", "flags: changed", "is restarted",
                  "flags read back", "payments of this incident: 3 applied", "not accepted"):  # fmt: skip
        assert words in timeline, words

    # Time passes.
    incident.wait(timedelta(hours=3))
    incident.plan(code=0)
    assert incident.blocking() == every - {"mismatch_rate", "dead_letters"}
    incident.wait(DAY)
    incident.plan(code=0)
    assert incident.blocking(code=4) == {"health_checks", "manual_sample", "clean_windows"}
    run("gates", "check", "request_network")
    assert "health_checks" in incident.blocking()
    run("gates", "check", "request_network")
    assert incident.blocking(code=4) == {"manual_sample", "clean_windows"}
    run("sample", "--provider", "request_network", "--size", "10", "--seed", "7", "--out", "sample.json")
    run("sample", "sign", "sample.json", "--right", "all", by="ada")
    assert "must be another person" in run("sample", "sign", "sample.json", "--right", "all", by="Ada", code=3).stderr
    assert "manual_sample" in incident.blocking("--sample", "sample.json")
    run("sample", "sign", "sample.json", "--right", "all", by="grace")
    assert incident.blocking("--sample", "sample.json", code=4) == {"clean_windows"}
    incident.wait(DAY)
    incident.plan(code=0)
    for _ in range(2):
        run("gates", "check", "request_network")
    assert incident.blocking("--sample", "sample.json", code=0) == set()

    # Enabled again, read back from the running backend.
    run(*enable, "enable.json", *deliveries, "--sample", "sample.json")
    digest = load_flag_plan(incident.folder / "enable.json").digest
    assert "contradicted" not in run("flags", "apply", "enable.json", "--digest", digest, "--restart").stdout
    assert "New payments go to shkeeper and request_network" in run("flags", "status").stdout
    assert "k3y-of-the-gateway" in incident.env
    assert "# since the migration" in incident.env
