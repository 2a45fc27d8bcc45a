"""One program, three engines: the same verdicts, the same links, the same types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pytest

from recon.core.model import Policy
from recon.core.tables import Schema
from recon.simulation import generate_world
from recon.simulation.scenarios import scenario_world
from recon.snapshots.sealed import Snapshot
from recon.verdicts.engine import SMALL_ROWS, DuckDbEngine, Engine, PolarsEngine, UnknownEngineError, open_engine
from recon.verdicts.judge import LEAD, Judgement, Leads, find_leads, horizon_of, judge
from recon.verdicts.links import Frame
from tests.support.judging import judgement_of, snapshot_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(generate_world(payments=1_000, seed=77), tmp_path_factory.mktemp("world"))


class NothingLeftOut(PolarsEngine):
    """An engine that never says that there is no row of a kind, so that every step is taken."""

    def keep_any(self, frame: Frame) -> Frame:
        """The frame, with rows or without."""
        return self.keep(frame)

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """What was asked for; of the kinds of payments, every one that there can be."""
        if set(columns) != {"mode", "direction"}:
            return super().collect(frame, columns, order=order)
        kinds = product(("reference", "deposit", "hash"), ("in", "out", "refund"))
        return pa.Table.from_pylist([{"mode": mode, "direction": direction} for mode, direction in kinds])


def judged(snapshot: Snapshot, running: Engine) -> tuple[Judgement, Leads]:
    horizon = horizon_of(
        snapshot.table("coverage").to_pylist(), snapshot.table("gaps").to_pylist(), now_ms=snapshot.taken_at_ms
    )
    policy = Policy()
    try:
        judgement = judge(snapshot.frames(running), running, horizon=horizon, policy=policy)
        return judgement, find_leads(snapshot.frames(running), running, horizon=horizon, policy=policy, silent_max=200)
    finally:
        running.close()


def assert_same(one: tuple[Judgement, Leads], two: tuple[Judgement, Leads]) -> None:
    for left, right in zip(one, two, strict=True):
        for field in fields(left):
            mine, other = getattr(left, field.name), getattr(right, field.name)
            assert mine == other, field.name
            assert getattr(mine, "schema", None) == getattr(other, "schema", None), field.name


def test_every_engine_gives_the_same_judgement(world: Snapshot) -> None:
    one = judged(world, open_engine("duckdb"))
    assert one[0].breaks.num_rows > 100
    for other in (open_engine("polars"), open_engine("pandas"), open_engine("duckdb", payments=100)):
        assert_same(one, judged(world, other))


@pytest.mark.parametrize(("payments", "tables"), [(None, 1), (SMALL_ROWS + 1, 1), (SMALL_ROWS, 0)])
def test_duckdb_makes_tables_where_payments_may_be_too_many_for_memory(payments: int | None, tables: int) -> None:
    running = open_engine("duckdb", payments=payments)
    try:
        assert isinstance(running, DuckDbEngine)
        rows = pa.table({"id": ["a", "b"]})
        kept = running.keep_any(running.keep(running.lay(rows)))
        assert kept is not None
        assert running.collect(kept, {"id": "text"}, order=["id"]).to_pydict() == rows.to_pydict()
        found = running.lay(rows).filter(nw.col("id") == "c")
        assert running.keep_any(found) is None
        made = running._connection.sql("select count(*) from duckdb_tables()").fetchall()
        assert (made[0][0] > 0) == bool(tables)
    finally:
        running.close()


def test_what_no_row_is_of_is_left_out_and_nothing_changes(world: Snapshot) -> None:
    assert_same(judged(world, PolarsEngine()), judged(world, NothingLeftOut()))


@pytest.mark.parametrize("name", ["webhook_lost", "two_invoices_one_address", "twin_request_paid", "completed"])
def test_nothing_changes_in_a_world_of_one_kind_either(name: str, tmp_path: Path) -> None:
    alone = snapshot_of(scenario_world(name), tmp_path)
    assert_same(judged(alone, PolarsEngine()), judged(alone, NothingLeftOut()))


def test_a_first_judgement_leads_to_the_breaks_of_a_whole_one(world: Snapshot) -> None:
    judgement, leads = judged(world, PolarsEngine())
    assert leads.breaks == judgement.breaks.select(list(LEAD))
    assert leads.links == judgement.links


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_an_empty_window_is_judged_to_be_empty(engine: str) -> None:
    found = judgement_of({}, engine=engine)
    assert (found.breaks.num_rows, found.counts.num_rows, sum(found.open_by_age.values())) == (0, 0, 0)


def test_an_engine_nobody_knows_is_one_sentence() -> None:
    with pytest.raises(UnknownEngineError, match="'oracle' is no engine; choose one of duckdb"):
        open_engine("oracle")


def test_duckdb_keeps_to_its_memory_limit_setting(tmp_path: Path) -> None:
    running = open_engine("duckdb", memory_bytes=200_000_000, scratch=tmp_path)
    assert isinstance(running, DuckDbEngine)
    try:
        said = dict(running._connection.sql("select name, value from duckdb_settings()").fetchall())
        assert (said["memory_limit"], said["temp_directory"]) == ("190.7 MiB", str(tmp_path))
    finally:
        running.close()
