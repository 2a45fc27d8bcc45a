"""The same program on Spark: the same verdicts as on DuckDB. Needs PySpark and Java, so it has a marker of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recon.engine import SparkMissingError, open_engine
from recon.simulate import generate_world
from tests.judging import snapshot_of
from tests.test_engine import judged


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # PySpark leaves its sockets to the collector.
def test_spark_gives_the_judgement_that_duckdb_gives(tmp_path: Path) -> None:
    world = snapshot_of(generate_world(payments=300, seed=77), tmp_path)
    one, two = judged(world, "duckdb"), judged(world, "spark")
    assert one.breaks.num_rows > 30
    for name in ("breaks", "links", "counts", "captured", "orphan_transfers", "orphan_claims"):
        left, right = getattr(one, name), getattr(two, name)
        assert left.schema == right.schema
        assert left.equals(right), name
    assert one.open_by_age == two.open_by_age


def test_spark_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(SparkMissingError, match=r"recon-toolkit\[spark\].*duckdb needs neither"):
        open_engine("spark")
