"""Without an extra the core judges all the same, and what needs the extra names it in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import recon
from recon.core.extras import MissingExtraError, check_extra, is_installed
from recon.plans.file import plan_bytes
from recon.verdicts.engine import DuckDbEngine, PolarsEngine, memory_engine, open_engine, usual_engine
from tests.support.artefacts import KEPT


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install of the core alone: neither Polars nor pandas can be imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("polars", "pandas")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("polars", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("recon.core.extras.find_spec", lambda name: None if name in ("polars", "pandas") else object())


def test_a_package_that_is_there_is_no_matter() -> None:
    assert is_installed("polars")
    check_extra("this", package="duckdb", extra="none")
    assert usual_engine(10) == "polars"
    assert isinstance(memory_engine(), PolarsEngine)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(("engine", "extra"), [("polars", "polars"), ("pandas", "notebook")])
def test_an_engine_that_is_not_there_names_its_extra(engine: str, extra: str) -> None:
    with pytest.raises(MissingExtraError) as refused:
        open_engine(engine)
    assert str(refused.value) == (
        f"The engine {engine} needs {engine}, which is not installed; pip install 'recon-toolkit[{extra}]' installs it."
    )


@pytest.mark.usefixtures("bare")
def test_frames_for_notebooks_name_their_extra() -> None:
    for call in (
        lambda: recon.load(KEPT / "0.1.0" / "plan.json"),
        lambda: recon.columns("findings"),
        lambda: recon.plot(KEPT, "money"),  # type: ignore[arg-type]
    ):
        with pytest.raises(MissingExtraError, match=r"pip install 'recon-toolkit\[notebook\]'"):
            call()


def test_the_core_alone_gives_the_same_plan_and_the_same_case(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot, case = KEPT / "0.1.0" / "snapshot", KEPT / "0.1.0" / "case.json"
    full = plan_bytes(recon.plan(snapshot, out=tmp_path / "full.json")), recon.replay_case(case)
    request.getfixturevalue("bare")
    assert usual_engine(10) == "duckdb"
    assert isinstance(memory_engine(), DuckDbEngine)
    alone = plan_bytes(recon.plan(snapshot, out=tmp_path / "alone.json")), recon.replay_case(case)
    assert alone == full
