"""The same program on Spark: the same plan as on DuckDB. Needs PySpark and Java, so it has a marker of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recon.simulation import generate_world, write_world
from recon.verdicts.engine import open_engine
from recon.verdicts.spark import SparkMissingError, SparkReadError
from tests.snapshots.test_shared import plan_from, taken


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # PySpark leaves its sockets to the collector.
def test_spark_reads_a_shared_snapshot_and_gives_the_plan_that_duckdb_gives(tmp_path: Path) -> None:
    write_world(generate_world(payments=300, seed=77), tmp_path / "world")
    address = (tmp_path / "shared").as_uri()
    local = taken(tmp_path, address)
    expected = plan_from(tmp_path, local.path, engine="duckdb")
    assert len(expected) > 50_000
    assert plan_from(tmp_path, address, engine="spark") == expected


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_address_that_spark_cannot_read_is_one_sentence() -> None:
    running = open_engine("spark")
    try:
        with pytest.raises(SparkReadError, match=r"its nowhere:// address .* nothing was judged"):
            running.scan(["nowhere://bucket/payments.parquet"])
    finally:
        running.close()


def test_spark_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(SparkMissingError, match=r"recon-toolkit\[spark\].*duckdb needs neither"):
        open_engine("spark")
