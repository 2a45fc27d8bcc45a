"""One program, three engines: the same verdicts, the same links, the same types."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon.core.model import Policy
from recon.simulation import generate_world
from recon.snapshots.sealed import Snapshot
from recon.verdicts.engine import UnknownEngineError, open_engine
from recon.verdicts.judge import Judgement, horizon_of, judge
from tests.support.judging import judgement_of, snapshot_of
from tests.verdicts.test_match import open_row


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(generate_world(payments=1_000, seed=77), tmp_path_factory.mktemp("world"))


def judged(snapshot: Snapshot, engine: str) -> Judgement:
    horizon = horizon_of(
        snapshot.table("coverage").to_pylist(), snapshot.table("gaps").to_pylist(), now_ms=snapshot.taken_at_ms
    )
    running = open_engine(engine)
    try:
        return judge(snapshot.frames(running), running, horizon=horizon, policy=Policy())
    finally:
        running.close()


@pytest.mark.parametrize("other", ["polars", "pandas"])
def test_every_engine_gives_the_same_judgement(world: Snapshot, other: str) -> None:
    one, two = judged(world, "duckdb"), judged(world, other)
    assert one.breaks.num_rows > 100
    for name in ("breaks", "links", "counts", "captured", "owed", "orphan_transfers", "orphan_claims"):
        left, right = getattr(one, name), getattr(two, name)
        assert left.schema == right.schema
        assert left.equals(right), name
    assert one.open_by_age == two.open_by_age


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_an_empty_window_is_judged_to_be_empty(engine: str) -> None:
    found = judgement_of({}, engine=engine)
    assert (found.breaks.num_rows, found.counts.num_rows, sum(found.open_by_age.values())) == (0, 0, 0)


def test_an_engine_nobody_knows_is_one_sentence() -> None:
    with pytest.raises(UnknownEngineError, match="'oracle' is no engine; choose one of duckdb"):
        open_engine("oracle")


def test_duckdb_keeps_to_its_memory_limit_setting(tmp_path: Path) -> None:
    running = open_engine("duckdb", memory_bytes=200_000_000, scratch=tmp_path)
    try:
        rows = {"payments": [open_row()]}
        assert judgement_of(rows).counts.num_rows == 1
    finally:
        running.close()
