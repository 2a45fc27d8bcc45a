"""Flags of a Compose file are read, and changed only as a patch that changes nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from recon.rails.flags.compose import patch_compose, read_compose
from recon.rails.flags.errors import FlagFileError, FlagValueError, ManifestError
from recon.rails.flags.words import FlagWords

WORDS = FlagWords()
MAPPED = """\
x-common: &common
  LOG_LEVEL: info
  PAYMENT_PROVIDER_MODE: live
services:
  db:
    image: mongo:7
  backend:
    image: shop/backend   # pinned by ops
    env_file: .env
    environment:
      <<: *common
      REQUEST_NETWORK_ENABLED: "true"   # since May
      PAYMENT_ENABLED_PROVIDERS: 'request.network,shkeeper'
      PAYMENT_DEFAULT_PROVIDER: request.network
      FROM_SHELL:
      EMPTY: ""
"""
LISTED = """\
services:
  backend:
    environment:
    - REQUEST_NETWORK_ENABLED=true
    - "PAYMENT_ENABLED_PROVIDERS=request.network,shkeeper"
    - FROM_SHELL
  other: {}
"""


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    return tmp_path / "compose.yaml"


def patched(path: Path, text: str, wanted: dict[str, str], **options: str) -> str:
    """What ``git apply`` makes of the file, having checked that planning left it alone."""
    path.write_text(text)
    diff = patch_compose(path, wanted, words=WORDS, **options)
    assert path.read_text() == text
    if diff:
        subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=path.parent, check=True, timeout=20)
    return path.read_text()


def test_values_are_read_own_ones_before_merged_ones(compose: Path) -> None:
    compose.write_text(MAPPED)
    found = read_compose(compose, words=WORDS)
    assert found.holder == "service backend"
    assert found.values == {
        "LOG_LEVEL": "info",
        "PAYMENT_PROVIDER_MODE": "live",
        "REQUEST_NETWORK_ENABLED": "true",
        "PAYMENT_ENABLED_PROVIDERS": "request.network,shkeeper",
        "PAYMENT_DEFAULT_PROVIDER": "request.network",
        "FROM_SHELL": None,
        "EMPTY": "",
    }
    assert any("env_file" in note for note in found.notes)
    assert found.said["LOG_LEVEL"].line == 2


def test_a_patch_changes_the_value_and_keeps_quotes_comments_and_everything_else(compose: Path) -> None:
    wanted = {"REQUEST_NETWORK_ENABLED": "false", "PAYMENT_ENABLED_PROVIDERS": "shkeeper"}
    wanted |= {"PAYMENT_DEFAULT_PROVIDER": "shkeeper", "PAYMENT_ROLLBACK_PROVIDER": "shkeeper"}
    after = patched(compose, MAPPED, wanted)
    expected = (
        MAPPED.replace('"true"   # since', '"false"   # since')
        .replace("'request.network,shkeeper'", "'shkeeper'")
        .replace("DEFAULT_PROVIDER: request.network", "DEFAULT_PROVIDER: shkeeper")
    )
    assert after == expected + "      PAYMENT_ROLLBACK_PROVIDER: shkeeper\n"


def test_a_value_that_comes_through_a_merge_gets_its_own_line_and_leaves_the_anchor(compose: Path) -> None:
    after = yaml.safe_load(patched(compose, MAPPED, {"PAYMENT_PROVIDER_MODE": "read-only"}))
    assert after["services"]["backend"]["environment"]["PAYMENT_PROVIDER_MODE"] == "read-only"
    assert after["x-common"]["PAYMENT_PROVIDER_MODE"] == "live"


def test_the_list_form_keeps_its_form(compose: Path) -> None:
    wanted = {"REQUEST_NETWORK_ENABLED": "false", "PAYMENT_ENABLED_PROVIDERS": "shkeeper", "PAYMENT_MODE": "read_only"}
    assert patched(compose, LISTED, wanted) == (
        LISTED.replace("=true", "=false")
        .replace("=request.network,shkeeper", "=shkeeper")
        .replace("    - FROM_SHELL\n", "    - FROM_SHELL\n    - PAYMENT_MODE=read_only\n")
    )


def test_a_truth_word_without_quotes_gets_them_because_compose_takes_no_booleans(compose: Path) -> None:
    text = "services:\n  a:\n    environment:\n      REQUEST_NETWORK_ENABLED: true"
    assert patched(compose, text, {"REQUEST_NETWORK_ENABLED": "false"}) == text[:-4] + '"false"'
    added = patched(compose, text, {"PAYMENT_RECONCILIATION_ENABLED": "false"})
    assert yaml.safe_load(added)["services"]["a"]["environment"]["PAYMENT_RECONCILIATION_ENABLED"] == "false"


def test_what_is_already_so_needs_no_patch(compose: Path) -> None:
    compose.write_text(MAPPED)
    assert patch_compose(compose, {"REQUEST_NETWORK_ENABLED": "true"}, words=WORDS) == ""


ANCHORED = """\
services:
  a:
    environment: &env
      REQUEST_NETWORK_ENABLED: "true"
  b:
    environment: *env
