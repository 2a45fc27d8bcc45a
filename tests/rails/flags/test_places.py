"""Every kind of place that flags live in: what is read from it, where it stands, and a patch that changes just that."""

# ruff: noqa: E501 - a table of small files is read a case a line

from __future__ import annotations

import base64
import subprocess
import time
from pathlib import Path

import pytest

from recon.core.errors import ReconError
from recon.rails.flags.places import FlagHome
from recon.rails.flags.readings import FlagReading
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
F, MODE, LIST = "REQUEST_NETWORK_ENABLED", "PAYMENT_PROVIDER_MODE", "PAYMENT_ENABLED_PROVIDERS"


def laid(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / next(iter(files))


def reading(folder: Path, files: dict[str, str], **options: object) -> FlagReading:
    return FlagHome(laid(folder, files), WORDS, **options).read()  # type: ignore[arg-type]


def service(body: str, name: str = "backend") -> str:
    return f"services:\n  {name}:\n    image: x\n" + "".join(f"    {line}\n" for line in body.splitlines())


MAP = f"environment:\n  {F}: 'true'"
DOUBT = "doubt"
COMPOSE = {
    "map": ({"compose.yaml": service(MAP)}, "true"),
    "list": ({"compose.yaml": service(f"environment:\n- {F}=true")}, "true"),
    "bare boolean": ({"compose.yaml": service(f"environment:\n  {F}: True")}, "true"),
    "default of a name": ({"compose.yaml": service(f"environment:\n  {F}: ${{RN:-true}}")}, "true"),
    "name in .env": ({"compose.yaml": service(f"environment:\n  {F}: ${{RN:-true}}"), ".env": "RN=false\n"}, "false"),
    "empty name": ({"compose.yaml": service(f"environment:\n  {F}: ${{RN-true}}"), ".env": "RN=\n"}, ""),
    "alternative": ({"compose.yaml": service(f"environment:\n  {F}: ${{RN:+true}}"), ".env": "RN=x\n"}, "true"),
    "nested": ({"compose.yaml": service(f"environment:\n  {F}: ${{A:-${{B:-true}}}}")}, "true"),
    "dollar": ({"compose.yaml": service(f"environment:\n  {F}: $$RN")}, "$RN"),
    "only the shell": ({"compose.yaml": service(f"environment:\n  {F}: $RN")}, DOUBT),
    "required": ({"compose.yaml": service(f"environment:\n  {F}: ${{RN:?no}}")}, DOUBT),
    "passed on": ({"compose.yaml": service(f"environment:\n- {F}")}, DOUBT),
    "passed on from .env": ({"compose.yaml": service(f"environment:\n- {F}"), ".env": f"{F}=true\n"}, "true"),
    "env_file": ({"compose.yaml": service("env_file: a.env"), "a.env": f"{F}=true\n"}, "true"),
    "env_files": ({"compose.yaml": service("env_file: [a.env, b.env]"), "a.env": f"{F}=1\n", "b.env": f"{F}=0\n"}, "0"),
    "env_file long": ({"compose.yaml": service("env_file:\n- path: a.env\n  required: false"), "a.env": f"{F}=1"}, "1"),
    "env_file raw": ({"compose.yaml": service("env_file:\n- path: a.env\n  format: raw"), "a.env": f"{F}='1'"}, "'1'"),
    "env_file missing": ({"compose.yaml": service("env_file: a.env")}, DOUBT),
    "env_file optional": ({"compose.yaml": service("env_file:\n- path: a.env\n  required: false")}, None),
    "environment wins": ({"compose.yaml": service(f"env_file: a.env\n{MAP}"), "a.env": f"{F}=false\n"}, "true"),
    "merge of a service": ({"compose.yaml": f"x-b: &b\n  {MAP.replace(chr(10), chr(10) + '  ')}\n" + service("<<: *b")}, "true"),
    "merge of a map": ({"compose.yaml": f"x-e: &e\n  {F}: 'true'\n" + service("environment:\n  <<: *e\n  A: b")}, "true"),
    "merge list": (
        {"compose.yaml": f"x-e: &e {{{F}: a}}\nx-f: &f {{{F}: b}}\n" + service("environment:\n  <<: [*e, *f]")}, "a",
    ),
    "anchor": ({"compose.yaml": f"x-e: &e {{{F}: a}}\n" + service("environment: *e")}, "a"),
    "extends": ({"compose.yaml": service("extends: base") + f"  base:\n    environment: {{{F}: a}}\n"}, "a"),
    "extends file": (
        {"compose.yaml": service("extends:\n  file: d/b.yaml\n  service: s"),
         "d/b.yaml": service("env_file: e.env", "s"), "d/e.env": f"{F}=deep\n"}, "deep",
    ),
    "include": ({"compose.yaml": "include: [d/b.yaml]\n", "d/b.yaml": service(f"environment:\n  {F}: $RN"), "d/.env": "RN=1"}, "1"),
    "include long": (
        {"compose.yaml": "include:\n- path: d/b.yaml\n  env_file: x.env\n", "d/b.yaml": service(f"environment:\n  {F}: $RN"),
         "x.env": "RN=2\n"}, "2",
    ),
    "override beside": ({"compose.yaml": service(MAP), "compose.override.yaml": service(f"environment:\n- {F}=0")}, "0"),
    "reset of one": (
        {"compose.yaml": service(MAP), "compose.override.yaml": service(f"environment:\n  {F}: !reset null")}, None,
    ),
    "reset of all": (
        {"compose.yaml": service(MAP), "compose.override.yaml": service("environment: !reset null")}, None,
    ),
    "override of all": (
        {"compose.yaml": service(MAP), "compose.override.yaml": service("environment: !override\n  A: b")}, None,
    ),
}  # fmt: skip


COMPOSE |= {
    "COMPOSE_FILE": (
        {"compose.yaml": service(MAP), "p.yaml": service(f"environment: [{F}=0]"), ".env": "COMPOSE_FILE=compose.yaml:p.yaml\n"}, "0",
    ),
    "COMPOSE_FILE with a sign of its own": (
        {"compose.yaml": service(MAP), "p.yaml": service(f"environment: [{F}=0]"),
         ".env": "COMPOSE_PATH_SEPARATOR=;\nCOMPOSE_FILE=compose.yaml;p.yaml\n"}, "0",
    ),
    "list of names, filled in": ({"compose.yaml": service(f"environment:\n- '{F}=${{RN:-${{ALL:-true}}}}'"), ".env": "ALL=0\n"}, "0"),
    "merge list of services": (
        {"compose.yaml": f"x-a: &a {{logging: {{driver: x}}}}\nx-b: &b {{environment: {{{F}: b}}}}\n" + service("<<: [*a, *b]")}, "b",
    ),
    "own environment instead of a merged one": (
        {"compose.yaml": f"x-b: &b {{environment: {{{F}: b}}}}\n" + service("<<: *b\nenvironment: {A: b}")}, None,
    ),
    "labels and build arguments": ({"compose.yaml": service(f"labels: {{{F}: 'true'}}\nbuild: {{args: {{{F}: 'true'}}}}")}, None),
    ".env alone is no environment": ({"compose.yaml": service("environment: {A: b}"), ".env": f"{F}=true\n"}, None),
    "env_file named by a default": ({"compose.yaml": service("env_file: e/${S:-p}.env"), "e/p.env": f"{F}=1\n"}, "1"),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPOSE)
def test_compose_reads_every_way_to_set_a_variable(tmp_path: Path, case: str) -> None:
    files, expected = COMPOSE[case]
    found = reading(tmp_path, files)
    doubts = found.doubts([F])
    assert (DOUBT if doubts else found.values.get(F)) == expected, (found.said.get(F), doubts)
    assert str(tmp_path / "compose.yaml") in found.looked


DISPUTED = {
    "a key twice": ({"compose.yaml": service(f"environment:\n  {F}: 'true'\n  {F}: 'false'")}, "stands twice in one mapping, on lines 5 and 6"),
    "COMPOSE_FILE of others": ({"compose.yaml": service(MAP), ".env": "COMPOSE_FILE=prod.yaml\n"}, "names prod.yaml, and not this file"),
    "one name in two namespaces": (
        {"app.yaml": "---\n".join(f"kind: ConfigMap\nmetadata: {{name: p, namespace: {name}}}\ndata: {{{F}: '{name}'}}\n" for name in "ab")},
        "ConfigMap p stands in the namespaces a and b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DISPUTED)
def test_what_two_programs_would_read_differently_is_refused(tmp_path: Path, case: str) -> None:
    files, says = DISPUTED[case]
    with pytest.raises(ReconError, match=says):
        reading(tmp_path, files)


def test_compose_names_the_file_and_line_that_count_and_every_place_looked_at(tmp_path: Path) -> None:
    files = {"compose.yaml": service("env_file: .env"), ".env": f"# head\n{F}=true\n"}
    found = reading(tmp_path, files)
    assert found.said[F].where == f"{tmp_path / '.env'}:2 env_file"
    assert found.looked == (str(tmp_path / ".env"), str(tmp_path / "compose.yaml"))
    assert found.holder == "service backend"


def test_two_services_that_differ_need_a_name_and_a_profile_is_said(tmp_path: Path) -> None:
    text = service(MAP) + f"  worker:\n    profiles: [jobs]\n    environment: {{{F}: 'false'}}\n"
    with pytest.raises(ReconError, match="services backend, worker set flags and differ"):
        reading(tmp_path, {"compose.yaml": text})
    found = reading(tmp_path, {"compose.yaml": text}, service="worker")
    assert found.values[F] == "false"
    assert "Service worker starts only with profile jobs." in found.notes


def test_further_compose_files_are_laid_over_in_their_order(tmp_path: Path) -> None:
    files = {
        "base.yaml": service(MAP),
        "a.yaml": service(f"environment: [{F}=a]"),
        "b.yaml": service(f"environment: [{F}=b]"),
    }
    assert reading(tmp_path, files, overrides=(tmp_path / "a.yaml", tmp_path / "b.yaml")).values[F] == "b"


def cm(data: str, name: str = "payments", more: str = "") -> str:
    body = "".join(f"  {line}\n" for line in data.splitlines())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n{more}data:\n{body}"


def pod(container: str, kind: str = "Deployment") -> str:
    inner = "".join(f"      {line}\n" for line in container.splitlines())
    head = f"kind: {kind}\nmetadata: {{name: backend}}\nspec:\n"
    containers = f"containers:\n    - name: app\n{inner}"
    if kind == "Pod":
        return f"{head}  {containers}"
    if kind == "CronJob":
        nested = "".join(f"  {line}\n" for line in inner.splitlines())
        return (
            f"{head}  jobTemplate:\n   spec:\n    template:\n     spec:\n      containers:\n      - name: app\n{nested}"
        )
    return f"{head}  template:\n   spec:\n    {containers}"


ENV = f"env:\n- name: {F}\n  value: 'true'"
SELF = base64.b64encode(f"{F}=true\n".encode()).decode()
KUBERNETES = {
    "data": (cm(f"{F}: 'true'"), "true"),
    "binaryData": (cm("x: y\nz: w", more=f"binaryData:\n  .env: {SELF}\n"), "true"),
    "binaryData no text": (cm("x: y", more=f"binaryData:\n  {F}: '////'\n"), DOUBT),
    "file .env": (cm(f".env: |\n  A=1\n  {F}=true"), "true"),
    "file json": (cm(f'config.json: |\n  {{"payments": {{"{F}": true}}}}'), "true"),
    "file yaml": (cm(f"config.yaml: |\n  payments:\n    {F}: 'true'"), "true"),
    "file properties": (cm(f"app.properties: |\n  {F}=true"), "true"),
    "a broken file": (cm("config.json: '{'"), DOUBT),
    "list": ("kind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: a}\n  data:\n    " + f"{F}: 'true'\n", "true"),
    "second document": (cm("a: b", "other") + "---\n" + cm(f"{F}: 'true'"), "true"),
    **{f"env of {kind}": (pod(ENV, kind), "true") for kind in ("Deployment", "StatefulSet", "Job", "Pod", "CronJob", "DaemonSet")},
    "envFrom": (cm(f"{F}: 'true'") + "---\n" + pod("envFrom:\n- configMapRef: {name: payments}"), "true"),
    "envFrom prefix": (
        cm("NETWORK_ENABLED: 'true'") + "---\n" + pod("envFrom:\n- prefix: REQUEST_\n  configMapRef: {name: payments}"), "true",
    ),
    "env wins": (cm(f"{F}: '0'") + "---\n" + pod(f"envFrom:\n- configMapRef: {{name: payments}}\n{ENV}"), "true"),
    "later envFrom wins": (
        cm(f"{F}: a", "a") + "---\n" + cm(f"{F}: b", "b") + "---\n"
        + pod("envFrom:\n- configMapRef: {name: a}\n- configMapRef: {name: b}"), "b",
    ),
    "key of a map": (
        cm("rn: 'true'") + "---\n"
        + pod(f"env:\n- name: {F}\n  valueFrom: {{configMapKeyRef: {{name: payments, key: rn}}}}"), "true",
    ),
    "map not here": (
        pod(f"env:\n- name: {F}\n  valueFrom: {{configMapKeyRef: {{name: payments, key: rn}}}}"), DOUBT,
    ),
    "secret": (pod(f"env:\n- name: {F}\n  valueFrom: {{secretKeyRef: {{name: s, key: rn}}}}"), DOUBT),
    "reference": (pod(f"env:\n- name: RN\n  value: 'yes'\n- name: {F}\n  value: $(RN)"), "yes"),
}  # fmt: skip


SECRET = "kind: Secret\nmetadata: {name: s}\n"
PACKED = base64.b64encode(b"true").decode()
FROM_SECRET = "envFrom:\n- configMapRef: {name: payments}\n- secretRef: {name: s}"
KUBERNETES |= {
    "secret stringData": (f"{SECRET}stringData: {{{F}: 'true'}}\n", "true"),
    "secret data": (f"{SECRET}data: {{{F}: {PACKED}}}\n", "true"),
    "secret, plain wins": (f"{SECRET}stringData: {{{F}: 'true'}}\ndata: {{{F}: eA==}}\n", "true"),
    "secret, no base64": (f"{SECRET}data: {{{F}: 'true!'}}\n", DOUBT),
    "secret file": (f"{SECRET}stringData:\n  .env: |\n    {F}=true\n", "true"),
    "secret packed file": (f"{SECRET}data: {{.env: {SELF}}}\n", "true"),
    "key of a secret": (
        f"{SECRET}data: {{rn: {PACKED}}}\n---\n" + pod(f"env:\n- name: {F}\n  valueFrom: {{secretKeyRef: {{name: s, key: rn}}}}"), "true",
    ),
    "envFrom secret over map": (
        f"{SECRET}data: {{{F}: {PACKED}}}\n---\n" + cm(f"{F}: 'false'") + "---\n" + pod(FROM_SECRET), "true",
    ),
    "secret elsewhere after the map": (cm(f"{F}: 'true'") + "---\n" + pod(FROM_SECRET), DOUBT),
    "secret elsewhere before the map": (
        cm(f"{F}: 'true'") + "---\n" + pod("envFrom:\n- secretRef: {name: s}\n- configMapRef: {name: payments}"), "true",
    ),
    "secret elsewhere under a prefix": (
        cm(f"{F}: 'true'") + "---\n" + pod("envFrom:\n- configMapRef: {name: payments}\n- prefix: DB_\n  secretRef: {name: s}"), "true",
    ),
    "secret elsewhere and env": (pod(f"envFrom:\n- secretRef: {{name: s}}\n{ENV}"), "true"),
    "only a secret elsewhere": (pod("envFrom:\n- secretRef: {name: s}"), DOUBT),
    "optional map elsewhere": (
        cm(f"{F}: 'true'") + "---\n"
        + pod("envFrom:\n- configMapRef: {name: payments}\n- configMapRef: {name: more, optional: true}"), DOUBT,
    ),
    "workload of another kind": (pod(ENV, "DeploymentConfig"), "true"),
    "sealed secret alone": (f"kind: SealedSecret\nmetadata: {{name: s}}\nspec: {{encryptedData: {{{F}: AgBx}}}}\n", DOUBT),
    "external secret alone": (f"kind: ExternalSecret\nmetadata: {{name: s}}\nspec: {{data: [{{secretKey: {F}}}]}}\n", DOUBT),
    "a release of a chart": (f"kind: HelmRelease\nmetadata: {{name: s}}\nspec: {{values: {{env: {{{F}: 'true'}}}}}}\n", DOUBT),
    "a template of objects": (f"kind: Template\nmetadata: {{name: s}}\nobjects:\n- kind: ConfigMap\n  data: {{{F}: 'true'}}\n", DOUBT),
    "a Secret of echo, with its line end": (f"kind: Secret\nmetadata: {{name: s}}\ndata: {{{F}: {base64.b64encode(b'true' + bytes([10])).decode()}}}\n", DOUBT),
    "a value as a block": (f"kind: ConfigMap\nmetadata: {{name: s}}\ndata:\n  {F}: |\n    true\n", DOUBT),
    "sealed secret": (f"kind: SealedSecret\nmetadata: {{name: s}}\nspec: {{encryptedData: {{{F}: AgBx}}}}\n---\n" + pod("envFrom:\n- secretRef: {name: s}"), DOUBT),
}  # fmt: skip


@pytest.mark.parametrize("case", KUBERNETES)
def test_kubernetes_reads_every_form_a_backend_can_read(tmp_path: Path, case: str) -> None:
    text, expected = KUBERNETES[case]
    found = reading(tmp_path, {"app.yaml": text})
    assert (DOUBT if found.doubts([F]) else found.values.get(F)) == expected, found


KUSTOMIZE = {
    "literals": ({"kustomization.yaml": f"configMapGenerator:\n- name: p\n  literals:\n  - {F}=true\n"}, "true"),
    "quoted": ({"kustomization.yaml": f"configMapGenerator:\n- name: p\n  literals:\n  - {F}='true'\n"}, "true"),
    "envs": ({"kustomization.yaml": "configMapGenerator:\n- name: p\n  envs: [p.env]\n", "p.env": f"{F}=true\n"}, "true"),
    "files": ({"kustomization.yaml": "configMapGenerator:\n- name: p\n  files: [.env=x]\n", "x": f"{F}=true\n"}, "true"),
    "resource": ({"kustomization.yaml": "resources: [map.yaml]\n", "map.yaml": cm(f"{F}: 'true'")}, "true"),
    "merge over a base": (
        {"kustomization.yaml": f"resources: [base]\nconfigMapGenerator:\n- name: p\n  behavior: merge\n  literals: [{F}=0]\n",
         "base/kustomization.yaml": f"configMapGenerator:\n- name: p\n  literals: [{F}=1, A=b]\n"}, "0",
    ),
    "away": ({"kustomization.yaml": "resources: [https://example.com/x]\n"}, DOUBT),
    "patched": ({"kustomization.yaml": f"patches:\n- patch: |\n    data: {{{F}: x}}\n"}, DOUBT),
}  # fmt: skip


def patched(patch: str, *, base: str = "", target: str = "", more: str = "") -> dict[str, str]:
    """A kustomization with one patch over the map that sets the flag, or over another base."""
    inline = "".join(f"    {line}\n" for line in patch.splitlines())
    beside = f"  target: {target}\n" if target else ""
    head = f"resources: [base.yaml]\n{more}patches:\n- patch: |\n{inline}{beside}"
    return {"kustomization.yaml": head, "base.yaml": base or cm(f"{F}: 'true'\nA: b")}


LABELLED = (
    "kind: ConfigMap\nmetadata: {name: payments, labels: {a: b, tier: x}, annotations: {c: d}}\n"
    f"data: {{{F}: 'true'}}\n"
)
DATA = f"kind: ConfigMap\nmetadata: {{name: payments}}\ndata: {{{F}: 'false'}}"
DEPLOYED = "env:\n- name: A\n  value: b\n- name: " + F + "\n  value: 'true'"
WORKLOAD = "kind: Deployment\nmetadata: {name: backend}\nspec: {template: {spec: {containers: [{name: app, %s}]}}}"
ENV_PATH = "/spec/template/spec/containers/0/env"
KUSTOMIZE |= {
    "merge patch of a map": (patched(DATA), "false"),
    "merge patch of a map of another name": (patched(DATA.replace("payments", "other")), DOUBT),
    "merge patch by target": (patched(DATA.replace("payments", "any"), target="{kind: ConfigMap, name: pay.*}"), "false"),
    "merge patch by label": (patched(DATA, target="{kind: ConfigMap, labelSelector: a=b}"), DOUBT),
    "merge patch by a label that fits": (
        patched(DATA, base=LABELLED, target="{kind: ConfigMap, labelSelector: 'a=b,tier in (x, y),!old'}"), "false",
    ),
    "merge patch by a label that does not": (
        patched(DATA, base=LABELLED, target="{kind: ConfigMap, labelSelector: 'a!=b'}"), DOUBT,
    ),
    "merge patch by an annotation": (
        patched(DATA, base=LABELLED, target="{kind: ConfigMap, annotationSelector: 'c=d'}"), "false",
    ),
    "merge patch by labels set for all": (
        patched(DATA, base=LABELLED, target="{kind: ConfigMap, labelSelector: a=b}", more="commonLabels: {a: b}\n"), DOUBT,
    ),
    "merge patch by a label that is none": (
        patched(DATA, base=LABELLED, target="{kind: ConfigMap, labelSelector: 'a~b'}"), DOUBT,
    ),
    "merge patch that takes away": (patched(DATA.replace("'false'", "null")), None),
    "merge patch of other keys": (patched(DATA.replace(F, "B")), "true"),
    "merge patch with a directive": (patched(DATA + "\n$retainKeys: [data]"), DOUBT),
    "merge patch of env": (patched(WORKLOAD % f"env: [{{name: {F}, value: 'false'}}]", base=pod(DEPLOYED)), "false"),
    "merge patch deletes env": (patched(WORKLOAD % f"env: [{{name: {F}, $patch: delete}}]", base=pod(DEPLOYED)), None),
    "merge patch replaces env": (patched(WORKLOAD % "env: [{$patch: replace}, {name: B, value: c}]", base=pod(DEPLOYED)), None),
    "merge patch of another container": (
        patched((WORKLOAD % f"env: [{{name: {F}, value: 'false'}}]").replace("app", "side"), base=pod(DEPLOYED)), "refused",
    ),
    "merge patch file": (
        {"kustomization.yaml": "resources: [b.yaml]\npatchesStrategicMerge: [p.yaml]\n", "b.yaml": cm(f"{F}: 'true'"), "p.yaml": DATA}, "false",
    ),
    "patch file that is not here": (
        {"kustomization.yaml": "resources: [b.yaml]\npatches: [{path: p.yaml}]\n", "b.yaml": cm(f"{F}: 'true'")}, DOUBT,
    ),
    "json patch of a map": (
        patched(f"- op: replace\n  path: /data/{F}\n  value: 'false'", target="{kind: ConfigMap, name: payments}"), "false",
    ),
    "json patch takes away": (patched(f"- op: remove\n  path: /data/{F}", target="{kind: ConfigMap}"), None),
    "json patch in JSON": (
        patched(f'[{{"op": "add", "path": "/data/{F}", "value": "false"}}]', target="{kind: ConfigMap}"), "false",
    ),
    "json patch of env by its place": (
        patched(f"- op: replace\n  path: {ENV_PATH}/1/value\n  value: 'false'", base=pod(DEPLOYED), target="{kind: Deployment}"), "false",
    ),
    "json patch removes env by its place": (
        patched(f"- op: remove\n  path: {ENV_PATH}/1", base=pod(DEPLOYED), target="{kind: Deployment}"), None,
    ),
    "json patch adds env": (
        patched(f"- op: add\n  path: {ENV_PATH}/-\n  value: {{name: {F}, value: 'false'}}", base=pod(DEPLOYED), target="{kind: Deployment}"), "false",
    ),
    "json patch by a place that is not there": (
        patched(f"- op: replace\n  path: {ENV_PATH}/7/value\n  value: 'false'", base=pod(DEPLOYED), target="{kind: Deployment}"), DOUBT,
    ),
    "json patch that moves": (
        patched(f"- op: move\n  from: {ENV_PATH}/0\n  path: {ENV_PATH}/1", base=pod(DEPLOYED), target="{kind: Deployment}"), DOUBT,
    ),
    "patchesJson6902": (
        {"kustomization.yaml": "resources: [b.yaml]\npatchesJson6902:\n- target: {version: v1, kind: ConfigMap, name: payments}\n  path: p.yaml\n",
         "b.yaml": cm(f"{F}: 'true'"), "p.yaml": f"- {{op: replace, path: /data/{F}, value: 'false'}}\n"}, "false",
    ),
    "generated and patched": (
        {"kustomization.yaml": f"configMapGenerator:\n- name: payments\n  literals: [{F}=true]\npatches:\n- patch: |\n    "
         + DATA.replace("\n", "\n    ") + "\n"}, "false",
    ),
    "generated and patched by places": (
        {"kustomization.yaml": f"configMapGenerator:\n- name: p\n  literals: [{F}=true]\npatches:\n- target: {{kind: ConfigMap}}\n"
         "  patch: |\n    - {op: remove, path: /data}\n"}, DOUBT,
    ),
    "component": (
        {"kustomization.yaml": "resources: [b.yaml]\ncomponents: [c]\n", "b.yaml": cm(f"{F}: 'true'"),
         "c/kustomization.yaml": "kind: Component\npatches:\n- patch: |\n    " + DATA.replace("\n", "\n    ") + "\n"}, "false",
    ),
    "overlay names the base by its prefix": (
        {"kustomization.yaml": "resources: [base]\npatches:\n- patch: |\n    " + DATA.replace("payments", "dev-payments").replace("\n", "\n    ") + "\n",
         "base/kustomization.yaml": "namePrefix: dev-\nresources: [m.yaml]\n", "base/m.yaml": cm(f"{F}: 'true'")}, "false",
    ),
    "replacement": (
        patched(DATA.replace(F, "B"), more="replacements:\n- source: {kind: ConfigMap, name: x}\n  targets:\n  - select: {kind: Deployment}\n"
                "    fieldPaths: [spec.template.spec.containers.0.env.1.value]\n"), DOUBT,
    ),
    "replacement file that is not here": (
        {"kustomization.yaml": "resources: [b.yaml]\nreplacements: [{path: r.yaml}]\n", "b.yaml": cm(f"{F}: 'true'")}, DOUBT,
    ),
    "secretGenerator": ({"kustomization.yaml": f"secretGenerator:\n- name: p\n  literals:\n  - {F}=true\n"}, "true"),
    "helmCharts": ({"kustomization.yaml": "helmCharts: [{name: x}]\n"}, DOUBT),
}  # fmt: skip


@pytest.mark.parametrize("case", KUSTOMIZE)
def test_kustomize_reads_what_it_generates(tmp_path: Path, case: str) -> None:
    files, expected = KUSTOMIZE[case]
    laid(tmp_path, files)
    if expected == "refused":
        with pytest.raises(ReconError, match="differ"):
            FlagHome(tmp_path, WORDS).read()
        return
    found = FlagHome(tmp_path, WORDS).read()
    assert (DOUBT if found.doubts([F]) else found.values.get(F)) == expected, found


HELM = {
    "map": (f"env:\n  {F}: true\n", "true"),
    "named": (f"app:\n  extraEnv:\n  - name: {F}\n    value: 'true'\n", "true"),
    "pair": (f"env:\n- {F}=true\n", "true"),
    "secret": (f"env:\n- name: {F}\n  valueFrom: {{secretKeyRef: {{name: a, key: b}}}}\n", DOUBT),
    "twice": (f"a: {{{F}: 'true'}}\nb: {{{F}: 'false'}}\n", DOUBT),
    "template": (f"env:\n  {F}: '{{{{ .Values.x }}}}'\n", DOUBT),
    "text": (f"dotenv:\n  .env: |\n    {F}=true\n", "true"),
}


@pytest.mark.parametrize("case", HELM)
def test_helm_values_are_found_wherever_they_stand(tmp_path: Path, case: str) -> None:
    text, expected = HELM[case]
    found = reading(tmp_path, {"values.yaml": text})
    assert (DOUBT if found.doubts([F]) else found.values.get(F)) == expected, found


CHART = {"Chart.yaml": "name: amn\n", "values.yaml": "pay: {rn: true, off: 'no', mode: live}\nnone: []\n"}
TEMPLATES = {
    "a value": (f"env:\n  - name: {F}\n    value: {{{{ .Values.pay.rn | quote }}}}\n", "true"),
    "a value in quotes": (f'data:\n  {F}: "{{{{ .Values.pay.rn }}}}"\n', "true"),
    "a plain word": (f'data:\n  {{{{- include "l" . }}}}\n  {F}: "true" # so\n', "true"),
    "a value that is not there": (f"data:\n  {F}: {{{{ .Values.no.rn }}}}\n", DOUBT),
    "a function": (f"data:\n  {F}: {{{{ ternary .Values.pay.rn false true }}}}\n", DOUBT),
    "a default": (f"data:\n  {F}: {{{{ .Values.pay.rn | default false }}}}\n", DOUBT),
    "a condition": (f"data:\n  {{{{- if .Values.x }}}}\n  {F}: 'true'\n  {{{{- end }}}}\n", DOUBT),
    "a condition that holds": (f"data:\n  {{{{- if .Values.pay.rn }}}}\n  {F}: 'true'\n  {{{{- end }}}}\n", "true"),
    "a condition that does not": (f"data:\n  {{{{- if not .Values.pay.rn }}}}\n  {F}: 'true'\n  {{{{- end }}}}\n", None),
    "the other branch": (
        f"data:\n  {{{{ if not .Values.pay.rn }}}}\n  {F}: 'true'\n  {{{{ else }}}}\n  {F}: 'false'\n  {{{{ end }}}}\n", "false",
    ),
    "a further condition": (
        f"data:\n  {{{{ if eq .Values.pay.mode \"dry\" }}}}\n  {F}: 'a'\n  {{{{ else if and .Values.pay.rn (ne .Values.pay.mode `x`) }}}}\n"
        f"  {F}: 'b'\n  {{{{ else }}}}\n  {F}: 'c'\n  {{{{ end }}}}\n", "b",
    ),
    "a condition on what is not here": (f"data:\n  {{{{ if .Values.no.rn }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n", DOUBT),
    "the other branch of what is not here": (
        f"data:\n  {{{{ if .Values.no.rn }}}}\n  a: b\n  {{{{ else }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n", DOUBT,
    ),
    "never, whatever is not here": (
        f"data:\n  {{{{ if .Values.no.rn }}}}\n  {{{{ if not .Values.pay.rn }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n  {{{{ end }}}}\n", None,
    ),
    "a condition within a loop": (
        f"{{{{ range .Values.list }}}}\n{{{{ if .Values.pay.rn }}}}\n  {F}: 'true'\n{{{{ end }}}}\n{{{{ end }}}}\n", DOUBT,
    ),
    "a condition of the chart's functions": (
        f"data:\n  {{{{ if has .Values.pay.mode (list 1) }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n", DOUBT,
    ),
    "a condition over lines": (f"data:\n  {{{{ if\n .Values.pay.rn }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n", DOUBT),
    "a condition on a list": (f"data:\n  {{{{ if .Values.none }}}}\n  {F}: 'true'\n  {{{{ end }}}}\n", None),
    "after a condition": (f"{{{{ if .Values.x }}}}\na: b\n{{{{ end }}}}\ndata:\n  {F}: 'true'\n", "true"),
    "a condition in the line": (f"data:\n  {F}: {{{{ if .Values.x }}}}true{{{{ end }}}}\n", DOUBT),
    "a secret": (f"env:\n  - name: {F}\n    valueFrom: {{secretKeyRef: {{name: {{{{ .Release.Name }}}}, key: k}}}}\n", DOUBT),
    "in one line": (f"env: [{{name: {F}, value: {{{{ .Values.pay.rn }}}}}}]\n", DOUBT),
    "twice": (f"a: {{{{ .Values.x }}}}\ndata:\n  {F}: 'true'\nenv:\n  - name: {F}\n    value: 'false'\n", DOUBT),
    "a comment": (f"{{{{/* {F}: true */}}}}\n# {F}: 'true'\na: {{{{ .Values.x }}}}\n", None),
    "nowhere": ("a: {{ .Values.x }}\n", None),
}  # fmt: skip


@pytest.mark.parametrize("case", TEMPLATES)
@pytest.mark.parametrize("named", ["chart", "template"])
def test_templates_of_a_chart_say_what_they_hand_over_or_that_nobody_can_tell(
    tmp_path: Path, case: str, named: str
) -> None:
    text, expected = TEMPLATES[case]
    laid(tmp_path, {**CHART, "templates/app.yaml": text})
    found = FlagHome(tmp_path if named == "chart" else tmp_path / "templates" / "app.yaml", WORDS).read()
    assert (DOUBT if found.doubts([F]) else found.values.get(F)) == expected, found
    assert any(place.endswith("app.yaml") for place in found.looked)


def test_a_template_alone_and_values_beside_it_are_read(tmp_path: Path) -> None:
    laid(tmp_path, {"app.yaml": TEMPLATES["a value"][0], "prod.yaml": "pay: {rn: 'false'}\n"})
    alone = FlagHome(tmp_path / "app.yaml", WORDS).read()
    assert alone.doubts([F]) == {F: "the chart has no value pay.rn here"}
    beside = FlagHome(tmp_path / "app.yaml", WORDS, overrides=(tmp_path / "prod.yaml",)).read()
    assert beside.values[F] == "false"


PATCHED = {
    "own environment": ({"compose.yaml": service(MAP)}, "compose.yaml"),
    "env_file": ({"compose.yaml": service("env_file: a.env"), "a.env": f"A=b # c\n{F}='true' # d\n"}, "a.env"),
    "merged service": (COMPOSE["merge of a service"][0], "compose.yaml"),
    "override": ({"compose.yaml": service("command: x"), "compose.override.yaml": service(MAP)}, "compose.override.yaml"),
    "extended file": (
        {"compose.yaml": service("extends: {file: b.yaml, service: s}"), "b.yaml": service(MAP, "s")}, "b.yaml",
    ),
    "map": ({"map.yaml": cm(f"{F}: 'true' # c")}, "map.yaml"),
    "container": ({"app.yaml": pod(ENV)}, "app.yaml"),
    "envFrom": ({"app.yaml": KUBERNETES["envFrom"][0]}, "app.yaml"),
    "literals": ({"kustomization.yaml": f"configMapGenerator:\n- name: p\n  literals:\n  - \"{F}=true\"\n  - A=b\n"}, "kustomization.yaml"),
    "envs": (KUSTOMIZE["envs"][0], "p.env"),
    "helm": ({"values.yaml": f"env:\n  {F}: true # c\n  A: b\n"}, "values.yaml"),
    "secret": ({"map.yaml": f"{SECRET}stringData:\n  {F}: 'true'\n"}, "map.yaml"),
    "under a patch": (patched(DATA.replace(F, "B")), "base.yaml"),
    "helm pair": ({"values.yaml": f"env:\n- {F}=true\n- A=b\n"}, "values.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("case", PATCHED)
def test_a_patch_changes_the_value_where_it_stands_and_nothing_else(tmp_path: Path, case: str) -> None:
    files, changed = PATCHED[case]
    home = FlagHome(laid(tmp_path, files), WORDS)
    before = home.read().values
    diff = home.patch({F: "false"})
    assert {name: (tmp_path / name).read_text() for name in files} == files
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True, timeout=20)
    assert home.read().values == {**before, F: "false"}
    assert home.patch({F: "false"}) == ""
    touched = [name for name, text in files.items() if (tmp_path / name).read_text() != text]
    assert touched == [changed]
    was, now = files[changed].splitlines(), (tmp_path / changed).read_text().splitlines()
    assert sum(a != b for a, b in zip(was, now, strict=True)) == 1
    subprocess.run(["git", "apply", "-R", "-"], input=diff, text=True, cwd=tmp_path, check=True, timeout=20)
    assert {name: (tmp_path / name).read_text() for name in files} == files


REFUSED = {
    "interpolated": {"compose.yaml": service(f"environment:\n  {F}: ${{RN:-true}}")},
    "file in data": {"map.yaml": cm(f".env: |\n  {F}=true")},
    "template": {"values.yaml": HELM["template"][0]},
    "packed": {"map.yaml": f"{SECRET}data: {{{F}: {PACKED}}}\n"},
    "patched": patched(DATA.replace("'false'", "'yes'")),
    "not set": {"values.yaml": "a: b\n"},
    "sealed": {"compose.yaml": service("env_file: a.env"), "a.env": f"{F}=ENC[AES256_GCM,data:x]\nsops_mac=ENC[y]\n"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_changed_in_its_place_is_refused_and_stays(tmp_path: Path, case: str) -> None:
    files = REFUSED[case]
    with pytest.raises(ReconError, match=r"as it was|nothing was changed"):
        FlagHome(laid(tmp_path, files), WORDS).patch({F: "false"})
    assert {name: (tmp_path / name).read_text() for name in files} == files


BOMB = "\n".join(["a0: &a0 {x: y}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 25)])
LISTS = "\n".join(["b0: &b0 [x]"] + [f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 25)])


@pytest.mark.parametrize(
    "files",
    [
        {"compose.yaml": f"{BOMB}\n{service('<<: *a24')}"},
        {"compose.yaml": service("extends: backend")},
        {"compose.yaml": "include: [compose.yaml]\n"},
        {"compose.yaml": service("environment: text")},
        {"compose.yaml": service(f"environment:\n  {F}: " + "${A:-" * 5000)},
        {"compose.yaml": service("env_file: /dev/zero")},
        {"compose.yaml": service("env_file: [" + ", ".join(f"{n}.env" for n in range(900)) + "]")},
        {"values.yaml": f"{LISTS}\n{F}: *b24\n"},
        {"app.yaml": cm("config.json: '" + "[" * 100_000 + "'")},
        {"app.yaml": f"{LISTS}\nkind: List\nitems: *b24\n"},
        {"kustomization.yaml": "resources: [.]\n"},
        {"kustomization.yaml": "configMapGenerator: [{name: x, envs: [/etc/shadow-none, /dev/zero]}]\n"},
        {"compose.yaml": "services: 1\n"},
        {"compose.yaml": ""},
        {"values.yaml": "- 1\n- 2\n"},
    ],
    ids=range(15),
)
def test_hostile_files_end_in_an_answer_or_a_refusal_soon(tmp_path: Path, files: dict[str, str]) -> None:
    began = time.monotonic()
    try:
        found = reading(tmp_path, files)
        assert found.values.get(F) is None
    except ReconError:
        pass
    assert time.monotonic() - began < 20


def test_a_map_in_a_list_of_objects_is_patched_in_its_place(tmp_path: Path) -> None:
    text = f"kind: List\nitems:\n- kind: ConfigMap\n  metadata: {{name: a}}\n  data:\n    {F}: 'true'\n"
    patch = FlagHome(laid(tmp_path, {"l.yaml": text}), WORDS).patch({F: "false", MODE: "live"})
    assert f"+    {F}: 'false'" in patch
    assert f"+    {MODE}: live" in patch


def test_a_list_by_key_and_value_is_read(tmp_path: Path) -> None:
    text = (
        f"services:\n- name: backend\n  envVars:\n  - key: {F}\n    value: 'true'\n  - key: {MODE}\n    sync: false\n"
    )
    found = reading(tmp_path, {"render.yaml": text})
    assert found.values[F] == "true"
    assert set(found.doubts([F, MODE])) == {MODE}
