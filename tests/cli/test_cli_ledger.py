"""``recon ledger check`` on a recorded world: its exit codes, and "cannot tell" where the ledger was not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.core.errors import SourceError
from recon.simulation import write_world
from recon.simulation.books import world_with_books
from recon.sources.ledger.source import Document, ListEntries


def check(config: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["ledger", "check", "--config", str(config), *more])


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    write_world(world_with_books(payments=50, seed=5, flaws={"missing": 1, "orphan": 1}).world, folder)
    return folder / "recon.toml"


def test_what_is_the_matter_is_shown_and_leaves_with_1(wrong: Path, tmp_path: Path) -> None:
    made = check(wrong, "--format", "csv")
    assert made.exit_code == 1, made.output
    assert "ledger_missing" in made.stdout
    assert "ledger_orphan" in made.stdout
    whole = json.loads(check(wrong, "--format", "json").stdout)
    assert "ledger" in json.dumps(whole)
    plan = CliRunner().invoke(cli, ["plan", "--config", str(wrong), "--out", str(tmp_path / "p.json")])
    assert "ledger_missing" in plan.output


def test_right_books_leave_with_0_and_no_ledger_with_2(tmp_path: Path) -> None:
    write_world(world_with_books(payments=30, seed=6).world, tmp_path)
    config = tmp_path / "recon.toml"
    made = check(config)
    assert made.exit_code == 0, made.output
    assert "agree" in made.output
    config.write_text(config.read_text().replace("amount_field", "# amount_field"))
    assert check(config).exit_code == 2
    config.write_text(
        config.read_text().replace("# amount_field", "amount_field").replace("[ledger]", "[ledger]\nbooks = 'double'")
    )
    odd = check(config)
    assert odd.exit_code == 2
    assert "group_field" in odd.output


def test_a_ledger_that_breaks_off_is_not_judged(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(self: ListEntries, from_ms: int) -> Iterator[list[Document]]:
        yield [{"_id": 1, "type": "gross_paid", "amount": "1"}]
        raise SourceError("MongoDB: reading the ledger broke off.")

    monkeypatch.setattr(ListEntries, "scan", scan)
    made = check(wrong)
    assert made.exit_code == 4, made.output
    assert "cannot tell" in made.output.lower()
    assert "broke off" in made.output
    assert "ledger_missing" not in made.output
