"""The README: help word for word, every verdict with its tiers, and a configuration that loads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from recon.cli import cli, lazy
from recon.cli.helptext import WIDTH, commands, help_text, renew
from recon.core.model import TIER_TEXT, Verdict
from recon.setup.file import parse_settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
NAMES = [name for name, _, _ in commands()]


def test_the_help_of_every_command_stands_in_the_readme_word_for_word() -> None:
    assert renew(README) == README, "run scripts/help"
    assert [line[5:-1] for line in README.splitlines() if line.startswith("### `recon")] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_shown_help_is_what_the_command_prints(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split()[1:], "--help"], prog_name="recon", terminal_width=WIDTH)
    assert result.exit_code == 0
    assert result.stdout.split() == help_text(name).split()


def test_every_verdict_is_explained_in_order() -> None:
    listed = re.findall(r"(?m)^\| `([a-z_]+)` \| .+ \| .+ \|$", README)
    assert listed == [verdict.value for verdict in Verdict]


def test_the_tiers_are_said_as_the_reports_say_them() -> None:
    words = " ".join(README.split())
    for tier, text in TIER_TEXT.items():
        assert f"**{tier.value}** {text}" in words


def test_the_shown_configuration_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("RECON_")]:
        monkeypatch.delenv(name)
    found = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    assert parse_settings(tomllib.loads(found[1])).target.name == "production"


def test_every_exit_code_is_explained() -> None:
    table = README.partition("## Exit codes")[2].partition("##")[0]
    codes = {lazy.DONE, lazy.DIFFERENCES, lazy.USAGE, lazy.REFUSED, lazy.INCOMPLETE, lazy.STOPPED, lazy.BUG,
             lazy.INTERRUPTED, lazy.PIPE_CLOSED}  # fmt: skip
    assert {int(code) for code in re.findall(r"\b(\d+)\b(?=[^|]*\|[^|]+\|\n)", table)} >= codes
