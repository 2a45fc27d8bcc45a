"""recon.plot: each picture of each artefact drawn, the bars the numbers of the frames, outside text harmless."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

import recon
from recon.core.model import Plan
from recon.plans.history import append_history, history_entry
from recon.reports.notebooks.load import load
from recon.reports.notebooks.plot import NoMatplotlibError, NoPlotError, charts_of
from recon.simulation import generate_world
from tests.reports.test_loading import sealed
from tests.support import builders
from tests.support.plans import a_finding, a_plan
from tests.support.worlds import plan_of

mpl.use("agg")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    folder = tmp_path_factory.mktemp("plotting")
    return folder, plan_of(generate_world(payments=150, seed=9), folder)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No figure outlives its test."""
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def drawn(axes: Any) -> Any:
    """Draw for real: only then are texts laid out and dates converted."""
    axes.figure.canvas.draw()
    return axes


@pytest.mark.parametrize("name", ["by_provider", "by_chain", "money", "ages"])
def test_every_picture_of_a_plan_is_drawn(world: tuple[Path, Plan], name: str) -> None:
    axes = drawn(recon.plot(world[1], name))
    assert axes.patches
    assert axes.get_title(loc="left")


@pytest.mark.parametrize("name", ["arrivals", "depth"])
def test_every_picture_of_a_snapshot_is_drawn(world: tuple[Path, Plan], name: str) -> None:
    assert drawn(recon.plot(load(world[0] / "snapshot"), name)).get_legend() is not None


def test_notifications_history_and_timelines_are_drawn(world: tuple[Path, Plan], tmp_path: Path) -> None:
    folder, plan = world
    assert drawn(recon.plot(load(folder / "world" / "deliveries.ndjson"), "deliveries")).lines
    append_history(tmp_path, history_entry(plan, at="2026-11-20T12:00:00Z", path="plan.json"))
    bars = drawn(recon.plot(load(tmp_path / "history.ndjson"), "breaks")).patches
    breaks = [item for item in plan.findings if item.tier in ("auto", "review", "never")]
    assert [bar.get_height() for bar in bars] == [len(breaks)]
    found = recon.inspect(
        plan.findings[0].payment_id, config=folder / "world" / "recon.toml", snapshot=folder / "snapshot"
    )
    assert len(drawn(recon.plot(found, "timeline")).lines) == len({event.source for event in found.timeline})


def test_bars_are_as_high_as_the_counts(world: tuple[Path, Plan]) -> None:
    axes = recon.plot(world[1], "ages")
    breaks = [item for item in world[1].findings if item.tier in ("auto", "review", "never")]
    assert sum(patch.get_height() for patch in axes.patches) == len(breaks)


def test_gaps_of_coverage_are_shaded_where_they_were(tmp_path: Path) -> None:
    start = 1_795_000_000_000
    rows = [builders.payment_row(number, created_at=start + number * 3_600_000) for number in range(1, 20)]
    gap = builders.gap_row(from_ms=start + 7_200_000, to_ms=start + 14_400_000)
    axes = drawn(recon.plot(load(sealed(tmp_path / "s", payments=rows, gaps=[gap])), "arrivals"))
    [shade] = axes.patches
    begin = mpl.dates.num2date(shade.get_x())
    assert abs((begin - datetime.fromtimestamp((start + 7_200_000) / 1000, UTC)).total_seconds()) < 1


def test_a_picture_goes_where_it_is_wanted(world: tuple[Path, Plan]) -> None:
    from matplotlib import pyplot

    _, axes = pyplot.subplots()
    assert recon.plot(world[1], "ages", ax=axes) is axes


def test_an_unknown_picture_names_those_there_are(world: tuple[Path, Plan]) -> None:
    with pytest.raises(NoPlotError, match="by_provider, by_chain, money, ages"):
        recon.plot(world[1], "flow")


def test_outside_text_begins_no_formula_and_steers_nothing() -> None:
    hostile = "$\\frac{a}{b$ \x1b[31m\u202e"
    plan = a_plan(
        findings=(a_finding(),),
        summary={"payments": 1, "by_provider": {hostile: {"local_behind": 3}}, "by_chain": {hostile: {hostile: 1}}},
    )
    assert {chart.name for chart in charts_of(load(plan))} >= {"by_provider", "by_chain"}
    for name in ("by_provider", "by_chain"):
        drawn(recon.plot(plan, name))


def test_without_matplotlib_one_sentence_says_how_to_get_it(
    world: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(NoMatplotlibError, match=r"recon-toolkit\[notebook\]"):
        recon.plot(world[1], "ages")
