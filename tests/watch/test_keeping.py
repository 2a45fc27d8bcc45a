"""What the watch removes, and what it never removes because something names it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon.api.review import approve
from recon.core.errors import SourceError
from recon.setup.settings import load_settings
from recon.setup.watch_section import WatchSection
from recon.snapshots.sealed import MANIFEST
from recon.snapshots.unfinished import STATE
from recon.watch.keeping import Artefact, artefacts, prune, to_remove
from tests.support.watching import a_watched_world, one_round

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LIMITS = WatchSection(keep_days=2, keep_rounds_min=3, keep_rounds_max=10)


def an_artefact(hours: float, kind: str = "plan", window: str = "main") -> Artefact:
    at = NOON - timedelta(hours=hours)
    return Artefact(Path(f"{kind}-{hours}"), kind, window, at, frozenset({f"digest {kind} {hours}"}))


def test_by_age_and_by_number_and_the_newest_always_stay() -> None:
    old = [an_artefact(hours) for hours in (49, 60, 100)]
    assert to_remove(old, limits=LIMITS, now=NOON) == [], "the newest three stay however old they are"
    young = [an_artefact(hours / 10) for hours in range(8)]
    assert [each.path.name for each in to_remove([*old, *young], limits=LIMITS, now=NOON)] == [
        "plan-100", "plan-60", "plan-49",
    ]  # fmt: skip
    many = [an_artefact(hours / 10) for hours in range(14)]
    assert len(to_remove(many, limits=LIMITS, now=NOON)) == 4, "no more than ten"
    apart = [*old, *[an_artefact(hours, window="all") for hours in (50, 51, 52)]]
    assert to_remove(apart, limits=LIMITS, now=NOON) == [], "each window has its own newest"


def test_a_clock_that_jumped_ahead_makes_nothing_old() -> None:
    several = [an_artefact(hours) for hours in range(9)]
    assert to_remove(several, limits=LIMITS, now=NOON + timedelta(days=3650)) == []


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with six rounds, a minute apart, of which two may stay."""
    config = a_watched_world(tmp_path_factory.mktemp("six") / "world", payments=12)
    for _ in range(6):
        one_round(config, minutes=1)  # each has a digest of its own
    limits = "\n[watch]\nkeep_days = 1\nkeep_rounds_min = 1\nkeep_rounds_max = 2\n"
    config.write_text(config.read_text(encoding="utf-8") + limits, encoding="utf-8")
    return config.parent


@pytest.fixture
def config(six: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(six, tmp_path / "world")
    return tmp_path / "world" / "recon.toml"


def test_what_a_decision_a_run_or_a_case_names_stays_with_its_snapshot(config: Path) -> None:
    settings = load_settings(config)
    folder, now = settings.output_dir, settings.now()
    found = sorted(artefacts(folder), key=lambda each: each.at)
    plans = [each for each in found if each.kind == "plan"]
    snapshots = {next(iter(each.names)): each for each in found if each.kind == "snapshot"}
    assert (len(plans), len(snapshots)) == (6, 6)
    approve(plans[0].path, config=config, reason="checked", operator="ada")
    case = folder / "case.json"
    case.write_text(json.dumps({"snapshot": plans[1].snapshot}))
    (folder / "snapshot-watch-main-20261101T000000Z").mkdir()
    (folder / "snapshot-watch-main-20261101T000000Z" / STATE).write_text("{}")
    used = snapshots[plans[2].snapshot].path.name
    authors = len([*(folder / "decisions").glob("author-*")])
    removed = set(prune(settings, now=now, in_use=[used]).removed)
    assert snapshots[plans[0].snapshot].path.exists(), "what a decision rests on"
    assert snapshots[plans[1].snapshot].path.exists(), "a case names it"
    assert snapshots[plans[2].snapshot].path.exists(), "the next round builds upon it"
    assert removed == {snapshots[plans[3].snapshot].path.name, *(each.path.name for each in plans[1:4])}
    assert plans[0].path.exists(), "a decision names it"
    assert len([*(folder / "decisions").glob("author-*")]) == authors - 3, "who made a plan goes with it"
    assert (folder / "snapshot-watch-main-20261101T000000Z").exists(), "an interrupted one is the business of a round"
    case.unlink()
    assert prune(settings, now=now).removed == tuple(snapshots[plans[place].snapshot].path.name for place in (1, 2)), (
        "nothing names them any more"
    )


def test_nothing_goes_where_nobody_can_tell_what_runs_name(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(config)

    def away(*given: object) -> None:
        raise SourceError("the journal cannot be read")

    monkeypatch.setattr("recon.setup.open_runs.read_runs", away)
    before = sorted(settings.output_dir.iterdir())
    found = prune(settings, now=settings.now())
    assert found.removed == ()
    assert "the journal cannot be read" in found.why_not
    assert sorted(settings.output_dir.iterdir()) == before


def test_half_of_a_removed_snapshot_is_no_snapshot_and_goes_next_time(config: Path) -> None:
    settings = load_settings(config)
    oldest = min((each for each in artefacts(settings.output_dir) if each.kind == "snapshot"), key=lambda each: each.at)
    (oldest.path / MANIFEST).unlink()
    assert oldest.path.name in prune(settings, now=settings.now()).removed
    assert not oldest.path.exists()
