"""Flags of a ConfigMap are read, and changed only as a patch that changes nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from recon.rails.flags.configmap import patch_configmap
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.kubernetes import read_kubernetes
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
MANIFEST = """\
# two maps and a deployment
apiVersion: v1
kind: ConfigMap
metadata:
  name: shop
data:
  nginx.conf: |
    server { }
---
apiVersion: v1
kind: ConfigMap
metadata: {name: payments}
data:
  REQUEST_NETWORK_ENABLED: "true" # quoted, as it must be
  PAYMENT_ENABLED_PROVIDERS: request.network,shkeeper
  cert.pem: |
    -----BEGIN
    REQUEST_NETWORK_ENABLED: "true"
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "payments.yaml"
    path.write_text(MANIFEST)
    return path


def test_the_map_with_the_flags_is_found_among_several_documents(manifest: Path) -> None:
    found = read_kubernetes([manifest], flags=WORDS.known_flags())
    assert found.holder == "ConfigMap payments"
    assert found.values["REQUEST_NETWORK_ENABLED"] == "true"
    assert "restart the rollout" in found.notes[0]


def test_a_patch_changes_the_values_and_nothing_else(manifest: Path) -> None:
    wanted = {"REQUEST_NETWORK_ENABLED": "false", "PAYMENT_ENABLED_PROVIDERS": "shkeeper", "PAYMENT_MODE": "read_only"}
    diff = patch_configmap(manifest, wanted, words=WORDS)
    assert manifest.read_text() == MANIFEST
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=manifest.parent, check=True, timeout=20)
    before, after = (list(yaml.safe_load_all(text)) for text in (MANIFEST, manifest.read_text()))
    assert after[1]["data"] == before[1]["data"] | wanted
    assert [after[0], after[2]] == [before[0], before[2]]
    assert '"false" # quoted, as it must be' in manifest.read_text()


def test_a_bare_truth_word_becomes_text(manifest: Path) -> None:
    manifest.write_text("kind: ConfigMap\nmetadata: {name: a}\ndata:\n  REQUEST_NETWORK_ENABLED: true\n")
    diff = patch_configmap(manifest, {"REQUEST_NETWORK_ENABLED": "false"}, words=WORDS)
    assert '+  REQUEST_NETWORK_ENABLED: "false"' in diff


def test_what_is_already_so_needs_no_patch(manifest: Path) -> None:
    assert patch_configmap(manifest, {"REQUEST_NETWORK_ENABLED": "true"}, words=WORDS) == ""


ONE = "kind: ConfigMap\nmetadata: {name: %s}\n%sdata:\n  %s\n"


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (MANIFEST, "nobody", "0 ConfigMaps of the name 'nobody'; the file is as it was. Name one in [flags] configmap"),
        (MANIFEST, "shop", "sets"),
        ("kind: Secret\ndata: {PAYMENT_MODE: eA==}\n", None, "it has no ConfigMap"),
        (ONE % ("a", "", "X: y"), None, "0 of its ConfigMaps set flags"),
        (ONE % ("a", "", "PAYMENT_MODE: x") + "---\n" + ONE % ("b", "", "PAYMENT_MODE: x"), None, "2 of its"),
        (ONE % ("a", "immutable: true\n", "PAYMENT_MODE: x"), None, "is immutable"),
        (ONE % ("a", "", "PAYMENT_MODE: |\n    live"), None, "written as a block"),
        (ONE % ("a", "", "PAYMENT_MODE: x\n  PAYMENT_MODE: y"), None, "stands twice"),
        (ONE % ("a", "", "PAYMENT_MODE: [x]"), None, "no plain value"),
        ("kind: ConfigMap\nmetadata: {name: a}\ndata: {PAYMENT_MODE: x}\n", None, "no plain data block"),
        ("kind: [\n", None, "no valid YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_patched_safely_is_refused_in_one_sentence(
    manifest: Path, text: str, name: str | None, says: str
) -> None:
    manifest.write_text(text)
    if says == "sets":
        # A map of that name without flags is a fair choice: the flag is added to it.
        assert "+  PAYMENT_MODE: live" in patch_configmap(manifest, {"PAYMENT_MODE": "live"}, words=WORDS, name=name)
        return
    with pytest.raises(ManifestError) as caught:
        patch_configmap(manifest, {"PAYMENT_MODE": "live"}, words=WORDS, name=name)
    assert says in str(caught.value)
    assert manifest.read_text() == text