"""


@pytest.mark.parametrize(
    ("text", "service", "says"),
    [
        (ANCHORED, None, "shared through an anchor"),
        (ANCHORED, "a", "shared through an anchor"),
        (ANCHORED, "c", "no service 'c'"),
        ("services:\n  a:\n    environment: {REQUEST_NETWORK_ENABLED: &x 'true', B: *x}\n", None, "from an anchor"),
        ("services:\n  a:\n    environment:\n      REQUEST_NETWORK_ENABLED: ${RN:-true}\n", None, "interpolated"),
        ("services:\n  a:\n    environment:\n      REQUEST_NETWORK_ENABLED:\n", None, "from the shell"),
        ("services:\n  a:\n    environment:\n      REQUEST_NETWORK_ENABLED: |\n        true\n", None, "as a block"),
        ("services:\n  a:\n    environment:\n      REQUEST_NETWORK_ENABLED: !!str true\n", None, "anchor or a tag"),
        ("services:\n  a:\n    environment: [REQUEST_NETWORK_ENABLED=1, REQUEST_NETWORK_ENABLED=2]\n", None, "2 times"),
        ("services:\n  a:\n    environment: {PAYMENT_MODE: live}\n", None, "on one line"),
        ("services:\n  a: {}\n", "a", "no environment of its own"),
        ("services:\n  a:\n    environment: text\n", "a", "neither a mapping nor a list"),
        ("services: {}\n", None, "no service sets a flag"),
        ("a: 1\n", None, "no Compose file"),
        ("a: 1\n---\nb: 2\n", None, "no Compose file"),
        ("a: [1\n", None, "no valid YAML at line 2"),
        ("a: *nowhere\n", None, "no valid YAML"),
        ("a: " + "[" * 20000 + "\n", None, "nested too deeply"),
        ("", None, "no Compose file"),
    ],
)
def test_what_cannot_be_patched_safely_is_refused_in_one_sentence(
    compose: Path, text: str, service: str | None, says: str
) -> None:
    compose.write_text(text)
    with pytest.raises(ManifestError) as caught:
        patch_compose(compose, {"REQUEST_NETWORK_ENABLED": "false"}, words=WORDS, service=service)
    assert says in str(caught.value)
    assert "the file is as it was" in str(caught.value)
    assert compose.read_text() == text


def test_an_alias_bomb_stays_small(compose: Path) -> None:
    levels = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 25)]
    compose.write_text("\n".join(levels) + "\nservices:\n  a:\n    environment:\n      PAYMENT_MODE: live\n")
    assert read_compose(compose, words=WORDS).values == {"PAYMENT_MODE": "live"}


def test_a_value_that_would_need_quoting_and_a_missing_file_are_refused(compose: Path) -> None:
    compose.write_text(MAPPED)
    with pytest.raises(FlagValueError, match="line break"):
        patch_compose(compose, {"PAYMENT_MODE": "a\nb"}, words=WORDS)
    with pytest.raises(FlagFileError, match="cannot be read"):
        read_compose(compose.with_name("none"), words=WORDS)
    compose.write_bytes(b"a: \xff\n")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_compose(compose, words=WORDS)
