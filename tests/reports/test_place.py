"""What a notebook reads: found from any folder, the newest that is whole, and what to run first where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recon.reports.notebooks import find_artefacts
from recon.reports.notebooks.place import NothingToReadError


def made(folder: Path, *names: str) -> None:
    """Files and sealed snapshots, one second after the other."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (number, number))
        os.utime(path.parent, (number, number))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RECON_FOLDER", raising=False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    return tmp_path


def test_it_is_found_above_and_the_nearest_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(home / "recon-demo", "plan-1.json")
    assert find_artefacts().folder == home / "recon-demo"
    made(home / "a" / "recon-out", "plan-1.json")
    assert find_artefacts().folder == home / "a" / "recon-out"
    monkeypatch.chdir(home / "recon-demo")
    assert find_artefacts().folder == home / "recon-demo", "also from inside of it"


def test_a_name_and_a_variable_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(home / "recon-demo", "plan-1.json")
    made(home / "other", "plan-1.json")
    monkeypatch.setenv("RECON_FOLDER", str(home / "other"))
    assert find_artefacts().folder == home / "other"
    assert find_artefacts(home / "recon-demo").folder == home / "recon-demo"
    monkeypatch.setenv("RECON_FOLDER", str(home / "nowhere"))
    with pytest.raises(NothingToReadError, match="nowhere is no directory"):
        find_artefacts()


def test_the_newest_that_is_sealed_is_taken_and_no_selection(home: Path) -> None:
    folder = home / "recon-demo"
    made(
        folder, "snapshot-2/manifest.json", "snapshot-1/manifest.json", "snapshot-9/payments.parquet", "plan-9.json",
        "plan-1.json", "plan-1-selected.json", "recon.toml", "history.ndjson", "world/deliveries.ndjson",
    )  # fmt: skip
    found = find_artefacts()
    assert (found.snapshot.name, found.plan.name) == ("snapshot-1", "plan-1.json")
    assert [path.name for path in found.plans] == ["plan-9.json", "plan-1.json"]
    assert (found.config, found.history) == (folder / "recon.toml", folder / "history.ndjson")
    assert found.deliveries == folder / "world" / "deliveries.ndjson"


def test_where_there_is_nothing_it_says_what_to_run_first(home: Path) -> None:
    with pytest.raises(NothingToReadError, match='Run "recon demo" first'):
        find_artefacts()
    made(home / "recon-demo", "snapshot-9/payments.parquet")
    for name in ("snapshot", "plan", "config", "history", "deliveries"):
        with pytest.raises(NothingToReadError, match='Run "recon demo" first'):
            getattr(find_artefacts(), name)
