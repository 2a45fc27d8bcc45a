"""Each conclusion about a rail, its evidence taken away: no gate, flag, probe or preflight then says that all is well.

Logs, deliveries and the texts of an incident are gone through in tests/investigation/incident/test_unknown.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.errors import ReconError
from recon.rails.flags.apply import read_back
from recon.rails.flags.places import FlagHome
from recon.rails.flags.probes import Probe, ProbeAnswer
from recon.rails.flags.status import judge_flags
from recon.rails.flags.words import FlagWords
from recon.rails.gates.evidence import check_health
from recon.rails.gates.judge import ENABLE_GATES, judge_enable, judge_rollback
from recon.rails.gates.records import GateLimits
from tests.rails.gates import test_judge as well
from tests.rails.test_preflight import counted, judged
from tests.support.flagworld import plan_for, ports_for, serve

RN, NOW, SET = well.RN, well.NOW, well.SET

# ---------------------------------------------------------------------------------------------------------- gates

BOTH, ENABLE, ROLLBACK = ("enable", "rollback"), ("enable",), ("rollback",)
SILENT = well.delivery(well.ago(minutes=3), http_status=None, signature_valid=None)
TAKEN_FROM_GATES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "no run": (BOTH, {"runs": ()}),
    "a last run that was not complete": (
        BOTH, {"runs": (*well.WELL.runs[:-1], replace(well.run(well.ago(minutes=40)), is_complete=False))}
    ),
    "runs of the other rail": (
        BOTH, {"runs": tuple(replace(each, providers=("shkeeper",)) for each in well.WELL.runs)}
    ),
    "runs of single payments": (BOTH, {"runs": tuple(replace(each, is_whole=False) for each in well.WELL.runs)}),
    "runs without a list of breaks": (ENABLE, {"runs": tuple(replace(each, breaks=None) for each in well.WELL.runs)}),
    "no plan": (BOTH, {"dry_run": None}),
    "a plan of the other rail": (BOTH, {"dry_run": well.dry_run(providers=("shkeeper",))}),
    "a plan of some payments": (BOTH, {"dry_run": well.dry_run(is_whole=False)}),
    "a plan without a chain": (BOTH, {"dry_run": well.dry_run(incomplete=("chain:56",))}),
    "a plan without the rail's provider": (BOTH, {"dry_run": well.dry_run(incomplete=(RN,))}),
    "a plan without payments": (BOTH, {"dry_run": well.dry_run(incomplete=("payments",))}),
    "a plan that judged nothing": (BOTH, {"dry_run": replace(well.dry_run(), judged={})}),
    "a plan that proved nothing": (BOTH, {"dry_run": well.dry_run({"unproven": 2000})}),
    "an old plan": (BOTH, {"dry_run": well.dry_run(at=well.ago(hours=5)), "runs": ()}),
    "a plan from the future": (BOTH, {"dry_run": well.dry_run(at=NOW + timedelta(hours=1))}),
    "a journal that was not read": (BOTH, {"writes": None}),
    "no deliveries": (BOTH, {"deliveries": None}),
    "deliveries that begin late": (BOTH, {"deliveries": well.watched(from_at=well.ago(minutes=1))}),
    "deliveries that end early": (BOTH, {"deliveries": well.watched(to_at=well.ago(hours=3))}),
    "deliveries that say nothing": (ENABLE, {"deliveries": well.watched(SILENT)}),
    "no health check": (ENABLE, {"health": ()}),
    "health checks of the other rail": (
        ENABLE, {"health": tuple(replace(each, provider="shkeeper") for each in well.WELL.health)}
    ),
    "old health checks": (ENABLE, {"health": (well.health(well.ago(hours=9)), well.health(well.ago(hours=8)))}),
    "no sample": (ENABLE, {"sample": None}),
    "a sample nobody signed": (ENABLE, {"sample": well.signed()}),
    "a sample of another target": (ENABLE, {"dry_run": replace(well.dry_run(), target="another")}),
}  # fmt: skip


def decision(question: str, limits: GateLimits = SET, **changed: Any) -> Any:
    judge = judge_enable if question == "enable" else judge_rollback
    return judge(RN, replace(well.WELL, **changed), limits=limits, now=NOW)


@pytest.mark.parametrize("name", TAKEN_FROM_GATES)
def test_no_gate_lets_a_rail_go_on_without_its_evidence(name: str) -> None:
    questions, taken = TAKEN_FROM_GATES[name]
    if name == "a sample of another target":
        sample = well.WELL.sample
        assert sample is not None
        taken = {**taken, "sample": replace(sample, sample=replace(sample.sample, target="this"))}
    for question in questions:
        report = decision(question, **taken)
        assert report.decision in {"enable": ("refuse",), "rollback": ("unknown", "escalate")}[question], report
        assert report.blocking


def test_every_gate_loses_its_pass_by_something_that_is_taken_away() -> None:
    never: dict[str, set[str]] = {}
    for question in BOTH:
        names = {gate.name for gate in decision(question).gates}
        lost = {
            each
            for questions, taken in TAKEN_FROM_GATES.values()
            if question in questions
            for each in decision(question, **taken).blocking
        }
        never[question] = names - lost
    assert never == {"enable": set(), "rollback": set()}
    assert len(ENABLE_GATES) == 7
    assert decision("rollback", GateLimits()).decision == "unknown"


# ---------------------------------------------------------------------------------------------------------- flags

LISTED = "PAYMENT_ENABLED_PROVIDERS"
SWITCH = "REQUEST_NETWORK_ENABLED"
MAP = f"kind: ConfigMap\nmetadata: {{name: p}}\ndata:\n  {LISTED}: shkeeper\n  {SWITCH}: 'false'\n"
POD = "---\nkind: Deployment\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: c, envFrom: [%s]}]}}}\n"
TOLD = {
    ".env": f"{LISTED}=shkeeper\n{SWITCH}=false\n",
    "compose.yaml": f"services:\n  b:\n    environment:\n      {LISTED}: shkeeper\n      {SWITCH}: 'false'\n",
    "app.yaml": MAP + POD % "{configMapRef: {name: p}}",
    "kustomization.yaml": f"configMapGenerator: [{{name: p, literals: [{LISTED}=shkeeper, {SWITCH}=false]}}]\n",
    "values.yaml": f"env:\n  {LISTED}: shkeeper\n  {SWITCH}: 'false'\n",
}
TAKEN_FROM_FLAGS: dict[str, tuple[str, str]] = {
    "dotenv, no list": (".env", f"{SWITCH}=false\n"),
    "dotenv, nothing": (".env", "# nothing\n"),
    "dotenv, an empty list": (".env", f"{LISTED}=\n"),
    "dotenv, a word nobody knows": (".env", f"{LISTED}=paypal\n"),
    "dotenv, readers differ": (".env", f"{LISTED}=shkeeper\n{LISTED} = request_network\n{LISTED}: x\n"),
    "dotenv, sealed": (".env", f"{LISTED}=ENC[AES256_GCM,data:x,type:str]\nsops_mac=ENC[y]\n"),
    "dotenv, a switch nobody understands": (".env", f"{LISTED}=request_network\n{SWITCH}=maybe\n"),
    "Compose, from the shell": ("compose.yaml", f"services:\n  b:\n    environment:\n      {LISTED}: ${{NOT_HERE}}\n"),
    "Compose, a file that is not here": ("compose.yaml", "services:\n  b:\n    env_file: gone.env\n"),
    "Compose, no variables": ("compose.yaml", "services:\n  b:\n    image: x\n"),
    "Kubernetes, the map is not here": ("app.yaml", (POD % "{configMapRef: {name: p}}").removeprefix("---\n")),
    "Kubernetes, a Secret after it": ("app.yaml", MAP + POD % "{configMapRef: {name: p}}, {secretRef: {name: s}}"),
    "Kubernetes, an optional map after it": (
        "app.yaml", MAP + POD % "{configMapRef: {name: p}}, {configMapRef: {name: q, optional: true}}"
    ),
    "Kubernetes, no base64": ("app.yaml", f"kind: Secret\nmetadata: {{name: s}}\ndata: {{{LISTED}: '!'}}\n"),
    "Kubernetes, a field": (
        "app.yaml", "kind: Pod\nmetadata: {name: b}\nspec:\n  containers:\n  - name: c\n"
        f"    env: [{{name: {LISTED}, valueFrom: {{fieldRef: {{fieldPath: x}}}}}}]\n",
    ),
    "kustomize, a base that is away": ("kustomization.yaml", "resources: [https://example.com/x]\n"),
    "kustomize, a patch that is not here": (
        "kustomization.yaml", TOLD["kustomization.yaml"] + "patches: [{path: gone.yaml}]\n"
    ),
    "kustomize, a patch of another kind": (
        "kustomization.yaml", TOLD["kustomization.yaml"]
        + "patches:\n- target: {kind: ConfigMap}\n  patch: '[{op: move, from: /data, path: /x}]'\n",
    ),
    "Helm, values that differ": ("values.yaml", f"a: {{{LISTED}: shkeeper}}\nb: {{{LISTED}: request_network}}\n"),
    "Helm, a template": ("values.yaml", f"a: {{{LISTED}: '{{{{ .Values.x }}}}'}}\n"),
    "Helm, a condition": ("templates.yaml", f"{{{{ if .Values.x }}}}\n{LISTED}: shkeeper\n{{{{ end }}}}\n"),
}  # fmt: skip


def flags_in(folder: Path, name: str, text: str) -> Any:
    (folder / name).write_text(text)
    words = FlagWords()
    reading = FlagHome(folder / name, words).read()
    return judge_flags(reading.values, words, doubts=reading.doubts(words.known_flags())), reading


@pytest.mark.parametrize("name", TOLD)
def test_flags_that_are_there_are_told(name: str, tmp_path: Path) -> None:
    status, _ = flags_in(tmp_path, name, TOLD[name])
    assert (status.rails, status.unknown) == (("shkeeper",), ())


@pytest.mark.parametrize("name", TAKEN_FROM_FLAGS)
def test_no_flag_is_on_or_off_without_its_evidence(name: str, tmp_path: Path) -> None:
    try:
        status, reading = flags_in(tmp_path, *TAKEN_FROM_FLAGS[name])
    except ReconError as error:
        assert str(error)
        return
    assert status.rails == ()
    assert status.unknown, status
    assert status.means.startswith("Cannot tell which rails take new payments")
    assert "No rail takes" not in status.means
    assert reading.looked


# ---------------------------------------------------------------------------------------------- probes, and preflight

NO_ANSWERS = {
    "an error": (500, "text/plain", ""),
    "a login page": (200, "text/html", "<html>log in"),
    "a redirect": (302, "text/plain", ""),
    "nothing": (200, "application/json", ""),
    "half an answer": (200, "application/json", '{"flags": {"enabled": "shk'),
    "an answer without the flags": (200, "application/json", "{}"),
    "flags under another name": (200, "application/json", '{"flags": {"on": "shkeeper"}}'),
    "no plain values": (200, "application/json", '{"flags": {"enabled": {"a": 1}}}'),
    "not there": (403, "text/plain", ""),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_nothing_is_confirmed_by_an_answer_that_does_not_say_it(name: str, tmp_path: Path) -> None:
    healthy = {"/api/v1/crypto": (200, "application/json", '{"status": "success", "crypto": []}')}
    with serve({**healthy, "/flags": NO_ANSWERS[name], "/gone": NO_ANSWERS[name]}) as rails:
        readback = (Probe("api", f"{rails.url}/flags", values={LISTED: "flags.enabled"}),)
        ports = ports_for(tmp_path, rails, readback=readback, gone={RN: Probe("checkout", f"{rails.url}/gone")})
        checks = {each.what: each.outcome for each in read_back(plan_for(ports), ports)}
    assert checks.pop("flag file") != "confirmed"
    reached = checks.pop("backend api")
    assert reached == "unconfirmed" or name in (
        "an answer without the flags",
        "flags under another name",
        "no plain values",
    )
    assert "confirmed" not in checks.values(), checks
    assert f"{LISTED} in the backend" in checks


def test_a_health_check_without_anybody_to_ask_is_not_well(tmp_path: Path) -> None:
    class Deaf:
        def ask(self, probe: Probe) -> ProbeAnswer:
            return ProbeAnswer(probe.name, "up", "well")

        ask_gone = ask

    with serve({}) as rails:
        setup = ports_for(tmp_path, rails).setup
    for held, backend in ((replace(setup, health={}), (Probe("api", "http://x/"),)), (setup, ())):
        assert not check_health(RN, setup=held, prober=Deaf(), backend=backend, now=NOW).is_ok


def test_counts_of_some_payments_do_not_say_that_there_is_none() -> None:
    short = judged(counts=counted({"status": "completed"}), problems={"payments": "cut"})
    states = {each.name: each.state for each in short.items}
    counts = ("legacy payments", "duplicate provider keys", "unresolved over 30 min", "simulated hashes")
    assert {states[name] for name in counts} == {"not_measured"}
    seen = judged(counts=counted({"status": "completed", "simulated": True}), problems={"payments": "cut"})
    assert {each.name: each.state for each in seen.items}["simulated hashes"] == "attention"


def test_deliveries_that_end_early_and_a_demo_flag_in_doubt_are_not_in_order() -> None:
    held = well.Deliveries((), NOW - timedelta(hours=25), NOW - timedelta(hours=1))
    states = {
        each.name: each.state for each in judged(deliveries=held, flags={"SHKEEPER_FORCE_PAYOUT_DEMO": None}).items
    }
    assert states["webhooks of the last 24 h"] == "not_measured"
    assert states["demo payouts"] == "not_measured"
