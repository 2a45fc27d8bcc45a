"""Library and command line are one program: every function beside its command, on two copies of the same world.

Compared is what came, and what was left behind. Both sides go through one long session, a step for each command; a
command without a step fails the last test.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import recon
from recon.cli import cli
from recon.cli.helptext import commands
from recon.core.errors import ReconError
from recon.plans.file import load_plan, plan_bytes
from recon.rails.flags.plan import load_flag_plan, plan_as_json
from recon.reports import render_report, render_review
from recon.reports.model import Report
from recon.reports.views.attestation import render_attestation
from recon.reports.views.audit import render_audit
from recon.reports.views.checks import render_checks
from recon.reports.views.flags import render_flag_run, render_flag_status
from recon.reports.views.gates import render_gates, render_sample
from recon.reports.views.history import render_history
from recon.reports.views.inspection import render_inspection
from recon.reports.views.missing import render_missing, render_restored
from recon.reports.views.operations import render_backfill, render_drain, render_preflight
from recon.reports.views.reverify import render_reverified
from recon.reports.views.run import render_journal_check, render_run, render_run_state, render_runs
from recon.reports.views.search import render_search
from recon.reports.views.triage import render_delivery_triage, render_log_triage, render_page
from recon.reports.views.what_if import render_what_if
from recon.simulation import generate_world, write_world
from recon.simulation.score import score_json
from tests.support.exports import write_exports
from tests.support.flagworld import ENV
from tests.support.keys import Keys

LOG = '203.0.113.9 - - [20/Nov/2026:10:{:02d}:00 +0000] "POST /api/webhooks/shkeeper HTTP/1.1" 404 9 "-" "-"\n'
UNTIL = datetime(2030, 1, 1, tzinfo=UTC)
TEXTS = (".json", ".ndjson", ".md", ".toml", ".env", ".html", ".csv", ".notes", "")
FLAG_FILES = ("back.json", "on.json", "forth.json", "recon-out/flags-journal.ndjson")
"""They name the whole path of the flag file, so their digests are those of one side."""
SALTED = ("case.json", "world/lease.json")
"""Stand-ins of a case are made with a salt that is not kept; a lease names its holder at random."""
DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{8,64}(?![0-9a-f])")
CHAIN = re.compile(rb'"(?:prev|seal)":"[0-9a-f]{64}"')
"""What a line of a log says of the line before it, which names the whole path of a plan."""
NOT_COMPARED = {
    "recon completion": "it prints a script of the shell and has no result",
    "recon review": "it is a screen; what is done there is done by the functions compared here (tests/desk)",
    "recon watch": "it never ends; its rounds are those of recon.watch.watch_once (tests/watch)",
    "recon watch ack": "it writes when it was called, by the clock (tests/watch)",
    "recon watch page": "it serves what is read from the output folder, and never ends (tests/watch/page)",
    "recon watch test-alert": "it sends, and shows what came of it (tests/watch/telling)",
    "recon watch status": "it shows the log of the watch (tests/watch)",
}


@dataclass
class Side:
    """One copy of the world, in which either the commands run or the functions."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "recon.toml"

    def at(self, name: str) -> Path:
        return self.root / name

    def digest(self, name: str) -> str:
        return str(json.loads(self.at(name).read_text(encoding="utf-8"))["digest"])

    def finding(self) -> str:
        return next(item.payment_id for item in load_plan(self.at("plan.json")).findings)

    def run(self) -> str:
        return recon.journal.runs(self.config)[0].run

    def flag_run(self) -> str:
        return str(recon.flags.status(self.config).entries[-1].run)

    def filled_in(self) -> Path:
        """The sheet of decisions with the first rows decided."""
        with self.at("sheet.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        rows[0]["decision"] = rows[0]["possible"].split()[0]
        rows[1].update(decision="inspect", reason="odd")
        with self.at("filled.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return self.at("filled.csv")

    def other_rules(self) -> Path:
        """A file of rules by which some payments are judged otherwise."""
        self.at("other.toml").write_text("[policy]\nstuck_after_min = 100000\n[limits]\nchanges_max = 1\n")
        return self.at("other.toml")

    def delivery(self) -> str:
        first = self.at("world/deliveries.ndjson").read_text(encoding="utf-8").splitlines()[0]
        return str(json.loads(first)["delivery_id"])

    def left(self) -> dict[str, bytes | None]:
        """Every file by name with its text, in which the side's own folder has no name."""
        files = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        own = {path: f"author {number} of flags" for number, path in enumerate(filter(self._is_of_flags, files))}
        return {own.get(path, path.relative_to(self.root).as_posix()): self._text(path) for path in files}

    def _is_of_flags(self, path: Path) -> bool:
        """Whether a file notes who made a flag plan; it is named by the plan's digest, which is that of one side."""
        plans = [self.digest(name)[:32] for name in FLAG_FILES[:3] if self.at(name).exists()]
        return path.name in [f"author-{digest}.json" for digest in plans]

    def _text(self, path: Path) -> bytes | None:
        name = path.relative_to(self.root).as_posix()
        if path.suffix not in TEXTS or name in SALTED:
            return None
        text = CHAIN.sub(b'"CHAIN":""', self.nameless(path.read_bytes()))
        return DIGEST.sub(b"DIGEST", text) if name in FLAG_FILES or self._is_of_flags(path) else text

    def nameless(self, data: bytes) -> bytes:
        return data.replace(str(self.root).encode(), b"HERE")


Call = Callable[[Side], Any]


@dataclass(frozen=True)
class Step:
    """One command and its function; ``shows`` makes of the function's result what the command prints as JSON."""

    command: str
    line: Callable[[Side], str]
    call: Call
    shows: Callable[[Any], Any] | None = None
    config: bool = True


def shown(report: Report) -> Any:
    """A report as the command prints it, but for the commands that it suggests."""
    return without_steps(json.loads(render_report(report, output="json")))


def without_steps(printed: Any) -> Any:
    if not isinstance(printed, dict):
        return printed
    return {key: value for key, value in printed.items() if key != "next_steps"}


def as_plan(plan: Any) -> Any:
    return json.loads(plan_bytes(plan))


def enabled(side: Side) -> Any:
    """The command refuses after the plan is saved, while gates fail; the function's plan names them."""
    plan = recon.flags.enable("request_network", out=side.at("on.json"), config=side.config)
    assert plan.blocked_by
    assert load_flag_plan(side.at("on.json")) == plan
    return plan


STEPS = (
    Step(
        "recon doctor", lambda s: "--format json", lambda s: recon.doctor(s.config), lambda r: shown(render_checks(r))
    ),
    Step("recon init", lambda s: f"--out {s.at('new.toml')}", lambda s: recon.init(s.at("new.toml")), config=False),
    Step(
        "recon demo",
        lambda s: f"--out {s.at('demo')} --payments 5",
        lambda s: recon.demo(s.at("demo"), payments=5),
        config=False,
    ),
    Step(
        "recon simulate",
        lambda s: f"--out {s.at('other')} --payments 10 --seed 7",
        lambda s: recon.simulate(s.at("other"), payments=10, seed=7),
        config=False,
    ),
    Step(
        "recon snapshot",
        lambda s: f"--from 90d --out {s.at('taken')}",
        lambda s: recon.snapshot(s.config, from_at=timedelta(days=90), out=s.at("taken")),
    ),
    Step(
        "recon import",
        lambda s: f"{s.at('exports/mapping.toml')} --out {s.at('imported')}",
        lambda s: recon.import_files(s.at("exports/mapping.toml"), out=s.at("imported"), config=s.config),
    ),
    Step(
        "recon audit",
        lambda s: f"--from 2026-11-17 --before {s.at('taken')} --format json",
        lambda s: recon.audit(datetime(2026, 11, 17, tzinfo=UTC), before=s.at("taken"), config=s.config),
        lambda r: shown(render_audit(r)),
    ),
    Step("recon ledger check", lambda s: "--format json", lambda s: recon.ledger.check(config=s.config)),
    Step(
        "recon ledger repair",
        lambda s: "nothing --reason because --format json",
        lambda s: recon.ledger.repair(["nothing"], reason="because", config=s.config),
    ),
    Step(
        "recon ledger reverse",
        lambda s: "nothing --from 24h --by ana --reason because --format json",
        lambda s: recon.ledger.reverse(
            ["nothing"], from_at=timedelta(hours=24), by="ana", reason="because", config=s.config
        ),
    ),
    Step(
        "recon plan",
        lambda s: "--provider shkeeper --format json",
        lambda s: recon.plan(config=s.config, providers=["shkeeper"]),
        as_plan,
    ),
    Step(
        "recon plan",
        lambda s: f"--out {s.at('plan.json')} --format json",
        lambda s: recon.plan(config=s.config, out=s.at("plan.json")),
        as_plan,
    ),
    Step(
        "recon plan",
        lambda s: f"--snapshot {s.at('taken')} --engine polars --format json",
        lambda s: recon.plan(s.at("taken"), config=s.config, engine="polars"),
        as_plan,
    ),
    Step(
        "recon plan",
        lambda s: "--provider shkeper --format json",
        lambda s: recon.plan(config=s.config, providers=["shkeper"]),
    ),
    Step(
        "recon history",
        lambda s: "--format json",
        lambda s: recon.history(s.config),
        lambda r: shown(render_history(r, limit=20)),
    ),
    Step(
        "recon show",
        lambda s: f"{s.at('plan.json')} --format json",
        lambda s: recon.show(s.at("plan.json")),
        as_plan,
        config=False,
    ),
    Step(
        "recon select",
        lambda s: f"{s.at('plan.json')} --max-value USDC=100000 --out {s.at('small.json')}",
        lambda s: recon.select(
            s.at("plan.json"), max_value={"USDC": "100000"}, out=s.at("small.json"), config=s.config
        ),
    ),
    Step(
        "recon select",
        lambda s: f"{s.at('plan.json')} --verdict local_behin --out {s.at('no.json')}",
        lambda s: recon.select(s.at("plan.json"), verdicts=["local_behin"], out=s.at("no.json"), config=s.config),
    ),
    Step(
        "recon decide export",
        lambda s: f"{s.at('plan.json')} --out {s.at('sheet.csv')}",
        lambda s: recon.decide.export(s.at("plan.json"), out=s.at("sheet.csv"), config=s.config),
    ),
    Step(
        "recon decide import",
        lambda s: f"{s.at('plan.json')} {s.filled_in()} --out {s.at('decided.json')}",
        lambda s: recon.decide.import_(s.at("plan.json"), s.filled_in(), out=s.at("decided.json"), config=s.config),
    ),
    Step(
        "recon approve",
        lambda s: f"{s.at('small.json')} --reason checked --ticket T-1",
        lambda s: recon.approve(s.at("small.json"), reason="checked", ticket="T-1", config=s.config),
    ),
    Step(
        "recon ack",
        lambda s: f"{s.finding()} --plan {s.at('plan.json')} --reason known --until 2030-01-01",
        lambda s: recon.ack([s.finding()], plan=s.at("plan.json"), reason="known", until=UNTIL, config=s.config),
    ),
    Step(
        "recon score",
        lambda s: f"{s.at('plan.json')} --truth {s.at('world/truth.ndjson')} --format json",
        lambda s: recon.score(s.at("plan.json"), truth=s.at("world/truth.ndjson"), config=s.config),
        score_json,
    ),
    Step(
        "recon sample",
        lambda s: f"--provider shkeeper --size 2 --out {s.at('sample.json')} --format json",
        lambda s: recon.sample.draw("shkeeper", size=2, out=s.at("sample.json"), config=s.config),
        lambda r: shown(render_sample(r, (), path="sample.json")),
    ),
    Step(
        "recon sample sign",
        lambda s: f"{s.at('sample.json')} --right all --by Ada --format json",
        lambda s: recon.sample.sign(s.at("sample.json"), right=["all"], operator="Ada", config=s.config),
        lambda r: shown(render_sample(*r, path="sample.json")),
    ),
    Step("recon gates check", lambda s: "shkeeper", lambda s: recon.gates.check("shkeeper", config=s.config)),
    Step(
        "recon gates rollback",
        lambda s: f"shkeeper --sample {s.at('sample.json')} --format json",
        lambda s: recon.gates.rollback("shkeeper", sample=s.at("sample.json"), config=s.config),
        lambda r: shown(render_gates(r)),
    ),
    Step(
        "recon gates enable",
        lambda s: "shkeper --format json",
        lambda s: recon.gates.enable("shkeper", config=s.config),
    ),
    Step(
        "recon gates enable",
        lambda s: f"shkeeper --plan {s.at('plan.json')} --format json",
        lambda s: recon.gates.enable("shkeeper", plan=s.at("plan.json"), config=s.config),
        lambda r: shown(render_gates(r)),
    ),
    Step(
        "recon flags status",
        lambda s: "--format json",
        lambda s: recon.flags.status(s.config),
        lambda r: shown(
            render_flag_status(
                r.status, place="HERE/backend.env", notes=r.notes, entries=r.entries, looked=r.looked, where=r.where
            )
        ),
    ),
    Step(
        "recon flags rollback",
        lambda s: f"--recipe incident --out {s.at('back.json')} --format json",
        lambda s: recon.flags.rollback(s.config, recipe="incident", out=s.at("back.json")),
        plan_as_json,
    ),
    Step(
        "recon flags apply",
        lambda s: f"{s.at('back.json')} --digest {s.digest('back.json')} --format json",
        lambda s: recon.flags.apply(s.at("back.json"), digest=s.digest("back.json"), config=s.config),
        lambda r: shown(render_flag_run(r, config=None)),
    ),
    Step("recon flags enable", lambda s: f"request_network --out {s.at('on.json')} --format json", enabled),
    Step(
        "recon flags undo",
        lambda s: f"{s.flag_run()} --out {s.at('forth.json')} --format json",
        lambda s: recon.flags.undo(s.flag_run(), out=s.at("forth.json"), config=s.config),
        plan_as_json,
    ),
    Step(
        "recon preflight",
        lambda s: "--format json",
        lambda s: recon.preflight(s.config),
        lambda r: shown(render_preflight(r)),
    ),
    Step(
        "recon drain",
        lambda s: "--provider shkeeper --format json",
        lambda s: recon.drain("shkeeper", config=s.config),
        lambda r: shown(render_drain(r)),
    ),
    Step(
        "recon backfill shkeeper",
        lambda s: f"--out {s.at('fill.json')} --format json",
        lambda s: recon.backfill.shkeeper(s.config, out=s.at("fill.json")),
        lambda r: shown(render_backfill(*r, path="HERE/fill.json", config=None)),
    ),
    Step(
        "recon repair missing",
        lambda s: f"--snapshot {s.at('taken')} --format json",
        lambda s: recon.repair.missing(config=s.config, snapshot=s.at("taken")),
        lambda r: shown(render_missing(r)),
    ),
    Step(
        "recon repair apply",
        lambda s: f"{s.at('plan.json')} --digest {'0' * 64}",
        lambda s: recon.repair.apply(s.at("plan.json"), digest="0" * 64, config=s.config),
    ),
    Step("recon repair undo", lambda s: "nothing", lambda s: recon.repair.undo("nothing", config=s.config)),
    Step(
        "recon hold put",
        lambda s: "--payment x --reason y",
        lambda s: recon.hold.put(payments=["x"], reason="y", config=s.config),
    ),
    Step(
        "recon hold lift",
        lambda s: "--payment x --reason y",
        lambda s: recon.hold.lift(payments=["x"], reason="y", config=s.config),
    ),
    Step("recon hold list", lambda s: "", lambda s: recon.hold.list_(s.config)),
    Step(
        "recon restore check",
        lambda s: "--dump-time 2026-11-19 --format json",
        lambda s: recon.restore.check(s.config, dump_time=datetime(2026, 11, 19, tzinfo=UTC)),
        lambda r: shown(render_restored(r)),
    ),
    Step(
        "recon inspect",
        lambda s: f"{s.finding()} --format json",
        lambda s: recon.inspect(s.finding(), config=s.config),
        lambda r: shown(render_inspection(r)),
    ),
    Step(
        "recon inspect",
        lambda s: f"{s.finding()} --snapshot {s.at('taken')} --format json",
        lambda s: recon.inspect(s.finding(), snapshot=s.at("taken"), config=s.config),
        lambda r: shown(render_inspection(r)),
    ),
    Step(
        "recon what-if",
        lambda s: f"--policy {s.other_rules()} --snapshots {s.at('taken')} --format json",
        lambda s: recon.what_if(s.other_rules(), snapshots=[s.at("taken")], config=s.config),
        lambda r: shown(render_what_if(r.rules, r.rows(), sums=r.sums)),
    ),
    Step(
        "recon search",
        lambda s: f"--amount 1..500 --token USDC --snapshot {s.at('taken')} --format json",
        lambda s: recon.search(amount="1..500", token="USDC", snapshot=s.at("taken"), config=s.config),
        lambda r: shown(render_search(r)),
    ),
    Step(
        "recon search",
        lambda s: f"{s.finding()} --live --format json",
        lambda s: recon.search(s.finding(), live=True, config=s.config),
        lambda r: shown(render_search(r)),
    ),
    Step(
        "recon case",
        lambda s: f"{s.finding()} --out {s.at('case.json')}",
        lambda s: recon.case(s.finding(), out=s.at("case.json"), config=s.config),
    ),
    Step(
        "recon triage access-log",
        lambda s: f"{s.at('access.log')} --format json",
        lambda s: recon.triage.access_log([s.at("access.log")]),
        lambda r: shown(render_log_triage(r)),
        config=False,
    ),
    Step(
        "recon triage deliveries",
        lambda s: f"{s.at('world/deliveries.ndjson')} --out {s.at('replay.ndjson')} --format json",
        lambda s: recon.triage.deliveries(
            [s.at("world/deliveries.ndjson")], out=s.at("replay.ndjson"), config=s.config
        ),
        lambda r: shown(render_delivery_triage(r)),
    ),
    Step(
        "recon triage summary",
        lambda s: f"--access-log {s.at('access.log')} --ask --format json",
        lambda s: recon.triage.summary(s.config, access_log=[s.at("access.log")], ask=True),
        lambda r: shown(render_page(r)),
    ),
    Step(
        "recon report incident",
        lambda s: f"update --title x --action isolated --access-log {s.at('access.log')}",
        lambda s: recon.report.incident(
            "update", title="x", actions=["isolated"], access_log=[s.at("access.log")], config=s.config
        ),
        lambda r: r,
    ),
    Step(
        "recon report page",
        lambda s: f"{s.at('plan.json')} --html {s.at('plan.html')}",
        lambda s: recon.report.page(s.at("plan.json"), html=s.at("plan.html"), config=s.config),
    ),
    Step(
        "recon apply",
        lambda s: f"{s.at('small.json')} --digest {'0' * 64}",
        lambda s: recon.apply(s.at("small.json"), digest="0" * 64, config=s.config),
    ),
    Step(
        "recon apply",
        lambda s: f"{s.at('small.json')} --digest {s.digest('small.json')} --stop-file {s.config}",
        lambda s: recon.apply(s.at("small.json"), digest=s.digest("small.json"), stop_file=s.config, config=s.config),
    ),
    Step(
        "recon apply",
        lambda s: f"{s.at('small.json')} --resume {s.run()} --format json",
        lambda s: recon.apply(s.at("small.json"), resume=s.run(), config=s.config),
        lambda r: shown(render_run(r)),
    ),
    Step(
        "recon runs", lambda s: "--format json", lambda s: recon.journal.runs(s.config), lambda r: shown(render_runs(r))
    ),
    Step(
        "recon runs",
        lambda s: f"{s.run()} --format json",
        lambda s: recon.journal.run(s.run(), config=s.config),
        lambda r: shown(render_run_state(r)),
    ),
    Step(
        "recon attest make",
        lambda s: f"{s.at('small.json')} --key {s.at('key')} --out {s.at('stated.json')} --format json",
        lambda s: recon.attest.make(s.at("small.json"), key=s.at("key"), out=s.at("stated.json"), config=s.config),
        lambda r: shown(render_attestation(r.statement, path=str(r.path))),
    ),
    Step(
        "recon attest verify",
        lambda s: f"{s.at('stated.json')} --public-key {s.at('key.pub')} --format json",
        lambda s: recon.attest.verify(s.at("stated.json"), public_key=s.at("key.pub"), config=s.config),
        lambda r: shown(render_attestation(r.statement, path=str(r.path), signer=r.signer)),
    ),
    Step(
        "recon reverify",
        lambda s: f"{s.run()} --format json",
        lambda s: recon.reverify(s.run(), config=s.config),
        lambda r: shown(render_reverified(r)),
    ),
    Step(
        "recon journal head",
        lambda s: "--no-note",
        lambda s: recon.journal.head(s.config, note=False),
        lambda r: f"{r.hash}\n",
    ),
    Step(
        "recon journal verify",
        lambda s: "--format json",
        lambda s: recon.journal.verify(s.config),
        lambda r: shown(render_journal_check(r)),
    ),
    Step(
        "recon journal settle",
        lambda s: f"{s.run()} --payment {s.finding()} --written-by run --reason sure",
        lambda s: recon.journal.settle(s.run(), payment=s.finding(), written_by="run", reason="sure", config=s.config),
    ),
    Step(
        "recon undo",
        lambda s: f"{s.run()} --verdict nonsense",
        lambda s: recon.undo(s.run(), verdicts=["nonsense"], config=s.config),
    ),
    Step(
        "recon undo",
        lambda s: f"{s.run()} --out {s.at('undo.json')} --format json",
        lambda s: recon.undo(s.run(), out=s.at("undo.json"), config=s.config),
        lambda r: shown(render_review(r, path="HERE/undo.json")),
    ),
)


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Side, Side]:
    for name in list(os.environ):
        if name.startswith("RECON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    first, second = tmp_path / "one", tmp_path / "two"
    write_world(generate_world(payments=30, seed=4), first / "world")
    (first / "recon.toml").write_text('[recorded]\npath = "world"\n[flags]\nfile = "backend.env"\n', encoding="utf-8")
    (first / "backend.env").write_text(ENV, encoding="utf-8")
    write_exports(first / "exports")
    (first / "access.log").write_text("".join(LOG.format(minute) for minute in range(30)), encoding="utf-8")
    Keys(first).make("key")
    shutil.copytree(first, second)
    return Side(first), Side(second)


def called(step: Step, side: Side) -> tuple[Any, str]:
    """What the function gives, and the sentence with which it refuses."""
    try:
        return step.call(side), ""
    except ReconError as error:
        return None, str(error)


def printed(step: Step, side: Side) -> tuple[str, str]:
    line = [*step.command.split()[1:], *step.line(side).split()]
    line += ["--config", str(side.config)] if step.config else []
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert "should not have happened" not in result.stderr, result.stderr
    return side.nameless(result.stdout_bytes).decode(), side.nameless(result.stderr_bytes).decode()


def comparable(step: Step, text: bytes) -> bytes:
    return DIGEST.sub(b"DIGEST", text) if step.command.startswith("recon flags") else text


def differences(step: Step, by_command: Side, by_function: Side) -> list[str]:
    """What the two sides of a step do not have in common: what came, and what was left behind."""
    stdout, stderr = printed(step, by_command)
    result, refused = called(step, by_function)
    problems = []
    if refused and by_function.nameless(refused.encode()).decode() not in stderr:
        problems.append(f"the function refuses ({refused}), and the command says {stderr}")
    if not refused and step.shows is not None:
        wanted = json.loads(comparable(step, by_function.nameless(json.dumps(step.shows(result)).encode())))
        came = comparable(step, stdout.encode()).decode()
        found = came if isinstance(wanted, str) else without_steps(json.loads(came or "null"))
        if found != wanted:
            problems.append(f"the function gives {wanted}, and the command prints {found} {stderr}")
    one, other = by_command.left(), by_function.left()
    problems += [f"only one side left {name}" for name in sorted(one.keys() ^ other.keys())]
    problems += [f"{name} differs" for name in sorted(one.keys() & other.keys()) if one[name] != other[name]]
    return problems


def test_a_command_and_its_function_give_the_same_and_leave_the_same(sides: tuple[Side, Side]) -> None:
    for step in STEPS:
        assert differences(step, *sides) == [], f"{step.command} {step.line(sides[0])}"


def test_every_command_has_its_step() -> None:
    every = {
        name
        for name, command, _ in commands()
        if not isinstance(command, click.Group) or command.invoke_without_command
    }
    assert every == {step.command for step in STEPS} | set(NOT_COMPARED)
