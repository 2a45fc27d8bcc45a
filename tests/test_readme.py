"""README and the reference: help word for word, every verdict with its tiers, all that works, every script."""

from __future__ import annotations

import os
import re
import tomllib

import pytest
from click.testing import CliRunner

from recon.cli import cli, lazy
from recon.cli.helptext import WIDTH, commands, help_text
from recon.core.model import TIER_TEXT, Verdict
from recon.core.registry import load_registry
from recon.investigation.payment.causes import CAUSES
from recon.setup.file import parse_settings
from recon.setup.stores.installed import stores
from recon.sources.providers.chain_kind import chain_kinds
from recon.sources.providers.installed import providers
from tests.support.documented import DOCS, FENCE, README, ROOT

NAMES = [name for name, _, _ in commands()]
REFERENCE = DOCS / "reference"


def test_the_help_of_every_command_stands_in_the_page_of_commands_word_for_word() -> None:
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    assert [line[4:-1] for line in text.splitlines() if line.startswith("## `recon")] == NAMES
    assert [body for _, _, body in FENCE.findall(text)] == [help_text(name) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_the_shown_help_is_what_the_command_prints(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split()[1:], "--help"], prog_name="recon", terminal_width=WIDTH)
    assert result.exit_code == 0
    assert result.stdout.split() == help_text(name).split()


def test_every_verdict_is_explained_in_order() -> None:
    text = (REFERENCE / "verdicts" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| \[`([a-z_]+)`\]\(\1\.md\) \| .+ \| .+ \|$", text) == [each.value for each in Verdict]
    words = " ".join(text.split())
    for tier, said in TIER_TEXT.items():
        assert f"**{tier.value}** {said}" in words


@pytest.mark.parametrize("verdict", Verdict)
def test_the_page_of_a_verdict_has_example_evidence_and_what_to_do(verdict: Verdict) -> None:
    text = (REFERENCE / "verdicts" / f"{verdict}.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## (.+)$", text) == [
        "An example, as recon judged it", "What it rests on", "What to do", "What a plan may write", "The sentence",
    ]  # fmt: skip
    assert len(text.splitlines()) <= 60


def test_the_shown_configuration_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RECON_")]:
        monkeypatch.delenv(name)
    shown = [
        body
        for page in DOCS.rglob("*.md")
        for _, kind, body in FENCE.findall(page.read_text(encoding="utf-8"))
        if kind == "toml" and "[project" not in body
    ]
    assert len(shown) > len(load_registry().chains)
    for body in shown:
        parse_settings(tomllib.loads(body))
    assert 'name = "production"' in (DOCS / "how-to" / "configure.md").read_text(encoding="utf-8")


def test_every_exit_code_is_explained() -> None:
    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    codes = {lazy.DONE, lazy.DIFFERENCES, lazy.USAGE, lazy.REFUSED, lazy.INCOMPLETE, lazy.STOPPED, lazy.BUG,
             lazy.INTERRUPTED, lazy.PIPE_CLOSED}  # fmt: skip
    assert {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", text)} == codes


def test_the_readme_names_all_that_works() -> None:
    text = README.read_text(encoding="utf-8").lower().replace(" era", "").replace("bnb chain", "bsc")
    chains = {facts.name for number, facts in load_registry().chains.items() if number not in chain_kinds()}
    names = {*chains, *(each.title.lower() for each in (*providers().values(), *stores().values()))}
    assert [name for name in names if name.removeprefix("a ") not in text] == []


def test_the_number_of_causes_is_right() -> None:
    assert f"[{len(CAUSES)} causes]" in (DOCS / "how-to" / "stuck-payment.md").read_text(encoding="utf-8")


def test_every_provider_and_store_has_a_page() -> None:
    for folder, known in (("providers", providers()), ("stores", stores())):
        pages = {path.stem.replace("-", "_") for path in (REFERENCE / folder).glob("*.md")}
        assert pages == {"index", *known}


def test_every_script_is_listed_with_what_it_does() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix}
    assert set(re.findall(r"(?m)^\| `scripts/([\w-]+)` \| .+ \|$", text)) == scripts
